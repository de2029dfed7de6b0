//! Releasing a dead object part by part: references, then the extent of a large one, then its memory.
//!
//! Which object, which stage and which part stand in the counting page; the object's own pages are only read. A small
//! object with few references goes in one step ([`settle_quickly`]): nearly all do.
//!
//! Invariant: the object is unreachable: count zero, held by no slot, its weak reference cleared in the step that chose it.

use revenant_hal::ObjectAddress;

use super::grace::{advance, has_weak};
use super::table::Entry;
use super::{
    COUNTING, Table, all_frozen, class_of, count_down_in_grace, touch_batch, touch_metadata,
};
use crate::heap::metadata;
use crate::heap::{self, AllocationError, large, small};
use crate::memory::layout::system::counting;
use crate::memory::layout::{SLOT, class, object};
use crate::memory::{AddressExt, Space};

/// References that one step releases at most: their metadata pages, the batch, the counting page and the object's own
/// block stay within eight pages.
const REFERENCES_A_STEP: usize = 4;
/// How far ahead in the batch headers are fetched into the cache, bytes.
const PREFETCHED: u64 = 8 * 8;
/// Slots that one step looks at.
const SLOTS_A_STEP: u64 = 256;

/// The reference slots of an object, as its class describes them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum References {
    /// None.
    None,
    /// Slots whose bit is set.
    Bitmap(u64),
    /// As many slots as this, by a byte array of bits.
    LongBitmap(ObjectAddress, u64),
    /// That many slots, all references.
    All(u64),
    /// That many records of so many words, references by mask.
    Records(u64, u64, u64),
    /// A weak reference: not counted, but its entry in the weak table goes with it.
    Weak,
    /// Class objects and threads that still stand somewhere: never freed.
    Never,
}

impl References {
    /// Reads the class of an object.
    pub(crate) fn of(space: Space, subject: ObjectAddress) -> Result<Self, AllocationError> {
        let class_object = class_of(space, subject);
        if class_object.is_null() {
            return Err(AllocationError::Damaged(subject));
        }
        // No more than there is room for, whatever a damaged header says.
        let room = crate::object::array::capacity(space, subject) / SLOT;
        let length = || crate::object::array::length(space, subject).min(room);
        Ok(match space.load::<u8>(class_object.plus(class::KIND)) {
            class::KIND_PLAIN | class::KIND_THREAD => {
                let slots = u64::from(space.load::<u32>(class_object.plus(class::SLOTS)));
                let long = ObjectAddress(space.load(class_object.plus(class::LONG_BITMAP)));
                if slots <= 64 || long.is_null() {
                    Self::Bitmap(space.load(class_object.plus(class::REFERENCE_BITMAP)))
                } else {
                    Self::LongBitmap(long, slots.min(room))
                }
            }
            class::KIND_REFERENCE_ARRAY => Self::All(length()),
            class::KIND_RECORDS => {
                let words = u64::from(space.load::<u32>(class_object.plus(class::RECORD_WORDS)));
                let mask = u64::from(space.load::<u32>(class_object.plus(class::RECORD_MASK)));
                let records = crate::object::array::length(space, subject);
                Self::Records(records.min(room / words.max(1)), words.max(1), mask)
            }
            class::KIND_RAW_ARRAY | class::KIND_STRING => Self::None,
            class::KIND_WEAK => Self::Weak,
            class::KIND_CLASS => Self::Never,
            _ => return Err(AllocationError::Damaged(subject)),
        })
    }

    /// Slots to look at, references or not.
    pub(crate) fn slots(self) -> u64 {
        match self {
            Self::Bitmap(bits) => 64 - u64::from(bits.leading_zeros()),
            Self::LongBitmap(_, slots) | Self::All(slots) => slots,
            Self::Records(records, words, _) => records.saturating_mul(words),
            Self::None | Self::Weak | Self::Never => 0,
        }
    }

    /// Whether slot `index` is a reference.
    pub(crate) fn has(self, space: Space, index: u64) -> bool {
        match self {
            Self::Bitmap(bits) => index < 64 && bits >> index & 1 != 0,
            Self::LongBitmap(bytes, slots) => {
                let byte = space.load::<u8>(bytes.plus(object::PAYLOAD + index / 8));
                index < slots && byte >> (index % 8) & 1 != 0
            }
            Self::All(slots) => index < slots,
            Self::Records(_, words, mask) => mask >> (index % words).min(63) & 1 != 0,
            Self::None | Self::Weak | Self::Never => false,
        }
    }
}

