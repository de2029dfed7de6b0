//! A whole machine for the oracle: programs over a running heap, snapshots written to a simulated disk beside them, and the collector as the
//! kernel drives it, by the schedule. It is cut, rolled back and stepped back; its disk fails to read.
//!
//! Invariant: object space after a start is what the flip of the snapshot that was opened has frozen.

use crate::exact::TIGHT;
use crate::rig::{STORE_FRAMES, open};
use crate::sweep_oracle::{Tracer, differ};
use crate::world::World;
use revenant_collector::schedule::{Mode, Order, Schedule, View};
use revenant_collector::{Mark, MarkOutcome, PlantedMark, RegionError, Verdict};
use revenant_hal::{
    Disk, DiskOperation, Epoch, FrameIndex, FrameMemory, Nanoseconds, PAGE_SIZE, PageBytes,
    PageIndex,
};
use revenant_sim::{Fault, FaultEffect, FaultTarget, Image, SimDisk, SimDiskOptions, SimFrames};
use revenant_store::{Copies, OpenFrom, Planted, Purpose, Store, StoreEvent};
use revenant_vm::Prospect;
use revenant_vm::counting;
use revenant_vm::counting::doubt::Wish;
use revenant_vm::memory::layout::{BLOCK, PAGE, area};
use revenant_vm::sweep::{self, Outcome, Sweep, Verdicts};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The collector's frames, behind the store's.
const MARK_FRAMES: u32 = 40;
/// From the end of a collection to the next.
pub(crate) const INTERVAL: u64 = 20_000_000;

/// Object space, without pages of zeros.
pub(crate) type Pages = BTreeMap<PageIndex, Arc<PageBytes>>;

/// What is wrong with a machine, for tests that must see it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Bugs {
    pub(crate) sweep: sweep::Planted,
    pub(crate) mark: PlantedMark,
    pub(crate) store: Planted,
    pub(crate) opening: Planted,
    pub(crate) mistake: Mistake,
}

/// A bug of who drives store and collector.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Mistake {
    #[default]
    None,
    /// Threads run a little before the epoch is advanced.
    EpochAdvancedLate,
    /// After a start programs run in the epoch that was resumed.
    EpochReset,
}

/// Where a collection stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    Idle,
    Pinning,
    Marking,
    Sweeping,
    Ending,
    Unpinning,
}

/// A snapshot that is being written.
struct Writing {
    left: Vec<(PageIndex, Arc<PageBytes>)>,
    all: Vec<PageIndex>,
    finished: bool,
}

/// What was seen in a run.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) objects: u64,
    pub(crate) collections: u32,
    /// Of these, those of snapshots that are no older than what the machine was told last.
    pub(crate) whole: u32,
    /// A sweep was dropped: some counts may be too high.
    pub(crate) dropped: bool,
    pub(crate) incomplete: u32,
    /// Pages that could not be read, written anew.
    pub(crate) rewritten: u32,
    /// Pages that a mark did without.
    pub(crate) without: u32,
    pub(crate) resumed_marks: u32,
    /// Starts by what they were and the phase that they came in.
    pub(crate) starts: BTreeSet<(&'static str, Phase)>,
}

pub(crate) struct Machine<'a> {
    world: &'a World,
    pub(crate) disk: SimDisk,
    frames: SimFrames,
    pub(crate) store: Store,
    schedule: Schedule,
    pub(crate) now: u64,
    pub(crate) wish: Wish,
    pub(crate) phase: Phase,
    mark: Option<Mark>,
    verdict: Option<Verdict>,
    sweep: Sweep,
    writing: Option<Writing>,
    free: Vec<FrameIndex>,
    /// As the last flip left it.
    last: Pages,
    /// What each flip has frozen.
    saved: BTreeMap<Epoch, Pages>,
    /// Collections of older snapshots are not counted as whole ones.
    pub(crate) since: Epoch,
    bugs: Bugs,
    /// The page that the mark could not read.
    unreadable: PageIndex,
    /// Pages that marks cannot read are not written anew but done without.
    pub(crate) page_is_lost: bool,
    /// Reads have failed since the start, or will.
    reads_fail: bool,
    pub(crate) seen: Seen,
}

