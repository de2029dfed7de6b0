//! Discard: pages that nobody needs any more read as zeros from now on, and cost neither a frame nor a block.
//!
//! It acts on the running epoch alone. Who discards has taken the pages out of use before and hands them out again only
//! afterwards; in between, page by page: the store notes that the page reads as zeros (which is all that can fail), the page
//! leaves the tables, the TLB forgets it, and its frame is free, or left to the writer if the snapshot in the making still
//! needs it.
//!
//! Invariants:
//! - the content that a flip has frozen is written, whatever is discarded afterwards;
//! - what is on its way from the disk while its page is discarded arrives as zeros;
//! - one flush of the TLB serves all pages of a call, before any of their frames is used again.
//!
//! Neighbours: `fault` brings a discarded page back as zeros, when it is touched; `writer` frees what it is left with.

use crate::PageStore;
use crate::frame_table::{FrameState, ListName};
use crate::pager::{Memory, Pager};
use crate::planted::Planted;
use crate::tables::{give_back_empty, index_at, walk};
use core::ops::Range;
use revenant_hal::{FrameIndex, FrameMemory, Mmu, OBJECT_SPACE_PAGES, PageIndex};
use revenant_store::{Lookup, PageContent};

impl Pager {
    /// Makes pages zeros, and returns how many, from the first on. All of them, unless the store has no room for more before
    /// the next snapshot, or a page is the system's own. Time is proportional to the pages. Not while an attempt is in the
    /// middle of accesses to them.
    pub fn discard<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        pages: Range<PageIndex>,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> u64 {
        let (mut done, mut unmapped) = (0, false);
        for page in (pages.start.0..pages.end.0.min(OBJECT_SPACE_PAGES)).map(PageIndex) {
            if self.wired.range_of(page).is_some() || !self.forget_content(page, store) {
                break;
            }
            unmapped |= self.unmap(page, memory.mmu, store);
            done += 1;
        }
        if unmapped {
            if self.planted != Planted::FlushOmittedAtDiscard {
                memory.mmu.invalidate_all();
            }
            self.pending.wake_waiting();
        }
        self.statistics.pages_discarded += done;
        done
    }

    /// Nothing on the disk stands for the page any more, and nothing on its way from there; false if the store has no room to
    /// note that.
    fn forget_content<S: PageStore>(&mut self, page: PageIndex, store: &mut S) -> bool {
        // While a snapshot is in the making it may have content for a page of which the map does not know yet.
        let nothing_stored =
            self.frames.making.is_none() && store.lookup(page) == Lookup::Known(PageContent::Zero);
        let omitted = self.planted == Planted::DiscardNotNoted;
        if !nothing_stored && !omitted && store.discard(page).is_err() {
            return false;
        }
        self.pending.forget_damage(page);
        self.pending.forget_content(page);
        true
    }

    /// Takes a page out of the tables and its frame out of its hands; whether it was there.
    fn unmap<M: Mmu, S: PageStore>(&mut self, page: PageIndex, mmu: &mut M, store: &mut S) -> bool {
        let walk = walk(mmu, page);
        let (Some(table), Some(entry)) = (walk.leaf_table, walk.entry) else { return false };
        assert_eq!(self.frames.page(entry.frame), page, "tables and frame table agree");
        mmu.set_entry(table, index_at(page, 3), None);
        self.statistics.tables_freed += u64::from(give_back_empty(&mut self.frames, mmu, page));
        self.note_gone(page, entry.frame);
        self.note_changed(entry.frame);
        self.replacement.left(entry.frame.0);
        self.give_frame_up(page, entry.frame, store);
        true
    }

    fn give_frame_up<S: PageStore>(&mut self, page: PageIndex, frame: FrameIndex, store: &mut S) {
        if self.abandoning && self.belongs_to_snapshot(frame) {
            self.take_back(frame);
        }
        match self.frames.state(frame) {
            FrameState::Clean => {}
            FrameState::Written => self.frames.remove(ListName::Written, frame),
            FrameState::Dirty if !self.frames.is_frozen(frame) => {
                self.frames.remove(ListName::Dirty, frame);
                let (copies, _) = self.rank(page);
                store.uncharge(page, copies);
            }
            FrameState::Dirty if self.planted == Planted::FrozenFrameDiscarded => {
                self.frames.remove(self.frames.queue_of_frozen(frame), frame);
            }
            FrameState::Writing if self.planted == Planted::FrozenFrameDiscarded => {
                self.frames.remove(ListName::InFlight, frame);
            }
            FrameState::Dirty | FrameState::Writing | FrameState::Cleaning => {
                return self.split(page, frame);
            }
            state => panic!("{page:?} is mapped to {frame:?}, which is {state:?}"),
        }
        self.frames.release(frame);
    }
}
