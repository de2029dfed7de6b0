//! The event loop: completions of the disk, the console, the snapshot under way, one slice of a program; then halt until
//! an interrupt if nothing is left to do.
//!
//! Whenever this code runs, every program thread is at a safepoint with all its state in object space: stopping all
//! threads is not starting the next slice. Whatever touches object space runs as an attempt; one that ends at a page that
//! is not there has changed nothing and is tried again when the page has come.
//!
//! Neighbours: `snapshot` decides when to flip; `programs` is what runs; `space` is where pages come from.

use crate::collection::Collection;
use crate::console::Console;
use crate::load::Load;
use crate::probe::{self, Probe, Progress};
use crate::programs::Programs;
use crate::snapshot::Snapshots;
use crate::space::{self, News, Work};
use crate::world::World;
use crate::{detail, last_words, log, resume};
use alloc::collections::VecDeque;
use core::sync::atomic::Ordering;
use revenant_hal::{Clock, Epoch, Nanoseconds, PageIndex};
use revenant_machine::attempt::{self, SliceEnd};
use revenant_machine::clock::MachineClock;
use revenant_machine::command_line::Options;
use revenant_machine::exit::ExitCode;
use revenant_machine::{attention, cpu};
use revenant_pager::{Impossible, Obstacles, Stage, Wake};
use revenant_store::SpaceState;
use revenant_vm::{DiskSpace, ExitStatus, PageVerdict, StepOutcome, SystemStep, Turn};

/// Slices that may miss a page before the disk is asked for them.
const MISSES_PER_PASS: u32 = 16;
/// Pages that are brought in ahead of the scheduler's own work at a time.
const AHEAD: usize = 192;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// The loop's state. All of it is volatile.
pub(crate) struct EventLoop<P> {
    pub(crate) programs: P,
    pub(crate) world: World,
    pub(crate) snapshots: Snapshots,
    /// System steps that are due, in order.
    steps: VecDeque<SystemStep>,
    /// Unreadable pages whose consequences are not drawn yet.
    failed_pages: VecDeque<PageIndex>,
    pub(crate) console: Console,
    /// An attempt has missed a page since the last look ahead.
    missed: bool,
    options: Options,
    stop_at: Option<Nanoseconds>,
    /// How the machine ends once the last snapshot is durable.
    pub(crate) ending: Option<ExitCode>,
    out_of_frames_said: bool,
    /// How much room the disk had at the last look.
    pub(crate) space_state: SpaceState,
    /// The time-stamp counter at the kernel's entry.
    entered: u64,
    /// A program has run.
    pub(crate) running: bool,
    load: Load,
    /// The longest step of the grace since the last flip, in nanoseconds.
    longest_grace: u64,
    probe: Probe,
    pub(crate) collection: Collection,
}

/// What an attempt came to.
enum Attempt<V> {
    /// It finished.
    Done(V),
    /// It waits for a page.
    Blocked,
}

/// Nothing is to be done: a little of what nobody waits for, or the next interrupt.
pub(crate) fn rest() {
    if !space::with(|space| space.use_idle_time()) {
        attention::wait();
    }
}

impl<P: Programs> EventLoop<P> {
    /// A loop over programs that were just resumed.
    pub(crate) fn new(programs: P, clock: MachineClock, options: Options) -> Self {
        let now = clock.monotonic();
        let epoch = space::with(|space| {
            space.set_cleaning(options.cleaner, options.settling);
            space.epoch()
        });
        let after = |milliseconds| Nanoseconds(now.0 + milliseconds * NANOSECONDS_PER_MILLISECOND);
        let load = Load::new(options.load_control, now);
        Self {
            programs,
            world: World::new(clock, epoch),
            snapshots: Snapshots::new(options.snapshot_interval_ms, now),
            steps: VecDeque::new(),
            failed_pages: VecDeque::new(),
            console: Console::new(),
            missed: false,
            stop_at: options.exit_after_ms.map(after),
            probe: Probe::new(&options),
            collection: Collection::new(&options, now),
            options,
            ending: None,
            out_of_frames_said: false,
            space_state: SpaceState::Plenty,
            entered: cpu::timestamp(),
            running: false,
            load,
            longest_grace: 0,
        }
    }

    /// Names the kernel's entry, from which the time to the first program instruction counts.
    pub(crate) fn count_from(&mut self, timestamp: u64) {
        self.entered = timestamp;
    }

    /// Has a system step done before programs go on.
    pub(crate) fn schedule(&mut self, step: SystemStep) {
        self.steps.push_back(step);
    }

    /// A grace is due: the one that is under way goes first, and does for both if it has not begun.
    fn schedule_grace(&mut self) {
        if !self.steps.contains(&SystemStep::BeginGrace) {
            self.steps.push_back(SystemStep::BeginGrace);
            self.steps.push_back(SystemStep::ContinueGrace);
        }
    }

