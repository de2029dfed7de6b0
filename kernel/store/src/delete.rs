//! Deleting snapshots at the price of what is freed.
//!
//! A block of snapshot S is S's alone if it was born after S's parent P (else P has it too) and S's child N does not name
//! it at the same place (blocks never move, so sharing shows as equal references). Both tests prune whole subtrees: a
//! subtree born up to P, or with equal references in S and N, is not entered. So every node of S that is read is itself
//! freed, and at most one node of N is read beside it: the walk costs what it frees, and never follows the live map into
//! what is shared. The set of dead blocks is thus computed from the two maps by birth when it is wanted; no list of it
//! is kept on disk that could disagree with them (FORMAT.md 7).
//!
//! Invariants: a snapshot with two or more children is hidden, not freed; freed blocks are clear in the commit's
//! allocator and out of reach until the next superblock is durable; below a node that cannot be read nothing is freed,
//! because which blocks are shared cannot be told: they count as used for good. A device that fails may work again, so
//! then the snapshot is hidden and tried again, as long as the table has room for such ones.

use crate::api::{Planted, StoreEvent};
use crate::bitmap::Bitmap;
use crate::commit::{Commit, Phase};
use crate::error::AbandonReason;
use crate::reference::{FANOUT, MAP_LEVELS, Node, Reference};
use crate::reservation;
use crate::retention::Retention;
use crate::snapshot::{MAXIMUM_SNAPSHOTS, SnapshotTable};
use crate::store::Store;
use crate::tree::{Missing, Place, TreeKind, is_inside};
use alloc::{sync::Arc, vec::Vec};
use revenant_hal::{BlockIndex, Epoch, Event};

/// Nodes compared in one step.
const NODES_A_STEP: usize = 32;

/// The same place in the snapshot that goes and in the child that stays.
#[derive(Clone, Copy, Debug)]
struct Pair {
    place: Place,
    gone: Reference,
    kept: Reference,
}

/// A deletion in progress.
#[derive(Debug)]
pub(crate) struct Deletion {
    epoch: Epoch,
    parent: Epoch,
    pairs: Vec<Pair>,
    dead: Bitmap,
    /// A block that two references name, or that lies outside the data area.
    strange: Option<BlockIndex>,
    /// Nodes looked at, for the test that the cost follows the yield.
    visited: u64,
}

impl Store {
    /// Goes on dropping history; chooses the next snapshot when one is done.
    pub(crate) fn step_delete(&mut self, commit: &mut Commit) -> Result<bool, AbandonReason> {
        let Some(mut deletion) = commit.deletion.take() else {
            match self.choose_deletion(commit) {
                Some(epoch) => commit.deletion = self.begin_deletion(commit, epoch),
                None => commit.phase = Phase::Free,
            }
            return Ok(true);
        };
        let mut blocked = Vec::new();
        for _ in 0..NODES_A_STEP {
            let Some(pair) = deletion.pairs.pop() else { break };
            match self.compare(&mut deletion, pair) {
                Ok(()) => {}
                Err(missing) => match self.need(missing) {
                    Ok(()) => blocked.push(pair),
                    Err(damage) if damage.device_error.is_some() && has_room(&commit.table) => {
                        commit.undeletable.push(deletion.epoch);
                        hide(commit, deletion.epoch);
                        return Ok(true);
                    }
                    Err(_) => leave_alone(&mut deletion, pair, missing.reference),
                },
            }
        }
        let waiting = !blocked.is_empty();
        deletion.pairs.extend(blocked);
        if deletion.pairs.is_empty() {
            self.end_deletion(commit, deletion)?;
            return Ok(true);
        }
        commit.deletion = Some(deletion);
        Ok(!waiting)
    }

    /// The next snapshot to go: asked for, left alone at a former fork, beyond retention, or the oldest when space is
    /// short.
    fn choose_deletion(&self, commit: &mut Commit) -> Option<Epoch> {
        let newest = commit.target.map_or(self.superblock.epoch, |target| target.epoch);
        let collector = commit.requests.collector_pin.map(|pin| pin.epoch);
        let kept = |commit: &Commit, epoch: Epoch| {
            let pinned = commit.table.get(epoch).is_none_or(|snapshot| snapshot.pinned);
            pinned || epoch == newest || Some(epoch) == collector
        };
        let mut wanted: Vec<Epoch> = commit.requests.deletions.iter().copied().collect();
        let options = &self.request.options;
        let stored = commit.requests.retention.unwrap_or(Retention::DEFAULT);
        let expired = commit.table.expired(newest, stored.overridden(options.retention));
        // A commit that changes nothing else would write bitmaps for this alone.
        let idle = commit.data.updates.is_empty();
        let together = options.deleted_together.max(1) as usize;
        commit.expiring |= expired.len() >= if idle { 2 * together - 1 } else { together };
        if commit.expiring {
            wanted.extend(expired);
        }
        for epoch in wanted {
            let forked = commit.table.children(epoch).count() > 1;
            if forked && !kept(commit, epoch) {
                hide(commit, epoch);
            } else if !kept(commit, epoch) && !commit.undeletable.contains(&epoch) {
                return Some(epoch);
            }
        }
        let alone = commit.table.entries().iter().find(|entry| {
            entry.hidden
                && commit.table.children(entry.epoch).count() <= 1
                && !commit.undeletable.contains(&entry.epoch)
                && !kept(commit, entry.epoch)
        });
        if let Some(entry) = alone {
            return Some(entry.epoch);
        }
        let short = commit.table.is_overfull() || self.is_short(commit);
        let oldest = commit.table.oldest_droppable(newest, collector).filter(|_| short)?;
        (!commit.undeletable.contains(&oldest)).then_some(oldest)
    }

