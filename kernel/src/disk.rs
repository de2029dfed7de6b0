//! Finding and opening the disk: which device, which state of it, and what is said when it cannot be used.
//!
//! A disk that is refused is never written to. A resume counts as failed only if the kernel that made it recorded a
//! fault; a bare power cut never does.

use crate::{detail, log, space};
use alloc::format;
use alloc::string::String;
use revenant_hal::{Disk, Epoch, Generation, PAGE_SIZE};
use revenant_machine::command_line::{GoBack, Options};
use revenant_machine::frames::FramePool;
use revenant_machine::virtio::VirtioDisk;
use revenant_machine::{cpu, heap};
use revenant_store::{
    Access, OpenFrom, OpenReport, OpenRequest, RetentionOverride, SessionId, Store, StoreOptions,
};

/// Requests that the store keeps in flight at most, whatever the device allows: each takes kernel heap.
const MOST_REQUESTS: usize = 256;
/// Nodes of the page map that stand on the disk too may take this share of the kernel's heap, or more where little of it is
/// for anybody else: page-ins at random read each node that is missing besides their page.
const CACHE_SHARE: usize = 4;
/// And then at most this share of memory, of which page tables may take a twelfth: an eighth together.
const CACHE_SHARE_OF_MEMORY: usize = 24;
/// What the heap has beyond its fixed part is for the frames, half of it at most: 132 bytes for each in 256.
const FRAMES_SHARE: usize = 2;
/// For requests and everything else.
const REST_BYTES: usize = 2 << 20;
/// Nodes that dirty pages change may take this share. What is left beside the two is for what grows with the frames (32
/// bytes a frame of the pager's table, 100 for a page of a snapshot in the making) and for requests.
const CHANGED_SHARE: usize = 6;
/// Pages that may be written before their flip may take this share, with their part in the commit.
const EARLY_SHARE: usize = 16;
const EARLY_PAGE_BYTES: usize = 220;
/// A node with what goes around it.
pub(crate) const NODE_BYTES: usize = PAGE_SIZE + 256;
/// Snapshots beyond retention are deleted so many at a time: each bitmap in which they free something is written once.
const DELETED_TOGETHER: u32 = 5;
/// The allocator's bitmaps, which come out of what is left for the frames.
const BITMAPS_SHARE: usize = 6;

/// The first virtio disk.
pub(crate) fn find(frames: &FramePool) -> Result<VirtioDisk, String> {
    let disk = VirtioDisk::open(0, frames).map_err(|error| format!("{error}"))?;
    let geometry = disk.geometry();
    detail!(
        "disk device={} blocks={} depth={} blocks_per_request={} flush={} discard={} read_only={}",
        disk.device(),
        geometry.blocks,
        geometry.queue_depth,
        geometry.blocks_per_request,
        u8::from(geometry.flush),
        geometry.discard.map_or(0, |limits| limits.blocks),
        u8::from(geometry.read_only)
    );
    Ok(disk)
}

/// Opens the store and prints what was found, the last words of a kernel that failed among it.
pub(crate) fn open(
    disk: &mut VirtioDisk,
    options: &Options,
    vm_abi: u32,
) -> Result<(Store, OpenReport), String> {
    let from = match (options.rollback, options.generation) {
        (Some(GoBack { to, restore_generation }), _) => {
            OpenFrom::Rollback { epoch: Epoch(to), restore_generation }
        }
        (None, Some(GoBack { to, restore_generation })) => OpenFrom::Generation {
            generation: Generation(to),
            restore_generation: Some(restore_generation),
        },
        (None, None) => OpenFrom::Newest,
    };
    let (store, report) = open_from(disk, options, vm_abi, from)?;
    let Some(epitaph) = &report.epitaph else { return Ok((store, report)) };
    for line in epitaph.text.lines() {
        log!("epitaph resumed={} epoch={} {line}", epitaph.resumed, epitaph.epoch);
    }
    let wish = epitaph.step_back(report.epoch, options.patience);
    let Some(back) = wish.filter(|_| from == OpenFrom::Newest) else { return Ok((store, report)) };
    match back {
        OpenFrom::StepBackBefore { first } => log!(
            "step_back failures={} first={first} the kernels that resumed this state failed, one after the other",
            epitaph.failures.count
        ),
        _ => {
            log!("step_back failed={} the kernel that resumed this snapshot failed", report.epoch)
        }
    }
    match open_from(disk, options, vm_abi, back) {
        Ok(opened) => Ok(opened),
        Err(reason) => {
            log!("step_back impossible: {reason}");
            open_from(disk, options, vm_abi, OpenFrom::Newest)
        }
    }
}

/// Bytes of a heap of so many that nodes standing on the disk too may take.
fn cache_bytes(heap: usize) -> usize {
    let by_memory = heap.saturating_sub(heap::FIXED_BYTES);
    let others =
        heap / CHANGED_SHARE + heap / BITMAPS_SHARE + by_memory / FRAMES_SHARE + REST_BYTES;
    let memory = by_memory * heap::FRACTION;
    (heap / CACHE_SHARE).max(heap.saturating_sub(others).min(memory / CACHE_SHARE_OF_MEMORY))
}

fn open_from(
    disk: &mut VirtioDisk,
    options: &Options,
    vm_abi: u32,
    from: OpenFrom,
) -> Result<(Store, OpenReport), String> {
    let depth = disk.geometry().queue_depth.min(MOST_REQUESTS);
    let request = OpenRequest {
        session: SessionId(u128::from(cpu::random()) << 64 | u128::from(cpu::random()) | 1),
        vm_abi,
        access: Access::ReadWrite,
        from,
        options: StoreOptions {
            retention: RetentionOverride {
                last: options.retain,
                hourly: options.retain_hourly,
                daily: options.retain_daily,
            },
            deleted_together: DELETED_TOGETHER,
            queue_depth: depth,
            cached_nodes: cache_bytes(heap::size_bytes()) / NODE_BYTES,
            changed_nodes: heap::size_bytes() / CHANGED_SHARE / NODE_BYTES,
            early_pages: heap::size_bytes() / EARLY_SHARE / EARLY_PAGE_BYTES,
            memory: (heap::size_bytes() / BITMAPS_SHARE) as u64,
            ..StoreOptions::default()
        },
    };
    let (store, report) = space::open(disk, request).map_err(|refusal| format!("{refusal}"))?;
    for generation in &report.damaged {
        log!("damaged generation={generation}: its root could not be read");
    }
    detail!(
        "opened generation={} epoch={} branch={} restore_generation={} restored={} tombstones={} blocks_read={}",
        report.generation,
        report.epoch,
        report.branch.0,
        report.restore_generation,
        u8::from(report.restored),
        report.tombstones,
        report.blocks_read
    );
    let kept = store.retention().overridden(request.options.retention);
    detail!("retention last={} hourly={} daily={}", kept.last.max(1), kept.hourly, kept.daily);
    Ok((store, report))
}
