//! Blocks set aside before a page may become dirty, so that a commit never runs out (FORMAT.md 6 has the formula).
//!
//! Invariant: for every set of pages charged, the blocks that a commit allocates for them and their map nodes are at most
//! [`Charges::total`]; a node is charged only with all its ancestors. The free-space tree and the system's own pages come out of the fixed pool instead.

use crate::allocator::later::Holder;
use crate::api::{Copies, Purpose, Space};
use crate::error::NoSpace;
use crate::layout::{BLOCKS_PER_BITMAP, Layout};
use crate::reference::MAP_LEVELS;
use crate::store::Store;
use crate::tree::Place;
use crate::units::index;
use alloc::{boxed::Box, vec};
use revenant_hal::PageIndex;

/// Blocks of the pool for system pages and their nodes, a commit.
pub(crate) const SYSTEM_BLOCKS: u64 = 128;
/// Nodes of the map that only system pages may charge, beyond what programs may.
pub(crate) const SYSTEM_NODES: usize = 128;
/// Nodes that programs leave to freeing, at most; never more than an eighth of what they may charge.
const FREEING_NODES: usize = 64;
/// The part of the reserve at which allocation is refused that only freeing may use: a quarter.
const FREEING_SHARE: u64 = 4;
/// More than the first page of an epoch can cost: two copies, a leaf, four nodes twice.
pub(crate) const ONE_PAGE: u64 = 16;
/// The default share of the disk at which allocation is refused: 1/64, at least 16 MiB, at most an eighth.
const RESERVE_SHARE: u64 = 64;
const RESERVE_MINIMUM: u64 = 4096;

/// The nodes that an epoch has charged: a set of fixed capacity, because it is filled from page faults, which take no
/// memory. Open addressing; at most half full.
#[derive(Clone, Debug)]
struct ChargedNodes {
    /// Zero: nothing; else a node's level and ordinal ([`key`]).
    slots: Box<[u64]>,
    count: usize,
    limit: usize,
}

/// A node as a word that is not zero.
const fn key(place: Place) -> u64 {
    (place.level as u64 + 1) << 56 | place.ordinal
}

impl ChargedNodes {
    fn new(limit: usize) -> Self {
        let slots = limit.saturating_mul(2).next_power_of_two();
        Self { slots: vec![0; slots].into_boxed_slice(), count: 0, limit }
    }

    /// The slot of a key, or the empty one where it belongs: there is one, because half of them are empty.
    fn slot(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = index(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24) & mask;
        while self.slots[at] != 0 && self.slots[at] != key {
            at = (at + 1) & mask;
        }
        at
    }

    fn contains(&self, place: Place) -> bool {
        self.slots[self.slot(key(place))] != 0
    }

    /// Adds a node; false if it was there. The caller has looked for room.
    fn insert(&mut self, key: u64) -> bool {
        let slot = self.slot(key);
        let new = self.slots[slot] == 0;
        if new {
            assert!(self.count < self.limit, "the nodes charged are bounded");
            self.slots[slot] = key;
            self.count += 1;
        }
        new
    }
}

/// What one epoch has charged.
#[derive(Clone, Debug)]
pub(crate) struct Charges {
    total: u64,
    nodes: ChargedNodes,
    /// The leaf of the page charged last, as a key: its neighbours come next, and are not looked for. 0 for none.
    last_leaf: u64,
    /// Nodes charged by discards.
    for_discards: usize,
}

/// The key of a page's leaf.
const fn leaf_key(page: PageIndex) -> u64 {
    key(Place::on_path(page.0, 0))
}

/// Blocks for a page.
const fn data_blocks(copies: Copies) -> u64 {
    match copies {
        Copies::One => 1,
        Copies::Two => 2,
    }
}

/// Blocks for a node: those above the leaves stand twice.
const fn node_blocks(level: u8) -> u64 {
    if level == 0 { 1 } else { 2 }
}

impl Charges {
    /// Nothing charged, with room for so many nodes of the map.
    pub(crate) fn new(nodes: usize) -> Self {
        Self { total: 0, nodes: ChargedNodes::new(nodes), last_leaf: 0, for_discards: 0 }
    }

    /// Nothing charged, and no room: takes no memory.
    pub(crate) fn none() -> Self {
        let nodes = ChargedNodes { slots: Box::default(), count: 0, limit: 0 };
        Self { total: 0, nodes, last_leaf: 0, for_discards: 0 }
    }

    /// Nothing charged, with the same room.
    pub(crate) fn clear(&mut self) {
        self.total = 0;
        self.last_leaf = 0;
        self.for_discards = 0;
        self.nodes.slots.fill(0);
        self.nodes.count = 0;
    }

    /// Blocks charged.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Nodes charged.
    pub(crate) const fn nodes(&self) -> usize {
        self.nodes.count
    }

