//! Large objects: a run of blocks each, with a reserved capacity in which they grow in place.
//!
//! Invariants:
//! - bytes of the payload from the length to the capacity are zero;
//! - the run of a freed object is clean if its extent is short, for that was zeroed; a long one is discarded later, because to
//!   zero it would bring in what nobody needs;
//! - the group is charged the payload in use, rounded to pages, not the reservation.

use revenant_hal::ObjectAddress;

use super::metadata::{self, Metadata};
use super::runs::{self, BlockNumber, Content, Entry};
use super::{AllocationError, Allocator, discard, small};
use crate::counting::doubt;
use crate::memory::layout::system::{counting, statistics};
use crate::memory::layout::{BLOCK, PAGE, area, block, object};
use crate::memory::{AddressExt, Space};

const COUNTING: ObjectAddress = ObjectAddress(area::COUNTING);

/// Most bytes of payload that can be reserved.
pub const CAPACITY_LIMIT: u64 = (1 << 40) - 2 * PAGE;

/// Bytes of extent up to which a freed object is zeroed where it is: to take it again is cheaper then. It is the program's recent
/// use of so little that is most likely in memory.
const ZEROED_LIMIT: u64 = 1 << 20;

/// Whether an object is a large one: its place in its block says so, without reading the object.
#[inline]
#[must_use]
pub fn is_large(space: Space, object: ObjectAddress) -> bool {
    let base = BlockNumber::of(object).address();
    object.0.wrapping_sub(base.0) == object::LARGE_OFFSET
        && space.load::<u8>(base.plus(block::HEADER_CLASS)) == block::KIND_LARGE
}

fn charged(payload: u64) -> u64 {
    payload.div_ceil(PAGE) * PAGE
}

/// A new large object of `length` elements and `payload` bytes, all zero, which can grow to `capacity` bytes.
///
/// # Errors
/// No memory to be had; nothing has changed then.
#[cold]
#[inline(never)]
pub fn allocate(
    space: Space,
    allocator: Allocator,
    class_index: u32,
    length: u64,
    payload: u64,
    capacity: u64,
) -> Result<ObjectAddress, AllocationError> {
    let capacity = capacity.max(payload);
    if capacity > CAPACITY_LIMIT {
        return Err(AllocationError::TooLarge);
    }
    if !allocator.admits(space, charged(payload)) {
        return Err(AllocationError::Quota);
    }
    crate::counting::make_room(space)?;
    space.end_step();
    let order = runs::order_for(capacity + 2 * PAGE).ok_or(AllocationError::TooLarge)?;
    let found = runs::find(space, order, false)?;
    let base = found.number.address();
    let object = base.plus(object::LARGE_OFFSET);
    let group = space.load::<u64>(allocator.0.plus(block::ALLOCATOR_GROUP));
    let owner = u32::try_from(group).map_err(|_| AllocationError::Damaged(allocator.0))?;
    let entry = space.load::<u64>(COUNTING.plus(counting::OPEN_NEXT));
    let fresh = space.load::<u8>(COUNTING.plus(counting::NEW_METADATA));
    let epoch = space.load::<u64>(COUNTING.plus(counting::EPOCH));
    space.store_ahead(ObjectAddress(entry), object.0);
    found.touch(space);
    for page in [base, object, allocator.0, COUNTING] {
        space.touch_write(page);
    }
    space.begin_changes();
    let kind = block::KIND_LARGE;
    let order = u8::try_from(order).unwrap_or(0);
    found.take(space, Entry { kind, order, size_class: 0, state: 0, owner });
    let mirror = u64::from(kind) | u64::from(owner) << 32;
    space.store(base.plus(block::HEADER_CLASS), mirror);
    space.store(object.plus(object::CLASS), u64::from(class_index));
    space.store(object.plus(object::BIRTH_AND_FLAGS), epoch | object::FLAG_LARGE);
    space.store(object.minus(object::LARGE_CAPACITY), capacity);
    set_length(space, allocator, object, length, payload, 0);
    metadata::store(space, object, Metadata(fresh));
    space.store(COUNTING.plus(counting::OPEN_NEXT), entry + 8);
    crate::counting::count_large(space, charged(payload));
    doubt::given(space, charged(payload));
    small::count(space, statistics::LARGE_MADE);
    Ok(object)
}

/// Writes the new length, the extent and the charge; everything was touched. `before` is what was charged.
fn set_length(
    space: Space,
    allocator: Allocator,
    object: ObjectAddress,
    length: u64,
    payload: u64,
    before: u64,
) {
    let base = BlockNumber::of(object).address();
    let short = u32::try_from(length).unwrap_or(object::LENGTH_OVERFLOW);
    space.store(object.plus(object::LENGTH), short);
    space.store(object.minus(object::LARGE_LENGTH), length);
    space.store(base.plus(block::HEADER_EXTENT), payload);
    let used = allocator.0.plus(block::ALLOCATOR_USED);
    let now = space.load::<u64>(used).wrapping_add(charged(payload)).wrapping_sub(before);
    space.store(used, now);
}

