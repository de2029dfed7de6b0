//! Eviction: clean pages give their frames back before somebody has to wait for one.
//!
//! It happens in [`Pager::step`] alone, between attempts and never inside one: an instruction that has touched its pages still
//! has them when it changes them. Invariants:
//! - a page goes only while its frame is `Clean`: the disk holds the same content, no device works on the frame, and it
//!   belongs to no snapshot in the making. Wired pages are not known to [`crate::replacement`], so they never go;
//! - whatever a batch takes out of the tables is out of the TLB, too, before any frame of it is used again: one flush a batch
//!   serves the pages, the tables given back, and the bits that were cleared;
//! - a table counts its entries, and those promised to page-ins under way; at none it is given back with what leads to it;
//! - pages that are dirty become clean by a snapshot, or by the cleaner, to which they are given when their turn comes. When
//!   little is left that could go and the cleaner gets on no further, [`Pager::wants_snapshot`] asks for a snapshot early; who
//!   needs a frame waits meanwhile. The stop before the flip waits for nobody's frame: it takes the last ones, and what it
//!   brought in is held until the flip ([`Pager::set_stopping`]).
//!
//! Neighbours: `replacement` says who goes; `fault` and `writer` tell it who has come; `tables` does the walks.

use crate::PageStore;
use crate::ahead::number;
use crate::frame_table::{FrameState, FrameTable, ListName};
use crate::pager::{Memory, Pager};
use crate::planted::Planted;
use crate::replacement::{Need, Residents};
use crate::tables::{find_entry, give_back_empty, index_at};
use crate::wired::Wired;
use alloc::vec::Vec;
use revenant_hal::{FrameIndex, FrameMemory, Mmu, PageIndex, TableEntry};
use revenant_store::Copies;

/// Pages looked at in one step.
const LOOKS_PER_STEP: u32 = 1024;
/// Of these, before it is asked whether enough pages are on their way to the disk.
const LOOKS_AT_ONCE: u32 = 16;
/// Free frames kept besides while a group gets back what it had: one in so many.
const FRAMES_PER_RETURN: u32 = 32;
/// Steps after which pages are looked at again that could not go when all were looked at.
const STEPS_IN_VAIN: u32 = 64;
/// Once frames are short, pages go until as many again as the reserve are free beyond what is wanted, one in so many frames at
/// most: a flush of the TLB, after which everything in use is looked up again, then serves many pages and not the few that came
/// since the step before. (With a quarter of the reserve, page-ins took some 6 % more of the processor.)
const FRAMES_PER_SURPLUS: u32 = 256;
/// Frames that one page can take: itself and the tables above it.
const FRAMES_PER_PAGE: u32 = 4;

/// What the policy sees: states out of the frame table, touches out of the page tables.
struct View<'a, M: Mmu> {
    frames: &'a mut FrameTable,
    mmu: &'a mut M,
    wired: &'a Wired,
    /// Pages that are to go and were stored to in the running epoch, up to `room`.
    to_clean: &'a mut Vec<(u32, FrameIndex)>,
    room: u32,
    /// How many were noted.
    noted: u32,
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
        let (Some(table), Some(entry)) = find_entry(self.frames, self.mmu, page) else {
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
        entry.accessed | self.frames.take_touched(FrameIndex(frame))
    }

    fn can_go(&mut self, frame: u32) -> bool {
        let frame = FrameIndex(frame);
        self.note_cleanable(frame);
        match (self.frames.state(frame), self.planted) {
            (FrameState::Clean, _) | (FrameState::Writing, Planted::WritingPageEvicted) => true,
            (FrameState::Dirty, Planted::DirtyPageEvicted) => !self.frames.is_frozen(frame),
            (FrameState::Dirty, Planted::FrozenPageEvicted) => self.frames.is_frozen(frame),
            _ => false,
        }
    }
}

