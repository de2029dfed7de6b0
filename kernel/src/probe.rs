//! Measurements of a machine that runs real programs: `bench=resume`, `bench=grace`, `bench=idle`, `bench=discard`, `bench=flip` and
//! `bench=walk`.
//! Everything else runs as always.
//!
//! - `resume`: pages read before the first program instruction, time from the kernel's entry to it, and time until each of
//!   `rounds` threads has reported two steps since the resume: all that lies between the two has been done since.
//! - `grace`: over `rounds` snapshots, the longest single step of the grace before the flip: how long programs stand still
//!   for the first stop.
//! - `idle`: blocks that a snapshot writes, over `rounds` snapshots;
//! - `discard`: blocks that a snapshot writes after a program has taken, used and let go of memory, beyond those after it did the
//!   same without using it (samples/bench/discard.rasm); over `rounds` pairs of snapshots.
//! - `flip`: what each flip took stands in the log anyway; here is only the yardstick, 64 copies of a page, timed some time after each.
//! - `walk`: pages made dirty from the resume until the main program ends, against pages read: what a program costs that only
//!   reads.

use crate::snapshot::FlipTimes;
use crate::{detail, log};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use revenant_hal::{Clock, FrameIndex, FrameMemory, Nanoseconds};
use revenant_machine::clock::MachineClock;
use revenant_machine::command_line::Options;
use revenant_machine::frames::FramePool;
use revenant_pager::Statistics;
use revenant_vm::{ThreadId, WitnessRecord};

/// Snapshots after a resume that do not count for `idle`: they hold what the resume itself changed, and delete what was before.
const SETTLING: u64 = 8;
/// How long after a flip the yardstick is timed: programs look for gaps for 100 ms.
const AFTER_FLIP: u64 = 120_000_000;
/// Frames that are set aside for the yardstick: 64 pages and 64 copies.
const SPARE_FRAMES: u32 = 128;

/// What is being measured.
pub(crate) enum Probe {
    /// Nothing.
    Off,
    /// Until so many threads have taken two steps.
    Resume {
        /// How many.
        threads: usize,
        /// The first step of each since the resume.
        first: BTreeMap<ThreadId, u64>,
    },
    /// Over so many snapshots.
    Grace {
        /// Snapshots still to come.
        left: u64,
        /// The longest step of each, in nanoseconds.
        longest: Vec<u64>,
    },
    /// Over so many snapshots.
    Idle {
        /// Snapshots still to come.
        left: u64,
        /// Snapshots still to come before the measurement begins.
        settling: u64,
        /// Blocks that each has written.
        blocks: Vec<u64>,
    },
    /// Over so many snapshots.
    Discard {
        /// Snapshots still to come.
        left: u64,
        /// Snapshots still to come before the measurement begins.
        settling: u64,
        /// Blocks that each has written: without use and with, in turn.
        blocks: Vec<u64>,
    },
    /// Until the program ends.
    Flip {
        /// When the yardstick is due.
        due: Option<Nanoseconds>,
    },
    /// Until the main program ends.
    Walk,
}

/// Whether the measurement is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Progress {
    /// Go on.
    Going,
    /// The machine may stop.
    Complete,
}

impl Probe {
    /// The measurement that the command line names, if it is one of these.
    pub(crate) fn new(options: &Options) -> Self {
        let left = options.rounds.max(1);
        match options.bench.as_deref() {
            Some("resume") => Self::Resume {
                threads: usize::try_from(left).unwrap_or(usize::MAX),
                first: BTreeMap::new(),
            },
            Some("grace") => Self::Grace { left, longest: Vec::new() },
            Some("idle") => Self::Idle { left, settling: SETTLING, blocks: Vec::new() },
            Some("flip") => Self::Flip { due: None },
            Some("walk") => Self::Walk,
            Some("discard") => {
                Self::Discard { left: 2 * left, settling: 2 * SETTLING, blocks: Vec::new() }
            }
            _ => Self::Off,
        }
    }

    /// Sets frames aside before the kernel uses memory, if the measurement needs any.
    pub(crate) fn prepare(options: &Options, frames: &mut FramePool) {
        if options.bench.as_deref() == Some("flip") {
            // Touched once, so that what is measured later is not the emulator's host finding memory for the guest.
            (0..frames.frame_count()).for_each(|frame| frames.zero(FrameIndex(frame)));
            frames.set_aside(SPARE_FRAMES);
        }
    }

    /// Whether this is a measurement of programs, by its name on the command line.
    pub(crate) fn is_called(name: &str) -> bool {
        matches!(name, "resume" | "grace" | "idle" | "flip" | "walk" | "discard")
    }

    /// The first program instruction has run, so long after the kernel's entry, with so many pages read before.
    pub(crate) fn running(&self, nanoseconds: u64, pages: u64) {
        detail!("running us={} pages={pages}", nanoseconds / 1000);
        if matches!(self, Self::Resume { .. }) {
            let thousandths = nanoseconds / 1_000_000;
            log!("metric entry_to_program {}.{:03} s", thousandths / 1000, thousandths % 1000);
            log!("metric resume_pages {pages} pages");
        }
    }

