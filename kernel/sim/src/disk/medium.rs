//! What is behind the device's connector: the durable image, the writes that no completed flush covers yet, and the log.
//!
//! Invariant: `visible` is the durable image with every begun write applied in order; it is what reads return.

use super::cut::{CutPolicy, settle};
use super::image::Image;
use revenant_hal::{BlockIndex, PageBytes};
use std::sync::Arc;

/// One event of a device's life, in the order in which its user could see them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogEntry {
    /// A block write, or the discard of a block, was submitted. From here on a cut may leave any of its sectors in any state.
    Write {
        /// The request that it belongs to.
        request: u64,
        /// Where it went.
        block: BlockIndex,
        /// What it brought, or the discard left; none if the device never took the data, or left the block as it was.
        page: Option<Arc<PageBytes>>,
    },
    /// The completion of a write was handed to the user.
    WriteCompleted {
        /// The request.
        request: u64,
    },
    /// A flush was submitted: it covers the writes completed so far.
    FlushSubmitted {
        /// The request.
        request: u64,
    },
    /// A flush completed without error.
    FlushCompleted {
        /// The request.
        request: u64,
    },
    /// A flush failed. What it should have covered is never covered by a later one.
    FlushFailed {
        /// The request.
        request: u64,
    },
}

/// A block write that is not known to be durable.
#[derive(Clone, Debug)]
struct Outstanding {
    request: u64,
    block: BlockIndex,
    page: Arc<PageBytes>,
    completed: bool,
    /// The latest flush that was submitted after the completion.
    covered_by: Vec<u64>,
    /// A flush that covered it failed; no later flush helps.
    lost: bool,
}

/// Durable image, outstanding writes.
#[derive(Clone, Debug)]
pub(super) struct Medium {
    durable: Image,
    visible: Image,
    outstanding: Vec<Outstanding>,
}

impl Medium {
    pub(super) fn new(image: Image) -> Self {
        Self { durable: image.clone(), visible: image, outstanding: Vec::new() }
    }

    pub(super) fn visible(&self) -> &Image {
        &self.visible
    }

    pub(super) fn durable(&self) -> &Image {
        &self.durable
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub(super) fn outstanding_blocks(&self) -> impl Iterator<Item = (u64, BlockIndex)> + '_ {
        self.outstanding.iter().map(|write| (write.request, write.block))
    }

    /// Rot: the durable and the visible content change alike.
    pub(super) fn damage(&mut self, block: BlockIndex, change: &dyn Fn(&mut [u8; 4096])) {
        self.durable.damage(block, change);
        self.visible.damage(block, change);
    }

    pub(super) fn begin(&mut self, request: u64, block: BlockIndex, page: Arc<PageBytes>) {
        self.visible.write(block, page.clone());
        let covered_by = Vec::new();
        let lost = false;
        let write = Outstanding { request, block, page, completed: false, covered_by, lost };
        self.outstanding.push(write);
    }

    pub(super) fn completed(&mut self, request: u64) {
        for write in self.outstanding.iter_mut().filter(|write| write.request == request) {
            write.completed = true;
        }
    }

    pub(super) fn flush_submitted(&mut self, flush: u64) {
        for write in self.outstanding.iter_mut().filter(|write| write.completed && !write.lost) {
            write.covered_by.push(flush);
        }
    }

    pub(super) fn flush_completed(&mut self, flush: u64) {
        let all = core::mem::take(&mut self.outstanding);
        for write in all {
            if write.covered_by.contains(&flush) && !write.lost {
                // What is durable now also settles every older write to the same block.
                self.outstanding.retain(|older| older.block != write.block);
                self.durable.write(write.block, write.page);
            } else {
                self.outstanding.push(write);
            }
        }
    }

    pub(super) fn flush_failed(&mut self, flush: u64, keeps: bool) {
        for write in &mut self.outstanding {
            if write.covered_by.contains(&flush) {
                write.covered_by.retain(|other| *other != flush);
                write.lost |= !keeps;
            }
        }
    }

    pub(super) fn cut(&self, policy: &mut dyn CutPolicy) -> Image {
        let mut image = self.durable.clone();
        for (index, write) in self.outstanding.iter().enumerate() {
            settle(&mut image, index, write.block, &write.page, policy);
        }
        image
    }

    pub(super) fn apply(&mut self, entry: &LogEntry, flush_failure_keeps: bool) {
        match entry {
            LogEntry::Write { request, block, page: Some(page) } => {
                self.begin(*request, *block, page.clone());
            }
            LogEntry::Write { page: None, .. } => {}
            LogEntry::WriteCompleted { request } => self.completed(*request),
            LogEntry::FlushSubmitted { request } => self.flush_submitted(*request),
            LogEntry::FlushCompleted { request } => self.flush_completed(*request),
            LogEntry::FlushFailed { request } => self.flush_failed(*request, flush_failure_keeps),
        }
    }
}
