//! The copy-on-write radix tree: one code for page maps and for the free-space tree.
//!
//! A tree is a root reference, committed and immutable, and an overlay of changed nodes in RAM. Changes go to the overlay;
//! sealing gives every changed node a new block and checksum, leaves first, and yields a new root. Giving up a commit is
//! dropping the overlay.
//!
//! Nodes are shared with the cache until they are changed, and again once they are sealed.
//!
//! What a node that cannot be read named is lost, and stays lost until it is written or discarded: a new node in its place
//! says so of every entry. A lost reference above the leaves stands for all the pages below it.
//!
//! Invariants: a node in the overlay has all its ancestors in the overlay; a committed node is never changed; a node whose
//! references are all zero is not stored (its parent's reference is zero).
//!
//! Neighbours: nodes come from `cache`; when one is missing, the caller loads it and asks again.

use crate::cache::NodeCache;
use crate::error::BlockRole;
use crate::reference::{FANOUT_BITS, Node, Reference};
use crate::units::slot_of;
use alloc::{collections::BTreeMap, sync::Arc};
use core::cell::Cell;
use revenant_hal::{BlockIndex, PageIndex};

/// A node that is not in RAM: what to load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Missing {
    pub(crate) reference: Reference,
    pub(crate) role: BlockRole,
}

/// A node's place in its tree: 0 for the nodes that name pages, and its ordinal on that level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub(crate) level: u8,
    pub(crate) ordinal: u64,
}

impl Place {
    /// The node of `level` on the path to `leaf`.
    pub(crate) const fn on_path(leaf: u64, level: u8) -> Self {
        Self { level, ordinal: leaf >> (FANOUT_BITS * (level as u32 + 1)) }
    }

    pub(crate) const fn parent(self) -> Self {
        Self { level: self.level + 1, ordinal: self.ordinal >> FANOUT_BITS }
    }

    pub(crate) const fn child(self, slot: usize) -> Self {
        Self {
            level: self.level.wrapping_sub(1),
            ordinal: (self.ordinal << FANOUT_BITS) | slot as u64,
        }
    }

    /// Its slot in its parent.
    pub(crate) const fn slot(self) -> usize {
        slot_of(self.ordinal)
    }

    /// How many leaves it covers.
    pub(crate) const fn leaves(self) -> u64 {
        1 << (FANOUT_BITS * (self.level as u32 + 1))
    }

    /// The first leaf it covers.
    pub(crate) const fn first(self) -> u64 {
        self.ordinal << (FANOUT_BITS * (self.level as u32 + 1))
    }
}

/// Whose nodes these are; decides how damage is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TreeKind {
    Map,
    FreeSpace,
}

impl TreeKind {
    pub(crate) const fn role(self, place: Place) -> BlockRole {
        match self {
            Self::Map => BlockRole::MapNode { level: place.level, first: PageIndex(place.first()) },
            Self::FreeSpace => BlockRole::FreeSpace,
        }
    }
}

/// A tree: committed root and changes.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Reference,
    pub(crate) levels: u8,
    pub(crate) kind: TreeKind,
    pub(crate) changed: BTreeMap<Place, Arc<Node>>,
    remembered: Cell<Option<Remembered>>,
    /// The same of nodes one level above those that name pages, by their ordinals: whoever jumps about comes back to few.
    branches: [Cell<Option<Remembered>>; BRANCHES],
    /// What was found of single leaves: whoever misses a page asks what it is, and a moment later where it is.
    leaves: [Cell<Option<Leaf>>; LEAVES],
}

/// Nodes above the last level whose place is remembered. Each of a map covers 64 MiB.
const BRANCHES: usize = 16;

/// Leaves that are remembered: those of all faults between two steps, mostly.
const LEAVES: usize = 32;

/// What the committed tree says about a leaf: valid for one root, like [`Remembered`].
#[derive(Clone, Copy, Debug)]
struct Leaf {
    root: Reference,
    leaf: u64,
    found: Reference,
}

