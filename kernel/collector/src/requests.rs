//! Requests of the collector on their way to the disk.
//!
//! Invariant: a request is either waiting here or in the device; tags carry the collector's number in their top byte.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use revenant_hal::{
    BlockIndex, Buffer, Disk, DiskCompletion, DiskError, DiskOperation, DiskRequest, PageBytes,
    RequestTag,
};

/// The top byte of the collector's tags.
const OWNER: u64 = 4;
/// Requests in the device at most: programs come first.
const DEPTH: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Requests {
    waiting: VecDeque<DiskRequest>,
    in_flight: usize,
    next_tag: u64,
    arrived: Vec<(BlockIndex, Box<PageBytes>)>,
}

/// Whether a completion is the collector's.
pub(crate) fn owns(completion: &DiskCompletion) -> bool {
    completion.tag.0 >> 56 == OWNER
}

impl Requests {
    fn push(&mut self, operation: DiskOperation, block: BlockIndex, buffers: Vec<Buffer>) {
        self.next_tag = (self.next_tag + 1) & (u64::MAX >> 8);
        let tag = RequestTag(OWNER << 56 | self.next_tag);
        self.waiting.push_back(DiskRequest { tag, operation, block, buffers });
    }

    pub(crate) fn read(&mut self, block: BlockIndex) {
        let page = Buffer::Owned(Box::new(PageBytes::ZERO));
        self.push(DiskOperation::Read, block, Vec::from([page]));
    }

    pub(crate) fn write(&mut self, block: BlockIndex, pages: Vec<Box<PageBytes>>) {
        let buffers = pages.into_iter().map(Buffer::Owned).collect();
        self.push(DiskOperation::Write, block, buffers);
    }

    /// Whoever flushes has waited for all writes.
    pub(crate) fn flush(&mut self) {
        self.push(DiskOperation::Flush, BlockIndex(0), Vec::new());
    }

    /// Whether all is answered.
    pub(crate) fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
    }

    pub(crate) fn submit<D: Disk + ?Sized>(&mut self, disk: &mut D) {
        if self.waiting.is_empty() {
            return;
        }
        while self.in_flight < DEPTH {
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

    pub(crate) fn complete(&mut self, completion: DiskCompletion) -> Result<(), DiskError> {
        assert!(self.in_flight > 0, "a completion answers a request");
        self.in_flight -= 1;
        completion.result?;
        if completion.operation == DiskOperation::Read {
            for buffer in completion.buffers {
                if let Buffer::Owned(page) = buffer {
                    self.arrived.push((completion.block, page));
                }
            }
        }
        Ok(())
    }

    /// What reads have brought, in no order.
    pub(crate) fn take_arrived(&mut self) -> Vec<(BlockIndex, Box<PageBytes>)> {
        core::mem::take(&mut self.arrived)
    }
}
