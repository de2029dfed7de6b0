//! The writer of snapshots and the other work of the kernel's loop: explicit steps, none of which waits.
//!
//! ```text
//!            flip                   queues empty               Committed
//! Nothing ---------> Draining ------------------> Finishing ------------> Nothing
//!                        |                            |                      ^
//!                        |        Abandoned           v      all taken back  |
//!                        +----------------------> Abandoned -----------------+
//! ```
//!
//! Draining gives old copies first (A25), then the frozen pages, a batch at a time sorted by address, and never more than the
//! store takes without piling up: what is split later still overtakes the rest. A frame of an old copy is free as soon as
//! its write has completed (A26); a page that is still mapped becomes `Written`, and clean by the commit.
//!
//! After a snapshot was given up its pages are dirty pages of the running epoch, a bounded number a step; one that a program
//! stores to before its turn is taken back by the fault. Old copies are dropped: their page has been rewritten.

use crate::PageStore;
use crate::ahead::number;
use crate::fault::{FaultOutcome, Impossible, WaitReason};
use crate::frame_table::{FrameState, ListName};
use crate::pager::{Memory, Pager};
use crate::pending::{Arrival, PENDING_LIMIT};
use crate::planted::Planted;
use crate::tables::{find_entry, give_back_empty, index_at, walk};
use revenant_hal::{Epoch, FrameIndex, FrameMemory, Mmu, PageIndex, TableEntry};
use revenant_store::{DamagedBlock, PageContent, StoreEvent};

/// Pages taken back in one step after a snapshot was given up.
const TAKEN_BACK_PER_STEP: u32 = 512;

/// Where the snapshot in the making stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Making {
    /// There is none.
    Nothing,
    /// Pages are being given to the store.
    Draining,
    /// The store has all pages and makes the snapshot durable.
    Finishing,
    /// The store gave it up; pages are being taken back.
    Abandoned,
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum StepOutcome {
    /// There is more to do now: call again soon.
    Again,
    /// Waiting for the store.
    Waiting,
    /// Nothing to do.
    Idle,
}

/// How far the wired ranges are in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WiredProgress {
    /// Pages are still on their way.
    Coming,
    /// All are in (or unreadable: see [`Pager::damaged_pages`]).
    Resident,
    /// They do not fit into RAM.
    Failed(Impossible),
}

impl Pager {
    /// Does the work that traps and completions left: lets pages go if frames are short, submits page-ins, feeds the writer,
    /// brings wired pages in. Bounded. Not while an attempt is under way.
    pub fn step<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> StepOutcome {
        self.finish_late_flip();
        self.look_for_early_room(store);
        self.thin_tables(memory);
        let evicting = self.evict(memory, store);
        let _ = self.wire(memory, store);
        store.set_uncharged_pages(u64::from(self.frames.counts().uncharged()));
        self.bring_back(memory, store);
        self.read_ahead(memory, store);
        let mut asked = false;
        while let Some((page, frame)) = self.pending.submit_next() {
            store.read_page(page, frame);
            asked = true;
        }
        let outcome = match self.making {
            Making::Draining => self.drain(store),
            Making::Abandoned => self.take_all_back(),
            Making::Finishing => StepOutcome::Waiting,
            Making::Nothing if self.is_waiting() => StepOutcome::Waiting,
            Making::Nothing => StepOutcome::Idle,
        };
        // The store hands reads to the disk in its own step: the loop must not halt before that.
        if evicting || asked { StepOutcome::Again } else { outcome }
    }

    /// Asks for the wired pages, as many as there is room for.
    ///
    /// The kernel calls this until it no longer says `Coming` before the first program instruction.
    pub fn wire<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> WiredProgress {
        for _ in 0..PENDING_LIMIT {
            let Some(page) = self.wired.next() else {
                let coming = self.pending.count() > 0;
                return if coming { WiredProgress::Coming } else { WiredProgress::Resident };
            };
            if walk(memory.mmu, page).entry.is_none() {
                match self.fault(page, false, memory, store) {
                    FaultOutcome::Served(_) | FaultOutcome::Wait(WaitReason::PageIn) => {}
                    FaultOutcome::Impossible(Impossible::OutOfFrames) => {
                        return WiredProgress::Failed(Impossible::OutOfFrames);
                    }
                    FaultOutcome::Impossible(_) => {}
                    FaultOutcome::Wait(_) => return WiredProgress::Coming,
                }
            }
            self.wired.advance();
        }
        WiredProgress::Coming
    }

    /// Whether the store is at work for this pager although no snapshot is in the making.
    fn is_waiting(&self) -> bool {
        self.pending.count() > 0 || self.frames.length(ListName::Cleaning) > 0
    }

