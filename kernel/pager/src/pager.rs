//! The pager's state, its options, the flip, and what others may ask of it.
//!
//! Neighbours: `fault` is called from traps, `writer` from the kernel's loop; both are `impl Pager` as well.

use crate::frame_table::{FrameCounts, FrameState, FrameTable, ListName};
use crate::load_control::LoadControl;
use crate::pending::{Pending, Wake};
use crate::planted::Planted;
use crate::read_ahead::ReadAhead;
use crate::replacement::{Claim, Group, Replacement, WorkingSet};
use crate::settled::Settled;
use crate::statistics::Statistics;
use crate::suspension::Remembered;
use crate::tables::protect_all;
use crate::thinning::Thinning;
use crate::wired::{Wired, WiredRange};
use crate::{PageStore, writer::Making};
use alloc::vec::Vec;
use revenant_hal::{Epoch, FrameIndex, FrameMemory, Mmu, Nanoseconds, PageIndex};
use revenant_store::{Copies, DamagedBlock, NoSpace, Purpose, SnapshotError};

/// The hardware that a call works on: tables and the content of frames.
pub struct Memory<'a, M: Mmu, F: FrameMemory> {
    /// Page tables and TLB.
    pub mmu: &'a mut M,
    /// Frames.
    pub frames: &'a mut F,
}

/// How a pager behaves. All counts are frames or pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PagerOptions {
    /// Free frames that only page tables may take. At least 3: one page needs at most so many tables.
    pub table_reserve: u32,
    /// Free frames above that which only copies of frozen pages may take.
    pub copy_reserve: u32,
    /// Pages given to the store at most at a time; small enough that old copies do not queue up behind the rest.
    pub writes_in_flight: u32,
    /// Pages that the writer sorts by address at a time; the work of one step.
    pub write_batch: u32,
    /// Free frames above what filling a page must leave: when there are fewer, clean pages are let go.
    pub free_reserve: u32,
    /// Pages let go at a time, with one flush of the TLB.
    pub eviction_batch: u32,
}

impl Default for PagerOptions {
    fn default() -> Self {
        Self {
            table_reserve: 16,
            copy_reserve: 240,
            writes_in_flight: 1024,
            write_batch: 256,
            free_reserve: 128,
            eviction_batch: 64,
        }
    }
}

/// Why there was no flip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlipRefused {
    /// The snapshot of this epoch is still being made, or taken back.
    SnapshotInTheMaking(Epoch),
    /// The store makes no snapshot now.
    Store(SnapshotError),
}

/// What a flip did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlipReport {
    /// The epoch that ended: the snapshot's name.
    pub ended: Epoch,
    /// Pages frozen, to be written.
    pub dirty_pages: u32,
    /// Page-ins that were under way.
    pub page_ins: u32,
}

/// Object space in RAM.
pub struct Pager {
    pub(crate) frames: FrameTable,
    pub(crate) pending: Pending,
    pub(crate) wired: Wired,
    /// Who has to stand still.
    pub(crate) load: LoadControl,
    /// What those who stand still had.
    pub(crate) remembered: Remembered,
    /// The order in which resident pages go.
    pub(crate) replacement: Replacement,
    /// Whom to read ahead for, and how far.
    pub(crate) read_ahead: ReadAhead,
    /// Whether to read ahead at all.
    pub(crate) reads_ahead: bool,
    /// Frames with pages read ahead that nobody is known to have touched.
    pub(crate) ahead: u32,
    /// The group that runs: what it brings in is its.
    pub(crate) group: Group,
    /// Which tables hold little, and when to look.
    pub(crate) thinning: Thinning,
    /// What stores is giving memory back.
    freeing: bool,
    /// Steps that found no sense in looking for a page that can go.
    pub(crate) steps_in_vain: u32,
    pub(crate) making: Making,
    /// The snapshot was given up and its pages are being taken back.
    pub(crate) abandoning: bool,
    pub(crate) options: PagerOptions,
    pub(crate) statistics: Statistics,
    pub(crate) planted: Planted,
    /// Where the writer sorts; allocated once.
    pub(crate) batch: Vec<(u32, FrameIndex)>,
    /// Whether to write modified pages before their flip at all.
    pub(crate) cleans: bool,
    /// Pages that eviction has met and the cleaner will take; allocated once.
    pub(crate) to_clean: Vec<(u32, FrameIndex)>,
    /// Pages that the store would have written early at the last step.
    pub(crate) early_room: u32,
    /// A page could not be written early; not tried again before the next commit.
    pub(crate) cleaner_stuck: bool,
    /// Who looks settled.
    pub(crate) settled: Settled,
    late_epoch: bool,
    /// What faults now is part of the stop before a flip.
    stopping: bool,
    /// Steps in which no page goes, so that those that a stop was waiting for are there when it is tried again.
    pub(crate) held: u32,
}

