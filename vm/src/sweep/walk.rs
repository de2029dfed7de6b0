//! The walk of a slice: from run to run by the block table, from start bit to start bit by the metadata pages.
//!
//! Runs are split, joined and taken between slices, and entries inside a run are stale. So a slice first asks which run covers the block
//! where it goes on; within it only its own frees change runs, and those behind it.

use revenant_hal::{OBJECT_SPACE_BASE, ObjectAddress};

use super::cursor::{self, word};
use super::{ENTRIES, LOOKS, MARK_WORDS, Marks, Notes, Outcome, Planted, ROWS, Verdicts};
use crate::counting::Table;
use crate::heap::metadata;
use crate::heap::runs::{self, BlockNumber, Entry, FRESH_ORDER};
use crate::memory::layout::system::counting;
use crate::memory::layout::{BLOCK, BLOCKS, GRANULE, area, block, object};
use crate::memory::{AddressExt, Space};
use crate::thread::life;

/// The start bits in eight bytes of metadata.
const STARTS: u64 = 0x0101_0101_0101_0101 * object::META_START as u64;

/// Why a slice ends before its work is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// It has done enough.
    Enough,
    /// Marks are not at hand.
    NotYet(u32),
    /// Marks cannot be read.
    Failed(u32),
}

/// A slice at work.
pub(super) struct Work<'a> {
    pub(super) space: Space,
    pub(super) verdicts: &'a dyn Verdicts,
    pub(super) planted: Planted,
    pub(super) notes: &'a Notes,
}

/// What a slice may still do.
struct Budget {
    /// Parts released, objects freed.
    parts: usize,
    looks: u32,
    rows: u32,
    entries: u32,
}

/// Takes one from what is left.
fn spend(left: &mut u32) -> Result<(), Stop> {
    *left = left.checked_sub(1).ok_or(Stop::Enough)?;
    Ok(())
}

/// Whether a granule's bit is set.
pub(super) fn has(marks: &[u64; MARK_WORDS], granule: u64) -> bool {
    let word = usize::try_from(granule / 64).ok().and_then(|index| marks.get(index));
    word.is_some_and(|word| word >> (granule % 64) & 1 != 0)
}

