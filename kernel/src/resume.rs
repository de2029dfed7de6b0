//! The one way to start: resume the snapshot on the disk.

use crate::event_loop::EventLoop;
use crate::probe::Probe;
use crate::scenario::Machine;
use crate::space::Work;
use crate::world::World;
use crate::{collection, detail, disk, log, space};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use revenant_hal::{Clock, PageIndex};
use revenant_machine::attempt::{SliceEnd, enter_slice};
use revenant_machine::attention;
use revenant_machine::command_line::Options;
use revenant_machine::exit::ExitCode;
use revenant_pager::replacement::Claim;
use revenant_pager::{Impossible, WiredProgress, WiredRange};
use revenant_store::Copies;
use revenant_vm::memory::Space;
use revenant_vm::{Environment, SystemStep, VERSION, Vm};

const PAGES_PER_MEBIBYTE: u32 = 256;

/// Opens the disk, resumes its programs and runs them until the machine is to stop.
pub(crate) fn run(machine: Machine) -> Result<ExitCode, String> {
    let Machine { clock, entered, options, mut frames, tables } = machine;
    Probe::prepare(&options, &mut frames);
    let started = clock.monotonic();
    let mut disk = disk::find(&frames)?;
    let (store, report) = disk::open(&mut disk, &options, VERSION)?;
    let collector = options.collector.then(|| collection::budget(&options));
    let declare = Space::assume_mapped;
    space::install_beside(collector, store, disk, frames, tables, wired_ranges(), declare);
    claim(&options);
    bring_in_wired()?;
    let epoch = space::with(|space| space.epoch());
    let mut world = World::new(clock, epoch);
    let vm = resume_programs(&mut world)?;
    let mut event_loop = EventLoop::new(vm, clock, options);
    event_loop.count_from(entered);
    event_loop.schedule(SystemStep::Restarted { resumed: report.epoch });
    let pages = space::with(|space| space.statistics().pages_read);
    detail!(
        "resumed epoch={} running={epoch} pages={pages} us={}",
        report.epoch,
        (clock.monotonic().0 - started.0) / 1000
    );
    Ok(event_loop.run())
}

/// Tells the pager what the command line promises groups of memory, and permits.
fn claim(options: &Options) {
    let pages = |mebibytes: u32| mebibytes.saturating_mul(PAGES_PER_MEBIBYTE);
    for wish in &options.working_sets {
        let claim = Claim { share: wish.share.map(pages), limit: wish.limit.map(pages) };
        space::with(|space| space.claim(wish.group, claim));
    }
}

/// Tries until the pages of the root have come.
pub(crate) fn resume_programs(world: &mut dyn Environment) -> Result<Vm, String> {
    loop {
        attention::take();
        match enter_slice(|| Vm::resume(world)) {
            SliceEnd::Finished(Ok(mut programs)) => {
                programs.watch_faults(space::served_faults());
                return Ok(programs);
            }
            SliceEnd::Finished(Err(error)) => return Err(format!("{error}")),
            SliceEnd::FaultEnded { .. } => {
                if let Some((page, reason)) = space::with(|space| space.take_impossible()) {
                    insist_on(page, false, reason);
                    return Err(format!("page {page}: {reason}"));
                }
            }
        }
        if space::with(|space| space.work(|_| ())) == Work::Waiting {
            attention::wait();
        }
    }
}

/// Logs an access that can never succeed, and gives this snapshot up if an unreadable page is one that nothing runs without: the
/// epitaph makes the next boot step back. The virtual machine cannot be asked: its answer would need the page.
///
/// # Panics
/// If it is such a page.
pub(crate) fn insist_on(page: PageIndex, write: bool, reason: Impossible) {
    log!("impossible page={page} write={write} reason=\"{reason}\"");
    let vital = |range: &WiredRange| page.0.wrapping_sub(range.first.0) < range.count;
    if matches!(reason, Impossible::Unreadable(_)) && wired_ranges().iter().any(vital) {
        panic!("page {page} cannot be read, and nothing runs without it");
    }
}

/// The pages that the scheduler needs at any moment, and the class table: each stored twice, for nothing runs without them.
pub(crate) fn wired_ranges() -> Vec<WiredRange> {
    let range = |pages: &Range<PageIndex>, resident| WiredRange {
        first: pages.start,
        count: pages.end.0 - pages.start.0,
        copies: Copies::Two,
        resident,
    };
    let wired = Vm::wired_pages().iter().map(|pages| range(pages, true));
    wired.chain([range(&Vm::class_table_pages(), false)]).collect()
}

/// Waits until the wired pages are in.
pub(crate) fn bring_in_wired() -> Result<(), String> {
    loop {
        attention::take();
        match space::with(space::ObjectSpace::wire) {
            WiredProgress::Resident => return Ok(()),
            WiredProgress::Failed(reason) => return Err(format!("{reason}")),
            WiredProgress::Coming => {}
        }
        if space::with(|space| space.work(|_| ())) == Work::Waiting {
            attention::wait();
        }
    }
}
