//! Page faults: straight-line code over arrays, called from a trap. It does no I/O, takes no heap memory and never waits;
//! what cannot be done at once is answered by [`FaultOutcome::Wait`] after noting what has to be fetched.
//!
//! Order inside each case: first everything that can say no (space, frames), then the changes, so that a fault that waits
//! has changed nothing that a program or a snapshot could see.
//!
//! Neighbours: `tables` sets entries; `frame_table` keeps states; `writer` gives frames back and completes page-ins.

use crate::frame_table::{FrameState, ListName};
use crate::pager::{Memory, Pager};
use crate::pending::PENDING_LIMIT;
use crate::planted::Planted;
use crate::tables::{Walk, ensure_tables, find_entry, index_at, push_down, walk};
use crate::{PageStore, statistics::Statistics};
use core::fmt;
use revenant_hal::{FrameIndex, FrameMemory, Mmu, OBJECT_SPACE_PAGES, PageIndex, TableEntry};
use revenant_store::{DamagedBlock, Lookup, PageContent};

/// How a fault was served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// The tables permitted the access already; only the TLB did not know.
    Spurious,
    /// A page that was never written, or that is made anew, came into being as zeros.
    ZeroFill,
    /// A page of the snapshot before was made writable where it is.
    MakeWritable,
    /// The page was copied, because its frame belongs to the snapshot in the making or is being written.
    Copy,
}

/// What a fault waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitReason {
    /// The page is being read. [`crate::Wake::Page`] follows.
    PageIn,
    /// No frame for a copy: the write of the page's frozen content. [`crate::Wake::Page`] follows.
    PageWrite,
    /// No frame for another page: some will be let go, or are being written. [`crate::Wake::All`] follows.
    Frame,
    /// Too many page-ins are under way. [`crate::Wake::All`] follows.
    Room,
    /// No disk space for another dirty page. [`crate::Wake::All`] follows when a commit has freed some.
    Space,
}

/// Why an access can never be served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Impossible {
    /// The address is not in object space.
    OutsideObjectSpace,
    /// The page cannot be read.
    Unreadable(DamagedBlock),
    /// All frames are taken by pages that never go, and by tables.
    OutOfFrames,
}

impl fmt::Display for Impossible {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideObjectSpace => formatter.write_str("the address is not in object space"),
            Self::Unreadable(damage) => {
                write!(formatter, "the page cannot be read: {} is damaged", damage.block)
            }
            Self::OutOfFrames => formatter.write_str(
                "memory is full: every frame holds what may not leave it; give the machine more memory",
            ),
        }
    }
}

/// What became of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum FaultOutcome {
    /// The instruction may go on.
    Served(FaultKind),
    /// The attempt ends; the thread tries again when it is woken.
    Wait(WaitReason),
    /// The access cannot succeed.
    Impossible(Impossible),
}

/// What became of a [`Pager::prefetch`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Prefetch {
    /// The page is on its way to this frame.
    Requested(FrameIndex),
    /// It is there, coming, unreadable, or was never written.
    Pointless,
    /// No room for pages that nobody waits for yet.
    NoRoom,
}

use FaultOutcome::{Served, Wait};

/// Where a page's entry is.
#[derive(Clone, Copy)]
struct Place {
    page: PageIndex,
    /// The last table.
    table: FrameIndex,
    /// See [`Walk`]: stores reach the last table already.
    path_writable: bool,
}

impl Pager {
    /// Serves a fault of a program or of the kernel at a page of object space. Bounded; from a trap.
    pub fn fault<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        page: PageIndex,
        write: bool,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> FaultOutcome {
        let coming = self.pending.count();
        let outcome = self.serve(page, write, memory, store);
        if outcome == Wait(WaitReason::PageIn) {
            self.note_missed(page, self.pending.count() > coming);
        }
        if matches!(outcome, Wait(WaitReason::Frame | WaitReason::Room | WaitReason::Space)) {
            self.pending.note_waiting();
        }
        if matches!(outcome, Wait(_)) {
            self.hold_for_stop();
        }
        self.statistics.count(outcome);
        outcome
    }

    fn serve<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        page: PageIndex,
        write: bool,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> FaultOutcome {
        if page.0 >= OBJECT_SPACE_PAGES {
            return FaultOutcome::Impossible(Impossible::OutsideObjectSpace);
        }
        if !write
            && let Some(table) = self.frames.leaf_table(page)
            && memory.mmu.entry(table, index_at(page, 3)).is_none()
        {
            return self.bring_in(page, write, &Walk::to_absent(table), memory, store);
        }
        let walk = walk(memory.mmu, page);
        match (walk.entry, walk.leaf_table) {
            (Some(_), _) if walk.writable || !write => {
                memory.mmu.invalidate_page(page);
                Served(FaultKind::Spurious)
            }
            (Some(entry), Some(table)) => {
                let place = Place { page, table, path_writable: walk.path_writable };
                self.make_writable(place, entry.frame, memory, store)
            }
            _ => self.bring_in(page, write, &walk, memory, store),
        }
    }

