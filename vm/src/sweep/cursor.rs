//! The words of the sweep on the counting page: which mark it follows, how far it is, what it has in hand.
//!
//! Invariant: they change in the same step as what they speak of, and all of them are zero in an object space that was never swept.

use revenant_hal::{Epoch, ObjectAddress};

use crate::heap::runs::BlockNumber;
use crate::memory::layout::system::counting;
use crate::memory::layout::{BLOCK, area};
use crate::memory::{AddressExt, Space};

pub(super) const COUNTING: ObjectAddress = ObjectAddress(area::COUNTING);

pub(super) fn word(space: Space, offset: u64) -> u64 {
    space.load(COUNTING.plus(offset))
}

/// Part of a step that touched the counting page.
pub(super) fn set(space: Space, offset: u64, value: u64) {
    space.store(COUNTING.plus(offset), value);
}

/// Part of a step that touched the counting page.
pub(super) fn add(space: Space, offset: u64, amount: u64) {
    set(space, offset, word(space, offset).wrapping_add(amount));
}

/// Whether a sweep is under way.
#[must_use]
pub fn is_under_way(space: Space) -> bool {
    word(space, counting::SWEEP_BLOCK) != 0
}

/// Whether dead objects may be left that refer to what was freed: a sweep is under way, or one was dropped. Counts are no lower than what
/// can be reached needs; they are exact otherwise.
#[must_use]
pub fn is_unfinished(space: Space) -> bool {
    is_under_way(space) || word(space, counting::SWEEP_DROPPED) != 0
}

/// Whether the sweep under way follows the mark of this name.
pub(super) fn is_named(space: Space, name: [u64; 4]) -> bool {
    let offsets = (0..4).map(|index| counting::SWEEP_NAME + 8 * index);
    offsets.zip(name).all(|(offset, wanted)| word(space, offset) == wanted)
}

/// Begins a sweep at the first block of the heap. One step.
pub(super) fn begin(space: Space, name: [u64; 4], epoch: Epoch) {
    space.touch_write(COUNTING);
    space.begin_changes();
    for (index, value) in (0..4).zip(name) {
        set(space, counting::SWEEP_NAME + 8 * index, value);
    }
    set(space, counting::SWEEP_EPOCH, epoch.0);
    set(space, counting::SWEEP_BLOCK, first_block());
    set(space, counting::SWEEP_GRANULE, 0);
    set(space, counting::SWEEP_PASSED, 0);
    space.end_step();
}

/// The number of the heap's first block.
pub(super) fn first_block() -> u64 {
    u64::from(BlockNumber::of(ObjectAddress(area::HEAP)).0)
}

/// Moves the cursor. One step.
pub(super) fn move_to(space: Space, block: u64, granule: u64) {
    space.touch_write(COUNTING);
    space.begin_changes();
    set(space, counting::SWEEP_BLOCK, block);
    set(space, counting::SWEEP_GRANULE, granule);
    space.end_step();
}

/// Ends the sweep. If nothing was passed over, no garbage is left that refers to what was freed. One step.
pub(super) fn finish(space: Space) {
    space.touch_write(COUNTING);
    space.begin_changes();
    if word(space, counting::SWEEP_PASSED) == 0 {
        set(space, counting::SWEEP_DROPPED, 0);
    } else {
        note_dropped(space);
    }
    forget(space);
    add(space, counting::SWEEPS, 1);
    space.end_step();
}

/// Gives the sweep under way up: its mark is not to be had any more. One step.
pub(super) fn drop_it(space: Space) {
    space.touch_write(COUNTING);
    space.begin_changes();
    note_dropped(space);
    forget(space);
    space.end_step();
}

/// Garbage of the sweep under way may be left. Part of a step.
fn note_dropped(space: Space) {
    if word(space, counting::SWEEP_DROPPED) == 0 {
        set(space, counting::SWEEP_DROPPED, word(space, counting::SWEEP_EPOCH));
    }
}

fn forget(space: Space) {
    for index in 0..4 {
        set(space, counting::SWEEP_NAME + 8 * index, 0);
    }
    for offset in [counting::SWEEP_EPOCH, counting::SWEEP_BLOCK, counting::SWEEP_GRANULE] {
        set(space, offset, 0);
    }
}

/// See [`super::skip`].
pub(super) fn skip(space: Space, lost: ObjectAddress) -> bool {
    if !is_under_way(space) {
        return false;
    }
    space.touch_write(COUNTING);
    space.begin_changes();
    add(space, counting::SWEEP_PASSED, 1);
    if word(space, counting::SWEEP_OBJECT) != 0 {
        // It keeps the batch that is none: no sweep begins with it again.
        set(space, counting::SWEEP_OBJECT, 0);
    } else {
        let block = word(space, counting::SWEEP_BLOCK);
        let metadata = lost.0.is_multiple_of(BLOCK);
        if metadata && u64::from(BlockNumber::of(lost).0) == block {
            set(space, counting::SWEEP_BLOCK, block + 1);
            set(space, counting::SWEEP_GRANULE, 0);
        } else {
            add(space, counting::SWEEP_GRANULE, 1);
        }
    }
    space.end_step();
    true
}
