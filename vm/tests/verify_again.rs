//! Code that a verifier passed and a later one refuses: it runs no more, wherever a thread stands in it; all else goes on. The later
//! verifier is this one with an opinion on single functions.

mod machine;

use machine::{Machine, Random};
use revenant_bytecode::{Module, Place, Verdicts, VerifyError, verify_each};
use revenant_hal::ObjectAddress;
use revenant_vm::ExitStatus;
use revenant_vm::memory::layout::{area, thread};

/// `main` counts in `steady` and asks `doubtful` once at the end. Three threads stand in functions of the second kind: one counts in a
/// loop with a handler for everything, one waits for a lock, one is in a function that another has called.
const WITHDRAWN: &str = r#"
module withdrawn version 1

class World {
    lock: Mutex?
    held: i64
    other: World?
}

export function main(environment: Environment) -> i64 {
    object.new world, World
    native mutex.new() -> lock
    field.store.ref lock, world, World.lock
    native mutex.lock(lock)
    closure.new closure, world, doubtful_loop
    native thread.spawn(closure, 0) -> looping
    closure.new closure, world, doubtful_wait
    native thread.spawn(closure, 0) -> waiting
    closure.new closure, world, caller
    native thread.spawn(closure, 0) -> calling
    i64.set rounds, 0
steady:
    native thread.yield()
    i64.add.imm rounds, rounds, 1
    i64.branch.lt_s.imm rounds, 2000, steady
    native mutex.unlock(lock)
    call ended(looping) -> first
    call ended(waiting) -> second
    call ended(calling) -> third
    call asked() -> fourth
    i64.shl.imm second, second, 4
    i64.shl.imm third, third, 8
    i64.shl.imm fourth, fourth, 12
    i64.add sum, first, second
    i64.add sum, sum, third
    i64.add sum, sum, fourth
    return sum
}

; 1 for a thread that ended with an exception of the verifier, 2 for another end.
function ended(one: Thread) -> i64 {
start:
    native thread.join(one) -> problem
end:
    instance_of refused, problem, VerificationException
    i64.set two, 2
    i32.branch.eq.imm refused, 0, other
    i64.set two, 1
other:
    return two
}

function asked() -> i64 {
    i64.set answer, 2
start:
    call doubtful()
end:
    return answer
refused:
    i64.set answer, 1
    return answer
    catch VerificationException problem from start to end at refused
}

function doubtful() {
    return
}

function doubtful_loop(closure: Closure) {
    i64.set i, 0
again:
    i64.add.imm i, i, 1
    native thread.yield()
    jump again
end:
caught:
    i64.set i, 0
    jump again
    catch Exception problem from again to end at caught
}

function doubtful_wait(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    field.load.ref lock, world, World.lock
    null_check lock, lock
    i64.set long, 1000000000000
    native mutex.lock_for(lock, long) -> got
    i64.set one, 1
    field.store.raw one, world, World.held
    return
}

function caller(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    call doubtful_callee(world)
    return
}

function doubtful_callee(world: World) {
again:
    native thread.yield()
    jump again
}
"#;

/// Refuses every function whose name begins like this, besides what this verifier refuses.
fn suspicious(module: Module) -> Verdicts {
    let mut verdicts = verify_each(module);
    let functions = verdicts.module().functions.iter().map(|one| one.name.clone());
    let doubtful: Vec<(usize, String)> =
        functions.enumerate().filter(|(_, name)| name.starts_with("doubtful")).collect();
    for (index, name) in doubtful {
        let place = Place::Function { name, position: None, line: None };
        verdicts.refuse(index, VerifyError { place, reason: "no longer believed".into() });
    }
    verdicts
}

