//! Eviction: clean pages give their frames back before somebody has to wait for one.
//!
//! It happens in [`Pager::step`] alone, between attempts and never inside one: an instruction that has touched its pages still
//! has them when it changes them. Invariants:
//! - a page goes only while its frame is `Clean`: the disk holds the same content, no device works on the frame, and it
//!   belongs to no snapshot in the making. Wired pages are not known to [`crate::replacement`], so they never go;
//! - whatever a batch takes out of the tables is out of the TLB, too, before any frame of it is used again: one flush a batch
//!   serves the pages, the tables given back, and the bits that were cleared;
//! - a table counts its entries, and those promised to page-ins under way; at none it is given back with what leads to it;
//! - pages that are dirty become clean by a snapshot. When little is left that could go, [`Pager::wants_snapshot`] asks for
//!   one early; who needs a frame waits meanwhile. The stop before the flip waits for nobody's frame: it takes the last
//!   ones, and what it brought in is held until the flip ([`Pager::set_stopping`]).
//!
//! Neighbours: `replacement` says who goes; `fault` and `writer` tell it who has come; `tables` does the walks.

use crate::ahead::number;
use crate::frame_table::{FrameState, FrameTable, ListName};
use crate::pager::{Memory, Pager};
use crate::planted::Planted;
use crate::replacement::{Need, Residents};
use crate::tables::{give_back_empty, index_at, walk};
use revenant_hal::{FrameIndex, FrameMemory, Mmu, PageIndex, TableEntry};

/// Pages looked at in one step.
const LOOKS_PER_STEP: u32 = 1024;
/// Steps after which pages are looked at again that could not go when all were looked at.
const STEPS_IN_VAIN: u32 = 64;
/// Frames that one page can take: itself and the tables above it.
const FRAMES_PER_PAGE: u32 = 4;

/// What the policy sees: states out of the frame table, touches out of the page tables.
struct View<'a, M: Mmu> {
    frames: &'a mut FrameTable,
    mmu: &'a mut M,
    planted: Planted,
    /// A bit was cleared that the TLB may still hold as set.
    cleared: bool,
    /// Pages read ahead that turned out to have been touched.
    hits: u32,
}

impl<M: Mmu> Residents for View<'_, M> {
    fn page(&self, frame: u32) -> u32 {
        number(self.frames.page(FrameIndex(frame)))
    }

    fn take_touched(&mut self, frame: u32) -> bool {
        let page = self.frames.page(FrameIndex(frame));
        let walk = walk(self.mmu, page);
        let (Some(table), Some(entry)) = (walk.leaf_table, walk.entry) else {
            panic!("{page:?} is resident and not mapped");
        };
        assert_eq!(entry.frame.0, frame, "{page:?} is in the frame that the policy knows");
        if entry.accessed {
            let entry = TableEntry { accessed: false, ..entry };
            self.mmu.set_entry(table, index_at(page, 3), Some(entry));
            self.cleared = true;
            if self.frames.is_ahead(FrameIndex(frame)) {
                self.frames.set_ahead(FrameIndex(frame), false);
                self.hits += 1;
            }
        }
        entry.accessed
    }

    fn can_go(&self, frame: u32) -> bool {
        let frame = FrameIndex(frame);
        match (self.frames.state(frame), self.planted) {
            (FrameState::Clean, _) | (FrameState::Writing, Planted::WritingPageEvicted) => true,
            (FrameState::Dirty, Planted::DirtyPageEvicted) => !self.frames.is_frozen(frame),
            (FrameState::Dirty, Planted::FrozenPageEvicted) => self.frames.is_frozen(frame),
            _ => false,
        }
    }
}

impl Pager {
    /// A page has come into a frame and is mapped.
    pub(crate) fn arrived(&mut self, page: PageIndex, frame: FrameIndex) {
        if self.wired.keeps(page) {
            return;
        }
        let group = self.frames.group(frame);
        if self.frames.is_ahead(frame) {
            self.replacement.arrived_ahead(frame.0, group);
        } else {
            self.replacement.arrived(frame.0, number(page), group);
        }
    }

    /// Whether programs will wait for frames until a snapshot has made pages clean, or will soon: clean pages are few.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        if self.frames.making.is_some() || !self.is_short() {
            return false;
        }
        let counts = self.frames.counts();
        let few_clean = counts.clean < counts.total / 8 && counts.dirty > counts.total / 4;
        few_clean || counts.dirty > 0 && self.replacement.is_in_vain(Need::Frame)
    }

    fn is_short(&self) -> bool {
        self.frames.free_count() < self.fill_floor() + FRAMES_PER_PAGE + self.options.free_reserve
    }

    /// Lets a batch of pages go if free frames are short, or a group is beyond its limit; whether there is more to do at once.
    pub(crate) fn evict<M: Mmu, F: FrameMemory>(&mut self, memory: &mut Memory<'_, M, F>) -> bool {
        self.held = self.held.saturating_sub(1);
        let need = if self.is_short() { Need::Frame } else { Need::Limits };
        if self.held > 0 {
            return false;
        }
        if self.replacement.is_in_vain(need) {
            // Pages that programs keep touching may rest by now.
            self.steps_in_vain = (self.steps_in_vain + 1) % STEPS_IN_VAIN;
            if self.steps_in_vain == 0 {
                self.replacement.hope();
            }
            return false;
        }
        let (mut looks, mut evicted, mut cleared) = (LOOKS_PER_STEP, 0, false);
        while evicted < self.options.eviction_batch {
            let (frames, mmu) = (&mut self.frames, &mut *memory.mmu);
            let mut view = View { frames, mmu, planted: self.planted, cleared: false, hits: 0 };
            let frame = self.replacement.next_to_go(need, &mut view, &mut looks);
            let View { cleared: cleared_now, hits, .. } = view;
            cleared |= cleared_now;
            self.note_hits(hits);
            let Some(frame) = frame else { break };
            self.let_go(FrameIndex(frame), memory.mmu);
            evicted += 1;
        }
        if (evicted > 0 || cleared) && self.planted != Planted::FlushOmittedAtEviction {
            memory.mmu.invalidate_all();
        }
        if evicted == 0 {
            return !self.replacement.is_in_vain(need);
        }
        self.statistics.pages_evicted += u64::from(evicted);
        self.pending.wake_waiting();
        need == Need::Limits || self.is_short()
    }

    /// Takes a page out of the tables and its frame, and the tables that are empty then, back to the pool.
    fn let_go<M: Mmu>(&mut self, frame: FrameIndex, mmu: &mut M) {
        let page = self.frames.page(frame);
        self.note_gone(page, frame);
        match self.frames.state(frame) {
            FrameState::Clean => {}
            _ if self.planted == Planted::None => panic!("{page:?} would be lost"),
            FrameState::Writing => self.frames.remove(ListName::InFlight, frame),
            _ if self.frames.is_frozen(frame) => {
                self.frames.remove(self.frames.queue_of_frozen(frame), frame);
            }
            _ => self.frames.remove(ListName::Dirty, frame),
        }
        let table = walk(mmu, page).leaf_table.expect("a resident page has its tables");
        mmu.set_entry(table, index_at(page, 3), None);
        self.statistics.tables_freed += u64::from(give_back_empty(&mut self.frames, mmu, page));
        self.frames.release(frame);
    }
}
