//! A mark that does without pages that are nowhere to be had (MECHANISMS B22, B23, B27): what they may have led to stays.
//!
//! What stood on a lost page is unknown, but not when: its reference says for which snapshot it was written. So it leads to nothing younger.
//! An object that is no younger and was not reached is a **suspect**: when all else is marked, every suspect is marked too, with what follows
//! from it. What is unmarked then cannot be reached whatever the page held, also if the device should deliver it again one day.
//!
//! ```text
//!   marking is at its end --> clear: what was foreseen of objects that nobody has reached is forgotten
//!                         --> references: of what a suspect refers to, the scanned bit; it says so until the object is marked
//!                         --> trees: each suspect that no other refers to, and all that follows from it; counted
//!                         --> circles: each suspect that is left, in the order of addresses
//! ```
//!
//! A subtree of at least [`LEAST_OBJECTS`] is worth being looked at by people: its root is noted for lost+found. The largest are, if there are many.
//!
//! What a mark cannot do without, lost or not: the root page and the tables, the metadata pages of blocks, classes, threads. Pages of stacks it
//! can: what ran there last was no younger than the page.
//!
//! Invariants: the control block carries how far this is, and how young a page was met at most, with the bits that follow from it; a root whose marks
//! were not entered at a cut is sent again.

use crate::api::MarkOutcome;
use crate::bytes::{bit, index, read_u32, read_u64, set_bit, write_u32, write_u64};
use crate::error::Stop;
use crate::heap::Place;
use crate::mark::{Ended, Mark, Phase};
use crate::pages::Reader;
use crate::phases::metadata;
use crate::region::{BLOCK_BITS, BLOCK_BYTES, BLOCKS_PER_PAGE, BitPlace, HEADER, LARGE_PER_PAGE};
use alloc::vec::Vec;
use revenant_hal::{Epoch, FrameMemory, ObjectAddress, PageIndex};
use revenant_vm::memory::layout::object;

/// Objects from which on a subtree is worth being hung in lost+found.
pub const LEAST_OBJECTS: u64 = 8;
/// Subtrees that are noted, and lost pages that a control block names.
const MOST_FOUND: usize = 128;
const MOST_PAGES: usize = 96;
/// Bytes in a control block.
pub(crate) const ENCODED: usize = FOUND + 16 * MOST_FOUND;
const PAGES: usize = 80;
const FOUND: usize = PAGES + 8 * MOST_PAGES;

/// A subtree that only a lost page may have led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subtree {
    /// The object from which all others can be reached.
    pub root: ObjectAddress,
    /// How many there are, but for those that others before it have led to.
    pub objects: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(u32)]
enum Stage {
    #[default]
    Idle,
    Clear,
    References,
    Trees,
    Circles,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Recovery {
    /// The youngest of the lost pages that were met; epoch 0: none was.
    youngest: Epoch,
    /// Suspects up to this birth are marked.
    done: Epoch,
    /// Up to this birth they are being looked for.
    limit: Epoch,
    stage: Stage,
    /// Where the walk goes on: ordinal (small blocks, then large objects), granule, slot of a large object.
    block: u32,
    granule: u32,
    slot: u64,
    /// The suspect from which marks spread, and how many objects had been looked at before.
    root: u64,
    before: u64,
    /// Of these pages nobody knew so far: what is found goes to lost+found.
    is_news: bool,
    pages: Vec<PageIndex>,
    found: Vec<Subtree>,
}

impl Recovery {
    /// Whether pages were lost that the mark has met.
    pub(crate) fn is_needed(&self) -> bool {
        self.youngest.0 != 0
    }

    /// Whether suspects are left to look for.
    pub(crate) fn is_due(&self) -> bool {
        self.stage != Stage::Idle || self.youngest > self.done
    }

    /// Whether the scanned bit of an object that is not marked says that a suspect refers to it.
    pub(crate) fn has_cleared(&self) -> bool {
        self.stage > Stage::Clear || self.done.0 != 0
    }

    /// The suspect whose marks may not have been entered when the power went.
    pub(crate) fn root(&self) -> Option<u64> {
        (self.root != 0).then_some(self.root)
    }

    fn note(&mut self, objects: u64) {
        let root = ObjectAddress(core::mem::take(&mut self.root));
        if objects < LEAST_OBJECTS || !self.is_news {
            return;
        }
        let new = Subtree { root, objects };
        if self.found.len() < MOST_FOUND {
            self.found.push(new);
        } else if let Some(least) = self.found.iter_mut().min_by_key(|found| found.objects)
            && least.objects < objects
        {
            *least = new;
        }
    }

