//! A machine for the store's tests: a simulated disk, frames, the loops that drive the state machines to their end, and a
//! model of what each snapshot must hold.
//!
//! Invariant: page content is a function of a number (0: zeros), so the model is a map from page to number.

use revenant_hal::{
    Checksum, Disk, DiskCompletion, Epoch, FrameIndex, FrameMemory, Nanoseconds, PageBytes,
    PageIndex,
};
use revenant_sim::{Image, SimDisk, SimDiskOptions, SimFrames};
use revenant_store::{
    AbandonReason, Access, Check, CheckOutcome, CheckReport, Copies, DamagedBlock, FormatOutcome,
    Formatting, OpenFrom, OpenOutcome, OpenReport, OpenRequest, Opening, PageContent, Planted,
    Purpose, Refusal, Retention, RetentionOverride, SessionId, StepOutcome, Store, StoreEvent,
    StoreId, StoreOptions, Superblock, TrimOptions,
};
use std::collections::BTreeMap;

pub(crate) const VM_ABI: u32 = 1;
pub(crate) const FRAMES: u32 = 64;
/// Frames beyond those, for pages that are written before their flip.
pub(crate) const EARLY_FRAMES: u32 = 16;

/// What a snapshot holds: page to number.
pub(crate) type Pages = BTreeMap<u64, u64>;

/// The content that a number stands for.
pub(crate) fn content(number: u64) -> PageBytes {
    let mut page = PageBytes::ZERO;
    let mut state = number;
    for word in page.0.as_chunks_mut::<8>().0 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number);
        *word = state.to_le_bytes();
    }
    page
}

pub(crate) fn options(last: u32) -> StoreOptions {
    StoreOptions { retention: RetentionOverride::only_last(last), ..StoreOptions::default() }
}

pub(crate) fn request(session: u128) -> OpenRequest {
    OpenRequest {
        session: SessionId(session),
        vm_abi: VM_ABI,
        access: Access::ReadWrite,
        from: OpenFrom::Newest,
        options: options(3),
    }
}

/// Of every free block the device is told as soon as may be.
pub(crate) const TELL_ALL: TrimOptions = TrimOptions { run: 1, batch: 1, requests: 64 };

/// A request to open that tells the device of every free block.
pub(crate) fn telling(session: u128, last: u32) -> OpenRequest {
    let options = StoreOptions { trim: TELL_ALL, ..options(last) };
    OpenRequest { options, ..request(session) }
}

/// What tells one committed state from another: everything that a user could see of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) live: (Epoch, Checksum),
    pub(crate) restore_generation: u64,
    pub(crate) retention: Option<Retention>,
    /// Epoch, parent, root, pinned, hidden.
    pub(crate) snapshots: Vec<(Epoch, Epoch, Checksum, bool, bool)>,
}

impl Identity {
    pub(crate) fn of(superblock: &Superblock) -> Self {
        let entries = superblock.snapshots.entries().iter();
        Self {
            live: (superblock.epoch, superblock.root.checksum),
            restore_generation: superblock.restore_generation,
            retention: superblock.retention,
            snapshots: entries
                .map(|s| (s.epoch, s.parent, s.root.checksum, s.pinned, s.hidden))
                .collect(),
        }
    }
}

/// A frame pool and a disk.
pub(crate) struct Machine {
    pub(crate) disk: SimDisk,
    pub(crate) frames: SimFrames,
    /// What is stored and given to the store after the next flip, while its snapshot is in the making.
    pub(crate) beside: Pages,
}

/// How a commit ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Committed(Epoch, u64),
    Abandoned(AbandonReason),
    Refused,
}

impl Machine {
    pub(crate) fn new(image: Image, seed: u64) -> Self {
        let options = SimDiskOptions { seed, ..SimDiskOptions::default() };
        Self::with_options(image, options)
    }

    pub(crate) fn with_options(image: Image, options: SimDiskOptions) -> Self {
        Self {
            disk: SimDisk::new(image, options),
            frames: SimFrames::new(FRAMES + EARLY_FRAMES, options.seed),
            beside: Pages::new(),
        }
    }

    /// A machine that only looks: one frame.
    pub(crate) fn looking(image: Image, options: SimDiskOptions) -> Self {
        let (disk, frames) = (SimDisk::new(image, options), SimFrames::new(1, options.seed));
        Self { disk, frames, beside: Pages::new() }
    }

    /// One turn of the device and its completion, if there is one.
    pub(crate) fn poll(&mut self) -> Option<DiskCompletion> {
        self.disk.advance(&mut self.frames);
        self.disk.poll()
    }

