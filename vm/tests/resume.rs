//! The first turns after a resume, when nothing is in memory yet: one thread gets its pages, runs, and then the others ask for theirs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use core::sync::atomic::AtomicBool;
use machine::{Machine, Snapshot};
use revenant_hal::{Epoch, PageIndex};
use revenant_vm::counting::grace;
use revenant_vm::memory::{Attempts, Space};
use revenant_vm::{SystemStep, Turn, TurnLimits};

/// Two threads that never end.
const COUNTERS: &str = r"
module counters version 1

class World {
    count: i64
}

export function main(environment: Environment) -> i64 {
    object.new world, World
    closure.new closure, world, count
    native thread.spawn(closure, 0) -> thread
    call count(closure)
    i64.set status, 0
    return status
}

function count(self: Closure) {
    closure.environment environment, self
    cast world, environment, World
    null_check world, world
    field.load.raw n, world, World.count
again:
    i64.add.imm n, n, 1
    field.store.raw n, world, World.count
    jump again
}
";
const PAGE: PageIndex = PageIndex(7);

/// The counters, resumed from a snapshot in which both are under way.
fn resumed() -> Machine {
    let mut machine = Machine::new(COUNTERS, &[]);
    for _ in 0..20 {
        let _ = machine.turn(5);
    }
    let snapshot = machine.snapshot();
    machine.restore(&snapshot);
    assert!(!machine.vm.has_run());
    machine
}

/// A turn that misses a page at the given touch; true if there was such a touch.
fn miss(machine: &mut Machine, touches: u64) -> bool {
    let quiet = AtomicBool::new(false);
    let (vm, environment) = (&mut machine.vm, &mut machine.environment);
    let limits = TurnLimits { polls: 5 };
    let missed = Attempts::run(touches, || vm.turn(environment, &quiet, limits)).is_none();
    if missed {
        machine.abandoned(PAGE);
    }
    missed
}

/// The first touch that is a thread's and not the scheduler's; no instruction has run before it.
fn first_of_thread() -> u64 {
    let found = (1..50).find(|touches| {
        let mut machine = resumed();
        miss(&mut machine, *touches) && machine.turn(5) == Turn::Waiting
    });
    found.unwrap()
}

#[test]
fn until_one_thread_has_run_the_others_do_not_ask_for_pages() {
    let early = first_of_thread();
    let mut machine = resumed();
    for _ in 0..5 {
        assert!(miss(&mut machine, early));
        assert_eq!(machine.turn(5), Turn::Waiting, "the page would stand behind those of others");
        machine.vm.page_arrived(PAGE);
    }
    assert!(!machine.vm.has_run());
    assert!(matches!(machine.turn(5), Turn::Ran(_)));
    assert!(machine.vm.has_run());
    assert!(miss(&mut machine, early));
    assert!(matches!(machine.turn(5), Turn::Ran(_)), "from now on one waits and the other runs");
}

#[test]
fn a_slice_that_misses_a_page_after_its_first_instruction_has_run() {
    let mut touches = first_of_thread();
    let mut machine = resumed();
    while miss(&mut machine, touches) && !machine.vm.has_run() {
        machine.vm.page_arrived(PAGE);
        touches += 1;
    }
    assert!(machine.vm.has_run());
    assert!(matches!(machine.turn(5), Turn::Ran(_)), "the other one need not wait");
}

#[test]
fn a_thread_that_waits_without_end_holds_the_others_back_for_a_while_only() {
    let early = first_of_thread();
    let mut machine = resumed();
    let mut misses = 0;
    while miss(&mut machine, early) && machine.turn(5) == Turn::Waiting {
        machine.vm.page_arrived(PAGE);
        misses += 1;
        assert!(misses < 1_000, "the others never run");
    }
    assert!(misses > 10, "{misses} misses");
    assert!(machine.vm.has_run());
}

/// On a full disk the first thread's store waits until others have freed something: they have to run for that.
#[test]
fn a_thread_that_waits_for_room_holds_nobody_back() {
    let early = first_of_thread();
    let mut machine = resumed();
    assert!(miss(&mut machine, early));
    machine.vm.retry_all();
    assert!(miss(&mut machine, early));
    assert!(matches!(machine.turn(5), Turn::Ran(_)));
}

