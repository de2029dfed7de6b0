//! The heap: runs of blocks, cells in blocks, large objects, stack ranges. All its state is in object space.
//!
//! Invariants:
//! - free memory is never read and nothing is linked through it; what is free is known from the block table and the
//!   metadata pages alone;
//! - every public operation is one step (touch all, then change) or a sequence of steps each of which leaves the heap whole;
//!   an operation whose attempt ends between two steps is simply tried again;
//! - clean runs are all zero; a new object's payload is all zero;
//! - nothing panics: exhaustion and damage are [`AllocationError`]s.
//!
//! ```text
//!   small    cells: the allocation fast path, refill, give back      large   runs of one object, growth in place
//!   runs     buddies of blocks: clean and dirty lists                metadata  start, count, batch of an address
//!   discard  dirty runs become clean: their pages go back to the pager
//!   holes    so do the free pages of blocks in use
//! ```
//!
//! Neighbours: `counting` decides what dies and calls [`release`]; `object` knows layouts.

pub mod discard;
pub mod holes;
pub mod large;
pub mod metadata;
pub mod runs;
pub mod small;

use core::fmt;

use revenant_hal::ObjectAddress;

use crate::memory::layout::{PAGE, area, block, class, object};
use crate::memory::{AddressExt, Space};

/// The allocator page of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allocator(pub ObjectAddress);

impl Allocator {
    /// The allocator of the group with this index; indices beyond the table name the system's.
    #[inline]
    #[must_use]
    pub const fn of_group(index: u32) -> Self {
        let index = if (index as u64) < area::ALLOCATOR_COUNT { index as u64 } else { 0 };
        Self(ObjectAddress(area::ALLOCATORS + index * PAGE))
    }

    /// Prepares the allocator of a new group with a quota in bytes.
    pub fn open(self, space: Space, group: u32, quota: u64) {
        space.touch_write(self.0);
        space.begin_changes();
        space.store(self.0.plus(block::ALLOCATOR_GROUP), u64::from(group));
        space.store(self.0.plus(block::ALLOCATOR_QUOTA), quota);
        space.end_step();
    }

    /// Bytes charged to the group: whole blocks, and payloads of large objects.
    #[must_use]
    pub fn used(self, space: Space) -> u64 {
        space.load(self.0.plus(block::ALLOCATOR_USED))
    }

    /// The group's quota in bytes.
    #[must_use]
    pub fn quota(self, space: Space) -> u64 {
        space.load(self.0.plus(block::ALLOCATOR_QUOTA))
    }

    /// How often an allocation of the group was refused because of its quota.
    #[must_use]
    pub fn refused(self, space: Space) -> u64 {
        space.load(self.0.plus(block::ALLOCATOR_REFUSED))
    }

    /// Touches the count of refusals for [`Allocator::count_refusal`], and returns it.
    pub(crate) fn touch_refused(self, space: Space) -> u64 {
        space.load_for_change(self.0.plus(block::ALLOCATOR_REFUSED))
    }

    /// One more was refused after the `before` that [`Allocator::touch_refused`] has returned in this step.
    pub(crate) fn count_refusal(self, space: Space, before: u64) {
        let refused = self.0.plus(block::ALLOCATOR_REFUSED);
        space.store_resident(refused, before.saturating_add(1));
    }

    /// Sets the group's quota in bytes.
    pub fn set_quota(self, space: Space, quota: u64) {
        space.touch_write(self.0);
        space.begin_changes();
        space.store(self.0.plus(block::ALLOCATOR_QUOTA), quota);
        space.end_step();
    }

    /// Whether `bytes` more fit the quota.
    fn admits(self, space: Space, bytes: u64) -> bool {
        self.used(space).checked_add(bytes).is_some_and(|sum| sum <= self.quota(space))
    }
}

/// Why memory was not to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocationError {
    /// The group's quota is used up.
    Quota,
    /// Object space has no run of that size left.
    Exhausted,
    /// The disk's reserve is touched: allocation is refused until something was freed.
    DiskReserve,
    /// No object can have that size, or the capacity reserved does not allow it.
    TooLarge,
    /// The heap's own data contradict themselves there.
    Damaged(ObjectAddress),
}

