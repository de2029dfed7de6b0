//! `test=digest`: the programs on the disk take `rounds` turns of the schedule that every machine repeats (the virtual
//! machine's `script`); then one snapshot, and the machine stops. What that snapshot holds has to be, bit by bit, what the
//! host makes of the same disk by the same turns: `revenant disk digest` tells both.
//!
//! `pages` of the heap, and some of each table, are brought in before the first turn, because an attempt that ends at a missing
//! page may leave garbage behind; a program that touches more is refused.

use super::Machine;
use crate::space::{self, News, Work};
use crate::{disk, last_words, log, resume};
use alloc::format;
use alloc::string::String;
use revenant_hal::{Clock, Epoch, PageIndex};
use revenant_machine::attempt::{SliceEnd, enter_slice};
use revenant_machine::exit::ExitCode;
use revenant_machine::object_memory::load;
use revenant_machine::{attention, serial};
use revenant_vm::VERSION;
use revenant_vm::memory::Space;
use revenant_vm::script::{self, Host, Script};

/// Runs the turns and makes their outcome durable.
pub(super) fn run(machine: Machine) -> Result<ExitCode, String> {
    let Machine { clock, options, frames, tables, .. } = machine;
    let mut disk = disk::find(&frames)?;
    let (store, report) = disk::open(&mut disk, &options, VERSION)?;
    space::install(store, disk, frames, tables, resume::wired_ranges(), Space::assume_mapped);
    resume::bring_in_wired()?;
    let mut script = Script::new(report.epoch);
    let mut vm = resume::resume_programs(&mut script)?;
    log!("resumed epoch={}", report.epoch);
    bring_in(script::pages(options.pages))?;
    script.run(&mut vm, options.rounds, &mut Resident)?;
    let flipped = space::with(|space| space.flip(clock.wall()));
    flipped.map_err(|refused| format!("flip refused: {refused:?}"))?;
    let epoch = committed()?;
    log!("digest turns={} resumed={} epoch={epoch}", options.rounds, report.epoch);
    last_words::release_disk();
    Ok(ExitCode::Success)
}

/// Waits until the snapshot is durable.
fn committed() -> Result<Epoch, String> {
    let mut outcome = None;
    loop {
        attention::take();
        let work = space::with(|space| space.work(|item| outcome = Some(item)));
        match outcome.take() {
            Some(News::Committed { epoch, .. }) => return Ok(epoch),
            Some(News::Abandoned(_) | News::ReadOnly) => {
                return Err(String::from("the snapshot could not be made"));
            }
            None => {}
        }
        if work == Work::Waiting {
            attention::wait();
        }
    }
}

/// Brings in the pages that the turns will touch, stored or never stored.
fn bring_in(pages: impl Iterator<Item = PageIndex>) -> Result<(), String> {
    for page in pages {
        while let SliceEnd::FaultEnded { page, .. } = enter_slice(|| load(page.address())) {
            if let Some((_, reason)) = space::with(|space| space.take_impossible()) {
                return Err(format!("page {page}: {reason}"));
            }
            attention::take();
            if space::with(|space| space.work(|_| ())) == Work::Waiting {
                attention::wait();
            }
        }
    }
    Ok(())
}

/// Attempts over pages that are all there.
struct Resident;

impl Host for Resident {
    type Error = String;

    fn whole<V>(&mut self, attempt: impl FnOnce() -> V) -> Result<V, String> {
        match enter_slice(attempt) {
            SliceEnd::Finished(value) => Ok(value),
            SliceEnd::FaultEnded { page, .. } => {
                Err(format!("page {page} was missing: the program needs a larger pages=N"))
            }
        }
    }

    fn print(&mut self, bytes: &[u8]) {
        serial::write_text(bytes);
    }
}
