//! Object space as this machine has it: store, pager, disk, frames and page tables put together, and the one cell through
//! which the page-fault handler reaches them.
//!
//! The event loop opens the cell between slices; while one runs the handler opens it, and a discard between two accesses. No
//! policy stands here: faults are the pager's, I/O is the store's, this file hands completions and events around.

mod collecting;
mod faults;
mod past;

pub(crate) use collecting::Rewrite;
pub(crate) use faults::served as served_faults;

use crate::collection::Collector;
use crate::report::State;
use crate::{detail, last_words, log};
use alloc::vec::Vec;
use core::ops::Range;
use revenant_collector::{Mark, MarkBudget};
use revenant_hal::{Disk, Epoch, Event, FrameIndex, FrameMemory, Mmu, Nanoseconds, PageIndex};
use revenant_machine::attempt::{self, Declaration};
use revenant_machine::attention;
use revenant_machine::cell::ExclusiveCell;
use revenant_machine::clock;
use revenant_machine::frames::{FramePool, ObjectTables};
use revenant_machine::virtio::VirtioDisk;
use revenant_pager::load_control::Changes;
use revenant_pager::past::PastPages;
use revenant_pager::replacement::{Claim, Group};
use revenant_pager::{
    FlipRefused, FlipReport, Impossible, Memory, Pager, PagerOptions, Statistics, Wake,
    WiredProgress, WiredRange,
};
use revenant_store::{
    EarlyStatistics, FormatOutcome, Formatting, OpenFrom, OpenOutcome, OpenReport, OpenRequest,
    Opening, Refusal, Space, SpaceState, StepOutcome, Store, StoreEvent, StoreId,
};

/// Ticks after which translations are dropped. A flip has to drop them all, and an emulator keeps as many as pages were
/// touched since the last time. With programs stopped, that took it 0.4 ms after 192 MiB; dropped every 16 ms it took 0.17 ms,
/// every 8 ms 0.1 ms, and 0.05 ms is what remains with nothing to drop.
/// Programs pay with the page walks of what they use, each time.
const TRANSLATION_TICKS: u64 = 2;
/// Ticks that a page must not have been touched for to count as settled; twice as many at most.
const SETTLING_TICKS: u64 = 32;

/// Everything between programs and the disk.
pub(crate) struct ObjectSpace {
    store: Store,
    pager: Pager,
    disk: VirtioDisk,
    frames: FramePool,
    tables: ObjectTables,
    collector: Collector,
    past: PastPages,
    /// The last access that can never succeed, until the loop has taken it.
    impossible: Option<(PageIndex, Impossible)>,
    /// In which period of [`TRANSLATION_TICKS`] translations were last dropped.
    dropped: u64,
    /// Faults served so far.
    served: u32,
    /// What was last told of the pages written before their flip.
    early: EarlyStatistics,
}

static SPACE: ExclusiveCell<Option<ObjectSpace>> = ExclusiveCell::new(None);

/// What a snapshot in the making came to.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// Durable.
    Committed {
        /// The snapshot.
        epoch: Epoch,
        /// Its superblock.
        generation: u64,
        /// Blocks written for it.
        blocks: u64,
    },
    /// The snapshot of this epoch is given up; its pages are dirty again.
    Abandoned(Epoch),
    /// From now on nothing is written.
    ReadOnly,
}

/// Whether there is more to do at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Work {
    /// Call again soon.
    More,
    /// Nothing before the next interrupt.
    Waiting,
}

/// Opens the store on `disk`. On success the store is accepted: from here on a panic writes its epitaph there.
pub(crate) fn open(
    disk: &mut VirtioDisk,
    request: OpenRequest,
) -> Result<(Store, OpenReport), Refusal> {
    let from = request.from;
    let mut opening = Opening::new(request);
    loop {
        attention::take();
        while let Some(completion) = disk.poll() {
            opening.complete(completion);
        }
        match opening.step(disk) {
            OpenOutcome::Again => {}
            OpenOutcome::Waiting => attention::wait(),
            OpenOutcome::Refused(refusal) => return Err(refusal),
            OpenOutcome::Opened(store, report) => {
                last_words::accept_disk(disk, &report, from != OpenFrom::Newest);
                return Ok((*store, *report));
            }
        }
    }
}

