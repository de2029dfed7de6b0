//! [`Vm`]: the handle on the programs of one object space.
//!
//! It holds no program state: what it remembers (which thread waits for which page, what was asked of the kernel) is
//! volatile and is rebuilt empty after a restart. Inside attempts only the worker, which is fixed in size, is written.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::AtomicBool;

use revenant_hal::{Nanoseconds, OBJECT_SPACE_BASE, ObjectAddress, PAGE_SIZE_U64, PageIndex};

use crate::console;
use crate::counting::{self, Progress};
use crate::dispatch::{SliceEnd, Worker, run_slice};
use crate::heap;
use crate::loader::layout::{
    PROGRAM_DAMAGED, PROGRAM_EXIT, PROGRAM_MAIN, PROGRAM_RETURNED, PROGRAM_STATE, PROGRAM_UNCAUGHT,
};
use crate::memory::Space;
use crate::memory::layout::object::PAYLOAD;
use crate::memory::layout::system::{root, witness};
use crate::memory::layout::thread::{GROUP_INDEX, INDEX, STATE, STATE_DAMAGED};
use crate::memory::layout::{ABI_VERSION, MAGIC, area};
use crate::scheduler::{RUN_LENGTH, RUN_QUEUE, timers};
use crate::sweep::Sweep;
use crate::thread::life;

use super::activity::{Activity, CurrentActivity};
use super::again::{VerifiedAgain, Verifier, verify_again};
use super::discards::Discards;
use super::environment::{DiskSpace, Environment};
use super::lost_threads::Lost;
use super::mark::Mark;
use super::outcome::{
    ExitStatus, InspectError, PageVerdict, Requests, ResumeError, StepOutcome, SystemStep,
    ThreadId, Turn, TurnLimits, WitnessRecord,
};
use super::round::Round;
use super::waits::Waits;
use super::{failure, inspect, round, steps, wake};

/// Steps of a grace that one turn or one system step takes.
pub(super) const GRACE_STEPS: u64 = 20_000;
/// Waiting threads that one turn passes over.
const PASSED_OVER: u64 = 256;

/// The programs of one object space. See the module's text for what *in an attempt* means.
#[derive(Debug)]
pub struct Vm {
    pub(super) worker: Box<Worker>,
    pub(super) activity: CurrentActivity,
    /// The thread that a grace has passed over and whose locks are being given to others; the scheduler: none.
    pub(super) releasing: CurrentActivity,
    pub(super) waiting: Waits,
    /// Pages of thread objects that are being made anew.
    pub(super) lost: Lost,
    /// Counts what may have changed threads other than that.
    pub(super) deeds: u64,
    /// Threads passed over since one ran.
    passed_over: u64,
    main_reported: bool,
    /// A thread has ended, and it is not known yet whether that was the first program's end.
    report_due: bool,
    pub(super) mark: Mark,
    pub(super) sweep: Sweep,
    /// What the account that is being kept needs and cannot have.
    pub(super) account_damaged: Option<ObjectAddress>,
    discards: Discards,
}

impl Vm {
    /// Opens the object space that is mapped now. *In an attempt*; reads the root and little else, writes nothing.
    /// Follow it with [`SystemStep::Restarted`] when this is a start of the machine.
    ///
    /// # Errors
    /// The root is missing, of another layout, or damaged.
    pub fn resume(environment: &mut dyn Environment) -> Result<Self, ResumeError> {
        let space = Space::get().ok_or(ResumeError::NoRoot)?;
        let load = |offset| space.load::<u64>(ObjectAddress(area::ROOT + offset));
        if load(root::MAGIC) != MAGIC {
            return Err(ResumeError::NoRoot);
        }
        let found = u32::try_from(load(root::ABI)).unwrap_or(u32::MAX);
        if found != ABI_VERSION {
            return Err(ResumeError::Version { found, known: ABI_VERSION });
        }
        if load(root::NEXT_THREAD) > area::THREAD_TABLE_ENTRIES {
            return Err(ResumeError::Damaged { field: "next thread index" });
        }
        if load(root::NEXT_CLASS) > area::CLASS_TABLE_ENTRIES {
            return Err(ResumeError::Damaged { field: "next class index" });
        }
        Ok(Self::over(space, environment))
    }

