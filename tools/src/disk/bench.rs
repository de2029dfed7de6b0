//! What the store costs the processor, measured on the host over a disk in memory: lines `metric NAME VALUE UNIT` for
//! `make bench`.
//!
//! Invariant: the disk takes no time, so what is measured is checksums, map, allocator and bookkeeping.

use super::frames::HostFrames;
use core::hint::black_box;
use revenant_hal::{
    Buffer, Disk, DiskCompletion, DiskGeometry, DiskOperation, DiskRequest, Epoch, FrameIndex,
    FrameMemory, Nanoseconds, PAGE_SIZE, PageIndex,
};
use revenant_store::{
    Access, Copies, FormatOutcome, Formatting, OpenFrom, OpenOutcome, OpenRequest, Opening,
    RetentionOverride, SessionId, StepOutcome, Store, StoreEvent, StoreId, StoreOptions,
};
use std::collections::VecDeque;
use std::time::Instant;

/// The disk on which commits are measured.
const BLOCKS: usize = 32_768;
const FRAMES: u32 = 4_096;
/// Heaps of whose snapshots one is deleted, in pages: 16 MiB and 512 MiB.
const HEAPS: [u64; 2] = [4_096, 131_072];
/// One page in so many is changed from snapshot to snapshot.
const CHANGED: u64 = 8;
/// Deletions measured of each heap.
const DELETIONS: u64 = 9;

/// A disk in memory that completes at once.
struct MemoryDisk {
    bytes: Vec<u8>,
    done: VecDeque<DiskCompletion>,
    requests: VecDeque<DiskRequest>,
}

impl MemoryDisk {
    fn turn(&mut self, frames: &mut HostFrames) -> Option<DiskCompletion> {
        let mut request = self.requests.pop_front()?;
        let start = usize::try_from(request.block.0).ok()? * PAGE_SIZE;
        if request.operation != DiskOperation::Flush {
            let places = self.bytes[start..].chunks_exact_mut(PAGE_SIZE);
            for (buffer, place) in request.buffers.iter_mut().zip(places) {
                let page = match buffer {
                    Buffer::Owned(page) => &mut page.0,
                    Buffer::Frame(frame) => &mut frames.bytes_mut(*frame).0,
                };
                match request.operation {
                    DiskOperation::Read => page.copy_from_slice(place),
                    _ => place.copy_from_slice(page),
                }
            }
        }
        let DiskRequest { tag, operation, block, buffers } = request;
        Some(DiskCompletion { tag, operation, block, buffers, result: Ok(()) })
    }
}

impl Disk for MemoryDisk {
    fn geometry(&self) -> DiskGeometry {
        DiskGeometry {
            blocks: (self.bytes.len() / PAGE_SIZE) as u64,
            queue_depth: 64,
            blocks_per_request: 256,
            read_only: false,
            flush: true,
            discard: None,
        }
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        self.requests.push_back(request);
        Ok(())
    }

    fn poll(&mut self) -> Option<DiskCompletion> {
        self.done.pop_front()
    }
}

struct Bench {
    disk: MemoryDisk,
    frames: HostFrames,
    store: Store,
}

impl Bench {
    fn new(blocks: usize, retention: RetentionOverride) -> Option<Self> {
        let mut disk = MemoryDisk {
            bytes: vec![0; blocks * PAGE_SIZE],
            done: VecDeque::new(),
            requests: VecDeque::new(),
        };
        let mut frames = HostFrames::new(FRAMES);
        // A page of zeros would not be written at all.
        for frame in 0..FRAMES {
            frames.bytes_mut(FrameIndex(frame)).0.fill(1 + (frame % 255) as u8);
        }
        let mut formatting = Formatting::new(StoreId(1), 1);
        loop {
            match formatting.step(&mut disk) {
                FormatOutcome::Formatted => break,
                FormatOutcome::Refused(_) => return None,
                _ => disk.turn(&mut frames).into_iter().for_each(|done| formatting.complete(done)),
            }
        }
        let (access, from) = (Access::ReadWrite, OpenFrom::Newest);
        let options = StoreOptions { retention, ..StoreOptions::default() };
        let session = SessionId(1);
        let mut opening = Opening::new(OpenRequest { session, vm_abi: 1, access, from, options });
        let store = loop {
            match opening.step(&mut disk) {
                OpenOutcome::Opened(store, _) => break *store,
                OpenOutcome::Refused(_) => return None,
                _ => disk.turn(&mut frames).into_iter().for_each(|done| opening.complete(done)),
            }
        };
        Some(Self { disk, frames, store })
    }

    /// Microseconds of one snapshot with so many pages dirty; none if it was not made.
    fn snapshot(&mut self, pages: u32) -> Option<f64> {
        let start = Instant::now();
        self.snapshot_of((0..pages.into()).map(PageIndex))?;
        Some(start.elapsed().as_secs_f64() * 1e6)
    }