#[test]
fn what_a_later_verifier_refuses_runs_no_more_and_the_rest_goes_on() {
    let mut machine = Machine::new(WITHDRAWN, &[]);
    for _ in 0..400 {
        let _ = machine.turn(10);
    }
    assert_eq!(machine.ended, None);
    let done = machine.vm.verify_again(&suspicious);
    machine.host.space().end_step();
    assert_eq!((done.modules, done.functions, done.stopped.len()), (1, 8, 0), "{done:?}");
    assert_eq!(done.refused.len(), 4, "{:?}", done.refused);
    assert!(done.refused[0].contains("withdrawn: function doubtful"), "{:?}", done.refused);
    assert!(done.refused[0].ends_with("no longer believed"), "{:?}", done.refused);
    // Every thread, and the question at the end, met the exception; the handler for everything caught nothing.
    assert_eq!(machine.run(10), ExitStatus::Returned(0x1111), "{}", machine.output);
    assert!(machine.output.contains("VerificationException"), "{}", machine.output);
    machine.audit();
}

#[test]
fn a_verifier_of_the_same_opinion_changes_nothing_wherever_threads_stand() {
    let samples = [
        (include_str!("../../samples/medley.rasm"), &[][..]),
        (include_str!("../../samples/demo.rasm"), &["60"][..]),
        (WITHDRAWN, &[][..]),
    ];
    for (source, arguments) in samples {
        let mut machine = Machine::new(source, arguments);
        let mut random = Random(77);
        for round in 0..60 {
            for _ in 0..random.below(40) {
                let polls = 1 + u32::try_from(random.below(60)).unwrap();
                let _ = machine.turn(polls);
            }
            let done = machine.vm.verify_again(&verify_each);
            machine.host.space().end_step();
            assert!(done.functions > 5, "{done:?}");
            let untouched = done.refused.is_empty() && done.stopped.is_empty();
            assert!(untouched && done.changed.is_empty(), "round {round}: {done:?}");
        }
    }
}

#[test]
fn a_thread_whose_frame_holds_something_else_is_stopped() {
    let mut machine = Machine::new(WITHDRAWN, &[]);
    for _ in 0..400 {
        let _ = machine.turn(10);
    }
    let space = machine.host.space();
    let word = |address: u64| space.load::<u64>(ObjectAddress(address));
    let caller = word(area::THREAD_TABLE + 4 * 8);
    let callee_record = word(caller + thread::FRAME);
    let base_of =
        |record: u64| word(caller + thread::STACK) + (word(record + thread::RECORD_RAW_BASE) >> 32);
    let (registers, window) =
        (base_of(callee_record - thread::RECORD_SIZE), base_of(callee_record));
    let world = word(window);
    let main = word(area::THREAD_TABLE + 8);
    let same = (registers..window).step_by(8).filter(|slot| word(*slot) == world);
    // In the frame of `caller`, then in that of its callee: `world` becomes the main thread's object.
    let places = [same.collect(), vec![window]];
    assert!(!places[0].is_empty());
    for slots in places {
        for (value, stopped) in [(world, vec![]), (main, vec![4])] {
            for slot in &slots {
                space.touch_write(ObjectAddress(*slot));
                space.store(ObjectAddress(*slot), value);
            }
            space.end_step();
            let position = word(caller + thread::POSITION);
            let done = machine.vm.verify_again(&verify_each);
            assert_eq!((done.refused.len(), done.stopped), (0, stopped), "{slots:x?}");
            space.end_step();
            space.touch_write(ObjectAddress(caller + thread::POSITION));
            space.store(ObjectAddress(caller + thread::POSITION), position);
            for slot in &slots {
                space.touch_write(ObjectAddress(*slot));
                space.store(ObjectAddress(*slot), world);
            }
            space.end_step();
        }
    }
    space.touch_write(ObjectAddress(window));
    space.store(ObjectAddress(window), main);
    space.end_step();
    assert_eq!(machine.vm.verify_again(&verify_each).stopped, [4]);
    space.store(ObjectAddress(window), world);
    space.end_step();
    for _ in 0..50 {
        let _ = machine.turn(10);
    }
    let state: u32 = machine.host.space().load(ObjectAddress(caller + thread::STATE));
    assert_eq!(state, thread::STATE_DAMAGED);
}
