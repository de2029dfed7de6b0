//! Sealing: the changes of a commit become nodes with blocks and checksums, leaves first, and a new root; then the
//! allocator's own tree.
//!
//! Invariants: a node is written after everything it names has its place and checksum; primary copies stand in runs of
//! neighbours, second copies of nodes above the leaves half the disk further on; at most [`NODES_A_STEP`] nodes a step.

use crate::api::{Planted, StoreEvent};
use crate::checksum::checksum;
use crate::commit::{Commit, Job, Phase};
use crate::error::{AbandonReason, BlockRole, DamagedBlock};
use crate::free_space::SealError;
use crate::reference::{Node, Reference};
use crate::store::Store;
use crate::tree::{Missing, Place};
use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use revenant_hal::{BlockIndex, Epoch, Event, PageBytes, PageIndex};

/// Nodes sealed, and pages applied, in one step: a quarter of a MiB to checksum.
const NODES_A_STEP: usize = 64;
/// Blocks of nodes in the device or its queue at once: 2 MiB.
const NODES_IN_FLIGHT: u64 = 512;
/// Pages applied to the map in one step.
const PAGES_A_STEP: usize = 256;

/// How far the sealing of the map has come.
#[derive(Debug, Default)]
pub(crate) struct Sealing {
    /// All pages discarded in the epoch are in the map; those written come after, and win.
    discarded: bool,
    /// The first page still to be entered in the map.
    next_page: PageIndex,
    /// The level whose nodes are in `places`.
    level: Option<u8>,
    places: VecDeque<Place>,
}

/// What entering a reference in place of another adds to the number of pages with content.
fn difference(before: Reference, after: Reference) -> i64 {
    i64::from(before.is_zero()) - i64::from(after.is_zero())
}

impl Store {
    /// Enters the pages in the map.
    pub(crate) fn step_apply(&mut self, commit: &mut Commit) -> Result<bool, AbandonReason> {
        let Some(target) = commit.target else {
            commit.phase = Phase::Seal;
            return Ok(true);
        };
        let (mut first_blocked, mut next, mut changed) = (None, None, 0);
        let mut lost = Vec::new();
        for (page, reference) in self.pages_to_apply(commit) {
            match self.enter(page, reference) {
                Ok(before) => changed += difference(before, reference),
                Err(missing) => {
                    if let Err(damage) = self.need(missing) {
                        self.lose_node(target.epoch, page, missing, damage)?;
                        lost.push(missing.reference);
                    }
                    first_blocked.get_or_insert(page);
                    if self.node_reads.len() >= self.io.depth() {
                        break;
                    }
                }
            }
            next = Some(PageIndex(page.0 + 1));
        }
        commit.pages += changed;
        let progress = first_blocked.is_none() || !lost.is_empty();
        for reference in lost {
            commit.table.keep_before(self.superblock.epoch, reference.birth);
        }
        // What stands behind a page that waits is entered again, to no effect.
        match first_blocked.or(next) {
            Some(page) => commit.sealing.next_page = page,
            None if commit.sealing.discarded => commit.phase = Phase::Seal,
            None => {
                commit.sealing.discarded = true;
                commit.sealing.next_page = PageIndex(0);
            }
        }
        Ok(progress)
    }

    /// The next pages to enter in the map: first those discarded, then those written.
    fn pages_to_apply(&self, commit: &Commit) -> Vec<(PageIndex, Reference)> {
        let next = commit.sealing.next_page;
        if commit.sealing.discarded || self.planted == Planted::DiscardNotCommitted {
            let pages = commit.data.updates.range(next..).take(PAGES_A_STEP);
            pages.map(|(page, reference)| (*page, *reference)).collect()
        } else {
            let pages = commit.discards.pages_from(next).take(PAGES_A_STEP);
            pages.map(|page| (page, Reference::ZERO)).collect()
        }
    }

    /// Enters a reference in the map and returns the one before. A zero in place of a zero changes no node.
    fn enter(&mut self, page: PageIndex, reference: Reference) -> Result<Reference, Missing> {
        let zero = reference.is_zero()
            && self.map.find(&self.cache, page.0).is_ok_and(|found| found.is_zero());
        if zero {
            return Ok(Reference::ZERO);
        }
        self.map.set(&self.cache, page.0, reference)
    }

    /// A node above a changed page cannot be read: what it named is lost, and nothing else. A device that fails may work
    /// again, so then the snapshot is given up instead, as long as that does not make the store read-only. Without its
    /// root a map has nothing left that would be worth a snapshot.
    fn lose_node(
        &mut self,
        epoch: Epoch,
        page: PageIndex,
        missing: Missing,
        damage: DamagedBlock,
    ) -> Result<(), AbandonReason> {
        let damaged = AbandonReason::Damaged(damage);
        let BlockRole::MapNode { level, first } = missing.role else { return Err(damaged) };
        let place = Place::on_path(page.0, level);
        let more_chances = self.failures + 1 < self.request.options.failures_until_read_only;
        if place == self.map.root_place() || damage.device_error.is_some() && more_chances {
            return Err(damaged);
        }
        self.map.lose(place, Reference::lost(damage.block, epoch));
        let event = Event::PagesLost { first, count: place.leaves(), block: damage.block };
        self.events.push_back(StoreEvent::Report(event));
        Ok(())
    }

