//! [`Vm`]: the handle on the programs of one object space.
//!
//! It holds no program state: what it remembers (which thread waits for which page, what was asked of the kernel) is
//! volatile and is rebuilt empty after a restart.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::AtomicBool;

use revenant_hal::{Epoch, PageIndex};

use crate::memory::Space;

use super::environment::Environment;
use super::outcome::{
    CreationError, InspectError, PageVerdict, Requests, ResumeError, StepOutcome, SystemStep, Turn,
    TurnLimits, WitnessRecord,
};

/// What the first object space of a disk is made from (`revenant disk create`, `revenant run`).
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// Encoded modules, in the order of the command line. They are loaded into one namespace; exactly one exports `main`.
    pub modules: &'a [&'a [u8]],
    /// What `main` finds as its arguments.
    pub arguments: &'a [&'a str],
    /// The epoch of everything made now; the first snapshot carries it.
    pub epoch: Epoch,
}

/// The programs of one object space. See the module's text for what *in an attempt* means.
#[derive(Debug)]
pub struct Vm {
    requests: Requests,
}

impl Vm {
    /// Makes the initial object space: built-in classes, the root, one program from `creation`, its main thread runnable
    /// at its first instruction. Object space must be mapped and empty. Host only in practice; never in an attempt.
    ///
    /// # Errors
    /// A module that does not decode, verify or link; no `main`; no room. Object space is then to be thrown away.
    pub fn create(
        creation: &Creation<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Self, CreationError> {
        let _ = environment;
        let space = Space::get().ok_or(CreationError::OutOfMemory)?;
        let _created = crate::loader::create(space, creation)?;
        Ok(Self { requests: Requests::default() })
    }

    /// Opens the object space that is mapped now. *In an attempt*; reads the root and little else, writes nothing.
    /// Follow it with [`SystemStep::Restarted`] when this is a start of the machine.
    ///
    /// # Errors
    /// The root is missing, of another layout, or damaged.
    pub fn resume(environment: &mut dyn Environment) -> Result<Self, ResumeError> {
        let _ = environment;
        Err(ResumeError::NoRoot)
    }

    /// Wakes what is due, picks a thread and runs it for at most `limits`. *In an attempt.* Leaves early, at an instruction
    /// boundary, when `attention` is set; never clears it.
    pub fn turn(
        &mut self,
        environment: &mut dyn Environment,
        attention: &AtomicBool,
        limits: TurnLimits,
    ) -> Turn {
        let _ = (environment, attention, limits);
        Turn::Idle { deadline: None }
    }

    /// One bounded piece of the scheduler's work. *In an attempt.*
    pub fn system_step(
        &mut self,
        step: SystemStep,
        environment: &mut dyn Environment,
    ) -> StepOutcome {
        let _ = (step, environment);
        StepOutcome::Done
    }

    /// The last turn or step was abandoned and waits for `page` (to be read, for a frame, or for disk space). If it was a
    /// thread's slice, that thread is passed over until [`Vm::page_arrived`]; it stays runnable in object space.
    pub fn abandoned(&mut self, page: PageIndex) {
        let _ = page;
    }

    /// Whatever waits for `page` may try again.
    pub fn page_arrived(&mut self, page: PageIndex) {
        let _ = page;
    }

    /// Everything that waits may try again: frames or disk space have come back.
    pub fn retry_all(&mut self) {}

    /// `page` cannot be read and never will be. *In an attempt.* Whoever waited for it is dealt with by what the page holds.
    pub fn page_failed(
        &mut self,
        page: PageIndex,
        environment: &mut dyn Environment,
    ) -> PageVerdict {
        let _ = (page, environment);
        PageVerdict::Unused
    }

    /// What programs asked for since the last call.
    pub fn take_requests(&mut self) -> Requests {
        core::mem::take(&mut self.requests)
    }

    /// The pages that scheduling itself needs (root, run queue, timers, class table), to be read before the first turn and
    /// kept. Few, and independent of the number of threads.
    #[must_use]
    pub fn wired_pages(&self) -> &[Range<PageIndex>] {
        &[]
    }

    /// Copies the next bytes of console output into `buffer` and advances the persistent drain cursor; returns how many.
    /// *In an attempt.* Bytes taken and not sent before a cut come again.
    pub fn console_drain(&mut self, buffer: &mut [u8]) -> usize {
        let _ = buffer;
        0
    }

    /// Enters input into the persistent queue and wakes the foreground reader; returns how many bytes found room. *In an
    /// attempt.* Byte 3 (Ctrl-C) interrupts the foreground group and is not queued.
    pub fn console_input(&mut self, bytes: &[u8]) -> usize {
        let _ = bytes;
        0
    }

    /// The step counters of all threads that report any, in the order of their first report, into `records`; returns how
    /// many. *In an attempt*, in the stop: reads one wired page.
    pub fn witness(&self, records: &mut [WitnessRecord]) -> usize {
        let _ = records;
        0
    }

    /// For each thread its first report since this resume, taken once.
    pub fn take_first_steps(&mut self) -> Vec<WitnessRecord> {
        Vec::new()
    }

    /// Describes the object at `path`, as `revenant disk cat` prints it: names of the object tree, fields by name, elements
    /// by `[index]`, separated by `/`; the empty path is the root. *In an attempt*; reads only.
    ///
    /// # Errors
    /// The path leads nowhere, or through damage.
    pub fn inspect(&self, path: &str) -> Result<String, InspectError> {
        let _ = path;
        Err(InspectError::NotFound {
            component: String::new(),
            expected: String::from("a root object"),
        })
    }
}
