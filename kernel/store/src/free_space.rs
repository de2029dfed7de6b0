//! The allocator's bitmaps on disk: a small tree of the same nodes as the page maps, every leaf and node stored twice.
//!
//! Sealing is a fixed point: writing a changed leaf takes two blocks and gives back those of its old copies, which may
//! change further leaves. It ends because every leaf is written at most once.
//!
//! A leaf of which no copy can be read says nothing about its blocks: they all count as used, those of its copies too, and
//! the next commit writes a new leaf that says so. Blocks that a map is known to drop are free again all the same.
//!
//! Invariants: the tree of generation g marks exactly what superblock g reaches, its own blocks included; births in this
//! tree are generations, because a commit without a snapshot has no epoch of its own.

use crate::allocator::Allocator;
use crate::cache::NodeCache;
use crate::checksum::checksum;
use crate::error::{BlockRole, DamagedBlock, NoSpace};
use crate::io::Io;
use crate::layout::Layout;
use crate::reference::{FANOUT, Node, Reference};
use crate::tree::{Place, Tree, TreeKind};
use crate::verified::VerifiedReads;
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::ops::Range;
use revenant_hal::{BlockIndex, DiskCompletion, Epoch, Generation, PageBytes};

/// A sealed tree: its root, and the blocks to write.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) root: Reference,
    pub(crate) writes: Vec<(BlockIndex, Box<PageBytes>)>,
}

/// Why a tree could not be sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SealError {
    NoSpace,
    /// The old tree names a block that is not allocated.
    NotAllocated(BlockIndex),
}

impl From<NoSpace> for SealError {
    fn from(_: NoSpace) -> Self {
        Self::NoSpace
    }
}

/// The free-space tree of a store, with all its nodes in RAM.
#[derive(Debug)]
pub(crate) struct FreeSpace {
    pub(crate) tree: Tree,
    pub(crate) nodes: NodeCache,
    /// Leaves and nodes that could not be read: their blocks are never used again.
    unreadable: BTreeSet<BlockIndex>,
}

impl FreeSpace {
    pub(crate) fn new(root: Reference, levels: u8) -> Self {
        let tree = Tree::new(TreeKind::FreeSpace, root, levels);
        // Never evicted: a 64 TiB store has 4200 of them.
        Self { tree, nodes: NodeCache::new(usize::MAX), unreadable: BTreeSet::new() }
    }

    /// A leaf (`level` none) or node cannot be read. Whoever changes something below it begins with an empty node.
    fn lose(&mut self, level: Option<u8>, reference: Reference) {
        self.unreadable.insert(reference.block);
        if level.is_some() {
            self.nodes.insert(reference.block, Arc::new(Node::default()));
        }
    }

    /// Frees an old copy, if it was readable, and takes two distant blocks for the new one.
    fn replace(
        &self,
        allocator: &mut Allocator,
        old: Reference,
    ) -> Result<(BlockIndex, BlockIndex), SealError> {
        for block in old.blocks().filter(|_| !self.unreadable.contains(&old.block)) {
            allocator.free(block).map_err(|error| SealError::NotAllocated(error.0))?;
        }
        let block = allocator.allocate(1).ok_or(SealError::NoSpace)?;
        let mirror = allocator.allocate_far_from(block.start, 1).ok_or(SealError::NoSpace)?;
        Ok((BlockIndex(block.start), BlockIndex(mirror.start)))
    }