    /// Runs until the machine is to stop.
    pub(crate) fn run(&mut self) -> ExitCode {
        loop {
            attention::take();
            let mut busy = self.pass();
            if let Some(code) = self.finished() {
                return code;
            }
            // What was raised in the pass is looked at after the slice: it would end that at its first poll, and programs would stand
            // still while a snapshot is written and one request after the other completes.
            busy |= attention::take();
            let ran = self.run_slices();
            busy |= self.collection.programs(ran);
            if !busy {
                let begin = self.world.clock.monotonic();
                rest();
                self.load.waited(begin, self.world.clock.monotonic());
            }
            self.load.control(&mut self.world);
        }
    }

    /// Everything between two slices; true if there is more to do at once.
    pub(crate) fn pass(&mut self) -> bool {
        let mut busy = self.serve_space() == Work::More;
        self.serve_console();
        busy |= self.serve_steps();
        self.serve_requests();
        busy |= self.advance_snapshot();
        busy |= self.collect();
        // Not before the first instruction after a resume: its pages would stand behind those of a grace.
        if self.running && core::mem::take(&mut self.missed) {
            // What will be missing is asked of the disk before a slice begins, not after.
            busy |= self.look_ahead() && self.serve_space() == Work::More;
        }
        busy
    }

    /// Asks for what the scheduler's own work will miss next: page by page a grace over what was freed long ago would
    /// take a disk's latency for each. Whether there is anything.
    fn look_ahead(&mut self) -> bool {
        let mut pages = [PageIndex(0); AHEAD];
        let found = self.attempt(|programs, _| programs.upcoming(&mut pages));
        let pages = pages.get(..found.unwrap_or(0)).unwrap_or(&[]);
        space::with(|space| space.prefetch(pages));
        !pages.is_empty()
    }

    /// One round of store and pager, and what follows from it.
    pub(crate) fn serve_space(&mut self) -> Work {
        let mut news = VecDeque::new();
        let work = space::with(|space| space.work(|item| news.push_back(item)));
        for item in news {
            self.take_news(item);
        }
        while let Some(wake) = space::with(|space| space.next_wake()) {
            match wake {
                Wake::Page(page) => self.programs.page_arrived(page),
                Wake::All => self.programs.retry_all(),
            }
        }
        work
    }

    fn take_news(&mut self, news: News) {
        let now = self.world.clock.monotonic();
        match news {
            News::Committed { epoch, generation, blocks } => {
                let latency = self.snapshots.ended(now);
                self.snapshots.last_blocks = blocks;
                if self.probe.durable(blocks) == Progress::Complete {
                    self.end(ExitCode::Success);
                }
                detail!(
                    "durable epoch={epoch} generation={generation} blocks={blocks} latency_us={}",
                    latency.0 / 1000
                );
                self.steps.push_back(SystemStep::CommitDurable(epoch));
                if core::mem::take(&mut self.out_of_frames_said) {
                    self.programs.retry_all(); // old copies that were written have given frames back
                }
            }
            News::Abandoned(epoch) => {
                self.snapshots.ended(now);
                self.steps.push_back(SystemStep::CommitFailed(epoch));
                self.snapshots.schedule.request(); // what it was to keep is kept by the next one, and soon
                if self.ending.is_some() {
                    self.ending = Some(ExitCode::Failure);
                }
            }
            News::ReadOnly => {
                self.snapshots.schedule.disable();
                self.world.read_only = true; // `commit()` throws from here on
                self.steps.push_back(SystemStep::CommitFailed(Epoch(u64::MAX)));
            }
        }
    }

    /// Runs one attempt; a page that it misses is told to whoever waits.
    pub(crate) fn attempt<V>(&mut self, work: impl FnOnce(&mut P, &mut World) -> V) -> Option<V> {
        match self.try_attempt(work) {
            Attempt::Done(value) => Some(value),
            Attempt::Blocked => None,
        }
    }

    fn try_attempt<V>(&mut self, work: impl FnOnce(&mut P, &mut World) -> V) -> Attempt<V> {
        let (programs, world) = (&mut self.programs, &mut self.world);
        match attempt::enter_slice(|| work(programs, world)) {
            SliceEnd::Finished(value) => Attempt::Done(value),
            SliceEnd::FaultEnded { page, write } => {
                self.blocked(page, write);
                Attempt::Blocked
            }
        }
    }

