//! A machine for the tests: a simulated disk with an open store, frames, and the loops that drive store and mark to their end.

use revenant_collector::{
    Mark, MarkBudget, MarkOutcome, MarkStatistics, PlantedMark, RegionError, Verdict,
};
use revenant_hal::{
    BlockIndex, Disk, Epoch, FrameIndex, FrameMemory, Nanoseconds, PageBytes, PageIndex,
};
use revenant_sim::{CutPolicy, Image, SimDisk, SimDiskOptions, SimFrames};
use revenant_store::{
    Access, Copies, FormatOutcome, Formatting, OpenFrom, OpenOutcome, OpenRequest, Opening,
    Planted, Purpose, RetentionOverride, SessionId, StepOutcome, Store, StoreEvent, StoreId,
    StoreOptions,
};
use revenant_vm::sweep::{MARK_WORDS, Marks, Verdicts};

/// Frames of the store's writes; those of the mark come behind.
pub(crate) const STORE_FRAMES: u32 = 64;
const VM_ABI: u32 = 1;

pub(crate) struct Rig {
    pub(crate) disk: SimDisk,
    pub(crate) frames: SimFrames,
    pub(crate) store: Store,
    /// Writes after which the power goes.
    pub(crate) cut_after: Option<u64>,
    /// The most partitions that a kill would have lost.
    pub(crate) worst_loss: u64,
}

/// How driving a mark ended.
#[derive(Debug)]
pub(crate) enum Driven {
    Ended(MarkOutcome),
    Cut,
}

fn request(session: u128, from: OpenFrom) -> OpenRequest {
    OpenRequest {
        session: SessionId(session),
        vm_abi: VM_ABI,
        access: Access::ReadWrite,
        from,
        options: StoreOptions {
            retention: RetentionOverride::only_last(2),
            failures_until_read_only: u32::MAX,
            ..StoreOptions::default()
        },
    }
}

pub(crate) fn open(
    disk: &mut SimDisk,
    frames: &mut SimFrames,
    session: u128,
    from: OpenFrom,
    planted: Planted,
) -> Option<Store> {
    let mut opening = Opening::new(request(session, from));
    opening.plant(planted);
    loop {
        match opening.step(disk) {
            OpenOutcome::Opened(store, _) => return Some(*store),
            // The snapshot is not there any more.
            OpenOutcome::Refused(_) if from != OpenFrom::Newest => return None,
            OpenOutcome::Refused(refusal) => panic!("the store is refused: {refusal:?}"),
            OpenOutcome::Again => {}
            OpenOutcome::Waiting => {
                disk.advance(frames);
                if let Some(completion) = disk.poll() {
                    opening.complete(completion);
                }
            }
        }
    }
}

impl Rig {
    pub(crate) fn new(blocks: u64, seed: u64) -> Self {
        let mut disk = SimDisk::empty(blocks, seed);
        let mut frames = SimFrames::new(STORE_FRAMES, seed);
        let mut formatting = Formatting::new(StoreId(0xC0FFEE), VM_ABI);
        loop {
            match formatting.step(&mut disk) {
                FormatOutcome::Formatted => break,
                FormatOutcome::Refused(refusal) => panic!("not formatted: {refusal:?}"),
                FormatOutcome::Again => {}
                FormatOutcome::Waiting => {
                    disk.advance(&mut frames);
                    if let Some(completion) = disk.poll() {
                        formatting.complete(completion);
                    }
                }
            }
        }
        let store = open(&mut disk, &mut frames, 1, OpenFrom::Newest, Planted::None).unwrap();
        Self { disk, frames, store, cut_after: None, worst_loss: 0 }
    }

    /// A machine that finds this image.
    pub(crate) fn on(image: Image, session: u128) -> Self {
        let options =
            SimDiskOptions { seed: u64::try_from(session).unwrap(), ..SimDiskOptions::default() };
        let mut disk = SimDisk::new(image, options);
        let mut frames = SimFrames::new(STORE_FRAMES, 1);
        let store = open(&mut disk, &mut frames, session, OpenFrom::Newest, Planted::None).unwrap();
        Self { disk, frames, store, cut_after: None, worst_loss: 0 }
    }

    pub(crate) fn cut(&mut self, policy: &mut dyn CutPolicy) -> Image {
        self.disk.cut(&mut self.frames, policy)
    }

    fn pump(&mut self, mark: Option<&mut Mark>) -> Option<StoreEvent> {
        let _ = self.store.step(&mut self.disk, &mut self.frames);
        self.disk.advance(&mut self.frames);
        if let Some(completion) = self.disk.poll() {
            if Store::owns(&completion) {
                self.store.complete(completion, &mut self.frames);
            } else if let Some(mark) = mark {
                mark.complete(completion);
            }
        }
        self.store.next_event()
    }

