//! Deferred reference counting: references from the heap are counted, those in frames are found when it matters.
//!
//! The guarantee: an object is freed only if its count is zero and no frame of any thread, running or parked,
//! holds it, at one consistent moment after it was declared. OBJECTS.md 4 has the protocol and the argument; `model` in
//! the tests walks every interleaving of a small one.
//!
//! ```text
//!   mod      the write barrier, weak references, the open batch        table     address -> word, growing in small steps
//!   frozen   slots of frames into and out of the held table            teardown  releasing an object part by part
//!   grace    close, freeze, free: one bounded step a call              audit     the exact checker
//! ```
//!
//! Invariants between steps:
//! - a started object with count zero stands in a batch, or in the held table with the kept flag, or is being torn down;
//! - batch bits that name the closed batch occur only while a grace is in progress;
//! - every slot below a thread's watermark, and no other, is counted in the held table;
//! - all state is in object space, so any step may be the last one before a restart.

pub mod audit;
pub mod doubt;
pub mod frozen;
pub mod grace;
mod table;
mod teardown;

use revenant_hal::{Epoch, ObjectAddress};

pub use grace::{Progress, close, grace_requested, request, step};
pub use table::{Entry as TableEntry, Table};
pub(crate) use teardown::{References, own_entry};

use crate::heap::metadata::{self, Metadata};
use crate::heap::{AllocationError, Allocator};
use crate::memory::layout::system::counting;
use crate::memory::layout::{area, class, object};
use crate::memory::{AddressExt, Space};

const COUNTING: ObjectAddress = ObjectAddress(area::COUNTING);

/// Entries after which the open batch asks for a grace, unless set otherwise: small enough that what was freed is still in
/// the processor's cache when it is allocated again.
pub const BATCH_ENTRIES: u64 = 16 * 1024;
/// Bytes of large objects after which the open batch asks for a grace, however few its entries.
pub const BATCH_LARGE: u64 = 4 << 20;
/// So many times what asks for a grace, while the grace before is not over: programs that allocate wait for it. They would
/// make garbage faster than it can be freed when its pages have to come from the disk.
const BEHIND: u64 = 4;

/// Prepares the counting page of an empty object space.
pub fn format(space: Space, epoch: Epoch) {
    space.touch_write(COUNTING);
    space.begin_changes();
    space.store(COUNTING.plus(counting::EPOCH), epoch.0 & object::BIRTH_MASK);
    space.store(COUNTING.plus(counting::BATCH_ENTRIES), BATCH_ENTRIES);
    open_batch(space, 1);
    space.end_step();
}

/// Sets the epoch that new objects are born in: at the flip, and before the first instruction after a resume.
pub fn set_epoch(space: Space, epoch: Epoch) {
    if space.load::<u64>(COUNTING.plus(counting::EPOCH)) != epoch.0 {
        space.touch_write(COUNTING);
        space.begin_changes();
        space.store(COUNTING.plus(counting::EPOCH), epoch.0 & object::BIRTH_MASK);
        space.end_step();
    }
}

/// Sets the number of entries after which the open batch asks for a grace; for tests and tuning.
pub fn set_batch_entries(space: Space, entries: u64) {
    space.touch_write(COUNTING);
    space.begin_changes();
    space.store(COUNTING.plus(counting::BATCH_ENTRIES), entries);
    let start = batch_start(open(space));
    space.store(COUNTING.plus(counting::OPEN_LIMIT), start + 8 * entries);
    space.end_step();
}

/// First address of batch 1 or 2.
const fn batch_start(batch: u8) -> u64 {
    area::BATCHES + (batch.saturating_sub(1) & 1) as u64 * area::BATCH_SIZE
}

/// Where the entries of the open batch can go no further.
const fn batch_end(batch: u8) -> u64 {
    batch_start(batch) + area::BATCH_SIZE
}

/// The number of the open batch, 1 or 2.
#[inline(always)]
fn open(space: Space) -> u8 {
    let fresh = Metadata(space.load::<u8>(COUNTING.plus(counting::NEW_METADATA)));
    fresh.batch()
}

/// Makes `batch`, which is empty, the open one. Part of a step that touched the counting page.
fn open_batch(space: Space, batch: u8) {
    let start = batch_start(batch);
    let entries = space.load::<u64>(COUNTING.plus(counting::BATCH_ENTRIES));
    let entries = entries.clamp(1, area::BATCH_SIZE / 8 - 1);
    space.store(COUNTING.plus(counting::OPEN_NEXT), start);
    space.store(COUNTING.plus(counting::OPEN_LIMIT), start + 8 * entries);
    space.store(COUNTING.plus(counting::OPEN_LARGE), 0_u64);
    let fresh = Metadata(object::META_START).with_batch(batch);
    space.store(COUNTING.plus(counting::NEW_METADATA), fresh.0);
}

