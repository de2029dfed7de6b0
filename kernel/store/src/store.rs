//! The open store: one page map that lives, the snapshots it grew from, and the blocks between them.
//!
//! This file holds the state and the public interface; `read` serves pages, `commit` makes snapshots durable, `delete`
//! frees what dropped snapshots held, `requests` takes wishes about snapshots.
//!
//! Invariants:
//! - `superblock` is the newest durable one (its live fields replaced at a rollback), never one in the making;
//! - at most one commit is in the making;
//! - a read-only store submits reads only.

use crate::allocator::Allocator;
use crate::api::{
    Access, Lookup, OpenRequest, PageContent, Planted, Space, SpaceState, StepOutcome, StoreEvent,
    StoreId,
};
use crate::cache::NodeCache;
use crate::commit::Commit;
use crate::discard::Discards;
use crate::early::Early;
use crate::error::{DamagedBlock, ReadOnlyReason, SnapshotError};
use crate::free_space::{FreeSpace, FreeSpaceLoader, LostLeaves};
use crate::io::Io;
use crate::layout::BLOCKS_PER_BITMAP;
use crate::overlay;
use crate::read::Reads;
use crate::reference::{MAP_LEVELS, Node};
use crate::requests::Requests;
use crate::reservation::{self, Charges, Pools};
use crate::snapshot::{BranchId, SnapshotTable};
use crate::superblock::Superblock;
use crate::tree::{Missing, Tree, TreeKind};
use crate::trim::Trim;
use crate::verified::VerifiedReads;
use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::Arc,
    vec::Vec,
};
use revenant_hal::{
    BlockIndex, Disk, DiskCompletion, DiskGeometry, Epoch, Event, FrameIndex, FrameMemory,
    Generation, Nanoseconds, PageBytes, PageIndex,
};

/// What an opening hands over.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) running_epoch: Epoch,
    pub(crate) next_generation: Generation,
    pub(crate) second_generation: Option<Generation>,
    pub(crate) request: OpenRequest,
    pub(crate) roots: BTreeMap<BlockIndex, Box<PageBytes>>,
    pub(crate) planted: Planted,
    pub(crate) epitaph: bool,
}

/// An open store. Made by [`crate::Opening`]; a state machine over a disk and the frames of RAM.
#[derive(Debug)]
pub struct Store {
    pub(crate) superblock: Superblock,
    pub(crate) request: OpenRequest,
    pub(crate) io: Io,
    pub(crate) cache: NodeCache,
    pub(crate) map: Tree,
    pub(crate) free: FreeSpace,
    pub(crate) allocator: Allocator,
    pub(crate) loader: Option<FreeSpaceLoader>,
    pub(crate) node_reads: VerifiedReads<()>,
    /// Blocks of nodes being read: whether the block was handed out again meanwhile.
    pub(crate) loading: BTreeMap<BlockIndex, bool>,
    /// Nodes that could not be read, until whoever asked has asked again.
    pub(crate) failed_nodes: BTreeMap<BlockIndex, DamagedBlock>,
    pub(crate) reads: Reads,
    pub(crate) trim: Trim,
    pub(crate) commit: Option<Box<Commit>>,
    /// The next one, blank.
    pub(crate) prepared: Option<Box<Commit>>,
    pub(crate) requests: Requests,
    /// Pages of the running epoch written before its flip, and what is on its way of those of the commit in the making.
    pub(crate) early: Early,
    pub(crate) running: Charges,
    /// Pages discarded in the running epoch.
    pub(crate) discards: Discards,
    /// An empty table for the next epoch's charges: a flip only swaps, because all programs wait for it.
    pub(crate) spare: Option<Charges>,
    /// What charges leave, by purpose.
    pub(crate) pools: Pools,
    pub(crate) running_epoch: Epoch,
    pub(crate) next_generation: Generation,
    pub(crate) second_generation: Option<Generation>,
    /// The generation of a given-up commit whose superblock may be on the disk.
    pub(crate) uncertain: Option<Generation>,
    /// An epitaph stands on the disk; the first commit wipes it.
    pub(crate) epitaph: bool,
    pub(crate) commits_in_session: u64,
    pub(crate) failures: u32,
    pub(crate) uncharged_pages: u64,
    pub(crate) nodes_visited_by_deletion: u64,
    pub(crate) read_only: Option<ReadOnlyReason>,
    pub(crate) events: VecDeque<StoreEvent>,
    pub(crate) planted: Planted,
}

