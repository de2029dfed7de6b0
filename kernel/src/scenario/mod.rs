//! What the kernel can be asked to do by its command line instead of running programs: built-in tests and measurements.
//!
//! Each scenario is one function over the [`Machine`]; it logs what it found and returns the exit code.

mod virtio;

use crate::log;
use revenant_hal::FrameMemory;
use revenant_machine::clock::MachineClock;
use revenant_machine::command_line::Options;
use revenant_machine::exit::ExitCode;
use revenant_machine::frames::{FramePool, ObjectTables};

/// Everything that the boot has made: what a scenario is run with.
pub(crate) struct Machine {
    /// Time.
    pub(crate) clock: MachineClock,
    /// The command line.
    pub(crate) options: Options,
    /// The content of RAM.
    pub(crate) frames: FramePool,
    /// The page tables of object space.
    #[expect(dead_code, reason = "the first scenario with paging uses it")]
    pub(crate) tables: ObjectTables,
}

/// Runs what the command line asks for.
pub(crate) fn run(mut machine: Machine) -> ExitCode {
    log!("memory frames={}", machine.frames.frame_count());
    let result = match machine.options.test.as_deref() {
        None => Ok(()),
        Some("virtio") => virtio::run(&mut machine),
        Some(name) => Err(alloc::format!("no test is called {name}")),
    };
    match result {
        Ok(()) => ExitCode::Success,
        Err(reason) => {
            log!("failed {reason}");
            ExitCode::Failure
        }
    }
}
