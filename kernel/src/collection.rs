//! The exact collector beside the programs: does what its schedule (`revenant_collector::schedule`) orders, and says what came of it.
//!
//! A mark takes at most a tenth of the time while programs run, and what fails (a page that cannot be read, a heap that is not sound) frees
//! nothing. A machine that is to collect nothing drops the pin; a sweep that it finds under way stays where it is, and the next machine that
//! collects drops that and begins anew.

use crate::event_loop::EventLoop;
use crate::lost_found::Finding;
use crate::programs::Programs;
use crate::space::Rewrite;
use crate::{detail, log, space};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use revenant_collector::account;
use revenant_collector::schedule::{Mode, Order, Schedule, View};
use revenant_collector::{Mark, MarkBudget, MarkOutcome, MarkRefusal, Verdict};
use revenant_hal::{Clock, Disk, DiskCompletion, Epoch, FrameIndex, Nanoseconds, PageIndex};
use revenant_machine::command_line::Options;
use revenant_machine::{attention, heap};
use revenant_store::{DamagedBlock, PageContent, SpaceState, Superblock};
use revenant_vm::TurnLimits;
use revenant_vm::sweep::{Outcome, Statistics};

/// The budget is so large a part of the kernel's heap, which grows with memory, and no more than by default.
const HEAP_SHARE: usize = 8;
/// No budget is larger than this part of the kernel's heap, of which it takes half.
const MOST_OF_HEAP: usize = 2;
/// Nanoseconds after which no further slice of the sweep follows before the loop looks around, though programs have nothing to do.
const SWEEPING_AT_ONCE: u64 = 200_000;
/// Polls of a program's turn between two slices of the sweep: so it gets on beside programs that never rest, each of whose turns would
/// else be some hundred times as long as a slice.
const TURN_BESIDE_SWEEP: TurnLimits = TurnLimits { polls: 1000 };
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// The memory that marks may use.
pub(crate) fn budget(options: &Options) -> MarkBudget {
    let by_size = (heap::size_bytes() / HEAP_SHARE).min(8 << 20);
    let wanted =
        options.collector_mib.map_or(by_size, |mebibytes| mebibytes.saturating_mul(1 << 20));
    MarkBudget::new(wanted.min(heap::size_bytes() / MOST_OF_HEAP))
}

/// The mark's side of object space: its frames, and who takes what the disk brings.
pub(crate) struct Collector {
    budget: MarkBudget,
    frames: Vec<FrameIndex>,
    mark: Option<Box<Mark>>,
    verdict: Option<Box<Verdict>>,
    /// What it waits for was asked of the disk, and nothing has come since.
    waits: bool,
}

impl Collector {
    /// With these frames, which are nobody else's.
    pub(crate) fn new(budget: MarkBudget, frames: Vec<FrameIndex>) -> Self {
        Self { budget, frames, mark: None, verdict: None, waits: false }
    }

    /// It waits for the disk; whether the disk has yet to be given what it asked for.
    pub(crate) fn begins_to_wait(&mut self) -> bool {
        !core::mem::replace(&mut self.waits, true)
    }

    pub(crate) fn complete(&mut self, completion: DiskCompletion) {
        self.waits = false;
        match (&mut self.mark, &mut self.verdict) {
            (Some(mark), _) => mark.complete(completion),
            (None, Some(verdict)) => verdict.complete(completion),
            (None, None) => {}
        }
    }

    /// Takes the end of a read into one of its frames; whether it is one.
    pub(crate) fn takes(
        &mut self,
        page: PageIndex,
        frame: FrameIndex,
        result: Result<PageContent, DamagedBlock>,
    ) -> bool {
        if self.frames.first().is_none_or(|first| frame < *first) {
            return false;
        }
        self.waits = false;
        if let Some(mark) = &mut self.mark {
            mark.page_read(page, frame, result);
        }
        true
    }