    pub(crate) fn format(&mut self) -> Result<(), Refusal> {
        let mut formatting = Formatting::new(StoreId(0xC0FFEE), VM_ABI);
        loop {
            match formatting.step(&mut self.disk) {
                FormatOutcome::Formatted => return Ok(()),
                FormatOutcome::Refused(refusal) => return Err(refusal),
                FormatOutcome::Again => {}
                FormatOutcome::Waiting => {
                    if let Some(completion) = self.poll() {
                        formatting.complete(completion);
                    }
                }
            }
        }
    }

    pub(crate) fn open(&mut self, request: OpenRequest) -> Result<(Store, OpenReport), Refusal> {
        self.open_planted(request, Planted::None)
    }

    pub(crate) fn open_planted(
        &mut self,
        request: OpenRequest,
        planted: Planted,
    ) -> Result<(Store, OpenReport), Refusal> {
        let mut opening = Opening::new(request);
        opening.plant(planted);
        loop {
            match opening.step(&mut self.disk) {
                OpenOutcome::Opened(store, report) => return Ok((*store, *report)),
                OpenOutcome::Refused(refusal) => return Err(refusal),
                OpenOutcome::Again => {}
                OpenOutcome::Waiting => {
                    if let Some(completion) = self.poll() {
                        opening.complete(completion);
                    }
                }
            }
        }
    }

    /// Steps until the store rests or has something to tell.
    pub(crate) fn event(&mut self, store: &mut Store) -> Option<StoreEvent> {
        loop {
            if let Some(event) = store.next_event() {
                return Some(event);
            }
            match store.step(&mut self.disk, &mut self.frames) {
                StepOutcome::Again => {}
                StepOutcome::Idle => return store.next_event(),
                StepOutcome::Waiting => {
                    if let Some(completion) = self.poll() {
                        store.complete(completion, &mut self.frames);
                    }
                }
            }
        }
    }

    /// Stores to pages and writes them before their flip; those that the store takes and the disk has then.
    pub(crate) fn write_early(&mut self, store: &mut Store, changes: &Pages) -> Pages {
        while self.event(store).is_some() {} // until it knows which blocks are free
        let mut written = Pages::new();
        for (page, number) in changes {
            let index = PageIndex(*page);
            let reserved = store.reserve_first_dirtying(index, Copies::One, Purpose::Program);
            let frame = FrameIndex(FRAMES);
            *self.frames.bytes_mut(frame) = content(*number);
            if reserved.is_err() || !store.write_early(index, frame) {
                return written;
            }
            loop {
                match self.event(store) {
                    Some(StoreEvent::PageWritten { .. }) => break,
                    Some(StoreEvent::PageNotWritten { .. }) | None => return written,
                    Some(_) => {}
                }
            }
            written.insert(*page, *number);
        }
        written
    }

    /// Stores to pages and gives them to the store without waiting for the disk.
    pub(crate) fn begin_early(&mut self, store: &mut Store, changes: &Pages) {
        self.begin_early_in(FRAMES, store, changes);
    }

    /// The same, from a frame on.
    fn begin_early_in(&mut self, first: u32, store: &mut Store, changes: &Pages) {
        for (frame, (page, number)) in (first..).map(FrameIndex).zip(changes) {
            let index = PageIndex(*page);
            *self.frames.bytes_mut(frame) = content(*number);
            store.reserve_first_dirtying(index, Copies::One, Purpose::Program).expect("room");
            assert!(store.write_early(index, frame), "the store takes page {page}");
        }
    }

    /// So many turns in which nothing is asked of the store.
    pub(crate) fn rest(&mut self, store: &mut Store, turns: u64) {
        for _ in 0..turns {
            match store.step(&mut self.disk, &mut self.frames) {
                StepOutcome::Again => {}
                StepOutcome::Idle => return,
                StepOutcome::Waiting => {
                    if let Some(completion) = self.poll() {
                        store.complete(completion, &mut self.frames);
                    }
                }
            }
        }
    }

    /// Makes the snapshot of the running epoch, with these pages changed (number 0: discarded).
    pub(crate) fn snapshot(&mut self, store: &mut Store, changes: &Pages) -> End {
        for (page, number) in changes {
            let page = PageIndex(*page);
            let reserved = match number {
                0 => store.discard(page),
                _ => store.reserve_first_dirtying(page, copies(page), Purpose::Program),
            };
            if reserved.is_err() {
                return End::Refused;
            }
        }
        self.snapshot_unreserved(store, changes)
    }