/// On the slow path of allocation: if the open batch is long or has large objects, asks for a grace and lets it grow until one
/// comes, or until it [is far behind](is_behind). One step.
///
/// # Errors
/// The batch's whole area is used up.
pub(crate) fn make_room(space: Space) -> Result<(), AllocationError> {
    let next = space.load::<u64>(COUNTING.plus(counting::OPEN_NEXT));
    let long = next >= space.load::<u64>(COUNTING.plus(counting::OPEN_LIMIT));
    let large = space.load::<u64>(COUNTING.plus(counting::OPEN_LARGE)) >= BATCH_LARGE;
    if !long && (!large || grace_requested(space)) {
        return Ok(());
    }
    let end = batch_end(open(space));
    if next >= end {
        return Err(AllocationError::Exhausted);
    }
    let far = behind_at(space);
    space.touch_write(COUNTING);
    space.begin_changes();
    space.store(COUNTING.plus(counting::REQUESTED), 1_u64);
    if long {
        let limit = if next < far { far } else { end };
        space.store(COUNTING.plus(counting::OPEN_LIMIT), limit.min(end));
    }
    space.end_step();
    Ok(())
}

/// Where the open batch is far too long.
fn behind_at(space: Space) -> u64 {
    let entries = space.load::<u64>(COUNTING.plus(counting::BATCH_ENTRIES));
    batch_start(open(space)).saturating_add(entries.saturating_mul(8 * BEHIND))
}

/// Whether programs have made so much garbage that those who would make more have to wait for the grace that was asked for:
/// what bounds memory when the pages of what is to be freed come from a slow disk.
#[must_use]
pub(crate) fn is_behind(space: Space) -> bool {
    let large = space.load::<u64>(COUNTING.plus(counting::OPEN_LARGE));
    let next = space.load::<u64>(COUNTING.plus(counting::OPEN_NEXT));
    (large >= BATCH_LARGE * BEHIND || next >= behind_at(space))
        && (grace_requested(space) || grace::in_progress(space))
}

/// A large object of so many bytes was made. Part of a step that touched the counting page.
pub(crate) fn count_large(space: Space, bytes: u64) {
    let word = COUNTING.plus(counting::OPEN_LARGE);
    space.store(word, space.load::<u64>(word).saturating_add(bytes));
}

/// Touches what [`enter_open`] changes.
#[inline(always)]
fn touch_open(space: Space) {
    let next = space.load_for_change::<u64>(COUNTING.plus(counting::OPEN_NEXT));
    space.touch_write(ObjectAddress(next));
}

/// Where the next entry of the open batch goes: a step in which several counts may reach zero touches the entries behind
/// it too.
#[must_use]
pub fn open_entry(space: Space) -> ObjectAddress {
    ObjectAddress(space.load(COUNTING.plus(counting::OPEN_NEXT)))
}

/// Puts an object at zero into the open batch: the metadata byte to store. Part of a step; a batch whose whole area is used
/// up takes nothing more, and the object waits for the collector.
#[inline(always)]
fn enter_open(space: Space, object: ObjectAddress, found: Metadata, open: u8) -> Metadata {
    let next = space.load::<u64>(COUNTING.plus(counting::OPEN_NEXT));
    if next >= batch_end(open) {
        return found.with_batch(0);
    }
    space.store(ObjectAddress(next), object.0);
    space.store(COUNTING.plus(counting::OPEN_NEXT), next + 8);
    found.with_batch(open)
}

/// Stores a reference in a heap slot (field, element, root page, table; never a register) and keeps the counts: the write
/// barrier. One step, changes last.
#[inline(always)]
pub fn store_reference(space: Space, slot: ObjectAddress, value: ObjectAddress) {
    let old = ObjectAddress(space.load_for_change::<u64>(slot));
    if old == value {
        return;
    }
    touch_count(space, value);
    touch_count(space, old);
    space.begin_changes();
    count_up(space, value);
    count_down(space, old);
    space.store(slot, value.0);
}

/// Touches what [`count_up`] and [`count_down`] of an object change.
#[inline(always)]
pub fn touch_count(space: Space, object: ObjectAddress) {
    if !object.is_null() {
        let found = metadata::load(space, object);
        if !found.is_sticky() {
            let _ = metadata::load_for_change(space, object);
            touch_open(space);
        }
    }
}

