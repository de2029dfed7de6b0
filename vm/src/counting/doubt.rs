//! What may have become garbage that counting leaves: tallies that the exact collector looks at to see whether it pays to begin.
//!
//! Counting leaves what refers to itself in a circle, and whose count has stuck. A circle that nothing else reaches comes into being when a
//! frame lets go of objects made since, or when a reference is dropped from an object that keeps another one. So where nothing was handed out,
//! nothing dropped and nothing stuck since the last mark, there is nothing to find. The opposite does not hold: tallies are doubts, no proofs.
//!
//! Invariants: tallies only grow, and change in the same step as what they speak of; nothing but the collector's pace depends on them. All
//! words are zero on a disk of before there were any.

use revenant_hal::ObjectAddress;

use crate::memory::layout::{area, system::counting};
use crate::memory::{AddressExt, Space};

const COUNTING: ObjectAddress = ObjectAddress(area::COUNTING);

/// What was counted so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tallies {
    /// Bytes of memory handed out to objects.
    pub given: u64,
    /// References dropped from objects to which others were left.
    pub parted: u64,
    /// Counts that have stuck.
    pub stuck: u64,
}

impl Tallies {
    /// What has come since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            given: self.given.wrapping_sub(earlier.given),
            parted: self.parted.wrapping_sub(earlier.parted),
            stuck: self.stuck.wrapping_sub(earlier.stuck),
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// What is known of the collection before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Collected {
    /// The tallies at the flip whose snapshot it has marked.
    pub tallies: Tallies,
    /// Pages that the mark has read; 0: there was none.
    pub pages: u64,
    /// What the collector has learned, in its own encoding; 0: nothing.
    pub learned: u64,
}

/// What programs want of the collector. It outlives cuts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wish {
    /// Nothing is marked or swept.
    pub pause: bool,
    /// A collection begins as soon as it can.
    pub start: bool,
    /// The one under way is given up.
    pub stop: bool,
}

fn word(space: Space, offset: u64) -> u64 {
    space.load(COUNTING.plus(offset))
}

/// Adds to a tally. Part of a step that touched the counting page.
#[inline(always)]
fn add(space: Space, offset: u64, amount: u64) {
    let place = COUNTING.plus(offset);
    space.store(place, space.load::<u64>(place).wrapping_add(amount));
}

/// Memory was handed out. Part of a step that touched the counting page.
#[inline(always)]
pub(crate) fn given(space: Space, bytes: u64) {
    add(space, counting::GIVEN, bytes);
}

/// A reference was dropped from an object that others refer to. Part of a step that touched the counting page.
#[inline(always)]
pub(super) fn parted(space: Space) {
    add(space, counting::PARTED, 1);
}

/// A count has stuck. Part of a step that touched the counting page.
#[cold]
pub(super) fn stuck(space: Space) {
    add(space, counting::STUCK, 1);
}

/// What was counted so far.
#[must_use]
pub fn tallies(space: Space) -> Tallies {
    Tallies {
        given: word(space, counting::GIVEN),
        parted: word(space, counting::PARTED),
        stuck: word(space, counting::STUCK),
    }
}

/// What is known of the collection before.
#[must_use]
pub fn collected(space: Space) -> Collected {
    Collected {
        tallies: Tallies {
            given: word(space, counting::COLLECTED_GIVEN),
            parted: word(space, counting::COLLECTED_PARTED),
            stuck: word(space, counting::COLLECTED_STUCK),
        },
        pages: word(space, counting::COLLECTED_PAGES),
        learned: word(space, counting::COLLECTED_YIELD),
    }
}

/// Notes what the next one is judged by. One step.
pub fn set_collected(space: Space, collected: Collected) {
    space.touch_write(COUNTING);
    space.begin_changes();
    let Collected { tallies, pages, learned } = collected;
    let words = [
        (counting::COLLECTED_GIVEN, tallies.given),
        (counting::COLLECTED_PARTED, tallies.parted),
        (counting::COLLECTED_STUCK, tallies.stuck),
        (counting::COLLECTED_PAGES, pages),
        (counting::COLLECTED_YIELD, learned),
    ];
    for (offset, value) in words {
        space.store(COUNTING.plus(offset), value);
    }
    space.end_step();
}

/// What programs want.
#[must_use]
pub fn wish(space: Space) -> Wish {
    let bits = word(space, counting::WISH);
    let has = |bit| bits & bit != 0;
    Wish {
        pause: has(counting::WISH_PAUSE),
        start: has(counting::WISH_START),
        stop: has(counting::WISH_STOP),
    }
}

/// Sets what programs want. One step.
pub fn set_wish(space: Space, wish: Wish) {
    let bit = |wanted, bit| if wanted { bit } else { 0 };
    let bits = bit(wish.pause, counting::WISH_PAUSE)
        | bit(wish.start, counting::WISH_START)
        | bit(wish.stop, counting::WISH_STOP);
    space.touch_write(COUNTING);
    space.begin_changes();
    space.store(COUNTING.plus(counting::WISH), bits);
    space.end_step();
}
