//! What an insertion does first: goes on with an index or a squeeze in progress, starts those that are due, makes room.
//!
//! Invariant: every step leaves a map in which each live entry is found, whatever is half moved.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::{CLEARING, add, free_place, index, locate, number, record, segment_slot, touch_map};
use crate::counting::{class_at, count_up, store_reference, touch_count};
use crate::heap::{self, AllocationError, Allocator};
use crate::memory::layout::{class, map};
use crate::memory::{AddressExt, Space};
use crate::object::array;

/// Places of a map's first index.
const FIRST_PLACES: u64 = 16;
/// Places and entries that one insertion moves while a map grows or shrinks.
const MOVES: u64 = 8;

/// Drops the segments of a cleared map. Steps.
pub(super) fn finish_clear(space: Space, subject: ObjectAddress) {
    if space.load::<u64>(subject.plus(map::COMPACT_FROM)) != CLEARING {
        return;
    }
    for segment in 0..map::SEGMENT_COUNT {
        store_reference(space, segment_slot(subject, segment), ObjectAddress(0));
        space.end_step();
    }
    space.touch_write(subject.plus(map::COMPACT_FROM));
    space.begin_changes();
    space.store(subject.plus(map::COMPACT_FROM), 0_u64);
    space.end_step();
}

/// Before an entry is added: goes on with moves in progress, starts those that are due, makes index and segment. Steps.
pub(super) fn make_room(
    space: Space,
    allocator: Allocator,
    subject: ObjectAddress,
) -> Result<(), AllocationError> {
    finish_clear(space, subject);
    for _ in 0..MOVES {
        if !move_place(space, subject)? {
            break;
        }
    }
    for _ in 0..MOVES {
        if !squeeze_entry(space, subject)? {
            break;
        }
    }
    grow_index(space, allocator, subject)?;
    start_squeeze(space, subject);
    let (segment, _) = locate(number(space, subject, map::END));
    if segment >= map::SEGMENT_COUNT {
        return Err(AllocationError::TooLarge);
    }
    let slot = segment_slot(subject, segment);
    if space.load::<u64>(slot) == 0 {
        let entries = map::FIRST_SEGMENT << segment;
        let payload = entries * 8 * map::ENTRY_WORDS;
        let made = heap::allocate_sized(space, allocator, class::MAP_ENTRIES, entries, payload)?;
        space.end_step();
        store_reference(space, slot, made);
        space.end_step();
    }
    Ok(())
}

/// Replaces an index that is two thirds full, or makes the first. Steps.
fn grow_index(
    space: Space,
    allocator: Allocator,
    subject: ObjectAddress,
) -> Result<(), AllocationError> {
    let current = index(space, subject, false);
    let length = current.map_or(0, |index| index.mask + 1);
    let used = number(space, subject, map::INDEX_USED);
    let moving = space.load::<u64>(subject.plus(map::OLD_INDEX)) != 0;
    if moving || (length != 0 && used * 3 < length * 2) {
        return Ok(());
    }
    let live = number(space, subject, map::LIVE);
    let wanted = if length == 0 {
        FIRST_PLACES
    } else if live * 3 >= length {
        length * 2
    } else {
        length
    };
    space.end_step();
    let longs = class_at(space, Builtin::LongArray as u32);
    let made = array::allocate(space, allocator, longs, wanted)?;
    space.end_step();
    let old = space.load::<u64>(subject.plus(map::INDEX));
    space.end_step();
    touch_map(space, subject);
    touch_count(space, made);
    space.begin_changes();
    count_up(space, made);
    space.store(subject.plus(map::OLD_INDEX), old);
    space.store(subject.plus(map::INDEX), made.0);
    space.store(subject.plus(map::MOVE_CURSOR), 0_u64);
    space.store(subject.plus(map::INDEX_USED), 0_u64);
    space.end_step();
    Ok(())
}

/// Moves the next place of the old index; false when there is none. One step.
fn move_place(space: Space, subject: ObjectAddress) -> Result<bool, AllocationError> {
    let Some(old) = index(space, subject, true) else { return Ok(false) };
    if old.from > old.mask {
        store_reference(space, subject.plus(map::OLD_INDEX), ObjectAddress(0));
        space.end_step();
        return Ok(false);
    }
    let damaged = AllocationError::Damaged(subject);
    let place = old.place(old.from);
    let word = space.load::<u64>(place);
    let live = word != map::PLACE_EMPTY && word != map::PLACE_DELETED;
    let [_, _, _, _, h0, h1, h2, h3] = word.to_le_bytes();
    let hash = u32::from_le_bytes([h0, h1, h2, h3]);
    let target = if live {
        let new = index(space, subject, false).ok_or(damaged)?;
        let target = free_place(space, new, hash).ok_or(damaged)?;
        Some((target, space.load::<u64>(target) == map::PLACE_EMPTY))
    } else {
        None
    };
    touch_map(space, subject);
    if let Some((target, _)) = target {
        space.touch_write(target);
    }
    space.begin_changes();
    if let Some((target, was_empty)) = target {
        space.store(target, word);
        add(space, subject, map::INDEX_USED, u64::from(was_empty));
    }
    add(space, subject, map::MOVE_CURSOR, 1);
    space.end_step();
    Ok(true)
}

