//! The pages of a commit: blocks for them, large requests of neighbours, checksums while the bytes are at hand, and the
//! read-back of a session's first commits.
//!
//! Invariants: a frame is given to the device only with a block that no superblock reaches; the reference of a page is
//! computed from the very bytes that are written (the frame is frozen); a page that is stored twice is reported as
//! written when both copies are; a page of zeros stands nowhere.

use crate::api::{Copies, StoreEvent};
use crate::checksum::checksum;
use crate::commit::{Commit, Job, Phase};
use crate::error::AbandonReason;
use crate::reference::Reference;
use crate::store::Store;
use crate::tree::Place;
use crate::units::index;
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use revenant_hal::{
    BlockIndex, Buffer, Checksum, DiskCompletion, DiskOperation, Epoch, FrameIndex, FrameMemory,
    PageBytes, PageIndex,
};

/// Requests of the read-back at once, and blocks in one: what is read back takes memory of its own, 4 MiB in all.
const READ_BACK_REQUESTS: usize = 4;
const READ_BACK_BLOCKS: usize = 256;
/// Blocks of pages in the device at once: enough to keep it busy, few enough that a program's page fault in the middle of a
/// snapshot waits behind 4 MiB and not behind a whole queue of them.
const BLOCKS_IN_FLIGHT: u64 = 1024;
/// Pages that a step looks at, checksums and submits: half a millisecond on an emulator. Between two slices of a thread there are
/// as many steps as threads that run, and with four times as many pages a step each waited 8 ms for its turn.
const PAGES_A_STEP: usize = 64;

/// A page waiting to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    page: PageIndex,
    frame: FrameIndex,
    copies: Copies,
}

/// A page on its way to the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteItem {
    page: PageIndex,
    frame: FrameIndex,
}

/// The pages of a commit.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) queue: VecDeque<Queued>,
    pub(crate) finished: bool,
    /// Blocks submitted and not completed.
    pub(crate) in_flight: u64,
    /// What the snapshot says about each page given to it.
    pub(crate) updates: BTreeMap<PageIndex, Reference>,
    /// Pages with two copies: how many are still being written.
    copies_left: BTreeMap<(PageIndex, FrameIndex), u8>,
    /// Blocks of pages that were given twice: free again when the commit is sealed.
    pub(crate) superseded: Vec<BlockIndex>,
    /// The last node of a path that was found in RAM when the last page was given.
    path_in_ram: Option<Place>,
}

impl Data {
    /// The device has these pages.
    pub(crate) fn written(&mut self, items: Vec<WriteItem>, events: &mut VecDeque<StoreEvent>) {
        self.in_flight -= items.len() as u64;
        for WriteItem { page, frame } in items {
            if let Some(left) = self.copies_left.get_mut(&(page, frame)) {
                *left -= 1;
                if *left > 0 {
                    continue;
                }
                self.copies_left.remove(&(page, frame));
            }
            events.push_back(StoreEvent::PageWritten { page, frame });
        }
    }

    fn update(&mut self, page: PageIndex, reference: Reference) {
        if let Some(old) = self.updates.insert(page, reference) {
            self.superseded.extend(old.blocks());
        }
    }
}

impl Store {
    /// Gives a frozen page to the snapshot in the making. `frame` must not change until [`StoreEvent::PageWritten`] or
    /// [`StoreEvent::Abandoned`]. Pages are written in the order given; neighbours in that order become neighbours on
    /// disk and share requests. Without a snapshot in the making (it was abandoned) nothing happens.
    pub fn write_page(&mut self, page: PageIndex, frame: FrameIndex, copies: Copies) {
        if let Some(commit) = self.commit.as_mut().filter(|commit| !commit.data.finished) {
            commit.data.queue.push_back(Queued { page, frame, copies });
            self.prefetch_path(page);
        }
    }

    /// The map nodes that the page's path still needs will be wanted when the pages are written: ask now. Neighbours come one
    /// after another: once a path is known to be in RAM, the pages of its last node are not looked for again.
    fn prefetch_path(&mut self, page: PageIndex) {
        let Some(commit) = &mut self.commit else { return };
        let place = Some(Place::on_path(page.0, 0));
        if commit.data.path_in_ram == place {
            return;
        }
        match self.map.find(&self.cache, page.0) {
            Ok(_) => commit.data.path_in_ram = place,
            Err(missing) => {
                if !self.failed_nodes.contains_key(&missing.reference.block)
                    && self.node_reads.len() < self.io.depth()
                {
                    // A failure is met again, and named, when the node is needed.
                    let _ = self.need(missing);
                }
            }
        }
    }

    /// Pages given to [`Store::write_page`] that have not reached the device's queue yet. Whoever wants to choose the
    /// order late (copies first) gives more only when this is below [`Store::write_batch`].
    #[must_use]
    pub fn queued_writes(&self) -> usize {
        self.commit.as_ref().map_or(0, |commit| commit.data.queue.len())
    }

    /// Pages that keep the device's queue full: two requests of the largest size.
    #[must_use]
    pub fn write_batch(&self) -> usize {
        self.io.per_request().saturating_mul(2)
    }

    /// Pages of one request, and so of one step.
    fn pages_a_request(&self) -> usize {
        self.io.per_request().min(PAGES_A_STEP)
    }

