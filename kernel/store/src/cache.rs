//! Map nodes in RAM, by the block where they stand.
//!
//! A clock approximates least-recently-used: whoever looks at a node marks it; when all places are taken, a hand goes round,
//! takes marks away, and the first node without one goes. So all places are always in use: where the nodes that page-ins at
//! random need are a few more than there are places, only those few are read again.
//!
//! A look costs a hash and a short chain, and may come from a trap: it takes no memory. Nodes of the commit in the making are
//! held apart until their blocks are on disk. Nodes are immutable: a block never changes while a reference to it is live.
//!
//! Invariants: every node here matched the checksum of the reference by which it was asked for; a block that is handed out
//! again by the allocator is forgotten first; a block is in one place or held, never both; each place is on the chain of
//! its block's hash, once.

use crate::reference::Node;
use alloc::{collections::BTreeMap, sync::Arc, vec, vec::Vec};
use core::cell::Cell;
use revenant_hal::BlockIndex;

/// The least number of places, any path of a tree many times over, and chains in the beginning; a power of two.
const LEAST: usize = 64;
/// The end of a chain.
const NOWHERE: u32 = u32::MAX;
/// Spreads block numbers over the chains: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug)]
struct Place {
    block: BlockIndex,
    node: Arc<Node>,
    /// The next place on the same chain.
    next: u32,
    /// Looked at since the hand was here.
    used: Cell<bool>,
}

/// Verified nodes by block.
#[derive(Debug)]
pub(crate) struct NodeCache {
    places: Vec<Place>,
    /// The first place of each chain; a power of two of them, about as many as places.
    chains: Vec<u32>,
    limit: usize,
    hand: usize,
    held: BTreeMap<BlockIndex, Arc<Node>>,
}

impl NodeCache {
    pub(crate) fn new(nodes: usize) -> Self {
        let limit = nodes.max(LEAST).min(NOWHERE as usize - 1);
        let chains = vec![NOWHERE; LEAST];
        Self { places: Vec::new(), chains, limit, hand: 0, held: BTreeMap::new() }
    }

    /// Nodes in RAM, those not on disk yet included.
    pub(crate) fn len(&self) -> usize {
        self.places.len() + self.held.len()
    }

    /// A node, which was used now.
    pub(crate) fn peek(&self, block: BlockIndex) -> Option<&Arc<Node>> {
        let mut at = self.chains[self.chain(block)];
        while let Some(place) = self.places.get(at as usize) {
            if place.block == block {
                place.used.set(true);
                return Some(&place.node);
            }
            at = place.next;
        }
        self.held.get(&block)
    }

    /// A node to keep, which was used now.
    pub(crate) fn get(&self, block: BlockIndex) -> Option<Arc<Node>> {
        self.peek(block).cloned()
    }

    /// Adds a verified node.
    pub(crate) fn insert(&mut self, block: BlockIndex, node: Arc<Node>) {
        self.forget(block);
        if self.places.len() == self.chains.len() && self.places.len() < self.limit {
            self.double_chains();
        }
        let chain = self.chain(block);
        let place = Place { block, node, next: self.chains[chain], used: Cell::new(false) };
        let at = if self.places.len() < self.limit {
            self.places.push(place);
            self.places.len() - 1
        } else {
            let at = self.next_to_go();
            self.unlink(at);
            // The chain may have begun with the one that goes.
            self.places[at] = Place { next: self.chains[chain], ..place };
            self.hand = at + 1;
            at
        };
        self.chains[chain] = number(at);
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
        let found = self.places_of(self.chain(block)).find(|at| self.places[*at].block == block);
        let Some(at) = found else { return };
        self.unlink(at);
        let last = self.places.len() - 1;
        if at < last {
            // The last one moves here.
            self.unlink(last);
            self.places.swap_remove(at);
            let chain = self.chain(self.places[at].block);
            self.places[at].next = core::mem::replace(&mut self.chains[chain], number(at));
        } else {
            self.places.pop();
        }
    }

    fn chain(&self, block: BlockIndex) -> usize {
        let hash = (block.0.wrapping_mul(MULTIPLIER) >> 32) as u32;
        (hash >> (u32::BITS - self.chains.len().trailing_zeros())) as usize
    }