    /// Gives every changed leaf and node its blocks, and says what to write.
    pub(crate) fn seal(
        &mut self,
        allocator: &mut Allocator,
        generation: Generation,
    ) -> Result<Sealed, SealError> {
        let mut leaves: BTreeMap<u64, (BlockIndex, BlockIndex)> = BTreeMap::new();
        let mut nodes: BTreeMap<Place, (BlockIndex, BlockIndex)> = BTreeMap::new();
        loop {
            let fresh: Vec<u64> =
                allocator.touched().iter().copied().filter(|l| !leaves.contains_key(l)).collect();
            for leaf in &fresh {
                let old = self
                    .tree
                    .set(&self.nodes, *leaf, Reference::ZERO)
                    .map_err(|missing| SealError::NotAllocated(missing.reference.block))?;
                leaves.insert(*leaf, self.replace(allocator, old)?);
            }
            let changed: BTreeSet<Place> = self.tree.changed.keys().copied().collect();
            let changed: Vec<Place> =
                changed.into_iter().filter(|place| !nodes.contains_key(place)).collect();
            for place in &changed {
                let old = self.tree.committed(&self.nodes, *place);
                nodes.insert(*place, self.replace(allocator, old)?);
            }
            if fresh.is_empty() && changed.is_empty() {
                break;
            }
        }
        self.write(allocator, generation, &leaves, &nodes)
    }

    /// All blocks are chosen: encodes leaves and nodes, leaves first.
    fn write(
        &mut self,
        allocator: &Allocator,
        generation: Generation,
        leaves: &BTreeMap<u64, (BlockIndex, BlockIndex)>,
        nodes: &BTreeMap<Place, (BlockIndex, BlockIndex)>,
    ) -> Result<Sealed, SealError> {
        let mut writes = Vec::new();
        let mut root = self.tree.root;
        let birth = Epoch(generation.0);
        for (leaf, (block, mirror)) in leaves {
            let page = allocator.next().encode_leaf(*leaf);
            let reference =
                Reference { block: *block, mirror: *mirror, birth, checksum: checksum(&page) };
            let set = self.tree.set(&self.nodes, *leaf, reference);
            assert!(set.is_ok(), "the path of a leaf that was set before is in the overlay");
            writes.push((*mirror, page.clone()));
            writes.push((*block, page));
        }
        for (place, (block, mirror)) in nodes {
            let Some(node) = self.tree.changed.get(place).cloned() else { continue };
            let reference =
                Reference { block: *block, mirror: *mirror, birth, checksum: checksum(&node.0) };
            if let Some(new_root) = self.tree.link(*place, reference) {
                root = new_root;
            }
            writes.push((*mirror, node.0.clone()));
            writes.push((*block, node.0.clone()));
            self.nodes.hold(*block, node);
        }
        Ok(Sealed { root, writes })
    }

    /// The superblock is durable.
    pub(crate) fn commit(&mut self, root: Reference) {
        self.tree.root = root;
        self.tree.changed.clear();
        self.nodes.release_held();
    }

    /// The commit was given up.
    pub(crate) fn abandon(&mut self) {
        self.tree.changed.clear();
        self.nodes.drop_held();
    }
}

/// Which bitmap a block being read belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Current,
    Previous,
}

/// A place of both trees: a node, or a leaf if there is no level.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Level of the node; none for a bitmap.
    level: Option<u8>,
    ordinal: u64,
    current: Reference,
    previous: Reference,
}

/// Leaves that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct LostLeaves {
    pub(crate) leaves: Range<u64>,
    pub(crate) damage: DamagedBlock,
}

/// Loads the bitmaps of the two newest superblocks while programs run already. Where both name the same block it is read
/// once.
#[derive(Debug)]
pub(crate) struct FreeSpaceLoader {
    waiting: Vec<Pair>,
    /// Bitmaps of the store: an ordinal from the disk may be anything.
    leaves: u64,
    reads: VerifiedReads<(Pair, Side)>,
    /// Nodes of which only one side is there yet.
    halves: BTreeMap<(u8, u64), (Option<Node>, Option<Node>)>,
    /// The root cannot be read.
    pub(crate) damage: Option<DamagedBlock>,
    /// Leaves of the newest tree that cannot be read: what they describe counts as used.
    pub(crate) lost: Vec<LostLeaves>,
    top: u8,
    /// The allocator of the generation before cannot be read. Then that generation is not whole any more (it is protected
    /// only while it is the second newest), and there is nothing of it to protect.
    pub(crate) previous_lost: bool,
}

