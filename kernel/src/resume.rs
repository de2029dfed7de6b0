//! The one way to start: resume the snapshot on the disk.

use crate::event_loop::EventLoop;
use crate::programs::Programs;
use crate::scenario::Machine;
use crate::space::Work;
use crate::{disk, log, space};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use revenant_hal::Clock;
use revenant_machine::attempt::{SliceEnd, enter_slice};
use revenant_machine::attention;
use revenant_machine::exit::ExitCode;
use revenant_vm::{DiskSpace, SystemStep, Vm};

use crate::world::World;

/// The version of the virtual machine whose objects this kernel runs.
pub(crate) const VM_ABI: u32 = 1;

/// Opens the disk, resumes its programs and runs them until the machine is to stop.
pub(crate) fn run(machine: Machine) -> Result<ExitCode, String> {
    let Machine { clock, options, frames, tables } = machine;
    let started = clock.monotonic();
    let mut disk = disk::find(&frames)?;
    let (store, report) = disk::open(&mut disk, &options, VM_ABI)?;
    space::install(store, disk, frames, tables, Vec::new());
    let epoch = space::with(|space| space.epoch());
    let mut world = World { clock, epoch, disk_space: DiskSpace::Enough };
    let vm = resume_programs(&mut world)?;
    let mut event_loop = EventLoop::new(vm, clock, options);
    event_loop.schedule(SystemStep::Restarted { resumed: report.epoch });
    let pages = space::with(|space| space.statistics().pages_read);
    log!(
        "resumed epoch={} running={epoch} pages={pages} us={}",
        report.epoch,
        (clock.monotonic().0 - started.0) / 1000
    );
    Ok(event_loop.run())
}

/// Tries until the pages of the root have come.
fn resume_programs(world: &mut World) -> Result<impl Programs + use<>, String> {
    loop {
        attention::take();
        match enter_slice(|| Vm::resume(world)) {
            SliceEnd::Finished(result) => return result.map_err(|error| format!("{error}")),
            SliceEnd::FaultEnded { page, .. } => {
                if let Some((_, reason)) = space::with(|space| space.take_impossible()) {
                    return Err(format!("page {page}: {reason}"));
                }
            }
        }
        if space::with(|space| space.work(|_| ())) == Work::Waiting {
            attention::wait();
        }
    }
}