impl Store {
    pub(crate) fn open(geometry: &DiskGeometry, superblock: Superblock, start: Start) -> Self {
        let layout = superblock.layout;
        let request = start.request;
        let believe = start.planted == Planted::ChecksumSkipped;
        let loader = FreeSpaceLoader::new(
            layout,
            superblock.free_root,
            superblock.previous_free_root,
            believe,
        );
        let mut cache = NodeCache::new(request.options.cached_nodes);
        for (block, page) in start.roots {
            if block == superblock.root.block {
                cache.insert(block, Arc::new(Node(page)));
            }
        }
        let mut store = Self {
            map: Tree::new(TreeKind::Map, superblock.root, MAP_LEVELS),
            free: FreeSpace::new(superblock.free_root, layout.bitmap_levels()),
            allocator: Allocator::new(layout, request.session.0),
            io: Io::new(geometry, request.options.queue_depth),
            cache,
            loader: Some(loader),
            node_reads: VerifiedReads::new(),
            loading: BTreeMap::new(),
            failed_nodes: BTreeMap::new(),
            reads: Reads::default(),
            trim: Trim::new(geometry, request.options.trim),
            commit: None,
            prepared: None,
            requests: Requests::new(&superblock),
            early: Early::default(),
            running: Charges::new(request.options.changed_nodes + reservation::SYSTEM_NODES),
            discards: Discards::default(),
            spare: Some(Charges::new(request.options.changed_nodes + reservation::SYSTEM_NODES)),
            pools: Pools::new(layout),
            running_epoch: start.running_epoch,
            next_generation: start.next_generation,
            second_generation: start.second_generation,
            uncertain: None,
            epitaph: start.epitaph,
            commits_in_session: 0,
            failures: 0,
            uncharged_pages: 0,
            nodes_visited_by_deletion: 0,
            read_only: (request.access == Access::ReadOnly).then_some(ReadOnlyReason::OpenedSo),
            events: VecDeque::new(),
            planted: Planted::None,
            request,
            superblock,
        };
        store.plant(start.planted);
        store
    }

    /// What the map in RAM knows of a page. No I/O: may be called from a fault in object space.
    #[must_use]
    pub fn lookup(&self, page: PageIndex) -> Lookup {
        match self.updated(page) {
            Some(overlay::Entry::Coming(_)) => return Lookup::Known(PageContent::Stored),
            Some(overlay::Entry::Standing(reference)) => {
                return Lookup::Known(content(reference.is_zero()));
            }
            None => {}
        }
        match self.map.find(&self.cache, page.0) {
            Ok(reference) => Lookup::Known(content(reference.is_zero())),
            Err(_) => Lookup::NeedsRead,
        }
    }

    /// Starts reading a page of the live state into `frame`, which is not mapped and stays the store's until
    /// [`StoreEvent::PageRead`].
    pub fn read_page(&mut self, page: PageIndex, frame: FrameIndex) {
        self.reads.start(None, page, frame);
    }

    /// Starts reading a page of a snapshot; otherwise as [`Store::read_page`].
    ///
    /// # Errors
    /// The snapshot does not exist.
    pub fn read_snapshot_page(
        &mut self,
        epoch: Epoch,
        page: PageIndex,
        frame: FrameIndex,
    ) -> Result<(), SnapshotError> {
        let snapshot = self.superblock.snapshots.get(epoch).filter(|found| !found.hidden);
        let root = snapshot.ok_or(SnapshotError::Unknown(epoch))?.root;
        self.reads.start(Some(root), page, frame);
        Ok(())
    }

    /// Starts and continues I/O; bounded work.
    pub fn step<D: Disk + ?Sized, F: FrameMemory + ?Sized>(
        &mut self,
        disk: &mut D,
        frames: &mut F,
    ) -> StepOutcome {
        self.io.submit(disk);
        self.load_free_space();
        self.step_reads();
        let early = self.step_early(frames);
        let mut again = self.step_commit(frames) || early;
        self.prepare_commit();
        again |= self.step_trim();
        self.io.submit(disk);
        if again {
            StepOutcome::Again
        } else if self.io.is_idle() && !self.reads.is_waiting() {
            StepOutcome::Idle
        } else {
            StepOutcome::Waiting
        }
    }

