//! Maps: insertion-ordered hash tables from references to references. OBJECTS.md 7.
//!
//! Strings, longs and doubles are keys by value (doubles by their bits, all NaNs being one), other objects by identity.
//! Every function is one step or a sequence of steps each of which leaves a valid map. Adding a key may squeeze out deleted
//! entries, a few at a time: cursors taken before are then void, which [`changes`] tells.
//!
//! Invariants:
//! - entry numbers below END are live or zero; an index place names each live entry exactly once, in the index or in the part
//!   of the old index that was not moved yet;
//! - while deleted entries are squeezed out, no entry in [COMPACT_TO, COMPACT_FROM) is live.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::{array, string};
use crate::counting::{self, class_at, count_down, count_up, store_reference, touch_count};
use crate::heap::{self, AllocationError, Allocator};
use crate::memory::layout::{class, map, object};
use crate::memory::{AddressExt, Space};

/// Places of a map's first index.
const FIRST_PLACES: u64 = 16;
/// Places and entries that one insertion moves while a map grows or shrinks.
const MOVES: u64 = 8;
/// Places that a search looks at before it takes the map for damaged.
const PROBES: u64 = 1 << 16;
/// Entries that one call of [`next`] passes over.
const ENTRIES_A_STEP: u64 = 512;
/// Counts and lengths above it are damage; arithmetic on smaller ones cannot overflow.
const SANE: u64 = 1 << 40;
/// Value of COMPACT_FROM while the segments of a cleared map are being dropped.
const CLEARING: u64 = u64::MAX;

/// What [`next`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// A live entry, and the cursor after it.
    Entry {
        /// The key.
        key: ObjectAddress,
        /// The value, or null.
        value: ObjectAddress,
        /// Where to go on.
        cursor: u64,
    },
    /// Only deleted entries so far: go on there.
    GoOn(u64),
    /// No entry is left.
    End,
}

/// A new empty map.
///
/// # Errors
/// No memory to be had.
pub fn allocate(space: Space, allocator: Allocator) -> Result<ObjectAddress, AllocationError> {
    heap::allocate_plain(space, allocator, class_at(space, Builtin::Map as u32))
}

/// Number of keys.
#[must_use]
pub fn length(space: Space, subject: ObjectAddress) -> u64 {
    space.load(subject.plus(map::LIVE))
}

/// A number that changes whenever cursors become void.
#[must_use]
pub fn changes(space: Space, subject: ObjectAddress) -> u64 {
    space.load(subject.plus(map::CHANGES))
}

/// The hash of a key, by value or identity.
#[must_use]
pub fn hash(space: Space, key: ObjectAddress) -> u32 {
    let class_index = space.load::<u32>(key.plus(object::CLASS));
    if class_index == Builtin::String as u32 {
        return string::hash(space, key);
    }
    let word = if class_index == Builtin::Long as u32 || class_index == Builtin::Double as u32 {
        boxed(space, key, class_index)
    } else {
        key.0 >> 4
    };
    string::mix(word)
}

/// The value of a long or double as a word that is equal for equal keys.
fn boxed(space: Space, key: ObjectAddress, class_index: u32) -> u64 {
    let word = space.load::<u64>(key.plus(object::BOX_VALUE));
    if class_index == Builtin::Double as u32 && f64::from_bits(word).is_nan() {
        f64::NAN.to_bits()
    } else {
        word
    }
}

fn equal(space: Space, left: ObjectAddress, right: ObjectAddress) -> bool {
    if left == right {
        return true;
    }
    let class_index = space.load::<u32>(left.plus(object::CLASS));
    if class_index != space.load::<u32>(right.plus(object::CLASS)) {
        return false;
    }
    if class_index == Builtin::String as u32 {
        return string::equal(space, left, right);
    }
    (class_index == Builtin::Long as u32 || class_index == Builtin::Double as u32)
        && boxed(space, left, class_index) == boxed(space, right, class_index)
}

/// A count or cursor of a map.
fn number(space: Space, subject: ObjectAddress, word: u64) -> u64 {
    space.load::<u64>(subject.plus(word)).min(SANE)
}

/// Segment and offset of an entry.
const fn locate(entry: u64) -> (u64, u64) {
    let segment = (entry / map::FIRST_SEGMENT + 1).ilog2() as u64;
    (segment, entry - map::FIRST_SEGMENT * ((1 << segment) - 1))
}

const fn segment_slot(subject: ObjectAddress, segment: u64) -> ObjectAddress {
    ObjectAddress(subject.0.wrapping_add(map::SEGMENTS + 8 * segment))
}

