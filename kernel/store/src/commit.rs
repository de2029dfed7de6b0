//! A commit: from frozen pages to a durable superblock, or to nothing.
//!
//! ```text
//!   Collect --finish--> Merge -> Apply -> Seal -> Delete -> Free -> Drain -> Flush -> [ReadBack] -> Guard
//!      pages are written                 nodes    dropped   bitmaps                                   |
//!      all the while                              history            Committed <- GuardAfter <- SuperblockFlush <- Superblock
//!
//!   any failure before Superblock: wait for what is in flight, Abandoned, everything as before
//!   a failure after: Abandoned too, but the slot is overwritten before its blocks are used again
//! ```
//!
//! Invariants: the superblock is submitted only when every block it reaches has been written and flushed without error;
//! nothing durable changes before it; a given-up commit leaves map, table and allocator as they were.

use crate::api::{Planted, StoreEvent};
use crate::delete::Deletion;
use crate::discard::Discards;
use crate::early::EarlyStatistics;
use crate::error::{AbandonReason, ReadOnlyReason, SnapshotError};
use crate::guard::Guard;
use crate::layout::{EPITAPH_BLOCK, GUARD_BLOCK, RING_SLOTS};
use crate::overlay::Overlay;
use crate::reference::Reference;
use crate::requests::Requests;
use crate::reservation::Charges;
use crate::seal::Sealing;
use crate::snapshot::{Snapshot, SnapshotTable};
use crate::store::Store;
use crate::superblock::{Superblock, encode_tombstone};
use crate::write::{Data, WriteItem, read_back_failure};
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use revenant_hal::{
    BlockIndex, Checksum, DiskCompletion, DiskError, Epoch, Event, FrameMemory, Generation,
    Nanoseconds, PageBytes, PageIndex,
};

/// Commits of a session whose blocks are read back before the superblock.
pub(crate) const COMMITS_READ_BACK: u64 = 2;

/// How far a commit has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    Collect,
    Merge,
    Apply,
    Seal,
    Delete,
    Free,
    Drain,
    Flush,
    ReadBack,
    Guard,
    Superblock,
    SuperblockFlush,
    GuardAfter,
    Done,
}

/// What a request of the commit is for.
#[derive(Debug)]
pub(crate) enum Job {
    Pages(Vec<WriteItem>),
    Rescue(PageIndex, Reference),
    Rescued(PageIndex, Reference),
    Node,
    Flush,
    ReadBack(Vec<Checksum>),
    Guard,
    Superblock,
}

/// The snapshot that a commit makes, if it makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) epoch: Epoch,
    pub(crate) wall_time: Nanoseconds,
}

/// A commit in the making.
#[derive(Debug)]
pub(crate) struct Commit {
    /// None: only wishes about snapshots are made durable.
    pub(crate) target: Option<Target>,
    pub(crate) phase: Phase,
    pub(crate) jobs: BTreeMap<u64, Job>,
    pub(crate) data: Data,
    /// Pages discarded in the epoch.
    pub(crate) discards: Discards,
    pub(crate) charges: Charges,
    pub(crate) sealing: Sealing,
    /// The table in the making.
    pub(crate) table: SnapshotTable,
    pub(crate) requests: Requests,
    pub(crate) root: Reference,
    pub(crate) free_root: Reference,
    pub(crate) deletion: Option<Deletion>,
    /// Enough snapshots have expired to delete them all.
    pub(crate) expiring: bool,
    /// Snapshots whose deletion met damage; not tried again in this commit.
    pub(crate) undeletable: Vec<Epoch>,
    pub(crate) freed: u64,
    /// The first page of the overlay that was not looked at.
    pub(crate) merged: PageIndex,
    /// Pages written before the flip.
    pub(crate) overlay: Overlay,
    /// What it found there.
    pub(crate) early: EarlyStatistics,
    /// Where pages of the overlay stood that this snapshot has elsewhere.
    pub(crate) dropped: Vec<Reference>,
    /// Blocks to which such pages were copied.
    pub(crate) moved: Vec<BlockIndex>,
    /// Pages of the overlay that are being read back and copied.
    pub(crate) rescues: usize,
    /// Blocks of nodes and bitmaps submitted and not completed.
    pub(crate) nodes_in_flight: u64,
    /// What was written, while commits are read back.
    pub(crate) written: Option<Vec<(BlockIndex, Checksum)>>,
    pub(crate) failure: Option<AbandonReason>,
    /// The superblock may be on the disk.
    pub(crate) landed: bool,
    /// Blocks written before it began.
    pub(crate) blocks_before: u64,
    /// Pages that got content, less those that lost it.
    pub(crate) pages: i64,
}