/// Steps that pages are held for a stop that has to be tried again.
const HELD_STEPS: u32 = 10_000;

impl Pager {
    /// A pager over a pool of free frames and empty page tables: the state right after the store was opened. Nothing is
    /// resident; everything comes by faults. `wired` is brought in by [`Pager::step`].
    #[must_use]
    pub fn new<S: PageStore>(
        frames: u32,
        store: &S,
        wired: Vec<WiredRange>,
        options: PagerOptions,
    ) -> Self {
        assert!(options.table_reserve >= 3, "a page may need three tables");
        assert!(options.writes_in_flight > 0 && options.write_batch > 0, "the writer takes steps");
        assert!(options.eviction_batch > 0, "eviction takes steps");
        Self {
            frames: FrameTable::new(frames, store.running_epoch()),
            pending: Pending::new(),
            wired: Wired::new(wired),
            load: LoadControl::new(frames),
            remembered: Remembered::new(frames),
            replacement: Replacement::new(frames),
            read_ahead: ReadAhead::new(frames),
            reads_ahead: false,
            ahead: 0,
            group: Group::default(),
            thinning: Thinning::new(frames),
            freeing: false,
            steps_in_vain: 0,
            making: Making::Nothing,
            abandoning: false,
            options,
            statistics: Statistics::default(),
            planted: Planted::None,
            batch: Vec::with_capacity(options.write_batch as usize),
            cleans: false,
            to_clean: Vec::with_capacity(options.eviction_batch as usize),
            early_room: 0,
            cleaner_stuck: false,
            settled: Settled::new(),
            late_epoch: false,
            stopping: false,
            held: 0,
        }
    }

    /// Says whether what faults from now on is part of the stop before a flip. It may take the last frames:
    /// when all of memory has been stored to, only the flip after that stop brings frames back, so it cannot wait for one. The
    /// pages that it misses stay until the flip.
    pub fn set_stopping(&mut self, stopping: bool) {
        self.stopping = stopping;
    }

    /// A fault of a stop waits: it will be tried again.
    pub(crate) fn hold_for_stop(&mut self) {
        if self.stopping {
            self.held = HELD_STEPS;
        }
    }

    /// Says whether what stores from now on gives memory back: it may use disk space that others leave to it.
    pub fn set_freeing(&mut self, freeing: bool) {
        self.freeing = freeing;
    }

    /// A group is about to run. What faults from now on belongs to it, until another runs: the work of the system that lies
    /// between counts as its, too.
    pub fn runs(&mut self, group: Group) {
        self.group = group;
        self.replacement.runs(group);
        self.read_ahead.runs(group);
    }

    /// Says what a group is promised of memory, and permitted.
    pub fn claim(&mut self, group: Group, claim: Claim) {
        self.replacement.claim(group, claim);
    }

    /// The groups that have pages in memory, for reports.
    #[must_use]
    pub fn working_sets(&self) -> Vec<WorkingSet> {
        self.replacement.working_sets()
    }

