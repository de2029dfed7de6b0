//! Marks on their way to other partitions, and what becomes of the objects that caused them.
//!
//! Invariant: the scanned bit of an object enters a bitmap page only when all marks that it caused have; a checkpoint in between carries marks
//! alone. So nothing that is durable as scanned has a reference that is not durable as marked.

use crate::api::PlantedMark;
use crate::bytes::{index, set_bit};
use crate::error::Stop;
use crate::foreseen;
use crate::heap::Place;
use crate::mark::{Ended, Mark, WEAK};
use crate::region::{BLOCK_BYTES, Control};
use alloc::boxed::Box;

/// Partitions after which a checkpoint is due. With those that one operation may add, work that a kill loses stays below 64.
const PARTITIONS_A_CHECKPOINT: u64 = 48;
/// Room that one object's references may need.
pub(crate) const ROOM: usize = 2048;

impl Mark {
    pub(crate) fn control(&self) -> Control {
        Control {
            phase: self.durable_phase,
            small: self.directory.small(),
            large: self.directory.large(),
            cursor: self.settled_cursor.0,
            cursor_slot: self.settled_cursor.1,
            confirmed: self.confirmed,
            partitions: self.settled_partitions,
            survivors: *self.survivors,
            recovery: self.recovery.clone(),
            objects: self.objects,
            ..Control::default()
        }
    }

    pub(crate) fn checkpoint(&mut self) {
        let control = self.control();
        self.journal.checkpoint(control);
    }

    /// Puts references that lead to other partitions where they wait.
    pub(crate) fn send(&mut self, references: &[u64]) {
        self.exchange.extend_from_slice(references);
        self.sorted &= references.is_empty();
    }

    /// Whether marks have to be entered before another object is looked at.
    pub(crate) fn is_crowded(&self) -> bool {
        self.exchange.len() + ROOM > self.budget.references()
            || self.scanned.len() + 1 > self.budget.waiting_blocks().max(8)
            || self.is_due()
    }

    /// Whether a kill would lose so much that a checkpoint is due.
    fn is_due(&self) -> bool {
        let durable = self.journal.control().map_or(0, |control| control.partitions);
        self.partitions.saturating_sub(durable) >= PARTITIONS_A_CHECKPOINT
    }

    /// Makes room, and the work so far durable if that is due.
    pub(crate) fn relieve(&mut self) -> Result<(), Ended> {
        let due = self.is_due();
        self.settle()?;
        if due {
            self.checkpoint();
        }
        Ok(())
    }

    /// Whether objects are marked as reached through weak references.
    pub(crate) fn is_weak(&self) -> bool {
        self.durable_phase == WEAK
    }

    /// Marks an object; whether it is grey now. One whose references are known is not: they wait, and so does its scanned bit.
    pub(crate) fn reach(&mut self, address: u64, place: Place) -> Result<bool, Stop> {
        let weak = self.is_weak();
        let afresh = self.recovery.has_cleared();
        let is_grey = self.journal.mark(self.directory.bits(place), weak, afresh)?;
        let Place::Small(ordinal, granule) = place else { return Ok(is_grey) };
        let room = self.exchange.len() + foreseen::TARGETS <= self.budget.references()
            && self.scanned.len() < self.budget.waiting_blocks();
        if !is_grey || !room {
            return Ok(is_grey);
        }
        let Some(targets) = self.foreseen.find(address) else { return Ok(true) };
        self.exchange.extend(targets);
        self.sorted = false;
        let bits = self.scanned.entry(ordinal).or_insert_with(|| Box::new([0; BLOCK_BYTES]));
        set_bit(&mut bits[..], index(granule.into()));
        self.objects += 1;
        Ok(false)
    }

    /// Enters all marks that wait, then the scanned bits of the objects that caused them.
    pub(crate) fn settle(&mut self) -> Result<(), Stop> {
        if self.planted == PlantedMark::ScannedFirst {
            self.enter_scanned()?;
        }
        if !self.sorted {
            self.exchange.sort_unstable_by(|left, right| right.cmp(left));
            self.exchange.dedup();
            self.sorted = true;
        }
        while let Some(address) = self.exchange.last().copied() {
            let place = self.place(address)?;
            let before = self.exchange.len();
            if self.reach(address, place)? {
                let partition = self.partition_of_page(self.directory.bits(place).page);
                self.set_grey(partition);
            }
            // What it refers to may stand behind it now.
            self.exchange.swap_remove(before - 1);
        }
        self.enter_scanned()?;
        self.settled_cursor = self.cursor;
        self.settled_partitions = self.partitions;
        Ok(())
    }

    fn enter_scanned(&mut self) -> Result<(), Stop> {
        while let Some((ordinal, bits)) = self.scanned.first_key_value() {
            let place = self.directory.bits(Place::Small(*ordinal, 0));
            let page = self.journal.change(place.page)?;
            let start = place.scanned / 8;
            for (byte, new) in page.0.iter_mut().skip(start).zip(bits.iter()) {
                *byte |= new;
            }
            self.scanned.pop_first();
        }
        while let Some(ordinal) = self.scanned_large.first().copied() {
            let place = self.directory.bits(Place::Large(ordinal));
            set_bit(&mut self.journal.change(place.page)?.0, place.scanned);
            self.scanned_large.pop_first();
        }
        Ok(())
    }
}
