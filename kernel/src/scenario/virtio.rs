//! `test=virtio`: the disk driver against a scratch disk. Destroys what is on it; refuses a disk that holds anything else.
//!
//! Extents of pseudo-random length, out of frames and out of the heap, are written with the queue kept full, flushed,
//! read back in other lengths and compared; then what a driver must refuse is refused.

use super::Machine;
use crate::log;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use revenant_hal::{
    BlockIndex, Buffer, Clock, Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation,
    DiskRequest, FrameIndex, FrameMemory, PageBytes, RequestTag,
};
use revenant_machine::attention;
use revenant_machine::exit::ExitCode;
use revenant_machine::virtio::VirtioDisk;

/// The first bytes of a disk that this test may write to.
const MARK: &[u8; 16] = b"revenant scratch";
/// Blocks in flight, so that their pages fit in the kernel's heap.
const MOST_OUTSTANDING: u64 = 3000;

/// Runs the test with `pages` blocks.
pub(super) fn run(mut machine: Machine) -> Result<ExitCode, String> {
    let mut disk = VirtioDisk::open(0, &machine.frames).map_err(|error| format!("{error}"))?;
    let geometry = disk.geometry();
    log!("disk device={} {geometry:?}", disk.device());
    claim(&mut disk)?;
    let blocks = machine.options.pages.min(geometry.blocks - 1);
    let start = machine.clock.monotonic();
    transfer(&mut disk, &mut machine, blocks, DiskOperation::Write)?;
    let written = machine.clock.monotonic();
    transfer(&mut disk, &mut machine, blocks, DiskOperation::Read)?;
    let read = machine.clock.monotonic();
    log!(
        "virtio blocks={blocks} write_us={} read_us={}",
        (written.get() - start.get()) / 1000,
        (read.get() - written.get()) / 1000
    );
    refusals(&mut disk, geometry.blocks)?;
    discards(&mut disk, geometry)?;
    Ok(ExitCode::Success)
}

/// Makes sure that the disk is empty or ours, and marks it.
pub(super) fn claim(disk: &mut VirtioDisk) -> Result<(), String> {
    let page = Box::new(PageBytes::ZERO);
    let completion =
        submit_and_wait(disk, request(DiskOperation::Read, 0, alloc::vec![Buffer::Owned(page)]));
    completion.result.map_err(|error| format!("block 0 cannot be read: {error}"))?;
    let Some(Buffer::Owned(mut page)) = completion.buffers.into_iter().next() else {
        return Err(String::from("the buffer did not come back"));
    };
    if !page.0.starts_with(MARK) && page.0.iter().any(|byte| *byte != 0) {
        return Err(String::from("the disk holds something: this scenario takes an empty one"));
    }
    page.0[..MARK.len()].copy_from_slice(MARK);
    for operation in [DiskOperation::Write, DiskOperation::Flush] {
        let buffers = match operation {
            DiskOperation::Write => alloc::vec![Buffer::Owned(page.clone())],
            _ => Vec::new(),
        };
        let completion = submit_and_wait(disk, request(operation, 0, buffers));
        completion.result.map_err(|error| format!("{operation:?}: {error}"))?;
    }
    Ok(())
}

/// Writes a pattern to blocks 1 to `blocks`, or reads it back and compares.
fn transfer(
    disk: &mut VirtioDisk,
    machine: &mut Machine,
    blocks: u64,
    operation: DiskOperation,
) -> Result<(), String> {
    let longest = disk.geometry().blocks_per_request as u64;
    let mut random = 0x9e37_79b9_7f4a_7c15u64 ^ u64::from(operation == DiskOperation::Write);
    let mut free_frames: Vec<FrameIndex> = (0..2048).map(FrameIndex).collect();
    let mut next = 1;
    let mut in_flight = 0u64;
    let mut outstanding = 0;
    let mut deepest = 0;
    let mut pending: Option<DiskRequest> = None;
    while next <= blocks || in_flight > 0 || pending.is_some() {
        if pending.is_none() && next <= blocks {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let bound = if random & 0x800 == 0 { longest } else { 8 };
            let count = (1 + random % bound).min(blocks + 1 - next);
            let buffers = (next..next + count)
                .map(|block| buffer(&mut free_frames, machine, block, operation, random))
                .collect();
            pending = Some(request(operation, next, buffers));
            next += count;
            outstanding += count;
        }
        if let Some(request) = pending.take() {
            match disk.submit(request) {
                Ok(()) => in_flight += 1,
                Err(request) => pending = Some(request),
            }
        }
        deepest = deepest.max(disk.in_flight());
        if pending.is_none() && next <= blocks && outstanding < MOST_OUTSTANDING {
            continue;
        }
        in_flight -= 1;
        let completion = wait(disk);
        completion
            .result
            .map_err(|error| format!("{:?} {}: {error}", operation, completion.block))?;
        outstanding -= completion.buffers.len() as u64;
        check(completion, machine, &mut free_frames, operation)?;
    }
    log!("virtio operation={operation:?} deepest={deepest}");
    Ok(())
}