    /// Brings a page in that will be needed soon. Leaves room for the faults of those who wait: a quarter of the page-ins, and
    /// half of the frames that eviction keeps free.
    pub fn prefetch<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        page: PageIndex,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> Prefetch {
        let (pages, frames) = (self.pending.count(), self.frames.free_count());
        let for_faults = (self.frames.len() / 8).min(self.options.free_reserve / 2);
        if pages >= PENDING_LIMIT / 4 * 3 || frames <= self.fill_floor() + for_faults {
            return Prefetch::NoRoom;
        }
        let pointless = page.0 >= OBJECT_SPACE_PAGES
            || store.lookup(page) == Lookup::Known(PageContent::Zero)
            || self.pending.damage(page).is_some()
            || self.pending.coming(page).is_some()
            || find_entry(&self.frames, memory.mmu, page).1.is_some();
        if pointless {
            return Prefetch::Pointless;
        }
        match self.serve(page, false, memory, store) {
            Wait(WaitReason::PageIn) => {
                self.pending.coming(page).map_or(Prefetch::NoRoom, Prefetch::Requested)
            }
            _ => Prefetch::NoRoom,
        }
    }

    /// A store to a resident page without W.
    fn make_writable<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        place: Place,
        frame: FrameIndex,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> FaultOutcome {
        let page = place.page;
        assert_eq!(self.frames.page(frame), page, "tables and frame table agree");
        if self.abandoning && self.belongs_to_snapshot(frame) {
            self.take_back(frame);
        }
        self.note_touched(frame);
        let state = self.frames.state(frame);
        match state {
            // Charged and listed already: only the way to it was protected.
            FrameState::Dirty if !self.frames.is_frozen(frame) => {}
            FrameState::Writing if self.planted == Planted::CopyOmittedWhileWriting => {}
            FrameState::Dirty | FrameState::Writing | FrameState::Cleaning => {
                return self.copy(place, frame, memory, store);
            }
            FrameState::Clean | FrameState::Written => {
                if self.reserve(page, store).is_err() {
                    return Wait(WaitReason::Space);
                }
                self.note_changed(frame);
                if state == FrameState::Written {
                    self.frames.remove(ListName::Written, frame);
                }
                self.frames.set_state_and_stamp(frame, FrameState::Dirty, self.frames.epoch);
                self.frames.push_back(ListName::Dirty, frame);
            }
            _ => panic!("{page:?} is mapped to {frame:?}, which is {state:?}"),
        }
        self.map_writable(place, frame, memory);
        Served(FaultKind::MakeWritable)
    }

    /// A store to a frozen page, or one given to the cleaner, whose write has not completed: the program goes on with a copy, and
    /// the old content goes to the front of the writer's queue (A25), if the writer has not taken it yet.
    fn copy<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        place: Place,
        old: FrameIndex,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> FaultOutcome {
        let page = place.page;
        if self.frames.free_count() <= self.options.table_reserve {
            // The writer needs no frame to get the page out; then it can be made writable in place.
            self.frames.set_awaited(old, true);
            if self.frames.is_frozen(old) {
                self.frames.move_to_front(old);
            }
            return Wait(WaitReason::PageWrite);
        }
        if self.reserve(page, store).is_err() {
            return Wait(WaitReason::Space);
        }
        self.note_changed(old);
        let new = self.frames.take_free().expect("more free frames than the reserve");
        memory.frames.copy(old, new);
        self.frames.set_page(new, page);
        self.frames.set_state_and_stamp(new, FrameState::Dirty, self.frames.epoch);
        self.frames.push_back(ListName::Dirty, new);
        self.replacement.moved(old.0, new.0);
        self.split(page, old);
        self.map_writable(place, new, memory);
        if self.planted != Planted::InvalidateOmittedAtCopy {
            memory.mmu.invalidate_page(page);
        }
        Served(FaultKind::Copy)
    }

    /// The frame is the old copy of a page from now on.
    pub(crate) fn split(&mut self, page: PageIndex, old: FrameIndex) {
        if self.frames.is_awaited(old) {
            self.frames.set_awaited(old, false);
            self.pending.wake(page);
        }
        match self.frames.state(old) {
            FrameState::Writing => return self.frames.set_state(old, FrameState::SplitWriting),
            FrameState::Cleaning => return self.frames.set_state(old, FrameState::SplitCleaning),
            _ => {}
        }
        let queue = self.frames.queue_of_frozen(old);
        self.frames.remove(queue, old);
        if self.planted == Planted::SplitCopyDropped {
            self.frames.release(old);
            return;
        }
        self.frames.set_state(old, FrameState::SplitQueued);
        self.frames.push_back(ListName::Front, old);
    }

