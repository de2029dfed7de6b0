//! Freeing one object: in one step if it is small and simple, else part by part with the cursor in hand.
//!
//! Invariant: each slot of a freed object is dealt with once. What is released part by part has the batch that is none
//! ([`object::META_BATCH_SWEPT`]) from its first step on: if it is left half released, no sweep begins with it again.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::cursor::{COUNTING, add, set, word};
use super::walk::{Stop, Work};
use super::{Freed, Planted, Why};
use crate::counting::{self, References, Table, count_down};
use crate::heap::metadata::{self, Metadata};
use crate::heap::runs::BlockNumber;
use crate::heap::{self, large, small};
use crate::memory::layout::system::counting as words;
use crate::memory::layout::{SLOT, area, block, object, thread};
use crate::memory::{AddressExt, Space};
use crate::thread::life::{discard_unfinished, thread_at};

/// References that one step releases at most, as in a grace: their metadata pages, the end of the batch and the object's own stay within eight
/// pages.
const REFERENCES_A_STEP: usize = 4;
/// Slots that one step looks at.
const SLOTS_A_STEP: u64 = 256;

/// Targets that are to be counted down.
struct Targets {
    objects: [ObjectAddress; REFERENCES_A_STEP],
    count: usize,
}

impl Targets {
    const fn new() -> Self {
        Self { objects: [ObjectAddress(0); REFERENCES_A_STEP], count: 0 }
    }

    fn all(&self) -> &[ObjectAddress] {
        self.objects.get(..self.count).unwrap_or(&[])
    }

    /// False when there is no room.
    fn push(&mut self, target: ObjectAddress) -> bool {
        let place = self.objects.get_mut(self.count);
        let fits = place.is_some();
        if let Some(place) = place {
            *place = target;
            self.count += 1;
        }
        fits
    }
}

