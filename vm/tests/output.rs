//! Console output: what cuts come between, texts longer than a step or the ring, exceptions that nobody catches.

mod machine;

use core::sync::atomic::AtomicBool;

use machine::{Machine, Random};
use revenant_hal::Epoch;
use revenant_vm::{ExitStatus, StepOutcome, SystemStep, Turn, TurnLimits};

const WRITER: &str = r#"
module writer version 1
export function main(environment: Environment) -> i64 {
    native environment.console(environment) -> console
    i64.set number, 0
    i64.set limit, 20000
next:
    native builder.new() -> builder
    native builder.append_i64(builder, number)
    native builder.to_string(builder) -> text
    native console.print(console, text)
    native console.print(console, "\n")
    i64.add.imm number, number, 1
    i64.branch.lt_s number, limit, next
    i64.set zero, 0
    return zero
}
"#;

/// One turn after which nothing is drained.
fn silent_turn(machine: &mut Machine) -> Turn {
    let quiet = AtomicBool::new(false);
    machine.vm.turn(&mut machine.environment, &quiet, TurnLimits { polls: 200 })
}

fn restart(machine: &mut Machine) {
    let step = SystemStep::Restarted { resumed: Epoch(1) };
    assert_eq!(machine.vm.system_step(step, &mut machine.environment), StepOutcome::Done);
}

