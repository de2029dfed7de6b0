//! How a mark begins when the directory of blocks is known: with blank bitmaps, or where its last checkpoint left it.
//!
//! Invariant: nothing is taken up unless every bitmap page is what the checkpoint wrote, and the heap has the blocks that it was about.

use crate::api::PlantedMark;
use crate::error::{MarkRefusal, RegionError, Stop};
use crate::mark::{COMPLETE, CONFIRMING, Ended, MARKING, Mark, Phase, ROOTS, WEAK};
use crate::roots::Roots;

impl Mark {
    /// The number of bitmap pages is known: a new mark writes them blank, an old one has to be about the same blocks.
    pub(crate) fn directory_known(&mut self) -> Result<(), Ended> {
        let (small, large) = (self.directory.small(), self.directory.large());
        let pages = self.directory.pages();
        if u64::from(pages) > self.region.bitmap_pages() {
            return Err(Stop::Refused(MarkRefusal::TooManyBlocks).into());
        }
        let small_partitions = small.div_ceil(self.blocks_per_partition);
        let count = small_partitions + (pages - self.directory.small_pages());
        self.grey = alloc::vec![0; crate::bytes::index(count.into())];
        self.fresh = alloc::vec![true; self.grey.len()];
        match self.journal.control().filter(|_| !self.anew).cloned() {
            Some(control) if (control.small, control.large) == (small, large) => {
                self.durable_phase = control.phase;
                self.cursor = (control.cursor, control.cursor_slot);
                self.settled_cursor = self.cursor;
                self.partitions = control.partitions;
                self.settled_partitions = control.partitions;
                self.confirmed = control.confirmed;
                *self.survivors = control.survivors;
                self.recovery = control.recovery;
                self.taken_up = true;
                self.phase = Phase::Survey(0, 0);
            }
            Some(_) => return Err(Ended::Failed(RegionError::Damaged)),
            None => self.begin_anew(),
        }
        Ok(())
    }

    fn begin_anew(&mut self) {
        self.durable_phase = ROOTS;
        let control = self.control();
        self.journal.format(self.directory.pages(), control);
        self.phase = Phase::Format;
    }

    /// After a restart: every bitmap page is what the last checkpoint left, and where grey objects are.
    pub(crate) fn survey(&mut self, number: u32, sum: u64) -> Result<(), Ended> {
        if number < self.directory.pages() {
            let grey = crate::partition::has_grey(&mut self.journal, &self.directory, number)?;
            let (_, page_sum) = self.journal.page(number)?;
            if grey {
                let partition = self.partition_of_page(number);
                self.set_grey(partition);
            }
            self.phase = Phase::Survey(number + 1, sum.wrapping_add(page_sum));
            return Ok(());
        }
        let wanted = self.journal.control().map(|control| control.sum);
        if wanted != Some(sum) && self.planted != PlantedMark::ChecksumSkipped {
            return Err(Ended::Failed(RegionError::Damaged));
        }
        // It may have waited to be marked.
        if let Some(root) = self.recovery.root() {
            self.send(&[root]);
        }
        self.phase = match self.durable_phase {
            MARKING | WEAK => Phase::Marking,
            CONFIRMING => Phase::Confirm(self.confirmed),
            COMPLETE => Phase::Seal,
            _ => Phase::Roots(Roots::default()),
        };
        Ok(())
    }
}
