//! What the pager asks of the store, in thirteen calls. The store of the kernel is [`revenant_store::Store`]; the pager's own
//! tests bring one in memory that is late, short of space and gives snapshots up on purpose.
//!
//! Calls that may come from a trap (`lookup`, `reserve_first_dirtying`, `running_epoch`) do no I/O and do not allocate.

use revenant_hal::{Epoch, FrameIndex, Nanoseconds, PageIndex};
use revenant_store::{Copies, Lookup, NoSpace, Purpose, SnapshotError, Store};

/// Pages on disk, as the pager sees them. Each call is that of [`Store`] with the same name.
pub trait PageStore {
    /// What the map in RAM knows of a page.
    fn lookup(&self, page: PageIndex) -> Lookup;
    /// Starts reading a page into a frame that is mapped nowhere.
    fn read_page(&mut self, page: PageIndex, frame: FrameIndex);
    /// Sets space aside for a page that becomes dirty in the running epoch.
    ///
    /// # Errors
    /// There is no room now.
    fn reserve_first_dirtying(
        &mut self,
        page: PageIndex,
        copies: Copies,
        purpose: Purpose,
    ) -> Result<(), NoSpace>;
    /// A page for which space was set aside in the running epoch is not dirty any more.
    fn uncharge(&mut self, page: PageIndex, copies: Copies);
    /// The page reads as zeros from now on.
    ///
    /// # Errors
    /// There is no room to note that before the next snapshot.
    fn discard(&mut self, page: PageIndex) -> Result<(), NoSpace>;
    /// The flip that ends `epoch`.
    ///
    /// # Errors
    /// No snapshot can be made now.
    fn begin_snapshot(&mut self, epoch: Epoch, wall_time: Nanoseconds)
    -> Result<(), SnapshotError>;
    /// Gives a frozen page to the snapshot in the making.
    fn write_page(&mut self, page: PageIndex, frame: FrameIndex, copies: Copies);
    /// How many pages it would take now without piling them up.
    fn write_room(&self) -> usize;
    /// How many pages it would write before their flip now.
    fn early_room(&self) -> usize;
    /// Writes a page of the running epoch before its flip; false if not now. Ends in `PageWritten` or `PageNotWritten`.
    fn write_early(&mut self, page: PageIndex, frame: FrameIndex) -> bool;
    /// No more pages will be given.
    fn finish_snapshot(&mut self);
    /// Tells how many resident pages have no room set aside in the running epoch: allocation is refused while each of them can
    /// still be copied once.
    fn set_uncharged_pages(&mut self, pages: u64);
    /// The epoch that runs.
    fn running_epoch(&self) -> Epoch;
}

impl PageStore for Store {
    fn lookup(&self, page: PageIndex) -> Lookup {
        Self::lookup(self, page)
    }

    fn read_page(&mut self, page: PageIndex, frame: FrameIndex) {
        Self::read_page(self, page, frame);
    }

    fn reserve_first_dirtying(
        &mut self,
        page: PageIndex,
        copies: Copies,
        purpose: Purpose,
    ) -> Result<(), NoSpace> {
        Self::reserve_first_dirtying(self, page, copies, purpose)
    }

    fn uncharge(&mut self, _page: PageIndex, copies: Copies) {
        Self::uncharge(self, copies);
    }

    fn discard(&mut self, page: PageIndex) -> Result<(), NoSpace> {
        Self::discard(self, page)
    }

    fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        wall_time: Nanoseconds,
    ) -> Result<(), SnapshotError> {
        Self::begin_snapshot(self, epoch, wall_time)
    }

    fn write_page(&mut self, page: PageIndex, frame: FrameIndex, copies: Copies) {
        Self::write_page(self, page, frame, copies);
    }

    fn write_room(&self) -> usize {
        self.write_batch().saturating_sub(self.queued_writes())
    }

    fn early_room(&self) -> usize {
        Self::early_room(self)
    }

    fn write_early(&mut self, page: PageIndex, frame: FrameIndex) -> bool {
        Self::write_early(self, page, frame)
    }

    fn finish_snapshot(&mut self) {
        Self::finish_snapshot(self);
    }

    fn set_uncharged_pages(&mut self, pages: u64) {
        Self::set_uncharged_pages(self, pages);
    }

    fn running_epoch(&self) -> Epoch {
        Self::running_epoch(self)
    }
}
