//! The exact collector beside the programs: which snapshot is marked, when, and what follows.
//!
//! ```text
//!   Idle --pin of the newest--> Pinning --durable--> Marking --verdict--> Sweeping --its end durable--> Unpinning --> Idle
//! ```
//!
//! All of it outlives a cut: the pin stands in the superblock, the mark in its region, the sweep's cursor in object space. So a start
//! that finds a pin goes on with `Marking`, whatever was done before. Invariant: the pin goes when a durable snapshot has the end of the
//! sweep, not before, so none is pinned in which a sweep is under way.
//!
//! A mark takes at most a tenth of the time while programs run. One that fails (a page that cannot be read, a heap that is not sound) frees
//! nothing, and none is begun before the next start of the machine. A machine that is to collect nothing drops the pin; a sweep that it
//! finds under way stays where it is, and the next machine that collects drops that and begins anew.

use crate::event_loop::EventLoop;
use crate::programs::Programs;
use crate::{detail, log, space};
use alloc::boxed::Box;
use alloc::vec::Vec;
use revenant_collector::{Mark, MarkBudget, MarkOutcome, MarkRefusal, Verdict};
use revenant_hal::{Clock, DiskCompletion, Epoch, FrameIndex, Nanoseconds, PageIndex};
use revenant_machine::heap;
use revenant_store::{DamagedBlock, PageContent, SpaceState, Superblock};
use revenant_vm::sweep::{Outcome, Statistics};

/// The budget is so large a part of the kernel's heap, which grows with memory, and no more than by default.
const HEAP_SHARE: usize = 16;
/// After a step of the mark so many times its length go to programs, if they have something to do.
const PROGRAMS_SHARE: u64 = 9;
/// Nanoseconds after which no further slice of the sweep follows before programs have had theirs: a twentieth of a time slice.
const SWEEPING_AT_ONCE: u64 = 200_000;
/// With the second commit after the wish a pin is in the superblock, if its snapshot still is there.
const COMMITS_OF_A_PIN: u32 = 3;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// The memory that marks may use.
pub(crate) fn budget() -> MarkBudget {
    MarkBudget::new((heap::size_bytes() / HEAP_SHARE).min(8 << 20))
}

/// The mark's side of object space: its frames, and who takes what the disk brings.
pub(crate) struct Collector {
    frames: Vec<FrameIndex>,
    mark: Option<Box<Mark>>,
    verdict: Option<Box<Verdict>>,
}

impl Collector {
    /// With these frames, which are nobody else's.
    pub(crate) fn new(frames: Vec<FrameIndex>) -> Self {
        Self { frames, mark: None, verdict: None }
    }

    /// Whether a frame is the collector's.
    pub(crate) fn has(&self, frame: FrameIndex) -> bool {
        self.frames.first().is_some_and(|first| frame >= *first)
    }

    pub(crate) fn complete(&mut self, completion: DiskCompletion) {
        match (&mut self.mark, &mut self.verdict) {
            (Some(mark), _) => mark.complete(completion),
            (None, Some(verdict)) => verdict.complete(completion),
            (None, None) => {}
        }
    }

    pub(crate) fn page_read(
        &mut self,
        page: PageIndex,
        frame: FrameIndex,
        result: Result<PageContent, DamagedBlock>,
    ) {
        if let Some(mark) = &mut self.mark {
            mark.page_read(page, frame, result);
        }
    }

    pub(crate) fn begin(&mut self, superblock: &Superblock) -> Result<(), MarkRefusal> {
        self.mark = Some(Box::new(Mark::new(superblock, budget(), self.frames.clone())?));
        Ok(())
    }

    pub(crate) fn mark(&mut self) -> Option<&mut Mark> {
        self.mark.as_deref_mut()
    }

    /// What the mark, which has ended, says; none if its snapshot is no longer the one pinned.
    pub(crate) fn conclude(&mut self, superblock: &Superblock) -> bool {
        let mark = self.mark.take();
        self.verdict = mark.and_then(|mark| mark.into_verdict(superblock)).map(Box::new);
        self.verdict.is_some()
    }

    pub(crate) fn take_verdict(&mut self) -> Option<Box<Verdict>> {
        self.verdict.take()
    }

    pub(crate) fn give_verdict(&mut self, verdict: Box<Verdict>) {
        self.verdict = Some(verdict);
    }