impl fmt::Display for AllocationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota => formatter.write_str("the group's memory quota is used up"),
            Self::Exhausted => formatter.write_str("object space is exhausted"),
            Self::DiskReserve => formatter.write_str("the disk is full but for its reserve"),
            Self::TooLarge => formatter.write_str("no object can be that large"),
            Self::Damaged(address) => write!(formatter, "the heap is damaged at {address:?}"),
        }
    }
}

impl core::error::Error for AllocationError {}

/// Makes an empty heap in an empty object space: the group of the system, the first batch.
pub fn format(space: Space) {
    let runs = ObjectAddress(area::RUNS);
    space.touch_write(runs);
    space.begin_changes();
    space.store(runs.plus(block::RUNS_FRESH), area::HEAP);
    space.store(runs.plus(block::RUNS_FRESH_TOP), area::END);
    space.end_step();
    Allocator::of_group(0).open(space, 0, u64::MAX);
}

/// Refuses allocation of blocks, or takes it up again: the kernel's word about the disk.
pub fn set_refused(space: Space, refused: bool) {
    let word = ObjectAddress(area::RUNS).plus(block::RUNS_REFUSED);
    if (space.load::<u64>(word) != 0) != refused {
        space.touch_write(word);
        space.begin_changes();
        space.store(word, u64::from(refused));
        space.end_step();
    }
}

/// A new object of a class of fixed size, all slots zero. One step on the fast path; its changes are the last thing done,
/// so the caller may go on changing what it has touched before.
///
/// # Errors
/// No memory to be had; nothing has changed then.
#[inline(always)]
pub fn allocate_plain(
    space: Space,
    allocator: Allocator,
    class_object: ObjectAddress,
) -> Result<ObjectAddress, AllocationError> {
    match allocate_plain_quickly(space, allocator, class_object) {
        Some(object) => Ok(object),
        None => allocate_plain_slowly(space, allocator, class_object),
    }
}

/// [`allocate_plain`] where the current run has a cell left.
#[inline(always)]
pub(crate) fn allocate_plain_quickly(
    space: Space,
    allocator: Allocator,
    class_object: ObjectAddress,
) -> Option<ObjectAddress> {
    let size_class = space.load::<u32>(class_object.plus(class::SIZE_CLASS));
    let index = space.load::<u32>(class_object.plus(class::INDEX));
    space.end_step();
    small::allocate(space, allocator, size_class, u64::from(index))
}

/// [`allocate_plain`] where it has not.
///
/// # Errors
/// As [`allocate_plain`].
#[cold]
#[inline(never)]
pub(crate) fn allocate_plain_slowly(
    space: Space,
    allocator: Allocator,
    class_object: ObjectAddress,
) -> Result<ObjectAddress, AllocationError> {
    let size_class = space.load::<u32>(class_object.plus(class::SIZE_CLASS));
    let index = space.load::<u32>(class_object.plus(class::INDEX));
    space.end_step();
    small::allocate_slowly(space, allocator, size_class, u64::from(index))
}

/// A new object whose size follows from `length`: `payload` bytes after the header. Small or large by its size.
///
/// # Errors
/// No memory to be had; nothing has changed then.
#[inline]
pub fn allocate_sized(
    space: Space,
    allocator: Allocator,
    class_index: u32,
    length: u64,
    payload: u64,
) -> Result<ObjectAddress, AllocationError> {
    space.end_step();
    if payload > object::SMALL_LIMIT - object::HEADER_SIZE {
        return large::allocate(space, allocator, class_index, length, payload, payload);
    }
    let size_class = small::class_of(payload + object::HEADER_SIZE);
    let word = u64::from(class_index) | length << 32;
    match small::allocate(space, allocator, size_class, word) {
        Some(object) => Ok(object),
        None => small::allocate_slowly(space, allocator, size_class, word),
    }
}

/// Gives an object's memory back. Its references are released, nobody knows it, and if it is large its extent is zero.
/// One step.
pub fn release(space: Space, object: ObjectAddress) {
    if large::is_large(space, object) {
        large::release(space, object);
    } else {
        small::release(space, object);
    }
}
