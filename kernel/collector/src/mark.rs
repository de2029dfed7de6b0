//! The mark as a state machine: from an empty region, or from its last checkpoint, to a verdict.
//!
//! ```text
//!   recover -> directory -> format ---> roots -> marking <-> weak pairs -> confirm -> complete
//!                      \--> survey -----^--------^----------------^
//! ```
//!
//! Invariants: an operation that lacks something (a page, a bitmap page, room in the log) has changed nothing that it will not do again in the
//! same way; an object's scanned bit enters a bitmap page only when every mark that it caused has (`settle`); once a weak reference
//! was followed, whatever is marked is marked as reached so.

use crate::api::{MarkBudget, MarkOutcome, MarkStatistics, PlantedMark};
use crate::error::{MarkRefusal, RegionError, Stop, Unsound};
use crate::foreseen::Foreseen;
use crate::heap::{Directory, Place, Walk};
use crate::journal::Journal;
use crate::name::MarkName;
use crate::object::{Classes, Subject};
use crate::pages::{PageBuffer, Reader};
use crate::partition::Work;
use crate::recovery::Recovery;
use crate::region::{BLOCK_BYTES, Region};
use crate::requests;
use crate::roots::{self, Arena, Roots};
use crate::settling::ROOM;
use crate::survivors::Survivors;
use crate::verdict::Verdict;
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use revenant_hal::{Disk, DiskCompletion, FrameIndex, FrameMemory, PageIndex};
use revenant_store::{DamagedBlock, PageContent, Store, Superblock};

/// Operations of one step.
const OPERATIONS: u32 = 256;
/// Marks are entered before a partition is begun that has fewer grey objects than the references that wait, divided by this.
const WORTH: usize = 0;
/// Frames without which nothing can be done: an object lies on up to four pages, its class on two.
const LEAST_FRAMES: usize = 16;

/// Phases as the control block names them.
pub(crate) const ROOTS: u32 = 1;
pub(crate) const MARKING: u32 = 2;
pub(crate) const WEAK: u32 = 3;
pub(crate) const CONFIRMING: u32 = 4;
pub(crate) const COMPLETE: u32 = 5;

/// What is being done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    Recover,
    Directory(Walk),
    Format,
    Survey(u32, u64),
    Roots(Roots),
    Marking,
    /// From lost pages.
    Recovery,
    Pairs(Arena, bool),
    Confirm(u64),
    Seal,
    Complete,
}

/// A mark of the snapshot that is pinned for the collector.
#[derive(Debug)]
pub struct Mark {
    name: MarkName,
    pub(crate) region: Region,
    pub(crate) budget: MarkBudget,
    pub(crate) phase: Phase,
    /// The phase that a checkpoint names.
    pub(crate) durable_phase: u32,
    pub(crate) pages: PageBuffer,
    pub(crate) journal: Journal,
    pub(crate) directory: Directory,
    pub(crate) classes: Classes,
    pub(crate) foreseen: Foreseen,
    /// References whose marks wait, and whether they are in order.
    pub(crate) exchange: Vec<u64>,
    pub(crate) sorted: bool,
    /// Scanned bits that wait, by ordinal of the block; large objects likewise.
    pub(crate) scanned: BTreeMap<u32, Box<[u8; BLOCK_BYTES]>>,
    pub(crate) scanned_large: BTreeSet<u32>,
    /// Grey objects that each partition has at least, or a guess after a restart.
    pub(crate) grey: Vec<u32>,
    /// Partitions that were never worked on.
    pub(crate) fresh: Vec<bool>,
    pub(crate) blocks_per_partition: u32,
    work: Option<Work>,
    /// The large object being scanned: ordinal plus one, next slot; and as of the last settling.
    pub(crate) cursor: (u64, u64),
    pub(crate) settled_cursor: (u64, u64),
    pub(crate) partitions: u64,
    pub(crate) settled_partitions: u64,
    pub(crate) confirmed: u64,
    /// What lives in the blocks compared so far.
    pub(crate) survivors: Box<Survivors>,
    /// What was not to be had, and what follows from that.
    pub(crate) recovery: Recovery,
    pub(crate) torn: Option<(u64, u64)>,
    pub(crate) objects: u64,
    pub(crate) planted: PlantedMark,
    pub(crate) anew: bool,
    pub(crate) taken_up: bool,
    pub(crate) ended: Option<MarkOutcome>,
}

