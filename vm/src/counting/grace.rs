//! A grace: close the open batch, freeze every thread that ran, free what is still at zero and held by nobody.
//!
//! Each call of [`step`] is one bounded step whose state is in the counting page. Threads may run between any two; they
//! must not run between the touches and the changes of one.

use revenant_hal::{ObjectAddress, PageIndex};

use super::{COUNTING, Table, batch_start, frozen, open, open_batch, teardown};
use crate::heap::AllocationError;
use crate::heap::metadata::{self, Metadata};
use crate::heap::runs::BlockNumber;
use crate::memory::layout::object;
use crate::memory::layout::system::counting;
use crate::memory::{AddressExt, Space};

/// Whether a grace has more to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// Call [`step`] again.
    More,
    /// No grace is in progress.
    Idle,
}

/// Whether the open batch has grown long, or somebody called [`request`].
#[inline]
#[must_use]
pub fn grace_requested(space: Space) -> bool {
    space.load::<u64>(COUNTING.plus(counting::REQUESTED)) != 0
}

/// Asks for a grace at the next occasion.
pub fn request(space: Space) {
    space.touch_write(COUNTING);
    space.begin_changes();
    space.store(COUNTING.plus(counting::REQUESTED), 1_u64);
    space.end_step();
}

fn phase(space: Space) -> u64 {
    space.load(COUNTING.plus(counting::PHASE))
}

/// Whether a batch is closed and not done with.
#[must_use]
pub fn in_progress(space: Space) -> bool {
    phase(space) != counting::PHASE_IDLE
}

/// Entries that [`upcoming`] looks at.
const AHEAD: u64 = 4096;
/// Pages found last that a further one is compared with: objects die in the neighbourhood of others.
const RECENT: usize = 16;

/// The pages that the grace in progress is going to read next, in that order, for who can bring them in before they are
/// missed one by one; how many. Changes nothing, reads the closed batch only.
pub fn upcoming(space: Space, pages: &mut [PageIndex]) -> usize {
    let mut found = 0_usize;
    let mut enter = |address: ObjectAddress| {
        let page = address.page();
        let recent = pages.get(found.saturating_sub(RECENT)..found).unwrap_or(&[]);
        if !recent.contains(&page)
            && let Some(place) = pages.get_mut(found)
        {
            *place = page;
            found += 1;
        }
    };
    if phase(space) == counting::PHASE_FREEING {
        let next = space.load::<u64>(COUNTING.plus(counting::CLOSED_NEXT));
        let end = space.load::<u64>(COUNTING.plus(counting::CLOSED_END)).min(next + 8 * AHEAD);
        for entry in (next..end).step_by(8) {
            let object = ObjectAddress(space.load(ObjectAddress(entry)));
            enter(BlockNumber::of(object).address());
            enter(object);
        }
    }
    space.end_step();
    found
}

/// Whether a grace would find nothing to free: nobody has made an object or let go of one since the last was begun. Threads that
/// ran keep until the next what they hold.
#[must_use]
pub fn is_pointless(space: Space) -> bool {
    !grace_requested(space)
        && phase(space) == counting::PHASE_IDLE
        && space.load::<u64>(COUNTING.plus(counting::OPEN_NEXT)) == batch_start(open(space))
}

/// Closes the open batch and starts a grace; false when one is in progress, or who is hot is not known yet. One step. All threads are at safepoints.
pub fn close(space: Space) -> bool {
    if phase(space) != counting::PHASE_IDLE || frozen::lists_are_made(space) {
        return false;
    }
    let closing = open(space);
    let end = space.load::<u64>(COUNTING.plus(counting::OPEN_NEXT));
    let hot = space.load_for_change::<u64>(COUNTING.plus(counting::HOT_HEAD));
    space.begin_changes();
    space.store(COUNTING.plus(counting::CLOSED_NEXT), batch_start(closing));
    space.store(COUNTING.plus(counting::CLOSED_END), end);
    space.store(COUNTING.plus(counting::PENDING_HEAD), hot);
    space.store(COUNTING.plus(counting::HOT_HEAD), 0_u64);
    space.store(COUNTING.plus(counting::PHASE), counting::PHASE_FREEZING);
    space.store(COUNTING.plus(counting::REQUESTED), 0_u64);
    space.store(COUNTING.plus(counting::KEPT), 0_u64);
    open_batch(space, 3 - closing.clamp(1, 2));
    space.end_step();
    true
}