impl Work<'_> {
    /// Frees an object that nobody has, or takes it in hand, or passes over it; the cursor moves to granule `behind`.
    pub(super) fn free(
        &mut self,
        subject: ObjectAddress,
        found: Metadata,
        birth: u64,
        behind: u64,
    ) -> Result<(), Stop> {
        let space = self.space;
        let references = References::of(space, subject);
        space.end_step();
        let left = birth & object::FLAG_EXTENDED != 0
            || found.batch() == object::META_BATCH_SWEPT
            || is_for_counting(space, subject, found)
            || is_of_the_scheduler(space, subject);
        space.end_step();
        self.notes.go_on_unless_faulted()?;
        let references = match references {
            Ok(References::Never) | Err(_) => return self.pass_over(),
            Ok(_) if left => return self.pass_over(),
            // A grace left it, perhaps with some of its references released. Those that were not keep a count too many.
            Ok(references) if found.is_zero() && !matches!(references, References::Weak) => {
                References::None
            }
            Ok(references) => references,
        };
        let freed = describe(space, subject, found);
        self.notes.go_on_unless_faulted()?;
        let simple = birth & (object::FLAG_WEAK | object::FLAG_LARGE) == 0
            && !matches!(references, References::Weak)
            && references.slots() <= 64
            && Table::held().find(space, subject.0).is_none();
        space.end_step();
        self.notes.go_on_unless_faulted()?;
        if simple && self.free_quickly(subject, references, behind)? {
            self.notes.free(freed);
            return Ok(());
        }
        self.take_in_hand(subject, references, found, behind);
        Ok(())
    }

    fn pass_over(&mut self) -> Result<(), Stop> {
        self.space.touch_write(COUNTING);
        self.space.begin_changes();
        add(self.space, words::SWEEP_PASSED, 1);
        self.space.end_step();
        super::increment(&self.notes.passed_over);
        Ok(())
    }

    /// Frees a small object in one step if few of its references count and its block changes no list. False, and nothing has
    /// changed, if not.
    fn free_quickly(
        &mut self,
        subject: ObjectAddress,
        references: References,
        behind: u64,
    ) -> Result<bool, Stop> {
        let space = self.space;
        let mut targets = Targets::new();
        for slot in 0..references.slots() {
            if !references.has(space, slot) {
                continue;
            }
            let value = space.load(subject.plus(object::PAYLOAD + slot * SLOT));
            space.end_step();
            if let Some(target) = self.counted(value)?
                && !targets.push(target)
            {
                return Ok(false);
            }
        }
        let Some(free) = small::prepare_quick_release(space, subject) else {
            space.end_step();
            return Ok(false);
        };
        self.notes.go_on_unless_faulted()?;
        counting::touch_count_down(space, &[]);
        self.notes.go_on_unless_faulted()?;
        for target in targets.all() {
            counting::touch_count_down(space, core::slice::from_ref(target));
            self.notes.go_on_unless_faulted()?;
        }
        counting::touch_count_down(space, targets.all());
        space.touch_write(COUNTING);
        self.notes.go_on_unless_faulted()?;
        space.begin_changes();
        small::release_quickly(space, subject, free);
        for target in targets.all() {
            count_down(space, *target);
        }
        set(space, words::SWEEP_GRANULE, behind);
        add(space, words::SWEPT, 1);
        space.end_step();
        Ok(true)
    }

    /// What a slot holds, if that is to be counted down.
    fn counted(&self, value: u64) -> Result<Option<ObjectAddress>, Stop> {
        let (space, target) = (self.space, ObjectAddress(value));
        if !(area::HEAP..area::END).contains(&value) {
            return Ok(None);
        }
        if !self.is_marked(target)? && self.planted != Planted::UnmarkedCountedDown {
            return Ok(None);
        }
        let starts = metadata::load(space, target).starts();
        space.end_step();
        let dropped = word(space, words::SWEEP_DROPPED);
        if starts && dropped != 0 && self.planted != Planted::DroppedForgotten {
            let birth = space.load::<u64>(target.plus(object::BIRTH_AND_FLAGS));
            space.end_step();
            // It may stand where something stood that the dropped sweep has freed.
            if birth & object::BIRTH_MASK > dropped {
                return Ok(None);
            }
        }
        Ok(starts.then_some(target))
    }

    /// The first step of what is released part by part: nobody is led to it any more by the side tables.
    fn take_in_hand(
        &mut self,
        subject: ObjectAddress,
        references: References,
        found: Metadata,
        behind: u64,
    ) {
        let space = self.space;
        let own_entry = counting::own_entry(space, subject, references);
        space.end_step();
        let held = Table::held().find(space, subject.0);
        space.end_step();
        let weak_entry = Table::weak().find(space, subject.0);
        let weak = weak_entry.map(|entry| ObjectAddress(Table::weak().value(space, entry)));
        space.end_step();
        if let (Some(entry), Some(weak)) = (weak_entry, weak) {
            space.touch_write(entry.address);
            space.touch_write(weak.plus(object::WEAK_TARGET));
        }
        for entry in [own_entry, held].into_iter().flatten() {
            space.touch_write(entry.address);
        }
        let _ = metadata::load_for_change(space, subject);
        space.touch_write(COUNTING);
        space.begin_changes();
        if let (Some(entry), Some(weak)) = (weak_entry, weak) {
            space.store(weak.plus(object::WEAK_TARGET), 0_u64);
            Table::weak().remove(space, entry);
        }
        if let Some(entry) = own_entry {
            Table::weak().remove(space, entry);
        }
        if let Some(entry) = held {
            // A slot of a thread that was lost.
            Table::held().remove(space, entry);
        }
        metadata::store(space, subject, found.with_batch(object::META_BATCH_SWEPT));
        let stage = if found.is_zero() { words::STAGE_ZERO } else { words::STAGE_REFERENCES };
        set(space, words::SWEEP_OBJECT, subject.0);
        set(space, words::SWEEP_STAGE, stage);
        set(space, words::SWEEP_INDEX, 0);
        set(space, words::SWEEP_GRANULE, behind);
        space.end_step();
    }

    /// The next step of the object in hand; with or without what it refers to.
    pub(super) fn release_part(&mut self, with_references: bool) -> Result<(), Stop> {
        let space = self.space;
        let subject = ObjectAddress(word(space, words::SWEEP_OBJECT));
        let index = word(space, words::SWEEP_INDEX);
        match word(space, words::SWEEP_STAGE) {
            words::STAGE_REFERENCES if with_references => self.release_references(subject, index),
            words::STAGE_REFERENCES => {
                self.enter_stage(words::STAGE_ZERO, 0);
                Ok(())
            }
            words::STAGE_ZERO => {
                if large::is_large(space, subject) && large::zero_page(space, subject, index) {
                    self.enter_stage(words::STAGE_ZERO, index.saturating_add(1));
                } else {
                    self.enter_stage(words::STAGE_RELEASE, 0);
                }
                Ok(())
            }
            _ => {
                self.release(subject);
                Ok(())
            }
        }
    }

    /// One step.
    fn enter_stage(&self, stage: u64, index: u64) {
        self.space.end_step();
        self.space.touch_write(COUNTING);
        self.space.begin_changes();
        set(self.space, words::SWEEP_STAGE, stage);
        set(self.space, words::SWEEP_INDEX, index);
        self.space.end_step();
    }

    /// Counts down what the next few slots refer to. One step, after some that read.
    fn release_references(&mut self, subject: ObjectAddress, index: u64) -> Result<(), Stop> {
        let space = self.space;
        let Ok(references) = References::of(space, subject) else {
            super::skip(space, subject);
            return Ok(());
        };
        let slots = references.slots();
        let mut targets = Targets::new();
        let mut at = index;
        while at < slots && at < index.saturating_add(SLOTS_A_STEP) {
            let value = match references.has(space, at) {
                true => space.load(subject.plus(object::PAYLOAD + at * SLOT)),
                false => 0,
            };
            space.end_step();
            match self.counted(value) {
                Ok(Some(target)) if !targets.push(target) => break,
                Ok(_) => at += 1,
                // What was found out so far is not asked again.
                Err(_) if at > index => break,
                Err(stop) => return Err(stop),
            }
        }
        counting::touch_count_down(space, targets.all());
        space.touch_write(COUNTING);
        space.begin_changes();
        for target in targets.all() {
            count_down(space, *target);
        }
        if at >= slots {
            set(space, words::SWEEP_STAGE, words::STAGE_ZERO);
            set(space, words::SWEEP_INDEX, 0);
        } else if self.planted != Planted::PartNotNoted {
            set(space, words::SWEEP_INDEX, at);
        }
        space.end_step();
        Ok(())
    }

    /// Gives the memory of the object in hand back. One step, and steps of joining free runs.
    fn release(&mut self, subject: ObjectAddress) {
        let space = self.space;
        let freed = describe(space, subject, metadata::load(space, subject));
        give_back_stack(space, subject);
        space.end_step();
        let base = BlockNumber::of(subject).address();
        let was_large = large::is_large(space, subject);
        space.touch_write(COUNTING);
        heap::release(space, subject);
        set(space, words::SWEEP_OBJECT, 0);
        set(space, words::SWEEP_STAGE, words::STAGE_REFERENCES);
        add(space, words::SWEPT, 1);
        space.end_step();
        self.notes.free(freed);
        if was_large {
            large::merge(space, base);
        }
    }

    /// Clears the weak reference to an object that was reached through such only, if nobody asked for it since: the object is
    /// the next mark's. One step.
    pub(super) fn clear_weak(&mut self, subject: ObjectAddress, epoch: u64) {
        let (space, table) = (self.space, Table::weak());
        let Some(entry) = table.find(space, subject.0) else { return space.end_step() };
        let weak = ObjectAddress(table.value(space, entry));
        space.end_step();
        let read = space.load::<u64>(weak.plus(object::WEAK_READ));
        if read & object::BIRTH_MASK > epoch {
            return space.end_step();
        }
        space.touch_write(entry.address);
        space.touch_write(weak.plus(object::WEAK_TARGET));
        space.touch_write(COUNTING);
        space.begin_changes();
        space.store(weak.plus(object::WEAK_TARGET), 0_u64);
        table.remove(space, entry);
        space.end_step();
        super::increment(&self.notes.weak_cleared);
    }
}