    pub(crate) fn begin(&mut self, superblock: &Superblock) -> Result<(), MarkRefusal> {
        self.mark = Some(Box::new(Mark::new(superblock, self.budget, self.frames.clone())?));
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

    /// Lets go of mark and verdict once the disk has answered all that they asked; whether it has.
    pub(crate) fn release<D: Disk>(&mut self, disk: &mut D) -> bool {
        let mark = self.mark.as_mut().is_none_or(|mark| mark.release(disk));
        let verdict = self.verdict.as_mut().is_none_or(|verdict| verdict.release(disk));
        if mark && verdict {
            (self.mark, self.verdict) = (None, None);
        }
        mark && verdict
    }

    pub(crate) fn verdict(&mut self) -> Option<&mut Verdict> {
        self.verdict.as_deref_mut()
    }
}

/// The collection: its schedule, and what the sweep under way has freed in this session.
pub(crate) struct Collection {
    pub(crate) schedule: Schedule,
    programs_run: bool,
    statistics: Statistics,
    /// When the mark was begun, or taken up again.
    begun: Nanoseconds,
    /// The longest time for which programs stood still for the sweep.
    longest_stop: u64,
    /// What the mark under way, or the last one, has to say.
    marked: String,
    /// An account that is to be kept.
    account: Option<String>,
    /// The page that the mark could not read.
    pub(crate) unreadable: PageIndex,
    /// What a mark that did without pages has found, until it is brought in.
    pub(crate) finding: Option<Finding>,
}

impl Collection {
    /// As the command line asks for it.
    pub(crate) fn new(options: &Options, now: Nanoseconds) -> Self {
        let mode = match options.collect_every_ms {
            _ if !options.collector => Mode::Off,
            0 => Mode::Gain,
            interval => {
                Mode::Every(Nanoseconds(interval.saturating_mul(NANOSECONDS_PER_MILLISECOND)))
            }
        };
        let schedule = Schedule::new(mode, now);
        let statistics = Statistics::default();
        Self {
            schedule,
            programs_run: false,
            statistics,
            begun: now,
            longest_stop: 0,
            marked: String::new(),
            account: None,
            unreadable: PageIndex(0),
            finding: None,
        }
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
        let now = self.world.clock.monotonic();
        let view = View {
            now,
            pinned: space::with(|space| space.collector_pin()),
            durable: space::with(|space| space.durable_epoch()),
            programs_run: self.collection.programs_run,
            short_of_space: self.space_state != SpaceState::Plenty,
        };
        let order = self.collection.schedule.order(&view);
        self.world.turn = match order {
            Order::Sweep => TURN_BESIDE_SWEEP,
            _ => TurnLimits::default(),
        };
        match order {
            Order::Rest => false,
            Order::Look => {
                let prospect = self.attempt(|programs, _| programs.prospect());
                self.collection.schedule.looked(now, prospect);
                false
            }
            Order::DropSweep => {
                let none = self.attempt(Programs::give_up_sweep).unwrap_or(false);
                self.collection.schedule.dropped(none);
                false
            }
            Order::Pin(epoch) => {
                let done = space::with(|space| space.pin_for_collector(Some(epoch)));
                self.collection.schedule.pinned(epoch, done);
                false
            }
            Order::Begin => self.begin_mark(),
            Order::Mark => self.go_on_marking(),
            Order::Rewrite => self.rewrite(),
            Order::DoWithout => self.do_without_page(),
            Order::Sweep => match self.bring_in_finding() {
                Some(more) => more,
                None => self.go_on_sweeping(),
            },
            Order::Note(note) => {
                if self.keep_account()
                    && self.attempt(|programs, _| programs.note_collection(note)).is_some()
                {
                    self.collection.schedule.noted(now);
                }
                false
            }
            Order::Release => {
                let done = space::with(|space| space.release_collector());
                self.collection.schedule.released(done);
                false
            }
            Order::Unpin => {
                space::with(|space| space.pin_for_collector(None));
                false
            }
        }
    }

    fn begin_mark(&mut self) -> bool {
        let begun = space::with(|space| space.begin_mark());
        match begun {
            Ok(()) => {
                let epoch = space::with(|space| space.collector_pin()).unwrap_or(Epoch(0));
                detail!("collect begins epoch={epoch}");
            }
            Err(refusal) => log!("collect failed reason=\"{refusal:?}\""),
        }
        let now = self.world.clock.monotonic();
        self.collection.statistics = Statistics::default();
        (self.collection.begun, self.collection.longest_stop) = (now, 0);
        self.collection.schedule.begun(now, begun.is_ok());
        true
    }

    fn go_on_marking(&mut self) -> bool {
        let begin = self.world.clock.monotonic();
        let outcome = space::with(|space| space.step_mark());
        self.collection.schedule.stepped(begin, self.world.clock.monotonic());
        match outcome {
            MarkOutcome::Again => true,
            // The store passes on what the mark asked for.
            MarkOutcome::Waiting => space::with(|space| space.collector().begins_to_wait()),
            MarkOutcome::Complete => {
                let epoch = space::with(|space| space.collector_pin()).unwrap_or(Epoch(0));
                let recovered = space::with(|space| space.recovered_by_mark());
                self.collection.finding = Finding::new(epoch, recovered);
                let concluded = space::with(|space| space.conclude_mark());
                let Some((figures, survivors)) = concluded else {
                    self.give_collection_up(format_args!("the snapshot is not pinned any more"));
                    return true;
                };
                detail!(
                    "collect marked objects={} pages_read={} partitions={} checkpoints={} us={}",
                    figures.objects,
                    figures.pages_read,
                    figures.partitions,
                    figures.checkpoints,
                    (self.world.clock.monotonic().0 - self.collection.begun.0) / 1000
                );
                self.collection.marked = account::marked(epoch, &figures, survivors.as_ref());
                detail!("collect statistics {}", self.collection.marked);
                self.collection.schedule.marked(figures.pages_read);
                true
            }
            MarkOutcome::Incomplete { page, damage } => {
                log!("collect unreadable page={page} block={}", damage.block);
                self.collection.unreadable = page;
                self.collection.schedule.unreadable(self.world.clock.monotonic());
                true
            }
            other => {
                self.give_collection_up(format_args!("{other:?}"));
                true
            }
        }
    }