    /// The running epoch: the next flip ends it.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.frames.epoch
    }

    /// The snapshot in the making, until it is committed or wholly taken back.
    #[must_use]
    pub fn snapshot_in_the_making(&self) -> Option<Epoch> {
        self.frames.making
    }

    /// Counters since the resume.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Frames by state.
    #[must_use]
    pub fn frame_counts(&self) -> FrameCounts {
        self.frames.counts()
    }

    /// The next news for threads that wait. Taken by the kernel after traps and steps, until there is none.
    pub fn next_wake(&mut self) -> Option<Wake> {
        self.pending.next_wake()
    }

    /// Pages that could not be read, with the block to blame.
    pub fn damaged_pages(&self) -> impl Iterator<Item = (PageIndex, DamagedBlock)> + '_ {
        self.pending.damaged_pages()
    }

    /// Lets the next access to an unreadable page read it again.
    pub fn retry_damaged_page(&mut self, page: PageIndex) {
        self.pending.forget_damage(page);
    }

    /// Whether a page is known as one that cannot be read.
    #[must_use]
    pub fn is_unreadable(&self, page: PageIndex) -> bool {
        self.pending.damage(page).is_some()
    }

    /// Lets the next store to an unreadable page make it anew, all zeros: a page like any other from then on. Until it is
    /// in a durable snapshot, a restart finds it unreadable as before.
    pub fn replace_damaged_page(&mut self, page: PageIndex) {
        self.pending.permit_replacement(page);
    }

    /// The flip: every page becomes read-only and the running epoch ends, in constant time. No program runs meanwhile.
    ///
    /// # Errors
    /// No snapshot can be made now; nothing has changed.
    pub fn flip<M: Mmu, S: PageStore>(
        &mut self,
        wall_time: Nanoseconds,
        mmu: &mut M,
        store: &mut S,
    ) -> Result<FlipReport, FlipRefused> {
        self.held = 0;
        if let Some(epoch) = self.frames.making {
            return Err(FlipRefused::SnapshotInTheMaking(epoch));
        }
        let ended = self.frames.epoch;
        store.begin_snapshot(ended, wall_time).map_err(FlipRefused::Store)?;
        protect_all(mmu, self.planted);
        self.frames.freeze();
        self.settled.flipped();
        let dirty_pages = self.frames.length(ListName::Frozen);
        match self.planted {
            Planted::DirtyListLost => self.frames.lose_frozen(),
            Planted::EpochAdvancedLate => {
                self.frames.epoch = ended;
                self.late_epoch = true;
            }
            _ => {}
        }
        self.making = Making::Draining;
        self.statistics.flips += 1;
        let page_ins = u32::try_from(self.pending.count()).unwrap_or(u32::MAX);
        Ok(FlipReport { ended, dirty_pages, page_ins })
    }

    /// Sets space aside before a page becomes dirty in the running epoch.
    pub(crate) fn reserve<S: PageStore>(
        &mut self,
        page: PageIndex,
        store: &mut S,
    ) -> Result<(), NoSpace> {
        let (copies, purpose) = self.rank(page);
        store.reserve_first_dirtying(page, copies, purpose)?;
        self.statistics.dirtied_freeing += u64::from(purpose == Purpose::Freeing);
        Ok(())
    }

    /// How a page is stored, and for whom.
    pub(crate) fn rank(&self, page: PageIndex) -> (Copies, Purpose) {
        match self.wired.range_of(page) {
            Some(range) => (range.copies, Purpose::System),
            None if self.freeing => (Copies::One, Purpose::Freeing),
            None => (Copies::One, Purpose::Program),
        }
    }

    /// Free frames that filling a page must leave.
    pub(crate) fn fill_floor(&self) -> u32 {
        if self.stopping { 0 } else { self.options.table_reserve + self.options.copy_reserve }
    }

    /// The resident pages with their frames: a walk of the whole frame table, for tests and reports only.
    pub fn resident_pages(&self) -> impl Iterator<Item = (PageIndex, FrameIndex)> + '_ {
        (0..self.frames.len()).map(FrameIndex).filter_map(|frame| match self.frames.state(frame) {
            FrameState::Clean
            | FrameState::Dirty
            | FrameState::Writing
            | FrameState::Written
            | FrameState::Cleaning => Some((self.frames.page(frame), frame)),
            _ => None,
        })
    }

    /// What the frame table says of a frame: state, page, and the epoch of its stamp. For tests that hold the page tables
    /// against it.
    #[must_use]
    pub fn frame(&self, frame: FrameIndex) -> (FrameState, PageIndex, Epoch) {
        (self.frames.state(frame), self.frames.page(frame), self.frames.stamp(frame))
    }

    /// A digest of the resident pages that does not depend on which frames hold them. For tests and reports only.
    #[must_use]
    pub fn resident_digest<F: FrameMemory>(&self, frames: &F) -> u64 {
        let pages = self.resident_pages();
        pages.fold(0, |sum, (page, frame)| {
            sum.wrapping_add(page_digest(page, &frames.bytes(frame).0))
        })
    }

    /// Plants a bug, for tests.
    #[doc(hidden)]
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
        self.replacement.ignore_shares(planted == Planted::SharesIgnored);
    }

    /// The late half of a flip with a planted bug.
    pub(crate) fn finish_late_flip(&mut self) {
        if self.late_epoch {
            self.late_epoch = false;
            self.frames.epoch = self.frames.epoch.next();
        }
    }
}

/// A digest of one page; the digest of a set of pages is their sum. A page of zeros has the digest 0, so that it does not
/// matter whether it was ever touched.
#[must_use]
pub fn page_digest(page: PageIndex, bytes: &[u8; revenant_hal::PAGE_SIZE]) -> u64 {
    let mut digest = 0u64;
    for chunk in bytes.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*chunk);
        digest = (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    digest.wrapping_mul(page.0.wrapping_mul(2).wrapping_add(1))
}
