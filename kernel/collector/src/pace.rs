//! Whether a collection pays now: what it would find, by what was counted since the last mark and by what the last ones have found,
//! against what the mark would read.
//!
//! ```text
//!   doubt    = bytes handed out + 64 a reference dropped from what others keep + 16 KiB a count that stuck, since the last mark
//!   expected = doubt * yield               yield: garbage found / doubt, the mean of what was known and what was found last
//!   begin if  expected >= an eighth of what the last mark read, halved for every ten minutes since
//! ```
//!
//! So a heap that is filled and kept costs some collections, each after twice as much was handed out as before the one before it (the yield
//! halves each time); a program that makes circles all the time is collected when they are an eighth of the heap; and what has been dropped
//! once is found in the end, however little it seems, because the bar falls. Where nothing was counted there is nothing to find, and nothing
//! is ever begun. When space runs short the bar is a sixty-fourth of itself.
//!
//! Invariant: pure; all that is remembered is in [`Collected`], which the caller keeps where cuts leave it.

use revenant_hal::{Nanoseconds, PAGE_SIZE_U64};
use revenant_vm::counting::doubt::{Collected, Tallies};

/// What a reference that was dropped from an object that others keep counts as, in bytes: a small circle.
const BYTES_PARTED: u64 = 64;
/// What a count that stuck counts as: a structure of many.
const BYTES_STUCK: u64 = 16 << 10;
/// Garbage has to be so large a part of what the mark would read.
const PART: u64 = 8;
/// Less garbage than this is not worth a mark, in bytes, however small the heap.
const LEAST: u64 = 4 << 20;
/// The bar halves in this time.
const HALVING: u64 = 600 * 1_000_000_000;
/// The bar is this part of itself when space is short.
const SHORT: u64 = 64;
/// Yields are so many parts of 1.
const ONE: u64 = 1 << 16;
/// What is expected before anything is known: a quarter.
const UNKNOWN: u64 = ONE / 4;
/// No yield is believed to be less, or more. What was found may have been doubted long ago.
const YIELDS: core::ops::RangeInclusive<u64> = ONE / 64..=ONE;

/// What a collection would find and cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Estimate {
    /// Garbage that is expected, in bytes.
    pub expected: u64,
    /// What would make it worth while.
    pub bar: u64,
}

/// Bytes that may have become garbage.
fn doubt(tallies: Tallies) -> u64 {
    let parted = tallies.parted.saturating_mul(BYTES_PARTED);
    let stuck = tallies.stuck.saturating_mul(BYTES_STUCK);
    tallies.given.saturating_add(parted).saturating_add(stuck)
}

fn yielded(collected: &Collected) -> u64 {
    match collected.learned {
        0 => UNKNOWN,
        learned => learned.clamp(*YIELDS.start(), *YIELDS.end()),
    }
}

/// What a collection would find now, `rest` after the last, or after the machine's start.
#[must_use]
pub fn estimate(
    now: Tallies,
    collected: &Collected,
    rest: Nanoseconds,
    short_of_space: bool,
) -> Estimate {
    let doubt = doubt(now.since(collected.tallies));
    let share = u128::from(doubt) * u128::from(yielded(collected)) / u128::from(ONE);
    let expected = u64::try_from(share).unwrap_or(u64::MAX);
    let heap = collected.pages.saturating_mul(PAGE_SIZE_U64);
    let halvings = u32::try_from(rest.0 / HALVING).unwrap_or(u32::MAX);
    let bar = (heap / PART).max(LEAST).checked_shr(halvings).unwrap_or(0);
    let bar = if short_of_space { bar / SHORT } else { bar };
    Estimate { expected, bar: bar.max(1) }
}

impl Estimate {
    /// Whether it pays.
    #[must_use]
    pub fn pays(self) -> bool {
        self.expected >= self.bar
    }
}

/// What is known after a collection that has found so many bytes of garbage; none if that is not known, because a part of it was before
/// the machine's start.
#[must_use]
pub fn learn(before: &Collected, at: Tallies, pages: u64, found: Option<u64>) -> Collected {
    let doubt = doubt(at.since(before.tallies)).max(1);
    let learned = match found {
        None => before.learned,
        Some(found) => {
            let seen = u128::from(found) * u128::from(ONE) / u128::from(doubt);
            let seen = u64::try_from(seen).unwrap_or(ONE).min(ONE);
            u64::midpoint(yielded(before), seen).clamp(*YIELDS.start(), *YIELDS.end())
        }
    };
    Collected { tallies: at, pages, learned }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Nanoseconds = Nanoseconds(1_000_000_000);
    const MIB: u64 = 1 << 20;

    fn given(bytes: u64) -> Tallies {
        Tallies { given: bytes, ..Tallies::default() }
    }

    /// Hands out memory, a MiB at a time, until a collection pays; how much.
    fn until_it_pays(collected: &Collected) -> u64 {
        let from = collected.tallies.given;
        let mut bytes = from;
        while !estimate(given(bytes), collected, SOON, false).pays() {
            bytes += MIB;
        }
        bytes - from
    }

    #[test]
    fn nothing_is_begun_where_nothing_can_be_found() {
        let collected = Collected { tallies: given(5), pages: 1, learned: ONE };
        let never = Nanoseconds(u64::MAX);
        assert!(!estimate(given(5), &collected, never, true).pays());
        let little = Tallies { parted: 1, ..given(5) };
        assert!(estimate(little, &collected, never, false).pays());
        assert!(!estimate(little, &collected, SOON, false).pays());
    }

    #[test]
    fn a_heap_that_is_kept_is_looked_at_ever_more_rarely() {
        let mut collected = Collected::default();
        let mut before = 0;
        for round in 0..5 {
            let more = until_it_pays(&collected);
            assert!(round == 0 || more >= before * 2, "{more} after {before}");
            before = more;
            let at = given(collected.tallies.given + more);
            collected = learn(&collected, at, at.given / PAGE_SIZE_U64, Some(0));
        }
        assert!(collected.tallies.given > 500 * MIB, "{collected:?}");
    }

    #[test]
    fn circles_made_all_the_time_are_collected_when_they_are_an_eighth() {
        let mut collected = Collected::default();
        for _ in 0..8 {
            let more = until_it_pays(&collected);
            let at = given(collected.tallies.given + more);
            collected = learn(&collected, at, 64 * MIB / PAGE_SIZE_U64, Some(more));
        }
        let more = until_it_pays(&collected);
        assert!((8 * MIB..=9 * MIB).contains(&more), "{more}");
    }

    #[test]
    fn short_of_space_less_is_enough_and_in_time_anything_is() {
        let collected = Collected { pages: 1 << 18, ..Collected::default() };
        let some = given(40 * MIB);
        assert!(!estimate(some, &collected, SOON, false).pays());
        assert!(estimate(some, &collected, SOON, true).pays());
        assert!(estimate(some, &collected, Nanoseconds(HALVING * 4), false).pays());
    }

    #[test]
    fn what_was_found_by_halves_teaches_nothing() {
        let before = Collected { learned: ONE / 2, ..Collected::default() };
        let after = learn(&before, given(100 * MIB), 7, None);
        assert_eq!(after, Collected { tallies: given(100 * MIB), pages: 7, learned: ONE / 2 });
    }
}
