//! What the store costs the processor, measured on the host over a disk in memory: lines `metric NAME VALUE UNIT` for
//! `make bench`.
//!
//! Invariant: the disk takes no time, so what is measured is checksums, map, allocator and bookkeeping.

use super::frames::HostFrames;
use core::hint::black_box;
use revenant_hal::{
    Buffer, Disk, DiskCompletion, DiskGeometry, DiskOperation, DiskRequest, FrameIndex,
    FrameMemory, Nanoseconds, PAGE_SIZE, PageIndex,
};
use revenant_store::{
    Access, Copies, FormatOutcome, Formatting, OpenFrom, OpenOutcome, OpenRequest, Opening,
    RetentionOverride, SessionId, StepOutcome, Store, StoreEvent, StoreId, StoreOptions,
};
use std::collections::VecDeque;
use std::time::Instant;

const BLOCKS: usize = 32_768;
const FRAMES: u32 = 4_096;

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
            blocks: BLOCKS as u64,
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
    fn new() -> Option<Self> {
        let mut disk = MemoryDisk {
            bytes: vec![0; BLOCKS * PAGE_SIZE],
            done: VecDeque::new(),
            requests: VecDeque::new(),
        };
        let mut frames = HostFrames::new(FRAMES);
        let mut formatting = Formatting::new(StoreId(1), 1);
        loop {
            match formatting.step(&mut disk) {
                FormatOutcome::Formatted => break,
                FormatOutcome::Refused(_) => return None,
                _ => disk.turn(&mut frames).into_iter().for_each(|done| formatting.complete(done)),
            }
        }
        let (access, from) = (Access::ReadWrite, OpenFrom::Newest);
        let retention = RetentionOverride::only_last(1);
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
        let epoch = self.store.running_epoch();
        self.store.begin_snapshot(epoch, Nanoseconds(0)).ok()?;
        for page in 0..pages {
            self.store.write_page(PageIndex(page.into()), FrameIndex(page), Copies::One);
        }
        self.store.finish_snapshot();
        loop {
            match self.store.next_event() {
                Some(StoreEvent::Committed { .. }) => break,
                Some(StoreEvent::Abandoned { .. }) => return None,
                Some(_) => continue,
                None => {}
            }
            if self.store.step(&mut self.disk, &mut self.frames) != StepOutcome::Again
                && let Some(done) = self.disk.turn(&mut self.frames)
            {
                self.store.complete(done, &mut self.frames);
            }
        }
        Some(start.elapsed().as_secs_f64() * 1e6)
    }

    fn median(&mut self, pages: u32, rounds: u32) -> Option<f64> {
        let mut times = (0..rounds).map(|_| self.snapshot(pages)).collect::<Option<Vec<_>>>()?;
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    }
}

/// Measures, and reports name, value and unit of each figure; false if the store did not do its work.
pub fn bench(mut report: impl FnMut(&str, f64, &str)) -> bool {
    let Some(mut bench) = Bench::new() else { return false };
    let whole = FRAMES;
    // The first commits of a session are read back.
    let warm = [whole, 1, 0].iter().all(|pages| bench.snapshot(*pages).is_some());
    let figures = (bench.median(0, 51), bench.median(1, 51), bench.median(whole, 9));
    let (true, (Some(idle), Some(one), Some(all))) = (warm, figures) else { return false };
    report("store_commit_idle", idle, "us");
    report("store_commit_one_page", one, "us");
    report("store_commit_16_mib", all / 1e3, "ms");
    report("store_commit_bandwidth", 16.0 / (all / 1e6), "MiB/s");
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
        assert_eq!(names.len(), 5);
    }
}
