//! The phases beside marking itself: roots before it, weak pairs and the comparison with the start bits after it.
//!
//! Invariant: each call deals with one word, pair or block; what it lacks it asks for, and is made again.

use crate::error::{Stop, Unsound};
use crate::heap::{Directory, Place};
use crate::mark::{COMPLETE, CONFIRMING, Ended, MARKING, Mark, Phase};
use crate::pages::Reader;
use crate::partition;
use crate::roots::{Arena, Entry, Root, Roots};
use revenant_hal::FrameMemory;
use revenant_vm::memory::layout::system::counting;
use revenant_vm::memory::layout::{BLOCK, GRANULE, area, object};

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

    /// Every marked granule of the next block has a start bit: nothing was marked where no object is.
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
        if next < small {
            let ordinal = ordinal(next);
            for granule in partition::marked(journal, directory, ordinal)? {
                let place = Place::Small(ordinal, granule);
                starts(&mut reader, directory, place)?;
            }
        } else {
            let place = Place::Large(ordinal(next - small));
            if journal.is_marked(directory.bits(place))? {
                starts(&mut reader, directory, place)?;
            }
        }
        self.phase = Phase::Confirm(next + 1);
        if (next + 1).is_multiple_of(CONFIRMED_A_CHECKPOINT) {
            self.confirmed = next + 1;
            self.checkpoint();
        }
        Ok(())
    }
}

/// The metadata byte of an address.
fn metadata<F: FrameMemory + ?Sized>(reader: &mut Reader<'_, F>, address: u64) -> Result<u8, Stop> {
    reader.u8(address / BLOCK * BLOCK + address % BLOCK / GRANULE)
}

/// An error if no object starts there.
fn starts<F: FrameMemory + ?Sized>(
    reader: &mut Reader<'_, F>,
    directory: &Directory,
    place: Place,
) -> Result<(), Stop> {
    let address = directory.address(place).unwrap_or(0);
    let found = metadata(reader, address)? & object::META_START != 0;
    if found { Ok(()) } else { Err(Stop::Unsound(Unsound::NoStart { address })) }
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