impl<'a> Machine<'a> {
    /// Starts a machine on what a disk holds. `saved` is what the flips of its snapshots have frozen; object space is that of the one resumed.
    pub(crate) fn start(
        world: &'a World,
        image: Image,
        session: u64,
        from: OpenFrom,
        saved: BTreeMap<Epoch, Pages>,
        bugs: Bugs,
    ) -> Self {
        let mut disk = SimDisk::new(image, SimDiskOptions { seed: session, ..Default::default() });
        let mut frames = SimFrames::new(STORE_FRAMES + MARK_FRAMES, session);
        let mut reopen = |from| open(&mut disk, &mut frames, session.into(), from, bugs.opening);
        let found = reopen(from).or_else(|| reopen(OpenFrom::Newest));
        let mut store = found.expect("the newest can be opened");
        store.plant(bugs.store);
        let last = saved.get(&store.durable_epoch()).cloned().unwrap_or_default();
        world.host.clear();
        for (page, bytes) in &last {
            world.host.set_page(*page, bytes);
        }
        let mut sweep = Sweep::new();
        sweep.plant(bugs.sweep);
        let machine = Self {
            world,
            disk,
            frames,
            schedule: Schedule::new(Mode::Every(Nanoseconds(INTERVAL)), Nanoseconds(0)),
            now: 0,
            wish: Wish::default(),
            phase: Phase::Idle,
            mark: None,
            verdict: None,
            sweep,
            writing: None,
            free: (0..STORE_FRAMES).map(FrameIndex).collect(),
            last,
            saved,
            since: Epoch(0),
            bugs,
            unreadable: PageIndex(0),
            page_is_lost: session.is_multiple_of(2),
            reads_fail: false,
            seen: Seen::default(),
            store,
        };
        let resumed = machine.store.durable_epoch();
        let reset = bugs.mistake == Mistake::EpochReset && resumed.0 > 0;
        let running = if reset { resumed } else { machine.store.running_epoch() };
        counting::set_epoch(world.space, running);
        machine
    }

    /// What is left of it for the next start: the disk's memory goes, and what the flips have frozen is remembered.
    pub(crate) fn end(self) -> (SimDisk, SimFrames, BTreeMap<Epoch, Pages>, Seen) {
        (self.disk, self.frames, self.saved, self.seen)
    }

    /// Makes object space as it is the first snapshot of a new disk.
    pub(crate) fn first_snapshot(&mut self) {
        self.last.clear();
        self.flip(|| ());
        while self.writing.is_some() {
            self.pump(1);
        }
    }

    /// Whether a page that was resumed is what the store holds. Nothing else may be under way.
    pub(crate) fn holds(&mut self, page: PageIndex) -> bool {
        let frame = self.free[0];
        *self.frames.bytes_mut(frame) = PageBytes::ZERO;
        self.store.read_page(page, frame);
        loop {
            match self.turn() {
                Some(StoreEvent::PageRead { result, .. }) => {
                    let bytes = self.frames.bytes(frame);
                    return result.is_ok()
                        && self.last.get(&page).is_some_and(|old| **old == *bytes);
                }
                _ => assert!(!self.last.is_empty()),
            }
        }
    }

    /// From now on reads fail.
    pub(crate) fn fail_reads(&mut self, target: FaultTarget) {
        let (operation, effect) = (DiskOperation::Read, FaultEffect::Fail);
        self.disk.add_fault(Fault { operation, target, effect });
        self.reads_fail = true;
    }

    /// A page of the heap in which objects stand cannot be read any more where the last flip has put it.
    pub(crate) fn lose(&mut self, nth: usize) {
        let first = (area::HEAP - area::ROOT) / PAGE;
        let has_objects =
            |page: &PageIndex| page.0 >= first && !page.0.is_multiple_of(BLOCK / PAGE);
        let all: Vec<_> = self.last.iter().filter(|(page, _)| has_objects(page)).collect();
        let Some((_, bytes)) = all.get(nth % all.len().max(1)) else { return };
        let image = self.disk.visible();
        let found = image.written().find(|block| image.read(*block) == &***bytes);
        if let Some(block) = found {
            self.fail_reads(FaultTarget::Block(block));
        }
    }

    /// Has the page that could not be read written with the next snapshot.
    fn rewrite(&mut self) {
        // It differs from every page that there is.
        self.last.insert(self.unreadable, Arc::new(PageBytes([0xDB; PAGE_SIZE])));
        self.seen.rewritten += 1;
    }

    /// A page of the heap as of the last flip.
    pub(crate) fn page(&self, index: usize) -> Option<PageIndex> {
        self.last.keys().nth(index % self.last.len().max(1)).copied()
    }