    pub(super) fn over(space: Space, environment: &mut dyn Environment) -> Self {
        let saved: u64 = space.load(ObjectAddress(area::ROOT + root::MACHINE_CLOCK));
        let mut worker = Box::new(Worker::new(space));
        worker.clock_base = saved.wrapping_sub(environment.monotonic().0);
        worker.requests.console_output = true;
        let activity = CurrentActivity::default();
        let releasing = CurrentActivity::default();
        Self {
            worker,
            activity,
            releasing,
            waiting: Waits::new(),
            lost: Lost::default(),
            deeds: 0,
            passed_over: 0,
            main_reported: false,
            report_due: false,
            mark: Mark::None,
            sweep: Sweep::new(),
            account_damaged: None,
            discards: Discards::new(),
        }
    }

    /// Wakes what is due, picks a thread and runs it for at most `limits`. *In an attempt.* Leaves early, at an instruction
    /// boundary, when `attention` is set; never clears it.
    pub fn turn(
        &mut self,
        environment: &mut dyn Environment,
        attention: &AtomicBool,
        limits: TurnLimits,
    ) -> Turn {
        if self.lost.is_under_way() {
            return Turn::Waiting;
        }
        self.deeds += 1;
        self.enter(environment, attention);
        let turn = match self.schedule() {
            Some(turn) => turn,
            None => self.run(limits),
        };
        self.leave();
        turn
    }

    /// Prepares for work in object space.
    pub(super) fn enter(&mut self, environment: &mut dyn Environment, attention: &AtomicBool) {
        self.activity.set(Activity::System);
        let (epoch, disk) = (environment.epoch(), environment.disk_space());
        self.worker.lend_world(environment, attention);
        let space = self.worker.space;
        space.end_step();
        counting::set_epoch(space, epoch);
        heap::set_refused(space, disk == DiskSpace::Reserve);
    }

    /// Ends what [`Self::enter`] began.
    pub(super) fn leave(&mut self) {
        self.worker.space.end_step();
        self.worker.release_world();
        self.activity.set(Activity::System);
    }

    /// Work that comes before threads: due timers, a grace that was asked for, ended threads. What waits for a page lets
    /// threads run meanwhile. Timers take no turn for themselves: thousands that are due would keep every thread from running.
    fn schedule(&mut self) -> Option<Turn> {
        self.activity.set(Activity::Timers);
        if !self.waiting.contains(Activity::Timers) {
            wake::due(&mut self.worker, &self.waiting);
        }
        self.activity.set(Activity::System);
        if self.waiting.contains(Activity::System) || self.first_is_to_run() {
            return None;
        }
        if self.report_due {
            self.report_main();
        }
        set_freeing(&mut self.worker, true);
        let more = self.give_back();
        set_freeing(&mut self.worker, false);
        more.then_some(Turn::Scheduled)
    }

    /// Whether somebody can run who is to have the disk for itself until its first instruction: what gives memory back waits as well.
    fn first_is_to_run(&self) -> bool {
        self.waiting.hold_others_back() && self.worker.space.load::<u64>(RUN_LENGTH) > 0
    }

    /// Goes on with what gives memory back: a grace, ended threads, long free runs; whether there is more.
    fn give_back(&mut self) -> bool {
        let space = self.worker.space;
        if counting::grace_requested(space) {
            counting::close(space);
        }
        space.end_step();
        let mut more = false;
        if counting::grace::in_progress(space) {
            more = counting::grace::run(space, GRACE_STEPS) == Ok(Progress::More);
        }
        space.end_step();
        let _ = life::reap(space); // those that are left come with the next turns
        more | self.discards.go_on(&mut self.worker)
    }

