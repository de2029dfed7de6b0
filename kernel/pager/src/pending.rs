//! Pages on their way from the disk, pages that cannot be had, and the news for those who wait.
//!
//! All of it is bounded and allocated in advance, because it is filled from traps: when the room for page-ins is used up the
//! fault waits without a record, and everybody is told to try again once there is room.

use alloc::{collections::VecDeque, vec::Vec};
use revenant_hal::{FrameIndex, PageIndex};
use revenant_store::DamagedBlock;

/// Page-ins that may be under way.
pub(crate) const PENDING_LIMIT: usize = 384;
/// Slots by which page-ins are counted.
const SLOTS: u64 = 2048;
/// Unreadable pages that are remembered; an older one is forgotten and would be read again.
const DAMAGED_LIMIT: usize = 256;
/// Single wake-ups kept until the kernel takes them; beyond it everybody is woken.
const WAKES_LIMIT: usize = 1024;

/// Who may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// Whoever waits for this page.
    Page(PageIndex),
    /// Everybody who waits for whatever reason: try again.
    All,
}

#[derive(Clone, Copy)]
struct PageIn {
    page: PageIndex,
    frame: FrameIndex,
    /// The page was discarded meanwhile: whatever comes, it is zeros.
    discarded: bool,
}

/// What became of a page-in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// There was none: somebody else asked the store for the page.
    Unasked,
    /// It has what the page holds.
    Awaited,
    /// The page was discarded while it was on its way.
    Discarded,
}

const _: () = assert!(PENDING_LIMIT <= u16::MAX as usize, "a slot counts all of them");

const fn slot(page: PageIndex) -> usize {
    (page.0 & (SLOTS - 1)) as usize
}

/// Page-ins, damage, wake-ups.
pub(crate) struct Pending {
    /// Recorded by faults, not submitted yet.
    requested: VecDeque<PageIn>,
    /// Given to the store.
    submitted: Vec<PageIn>,
    /// How many of both have a page of each slot: most questions end there.
    by_slot: Vec<u16>,
    damaged: VecDeque<(PageIndex, DamagedBlock)>,
    /// Of those: made anew by the next store.
    replaced: Vec<PageIndex>,
    wakes: VecDeque<PageIndex>,
    wake_all: bool,
    /// Somebody waits for room here, for a frame or for space: the next chance wakes everybody.
    somebody_waits: bool,
}

impl Pending {
    pub(crate) fn new() -> Self {
        Self {
            requested: VecDeque::with_capacity(PENDING_LIMIT),
            submitted: Vec::with_capacity(PENDING_LIMIT),
            by_slot: alloc::vec![0; slot(PageIndex(SLOTS - 1)) + 1],
            damaged: VecDeque::with_capacity(DAMAGED_LIMIT),
            replaced: Vec::with_capacity(DAMAGED_LIMIT),
            wakes: VecDeque::with_capacity(WAKES_LIMIT),
            wake_all: false,
            somebody_waits: false,
        }
    }

    /// The frame that a page is on its way to.
    pub(crate) fn coming(&self, page: PageIndex) -> Option<FrameIndex> {
        if self.by_slot[slot(page)] == 0 {
            return None;
        }
        let mut all = self.requested.iter().chain(&self.submitted);
        all.find(|page_in| page_in.page == page).map(|page_in| page_in.frame)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count() >= PENDING_LIMIT
    }

    pub(crate) fn count(&self) -> usize {
        self.requested.len() + self.submitted.len()
    }

    pub(crate) fn request(&mut self, page: PageIndex, frame: FrameIndex) {
        assert!(!self.is_full(), "the caller looked for room");
        self.by_slot[slot(page)] += 1;
        self.requested.push_back(PageIn { page, frame, discarded: false });
    }

    /// The next page-in to submit; from here on it counts as submitted.
    pub(crate) fn submit_next(&mut self) -> Option<(PageIndex, FrameIndex)> {
        let page_in = self.requested.pop_front()?;
        self.submitted.push(page_in);
        Some((page_in.page, page_in.frame))
    }

    /// What comes for a page does not count any more.
    pub(crate) fn forget_content(&mut self, page: PageIndex) {
        let under_way = self.requested.iter_mut().chain(&mut self.submitted);
        for page_in in under_way.filter(|page_in| page_in.page == page) {
            page_in.discarded = true;
        }
    }

    /// Ends a page-in.
    pub(crate) fn end(&mut self, page: PageIndex, frame: FrameIndex) -> Arrival {
        let place =
            self.submitted.iter().position(|entry| (entry.page, entry.frame) == (page, frame));
        let Some(place) = place else { return Arrival::Unasked };
        self.by_slot[slot(page)] -= 1;
        match self.submitted.swap_remove(place).discarded {
            true => Arrival::Discarded,
            false => Arrival::Awaited,
        }
    }

    pub(crate) fn damage(&self, page: PageIndex) -> Option<DamagedBlock> {
        self.damaged.iter().find(|(damaged, _)| *damaged == page).map(|(_, block)| *block)
    }

    pub(crate) fn damaged_pages(&self) -> impl Iterator<Item = (PageIndex, DamagedBlock)> + '_ {
        self.damaged.iter().copied()
    }

    pub(crate) fn record_damage(&mut self, page: PageIndex, block: DamagedBlock) {
        if self.damaged.len() >= DAMAGED_LIMIT {
            let forgotten = self.damaged.pop_front();
            self.replaced.retain(|page| forgotten.is_none_or(|(forgotten, _)| forgotten != *page));
        }
        self.damaged.push_back((page, block));
    }

    pub(crate) fn forget_damage(&mut self, page: PageIndex) {
        self.damaged.retain(|(damaged, _)| *damaged != page);
        self.replaced.retain(|replaced| *replaced != page);
    }

    /// The next store to the page makes it anew; nothing if it is not known as unreadable.
    pub(crate) fn permit_replacement(&mut self, page: PageIndex) {
        if self.damage(page).is_some() && !self.is_replaced(page) {
            self.replaced.push(page); // at most one for each of the damaged, for which there is room
        }
    }

    pub(crate) fn is_replaced(&self, page: PageIndex) -> bool {
        self.replaced.contains(&page)
    }

    pub(crate) fn wake(&mut self, page: PageIndex) {
        if self.wakes.len() >= WAKES_LIMIT {
            self.wake_all = true;
        } else {
            self.wakes.push_back(page);
        }
    }

    /// Somebody waits for something that has no page: frames, space, room.
    pub(crate) fn note_waiting(&mut self) {
        self.somebody_waits = true;
    }

    /// There may be room, a frame or space again.
    pub(crate) fn wake_waiting(&mut self) {
        self.wake_all |= self.somebody_waits;
        self.somebody_waits = false;
    }

    pub(crate) fn next_wake(&mut self) -> Option<Wake> {
        if self.wake_all {
            self.wake_all = false;
            self.wakes.clear();
            return Some(Wake::All);
        }
        self.wakes.pop_front().map(Wake::Page)
    }
}