/// The record of an entry, if its segment exists.
fn record(space: Space, subject: ObjectAddress, entry: u64) -> Option<ObjectAddress> {
    let (segment, offset) = locate(entry);
    if segment >= map::SEGMENT_COUNT {
        return None;
    }
    let entries = ObjectAddress(space.load(segment_slot(subject, segment)));
    (!entries.is_null()).then(|| entries.plus(object::PAYLOAD + offset * 8 * map::ENTRY_WORDS))
}

/// One of a map's two indices.
#[derive(Clone, Copy)]
struct Index {
    places: ObjectAddress,
    mask: u64,
    /// Places before it were moved.
    from: u64,
}

impl Index {
    fn place(self, number: u64) -> ObjectAddress {
        array::slot(self.places, number & self.mask)
    }

    /// Numbers of the places that a search for a hash looks at, in order.
    fn search(self, hash: u32) -> impl Iterator<Item = u64> {
        let start = (u64::from(hash) & self.mask).max(self.from);
        let end = self.mask + 1;
        (start..start + PROBES.min(end))
            .take_while(move |number| *number < end || number & self.mask >= self.from)
    }
}

fn index(space: Space, subject: ObjectAddress, old: bool) -> Option<Index> {
    let slot = if old { map::OLD_INDEX } else { map::INDEX };
    let places = ObjectAddress(space.load(subject.plus(slot)));
    if places.is_null() {
        return None;
    }
    let length = array::length(space, places);
    let from = if old { space.load(subject.plus(map::MOVE_CURSOR)) } else { 0 };
    let from = from.min(length);
    (length.is_power_of_two() && length <= SANE).then(|| Index { places, mask: length - 1, from })
}

/// An entry found: its number, its record, the place that names it.
#[derive(Clone, Copy)]
struct Found {
    record: ObjectAddress,
    place: ObjectAddress,
}

fn find(space: Space, subject: ObjectAddress, key: ObjectAddress, hash: u32) -> Option<Found> {
    let matches = |word: u64| {
        if word == map::PLACE_DELETED || word >> 32 != u64::from(hash) {
            return None;
        }
        let record = record(space, subject, (word & u64::from(u32::MAX)).checked_sub(1)?)?;
        let known = ObjectAddress(space.load(record.plus(map::ENTRY_KEY)));
        equal(space, known, key).then_some(record)
    };
    [false, true].into_iter().find_map(|old| {
        let index = index(space, subject, old)?;
        for number in index.search(hash) {
            let place = index.place(number);
            match space.load::<u64>(place) {
                map::PLACE_EMPTY => return None,
                word => {
                    if let Some(record) = matches(word) {
                        return Some(Found { record, place });
                    }
                }
            }
        }
        None
    })
}

/// The value of a key; none if the key is not there.
#[must_use]
pub fn get(space: Space, subject: ObjectAddress, key: ObjectAddress) -> Option<ObjectAddress> {
    let found = find(space, subject, key, hash(space, key))?;
    Some(ObjectAddress(space.load(found.record.plus(map::ENTRY_VALUE))))
}

/// Sets the value of a key. Steps; the last one makes the change, and it comes last.
///
/// # Errors
/// No memory to be had; the map is as it was, but for its housekeeping.
pub fn set(
    space: Space,
    allocator: Allocator,
    subject: ObjectAddress,
    key: ObjectAddress,
    value: ObjectAddress,
) -> Result<(), AllocationError> {
    let hash = hash(space, key);
    if let Some(found) = find(space, subject, key, hash) {
        store_reference(space, found.record.plus(map::ENTRY_VALUE), value);
        return Ok(());
    }
    space.end_step();
    make_room(space, allocator, subject)?;
    let damaged = AllocationError::Damaged(subject);
    let entry = number(space, subject, map::END);
    let record = record(space, subject, entry).ok_or(damaged)?;
    let index = index(space, subject, false).ok_or(damaged)?;
    let place = free_place(space, index, hash).ok_or(damaged)?;
    let number = u32::try_from(entry + 1).map_err(|_| AllocationError::TooLarge)?;
    let was_empty = space.load::<u64>(place) == map::PLACE_EMPTY;
    touch_map(space, subject);
    space.touch_write(place);
    space.touch_write_range(record, 8 * map::ENTRY_WORDS);
    touch_count(space, key);
    touch_count(space, value);
    space.begin_changes();
    count_up(space, key);
    count_up(space, value);
    space.store(record.plus(map::ENTRY_STATE), u64::from(hash) | map::ENTRY_LIVE);
    space.store(record.plus(map::ENTRY_KEY), key.0);
    space.store(record.plus(map::ENTRY_VALUE), value.0);
    space.store(place, u64::from(hash) << 32 | u64::from(number));
    add(space, subject, map::INDEX_USED, u64::from(was_empty));
    add(space, subject, map::LIVE, 1);
    add(space, subject, map::END, 1);
    Ok(())
}