    /// Picks a thread and runs it.
    fn run(&mut self, limits: TurnLimits) -> Turn {
        let space = self.worker.space;
        if self.go_round() {
            return Turn::Scheduled;
        }
        if !self.waiting.contains(Activity::System) && console::go_on_interrupting(space) {
            return Turn::Scheduled;
        }
        let runnable: u64 = space.load(RUN_LENGTH);
        if self.waiting.are_enough() {
            return Turn::Waiting;
        }
        let waiting = self.waiting.threads() as u64;
        for _ in 0..PASSED_OVER {
            let Some(thread) = RUN_QUEUE.first(space) else { return self.idle() };
            let waits = self.waiting.contains(Activity::Thread(thread.0));
            if !waits && !self.is_suspended(thread) {
                return self.slice(thread, limits);
            }
            self.passed_over += 1;
            if waiting >= runnable || self.passed_over >= runnable {
                self.passed_over = 0;
                return Turn::Waiting;
            }
            rotate(space, thread);
        }
        Turn::Scheduled
    }

    /// Whether the thread's group is suspended.
    fn is_suspended(&mut self, thread: ObjectAddress) -> bool {
        if !self.worker.environment().is_some_and(|world| world.suspends()) {
            return false;
        }
        // If its page is not there, it is this thread that waits for it, and nobody else.
        self.activity.set(Activity::Thread(thread.0));
        let space = self.worker.space;
        let group: u32 = space.load(ObjectAddress(thread.0.wrapping_add(GROUP_INDEX)));
        space.end_step();
        self.activity.set(Activity::System);
        self.worker.environment().is_some_and(|world| world.is_suspended(group))
    }

    /// Goes on with the round over all threads; whether there was anything to do.
    fn go_round(&mut self) -> bool {
        let space = self.worker.space;
        if !round::is_due(space) || self.waiting.contains(Activity::Round) {
            return false;
        }
        self.activity.set(Activity::Round);
        let round = round::go_on(space);
        self.activity.set(Activity::System);
        if round == Round::Ended {
            self.report_main();
        }
        round != Round::None
    }

    fn slice(&mut self, thread: ObjectAddress, limits: TurnLimits) -> Turn {
        let space = self.worker.space;
        self.passed_over = 0;
        self.activity.set(Activity::Thread(thread.0));
        let index: u32 = space.load(ObjectAddress(thread.0.wrapping_add(INDEX)));
        let group: u32 = space.load(ObjectAddress(thread.0.wrapping_add(GROUP_INDEX)));
        space.end_step();
        if let Some(environment) = self.worker.environment() {
            environment.group_runs(group);
        }
        let end = run_slice(&mut self.worker, thread, limits.polls);
        self.activity.set(Activity::System);
        self.waiting.note_run();
        match end {
            SliceEnd::Budget | SliceEnd::Yielded => rotate(space, thread),
            SliceEnd::Ended => {
                self.report_due = true; // the attempt may end before it is done
                self.report_main();
            }
            SliceEnd::Parked => {}
        }
        Turn::Ran(ThreadId(u64::from(index)))
    }

    fn idle(&mut self) -> Turn {
        let base = self.worker.clock_base;
        let deadline = timers::first(self.worker.space)
            .map(|timer| Nanoseconds(timers::on_monotonic(timer.deadline, base)));
        if !self.main_reported {
            self.report_main();
        }
        Turn::Idle { deadline }
    }

