//! The open store: one page map that lives, the snapshots it grew from, and the blocks between them.
//!
//! The public interface; its bodies are being filled in.

use crate::api::{
    Copies, Lookup, PageContent, Planted, Purpose, Space, SpaceState, StepOutcome, StoreEvent,
    StoreId,
};
use crate::error::{NoSpace, ReadOnlyReason, SnapshotError};
use crate::snapshot::{BranchId, SnapshotTable};
use alloc::collections::VecDeque;
use revenant_hal::{
    Disk, DiskCompletion, Epoch, FrameIndex, FrameMemory, Generation, Nanoseconds, PageIndex,
};

/// An open store. Made by [`crate::Opening`]; a state machine over a disk and the frames of RAM.
#[derive(Debug)]
pub struct Store {
    events: VecDeque<StoreEvent>,
    table: SnapshotTable,
}

impl Store {
    /// What the map in RAM knows of a page. No I/O, no allocation: may be called from a trap.
    #[must_use]
    pub fn lookup(&self, _page: PageIndex) -> Lookup {
        Lookup::Known(PageContent::Zero)
    }

    /// Starts reading a page of the live state into `frame`, which is not mapped and stays the store's until
    /// [`StoreEvent::PageRead`].
    pub fn read_page(&mut self, page: PageIndex, frame: FrameIndex) {
        let result = Ok(PageContent::Zero);
        self.events.push_back(StoreEvent::PageRead { page, frame, result });
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
        self.table.get(epoch).ok_or(SnapshotError::Unknown(epoch))?;
        self.read_page(page, frame);
        Ok(())
    }

    /// Sets blocks aside before a clean page becomes dirty in the running epoch. Called once a page and epoch, from the
    /// fault handler; no I/O. A page that is dirty in the frozen epoch too is charged again.
    ///
    /// # Errors
    /// There is no room: the store to the page waits.
    pub fn reserve_first_dirtying(
        &mut self,
        _page: PageIndex,
        _copies: Copies,
        _purpose: Purpose,
    ) -> Result<(), NoSpace> {
        Ok(())
    }

    /// The flip that ends `epoch` has happened: everything charged so far belongs to snapshot `epoch`, and pages may be
    /// given to [`Store::write_page`].
    ///
    /// # Errors
    /// A snapshot is in the making, the store is read-only, or the epoch is not new.
    pub fn begin_snapshot(
        &mut self,
        _epoch: Epoch,
        _wall_time: Nanoseconds,
    ) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// Gives a frozen page to the snapshot in the making. `frame` must not change until [`StoreEvent::PageWritten`] or
    /// [`StoreEvent::Abandoned`]. Pages are written in the order given; neighbours in that order become neighbours on
    /// disk and share requests.
    pub fn write_page(&mut self, page: PageIndex, frame: FrameIndex, _copies: Copies) {
        self.events.push_back(StoreEvent::PageWritten { page, frame });
    }

    /// The page reads as zeros from the snapshot in the making on.
    pub fn discard_page(&mut self, _page: PageIndex) {}

    /// Pages given to [`Store::write_page`] that have not reached the device's queue yet. Whoever wants to choose the
    /// order late (copies first) gives more only when this is below [`Store::write_batch`].
    #[must_use]
    pub fn queued_writes(&self) -> usize {
        0
    }

    /// Pages that fill the device's queue.
    #[must_use]
    pub fn write_batch(&self) -> usize {
        256
    }

    /// No more pages will be given: write the map, apply retention, make it durable. Ends with
    /// [`StoreEvent::Committed`] or [`StoreEvent::Abandoned`].
    pub fn finish_snapshot(&mut self) {}

    /// Gives the snapshot in the making up; ends with [`StoreEvent::Abandoned`] unless its superblock is already on its way.
    pub fn abandon_snapshot(&mut self) {}

    /// Makes requests about snapshots durable without a new snapshot. Ends as [`Store::finish_snapshot`].
    ///
    /// # Errors
    /// A snapshot is in the making, or the store is read-only.
    pub fn commit_requests(&mut self) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// Keeps a snapshot until it is unpinned. Takes effect with the next commit.
    ///
    /// # Errors
    /// Unknown snapshot, too many pins, read-only.
    pub fn pin(&mut self, _epoch: Epoch) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// Leaves a snapshot to retention again. Takes effect with the next commit.
    ///
    /// # Errors
    /// Unknown snapshot, read-only.
    pub fn unpin(&mut self, _epoch: Epoch) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// Deletes a snapshot with the next commit; a fork is hidden until one side is gone.
    ///
    /// # Errors
    /// Unknown, pinned or the newest snapshot; read-only.
    pub fn delete(&mut self, _epoch: Epoch) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// Releases a branch that was stepped back from: its snapshots are deleted with the next commit.
    ///
    /// # Errors
    /// Unknown branch, the live branch, read-only.
    pub fn release_branch(&mut self, _branch: BranchId) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// Starts and continues I/O; bounded work.
    pub fn step<D: Disk + ?Sized, F: FrameMemory + ?Sized>(
        &mut self,
        _disk: &mut D,
        _frames: &mut F,
    ) -> StepOutcome {
        StepOutcome::Idle
    }

    /// Takes a completion whose tag is the store's ([`Store::owns`]).
    pub fn complete<F: FrameMemory + ?Sized>(
        &mut self,
        _completion: DiskCompletion,
        _frames: &mut F,
    ) {
    }

    /// Whether a completion is the store's.
    #[must_use]
    pub fn owns(completion: &DiskCompletion) -> bool {
        completion.tag.0 >> 56 == 0
    }

    /// The next thing the store has to tell.
    pub fn next_event(&mut self) -> Option<StoreEvent> {
        self.events.pop_front()
    }

    /// The store's name.
    #[must_use]
    pub fn id(&self) -> StoreId {
        StoreId(0)
    }

    /// The epoch that runs: the next flip ends it. After a flip of e this is e+1.
    #[must_use]
    pub fn running_epoch(&self) -> Epoch {
        Epoch(1)
    }

    /// The newest durable snapshot; 0 for none.
    #[must_use]
    pub fn durable_epoch(&self) -> Epoch {
        Epoch(0)
    }

    /// The newest durable superblock.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(0)
    }

    /// Counts resumes from other than the newest committed state.
    #[must_use]
    pub fn restore_generation(&self) -> u64 {
        0
    }

    /// The live branch.
    #[must_use]
    pub fn branch(&self) -> BranchId {
        BranchId(1)
    }

    /// The durable table of snapshots.
    #[must_use]
    pub fn snapshots(&self) -> &SnapshotTable {
        &self.table
    }

    /// Space on the disk.
    #[must_use]
    pub fn space(&self) -> Space {
        Space { total: 0, allocatable: 0, quarantined: 0, charged: 0, pool: 0, available: 0 }
    }

    /// How short space is, given how many pages are resident (each must be able to be copied once).
    #[must_use]
    pub fn space_state(&self, _resident_pages: u64) -> SpaceState {
        SpaceState::Plenty
    }

    /// Why nothing is written any more, if so.
    #[must_use]
    pub fn read_only(&self) -> Option<ReadOnlyReason> {
        None
    }

    /// Plants a fault, for tests.
    #[doc(hidden)]
    pub fn plant(&mut self, _fault: Planted) {}
}
