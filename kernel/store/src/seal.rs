//! Sealing: the changes of a commit become nodes with blocks and checksums, leaves first, and a new root; then the
//! allocator's own tree.
//!
//! Invariants: a node is written after everything it names has its place and checksum; primary copies stand in runs of
//! neighbours, second copies of nodes above the leaves half the disk further on; at most [`NODES_A_STEP`] nodes a step.

use crate::commit::{Commit, Job, Phase};
use crate::error::AbandonReason;
use crate::free_space::SealError;
use crate::reference::{Node, Reference, checksum};
use crate::store::Store;
use crate::tree::Place;
use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use revenant_hal::{BlockIndex, Epoch, PageBytes, PageIndex};

/// Nodes sealed, and pages applied, in one step: a quarter of a MiB to checksum.
const NODES_A_STEP: usize = 64;
/// Pages applied to the map in one step.
const PAGES_A_STEP: usize = 256;

/// How far the sealing of the map has come.
#[derive(Debug, Default)]
pub(crate) struct Sealing {
    /// Pages still to be entered in the map; none before Apply begins.
    pages: Option<VecDeque<(PageIndex, Reference)>>,
    /// The level whose nodes are in `places`.
    level: Option<u8>,
    places: VecDeque<Place>,
}

impl Store {
    /// Enters the pages in the map.
    pub(crate) fn step_apply(&mut self, commit: &mut Commit) -> Result<bool, AbandonReason> {
        if commit.sealing.pages.is_none() {
            let pages = commit.data.updates.iter().map(|(page, found)| (*page, *found)).collect();
            commit.sealing.pages = Some(pages);
        }
        let Some(mut pages) = commit.sealing.pages.take() else { return Ok(false) };
        let mut blocked = Vec::new();
        for _ in 0..PAGES_A_STEP.min(pages.len()) {
            let Some((page, reference)) = pages.pop_front() else { break };
            match self.map.set(&mut self.cache, page.0, reference) {
                Ok(before) => commit.pages_changed(before, reference),
                Err(missing) => {
                    self.need(missing).map_err(AbandonReason::Damaged)?;
                    blocked.push((page, reference));
                    if self.node_reads.len() >= self.io.depth() {
                        break;
                    }
                }
            }
        }
        let waiting = !blocked.is_empty();
        pages.extend(blocked);
        if pages.is_empty() {
            commit.phase = Phase::Seal;
        }
        commit.sealing.pages = Some(pages);
        Ok(!waiting)
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
        nodes: Vec<(Place, Node)>,
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
            self.cache.hold(block, Arc::new(node));
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
