//! Pages that read as zeros from the running epoch on, although the map still names blocks for them.
//!
//! A discarded page is a zero in the map of the snapshot that ends the epoch; its block leaves through the dead lists like any
//! other. Until that map is made, this set stands before it: in RAM alone, because a cut takes the discard back together with
//! everything else of the epoch.
//!
//! Invariants: a page stands in the set of the epoch in which it was discarded; a page written to a snapshot wins over a
//! discard of the same epoch, because whoever stored to it did so after the discard; an abandoned snapshot leaves its set to
//! the running epoch, whose dirty pages win over it in the same way. Asking takes no memory: page faults ask.
//!
//! Neighbours: `store` asks it before the map; `seal` enters it in the map; `reservation` has the charges.

use crate::api::Purpose;
use crate::error::NoSpace;
use crate::store::Store;
use alloc::collections::BTreeMap;
use core::ops::Bound::{Excluded, Unbounded};
use revenant_hal::PageIndex;

/// Ranges of pages that a set holds at most: they take some 100 KiB.
const RANGES: usize = 2048;
/// Discards leave this share of the room for changed nodes to pages that are stored to, which leave some to them: one half.
const NODE_SHARE: usize = 2;

/// A set of pages, as ranges that do not touch: first page to the page behind the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discards {
    ranges: BTreeMap<u64, u64>,
}

impl Discards {
    /// Whether a page is in the set.
    pub(crate) fn contains(&self, page: PageIndex) -> bool {
        self.ranges.range(..=page.0).next_back().is_some_and(|(_, end)| page.0 < *end)
    }

    /// Whether a page can be added: it joins a range, or there is room for another.
    fn has_room(&self, page: PageIndex) -> bool {
        let follows = self.ranges.range(..=page.0).next_back();
        self.ranges.len() < RANGES || follows.is_some_and(|(_, end)| page.0 <= *end)
    }

    /// Adds a page.
    fn insert(&mut self, page: PageIndex) {
        self.insert_range(page.0, page.0 + 1);
    }

    /// Adds the pages from `start` to `end`, exclusive.
    fn insert_range(&mut self, start: u64, end: u64) {
        let (mut start, mut end) = (start, end);
        if let Some((first, behind)) = self.ranges.range(..=start).next_back()
            && *behind >= start
        {
            (start, end) = (*first, end.max(*behind));
        }
        while let Some((next, behind)) = self.ranges.range((Excluded(start), Unbounded)).next()
            && *next <= end
        {
            let next = *next;
            end = end.max(*behind);
            self.ranges.remove(&next);
        }
        self.ranges.insert(start, end);
    }

    /// Adds another set. May hold more ranges than it takes by itself: nothing of a given-up snapshot may be forgotten.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (start, end) in &other.ranges {
            self.insert_range(*start, *end);
        }
    }

    /// The pages from `page` on.
    pub(crate) fn pages_from(&self, page: PageIndex) -> impl Iterator<Item = PageIndex> + '_ {
        let before = self.ranges.range(..page.0).next_back();
        let ranges = before.into_iter().chain(self.ranges.range(page.0..));
        ranges.flat_map(move |(start, end)| (*start).max(page.0)..*end).map(PageIndex)
    }
}

impl Store {
    /// The page reads as zeros from now on, and from the snapshot on that ends the running epoch; whatever earlier snapshots
    /// hold of it stays. Blocks for the map nodes that this changes are set aside.
    ///
    /// # Errors
    /// There is no room for that, on the disk or in RAM, before the next snapshot; nothing has changed.
    pub fn discard(&mut self, page: PageIndex) -> Result<(), NoSpace> {
        if self.discards.contains(page) {
            self.forget_early(page);
            return Ok(());
        }
        if !self.discards.has_room(page) {
            return Err(NoSpace);
        }
        if self.read_only.is_none() {
            let (cost, nodes) = self.running.cost(page, None);
            let kept = self.pools.left_by(Purpose::Freeing);
            let free = self.unallocated().saturating_sub(self.charged());
            let half = self.node_limit() / NODE_SHARE;
            let room = self.has_room_for_nodes(nodes, Purpose::Freeing)
                && (nodes == 0
                    || self.running.nodes() + nodes <= half
                    || self.running.for_discards() + nodes <= self.freeing_nodes());
            if !room || free < cost + kept {
                return Err(NoSpace);
            }
            self.running.charge_discard(page, cost, nodes);
        }
        self.forget_early(page);
        self.discards.insert(page);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    #[test]
    fn a_set_of_ranges_is_a_set_of_pages() {
        let mut state = 7u64;
        for round in 0..200u64 {
            let (mut set, mut model) = (Discards::default(), BTreeSet::new());
            for _ in 0..40 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round | 1);
                let (start, length) = ((state >> 40) % 64, 1 + (state >> 33) % 5);
                if length == 1 {
                    set.insert(PageIndex(start));
                } else {
                    set.insert_range(start, start + length);
                }
                model.extend(start..start + length);
            }
            for page in 0..72 {
                assert_eq!(set.contains(PageIndex(page)), model.contains(&page), "{page}");
                let rest: Vec<u64> = set.pages_from(PageIndex(page)).map(|page| page.0).collect();
                assert_eq!(rest, model.range(page..).copied().collect::<Vec<_>>(), "from {page}");
            }
            let apart = set.ranges.iter().zip(set.ranges.iter().skip(1));
            assert!(apart.into_iter().all(|((_, end), (next, _))| end < next), "{set:?}");
        }
    }

    #[test]
    fn a_full_set_takes_neighbours_and_no_others() {
        let mut set = Discards::default();
        (0..RANGES as u64).for_each(|range| set.insert(PageIndex(10 * range)));
        assert!(!set.has_room(PageIndex(5)) && set.has_room(PageIndex(1)));
        set.merge(&Discards { ranges: [(5, 7)].into() });
        assert!(set.contains(PageIndex(6)), "a merge forgets nothing");
    }
}
