//! Frozen slots: reference slots of frames that the held table counts, so that no grace has to look at them again.
//!
//! A slot freezes or thaws alone, one step each, and the thread's watermark moves with it: an attempt that ends leaves
//! nothing to repair, and a restart goes on where it stopped.
//!
//! Invariant: the watermark of a thread that runs is at most the reference base of its current frame. Whoever lets a
//! thread run in a frame (dispatch, return, unwinding) thaws down to that frame's base first.

use revenant_hal::ObjectAddress;

use super::{COUNTING, Table, declare_again, touch_count};
use crate::heap::AllocationError;
use crate::memory::layout::system::{counting, scheduler};
use crate::memory::layout::{BLOCK, SLOT, area, thread};
use crate::memory::{AddressExt, Space};

/// The round over all threads, which lists hot and ended ones again.
const ROUND: ObjectAddress = ObjectAddress(area::SCHEDULER + scheduler::ROUND);
/// Threads that ended and that no grace asks any more.
const ENDED_HEAD: ObjectAddress = ObjectAddress(area::SCHEDULER + scheduler::ENDED_HEAD);

/// Largest stack range that a thread can have.
const STACK_LIMIT: u64 = 1 << 32;

/// Flag of an entry of the held table: the object was declared at zero while it was held, and left its batch for that;
/// when the last slot thaws it is declared again.
pub const KEPT: u64 = 1 << 63;

/// End of the reference slots that are scanned: the current frame's, or the start of the stack when there is no frame.
#[must_use]
pub fn scan_end(space: Space, thread_object: ObjectAddress) -> ObjectAddress {
    let stack = ObjectAddress(space.load(thread_object.plus(thread::STACK)));
    let record = ObjectAddress(space.load(thread_object.plus(thread::FRAME)));
    if record.is_null() {
        return stack;
    }
    stack.plus(u64::from(space.load::<u32>(record.plus(thread::RECORD_REFERENCE_END))))
}

/// First reference slot of the current frame, or the start of the stack when there is no frame.
#[must_use]
pub fn frame_base(space: Space, thread_object: ObjectAddress) -> ObjectAddress {
    let stack = ObjectAddress(space.load(thread_object.plus(thread::STACK)));
    let record = ObjectAddress(space.load(thread_object.plus(thread::FRAME)));
    if record.is_null() {
        return stack;
    }
    stack.plus(u64::from(space.load::<u32>(record.plus(thread::RECORD_REFERENCE_BASE))))
}

/// Whether the words of a thread object that lead to its frames can be what they should be: without this, a damaged one
/// could keep a grace busy for hours.
///
/// # Errors
/// They contradict each other.
pub fn check_thread(space: Space, thread_object: ObjectAddress) -> Result<(), AllocationError> {
    let word = |offset| space.load::<u64>(thread_object.plus(offset));
    let (stack, size) = (word(thread::STACK), word(thread::STACK_SIZE));
    let (watermark, record) = (word(thread::WATERMARK), word(thread::FRAME));
    let inside = |address: u64| address >= stack && address - stack <= size;
    let sound = size.is_power_of_two()
        && (BLOCK..=STACK_LIMIT).contains(&size)
        && stack.is_multiple_of(BLOCK)
        && (area::HEAP..area::END).contains(&stack)
        && inside(watermark)
        && watermark.is_multiple_of(SLOT)
        && (record == 0 || inside(record))
        && inside(scan_end(space, thread_object).0);
    if sound { Ok(()) } else { Err(AllocationError::Damaged(thread_object)) }
}

/// Takes a thread whose frames cannot be known out of service: it never runs again, so nothing it held is missed.
pub(super) fn mark_damaged(space: Space, thread_object: ObjectAddress) {
    space.touch_write(thread_object.plus(thread::STATE));
    space.touch_write(thread_object.plus(thread::WATERMARK));
    space.begin_changes();
    space.store(thread_object.plus(thread::STATE), thread::STATE_DAMAGED);
    // No such watermark can be: whoever wakes it for something that it waited for does not make it sound again.
    space.store(thread_object.plus(thread::WATERMARK), 0_u64);
    space.end_step();
}

/// Whether the thread stands in the hot or the pending list.
#[must_use]
pub fn is_hot(space: Space, thread_object: ObjectAddress) -> bool {
    space.load::<u32>(thread_object.plus(thread::FLAGS)) & thread::FLAG_HOT != 0
}

