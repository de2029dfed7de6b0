//! The verdict on a page that cannot be read, by what it holds: an object, code, a stack, the metadata of a block, or what nothing
//! runs without; for thread objects see `lost_threads`. Here the page can be read again after the verdict: what counts is what the verdict did.

mod machine;

use core::sync::atomic::AtomicBool;

use machine::Machine;
use revenant_hal::{ObjectAddress, PageIndex};
use revenant_vm::memory::Attempts;
use revenant_vm::memory::layout::system::counting;
use revenant_vm::memory::layout::{BLOCK, area, thread};
use revenant_vm::{ExitStatus, PageVerdict, StepOutcome, SystemStep, ThreadId, Turn, TurnLimits};

/// Works with an object until it hears of damage, and returns the page that the exception names. A second thread sleeps, then
/// notes that it ran.
const WORKS: &str = r#"
module works version 1

class World {
    counter: i64
    slept: i64
}

export function main(environment: Environment) -> i64 {
    object.new world, World
    closure.new closure, world, sleeper
    native thread.spawn(closure, 0) -> thread
work:
    call count(world)
    jump work
after:
hurt:
    field.load.raw page, problem, Exception.code
    native thread.join(thread) -> problem
    field.load.raw slept, world, World.slept
    i64.branch.eq.imm slept, 1, well
    i64.set page, -1
well:
    return page
    catch DamagedObjectException problem from work to after at hurt
}

function count(world: World) {
    field.load.raw counter, world, World.counter
    i64.add.imm counter, counter, 1
    field.store.raw counter, world, World.counter
    return
}

function sleeper(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    i64.set nap, 3000000
    native sleep(nap)
    i64.set slept, 1
    field.store.raw slept, world, World.slept
    return
}
"#;

const MAIN: u64 = 1;
const SLEEPER: u64 = 2;
/// A touch in the middle of a slice of `main`: scheduling needs fewer, the slice has more.
const IN_THE_SLICE: u64 = 300;

/// `main` at work, the other asleep.
fn at_work() -> Machine {
    let mut machine = Machine::new(WORKS, &[]);
    for _ in 0..10 {
        let _ = machine.turn(40);
    }
    assert_eq!(machine.ended, None);
    machine
}

fn word(machine: &Machine, address: u64) -> u64 {
    let value = machine.host.space().load::<u64>(ObjectAddress(address));
    machine.host.space().end_step();
    value
}

fn thread_object(machine: &Machine, index: u64) -> u64 {
    word(machine, area::THREAD_TABLE + index * 8)
}

/// A slice of `main` ends at this page, which cannot be read.
fn meet(machine: &mut Machine, page: PageIndex) -> PageVerdict {
    let quiet = AtomicBool::new(false);
    let (vm, environment) = (&mut machine.vm, &mut machine.environment);
    let limits = TurnLimits { polls: 400 };
    let ended = Attempts::run(IN_THE_SLICE, || vm.turn(environment, &quiet, limits));
    assert_eq!(ended, None, "the attempt was to end");
    machine.abandoned(page);
    machine.vm.page_failed(page, &mut machine.environment)
}

/// A step of the scheduler's own work ends at this page.
fn meet_in_grace(machine: &mut Machine, page: PageIndex) -> PageVerdict {
    let (vm, environment) = (&mut machine.vm, &mut machine.environment);
    let step = SystemStep::ContinueGrace;
    assert_eq!(Attempts::run(1, || vm.system_step(step, environment)), None);
    machine.abandoned(page);
    machine.vm.page_failed(page, &mut machine.environment)
}

fn page(address: u64) -> PageIndex {
    ObjectAddress(address).page()
}

/// `main` hears of the page, waits for the other thread and returns what it heard.
fn ends_by_hearing_of(machine: &mut Machine, page: PageIndex) {
    assert_eq!(machine.run(400), ExitStatus::Returned(page.0));
    machine.audit();
}

/// `main` never runs again; the other does, to its end.
fn ends_damaged(machine: &mut Machine) {
    assert_eq!(machine.run(400), ExitStatus::Damaged);
    let other = thread_object(machine, SLEEPER);
    for _ in 0..1000 {
        if word(machine, other + thread::STATE) & 0xffff_ffff == u64::from(thread::STATE_ENDED) {
            return;
        }
        let _ = machine.turn(400);
    }
    panic!("the other thread does not end");
}

#[test]
fn nothing_runs_without_the_class_table_and_the_run_queue() {
    for place in
        [area::ROOT, area::SCHEDULER, area::COUNTING, area::CLASS_TABLE, area::THREAD_TABLE]
    {
        let mut machine = at_work();
        assert_eq!(meet(&mut machine, page(place)), PageVerdict::StepBack, "{place:#x}");
    }
}

/// While a page that waking the sleeper needs is on its way, the others run; if it is an object and never comes, nobody is woken
/// and they still do.
#[test]
fn who_sleeps_on_a_page_that_is_missing_holds_nobody_up() {
    let mut machine = at_work();
    machine.environment.clock += 10_000_000;
    let missing = object_page(&machine);
    let quiet = AtomicBool::new(false);
    let limits = TurnLimits { polls: 40 };
    for verdict in [false, true] {
        let (vm, environment) = (&mut machine.vm, &mut machine.environment);
        let ended = Attempts::run(3, || vm.turn(environment, &quiet, limits));
        assert_eq!(ended, None, "waking the sleeper was to end");
        machine.abandoned(missing);
        assert_eq!(machine.turn(40), Turn::Ran(ThreadId(MAIN)), "main does not wait for it");
        if verdict {
            let found = machine.vm.page_failed(missing, &mut machine.environment);
            assert_eq!(found, PageVerdict::BlockStuck);
        } else {
            machine.vm.page_arrived(missing);
        }
    }
    for _ in 0..10 {
        assert_eq!(machine.turn(40), Turn::Ran(ThreadId(MAIN)), "nobody is woken");
    }
}