    /// Looks whether the first program has ended.
    fn report_main(&mut self) {
        let space = self.worker.space;
        let programs: u64 = space.load(ObjectAddress(area::ROOT + root::PROGRAMS));
        let program: u64 = space.load(ObjectAddress(programs.wrapping_add(PAYLOAD)));
        let word = |offset: u64| space.load::<u64>(ObjectAddress(program.wrapping_add(offset)));
        let main = word(PROGRAM_MAIN);
        let state: u32 = space.load(ObjectAddress(main.wrapping_add(STATE)));
        let status = match word(PROGRAM_STATE) {
            PROGRAM_RETURNED => ExitStatus::Returned(word(PROGRAM_EXIT)),
            PROGRAM_UNCAUGHT => ExitStatus::Uncaught,
            PROGRAM_DAMAGED => ExitStatus::Damaged,
            _ if state == STATE_DAMAGED => ExitStatus::Damaged,
            _ => {
                self.report_due = false;
                return;
            }
        };
        self.report_due = false;
        self.main_reported = true;
        self.worker.requests.main_ended = Some(status);
    }

    /// The first program runs again: its next end is to be reported.
    pub(super) fn reopen_main(&mut self) {
        self.deeds += 1;
        self.main_reported = false;
        self.report_due = false;
    }

    /// One bounded piece of the scheduler's work. *In an attempt.*
    pub fn system_step(
        &mut self,
        step: SystemStep,
        environment: &mut dyn Environment,
    ) -> StepOutcome {
        let quiet = AtomicBool::new(false);
        // The clock is nobody's: what is saved for a flip changes no thread.
        self.deeds += u64::from(step != SystemStep::SaveClock);
        self.enter(environment, &quiet);
        set_freeing(&mut self.worker, step.is_grace());
        let outcome = steps::take(&mut self.worker, &mut self.discards, step);
        set_freeing(&mut self.worker, false);
        if matches!(step, SystemStep::Restarted { .. }) && outcome == StepOutcome::Done {
            self.mark = Mark::Due;
            self.worker.requests.console_output = true;
        }
        self.leave();
        outcome
    }

    /// The last turn or step was abandoned and waits for `page` (to be read, for a frame, or for disk space). If it was a
    /// thread's slice, that thread is passed over until [`Vm::page_arrived`]; it stays runnable in object space. To be
    /// called right after the attempt, before anything else happens to object space: it saves where the thread stopped.
    pub fn abandoned(&mut self, page: PageIndex) {
        self.worker.space.end_step();
        if self.worker.save() {
            self.waiting.note_run();
        }
        self.worker.thread = ObjectAddress(0);
        self.worker.end = None;
        self.worker.release_world();
        self.waiting.insert(self.activity.get(), page);
        self.activity.set(Activity::System);
    }

    /// Whether a thread has executed an instruction since this machine was made or resumed.
    #[must_use]
    pub const fn has_run(&self) -> bool {
        self.waiting.has_run()
    }

    /// Whatever waits for `page` may try again.
    pub fn page_arrived(&mut self, page: PageIndex) {
        self.waiting.remove_page(page);
    }

    /// Everything that waits may try again: frames or disk space have come back.
    pub fn retry_all(&mut self) {
        self.waiting.clear();
    }

    /// `page` cannot be read and never will be. *In an attempt*, to be made again until there is a verdict: with pages that hold
    /// thread objects, nobody runs meanwhile. Whoever waited for it is dealt with by what the page holds.
    pub fn page_failed(
        &mut self,
        page: PageIndex,
        environment: &mut dyn Environment,
    ) -> PageVerdict {
        let quiet = AtomicBool::new(false);
        self.enter(environment, &quiet);
        self.activity.set(Activity::Judgement);
        let verdict = failure::judge(self, page);
        self.leave();
        // One is judged at a time: the others that wait for it meet it again, and nobody else would wake them.
        self.waiting.remove_page(page);
        verdict
    }

    /// The next thread that was lost with a page, and that page: those that no verdict has named.
    pub fn take_lost(&mut self) -> Option<(PageIndex, ThreadId)> {
        self.lost.take_told()
    }

    /// The pages that the scheduler's own work is going to need after the one that it waits for, for the kernel to bring in
    /// at the same time; how many. Nothing while it does not wait. *In an attempt.*
    pub fn upcoming(&mut self, pages: &mut [PageIndex]) -> usize {
        if !self.waiting.contains(Activity::System) {
            return 0;
        }
        self.activity.set(Activity::System);
        counting::grace::upcoming(self.worker.space, pages)
    }

