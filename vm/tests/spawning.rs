//! What a new thread holds before it has run, and what it may begin with. Found by review: the first slots of a thread that had
//! not run yet were asked by no grace, so the closure that only it held was freed; and a function that expects more than its
//! closure began with registers that nobody had filled.

mod machine;

use machine::Machine;
use revenant_vm::{ExitStatus, Turn};

/// The closure is held by the new thread alone from the first turn on.
const LEFT_ALONE: &str = r#"
module alone version 1

class World {
    answer: i64
}

export function main(environment: Environment) -> i64 {
    object.new world, World
    closure.new closure, world, work
    native thread.spawn(closure, 0) -> thread
    null closure
    i64.set i, 0
waste:
    object.new garbage, World
    i64.add.imm i, i, 1
    i64.branch.lt_s.imm i, 1000, waste
    native thread.join(thread) -> problem
    branch.null problem, fine
    i64.set answer, -1
    return answer
fine:
    field.load.raw answer, world, World.answer
    return answer
}

function work(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    i64.set answer, 42
    field.store.raw answer, world, World.answer
    return
}
"#;

/// Spawns a closure over a function that wants a lock as well.
const TOO_MUCH: &str = r#"
module much version 1

class World {
    answer: i64
}

export function main(environment: Environment) -> i64 {
    object.new world, World
    closure.new closure, world, work
try:
    native thread.spawn(closure, 0) -> thread
end:
    i64.set answer, 1
    return answer
caught:
    i64.set answer, 7
    return answer
    catch SignatureMismatchException problem from try to end at caught
}

function work(closure: Closure, lock: Mutex) {
    native mutex.lock(lock)
    return
}
"#;

#[test]
fn a_thread_that_has_not_run_yet_holds_its_closure() {
    let mut machine = Machine::new(LEFT_ALONE, &[]);
    // `main` has spawned, let go of the closure and makes garbage; graces come before the new thread has its first turn.
    assert!(matches!(machine.turn(50), Turn::Ran(_)));
    machine.audit();
    assert_eq!(machine.run(100), ExitStatus::Returned(42));
    machine.audit();
}

#[test]
fn a_thread_begins_only_with_a_function_of_its_closure() {
    let mut machine = Machine::new(TOO_MUCH, &[]);
    assert_eq!(machine.run(1000), ExitStatus::Returned(7));
    machine.audit();
}
