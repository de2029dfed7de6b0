//! The driver alone, without store and pager: what page-ins are compared with.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use revenant_hal::{
    BlockIndex, Buffer, Clock, Disk, DiskOperation, DiskRequest, PageBytes, RequestTag,
};
use revenant_machine::attention;
use revenant_machine::clock::MachineClock;
use revenant_machine::virtio::VirtioDisk;

/// What it has in flight when it reads in order, and how much each is.
const STREAM_DEPTH: usize = 8;
const STREAM_BLOCKS: u64 = 128;
const NANOSECONDS: u64 = 1_000_000_000;

/// Numbers of requests on their way, of which the best counts.
pub(super) type Depths = [usize; 3];

/// Random reads in turns between which others use the disk, at each depth in turn.
pub(super) struct Alone {
    depths: Depths,
    /// For each depth: reads, and nanoseconds.
    sums: [(u64, u64); 3],
    turns: usize,
    failure: Option<String>,
}

impl Alone {
    pub(super) fn new(depths: Depths) -> Self {
        Self { depths, sums: [(0, 0); 3], turns: 0, failure: None }
    }

    /// A turn: so many reads of single blocks all over the part of the disk where `bench=prepare` has put the pages. A fresh
    /// disk is filled from its beginning, and a map node goes with 128 pages.
    pub(super) fn read_at_random(
        &mut self,
        disk: &mut VirtioDisk,
        clock: MachineClock,
        pages: u64,
        count: u64,
    ) {
        let blocks = disk.geometry().blocks.min(pages + pages / 64);
        let start = clock.monotonic().get();
        let mut state = start | 1;
        let places = (0..count).map(|_| (random(&mut state) % blocks, 1));
        let turn = self.turns % self.depths.len();
        let (depth, sum) = (self.depths[turn], &mut self.sums[turn]);
        match read(disk, places, depth, 1) {
            Ok(blocks) => sum.0 += blocks,
            Err(failure) => self.failure = Some(failure),
        }
        sum.1 += clock.monotonic().get() - start;
        self.turns += 1;
    }

    /// Nanoseconds of all turns.
    pub(super) fn spent(&self) -> u64 {
        self.sums.iter().map(|(_, time)| time).sum()
    }

    /// Blocks a second at the best depth.
    pub(super) fn best_rate(&self) -> Result<u64, String> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(self
                .sums
                .iter()
                .map(|(reads, time)| per_second(*reads, *time))
                .max()
                .unwrap_or(0)),
        }
    }
}

/// Reads of consecutive blocks; blocks a second.
pub(super) fn read_in_order(
    disk: &mut VirtioDisk,
    clock: MachineClock,
    pages: u64,
) -> Result<u64, String> {
    let start = clock.monotonic().get();
    let places = (0..pages / STREAM_BLOCKS).map(|at| (at * STREAM_BLOCKS, STREAM_BLOCKS));
    let blocks = read(disk, places, STREAM_DEPTH, STREAM_BLOCKS)?;
    Ok(per_second(blocks, clock.monotonic().get() - start))
}

/// Reads extents (first block, blocks), of which none has more than so many blocks, into memory of its own; how many blocks.
fn read(
    disk: &mut VirtioDisk,
    mut extents: impl Iterator<Item = (u64, u64)>,
    depth: usize,
    most: u64,
) -> Result<u64, String> {
    let page = || Buffer::Owned(Box::new(PageBytes::ZERO));
    let mut free: Vec<Vec<Buffer>> =
        (0..depth).map(|_| (0..most).map(|_| page()).collect()).collect();
    let (mut next, mut blocks) = (extents.next(), 0);
    while next.is_some() || free.len() < depth {
        attention::take();
        while let Some((block, count)) = next
            && let Some(buffers) = free.pop()
        {
            let request = DiskRequest {
                tag: RequestTag(3 << 56),
                operation: DiskOperation::Read,
                block: BlockIndex(block),
                buffers,
            };
            disk.submit(request).map_err(|_| String::from("the queue is full"))?;
            blocks += count;
            next = extents.next();
        }
        let mut some = false;
        while let Some(completion) = disk.poll() {
            completion.result.map_err(|error| format!("{error}"))?;
            free.push(completion.buffers);
            some = true;
        }
        if !some {
            attention::wait();
        }
    }
    Ok(blocks)
}

pub(super) fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 16
}

pub(super) fn per_second(pages: u64, nanoseconds: u64) -> u64 {
    pages.saturating_mul(NANOSECONDS) / nanoseconds.max(1)
}