    /// Has the page that the snapshot has in vain written anew, from memory or from where it stands by now.
    fn rewrite(&mut self) -> bool {
        let page = self.collection.unreadable;
        match space::with(|space| space.rewrite(page)) {
            Rewrite::Waits => false,
            Rewrite::Done(epoch) => {
                log!("collect rewrites page={page} epoch={epoch}");
                self.collection.schedule.rewritten(Some(epoch));
                true
            }
            Rewrite::Impossible(reason) => {
                log!("collect lost page={page} reason=\"{reason}\"");
                self.collection.schedule.rewritten(None);
                true
            }
        }
    }

    /// A slice, and if programs have nothing to do some more, until something happens.
    fn go_on_sweeping(&mut self) -> bool {
        let first = self.world.clock.monotonic();
        let mut begin = first;
        loop {
            let more = self.sweep_slice();
            let end = self.world.clock.monotonic();
            self.collection.longest_stop = self.collection.longest_stop.max(end.0 - begin.0);
            if more != Sweep::More {
                return more != Sweep::Waits;
            }
            let wanted = self.collection.programs_run || attention::flag().load(Ordering::Relaxed);
            if wanted || end.0 - first.0 > SWEEPING_AT_ONCE {
                return true;
            }
            begin = end;
        }
    }

    /// A slice, or what a slice has asked for.
    fn sweep_slice(&mut self) -> Sweep {
        // Out of the cell: a fault opens that.
        let Some(mut verdict) = space::with(|space| space.collector().take_verdict()) else {
            self.give_collection_up(format_args!("the snapshot is not pinned any more"));
            return Sweep::Over;
        };
        if verdict.wants() {
            return self.step_verdict(verdict);
        }
        let slice = self.attempt(|programs, world| programs.sweep(&*verdict, world)).flatten();
        let outcome = slice.as_ref().map(|slice| slice.outcome);
        if let Some(slice) = &slice {
            self.collection.statistics.add(slice);
        }
        if let Some(Outcome::NotYet(block)) = outcome {
            verdict.want(block);
        }
        space::with(|space| space.collector().give_verdict(verdict));
        match outcome {
            Some(Outcome::More | Outcome::NotYet(_)) => Sweep::More,
            None | Some(Outcome::Waiting) => Sweep::Waits,
            Some(Outcome::Done) => {
                self.swept();
                Sweep::Over
            }
            Some(outcome @ (Outcome::Failed(_) | Outcome::Refused)) => {
                self.give_collection_up(format_args!("{outcome:?}"));
                Sweep::Over
            }
        }
    }

    fn step_verdict(&mut self, verdict: Box<Verdict>) -> Sweep {
        let waiting = space::with(|space| {
            space.collector().give_verdict(verdict);
            space.step_verdict()
        });
        match waiting {
            Ok(true) => Sweep::Waits,
            Ok(false) => Sweep::More,
            Err(error) => {
                self.give_collection_up(format_args!("{error:?}"));
                Sweep::Over
            }
        }
    }

    fn swept(&mut self) {
        let Statistics { circles, stuck, left, .. } = &self.collection.statistics;
        let bytes = circles.bytes + stuck.bytes + left.bytes;
        detail!(
            "collect swept objects={} bytes={bytes} circles={} stuck={} left={} stop_ns={}",
            circles.objects + stuck.objects + left.objects,
            circles.objects,
            stuck.objects,
            left.objects,
            self.collection.longest_stop
        );
        let account = account::swept(&self.collection.marked, &self.collection.statistics);
        self.collection.account = Some(account);
        let now = self.world.clock.monotonic();
        self.collection.schedule.swept(now, self.world.epoch, bytes);
    }

    /// Writes the account of the last collection into object space, if there is one; whether nothing is left to be kept. A cut before the
    /// next flip takes it back.
    fn keep_account(&mut self) -> bool {
        let Some(text) = self.collection.account.take() else { return true };
        match self.attempt(|programs, world| programs.keep_account(&text, world)).flatten() {
            None => {
                self.collection.account = Some(text);
                false
            }
            Some(Ok(())) => true,
            Some(Err(error)) => {
                log!("collect unaccounted reason=\"{error:?}\"");
                true
            }
        }
    }

    /// Nothing more is freed on the word of this mark.
    fn give_collection_up(&mut self, reason: core::fmt::Arguments<'_>) {
        log!("collect failed reason=\"{reason}\"");
        self.collection.schedule.failed(self.world.clock.monotonic());
    }
}

/// How a slice of the sweep has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweep {
    More,
    /// For the disk.
    Waits,
    /// It is done, or given up.
    Over,
}