/// The next step of the grace in progress; idle as long as who is hot is not known. All threads are at safepoints.
///
/// # Errors
/// The heap's own data contradict themselves; the grace stays where it is.
pub fn step(space: Space) -> Result<Progress, AllocationError> {
    if frozen::lists_are_made(space) {
        return Ok(Progress::Idle);
    }
    space.end_step();
    match phase(space) {
        counting::PHASE_FREEZING => {
            let first = ObjectAddress(space.load(COUNTING.plus(counting::PENDING_HEAD)));
            if first.is_null() {
                set_phase(space, counting::PHASE_FREEING, 0);
            } else {
                freeze_step(space, first);
            }
            Ok(Progress::More)
        }
        counting::PHASE_FREEING => free_step(space),
        _ => Ok(Progress::Idle),
    }
}

/// The next step of freezing the first pending thread. One whose frames cannot be read is taken out of service.
fn freeze_step(space: Space, first: ObjectAddress) {
    let sound = frozen::check_thread(space, first).and_then(|()| frozen::freeze_slot(space, first));
    space.end_step();
    match sound {
        Ok(true) => {}
        Ok(false) => frozen::pop_pending(space, first),
        Err(_) => {
            frozen::mark_damaged(space, first);
            frozen::pop_pending(space, first);
        }
    }
}

/// What [`skip`] gave up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Skipped {
    /// No grace is in progress.
    Nothing,
    /// An object is left for the collector.
    Object,
    /// A thread is out of service.
    Thread(ObjectAddress),
}

/// Passes over what the grace in progress would do next, because a page that it needs can never be read: leaves one object to the
/// collector, or takes one thread out of service. Touches neither the object nor the thread's stack. Steps.
pub fn skip(space: Space) -> Skipped {
    space.end_step();
    match phase(space) {
        counting::PHASE_FREEZING => {
            let first = ObjectAddress(space.load(COUNTING.plus(counting::PENDING_HEAD)));
            if first.is_null() {
                return Skipped::Nothing;
            }
            frozen::mark_damaged(space, first);
            frozen::pop_pending(space, first);
            Skipped::Thread(first)
        }
        counting::PHASE_FREEING => {
            let next = space.load::<u64>(COUNTING.plus(counting::CLOSED_NEXT));
            let torn = space.load::<u64>(COUNTING.plus(counting::TEARDOWN_OBJECT));
            if torn == 0 && next >= space.load::<u64>(COUNTING.plus(counting::CLOSED_END)) {
                return Skipped::Nothing;
            }
            space.touch_write(COUNTING);
            space.begin_changes();
            if torn == 0 {
                advance(space, next);
            } else {
                space.store(COUNTING.plus(counting::TEARDOWN_OBJECT), 0_u64);
            }
            space.end_step();
            Skipped::Object
        }
        _ => Skipped::Nothing,
    }
}

/// The thread whose frames the grace asks next, while it asks threads.
#[must_use]
pub fn asked_next(space: Space) -> Option<ObjectAddress> {
    let first = space.load::<u64>(COUNTING.plus(counting::PENDING_HEAD));
    (phase(space) == counting::PHASE_FREEZING && first != 0).then_some(ObjectAddress(first))
}

/// Runs steps until the grace is over or `steps` are used up: what the kernel does in one attempt. What contradicts itself is
/// passed over: a grace that stayed there would never end, and who allocates would wait for it for ever.
///
/// # Errors
/// As [`step`], where there is nothing to pass over.
pub fn run(space: Space, steps: u64) -> Result<Progress, AllocationError> {
    let mut left = steps;
    while left > 0 {
        left -= 1;
        match step(space) {
            Ok(Progress::Idle) => return Ok(Progress::Idle),
            Ok(Progress::More) => {}
            Err(damage) => match skip(space) {
                Skipped::Nothing => return Err(damage),
                Skipped::Object | Skipped::Thread(_) => {}
            },
        }
        left -= free_many(space, left);
    }
    Ok(if in_progress(space) { Progress::More } else { Progress::Idle })
}