/// Starts to squeeze out deleted entries when they are more than the live ones. One step.
fn start_squeeze(space: Space, subject: ObjectAddress) {
    let live = number(space, subject, map::LIVE);
    let end = number(space, subject, map::END);
    let squeezing = space.load::<u64>(subject.plus(map::COMPACT_FROM)) != 0;
    if squeezing || end.saturating_sub(live) <= live + 2 * map::FIRST_SEGMENT {
        return;
    }
    touch_map(space, subject);
    space.begin_changes();
    space.store(subject.plus(map::COMPACT_FROM), 1_u64);
    space.store(subject.plus(map::COMPACT_TO), 0_u64);
    add(space, subject, map::CHANGES, 1);
    space.end_step();
}

/// Moves the next entry down over deleted ones, or ends the squeeze; false when none is in progress. One step.
fn squeeze_entry(space: Space, subject: ObjectAddress) -> Result<bool, AllocationError> {
    let from = number(space, subject, map::COMPACT_FROM);
    let to = number(space, subject, map::COMPACT_TO);
    let end = number(space, subject, map::END);
    let Some(entry) = from.checked_sub(1) else { return Ok(false) };
    if entry >= end {
        end_squeeze(space, subject, to);
        return Ok(false);
    }
    let damaged = AllocationError::Damaged(subject);
    let source = record(space, subject, entry).ok_or(damaged)?;
    let state = space.load::<u64>(source.plus(map::ENTRY_STATE));
    touch_map(space, subject);
    if state & map::ENTRY_LIVE == 0 || to == entry {
        space.begin_changes();
        add(space, subject, map::COMPACT_TO, u64::from(state & map::ENTRY_LIVE != 0));
    } else {
        let target = record(space, subject, to).ok_or(damaged)?;
        let place = place_of(space, subject, state, entry).ok_or(damaged)?;
        space.end_step();
        touch_map(space, subject);
        space.touch_write(place);
        space.touch_write_range(source, 8 * map::ENTRY_WORDS);
        space.touch_write_range(target, 8 * map::ENTRY_WORDS);
        space.begin_changes();
        // The references move with their counts.
        for word in 0..map::ENTRY_WORDS {
            space.store(target.plus(8 * word), space.load::<u64>(source.plus(8 * word)));
            space.store(source.plus(8 * word), 0_u64);
        }
        space.store(place, state << 32 | (to + 1));
        add(space, subject, map::COMPACT_TO, 1);
    }
    add(space, subject, map::COMPACT_FROM, 1);
    space.end_step();
    Ok(true)
}

/// The index place that names an entry.
fn place_of(space: Space, subject: ObjectAddress, state: u64, entry: u64) -> Option<ObjectAddress> {
    let word = state << 32 | (entry + 1);
    let [h0, h1, h2, h3, ..] = state.to_le_bytes();
    let hash = u32::from_le_bytes([h0, h1, h2, h3]);
    [false, true].into_iter().find_map(|old| {
        let index = index(space, subject, old)?;
        index
            .search(hash)
            .map(|number| index.place(number))
            .take_while(|place| space.load::<u64>(*place) != map::PLACE_EMPTY)
            .find(|place| space.load::<u64>(*place) == word)
    })
}

/// All entries are below `to` now; drops segments of which nothing is left. Steps.
fn end_squeeze(space: Space, subject: ObjectAddress, to: u64) {
    touch_map(space, subject);
    space.begin_changes();
    space.store(subject.plus(map::END), to);
    space.store(subject.plus(map::COMPACT_FROM), 0_u64);
    space.store(subject.plus(map::COMPACT_TO), 0_u64);
    add(space, subject, map::CHANGES, 1);
    space.end_step();
    let (last, _) = locate(to);
    // One spare segment stays, so that a map at the border does not make and drop it in turn.
    for segment in last + 2..map::SEGMENT_COUNT {
        let slot = segment_slot(subject, segment);
        if space.load::<u64>(slot) != 0 {
            store_reference(space, slot, ObjectAddress(0));
            space.end_step();
        }
    }
}
