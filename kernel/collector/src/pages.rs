//! The pages of the snapshot in the frames that the mark was given: its own buffer, beside the page cache.
//!
//! Invariants: a frame is free, being read into, or holds a page, one of the three; a page that could not be read is never
//! taken for an empty one.

use crate::bytes::{index, read_u32, read_u64};
use crate::error::{MarkRefusal, Stop};
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use revenant_hal::{Epoch, FrameIndex, FrameMemory, OBJECT_SPACE_BASE, PageIndex};
use revenant_store::{DamagedBlock, PageContent, Store};

/// Holes that are remembered for each frame.
const HOLES_PER_FRAME: usize = 4;
const PAGE: u64 = revenant_hal::PAGE_SIZE_U64;

/// The page of an address.
pub(crate) fn page_of(address: u64) -> PageIndex {
    PageIndex(address.wrapping_sub(OBJECT_SPACE_BASE) / PAGE)
}

/// A page that was read, or is known to be a hole.
#[derive(Clone, Copy, Debug)]
struct Held {
    page: PageIndex,
    frame: Option<FrameIndex>,
    /// It was looked at since the hand has passed.
    used: bool,
}

/// Places remembered by the low bits of the page's number: nearly every look is at a page of the last few.
const RECENT: usize = 64;

/// Frames and what they hold. Who goes is decided by a clock (Corbato 1968): exact ages would cost more than what is read.
#[derive(Debug)]
pub(crate) struct PageBuffer {
    epoch: Epoch,
    free: Vec<FrameIndex>,
    frames: usize,
    held: Vec<Option<Held>>,
    empty: Vec<usize>,
    places: BTreeMap<PageIndex, usize>,
    hand: usize,
    recent: [usize; RECENT],
    wanted: VecDeque<PageIndex>,
    reading: BTreeMap<PageIndex, FrameIndex>,
    damaged: Option<(PageIndex, DamagedBlock)>,
    /// Pages that are done without.
    lost: BTreeMap<PageIndex, DamagedBlock>,
    pub(crate) reads: u64,
    pub(crate) read_error_is_hole: bool,
}

impl PageBuffer {
    pub(crate) fn new(epoch: Epoch, frames: Vec<FrameIndex>) -> Self {
        Self {
            epoch,
            frames: frames.len(),
            free: frames,
            held: Vec::new(),
            empty: Vec::new(),
            places: BTreeMap::new(),
            hand: 0,
            recent: [0; RECENT],
            wanted: VecDeque::new(),
            reading: BTreeMap::new(),
            damaged: None,
            lost: BTreeMap::new(),
            reads: 0,
            read_error_is_hole: false,
        }
    }

    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// Asks for a page that will be needed.
    pub(crate) fn want(&mut self, page: PageIndex) {
        let known = self.places.contains_key(&page) || self.lost.contains_key(&page);
        if !known && !self.reading.contains_key(&page) {
            self.wanted.push_back(page);
        }
    }

    /// Asks for a page that is needed now.
    pub(crate) fn need(&mut self, page: PageIndex) {
        if !self.reading.contains_key(&page) {
            self.wanted.push_front(page);
        }
    }

    /// Starts the reads that frames can be found for.
    pub(crate) fn start(&mut self, store: &mut Store) -> Result<(), MarkRefusal> {
        while let Some(page) = self.wanted.pop_front() {
            if self.places.contains_key(&page) || self.reading.contains_key(&page) {
                continue;
            }
            let Some(frame) = self.take_frame() else {
                self.wanted.push_front(page);
                break;
            };
            if store.read_snapshot_page(self.epoch, page, frame).is_err() {
                self.free.push(frame);
                return Err(MarkRefusal::NotPinned);
            }
            self.reading.insert(page, frame);
        }
        Ok(())
    }

    /// Drops what is only expected to be of use.
    pub(crate) fn forget_wanted(&mut self) {
        self.wanted.clear();
    }

    fn take_frame(&mut self) -> Option<FrameIndex> {
        while self.free.is_empty() && self.give_up_one() {}
        self.free.pop()
    }

