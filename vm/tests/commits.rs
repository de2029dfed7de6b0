//! `commit()` when the snapshot that it waits for is not made: it throws. It once went on waiting, for the next snapshot, or for
//! ever on a disk that had become read-only.

mod machine;

use core::sync::atomic::AtomicBool;
use machine::Machine;
use revenant_hal::Epoch;
use revenant_vm::memory::Attempts;
use revenant_vm::{ExitStatus, StepOutcome, SystemStep, Turn, TurnLimits};

/// More threads than one step wakes.
const WAITERS: u64 = 70;

/// Threads that commit in the first epoch, and one that does so when time has passed; `main` tells how many were refused and what
/// the late one got, then commits itself and returns all three in one number.
const COMMITS: &str = r#"
module commits version 1

class World {
    refused: i64
    kept: i64
}

array Threads of Thread

export function main(environment: Environment) -> i64 {
    object.new world, World
    i64.set count, 71
    array.new threads, count, Threads
    i64.set i, 0
start:
    closure.new closure, world, early
    i64.branch.lt_s.imm i, 70, spawn
    closure.new closure, world, late
spawn:
    i64.set small, 65536
    native thread.spawn(closure, small) -> thread
    array.store.ref thread, threads, i
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, start
    i64.set i, 0
join:
    array.load.ref thread, threads, i
    null_check thread, thread
    native thread.join(thread) -> problem
    branch.null problem, fine
    i64.set answer, -1
    return answer
fine:
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, join
    call keep() -> own
    field.load.raw answer, world, World.refused
    i64.mul.imm answer, answer, 100
    field.load.raw kept, world, World.kept
    i64.add answer, answer, kept
    i64.mul.imm answer, answer, 100
    i64.add answer, answer, own
    return answer
}

; The epoch that was kept, 0 for none.
function keep() -> i64 {
    catch SnapshotFailedException problem from begin to after at handler
begin:
    native commit() -> epoch
after:
    return epoch
handler:
    i64.set none, 0
    return none
}

function early(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    call keep() -> epoch
    i64.branch.ne.imm epoch, 0, end
    field.load.raw refused, world, World.refused
    i64.add.imm refused, refused, 1
    field.store.raw refused, world, World.refused
end:
    return
}

function late(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    i64.set nap, 1000000000
    native sleep(nap)
    call keep() -> epoch
    field.store.raw epoch, world, World.kept
    return
}
"#;

/// Runs until nothing can run; the requests for snapshots are the test's to answer.
fn rest(machine: &mut Machine) -> Turn {
    let quiet = AtomicBool::new(false);
    loop {
        let turn = machine.vm.turn(&mut machine.environment, &quiet, TurnLimits { polls: 50 });
        if matches!(turn, Turn::Idle { .. }) {
            return turn;
        }
    }
}

/// The step, to its end; each call ended at every touch before it is whole if `disturbed`.
fn step(machine: &mut Machine, step: SystemStep, disturbed: bool) -> u32 {
    let mut calls = 0;
    let mut touches = if disturbed { 0 } else { u64::MAX };
    loop {
        let (vm, environment) = (&mut machine.vm, &mut machine.environment);
        match Attempts::run(touches, || vm.system_step(step, environment)) {
            Some(StepOutcome::Done) => return calls + 1,
            Some(StepOutcome::More) => calls += 1,
            None => touches += 1,
        }
    }
}

#[test]
fn who_waits_for_a_snapshot_that_is_given_up_is_told() {
    for disturbed in [false, true] {
        let mut machine = Machine::new(COMMITS, &[]);
        let Turn::Idle { deadline: Some(_) } = rest(&mut machine) else {
            panic!("the late thread sleeps");
        };
        assert_eq!(machine.vm.take_requests().commit, Some(Epoch(1)));
        // Flipped: the late thread's call belongs to the next snapshot.
        machine.environment.epoch = 2;
        machine.environment.clock += 2_000_000_000;
        assert_eq!(rest(&mut machine), Turn::Idle { deadline: None });
        assert_eq!(machine.vm.take_requests().commit, Some(Epoch(2)));
        let calls = step(&mut machine, SystemStep::CommitFailed(Epoch(1)), disturbed);
        assert!(calls > 1 || disturbed, "{WAITERS} threads were woken in one call");
        assert_eq!(rest(&mut machine), Turn::Idle { deadline: None });
        assert_eq!(machine.vm.take_requests().main_ended, None, "the late one was woken too");
        let _ = step(&mut machine, SystemStep::CommitDurable(Epoch(2)), disturbed);
        // The disk takes no more: who asks now is told at once.
        machine.environment.read_only = true;
        let _ = rest(&mut machine);
        let ended = machine.vm.take_requests().main_ended;
        assert_eq!(ended, Some(ExitStatus::Returned(WAITERS * 10_000 + 2 * 100)));
        machine.audit();
    }
}

#[test]
fn who_waits_when_the_disk_becomes_read_only_is_told() {
    let mut machine = Machine::new(COMMITS, &[]);
    let _ = rest(&mut machine);
    machine.environment.read_only = true;
    let _ = step(&mut machine, SystemStep::CommitFailed(Epoch(u64::MAX)), false);
    machine.environment.clock += 2_000_000_000;
    let _ = rest(&mut machine);
    let ended = machine.vm.take_requests().main_ended;
    assert_eq!(ended, Some(ExitStatus::Returned(WAITERS * 10_000)));
    machine.audit();
}
