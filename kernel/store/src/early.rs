//! Pages written before their flip: what the running epoch holds goes to blocks of the snapshot to come, so that its frames
//! can be used for something else, and the snapshot has less to write. Also while the snapshot before is in the making, so that
//! whoever stores to all of memory meanwhile goes on.
//!
//! ```text
//!   write_early --> queue --> device --PageWritten--> overlay of its epoch (module `overlay`)
//!                     |          |
//!                     +----------+--PageNotWritten: as dirty as before
//! ```
//!
//! Invariants:
//! - what is on its way belongs to the snapshot in the making or to the one after, and its birth says to which. A request carries
//!   pages of one. A commit goes past its pages only when nothing of its own is on its way any more; of the next one it knows nothing;
//! - a block of a page is held for its snapshot (`allocator::later`), in no bitmap before that one's commit: a cut loses and leaks
//!   nothing. A block whose page was given again or discarded is in no snapshot: free as soon as nobody reads it;
//! - for each page a second block is charged, in case its snapshot is given up and it has to be copied;
//! - half a MiB at most is in the device, eight times less than the writer of a snapshot may have there.
//!
//! Neighbours: `overlay` says where the pages stand and hands them to their commit, `reservation` counts what is charged.

use crate::allocator::later::Holder;
use crate::api::StoreEvent;
use crate::checksum::checksum;
use crate::commit::Target;
use crate::error::AbandonReason;
use crate::overlay::{Entry, Overlay};
use crate::reference::Reference;
use crate::reservation::Charges;
use crate::store::Store;
use crate::units::index;
use crate::write::is_zero;
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use revenant_hal::{
    BlockIndex, Buffer, DiskCompletion, DiskOperation, Epoch, FrameIndex, FrameMemory, PageIndex,
};

/// Pages of one request, and so of one step: they are checksummed in it.
const PAGES_A_REQUEST: usize = 64;
/// Pages that wait for a request.
const QUEUED: usize = 2 * PAGES_A_REQUEST;
/// Blocks in the device at once: a page fault waits behind half a MiB.
const BLOCKS_IN_FLIGHT: usize = 128;
/// While a snapshot is in the making, the pages of the next one may take this share of the RAM for such pages whatever the first takes.
const SHARE_OF_NEXT: usize = 4;

/// A page on its way.
#[derive(Clone, Copy, Debug)]
struct Item {
    page: PageIndex,
    frame: FrameIndex,
    ticket: u64,
    birth: Epoch,
    /// Zero until the page has a block.
    reference: Reference,
}

impl Item {
    /// Whether it was stored to before the flip that began this snapshot.
    fn belongs_to(&self, target: Option<Target>) -> bool {
        target.is_some_and(|target| self.birth <= target.epoch)
    }
}

/// What was written early, and what became of it in the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EarlyStatistics {
    /// Pages written, zeros among them.
    pub written: u64,
    /// Of these, part of a durable snapshot as they had been written before its flip.
    pub kept: u64,
    /// Of these, changed or discarded again before the flip. The rest waits for its snapshot.
    pub changed: u64,
}

/// What is on its way, and the overlay of the running epoch.
#[derive(Debug, Default)]
pub(crate) struct Early {
    pub(crate) overlay: Overlay,
    /// Pages of the snapshot in the making before those of the running epoch.
    queue: VecDeque<Item>,
    jobs: BTreeMap<u64, Vec<Item>>,
    in_flight: usize,
    next_ticket: u64,
    /// Blocks that nothing will refer to; each may be handed out again when the reads are over whose tags are lower.
    given_up: VecDeque<(u64, BlockIndex)>,
    pub(crate) statistics: EarlyStatistics,
}

impl Early {
    /// Whether nothing is on its way to the device that belongs to a snapshot.
    pub(crate) fn is_idle_for(&self, target: Option<Target>) -> bool {
        let none = |items: Option<&Item>| items.is_none_or(|item| !item.belongs_to(target));
        none(self.queue.front()) && self.jobs.values().all(|items| none(items.first()))
    }

    pub(crate) fn owns(&self, completion: &DiskCompletion) -> bool {
        self.jobs.contains_key(&completion.tag.0)
    }

    /// A block may be handed out when the reads are over that have a lower tag.
    pub(crate) fn wait_for_reads(&mut self, tag: u64, block: BlockIndex) {
        self.given_up.push_back((tag, block));
    }

    /// Whether a request is for pages of another snapshot than this one.
    pub(crate) fn is_beside(&self, tag: u64, target: Option<Target>) -> bool {
        let item = self.jobs.get(&tag).and_then(|items| items.first());
        item.is_some_and(|item| !item.belongs_to(target))
    }
}

