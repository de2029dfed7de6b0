//! Programs in assembly, run whole on the host under a deterministic environment.

use alloc::string::String;
use core::sync::atomic::AtomicBool;
use std::string::ToString;

use revenant_bytecode::{assemble, encode};
use revenant_hal::{Epoch, Nanoseconds};

use crate::memory::HostSpace;
use crate::{Creation, DiskSpace, Environment, ExitStatus, Turn, TurnLimits, Vm};

/// A world in which time passes only when the test says so.
#[derive(Debug)]
pub(crate) struct Calm {
    pub(crate) clock: u64,
    pub(crate) epoch: u64,
    pub(crate) random: u64,
}

impl Calm {
    pub(crate) const fn new() -> Self {
        Self { clock: 1_000, epoch: 1, random: 1 }
    }
}

impl Environment for Calm {
    fn monotonic(&self) -> Nanoseconds {
        Nanoseconds(self.clock)
    }
    fn wall(&self) -> Nanoseconds {
        Nanoseconds(self.clock + 1_000_000_000_000)
    }
    fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }
    fn disk_space(&self) -> DiskSpace {
        DiskSpace::Enough
    }
    fn entropy(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.random
    }
}

/// A program on the host's object space.
pub(crate) struct Machine {
    pub(crate) host: HostSpace,
    pub(crate) vm: Vm,
    pub(crate) environment: Calm,
    pub(crate) output: String,
    pub(crate) ended: Option<ExitStatus>,
}

impl Machine {
    pub(crate) fn new(source: &str, arguments: &[&str]) -> Self {
        let host = HostSpace::take().unwrap();
        let module = assemble(source, "test.rasm").unwrap_or_else(|error| panic!("{error}"));
        let file = encode(&module);
        let mut environment = Calm::new();
        let creation = Creation { modules: &[&file], arguments, epoch: Epoch(1) };
        let vm = Vm::create(&creation, &mut environment)
            .unwrap_or_else(|error| panic!("{}", error.to_string()));
        Self { host, vm, environment, output: String::new(), ended: None }
    }

    pub(crate) fn turn(&mut self, polls: u32) -> Turn {
        let quiet = AtomicBool::new(false);
        let turn = self.vm.turn(&mut self.environment, &quiet, TurnLimits { polls });
        self.after();
        turn
    }

    pub(crate) fn after(&mut self) {
        let requests = self.vm.take_requests();
        self.ended = self.ended.or(requests.main_ended);
        let mut buffer = [0; 1000];
        loop {
            let count = self.vm.console_drain(&mut buffer);
            if count == 0 {
                break;
            }
            self.output.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    /// Runs until the main program ends; sleepers wake as soon as nothing else can run.
    pub(crate) fn run(&mut self, polls: u32) -> ExitStatus {
        for _ in 0..10_000_000 {
            if let Some(status) = self.ended {
                return status;
            }
            match self.turn(polls) {
                Turn::Idle { deadline: Some(deadline) } => self.environment.clock = deadline.0,
                Turn::Idle { deadline: None } if self.ended.is_none() => {
                    panic!("nothing can run; output so far: {}", self.output)
                }
                _ => {}
            }
        }
        panic!("the program does not end; output so far: {}", self.output)
    }
}

const FIB: &str = "
module fib version 1
function fib(n: i64) -> i64 {
    i64.branch.ge_s.imm n, 2, recurse
    return n
recurse:
    i64.add.imm >n0, n, -1
    call fib
    move.raw first, >n0
    i64.add.imm >n0, n, -2
    call fib
    i64.add first, first, >n0
    return first
}
export function main(environment: Environment) -> i64 {
    i64.set n, 20
    call fib(n) -> result
    native environment.console(environment) -> console
    native console.print(console, \"done\\n\")
    return result
}
";

#[test]
fn fib_runs() {
    let mut machine = Machine::new(FIB, &["20"]);
    assert_eq!(machine.run(1000), ExitStatus::Returned(6765), "{}", machine.output);
    assert_eq!(machine.output, "done\n");
    while machine.turn(1000) != (Turn::Idle { deadline: None }) {}
    let audit = crate::counting::audit::audit(machine.host.space());
    assert!(audit.findings.is_empty(), "{:?}", audit.findings);
}