/// The first bytes of a block in the pattern.
fn pattern(block: u64) -> [u8; 8] {
    block.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
}

fn fill(bytes: &mut PageBytes, block: u64) {
    for piece in bytes.0.chunks_exact_mut(8) {
        piece.copy_from_slice(&pattern(block));
    }
}

/// A frame or a page of the heap, with the pattern if it is to be written.
fn buffer(
    free: &mut Vec<FrameIndex>,
    machine: &mut Machine,
    block: u64,
    operation: DiskOperation,
    random: u64,
) -> Buffer {
    let write = operation == DiskOperation::Write;
    match free.pop() {
        Some(frame) if random & 0x1000 == 0 => {
            let bytes = machine.frames.bytes_mut(frame);
            if write {
                fill(bytes, block)
            } else {
                *bytes = PageBytes::ZERO
            }
            Buffer::Frame(frame)
        }
        taken => {
            free.extend(taken);
            let mut page = Box::new(PageBytes::ZERO);
            if write {
                fill(&mut page, block);
            }
            Buffer::Owned(page)
        }
    }
}

/// Compares what was read, and takes the frames back.
fn check(
    completion: DiskCompletion,
    machine: &Machine,
    free: &mut Vec<FrameIndex>,
    operation: DiskOperation,
) -> Result<(), String> {
    for (block, buffer) in (completion.block.get()..).zip(completion.buffers) {
        let bytes = match &buffer {
            Buffer::Frame(frame) => machine.frames.bytes(*frame),
            Buffer::Owned(page) => page,
        };
        let same = bytes.0.chunks_exact(8).all(|piece| piece == pattern(block));
        if operation == DiskOperation::Read && !same {
            return Err(format!("block {block} came back different"));
        }
        if let Buffer::Frame(frame) = buffer {
            free.push(frame);
        }
    }
    Ok(())
}

/// What must not succeed.
fn refusals(disk: &mut VirtioDisk, blocks: u64) -> Result<(), String> {
    let beyond = alloc::vec![Buffer::Frame(FrameIndex(0))];
    let completion = submit_and_wait(disk, request(DiskOperation::Read, blocks, beyond));
    if completion.result != Err(DiskError::OutOfRange) || completion.buffers.len() != 1 {
        return Err(format!("a read beyond the end: {:?}", completion.result));
    }
    let completion = submit_and_wait(disk, request(DiskOperation::Write, 1, Vec::new()));
    if completion.result != Err(DiskError::OutOfRange) {
        return Err(format!("a write of nothing: {:?}", completion.result));
    }
    Ok(())
}

/// What DISCARD must do, if it is offered, and must not. Block 1 keeps what it holds.
fn discards(disk: &mut VirtioDisk, geometry: DiskGeometry) -> Result<(), String> {
    let mut discard = |block, blocks| {
        let operation = DiskOperation::Discard { blocks };
        submit_and_wait(disk, request(operation, block, Vec::new())).result
    };
    let Some(limits) = geometry.discard else {
        let refused = discard(2, 1) == Err(DiskError::Unsupported);
        return refused.then_some(()).ok_or_else(|| String::from("a discard was not refused"));
    };
    let many = u32::try_from(geometry.blocks - 2).unwrap_or(u32::MAX).min(limits.blocks);
    for (block, blocks, expected) in [
        (2, many, Ok(())),
        (geometry.blocks - 1, 1, Ok(())),
        (2, 0, Err(DiskError::OutOfRange)),
        (geometry.blocks - 1, 2, Err(DiskError::OutOfRange)),
    ] {
        let result = discard(block, blocks);
        if result != expected {
            return Err(format!("a discard of {blocks} blocks at {block}: {result:?}"));
        }
    }
    let page = Buffer::Owned(Box::new(PageBytes::ZERO));
    let completion = submit_and_wait(disk, request(DiskOperation::Read, 1, alloc::vec![page]));
    match completion.buffers.first() {
        Some(Buffer::Owned(page)) if page.0.iter().any(|byte| *byte != 0) => Ok(()),
        _ => Err(String::from("the block before what was discarded is lost")),
    }
}

fn request(operation: DiskOperation, block: u64, buffers: Vec<Buffer>) -> DiskRequest {
    DiskRequest { tag: RequestTag(3 << 56 | block), operation, block: BlockIndex(block), buffers }
}

fn submit_and_wait(disk: &mut VirtioDisk, request: DiskRequest) -> DiskCompletion {
    let mut request = Some(request);
    loop {
        if let Some(waiting) = request.take()
            && let Err(refused) = disk.submit(waiting)
        {
            request = Some(refused);
        }
        if request.is_none() {
            return wait(disk);
        }
        attention::wait();
        attention::take();
    }
}

/// The next completion, however long it takes.
fn wait(disk: &mut VirtioDisk) -> DiskCompletion {
    loop {
        attention::take();
        if let Some(completion) = disk.poll() {
            return completion;
        }
        attention::wait();
    }
}
