//! Measurements of a machine that runs real programs: `bench=resume` and `bench=grace`. Everything else runs as always.
//!
//! - `resume`: pages read before the first program instruction, time from the kernel's entry to it, and time until each of
//!   `rounds` threads has reported its first step since the resume.
//! - `grace`: over `rounds` snapshots, the longest single step of the grace before the flip: how long programs stand still
//!   for the first stop.

use crate::log;
use alloc::vec::Vec;
use revenant_machine::command_line::Options;

/// What is being measured.
pub(crate) enum Probe {
    /// Nothing.
    Off,
    /// Until so many threads have taken a step.
    Resume {
        /// Threads that have not yet.
        left: u64,
    },
    /// Over so many snapshots.
    Grace {
        /// Snapshots still to come.
        left: u64,
        /// The longest step of each, in nanoseconds.
        longest: Vec<u64>,
    },
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
            Some("resume") => Self::Resume { left },
            Some("grace") => Self::Grace { left, longest: Vec::new() },
            _ => Self::Off,
        }
    }

    /// The first program instruction has run, so long after the kernel's entry, with so many pages read before.
    pub(crate) fn running(&self, nanoseconds: u64, pages: u64) {
        log!("running us={} pages={pages}", nanoseconds / 1000);
        if matches!(self, Self::Resume { .. }) {
            let thousandths = nanoseconds / 1_000_000;
            log!("metric entry_to_program {}.{:03} s", thousandths / 1000, thousandths % 1000);
            log!("metric resume_pages {pages} pages");
        }
    }

    /// A thread has reported its first step, so long after the kernel's entry.
    pub(crate) fn first_step(&mut self, nanoseconds: u64) -> Progress {
        let Self::Resume { left } = self else { return Progress::Going };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Progress::Going;
        }
        log!("metric resume_time {nanoseconds} ns");
        *self = Self::Off;
        Progress::Complete
    }

    /// A flip has happened; the longest step of the grace before it took so long.
    pub(crate) fn flipped(&mut self, nanoseconds: u64) -> Progress {
        let Self::Grace { left, longest } = self else { return Progress::Going };
        longest.push(nanoseconds);
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Progress::Going;
        }
        longest.sort_unstable();
        let at = |thousandths: usize| {
            longest.get(longest.len() * thousandths / 1000).or(longest.last()).copied().unwrap_or(0)
        };
        log!("metric grace_pause.median {} ns", at(500));
        log!("metric grace_pause.p99 {} ns", at(990));
        log!("metric grace_pause.max {} ns", at(1000));
        *self = Self::Off;
        Progress::Complete
    }
}
