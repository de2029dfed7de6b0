//! The cleaner: writes modified pages before the flip, so that their frames can go without one.
//!
//! ```text
//!                given to the store             completed
//! Dirty(e) ------------------------> Cleaning -----------------> Clean (the next to go)
//!    ^                                |     |
//!    |  could not be written          |     | store to it, or discard: copy
//!    +--------------------------------+     v
//!                                     SplitCleaning --completed, written or not--> Free
//! ```
//!
//! When free frames are short, eviction looks at pages in the order in which they are to go. What it meets there and cannot let go,
//! because it was stored to in the running epoch, it gives to the store: sorted by address, a batch a step, so that neighbours
//! share requests. Nothing is written while memory suffices: a machine at rest writes what its snapshots hold and nothing else.
//!
//! Invariants:
//! - a page is given to the device only after W was taken from it and the TLB was flushed; a store to it before the device has
//!   it copies it, as if a flip had frozen it. So what is written is what the page held at one moment after its last store;
//! - pages of the running epoch are given, also while a snapshot is in the making, and then only when free frames are short: its
//!   writer has precedence on the disk, and what the flip has frozen is the writer's alone. What is on its way at a flip is content
//!   of the epoch that ends: the store does not finish that snapshot before it has heard of every such page;
//! - a page that has been written is clean: the store serves its reads and answers for it in the next snapshot, and if that is
//!   given up, in the one after. Space is set aside anew when it is stored to again;
//! - the cleaner takes no frame and no memory. Where it gets on no further, [`Pager::wants_snapshot`] asks for a flip.
//!
//! Neighbours: `eviction` finds the pages; `fault` and `discard` split them; `writer` tells what became of them.

use crate::PageStore;
use crate::frame_table::{FrameState, ListName};
use crate::pager::Pager;
use crate::planted::Planted;
use crate::tables::{index_at, walk};
use revenant_hal::{FrameIndex, Mmu, PageIndex, TableEntry};

/// Batches of pages that may be under way at a time.
const BATCHES_UNDER_WAY: u32 = 2;

impl Pager {
    /// Says whether modified pages are written before their flip when frames are short.
    pub fn set_cleaning(&mut self, on: bool) {
        self.cleans = on;
    }

    /// Looks how many pages the store would take now.
    pub(crate) fn look_for_early_room<S: PageStore>(&mut self, store: &S) {
        let able = self.cleans && !self.cleaner_stuck;
        let room = if able { store.early_room() } else { 0 };
        self.early_room = u32::try_from(room).unwrap_or(u32::MAX);
    }

    /// Pages that may be given to it.
    pub(crate) fn cleaning_room(&self) -> u32 {
        let under_way = self.frames.length(ListName::Cleaning);
        let most = self.options.eviction_batch;
        self.early_room.min(most).min((BATCHES_UNDER_WAY * most).saturating_sub(under_way))
    }

    /// Takes W from the pages that are to be cleaned, and says whether there are any. The TLB may still have it.
    pub(crate) fn protect_for_cleaning<M: Mmu>(&self, mmu: &mut M) -> bool {
        if self.planted == Planted::UnprotectedPageCleaned {
            return false;
        }
        for (page, frame) in &self.to_clean {
            let page = PageIndex(u64::from(*page));
            let walk = walk(mmu, page);
            let (Some(table), Some(entry)) = (walk.leaf_table, walk.entry) else {
                panic!("{page:?} is resident and not mapped");
            };
            assert_eq!(entry.frame, *frame, "{page:?} is in the frame that the policy knows");
            let entry = TableEntry { writable: false, ..entry };
            mmu.set_entry(table, index_at(page, 3), Some(entry));
        }
        !self.to_clean.is_empty()
    }

    /// Gives the protected pages to the store, because their turn to go has come or because they look settled; how many it took. The
    /// others are dirty as before.
    pub(crate) fn give_for_cleaning<S: PageStore>(&mut self, store: &mut S, settled: bool) -> u32 {
        let mut batch = core::mem::take(&mut self.to_clean);
        batch.sort_unstable();
        let mut given = 0;
        for (page, frame) in &batch {
            if !store.write_early(PageIndex(u64::from(*page)), *frame) {
                self.cleaner_stuck = true;
                break;
            }
            let list = match self.frames.is_frozen(*frame) {
                true if self.planted == Planted::None => panic!("{frame:?} is the writer's"),
                true => self.frames.queue_of_frozen(*frame),
                false => ListName::Dirty,
            };
            self.frames.remove(list, *frame);
            self.frames.begin_cleaning(*frame);
            if settled {
                self.frames.set_settled(*frame);
            }
            given += 1;
        }
        self.statistics.pages_cleaned += u64::from(given);
        if self.frames.making.is_some() {
            self.statistics.pages_cleaned_meanwhile += u64::from(given);
        }
        batch.clear();
        self.to_clean = batch;
        given
    }

    /// The device has a page that was given to it before its flip.
    pub(crate) fn cleaned(&mut self, frame: FrameIndex) {
        self.frames.end_cleaning(frame);
        self.frames.set_state(frame, FrameState::Clean);
        self.stop_awaiting(frame);
        if !self.frames.is_settled(frame) {
            self.replacement.to_the_front(frame.0);
        }
    }

    /// The device does not have it: nothing but this frame does, so it is dirty as before. If its flip has happened, the store
    /// gives that snapshot up.
    pub(crate) fn not_cleaned(&mut self, page: PageIndex, frame: FrameIndex) {
        assert_eq!(self.frames.page(frame), page, "the frame that was given to the store");
        self.frames.end_cleaning(frame);
        self.cleaner_stuck = true;
        self.frames.take_settled(frame);
        self.statistics.pages_not_cleaned += 1;
        match self.frames.state(frame) {
            FrameState::Cleaning if self.planted == Planted::UnwrittenPageTakenForClean => {
                self.frames.set_state(frame, FrameState::Clean);
            }
            FrameState::Cleaning => self.enter_dirty(frame),
            // Stored to since: the page has another frame. Or discarded.
            FrameState::SplitCleaning => {
                self.frames.release(frame);
                self.pending.wake_waiting();
            }
            state => panic!("{page:?} in {frame:?} was not written but is {state:?}"),
        }
    }
}
