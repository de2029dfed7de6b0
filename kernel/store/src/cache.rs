//! Map nodes in RAM, by the block where they stand.
//!
//! Two generations approximate least-recently-used at the cost of a map insertion: a hit in the old one moves the node to
//! the young one; when the young one is full, the old one is dropped and the young one becomes old. Nodes of the commit in
//! the making are held apart until their blocks are on disk. Nodes are immutable: a block never changes while a
//! reference to it is live.
//!
//! Invariants: every node here matched the checksum of the reference by which it was asked for; a block that is handed out
//! again by the allocator is forgotten first.

use crate::reference::Node;
use alloc::{collections::BTreeMap, sync::Arc};
use revenant_hal::BlockIndex;

/// Verified nodes by block.
#[derive(Debug)]
pub(crate) struct NodeCache {
    young: BTreeMap<BlockIndex, Arc<Node>>,
    old: BTreeMap<BlockIndex, Arc<Node>>,
    held: BTreeMap<BlockIndex, Arc<Node>>,
    half: usize,
}

impl NodeCache {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            young: BTreeMap::new(),
            old: BTreeMap::new(),
            held: BTreeMap::new(),
            half: nodes.max(64) / 2,
        }
    }

    /// A node, without touching the order of use.
    pub(crate) fn peek(&self, block: BlockIndex) -> Option<&Arc<Node>> {
        self.young.get(&block).or_else(|| self.held.get(&block)).or_else(|| self.old.get(&block))
    }

    /// A node that was used now.
    pub(crate) fn get(&mut self, block: BlockIndex) -> Option<Arc<Node>> {
        if let Some(node) = self.young.get(&block).or_else(|| self.held.get(&block)) {
            return Some(node.clone());
        }
        let node = self.old.remove(&block)?;
        self.insert(block, node.clone());
        Some(node)
    }

    /// Adds a verified node.
    pub(crate) fn insert(&mut self, block: BlockIndex, node: Arc<Node>) {
        if self.young.len() >= self.half {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(block, node);
    }

    /// Keeps a node that is not on disk yet.
    pub(crate) fn hold(&mut self, block: BlockIndex, node: Arc<Node>) {
        self.forget(block);
        self.held.insert(block, node);
    }

    /// The nodes held are on disk.
    pub(crate) fn release_held(&mut self) {
        for (block, node) in core::mem::take(&mut self.held) {
            self.insert(block, node);
        }
    }

    /// The nodes held were given up.
    pub(crate) fn drop_held(&mut self) {
        self.held.clear();
    }

    /// The block is about to hold something else.
    pub(crate) fn forget(&mut self, block: BlockIndex) {
        self.young.remove(&block);
        self.old.remove(&block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_in_use_stay_and_the_number_is_bounded() {
        let mut cache = NodeCache::new(64);
        cache.hold(BlockIndex(9999), Arc::new(Node::default()));
        for block in 0..1000 {
            cache.insert(BlockIndex(block), Arc::new(Node::default()));
            assert!(cache.get(BlockIndex(0)).is_some(), "used all the time");
            assert!(cache.young.len() + cache.old.len() <= 65);
        }
        assert!(cache.peek(BlockIndex(1)).is_none());
        assert!(cache.peek(BlockIndex(9999)).is_some());
        cache.drop_held();
        assert!(cache.peek(BlockIndex(9999)).is_none());
    }
}
