//! The console: lines of input and who reads them, Ctrl-C, a queue that is full; output that cuts come between.

mod machine;

use core::sync::atomic::AtomicBool;

use machine::Machine;
use revenant_hal::Epoch;
use revenant_vm::{ExitStatus, StepOutcome, SystemStep, Turn, TurnLimits};

const READER: &str = r#"
module reader version 1
export function main(environment: Environment) -> i64 {
    catch InterruptedException problem from begin to after at interrupted
    native environment.console(environment) -> console
begin:
    native console.read_line(console) -> line
    native console.print(console, line)
    native console.print(console, "\n")
    jump begin
after:
interrupted:
    i64.set answer, 3
    return answer
}
"#;

#[test]
fn the_console_reads_lines_and_hears_control_c() {
    let mut machine = Machine::new(READER, &[]);
    assert_eq!(machine.turn(100), Turn::Ran(revenant_vm::ThreadId(1)));
    assert_eq!(machine.turn(100), Turn::Idle { deadline: None });
    assert_eq!(machine.vm.console_input(b"hello\nhal"), 9);
    for _ in 0..3 {
        let _ = machine.turn(100);
    }
    assert_eq!(machine.output, "hello\n");
    // The line goes on over a restart.
    let snapshot = machine.snapshot();
    machine.restore(&snapshot);
    assert_eq!(machine.vm.console_input(b"f\r\n"), 3);
    for _ in 0..3 {
        let _ = machine.turn(100);
    }
    assert_eq!(machine.output, "hello\nhalf\n");
    assert_eq!(machine.vm.console_input(&[3]), 1);
    assert_eq!(machine.run(100), ExitStatus::Returned(3));
}

#[test]
fn a_full_queue_of_input_keeps_control_c_from_nobody() {
    let mut machine = Machine::new(READER, &[]);
    while machine.turn(100) != (Turn::Idle { deadline: None }) {}
    let line = [b'x'; 4096];
    // Not yet read: the queue fills up, and what finds no room is not taken from the kernel, nor counted again and again.
    assert_eq!(machine.vm.console_input(&line), 4096);
    for _ in 0..3 {
        assert_eq!(machine.vm.console_input(b"more"), 0);
    }
    let mut behind = b"more".to_vec();
    behind.push(3);
    assert_eq!(machine.vm.console_input(&behind), 5);
    assert_eq!(machine.run(100), ExitStatus::Returned(3));
}

const READERS: &str = r#"
module readers version 1
function read(self: Closure) {
    closure.environment given, self
    cast environment, given, Environment
    null_check environment, environment
    native environment.console(environment) -> console
    native console.read_line(console) -> line
    native console.print(console, line)
    return
}
export function main(environment: Environment) -> i64 {
    closure.new other, environment, read
    i64.set zero, 0
    native thread.spawn(other, zero) -> first
    native thread.spawn(other, zero) -> second
    native thread.join(first) -> problem
    native thread.join(second) -> problem
    return zero
}
"#;

#[test]
fn two_lines_that_come_at_once_reach_two_readers() {
    let mut machine = Machine::new(READERS, &[]);
    while machine.turn(100) != (Turn::Idle { deadline: None }) {}
    assert_eq!(machine.vm.console_input(b"one\ntwo\n"), 8);
    assert_eq!(machine.run(100), ExitStatus::Returned(0));
    assert_eq!(machine.output, "onetwo");
}

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