    /// Gives the next changed nodes of the map their blocks.
    pub(crate) fn step_seal(&mut self, commit: &mut Commit) -> Result<bool, AbandonReason> {
        if commit.sealing.places.is_empty() {
            let level = commit.sealing.level.map_or(0, |level| level + 1);
            if level >= self.map.levels {
                self.push_snapshot(commit);
                commit.phase = Phase::Delete;
                return Ok(true);
            }
            commit.sealing.level = Some(level);
            commit.sealing.places = self.map.changed_on(level).collect();
            return Ok(true);
        }
        if commit.nodes_in_flight >= NODES_IN_FLIGHT {
            return Ok(false); // the copies on their way take memory
        }
        let Some(target) = commit.target else { return Ok(true) };
        let count = commit.sealing.places.len().min(NODES_A_STEP);
        let places: Vec<Place> = commit.sealing.places.drain(..count).collect();
        let mut nodes = Vec::new();
        for place in places {
            let Some(node) = self.map.changed.get(&place).cloned() else { continue };
            if node.references().all(|reference| reference.is_zero()) {
                self.link(commit, place, Reference::ZERO);
            } else {
                nodes.push((place, node));
            }
        }
        self.place_nodes(commit, nodes, target.epoch)?;
        Ok(true)
    }

    fn place_nodes(
        &mut self,
        commit: &mut Commit,
        nodes: Vec<(Place, Arc<Node>)>,
        birth: Epoch,
    ) -> Result<(), AbandonReason> {
        let mut writes = Vec::new();
        let mut blocks = VecDeque::new();
        let mut left = nodes.len() as u64;
        for (place, node) in nodes {
            if blocks.is_empty() {
                let run = self.allocator.allocate(left).ok_or(AbandonReason::NoSpace)?;
                left -= run.length;
                blocks.extend(run.blocks());
            }
            let Some(block) = blocks.pop_front() else { return Err(AbandonReason::NoSpace) };
            let checksum = checksum(&node.0);
            let mut reference = Reference { block, mirror: BlockIndex(0), birth, checksum };
            if place.level > 0 {
                let far = self.allocator.allocate_far_from(block.0, 1);
                reference.mirror = BlockIndex(far.ok_or(AbandonReason::NoSpace)?.start);
                self.note_written(commit, reference.mirror, checksum);
                writes.push((reference.mirror, node.0.clone()));
            }
            self.note_written(commit, block, checksum);
            writes.push((block, node.0.clone()));
            self.cache.hold(block, node);
            self.link(commit, place, reference);
        }
        self.write_merged(commit, writes);
        Ok(())
    }

    fn link(&mut self, commit: &mut Commit, place: Place, reference: Reference) {
        if let Some(root) = self.map.link(place, reference) {
            commit.root = root;
        }
    }

    /// Submits blocks, neighbours in one request.
    fn write_merged(&mut self, commit: &mut Commit, mut writes: Vec<(BlockIndex, Box<PageBytes>)>) {
        writes.sort_unstable_by_key(|(block, _)| *block);
        commit.nodes_in_flight += writes.len() as u64;
        let mut start = BlockIndex(0);
        let mut batch: Vec<Box<PageBytes>> = Vec::new();
        for (block, page) in writes {
            let adjacent = start.0 + batch.len() as u64 == block.0;
            let split = !adjacent || batch.len() >= self.io.per_request();
            if split && !batch.is_empty() {
                let tag = self.io.write(start, core::mem::take(&mut batch));
                commit.jobs.insert(tag, Job::Node);
            }
            if batch.is_empty() {
                start = block;
            }
            batch.push(page);
        }
        if !batch.is_empty() {
            let tag = self.io.write(start, batch);
            commit.jobs.insert(tag, Job::Node);
        }
    }

    /// Seals the allocator's tree: everything else of the commit has its blocks by now.
    pub(crate) fn step_free(&mut self, commit: &mut Commit) -> Result<bool, AbandonReason> {
        for block in core::mem::take(&mut commit.data.superseded) {
            self.allocator.free(block).map_err(|_| AbandonReason::NoSpace)?;
        }
        if commit.table.is_overfull() {
            return Err(AbandonReason::TooManySnapshots);
        }
        let generation = self.free_generation();
        let sealed =
            self.free.seal(&mut self.allocator, generation).map_err(|error| match error {
                SealError::NoSpace => AbandonReason::NoSpace,
                SealError::NotAllocated(block) => AbandonReason::InconsistentAllocator(block),
            })?;
        commit.free_root = sealed.root;
        for (block, page) in &sealed.writes {
            self.note_written(commit, *block, checksum(page));
        }
        self.write_merged(commit, sealed.writes);
        commit.phase = Phase::Drain;
        Ok(true)
    }
}
