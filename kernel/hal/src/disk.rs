//! The seam to block devices: asynchronous requests over whole blocks, completed in any order.
//!
//! Invariants every implementation keeps:
//! - a completion hands back exactly the buffers that its request brought, in their order;
//! - a write that completed without error is durable only after a FLUSH that was submitted after that completion has
//!   completed without error; before that, each of its sectors may survive a power cut as old, new, torn or garbage;
//! - requests in flight are not ordered among each other.

use crate::{BlockIndex, FrameIndex, PageBytes};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;

/// Names a request to its owner. The top byte belongs to the layer that submitted it (store 0, pager 1, epitaph 2, tools 3, collector 4),
/// so that one completion loop can hand completions out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestTag(pub u64);

/// One block's worth of memory that a device reads or writes.
///
/// A frame is named, not lent: its owner (the pager) keeps it unmapped or write-protected until the completion.
#[derive(Debug)]
pub enum Buffer {
    /// A frame of the pool.
    Frame(FrameIndex),
    /// Memory that travels with the request and comes back with the completion.
    Owned(Box<PageBytes>),
}

/// What a request does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskOperation {
    /// Fill the buffers from consecutive blocks.
    Read,
    /// Write the buffers to consecutive blocks.
    Write,
    /// Make every write completed so far durable. Has no buffers; its block is ignored.
    Flush,
    /// Nobody needs what so many blocks hold: until they are written again, reads may return anything. Has no buffers. A cut may
    /// leave any sector of them as after a write of anything that no flush covers.
    Discard {
        /// How many; at most [`DiscardLimits::blocks`].
        blocks: u32,
    },
}

/// A request: `buffers.len()` consecutive blocks from `block`.
#[derive(Debug)]
pub struct DiskRequest {
    /// Comes back in the completion.
    pub tag: RequestTag,
    /// What to do.
    pub operation: DiskOperation,
    /// The first block.
    pub block: BlockIndex,
    /// One buffer a block; at most [`DiskGeometry::blocks_per_request`].
    pub buffers: Vec<Buffer>,
}

impl DiskRequest {
    /// Blocks that the request is about.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        match self.operation {
            DiskOperation::Discard { blocks } => u64::from(blocks),
            _ => self.buffers.len() as u64,
        }
    }
}

/// The end of a request.
#[derive(Debug)]
pub struct DiskCompletion {
    /// The request's tag.
    pub tag: RequestTag,
    /// What the request asked for.
    pub operation: DiskOperation,
    /// The request's first block.
    pub block: BlockIndex,
    /// The request's buffers. After a failed read their content is undefined.
    pub buffers: Vec<Buffer>,
    /// How it went.
    pub result: Result<(), DiskError>,
}

/// Why a device refused a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskError {
    /// The device reported an I/O error.
    Failed,
    /// The device does not support the operation, or is read-only.
    Unsupported,
    /// The request reaches beyond the device or has too many buffers.
    OutOfRange,
}

impl fmt::Display for DiskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Failed => "the device reported an I/O error",
            Self::Unsupported => "the device does not support the operation",
            Self::OutOfRange => "the request reaches beyond the device",
        })
    }
}

/// What a device says about DISCARD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiscardLimits {
    /// Blocks that one request may name; not 0.
    pub blocks: u32,
    /// Places and numbers of blocks that are not multiples of this may be rounded inwards by the device; not 0.
    pub alignment: u32,
}

/// What a device is able to do; constant while it is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskGeometry {
    /// Whole blocks on the device.
    pub blocks: u64,
    /// Requests that may be in flight.
    pub queue_depth: usize,
    /// Buffers that one request may carry.
    pub blocks_per_request: usize,
    /// Writes are refused.
    pub read_only: bool,
    /// FLUSH is supported. A device without it is never written to.
    pub flush: bool,
    /// DISCARD is offered.
    pub discard: Option<DiscardLimits>,
}

/// A block device.
pub trait Disk {
    /// Size and abilities.
    fn geometry(&self) -> DiskGeometry;

    /// Starts a request. `Err` hands the request back when the queue is full: poll, then try again.
    ///
    /// # Errors
    /// The request itself, unchanged, when no more can be in flight. Every other failure is a completion.
    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest>;

    /// No more requests come for now: those submitted may begin. [`Disk::poll`] does the same; whoever submits and then waits
    /// without a poll calls this.
    fn start(&mut self) {}

    /// The next completion, if there is one. Never waits.
    fn poll(&mut self) -> Option<DiskCompletion>;
}
