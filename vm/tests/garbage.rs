//! Garbage made faster than it can be freed: memory stays bounded also when the grace has to wait for a slow disk.
//!
//! The story: a grace met pages that were on the disk only; while it waited for each of them programs ran on and made garbage, which
//! the next grace would have to read back in turn. After a few power cuts the batch was half a million entries long, no
//! snapshot was taken any more because each waited for its grace, and memory was full.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use machine::Machine;
use revenant_hal::{ObjectAddress, PageIndex};
use revenant_vm::counting::{BATCH_ENTRIES, grace};
use revenant_vm::memory::layout::area;
use revenant_vm::memory::layout::system::counting;
use revenant_vm::{StepOutcome, SystemStep, Turn};

/// Makes garbage for ever, small or large by its argument's length.
const PRODUCER: &str = r#"
module producer version 1

class Node {
    next: Node?
    value: i64
}

export function main(environment: Environment) -> i64 {
    i64.set size, 100000
    native environment.arguments(environment) -> arguments
    array.length count, arguments
    i64.set none, 0
    i64.branch.ne count, none, large
small:
    object.new node, Node
    jump small
large:
    buffer.new buffer, size, size
    jump large
}
"#;

fn word(machine: &Machine, offset: u64) -> u64 {
    machine.host.space().load(ObjectAddress(area::COUNTING + offset))
}

/// Entries of the open batch.
fn open_entries(machine: &Machine) -> u64 {
    (word(machine, counting::OPEN_NEXT) - area::BATCHES) % area::BATCH_SIZE / 8
}

/// Runs until a grace has begun to free, and then has it wait for a page.
fn starve_the_grace(machine: &mut Machine) {
    let space = machine.host.space();
    let environment = &mut machine.environment;
    let _ = machine.vm.system_step(SystemStep::BeginGrace, environment);
    while grace::asked_next(space).is_some() {
        let _ = grace::step(space).unwrap();
    }
    let _ = grace::step(space).unwrap();
    assert!(grace::in_progress(space));
    machine.abandoned(PageIndex(7));
}

#[test]
fn who_makes_garbage_waits_for_a_grace_that_waits_for_the_disk() {
    let mut machine = Machine::new(PRODUCER, &[]);
    for _ in 0..3 {
        assert!(matches!(machine.turn(2_000), Turn::Ran(_) | Turn::Scheduled));
    }
    assert!(open_entries(&machine) > 0);
    starve_the_grace(&mut machine);
    for _ in 0..400 {
        let _ = machine.turn(2_000);
    }
    let entries = open_entries(&machine);
    // A block's run of free cells more than the bound: it is looked at when a run is used up.
    let most = 4 * BATCH_ENTRIES + 4096;
    assert!((BATCH_ENTRIES..=most).contains(&entries), "{entries} entries wait");
    machine.vm.page_arrived(PageIndex(7));
    let freed = word(&machine, counting::OBJECTS_FREED);
    for _ in 0..100 {
        let _ = machine.turn(2_000);
    }
    assert!(word(&machine, counting::OBJECTS_FREED) > freed + BATCH_ENTRIES, "it goes on");
    machine.audit();
}

#[test]
fn large_garbage_asks_for_a_grace_long_before_a_batch_is_full() {
    let mut machine = Machine::new(PRODUCER, &["large"]);
    for _ in 0..300 {
        let _ = machine.turn(200);
    }
    let made = word(&machine, counting::OBJECTS_FREED);
    assert!(made > 10_000, "{made} buffers of 100,000 bytes came and went");
    let pages: u64 = machine.host.touched().iter().map(|range| range.end.0 - range.start.0).sum();
    assert!(pages < 64 << 20 >> 12, "{pages} pages for one buffer at a time");
}

#[test]
fn a_grace_that_waits_says_which_pages_it_will_need() {
    let mut machine = Machine::new(PRODUCER, &[]);
    let _ = machine.turn(2_000);
    let _ = machine.turn(2_000);
    let mut pages = [PageIndex(0); 64];
    assert_eq!(machine.vm.upcoming(&mut pages), 0, "nothing waits");
    starve_the_grace(&mut machine);
    let before = machine.digest();
    let found = machine.vm.upcoming(&mut pages);
    assert_eq!(machine.digest(), before, "looking changes nothing");
    let next = word(&machine, counting::CLOSED_NEXT);
    let first: u64 = machine.host.space().load(ObjectAddress(next));
    assert!(found > 2 && pages[..found].contains(&ObjectAddress(first).page()));
    assert!(pages[..found].windows(16).all(|few| !few[1..].contains(&few[0])), "{pages:?}");
    let step = SystemStep::ContinueGrace;
    while machine.vm.system_step(step, &mut machine.environment) == StepOutcome::More {}
    assert!(!grace::in_progress(machine.host.space()));
}

/// The story: since who allocates waits for a grace that is behind, one damaged object in the batch would have stopped every
/// program for good, because the grace stayed at it.
#[test]
fn a_damaged_object_does_not_keep_a_grace_and_who_waits_for_it_for_ever() {
    let mut machine = Machine::new(PRODUCER, &[]);
    let _ = machine.turn(2_000);
    let _ = machine.turn(2_000);
    starve_the_grace(&mut machine);
    let space = machine.host.space();
    let end = word(&machine, counting::CLOSED_END);
    let damaged: u64 = space.load(ObjectAddress(end - 8 * 100));
    let header: u64 = space.load(ObjectAddress(damaged));
    space.store(ObjectAddress(damaged), header | 0xffff_fff0);
    machine.vm.page_arrived(PageIndex(7));
    let freed = word(&machine, counting::OBJECTS_FREED);
    for _ in 0..400 {
        let _ = machine.turn(2_000);
    }
    assert!(word(&machine, counting::OBJECTS_FREED) > freed + 4 * BATCH_ENTRIES, "it goes on");
}
