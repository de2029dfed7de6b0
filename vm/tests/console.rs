//! The console: lines of input and who reads them, Ctrl-C, a queue that is full.

mod machine;

use machine::Machine;
use revenant_vm::{ExitStatus, Turn};

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
    assert_eq!(machine.vm.take_requests().console_input_lost, 0);
    assert_eq!(machine.vm.console_input(&behind), 4);
    assert_eq!(machine.vm.take_requests().console_input_lost, 4, "dropped, and told");
    assert_eq!(machine.vm.console_input(&behind[4..]), 1);
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

const CROWD: &str = r#"
module crowd version 1
function sleep(self: Closure) {
    catch InterruptedException problem from begin to after at interrupted
begin:
    i64.set long, 1000000000000
    native sleep(long)
after:
    return
interrupted:
    closure.environment given, self
    cast environment, given, Environment
    null_check environment, environment
    native environment.console(environment) -> console
    native console.print(console, "!")
    return
}
export function main(environment: Environment) -> i64 {
    catch InterruptedException problem from begin to after at interrupted
    closure.new closure, environment, sleep
    i64.set zero, 0
    i64.set number, 600
more:
    native thread.spawn(closure, zero) -> thread
    i64.add.imm number, number, -1
    i64.branch.lt_s zero, number, more
begin:
    i64.set long, 1000000000
    native sleep(long)
after:
    i64.set answer, 1
    return answer
interrupted:
    i64.set answer, 7
    return answer
}
"#;

/// Only the main thread once heard of it.
#[test]
fn control_c_reaches_every_thread_of_the_group() {
    let mut machine = Machine::new(CROWD, &[]);
    while !matches!(machine.turn(10_000), Turn::Idle { .. }) {}
    machine.environment.clock = 500_000_000;
    assert_eq!(machine.vm.console_input(&[3]), 1);
    assert_eq!(machine.run(10_000), ExitStatus::Returned(7));
    while machine.turn(10_000) != (Turn::Idle { deadline: None }) {}
    assert_eq!(machine.output, "!".repeat(600));
    machine.audit();
}
