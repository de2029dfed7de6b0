//! Paths through a program's objects, and through damage.

mod machine;

use machine::Machine;
use revenant_hal::ObjectAddress;
use revenant_vm::ExitStatus;
use revenant_vm::memory::layout::area;
use revenant_vm::memory::layout::system::root;
use revenant_vm::memory::{AddressExt, Space};

const PROGRAM: &str = "
module bank version 1
class Base {
    count: i32
}
class Account extends Base {
    owner: String?
    balance: f64
    next: Account?
}
static total: f64
static first: Account?
export function main(environment: Environment) -> i64 {
    native environment.directory(environment) -> directory
    object.new account, Account
    i32.const n, -3
    field.store.raw n, account, Base.count
    string.const owner, \"Ada\"
    field.store.ref owner, account, Account.owner
    f64.const x, 2.5
    field.store.raw x, account, Account.balance
    static.store.raw x, total
    static.store.ref account, first
    native map.set(directory, \"account\", account)
    i64.set number, 7
    native long.new(number) -> key
    native vector.new(number) -> list
    native vector.push(list, key)
    native vector.push(list, null)
    native map.set(directory, key, list)
    i64.set zero, 0
    return zero
}
";

fn machine() -> Machine {
    let mut machine = Machine::new(PROGRAM, &[]);
    assert_eq!(machine.run(1000), ExitStatus::Returned(0), "{}", machine.output);
    machine
}

fn lines(machine: &Machine, path: &str) -> Vec<String> {
    let text = machine.vm.inspect(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(ToString::to_string).collect()
}

#[test]
fn a_program_s_directory_fields_and_statics_have_names_and_kinds() {
    let machine = machine();
    assert_eq!(
        lines(&machine, "programs/[0]/directory")[1],
        "  account: ".to_string() + &lines(&machine, "programs/[0]/directory/account")[0]
    );
    assert_eq!(
        lines(&machine, "programs/[0]/directory/account")[1..],
        ["  count: -3", "  owner: \"Ada\"", "  balance: 2.5", "  next: null"]
    );
    assert_eq!(
        lines(&machine, "/programs/[0]/directory/7/"),
        ["Vector of 2", "  [0]: Long 7", "  [1]: null"]
    );
    assert_eq!(lines(&machine, "programs/[0]/directory/7/[0]"), ["Long 7", "  value: 7"]);
    let statics = lines(&machine, "programs/[0]/namespace/bank/statics");
    assert_eq!(statics[..2], ["2 static variables", "  total: 2.5"]);
    let account = lines(&machine, "programs/[0]/namespace/bank/statics/first");
    assert_eq!(account, lines(&machine, "programs/[0]/directory/account"));
    assert_eq!(
        lines(&machine, "programs/[0]/namespace/bank/main")[..2],
        ["Function bank.main", "  name: \"main\""]
    );
    assert_eq!(lines(&machine, "programs/[0]/directory/account/owner"), ["\"Ada\""]);
}

#[test]
fn the_frames_of_a_thread_can_be_seen() {
    let machine = Machine::new(PROGRAM, &["an argument"]);
    assert_eq!(lines(&machine, "threads/[1]/frames"), ["1 frames", "  [0]: bank.main, position 0"]);
    assert_eq!(
        lines(&machine, "threads/[1]/frames/[0]/r0/arguments"),
        ["StringArray of 1", "  [0]: \"an argument\""]
    );
}

#[test]
fn what_is_not_there_is_an_error_that_says_what_is() {
    let machine = machine();
    let error = |path: &str| machine.vm.inspect(path).unwrap_err().to_string();
    assert_eq!(
        error("programs/[0]/directory/acount"),
        "\"acount\" is not there; expected account, 7"
    );
    assert_eq!(error("programs/[1]"), "\"[1]\" is not there; expected [0]");
    assert!(error("programs/[0]/directory/7/[1]/x").ends_with("there is nothing below"));
    assert!(error("threads/[9]").contains("[9]"));
}

/// Every path of two components below the root, whatever it answers.
fn walk(machine: &Machine) {
    for path in ["", "programs", "directory", "builtin", "groups", "threads", "signatures"] {
        for below in ["", "[0]", "[1]", "[0]/directory", "[1]/frames", "[1]/frames/[0]", "[0]/main"]
        {
            let _ = machine.vm.inspect(&(path.to_string() + "/" + below));
        }
    }
}

#[test]
fn damage_anywhere_is_an_error_or_wrong_text_but_never_a_panic() {
    let machine = machine();
    let space = machine.host.space();
    let place = ObjectAddress(area::ROOT + root::PROGRAMS);
    let programs = space.load::<u64>(place);
    for wrong in [1, area::ROOT, area::HEAP, programs + 8, programs + 16, u64::MAX, area::END - 8] {
        space.store(place, wrong);
        space.end_step();
        let error = machine.vm.inspect("programs").unwrap_err().to_string();
        assert!(error.starts_with("the object tree is damaged at "), "{error}");
        assert!(machine.vm.inspect("").unwrap().contains("programs: damaged, at"));
    }
    space.store(place, programs);
    space.end_step();
    // Random words in the pages that the tree is made of.
    let mut random = 0x5eed_u64;
    for round in 0..300 {
        let machine_pages = [area::HEAP + 0x1000, area::CLASS_TABLE, area::THREAD_TABLE, programs];
        let page = machine_pages[round % machine_pages.len()];
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        damage(space, ObjectAddress(page), random);
        walk(&machine);
    }
}

fn damage(space: Space, page: ObjectAddress, random: u64) {
    let place = page.plus(random >> 20 & 0xff8);
    let word = if random & 1 == 0 { random } else { area::HEAP + (random >> 32) };
    space.store(place, word);
    space.end_step();
}