/// Frees simple objects as long as they come, at most `most`; how many. A step each.
fn free_many(space: Space, most: u64) -> u64 {
    if phase(space) != counting::PHASE_FREEING
        || space.load::<u64>(COUNTING.plus(counting::TEARDOWN_OBJECT)) != 0
    {
        return 0;
    }
    let closed = 3 - open(space).clamp(1, 2);
    let start = space.load::<u64>(COUNTING.plus(counting::CLOSED_NEXT));
    let mut next = start;
    // The end moves: children at zero join the batch.
    while next < space.load::<u64>(COUNTING.plus(counting::CLOSED_END))
        && (next - start) / 8 < most
        && teardown::settle_quickly(space, next, closed)
    {
        next += 8;
    }
    space.end_step();
    next.saturating_sub(start) / 8
}

fn set_phase(space: Space, phase: u64, graces: u64) {
    space.touch_write(COUNTING);
    space.begin_changes();
    space.store(COUNTING.plus(counting::PHASE), phase);
    let word = COUNTING.plus(counting::GRACES);
    space.store(word, space.load::<u64>(word).wrapping_add(graces));
    space.end_step();
}

fn free_step(space: Space) -> Result<Progress, AllocationError> {
    let teardown_object = ObjectAddress(space.load(COUNTING.plus(counting::TEARDOWN_OBJECT)));
    if !teardown_object.is_null() {
        teardown::step(space, teardown_object)?;
        return Ok(Progress::More);
    }
    let next = space.load::<u64>(COUNTING.plus(counting::CLOSED_NEXT));
    if next >= space.load::<u64>(COUNTING.plus(counting::CLOSED_END)) {
        set_phase(space, counting::PHASE_IDLE, 1);
        return Ok(Progress::Idle);
    }
    if teardown::settle_quickly(space, next, 3 - open(space).clamp(1, 2)) {
        return Ok(Progress::More);
    }
    space.end_step();
    let object = ObjectAddress(space.load(ObjectAddress(next)));
    let found = metadata::load(space, object);
    if !found.starts() || found.batch() != 3 - open(space).clamp(1, 2) {
        space.touch_write(COUNTING);
        space.begin_changes();
        advance(space, next);
    } else if !found.is_zero() {
        leave_batch(space, object, found, next);
    } else if let Some(entry) = Table::held().find(space, object.0) {
        keep(space, object, found, next, entry.address);
    } else {
        teardown::start(space, object, next)?;
    }
    space.end_step();
    Ok(Progress::More)
}

/// Part of a step: the entry at `next` is dealt with.
#[inline(always)]
pub(super) fn advance(space: Space, next: u64) {
    space.store(COUNTING.plus(counting::CLOSED_NEXT), next + 8);
}

fn leave_batch(space: Space, object: ObjectAddress, found: Metadata, next: u64) {
    let _ = metadata::load_for_change(space, object);
    space.touch_write(COUNTING);
    space.begin_changes();
    metadata::store(space, object, found.with_batch(0));
    advance(space, next);
}

/// A frozen slot holds the object: it leaves the batch, and its entry in the held table remembers to declare it again.
fn keep(space: Space, object: ObjectAddress, found: Metadata, next: u64, place: ObjectAddress) {
    let value = space.load_for_change::<u64>(place.plus(8));
    let _ = metadata::load_for_change(space, object);
    space.touch_write(COUNTING);
    space.begin_changes();
    space.store(place.plus(8), value | frozen::KEPT);
    metadata::store(space, object, found.with_batch(0));
    let kept = COUNTING.plus(counting::KEPT);
    space.store(kept, space.load::<u64>(kept).wrapping_add(1));
    advance(space, next);
}

/// Whether an object has the flag that says that a weak reference to it may exist.
pub(super) fn has_weak(space: Space, object: ObjectAddress) -> bool {
    space.load::<u64>(object.plus(object::BIRTH_AND_FLAGS)) & object::FLAG_WEAK != 0
}