/// [`touch_count`] without the batch.
#[inline(always)]
fn touch_metadata(space: Space, object: ObjectAddress) {
    if !object.is_null() && !metadata::load(space, object).is_sticky() {
        let _ = metadata::load_for_change(space, object);
    }
}

/// One heap reference more to an object (or null). Part of a step that touched with [`touch_count`].
#[inline(always)]
pub fn count_up(space: Space, object: ObjectAddress) {
    if object.is_null() {
        return;
    }
    let found = metadata::load(space, object);
    if found.is_sticky() {
        return;
    }
    // Leaving zero, the object also leaves the closed batch: who took it from the heap since is asked by nobody.
    let leaves_closed = found.is_zero() && found.batch() != open(space);
    let found = if leaves_closed { found.with_batch(0) } else { found };
    let more = found.incremented();
    if more.is_sticky() {
        doubt::stuck(space);
    }
    metadata::store(space, object, more);
}

/// One heap reference less to an object (or null); at zero it enters the open batch. Part of a step that touched with
/// [`touch_count`].
#[inline(always)]
pub fn count_down(space: Space, object: ObjectAddress) {
    if object.is_null() {
        return;
    }
    let found = metadata::load(space, object);
    if found.is_sticky() || found.is_zero() {
        return;
    }
    let mut left = found.decremented();
    if left.is_zero() {
        let open = open(space);
        if left.batch() != open {
            left = enter_open(space, object, left, open);
        }
    } else {
        doubt::parted(space);
    }
    metadata::store(space, object, left);
}

/// What [`count_down`] is for the references of an object being torn down. While no thread is hot (`all_frozen`), every
/// reference in a frame is in the held table, so a child at zero joins the closed batch and is dealt with in the same grace: whole
/// structures die in one. Part of a step that touched with [`touch_count`] and [`touch_closed`].
#[inline(always)]
fn count_down_in_grace(space: Space, object: ObjectAddress, all_frozen: bool) {
    if !all_frozen {
        return count_down(space, object);
    }
    if object.is_null() {
        return;
    }
    let found = metadata::load(space, object);
    if found.is_sticky() || found.is_zero() {
        return;
    }
    let mut left = found.decremented();
    if !left.is_zero() {
        doubt::parted(space);
    } else if left.batch() == 0 {
        // Otherwise it is in a batch already: its entry there is still to come.
        let end = space.load::<u64>(COUNTING.plus(counting::CLOSED_END));
        let closed = 3 - open(space).clamp(1, 2);
        if end < batch_end(closed) {
            space.store(ObjectAddress(end), object.0);
            space.store(COUNTING.plus(counting::CLOSED_END), end + 8);
            left = left.with_batch(closed);
        }
    }
    metadata::store(space, object, left);
}

/// Whether no thread has slots that are not frozen.
#[inline(always)]
fn all_frozen(space: Space) -> bool {
    space.load::<u64>(COUNTING.plus(counting::HOT_HEAD)) == 0
        && space.load::<u64>(COUNTING.plus(counting::PENDING_HEAD)) == 0
}

/// Touches the places behind the end of a batch, the closed one if `all_frozen`, that up to `entries` children at zero may take.
#[inline(always)]
fn touch_batch(space: Space, entries: u64, all_frozen: bool) {
    let word = if all_frozen { counting::CLOSED_END } else { counting::OPEN_NEXT };
    let end = space.load::<u64>(COUNTING.plus(word));
    space.touch_write(ObjectAddress(end));
    space.touch_write(ObjectAddress(end + 8 * entries));
}

/// Touches what [`count_down`] of these objects changes: their metadata, and the end of the batch that those at zero join.
pub(crate) fn touch_count_down(space: Space, objects: &[ObjectAddress]) {
    for object in objects {
        touch_metadata(space, *object);
    }
    touch_batch(space, objects.len() as u64, false);
}

/// Whether an object stands in a batch that is still to be gone through.
pub(crate) fn is_listed(space: Space, found: Metadata) -> bool {
    let batch = found.batch();
    batch == open(space)
        || batch != 0 && batch != object::META_BATCH_SWEPT && grace::in_progress(space)
}

/// Makes the count of an object stick: it is never freed by counting (classes, built-in objects). One step.
pub fn make_immortal(space: Space, object: ObjectAddress) {
    let found = metadata::load_for_change(space, object);
    space.begin_changes();
    metadata::store(space, object, found.stuck().with_batch(0));
    space.end_step();
}

