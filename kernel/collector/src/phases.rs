//! The phases beside marking itself: roots before it, weak pairs and the comparison with the start bits after it.
//!
//! Invariant: each call deals with one word, pair or block; what it lacks it asks for, and is made again.

use crate::error::{Stop, Unsound};
use crate::heap::{Directory, Place};
use crate::mark::{COMPLETE, CONFIRMING, Ended, MARKING, Mark, Phase};
use crate::pages::Reader;
use crate::partition;
use crate::roots::{Arena, Entry, Root, Roots};
use crate::survivors::SIZES;
use revenant_hal::FrameMemory;
use revenant_vm::heap::metadata::Metadata;
use revenant_vm::memory::layout::system::counting;
use revenant_vm::memory::layout::{BLOCK, GRANULE, PAGE, area, block, object};

/// Blocks compared with their start bits after which a checkpoint is due.
const CONFIRMED_A_CHECKPOINT: u64 = 1024;

impl Mark {
    /// Every root is marked.
    pub(crate) fn roots<F: FrameMemory + ?Sized>(
        &mut self,
        mut roots: Roots,
        frames: &F,
    ) -> Result<(), Ended> {
        if self.is_crowded() {
            return self.relieve();
        }
        let mut reader = Reader { pages: &mut self.pages, frames };
        let address = match roots.next(&mut reader)? {
            Root::Object(address) => Some(address),
            Root::Listed(address, batch) => {
                is_listed(&mut reader, &self.directory, address, batch)?
            }
            Root::Nothing => None,
            Root::End => {
                self.settle()?;
                self.durable_phase = MARKING;
                self.checkpoint();
                self.phase = Phase::Marking;
                return Ok(());
            }
        };
        if let Some(address) = address {
            self.place(address)?;
            self.send(&[address]);
        }
        self.phase = Phase::Roots(roots);
        Ok(())
    }

    /// The second stage: from an object reached to its weak reference, and from a weak reference reached to its object, until nothing is left.
    pub(crate) fn pairs<F: FrameMemory + ?Sized>(
        &mut self,
        mut walk: Arena,
        mut found: bool,
        frames: &F,
    ) -> Result<(), Ended> {
        if self.is_crowded() {
            return self.relieve();
        }
        let mut reader = Reader { pages: &mut self.pages, frames };
        let state = area::COUNTING + counting::WEAK;
        match walk.next(&mut reader, state, area::WEAK_TABLE)? {
            Entry::Pair(target, weak) => {
                let target_bits = self.directory.bits(self.place(target)?);
                let weak_bits = self.directory.bits(self.place(weak)?);
                let marked =
                    (self.journal.is_marked(target_bits)?, self.journal.is_marked(weak_bits)?);
                if marked.0 != marked.1 {
                    self.send(&[target, weak]);
                    found = true;
                }
                self.phase = Phase::Pairs(walk, found);
            }
            Entry::Nothing => self.phase = Phase::Pairs(walk, found),
            Entry::End if found => {
                self.settle()?;
                self.phase = Phase::Marking;
            }
            Entry::End => {
                self.settle()?;
                self.durable_phase = CONFIRMING;
                self.checkpoint();
                self.phase = Phase::Confirm(0);
            }
        }
        Ok(())
    }

    /// Every marked granule of the next block has a start bit: nothing was marked where no object is. What lives there is added up.
    pub(crate) fn confirm<F: FrameMemory + ?Sized>(
        &mut self,
        next: u64,
        frames: &F,
    ) -> Result<(), Ended> {
        let small = u64::from(self.directory.small());
        let all = small + u64::from(self.directory.large());
        self.confirmed = next;
        if next >= all {
            self.durable_phase = COMPLETE;
            self.checkpoint();
            self.phase = Phase::Seal;
            return Ok(());
        }
        let (journal, directory) = (&mut self.journal, &self.directory);
        let mut reader = Reader { pages: &mut self.pages, frames };
        let ordinal = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        // Into a copy: an operation that lacks something is made again.
        let mut survivors = *self.survivors;
        if next < small {
            let ordinal = ordinal(next);
            let (size, cell) = (directory.size_class(ordinal), directory.granules_of_cell(ordinal));
            let (mut granules, mut pages) = (0_u64, 0_u32);
            for granule in partition::marked(journal, directory, ordinal)? {
                let found = starts(&mut reader, directory, Place::Small(ordinal, granule))?;
                survivors.object(size, found.count(), found.is_sticky());
                granules += cell as u64;
                let page = |granule: u64| granule * GRANULE / PAGE;
                let last = u64::from(granule) + cell as u64 - 1;
                (page(granule.into())..=page(last)).for_each(|page| pages |= 1 << page.min(31));
            }
            survivors.block(granules, pages.count_ones());
        } else {
            let place = Place::Large(ordinal(next - small));
            let mut bytes = 0;
            if journal.is_marked(directory.bits(place))? {
                let found = starts(&mut reader, directory, place)?;
                survivors.object(SIZES - 1, found.count(), found.is_sticky());
                let address = directory.address(place).unwrap_or(0);
                bytes = reader.u64(address - object::LARGE_OFFSET + block::HEADER_EXTENT)?;
            }
            survivors.large(bytes);
        }
        *self.survivors = survivors;
        self.phase = Phase::Confirm(next + 1);
        if (next + 1).is_multiple_of(CONFIRMED_A_CHECKPOINT) {
            self.confirmed = next + 1;
            self.checkpoint();
        }
        Ok(())
    }
}

/// The metadata byte of an address.
pub(crate) fn metadata<F: FrameMemory + ?Sized>(
    reader: &mut Reader<'_, F>,
    address: u64,
) -> Result<u8, Stop> {
    reader.u8(address / BLOCK * BLOCK + address % BLOCK / GRANULE)
}

/// The metadata byte of an object; an error if none starts there.
fn starts<F: FrameMemory + ?Sized>(
    reader: &mut Reader<'_, F>,
    directory: &Directory,
    place: Place,
) -> Result<Metadata, Stop> {
    let address = directory.address(place).unwrap_or(0);
    let found = Metadata(metadata(reader, address)?);
    if found.starts() { Ok(found) } else { Err(Stop::Unsound(Unsound::NoStart { address })) }
}

/// The object of an entry that is not stale: its metadata says that it stands there.
fn is_listed<F: FrameMemory + ?Sized>(
    reader: &mut Reader<'_, F>,
    directory: &Directory,
    address: u64,
    batch: u8,
) -> Result<Option<u64>, Stop> {
    if directory.place(address).is_none() {
        return Ok(None);
    }
    let byte = metadata(reader, address)?;
    let stands = batch == 0 || byte >> object::META_BATCH_SHIFT == batch;
    Ok((byte & object::META_START != 0 && stands).then_some(address))
}
