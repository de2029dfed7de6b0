//! Several programs in one object space: each has a namespace and a group of its own, runs for itself, and pays for itself.

mod machine;

use machine::Machine;
use revenant_bytecode::{assemble, encode};
use revenant_hal::Epoch;
use revenant_vm::{Creation, CreationError, ExitStatus, Quota, Turn};

/// Sleeps until the others have done what they do, then makes an array of a mebibyte.
const FIRST: &str = r#"
module first version 1

export function main(environment: Environment) -> i64 {
    i64.set nap, 50000000
    native sleep(nap)
    i64.set size, 1048576
    array.new bytes, size, ByteArray
    array.length length, bytes
    return length
}
"#;

/// Keeps what it makes until it gets no more; says so, lets go of all and goes on.
const HUNGRY: &str = r#"
module hungry version 1

array Blocks of ByteArray

export function main(environment: Environment) {
    native environment.console(environment) -> console
    i64.set count, 4096
    array.new blocks, count, Blocks
    i64.set size, 8000
    i64.set i, 0
more:
    array.new block, size, ByteArray
made:
    array.store.ref block, blocks, i
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, more
    native console.print(console, "everything\n")
    return
full:
    native console.print(console, "full\n")
    return
    catch OutOfMemoryException problem from more to made at full
}
"#;

fn file(text: &str) -> Vec<u8> {
    encode(&assemble(text, "test.rasm").unwrap_or_else(|error| panic!("{error}")))
}

fn add(machine: &mut Machine, text: &str) -> Result<u32, CreationError> {
    let module = file(text);
    machine.vm.add_program(&Creation { modules: &[&module], arguments: &[], epoch: Epoch(1) })
}

#[test]
fn at_its_quota_a_program_gets_exceptions_and_the_others_get_memory() {
    let mut machine = Machine::new(FIRST, &[]);
    let (bounded, free) = (
        add(&mut machine, HUNGRY).expect("a program"),
        add(&mut machine, HUNGRY).expect("another"),
    );
    assert_eq!((bounded, free), (2, 3));
    let before = machine.vm.quota(bounded);
    assert_eq!((before.limit, before.refused), (u64::MAX, 0));
    let quota = before.used + (4 << 20);
    machine.vm.set_quota(bounded, quota);
    assert_eq!(machine.run(100_000), ExitStatus::Returned(1 << 20));
    assert!(machine.output.contains("full\n"), "{}", machine.output);
    assert!(machine.output.contains("everything\n"), "{}", machine.output);
    for group in [1, bounded, free] {
        let Quota { used, limit, refused } = machine.vm.quota(group);
        assert!(used <= limit, "group {group} has {used} of {limit}");
        // Each refusal throws, and the program gives up at the first.
        assert_eq!(refused, u64::from(group == bounded));
    }
    assert_eq!((machine.vm.quota(bounded).limit, machine.vm.groups()), (quota, 4));
}

const SPINNER: &str = r#"
module spinner version 1

export function main(environment: Environment) {
again:
    poll
    jump again
}
"#;

/// Up to so many turns, until the end of the first program was told; how many.
fn turns_until_told(machine: &mut Machine, most: u64) -> Option<u64> {
    (0..most).find(|_| {
        let _ = machine.turn(1000);
        machine.ended.is_some()
    })
}

fn ends_beside_a_spinner() -> Machine {
    let mut machine = Machine::new(FIRST, &[]);
    add(&mut machine, SPINNER).expect("a program");
    machine.tick = 10_000_000;
    machine
}

/// The report was lost with an attempt that had to wait for a page of the program, and came again only when nobody could run.
#[test]
fn the_end_of_the_first_program_is_told_although_the_others_go_on_and_pages_are_missing() {
    let before = turns_until_told(&mut ends_beside_a_spinner(), 400).expect("it is told");
    let mut ended_late = 0;
    for touches in 0.. {
        let mut machine = ends_beside_a_spinner();
        (0..before).for_each(|_| _ = machine.turn(1000));
        assert_eq!(machine.ended, None, "the next turn is the last");
        let whole = machine.turn_ended_at(1000, touches).is_some();
        let told = whole || turns_until_told(&mut machine, 8).is_some();
        assert!(told, "the end was never told: the attempt ended at touch {touches}");
        assert_eq!(machine.ended, Some(ExitStatus::Returned(1 << 20)));
        ended_late += u64::from(!whole);
        if whole {
            break;
        }
    }
    assert!(ended_late > 10, "only {ended_late} attempts were ended");
}

#[test]
fn a_suspended_group_is_passed_over_and_the_others_run() {
    let mut machine = Machine::new(SPINNER, &[]);
    let group = add(&mut machine, SPINNER).expect("a program");
    machine.environment.suspended.insert(group);
    machine.environment.groups.clear();
    for _ in 0..50 {
        assert!(!matches!(machine.turn(10), Turn::Waiting));
    }
    assert_eq!(machine.environment.groups, [1].into());
    machine.environment.suspended.insert(1);
    let waited = (0..50).filter(|_| matches!(machine.turn(10), Turn::Waiting)).count();
    assert!(waited >= 16, "nobody may run: {waited} of 50 turns said so");
    assert_eq!(machine.environment.groups, [1].into());
    machine.environment.suspended.clear();
    (0..50).for_each(|_| _ = machine.turn(10));
    assert_eq!(machine.environment.groups, [1, group].into());
}

#[test]
fn who_runs_is_told_before_its_slice() {
    let mut machine = Machine::new(FIRST, &[]);
    let group = add(&mut machine, HUNGRY).expect("a program");
    machine.environment.groups.clear();
    while !machine.output.contains('\n') {
        let turn = machine.turn(1000);
        assert!(!matches!(turn, Turn::Waiting), "nothing is to be waited for");
    }
    assert!(machine.environment.groups.contains(&1) && machine.environment.groups.contains(&group));
}

#[test]
fn a_program_that_is_refused_says_why() {
    let mut machine = Machine::new(FIRST, &[]);
    let refused = add(&mut machine, "module none version 1\n");
    assert!(matches!(refused, Err(CreationError::NoMain)), "{refused:?}");
}