    #[cold]
    pub(crate) fn blocked(&mut self, page: PageIndex, write: bool) {
        self.programs.abandoned(page);
        self.missed = true;
        let impossible = space::with(|space| {
            space.set_freeing(false); // whatever it was doing
            space.take_impossible()
        });
        match impossible {
            None => {}
            Some((page, Impossible::OutOfFrames)) => {
                if !self.out_of_frames_said {
                    log!("out_of_memory page={page} write={write} {}", Impossible::OutOfFrames);
                }
                self.out_of_frames_said = true;
            }
            Some((page, reason)) => {
                resume::insist_on(page, write, reason);
                if !self.failed_pages.contains(&page) {
                    self.failed_pages.push_back(page); // once, however often it is met before its turn
                }
            }
        }
    }

    /// Whether the programs have not been told of the restart yet.
    pub(crate) fn announcing(&self) -> bool {
        matches!(self.steps.front(), Some(SystemStep::Restarted { .. }))
    }

    /// Does the system steps that are due; true if something was done and more is left.
    fn serve_steps(&mut self) -> bool {
        while let Some(page) = self.failed_pages.front().copied() {
            let verdict = self.attempt(|programs, world| programs.page_failed(page, world));
            let Some(verdict) = verdict else {
                self.failed_pages.rotate_left(1); // what it waits for may be another of them
                return false;
            };
            self.failed_pages.pop_front();
            log!("page_failed page={page} verdict={verdict:?}");
            while let Some((page, thread)) = self.programs.take_lost() {
                let verdict = PageVerdict::ThreadDamaged(thread);
                log!("page_failed page={page} verdict={verdict:?}");
            }
            if verdict == PageVerdict::StepBack {
                panic!("page {page} cannot be read, and nothing runs without it");
            }
        }
        let Some(step) = self.steps.front().copied() else { return false };
        let begin = self.world.clock.monotonic();
        let outcome = self.attempt(|programs, world| programs.system_step(step, world));
        if step.is_grace() {
            let spent = self.world.clock.monotonic().0 - begin.0;
            self.longest_grace = self.longest_grace.max(spent);
        }
        match outcome {
            None => false,
            Some(StepOutcome::More) => true,
            Some(StepOutcome::Done) => {
                self.steps.pop_front();
                if step == SystemStep::BeginGrace {
                    return self.serve_steps(); // a slice in between would only make it longer
                }
                !self.steps.is_empty()
            }
        }
    }

    /// What programs asked for.
    fn serve_requests(&mut self) {
        let requests = self.programs.take_requests();
        self.console.has_output |= requests.console_output;
        self.console.input_lost(requests.console_input_lost);
        if requests.commit.is_some() || space::with(|space| space.wants_snapshot()) {
            self.snapshots.schedule.request();
        }
        if requests.grace {
            self.schedule_grace();
        }
        if let Some(status) = requests.main_ended {
            log!("main_ended {status:?}");
            self.probe.main_ended(&space::with(|space| space.statistics()));
            if self.options.exit_on_main {
                self.end(match status {
                    ExitStatus::Returned(0) => ExitCode::Success,
                    _ => ExitCode::Failure,
                });
            }
        }
        let now = self.world.clock.monotonic();
        if self.stop_at.is_some_and(|at| at <= now) {
            self.stop_at = None;
            self.end(ExitCode::Success);
        }
    }

    /// Takes one last snapshot, then stops the machine.
    pub(crate) fn end(&mut self, code: ExitCode) {
        if self.ending.is_none() {
            self.ending = Some(code);
            self.console.end_at(self.world.clock.monotonic());
            self.snapshots.schedule.request_last();
        }
    }

    /// The exit code, once everything is durable and said.
    fn finished(&mut self) -> Option<ExitCode> {
        let code = self.ending?;
        // A grace goes on after the next start.
        let steps_are_due = !self.steps.iter().all(SystemStep::is_grace);
        if !self.snapshots.schedule.is_finished() || self.output_waits() || steps_are_due {
            return None;
        }
        last_words::release_disk();
        // A machine that could not keep what it did has not ended well.
        Some(if self.snapshots.schedule.is_enabled() { code } else { ExitCode::Failure })
    }

    /// What leads to a flip, a step at a time: the grace, the stop, the flip; true if there is more to do at once.
    fn advance_snapshot(&mut self) -> bool {
        let now = self.world.clock.monotonic();
        let making = space::with(|space| space.is_snapshotting());
        let discarding = self.steps.front() == Some(&SystemStep::Discard);
        let obstacles = Obstacles { making, preparing: self.grace_is_due(), discarding };
        match self.snapshots.schedule.next(now, obstacles) {
            Stage::Wait => false,
            // Nothing has died yet, and on a slow disk the pages of a grace would stand before those of the first instruction.
            Stage::Begin if !self.running => true,
            Stage::Begin => {
                self.schedule_grace();
                self.steps.retain(|step| *step != SystemStep::Discard);
                self.steps.push_back(SystemStep::Discard); // what the grace frees, too
                true
            }
            // The last snapshot knows that everything was sent: the next start does not say it again.
            Stage::Stop if self.ending.is_some() && self.output_waits() => false,
            Stage::Stop => self.stop_and_flip(),
        }
    }