/// Chooses an object at zero that nobody holds: from here on it is dead. One step, without its end.
pub(super) fn start(
    space: Space,
    subject: ObjectAddress,
    next: u64,
) -> Result<(), AllocationError> {
    let references = References::of(space, subject)?;
    if matches!(references, References::Never) {
        space.touch_write(COUNTING);
        space.begin_changes();
        advance(space, next);
        return Ok(());
    }
    let weak_entry =
        has_weak(space, subject).then(|| Table::weak().find(space, subject.0)).flatten();
    let weak = weak_entry.map(|entry| ObjectAddress(Table::weak().value(space, entry)));
    space.end_step();
    // A weak reference that goes is not handed out any more: who asks for one gets another.
    let own_entry = own_entry(space, subject, references);
    space.end_step();
    if let Some(entry) = own_entry {
        space.touch_write(entry.address);
    }
    if let (Some(entry), Some(weak)) = (weak_entry, weak) {
        space.touch_write(entry.address);
        space.touch_write(weak.plus(object::WEAK_TARGET));
    }
    space.touch_write(COUNTING);
    space.begin_changes();
    if let (Some(entry), Some(weak)) = (weak_entry, weak) {
        space.store(weak.plus(object::WEAK_TARGET), 0_u64);
        Table::weak().remove(space, entry);
    }
    if let Some(entry) = own_entry {
        Table::weak().remove(space, entry);
    }
    set_stage(space, subject, counting::STAGE_REFERENCES, 0);
    advance(space, next);
    Ok(())
}

/// The entry of the weak table that leads to `subject`, if that is a weak reference.
pub(crate) fn own_entry(
    space: Space,
    subject: ObjectAddress,
    references: References,
) -> Option<Entry> {
    if !matches!(references, References::Weak) {
        return None;
    }
    let (table, target) = (Table::weak(), space.load::<u64>(subject.plus(object::WEAK_TARGET)));
    table.find(space, target).filter(|entry| table.value(space, *entry) == subject.0)
}

/// Deals with the entry at `next` in one step if that is as simple as it mostly is: a stale entry, an object that was counted
/// meanwhile, or one at zero that nobody holds, small, of a plain class with few references or none at all. Otherwise changes
/// nothing and answers false.
#[inline(always)]
pub(super) fn settle_quickly(space: Space, next: u64, closed: u8) -> bool {
    let subject = ObjectAddress(space.load(ObjectAddress(next)));
    space.prefetch(ObjectAddress(space.load(ObjectAddress(next + PREFETCHED))));
    let found = metadata::load(space, subject);
    if found.batch() != closed || !found.is_zero() {
        if found.batch() == closed {
            let _ = metadata::load_for_change(space, subject);
        }
        space.touch_write(COUNTING);
        space.begin_changes();
        if found.batch() == closed {
            metadata::store(space, subject, found.with_batch(0));
        }
        advance(space, next);
        space.end_step();
        return true;
    }
    let class_object = class_of(space, subject);
    let Some(bits) = quick_references(space, class_object) else { return false };
    if !found.starts() || has_weak(space, subject) {
        return false;
    }
    if Table::held().find(space, subject.0).is_some() {
        return false;
    }
    let mut children = [ObjectAddress(0); REFERENCES_A_STEP];
    let mut left = bits;
    for child in &mut children {
        if left == 0 {
            break;
        }
        let slot = u64::from(left.trailing_zeros());
        *child = ObjectAddress(space.load(subject.plus(object::PAYLOAD + slot * SLOT)));
        left &= left - 1;
    }
    if left != 0 {
        return false;
    }
    // What told that it is simple is not needed for the change.
    space.end_step();
    let Some(free) = small::prepare_quick_release(space, subject) else { return false };
    let all_frozen = all_frozen(space);
    if bits != 0 {
        touch_children(space, &children, all_frozen);
    }
    space.touch_write(COUNTING);
    space.begin_changes();
    small::release_quickly(space, subject, free);
    for child in children {
        count_down_in_grace(space, child, all_frozen);
    }
    advance(space, next);
    count_freed(space);
    space.end_step();
    true
}