    /// A snapshot in which these pages are changed.
    fn snapshot_of(&mut self, mut pages: impl Iterator<Item = PageIndex>) -> Option<Epoch> {
        let epoch = self.store.running_epoch();
        self.store.begin_snapshot(epoch, Nanoseconds(0)).ok()?;
        let mut free: Vec<FrameIndex> = (0..FRAMES).rev().map(FrameIndex).collect();
        let mut given = true;
        loop {
            while given && let Some(frame) = free.pop() {
                match pages.next() {
                    Some(page) => self.store.write_page(page, frame, Copies::One),
                    None => {
                        given = false;
                        self.store.finish_snapshot();
                    }
                }
            }
            match self.event()? {
                StoreEvent::Committed { .. } => return Some(epoch),
                StoreEvent::PageWritten { frame, .. } => free.push(frame),
                _ => {}
            }
        }
    }

    /// What the store tells next; none if a commit was given up.
    fn event(&mut self) -> Option<StoreEvent> {
        loop {
            match self.store.next_event() {
                Some(StoreEvent::Abandoned { .. }) => return None,
                Some(event) => return Some(event),
                None => {}
            }
            if self.store.step(&mut self.disk, &mut self.frames) != StepOutcome::Again
                && let Some(done) = self.disk.turn(&mut self.frames)
            {
                self.store.complete(done, &mut self.frames);
            }
        }
    }

    /// Microseconds for each block that the deletion of a snapshot frees.
    fn deletion(&mut self, epoch: Epoch) -> Option<f64> {
        let before = self.store.superblock().allocated;
        let start = Instant::now();
        self.store.delete(epoch).ok()?;
        self.store.commit_requests().ok()?;
        while !matches!(self.event()?, StoreEvent::Committed { .. }) {}
        let micros = start.elapsed().as_secs_f64() * 1e6;
        let freed = before.checked_sub(self.store.superblock().allocated)?;
        (freed > 0).then(|| micros / freed as f64)
    }

    fn median(&mut self, pages: u32, rounds: u32) -> Option<f64> {
        median((0..rounds).map(|_| self.snapshot(pages)))
    }
}

/// The middle one of the figures; none if one is missing.
fn median(figures: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut figures = figures.collect::<Option<Vec<_>>>()?;
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// Microseconds a block to delete the older of two snapshots of a heap, between which one page in eight was changed, all over it.
fn deletion_of(heap: u64) -> Option<f64> {
    // The heap, what changed in two snapshots, as much again for maps and what waits for a commit.
    let blocks = usize::try_from(heap * 2 + 16_384).ok()?;
    let mut bench = Bench::new(blocks, RetentionOverride::KEEP_ALL)?;
    let mut older = bench.snapshot_of((0..heap).map(PageIndex))?;
    median((0..DELETIONS).map(|round| {
        // An odd factor: every page of the heap, in an order without order.
        let place = |n: u64| ((n + round * heap / CHANGED) * 2_654_435_761) % heap;
        let newer = bench.snapshot_of((0..heap / CHANGED).map(place).map(PageIndex))?;
        bench.deletion(core::mem::replace(&mut older, newer))
    }))
}

/// Measures, and reports name, value and unit of each figure; false if the store did not do its work.
pub fn bench(mut report: impl FnMut(&str, f64, &str)) -> bool {
    let Some(mut bench) = Bench::new(BLOCKS, RetentionOverride::only_last(1)) else { return false };
    let whole = FRAMES;
    // The first commits of a session are read back.
    let warm = [whole, 1, 0].iter().all(|pages| bench.snapshot(*pages).is_some());
    let figures = (bench.median(0, 51), bench.median(1, 51), bench.median(whole, 9));
    let (true, (Some(idle), Some(one), Some(all))) = (warm, figures) else { return false };
    report("store_commit_idle", idle, "us");
    report("store_commit_one_page", one, "us");
    report("store_commit_16_mib", all / 1e3, "ms");
    report("store_commit_bandwidth", 16.0 / (all / 1e6), "MiB/s");
    let [small, large] = HEAPS.map(deletion_of);
    let (Some(small), Some(large)) = (small, large) else { return false };
    report("snapshot_delete_16_mib", small, "us/block");
    report("snapshot_delete_512_mib", large, "us/block");
    report("snapshot_delete_growth", large / small, "ratio");
    let start = Instant::now();
    for frame in 0..FRAMES {
        black_box(revenant_store::checksum(black_box(bench.frames.bytes(FrameIndex(frame)))));
    }
    let bytes = f64::from(FRAMES) * 4096.0;
    report("checksum", bytes / start.elapsed().as_secs_f64() / (1u64 << 30) as f64, "GiB/s");
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bench_measures_a_store_that_works() {
        let mut names = Vec::new();
        assert!(super::bench(|name, value, _| {
            assert!(value > 0.0);
            names.push(name.to_owned());
        }));
        assert_eq!(names.len(), 8);
    }
}
