//! Vectors: lists of references that grow.
//!
//! The elements stand in a reference array. While it is small it is replaced by one twice as large, in steps that change
//! nothing but the last, which is one of a few pages; then by a large one with [`RESERVED`] bytes of address space, which grows where it is. Insertion and removal in the
//! middle rotate a piece at a time: every step leaves the same references in another order, so nothing is ever missing.
//!
//! Invariants: the array's length is the vector's capacity; elements at and beyond the vector's length are null.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::array;
use crate::counting::{class_at, count_down, count_up, store_reference, touch_count};
use crate::heap::{self, AllocationError, Allocator, large};
use crate::memory::layout::{SLOT, object};
use crate::memory::{AddressExt, Space};

/// Elements of a vector's first array.
const FIRST_ELEMENTS: u64 = 6;
/// Most elements of a small array: beyond, a large one.
const SMALL_ELEMENTS: u64 = (object::SMALL_LIMIT - object::HEADER_SIZE) / SLOT;
/// Bytes of address space for the elements of a vector that outgrew small arrays: no vector is longer.
pub const RESERVED: u64 = (1 << 28) - 2 * crate::memory::layout::PAGE;
/// Class of an array that is on its way to become a vector's elements, or was: its words are references that count nothing.
const RAW_ELEMENTS: u32 = Builtin::LongArray as u32;
/// Elements that one step of an insertion or removal moves.
const MOVES: u64 = 256;

/// A new empty vector, with room for `capacity` elements if that is not beyond what small arrays hold.
///
/// # Errors
/// No memory to be had.
pub fn allocate(
    space: Space,
    allocator: Allocator,
    capacity: u64,
) -> Result<ObjectAddress, AllocationError> {
    let class_object = class_at(space, Builtin::Vector as u32);
    let made = heap::allocate_plain(space, allocator, class_object)?;
    if capacity > 0 {
        space.end_step();
        grow(space, allocator, made, capacity.min(SMALL_ELEMENTS))?;
    }
    Ok(made)
}

/// Number of elements.
#[must_use]
pub fn length(space: Space, vector: ObjectAddress) -> u64 {
    space.load(vector.plus(object::VECTOR_LENGTH))
}

/// A number that changes with every insertion and removal.
#[must_use]
pub fn changes(space: Space, vector: ObjectAddress) -> u64 {
    space.load(vector.plus(object::VECTOR_CHANGES))
}

fn elements(space: Space, vector: ObjectAddress) -> ObjectAddress {
    ObjectAddress(space.load(vector.plus(object::VECTOR_ELEMENTS)))
}

/// The slot of an element, if there is such an element.
fn slot(space: Space, vector: ObjectAddress, index: u64) -> Option<ObjectAddress> {
    let array = elements(space, vector);
    let inside = index < length(space, vector) && index < array::length(space, array);
    (inside && !array.is_null()).then(|| array::slot(array, index))
}

/// The element at an index; none beyond the end.
#[must_use]
pub fn get(space: Space, vector: ObjectAddress, index: u64) -> Option<ObjectAddress> {
    Some(ObjectAddress(space.load(slot(space, vector, index)?)))
}

/// Replaces the element at an index; false beyond the end. One step, changes last.
pub fn set(space: Space, vector: ObjectAddress, index: u64, value: ObjectAddress) -> bool {
    let Some(slot) = slot(space, vector, index) else { return false };
    store_reference(space, slot, value);
    true
}

/// Appends an element. Steps; the last one makes the change, and it comes last.
///
/// # Errors
/// No memory to be had, or no vector is that long; the vector is as it was.
pub fn push(
    space: Space,
    allocator: Allocator,
    vector: ObjectAddress,
    value: ObjectAddress,
) -> Result<(), AllocationError> {
    make_room(space, allocator, vector)?;
    let used = length(space, vector);
    let slot = array::slot(elements(space, vector), used);
    space.touch_write(slot);
    space.touch_write_range(vector, object::VECTOR_SIZE);
    touch_count(space, value);
    space.begin_changes();
    count_up(space, value);
    space.store(slot, value.0);
    set_length(space, vector, used + 1);
    Ok(())
}

/// Part of a step that touched the vector.
fn set_length(space: Space, vector: ObjectAddress, length: u64) {
    space.store(vector.plus(object::VECTOR_LENGTH), length);
    let word = vector.plus(object::VECTOR_CHANGES);
    space.store(word, space.load::<u64>(word).wrapping_add(1));
}

/// Makes room for one element more, so that the next [`push`] or [`insert_step`] is one step. Steps.
///
/// # Errors
/// No memory to be had, or no vector is that long; the vector is as it was.
pub(crate) fn make_room(
    space: Space,
    allocator: Allocator,
    vector: ObjectAddress,
) -> Result<(), AllocationError> {
    let used = length(space, vector);
    let array = elements(space, vector);
    if array.is_null() || used >= array::length(space, array) {
        grow(space, allocator, vector, used + 1)?;
    }
    Ok(())
}

/// Removes the last element and answers it; none if there is none. One step, changes last.
pub fn pop(space: Space, vector: ObjectAddress) -> Option<ObjectAddress> {
    let last = length(space, vector).checked_sub(1)?;
    let slot = slot(space, vector, last)?;
    let value = ObjectAddress(space.load_for_change::<u64>(slot));
    space.touch_write_range(vector, object::VECTOR_SIZE);
    touch_count(space, value);
    space.begin_changes();
    space.store(slot, 0_u64);
    count_down(space, value);
    set_length(space, vector, last);
    Some(value)
}

