//! `revenant run MODULE [ARGUMENTS]`: a program on the host, in memory, without persistence.
//!
//! The same virtual machine as the kernel's, driven by a loop like the kernel's: turns, system steps between them, console bytes to
//! standard output and from standard input. A `commit()` is answered at once; nothing survives the process.

use crate::modules::{explain, finish, load_all};
use clap::Args;
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use revenant_hal::{Epoch, Nanoseconds};
use revenant_vm::memory::HostSpace;
use revenant_vm::{
    Creation, DiskSpace, Environment, ExitStatus, StepOutcome, SystemStep, Turn, TurnLimits, Vm,
};
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Runs a program on this machine, without persistence.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// The module that exports `main` (or a text, which is compiled or assembled first)
    pub module: PathBuf,
    /// Modules that it imports from
    #[arg(short, long = "with", value_name = "MODULE")]
    pub with: Vec<PathBuf>,
    /// What the program finds as its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// The host as programs see it.
#[derive(Debug)]
pub struct HostEnvironment {
    started: Instant,
    epoch: Epoch,
    entropy: u64,
}

impl HostEnvironment {
    /// An environment whose clock starts now.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), epoch, entropy: u64::from(now.subsec_nanos()) }
    }
}

impl Environment for HostEnvironment {
    fn monotonic(&self) -> Nanoseconds {
        Nanoseconds(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> Nanoseconds {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Nanoseconds(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn disk_space(&self) -> DiskSpace {
        DiskSpace::Enough
    }

    fn entropy(&mut self) -> u64 {
        // SplitMix64: enough for programs on the host, where nothing depends on its secrecy.
        self.entropy = self.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.entropy ^ (self.entropy >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }
}

/// Runs `revenant run`; the exit code is what `main` returns.
#[must_use]
pub fn run(arguments: &RunArguments) -> ExitCode {
    match run_program(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(message) => finish(Err(message)),
    }
}

fn run_program(arguments: &RunArguments) -> Result<u8, String> {
    let mut paths = arguments.with.clone();
    paths.push(arguments.module.clone());
    let files = load_all(&paths)?;
    let space = HostSpace::take().map_err(|error| error.to_string())?;
    let modules: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let texts: Vec<&str> = arguments.arguments.iter().map(String::as_str).collect();
    let mut environment = HostEnvironment::new(Epoch(1));
    let creation = Creation { modules: &modules, arguments: &texts, epoch: Epoch(1) };
    let vm = Vm::create(&creation, &mut environment).map_err(|error| explain(&error, &paths))?;
    let status = Runner::new(vm, environment).until_the_end(&mut standard_input())?;
    drop(space);
    Ok(match status {
        ExitStatus::Returned(value) => value.to_le_bytes()[0],
        ExitStatus::Uncaught | ExitStatus::Damaged => 101,
    })
}

/// Who sits at the console of a program that runs here.
pub trait Console {
    /// Whether Ctrl-C was pressed since the last time somebody asked.
    fn interrupted(&self) -> bool {
        false
    }

    /// What is typed next: at least a byte.
    ///
    /// # Errors
    /// Nothing will ever be typed.
    fn line(&mut self) -> Result<Vec<u8>, String>;

    /// The same, if it comes before this time has passed.
    fn line_within(&mut self, left: Duration) -> Option<Vec<u8>> {
        thread::sleep(left.min(LOOK));
        None
    }
}

/// After this time somebody who only sleeps looks for Ctrl-C.
const LOOK: Duration = Duration::from_millis(20);

impl Console for Receiver<Vec<u8>> {
    fn line(&mut self) -> Result<Vec<u8>, String> {
        self.recv()
            .map_err(|_| String::from("every thread waits for ever, and the input has ended"))
    }

    fn line_within(&mut self, left: Duration) -> Option<Vec<u8>> {
        match self.recv_timeout(left) {
            Ok(bytes) => Some(bytes),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(left);
                None
            }
        }
    }
}

/// The kernel's loop in small.
#[derive(Debug)]
pub struct Runner {
    vm: Vm,
    environment: HostEnvironment,
    in_grace: bool,
}

impl Runner {
    /// A loop over the programs of this machine.
    #[must_use]
    pub const fn new(vm: Vm, environment: HostEnvironment) -> Self {
        Self { vm, environment, in_grace: false }
    }

    /// Loads modules beside those of the first program, which has ended, and begins it again.
    ///
    /// # Errors
    /// A module is refused; nothing has changed then.
    pub fn go_on(&mut self, modules: &[&[u8]]) -> Result<(), String> {
        self.vm.go_on(modules, &mut self.environment).map_err(|error| error.to_string())
    }

    /// Runs until the first program ends.
    ///
    /// # Errors
    /// Every thread waits for what never comes, or the console cannot be written to.
    pub fn until_the_end(&mut self, console: &mut dyn Console) -> Result<ExitStatus, String> {
        let attention = AtomicBool::new(false);
        loop {
            if console.interrupted() {
                self.vm.console_input(&[INTERRUPT]);
            }
            let turn = self.vm.turn(&mut self.environment, &attention, TurnLimits::default());
            let requests = self.vm.take_requests();
            if requests.console_output || requests.main_ended.is_some() {
                self.print()?;
            }
            if let Some(status) = requests.main_ended {
                return Ok(status);
            }
            if let Some(epoch) = requests.commit {
                self.step_fully(SystemStep::CommitDurable(epoch));
            }
            if requests.grace && !self.in_grace {
                self.in_grace = self.step(SystemStep::BeginGrace) == StepOutcome::More
                    || self.step(SystemStep::ContinueGrace) == StepOutcome::More;
            } else if self.in_grace {
                self.in_grace = self.step(SystemStep::ContinueGrace) == StepOutcome::More;
            }
            match turn {
                Turn::Ran(_) | Turn::Scheduled => {}
                Turn::Idle { .. } | Turn::Waiting if self.in_grace => {}
                Turn::Idle { deadline } => self.wait(deadline, console)?,
                Turn::Waiting => return Err(String::from("the host cannot wait for a page")),
            }
        }
    }

    fn step(&mut self, step: SystemStep) -> StepOutcome {
        self.vm.system_step(step, &mut self.environment)
    }

    fn step_fully(&mut self, step: SystemStep) {
        while self.step(step) == StepOutcome::More {}
    }

    fn print(&mut self) -> Result<(), String> {
        let mut buffer = [0; 4096];
        let mut output = io::stdout().lock();
        let mut count = 0;
        loop {
            count = self.vm.console_drain(count, &mut buffer);
            if count == 0 {
                return output.flush().map_err(|error| format!("standard output: {error}"));
            }
            let bytes = buffer.get(..count).unwrap_or(&buffer);
            output.write_all(bytes).map_err(|error| format!("standard output: {error}"))?;
        }
    }

    /// Sleeps until the deadline or until somebody types.
    fn wait(
        &mut self,
        deadline: Option<Nanoseconds>,
        console: &mut dyn Console,
    ) -> Result<(), String> {
        let bytes = match deadline {
            Some(deadline) => {
                let left = deadline.0.saturating_sub(self.environment.monotonic().0);
                match console.line_within(Duration::from_nanos(left)) {
                    Some(bytes) => bytes,
                    None => return Ok(()),
                }
            }
            None => console.line()?,
        };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let taken = self.vm.console_input(rest);
            if taken == 0 {
                return Err(String::from("the console's input queue is full"));
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Ctrl-C as a byte of console input.
pub(crate) const INTERRUPT: u8 = 3;

/// Lines of standard input, read by a thread of their own so that programs can sleep meanwhile.
fn standard_input() -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(count) if count > 0 && sender.send(line).is_ok() => {}
                _ => return,
            }
        }
    });
    receiver
}