/// Where the last search in the committed tree ended: its neighbours end there too. Valid for one root, because nothing
/// below a root ever changes. No node is held: whoever searches may be in a trap, where no memory is given back.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    root: Reference,
    /// The first leaf below `reference`, and how many there are.
    first: u64,
    count: u64,
    /// The last node of the path, or what is said of everything below a missing one.
    reference: Reference,
}

impl Tree {
    pub(crate) const fn new(kind: TreeKind, root: Reference, levels: u8) -> Self {
        Self {
            root,
            levels,
            kind,
            changed: BTreeMap::new(),
            remembered: Cell::new(None),
            branches: [const { Cell::new(None) }; BRANCHES],
            leaves: [const { Cell::new(None) }; LEAVES],
        }
    }

    pub(crate) const fn root_place(&self) -> Place {
        Place { level: self.levels - 1, ordinal: 0 }
    }

    /// What the tree says about a leaf, changes included.
    pub(crate) fn find(&self, cache: &NodeCache, leaf: u64) -> Result<Reference, Missing> {
        if self.changed.is_empty() {
            return self.find_committed(cache, leaf);
        }
        let mut reference = self.root;
        for level in (0..self.levels).rev() {
            let place = Place::on_path(leaf, level);
            let slot = slot_of(leaf >> (FANOUT_BITS * u32::from(level)));
            reference = match self.changed.get(&place) {
                Some(node) => node.get(slot),
                _ if reference.is_zero() || reference.is_lost() => return Ok(reference),
                _ => match cache.peek(reference.block) {
                    Some(node) => node.get(slot),
                    None => return Err(Missing { reference, role: self.kind.role(place) }),
                },
            };
        }
        Ok(reference)
    }

    /// What the committed tree says about a leaf.
    fn find_committed(&self, cache: &NodeCache, leaf: u64) -> Result<Reference, Missing> {
        let known = &self.leaves[slot_of(leaf) % LEAVES];
        if let Some(last) = known.get()
            && last.leaf == leaf
            && last.root == self.root
        {
            return Ok(last.found);
        }
        let found = self.search(cache, leaf)?;
        if !found.is_zero() {
            // What was never written is not read: its first fault asks once.
            known.set(Some(Leaf { root: self.root, leaf, found }));
        }
        Ok(found)
    }

    fn search(&self, cache: &NodeCache, leaf: u64) -> Result<Reference, Missing> {
        if let Some(last) = self.remembered.get()
            && leaf.wrapping_sub(last.first) < last.count
            && last.root == self.root
            && let Some(found) = entry(cache, last.reference, slot_of(leaf))
        {
            return Ok(found);
        }
        let branch = Place::on_path(leaf, 1);
        let known = &self.branches[slot_of(branch.ordinal) % BRANCHES];
        let (mut reference, mut level) = match known.get() {
            Some(last) if last.first == branch.first() && last.root == self.root => {
                (last.reference, 1)
            }
            _ => (self.root, self.levels - 1),
        };
        loop {
            let place = Place::on_path(leaf, level);
            let slot = slot_of(leaf >> (FANOUT_BITS * u32::from(level)));
            let found = entry(cache, reference, slot);
            let found = found.ok_or(Missing { reference, role: self.kind.role(place) })?;
            if level == 1 {
                let (first, count) = (place.first(), place.leaves());
                known.set(Some(Remembered { root: self.root, first, count, reference }));
            }
            if level == 0 || reference.is_zero() || reference.is_lost() {
                let (first, count) = (place.first(), place.leaves());
                self.remembered.set(Some(Remembered { root: self.root, first, count, reference }));
                return Ok(found);
            }
            (reference, level) = (found, level - 1);
        }
    }