/// Puts an object into the open batch if its count is zero and it is not there: before a reference comes to a frame by a
/// way that no scan of the giver's frames can see afterwards. Part of a step that touched with [`touch_count`].
#[inline]
pub fn declare_again(space: Space, object: ObjectAddress) {
    if object.is_null() {
        return;
    }
    let found = metadata::load(space, object);
    let open = open(space);
    if found.is_zero() && found.batch() != open {
        let found = enter_open(space, object, found, open);
        metadata::store(space, object, found);
    }
}

/// Stores a reference in a register of ANOTHER thread, whose slots there are thawed ([`frozen::prepare_to_run`]): a waker's
/// result, the arguments of a new thread. The giver may drop its own reference before it is scanned and the receiver may
/// have been scanned already, so the object is declared again. One step, changes last.
pub fn hand_over(space: Space, slot: ObjectAddress, value: ObjectAddress) {
    space.touch_write(slot);
    touch_count(space, value);
    space.begin_changes();
    declare_again(space, value);
    space.store(slot, value.0);
}

/// What a weak reference refers to, or null once it was freed. The object is declared again if its count is zero, so
/// that the reader's register is seen before it is freed. One step, changes last.
pub fn read_weak(space: Space, weak: ObjectAddress) -> ObjectAddress {
    let target = ObjectAddress(space.load(weak.plus(object::WEAK_TARGET)));
    if target.is_null() {
        return target;
    }
    let found = metadata::load(space, target);
    let declares = found.is_zero() && found.batch() != open(space);
    let read = weak.plus(object::WEAK_READ);
    let epoch = space.load::<u64>(COUNTING.plus(counting::EPOCH));
    // The sweep asks whether somebody has it since the snapshot that was marked.
    let stamps = space.load::<u64>(read) != epoch;
    if declares {
        touch_count(space, target);
    }
    if stamps {
        space.touch_write(read);
    }
    if declares || stamps {
        space.begin_changes();
    }
    if stamps {
        space.store(read, epoch);
    }
    if declares {
        declare_again(space, target);
    }
    target
}

/// The weak reference to an object: the one that exists, or a new one of class `weak_class`.
///
/// # Errors
/// No memory to be had.
pub fn weak_reference(
    space: Space,
    allocator: Allocator,
    weak_class: ObjectAddress,
    target: ObjectAddress,
) -> Result<ObjectAddress, AllocationError> {
    let table = Table::weak();
    if let Some(found) = table.find(space, target.0) {
        let weak = ObjectAddress(table.value(space, found));
        let state = metadata::load(space, weak);
        if state.is_zero() && state.batch() != open(space) {
            touch_count(space, weak);
            space.begin_changes();
            declare_again(space, weak);
            space.end_step();
        }
        return Ok(weak);
    }
    table.make_room(space)?;
    let weak = crate::heap::allocate_plain(space, allocator, weak_class)?;
    space.end_step();
    let place = table.place_for(space, target.0)?;
    let flags = target.plus(object::BIRTH_AND_FLAGS);
    space.touch_write(place.address);
    space.touch_write(COUNTING);
    space.touch_write(weak);
    let birth = space.load_for_change::<u64>(flags);
    let epoch = space.load::<u64>(COUNTING.plus(counting::EPOCH));
    space.begin_changes();
    table.insert(space, place, target.0, weak.0);
    space.store(weak.plus(object::WEAK_TARGET), target.0);
    space.store(weak.plus(object::WEAK_READ), epoch);
    space.store(flags, birth | object::FLAG_WEAK);
    space.end_step();
    Ok(weak)
}

/// The class object of an object, by the class table; null for an index that names none.
#[inline]
#[must_use]
pub fn class_of(space: Space, object: ObjectAddress) -> ObjectAddress {
    class_at(space, space.load(object.plus(object::CLASS)))
}

/// The class object with an index; null for an index that names none.
#[inline]
#[must_use]
pub fn class_at(space: Space, index: u32) -> ObjectAddress {
    if u64::from(index) >= area::CLASS_TABLE_ENTRIES {
        return ObjectAddress(0);
    }
    ObjectAddress(space.load(ObjectAddress(area::CLASS_TABLE + 8 * u64::from(index))))
}

/// The kind of an object (`layout::class::KIND_*`), 0 if its class is none.
#[must_use]
pub fn kind_of(space: Space, object: ObjectAddress) -> u8 {
    let class_object = class_of(space, object);
    if class_object.is_null() { 0 } else { space.load(class_object.plus(class::KIND)) }
}
