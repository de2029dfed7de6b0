//! Page-ins against the driver alone, on the same disk in the same run: by many readers that jump about while memory fills and
//! when it is full, and by one that walks.
//!
//! The comparison is fair in that both sides read single blocks of the same part of the disk, as the host has left it, and that both
//! may have as many requests on their way: one for each of the readers, each of which waits for its page. Readers and driver take
//! turns of a tenth of a second or so once memory is full, so that what else the host does meets both; the driver has its best depth.
//!
//! The disk was made by `bench=prepare` with the same `pages`; each page holds its number.

use super::alone::{Alone, Depths, per_second, random, read_in_order};
use super::readers::{Course, Readers};
use super::{NO_INTERVAL_MS, content, metric, ratio};
use crate::event_loop::EventLoop;
use crate::scenario::Machine;
use crate::scenario::synthetic::TEST_ABI;
use crate::{disk, space};
use alloc::string::String;
use alloc::vec::Vec;
use revenant_hal::{Clock, FrameMemory};
use revenant_machine::clock::MachineClock;
use revenant_machine::exit::ExitCode;

/// Readers, and so the most requests on their way.
const READERS: usize = 64;
/// How many requests the driver alone has on their way, by turns.
const DEPTHS: Depths = [16, 32, READERS];
/// Its reads in one turn, and the page-ins between two: one for so many frames.
const TURN: u64 = 8;
/// Page-ins between two looks at the clock.
const SAMPLE: u64 = 1024;
/// Page-ins of `paging_random`, in fills of memory.
const FILLS: u64 = 3;

/// In which order pages are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Each reader jumps about, until memory was filled [`FILLS`] times.
    Random,
    /// One reader, once from the first page to the last.
    Walk,
}

/// `bench=paging_random` and `bench=paging_scan`.
pub(super) fn run(machine: Machine, order: Order) -> Result<ExitCode, String> {
    let Machine { clock, mut options, frames, tables, .. } = machine;
    let pages = options.pages;
    let count = u64::from(frames.frame_count());
    let mut disk = disk::find(&frames)?;
    let mut raw = 0;
    if order == Order::Walk {
        // Twice, so that both find what the host keeps of the disk as the other has left it.
        for _ in 0..2 {
            raw = read_in_order(&mut disk, clock, pages)?;
        }
    }
    options.exit_on_main = true;
    options.snapshot_interval_ms = NO_INTERVAL_MS; // nothing is written, and the driver has the disk for itself in its turns
    let (store, _) = disk::open(&mut disk, &options, TEST_ABI)?;
    space::install(store, disk, frames, tables, Vec::new(), || ());
    let goal = if order == Order::Random { FILLS * count } else { pages };
    let started = clock.monotonic().get();
    let mut course = Pages {
        clock,
        order,
        pages,
        random: 0x9e37_79b9_7f4a_7c15 ^ started,
        goal,
        started,
        samples: Vec::new(),
        turn: count / TURN,
        next_turn: if order == Order::Random { count / 4 * 5 } else { u64::MAX },
        alone: Alone::new(DEPTHS),
    };
    let first: Vec<u64> = match order {
        Order::Random => (0..READERS).map(|_| course.next(0)).collect(),
        Order::Walk => [0].into(),
    };
    let programs = Readers::new(course, first);
    let mut event_loop = EventLoop::new(programs, clock, options);
    let code = event_loop.run();
    event_loop.programs.check()?;
    event_loop.programs.course.report(event_loop.programs.read, raw, count)?;
    Ok(code)
}

/// The pages in that order, and when they came.
struct Pages {
    clock: MachineClock,
    order: Order,
    pages: u64,
    random: u64,
    goal: u64,
    started: u64,
    /// When each [`SAMPLE`] page-ins had come, without the driver's turns.
    samples: Vec<u64>,
    /// Page-ins, and reads of the driver, in a turn.
    turn: u64,
    /// After so many page-ins it is the driver's turn.
    next_turn: u64,
    alone: Alone,
}

impl Pages {
    /// The time without the driver's turns.
    fn now(&self) -> u64 {
        self.clock.monotonic().get() - self.alone.spent()
    }

    /// Prints what was found of so many reads.
    fn report(&self, read: u64, raw: u64, frames: u64) -> Result<(), String> {
        let counters = space::with(|space| space.statistics());
        metric("paging_pages_read", counters.pages_read, "pages");
        metric("paging_pages_read_ahead", counters.pages_read_ahead, "pages");
        metric("paging_read_ahead_hits", counters.read_ahead_hits, "pages");
        metric("paging_read_ahead_wasted", counters.read_ahead_wasted, "pages");
        let elapsed = self.samples.last().map_or(0, |end| end - self.started);
        if self.order == Order::Walk {
            metric("paging_scan.raw", raw, "pages/s");
            let rate = per_second(read, elapsed);
            metric("paging_scan.pages", rate, "pages/s");
            ratio("paging_scan", rate, raw);
            return Ok(());
        }
        let sample = |fill: u64, of: u64| usize::try_from(frames * fill / of / SAMPLE).unwrap_or(0);
        let rate = |from: usize, to: usize| match (self.samples.get(from), self.samples.get(to)) {
            (Some(start), Some(end)) => per_second((to - from) as u64 * SAMPLE, end - start),
            _ => 0,
        };
        let last = self.samples.len().saturating_sub(2); // behind the last whole one stands the end
        let (filling, full) = (rate(sample(1, 8), sample(3, 4)), rate(sample(5, 4), last));
        let eighth = sample(1, 8).max(1);
        let starts = (sample(3, 4)..last.saturating_sub(eighth)).step_by(eighth);
        let lowest = starts.map(|from| rate(from, from + eighth)).min().unwrap_or(0);
        let raw = self.alone.best_rate()?;
        metric("paging_random.raw", raw, "pages/s");
        metric("paging_random.filling", filling, "pages/s");
        metric("paging_random.full", full, "pages/s");
        metric("paging_random.lowest", lowest, "pages/s");
        ratio("paging_random", full, raw);
        ratio("paging_random_when_full", full, filling);
        Ok(())
    }
}

impl Course for Pages {
    fn next(&mut self, number: u64) -> u64 {
        match self.order {
            Order::Walk => number + 1,
            Order::Random => random(&mut self.random) % self.pages,
        }
    }

    fn expected(&self, number: u64) -> u64 {
        content(number)
    }

    fn is_done(&self, read: u64, arrived: u64) -> bool {
        match self.order {
            Order::Random => arrived >= self.goal,
            Order::Walk => read >= self.goal,
        }
    }

    fn arrived(&mut self, arrived: u64) {
        if arrived.is_multiple_of(SAMPLE) {
            self.samples.push(self.now());
        }
    }

    fn ended(&mut self) {
        self.samples.push(self.now());
    }

    fn is_interrupted(&self, arrived: u64) -> bool {
        arrived >= self.next_turn
    }

    fn interlude(&mut self) {
        let Self { clock, pages, turn, alone, .. } = self;
        space::with(|space| alone.read_at_random(space.disk(), *clock, *pages, *turn));
        self.next_turn += self.turn;
    }
}