    /// Writes it into a control block; `objects` were looked at so far.
    pub(crate) fn encode(&self, bytes: &mut [u8], start: usize, objects: u64) {
        let words = [
            self.youngest.0,
            self.done.0,
            self.limit.0,
            u64::from(self.block),
            u64::from(self.granule),
            self.slot,
            self.root,
            objects.wrapping_sub(self.before),
        ];
        for (place, word) in words.into_iter().enumerate() {
            write_u64(bytes, start + 8 * place, word);
        }
        let count = |length: usize| u32::try_from(length).unwrap_or(0);
        let (pages, found) = (count(self.pages.len()), count(self.found.len()));
        let numbers = [self.stage as u32, u32::from(self.is_news), pages, found];
        for (place, number) in numbers.into_iter().enumerate() {
            write_u32(bytes, start + 64 + 4 * place, number);
        }
        for (place, page) in self.pages.iter().enumerate() {
            write_u64(bytes, start + PAGES + 8 * place, page.0);
        }
        for (place, found) in self.found.iter().enumerate() {
            write_u64(bytes, start + FOUND + 16 * place, found.root.0);
            write_u64(bytes, start + FOUND + 16 * place + 8, found.objects);
        }
    }
    /// Reads it back; nothing has been looked at since.
    pub(crate) fn decode(bytes: &[u8], start: usize) -> Self {
        let word = |place: usize| read_u64(bytes, start + 8 * place);
        let number = |place: usize| index(read_u32(bytes, start + 64 + 4 * place).into());
        let small = |place| u32::try_from(word(place)).unwrap_or(u32::MAX);
        let pages = 0..number(2).min(MOST_PAGES);
        let found = 0..number(3).min(MOST_FOUND);
        let subtree = |place: usize| Subtree {
            root: ObjectAddress(read_u64(bytes, start + FOUND + 16 * place)),
            objects: read_u64(bytes, start + FOUND + 16 * place + 8),
        };
        Self {
            youngest: Epoch(word(0)),
            done: Epoch(word(1)),
            limit: Epoch(word(2)),
            stage: match number(0) {
                1 => Stage::Clear,
                2 => Stage::References,
                3 => Stage::Trees,
                4 => Stage::Circles,
                _ => Stage::Idle,
            },
            block: small(3),
            granule: small(4),
            slot: word(5),
            root: word(6),
            before: 0_u64.wrapping_sub(word(7)),
            is_news: number(1) != 0,
            pages: pages
                .map(|place| PageIndex(read_u64(bytes, start + PAGES + 8 * place)))
                .collect(),
            found: found.map(subtree).collect(),
        }
    }
}

/// What a mark did without, and what it has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// The lost pages, the first [`MOST_PAGES`] that were met.
    pub pages: Vec<PageIndex>,
    /// Subtrees for lost+found; none if all the pages were known to be lost.
    pub subtrees: Vec<Subtree>,
    /// Of one page at least nobody knew so far.
    pub is_news: bool,
}

impl Mark {
    /// Goes on without the page that [`MarkOutcome::Incomplete`] has named, and that is nowhere else either. What was `known` to be lost
    /// brings nothing to lost+found. False: it cannot be done without.
    #[must_use]
    pub fn tolerate(&mut self, known: bool) -> bool {
        let Some(MarkOutcome::Incomplete { page, damage }) = self.ended else { return false };
        if !self.pages.do_without(page, damage) {
            return false;
        }
        self.ended = None;
        // Where the reference has no birth, anything may have been there.
        let birth = if damage.birth.0 == 0 { self.name().epoch } else { damage.birth };
        self.recovery.youngest = self.recovery.youngest.max(birth);
        self.recovery.is_news |= !known;
        if self.recovery.pages.len() < MOST_PAGES {
            self.recovery.pages.push(page);
        }
        true
    }

    /// What a complete mark did without; none if it had everything.
    #[must_use]
    pub fn recovered(&self) -> Option<Recovered> {
        let Recovery { pages, found, is_news, .. } = self.recovery.clone();
        self.recovery.is_needed().then_some(Recovered { pages, subtrees: found, is_news })
    }

    /// The next piece: a bitmap page, an object, or a suspect whose marks then spread.
    pub(crate) fn recover<F: FrameMemory + ?Sized>(&mut self, frames: &F) -> Result<(), Ended> {
        match self.recovery.stage {
            Stage::Idle => {
                self.recovery.limit = self.recovery.youngest;
                self.enter_stage(Stage::Clear);
            }
            Stage::Clear => self.forget_foreseen()?,
            Stage::References => self.note_references(frames)?,
            Stage::Trees | Stage::Circles => self.next_suspect(frames)?,
        }
        Ok(())
    }

    fn enter_stage(&mut self, stage: Stage) {
        let recovery = &mut self.recovery;
        (recovery.block, recovery.granule, recovery.slot) = (0, 0, 0);
        recovery.stage = stage;
        if stage == Stage::Idle {
            recovery.done = recovery.limit;
            self.phase = Phase::Marking;
        }
    }