    /// An access to a page that is not resident.
    fn bring_in<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        page: PageIndex,
        write: bool,
        walk: &Walk,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> FaultOutcome {
        if self.pending.coming(page).is_some() {
            return Wait(WaitReason::PageIn);
        }
        let damage = self.pending.damage(page);
        let content = match damage {
            None => store.lookup(page),
            Some(_) if write && self.pending.is_replaced(page) => Lookup::Known(PageContent::Zero),
            Some(damage) => return FaultOutcome::Impossible(Impossible::Unreadable(damage)),
        };
        if content != Lookup::Known(PageContent::Zero) && self.pending.is_full() {
            return Wait(WaitReason::Room);
        }
        let (free, kept) = (self.frames.free_count(), self.fill_floor() + walk.missing);
        if free <= kept && (free < kept || self.planted != Planted::ReserveOffByOne) {
            return self.no_frame();
        }
        if content != Lookup::Known(PageContent::Zero) {
            let table = match walk.leaf_table {
                Some(table) => table,
                None => ensure_tables(&mut self.frames, memory.mmu, page, self.planted),
            };
            self.frames.add_entry(table);
            let frame = self.frames.take_free().expect("free frames were counted");
            self.frames.set_page(frame, page);
            self.frames.set_group(frame, self.group);
            self.frames.set_state(frame, FrameState::Filling);
            self.pending.request(page, frame);
            return Wait(WaitReason::PageIn);
        }
        if write && self.reserve(page, store).is_err() {
            return Wait(WaitReason::Space);
        }
        let table = match walk.leaf_table {
            Some(table) => table,
            None => ensure_tables(&mut self.frames, memory.mmu, page, self.planted),
        };
        self.frames.add_entry(table);
        let frame = self.take_zeros(memory.frames).expect("free frames were counted");
        self.frames.set_page(frame, page);
        self.frames.set_group(frame, self.group);
        if damage.is_some() {
            self.pending.forget_damage(page);
        }
        self.arrived(page, frame);
        if write {
            self.frames.set_state_and_stamp(frame, FrameState::Dirty, self.frames.epoch);
            self.frames.push_back(ListName::Dirty, frame);
            let place = Place { page, table, path_writable: walk.path_writable };
            self.map_writable(place, frame, memory);
        } else {
            self.frames.set_state(frame, FrameState::Clean);
            let entry = TableEntry { frame, writable: false, accessed: true };
            memory.mmu.set_entry(table, index_at(page, 3), Some(entry));
        }
        Served(FaultKind::ZeroFill)
    }

    /// No frame for another page: old copies under way will give some back, or pages that can go now, when they have come, or
    /// when a snapshot has made them clean; or nothing will.
    fn no_frame(&self) -> FaultOutcome {
        let coming = self.pending.count() > 0;
        if coming || self.frames.counts().split > 0 || !self.replacement.is_empty() {
            Wait(WaitReason::Frame)
        } else {
            FaultOutcome::Impossible(Impossible::OutOfFrames)
        }
    }

    /// Sets W at the page, having pushed protection down to its table if that has not been done in this epoch. An entry that
    /// only gains W needs no invalidation: at worst the access faults once more.
    fn map_writable<M: Mmu, F: FrameMemory>(
        &mut self,
        place: Place,
        frame: FrameIndex,
        memory: &mut Memory<'_, M, F>,
    ) {
        let Place { page, table, path_writable } = place;
        if !path_writable {
            let protected = push_down(&mut self.frames, memory.mmu, page, self.planted);
            self.statistics.tables_protected += u64::from(protected);
        }
        let entry = TableEntry { frame, writable: true, accessed: true };
        memory.mmu.set_entry(table, index_at(page, 3), Some(entry));
    }
}

impl Statistics {
    fn count(&mut self, outcome: FaultOutcome) {
        let counter = match outcome {
            Served(FaultKind::Spurious) => &mut self.faults_spurious,
            Served(FaultKind::ZeroFill) => &mut self.faults_zero_fill,
            Served(FaultKind::MakeWritable) => &mut self.faults_make_writable,
            Served(FaultKind::Copy) => &mut self.faults_copy,
            Wait(WaitReason::PageIn) => &mut self.faults_page_in,
            Wait(_) => &mut self.faults_waiting,
            FaultOutcome::Impossible(_) => &mut self.faults_impossible,
        };
        *counter += 1;
    }
}