/// Whether an object stands in a batch that a grace will go through, or is being torn down by one: it is counting's, whatever a mark says.
fn is_for_counting(space: Space, subject: ObjectAddress, found: Metadata) -> bool {
    word(space, words::TEARDOWN_OBJECT) == subject.0 || counting::is_listed(space, found)
}

/// Whether other objects are linked with this one by addresses that are not references: a thread that stands in the table, a lock that is
/// owned. A mark reaches both, so one that did not is wrong about them.
fn is_of_the_scheduler(space: Space, subject: ObjectAddress) -> bool {
    let class: u32 = space.load(subject.plus(object::CLASS));
    if class == Builtin::Thread as u32 {
        let index: u32 = space.load(subject.plus(thread::INDEX));
        space.end_step();
        return index != 0 && thread_at(space, u64::from(index)) == Some(subject);
    }
    let owner = ObjectAddress(space.load(subject.plus(thread::MUTEX_OWNER)));
    if class != Builtin::Mutex as u32 || owner.is_null() {
        return false;
    }
    space.end_step();
    // A thread that was lost is linked with nothing any more.
    let state: u32 = space.load(owner.plus(thread::STATE));
    let owned: u64 = space.load(owner.plus(thread::OWNED_MUTEXES));
    state != thread::STATE_DAMAGED || owned != 0
}

/// Gives back the stack of a thread that never began: its maker was lost. One step.
fn give_back_stack(space: Space, subject: ObjectAddress) {
    discard_unfinished(space, subject);
}

/// What is told of an object that is freed.
fn describe(space: Space, subject: ObjectAddress, found: Metadata) -> Freed {
    let bytes = if large::is_large(space, subject) {
        large::extent(space, subject)
    } else {
        let number = BlockNumber::of(subject);
        let mirror = space.load::<u64>(number.address().plus(block::HEADER_CLASS)).to_le_bytes();
        small::cell_bytes(u32::from(mirror[1])).unwrap_or(0)
    };
    let why = match found {
        found if found.is_sticky() => Why::Stuck,
        found if found.is_zero() => Why::Left,
        _ => Why::Circle,
    };
    let class = space.load(subject.plus(object::CLASS));
    space.end_step();
    Freed { class, bytes, why }
}
