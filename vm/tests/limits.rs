//! Arrays and texts of more elements than can be numbered: an exception that can be caught.

mod machine;

use machine::Machine;
use revenant_vm::ExitStatus;

/// Makes an array of so many bytes and a text of it. Returns what failed: 1 the array, 2 the text, 0 nothing, -1 a wrong length.
const HUGE: &str = r#"
module huge version 1

export function main(environment: Environment) -> i64 {
    native environment.arguments(environment) -> arguments
    i64.set i, 0
    array.load.ref text, arguments, i
    null_check text, text
    native string.parse_i64(text) -> count
array:
    array.new bytes, count, ByteArray
made:
    array.length length, bytes
    i64.branch.ne length, count, wrong
    i64.add.imm last, count, -1
    i32.const seven, 7
    array.store.u8 seven, bytes, last
    array.load.u8 found, bytes, last
    i32.branch.ne found, seven, wrong
text:
    native string.from_bytes(bytes, i, count) -> text
written:
    i64.set answer, 0
    return answer
no_array:
    i64.set answer, 1
    return answer
no_text:
    i64.set answer, 2
    return answer
wrong:
    i64.set answer, -1
    return answer
    catch InvalidArgumentException problem from array to made at no_array
    catch InvalidArgumentException problem from text to written at no_text
}
"#;

#[test]
fn what_has_more_elements_than_can_be_numbered_is_not_made() {
    let most = (1_i64 << 32) - 2;
    let cases = [
        (5, 0),
        (most, 2),
        (most + 1, 1),
        (most + 2, 1),
        (1 << 33, 1),
        (1 << 40, 1),
        (i64::MAX, 1),
        (-1, 1),
    ];
    for (count, expected) in cases {
        let mut machine = Machine::new(HUGE, &[&count.to_string()]);
        let status = machine.run(1000);
        assert_eq!(status, ExitStatus::Returned(expected), "{count}: {}", machine.output);
    }
}
