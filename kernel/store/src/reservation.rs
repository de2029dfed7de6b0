//! Blocks set aside before a page may become dirty, so that a commit never runs out (FORMAT.md 6 has the formula).
//!
//! Invariant: for every set of pages charged, the blocks that a commit allocates for them and their map nodes are at most
//! [`Charges::total`]. The free-space tree and the system's own pages come out of the fixed pool instead.

use crate::api::{Copies, Space};
use crate::layout::Layout;
use crate::reference::{FANOUT_BITS, MAP_LEVELS};
use crate::tree::Place;
use alloc::collections::{BTreeMap, BTreeSet};
use revenant_hal::PageIndex;

/// Blocks of the pool for system pages and their nodes, a commit.
pub(crate) const SYSTEM_BLOCKS: u64 = 128;
/// More than the first page of an epoch can cost: two copies, a leaf, four nodes twice.
pub(crate) const ONE_PAGE: u64 = 16;
/// The default share of the disk at which allocation is refused: 1/64, at least 16 MiB, at most an eighth.
const RESERVE_SHARE: u64 = 64;
const RESERVE_MINIMUM: u64 = 4096;

/// What one epoch has charged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charges {
    total: u64,
    /// For each node of level 1: which of its 128 leaves are charged.
    leaves: BTreeMap<u64, u128>,
    /// Charged nodes above.
    upper: BTreeSet<Place>,
}

/// Blocks for a node: those above the leaves stand twice.
const fn node_blocks(level: u8) -> u64 {
    if level == 0 { 1 } else { 2 }
}

impl Charges {
    /// Blocks charged.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// What charging a page (data: `copies` blocks) would add.
    pub(crate) fn cost(&self, page: PageIndex, copies: Option<Copies>) -> u64 {
        let data = match copies {
            None => 0,
            Some(Copies::One) => 1,
            Some(Copies::Two) => 2,
        };
        let place = Place::on_path(page.0, 0);
        let group = self.leaves.get(&(place.ordinal >> FANOUT_BITS));
        if group.is_some_and(|group| group & (1 << place.slot()) != 0) {
            return data;
        }
        if group.is_some() {
            return data + node_blocks(0);
        }
        let upper = (1..MAP_LEVELS)
            .filter(|level| !self.upper.contains(&Place::on_path(page.0, *level)))
            .map(node_blocks)
            .sum::<u64>();
        data + node_blocks(0) + upper
    }

    /// Charges a page; `cost` is what [`Charges::cost`] said.
    pub(crate) fn charge(&mut self, page: PageIndex, cost: u64) {
        let place = Place::on_path(page.0, 0);
        let group = self.leaves.entry(place.ordinal >> FANOUT_BITS).or_default();
        let fresh = *group == 0;
        *group |= 1 << place.slot();
        if fresh {
            self.upper.extend((1..MAP_LEVELS).map(|level| Place::on_path(page.0, level)));
        }
        self.total += cost;
    }

    /// Takes over what an abandoned epoch had charged: its pages are dirty still. What both had charged stays counted
    /// twice until the next commit, which is more than is needed, never less.
    pub(crate) fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.upper.extend(other.upper);
        for (group, bits) in other.leaves {
            *self.leaves.entry(group).or_default() |= bits;
        }
    }
}

/// Blocks that programs can never charge: three whole free-space trees (this commit's, the next one's, and the copy that
/// is in quarantine) and the system's pages for two commits.
pub(crate) const fn pool(layout: Layout) -> u64 {
    3 * layout.bitmap_tree_blocks() + 2 * SYSTEM_BLOCKS
}

/// The part of the pool that even the system leaves to commits.
pub(crate) const fn commit_pool(layout: Layout) -> u64 {
    2 * layout.bitmap_tree_blocks()
}

/// Blocks that must be available for allocation not to throw.
pub(crate) fn allocation_reserve(layout: Layout, resident_pages: u64) -> u64 {
    let share = (layout.blocks() / RESERVE_SHARE).max(RESERVE_MINIMUM).min(layout.blocks() / 8);
    // Every resident page may have to be copied once; one map leaf serves at least eight of them as programs lie in memory.
    share.max(resident_pages + resident_pages / 8)
}

/// Puts the figures together.
pub(crate) fn space(
    layout: Layout,
    managed: u64,
    allocatable: u64,
    quarantined: u64,
    charged: u64,
) -> Space {
    let pool = pool(layout);
    Space {
        total: managed,
        allocatable,
        quarantined,
        charged,
        pool,
        available: allocatable.saturating_sub(charged).saturating_sub(pool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(charges: &mut Charges, page: u64) -> u64 {
        let cost = charges.cost(PageIndex(page), Some(Copies::One));
        charges.charge(PageIndex(page), cost);
        cost
    }

    #[test]
    fn nodes_are_charged_once_an_epoch() {
        let mut charges = Charges::default();
        assert_eq!(charge(&mut charges, 0), 1 + 1 + 4 * 2);
        assert_eq!(charge(&mut charges, 1), 1);
        assert_eq!(charge(&mut charges, 128), 1 + 1);
        assert_eq!(charge(&mut charges, 128 * 128), 1 + 1 + 2);
        assert_eq!(charge(&mut charges, 128 * 128 * 128), 1 + 1 + 2 + 2);
        assert_eq!(charge(&mut charges, u64::from(u32::MAX)), 1 + 1 + 2 + 2 + 2);
        assert_eq!(charges.total(), 10 + 1 + 2 + 4 + 6 + 8);
        assert_eq!(charges.cost(PageIndex(129), Some(Copies::Two)), 2);
        assert_eq!(charges.cost(PageIndex(129), None), 0);
    }

    #[test]
    fn merging_never_forgets_a_charge() {
        let mut first = Charges::default();
        charge(&mut first, 5);
        let mut second = Charges::default();
        charge(&mut second, 300);
        second.merge(first);
        assert_eq!(second.total(), 20);
        assert_eq!(second.cost(PageIndex(5), None), 0);
    }
}