/// Makes room for at least `wanted` elements. Steps.
fn grow(
    space: Space,
    allocator: Allocator,
    vector: ObjectAddress,
    wanted: u64,
) -> Result<(), AllocationError> {
    let old = elements(space, vector);
    let room = if old.is_null() { 0 } else { array::length(space, old) };
    if wanted > RESERVED / SLOT {
        return Err(AllocationError::TooLarge);
    }
    if !old.is_null() && large::is_large(space, old) {
        let roomy = (room + room / 2).clamp(wanted, RESERVED / SLOT);
        large::grow(space, old, roomy, roomy * SLOT)?;
        space.end_step();
        return Ok(());
    }
    let roomy = wanted.max(2 * room).max(FIRST_ELEMENTS);
    let made = if roomy > SMALL_ELEMENTS {
        large::allocate(space, allocator, RAW_ELEMENTS, roomy, roomy * SLOT, RESERVED)?
    } else {
        heap::allocate_sized(space, allocator, RAW_ELEMENTS, roomy, roomy * SLOT)?
    };
    space.end_step();
    move_elements(space, vector, old, made, room);
    Ok(())
}

/// Moves all elements to a new array, of raw words yet, and makes it the vector's. Steps: words are copied a piece at a time;
/// then the arrays change classes in one step, and with that the references move with their counts.
fn move_elements(
    space: Space,
    vector: ObjectAddress,
    old: ObjectAddress,
    made: ObjectAddress,
    room: u64,
) {
    let bytes = if old.is_null() { 0 } else { room.min(SMALL_ELEMENTS) * SLOT };
    let mut done = 0;
    while done < bytes {
        let place = object::PAYLOAD + done;
        done += array::copy_step(space, old.plus(place), made.plus(place), bytes - done);
    }
    space.touch_write(made);
    if !old.is_null() {
        space.touch_write(old);
    }
    space.touch_write(vector.plus(object::VECTOR_ELEMENTS));
    touch_count(space, made);
    touch_count(space, old);
    space.begin_changes();
    space.store(made.plus(object::CLASS), Builtin::ObjectArray as u32);
    count_up(space, made);
    if !old.is_null() {
        space.store(old.plus(object::CLASS), RAW_ELEMENTS);
    }
    count_down(space, old);
    space.store(vector.plus(object::VECTOR_ELEMENTS), made.0);
    space.end_step();
}

/// How far a stepped operation has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Keep this progress, in the same step, and call again with it.
    Again(u64),
    /// All is done; a removal answers the element.
    Done(ObjectAddress),
}

/// One step of the insertion of `value` before `index` (at most the length, else none): 0 is the progress to begin with. The
/// element is appended, then rotated down. Changes last, so that the caller's progress is stored in the same step.
///
/// # Errors
/// No memory to be had.
pub fn insert_step(
    space: Space,
    allocator: Allocator,
    vector: ObjectAddress,
    value: ObjectAddress,
    index: u64,
    progress: u64,
) -> Result<Option<Step>, AllocationError> {
    let used = length(space, vector);
    let Some(place) = progress.checked_sub(1) else {
        if index > used {
            return Ok(None);
        }
        push(space, allocator, vector, value)?;
        let done = Step::Done(ObjectAddress(0));
        return Ok(Some(if index == used { done } else { Step::Again(used + 1) }));
    };
    if place >= used || index > place {
        return Ok(None);
    }
    let start = place.saturating_sub(MOVES).max(index);
    rotate(space, vector, start, place, true);
    let done = start == index;
    Ok(Some(if done { Step::Done(ObjectAddress(0)) } else { Step::Again(start + 1) }))
}

/// One step of the removal of the element at `index` (none if there is none): 0 is the progress to begin with. The element is
/// rotated to the end, then popped. Changes last.
pub fn remove_step(space: Space, vector: ObjectAddress, index: u64, progress: u64) -> Option<Step> {
    let last = length(space, vector).checked_sub(1)?;
    let place = progress.checked_sub(1).unwrap_or(index);
    if place > last {
        return None;
    }
    if place == last {
        return pop(space, vector).map(Step::Done);
    }
    let end = (place + MOVES).min(last);
    rotate(space, vector, place, end, false);
    Some(Step::Again(end + 1))
}

/// Moves the element at one end of [`start`, `end`] to the other, the rest by one place. One step, changes last.
fn rotate(space: Space, vector: ObjectAddress, start: u64, end: u64, down: bool) {
    let array = elements(space, vector);
    if array.is_null() || end >= array::length(space, array) {
        return;
    }
    let (low, high) = (array::slot(array, start), array::slot(array, end));
    let bytes = (end - start) * SLOT;
    space.touch_write_range(low, bytes + SLOT);
    space.touch_write(vector.plus(object::VECTOR_CHANGES));
    space.begin_changes();
    if down {
        let moved = space.load::<u64>(high);
        space.copy(low, low.plus(SLOT), bytes);
        space.store(low, moved);
    } else {
        let moved = space.load::<u64>(low);
        space.copy(low.plus(SLOT), low, bytes);
        space.store(high, moved);
    }
    let word = vector.plus(object::VECTOR_CHANGES);
    space.store(word, space.load::<u64>(word).wrapping_add(1));
}

/// Removes all elements: drops the array, which counting tears down. One step, changes last.
pub fn clear(space: Space, vector: ObjectAddress) {
    let array = elements(space, vector);
    space.touch_write_range(vector, object::VECTOR_SIZE);
    touch_count(space, array);
    space.begin_changes();
    space.store(vector.plus(object::VECTOR_ELEMENTS), 0_u64);
    set_length(space, vector, 0);
    count_down(space, array);
}
