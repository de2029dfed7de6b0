//! A snapshot against the driver alone: the same bytes, the same number of flushes, in turn; and random reads by the driver, for
//! comparison with other systems. And how many blocks a snapshot costs in which little or nothing has changed.

use super::{Bench, distribution, metric, ratio};
use crate::{log, space};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use revenant_hal::{
    BlockIndex, Buffer, Clock, Disk, DiskOperation, DiskRequest, FrameIndex, PAGE_SIZE_U64,
    PageBytes, RequestTag,
};
use revenant_machine::attention;
use revenant_machine::clock::MachineClock;
use revenant_machine::frames::FramePool;
use revenant_machine::object_memory::store;
use revenant_machine::virtio::{DiskOpenError, VirtioDisk};

/// Request sizes in blocks (64 KiB to 1 MiB) and depths that are tried.
const SIZES: [u64; 3] = [16, 64, 254];
const DEPTHS: [usize; 3] = [1, 8, 32];
/// Random reads of a block each, for each number of them in flight, from so many blocks (512 MiB, as in tests/linux_probe).
const READS: u64 = 4000;
const READ_DEPTHS: [usize; 2] = [1, 16];
const READ_BLOCKS: u64 = 1 << 17;
/// Flushes of a commit.
const FLUSHES: u32 = 2;
/// Snapshots with one page changed: enough that those which delete others, or come upon another bitmap, are the exception.
const BLOCKS_ROUNDS: usize = 25;
/// Snapshots that are not counted: the store reads the first two of a session back from the disk before it trusts it.
const READ_BACK: u64 = 2;

/// The second disk and the shape of requests in which it is fastest.
pub(super) struct Raw {
    disk: VirtioDisk,
    size: u64,
    depth: usize,
}

/// Writes `pages` blocks to the second disk in every shape and takes the best. None without a second disk. The disk must be
/// empty or one of `test=virtio`.
pub(super) fn choose_shape(
    frames: &FramePool,
    clock: MachineClock,
    pages: u64,
) -> Result<Option<Raw>, String> {
    let mut disk = match VirtioDisk::open(1, frames) {
        Ok(disk) => disk,
        Err(DiskOpenError::NotFound) => return Ok(None),
        Err(error) => return Err(format!("{error}")),
    };
    crate::scenario::virtio::claim(&mut disk)?;
    let geometry = disk.geometry();
    if geometry.blocks <= pages {
        return Err(format!("the second disk does not have {pages} blocks"));
    }
    let mut best = (u64::MAX, 0, 0);
    for size in SIZES {
        for depth in DEPTHS {
            let size = size.min(geometry.blocks_per_request as u64);
            let spent = write_all(&mut disk, clock, pages, (size, depth))?;
            log!("raw blocks={size} depth={depth} kib_per_s={}", rate(pages, spent));
            best = best.min((spent, size, depth));
        }
    }
    let (_, size, depth) = best;
    Ok(Some(Raw { disk, size, depth }))
}

/// KiB a second.
fn rate(pages: u64, nanoseconds: u64) -> u64 {
    let bytes = u128::from(pages * PAGE_SIZE_U64) * 1_000_000_000;
    u64::try_from(bytes / 1024 / u128::from(nanoseconds.max(1))).unwrap_or(u64::MAX)
}

/// Writes so many blocks and flushes; nanoseconds.
fn write_all(
    disk: &mut VirtioDisk,
    clock: MachineClock,
    pages: u64,
    (size, depth): (u64, usize),
) -> Result<u64, String> {
    let start = clock.monotonic();
    let mut next = 0;
    while next < pages || disk.in_flight() > 0 {
        if next < pages && disk.in_flight() < depth {
            let count = size.min(pages - next);
            let request = DiskRequest {
                tag: RequestTag(3 << 56),
                operation: DiskOperation::Write,
                block: BlockIndex(next + 1),
                buffers: (0..count).map(|_| Buffer::Frame(FrameIndex(0))).collect(),
            };
            disk.submit(request).map_err(|_| String::from("the queue is full"))?;
            next += count;
            continue;
        }
        wait(disk)?;
    }
    for _ in 0..FLUSHES {
        let request = DiskRequest {
            tag: RequestTag(3 << 56),
            operation: DiskOperation::Flush,
            block: BlockIndex(0),
            buffers: Vec::new(),
        };
        disk.submit(request).map_err(|_| String::from("the queue is full"))?;
        wait(disk)?;
    }
    Ok(clock.monotonic().get() - start.get())
}