    fn drain<S: PageStore>(&mut self, store: &mut S) -> StepOutcome {
        if self.planted == Planted::UnprotectedPageWritten
            && let Some(frame) = self.frames.pop_front(ListName::Dirty)
        {
            self.frames.push_back(ListName::Frozen, frame);
        }
        let in_flight = self.frames.length(ListName::InFlight);
        let room = self.options.writes_in_flight.saturating_sub(in_flight);
        let mut room = room.min(u32::try_from(store.write_room()).unwrap_or(u32::MAX));
        let mut given = 0;
        while room > 0 {
            let Some(frame) = self.frames.pop_front(ListName::Front) else { break };
            self.give(frame, store);
            (room, given) = (room - 1, given + 1);
        }
        given += self.give_batch(room.min(self.options.write_batch), store);
        let queued = self.frames.length(ListName::Front) + self.frames.length(ListName::Frozen);
        if queued > 0 {
            return if given > 0 { StepOutcome::Again } else { StepOutcome::Waiting };
        }
        // Nothing can be split into the queue any more: all that is left is with the store, which goes on to the map while the
        // last pages are being written.
        store.finish_snapshot();
        self.making = Making::Finishing;
        StepOutcome::Waiting
    }

    /// Gives up to `limit` frozen pages, sorted by address so that neighbours share requests.
    fn give_batch<S: PageStore>(&mut self, limit: u32, store: &mut S) -> u32 {
        let mut batch = core::mem::take(&mut self.batch);
        for _ in 0..limit {
            let Some(frame) = self.frames.pop_front(ListName::Frozen) else { break };
            batch.push((number(self.frames.page(frame)), frame));
        }
        batch.sort_unstable();
        for (_, frame) in &batch {
            self.give(*frame, store);
        }
        let given = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        batch.clear();
        self.batch = batch;
        given
    }

    fn give<S: PageStore>(&mut self, frame: FrameIndex, store: &mut S) {
        let state = self.frames.state(frame);
        let next = match state {
            FrameState::Dirty => {
                let frozen = self.frames.is_frozen(frame);
                assert!(
                    frozen || self.planted != Planted::None,
                    "{frame:?} of the running epoch among the frozen"
                );
                FrameState::Writing
            }
            FrameState::SplitQueued => {
                self.statistics.copies_written += 1;
                FrameState::SplitWriting
            }
            _ => panic!("{frame:?} is queued for the writer but is {state:?}"),
        };
        self.frames.set_state(frame, next);
        self.frames.push_back(ListName::InFlight, frame);
        self.statistics.pages_written += 1;
        let page = self.frames.page(frame);
        let (copies, _) = self.rank(page);
        store.write_page(page, frame, copies);
    }

    /// Takes what the store has to tell. Events that do not concern pages in RAM are left to the kernel; every event may
    /// be passed here.
    pub fn on_store_event<M: Mmu, F: FrameMemory>(
        &mut self,
        event: &StoreEvent,
        memory: &mut Memory<'_, M, F>,
    ) {
        match event {
            StoreEvent::PageRead { page, frame, result } => {
                self.page_read(*page, *frame, *result, memory);
            }
            StoreEvent::PageWritten { page, frame } => self.page_written(*page, *frame),
            StoreEvent::Committed { epoch, .. } => self.committed(*epoch),
            StoreEvent::Abandoned { epoch, .. } => self.abandoned(*epoch),
            StoreEvent::PageNotWritten { page, frame } => self.not_cleaned(*page, *frame),
            StoreEvent::BecameReadOnly(_) | StoreEvent::Report(_) => {}
        }
    }

    fn page_read<M: Mmu, F: FrameMemory>(
        &mut self,
        page: PageIndex,
        frame: FrameIndex,
        result: Result<PageContent, DamagedBlock>,
        memory: &mut Memory<'_, M, F>,
    ) {
        let result = match self.pending.end(page, frame) {
            Arrival::Unasked => return,
            Arrival::Discarded if self.planted != Planted::DiscardedPageArrives => {
                Ok(PageContent::Zero)
            }
            Arrival::Awaited | Arrival::Discarded => result,
        };
        assert_eq!(self.frames.state(frame), FrameState::Filling, "the frame was being filled");
        self.pending.wake(page);
        self.pending.wake_waiting();
        let result = match result {
            Err(_) if self.planted == Planted::ReadErrorAsZeros => Ok(PageContent::Zero),
            result => result,
        };
        match result {
            Ok(content) => {
                if content == PageContent::Zero {
                    memory.frames.zero(frame);
                }
                let (table, entry) = find_entry(&self.frames, memory.mmu, page);
                let table = table.expect("the fault made the tables of the page-in");
                assert!(entry.is_none(), "{page:?} came in twice");
                self.frames.set_state(frame, FrameState::Clean);
                // Not touched: who waits for it has yet to come.
                let entry = TableEntry { frame, writable: false, accessed: false };
                memory.mmu.set_entry(table, index_at(page, 3), Some(entry));
                self.frames.set_recent(table);
                self.arrived(page, frame);
                self.statistics.pages_read += 1;
            }
            Err(damage) => {
                self.note_gone(page, frame);
                self.frames.release(frame);
                let tables = give_back_empty(&mut self.frames, memory.mmu, page);
                self.statistics.tables_freed += u64::from(tables);
                memory.mmu.invalidate_page(page); // and what the processor keeps of upper tables
                self.pending.record_damage(page, damage);
                self.statistics.pages_unreadable += 1;
            }
        }
    }