/// Bytes of payload that the object can grow to; never more than its run holds.
#[must_use]
pub fn capacity(space: Space, object: ObjectAddress) -> u64 {
    let order = runs::entry(space, BlockNumber::of(object)).order.min(24);
    let room = (BLOCK << order) - 2 * PAGE;
    space.load::<u64>(object.minus(object::LARGE_CAPACITY)).min(room)
}

/// The length in elements of a large object.
#[must_use]
pub fn length(space: Space, object: ObjectAddress) -> u64 {
    space.load(object.minus(object::LARGE_LENGTH))
}

/// Bytes of payload that may differ from zero.
#[must_use]
pub fn extent(space: Space, object: ObjectAddress) -> u64 {
    space.load(BlockNumber::of(object).address().plus(block::HEADER_EXTENT))
}

/// Grows a large object in place to `length` elements and `payload` bytes; the new ones are zero. One step, changes last.
///
/// # Errors
/// The capacity or the quota does not allow it.
pub fn grow(
    space: Space,
    object: ObjectAddress,
    length: u64,
    payload: u64,
) -> Result<(), AllocationError> {
    let number = BlockNumber::of(object);
    let allocator = Allocator::of_group(runs::entry(space, number).owner);
    let extent = extent(space, object);
    if payload > capacity(space, object) || payload < extent {
        return Err(AllocationError::TooLarge);
    }
    if !allocator.admits(space, charged(payload).saturating_sub(charged(extent))) {
        return Err(AllocationError::Quota);
    }
    let refused = ObjectAddress(area::RUNS).plus(block::RUNS_REFUSED);
    if charged(payload) > charged(extent) && space.load::<u64>(refused) != 0 {
        return Err(AllocationError::DiskReserve);
    }
    for page in [number.address(), object, allocator.0, COUNTING] {
        space.touch_write(page);
    }
    space.begin_changes();
    doubt::given(space, charged(payload).saturating_sub(charged(extent)));
    set_length(space, allocator, object, length, payload, charged(extent));
    Ok(())
}

/// Bytes that differ from zero at most, once the object has been used.
fn bounded_extent(space: Space, object: ObjectAddress) -> u64 {
    extent(space, object).min(capacity(space, object))
}

/// Whether a freed object's extent is zeroed and not discarded.
fn is_zeroed(space: Space, object: ObjectAddress) -> bool {
    bounded_extent(space, object) <= ZEROED_LIMIT
}

/// Zeroes page `index` of the extent; whether there was such a page, and this object's are zeroed. One step.
pub(crate) fn zero_page(space: Space, object: ObjectAddress, index: u64) -> bool {
    if index.saturating_mul(PAGE) >= bounded_extent(space, object) || !is_zeroed(space, object) {
        return false;
    }
    discard::zero(space, object.plus(object::PAYLOAD + index * PAGE));
    true
}

/// Gives the run of a large object back. If its extent is short, that is zero already. One step, and steps of joining after it.
pub fn release(space: Space, object: ObjectAddress) {
    let number = BlockNumber::of(object);
    let entry = runs::entry(space, number);
    if entry.kind != block::KIND_LARGE {
        return;
    }
    let (base, order) = (number.address(), u32::from(entry.order));
    let allocator = Allocator::of_group(entry.owner);
    let extent = extent(space, object);
    let content = if is_zeroed(space, object) {
        Content::Zero
    } else {
        let used = 2 + bounded_extent(space, object).div_ceil(PAGE);
        Content::ZeroBehind(runs::pages_of(order).saturating_sub(used))
    };
    runs::touch_give(space, number, order, content == Content::Zero);
    for page in [base, object, allocator.0] {
        space.touch_write(page);
    }
    space.begin_changes();
    metadata::store(space, object, Metadata(0));
    space.store(base.plus(block::HEADER_CLASS), 0_u64);
    space.store(base.plus(block::HEADER_EXTENT), 0_u64);
    for word in 0..4 {
        space.store(object.minus(object::LARGE_LENGTH).plus(word * 8), 0_u64);
    }
    let used = allocator.0.plus(block::ALLOCATOR_USED);
    space.store(used, space.load::<u64>(used).wrapping_sub(charged(extent)));
    runs::give(space, number, order, content);
    small::count(space, statistics::LARGE_FREED);
}

/// Joins the run at `start`, free and clean, with its neighbours. Steps that may be left out.
pub(crate) fn merge(space: Space, start: ObjectAddress) {
    let number = BlockNumber::of(start);
    let entry = runs::entry(space, number);
    if entry.kind == block::KIND_FREE {
        runs::merge(space, number, u32::from(entry.order));
    }
}
