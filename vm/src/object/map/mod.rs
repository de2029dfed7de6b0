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

mod housekeeping;

use super::{array, string};
use crate::counting::{self, class_at, count_down, count_up, store_reference, touch_count};
use crate::heap::{self, AllocationError, Allocator};
use crate::memory::layout::{map, object};
use crate::memory::{AddressExt, Space};
use housekeeping::{finish_clear, make_room};

/// Places that a search looks at before it takes the map for damaged.
const PROBES: u64 = 1 << 16;
/// Entries that one call of [`next`] passes over.
const ENTRIES_A_STEP: u64 = 128;
/// Counts and lengths above it are damage; arithmetic on smaller ones cannot overflow.
const SANE: u64 = 1 << 40;
/// Bytes from LIVE to INDEX_USED, which lie in one page: all that adding and removing an entry change of the map itself.
const COUNTS: u64 = map::INDEX_USED + 8 - map::LIVE;
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

/// How texts too long for one step are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Long {
    /// By all their bytes, here and now.
    Compared,
    /// They were compared before, in steps: the key is equal to this one of the map, or (null) to none.
    Known(ObjectAddress),
}

fn equal(space: Space, left: ObjectAddress, right: ObjectAddress, long: Long) -> bool {
    if left == right {
        return true;
    }
    let class_index = space.load::<u32>(left.plus(object::CLASS));
    if class_index != space.load::<u32>(right.plus(object::CLASS)) {
        return false;
    }
    if class_index == Builtin::String as u32 {
        return match long {
            Long::Known(twin) if string::length(space, left) > string::ONE_STEP => left == twin,
            _ => string::equal(space, left, right),
        };
    }
    (class_index == Builtin::Long as u32 || class_index == Builtin::Double as u32)
        && boxed(space, left, class_index) == boxed(space, right, class_index)
}

/// A count or cursor of a map.
fn number(space: Space, subject: ObjectAddress, word: u64) -> u64 {
    space.load::<u64>(subject.plus(word)).min(SANE)
}

/// Segment and offset of an entry.
pub(crate) const fn locate(entry: u64) -> (u64, u64) {
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

fn find(
    space: Space,
    subject: ObjectAddress,
    key: ObjectAddress,
    hash: u32,
    long: Long,
) -> Option<Found> {
    search(space, subject, hash, |known| equal(space, known, key, long))
}

/// The first entry with this hash whose key is the one.
fn search(
    space: Space,
    subject: ObjectAddress,
    hash: u32,
    mut is_it: impl FnMut(ObjectAddress) -> bool,
) -> Option<Found> {
    let mut matches = |word: u64| {
        if word == map::PLACE_DELETED || word >> 32 != u64::from(hash) {
            return None;
        }
        let record = record(space, subject, (word & u64::from(u32::MAX)).checked_sub(1)?)?;
        let known = ObjectAddress(space.load(record.plus(map::ENTRY_KEY)));
        is_it(known).then_some(record)
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

/// The key of the map number `skip` that has hash and length of this text and is another object: whether they are equal, their
/// bytes say.
#[must_use]
pub fn doubtful(
    space: Space,
    subject: ObjectAddress,
    key: ObjectAddress,
    skip: u64,
) -> Option<ObjectAddress> {
    let length = string::length(space, key);
    let mut left = skip;
    let mut is_it = |known: ObjectAddress| {
        let doubtful = known != key
            && space.load::<u32>(known.plus(object::CLASS)) == Builtin::String as u32
            && string::length(space, known) == length;
        if doubtful && left > 0 {
            left -= 1;
            return false;
        }
        doubtful
    };
    let found = search(space, subject, hash(space, key), &mut is_it)?;
    Some(ObjectAddress(space.load(found.record.plus(map::ENTRY_KEY))))
}

/// A number that changes with every insertion and removal.
#[must_use]
pub fn state(space: Space, subject: ObjectAddress) -> u64 {
    let (live, end) = (number(space, subject, map::LIVE), number(space, subject, map::END));
    (changes(space, subject) << 60) ^ (end << 30) ^ live
}

/// The value of a key; none if the key is not there.
#[must_use]
pub fn get(space: Space, subject: ObjectAddress, key: ObjectAddress) -> Option<ObjectAddress> {
    get_by(space, subject, key, Long::Compared)
}

/// [`get`], with long texts told apart as `long` says.
#[must_use]
pub fn get_by(
    space: Space,
    subject: ObjectAddress,
    key: ObjectAddress,
    long: Long,
) -> Option<ObjectAddress> {
    let found = find(space, subject, key, hash(space, key), long)?;
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
    set_by(space, allocator, subject, (key, Long::Compared), value)
}

/// [`set`], with long texts told apart as the key's second part says.
///
/// # Errors
/// As [`set`].
pub fn set_by(
    space: Space,
    allocator: Allocator,
    subject: ObjectAddress,
    (key, long): (ObjectAddress, Long),
    value: ObjectAddress,
) -> Result<(), AllocationError> {
    let hash = hash(space, key);
    if let Some(found) = find(space, subject, key, hash, long) {
        space.end_step();
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
    // What the search looked at is not needed for the change.
    space.end_step();
    space.touch_write_range(subject.plus(map::LIVE), COUNTS);
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
    remove_by(space, subject, key, Long::Compared)
}

/// [`remove`], with long texts told apart as `long` says.
pub fn remove_by(space: Space, subject: ObjectAddress, key: ObjectAddress, long: Long) -> bool {
    let Some(found) = find(space, subject, key, hash(space, key), long) else { return false };
    let known = ObjectAddress(space.load(found.record.plus(map::ENTRY_KEY)));
    let value = ObjectAddress(space.load(found.record.plus(map::ENTRY_VALUE)));
    // What the search looked at is not needed for the change.
    space.end_step();
    space.touch_write_range(subject.plus(map::LIVE), COUNTS);
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