    pub(crate) fn snapshot_unreserved(&mut self, store: &mut Store, changes: &Pages) -> End {
        let epoch = store.running_epoch();
        if store.begin_snapshot(epoch, Nanoseconds(epoch.0)).is_err() {
            return End::Refused;
        }
        let beside = core::mem::take(&mut self.beside);
        self.begin_early_in(FRAMES + EARLY_FRAMES / 2, store, &beside);
        let mut free: Vec<FrameIndex> = (0..FRAMES).map(FrameIndex).collect();
        let mut left: Vec<(u64, u64)> = changes.iter().rev().map(|(p, n)| (*p, *n)).collect();
        loop {
            while let Some((page, number)) = left.last().copied() {
                if number != 0 {
                    let Some(frame) = free.pop() else { break };
                    *self.frames.bytes_mut(frame) = content(number);
                    store.write_page(PageIndex(page), frame, copies(PageIndex(page)));
                }
                left.pop();
            }
            if left.is_empty() {
                store.finish_snapshot();
            }
            match self.event(store) {
                Some(StoreEvent::PageWritten { frame, .. }) if frame.0 < FRAMES => free.push(frame),
                Some(StoreEvent::Committed { epoch, blocks_written, .. }) => {
                    return End::Committed(epoch, blocks_written);
                }
                Some(StoreEvent::Abandoned { reason, .. }) => return End::Abandoned(reason),
                Some(_) => {}
                None => return End::Refused,
            }
        }
    }

    /// Makes wishes about snapshots durable.
    pub(crate) fn commit_requests(&mut self, store: &mut Store) -> End {
        if store.commit_requests().is_err() {
            return End::Refused;
        }
        loop {
            match self.event(store) {
                Some(StoreEvent::Committed { epoch, blocks_written, .. }) => {
                    return End::Committed(epoch, blocks_written);
                }
                Some(StoreEvent::Abandoned { reason, .. }) => return End::Abandoned(reason),
                Some(_) => {}
                None => return End::Refused,
            }
        }
    }

    /// Reads a page of the live state or of a snapshot.
    pub(crate) fn read(
        &mut self,
        store: &mut Store,
        snapshot: Option<Epoch>,
        page: u64,
    ) -> Result<PageBytes, DamagedBlock> {
        let (index, frame) = (PageIndex(page), FrameIndex(0));
        match snapshot {
            None => store.read_page(index, frame),
            Some(epoch) => {
                store.read_snapshot_page(epoch, index, frame).expect("the snapshot exists")
            }
        }
        loop {
            if let Some(StoreEvent::PageRead { result, .. }) = self.event(store) {
                return result.map(|content| match content {
                    PageContent::Zero => PageBytes::ZERO,
                    PageContent::Stored => self.frames.bytes(frame).clone(),
                });
            }
        }
    }

    /// Whether the state is exactly the model: every page of it, and pages beside it are zeros.
    pub(crate) fn matches(
        &mut self,
        store: &mut Store,
        snapshot: Option<Epoch>,
        model: &Pages,
    ) -> bool {
        let beside = model.keys().map(|page| page + 1).filter(|page| !model.contains_key(page));
        let zeros: Vec<u64> = beside.take(3).collect();
        let good = model.iter().all(|(page, number)| {
            let wanted = if *number == 0 { PageBytes::ZERO } else { content(*number) };
            self.read(store, snapshot, *page).as_ref() == Ok(&wanted)
        });
        good && zeros
            .into_iter()
            .all(|page| self.read(store, snapshot, page) == Ok(PageBytes::ZERO))
    }

    pub(crate) fn check(&mut self, superblock: Superblock) -> CheckReport {
        check(&mut self.disk, Check::new(superblock).with_previous_allocator())
    }

    /// After a step back the allocator of the generation before may be gone.
    pub(crate) fn check_stepped_back(&mut self, superblock: Superblock) -> CheckReport {
        check(&mut self.disk, Check::new(superblock))
    }
}

/// Pages at multiples of 1000 are stored twice.
pub(crate) fn copies(page: PageIndex) -> Copies {
    if page.0.is_multiple_of(1000) { Copies::Two } else { Copies::One }
}

/// Walks everything that a superblock reaches.
pub(crate) fn check(disk: &mut SimDisk, mut check: Check) -> CheckReport {
    let mut frames = revenant_sim::NoFrames;
    loop {
        match check.step(disk) {
            CheckOutcome::Done(report) => return report,
            CheckOutcome::Again => {}
            CheckOutcome::Waiting => {
                disk.advance(&mut frames);
                if let Some(completion) = disk.poll() {
                    check.complete(completion);
                }
            }
        }
    }
}

/// Applies changes to a model.
pub(crate) fn apply(model: &Pages, changes: &Pages) -> Pages {
    let mut next = model.clone();
    next.extend(changes);
    next
}

pub(crate) fn pages(changes: &[(u64, u64)]) -> Pages {
    changes.iter().copied().collect()
}

/// A formatted machine.
pub(crate) fn formatted(blocks: u64, seed: u64) -> Machine {
    formatted_with(blocks, SimDiskOptions { seed, ..SimDiskOptions::default() })
}

/// A formatted machine with a disk of one's choice.
pub(crate) fn formatted_with(blocks: u64, options: SimDiskOptions) -> Machine {
    let mut machine = Machine::with_options(Image::new(blocks), options);
    machine.format().expect("a fresh disk is formatted");
    machine
}