impl<M: Mmu> View<'_, M> {
    /// Notes a page that cannot go now and could after having been written. The system's own pages stand twice, which only a
    /// snapshot sees to.
    fn note_cleanable(&mut self, frame: FrameIndex) {
        if self.noted >= self.room || self.frames.state(frame) != FrameState::Dirty {
            return;
        }
        let page = self.frames.page(frame);
        let once = self.wired.range_of(page).is_none_or(|range| range.copies == Copies::One);
        let entry = (number(page), frame);
        let running = !self.frames.is_frozen(frame) || self.planted == Planted::FrozenPageCleaned;
        if once && running && !self.to_clean.contains(&entry) {
            self.to_clean.push(entry);
            self.noted += 1;
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
        if self.frames.take_back_mark(frame) {
            self.replacement.arrived_back(frame.0, number(page), group);
        } else if self.frames.is_ahead(frame) {
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
        if counts.cleaning > 0 {
            return false; // some will be clean soon
        }
        let few_clean = counts.clean < counts.total / 8 && counts.dirty > counts.total / 4;
        few_clean && self.early_room == 0
            || counts.dirty > 0 && self.replacement.is_in_vain(Need::Frame)
    }

    /// Free frames that are kept for those who come: more while a group gets back what it had, for large requests.
    fn free_reserve(&self) -> u32 {
        let reserve = self.options.free_reserve;
        if self.remembered.is_coming() {
            reserve + self.frames.len() / FRAMES_PER_RETURN
        } else {
            reserve
        }
    }

    pub(crate) fn is_short(&self) -> bool {
        self.frames.free_count() < self.wanted_frames()
    }

    /// Frames that are kept free.
    fn wanted_frames(&self) -> u32 {
        self.fill_floor() + FRAMES_PER_PAGE + self.free_reserve()
    }

    fn surplus(&self) -> u32 {
        self.options.free_reserve.min(self.frames.len() / FRAMES_PER_SURPLUS)
    }

    /// Lets a batch of pages go if free frames are short, or a group is beyond its limit, and gives what it meets of modified pages
    /// to the cleaner; whether there is more to do at once.
    pub(crate) fn evict<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> bool {
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
        // What is being written will go, too: there is no need to look beyond it at pages that are in use.
        let wanted = match need {
            Need::Frame => {
                (self.wanted_frames() + self.surplus()).saturating_sub(self.frames.free_count())
            }
            Need::Limits => self.options.eviction_batch,
        };
        let mut wanted = wanted.saturating_sub(self.frames.length(ListName::Cleaning));
        let (mut looks, mut evicted, mut cleared) = (LOOKS_PER_STEP, 0, false);
        let batch = match self.remembered.is_coming() {
            true => 4 * self.options.eviction_batch,
            false => self.options.eviction_batch,
        };
        let mut room = match need {
            Need::Limits if self.frames.making.is_some() => 0, // the disk is the writer's
            _ => self.cleaning_room(),
        };
        while evicted < batch && looks > 0 && wanted > 0 {
            let (frames, mmu, planted) = (&mut self.frames, &mut *memory.mmu, self.planted);
            let (wired, to_clean, noted) = (&self.wired, &mut self.to_clean, 0);
            let mut view =
                View { frames, mmu, wired, to_clean, room, noted, planted, cleared, hits: 0 };
            let mut looks_now = looks.min(LOOKS_AT_ONCE);
            looks -= looks_now;
            let frame = self.replacement.next_to_go(need, &mut view, &mut looks_now);
            looks += looks_now;
            let (noted, hits) = (view.noted, view.hits);
            (cleared, room) = (view.cleared, room - noted);
            wanted = wanted.saturating_sub(noted);
            self.note_hits(hits);
            match frame {
                Some(frame) => {
                    self.let_go(FrameIndex(frame), memory.mmu);
                    (evicted, wanted) = (evicted + 1, wanted.saturating_sub(1));
                }
                None if looks_now > 0 => break, // there is nobody left to look at
                None => {}
            }
        }
        cleared |= self.protect_for_cleaning(memory.mmu);
        if (evicted > 0 || cleared) && self.planted != Planted::FlushOmittedAtEviction {
            memory.mmu.invalidate_all();
        }
        let given = self.give_for_cleaning(store, false);
        if evicted == 0 && given == 0 {
            return wanted > 0 && !self.replacement.is_in_vain(need);
        }
        self.statistics.pages_evicted += u64::from(evicted);
        if evicted > 0 {
            self.pending.wake_waiting();
        }
        given > 0 || need == Need::Limits || self.is_short()
    }

    /// Takes a page out of the tables and its frame, and the tables that are empty then, back to the pool.
    pub(crate) fn let_go<M: Mmu>(&mut self, frame: FrameIndex, mmu: &mut M) {
        let page = self.frames.page(frame);
        self.note_gone(page, frame);
        self.remember(page, frame);
        match self.frames.state(frame) {
            FrameState::Clean => {}
            _ if self.planted == Planted::None => panic!("{page:?} would be lost"),
            FrameState::Writing => self.frames.remove(ListName::InFlight, frame),
            _ if self.frames.is_frozen(frame) => {
                self.frames.remove(self.frames.queue_of_frozen(frame), frame);
            }
            _ => self.frames.remove(ListName::Dirty, frame),
        }
        let (table, _) = find_entry(&self.frames, mmu, page);
        let table = table.expect("a resident page has its tables");
        mmu.set_entry(table, index_at(page, 3), None);
        self.statistics.tables_freed += u64::from(give_back_empty(&mut self.frames, mmu, page));
        self.frames.release(frame);
    }
}
