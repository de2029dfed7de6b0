//! Deadlines: a binary heap of (deadline, thread) in object space, so that a restart costs nothing a sleeper.
//!
//! Entry i stands at 16 * i of the heap's area, a deadline and a thread index; the place of a thread's entry, plus one, stands in a table by thread index
//! beside the heap (dense, so that moving an entry touches few pages), 0 for none. Deadlines are on the persistent machine clock; among
//! equal ones the earlier thread index goes first. Insertion and removal move the entries of one path: they are computed from
//! touched entries and stored in one go. Neighbours: `scheduler` (waits), `natives` (sleep).

use revenant_hal::ObjectAddress;

use crate::memory::Space;
use crate::memory::layout::area;
use crate::memory::layout::system::scheduler::TIMER_COUNT;
use crate::memory::layout::thread::{INDEX, STATE, STATE_DAMAGED, STATE_WAITING};

use super::word;

/// Where the places by thread index begin: behind the heap's entries.
const PLACES: u64 = area::TIMER_HEAP + area::TIMER_HEAP_ENTRIES * 16;
/// Entries of the heap fit in so many levels.
const LEVELS: usize = 26;

/// An entry: when, and whom to wake.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Timer {
    /// On the machine clock, nanoseconds.
    pub(crate) deadline: u64,
    /// Breaks ties the same way everywhere.
    pub(crate) index: u32,
}

impl Timer {
    /// The thread, as the thread table has it.
    pub(crate) fn thread(self, space: Space) -> ObjectAddress {
        ObjectAddress(space.load(ObjectAddress(area::THREAD_TABLE + u64::from(self.index) * 8)))
    }
}

const COUNT: ObjectAddress = word(TIMER_COUNT);

const fn entry(place: u64) -> ObjectAddress {
    ObjectAddress(area::TIMER_HEAP + place * 16)
}

fn place_word(index: u32) -> ObjectAddress {
    ObjectAddress(PLACES + u64::from(index) * 4)
}

fn index_of(space: Space, thread: ObjectAddress) -> u32 {
    space.load(ObjectAddress(thread.0.wrapping_add(INDEX)))
}

fn load(space: Space, place: u64) -> Timer {
    let deadline = space.load(entry(place));
    Timer { deadline, index: space.load(ObjectAddress(entry(place).0 + 8)) }
}

/// How many threads have a deadline; bounded, because it is persistent.
pub(crate) fn count(space: Space) -> u64 {
    space.load::<u64>(COUNT).min(area::TIMER_HEAP_ENTRIES)
}

/// The next deadline, or none.
pub(crate) fn first(space: Space) -> Option<Timer> {
    (count(space) > 0).then(|| load(space, 0))
}

/// Entries on their way to new places, computed before anything changes.
pub(crate) struct Moves {
    moves: [(u64, Timer); LEVELS],
    length: usize,
    count: u64,
    removed: Option<u32>,
}

impl Moves {
    fn new(space: Space) -> Self {
        let nothing = Timer { deadline: 0, index: 0 };
        Self { moves: [(0, nothing); LEVELS], length: 0, count: count(space), removed: None }
    }

    fn add(&mut self, place: u64, timer: Timer) {
        if let Some(slot) = self.moves.get_mut(self.length) {
            *slot = (place, timer);
            self.length += 1;
        }
    }

    /// Moves `timer` from a hole at `place` towards the root until its parent is not later.
    fn up(&mut self, space: Space, mut place: u64, timer: Timer) {
        while place > 0 && self.length + 1 < LEVELS {
            let parent = (place - 1) / 2;
            let above = load(space, parent);
            if above <= timer {
                break;
            }
            self.add(place, above);
            place = parent;
        }
        self.add(place, timer);
    }

    /// Moves `timer` from a hole at `place` away from the root until no child is earlier.
    fn down(&mut self, space: Space, mut place: u64, timer: Timer) {
        while self.length + 1 < LEVELS {
            let left = place * 2 + 1;
            if left >= self.count {
                break;
            }
            let mut child = (left, load(space, left));
            if left + 1 < self.count {
                let right = (left + 1, load(space, left + 1));
                if right.1 < child.1 {
                    child = right;
                }
            }
            if timer <= child.1 {
                break;
            }
            self.add(place, child.1);
            place = child.0;
        }
        self.add(place, timer);
    }