impl Store {
    /// The flip that ends `epoch` has happened: everything charged so far belongs to snapshot `epoch`, and pages may be
    /// given to [`Store::write_page`].
    ///
    /// # Errors
    /// A snapshot is in the making, the store is read-only, or the epoch is not new.
    pub fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        wall_time: Nanoseconds,
    ) -> Result<(), SnapshotError> {
        if epoch < self.running_epoch {
            return Err(SnapshotError::EpochNotNew(epoch));
        }
        self.begin(Some(Target { epoch, wall_time }))?;
        self.running_epoch = epoch.next();
        Ok(())
    }

    /// Makes wishes about snapshots durable without a new snapshot. Ends as [`Store::finish_snapshot`].
    ///
    /// # Errors
    /// A snapshot is in the making, or the store is read-only.
    pub fn commit_requests(&mut self) -> Result<(), SnapshotError> {
        self.begin(None)?;
        self.finish_snapshot();
        Ok(())
    }

    fn begin(&mut self, target: Option<Target>) -> Result<(), SnapshotError> {
        if let Some(reason) = self.read_only {
            return Err(SnapshotError::ReadOnly(reason));
        }
        if self.commit.is_some() {
            return Err(SnapshotError::Busy);
        }
        let mut commit = match self.prepared.take() {
            Some(prepared) if prepared.requests == self.requests => prepared,
            _ => Box::new(self.blank_commit()),
        };
        commit.target = target;
        commit.blocks_before = self.blocks_besides_early();
        if target.is_some() {
            self.take_overlay(&mut commit);
            core::mem::swap(&mut commit.discards, &mut self.discards);
            let empty = self.spare.take().unwrap_or_else(|| Charges::new(self.node_limit()));
            commit.charges = core::mem::replace(&mut self.running, empty);
        }
        if let Some(generation) = self.uncertain {
            // The slot of a given-up commit that may have landed: buried before the flush that every commit begins with.
            let grave = encode_tombstone(self.superblock.store, generation, self.running_epoch);
            let tag = self.io.write(self.superblock.layout.slot(generation.0), grave);
            commit.jobs.insert(tag, Job::Node);
        }
        if self.epitaph {
            // A kernel has come as far as a commit: whatever failed before is told and over.
            let blank = alloc::vec![Box::new(PageBytes::ZERO)];
            commit.jobs.insert(self.io.write(EPITAPH_BLOCK, blank), Job::Node);
        }
        self.commit = Some(commit);
        Ok(())
    }

    /// No more pages will be given: write the map, apply retention, make it durable. Ends with
    /// [`StoreEvent::Committed`] or [`StoreEvent::Abandoned`].
    pub fn finish_snapshot(&mut self) {
        if let Some(commit) = &mut self.commit {
            commit.data.finished = true;
        }
    }

    /// Gives the snapshot in the making up; ends with [`StoreEvent::Abandoned`] unless its superblock is already on its way.
    pub fn abandon_snapshot(&mut self) {
        if self.commit.as_ref().is_some_and(|commit| commit.phase < Phase::Superblock) {
            self.fail_commit(AbandonReason::Requested);
        }
    }

    /// Whether a commit is in the making.
    #[must_use]
    pub fn is_committing(&self) -> bool {
        self.commit.is_some()
    }

    /// The first failure decides; nothing more of it is submitted.
    pub(crate) fn fail_commit(&mut self, reason: AbandonReason) {
        let Some(commit) = &mut self.commit else { return };
        commit.failure.get_or_insert(reason);
        let ours = |tag| !self.early.is_beside(tag, commit.target);
        let cancelled = self.io.cancel_waiting_writes(ours).into_iter();
        let early: Vec<u64> = cancelled.filter(|tag| commit.jobs.remove(tag).is_none()).collect();
        early.into_iter().for_each(|tag| self.cancel_early(tag));
    }

    /// Goes on with the commit; true if there is more to do without waiting.
    pub(crate) fn step_commit<F: FrameMemory + ?Sized>(&mut self, frames: &F) -> bool {
        let Some(mut commit) = self.commit.take() else { return false };
        if commit.failure.is_some() {
            if commit.jobs.is_empty() && self.early.is_idle_for(commit.target) {
                self.abandon(*commit);
                return true;
            }
            self.commit = Some(commit);
            return false;
        }
        let before = commit.phase;
        let more = match commit.phase {
            Phase::Collect => self.step_data(&mut commit, frames),
            // Everything from here on needs the allocator.
            _ if self.loader.is_some() => Ok(false),
            Phase::Merge => self.step_merge(&mut commit),
            Phase::Apply => self.step_apply(&mut commit),
            Phase::Seal => self.step_seal(&mut commit),
            Phase::Delete => self.step_delete(&mut commit),
            Phase::Free => self.step_free(&mut commit),
            _ => {
                self.step_durable(&mut commit);
                Ok(false)
            }
        };
        let again = commit.phase != before || more == Ok(true);
        let done = commit.phase == Phase::Done;
        if done {
            self.committed(*commit);
        } else {
            self.commit = Some(commit);
        }
        if let Err(reason) = more {
            self.fail_commit(reason);
            return true;
        }
        again
    }

    /// The phases that only wait for the disk: each begins when nothing of the one before is in flight.
    fn step_durable(&mut self, commit: &mut Commit) {
        if !commit.jobs.is_empty() {
            return;
        }
        commit.phase = match commit.phase {
            Phase::Drain => {
                if self.planted != Planted::DataFlushSkipped {
                    commit.jobs.insert(self.io.flush(), Job::Flush);
                }
                Phase::Flush
            }
            Phase::Flush => {
                if self.uncertain.take().is_some() {
                    self.allocator.release_held();
                }
                Phase::ReadBack
            }
            Phase::ReadBack => {
                if self.step_read_back(commit) {
                    return;
                }
                if self.planted != Planted::GuardIgnored {
                    commit.jobs.insert(self.io.read(GUARD_BLOCK, 1), Job::Guard);
                }
                Phase::Guard
            }
            Phase::Guard => {
                let superblock = self.next_superblock(commit);
                let slot = superblock.layout.slot(superblock.generation.0);
                commit.jobs.insert(self.io.write(slot, superblock.encode()), Job::Superblock);
                commit.landed = true;
                Phase::Superblock
            }
            Phase::Superblock => {
                if self.planted != Planted::SuperblockFlushSkipped {
                    commit.jobs.insert(self.io.flush(), Job::Flush);
                }
                Phase::SuperblockFlush
            }
            Phase::SuperblockFlush => {
                if self.planted != Planted::GuardIgnored {
                    commit.jobs.insert(self.io.read(GUARD_BLOCK, 1), Job::Guard);
                }
                Phase::GuardAfter
            }
            _ => Phase::Done,
        };
    }

    /// The generation whose slot is neither that of the newest nor that of the second newest superblock.
    pub(crate) fn free_generation(&self) -> Generation {
        let mut number = self.next_generation.0;
        let same = |other: Generation| other.0 % RING_SLOTS == number % RING_SLOTS;
        let mut taken = same(self.superblock.generation);
        taken |= self.second_generation.is_some_and(same);
        while taken {
            number += 1;
            let same = |other: Generation| other.0 % RING_SLOTS == number % RING_SLOTS;
            taken = same(self.superblock.generation) || self.second_generation.is_some_and(same);
        }
        Generation(number)
    }

    fn next_superblock(&self, commit: &Commit) -> Superblock {
        let old = &self.superblock;
        let mut snapshots = commit.table.clone();
        if self.planted == Planted::PinForgotten {
            for epoch in old.snapshots.entries().iter().map(|entry| entry.epoch) {
                if let Some(entry) = snapshots.get_mut(epoch) {
                    entry.pinned = false;
                }
            }
        }
        let stale = self.planted == Planted::AllocatorOneEpochOff;
        Superblock {
            generation: self.free_generation(),
            highest_epoch: Epoch(self.running_epoch.0.saturating_sub(1).max(old.highest_epoch.0)),
            epoch: commit.target.map_or(old.epoch, |target| target.epoch),
            session: self.request.session,
            root: commit.root,
            free_root: if stale { old.free_root } else { commit.free_root },
            previous_free_root: old.free_root,
            allocated: self.allocator.next().count(),
            collector_pin: commit.requests.collector_pin_in(&snapshots, self.planted),
            retention: commit.requests.retention,
            wall_time: commit.target.map_or(old.wall_time, |target| target.wall_time),
            snapshots,
            ..old.clone()
        }
    }

    /// Enters the new snapshot in the table; its record is complete when everything is sealed.
    pub(crate) fn push_snapshot(&self, commit: &mut Commit) {
        commit.requests.apply_pins(&mut commit.table);
        let Some(target) = commit.target else { return };
        let parent = self.superblock.epoch;
        let before = commit.table.get(parent).map_or(0, |snapshot| snapshot.pages);
        commit.table.push(Snapshot {
            epoch: target.epoch,
            parent,
            branch: self.superblock.branch,
            pinned: false,
            hidden: false,
            root: commit.root,
            wall_time: target.wall_time,
            pages: before.saturating_add_signed(commit.pages),
            blocks_written: self.blocks_besides_early() - commit.blocks_before,
        });
    }

    /// The superblock is durable and ours.
    fn committed(&mut self, commit: Commit) {
        let superblock = self.next_superblock(&commit);
        let (epoch, generation) = (superblock.epoch, superblock.generation);
        assert!(generation > self.superblock.generation, "generations only grow");
        self.second_generation = Some(self.superblock.generation);
        self.next_generation = Generation(generation.0 + 1);
        self.superblock = superblock;
        self.map.root = commit.root;
        self.map.changed.clear();
        self.cache.release_held();
        self.free.commit(commit.free_root);
        self.overlay_committed(&commit);
        self.allocator.commit();
        self.begin_trim();
        self.requests.fulfilled(&commit.requests);
        self.epitaph = false;
        self.commits_in_session += 1;
        self.failures = 0;
        let blocks_written = self.blocks_besides_early() - commit.blocks_before;
        self.events.push_back(StoreEvent::Committed { epoch, generation, blocks_written });
        let event = Event::Committed { epoch, generation, blocks_written };
        self.events.push_back(StoreEvent::Report(event));
        if commit.target.is_some() {
            let mut charges = commit.charges;
            charges.clear();
            self.spare = Some(charges);
        }
    }

    /// Nothing of the commit is in flight any more: everything is as before it.
    fn abandon(&mut self, mut commit: Commit) {
        let Some(reason) = commit.failure else { return };
        if commit.landed {
            let generation = self.free_generation();
            self.uncertain = Some(generation);
            self.next_generation = Generation(generation.0 + 1);
        }
        self.map.changed.clear();
        self.cache.drop_held();
        self.free.abandon();
        self.keep_held(&commit);
        if self.planted == Planted::AbandonedBlocksLeaked {
            self.allocator.commit();
        } else if self.loader.is_none() {
            self.allocator.abandon(commit.landed);
        }
        self.running.merge(&commit.charges);
        self.overlay_kept(&mut commit);
        if self.planted != Planted::DiscardLostWithSnapshot {
            self.discards.merge(&commit.discards);
        }
        let epoch = commit.target.map_or(self.superblock.epoch, |target| target.epoch);
        self.events.push_back(StoreEvent::Abandoned { epoch, reason });
        self.events.push_back(StoreEvent::Report(Event::Abandoned { epoch }));
        if reason != AbandonReason::Requested {
            self.failures += 1;
            if self.failures >= self.request.options.failures_until_read_only {
                self.become_read_only(ReadOnlyReason::TooManyFailures(self.failures));
            }
        }
    }

    /// Takes a completion of the commit's requests.
    pub(crate) fn commit_completion(&mut self, completion: DiskCompletion) {
        let Some(commit) = &mut self.commit else { return };
        let Some(job) = commit.jobs.remove(&completion.tag.0) else { return };
        let error = completion.result.err();
        let blocks = completion.buffers.len() as u64;
        if matches!(job, Job::Node) {
            commit.nodes_in_flight = commit.nodes_in_flight.saturating_sub(blocks);
        }
        let failure = match (job, error) {
            (Job::Pages(items), None) => {
                commit.data.written(items, &mut self.events);
                None
            }
            (Job::Flush, Some(error)) if self.planted != Planted::FlushErrorIgnored => {
                Some(AbandonReason::FlushFailed(error))
            }
            (Job::ReadBack(expected), _) => read_back_failure(&completion, &expected),
            (Job::Rescue(page, reference), _) => self.rescue(page, reference, completion),
            (Job::Rescued(page, moved), None) => {
                self.rescued(page, moved);
                None
            }
            (Job::Guard, _) => {
                self.check_guard(completion);
                None
            }
            (Job::Pages(_) | Job::Node | Job::Rescued(..), Some(error)) => {
                for block in completion.block.0..completion.block.0 + blocks {
                    self.allocator.mark_bad(BlockIndex(block));
                }
                Some(AbandonReason::WriteFailed(completion.block, error))
            }
            (Job::Superblock, Some(error)) => {
                Some(AbandonReason::WriteFailed(completion.block, error))
            }
            (Job::Node | Job::Flush | Job::Superblock, _) => None,
        };
        if let Some(reason) = failure {
            self.fail_commit(reason);
        }
    }

    /// Another session's id, or none that can be read: stop without writing.
    fn check_guard(&mut self, completion: DiskCompletion) {
        match self.guard_is_ours(completion) {
            Ok(true) => {}
            Ok(false) => self.stop_for_foreign_session(),
            Err(error) => self.fail_commit(AbandonReason::WriteFailed(GUARD_BLOCK, error)),
        }
    }

    /// Whether the guard that was read names this session.
    pub(crate) fn guard_is_ours(&self, completion: DiskCompletion) -> Result<bool, DiskError> {
        completion.result?;
        let pages = crate::io::owned(completion.buffers);
        let guard = pages.first().and_then(|page| Guard::decode(page));
        Ok(guard.is_some_and(|guard| guard.session == self.request.session))
    }

    /// The disk is another machine's.
    pub(crate) fn stop_for_foreign_session(&mut self) {
        self.fail_commit(AbandonReason::ForeignSession);
        self.become_read_only(ReadOnlyReason::ForeignSession);
    }
}