impl Store {
    /// Pages that [`Store::write_early`] would take now without piling them up.
    #[must_use]
    pub fn early_room(&self) -> usize {
        let overlay = &self.early.overlay;
        if self.loader.is_some() || self.read_only.is_some() || overlay.is_unsure() {
            return 0;
        }
        let most = self.request.options.early_pages;
        let before = self.commit.as_ref().map_or(0, |commit| commit.overlay.len());
        let room = most.saturating_sub(before).max(most / SHARE_OF_NEXT);
        let room = room.saturating_sub(overlay.len());
        room.min(QUEUED.saturating_sub(self.early.queue.len()))
    }

    /// Writes a page of the running epoch, stored once and dirty, to a block of the snapshot to come; false if that cannot be
    /// done now. Otherwise `frame` must not change until [`StoreEvent::PageWritten`], after which reads of the page find it
    /// on the disk, or [`StoreEvent::PageNotWritten`]. Whoever stores to the page again sets space aside again.
    pub fn write_early(&mut self, page: PageIndex, frame: FrameIndex) -> bool {
        if self.early_room() == 0 || !self.reserve_spare_block() {
            return false;
        }
        let ticket = self.early.next_ticket;
        self.early.next_ticket += 1;
        let before = self.early.overlay.insert(page, Entry::Coming(ticket));
        self.supersede(before);
        let (birth, reference) = (self.running_epoch, Reference::ZERO);
        self.early.queue.push_back(Item { page, frame, ticket, birth, reference });
        true
    }

    /// What became of the pages written early.
    #[must_use]
    pub fn early_statistics(&self) -> EarlyStatistics {
        self.early.statistics
    }

    /// The snapshot in the making.
    fn target(&self) -> Option<Target> {
        self.commit.as_ref().and_then(|commit| commit.target)
    }

    /// For which snapshot a page is on its way.
    fn holder(&self, item: &Item) -> Holder {
        if item.belongs_to(self.target()) { Holder::Making } else { Holder::Running }
    }

    /// What the epoch of a snapshot has charged.
    fn charges_of(&mut self, holder: Holder) -> &mut Charges {
        match (&mut self.commit, holder) {
            (Some(commit), Holder::Making) => &mut commit.charges,
            _ => &mut self.running,
        }
    }

    fn overlay_of(&mut self, holder: Holder) -> &mut Overlay {
        match (&mut self.commit, holder) {
            (Some(commit), Holder::Making) => &mut commit.overlay,
            _ => &mut self.early.overlay,
        }
    }

    /// What an overlay said of a page is not so any more.
    pub(crate) fn supersede(&mut self, entry: Option<Entry>) {
        if let Some(Entry::Standing(reference)) = entry {
            self.early.statistics.changed += 1;
            if let Some(holder) = self.give_up(reference) {
                self.charges_of(holder).uncharge_blocks(2); // the page's, and the spare one
            }
        }
    }

    /// Nothing will refer to the block of a page that was written early: it is free as soon as the reads under way now are over. For
    /// which snapshot it was held; what was charged for it is the caller's matter.
    pub(crate) fn give_up(&mut self, reference: Reference) -> Option<Holder> {
        if reference.is_zero() {
            return None;
        }
        let holder = self.allocator.let_go(reference.block);
        assert!(holder.is_some(), "{} was held for a page", reference.block);
        self.early.wait_for_reads(self.io.next_tag(), reference.block);
        holder
    }

    /// The page was discarded in the running epoch: what was written of it before is not what it holds.
    pub(crate) fn forget_early(&mut self, page: PageIndex) {
        let entry = self.early.overlay.remove(page);
        self.supersede(entry);
    }

    /// Blocks that were given up are free as soon as the reads under way then are over.
    fn hand_back(&mut self) {
        while let Some((tag, block)) = self.early.given_up.front().copied()
            && self.reads.all_since(tag)
        {
            self.early.given_up.pop_front();
            self.allocator.hand_back(block);
        }
    }

    /// The first pages of the queue that are for the same snapshot, up to `most`, and for which.
    fn next_items(&mut self, most: usize) -> Option<(Vec<Item>, Holder)> {
        let holder = self.holder(self.early.queue.front()?);
        let target = self.target();
        let same = |item: &&Item| item.belongs_to(target) == (holder == Holder::Making);
        let count = self.early.queue.iter().take(most).take_while(same).count();
        Some((self.early.queue.drain(..count).collect(), holder))
    }