/// Makes an empty store: only for the built-in tests; real disks are made on the host.
pub(crate) fn format(disk: &mut VirtioDisk, store: StoreId, vm_abi: u32) -> Result<(), Refusal> {
    let mut formatting = Formatting::new(store, vm_abi);
    loop {
        attention::take();
        while let Some(completion) = disk.poll() {
            formatting.complete(completion);
        }
        match formatting.step(disk) {
            FormatOutcome::Again => {}
            FormatOutcome::Waiting => attention::wait(),
            FormatOutcome::Formatted => return Ok(()),
            FormatOutcome::Refused(refusal) => return Err(refusal),
        }
    }
}

/// Puts the parts together and lets faults in object space be served from here on; `declare` is told so.
pub(crate) fn install<T>(
    store: Store,
    disk: VirtioDisk,
    frames: FramePool,
    tables: ObjectTables,
    wired: Vec<WiredRange>,
    declare: Declaration<T>,
) -> T {
    install_beside(None, store, disk, frames, tables, wired, declare)
}

/// The same, but the collector's memory is set aside: of the frames, the last. Before them are those for pages of the past.
pub(crate) fn install_beside<T>(
    collector: Option<MarkBudget>,
    store: Store,
    disk: VirtioDisk,
    frames: FramePool,
    tables: ObjectTables,
    wired: Vec<WiredRange>,
    declare: Declaration<T>,
) -> T {
    let set_aside = collector.map_or(0, MarkBudget::frames);
    let set_aside = u32::try_from(set_aside).unwrap_or(u32::MAX);
    let cached = frames.frame_count().saturating_sub(set_aside);
    let count = cached - past::share(cached);
    let past = past::pages(count..cached);
    let budget = collector.unwrap_or_default();
    let collector =
        Collector::new(budget, (cached..frames.frame_count()).map(FrameIndex).collect());
    let mut pager = Pager::new(count, &store, wired, PagerOptions::default());
    pager.set_cleaning(true);
    let early = EarlyStatistics::default();
    let (impossible, dropped, served) = (None, 0, 0);
    let space = ObjectSpace {
        store,
        pager,
        disk,
        frames,
        tables,
        collector,
        past,
        impossible,
        dropped,
        served,
        early,
    };
    SPACE.with(|cell| *cell = Some(space));
    attempt::open_object_space(faults::on_fault, declare)
}

/// Opens the cell. Object space is not accessed meanwhile: the fault handler would find the cell held.
pub(crate) fn with<R>(work: impl FnOnce(&mut ObjectSpace) -> R) -> R {
    SPACE.with(|cell| match cell {
        Some(space) => work(space),
        None => panic!("object space is used before it is installed"),
    })
}

impl ObjectSpace {
    /// Makes pages of free memory zeros; how many, from the first on. Not between accesses to them.
    pub(crate) fn discard(&mut self, pages: Range<PageIndex>) -> u64 {
        let mut memory = Memory { mmu: &mut self.tables, frames: &mut self.frames };
        self.pager.discard(pages, &mut memory, &mut self.store)
    }

    /// Brings the wired pages in, as far as there is room.
    pub(crate) fn wire(&mut self) -> WiredProgress {
        let mut memory = Memory { mmu: &mut self.tables, frames: &mut self.frames };
        self.pager.wire(&mut memory, &mut self.store)
    }

    /// One bounded round: what the disk has finished, what the store and the pager have to do.
    pub(crate) fn work(&mut self, mut news: impl FnMut(News)) -> Work {
        self.drop_old_translations();
        let mut progress = false;
        while let Some(completion) = self.disk.poll() {
            if Mark::owns(&completion) {
                self.collector.complete(completion);
            } else {
                self.store.complete(completion, &mut self.frames);
            }
            progress = true;
        }
        self.hand_out_events(&mut news);
        let mut memory = Memory { mmu: &mut self.tables, frames: &mut self.frames };
        let pager = self.pager.step(&mut memory, &mut self.store);
        self.write_settled();
        // After the pager: what it has just asked for goes to the disk in this round.
        let store = self.store.step(&mut self.disk, &mut self.frames);
        progress |= self.hand_out_events(&mut news);
        progress |= store == StepOutcome::Again || pager == revenant_pager::StepOutcome::Again;
        if progress { Work::More } else { Work::Waiting }
    }

