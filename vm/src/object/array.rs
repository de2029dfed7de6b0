//! Arrays and byte buffers: length, elements, bulk operations in steps, growth in place.
//!
//! Invariant: the header's length is exact below 2^32-1; at that value the large object's 64-bit length is asked.

use revenant_hal::ObjectAddress;

use crate::counting;
use crate::heap::{self, AllocationError, Allocator, large};
use crate::memory::layout::{PAGE, SLOT, class, object};
use crate::memory::{AddressExt, Space};

/// The length in elements of an array, string, buffer or record array.
#[inline]
#[must_use]
pub fn length(space: Space, array: ObjectAddress) -> u64 {
    let short = space.load::<u32>(array.plus(object::LENGTH));
    if short == object::LENGTH_OVERFLOW { large::length(space, array) } else { u64::from(short) }
}

/// Log2 of the bytes of an element of an array class.
#[must_use]
pub fn element_shift(space: Space, class_object: ObjectAddress) -> u32 {
    match space.load::<u8>(class_object.plus(class::KIND)) {
        class::KIND_REFERENCE_ARRAY => 3,
        _ => u32::from(space.load::<u8>(class_object.plus(class::ELEMENT_SHIFT)) & 3),
    }
}

/// A new array of `length` elements of an array class, all zero or null.
///
/// # Errors
/// No memory to be had, or no array can be that long.
pub fn allocate(
    space: Space,
    allocator: Allocator,
    class_object: ObjectAddress,
    length: u64,
) -> Result<ObjectAddress, AllocationError> {
    let shift = element_shift(space, class_object);
    // An element is reached by an index that is compared with the header's 32 bits.
    if length >= u64::from(object::LENGTH_OVERFLOW) {
        return Err(AllocationError::TooLarge);
    }
    let index = space.load::<u32>(class_object.plus(class::INDEX));
    heap::allocate_sized(space, allocator, index, length, length << shift)
}

/// The address of element `index` of an array of 8-byte elements.
#[inline(always)]
#[must_use]
pub fn slot(array: ObjectAddress, index: u64) -> ObjectAddress {
    array.plus(object::PAYLOAD + index.wrapping_mul(SLOT))
}

/// Element `index` of a reference array; null beyond its end.
#[must_use]
pub fn reference(space: Space, array: ObjectAddress, index: u64) -> ObjectAddress {
    if index < length(space, array) {
        ObjectAddress(space.load(slot(array, index)))
    } else {
        ObjectAddress(0)
    }
}

/// Stores element `index` of a reference array; false beyond its end. One step, changes last.
pub fn set_reference(space: Space, array: ObjectAddress, index: u64, value: ObjectAddress) -> bool {
    let inside = index < length(space, array);
    if inside {
        counting::store_reference(space, slot(array, index), value);
    }
    inside
}

/// A new byte buffer of `length` zero bytes that can grow to `capacity` bytes.
///
/// # Errors
/// No memory to be had, or the capacity is beyond what can be reserved.
pub fn allocate_buffer(
    space: Space,
    allocator: Allocator,
    class_index: u32,
    length: u64,
    capacity: u64,
) -> Result<ObjectAddress, AllocationError> {
    let capacity = capacity.max(length);
    if capacity <= object::SMALL_LIMIT - object::HEADER_SIZE {
        heap::allocate_sized(space, allocator, class_index, length, capacity)
    } else {
        large::allocate(space, allocator, class_index, length, length, capacity)
    }
}

/// Bytes to which a byte buffer can grow where it is.
#[must_use]
pub fn capacity(space: Space, buffer: ObjectAddress) -> u64 {
    if large::is_large(space, buffer) {
        large::capacity(space, buffer)
    } else {
        heap::small::payload_capacity(space, buffer)
    }
}

/// Grows a byte buffer by zero bytes: its old length. One step, changes last.
///
/// # Errors
/// The capacity or the quota does not allow it; nothing has changed then.
pub fn grow_buffer(
    space: Space,
    buffer: ObjectAddress,
    bytes: u64,
) -> Result<u64, AllocationError> {
    let before = length(space, buffer);
    let after = before.checked_add(bytes).ok_or(AllocationError::TooLarge)?;
    if large::is_large(space, buffer) {
        large::grow(space, buffer, after, after)?;
        return Ok(before);
    }
    if after > heap::small::payload_capacity(space, buffer) {
        return Err(AllocationError::TooLarge);
    }
    let short = u32::try_from(after).map_err(|_| AllocationError::TooLarge)?;
    space.touch_write(buffer);
    space.begin_changes();
    space.store(buffer.plus(object::LENGTH), short);
    Ok(before)
}

/// Bytes that one step of a bulk operation handles at most: up to two pages on each side.
pub const STEP_BYTES: u64 = PAGE;

/// One step of a copy of raw bytes between payloads: copies a piece of [`STEP_BYTES`] or less and answers how many bytes. An
/// overlapping copy inside one object towards higher addresses takes its pieces from the end. Offsets are from the objects.
pub fn copy_step(space: Space, source: ObjectAddress, target: ObjectAddress, bytes: u64) -> u64 {
    let piece = bytes.min(STEP_BYTES);
    let backwards = target.0 > source.0 && target.0 < source.0.wrapping_add(bytes);
    let skip = if backwards { bytes - piece } else { 0 };
    space.touch_read_range(source.plus(skip), piece);
    space.touch_write_range(target.plus(skip), piece);
    space.begin_changes();
    space.copy(source.plus(skip), target.plus(skip), piece);
    space.end_step();
    piece
}