    /// One bitmap page, after which nothing is scanned that is not marked.
    fn forget_foreseen(&mut self) -> Result<(), Stop> {
        let number = self.recovery.block;
        if number >= self.directory.pages() {
            self.enter_stage(Stage::References);
            return Ok(());
        }
        let small = number < self.directory.small_pages();
        let page = &mut self.journal.change(number)?.0;
        let rows = if small {
            (BLOCKS_PER_PAGE as usize, BLOCK_BYTES)
        } else {
            (1, index(u64::from(LARGE_PER_PAGE)) / 8)
        };
        for row in 0..rows.0 {
            let marked = HEADER + row * 2 * rows.1;
            for byte in marked..marked + rows.1 {
                let kept = page.get(byte).copied().unwrap_or(0);
                if let Some(scanned) = page.get_mut(byte + rows.1) {
                    *scanned &= kept;
                }
            }
        }
        self.recovery.block = number + 1;
        Ok(())
    }

    /// What the next suspect refers to is no root of a subtree.
    fn note_references<F: FrameMemory + ?Sized>(&mut self, frames: &F) -> Result<(), Stop> {
        let Some((place, address)) = self.next_unmarked(frames)? else {
            self.enter_stage(Stage::Trees);
            return Ok(());
        };
        if !self.is_suspect(address, frames)? {
            self.pass(None);
            return Ok(());
        }
        let mut targets = Vec::new();
        let next = self.references(place, self.recovery.slot, frames, &mut targets)?;
        for target in targets {
            let bits = self.directory.bits(self.place(target)?);
            if !self.journal.is_marked(bits)? && target != address {
                set_bit(&mut self.journal.change(bits.page)?.0, bits.scanned);
            }
        }
        self.pass(next);
        Ok(())
    }

    /// Marks the next suspect from which to begin.
    fn next_suspect<F: FrameMemory + ?Sized>(&mut self, frames: &F) -> Result<(), Stop> {
        if self.recovery.root != 0 {
            let objects = self.objects.wrapping_sub(self.recovery.before);
            self.recovery.note(objects);
        }
        let Some((place, address)) = self.next_unmarked(frames)? else {
            let next = match self.recovery.stage {
                Stage::Trees => Stage::Circles,
                _ => Stage::Idle,
            };
            self.enter_stage(next);
            return Ok(());
        };
        let BitPlace { page, scanned, .. } = self.directory.bits(place);
        let inside =
            self.recovery.stage == Stage::Trees && bit(&self.journal.page(page)?.0.0, scanned);
        if !inside && self.is_suspect(address, frames)? {
            (self.recovery.root, self.recovery.before) = (address, self.objects);
            self.send(&[address]);
            self.phase = Phase::Marking;
        }
        self.pass(None);
        Ok(())
    }

    /// Whether an object is no younger than the lost pages. One that stands on such a page may be.
    fn is_suspect<F: FrameMemory + ?Sized>(
        &mut self,
        address: u64,
        frames: &F,
    ) -> Result<bool, Stop> {
        let mut reader = Reader { pages: &mut self.pages, frames };
        match reader.u64(address + object::BIRTH_AND_FLAGS) {
            Ok(word) => Ok(word & object::BIRTH_MASK <= self.recovery.limit.0),
            Err(Stop::Lost(_)) => Ok(true),
            Err(stop) => Err(stop),
        }
    }

    /// Goes to the next object, or to a slot of this one.
    fn pass(&mut self, slot: Option<u64>) {
        self.recovery.slot = slot.unwrap_or(0);
        if slot.is_none() {
            self.recovery.granule += 1;
        }
    }

    /// The next object that stands in the snapshot and is not marked.
    fn next_unmarked<F: FrameMemory + ?Sized>(
        &mut self,
        frames: &F,
    ) -> Result<Option<(Place, u64)>, Stop> {
        let (small, large) = (self.directory.small(), self.directory.large());
        while self.recovery.block < small + large {
            let block = self.recovery.block;
            let (cell, end) = match block.checked_sub(small) {
                None => (self.directory.granules_of_cell(block).max(1), BLOCK_BITS),
                Some(_) => (1, 1),
            };
            let mut granule = index(self.recovery.granule.into()).next_multiple_of(cell);
            while granule + cell <= end {
                let at = u32::try_from(granule).unwrap_or(u32::MAX);
                let place = block.checked_sub(small).map_or(Place::Small(block, at), Place::Large);
                let bits = self.directory.bits(place);
                if !self.journal.is_marked(bits)? {
                    let address = self.directory.address(place).unwrap_or(0);
                    let mut reader = Reader { pages: &mut self.pages, frames };
                    if metadata(&mut reader, address)? & object::META_START != 0 {
                        self.recovery.granule = at;
                        return Ok(Some((place, address)));
                    }
                }
                granule += cell;
            }
            (self.recovery.block, self.recovery.granule) = (block + 1, 0);
        }
        Ok(None)
    }
}