    fn places_of(&self, chain: usize) -> impl Iterator<Item = usize> + '_ {
        let at = |at: u32| (at != NOWHERE).then_some(at as usize);
        core::iter::successors(at(self.chains[chain]), move |place| at(self.places[*place].next))
    }

    fn double_chains(&mut self) {
        self.chains = vec![NOWHERE; 2 * self.chains.len()];
        for at in 0..self.places.len() {
            let chain = self.chain(self.places[at].block);
            self.places[at].next = core::mem::replace(&mut self.chains[chain], number(at));
        }
    }

    /// Takes a place off its chain.
    fn unlink(&mut self, at: usize) {
        let chain = self.chain(self.places[at].block);
        let before = self.places_of(chain).find(|place| self.places[*place].next == number(at));
        let next = self.places[at].next;
        match before {
            Some(before) => self.places[before].next = next,
            None => self.chains[chain] = next,
        }
    }

    /// The place whose node goes; one round takes all marks away.
    fn next_to_go(&mut self) -> usize {
        let count = self.places.len();
        let mut round = (0..=count).map(|step| (self.hand + step) % count);
        round.find(|at| !self.places[*at].used.take()).unwrap_or(0)
    }
}

/// The number of a place: [`NodeCache::new`] has seen to it that it fits.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NOWHERE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use revenant_hal::Epoch;

    #[test]
    fn nodes_in_use_stay_and_the_number_is_bounded() {
        let mut cache = NodeCache::new(64);
        cache.hold(BlockIndex(9999), Arc::new(Node::default()));
        for block in 0..1000 {
            cache.insert(BlockIndex(block), Arc::new(Node::default()));
            assert!(cache.get(BlockIndex(0)).is_some(), "used all the time");
            assert!(cache.places.len() <= 64);
        }
        assert!(cache.peek(BlockIndex(1)).is_none());
        assert!(cache.peek(BlockIndex(9999)).is_some());
        cache.drop_held();
        assert!(cache.peek(BlockIndex(9999)).is_none());
    }

    #[test]
    fn a_few_nodes_too_many_cost_a_few_reads() {
        let mut cache = NodeCache::new(1000);
        let (mut state, mut missing) = (1u64, 0);
        for look in 0..100_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let block = BlockIndex(state % 1050);
            if cache.peek(block).is_none() {
                cache.insert(block, Arc::new(Node::default()));
                missing += u32::from(look >= 10_000);
            }
        }
        assert!(missing < 90_000 / 15, "{missing} of 90,000 looks found nothing");
    }

    #[test]
    fn every_block_has_its_own_node_whatever_was_inserted_held_and_forgotten() {
        let node = |name: u64| {
            let mut node = Node::default();
            let reference = crate::Reference { birth: Epoch(name), ..crate::Reference::ZERO };
            node.set(0, reference);
            Arc::new(node)
        };
        let mut cache = NodeCache::new(100);
        let mut names = BTreeMap::new();
        let mut state = 0x2545_f491_4f6c_dd1du64;
        for name in 0..50_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let block = BlockIndex((state >> 32) % 150);
            match state % 8 {
                0 => {
                    cache.forget(block);
                    assert!(cache.held.contains_key(&block) || cache.peek(block).is_none());
                }
                1 if cache.held.len() < 20 => {
                    cache.hold(block, node(name));
                    names.insert(block, name);
                }
                2 => cache.release_held(),
                _ if !cache.held.contains_key(&block) => {
                    cache.insert(block, node(name));
                    names.insert(block, name);
                    assert!(cache.peek(block).is_some(), "it is there now");
                }
                _ => {}
            }
            let found = cache.peek(block).map(|node| node.get(0).birth.0);
            assert!(found.is_none() || found == names.get(&block).copied(), "step {name}");
            let linked: usize =
                (0..cache.chains.len()).map(|chain| cache.places_of(chain).count()).sum();
            assert_eq!(linked, cache.places.len(), "step {name}: each place is on a chain, once");
        }
    }
}