    /// Gives the store's events to the pager and to the loop; whether there were any.
    fn hand_out_events(&mut self, news: &mut impl FnMut(News)) -> bool {
        let mut some = false;
        while let Some(event) = self.store.next_event() {
            some = true;
            if let StoreEvent::PageRead { page, frame, result } = event
                && (self.collector.takes(page, frame, result) || self.takes_past(frame, result))
            {
                continue;
            }
            let mut memory = Memory { mmu: &mut self.tables, frames: &mut self.frames };
            self.pager.on_store_event(&event, &mut memory);
            if let StoreEvent::Committed { epoch, .. } = event {
                self.report_cleaner(epoch);
            }
            if let Some(item) = translate(event) {
                news(item);
            }
        }
        some
    }

    /// Says what became of the pages written before their flip, if there were any since the last snapshot.
    fn report_cleaner(&mut self, epoch: Epoch) {
        let early = self.store.early_statistics();
        let before = core::mem::replace(&mut self.early, early);
        if early.written > before.written {
            let (kept, changed) = (early.kept - before.kept, early.changed - before.changed);
            detail!(
                "cleaned epoch={epoch} written={} kept={kept} changed={changed}",
                early.written - before.written
            );
        }
    }

    /// What became of pages written before their flip.
    pub(crate) fn early_statistics(&self) -> EarlyStatistics {
        self.store.early_statistics()
    }

    /// See [`Pager::set_read_ahead`].
    pub(crate) fn set_read_ahead(&mut self, on: bool) {
        self.pager.set_read_ahead(on);
    }

    /// See [`Pager::set_cleaning`] (on from the start) and [`Pager::set_settling`].
    pub(crate) fn set_cleaning(&mut self, on: bool, settling: bool) {
        self.pager.set_cleaning(on);
        self.pager.set_settling(settling);
    }

    /// While the disk has nothing else to do, and no lack of space, pages that look settled are written.
    fn write_settled(&mut self) {
        if self.disk.in_flight() == 0 && self.store.space_state() == SpaceState::Plenty {
            let mut memory = Memory { mmu: &mut self.tables, frames: &mut self.frames };
            let period = clock::ticks() / SETTLING_TICKS;
            self.pager.write_settled(period, &mut memory, &mut self.store);
        }
    }

    /// Work that nobody waits for; whether there was any. Called before the processor would halt.
    pub(crate) fn use_idle_time(&mut self) -> bool {
        self.pager.zero_ahead(&mut self.frames)
    }

    /// Keeps what the flip has to drop small.
    fn drop_old_translations(&mut self) {
        let period = clock::ticks() / TRANSLATION_TICKS;
        if core::mem::replace(&mut self.dropped, period) != period {
            self.tables.invalidate_all();
        }
    }

    /// A thread of this group is about to run.
    pub(crate) fn group_runs(&mut self, group: u32) {
        self.pager.runs(Group::new(group));
    }

    /// Says what a group is promised of memory, and permitted, in pages.
    pub(crate) fn claim(&mut self, group: u32, claim: Claim) {
        self.pager.claim(Group::new(group), claim);
    }

    /// See [`Pager::control_load`].
    pub(crate) fn control_load(&mut self, now: Nanoseconds, waited: Nanoseconds) -> Changes {
        self.pager.control_load(now, waited)
    }

    /// See [`Pager::set_stopping`].
    pub(crate) fn set_stopping(&mut self, stopping: bool) {
        self.pager.set_stopping(stopping);
    }

    /// See [`Pager::set_freeing`].
    pub(crate) fn set_freeing(&mut self, freeing: bool) {
        self.pager.set_freeing(freeing);
    }

    /// Ends the epoch. Nothing of a program may be running.
    pub(crate) fn flip(&mut self, wall: Nanoseconds) -> Result<FlipReport, FlipRefused> {
        let report = self.pager.flip(wall, &mut self.tables, &mut self.store)?;
        last_words::set_running(self.pager.epoch());
        Ok(report)
    }