    /// Gives queued pages to the device, one request a step: neighbours in the queue become neighbours on disk. Whether there
    /// is more to do at once.
    pub(crate) fn step_early<F: FrameMemory + ?Sized>(&mut self, frames: &F) -> bool {
        self.hand_back();
        let Some(first) = self.early.queue.front() else { return false };
        let making = self.holder(first) == Holder::Making;
        let given_up = self.commit.as_ref().is_some_and(|commit| commit.failure.is_some());
        if self.read_only.is_some() || making && given_up {
            if let Some((items, holder)) = self.next_items(usize::MAX) {
                self.not_written(&items, holder);
            }
            return true;
        }
        if self.early.in_flight >= BLOCKS_IN_FLIGHT || self.io.room() == 0 {
            return false;
        }
        let most = self.io.per_request().min(PAGES_A_REQUEST);
        let Some((mut items, holder)) = self.next_items(most) else { return false };
        items.retain(|item| !self.early_hole(item, holder, frames));
        if items.is_empty() {
            return true;
        }
        let Some(run) = self.allocator.hold(items.len() as u64, holder) else {
            self.not_written(&items, holder);
            if making {
                self.fail_commit(AbandonReason::NoSpace);
            }
            return true;
        };
        for item in items.drain(index(run.length)..).rev() {
            self.early.queue.push_front(item);
        }
        for (item, block) in items.iter_mut().zip(run.blocks()) {
            assert!(!self.allocator.is_current(block.0), "a reachable block is never overwritten");
            self.forget_block(block);
            let checksum = checksum(frames.bytes(item.frame));
            item.reference =
                Reference { block, mirror: BlockIndex(0), birth: item.birth, checksum };
        }
        let buffers = items.iter().map(|item| Buffer::Frame(item.frame)).collect();
        self.early.in_flight += items.len();
        self.overlay_of(holder).blocks_written += items.len() as u64;
        let tag = self.io.push(DiskOperation::Write, BlockIndex(run.start), buffers);
        self.early.jobs.insert(tag, items);
        true
    }

    /// A page of zeros takes no block: it counts as written at once.
    fn early_hole<F: FrameMemory + ?Sized>(
        &mut self,
        item: &Item,
        holder: Holder,
        frames: &F,
    ) -> bool {
        let hole = is_zero(frames.bytes(item.frame));
        if hole {
            self.charges_of(holder).uncharge_blocks(2);
            self.enter_written(item, holder);
        }
        hole
    }

    /// The device has the page, or it needs none.
    fn enter_written(&mut self, item: &Item, holder: Holder) {
        let Item { page, frame, ticket, reference, .. } = *item;
        self.early.statistics.written += 1;
        let overlay = self.overlay_of(holder);
        if overlay.is_newest(page, ticket) {
            overlay.insert(page, Entry::Standing(reference));
        } else {
            // Discarded or given again meanwhile.
            self.supersede(Some(Entry::Standing(reference)));
        }
        self.events.push_back(StoreEvent::PageWritten { page, frame });
    }

    /// The pages are not on disk, and as dirty as before.
    fn not_written(&mut self, items: &[Item], holder: Holder) {
        for Item { page, frame, ticket, reference, .. } in items {
            let overlay = self.overlay_of(holder);
            if overlay.is_newest(*page, *ticket) {
                overlay.remove(*page);
            }
            let _ = self.give_up(*reference);
            self.charges_of(holder).uncharge_blocks(1); // the spare one
            let (page, frame) = (*page, *frame);
            self.events.push_back(StoreEvent::PageNotWritten { page, frame });
        }
    }

    /// The device has answered. If the flip has happened meanwhile, and it has not written them, the snapshot would lack pages.
    pub(crate) fn early_completion(&mut self, completion: &DiskCompletion) {
        let Some((items, holder)) = self.take_job(completion.tag.0) else { return };
        let Err(error) = completion.result else {
            return items.iter().for_each(|item| self.enter_written(item, holder));
        };
        items.iter().for_each(|item| self.allocator.mark_bad(item.reference.block));
        self.not_written(&items, holder);
        if holder == Holder::Making {
            self.fail_commit(AbandonReason::WriteFailed(completion.block, error));
        }
    }

    /// A request is over.
    fn take_job(&mut self, tag: u64) -> Option<(Vec<Item>, Holder)> {
        let items = self.early.jobs.remove(&tag)?;
        self.early.in_flight -= items.len();
        let holder = self.holder(items.first()?);
        Some((items, holder))
    }

    /// A request that the device was not given yet is dropped, if it is one of these.
    pub(crate) fn cancel_early(&mut self, tag: u64) {
        if let Some((items, holder)) = self.take_job(tag) {
            self.not_written(&items, holder);
        }
    }

    /// Nothing is written any more: what the device has not been given, it does not get.
    pub(crate) fn stop_early(&mut self) {
        let jobs = &self.early.jobs;
        let cancelled = self.io.cancel_waiting_writes(|tag| jobs.contains_key(&tag));
        cancelled.into_iter().for_each(|tag| self.cancel_early(tag));
    }
}
