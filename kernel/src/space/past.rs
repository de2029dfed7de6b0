//! Programs' use of snapshots: which there are, and bytes of their pages, from frames of their own beside the page cache.
//!
//! A snapshot is looked for at every read: it may be deleted at any time. What was read of it before is not used any more then.

use super::ObjectSpace;
use alloc::vec::Vec;
use revenant_hal::{Epoch, FrameIndex, FrameMemory, Nanoseconds, ObjectAddress, PAGE_SIZE_U64};
use revenant_machine::attention;
use revenant_pager::past::{Look, PastContent, PastPages};
use revenant_store::{DamagedBlock, PageContent, Snapshot};
use revenant_vm::PastRead;

/// Frames set aside, where memory is a hundred times as large at least.
const FRAMES: u32 = 32;

/// So many of this many frames are for snapshots: the last ones.
pub(super) fn share(frames: u32) -> u32 {
    FRAMES.min(frames / 100)
}

/// What is kept of the past, with these frames.
pub(super) fn pages(frames: core::ops::Range<u32>) -> PastPages {
    let frames: Vec<FrameIndex> = frames.map(FrameIndex).collect();
    PastPages::new(frames.into_iter())
}

impl ObjectSpace {
    /// The newest snapshot before an epoch that its owner has not deleted.
    pub(crate) fn snapshot_before(&self, epoch: Epoch) -> Option<(Epoch, Nanoseconds)> {
        let kept = |snapshot: &&Snapshot| !snapshot.hidden && snapshot.epoch < epoch;
        let found = self.store.snapshots().entries().iter().rev().find(kept)?;
        Some((found.epoch, found.wall_time))
    }

    /// Copies bytes of a page of a snapshot, or has the page read.
    pub(crate) fn read_past(
        &mut self,
        epoch: Epoch,
        from: ObjectAddress,
        into: &mut [u8],
    ) -> PastRead {
        let kept = self.store.snapshots().get(epoch).is_some_and(|snapshot| !snapshot.hidden);
        if !kept {
            return PastRead::NoSnapshot;
        }
        match self.past.look(epoch, from.page()) {
            Look::Waits => PastRead::Waits,
            Look::Damaged => PastRead::Damaged,
            Look::Zero => {
                into.fill(0);
                PastRead::Read
            }
            Look::Here(frame) => {
                let start = usize::try_from(from.0 % PAGE_SIZE_U64).unwrap_or(0);
                let bytes = self.frames.bytes(frame).0.get(start..start + into.len());
                bytes.map_or(PastRead::Damaged, |bytes| {
                    into.copy_from_slice(bytes);
                    PastRead::Read
                })
            }
            Look::Read(frame) => {
                if self.store.read_snapshot_page(epoch, from.page(), frame).is_err() {
                    self.past.forget(frame);
                    return PastRead::NoSnapshot;
                }
                attention::raise(); // the disk is asked before the loop may rest
                PastRead::Waits
            }
        }
    }

    /// Takes the end of a read into one of the past's frames; whether it is one.
    pub(super) fn takes_past(
        &mut self,
        frame: FrameIndex,
        result: Result<PageContent, DamagedBlock>,
    ) -> bool {
        let content = match result {
            Ok(PageContent::Stored) => PastContent::Stored,
            Ok(PageContent::Zero) => PastContent::Zero,
            Err(_) => PastContent::Damaged,
        };
        self.past.arrived(frame, content)
    }
}
