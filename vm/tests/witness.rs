//! The witness page over more threads than it has entries: each that ends gives its entry back. Before, whoever came after 255 indices
//! was not witnessed, and a thread with an index used again seemed to be one whose counter had gone back.

mod machine;

use std::collections::BTreeSet;

use machine::Machine;
use revenant_vm::{ExitStatus, ThreadId, WitnessRecord};

/// 300 threads, one after the other, each with two steps; `main` counts them as its own.
const GENERATIONS: &str = r#"
module generations version 1

export function main(environment: Environment) -> i64 {
    i64.set i, 0
again:
    i64.add.imm i, i, 1
    native witness.step(i)
    closure.new closure, environment, work
    i64.set small, 65536
    native thread.spawn(closure, small) -> thread
    native thread.join(thread) -> problem
    branch.nonnull problem, wrong
    i64.branch.lt_s.imm i, 300, again
    return i
wrong:
    i64.set i, -1
    return i
}

function work(closure: Closure) {
    i64.set step, 1
    native witness.step(step)
    native thread.yield()
    i64.set step, 2
    native witness.step(step)
    return
}
"#;

fn records(machine: &Machine) -> Vec<WitnessRecord> {
    let mut records = [WitnessRecord { thread: ThreadId(0), steps: 0 }; 255];
    let count = machine.vm.witness(&mut records);
    records[..count].to_vec()
}

#[test]
fn every_thread_is_witnessed_and_none_seems_to_go_back() {
    for disturbed in [false, true] {
        let mut machine = Machine::new(GENERATIONS, &[]);
        let mut seen = BTreeSet::new();
        let status = machine.run_by(|machine| {
            let turn = if disturbed { machine.disturbed_turn(20, 0) } else { machine.turn(20) };
            let now = records(machine);
            assert!(now.len() <= 2, "{now:?}");
            for first in machine.vm.take_first_steps() {
                assert_eq!(first.steps, 1, "{first:?}");
                assert!(seen.insert(first.thread.0), "{first:?} is a number used again");
            }
            turn
        });
        assert_eq!(status, ExitStatus::Returned(300), "{}", machine.output);
        assert_eq!(seen.len(), 301);
        assert!(records(&machine).is_empty(), "main has given its entry back");
        machine.audit();
    }
}