    /// Whether a snapshot is being made or taken back.
    pub(crate) fn is_snapshotting(&self) -> bool {
        self.pager.snapshot_in_the_making().is_some()
    }

    /// The epoch in which programs run.
    pub(crate) fn epoch(&self) -> Epoch {
        self.pager.epoch()
    }

    /// The next news for those who wait for pages.
    pub(crate) fn next_wake(&mut self) -> Option<Wake> {
        self.pager.next_wake()
    }

    /// The access that ended the last attempt, if it can never succeed.
    pub(crate) fn take_impossible(&mut self) -> Option<(PageIndex, Impossible)> {
        self.impossible.take()
    }

    /// See [`Pager::is_unreadable`].
    pub(crate) fn is_unreadable(&self, page: PageIndex) -> bool {
        self.pager.is_unreadable(page)
    }

    /// See [`Pager::replace_damaged_page`].
    pub(crate) fn replace_damaged_page(&mut self, page: PageIndex) {
        self.pager.replace_damaged_page(page);
    }

    /// How short of disk space programs are.
    pub(crate) fn space_state(&self) -> SpaceState {
        self.store.space_state()
    }

    /// Disk space.
    pub(crate) fn space(&self) -> Space {
        self.store.space()
    }

    /// The pager's counters.
    pub(crate) fn statistics(&self) -> Statistics {
        self.pager.statistics()
    }

    /// What there is to report.
    pub(crate) fn state(&self) -> State {
        let snapshots = self.store.snapshots().entries();
        State {
            frames: self.pager.frame_counts(),
            gauges: self.pager.gauges(),
            counters: self.pager.statistics(),
            early: self.store.early_statistics(),
            space: self.store.space(),
            trimmed: self.store.blocks_trimmed(),
            running: self.pager.epoch(),
            durable: self.store.durable_epoch(),
            generation: self.store.generation().0,
            snapshots: snapshots.len(),
            pinned: snapshots.iter().filter(|snapshot| snapshot.pinned).count(),
            requests: self.disk.in_flight(),
            map_nodes: self.store.cached_nodes(),
        }
    }

    /// Whether the next snapshot should not wait for its time: the RAM for what it will change in the map is half used, or all
    /// of memory has been stored to.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.store.wants_snapshot() || self.pager.wants_snapshot()
    }

    /// The disk, for built-in measurements, which submit and poll only while it is idle: completions of others' would be lost.
    pub(crate) fn disk(&mut self) -> &mut VirtioDisk {
        &mut self.disk
    }

    /// The frames, for built-in measurements.
    pub(crate) fn frames(&mut self) -> &mut FramePool {
        &mut self.frames
    }
}

/// Logs what the store tells, and passes on what the loop acts on.
fn translate(event: StoreEvent) -> Option<News> {
    match event {
        StoreEvent::PageWritten { .. } | StoreEvent::PageNotWritten { .. } => None,
        StoreEvent::PageRead { page, result, .. } => {
            if let Err(damage) = result {
                log!("unreadable page={page} block={} role={:?}", damage.block, damage.role);
            }
            None
        }
        StoreEvent::Committed { epoch, generation, blocks_written } => {
            Some(News::Committed { epoch, generation: generation.0, blocks: blocks_written })
        }
        StoreEvent::Abandoned { epoch, reason } => {
            log!("abandoned epoch={epoch} reason=\"{reason}\"");
            Some(News::Abandoned(epoch))
        }
        StoreEvent::BecameReadOnly(reason) => {
            log!("read_only reason=\"{reason}\"");
            Some(News::ReadOnly)
        }
        StoreEvent::Report(event) => {
            report(event);
            None
        }
    }
}

fn report(event: Event) {
    match event {
        Event::Deleted { epoch, blocks } => detail!("deleted epoch={epoch} blocks={blocks}"),
        Event::ForeignSession => {
            log!("foreign_session another machine writes to this disk");
            last_words::release_disk(); // the disk is the other one's: not even an epitaph
        }
        // Said by the loop, or by `translate`, in words of their own.
        Event::Committed { .. }
        | Event::CopiedPage { .. }
        | Event::Flipped { .. }
        | Event::Abandoned { .. }
        | Event::ReadOnly => {}
        other => log!("store {other:?}"),
    }
}