/// The reference slots of instances of a class whose objects [`settle_quickly`] understands.
#[inline(always)]
fn quick_references(space: Space, class_object: ObjectAddress) -> Option<u64> {
    if class_object.is_null() {
        return None;
    }
    match space.load::<u8>(class_object.plus(class::KIND)) {
        class::KIND_PLAIN if space.load::<u32>(class_object.plus(class::SLOTS)) <= 64 => {
            Some(space.load(class_object.plus(class::REFERENCE_BITMAP)))
        }
        class::KIND_RAW_ARRAY | class::KIND_STRING => Some(0),
        _ => None,
    }
}

/// Touches what [`count_down_in_grace`] of these changes: their metadata, and the end of the batch that those at zero join.
#[inline(always)]
fn touch_children(space: Space, children: &[ObjectAddress], all_frozen: bool) {
    for child in children {
        touch_metadata(space, *child);
    }
    touch_batch(space, children.len() as u64, all_frozen);
}

#[inline(always)]
fn count_freed(space: Space) {
    let freed = COUNTING.plus(counting::OBJECTS_FREED);
    space.store(freed, space.load::<u64>(freed).wrapping_add(1));
}

fn set_stage(space: Space, subject: ObjectAddress, stage: u64, index: u64) {
    space.store(COUNTING.plus(counting::TEARDOWN_OBJECT), subject.0);
    space.store(COUNTING.plus(counting::TEARDOWN_STAGE), stage);
    space.store(COUNTING.plus(counting::TEARDOWN_INDEX), index);
}

/// The next step of the teardown in progress.
pub(super) fn step(space: Space, subject: ObjectAddress) -> Result<(), AllocationError> {
    let index = space.load::<u64>(COUNTING.plus(counting::TEARDOWN_INDEX));
    match space.load::<u64>(COUNTING.plus(counting::TEARDOWN_STAGE)) {
        counting::STAGE_REFERENCES => release_references(space, subject, index),
        counting::STAGE_ZERO => {
            let more = large::is_large(space, subject) && large::zero_page(space, subject, index);
            space.touch_write(COUNTING);
            space.begin_changes();
            if more {
                set_stage(space, subject, counting::STAGE_ZERO, index + 1);
            } else {
                set_stage(space, subject, counting::STAGE_RELEASE, 0);
            }
            space.end_step();
            Ok(())
        }
        _ => {
            let base = heap::runs::BlockNumber::of(subject).address();
            let was_large = large::is_large(space, subject);
            space.touch_write(COUNTING);
            heap::release(space, subject);
            set_stage(space, ObjectAddress(0), counting::STAGE_REFERENCES, 0);
            count_freed(space);
            space.end_step();
            if was_large {
                large::merge(space, base);
            }
            Ok(())
        }
    }
}

/// Releases the next few references from slot `index` on. One step.
fn release_references(
    space: Space,
    subject: ObjectAddress,
    index: u64,
) -> Result<(), AllocationError> {
    let references = References::of(space, subject)?;
    let slots = references.slots();
    let mut children = [ObjectAddress(0); REFERENCES_A_STEP];
    let (mut at, mut count) = (index, 0);
    while at < slots && at < index + SLOTS_A_STEP && count < REFERENCES_A_STEP {
        let slot = subject.plus(object::PAYLOAD + at * SLOT);
        if references.has(space, at) && space.load::<u64>(slot) != 0 {
            children[count] = ObjectAddress(space.load(slot));
            count += 1;
        }
        at += 1;
    }
    space.end_step();
    let all_frozen = all_frozen(space);
    touch_children(space, &children, all_frozen);
    space.touch_write(COUNTING);
    space.begin_changes();
    for child in children.iter().take(count) {
        count_down_in_grace(space, *child, all_frozen);
    }
    if at < slots {
        set_stage(space, subject, counting::STAGE_REFERENCES, at);
    } else {
        set_stage(space, subject, counting::STAGE_ZERO, 0);
    }
    space.end_step();
    Ok(())
}