    /// Whether space stays short even when everything freed so far has come back.
    fn is_short(&self, commit: &Commit) -> bool {
        let space = self.space();
        let reserve = reservation::allocation_reserve(self.superblock.layout, self.uncharged_pages);
        space.available + space.quarantined + commit.freed < reserve
    }

    fn begin_deletion(&self, commit: &Commit, epoch: Epoch) -> Option<Deletion> {
        let snapshot = commit.table.get(epoch)?;
        let kept = commit.table.children(epoch).next().map_or(Reference::ZERO, |child| child.root);
        let place = Place { level: MAP_LEVELS - 1, ordinal: 0 };
        let mut deletion = Deletion {
            epoch,
            parent: snapshot.parent,
            pairs: Vec::new(),
            dead: Bitmap::new(self.superblock.layout.bitmap_leaves()),
            strange: None,
            visited: 0,
        };
        self.consider(&mut deletion, Pair { place, gone: snapshot.root, kept }, true);
        Some(deletion)
    }

    /// Drops what the parent or the child has too; notes what is dead, and nodes for a closer look.
    fn consider(&self, deletion: &mut Deletion, pair: Pair, is_node: bool) {
        let older = match self.planted {
            Planted::BirthTestDropped => false,
            Planted::BirthOffByOne => pair.gone.birth < deletion.parent,
            _ => pair.gone.birth <= deletion.parent,
        };
        let nothing = pair.gone.is_zero() || pair.gone.is_lost();
        if nothing || older || pair.gone == pair.kept {
            return;
        }
        let area = self.superblock.layout.data_area();
        for block in pair.gone.blocks() {
            if is_inside(block, area) && !deletion.dead.get(block.0) {
                deletion.dead.set(block.0);
            } else {
                deletion.strange.get_or_insert(block);
            }
        }
        if is_node {
            deletion.pairs.push(pair);
        }
    }

    fn compare(&mut self, deletion: &mut Deletion, pair: Pair) -> Result<(), Missing> {
        let gone = self.node(pair.place, pair.gone)?;
        let nothing = pair.kept.is_zero() || pair.kept.is_lost();
        let kept = if nothing { None } else { Some(self.node(pair.place, pair.kept)?) };
        deletion.visited += 1;
        for slot in 0..FANOUT {
            let pair = Pair {
                place: pair.place.child(slot),
                gone: gone.get(slot),
                kept: kept.as_ref().map_or(Reference::ZERO, |node| node.get(slot)),
            };
            // The children of a level-0 node are pages: no level is left for them.
            self.consider(deletion, pair, pair.place.level < MAP_LEVELS);
        }
        Ok(())
    }

    fn node(&mut self, place: Place, reference: Reference) -> Result<Arc<Node>, Missing> {
        let missing = Missing { reference, role: TreeKind::Map.role(place) };
        self.cache.get(reference.block).ok_or(missing)
    }

    fn end_deletion(
        &mut self,
        commit: &mut Commit,
        deletion: Deletion,
    ) -> Result<(), AbandonReason> {
        if let Some(block) = deletion.strange {
            return Err(AbandonReason::InconsistentAllocator(block));
        }
        let blocks = deletion.dead.count();
        let (start, end) = self.superblock.layout.data_area();
        let mut at = deletion.dead.first_set(start, end);
        while at < end {
            let freed = self.allocator.free(BlockIndex(at));
            freed.map_err(|error| AbandonReason::InconsistentAllocator(error.0))?;
            at = deletion.dead.first_set(at + 1, end);
        }
        commit.freed += blocks;
        commit.table.remove(deletion.epoch);
        self.nodes_visited_by_deletion += deletion.visited;
        let event = Event::Deleted { epoch: deletion.epoch, blocks };
        self.events.push_back(StoreEvent::Report(event));
        Ok(())
    }

    /// Map nodes of deleted snapshots that were looked at since the store was opened.
    #[must_use]
    pub fn nodes_visited_by_deletion(&self) -> u64 {
        self.nodes_visited_by_deletion
    }
}

/// Whether snapshots that wait for a device that fails may stay in the table: half of it is theirs.
fn has_room(table: &SnapshotTable) -> bool {
    table.entries().len() < MAXIMUM_SNAPSHOTS / 2
}

/// One of two nodes cannot be read: nothing below is freed, nor the blocks that are bad themselves.
fn leave_alone(deletion: &mut Deletion, pair: Pair, unreadable: Reference) {
    if unreadable == pair.gone {
        for block in pair.gone.blocks() {
            deletion.dead.clear(block.0);
        }
    }
}

fn hide(commit: &mut Commit, epoch: Epoch) {
    if let Some(snapshot) = commit.table.get_mut(epoch) {
        snapshot.hidden = true;
    }
}