/// Reads single blocks in a random order, so many in flight; nanoseconds.
fn read_randomly(disk: &mut VirtioDisk, clock: MachineClock, depth: usize) -> Result<u64, String> {
    let start = clock.monotonic();
    let blocks = READ_BLOCKS.min(disk.geometry().blocks);
    let (mut submitted, mut random) = (0, 88_172_645_463_325_252_u64);
    while submitted < READS || disk.in_flight() > 0 {
        if submitted < READS && disk.in_flight() < depth {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let request = DiskRequest {
                tag: RequestTag(3 << 56),
                operation: DiskOperation::Read,
                block: BlockIndex(random % blocks),
                buffers: alloc::vec![Buffer::Owned(Box::new(PageBytes::ZERO))],
            };
            disk.submit(request).map_err(|_| String::from("the queue is full"))?;
            submitted += 1;
            continue;
        }
        wait(disk)?;
    }
    Ok(clock.monotonic().get() - start.get())
}

fn wait(disk: &mut VirtioDisk) -> Result<(), String> {
    loop {
        attention::take();
        match disk.poll() {
            Some(completion) => return completion.result.map_err(|error| format!("{error}")),
            None => attention::wait(),
        }
    }
}

/// `bench=bandwidth`: snapshots of `pages` dirty pages while no program runs, and as many bytes by the driver alone, in turn.
pub(super) fn run(bench: &mut Bench, mut raw: Option<Raw>) -> Result<(), String> {
    let (mut snapshots, mut writes, mut read_back) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds.min(10) + READ_BACK {
        bench.dirty(bench.pages);
        let snapshot = bench.snapshot(|_| ());
        let times = if round < READ_BACK { &mut read_back } else { &mut snapshots };
        times.push(snapshot.durable_after.map_or(u64::MAX, |after| after.get()));
        if let Some(Raw { disk, size, depth }) = &mut raw
            && round >= READ_BACK
        {
            writes.push(write_all(disk, bench.clock, bench.pages, (*size, *depth))?);
        }
    }
    distribution("snapshot_latency.read_back", &mut read_back, "ns");
    let best = snapshots.iter().copied().min().unwrap_or(u64::MAX);
    let (median, _) = distribution("snapshot_latency", &mut snapshots, "ns");
    metric("snapshot_write_bandwidth", rate(bench.pages, median), "KiB/s");
    if let Some(Raw { disk, .. }) = &mut raw {
        for depth in READ_DEPTHS {
            let spent = read_randomly(disk, bench.clock, depth)?;
            let name = format!("raw_read_depth_{depth}");
            metric(&name, READS * 1_000_000_000 / spent.max(1), "reads/s");
        }
        let best_raw = writes.iter().copied().min().unwrap_or(u64::MAX);
        let (median_raw, _) = distribution("raw_write", &mut writes, "ns");
        metric("raw_write_bandwidth", rate(bench.pages, median_raw), "KiB/s");
        ratio("snapshot_bandwidth", median_raw, median);
        ratio("snapshot_bandwidth.best", best_raw, best);
    }
    Ok(())
}

/// `bench=blocks`: with `pages` pages stored, what an idle snapshot writes, and one with a single page changed.
pub(super) fn blocks(bench: &mut Bench) -> Result<(), String> {
    bench.dirty(bench.pages);
    bench.snapshot(|_| ());
    for _ in 0..3 {
        bench.snapshot(|_| ()); // what the large one left behind is gone
    }
    let mut idle = Vec::new();
    let mut one = Vec::new();
    for round in 0..BLOCKS_ROUNDS as u64 {
        bench.snapshot(|_| ());
        idle.push(bench.event_loop.snapshots.last_blocks);
        let number = bench.pages / 2 + round;
        bench.event_loop.attempt(|_, _| store(super::word(number), round + 1));
        bench.snapshot(|_| ());
        one.push(bench.event_loop.snapshots.last_blocks);
    }
    let (idle, _) = distribution("idle_snapshot_blocks", &mut idle, "blocks");
    let (one, _) = distribution("one_page_snapshot_blocks", &mut one, "blocks");
    metric("snapshot_one_page_blocks", one.saturating_sub(idle), "blocks");
    metric("resident_pages", space::with(|space| space.statistics().faults_zero_fill), "pages");
    Ok(())
}