/// Several may meet a page before there is a verdict on it. That is about one of them; the others were left waiting for a page that
/// never comes.
#[test]
fn all_who_wait_for_a_lost_page_try_again_after_its_verdict() {
    let mut machine = at_work();
    machine.environment.clock += 10_000_000;
    let lost = object_page(&machine);
    let quiet = AtomicBool::new(false);
    // Who wakes the sleeper meets it, then `main` does.
    for (touches, polls) in [(3, 40), (IN_THE_SLICE, 400)] {
        let (vm, environment) = (&mut machine.vm, &mut machine.environment);
        let limits = TurnLimits { polls };
        assert_eq!(Attempts::run(touches, || vm.turn(environment, &quiet, limits)), None);
        machine.abandoned(lost);
    }
    let verdict = machine.vm.page_failed(lost, &mut machine.environment);
    assert_eq!(verdict, PageVerdict::BlockStuck, "the sleeper's time is given up");
    assert_eq!(machine.turn(40), Turn::Ran(ThreadId(MAIN)), "main tries again");
}

#[test]
fn a_page_that_nobody_waits_for_is_nobodys() {
    let mut machine = at_work();
    let place = page(thread_object(&machine, MAIN));
    let verdict = machine.vm.page_failed(place, &mut machine.environment);
    assert_eq!(verdict, PageVerdict::Unused);
}

#[test]
fn a_thread_whose_stack_is_lost_is_parked() {
    for limit in [thread::STACK, thread::REFERENCE_LIMIT, thread::RAW_LIMIT] {
        // The first page of each of the three stacks.
        let mut machine = at_work();
        let own = thread_object(&machine, MAIN);
        let place = page(word(&machine, own + limit));
        assert_eq!(meet(&mut machine, place), PageVerdict::ThreadDamaged(ThreadId(MAIN)));
        ends_damaged(&mut machine);
    }
}

#[test]
fn lost_code_is_an_exception_that_names_it() {
    let mut machine = at_work();
    let own = thread_object(&machine, MAIN);
    let place = page(word(&machine, own + thread::POSITION));
    assert_eq!(meet(&mut machine, place), PageVerdict::Thrown(ThreadId(MAIN)));
    ends_by_hearing_of(&mut machine, place);
}

/// The page of the object that `main` works with, by the first reference register of its frames.
fn object_page(machine: &Machine) -> PageIndex {
    let stack = word(machine, thread_object(machine, MAIN) + thread::STACK);
    // The environment stands first, the object behind it.
    page(word(machine, stack + 8))
}

#[test]
fn a_lost_object_is_an_exception_that_names_it() {
    let mut machine = at_work();
    let place = object_page(&machine);
    assert!(!place.address().0.is_multiple_of(BLOCK));
    assert_eq!(meet(&mut machine, place), PageVerdict::Thrown(ThreadId(MAIN)));
    ends_by_hearing_of(&mut machine, place);
}

#[test]
fn lost_metadata_is_an_exception_too_and_its_block_is_stuck() {
    let mut machine = at_work();
    let place = page(object_page(&machine).address().0 / BLOCK * BLOCK);
    assert_eq!(meet(&mut machine, place), PageVerdict::BlockStuck);
    ends_by_hearing_of(&mut machine, place);
}

/// The grace asks every thread that ran, then looks at what was let go of.
#[test]
fn a_grace_passes_over_what_is_lost() {
    let mut machine = at_work();
    let begun = machine.vm.system_step(SystemStep::BeginGrace, &mut machine.environment);
    assert_eq!(begun, StepOutcome::Done);
    // The thread made last is asked first.
    let asked = word(&machine, area::COUNTING + counting::PENDING_HEAD);
    assert_eq!(asked, thread_object(&machine, SLEEPER));
    let stack = page(word(&machine, asked + thread::STACK));
    let verdict = meet_in_grace(&mut machine, stack);
    assert_eq!(verdict, PageVerdict::ThreadDamaged(ThreadId(SLEEPER)));
    let state = word(&machine, asked + thread::STATE) & 0xffff_ffff;
    assert_eq!(state, u64::from(thread::STATE_DAMAGED));
    // The grace goes on to its end, and `main` with it.
    for _ in 0..100 {
        let step = SystemStep::ContinueGrace;
        if machine.vm.system_step(step, &mut machine.environment) == StepOutcome::Done {
            assert_eq!(machine.turn(400), Turn::Ran(ThreadId(MAIN)));
            return;
        }
    }
    panic!("the grace does not end");
}

#[test]
fn without_a_grace_the_schedulers_work_has_nothing_to_pass_over() {
    let mut machine = at_work();
    let place = object_page(&machine);
    let quiet = AtomicBool::new(false);
    let (vm, environment) = (&mut machine.vm, &mut machine.environment);
    let limits = TurnLimits { polls: 400 };
    let ended: Option<Turn> = Attempts::run(0, || vm.turn(environment, &quiet, limits));
    assert_eq!(ended, None);
    machine.abandoned(place);
    let verdict = machine.vm.page_failed(place, &mut machine.environment);
    assert_eq!(verdict, PageVerdict::StepBack);
}
