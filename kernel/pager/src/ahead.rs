//! Pages read before somebody misses them: asking for what [`crate::read_ahead`] wants, and telling it what became of them.
//!
//! Asking happens in [`Pager::step`] alone. Invariants:
//! - a page is asked for only if that leaves frames and room for those who wait ([`Pager::prefetch`]); what does not fit now is
//!   asked for later, or never if the reader is faster;
//! - it comes to probation like every other, without the rights that having been known before would give it; so pages in use
//!   do not go for the sake of pages that nobody has asked for;
//! - each page read ahead ends as touched or as gone untouched, and is counted once.
//!
//! Nothing is read ahead before [`Pager::set_read_ahead`]: after a resume the first instruction waits for its pages alone.

use crate::PageStore;
use crate::fault::Prefetch;
use crate::pager::{Memory, Pager};
use crate::tables::find_entry;
use revenant_hal::{FrameIndex, FrameMemory, Mmu, PageIndex};

/// Pages looked at in one step, read or not.
const LOOKS_PER_STEP: u32 = 512;
/// Pages read ahead and not known to be touched may take one in so many frames.
const MOST_AHEAD: u32 = 4;

/// The number by which policies know a page. Below 2^32: `fault` lets no other page become resident.
pub(crate) fn number(page: PageIndex) -> u32 {
    (page.0 & 0xffff_ffff) as u32
}

impl Pager {
    /// Says whether pages are read before somebody misses them.
    pub fn set_read_ahead(&mut self, on: bool) {
        self.reads_ahead = on;
    }

    /// Asks for what walks will need next, as far as there is room.
    pub(crate) fn read_ahead<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) {
        if !self.reads_ahead {
            return;
        }
        let mut due = self.read_ahead.due();
        while due != 0 {
            let place = due.trailing_zeros() as usize;
            due &= due - 1;
            let Some(markers) = self.read_ahead.markers(place) else { continue };
            let touched = |page: &u32| {
                let page = PageIndex(u64::from(*page));
                let (_, entry) = find_entry(&self.frames, memory.mmu, page);
                entry.is_some_and(|entry| entry.accessed)
            };
            if markers.iter().any(touched) {
                self.read_ahead.reached(place);
            }
        }
        self.look_at_passed(memory.mmu);
        for _ in 0..LOOKS_PER_STEP {
            let Some((place, page)) = self.read_ahead.wanted() else { return };
            if self.ahead >= self.frames.len() / MOST_AHEAD {
                return;
            }
            let asked = self.prefetch(PageIndex(u64::from(page)), memory, store);
            if let Prefetch::Requested(frame) = asked {
                self.frames.set_ahead(frame, true);
                self.frames.set_group(frame, self.read_ahead.group(place));
                self.ahead += 1;
                self.statistics.pages_read_ahead += 1;
            }
            if asked == Prefetch::NoRoom {
                return;
            }
            self.read_ahead.asked(place, asked != Prefetch::Pointless);
        }
    }

    /// What readers have passed and touched is a hit now: memory that is not full may learn it much later otherwise.
    fn look_at_passed<M: Mmu>(&mut self, mmu: &M) {
        let Some(passed) = self.read_ahead.take_passed() else { return };
        for page in passed {
            let (_, entry) = find_entry(&self.frames, mmu, PageIndex(u64::from(page)));
            if let Some(entry) = entry.filter(|entry| entry.accessed) {
                self.note_touched(entry.frame);
            }
        }
    }

    /// Somebody waits for a page: one that was on its way already, or a new one.
    pub(crate) fn note_missed(&mut self, page: PageIndex, new: bool) {
        if !self.reads_ahead {
            return;
        }
        if new {
            self.read_ahead.missed(number(page));
            return;
        }
        if let Some(frame) = self.pending.coming(page) {
            self.note_touched(frame);
        }
        self.read_ahead.awaited(number(page));
    }

    /// Somebody wants the page in the frame, which may have been read ahead.
    pub(crate) fn note_touched(&mut self, frame: FrameIndex) {
        if self.frames.is_ahead(frame) {
            self.frames.set_ahead(frame, false);
            self.note_hits(1);
        }
    }

    /// So many frames no longer count as read ahead, because their pages were touched.
    pub(crate) fn note_hits(&mut self, hits: u32) {
        self.ahead -= hits;
        self.statistics.read_ahead_hits += u64::from(hits);
        self.read_ahead.hits(hits);
    }

    /// The page is about to leave the frame, untouched if it still counts as read ahead.
    pub(crate) fn note_gone(&mut self, page: PageIndex, frame: FrameIndex) {
        if self.frames.is_ahead(frame) {
            self.frames.set_ahead(frame, false);
            self.ahead -= 1;
            self.statistics.read_ahead_wasted += 1;
            self.read_ahead.wasted(number(page));
        }
    }
}