    /// Changes what the tree says about a leaf and returns what it said. Nothing is changed if a node is missing.
    pub(crate) fn set(
        &mut self,
        cache: &NodeCache,
        leaf: u64,
        value: Reference,
    ) -> Result<Reference, Missing> {
        // Neighbours come one after another: the path has been walked for the first of a node.
        if let Some(node) = self.changed.get_mut(&Place::on_path(leaf, 0)) {
            let slot = slot_of(leaf);
            let before = node.get(slot);
            Arc::make_mut(node).set(slot, value);
            return Ok(before);
        }
        let mut reference = self.root;
        for level in (0..self.levels).rev() {
            let place = Place::on_path(leaf, level);
            let slot = slot_of(leaf >> (FANOUT_BITS * u32::from(level)));
            if !self.changed.contains_key(&place) {
                let node = if reference.is_zero() || reference.is_lost() {
                    Arc::new(Node::filled(reference))
                } else {
                    let role = self.kind.role(place);
                    cache.get(reference.block).ok_or(Missing { reference, role })?
                };
                self.changed.insert(place, node);
            }
            let Some(node) = self.changed.get_mut(&place) else { break };
            reference = node.get(slot);
            if level == 0 {
                Arc::make_mut(node).set(slot, value);
            }
        }
        Ok(reference)
    }

    /// Puts a node in place of one that cannot be read: everything below it is lost. Its ancestors are in the overlay, as
    /// [`Tree::set`] leaves them when it finds the node missing.
    pub(crate) fn lose(&mut self, place: Place, lost: Reference) {
        assert!(place == self.root_place() || self.changed.contains_key(&place.parent()));
        self.changed.insert(place, Arc::new(Node::filled(lost)));
    }

    /// The committed node's reference at a changed place (what the new copy replaces).
    pub(crate) fn committed(&self, cache: &NodeCache, place: Place) -> Reference {
        let mut reference = self.root;
        let mut level = self.levels - 1;
        while level > place.level && !reference.is_zero() {
            let slot = slot_of(place.first() >> (FANOUT_BITS * u32::from(level)));
            reference = cache.peek(reference.block).map_or(Reference::ZERO, |node| node.get(slot));
            level -= 1;
        }
        reference
    }

    /// The changed places of one level, in order.
    pub(crate) fn changed_on(&self, level: u8) -> impl Iterator<Item = Place> + '_ {
        let first = Place { level, ordinal: 0 };
        let last = Place { level, ordinal: u64::MAX };
        self.changed.range(first..=last).map(|(place, _)| *place)
    }

    /// Stores a sealed node's reference in its parent, or yields it if the node is the root.
    pub(crate) fn link(&mut self, place: Place, reference: Reference) -> Option<Reference> {
        if place == self.root_place() {
            return Some(reference);
        }
        let parent = self.changed.get_mut(&place.parent());
        assert!(parent.is_some(), "a changed node's ancestors are in the overlay");
        if let Some(node) = parent {
            Arc::make_mut(node).set(place.slot(), reference);
        }
        None
    }
}

/// An entry of a committed node, if that is in RAM; below a missing or lost node every entry says the same.
fn entry(cache: &NodeCache, node: Reference, slot: usize) -> Option<Reference> {
    if node.is_zero() || node.is_lost() {
        return Some(node);
    }
    cache.peek(node.block).map(|node| node.get(slot))
}

