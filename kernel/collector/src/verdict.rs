//! What a complete mark says, block by block, read from the region when it is asked for.
//!
//! Invariant: marks come from bitmap pages whose checksums hold and whose sum was what the last checkpoint said; there is no verdict on
//! a block that the snapshot did not have.

use crate::bytes::{bit, index, read_u64};
use crate::error::{RegionError, Stop};
use crate::heap::{Directory, Place};
use crate::journal::Journal;
use crate::name::MarkName;
use crate::region::BLOCK_BITS;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use revenant_hal::{Disk, DiskCompletion, Epoch};
use revenant_vm::memory::layout::object;
use revenant_vm::sweep::{MARK_WORDS, Marks, Verdicts};

/// Blocks whose marks are kept.
const KEPT: usize = 16;
/// Granules of the metadata page, which come before those of objects.
const METADATA_GRANULES: usize = 256;
const _: () = assert!(METADATA_GRANULES + BLOCK_BITS == 64 * MARK_WORDS);

/// A complete mark.
#[derive(Debug)]
pub struct Verdict {
    name: MarkName,
    directory: Directory,
    journal: Journal,
    wanted: VecDeque<u32>,
    /// Which blocks' marks are kept, in no order.
    numbers: Vec<u32>,
    kept: Vec<[u64; MARK_WORDS]>,
    /// The next to go.
    oldest: usize,
}

impl Verdict {
    pub(crate) fn new(name: MarkName, directory: Directory, journal: Journal) -> Self {
        let (numbers, kept) = (Vec::with_capacity(KEPT), Vec::with_capacity(KEPT));
        Self { name, directory, journal, wanted: VecDeque::new(), numbers, kept, oldest: 0 }
    }

    /// Asks for the marks of a heap block, counted from the start of object space. The last sixteen asked for are kept.
    pub fn want(&mut self, number: u32) {
        if !self.numbers.contains(&number) && !self.wanted.contains(&number) {
            self.wanted.push_back(number);
        }
    }

    /// Whether marks that were asked for are not at hand yet.
    #[must_use]
    pub fn wants(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Goes on with what was asked for; whether the disk has to answer first.
    ///
    /// # Errors
    /// The region cannot be read, or is damaged.
    pub fn step<D: Disk + ?Sized>(&mut self, disk: &mut D) -> Result<bool, RegionError> {
        loop {
            self.journal.step(disk);
            if let Some(error) = self.journal.failed() {
                return Err(error);
            }
            if self.journal.is_busy() {
                return Ok(true);
            }
            let Some(number) = self.wanted.front().copied() else { return Ok(false) };
            match self.look_up(number) {
                Ok(words) => {
                    self.wanted.pop_front();
                    self.keep(number, words);
                }
                Err(Stop::Bitmap(page)) => self.journal.read(page),
                Err(_) => return Err(RegionError::Damaged),
            }
        }
    }

    fn keep(&mut self, number: u32, words: [u64; MARK_WORDS]) {
        if self.numbers.len() < KEPT {
            self.numbers.push(number);
            self.kept.push(words);
            return;
        }
        let place = self.oldest;
        self.oldest = (place + 1) % KEPT;
        if let (Some(old), Some(marks)) = (self.numbers.get_mut(place), self.kept.get_mut(place)) {
            (*old, *marks) = (number, words);
        }
    }

    /// Lets go of it: nothing more is asked for. Whether the disk has answered all that it was asked.
    pub fn release<D: Disk + ?Sized>(&mut self, disk: &mut D) -> bool {
        self.wanted.clear();
        self.journal.step(disk);
        !self.journal.is_asking() && (self.journal.failed().is_some() || !self.journal.is_busy())
    }

    /// Takes a completion that is the collector's.
    pub fn complete(&mut self, completion: DiskCompletion) {
        self.journal.complete(completion);
    }

    fn look_up(&mut self, number: u32) -> Result<[u64; MARK_WORDS], Stop> {
        let mut words = [0; MARK_WORDS];
        if let Some(ordinal) = self.directory.ordinal_of_small(number) {
            let place = self.directory.bits(Place::Small(ordinal, 0));
            let (page, _) = self.journal.page(place.page)?;
            let from = place.marked / 8;
            for (place, word) in words[METADATA_GRANULES / 64..].iter_mut().enumerate() {
                *word = read_u64(&page.0, from + 8 * place);
            }
        } else if let Some(ordinal) = self.directory.ordinal_of_large(number) {
            let place = self.directory.bits(Place::Large(ordinal));
            let (page, _) = self.journal.page(place.page)?;
            let granule = index(object::LARGE_OFFSET) / 16;
            let mut set = |granule: usize| words[granule / 64] |= 1 << (granule % 64);
            if bit(&page.0, place.marked) {
                set(granule);
            }
            if bit(&page.0, place.weak) {
                set(granule + 1);
            }
        }
        Ok(words)
    }
}

/// What the sweep asks. A block that held no objects in the snapshot has no marks.
impl Verdicts for Verdict {
    fn name(&self) -> [u64; 4] {
        self.name.words()
    }

    fn epoch(&self) -> Epoch {
        self.name.epoch
    }

    fn follows_weak(&self) -> bool {
        true
    }

    fn marks(&self, number: u32) -> Marks<'_> {
        let place = self.numbers.iter().position(|kept| *kept == number);
        match place.and_then(|place| self.kept.get(place)) {
            Some(words) => Marks::Here(words),
            None if self.journal.failed().is_some() => Marks::Failed,
            None => Marks::NotYet,
        }
    }
}
