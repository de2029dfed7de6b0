//! Whole programs under a deterministic scheduler: threads, locks, waits, exceptions, restarts, and attempts that are ended at
//! every touch.

mod machine;

use machine::meeting::{MEETING, MEETING_RESULT};
use machine::{Machine, Random};
use revenant_bytecode::{Builtin, NATIVES};
use revenant_vm::memory::Attempts;
use revenant_vm::{ExitStatus, StepOutcome, SystemStep, Turn};

#[test]
fn threads_meet() {
    for polls in [1, 2, 3, 7, 1000] {
        let mut machine = Machine::new(MEETING, &[]);
        assert_eq!(machine.run(polls), MEETING_RESULT, "{polls} polls a slice");
        machine.audit();
    }
}

#[test]
fn any_schedule_gives_the_same_result() {
    for seed in 1..=40 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut machine = Machine::new(MEETING, &[]);
        machine.tick = random.below(2_000_000);
        let status = machine.run_by(|machine| {
            let polls = u32::try_from(random.below(40)).unwrap_or(0) + 1;
            machine.turn(polls)
        });
        assert_eq!(status, MEETING_RESULT, "seed {seed}");
        machine.audit();
    }
}

#[test]
fn attempts_ended_at_every_touch_change_nothing() {
    for polls in [1, 9] {
        let mut machine = Machine::new(MEETING, &[]);
        let status = machine.run_by(|machine| machine.disturbed_turn(polls, 0));
        assert_eq!(status, MEETING_RESULT, "{polls} polls a slice");
        // 4,475 with one poll a slice, 3,270 with nine: each try goes one touch further than the one before, so a turn ends as
        // often as what it does without keeping progress has touches. Far fewer would be a hole.
        assert!(machine.abandoned > 3_000, "{} attempts were ended", machine.abandoned);
        machine.audit();
    }
}

/// What stands for the end of a program that has none.
const ENDLESS: ExitStatus = ExitStatus::Returned(u64::MAX);

/// Eight pages a step at most, besides those that never leave memory. The exception is not met here: steps that link threads whose
/// neighbours in a list each lie on a page of their own; and a deadline among tens of thousands moves the entries of one path
/// of a binary heap, of which each level below the eighth may lie on a page of its own, and its place on another: 17 pages
/// among 10,000 sleepers.
#[test]
fn every_step_touches_few_pages_and_before_it_changes() {
    let programs: [(&str, &[&str], ExitStatus); 6] = [
        (MEETING, &[], MEETING_RESULT),
        (ENDS, &[], ExitStatus::Returned(12)),
        (RACES, &[], ExitStatus::Returned(0)),
        (SLEEPERS, &["300"], ExitStatus::Returned(300)),
        (include_str!("../../samples/demo.rasm"), &["60"], ExitStatus::Returned(0)),
        (include_str!("../../samples/medley.rasm"), &[], ENDLESS),
    ];
    for (program, (source, arguments, expected)) in programs.into_iter().enumerate() {
        let mut machine = Machine::new(source, arguments);
        machine.tick = 400_000;
        Attempts::check(true);
        let mut turns = 0;
        let status = machine.run_by(|machine| {
            turns += 1;
            if expected == ENDLESS && turns == 2_000 {
                machine.ended = Some(ENDLESS);
            }
            machine.turn(40)
        });
        Attempts::check(false);
        assert_eq!(status, expected, "program {program}: {}", machine.output);
        let violations = Attempts::take_violations();
        let first = violations.first().map_or("", String::as_str);
        assert!(
            violations.is_empty(),
            "program {program}: {} violations; {first}",
            violations.len()
        );
    }
}

#[test]
fn a_snapshot_taken_anywhere_goes_on_as_the_original_did() {
    let mut machine = Machine::new(MEETING, &[]);
    let mut snapshots = Vec::new();
    let mut turns = 0_u64;
    while machine.ended.is_none() {
        if turns.is_multiple_of(11) {
            snapshots.push(machine.snapshot());
        }
        let _ = machine.turn(6);
        turns += 1;
    }
    assert_eq!(machine.ended, Some(MEETING_RESULT));
    let digest = machine.digest();
    assert!(snapshots.len() > 5, "{} snapshots", snapshots.len());
    for (number, snapshot) in snapshots.iter().enumerate() {
        machine.restore(snapshot);
        assert_eq!(machine.run(6), MEETING_RESULT, "snapshot {number}");
        assert_eq!(machine.digest(), digest, "snapshot {number}: other bytes at the end");
    }
}