/// Whether a block number of an untrusted reference lies where data may be.
pub(crate) const fn is_inside(block: BlockIndex, area: (u64, u64)) -> bool {
    block.0 >= area.0 && block.0 < area.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use revenant_hal::{Checksum, Epoch};

    fn reference(block: u64) -> Reference {
        Reference {
            block: BlockIndex(block),
            mirror: BlockIndex(0),
            birth: Epoch(1),
            checksum: Checksum(block),
        }
    }

    #[test]
    fn a_tree_finds_what_was_set_and_the_committed_state_is_untouched() {
        let cache = NodeCache::new(64);
        let mut tree = Tree::new(TreeKind::Map, Reference::ZERO, 5);
        let leaves = [0, 1, 127, 128, 70_000, u64::from(u32::MAX)];
        for leaf in leaves {
            assert_eq!(tree.set(&cache, leaf, reference(leaf + 1)), Ok(Reference::ZERO));
        }
        for leaf in leaves {
            assert_eq!(tree.find(&cache, leaf), Ok(reference(leaf + 1)));
        }
        assert_eq!(tree.find(&cache, 2), Ok(Reference::ZERO));
        assert_eq!(tree.changed_on(0).count(), 4);
        assert_eq!(tree.changed_on(4).count(), 1);
        tree.changed.clear();
        assert_eq!(tree.find(&cache, 0), Ok(Reference::ZERO));
    }

    #[test]
    fn a_node_that_is_not_in_ram_is_named() {
        let cache = NodeCache::new(64);
        let tree = Tree::new(TreeKind::Map, reference(500), 5);
        let missing = tree.find(&cache, 300).unwrap_err();
        assert_eq!(missing.reference, reference(500));
        assert_eq!(missing.role, BlockRole::MapNode { level: 4, first: PageIndex(0) });
    }

    #[test]
    fn what_is_remembered_of_a_leaf_is_not_said_of_another_nor_under_another_root() {
        let mut cache = NodeCache::new(64);
        let mut keep = |block: u64, entries: &[(usize, u64)]| {
            let mut node = Node::default();
            entries.iter().for_each(|(slot, child)| node.set(*slot, reference(*child)));
            cache.insert(BlockIndex(block), Arc::new(node));
        };
        keep(100, &[(0, 101), (1, 102)]);
        keep(101, &[(3, 7), (3 + LEAVES, 8)]);
        keep(102, &[(3, 9)]);
        keep(200, &[(0, 201)]);
        keep(201, &[(3, 17)]);
        let mut tree = Tree::new(TreeKind::Map, reference(100), 2);
        for _ in 0..2 {
            assert_eq!(tree.find(&cache, 3), Ok(reference(7)));
            assert_eq!(tree.find(&cache, 3 + LEAVES as u64), Ok(reference(8)));
            assert_eq!(tree.find(&cache, 128 + 3), Ok(reference(9)));
        }
        assert_eq!(tree.find(&cache, 3), Ok(reference(7)));
        tree.root = reference(200);
        assert_eq!(tree.find(&cache, 3), Ok(reference(17)), "a commit has changed it");
        assert_eq!(tree.set(&cache, 3, reference(18)), Ok(reference(17)));
        assert_eq!(
            tree.find(&cache, 3),
            Ok(reference(18)),
            "a change goes before what is committed"
        );
    }

    #[test]
    fn what_is_remembered_of_one_branch_is_not_taken_for_another_and_a_missing_node_is_still_named()
    {
        // Five levels of committed nodes: pages 0 of the branches 0 and BRANCHES, which are remembered in one place.
        let mut cache = NodeCache::new(64);
        let mut keep = |block: u64, entries: &[(usize, u64)]| {
            let mut node = Node::default();
            entries.iter().for_each(|(slot, child)| node.set(*slot, reference(*child)));
            cache.insert(BlockIndex(block), Arc::new(node));
        };
        keep(100, &[(0, 101)]);
        keep(101, &[(0, 102)]);
        keep(102, &[(0, 103), (BRANCHES, 104)]);
        keep(103, &[(0, 105)]);
        keep(104, &[(0, 106)]);
        keep(105, &[(0, 1), (1, 2)]);
        keep(106, &[(0, 3)]);
        let tree = Tree::new(TreeKind::Map, reference(100), 5);
        let far = Place { level: 1, ordinal: BRANCHES as u64 }.first();
        for _ in 0..2 {
            assert_eq!(tree.find(&cache, 0), Ok(reference(1)));
            assert_eq!(tree.find(&cache, far), Ok(reference(3)));
            assert_eq!(tree.find(&cache, far + 1), Ok(Reference::ZERO));
            assert_eq!(tree.find(&cache, 128), Ok(Reference::ZERO));
            assert_eq!(tree.find(&cache, 1), Ok(reference(2)));
        }
        assert_eq!(tree.find(&cache, far), Ok(reference(3)));
        cache.forget(BlockIndex(104));
        let missing = tree.find(&cache, far + 200).unwrap_err();
        assert_eq!(missing.reference, reference(104));
        assert_eq!(missing.role, BlockRole::MapNode { level: 1, first: PageIndex(far) });
    }
}