    /// Submits pages while the device has room: one request a step, so that a step stays short. Moves on to the map when
    /// the last page has been submitted.
    pub(crate) fn step_data<F: FrameMemory + ?Sized>(
        &mut self,
        commit: &mut Commit,
        frames: &F,
    ) -> Result<bool, AbandonReason> {
        if commit.data.queue.is_empty() {
            if commit.data.finished {
                commit.phase = Phase::Merge;
            }
            return Ok(false);
        }
        let full = commit.data.queue.len() >= self.pages_a_request() || commit.data.finished;
        let busy = commit.data.in_flight >= BLOCKS_IN_FLIGHT || self.io.room() == 0;
        let starving = commit.data.in_flight < BLOCKS_IN_FLIGHT / 4;
        if self.loader.is_some() || busy || !(full || starving) {
            return Ok(false);
        }
        let Some(target) = commit.target else { return Ok(false) };
        let want = commit.data.queue.len().min(self.pages_a_request());
        let mut taken: Vec<Queued> = commit.data.queue.drain(..want).collect();
        taken.retain(|queued| !self.is_hole(commit, queued, frames));
        if taken.is_empty() {
            return Ok(true);
        }
        let run = self.allocator.allocate(taken.len() as u64).ok_or(AbandonReason::NoSpace)?;
        for queued in taken.drain(index(run.length)..).rev() {
            commit.data.queue.push_front(queued);
        }
        for (queued, block) in taken.iter().zip(run.blocks()) {
            self.place_page(commit, queued, block, target.epoch, frames)?;
        }
        let items = taken.iter().map(|q| WriteItem { page: q.page, frame: q.frame }).collect();
        let buffers = taken.iter().map(|q| Buffer::Frame(q.frame)).collect();
        commit.data.in_flight += run.length;
        let tag = self.io.push(DiskOperation::Write, BlockIndex(run.start), buffers);
        commit.jobs.insert(tag, Job::Pages(items));
        Ok(true)
    }

    /// A page of zeros is a hole in the map and takes no block: it counts as written at once. The system's own pages, which
    /// stand twice, are written whatever they hold: a hole would stand but once.
    fn is_hole<F: FrameMemory + ?Sized>(
        &mut self,
        commit: &mut Commit,
        queued: &Queued,
        frames: &F,
    ) -> bool {
        let Queued { page, frame, copies } = *queued;
        if copies == Copies::Two || !is_zero(frames.bytes(frame)) {
            return false;
        }
        commit.data.update(page, Reference::ZERO);
        self.events.push_back(StoreEvent::PageWritten { page, frame });
        true
    }

    /// Computes a page's reference, and writes its second copy if it has one.
    fn place_page<F: FrameMemory + ?Sized>(
        &mut self,
        commit: &mut Commit,
        queued: &Queued,
        block: BlockIndex,
        birth: Epoch,
        frames: &F,
    ) -> Result<(), AbandonReason> {
        let checksum = checksum(frames.bytes(queued.frame));
        let mut reference = Reference { block, mirror: BlockIndex(0), birth, checksum };
        self.note_written(commit, block, checksum);
        if queued.copies == Copies::Two {
            let far = self.allocator.allocate_far_from(block.0, 1).ok_or(AbandonReason::NoSpace)?;
            reference.mirror = BlockIndex(far.start);
            self.note_written(commit, reference.mirror, checksum);
            commit.data.in_flight += 1;
            let buffers = alloc::vec![Buffer::Frame(queued.frame)];
            let tag = self.io.push(DiskOperation::Write, reference.mirror, buffers);
            let item = WriteItem { page: queued.page, frame: queued.frame };
            commit.jobs.insert(tag, Job::Pages(alloc::vec![item]));
            commit.data.copies_left.insert((queued.page, queued.frame), 2);
        }
        commit.data.update(queued.page, reference);
        Ok(())
    }

    /// A block gets new content: caches forget the old one, and the read-back will look at it.
    pub(crate) fn note_written(
        &mut self,
        commit: &mut Commit,
        block: BlockIndex,
        checksum: Checksum,
    ) {
        assert!(!self.allocator.is_current(block.0), "a reachable block is never overwritten");
        self.forget_block(block);
        if let Some(written) = &mut commit.written {
            written.push((block, checksum));
        }
    }

    /// Starts the next part of the read-back; false when everything was read. A block that was superseded or freed
    /// within this commit is read too: it was written all the same.
    pub(crate) fn step_read_back(&mut self, commit: &mut Commit) -> bool {
        let Some(written) = &mut commit.written else { return false };
        written.sort_unstable_by_key(|(block, _)| *block);
        while self.io.room() > 0 && commit.jobs.len() < READ_BACK_REQUESTS {
            let Some((last, _)) = written.last().copied() else { break };
            let mut start = written.len() - 1;
            let limit = self.io.per_request().min(READ_BACK_BLOCKS).min(written.len());
            while written.len() - start < limit {
                let (before, _) = written[start - 1];
                if before.0 + (written.len() - start) as u64 != last.0 {
                    break;
                }
                start -= 1;
            }
            let part = written.split_off(start);
            let first = part.first().map_or(last, |(block, _)| *block);
            let tag = self.io.read(first, part.len());
            let expected = part.into_iter().map(|(_, checksum)| checksum).collect();
            commit.jobs.insert(tag, Job::ReadBack(expected));
        }
        !commit.jobs.is_empty()
    }
}

/// Whether a page holds nothing but zeros.
pub(crate) fn is_zero(page: &PageBytes) -> bool {
    page.0.as_chunks::<8>().0.iter().all(|word| *word == [0; 8])
}

/// The first block that came back different.
pub(crate) fn read_back_failure(
    completion: &DiskCompletion,
    expected: &[Checksum],
) -> Option<AbandonReason> {
    if completion.result.is_err() {
        return Some(AbandonReason::ReadBackDiffers(completion.block));
    }
    let pages = completion.buffers.iter().zip(expected).enumerate();
    for (offset, (buffer, expected)) in pages {
        let Buffer::Owned(page) = buffer else { continue };
        if checksum(page) != *expected {
            let block = BlockIndex(completion.block.0 + offset as u64);
            return Some(AbandonReason::ReadBackDiffers(block));
        }
    }
    None
}