impl Mark {
    /// A mark of the snapshot that `superblock`, the durable one of an open store, pins for the collector: a new one, or the one in the region if
    /// it has this name. `frames` are the caller's until they are given here, and again when the mark is dropped and nothing is being
    /// read ([`Mark::is_reading`]).
    ///
    /// # Errors
    /// Nothing is pinned that may be marked; too little memory.
    pub fn new(
        superblock: &Superblock,
        budget: MarkBudget,
        frames: Vec<FrameIndex>,
    ) -> Result<Self, MarkRefusal> {
        Self::planted(superblock, budget, frames, PlantedMark::None)
    }

    /// [`Mark::new`] with a fault, for tests.
    ///
    /// # Errors
    /// As [`Mark::new`].
    #[doc(hidden)]
    pub fn planted(
        superblock: &Superblock,
        budget: MarkBudget,
        frames: Vec<FrameIndex>,
        planted: PlantedMark,
    ) -> Result<Self, MarkRefusal> {
        let name = MarkName::pinned(superblock).ok_or(MarkRefusal::NotPinned)?;
        if frames.len() < LEAST_FRAMES || budget.references() < 2 * ROOM {
            return Err(MarkRefusal::Budget);
        }
        let region = Region::new(superblock.layout);
        let mut pages = PageBuffer::new(name.epoch, frames);
        pages.read_error_is_hole = planted == PlantedMark::ReadErrorIsEmpty;
        // A partition of 1 to 4 MiB, less if it would not fit the frames.
        let fitting = u32::try_from(pages.frames() * 3 / 4 / 16).unwrap_or(64) / 4 * 4;
        Ok(Self {
            name,
            region,
            budget,
            phase: Phase::Recover,
            durable_phase: ROOTS,
            pages,
            journal: Journal::new(region, name.words(), budget.bitmap_pages(), planted),
            directory: Directory::default(),
            classes: Classes::default(),
            foreseen: Foreseen::new(budget.foreseen()),
            exchange: Vec::new(),
            sorted: true,
            scanned: BTreeMap::new(),
            scanned_large: BTreeSet::new(),
            grey: Vec::new(),
            fresh: Vec::new(),
            blocks_per_partition: fitting.clamp(4, 64),
            work: None,
            cursor: (0, 0),
            settled_cursor: (0, 0),
            partitions: 0,
            settled_partitions: 0,
            confirmed: 0,
            survivors: Box::default(),
            recovery: Recovery::default(),
            torn: None,
            objects: 0,
            planted,
            anew: false,
            taken_up: false,
            ended: None,
        })
    }

    /// Does not take up what the region has: after [`RegionError::Damaged`].
    #[must_use]
    pub fn anew(self) -> Self {
        Self { anew: true, ..self }
    }

    /// The mark's name.
    #[must_use]
    pub fn name(&self) -> MarkName {
        self.name
    }

    /// Figures.
    #[must_use]
    pub fn statistics(&self) -> MarkStatistics {
        MarkStatistics {
            pages_read: self.pages.reads,
            objects: self.objects,
            partitions: self.partitions,
            durable_partitions: self.journal.control().map_or(0, |control| control.partitions),
            checkpoints: self.journal.checkpoints,
            bitmap_pages: self.directory.pages().into(),
            taken_up: self.taken_up,
        }
    }

    /// What a complete mark has found alive; none of one that is not, or that was begun by a kernel which did not count.
    #[must_use]
    pub fn survivors(&self) -> Option<Survivors> {
        let all = self.directory.small().saturating_add(self.directory.large());
        let complete = matches!(self.ended, Some(MarkOutcome::Complete));
        (complete && self.survivors.blocks == all).then_some(*self.survivors)
    }

    /// Whether a completion of the disk belongs to a mark or its verdict.
    #[must_use]
    pub fn owns(completion: &DiskCompletion) -> bool {
        requests::owns(completion)
    }

    /// Takes a completion that is the collector's.
    pub fn complete(&mut self, completion: DiskCompletion) {
        self.journal.complete(completion);
    }

    /// Takes [`revenant_store::StoreEvent::PageRead`] for a frame that is the mark's.
    pub fn page_read(
        &mut self,
        page: PageIndex,
        frame: FrameIndex,
        result: Result<PageContent, DamagedBlock>,
    ) {
        self.pages.arrived(page, frame, result);
    }