    /// Touches what [`Self::apply`] changes.
    fn touch(&self, space: Space) {
        space.touch_write(COUNT);
        for (place, timer) in &self.moves[..self.length] {
            space.touch_write(entry(*place));
            space.touch_write(place_word(timer.index));
        }
        if let Some(index) = self.removed {
            space.touch_write(place_word(index));
        }
    }

    /// Stores the entries at their new places; part of a step.
    pub(crate) fn apply(&self, space: Space) {
        space.store(COUNT, self.count);
        if let Some(index) = self.removed {
            space.store(place_word(index), 0_u32);
        }
        for (place, timer) in &self.moves[..self.length] {
            space.store(entry(*place), timer.deadline);
            space.store(ObjectAddress(entry(*place).0 + 8), u64::from(timer.index));
            // Places are below the number of thread indices, 2^24.
            space.store(place_word(timer.index), u32::try_from(*place + 1).unwrap_or(0));
        }
    }
}

/// Whether an entry, the first one, is what it seems: its thread waits and knows its place.
pub(crate) fn is_sound(space: Space, timer: Timer) -> bool {
    let thread = timer.thread(space);
    let state: u32 = space.load(ObjectAddress(thread.0.wrapping_add(STATE)));
    thread.0.is_multiple_of(8)
        && index_of(space, thread) == timer.index
        && space.load::<u32>(place_word(timer.index)) == 1
        && matches!(state, STATE_WAITING | STATE_DAMAGED)
}

/// Takes the first entry out without asking its thread. One step.
pub(crate) fn drop_first(space: Space) {
    let mut moves = Moves::new(space);
    if moves.count > 0 {
        moves.removed = Some(load(space, 0).index);
        moves.count -= 1;
        if moves.count > 0 {
            let last = load(space, moves.count);
            moves.down(space, 0, last);
        }
    }
    moves.touch(space);
    space.begin_changes();
    moves.apply(space);
}

/// Touches everything for a new entry and says how the heap changes. The thread has no deadline yet.
pub(crate) fn insertion(space: Space, thread: ObjectAddress, deadline: u64) -> Moves {
    let mut moves = Moves::new(space);
    let timer = Timer { deadline, index: index_of(space, thread) };
    let place = moves.count;
    moves.count += 1;
    moves.up(space, place, timer);
    moves.touch(space);
    moves
}

/// Touches everything to take a thread's entry out and says how the heap changes; nothing if it has none.
pub(crate) fn removal(space: Space, thread: ObjectAddress) -> Moves {
    let mut moves = Moves::new(space);
    let index = index_of(space, thread);
    let place = u64::from(space.load::<u32>(place_word(index)));
    if place == 0 || place > moves.count {
        moves.touch(space);
        return moves;
    }
    let place = place - 1;
    moves.removed = Some(index);
    moves.count -= 1;
    if place != moves.count {
        let last = load(space, moves.count);
        let earlier_than_parent = place > 0 && last < load(space, (place - 1) / 2);
        if earlier_than_parent {
            moves.up(space, place, last);
        } else {
            moves.down(space, place, last);
        }
    }
    moves.touch(space);
    moves
}

/// A deadline of the machine clock on the environment's clock. The base may be negative, as a wrapped number: the machine clock of
/// a first run begins at 0 however long the machine has been up.
pub(crate) fn on_monotonic(deadline: u64, base: u64) -> u64 {
    let deadline = i128::from(deadline) - i128::from(base.cast_signed());
    u64::try_from(deadline.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::on_monotonic;

    #[test]
    fn a_deadline_is_found_on_the_other_clock_whichever_began_first() {
        assert_eq!(on_monotonic(500, 100), 400);
        assert_eq!(on_monotonic(500, 0_u64.wrapping_sub(1_000)), 1_500);
        assert_eq!(on_monotonic(100, 500), 0);
    }
}
