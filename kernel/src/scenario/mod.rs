//! What the kernel can be asked to do by its command line instead of running programs: built-in tests and measurements.
//!
//! Each scenario is one function over the [`Machine`]; it logs what it found and returns the exit code.

mod bench;
mod digest;
mod paging;
mod synthetic;
mod virtio;

use crate::probe::Probe;
use crate::{detail, log};
use alloc::format;
use alloc::string::String;
use revenant_hal::FrameMemory;
use revenant_machine::clock::MachineClock;
use revenant_machine::command_line::Options;
use revenant_machine::exit::ExitCode;
use revenant_machine::frames::{FramePool, ObjectTables};

/// Everything that the boot has made.
pub(crate) struct Machine {
    /// Time.
    pub(crate) clock: MachineClock,
    /// The time-stamp counter at the kernel's entry.
    pub(crate) entered: u64,
    /// The command line.
    pub(crate) options: Options,
    /// The content of RAM.
    pub(crate) frames: FramePool,
    /// The page tables of object space.
    pub(crate) tables: ObjectTables,
}

/// Runs what the command line asks for: programs, if it asks for nothing else.
pub(crate) fn run(machine: Machine) -> ExitCode {
    detail!("memory frames={}", machine.frames.frame_count());
    let test = machine.options.test.clone();
    let with_programs = machine.options.bench.as_deref().is_none_or(Probe::is_called);
    let result = match test.as_deref() {
        None if with_programs => crate::resume::run(machine),
        None => bench::run(machine),
        Some("virtio") => virtio::run(machine),
        Some("paging") => paging::run(machine),
        Some("digest") => digest::run(machine),
        Some("panic") => panic_after_open(machine),
        Some(name) => Err(format!("no test is called {name}")),
    };
    match result {
        Ok(code) => code,
        Err(reason) => {
            log!("refused {reason}");
            ExitCode::Failure
        }
    }
}

/// `test=panic`: a kernel that fails after it has accepted a disk of `test=paging`; the next boot has to print its epitaph
/// and, since nothing newer became durable, to step back a snapshot.
fn panic_after_open(machine: Machine) -> Result<ExitCode, String> {
    let Machine { options, frames, .. } = machine;
    let mut disk = crate::disk::find(&frames)?;
    let (_store, report) = crate::disk::open(&mut disk, &options, synthetic::TEST_ABI)?;
    panic!("asked to, by test=panic, after epoch {}", report.epoch)
}
