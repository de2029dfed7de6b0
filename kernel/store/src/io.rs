//! Requests on their way to the disk: tags, the queue's depth, and what was written.
//!
//! Invariant: a request is either waiting here or in the device, never both; a tag is used once. The owner keeps what
//! each request is for, by tag.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use revenant_hal::{
    BlockIndex, Buffer, Disk, DiskGeometry, DiskOperation, DiskRequest, PageBytes, RequestTag,
};

/// Lists of buffers that are kept, and the longest of them.
pub(crate) const SPARE_LISTS: usize = 64;
pub(crate) const SPARE_BUFFERS: usize = 8;

#[derive(Debug)]
pub(crate) struct Io {
    waiting: VecDeque<DiskRequest>,
    in_flight: usize,
    depth: usize,
    per_request: usize,
    next_tag: u64,
    /// Lists of buffers that came back empty, for the next requests of one block or a few.
    spare: Vec<Vec<Buffer>>,
    pub(crate) blocks_written: u64,
    pub(crate) blocks_read: u64,
}

impl Io {
    pub(crate) fn new(geometry: &DiskGeometry, depth: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: 0,
            depth: geometry.queue_depth.min(depth).max(1),
            per_request: geometry.blocks_per_request.max(1),
            next_tag: 0,
            spare: Vec::new(),
            blocks_written: 0,
            blocks_read: 0,
        }
    }

    /// Buffers that one request may carry.
    pub(crate) const fn per_request(&self) -> usize {
        self.per_request
    }

    /// Requests that the device could take now beyond those waiting.
    pub(crate) fn room(&self) -> usize {
        self.depth.saturating_sub(self.in_flight + self.waiting.len())
    }

    /// Requests that the device is kept busy with.
    pub(crate) const fn depth(&self) -> usize {
        self.depth
    }

    /// The tag that the next request will have; those before it have lower ones.
    pub(crate) const fn next_tag(&self) -> u64 {
        self.next_tag
    }

    /// Whether nothing is waiting or in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }

    /// Queues a request and names it.
    pub(crate) fn push(
        &mut self,
        operation: DiskOperation,
        block: BlockIndex,
        buffers: Vec<Buffer>,
    ) -> u64 {
        let tag = self.next_tag;
        self.next_tag = (tag + 1) & (u64::MAX >> 8);
        match operation {
            DiskOperation::Read => self.blocks_read += buffers.len() as u64,
            DiskOperation::Write => self.blocks_written += buffers.len() as u64,
            DiskOperation::Flush | DiskOperation::Discard { .. } => {}
        }
        self.waiting.push_back(DiskRequest { tag: RequestTag(tag), operation, block, buffers });
        tag
    }

    /// An empty list of buffers.
    pub(crate) fn buffers(&mut self) -> Vec<Buffer> {
        self.spare.pop().unwrap_or_default()
    }

    /// A list of buffers that is not used any more.
    pub(crate) fn give_back(&mut self, mut buffers: Vec<Buffer>) {
        if buffers.capacity() <= SPARE_BUFFERS && self.spare.len() < SPARE_LISTS {
            buffers.clear();
            self.spare.push(buffers);
        }
    }

    /// Queues a read into memory of its own.
    pub(crate) fn read(&mut self, block: BlockIndex, blocks: usize) -> u64 {
        let buffers = (0..blocks).map(|_| Buffer::Owned(Box::new(PageBytes::ZERO))).collect();
        self.push(DiskOperation::Read, block, buffers)
    }

    /// Queues a write of owned blocks.
    pub(crate) fn write(&mut self, block: BlockIndex, pages: Vec<Box<PageBytes>>) -> u64 {
        self.push(DiskOperation::Write, block, pages.into_iter().map(Buffer::Owned).collect())
    }

    /// Queues a flush. The caller waits for all its writes first.
    pub(crate) fn flush(&mut self) -> u64 {
        self.push(DiskOperation::Flush, BlockIndex(0), Vec::new())
    }

    /// Hands requests to the device until it takes no more.
    pub(crate) fn submit<D: Disk + ?Sized>(&mut self, disk: &mut D) {
        while self.in_flight < self.depth {
            let Some(request) = self.waiting.pop_front() else { break };
            match disk.submit(request) {
                Ok(()) => self.in_flight += 1,
                Err(request) => {
                    self.waiting.push_front(request);
                    break;
                }
            }
        }
        disk.start();
    }

    /// A completion came in.
    pub(crate) fn completed(&mut self) {
        assert!(self.in_flight > 0, "a completion answers a request");
        self.in_flight -= 1;
    }

    /// Drops a request if the device has not been given it; whether it was so.
    pub(crate) fn cancel(&mut self, tag: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|request| request.tag.0 != tag);
        self.waiting.len() < before
    }

    /// Drops those writes that the device has not been given; returns the tags.
    pub(crate) fn cancel_waiting_writes(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        let (writes, others): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.waiting).into_iter().partition(|request| {
                request.operation == DiskOperation::Write && wanted(request.tag.0)
            });
        self.waiting = others;
        writes.into_iter().map(|request| request.tag.0).collect()
    }
}

/// The memory that came back with a completion, owned blocks only.
pub(crate) fn owned(buffers: Vec<Buffer>) -> Vec<Box<PageBytes>> {
    buffers
        .into_iter()
        .filter_map(|buffer| match buffer {
            Buffer::Owned(page) => Some(page),
            Buffer::Frame(_) => None,
        })
        .collect()
}