    /// Whether a grace is under way or about to begin, or what is free waits to be discarded.
    fn grace_is_due(&self) -> bool {
        self.steps.iter().any(SystemStep::is_grace)
    }

    /// Both halves of the second stop: what has to be in the snapshot, then the flip. No slice runs in between. A page that
    /// is missing ends the stop, which is tried again later: the stop is never hostage to the disk.
    fn stop_and_flip(&mut self) -> bool {
        let clock = self.world.clock;
        self.snapshots.stopping(clock.monotonic());
        let mut records = self.snapshots.take_records();
        space::with(|space| space.set_stopping(true));
        let saved =
            self.attempt(|programs, world| programs.system_step(SystemStep::SaveClock, world));
        let count = saved.and_then(|_| self.attempt(|programs, _| programs.witness(&mut records)));
        space::with(|space| space.set_stopping(false));
        let Some(count) = count else {
            self.snapshots.give_records(records, 0);
            return false;
        };
        let witnessed = clock.monotonic();
        let flipped = space::with(|space| {
            let result = space.flip(clock.wall());
            self.world.epoch = space.epoch();
            result
        });
        let end = clock.monotonic();
        self.snapshots.give_records(records, count);
        match flipped {
            Ok(report) => {
                let grace = core::mem::take(&mut self.longest_grace);
                let times = self.snapshots.flipped(&report, Nanoseconds(grace), witnessed, end);
                if self.probe.flipped(&times) == Progress::Complete {
                    self.end(ExitCode::Success);
                }
            }
            Err(refused) => {
                log!("flip refused {refused:?}");
                self.snapshots.refused(end);
            }
        }
        true
    }

    /// Shows the threads' counters to a measurement.
    #[cold]
    fn measure_counters(&mut self) {
        let mut records = self.snapshots.take_records();
        let count = self.attempt(|programs, _| programs.witness(&mut records)).unwrap_or(0);
        let since = self.world.clock.since(self.entered).0;
        let progress = self.probe.counters(records.get(..count).unwrap_or(&[]), since);
        self.snapshots.give_records(records, 0);
        if progress == Progress::Complete {
            self.end(ExitCode::Success);
        }
    }

    /// Tells programs how much room the disk has, and the log when that has changed.
    fn look_at_disk_space(&mut self) {
        let state = space::with(|space| space.space_state());
        self.world.disk_space = match state {
            SpaceState::Plenty | SpaceState::Short => DiskSpace::Enough,
            SpaceState::AllocationRefused | SpaceState::Full => DiskSpace::Reserve,
        };
        if core::mem::replace(&mut self.space_state, state) != state {
            let room = space::with(|space| space.space());
            log!("disk_space state={state:?} available={} total={}", room.available, room.total);
        }
    }

    /// Runs a slice, and after one that ended at a missing page another, so that the disk gets what several threads miss
    /// in one go; true if there is more to run at once.
    fn run_slices(&mut self) -> bool {
        if self.options.safe || self.ending.is_some() || self.announcing() {
            return false;
        }
        self.look_at_disk_space();
        if self.probe.yardstick_is_due(self.world.clock) {
            space::with(|space| probe::time_yardstick(self.world.clock, space.frames()));
        }
        for slice in 0..MISSES_PER_PASS {
            match self.run_slice() {
                Attempt::Done(Turn::Ran(_) | Turn::Scheduled) => return true,
                // What the slices before have missed is asked for by the pass that follows; only then may the loop halt.
                Attempt::Done(Turn::Idle { .. } | Turn::Waiting) => return slice > 0,
                Attempt::Blocked if attention::flag().load(Ordering::Relaxed) => return true,
                Attempt::Blocked => {}
            }
        }
        true
    }

    /// Runs programs for one slice.
    fn run_slice(&mut self) -> Attempt<Turn> {
        let pages =
            if self.running { 0 } else { space::with(|space| space.statistics().pages_read) };
        let turn = self.try_attempt(|programs, world| programs.turn(world));
        if !self.running && self.programs.has_run() {
            self.running = true;
            space::with(|space| space.set_read_ahead(true));
            self.probe.running(self.world.clock.since(self.entered).0, pages);
        }
        for first in self.programs.take_first_steps() {
            detail!("first_step thread={} step={}", first.thread.0, first.steps);
            self.probe.first_step(&first);
        }
        if self.probe.wants_counters() {
            self.measure_counters();
        }
        turn
    }
}