/// Pages that are touched until a thread has executed an instruction after a resume from `snapshot`, with everybody's time come.
fn pages_until_one_has_run(machine: &mut Machine, snapshot: &Snapshot) -> usize {
    machine.restore(snapshot);
    machine.environment.clock += 10_000_000_000;
    Attempts::record();
    while !machine.vm.has_run() {
        let _ = machine.turn(1);
    }
    let mut pages = Attempts::take_recorded();
    pages.sort_unstable();
    pages.dedup();
    pages.len()
}

/// Three hundred whose naps are over, each on a page of its own. On a slow host all of them were woken, page by page, before anybody
/// ran: 213 pages were read before the first instruction instead of 20.
#[test]
fn sleepers_whose_time_has_come_do_not_stand_before_the_first_instruction() {
    let mut machine = Machine::new(include_str!("../../samples/sleepers.rasm"), &["300", "10"]);
    machine.tick = 1_000;
    while !matches!(machine.turn(1_000), Turn::Idle { .. }) {}
    let asleep = machine.snapshot();
    machine.environment.clock += 10_000_000_000;
    let _ = machine.turn(1);
    let some_awake = machine.snapshot();
    for snapshot in [asleep, some_awake] {
        let pages = pages_until_one_has_run(&mut machine, &snapshot);
        assert!(pages < 24, "{pages} pages");
    }
}

/// The step that tells programs of the restart is tried again with every interrupt until its page has come. On a slow disk that used up
/// the first thread's time alone: 147 pages were read before the first instruction instead of 21.
#[test]
fn waits_of_the_system_leave_the_first_thread_its_time_alone() {
    let early = first_of_thread();
    let mut machine = resumed();
    for _ in 0..1_000 {
        let (vm, environment) = (&mut machine.vm, &mut machine.environment);
        let step = SystemStep::Restarted { resumed: Epoch(1) };
        assert!(Attempts::run(1, || vm.system_step(step, environment)).is_none());
        machine.abandoned(PAGE);
    }
    machine.vm.page_arrived(PAGE);
    assert!(miss(&mut machine, early));
    assert_eq!(machine.turn(5), Turn::Waiting, "nobody else is tried");
}

/// The power fails in the middle of a grace over what three hundred threads hold: it goes on after the first instruction.
#[test]
fn a_grace_under_way_does_not_stand_before_the_first_instruction() {
    let mut machine = Machine::new(include_str!("../../samples/sleepers.rasm"), &["300", "10"]);
    machine.tick = 1_000;
    while !matches!(machine.turn(1_000), Turn::Idle { .. }) {}
    machine.environment.clock += 10_000_000_000;
    for _ in 0..700 {
        let _ = machine.turn(1_000);
    }
    let _ = machine.vm.system_step(SystemStep::BeginGrace, &mut machine.environment);
    let under_way = || grace::in_progress(Space::get().unwrap());
    assert!(under_way());
    let snapshot = machine.snapshot();
    let pages = pages_until_one_has_run(&mut machine, &snapshot);
    assert!(pages < 24, "{pages} pages");
    assert!(under_way());
    let turns = (0..1_000).take_while(|_| under_way() && machine.turn(1_000) != Turn::Waiting);
    assert!(turns.count() < 1_000, "it never goes on");
}

/// One sleeper is awake and waits for room on a full disk. The others, whose time has come too, may be those who make some.
#[test]
fn a_sleeper_that_waits_for_room_keeps_nobody_asleep() {
    let mut machine = Machine::new(include_str!("../../samples/sleepers.rasm"), &["20", "10"]);
    machine.tick = 1_000;
    while !matches!(machine.turn(1_000), Turn::Idle { .. }) {}
    let asleep = machine.snapshot();
    let start = |machine: &mut Machine| {
        machine.restore(&asleep);
        machine.environment.clock += 10_000_000_000;
    };
    start(&mut machine);
    let first = machine.turn(5);
    let early = (1..200).find(|touches| {
        start(&mut machine);
        miss(&mut machine, *touches) && machine.turn(5) == Turn::Waiting
    });
    let another_runs = (1..2_000).any(|touches| {
        start(&mut machine);
        assert!(miss(&mut machine, early.unwrap()));
        assert_eq!(
            machine.turn(5),
            Turn::Waiting,
            "nobody else is woken before the first instruction"
        );
        machine.vm.retry_all();
        let waits_again = miss(&mut machine, touches) && !machine.vm.has_run();
        waits_again && matches!(machine.turn(5), ran @ Turn::Ran(_) if ran != first)
    });
    assert!(another_runs, "the others sleep on");
}