    /// Nodes charged by discards.
    pub(crate) const fn for_discards(&self) -> usize {
        self.for_discards
    }

    /// Charges the path of a page that is discarded; `blocks` and `nodes` are what [`Charges::cost`] said.
    pub(crate) fn charge_discard(&mut self, page: PageIndex, blocks: u64, nodes: usize) {
        self.charge(page, blocks);
        self.for_discards += nodes;
    }

    /// What charging a page (data: `copies` blocks) would add: blocks, and nodes.
    pub(crate) fn cost(&self, page: PageIndex, copies: Option<Copies>) -> (u64, usize) {
        let mut blocks = copies.map_or(0, data_blocks);
        if leaf_key(page) == self.last_leaf {
            return (blocks, 0);
        }
        let mut nodes = 0;
        for level in 0..MAP_LEVELS {
            if self.nodes.contains(Place::on_path(page.0, level)) {
                break; // and so are all above
            }
            blocks += node_blocks(level);
            nodes += 1;
        }
        (blocks, nodes)
    }

    /// A page that was charged will not be written: its own blocks are free for others. Its path stays charged.
    pub(crate) fn uncharge(&mut self, copies: Copies) {
        self.uncharge_blocks(data_blocks(copies));
    }

    /// Blocks charged are not needed, or not any more.
    pub(crate) fn uncharge_blocks(&mut self, blocks: u64) {
        self.total = self.total.saturating_sub(blocks);
    }

    /// Charges a page; `blocks` is what [`Charges::cost`] said, and there is room for its nodes.
    pub(crate) fn charge(&mut self, page: PageIndex, blocks: u64) {
        self.total += blocks;
        if leaf_key(page) == self.last_leaf {
            return;
        }
        self.last_leaf = leaf_key(page);
        for level in 0..MAP_LEVELS {
            if !self.nodes.insert(key(Place::on_path(page.0, level))) {
                break; // and so are all above
            }
        }
    }

    /// Takes over what an abandoned epoch had charged: its pages are dirty still. What both had charged stays counted
    /// twice until the next commit, which is more than is needed, never less.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.for_discards += other.for_discards;
        for key in other.nodes.slots.iter().filter(|key| **key != 0) {
            self.nodes.insert(*key);
        }
    }
}

/// Blocks that a purpose leaves to those that matter more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pools {
    /// What programs leave: the two below, and what only freeing may use, so that whoever stores all the time cannot take
    /// what the freed would give back.
    programs: u64,
    /// What freeing leaves: three whole free-space trees (this commit's, the next one's, and the copy that is in quarantine) and
    /// the system's pages for two commits.
    pub(crate) freeing: u64,
    /// What even the system leaves to commits.
    commits: u64,
}

impl Pools {
    /// The pools of a disk.
    pub(crate) fn new(layout: Layout) -> Self {
        let tree = layout.bitmap_tree_blocks();
        let freeing = 3 * tree + 2 * SYSTEM_BLOCKS;
        let programs = freeing + reserve_share(layout) / FREEING_SHARE;
        Self { programs, freeing, commits: 2 * tree }
    }

    /// What charges for a purpose leave.
    pub(crate) const fn left_by(self, purpose: Purpose) -> u64 {
        match purpose {
            Purpose::Program => self.programs,
            Purpose::Freeing => self.freeing,
            Purpose::System => self.commits,
        }
    }
}

/// The share of a disk at which allocation is refused.
fn reserve_share(layout: Layout) -> u64 {
    (layout.blocks() / RESERVE_SHARE).max(RESERVE_MINIMUM).min(layout.blocks() / 8)
}

/// Blocks that must be available for allocation not to throw.
pub(crate) fn allocation_reserve(layout: Layout, uncharged_pages: u64) -> u64 {
    // Every resident page may have to be copied once, and those that are dirty have their room; one map leaf serves at least
    // eight of them as programs lie in memory.
    reserve_share(layout).max(uncharged_pages + uncharged_pages / 8)
}

/// Puts the figures together.
pub(crate) fn space(
    layout: Layout,
    managed: u64,
    allocatable: u64,
    quarantined: u64,
    charged: u64,
) -> Space {
    let pool = Pools::new(layout).left_by(Purpose::Program);
    Space {
        total: managed,
        allocatable,
        quarantined,
        charged,
        pool,
        available: allocatable.saturating_sub(charged).saturating_sub(pool),
    }
}