/// The start bits in the metadata of 64 granules. Of eight bytes at once: the product brings bit 8i to bit 56 + i, and no two sums meet.
fn gather(metadata: &[u8; 64]) -> u64 {
    const { assert!(object::META_START == 1) };
    let eights = metadata.as_chunks::<8>().0.iter().rev();
    eights.fold(0, |bits, eight| {
        let starts = u64::from_le_bytes(*eight) & STARTS;
        bits << 8 | starts.wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

impl<'a> Work<'a> {
    /// The whole slice.
    pub(super) fn go_on(&mut self) -> Outcome {
        match self.run() {
            Ok(()) => Outcome::Done,
            Err(Stop::Enough) => Outcome::More,
            Err(Stop::NotYet(block)) => Outcome::NotYet(block),
            Err(Stop::Failed(block)) => Outcome::Failed(block),
        }
    }

    fn run(&mut self) -> Result<(), Stop> {
        let mut budget =
            Budget { parts: self.notes.room(), looks: LOOKS, rows: ROWS, entries: ENTRIES };
        self.agree(&mut budget)?;
        self.finish_torn(&mut budget)?;
        let mut number = self.locate(word(self.space, counting::SWEEP_BLOCK));
        loop {
            let end = self.end_of_lower();
            if number >= end && number < self.start_of_upper() {
                number = self.start_of_upper();
            }
            if number >= BLOCKS {
                cursor::finish(self.space);
                return Ok(());
            }
            self.keep_place(number);
            spend(&mut budget.entries)?;
            let block = BlockNumber(u32::try_from(number).unwrap_or(u32::MAX));
            let entry = runs::entry(self.space, block);
            self.space.end_step();
            match entry.kind {
                block::KIND_SMALL => self.sweep_small(block, &mut budget)?,
                block::KIND_LARGE => self.sweep_large(block, &mut budget)?,
                block::KIND_STACK => self.sweep_stack(block, entry, &mut budget)?,
                _ => {}
            }
            number = next(number, entry, end);
        }
    }

    /// Sees to it that the sweep under way is that of these verdicts.
    fn agree(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        let space = self.space;
        let follows = cursor::is_named(space, self.verdicts.name())
            || self.planted == Planted::ForeignCursorFollowed;
        if cursor::is_under_way(space) && !follows {
            self.give_up(&mut budget.parts)?;
        }
        if !cursor::is_under_way(space) {
            cursor::begin(space, self.verdicts.name(), self.verdicts.epoch());
        }
        Ok(())
    }

    /// Drops the sweep under way. What it had in hand is dead, and half of it released: it goes without the rest.
    pub(super) fn give_up(&mut self, parts: &mut usize) -> Result<(), Stop> {
        while word(self.space, counting::SWEEP_OBJECT) != 0 {
            *parts = parts.checked_sub(1).ok_or(Stop::Enough)?;
            self.release_part(false)?;
        }
        cursor::drop_it(self.space);
        Ok(())
    }

    /// Goes on with the object in hand.
    fn finish_torn(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        while word(self.space, counting::SWEEP_OBJECT) != 0 {
            budget.parts = budget.parts.checked_sub(1).ok_or(Stop::Enough)?;
            self.release_part(true)?;
        }
        Ok(())
    }

    /// The end of the lower part of the heap that was ever used, as a block number.
    fn end_of_lower(&self) -> u64 {
        let fresh = self.space.load::<u64>(ObjectAddress(area::RUNS).plus(block::RUNS_FRESH));
        block_of(fresh)
    }

    fn start_of_upper(&self) -> u64 {
        let top = self.space.load::<u64>(ObjectAddress(area::RUNS).plus(block::RUNS_FRESH_TOP));
        block_of(top)
    }

    /// The first run that starts at or behind a block.
    fn locate(&self, number: u64) -> u64 {
        let block = BlockNumber(u32::try_from(number).unwrap_or(u32::MAX));
        let found = runs::run_of(self.space, block);
        self.space.end_step();
        match found.map(|(head, entry)| (u64::from(head.0), entry.order)) {
            Some((head, order)) if head != number => head.saturating_add(1 << order),
            _ => number,
        }
    }

    /// Notes that everything before this block is done, unless the cursor stands in it.
    fn keep_place(&self, number: u64) {
        if word(self.space, counting::SWEEP_BLOCK) != number {
            cursor::move_to(self.space, number, 0);
        }
    }

    /// The marks of a block.
    fn marks(&self, number: BlockNumber) -> Result<&'a [u64; MARK_WORDS], Stop> {
        match self.verdicts.marks(number.0) {
            Marks::Here(marks) => Ok(marks),
            Marks::NotYet => Err(Stop::NotYet(number.0)),
            Marks::Failed => Err(Stop::Failed(number.0)),
        }
    }

    /// Whether the mark has reached the object at an address.
    pub(super) fn is_marked(&self, subject: ObjectAddress) -> Result<bool, Stop> {
        let marks = self.marks(BlockNumber::of(subject))?;
        Ok(has(marks, subject.0 % BLOCK / GRANULE))
    }

    fn sweep_small(&mut self, number: BlockNumber, budget: &mut Budget) -> Result<(), Stop> {
        let (space, base) = (self.space, number.address());
        let marks = self.marks(number)?;
        let from = word(space, counting::SWEEP_GRANULE).max(block::FIRST_GRANULE);
        let weak = Table::weak().len(space) != 0;
        let first = usize::try_from(from / 64).unwrap_or(usize::MAX);
        let rows = marks.iter().enumerate().skip(first);
        for (row, reached) in rows {
            let granule = row as u64 * 64;
            if spend(&mut budget.rows).is_err() {
                cursor::move_to(space, u64::from(number.0), granule.max(from));
                return Err(Stop::Enough);
            }
            let mut starts = gather(&space.load_bytes::<64>(base.plus(granule)));
            space.end_step();
            if !weak {
                starts &= !reached;
            }
            while starts != 0 {
                let granule = granule + u64::from(starts.trailing_zeros());
                starts &= starts - 1;
                let reached = has(marks, granule);
                let weakly = reached && weak && has(marks, granule + 1);
                if granule < from || reached && !weakly {
                    continue;
                }
                cursor::move_to(space, u64::from(number.0), granule);
                self.notes.go_on_unless_faulted()?;
                spend(&mut budget.looks)?;
                self.look(base.plus(granule * GRANULE), weakly, granule + 1, budget)?;
            }
        }
        Ok(())
    }

    fn sweep_large(&mut self, number: BlockNumber, budget: &mut Budget) -> Result<(), Stop> {
        let granule = object::LARGE_OFFSET / GRANULE;
        let subject = number.address().plus(object::LARGE_OFFSET);
        if word(self.space, counting::SWEEP_GRANULE) > granule {
            return Ok(());
        }
        let marks = self.marks(number)?;
        let reached = has(marks, granule);
        let weakly = reached && has(marks, granule + 1) && Table::weak().len(self.space) != 0;
        spend(&mut budget.rows)?;
        let starts = metadata::load(self.space, subject).starts();
        self.space.end_step();
        if starts && (!reached || weakly) {
            cursor::move_to(self.space, u64::from(number.0), granule);
            spend(&mut budget.looks)?;
            self.look(subject, weakly, granule + 1, budget)?;
        }
        Ok(())
    }

    /// A stack range has neither birth nor mark: it says itself whose it is.
    fn sweep_stack(
        &mut self,
        number: BlockNumber,
        entry: Entry,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        spend(&mut budget.looks)?;
        if life::give_back_lost_stack(self.space, number.address(), entry.owner) {
            super::increment(&self.notes.stacks);
        }
        Ok(())
    }

    /// Deals with an object that starts at an address and was not reached, or through weak references only.
    fn look(
        &mut self,
        subject: ObjectAddress,
        weakly: bool,
        behind: u64,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        let found = metadata::load(self.space, subject);
        let birth = self.space.load::<u64>(subject.plus(object::BIRTH_AND_FLAGS));
        self.space.end_step();
        self.notes.go_on_unless_faulted()?;
        let epoch = word(self.space, counting::SWEEP_EPOCH);
        let born = birth & object::BIRTH_MASK;
        let was_there = match self.planted {
            Planted::BirthBefore => born < epoch,
            Planted::BirthAfter => born <= epoch + 1,
            _ => born <= epoch,
        };
        if !was_there {
            return Ok(());
        }
        if weakly {
            self.clear_weak(subject, epoch);
            return Ok(());
        }
        budget.parts = budget.parts.checked_sub(1).ok_or(Stop::Enough)?;
        self.free(subject, found, birth, behind)?;
        self.finish_torn(budget)
    }
}

/// The number of the block at an address, or of that behind the last one.
fn block_of(address: u64) -> u64 {
    (address.clamp(area::HEAP, area::END) - OBJECT_SPACE_BASE) / BLOCK
}

/// The block behind a run. Where there is no entry, above the alignment of a very large run, the next one is at a multiple of
/// the smallest size that is taken there.
fn next(number: u64, entry: Entry, end_of_lower: u64) -> u64 {
    match entry.kind {
        block::KIND_NONE if number >= end_of_lower => {
            let least = 1 << (FRESH_ORDER + 1);
            (number / least + 1) * least
        }
        block::KIND_NONE => number + 1,
        _ => number + (1 << entry.order.min(24)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_bits_are_gathered() {
        for bit in 0..64 {
            let mut metadata = [!object::META_START; 64];
            metadata[bit] |= object::META_START;
            assert_eq!(gather(&metadata), 1 << bit);
        }
        assert_eq!(gather(&[u8::MAX; 64]), u64::MAX);
    }
}
