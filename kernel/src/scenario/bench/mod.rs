//! `bench=NAME`: measurements of the kernel itself, printed as `metric NAME VALUE UNIT`.
//!
//! | name | what | disk |
//! |---|---|---|
//! | `faults` | zero fill, make writable, copy | empty or of these scenarios |
//! | `prepare` | stores `pages` pages and makes them durable, for the three below | the same |
//! | `prepare_spread` | the same, but each page is the first of 16: they lie all over `pages` times 64 KiB | the same |
//! | `page_in` | faults that wait for the disk, one at a time | made by `prepare` |
//! | `paging_random` | page-ins of 64 readers that jump about, until memory was filled three times, against the driver alone | the same |
//! | `paging_scan` | one walk over all pages, against the driver alone | the same |
//! | `tables_share` | what page tables, nodes of the map and the kernel's heap take while 16 readers jump about in `pages` times 64 KiB | made by `prepare_spread` |
//! | `bandwidth` | a snapshot of `pages` pages against the driver alone | the same; the second disk, empty, for the driver; besides, random reads of it |
//! | `blocks` | blocks of an idle snapshot, and of one with one page changed | the same |
//! | `resume`, `grace`, `idle`, `flip`, `walk`, `discard` | see `probe` | made by `revenant disk create` |
//!
//! All times are of the monotonic clock (under QEMU's `-icount` it counts instructions). Where an emulator is noisy,
//! compare figures of one run.

mod alone;
mod bandwidth;
mod faults;
mod paging;
mod readers;
mod tables;

use super::Machine;
use super::synthetic::{Nobody, TEST_ABI, format_if_empty};
use crate::event_loop::{self, EventLoop};
use crate::probe::distribution;
use crate::snapshot::FlipTimes;
use crate::{disk, log, space};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::Ordering;
use revenant_hal::{Clock, FrameIndex, FrameMemory, ObjectAddress, PageIndex};
use revenant_machine::attention;
use revenant_machine::clock::MachineClock;
use revenant_machine::exit::ExitCode;
use revenant_machine::object_memory::store;

/// The first page that measurements use.
const FIRST: u64 = 1 << 16;
/// An interval that never ends: measurements ask for their snapshots.
const NO_INTERVAL_MS: u64 = 1 << 40;

/// Pages of object space for each one that `prepare_spread` stores.
const SPREAD: u64 = 16;

/// What a measurement works with.
struct Bench {
    clock: MachineClock,
    event_loop: EventLoop<Nobody>,
    pages: u64,
    rounds: u64,
    frames: u32,
    /// Pages from one that is stored to the next.
    stride: u64,
}

/// Runs the measurement that the command line names.
pub(super) fn run(machine: Machine) -> Result<ExitCode, String> {
    match machine.options.bench.as_deref() {
        Some("paging_random") => return paging::run(machine, paging::Order::Random),
        Some("paging_scan") => return paging::run(machine, paging::Order::Walk),
        Some("tables_share") => return tables::run(machine),
        _ => {}
    }
    let Machine { clock, mut options, mut frames, tables, .. } = machine;
    let name = options.bench.clone().unwrap_or_default();
    let (pages, rounds) = (options.pages, options.rounds.max(1));
    options.snapshot_interval_ms = NO_INTERVAL_MS;
    options.retain = Some(1);
    let count = frames.frame_count();
    let raw = match name.as_str() {
        "bandwidth" => bandwidth::choose_shape(&frames, clock, pages)?,
        _ => None,
    };
    // Touched once, so that what is measured later is not the emulator's host finding memory for the guest.
    (0..count).for_each(|frame| frames.zero(FrameIndex(frame)));
    let mut disk = disk::find(&frames)?;
    format_if_empty(&mut disk)?;
    let (opened, _) = disk::open(&mut disk, &options, TEST_ABI)?;
    space::install(opened, disk, frames, tables, Vec::new(), || ());
    let event_loop = EventLoop::new(Nobody, clock, options);
    let stride = if name == "prepare_spread" { SPREAD } else { 1 };
    let mut bench = Bench { clock, event_loop, pages, rounds, frames: count, stride };
    match name.as_str() {
        "faults" => faults::run(&mut bench),
        "page_in" => faults::page_in(&mut bench),
        "prepare" | "prepare_spread" => {
            bench.dirty(bench.pages);
            bench.snapshot(|_| ());
            Ok(())
        }
        "bandwidth" => bandwidth::run(&mut bench, raw),
        "blocks" => bandwidth::blocks(&mut bench),
        _ => Err(format!("no measurement is called {name}")),
    }?;
    Ok(ExitCode::Success)
}

/// Prints a figure.
fn metric(name: &str, value: u64, unit: &str) {
    log!("metric {name} {value} {unit}");
}

/// Prints a ratio with three decimals.
fn ratio(name: &str, numerator: u64, denominator: u64) {
    let thousandths = numerator.saturating_mul(1000) / denominator.max(1);
    log!("metric {name} {}.{:03} ratio", thousandths / 1000, thousandths % 1000);
}

/// The page with this number of a measurement's set.
fn page(number: u64) -> PageIndex {
    PageIndex(FIRST + number)
}

/// An address on a page of the set.
fn word(number: u64) -> ObjectAddress {
    page(number).address()
}

/// What [`Bench::dirty`] stores there: not zero, or the page would not be written.
const fn content(number: u64) -> u64 {
    number + 1
}

impl Bench {
    fn now(&self) -> u64 {
        self.clock.monotonic().get()
    }

    /// Stores to each page of the set up to `count`, waiting where that is needed.
    fn dirty(&mut self, count: u64) {
        let (next, stride) = (Cell::new(0), self.stride);
        while next.get() < count {
            attention::take();
            let done = self.event_loop.attempt(|_, _| {
                while next.get() < count && !attention::flag().load(Ordering::Relaxed) {
                    let number = next.get() * stride;
                    store(word(number), content(number));
                    next.set(next.get() + 1);
                }
            });
            let busy = self.event_loop.pass();
            if done.is_none() && !busy {
                event_loop::rest();
            }
        }
    }

    /// Makes one snapshot and returns how it went; `meanwhile` runs between the passes of the loop until it is durable.
    fn snapshot(&mut self, mut meanwhile: impl FnMut(&mut Self)) -> FlipTimes {
        self.event_loop.snapshots.last_flip = None;
        self.event_loop.snapshots.schedule.request();
        loop {
            attention::take();
            let busy = self.event_loop.pass();
            if let Some(times) = self.event_loop.snapshots.last_flip
                && times.durable_after.is_some()
            {
                return times;
            }
            meanwhile(self);
            if !busy {
                event_loop::rest();
            }
        }
    }
}
