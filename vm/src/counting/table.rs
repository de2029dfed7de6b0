//! Side tables: addresses to words, open addressing with linear probing, in one of two arenas of reserved address space.
//!
//! Growth is spread over the insertions: a table that is half full starts to move to the other arena, twice as large; each
//! insertion moves a few places; both are asked meanwhile. What was moved is zeroed behind, so the arena left is clean
//! when the next growth needs it.
//!
//! Invariants: a key is in one arena at most; in the arena being left, places before the cursor are zero and count as removed;
//! probes are bounded, so that a damaged table ends a search instead of hanging it.

use revenant_hal::ObjectAddress;

use crate::heap::AllocationError;
use crate::heap::runs::BlockNumber;
use crate::memory::layout::area;
use crate::memory::layout::system::{counting, table};
use crate::memory::{AddressExt, Space};

/// Log2 of the places of a table's first arena.
const FIRST_LOG2: u64 = 8;
/// Places that an insertion moves when the table is growing.
const MOVES: u64 = 8;
/// Places that a search looks at before it takes the table for damaged.
const PROBES: u64 = 1 << 14;

/// One of the side tables: where its state and its arenas are.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    state: ObjectAddress,
    arenas: u64,
    /// Counters of keys by block, if there are any: most blocks have none, and a search there ends before it has begun. What a
    /// grace frees is mostly not where parked threads hold something; without this each object freed missed the cache.
    blocks: Option<ObjectAddress>,
}

/// A place found by a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where it lies.
    pub address: ObjectAddress,
    /// It holds the key already.
    pub exists: bool,
    /// It was never used since its arena was cleared.
    fresh: bool,
}

/// One arena as the state describes it.
#[derive(Clone, Copy)]
struct Arena {
    base: u64,
    log2: u64,
    /// Places before it count as removed.
    from: u64,
}

impl Arena {
    fn place(self, index: u64) -> ObjectAddress {
        ObjectAddress(self.base + (index & (self.places() - 1)) * table::PLACE)
    }

    fn places(self) -> u64 {
        1 << self.log2.min(30)
    }

    fn home(self, key: u64) -> u64 {
        let mixed = (key >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed >> (64 - self.log2.clamp(1, 30))
    }
}

impl Table {
    /// The held table: object to number of frozen slots (low 32 bits) and [`super::frozen::KEPT`].
    #[must_use]
    pub const fn held() -> Self {
        Self {
            state: ObjectAddress(area::COUNTING + counting::HELD),
            arenas: area::HELD_TABLE,
            blocks: Some(ObjectAddress(area::COUNTING + counting::HELD_BLOCKS)),
        }
    }

    /// The weak table: object to its weak reference.
    #[must_use]
    pub const fn weak() -> Self {
        Self {
            state: ObjectAddress(area::COUNTING + counting::WEAK),
            arenas: area::WEAK_TABLE,
            blocks: None,
        }
    }

    fn word(self, space: Space, offset: u64) -> u64 {
        space.load(self.state.plus(offset))
    }

    fn set_word(self, space: Space, offset: u64, value: u64) {
        space.store(self.state.plus(offset), value);
    }

    fn current(self, space: Space) -> Option<Arena> {
        let log2 = self.word(space, table::LOG2);
        let base = self.arenas + (self.word(space, table::ARENA) & 1) * area::TABLE_ARENA;
        (log2 != 0).then_some(Arena { base, log2, from: 0 })
    }

    fn old(self, space: Space) -> Option<Arena> {
        let log2 = self.word(space, table::OLD_LOG2);
        let base = self.arenas + (1 - (self.word(space, table::ARENA) & 1)) * area::TABLE_ARENA;
        (log2 != 0).then(|| Arena { base, log2, from: self.word(space, table::OLD_CURSOR) })
    }

    /// Whether the table ever had an entry.
    #[must_use]
    pub fn was_used(self, space: Space) -> bool {
        self.word(space, table::LOG2) != 0
    }

    /// Live entries.
    #[must_use]
    pub fn len(self, space: Space) -> u64 {
        self.word(space, table::LIVE)
    }

    /// Where a key stands.
    #[inline]
    #[must_use]
    pub fn find(self, space: Space, key: u64) -> Option<Entry> {
        if self.word(space, table::LIVE) == 0 || self.keys_by_block(space, key) == Some(0) {
            return None;
        }
        let found = [self.current(space), self.old(space)]
            .into_iter()
            .flatten()
            .find_map(|arena| probe(space, arena, key).filter(|entry| entry.exists));
        if key <= table::REMOVED { None } else { found }
    }

    /// The counter of keys in a key's block.
    fn counter(self, key: u64) -> Option<ObjectAddress> {
        let block = BlockNumber::of(ObjectAddress(key)).0 % counting::HELD_BLOCKS_COUNT;
        self.blocks.map(|counters| counters.plus(u64::from(block) * 4))
    }

    /// Keys in the block of this key, and in the blocks that share its counter; none for a table that does not count them.
    #[inline]
    #[must_use]
    pub fn keys_by_block(self, space: Space, key: u64) -> Option<u32> {
        self.counter(key).map(|counter| space.load(counter))
    }

    /// Part of a step that changes an entry.
    fn count_key(self, space: Space, key: u64, change: impl FnOnce(u32) -> u32) {
        if let Some(counter) = self.counter(key) {
            space.store(counter, change(space.load(counter)));
        }
    }

    /// The word of an entry that exists.
    #[must_use]
    pub fn value(self, space: Space, entry: Entry) -> u64 {
        space.load(entry.address.plus(8))
    }