#[test]
fn the_demonstration_audits_itself_under_random_schedules() {
    let source = include_str!("../../samples/demo.rasm");
    for seed in 1..=2 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut machine = Machine::new(source, &["300"]);
        machine.tick = 400_000;
        let status = machine.run_by(|machine| {
            let polls = u32::try_from(random.below(3000)).unwrap_or(0) + 1;
            machine.turn(polls)
        });
        assert_eq!(status, ExitStatus::Returned(0), "seed {seed}: {}", machine.output);
        machine.audit();
    }
}

const SLEEPERS: &str = r#"
module sleepers version 1

class World { done: i64 }

export function main(environment: Environment) -> i64 {
    native environment.arguments(environment) -> arguments
    i64.set i, 0
    array.load.ref text, arguments, i
    null_check text, text
    native string.parse_i64(text) -> count
    object.new world, World
start:
    closure.new closure, world, doze
    i64.set small, 65536
    native thread.spawn(closure, small) -> thread
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, start
wait:
    i64.set nap, 1000000
    native sleep(nap)
    field.load.raw done, world, World.done
    i64.branch.lt_s done, count, wait
    return done
}

function doze(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    native object.hash(closure) -> hash
    i64.and.imm nap, hash, 16383
    i64.set thousand, 100000
    i64.mul nap, nap, thousand
    native sleep(nap)
    field.load.raw done, world, World.done
    i64.add.imm done, done, 1
    field.store.raw done, world, World.done
    return
}
"#;

#[test]
fn ten_thousand_sleepers_survive_a_restart() {
    let mut machine = Machine::new(SLEEPERS, &["10000"]);
    let mut asleep = false;
    while !asleep {
        asleep = machine.turn(100_000) == Turn::Idle { deadline: None }
            || machine.environment.clock > 50_000_000;
    }
    let pages: u64 = machine.host.touched().iter().map(|range| range.end.0 - range.start.0).sum();
    assert!(pages < 60_000, "{pages} pages of 4 KiB for 10,000 threads");
    let snapshot = machine.snapshot();
    machine.restore(&snapshot);
    let step = SystemStep::Restarted { resumed: revenant_hal::Epoch(1) };
    assert_eq!(machine.vm.system_step(step, &mut machine.environment), StepOutcome::Done);
    assert_eq!(machine.run(10_000), ExitStatus::Returned(10_000));
    machine.audit();
}

const ENDS: &str = r#"
module ends version 1

class World { lock: Mutex? }

; Returns 10 for an abandoned lock that was told and is owned, plus 1 for each of: stack overflow caught, interruption caught.
export function main(environment: Environment) -> i64 {
    catch LockAbandonedException problem from locking to locked at abandoned
    i64.set answer, 0
    object.new world, World
    native mutex.new() -> lock
    field.store.ref lock, world, World.lock
    closure.new closure, world, holder
    native thread.spawn(closure, 0) -> thread
    native thread.join(thread) -> problem
    branch.null problem, wrong
locking:
    native mutex.lock(lock)
locked:
wrong:
    i64.set answer, -100
    return answer
abandoned:
    i64.set answer, 10
    native mutex.unlock(lock)
    call overflows() -> more
    i64.add answer, answer, more
    closure.new closure, world, sleeper
    native thread.spawn(closure, 0) -> thread
    native thread.yield()
    native thread.interrupt(thread)
    native thread.join(thread) -> problem
    branch.null problem, quiet
    return answer
quiet:
    i64.add.imm answer, answer, 1
    return answer
}

function holder(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    field.load.ref lock, world, World.lock
    null_check lock, lock
    native mutex.lock(lock)
    unreachable
}

function sleeper(closure: Closure) {
    catch InterruptedException problem from begin to after at handler
begin:
    i64.set nap, 1000000000000
    native sleep(nap)
after:
    unreachable
handler:
    return
}

function overflows() -> i64 {
    catch StackOverflowException problem from begin to after at handler
begin:
    i64.set depth, 0
    call forever(depth)
after:
    i64.set answer, 0
    return answer
handler:
    i64.set answer, 1
    return answer
}

function forever(depth: i64) {
    i64.add.imm >n0, depth, 1
    call forever
    return
}
"#;

#[test]
fn locks_are_passed_on_stacks_end_and_sleepers_are_interrupted() {
    for polls in [3, 1000] {
        let mut machine = Machine::new(ENDS, &[]);
        assert_eq!(machine.run(polls), ExitStatus::Returned(12), "{}", machine.output);
        machine.audit();
    }
    let mut machine = Machine::new(ENDS, &[]);
    let status = machine.run_by(|machine| machine.disturbed_turn(100_000, 0));
    assert_eq!(status, ExitStatus::Returned(12));
    machine.audit();
}