/// A prepared entrance among the hot threads.
pub(crate) struct Entrance {
    /// The first hot thread; none while a round over all threads has yet to come to this one, which lists it.
    first: Option<u64>,
}

/// Touches what [`Entrance::enter`] changes.
pub(crate) fn touch_enter_hot(space: Space, thread_object: ObjectAddress, index: u64) -> Entrance {
    let first = space.load_for_change::<u64>(COUNTING.plus(counting::HOT_HEAD));
    space.touch_write(thread_object);
    space.touch_write(thread_object.plus(thread::HOT_NEXT));
    let round = space.load::<u64>(ROUND);
    Entrance { first: (round == 0 || index < round).then_some(first) }
}

impl Entrance {
    /// Marks a thread as hot and puts it into the hot list: part of a step.
    pub(crate) fn enter(&self, space: Space, thread_object: ObjectAddress) {
        let flags = space.load::<u32>(thread_object.plus(thread::FLAGS));
        space.store(thread_object.plus(thread::FLAGS), flags | thread::FLAG_HOT);
        if let Some(first) = self.first {
            space.store(thread_object.plus(thread::HOT_NEXT), first);
            space.store(COUNTING.plus(counting::HOT_HEAD), thread_object.0);
        }
    }
}

/// Whether the lists of hot and of ended threads are being made anew: no grace goes on meanwhile.
pub(crate) fn lists_are_made(space: Space) -> bool {
    space.load::<u64>(ROUND) != 0
}

/// Forgets who is hot, being frozen, or ended: part of a step that touched the pages of counting and of the scheduler and
/// begins a round.
pub(crate) fn forget_lists(space: Space) {
    space.store(COUNTING.plus(counting::HOT_HEAD), 0_u64);
    space.store(COUNTING.plus(counting::PENDING_HEAD), 0_u64);
    space.store(ENDED_HEAD, 0_u64);
    space.store(ROUND, 1_u64);
}

/// Puts a thread back into the list in which it belongs, and moves the round on to `next`. A hot one is asked by the grace in
/// progress, if that is still asking: whether it ran since the closing is not known. One step.
pub(crate) fn list_again(space: Space, thread_object: ObjectAddress, next: u64) {
    let flags = space.load::<u32>(thread_object.plus(thread::FLAGS));
    let state = space.load::<u32>(thread_object.plus(thread::STATE));
    let freezing = space.load::<u64>(COUNTING.plus(counting::PHASE)) == counting::PHASE_FREEZING;
    let head = match (flags & thread::FLAG_HOT != 0, state) {
        (true, _) if freezing => Some(COUNTING.plus(counting::PENDING_HEAD)),
        (true, _) => Some(COUNTING.plus(counting::HOT_HEAD)),
        (false, thread::STATE_ENDED) => Some(ENDED_HEAD),
        (false, _) => None,
    };
    if let Some(head) = head {
        space.touch_write(head);
        space.touch_write(thread_object.plus(thread::HOT_NEXT));
    }
    space.touch_write(ROUND);
    space.begin_changes();
    if let Some(head) = head {
        space.store(thread_object.plus(thread::HOT_NEXT), space.load::<u64>(head));
        space.store(head, thread_object.0);
    }
    space.store(ROUND, next);
    space.end_step();
}

/// Before a thread runs (and before anybody writes to its registers): puts it into the hot list and thaws its current
/// frame. Steps.
///
/// # Errors
/// The thread or the held table is damaged.
#[inline]
pub fn prepare_to_run(space: Space, thread_object: ObjectAddress) -> Result<(), AllocationError> {
    check_thread(space, thread_object)?;
    let flags = space.load::<u32>(thread_object.plus(thread::FLAGS));
    if flags & thread::FLAG_HOT == 0 {
        let index = u64::from(space.load::<u32>(thread_object.plus(thread::INDEX)));
        let entrance = touch_enter_hot(space, thread_object, index);
        space.begin_changes();
        entrance.enter(space, thread_object);
        space.end_step();
    }
    thaw(space, thread_object, frame_base(space, thread_object))
}

/// Thaws the slots of a hot thread at and above `base`: before it returns or unwinds into the frame that starts there. At
/// the end of a thread, with the start of its stack. Steps.
///
/// # Errors
/// The held table is damaged.
#[inline]
pub fn thaw(
    space: Space,
    thread_object: ObjectAddress,
    base: ObjectAddress,
) -> Result<(), AllocationError> {
    while space.load::<u64>(thread_object.plus(thread::WATERMARK)) > base.0 {
        thaw_slot(space, thread_object)?;
    }
    Ok(())
}

