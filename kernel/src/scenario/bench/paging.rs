//! Page-ins against the driver alone, on the same disk in the same run: by many readers that jump about while memory fills and
//! when it is full, and by one that walks.
//!
//! The comparison is fair in that both sides read single blocks of the same part of the disk, as the host has left it, and that as
//! many requests are on their way at most: one for each of the readers, each of which waits for its page.
//!
//! The disk was made by `bench=prepare` with the same `pages`; each page holds its number.

use super::readers::{Course, Readers};
use super::{content, metric, ratio};
use crate::event_loop::EventLoop;
use crate::scenario::Machine;
use crate::scenario::synthetic::TEST_ABI;
use crate::{disk, space};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use revenant_hal::{
    BlockIndex, Buffer, Clock, Disk, DiskOperation, DiskRequest, FrameIndex, FrameMemory,
    RequestTag,
};
use revenant_machine::attention;
use revenant_machine::clock::MachineClock;
use revenant_machine::exit::ExitCode;
use revenant_machine::virtio::VirtioDisk;

/// Readers, and as many requests of the driver alone.
const READERS: usize = 16;
/// What the driver alone has in flight when it reads in order, and how much each is.
const STREAM_DEPTH: usize = 8;
const STREAM_BLOCKS: u32 = 128;
/// Page-ins between two looks at the clock.
const SAMPLE: u64 = 1024;
/// Page-ins of `paging_random`, in fills of memory.
const FILLS: u64 = 3;
const NANOSECONDS: u64 = 1_000_000_000;

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
    // Twice, so that both find what the host keeps of the disk as the other has left it.
    let mut raw = 0;
    for _ in 0..2 {
        raw = match order {
            Order::Random => raw_random(&mut disk, clock, pages, 2 * count)?,
            Order::Walk => raw_walk(&mut disk, clock, pages)?,
        };
    }
    options.exit_on_main = true;
    let (store, _) = disk::open(&mut disk, &options, TEST_ABI)?;
    space::install(store, disk, frames, tables, Vec::new(), || ());
    let goal = if order == Order::Random { FILLS * count } else { pages };
    let started = clock.monotonic().get();
    let random = 0x9e37_79b9_7f4a_7c15 ^ started;
    let mut course = Pages { clock, order, pages, random, goal, started, samples: Vec::new() };
    let first: Vec<u64> = match order {
        Order::Random => (0..READERS).map(|_| course.next(0)).collect(),
        Order::Walk => [0].into(),
    };
    let programs = Readers::new(course, first);
    let mut event_loop = EventLoop::new(programs, clock, options);
    let code = event_loop.run();
    event_loop.programs.check()?;
    event_loop.programs.course.report(event_loop.programs.read, raw, count);
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
    /// The time of each [`SAMPLE`] page-ins.
    samples: Vec<u64>,
}

impl Pages {
    /// Prints what was found of so many reads.
    fn report(&self, read: u64, raw: u64, frames: u64) {
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
            return;
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
        metric("paging_random.raw", raw, "pages/s");
        metric("paging_random.filling", filling, "pages/s");
        metric("paging_random.full", full, "pages/s");
        metric("paging_random.lowest", lowest, "pages/s");
        ratio("paging_random", full, raw);
        ratio("paging_random_when_full", full, filling);
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
            self.samples.push(self.clock.monotonic().get());
        }
    }

    fn ended(&mut self) {
        self.samples.push(self.clock.monotonic().get());
    }
}

pub(super) fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 16
}

fn per_second(pages: u64, nanoseconds: u64) -> u64 {
    pages.saturating_mul(NANOSECONDS) / nanoseconds.max(1)
}

/// Reads of single blocks by the driver alone, all over the part of the disk where `bench=prepare` has put the pages: a fresh
/// disk is filled from its beginning, and a map node goes with 128 pages. Blocks a second.
fn raw_random(
    disk: &mut VirtioDisk,
    clock: MachineClock,
    pages: u64,
    count: u64,
) -> Result<u64, String> {
    let blocks = disk.geometry().blocks.min(pages + pages / 64);
    let mut state = 0x2545_f491_4f6c_dd1d;
    let places = (0..count).map(|_| (random(&mut state) % blocks, 1));
    raw(disk, clock, places, READERS)
}

/// Reads of consecutive blocks by the driver alone; blocks a second.
fn raw_walk(disk: &mut VirtioDisk, clock: MachineClock, pages: u64) -> Result<u64, String> {
    let each = u64::from(STREAM_BLOCKS);
    let places = (0..pages / each).map(|at| (at * each, each));
    raw(disk, clock, places, STREAM_DEPTH)
}

/// Reads extents (first block, blocks) into frames that nothing uses yet.
fn raw(
    disk: &mut VirtioDisk,
    clock: MachineClock,
    mut extents: impl Iterator<Item = (u64, u64)>,
    depth: usize,
) -> Result<u64, String> {
    let start = clock.monotonic().get();
    let mut free: Vec<u32> = (0..depth).filter_map(|slot| u32::try_from(slot).ok()).collect();
    let (mut next, mut blocks) = (extents.next(), 0);
    while next.is_some() || free.len() < depth {
        attention::take();
        while let Some(slot) = free.last().copied()
            && let Some((block, count)) = next
        {
            let first = slot * STREAM_BLOCKS;
            let frames = (first..first + STREAM_BLOCKS).zip(0..count);
            let request = DiskRequest {
                tag: RequestTag(3 << 56 | u64::from(slot)),
                operation: DiskOperation::Read,
                block: BlockIndex(block),
                buffers: frames.map(|(frame, _)| Buffer::Frame(FrameIndex(frame))).collect(),
            };
            disk.submit(request).map_err(|_| String::from("the queue is full"))?;
            free.pop();
            blocks += count;
            next = extents.next();
        }
        let mut some = false;
        while let Some(completion) = disk.poll() {
            completion.result.map_err(|error| format!("{error}"))?;
            free.push((completion.tag.0 & 0xffff) as u32);
            some = true;
        }
        if !some {
            attention::wait();
        }
    }
    Ok(per_second(blocks, clock.monotonic().get() - start))
}