    /// Takes a completion whose tag is the store's ([`Store::owns`]).
    pub fn complete<F: FrameMemory + ?Sized>(
        &mut self,
        completion: DiskCompletion,
        frames: &mut F,
    ) {
        self.io.completed();
        // First what comes most often.
        if let Some(batch) = self.reads.take(&completion) {
            return self.page_read(batch, completion, frames);
        }
        let loader = self.loader.as_mut().filter(|loader| loader.owns(&completion));
        if let Some(loader) = loader {
            loader.complete(&mut self.io, completion, &mut self.free, &mut self.allocator);
        } else if self.node_reads.owns(&completion) {
            self.node_read(completion);
        } else if self.early.owns(&completion) {
            self.early_completion(&completion);
        } else if self.trim.owns(&completion) {
            self.trim_completion(completion);
        } else {
            self.commit_completion(completion);
        }
    }

    /// Nodes of the page map in RAM that stand on the disk too, or will with the commit in the making; at most the number that
    /// [`StoreOptions::cached_nodes`](crate::StoreOptions::cached_nodes) says, and those of that commit.
    #[must_use]
    pub fn cached_nodes(&self) -> usize {
        self.cache.len()
    }

    /// Whether a completion is the store's.
    #[must_use]
    pub fn owns(completion: &DiskCompletion) -> bool {
        completion.tag.0 >> 56 == 0
    }

    fn load_free_space(&mut self) {
        let Some(loader) = self.loader.as_mut() else { return };
        let done = loader.step(&mut self.io);
        if let Some(damage) = loader.damage {
            self.loader = None;
            self.become_read_only(ReadOnlyReason::FreeSpaceDamaged(damage));
        } else if done {
            if loader.previous_lost {
                self.allocator.forget_previous();
            }
            let lost = core::mem::take(&mut loader.lost);
            self.loader = None;
            self.allocator.loaded();
            self.lose_free_space(lost);
            self.begin_tracking_untold();
        }
    }

    /// What damaged leaves describe counts as used; if what is left is too little for a commit, nothing can be written.
    fn lose_free_space(&mut self, lost: Vec<LostLeaves>) {
        for LostLeaves { leaves, .. } in &lost {
            let first = BlockIndex(leaves.start * BLOCKS_PER_BITMAP);
            let count = (leaves.end - leaves.start) * BLOCKS_PER_BITMAP;
            let event = Event::FreeSpaceLost { first, count };
            self.events.push_back(StoreEvent::Report(event));
            leaves.clone().for_each(|leaf| self.allocator.count_as_used(leaf));
        }
        if let Some(LostLeaves { damage, .. }) = lost.first()
            && self.allocator.allocatable() < self.pools.freeing
        {
            self.become_read_only(ReadOnlyReason::FreeSpaceDamaged(*damage));
        }
    }

    /// Asks for a node that is not in RAM; an error if it cannot be read.
    pub(crate) fn need(&mut self, missing: Missing) -> Result<(), DamagedBlock> {
        let block = missing.reference.block;
        if let Some(damage) = self.failed_nodes.remove(&block) {
            return Err(damage);
        }
        if let Entry::Vacant(place) = self.loading.entry(block) {
            place.insert(false);
            self.node_reads.start(&mut self.io, (), missing.reference, missing.role);
        }
        Ok(())
    }

    fn node_read(&mut self, completion: DiskCompletion) {
        let Some(((), reference, result)) = self.node_reads.complete(&mut self.io, completion)
        else {
            return;
        };
        let stale = self.loading.remove(&reference.block).unwrap_or(false);
        match result {
            Ok(page) if !stale => self.cache.insert(reference.block, Arc::new(Node(page))),
            Ok(_) => {}
            Err(damage) => {
                self.failed_nodes.insert(reference.block, damage);
            }
        }
    }

    /// A block was handed out: nothing in RAM may stand for its old content.
    pub(crate) fn forget_block(&mut self, block: BlockIndex) {
        self.cache.forget(block);
        self.failed_nodes.remove(&block);
        if let Some(stale) = self.loading.get_mut(&block) {
            *stale = true;
        }
    }