    pub(crate) fn verdict(&mut self) -> Option<&mut Verdict> {
        self.verdict.as_deref_mut()
    }
}

/// Where the collection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A pin may have been left by the session before.
    Begin,
    Idle,
    /// The pin of this snapshot is not durable yet. Of commits, so many have been seen since, and this is the last of them.
    Pinning {
        epoch: Epoch,
        last: Epoch,
        commits: u32,
    },
    Marking,
    Sweeping,
    /// The sweep is over in this epoch's snapshot and in later ones.
    Ending(Epoch),
    Unpinning,
    /// Something failed, or nobody wants it. Nothing is collected any more.
    Off,
}

/// The collection's schedule.
pub(crate) struct Collection {
    state: State,
    /// From the end of one to the next.
    interval: Nanoseconds,
    next: Nanoseconds,
    /// When the mark may go on if programs have something to do.
    may_mark: Nanoseconds,
    /// Programs had something to do when they were asked last.
    programs_run: bool,
    statistics: Statistics,
    /// None is begun before the next start.
    off: bool,
}

impl Collection {
    /// Every so many milliseconds; 0: never.
    pub(crate) fn new(every_ms: u64, now: Nanoseconds) -> Self {
        let interval = Nanoseconds(every_ms.saturating_mul(NANOSECONDS_PER_MILLISECOND));
        let (next, may_mark) = (Nanoseconds(now.0 + interval.0), now);
        let statistics = Statistics::default();
        let off = every_ms == 0;
        Self { state: State::Begin, interval, next, may_mark, programs_run: false, statistics, off }
    }

    /// Notes whether programs had something to do, and passes that on.
    pub(crate) fn programs(&mut self, ran: bool) -> bool {
        self.programs_run = ran;
        ran
    }
}

impl<P: Programs> EventLoop<P> {
    /// Goes on with the collection, a bounded piece; whether there is more to do at once.
    pub(crate) fn collect(&mut self) -> bool {
        if !self.running || self.ending.is_some() || self.world.read_only {
            return false;
        }
        let pinned = || space::with(|space| space.collector_pin());
        match self.collection.state {
            State::Off => false,
            // A pin keeps blocks that nobody would ever give back.
            State::Begin if self.collection.off => {
                if pinned().is_some() {
                    space::with(|space| space.pin_for_collector(None));
                }
                self.collection.state = State::Unpinning;
                false
            }
            State::Begin if pinned().is_some() => self.begin_mark(),
            State::Begin => {
                // Of a mark that was lost with the branch to which it belonged.
                let none = self.attempt(Programs::give_up_sweep).unwrap_or(false);
                self.collection.state = if none { State::Idle } else { State::Begin };
                false
            }
            State::Idle => self.pin(),
            State::Pinning { epoch, .. } if pinned() == Some(epoch) => self.begin_mark(),
            State::Pinning { epoch, last, commits } => {
                let newest = space::with(|space| space.durable_epoch());
                self.collection.state = match commits + u32::from(newest != last) {
                    // The snapshot was dropped by a commit that had begun before: another one.
                    COMMITS_OF_A_PIN => State::Idle,
                    commits => State::Pinning { epoch, last: newest, commits },
                };
                false
            }
            State::Marking => self.go_on_marking(),
            State::Sweeping => self.go_on_sweeping(),
            State::Ending(epoch) => {
                // What it asked the disk for last may be on its way still, and is not the next mark's.
                let quiet = space::with(|space| space.step_verdict()) != Ok(true);
                if quiet && space::with(|space| space.durable_epoch() >= epoch) {
                    drop(space::with(|space| space.collector().take_verdict()));
                    space::with(|space| space.pin_for_collector(None));
                    self.collection.state = State::Unpinning;
                }
                false
            }
            State::Unpinning => {
                if pinned().is_none() {
                    let after = if self.collection.off { State::Off } else { State::Idle };
                    self.collection.state = after;
                    self.collection.next =
                        Nanoseconds(self.world.clock.monotonic().0 + self.collection.interval.0);
                }
                false
            }
        }
    }

    fn pin(&mut self) -> bool {
        if self.world.clock.monotonic() >= self.collection.next {
            let newest = space::with(|space| space.durable_epoch());
            if space::with(|space| space.pin_for_collector(Some(newest))) {
                self.collection.state = State::Pinning { epoch: newest, last: newest, commits: 0 };
            }
        }
        false
    }