impl Store {
    /// Sets blocks aside before a clean page becomes dirty in the running epoch. Called once a page and epoch, from the
    /// fault handler; no I/O, no memory taken. A page that is dirty in the frozen epoch too is charged again.
    ///
    /// # Errors
    /// There is no room: the store to the page waits.
    pub fn reserve_first_dirtying(
        &mut self,
        page: PageIndex,
        copies: Copies,
        purpose: Purpose,
    ) -> Result<(), NoSpace> {
        let kept = self.pools.left_by(purpose);
        let (cost, nodes) = self.running.cost(page, Some(copies));
        let free = self.unallocated().saturating_sub(self.charged());
        if self.read_only.is_some() {
            return Ok(()); // nothing will ever be written
        }
        if free < kept.saturating_add(cost) || !self.has_room_for_nodes(nodes, purpose) {
            return Err(NoSpace);
        }
        self.running.charge(page, cost);
        Ok(())
    }

    /// A page charged in the running epoch is not dirty any more.
    pub fn uncharge(&mut self, copies: Copies) {
        self.running.uncharge(copies);
    }

    /// Charges one more block to the running epoch, for a page that has its own; false if there is no room.
    pub(crate) fn reserve_spare_block(&mut self) -> bool {
        let room = self.unallocated().saturating_sub(self.charged())
            > self.pools.left_by(Purpose::Program);
        self.running.total += u64::from(room);
        room
    }

    /// Whether RAM for so many more changed nodes of the map is left, for the commit in the making and the next one.
    pub(crate) fn has_room_for_nodes(&self, nodes: usize, purpose: Purpose) -> bool {
        let frozen = self.commit.as_ref().map_or(0, |commit| commit.charges.nodes());
        let kept = match purpose {
            Purpose::Program => SYSTEM_NODES + self.freeing_nodes(),
            Purpose::Freeing => SYSTEM_NODES,
            Purpose::System => 0,
        };
        self.running.nodes() + frozen + nodes + kept <= self.node_limit()
    }

    /// Nodes that programs leave to freeing.
    pub(crate) fn freeing_nodes(&self) -> usize {
        FREEING_NODES.min(self.request.options.changed_nodes / 8)
    }

    /// Nodes that both epochs may charge, the system's share among them.
    pub(crate) fn node_limit(&self) -> usize {
        self.request.options.changed_nodes + SYSTEM_NODES
    }

    /// Whether the running epoch has used so much of the RAM for changed nodes that a snapshot should not wait for its time.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.read_only.is_none() && self.running.nodes() > self.request.options.changed_nodes / 2
    }

    /// Blocks free now. While the bitmaps are still being loaded, the superblock's count stands in for them, without what
    /// the generation before may still hold: too low rather than too high.
    pub(crate) fn unallocated(&self) -> u64 {
        if self.loader.is_none() {
            return self.allocator.allocatable();
        }
        let layout = self.superblock.layout;
        let total = layout.bitmap_leaves() * BLOCKS_PER_BITMAP;
        total.saturating_sub(self.superblock.allocated) / 2
    }

    /// Blocks charged and not allocated yet: the running epoch's and the rest of the frozen one's.
    pub(crate) fn charged(&self) -> u64 {
        // What is written before its flip takes its blocks out of what its epoch has charged.
        let running = self.running.total().saturating_sub(self.allocator.held_for(Holder::Running));
        let Some(commit) = &self.commit else { return running };
        let taken = self.allocator.allocated_in_making() + self.allocator.held_for(Holder::Making);
        running + commit.charges.total().saturating_sub(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(charges: &mut Charges, page: u64) -> u64 {
        let (blocks, nodes) = charges.cost(PageIndex(page), Some(Copies::One));
        let before = charges.nodes();
        charges.charge(PageIndex(page), blocks);
        assert_eq!(charges.nodes(), before + nodes);
        blocks
    }

    #[test]
    fn nodes_are_charged_once_an_epoch() {
        let mut charges = Charges::new(64);
        assert_eq!(charge(&mut charges, 0), 1 + 1 + 4 * 2);
        assert_eq!(charge(&mut charges, 1), 1);
        assert_eq!(charge(&mut charges, 128), 1 + 1);
        assert_eq!(charge(&mut charges, 128 * 128), 1 + 1 + 2);
        assert_eq!(charge(&mut charges, 128 * 128 * 128), 1 + 1 + 2 + 2);
        assert_eq!(charge(&mut charges, u64::from(u32::MAX)), 1 + 1 + 2 + 2 + 2);
        assert_eq!(charges.total(), 10 + 1 + 2 + 4 + 6 + 8);
        assert_eq!(charges.cost(PageIndex(129), Some(Copies::Two)), (2, 0));
        assert_eq!(charges.cost(PageIndex(129), None), (0, 0));
    }

    #[test]
    fn merging_never_forgets_a_charge() {
        let mut first = Charges::new(64);
        charge(&mut first, 5);
        let mut second = Charges::new(64);
        charge(&mut second, 300);
        second.merge(&first);
        assert_eq!(second.total(), 20);
        assert_eq!(second.cost(PageIndex(5), None), (0, 0));
    }
}