    /// Commits pages as the next snapshot.
    pub(crate) fn commit(&mut self, pages: &[(PageIndex, PageBytes)]) -> Epoch {
        for (page, _) in pages {
            let charged = self.store.reserve_first_dirtying(*page, Copies::One, Purpose::Program);
            charged.expect("the disk is large enough");
        }
        let epoch = self.store.running_epoch();
        self.store.begin_snapshot(epoch, Nanoseconds(epoch.0)).unwrap();
        let mut free: Vec<FrameIndex> = (0..STORE_FRAMES).map(FrameIndex).collect();
        let mut left = pages.iter();
        let mut next = left.next();
        loop {
            while let (Some((page, bytes)), false) = (next, free.is_empty()) {
                let frame = free.pop().unwrap();
                *self.frames.bytes_mut(frame) = bytes.clone();
                self.store.write_page(*page, frame, Copies::One);
                next = left.next();
            }
            if next.is_none() {
                self.store.finish_snapshot();
            }
            match self.pump(None) {
                Some(StoreEvent::PageWritten { frame, .. }) => free.push(frame),
                Some(StoreEvent::Committed { epoch, .. }) => return epoch,
                Some(StoreEvent::Abandoned { reason, .. }) => panic!("abandoned: {reason:?}"),
                _ => {}
            }
        }
    }

    /// Pins for the collector, durably; or lets go.
    pub(crate) fn pin(&mut self, epoch: Option<Epoch>) {
        self.store.set_collector_pin(epoch).unwrap();
        self.store.commit_requests().unwrap();
        loop {
            match self.pump(None) {
                Some(StoreEvent::Committed { .. }) => return,
                Some(StoreEvent::Abandoned { reason, .. }) => panic!("abandoned: {reason:?}"),
                _ => {}
            }
        }
    }

    /// The block in which a page's content stands, if it was written.
    pub(crate) fn block_with(&self, bytes: &PageBytes) -> Option<BlockIndex> {
        let image = self.disk.visible();
        let mut written = image.written();
        written.find(|block| image.read(*block) == bytes)
    }

    /// Until the store has nothing to do.
    pub(crate) fn rest(&mut self) {
        while self.store.step(&mut self.disk, &mut self.frames) != StepOutcome::Idle {
            let _ = self.pump(None);
        }
    }

    pub(crate) fn begin(&mut self, budget: MarkBudget, planted: PlantedMark) -> Mark {
        let count = u32::try_from(budget.frames()).unwrap();
        self.frames = SimFrames::new(STORE_FRAMES + count, 7);
        let frames = (STORE_FRAMES..STORE_FRAMES + count).map(FrameIndex).collect();
        Mark::planted(self.store.superblock(), budget, frames, planted).unwrap()
    }

    /// Goes on until the mark has ended, or the power has gone.
    pub(crate) fn drive(&mut self, mark: &mut Mark) -> Driven {
        for _ in 0..200_000_000_u64 {
            let outcome = mark.step(&mut self.store, &mut self.disk, &self.frames);
            let done = mark.statistics();
            let loss = done.partitions.saturating_sub(done.durable_partitions);
            self.worst_loss = self.worst_loss.max(loss);
            if self.cut_after.is_some_and(|writes| self.disk.operation_counts()[1] >= writes) {
                return Driven::Cut;
            }
            match outcome {
                MarkOutcome::Again => {}
                MarkOutcome::Waiting => self.wait(mark),
                _ => return Driven::Ended(outcome),
            }
        }
        panic!("the mark never ends");
    }

    /// The device's turn, and what it answers.
    pub(crate) fn wait(&mut self, mark: &mut Mark) {
        if let Some(StoreEvent::PageRead { page, frame, result }) = self.pump(Some(mark)) {
            mark.page_read(page, frame, result);
        }
    }

    /// A whole mark with a budget; its verdict.
    pub(crate) fn mark(&mut self, budget: MarkBudget) -> (Verdict, MarkStatistics) {
        let mut mark = self.begin(budget, PlantedMark::None);
        match self.drive(&mut mark) {
            Driven::Ended(MarkOutcome::Complete) => {}
            other => panic!("{other:?}"),
        }
        let statistics = mark.statistics();
        (mark.into_verdict(self.store.superblock()).expect("it is complete"), statistics)
    }

    /// The marks of a block.
    pub(crate) fn marks(
        &mut self,
        verdict: &mut Verdict,
        block: u32,
    ) -> Result<[u64; MARK_WORDS], RegionError> {
        verdict.want(block);
        loop {
            let waiting = verdict.step(&mut self.disk)?;
            if let Marks::Here(words) = verdict.marks(block) {
                return Ok(*words);
            }
            assert!(waiting, "what was asked for comes");
            self.disk.advance(&mut self.frames);
            if let Some(completion) = self.disk.poll() {
                verdict.complete(completion);
            }
        }
    }
}