/// The first place in which an entry with this hash can be named.
fn free_place(space: Space, index: Index, hash: u32) -> Option<ObjectAddress> {
    index
        .search(hash)
        .map(|number| index.place(number))
        .find(|place| matches!(space.load::<u64>(*place), map::PLACE_EMPTY | map::PLACE_DELETED))
}

fn touch_map(space: Space, subject: ObjectAddress) {
    space.touch_write_range(subject, map::SIZE);
}

fn add(space: Space, subject: ObjectAddress, word: u64, amount: u64) {
    let word = subject.plus(word);
    space.store(word, space.load::<u64>(word).wrapping_add(amount));
}

/// Removes a key; whether it was there. One step, changes last.
pub fn remove(space: Space, subject: ObjectAddress, key: ObjectAddress) -> bool {
    let Some(found) = find(space, subject, key, hash(space, key)) else { return false };
    let known = ObjectAddress(space.load(found.record.plus(map::ENTRY_KEY)));
    let value = ObjectAddress(space.load(found.record.plus(map::ENTRY_VALUE)));
    touch_map(space, subject);
    space.touch_write(found.place);
    space.touch_write_range(found.record, 8 * map::ENTRY_WORDS);
    touch_count(space, known);
    touch_count(space, value);
    space.touch_write(next_batch_entry(space));
    space.begin_changes();
    space.store(found.place, map::PLACE_DELETED);
    for word in 0..map::ENTRY_WORDS {
        space.store(found.record.plus(8 * word), 0_u64);
    }
    add(space, subject, map::LIVE, u64::MAX);
    count_down(space, known);
    count_down(space, value);
    true
}

/// Two counts may reach zero in one step: the second entry of the open batch may lie on the next page.
fn next_batch_entry(space: Space) -> ObjectAddress {
    counting::open_entry(space).plus(8)
}

/// The entry at or after a cursor (0 at first) in order of insertion.
#[must_use]
pub fn next(space: Space, subject: ObjectAddress, cursor: u64) -> Next {
    let cursor = cursor.min(SANE);
    let end = number(space, subject, map::END);
    for entry in cursor..end.min(cursor.saturating_add(ENTRIES_A_STEP)) {
        let Some(record) = record(space, subject, entry) else { return Next::End };
        if space.load::<u64>(record.plus(map::ENTRY_STATE)) & map::ENTRY_LIVE != 0 {
            return Next::Entry {
                key: ObjectAddress(space.load(record.plus(map::ENTRY_KEY))),
                value: ObjectAddress(space.load(record.plus(map::ENTRY_VALUE))),
                cursor: entry + 1,
            };
        }
    }
    if cursor.saturating_add(ENTRIES_A_STEP) < end {
        Next::GoOn(cursor + ENTRIES_A_STEP)
    } else {
        Next::End
    }
}

/// Removes all keys. The first step empties the map, the others drop what it was made of. Steps.
pub fn clear(space: Space, subject: ObjectAddress) {
    let (index, old) = (
        ObjectAddress(space.load(subject.plus(map::INDEX))),
        ObjectAddress(space.load(subject.plus(map::OLD_INDEX))),
    );
    touch_map(space, subject);
    touch_count(space, index);
    touch_count(space, old);
    space.touch_write(next_batch_entry(space));
    space.begin_changes();
    for word in [map::LIVE, map::END, map::INDEX_USED, map::MOVE_CURSOR, map::COMPACT_TO] {
        space.store(subject.plus(word), 0_u64);
    }
    space.store(subject.plus(map::COMPACT_FROM), CLEARING);
    space.store(subject.plus(map::INDEX), 0_u64);
    space.store(subject.plus(map::OLD_INDEX), 0_u64);
    add(space, subject, map::CHANGES, 1);
    count_down(space, index);
    count_down(space, old);
    space.end_step();
    finish_clear(space, subject);
}

/// Drops the segments of a cleared map. Steps.
fn finish_clear(space: Space, subject: ObjectAddress) {
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
fn make_room(
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
    let longs = class_at(space, Builtin::LongArray as u32);
    let made = array::allocate(space, allocator, longs, wanted)?;
    space.end_step();
    let old = space.load::<u64>(subject.plus(map::INDEX));
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