    /// Where a key stands, or the place where [`Self::insert`] may put it.
    ///
    /// # Errors
    /// There is no place: [`Self::make_room`] was not called, or the table is damaged.
    pub fn place_for(self, space: Space, key: u64) -> Result<Entry, AllocationError> {
        if let Some(found) = self.find(space, key) {
            return Ok(found);
        }
        self.current(space)
            .and_then(|arena| probe(space, arena, key))
            .filter(|_| key > table::REMOVED)
            .ok_or(AllocationError::Damaged(self.state))
    }

    /// Writes an entry: part of a step that touched the place and the counting page.
    pub fn insert(self, space: Space, entry: Entry, key: u64, value: u64) {
        if !entry.exists {
            self.set_word(space, table::LIVE, self.word(space, table::LIVE) + 1);
            self.count_key(space, key, |count| count.saturating_add(1));
            if entry.fresh {
                self.set_word(space, table::USED, self.word(space, table::USED) + 1);
            }
        }
        space.store(entry.address, key);
        space.store(entry.address.plus(8), value);
    }

    /// Removes an entry: part of a step that touched the place and the counting page.
    pub fn remove(self, space: Space, entry: Entry) {
        self.set_word(space, table::LIVE, self.word(space, table::LIVE).saturating_sub(1));
        let key = space.load::<u64>(entry.address);
        self.count_key(space, key, |count| count.saturating_sub(1));
        space.store(entry.address, table::REMOVED);
        space.store(entry.address.plus(8), 0_u64);
    }

    /// Before an insertion: moves a few places of a growing table, or starts to grow. A few steps.
    ///
    /// # Errors
    /// The arena's reserved address space is used up.
    pub fn make_room(self, space: Space) -> Result<(), AllocationError> {
        if let Some(old) = self.old(space) {
            for _ in 0..MOVES {
                if !self.move_one(space, old)? {
                    return Ok(());
                }
            }
            return Ok(());
        }
        let log2 = self.word(space, table::LOG2);
        let used = self.word(space, table::USED);
        if log2 != 0 && used * 2 < 1 << log2.min(30) {
            return Ok(());
        }
        // Full of removed places: move to the same size; else to twice the size.
        let crowded = self.word(space, table::LIVE) * 4 >= 1 << log2.min(30);
        let next = if log2 == 0 { FIRST_LOG2 } else { log2 + u64::from(crowded) };
        if next > 30 {
            return Err(AllocationError::Exhausted);
        }
        space.touch_write(self.state);
        space.begin_changes();
        if log2 != 0 {
            self.set_word(space, table::ARENA, 1 - (self.word(space, table::ARENA) & 1));
        }
        self.set_word(space, table::OLD_LOG2, log2);
        self.set_word(space, table::OLD_CURSOR, 0);
        self.set_word(space, table::LOG2, next);
        self.set_word(space, table::USED, 0);
        space.end_step();
        Ok(())
    }

    /// Moves the place at the cursor of the arena being left. One step; false when it was the last.
    fn move_one(self, space: Space, old: Arena) -> Result<bool, AllocationError> {
        let cursor = self.word(space, table::OLD_CURSOR);
        if cursor >= old.places() {
            space.touch_write(self.state);
            space.begin_changes();
            self.set_word(space, table::OLD_LOG2, 0);
            space.end_step();
            return Ok(false);
        }
        let place = old.place(cursor);
        let key = space.load::<u64>(place);
        let target = if key > table::REMOVED {
            let current = self.current(space).and_then(|arena| probe(space, arena, key));
            Some(current.ok_or(AllocationError::Damaged(self.state))?)
        } else {
            None
        };
        space.touch_write(self.state);
        if key != 0 {
            space.touch_write(place);
        }
        if let Some(target) = target {
            space.touch_write(target.address);
        }
        space.begin_changes();
        if let Some(target) = target {
            let value = space.load::<u64>(place.plus(8));
            space.store(target.address, key);
            space.store(target.address.plus(8), value);
            if target.fresh {
                self.set_word(space, table::USED, self.word(space, table::USED) + 1);
            }
        }
        if key != 0 {
            space.store(place, 0_u64);
            space.store(place.plus(8), 0_u64);
        }
        self.set_word(space, table::OLD_CURSOR, cursor + 1);
        space.end_step();
        Ok(true)
    }

    /// Calls `visit` with each key and word, for checkers.
    pub fn for_each(self, space: Space, mut visit: impl FnMut(u64, u64)) {
        for arena in [self.current(space), self.old(space)].into_iter().flatten() {
            for index in arena.from..arena.places() {
                let key = space.load::<u64>(arena.place(index));
                if key > table::REMOVED {
                    visit(key, space.load(arena.place(index).plus(8)));
                }
            }
        }
    }
}

/// Searches one arena: the key's place, else the first place that could take it.
#[inline]
fn probe(space: Space, arena: Arena, key: u64) -> Option<Entry> {
    let home = arena.home(key);
    let start = home.max(arena.from);
    let mut removed = None;
    for step in 0..PROBES.min(arena.places()) {
        let index = start + step;
        if index >= arena.places() && (index & (arena.places() - 1)) < arena.from {
            // Wrapped into the part that was moved: whatever stood there was moved with it.
            break;
        }
        let address = arena.place(index);
        match space.load::<u64>(address) {
            0 => {
                let free = Entry { address, exists: false, fresh: true };
                return Some(removed.unwrap_or(free));
            }
            table::REMOVED => {
                removed.get_or_insert(Entry { address, exists: false, fresh: false });
            }
            found if found == key => return Some(Entry { address, exists: true, fresh: false }),
            _ => {}
        }
    }
    removed
}