    /// Whether the store still has some of the frames.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.pages.is_reading()
    }

    /// Lets go of it: nothing more is read but what is on its way. Whether the disk has answered all that it was asked.
    pub fn release<D: Disk + ?Sized>(&mut self, disk: &mut D) -> bool {
        self.pages.forget_wanted();
        self.journal.step(disk);
        let quiet = self.journal.failed().is_some() || !self.journal.is_busy();
        quiet && !self.journal.is_asking() && !self.pages.is_reading()
    }

    /// What a complete mark says; none of one that is not, or whose snapshot is no longer the one pinned.
    #[must_use]
    pub fn into_verdict(self, superblock: &Superblock) -> Option<Verdict> {
        let used = MarkName::pinned(superblock) == Some(self.name);
        let complete = matches!(self.ended, Some(MarkOutcome::Complete));
        (used && complete).then(|| Verdict::new(self.name, self.directory, self.journal))
    }

    /// Goes on: bounded work, never waits. After one of the outcomes that end a mark it has that outcome for good.
    pub fn step<D: Disk + ?Sized, F: FrameMemory + ?Sized>(
        &mut self,
        store: &mut Store,
        disk: &mut D,
        frames: &F,
    ) -> MarkOutcome {
        if let Some(ended) = self.ended {
            return ended;
        }
        for _ in 0..OPERATIONS {
            let outcome = self.operation(store, disk, frames);
            match outcome {
                MarkOutcome::Again => {}
                MarkOutcome::Waiting => return outcome,
                _ => {
                    self.pages.forget_wanted();
                    self.ended = Some(outcome);
                    return outcome;
                }
            }
        }
        MarkOutcome::Again
    }

    fn operation<D: Disk + ?Sized, F: FrameMemory + ?Sized>(
        &mut self,
        store: &mut Store,
        disk: &mut D,
        frames: &F,
    ) -> MarkOutcome {
        if let Some((page, damage)) = self.pages.damaged() {
            return MarkOutcome::Incomplete { page, damage };
        }
        self.journal.step(disk);
        if let Some(error) = self.journal.failed() {
            return MarkOutcome::Failed(error);
        }
        if self.journal.is_busy() {
            return MarkOutcome::Waiting;
        }
        let stopped = self.advance(store, frames);
        match stopped {
            Ok(()) if matches!(self.phase, Phase::Complete) => MarkOutcome::Complete,
            Ok(()) => MarkOutcome::Again,
            Err(Ended::Failed(error)) => MarkOutcome::Failed(error),
            Err(Ended::Stop(Stop::Unsound(what))) => MarkOutcome::Unsound(what),
            Err(Ended::Stop(Stop::Refused(why))) => MarkOutcome::Refused(why),
            Err(Ended::Stop(Stop::Lost(page))) => match self.pages.lost(page) {
                Some(damage) => MarkOutcome::Incomplete { page, damage },
                None => MarkOutcome::Again,
            },
            Err(Ended::Stop(Stop::Page(page))) => {
                self.pages.need(page);
                match self.pages.start(store) {
                    Ok(()) => MarkOutcome::Waiting,
                    Err(why) => MarkOutcome::Refused(why),
                }
            }
            Err(Ended::Stop(Stop::Bitmap(number))) => {
                self.journal.read(number);
                MarkOutcome::Again
            }
            Err(Ended::Stop(Stop::Full)) => {
                self.checkpoint();
                MarkOutcome::Again
            }
        }
    }

    fn advance<F: FrameMemory + ?Sized>(&mut self, store: &Store, frames: &F) -> Result<(), Ended> {
        match self.phase {
            Phase::Recover => self.phase = Phase::Directory(Walk::default()),
            Phase::Directory(mut walk) => {
                let mut reader = Reader { pages: &mut self.pages, frames };
                let done = walk.step(&mut reader, &mut self.directory)?;
                self.phase = Phase::Directory(walk);
                if done {
                    self.torn = Some(roots::torn(&mut reader)?);
                    if roots::is_swept(&mut reader)? {
                        return Err(Stop::Refused(MarkRefusal::SweepUnderWay).into());
                    }
                    self.directory_known()?;
                }
            }
            Phase::Format => self.phase = Phase::Roots(Roots::default()),
            Phase::Survey(number, sum) => self.survey(number, sum)?,
            Phase::Roots(roots) => self.roots(roots, frames)?,
            Phase::Marking => self.marking(frames)?,
            Phase::Recovery => self.recover(frames)?,
            Phase::Pairs(walk, found) => self.pairs(walk, found, frames)?,
            Phase::Confirm(next) => self.confirm(next, frames)?,
            Phase::Seal => {
                if MarkName::pinned(store.superblock()) != Some(self.name) {
                    return Err(Stop::Refused(MarkRefusal::NotPinned).into());
                }
                self.phase = Phase::Complete;
            }
            Phase::Complete => {}
        }
        Ok(())
    }

    pub(crate) fn set_grey(&mut self, partition: usize) {
        if let Some(grey) = self.grey.get_mut(partition) {
            *grey = grey.saturating_add(1);
        }
    }

    /// The partition of a bitmap page. Those of large objects come last, one for each of their pages.
    pub(crate) fn partition_of_page(&self, number: u32) -> usize {
        let first_large = self.directory.small_pages();
        let partition = if number < first_large {
            number * crate::region::BLOCKS_PER_PAGE / self.blocks_per_partition
        } else {
            self.directory.small().div_ceil(self.blocks_per_partition) + (number - first_large)
        };
        crate::bytes::index(partition.into())
    }

    /// Collects an object's references, from a slot on; the slot to go on at, if any are left.
    pub(crate) fn references<F: FrameMemory + ?Sized>(
        &mut self,
        place: Place,
        from: u64,
        frames: &F,
        targets: &mut Vec<u64>,
    ) -> Result<Option<u64>, Stop> {
        let address = self.directory.address(place).unwrap_or(0);
        let released = self.torn.filter(|(torn, _)| *torn == address).map_or(0, |(_, slot)| slot);
        if released == u64::MAX {
            return Ok(None);
        }
        let subject = Subject { place, address, from: from.max(released) };
        let mut reader = Reader { pages: &mut self.pages, frames };
        self.classes.targets(&mut reader, &self.directory, subject, targets)
    }

    /// Where a reference leads.
    pub(crate) fn place(&self, address: u64) -> Result<Place, Stop> {
        self.directory.place(address).ok_or(Stop::Unsound(Unsound::NoObject { address }))
    }

    fn marking<F: FrameMemory + ?Sized>(&mut self, frames: &F) -> Result<(), Ended> {
        if self.is_crowded() {
            return self.relieve();
        }
        if let Some(mut work) = self.work.take() {
            let result = work.step(self, frames);
            match result {
                Ok(true) => self.partitions += 1,
                _ => self.work = Some(work),
            }
            return result.map(|_| ()).map_err(Ended::Stop);
        }
        let waiting =
            !self.exchange.is_empty() || !self.scanned.is_empty() || !self.scanned_large.is_empty();
        let (partition, count) = self.fullest_partition();
        if waiting && crate::bytes::index(count.into()) * WORTH <= self.exchange.len() {
            return Ok(self.settle()?);
        }
        if count > 0 {
            if let Some(grey) = self.grey.get_mut(partition) {
                *grey = 0;
            }
            if let Some(fresh) = self.fresh.get_mut(partition) {
                *fresh = false;
            }
            self.work = Some(Work::new(partition));
            return Ok(());
        }
        if waiting {
            return Ok(self.settle()?);
        }
        if self.recovery.is_due() && self.planted != PlantedMark::SuspectsForgotten {
            self.phase = Phase::Recovery;
            return Ok(());
        }
        if self.durable_phase == MARKING {
            self.checkpoint();
            self.durable_phase = WEAK;
        }
        self.phase = Phase::Pairs(Arena::default(), false);
        Ok(())
    }

    /// The partition to work on, and how many grey objects it has: one that was never worked on, else the one with most. The longer the
    /// others wait, the more of theirs is done when they are read.
    fn fullest_partition(&self) -> (usize, u32) {
        let counted = self.grey.iter().copied().zip(&self.fresh).enumerate();
        let best = counted.max_by_key(|(_, (count, fresh))| (**fresh && *count > 0, *count));
        best.map_or((0, 0), |(partition, (count, _))| (partition, count))
    }
}

/// Why an operation ended.
pub(crate) enum Ended {
    Stop(Stop),
    Failed(RegionError),
}

impl From<Stop> for Ended {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}
