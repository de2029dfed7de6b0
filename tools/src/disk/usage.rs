//! How much each snapshot holds, and how much it shares: a walk over the map nodes of all snapshots, without the pages.
//!
//! Invariant: a node that does not match its checksum is skipped and counted, never followed.

use super::file_disk::FileDisk;
use super::image::read_block;
use revenant_hal::{BlockIndex, Epoch};
use revenant_store::{MAP_LEVELS, Node, Reference, Superblock};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Blocks of one snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Blocks that the snapshot reaches: pages and map nodes, second copies included.
    pub reached: u64,
    /// Of these, blocks that no other snapshot reaches: what deleting it frees.
    pub alone: u64,
    /// Nodes that could not be read.
    pub unreadable: u64,
    /// Marks of loss: pages, or everything below a node, whose node could not be read and was replaced.
    pub lost: u64,
}

/// Blocks of all snapshots together, each counted once, second copies included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kinds {
    /// Pages.
    pub pages: u64,
    /// Nodes of page maps.
    pub nodes: u64,
}

struct Walk<'disk> {
    disk: &'disk mut FileDisk,
    nodes: BTreeMap<BlockIndex, Option<Rc<Node>>>,
    /// For each block: how many snapshots reach it, and the last one that did.
    holders: BTreeMap<BlockIndex, (u32, usize)>,
    kinds: Kinds,
    usage: Vec<Usage>,
}

/// The usage of every snapshot in the table, in its order, and of all together by kind.
pub fn usage(disk: &mut FileDisk, superblock: &Superblock) -> (Vec<(Epoch, Usage)>, Kinds) {
    let entries = superblock.snapshots.entries();
    let usage = vec![Usage::default(); entries.len()];
    let (nodes, holders, kinds) = (BTreeMap::new(), BTreeMap::new(), Kinds::default());
    let mut walk = Walk { disk, nodes, holders, kinds, usage };
    for (number, entry) in entries.iter().enumerate() {
        walk.visit(number, entry.root, MAP_LEVELS);
    }
    for (holders, last) in walk.holders.values() {
        if *holders == 1 {
            walk.usage[*last].alone += 1;
        }
    }
    let kinds = walk.kinds;
    (entries.iter().map(|entry| entry.epoch).zip(walk.usage).collect(), kinds)
}

impl Walk<'_> {
    /// `levels` of nodes below and including this block; 0 for a page.
    fn visit(&mut self, snapshot: usize, reference: Reference, levels: u8) {
        if reference.is_zero() {
            return;
        }
        if reference.is_lost() {
            self.usage[snapshot].lost += 1;
            return;
        }
        for block in reference.blocks() {
            self.usage[snapshot].reached += 1;
            let holder = self.holders.entry(block).or_insert((0, snapshot));
            if holder.0 == 0 {
                let kind = if levels == 0 { &mut self.kinds.pages } else { &mut self.kinds.nodes };
                *kind += 1;
            }
            *holder = (holder.0 + 1, snapshot);
        }
        let Some(below) = levels.checked_sub(1) else { return };
        let Some(node) = self.node(reference) else {
            self.usage[snapshot].unreadable += 1;
            return;
        };
        for child in node.references() {
            self.visit(snapshot, child, below);
        }
    }

    fn node(&mut self, reference: Reference) -> Option<Rc<Node>> {
        if let Some(known) = self.nodes.get(&reference.block) {
            return known.clone();
        }
        let disk = &mut *self.disk;
        let good = reference.blocks().find_map(|block| {
            read_block(disk, block).filter(|page| reference.matches(page)).map(Node)
        });
        let node = good.map(Rc::new);
        self.nodes.insert(reference.block, node.clone());
        node
    }
}