    /// What programs asked for since the last call.
    pub fn take_requests(&mut self) -> Requests {
        core::mem::take(&mut self.worker.requests)
    }

    /// The pages that scheduling itself needs (root, run queue, counting, runs, witness), to be read before the first turn and
    /// kept. Few, and independent of the number of threads.
    #[must_use]
    pub const fn wired_pages() -> &'static [Range<PageIndex>] {
        const { &[PageIndex(0)..PageIndex(7)] }
    }

    /// The pages of the class table. Nothing runs without those in use, so whoever stores pages stores them twice, as it does
    /// the wired pages; they are read when they are touched.
    #[must_use]
    pub const fn class_table_pages() -> Range<PageIndex> {
        let first = (area::CLASS_TABLE - OBJECT_SPACE_BASE) / PAGE_SIZE_U64;
        let count = (area::CLASS_TABLE_ENTRIES * 8).div_ceil(PAGE_SIZE_U64);
        PageIndex(first)..PageIndex(first + count)
    }

    /// The step counters of all threads that report any, in the order of their first report, into `records`; returns how
    /// many. *In an attempt*, in the stop: reads one wired page.
    pub fn witness(&self, records: &mut [WitnessRecord]) -> usize {
        let space = self.worker.space;
        let page = |offset: u64| space.load::<u64>(ObjectAddress(area::WITNESS + offset));
        let count = page(witness::COUNT).min(witness::CAPACITY);
        let entries = (0..count).map(|entry| witness::ENTRIES + entry * witness::ENTRY_SIZE);
        let taken =
            entries.map(|place| (page(place), page(place + 8))).filter(|entry| entry.0 != 0);
        let mut found = 0;
        for ((thread, steps), record) in taken.zip(records.iter_mut()) {
            *record = WitnessRecord { thread: ThreadId(thread), steps };
            found += 1;
        }
        found
    }

    /// For each thread its first report since this resume, taken once.
    pub fn take_first_steps(&mut self) -> Vec<WitnessRecord> {
        self.worker.first_steps.take().to_vec()
    }

    /// Verifies all code and all frames again, withdraws and stops what does not pass. For the host; never in an attempt.
    pub fn verify_again(&mut self, verifier: Verifier<'_>) -> VerifiedAgain {
        verify_again(self.worker.space, verifier)
    }

    /// What a page holds, in words, as `revenant disk pages` prints it. Reads only; for the host.
    #[must_use]
    pub fn inspect_page(&self, page: PageIndex) -> String {
        inspect::describe_page(self.worker.space, page)
    }

    /// Describes the object at `path`, as `revenant disk cat` prints it: names of the object tree, fields by name, elements
    /// by `[index]`, separated by `/`; the empty path is the root. Reads only; for the host.
    ///
    /// # Errors
    /// The path leads nowhere, or through damage.
    pub fn inspect(&self, path: &str) -> Result<String, InspectError> {
        inspect::describe(self.worker.space, path)
    }
}

/// Says whether what follows gives memory back.
pub(super) fn set_freeing(worker: &mut Worker, freeing: bool) {
    if let Some(environment) = worker.environment() {
        environment.set_freeing(freeing);
    }
}

/// Moves a runnable thread to the end of the run queue. One step.
fn rotate(space: Space, thread: ObjectAddress) {
    if space.load::<u64>(RUN_LENGTH) < 2 {
        return;
    }
    RUN_QUEUE.touch_remove(space, thread);
    RUN_QUEUE.touch_push(space, thread);
    space.begin_changes();
    RUN_QUEUE.remove(space, thread);
    RUN_QUEUE.push(space, thread);
    space.end_step();
}

const _: () = assert!(area::WITNESS - area::ROOT < 7 * 4096);