    /// A thread has reported its first step since the resume.
    pub(crate) fn first_step(&mut self, record: &WitnessRecord) {
        if let Self::Resume { first, .. } = self {
            first.insert(record.thread, record.steps);
        }
    }

    /// Whether [`Probe::counters`] has something to find out.
    pub(crate) fn wants_counters(&self) -> bool {
        matches!(self, Self::Resume { threads, first } if first.len() >= *threads)
    }

    /// What the threads' counters say, so long after the kernel's entry.
    pub(crate) fn counters(&mut self, records: &[WitnessRecord], nanoseconds: u64) -> Progress {
        let Self::Resume { threads, first } = self else { return Progress::Going };
        let again = |record: &&WitnessRecord| {
            first.get(&record.thread).is_some_and(|steps| *steps < record.steps)
        };
        if records.iter().filter(again).count() < *threads {
            return Progress::Going;
        }
        log!("metric resume_time {nanoseconds} ns");
        *self = Self::Off;
        Progress::Complete
    }

    /// Whether the yardstick is to be timed now; it is not due again before the next flip.
    pub(crate) fn yardstick_is_due(&mut self, clock: MachineClock) -> bool {
        let Self::Flip { due } = self else { return false };
        due.take_if(|at| *at <= clock.monotonic()).is_some()
    }

    /// A flip has happened.
    pub(crate) fn flipped(&mut self, times: &FlipTimes) -> Progress {
        if let Self::Flip { due } = self {
            *due = Some(Nanoseconds(times.released.0 + AFTER_FLIP));
        }
        let Self::Grace { left, longest } = self else { return Progress::Going };
        longest.push(times.grace.0);
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Progress::Going;
        }
        distribution("grace_pause", longest, "ns");
        *self = Self::Off;
        Progress::Complete
    }

    /// The main program has ended; the pager's counters since the resume.
    pub(crate) fn main_ended(&self, counters: &Statistics) {
        if matches!(self, Self::Walk) {
            report_walk(counters);
        }
    }

    /// A snapshot is durable that wrote so many blocks.
    pub(crate) fn durable(&mut self, written: u64) -> Progress {
        let (Self::Idle { left, settling, blocks } | Self::Discard { left, settling, blocks }) =
            self
        else {
            return Progress::Going;
        };
        if *settling > 0 {
            *settling -= 1;
            return Progress::Going;
        }
        blocks.push(written);
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Progress::Going;
        }
        match self {
            Self::Idle { blocks, .. } => {
                distribution("idle_snapshot_blocks", blocks, "blocks");
            }
            Self::Discard { blocks, .. } => report_discards(blocks),
            _ => {}
        }
        *self = Self::Off;
        Progress::Complete
    }
}

/// Times 64 copies of a page, in frames that nothing else uses: the shorter of two times, for the first finds cold caches.
pub(crate) fn time_yardstick(clock: MachineClock, frames: &mut FramePool) {
    let first = frames.frame_count();
    let mut copies = || {
        let start = clock.monotonic();
        for index in first..first + SPARE_FRAMES / 2 {
            frames.copy(FrameIndex(index), FrameIndex(index + SPARE_FRAMES / 2));
        }
        clock.monotonic().0 - start.0
    };
    let time = copies().min(copies());
    log!("copies pages={} ns={time}", SPARE_FRAMES / 2);
}

/// The main program has ended; the pager's counters since the resume.
fn report_walk(counters: &Statistics) {
    let dirtied = counters.faults_zero_fill + counters.faults_make_writable + counters.faults_copy;
    log!("metric pages_walked {} pages", counters.pages_read);
    log!("metric pages_read_ahead {} pages", counters.pages_read_ahead);
    log!("metric pages_dirtied {dirtied} pages");
    let thousandths = dirtied.saturating_mul(1000).div_ceil(counters.pages_read.max(1));
    log!("metric read_dirties {}.{:03} ratio", thousandths / 1000, thousandths % 1000);
}

/// Prints what was written after memory was taken and let go of, without use and with it in turn, and the difference.
fn report_discards(blocks: &[u64]) {
    let every_other =
        |first: usize| -> Vec<u64> { blocks.iter().skip(first).step_by(2).copied().collect() };
    let (without, _) = distribution("unused_snapshot_blocks", &mut every_other(0), "blocks");
    let (with, _) = distribution("used_snapshot_blocks", &mut every_other(1), "blocks");
    log!("metric discard_blocks {} blocks", with.saturating_sub(without));
}

/// Prints median, 99th percentile and maximum (by nearest rank); returns the first two.
pub(crate) fn distribution(name: &str, values: &mut [u64], unit: &str) -> (u64, u64) {
    values.sort_unstable();
    let at = |thousandths: usize| {
        let rank = (values.len() * thousandths).div_ceil(1000);
        values.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    };
    let (median, high) = (at(500), at(990));
    for (part, value) in [("median", median), ("p99", high), ("max", at(1000))] {
        log!("metric {name}.{part} {value} {unit}");
    }
    (median, high)
}