    /// A flip, if none is being written; `late` is what threads do before the epoch advances, on a machine that has that bug.
    pub(crate) fn flip(&mut self, late: impl FnOnce()) {
        if self.writing.is_some() {
            return;
        }
        let mut pages = Pages::new();
        for range in self.world.host.touched() {
            for page in (range.start.0..range.end.0).map(PageIndex) {
                let bytes = self.world.host.page(page);
                match self.last.get(&page) {
                    Some(old) if **old == bytes => drop(pages.insert(page, old.clone())),
                    _ if bytes == PageBytes::ZERO => {}
                    _ => drop(pages.insert(page, Arc::new(bytes))),
                }
            }
        }
        let is_new = |(page, bytes): &(&PageIndex, &Arc<PageBytes>)| {
            self.last.get(page).is_none_or(|old| !Arc::ptr_eq(old, bytes))
        };
        let zero = Arc::new(PageBytes::ZERO);
        let changed = pages.iter().filter(is_new).map(|(page, bytes)| (*page, bytes.clone()));
        let gone = self.last.keys().filter(|page| !pages.contains_key(page));
        let left: Vec<_> = changed.chain(gone.map(|page| (*page, zero.clone()))).collect();
        for (page, _) in &left {
            let charged = self.store.reserve_first_dirtying(*page, Copies::One, Purpose::Program);
            charged.expect("the disk is large enough");
        }
        let epoch = self.store.running_epoch();
        self.store.begin_snapshot(epoch, Nanoseconds(epoch.0)).unwrap();
        self.saved.insert(epoch, pages.clone());
        self.last = pages;
        let all = left.iter().map(|(page, _)| *page).collect();
        self.writing = Some(Writing { left, all, finished: false });
        if self.bugs.mistake == Mistake::EpochAdvancedLate {
            late();
        }
        counting::set_epoch(self.world.space, self.store.running_epoch());
    }

    /// A turn of store and disk.
    fn turn(&mut self) -> Option<StoreEvent> {
        if let Some(writing) = &mut self.writing {
            while let Some((page, bytes)) = writing.left.pop_if(|_| !self.free.is_empty()) {
                let Some(frame) = self.free.pop() else { break };
                *self.frames.bytes_mut(frame) = (*bytes).clone();
                self.store.write_page(page, frame, Copies::One);
            }
            if writing.left.is_empty() && !writing.finished {
                writing.finished = true;
                self.store.finish_snapshot();
            }
        }
        let _ = self.store.step(&mut self.disk, &mut self.frames);
        self.disk.advance(&mut self.frames);
        if let Some(completion) = self.disk.poll() {
            if Store::owns(&completion) {
                self.store.complete(completion, &mut self.frames);
            } else if let Some(mark) = &mut self.mark {
                mark.complete(completion);
            } else if let Some(verdict) = &mut self.verdict {
                verdict.complete(completion);
            }
        }
        self.store.next_event()
    }

    /// Lets store and disk go on for so many turns.
    pub(crate) fn pump(&mut self, turns: u64) {
        for _ in 0..turns {
            match self.turn() {
                Some(StoreEvent::PageRead { page, frame, result }) => {
                    if let Some(mark) = &mut self.mark {
                        mark.page_read(page, frame, result);
                    }
                }
                Some(StoreEvent::PageWritten { frame, .. }) => self.free.push(frame),
                Some(StoreEvent::Committed { .. }) => self.writing = None,
                Some(StoreEvent::Abandoned { .. }) => self.abandoned(),
                _ => {}
            }
        }
    }

    /// A commit reads, too, and its reads fail like the collector's. Every page of it is as dirty as before.
    fn abandoned(&mut self) {
        let Some(writing) = self.writing.take() else { return };
        let nobodys = Arc::new(PageBytes([0xDB; PAGE_SIZE]));
        self.last.extend(writing.all.into_iter().map(|page| (page, nobodys.clone())));
        self.free = (0..STORE_FRAMES).map(FrameIndex).collect();
    }

