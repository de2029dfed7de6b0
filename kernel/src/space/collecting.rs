//! The collector's use of store, disk and frames.

use super::ObjectSpace;
use crate::collection::Collector;
use revenant_collector::{
    MarkOutcome, MarkRefusal, MarkStatistics, Recovered, RegionError, Survivors,
};
use revenant_hal::{Epoch, PageIndex};
use revenant_pager::{FaultOutcome, Impossible, Memory};

/// What became of [`ObjectSpace::rewrite`].
pub(crate) enum Rewrite {
    /// The page goes into the snapshot of this epoch.
    Done(Epoch),
    /// It is not here yet, or there is no room for it.
    Waits,
    /// It cannot be read.
    Impossible(Impossible),
}

impl ObjectSpace {
    /// Has a page written with the next snapshot as if a program had stored to it: to another block than it stands in now.
    pub(crate) fn rewrite(&mut self, page: PageIndex) -> Rewrite {
        let mut memory = Memory { mmu: &mut self.tables, frames: &mut self.frames };
        match self.pager.fault(page, true, &mut memory, &mut self.store) {
            FaultOutcome::Served(_) => Rewrite::Done(self.pager.epoch()),
            FaultOutcome::Wait(_) => Rewrite::Waits,
            FaultOutcome::Impossible(reason) => {
                // Whoever needs it tries for himself: a device that fails may work again.
                self.pager.retry_damaged_page(page);
                Rewrite::Impossible(reason)
            }
        }
    }

    /// The snapshot that the newest superblock pins for the collector.
    pub(crate) fn collector_pin(&self) -> Option<Epoch> {
        self.store.superblock().collector_pin.map(|pin| pin.epoch)
    }

    /// Pins a snapshot for the collector with the next commit, or none; whether there is such a snapshot.
    pub(crate) fn pin_for_collector(&mut self, epoch: Option<Epoch>) -> bool {
        self.store.set_collector_pin(epoch).is_ok()
    }

    /// The newest snapshot that no cut can lose.
    pub(crate) fn durable_epoch(&self) -> Epoch {
        self.store.durable_epoch()
    }

    /// Begins the mark of the snapshot that is pinned, or takes it up again.
    pub(crate) fn begin_mark(&mut self) -> Result<(), MarkRefusal> {
        self.collector.begin(self.store.superblock())
    }

    /// Goes on with the mark, a bounded piece.
    pub(crate) fn step_mark(&mut self) -> MarkOutcome {
        let Some(mark) = self.collector.mark() else {
            return MarkOutcome::Refused(MarkRefusal::NotPinned);
        };
        match mark.step(&mut self.store, &mut self.disk, &self.frames) {
            // Its frames are used again, and an outcome is final.
            outcome if outcome != MarkOutcome::Again && mark.is_reading() => MarkOutcome::Waiting,
            outcome => outcome,
        }
    }

    /// Has the mark go on without the page that it could not read; whether it can.
    pub(crate) fn do_without_page(&mut self, known: bool) -> bool {
        self.collector.mark().is_some_and(|mark| mark.tolerate(known))
    }

    /// What a complete mark did without.
    pub(crate) fn recovered_by_mark(&mut self) -> Option<Recovered> {
        self.collector.mark().and_then(|mark| mark.recovered())
    }

    /// Turns a complete mark into its verdict; the mark's figures and what it found alive, if it still counts.
    pub(crate) fn conclude_mark(&mut self) -> Option<(MarkStatistics, Option<Survivors>)> {
        let mark = self.collector.mark()?;
        let figures = (mark.statistics(), mark.survivors());
        self.collector.conclude(self.store.superblock()).then_some(figures)
    }

    /// Goes on with what was asked of the verdict; whether the disk has to answer first.
    pub(crate) fn step_verdict(&mut self) -> Result<bool, RegionError> {
        match self.collector.verdict() {
            Some(verdict) => verdict.step(&mut self.disk),
            None => Ok(false),
        }
    }

    /// Lets go of mark and verdict; whether the disk has answered all that they asked.
    pub(crate) fn release_collector(&mut self) -> bool {
        self.collector.release(&mut self.disk)
    }

    pub(crate) fn collector(&mut self) -> &mut Collector {
        &mut self.collector
    }
}