    pub(crate) fn become_read_only(&mut self, reason: ReadOnlyReason) {
        if self.read_only.is_none() {
            self.read_only = Some(reason);
            self.stop_trim();
            self.stop_early();
            self.events.push_back(StoreEvent::BecameReadOnly(reason));
            let event = match reason {
                ReadOnlyReason::ForeignSession => Event::ForeignSession,
                _ => Event::ReadOnly,
            };
            self.events.push_back(StoreEvent::Report(event));
        }
    }

    /// The next thing the store has to tell.
    pub fn next_event(&mut self) -> Option<StoreEvent> {
        self.events.pop_front()
    }

    /// The store's name.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.superblock.store
    }

    /// The epoch that runs: the next flip ends it. After [`Store::begin_snapshot`] of e it is e+1.
    #[must_use]
    pub fn running_epoch(&self) -> Epoch {
        self.running_epoch
    }

    /// The newest durable snapshot (after a rollback: the one rolled back to); 0 for none.
    #[must_use]
    pub fn durable_epoch(&self) -> Epoch {
        self.superblock.epoch
    }

    /// The newest durable superblock.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.superblock.generation
    }

    /// Counts resumes from other than the newest committed state.
    #[must_use]
    pub fn restore_generation(&self) -> u64 {
        self.superblock.restore_generation
    }

    /// The live branch.
    #[must_use]
    pub fn branch(&self) -> BranchId {
        self.superblock.branch
    }

    /// The durable table of snapshots.
    #[must_use]
    pub fn snapshots(&self) -> &SnapshotTable {
        &self.superblock.snapshots
    }

    /// The newest durable superblock as a whole.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Wall time of the newest durable superblock.
    #[must_use]
    pub fn wall_time(&self) -> Nanoseconds {
        self.superblock.wall_time
    }

    /// Space on the disk.
    #[must_use]
    pub fn space(&self) -> Space {
        let quarantined = if self.loader.is_none() { self.allocator.quarantined() } else { 0 };
        self.space_besides(quarantined)
    }

    fn space_besides(&self, quarantined: u64) -> Space {
        reservation::space(
            self.superblock.layout,
            self.allocator.managed(),
            self.unallocated(),
            quarantined,
            self.charged(),
        )
    }

    /// The next snapshot is of objects that another version of the virtual machine runs.
    pub fn set_vm_abi(&mut self, vm_abi: u32) {
        self.superblock.vm_abi = vm_abi;
    }

    /// Tells the store how many resident pages have no room set aside in the running epoch: allocation is refused while each of
    /// them can still be copied once.
    pub fn set_uncharged_pages(&mut self, pages: u64) {
        self.uncharged_pages = pages;
    }

    /// How short space is.
    #[must_use]
    pub fn space_state(&self) -> SpaceState {
        let reserve = reservation::allocation_reserve(self.superblock.layout, self.uncharged_pages);
        // Asked between all slices: what is in quarantine, which has to be counted, comes into it only if space is short.
        if self.space_besides(0).available >= reserve {
            return SpaceState::Plenty;
        }
        let space = self.space();
        if self.read_only.is_none()
            && (space.available + space.quarantined >= reserve || self.can_drop())
        {
            return SpaceState::Short;
        }
        if space.available >= reservation::ONE_PAGE {
            SpaceState::AllocationRefused
        } else {
            SpaceState::Full
        }
    }

    /// Whether history is left to drop.
    fn can_drop(&self) -> bool {
        let pin = self.superblock.collector_pin.map(|pin| pin.epoch);
        self.superblock.snapshots.oldest_droppable(self.superblock.epoch, pin).is_some()
    }

    /// Why nothing is written any more, if so.
    #[must_use]
    pub fn read_only(&self) -> Option<ReadOnlyReason> {
        self.read_only
    }

    /// Plants a fault, for tests.
    #[doc(hidden)]
    pub fn plant(&mut self, fault: Planted) {
        self.planted = fault;
        let believe = fault == Planted::ChecksumSkipped;
        self.node_reads.believe = believe;
        self.reads.believe = believe;
        self.allocator.plant(fault);
    }
}

/// A page without a block reads as zeros.
const fn content(zero: bool) -> PageContent {
    if zero { PageContent::Zero } else { PageContent::Stored }
}