/// Copies a batch of at most `bytes` bytes, of which the wire has sent `sent` of the one before.
fn batch(machine: &mut Machine, sent: usize, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    let count = machine.vm.console_drain(sent, &mut buffer);
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

/// The drain cursor once moved when bytes entered the kernel's own ring: a snapshot and a cut lost what was in it.
#[test]
fn what_a_cut_keeps_from_the_wire_comes_again() {
    let mut machine = Machine::new(WRITER, &[]);
    while silent_turn(&mut machine) != (Turn::Idle { deadline: None }) {}
    let first = batch(&mut machine, 0, 1000);
    let second = batch(&mut machine, first.len(), 1000);
    assert_eq!((first.len(), second.len()), (1000, 1000));
    // The second batch is on its way: a snapshot is taken, the power goes.
    let snapshot = machine.snapshot();
    machine.restore(&snapshot);
    restart(&mut machine);
    let mark = "\n-- restarted --\n";
    assert_eq!(batch(&mut machine, 0, 1000), mark);
    assert_eq!(batch(&mut machine, mark.len(), 1000), second);
    // Again: the mark was sent, nothing behind it was.
    machine.restore(&snapshot);
    restart(&mut machine);
    assert_eq!(batch(&mut machine, 0, 1000), mark);
    machine.restore(&snapshot);
    machine.output = first;
    let _ = machine.turn(1);
    assert_eq!(machine.run(10_000), ExitStatus::Returned(0));
    let expected: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    assert!(machine.output == expected, "output differs");
}

/// The mark once was a line in the ring: a full ring had no room for it, and after the end nobody looked.
#[test]
fn the_mark_of_a_restart_needs_no_room_and_no_program() {
    let mut machine = Machine::new(WRITER, &[]);
    while silent_turn(&mut machine) != (Turn::Idle { deadline: None }) {}
    let full = machine.snapshot();
    let _ = machine.turn(1);
    assert_eq!(machine.run(10_000), ExitStatus::Returned(0));
    let ended = machine.snapshot();
    for (snapshot, rest) in [(full, "0\n1"), (ended, "")] {
        machine.restore(&snapshot);
        let _ = machine.vm.take_requests();
        restart(&mut machine);
        assert!(machine.vm.take_requests().console_output);
        let mark = batch(&mut machine, 0, 100);
        assert_eq!(mark, "\n-- restarted --\n");
        assert_eq!(batch(&mut machine, mark.len(), 3), rest);
    }
}

/// Three threads, each printing a text of 100,002 bytes of a letter of its own between brackets, twice.
const LONG: &str = r#"
module long version 1
class Work {
    console: Console?
    letter: i64
}
function work(self: Closure) {
    closure.environment given, self
    cast work, given, Work
    null_check work, work
    field.load.ref console, work, Work.console
    null_check console, console
    field.load.raw letter, work, Work.letter
    native builder.new() -> builder
    native builder.append(builder, "[")
    i64.set i, 0
    i64.set limit, 100000
more:
    native builder.append_i64(builder, letter)
    i64.add.imm i, i, 1
    i64.branch.lt_s i, limit, more
    native builder.append(builder, "]")
    native builder.to_string(builder) -> text
    native console.print(console, text)
    native console.print(console, text)
    return
}
function start(console: Console, letter: i64) -> Thread {
    object.new work, Work
    field.store.ref console, work, Work.console
    field.store.raw letter, work, Work.letter
    closure.new closure, work, work
    i64.set zero, 0
    native thread.spawn(closure, zero) -> thread
    return thread
}
export function main(environment: Environment) -> i64 {
    native environment.console(environment) -> console
    i64.set one, 1
    i64.set two, 2
    i64.set three, 3
    call start(console, one) -> first
    call start(console, two) -> second
    call start(console, three) -> third
    native thread.join(first) -> problem
    native thread.join(second) -> problem
    native thread.join(third) -> problem
    i64.set zero, 0
    return zero
}
"#;

/// Prints once threw beyond 16 KiB.
#[test]
fn a_print_longer_than_the_ring_is_whole() {
    let mut machine = Machine::new(LONG, &[]);
    let mut random = Random(0x1dea_5eed);
    let status = machine.run_by(|machine| {
        let mut first = random.below(40);
        if random.below(200) == 0 {
            let snapshot = machine.snapshot();
            machine.restore(&snapshot);
            first = 0;
        }
        if random.below(50) == 0 { machine.disturbed_turn(300, first) } else { machine.turn(300) }
    });
    assert_eq!(status, ExitStatus::Returned(0));
    let texts: Vec<&str> = machine.output.split_inclusive(']').collect();
    assert_eq!(texts.len(), 6);
    for text in texts {
        let letter = &text[1..2];
        assert!(text == format!("[{}]", letter.repeat(100_000)), "a text of {letter} is mixed");
    }
    machine.audit();
}

#[test]
fn an_interrupted_print_gives_the_output_back() {
    let source = LONG.replace(
        "    native thread.join(first) -> problem",
        "    native thread.yield()\n    native thread.yield()\n    native thread.interrupt(first)\n    native thread.join(first) -> problem",
    );
    let mut machine = Machine::new(&source, &[]);
    assert_eq!(machine.run(2_000_000), ExitStatus::Returned(0));
    for letter in ["2", "3"] {
        let text = format!("[{}]", letter.repeat(100_000));
        assert_eq!(machine.output.matches(&text).count(), 2, "texts of {letter}");
    }
    assert!(machine.output.contains("ended by InterruptedException"));
    machine.audit();
}

const DYING: &str = r#"
module dying version 1
function inner(number: i64, divisor: i64) -> i64 {
    i64.div_s number, number, divisor
    return number
}
function work(self: Closure) {
    i64.set number, 7
    i64.set zero, 0
    call inner(number, zero) -> number
    return
}
export function main(environment: Environment) -> i64 {
    native environment.console(environment) -> console
    native console.print(console, "begin")
    closure.new closure, environment, work
    i64.set zero, 0
    native thread.spawn(closure, zero) -> thread
    native thread.join(thread) -> problem
    null_check problem, problem
    native exception.describe(problem) -> text
    native console.print(console, text)
    native console.print(console, "\n")
    throw problem
}
"#;

/// Once a thread died in silence, and exceptions did not know where they came from.
#[test]
fn an_exception_that_nobody_catches_is_told_with_its_trace() {
    let trace = "DivideByZeroException\n  at dying.inner, line 4\n  at dying.work, line 10";
    // Thrown again, it tells where it was thrown first.
    let expected =
        format!("begin\nthread 2 ended by {trace}\n{trace}\nthread 1 ended by {trace}\n");
    let run = |turn: fn(&mut Machine) -> Turn| {
        let mut machine = Machine::new(DYING, &[]);
        assert_eq!(machine.run_by(turn), ExitStatus::Uncaught);
        assert_eq!(machine.output, expected);
        machine.audit();
    };
    run(|machine| machine.turn(100));
    run(|machine| machine.disturbed_turn(10, 0));
    run(|machine| {
        let snapshot = machine.snapshot();
        machine.restore(&snapshot);
        machine.turn(1)
    });
}