/// Thaws the slot below the watermark. One step.
fn thaw_slot(space: Space, thread_object: ObjectAddress) -> Result<(), AllocationError> {
    let watermark = space.load_for_change::<u64>(thread_object.plus(thread::WATERMARK)) - SLOT;
    let object = ObjectAddress(space.load(ObjectAddress(watermark)));
    if object.is_null() {
        space.begin_changes();
        space.store(thread_object.plus(thread::WATERMARK), watermark);
        space.end_step();
        return Ok(());
    }
    let table = Table::held();
    let entry = table.find(space, object.0).ok_or(AllocationError::Damaged(object))?;
    let value = table.value(space, entry);
    let last = value & !KEPT <= 1;
    let grace = space.load::<u64>(COUNTING.plus(counting::PHASE)) != counting::PHASE_IDLE;
    let declares = last && (grace || value & KEPT != 0);
    space.touch_write(entry.address);
    space.touch_write(COUNTING);
    if declares {
        touch_count(space, object);
    }
    space.begin_changes();
    if last {
        table.remove(space, entry);
    } else {
        space.store(entry.address.plus(8), value - 1);
    }
    if declares {
        declare_again(space, object);
    }
    let thawed = COUNTING.plus(counting::SLOTS_THAWED);
    space.store(thawed, space.load::<u64>(thawed).wrapping_add(1));
    space.store(thread_object.plus(thread::WATERMARK), watermark);
    space.end_step();
    Ok(())
}

/// Freezes the next slot of a thread; false when all its slots up to the end of its current frame are frozen. One step,
/// after steps of the held table's growth.
pub(super) fn freeze_slot(
    space: Space,
    thread_object: ObjectAddress,
) -> Result<bool, AllocationError> {
    let watermark = space.load_for_change::<u64>(thread_object.plus(thread::WATERMARK));
    if watermark >= scan_end(space, thread_object).0 {
        return Ok(false);
    }
    let object = space.load::<u64>(ObjectAddress(watermark));
    if object == 0 {
        space.begin_changes();
        space.store(thread_object.plus(thread::WATERMARK), watermark + SLOT);
        space.end_step();
        return Ok(true);
    }
    let table = Table::held();
    space.end_step();
    table.make_room(space)?;
    let entry = table.place_for(space, object)?;
    let value = if entry.exists { table.value(space, entry) } else { 0 };
    space.touch_write(thread_object.plus(thread::WATERMARK));
    space.touch_write(entry.address);
    space.touch_write(COUNTING);
    space.begin_changes();
    table.insert(space, entry, object, value + 1);
    let frozen = COUNTING.plus(counting::SLOTS_FROZEN);
    space.store(frozen, space.load::<u64>(frozen).wrapping_add(1));
    space.store(thread_object.plus(thread::WATERMARK), watermark + SLOT);
    space.end_step();
    Ok(true)
}

/// Takes the first pending thread, wholly frozen, out of the list. An ended one goes to the scheduler's list of threads to be
/// forgotten. One step.
pub(super) fn pop_pending(space: Space, thread_object: ObjectAddress) {
    let head = COUNTING.plus(counting::PENDING_HEAD);
    let next = space.load_for_change::<u64>(thread_object.plus(thread::HOT_NEXT));
    let flags = space.load_for_change::<u32>(thread_object.plus(thread::FLAGS));
    let state = space.load::<u32>(thread_object.plus(thread::STATE));
    let first_ended = space.load_for_change::<u64>(ENDED_HEAD);
    space.touch_write(head);
    space.begin_changes();
    space.store(head, next);
    space.store(thread_object.plus(thread::FLAGS), flags & !thread::FLAG_HOT);
    if state == thread::STATE_ENDED {
        space.store(thread_object.plus(thread::HOT_NEXT), first_ended);
        space.store(ENDED_HEAD, thread_object.0);
    } else {
        space.store(thread_object.plus(thread::HOT_NEXT), 0_u64);
    }
    space.end_step();
}

/// Whether the held table counts an object.
#[must_use]
pub fn is_held(space: Space, object: ObjectAddress) -> bool {
    Table::held().find(space, object.0).is_some()
}