    fn page_written(&mut self, page: PageIndex, frame: FrameIndex) {
        assert_eq!(self.frames.page(frame), page, "the frame that was given to the store");
        let state = self.frames.state(frame);
        match state {
            FrameState::Writing => {
                self.frames.remove(ListName::InFlight, frame);
                self.frames.set_state(frame, FrameState::Written);
                self.frames.push_back(ListName::Written, frame);
                self.stop_awaiting(frame);
            }
            FrameState::Cleaning => self.cleaned(frame),
            FrameState::SplitCleaning => {
                self.frames.end_cleaning(frame);
                self.frames.release(frame);
                self.pending.wake_waiting();
            }
            FrameState::SplitWriting => {
                self.frames.remove(ListName::InFlight, frame);
                self.frames.release(frame);
                self.pending.wake_waiting();
            }
            _ if self.planted != Planted::None => {}
            _ => panic!("{page:?} in {frame:?} was written but is {state:?}"),
        }
    }

    fn committed(&mut self, epoch: Epoch) {
        if self.frames.making != Some(epoch) {
            return; // A commit without a snapshot.
        }
        assert_eq!(self.making, Making::Finishing, "committed before all pages were given");
        self.frames.commit();
        self.making = Making::Nothing;
        self.replacement.hope(); // what was written is clean now
        self.cleaner_stuck = false;
        self.statistics.commits += 1;
        self.pending.wake_waiting();
    }

    fn abandoned(&mut self, epoch: Epoch) {
        if self.frames.making != Some(epoch) {
            return;
        }
        self.making = Making::Abandoned;
        self.abandoning = true;
        self.statistics.abandoned += 1;
        self.pending.wake_waiting();
    }

    /// Whether a mapped frame belongs to the snapshot in the making.
    pub(crate) fn belongs_to_snapshot(&self, frame: FrameIndex) -> bool {
        match self.frames.state(frame) {
            FrameState::Writing | FrameState::Written => true,
            FrameState::Dirty => self.frames.is_frozen(frame),
            _ => false,
        }
    }

    /// Makes a page of the abandoned snapshot a dirty page of the running epoch. Its space is still charged.
    pub(crate) fn take_back(&mut self, frame: FrameIndex) {
        let list = match self.frames.state(frame) {
            FrameState::Writing => ListName::InFlight,
            FrameState::Written => ListName::Written,
            _ => self.frames.queue_of_frozen(frame),
        };
        self.frames.remove(list, frame);
        self.enter_dirty(frame);
    }

    /// Whoever waits for the frame's write need not any more.
    pub(crate) fn stop_awaiting(&mut self, frame: FrameIndex) {
        if self.frames.is_awaited(frame) {
            self.frames.set_awaited(frame, false);
            self.pending.wake(self.frames.page(frame));
        }
    }

    pub(crate) fn enter_dirty(&mut self, frame: FrameIndex) {
        self.stop_awaiting(frame);
        if self.planted == Planted::AbandonedPagesForgotten {
            self.frames.set_state(frame, FrameState::Clean);
            return;
        }
        self.frames.set_state_and_stamp(frame, FrameState::Dirty, self.frames.epoch);
        self.frames.push_back(ListName::Dirty, frame);
    }

    fn take_all_back(&mut self) -> StepOutcome {
        let lists = [ListName::Front, ListName::Frozen, ListName::InFlight, ListName::Written];
        for _ in 0..TAKEN_BACK_PER_STEP {
            let frame = lists.iter().find_map(|list| self.frames.pop_front(*list));
            let Some(frame) = frame else {
                self.frames.making = None;
                self.making = Making::Nothing;
                self.abandoning = false;
                self.pending.wake_waiting();
                return StepOutcome::Again;
            };
            match self.frames.state(frame) {
                FrameState::SplitQueued | FrameState::SplitWriting => {
                    self.frames.release(frame);
                    self.pending.wake_waiting();
                }
                _ => self.enter_dirty(frame),
            }
        }
        StepOutcome::Again
    }
}