    fn begin_mark(&mut self) -> bool {
        match space::with(|space| space.begin_mark()) {
            Ok(()) => {
                let epoch = space::with(|space| space.collector_pin()).unwrap_or(Epoch(0));
                detail!("collect begins epoch={epoch}");
                self.collection.state = State::Marking;
            }
            Err(refusal) => self.give_collection_up(format_args!("{refusal:?}")),
        }
        true
    }

    fn go_on_marking(&mut self) -> bool {
        let begin = self.world.clock.monotonic();
        // While the disk is short of space, what frees some is not kept waiting.
        let hurry = self.space_state != SpaceState::Plenty;
        if self.collection.programs_run && !hurry && begin < self.collection.may_mark {
            return false;
        }
        let outcome = space::with(|space| space.step_mark());
        let spent = self.world.clock.monotonic().0 - begin.0;
        self.collection.may_mark = Nanoseconds(begin.0 + spent * (1 + PROGRAMS_SHARE));
        match outcome {
            MarkOutcome::Again => true,
            MarkOutcome::Waiting => false,
            MarkOutcome::Complete => {
                let Some(figures) = space::with(|space| space.conclude_mark()) else { return true };
                detail!(
                    "collect marked objects={} pages_read={} partitions={} checkpoints={}",
                    figures.objects,
                    figures.pages_read,
                    figures.partitions,
                    figures.checkpoints
                );
                self.collection.statistics = Statistics::default();
                self.collection.state = State::Sweeping;
                true
            }
            other => {
                self.give_collection_up(format_args!("{other:?}"));
                true
            }
        }
    }

    /// Some slices, between each two of which all threads stand at safepoints.
    fn go_on_sweeping(&mut self) -> bool {
        let begin = self.world.clock.monotonic();
        loop {
            let more = self.sweep_slice();
            let spent = self.world.clock.monotonic().0 - begin.0;
            if !more || self.collection.state != State::Sweeping || spent > SWEEPING_AT_ONCE {
                return more;
            }
        }
    }

    fn sweep_slice(&mut self) -> bool {
        // Out of the cell: a fault opens that.
        let Some(mut verdict) = space::with(|space| space.collector().take_verdict()) else {
            self.give_collection_up(format_args!("the snapshot is not pinned any more"));
            return true;
        };
        let slice = self.attempt(|programs, world| programs.sweep(&*verdict, world)).flatten();
        let outcome = slice.as_ref().map(|slice| slice.outcome);
        if let Some(slice) = &slice {
            self.collection.statistics.add(slice);
        }
        if let Some(Outcome::NotYet(block)) = outcome {
            verdict.want(block);
        }
        let waiting = space::with(|space| {
            space.collector().give_verdict(verdict);
            space.step_verdict()
        });
        match (outcome, waiting) {
            (_, Err(error)) => {
                self.give_collection_up(format_args!("{error:?}"));
                true
            }
            (Some(Outcome::More), _) => true,
            (Some(Outcome::NotYet(_)), Ok(waiting)) => !waiting,
            (None | Some(Outcome::Waiting), _) => false,
            (Some(Outcome::Done), _) => {
                let Statistics { circles, stuck, left, .. } = &self.collection.statistics;
                detail!(
                    "collect swept objects={} bytes={} circles={} stuck={} left={}",
                    circles.objects + stuck.objects + left.objects,
                    circles.bytes + stuck.bytes + left.bytes,
                    circles.objects,
                    stuck.objects,
                    left.objects
                );
                self.collection.state = State::Ending(self.world.epoch);
                true
            }
            (Some(outcome @ (Outcome::Failed(_) | Outcome::Refused)), _) => {
                self.give_collection_up(format_args!("{outcome:?}"));
                true
            }
        }
    }

    /// Nothing more is freed. A sweep that has begun is dropped by the next start: its mark is not to be had any more.
    fn give_collection_up(&mut self, reason: core::fmt::Arguments<'_>) {
        log!("collect failed reason=\"{reason}\"");
        space::with(|space| space.pin_for_collector(None));
        self.collection.off = true;
        self.collection.state = State::Unpinning;
    }
}