    /// Forgets a page that was not looked at for a while; whether there was any.
    fn give_up_one(&mut self) -> bool {
        for _ in 0..2 * self.held.len() {
            let place = self.hand;
            self.hand = (place + 1) % self.held.len();
            let Some(slot) = self.held.get_mut(place) else { continue };
            match slot {
                Some(held) if held.used => held.used = false,
                Some(held) => {
                    self.places.remove(&held.page);
                    self.free.extend(held.frame);
                    *slot = None;
                    self.empty.push(place);
                    return true;
                }
                None => {}
            }
        }
        false
    }

    /// Takes the end of a read.
    pub(crate) fn arrived(
        &mut self,
        page: PageIndex,
        frame: FrameIndex,
        result: Result<PageContent, DamagedBlock>,
    ) {
        self.reading.remove(&page);
        let content = match result {
            Err(_) if self.read_error_is_hole => PageContent::Zero,
            Err(damage) => {
                self.free.push(frame);
                if !self.lost.contains_key(&page) {
                    self.damaged.get_or_insert((page, damage));
                }
                return;
            }
            Ok(content) => content,
        };
        let kept = if content == PageContent::Stored {
            self.reads += 1;
            Some(frame)
        } else {
            self.free.push(frame);
            None
        };
        while self.places.len() >= self.frames.saturating_mul(HOLES_PER_FRAME) && self.give_up_one()
        {
        }
        let held = Some(Held { page, frame: kept, used: true });
        let place = self.empty.pop().unwrap_or(self.held.len());
        match self.held.get_mut(place) {
            Some(slot) => *slot = held,
            None => self.held.push(held),
        }
        self.places.insert(page, place);
    }

    /// The page that could not be read, if there was one.
    pub(crate) fn damaged(&self) -> Option<(PageIndex, DamagedBlock)> {
        self.damaged
    }

    /// Does without the page that could not be read, from now on; false if it did before.
    pub(crate) fn do_without(&mut self, page: PageIndex, damage: DamagedBlock) -> bool {
        self.damaged = None;
        self.lost.insert(page, damage).is_none()
    }

    /// What is known of a page that is done without.
    pub(crate) fn lost(&self, page: PageIndex) -> Option<DamagedBlock> {
        self.lost.get(&page).copied()
    }

    pub(crate) fn is_reading(&self) -> bool {
        !self.reading.is_empty()
    }

    /// The frame of a page, none for a hole.
    fn find(&mut self, page: PageIndex) -> Result<Option<FrameIndex>, Stop> {
        let recent = &mut self.recent[index(page.0) % RECENT];
        let found = match self.held.get_mut(*recent) {
            Some(Some(held)) if held.page == page => Some(held),
            _ => {
                let missing = || match self.lost.contains_key(&page) {
                    true => Stop::Lost(page),
                    false => Stop::Page(page),
                };
                *recent = *self.places.get(&page).ok_or_else(missing)?;
                self.held.get_mut(*recent).and_then(Option::as_mut)
            }
        };
        let held = found.ok_or(Stop::Page(page))?;
        held.used = true;
        Ok(held.frame)
    }
}

/// The snapshot's bytes, as far as they are in the buffer.
pub(crate) struct Reader<'a, F: ?Sized> {
    pub(crate) pages: &'a mut PageBuffer,
    pub(crate) frames: &'a F,
}

impl<F: FrameMemory + ?Sized> Reader<'_, F> {
    pub(crate) fn u64(&mut self, address: u64) -> Result<u64, Stop> {
        let frame = self.pages.find(page_of(address))?;
        let at = index(address % PAGE);
        Ok(frame.map_or(0, |frame| read_u64(&self.frames.bytes(frame).0, at)))
    }

    pub(crate) fn u32(&mut self, address: u64) -> Result<u32, Stop> {
        let frame = self.pages.find(page_of(address))?;
        let at = index(address % PAGE);
        Ok(frame.map_or(0, |frame| read_u32(&self.frames.bytes(frame).0, at)))
    }

    pub(crate) fn u8(&mut self, address: u64) -> Result<u8, Stop> {
        let frame = self.pages.find(page_of(address))?;
        let at = index(address % PAGE);
        Ok(frame.and_then(|frame| self.frames.bytes(frame).0.get(at).copied()).unwrap_or(0))
    }

    /// Whether nothing but zeros is there.
    pub(crate) fn is_hole(&mut self, page: PageIndex) -> Result<bool, Stop> {
        Ok(self.pages.find(page)?.is_none())
    }
}
