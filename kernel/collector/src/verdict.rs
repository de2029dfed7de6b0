//! What a complete mark says, block by block, read from the region when it is asked for.
//!
//! Invariant: marks come from bitmap pages whose checksums hold and whose sum was what the last checkpoint said; there is no verdict on
//! a block that the snapshot did not have.

use crate::bytes::{bit, index};
use crate::error::{RegionError, Stop};
use crate::heap::{Directory, Place};
use crate::journal::Journal;
use crate::name::MarkName;
use crate::region::BLOCK_BITS;
use alloc::collections::{BTreeMap, VecDeque};
use revenant_hal::{Disk, DiskCompletion, Epoch};
use revenant_vm::memory::layout::object;
use revenant_vm::sweep::{MARK_WORDS, Marks, Verdicts};

/// Blocks whose marks are kept.
const KEPT: usize = 16;
/// Granules of the metadata page, which come before those of objects.
const METADATA_GRANULES: usize = 256;

/// A complete mark.
#[derive(Debug)]
pub struct Verdict {
    name: MarkName,
    directory: Directory,
    journal: Journal,
    wanted: VecDeque<u32>,
    kept: BTreeMap<u32, [u64; MARK_WORDS]>,
    order: VecDeque<u32>,
}

impl Verdict {
    pub(crate) fn new(name: MarkName, directory: Directory, journal: Journal) -> Self {
        let (wanted, order) = (VecDeque::new(), VecDeque::new());
        Self { name, directory, journal, wanted, kept: BTreeMap::new(), order }
    }

    /// Asks for the marks of a heap block, counted from the start of object space. The last sixteen asked for are kept.
    pub fn want(&mut self, number: u32) {
        if !self.kept.contains_key(&number) && !self.wanted.contains(&number) {
            self.wanted.push_back(number);
        }
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
                    if self.order.len() >= KEPT
                        && let Some(oldest) = self.order.pop_front()
                    {
                        self.kept.remove(&oldest);
                    }
                    self.order.push_back(number);
                    self.kept.insert(number, words);
                }
                Err(Stop::Bitmap(page)) => self.journal.read(page),
                Err(_) => return Err(RegionError::Damaged),
            }
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
        let mut set = |granule: usize| words[granule / 64] |= 1 << (granule % 64);
        if let Some(ordinal) = self.directory.ordinal_of_small(number) {
            let place = self.directory.bits(Place::Small(ordinal, 0));
            let (page, _) = self.journal.page(place.page)?;
            let granules = (0..BLOCK_BITS).filter(|granule| bit(&page.0, place.marked + granule));
            granules.for_each(|granule| set(METADATA_GRANULES + granule));
        } else if let Some(ordinal) = self.directory.ordinal_of_large(number) {
            let place = self.directory.bits(Place::Large(ordinal));
            let (page, _) = self.journal.page(place.page)?;
            let granule = index(object::LARGE_OFFSET) / 16;
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
        match self.kept.get(&number) {
            Some(words) => Marks::Here(words),
            None if self.journal.failed().is_some() => Marks::Failed,
            None => Marks::NotYet,
        }
    }
}
