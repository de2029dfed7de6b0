//! The interpreter's handlers in the kernel as it was built: every one ends in a jump of its own, none piles up on the stack, the hot
//! ones keep everything in registers; and no page of the file holds both code and data. Needs the kernel (`make image`) and objdump, which comes with every C compiler.

use revenant_tests::harness::repository;
use revenant_tests::machine_code::{Disassembly, Exceptions};
use std::process::Command;

/// Operations that have no fast path. The linker folds those that are alike into one.
const SLOW: [&str; 9] = [
    "Throw",
    "Unreachable",
    "CallNative",
    "ClosureNew",
    "ArrayNew",
    "BufferNew",
    "ExtensionLoadRaw",
    "ExtensionLoadRef",
    "ExtensionStoreRaw",
];
/// Rounding without SSE4 is a function; a new object is cleared by one when it is large.
const CALLING: [&str; 9] = [
    "F32Ceil",
    "F32Floor",
    "F32Trunc",
    "F32Nearest",
    "F64Ceil",
    "F64Floor",
    "F64Trunc",
    "F64Nearest",
    "ObjectNew",
];
/// What loops are made of.
const HOT: [&str; 14] = [
    "MoveRaw",
    "MoveRef",
    "Jump",
    "I64Add",
    "I64AddImm",
    "I64Sub",
    "I64Mul",
    "I64BranchLtS",
    "I64BranchLeS",
    "F64Add",
    "F64Mul",
    "BranchNull",
    "FieldLoadRaw",
    "FieldLoadRef",
];
/// Handlers that save registers: calls and returns, and those that confine an address and check an index. May only fall.
const PUSHING: usize = 50;

#[test]
#[ignore = "needs the kernel that scripts/image.sh builds"]
fn handlers_of_the_interpreter_end_in_jumps_and_keep_their_state_in_registers() {
    let kernel = repository().join("build/revenant-kernel.elf");
    let output = Command::new("objdump")
        .args(["--disassemble", "--demangle", "--no-show-raw-insn"])
        .arg(&kernel)
        .output()
        .expect("objdump runs");
    assert!(output.status.success(), "objdump {}", kernel.display());
    let disassembly = Disassembly::parse(&String::from_utf8_lossy(&output.stdout));
    assert!(disassembly.handlers() > 200, "{} handlers", disassembly.handlers());
    let exceptions =
        Exceptions { slow: &SLOW, calling: &CALLING, pushing: PUSHING, never_pushing: &HOT };
    let findings = disassembly.findings(&exceptions);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// The loader maps the pages of the file where they lie. When the end of the code shared one with the beginning of the data, an
/// emulator took every store to that data for a change of code, and a page fault took three times as long.
#[test]
#[ignore = "needs the kernel that scripts/image.sh builds"]
fn no_two_segments_share_a_page_of_the_file() {
    let kernel = repository().join("build/revenant-kernel.elf");
    let bytes = std::fs::read(&kernel).expect("the kernel is built");
    let word = |at: usize, length: usize| {
        let bytes = bytes[at..at + length].iter().rev();
        bytes.fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let place = |value: u64| usize::try_from(value).expect("inside the file");
    let (table, size, count) = (place(word(32, 8)), place(word(54, 2)), place(word(56, 2)));
    let mut pages: Vec<(u64, u64)> = Vec::new();
    for header in (0..count).map(|number| table + number * size) {
        let (kind, offset, length) = (word(header, 4), word(header + 8, 8), word(header + 32, 8));
        if kind == 1 && length > 0 {
            pages.push((offset / 4096, (offset + length - 1) / 4096));
        }
    }
    pages.sort_unstable();
    assert!(pages.len() >= 3, "read-only data, code, data: {pages:?}");
    assert!(pages.windows(2).all(|two| two[0].1 < two[1].0), "pages of segments: {pages:?}");
}