    /// Does something that may free, and sees to it that whatever can be reached stays as it is.
    pub(crate) fn watched<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let tracer = Tracer(self.world.space);
        let before = tracer.living();
        let result = work(self);
        let after = tracer.living();
        assert!(before == after, "what can be reached has changed: {}", differ(&before, &after));
        result
    }

    /// Does what the schedule orders, so often; whether a collection has come to its end.
    pub(crate) fn collect(&mut self, orders: u64) -> bool {
        let before = self.seen.collections;
        let frees = self.phase == Phase::Sweeping;
        let work = |machine: &mut Self| (0..orders).for_each(|_| machine.order());
        if frees {
            self.watched(work)
        } else {
            work(self)
        }
        self.seen.collections > before
    }

    fn order(&mut self) {
        let now = Nanoseconds(self.now);
        let view = View {
            now,
            pinned: self.store.superblock().collector_pin.map(|pin| pin.epoch),
            durable: self.store.durable_epoch(),
            programs_run: true,
            short_of_space: false,
        };
        match self.schedule.order(&view) {
            Order::Rest => self.pump(1),
            Order::Look => {
                let prospect = Prospect { wish: self.wish, ..Prospect::default() };
                self.schedule.looked(now, Some(prospect));
            }
            Order::DropSweep => {
                self.seen.dropped |= sweep::is_under_way(self.world.space);
                let none = sweep::give_up(self.world.space);
                self.schedule.dropped(none);
            }
            Order::Pin(epoch) => {
                let done = self.store.set_collector_pin(Some(epoch)).is_ok();
                self.schedule.pinned(epoch, done);
                self.phase = Phase::Pinning;
            }
            Order::Begin => self.begin(now),
            Order::Mark => self.go_on_marking(now),
            // All of object space is in memory here; but somebody may say that the page is not.
            Order::Rewrite if self.page_is_lost => self.schedule.rewritten(None),
            Order::Rewrite => {
                self.rewrite();
                self.schedule.rewritten(Some(self.store.running_epoch()));
            }
            Order::DoWithout => {
                let done = self.mark.as_mut().is_some_and(|mark| mark.tolerate(false));
                self.seen.without += u32::from(done);
                self.phase = if done { Phase::Marking } else { Phase::Ending };
                self.schedule.did_without(now, done);
            }
            Order::Sweep => self.slice(now),
            Order::Note(note) => {
                self.wish.start &= !note.granted.start;
                self.wish.stop &= !note.granted.stop;
                self.schedule.noted(now);
            }
            Order::Release => self.release(),
            Order::Unpin => {
                self.store.set_collector_pin(None).unwrap();
                self.phase = Phase::Unpinning;
            }
        }
    }

    fn begin(&mut self, now: Nanoseconds) {
        let frames = (STORE_FRAMES..STORE_FRAMES + MARK_FRAMES).map(FrameIndex).collect();
        let begun = Mark::planted(self.store.superblock(), TIGHT, frames, self.bugs.mark);
        self.schedule.begun(now, begun.is_ok());
        if let Ok(mark) = begun {
            self.seen.resumed_marks += u32::from(self.phase == Phase::Idle);
            self.mark = Some(mark);
            self.phase = Phase::Marking;
        }
    }

    fn go_on_marking(&mut self, now: Nanoseconds) {
        let Some(mark) = &mut self.mark else { panic!("no mark is under way") };
        let outcome = mark.step(&mut self.store, &mut self.disk, &self.frames);
        self.schedule.stepped(now, now);
        match outcome {
            MarkOutcome::Again => {}
            MarkOutcome::Waiting => self.pump(1),
            _ if mark.is_reading() => self.pump(1),
            MarkOutcome::Complete => {
                let pages = mark.statistics().pages_read;
                let verdict =
                    self.mark.take().and_then(|mark| mark.into_verdict(self.store.superblock()));
                self.verdict = Some(verdict.expect("the pin is the schedule's"));
                self.schedule.marked(pages);
                self.phase = Phase::Sweeping;
            }
            other => {
                if let MarkOutcome::Incomplete { page, .. } = other {
                    self.seen.incomplete += 1;
                    self.unreadable = page;
                    self.phase = Phase::Ending;
                    return self.schedule.unreadable(now);
                }
                let expected = match other {
                    MarkOutcome::Refused(_) => true,
                    // Of two control blocks the older is left if the other cannot be read: its sum is not that of the bitmaps.
                    MarkOutcome::Failed(RegionError::Damaged) => self.reads_fail,
                    MarkOutcome::Failed(RegionError::Device(_)) => true,
                    _ => false,
                };
                assert!(expected, "{other:?}");
                self.schedule.failed(now);
                self.phase = Phase::Ending;
            }
        }
    }

    fn slice(&mut self, now: Nanoseconds) {
        let Some(verdict) = &mut self.verdict else { panic!("no verdict is at hand") };
        let epoch_marked = verdict.epoch();
        let slice = self.sweep.slice(self.world.space, verdict);
        self.world.space.end_step();
        self.seen.objects += slice.freed().len() as u64;
        if let Outcome::NotYet(block) = slice.outcome {
            verdict.want(block);
        }
        match verdict.step(&mut self.disk) {
            Err(error) => {
                // The device: nothing here writes to the region of a mark that is in use.
                assert!(matches!(error, RegionError::Device(_)), "{error:?}");
                self.schedule.failed(now);
                self.phase = Phase::Ending;
                return;
            }
            Ok(true) => self.pump(1),
            Ok(false) => {}
        }
        match slice.outcome {
            Outcome::More | Outcome::NotYet(_) => {}
            Outcome::Done => {
                self.schedule.swept(now, self.store.running_epoch(), 0);
                self.seen.collections += 1;
                self.seen.whole += u32::from(epoch_marked >= self.since);
                self.phase = Phase::Ending;
            }
            other => panic!("{other:?}"),
        }
    }

    fn release(&mut self) {
        let mark = self.mark.as_mut().is_none_or(|mark| mark.release(&mut self.disk));
        let verdict = self.verdict.as_mut().is_none_or(|verdict| verdict.release(&mut self.disk));
        if mark && verdict {
            (self.mark, self.verdict) = (None, None);
        }
        self.schedule.released(mark && verdict);
        self.pump(1);
    }
}