impl FreeSpaceLoader {
    pub(crate) fn new(
        layout: Layout,
        current: Reference,
        previous: Reference,
        believe: bool,
    ) -> Self {
        let level = Some(layout.bitmap_levels() - 1);
        let root = Pair { level, ordinal: 0, current, previous };
        let mut reads = VerifiedReads::new();
        reads.believe = believe;
        Self {
            waiting: alloc::vec![root],
            leaves: layout.bitmap_leaves(),
            reads,
            halves: BTreeMap::new(),
            damage: None,
            lost: Vec::new(),
            top: layout.bitmap_levels() - 1,
            previous_lost: false,
        }
    }

    /// Starts reads; true when everything is loaded.
    pub(crate) fn step(&mut self, io: &mut Io) -> bool {
        // Two at a time; a device that takes one at a time gets the other later.
        while io.room() > 1 || io.is_idle() {
            let Some(pair) = self.waiting.pop() else { break };
            self.reads.start(io, (pair, Side::Current), pair.current, BlockRole::FreeSpace);
            if pair.previous != pair.current && !pair.previous.is_zero() {
                self.reads.start(io, (pair, Side::Previous), pair.previous, BlockRole::FreeSpace);
            }
        }
        self.waiting.is_empty() && self.reads.is_empty()
    }

    pub(crate) fn owns(&self, completion: &DiskCompletion) -> bool {
        self.reads.owns(completion)
    }

    pub(crate) fn complete(
        &mut self,
        io: &mut Io,
        completion: DiskCompletion,
        space: &mut FreeSpace,
        allocator: &mut Allocator,
    ) {
        let Some(((pair, side), _, result)) = self.reads.complete(io, completion) else { return };
        let page = match result {
            Ok(page) => page,
            Err(_) if side == Side::Previous => {
                self.previous_lost = true;
                if let Some(level) = pair.level {
                    let half = self.halves.entry((level, pair.ordinal)).or_default();
                    half.1 = Some(half.0.clone().unwrap_or_default());
                    self.expand_if_complete(level, pair.ordinal);
                }
                return;
            }
            Err(damage) if pair.level == Some(self.top) => {
                self.damage = Some(damage);
                return;
            }
            Err(damage) => {
                let width = pair.level.map_or(1, |level| (FANOUT as u64).pow(u32::from(level) + 1));
                let first = pair.ordinal * width;
                let end = (first + width).min(self.leaves);
                self.lost.push(LostLeaves { leaves: first..end, damage });
                space.lose(pair.level, pair.current);
                return;
            }
        };
        let both = pair.previous == pair.current || pair.previous.is_zero();
        let Some(level) = pair.level else {
            if side == Side::Current {
                allocator.load_current(pair.ordinal, &page);
            }
            if both || side == Side::Previous {
                allocator.load_previous(pair.ordinal, &page);
            }
            return;
        };
        let half = self.halves.entry((level, pair.ordinal)).or_default();
        let node = Node(page);
        if side == Side::Current {
            space.nodes.insert(pair.current.block, Arc::new(node.clone()));
            half.0 = Some(node.clone());
        }
        if both || side == Side::Previous {
            half.1 = Some(node);
        }
        self.expand_if_complete(level, pair.ordinal);
    }

    fn expand_if_complete(&mut self, level: u8, ordinal: u64) {
        if let Some((Some(current), Some(previous))) = self.halves.get(&(level, ordinal)) {
            let (current, previous) = (current.clone(), previous.clone());
            self.halves.remove(&(level, ordinal));
            self.expand(level, ordinal, &current, &previous);
        }
    }

    fn expand(&mut self, level: u8, ordinal: u64, current: &Node, previous: &Node) {
        for (slot, (current, previous)) in
            (0..FANOUT as u64).zip(current.references().zip(previous.references()))
        {
            let level = level.checked_sub(1);
            let ordinal = ordinal * FANOUT as u64 + slot;
            let exists = level.is_some() || ordinal < self.leaves;
            if !current.is_zero() && exists {
                self.waiting.push(Pair { level, ordinal, current, previous });
            }
        }
    }
}
