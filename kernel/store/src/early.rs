//! Pages written before their flip: what the running epoch holds goes to blocks of the snapshot to come, so that its frames
//! can be used for something else, and the snapshot has less to write.
//!
//! ```text
//!   write_early --> queue --> device --PageWritten--> overlay --the commit collects--> its updates --> map
//!                     |          |                      ^                                  |
//!                     +----------+--PageNotWritten      +--given up: read back, verified, <+
//!                        as dirty as before                 written elsewhere by the next
//! ```
//!
//! Invariants:
//! - pages are taken only while no commit is in the making, so all that is here belongs to one snapshot: the next one, or the one
//!   in the making. A commit goes past its pages only when nothing of this is on its way any more;
//! - a block of the overlay is allocated in the bitmap of the commit to come and in no durable one: a cut loses and leaks
//!   nothing. A block whose page was given again or discarded is in no snapshot: free at once, as soon as nobody reads it;
//! - the overlay is asked before the discards of its epoch and before the durable map, and after what was stored later;
//! - a commit that was given up says nothing about what the device has kept: what stands in the overlay then is read back,
//!   verified and written to other blocks by the next commit. For this each page has a second block charged.
//!
//! Neighbours: `commit` runs the phase `Merge`, `store` asks the overlay before the map, `reservation` counts what is charged.

use crate::api::{Planted, StoreEvent};
use crate::commit::{Commit, Job, Phase};
use crate::error::{AbandonReason, BlockRole, DamagedBlock};
use crate::reference::{Reference, checksum};
use crate::reservation::Charges;
use crate::store::Store;
use crate::units::index;
use crate::write::is_zero;
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use revenant_hal::{
    BlockIndex, Buffer, DiskCompletion, DiskOperation, Epoch, Event, FrameIndex, FrameMemory,
    PageIndex,
};

/// Pages of the overlay that a commit takes over in one step.
const MERGED_A_STEP: usize = 256;
/// Pages that are copied to other blocks at a time, each through memory of its own.
const RESCUES: usize = 64;
/// Pages of one request, and so of one step: they are checksummed in it.
const PAGES_A_REQUEST: usize = 64;
/// Pages that wait for a request.
const QUEUED: usize = 2 * PAGES_A_REQUEST;
/// Blocks in the device at once: a page fault waits behind half a MiB.
const BLOCKS_IN_FLIGHT: usize = 128;
/// So many commits in a row are given up for a page that the device does not give back; then its snapshot is made without it.
const CHANCES: u32 = 2;

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

/// What the overlay says of a page.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// It is on its way, by the item with this ticket.
    Coming(u64),
    Standing(Reference),
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

/// The overlay, and what is on its way there.
#[derive(Debug, Default)]
pub(crate) struct Early {
    overlay: BTreeMap<PageIndex, Entry>,
    queue: VecDeque<Item>,
    jobs: BTreeMap<u64, Vec<Item>>,
    in_flight: usize,
    next_ticket: u64,
    /// Blocks that nothing will refer to, clear in the bitmap to come; each may be handed out again when the reads are over
    /// whose tags are lower.
    given_up: VecDeque<(u64, BlockIndex)>,
    /// A commit with what stands in the overlay was given up.
    unsure: bool,
    /// Blocks written for the snapshot to come.
    pub(crate) blocks_written: u64,
    statistics: EarlyStatistics,
}

impl Early {
    /// Whether nothing is on its way to the device.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.jobs.is_empty()
    }

    /// Whether nothing was written for the snapshot to come.
    pub(crate) fn is_empty(&self) -> bool {
        self.overlay.is_empty() && self.is_idle()
    }

    pub(crate) fn owns(&self, completion: &DiskCompletion) -> bool {
        self.jobs.contains_key(&completion.tag.0)
    }

    /// Where a page of the snapshot to come stands.
    pub(crate) fn reference(&self, page: PageIndex) -> Option<Reference> {
        match self.overlay.get(&page) {
            Some(Entry::Standing(reference)) => Some(*reference),
            _ => None,
        }
    }

    /// Whether nothing has happened to a page since it was given under this ticket.
    fn is_newest(&self, page: PageIndex, ticket: u64) -> bool {
        matches!(self.overlay.get(&page), Some(Entry::Coming(coming)) if *coming == ticket)
    }

    /// Whether a page is on its way.
    pub(crate) fn is_coming(&self, page: PageIndex) -> bool {
        matches!(self.overlay.get(&page), Some(Entry::Coming(_)))
    }
}