#[test]
fn two_runs_of_the_same_schedule_have_the_same_bytes() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let mut machine = Machine::new(MEETING, &[]);
        for _ in 0..120 {
            let _ = machine.turn(5);
        }
        digests.push(machine.digest());
    }
    assert_eq!(digests[0], digests[1]);
}

/// A native without a reference argument gives at most the thread itself or a new object: from nothing, nothing is reached.
#[test]
fn a_program_without_references_enumerates_nothing() {
    for info in NATIVES {
        if info.parameters.iter().any(|parameter| parameter.is_reference()) {
            continue;
        }
        for result in info.results.iter().filter(|result| result.is_reference()) {
            let fresh = [
                Builtin::Thread,
                Builtin::Mutex,
                Builtin::Semaphore,
                Builtin::String,
                Builtin::StringBuilder,
                Builtin::Vector,
                Builtin::Map,
                Builtin::Long,
                Builtin::Double,
            ];
            let harmless =
                fresh.iter().any(|class| *result == revenant_bytecode::ValueType::object(*class));
            assert!(harmless, "{} gives something out of nothing", info.name);
        }
    }
}

const RACES: &str = r#"
module races version 1

class World {
    lock: Mutex?
    met: Condition?
    permits: Semaphore?
}

; Interrupts a thread that was notified and has not got its lock back, then one whose wait is complete and that has not run.
export function main(environment: Environment) -> i64 {
    object.new world, World
    native mutex.new() -> lock
    native condition.new(lock) -> met
    i64.set none, 0
    native semaphore.new(none) -> permits
    field.store.ref lock, world, World.lock
    field.store.ref met, world, World.met
    field.store.ref permits, world, World.permits
    closure.new closure, world, waiter
    native thread.spawn(closure, 0) -> thread
    call rest()
    native mutex.lock(lock)
    native condition.notify_one(met)
    native thread.interrupt(thread)
    call rest()
    native mutex.unlock(lock)
    native thread.join(thread) -> problem
    branch.nonnull problem, first
    closure.new closure, world, taker
    native thread.spawn(closure, 0) -> thread
    call rest()
    native semaphore.release(permits, 1)
    native thread.interrupt(thread)
    native thread.join(thread) -> problem
    branch.nonnull problem, second
    i64.set answer, 0
    return answer
first:
    i64.set answer, 1
    return answer
second:
    i64.set answer, 2
    return answer
}

; Lets the others come to rest.
function rest() {
    i64.set nap, 1000000
    native sleep(nap)
    return
}

; Owns the lock when the interruption comes out of the condition: unlocking throws nothing.
function waiter(closure: Closure) {
    catch InterruptedException problem from begin to after at handler
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    field.load.ref lock, world, World.lock
    null_check lock, lock
    field.load.ref met, world, World.met
    null_check met, met
    native mutex.lock(lock)
begin:
    native condition.wait(met)
after:
    unreachable
handler:
    native mutex.unlock(lock)
    return
}

; Gets its permit, and the interruption only after that.
function taker(closure: Closure) {
    catch InterruptedException problem from begin to after at handler
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    field.load.ref permits, world, World.permits
    null_check permits, permits
    native semaphore.acquire(permits)
begin:
    native commit() -> epoch
    poll
    jump begin
after:
handler:
    return
}
"#;

#[test]
fn an_interruption_waits_for_what_was_already_given() {
    for polls in [1, 1000] {
        let mut machine = Machine::new(RACES, &[]);
        assert_eq!(machine.run(polls), ExitStatus::Returned(0), "{polls} polls");
        machine.audit();
    }
    let mut machine = Machine::new(RACES, &[]);
    let status = machine.run_by(|machine| machine.disturbed_turn(3, 0));
    assert_eq!(status, ExitStatus::Returned(0));
    machine.audit();
}

#[test]
fn a_damaged_deadline_holds_nobody_up() {
    let mut machine = Machine::new(SLEEPERS, &["20"]);
    while machine.environment.clock < 50_000 {
        let _ = machine.turn(1000);
    }
    // The first entry of the heap of deadlines names a thread that does not exist.
    let heap = revenant_hal::ObjectAddress((1 << 44) + (16 << 30));
    machine.host.space().store(heap, 1_u64);
    machine.host.space().store(revenant_hal::ObjectAddress(heap.0 + 8), 999_u64);
    for _ in 0..2000 {
        let _ = machine.turn(1000);
    }
    let left = machine.host.space().load::<u64>(heap);
    assert_ne!(left, 1, "the damaged entry still stands first");
}