impl Store {
    /// Pages that [`Store::write_early`] would take now without piling them up.
    #[must_use]
    pub fn early_room(&self) -> usize {
        let early = &self.early;
        let able = self.commit.is_none()
            && self.loader.is_none()
            && self.read_only.is_none()
            && !early.unsure;
        if !able {
            return 0;
        }
        let room = self.request.options.early_pages.saturating_sub(early.overlay.len());
        room.min(QUEUED.saturating_sub(early.queue.len()))
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

    /// What the epoch has charged to which the overlay belongs.
    fn charges_of_overlay(&mut self) -> &mut Charges {
        match &mut self.commit {
            Some(commit) => &mut commit.charges,
            None => &mut self.running,
        }
    }

    /// What the overlay said of a page is not so any more.
    fn supersede(&mut self, entry: Option<Entry>) {
        if let Some(Entry::Standing(reference)) = entry {
            self.early.statistics.changed += 1;
            self.give_up(reference);
        }
    }

    /// Nothing will refer to the block of a page that was written early.
    fn give_up(&mut self, reference: Reference) {
        if reference.is_zero() {
            return;
        }
        let freed = self.allocator.free(reference.block);
        assert!(freed.is_ok(), "{} was allocated for a page", reference.block);
        self.early.given_up.push_back((self.io.next_tag(), reference.block));
    }

    /// The page was discarded in the running epoch: what was written of it before is not what it holds.
    pub(crate) fn forget_early(&mut self, page: PageIndex) {
        // What stands there while a commit is in the making belongs to the epoch before.
        if self.commit.is_none() {
            let entry = self.early.overlay.remove(&page);
            self.supersede(entry);
        }
    }

    /// Whether nobody reads any block that was given up.
    pub(crate) fn given_up_unread(&self) -> bool {
        let newest = self.early.given_up.back().map_or(0, |(tag, _)| *tag);
        self.reads.all_since(newest)
    }

    /// Blocks that were given up are free as soon as the reads under way then are over, with what was charged for them. While a
    /// commit is in the making they wait for its end.
    fn hand_back(&mut self) {
        while self.commit.is_none()
            && let Some((tag, block)) = self.early.given_up.front().copied()
            && self.reads.all_since(tag)
        {
            self.early.given_up.pop_front();
            if self.allocator.hand_back(block) {
                self.running.uncharge_blocks(2); // the page's, and the spare one
            }
        }
    }

    /// Gives queued pages to the device, one request a step: neighbours in the queue become neighbours on disk. Whether there
    /// is more to do at once.
    pub(crate) fn step_early<F: FrameMemory + ?Sized>(&mut self, frames: &F) -> bool {
        self.hand_back();
        if self.early.queue.is_empty() {
            return false;
        }
        let given_up = self.commit.as_ref().is_some_and(|commit| commit.failure.is_some());
        if self.read_only.is_some() || given_up {
            let items: Vec<Item> = self.early.queue.drain(..).collect();
            self.not_written(&items);
            return true;
        }
        if self.early.in_flight >= BLOCKS_IN_FLIGHT || self.io.room() == 0 {
            return false;
        }
        let most = self.io.per_request().min(PAGES_A_REQUEST).min(self.early.queue.len());
        let mut items: Vec<Item> = self.early.queue.drain(..most).collect();
        items.retain(|item| !self.early_hole(item, frames));
        if items.is_empty() {
            return true;
        }
        let Some(run) = self.allocator.allocate(items.len() as u64) else {
            self.not_written(&items);
            self.fail_commit(AbandonReason::NoSpace);
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
        self.early.blocks_written += items.len() as u64;
        let tag = self.io.push(DiskOperation::Write, BlockIndex(run.start), buffers);
        self.early.jobs.insert(tag, items);
        true
    }

    /// A page of zeros takes no block: it counts as written at once.
    fn early_hole<F: FrameMemory + ?Sized>(&mut self, item: &Item, frames: &F) -> bool {
        let hole = is_zero(frames.bytes(item.frame));
        if hole {
            self.charges_of_overlay().uncharge_blocks(2);
            self.enter_written(item);
        }
        hole
    }

    /// The device has the page, or it needs none.
    fn enter_written(&mut self, item: &Item) {
        let Item { page, frame, ticket, reference, .. } = *item;
        self.early.statistics.written += 1;
        if self.early.is_newest(page, ticket) {
            self.early.overlay.insert(page, Entry::Standing(reference));
        } else {
            // Discarded or given again meanwhile.
            self.supersede(Some(Entry::Standing(reference)));
        }
        self.events.push_back(StoreEvent::PageWritten { page, frame });
    }

    /// The pages are not on disk, and as dirty as before.
    fn not_written(&mut self, items: &[Item]) {
        for Item { page, frame, ticket, reference, .. } in items {
            if self.early.is_newest(*page, *ticket) {
                self.early.overlay.remove(page);
            }
            if reference.is_zero() {
                self.charges_of_overlay().uncharge_blocks(1); // the spare one
            }
            // A bad block never comes back, and the spare one is the page's from now on.
            self.give_up(*reference);
            let (page, frame) = (*page, *frame);
            self.events.push_back(StoreEvent::PageNotWritten { page, frame });
        }
    }

    /// The device has answered. If the flip has happened meanwhile, and it has not written them, the snapshot would lack pages.
    pub(crate) fn early_completion(&mut self, completion: &DiskCompletion) {
        let Some(items) = self.early.jobs.remove(&completion.tag.0) else { return };
        self.early.in_flight -= items.len();
        if let Err(error) = completion.result {
            items.iter().for_each(|item| self.allocator.mark_bad(item.reference.block));
            self.not_written(&items);
            return self.fail_commit(AbandonReason::WriteFailed(completion.block, error));
        }
        items.iter().for_each(|item| self.enter_written(item));
    }

    /// A request that the device was not given yet is dropped, if it is one of these.
    pub(crate) fn cancel_early(&mut self, tag: u64) {
        if let Some(items) = self.early.jobs.remove(&tag) {
            self.early.in_flight -= items.len();
            self.not_written(&items);
        }
    }

    /// The commit takes the overlay over: what was not given to it again becomes part of the snapshot, after having been
    /// copied if an earlier commit with it was given up.
    pub(crate) fn step_merge(&mut self, commit: &mut Commit) -> Result<bool, AbandonReason> {
        if commit.target.is_none() {
            commit.phase = Phase::Apply;
            return Ok(true);
        }
        if !self.early.is_idle() || commit.rescues >= RESCUES {
            return Ok(false);
        }
        let most = if self.early.unsure { RESCUES - commit.rescues } else { MERGED_A_STEP };
        let part = self.early.overlay.range(commit.merged..).take(most);
        let part: Vec<(PageIndex, Entry)> = part.map(|(page, entry)| (*page, *entry)).collect();
        let Some((last, _)) = part.last() else {
            if commit.rescues == 0 {
                commit.phase = Phase::Apply;
            }
            return Ok(false);
        };
        commit.merged = PageIndex(last.0 + 1);
        let believed = self.planted == Planted::EarlyBlocksBelieved;
        for (page, entry) in part {
            let Entry::Standing(reference) = entry else { panic!("{page} is not on its way") };
            if commit.data.updates.contains_key(&page) || self.planted == Planted::OverlayLost {
                commit.early.changed += 1;
                self.give_up(reference);
            } else if self.early.unsure && !believed && !reference.is_zero() {
                let tag = self.io.read(reference.block, 1);
                commit.jobs.insert(tag, Job::Rescue(page, reference));
                commit.rescues += 1;
            } else {
                commit.early.kept += 1;
                commit.data.updates.insert(page, reference);
                if let Some(written) = commit.written.as_mut().filter(|_| !reference.is_zero()) {
                    written.push((reference.block, reference.checksum));
                }
            }
        }
        Ok(true)
    }

    /// A page of the overlay was read back: it goes to another block, and is read where it was until it stands there. If it is not what was written, the snapshot says where it
    /// should be, and whoever reads it is told; a device that fails may work again, so then the commit is given up first.
    pub(crate) fn rescue(
        &mut self,
        page: PageIndex,
        reference: Reference,
        completion: DiskCompletion,
    ) -> Option<AbandonReason> {
        let device_error = completion.result.err();
        let content = crate::io::owned(completion.buffers).pop();
        let mut commit = self.commit.take()?;
        let content = content.filter(|page| device_error.is_none() && reference.matches(page));
        let mut reason = None;
        if let Some(content) = content {
            if commit.failure.is_none() {
                let block = self.allocator.allocate(1).map(|run| BlockIndex(run.start));
                match (block, commit.target) {
                    (Some(block), Some(target)) => {
                        self.note_written(&mut commit, block, reference.checksum);
                        let moved = Reference { block, birth: target.epoch, ..reference };
                        let tag = self.io.write(block, alloc::vec![content]);
                        commit.jobs.insert(tag, Job::Rescued(page, moved));
                    }
                    _ => reason = Some(AbandonReason::NoSpace),
                }
            }
        } else {
            let (block, role) = (reference.block, BlockRole::Page(page));
            let limit = self.request.options.failures_until_read_only;
            let more_chances = self.failures < CHANCES && self.failures + 1 < limit;
            if device_error.is_some() && more_chances {
                reason = Some(AbandonReason::Damaged(DamagedBlock { block, role, device_error }));
            } else {
                self.events.push_back(StoreEvent::Report(Event::UnreadablePage { page, block }));
                commit.data.updates.insert(page, reference);
                commit.rescues -= 1;
            }
        }
        self.commit = Some(commit);
        reason
    }

    /// A page of the overlay stands in another block: the snapshot says so, and from now on reads go there.
    pub(crate) fn rescued(&mut self, page: PageIndex, moved: Reference) {
        let Some(commit) = &mut self.commit else { return };
        commit.rescues -= 1;
        commit.early.kept += 1;
        commit.data.updates.insert(page, moved);
        if let Some(reference) = self.early.reference(page) {
            self.give_up(reference);
        }
    }

    /// The commit is durable, and the overlay with it.
    pub(crate) fn overlay_committed(&mut self, commit: &Commit) {
        self.early.given_up.clear();
        if commit.target.is_none() {
            return; // it had none, or it could not have begun
        }
        assert!(self.early.is_idle(), "nothing came in between");
        self.early.overlay.clear();
        self.early.unsure = false;
        self.early.blocks_written = 0;
        self.early.statistics.kept += commit.early.kept;
        self.early.statistics.changed += commit.early.changed;
    }

    /// The commit was given up, and its allocations with it: the overlay keeps its blocks until their content is elsewhere.
    /// What was discarded since the flip is not needed any more.
    pub(crate) fn overlay_kept(&mut self) {
        assert!(self.early.is_idle(), "nothing is on its way any more");
        self.early.given_up.clear();
        let (discards, allocator) = (&self.discards, &mut self.allocator);
        let forgotten = self.planted == Planted::EarlyBlocksNotKept;
        self.early.overlay.retain(|page, entry| {
            let Entry::Standing(reference) = entry else { return false };
            let needed = !discards.contains(*page);
            if needed && !reference.is_zero() && !forgotten {
                allocator.keep(reference.block);
            }
            needed
        });
        self.early.unsure = !self.early.overlay.is_empty();
    }
}
