//! When to flip, and what is said about it.
//!
//! ```text
//!   Resting --due or asked for--> Preparing --grace done, or patience ended--> (stop, flip) --> Resting, while the snapshot is being made
//! ```
//!
//! The grace before the flip only saves writing what is dead. It may need pages from the disk, without bound, so it is given
//! a limited time: a flip that waited for it would let programs run on without snapshots for as long.
//!
//! One snapshot is in the making at a time: when the next is due earlier, it waits. The lines `flip` and `durable` are the
//! outside witness (a program whose memory was rolled back cannot testify).

use crate::log;
use alloc::boxed::Box;
use alloc::vec;
use core::fmt;
use revenant_hal::{Epoch, Nanoseconds};
use revenant_pager::FlipReport;
use revenant_vm::{ThreadId, WitnessRecord};

/// Threads whose counters a flip reports.
const WITNESSES: usize = 256;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;
/// How long a flip waits for the grace before it.
const PATIENCE: Nanoseconds = Nanoseconds(100 * NANOSECONDS_PER_MILLISECOND);
/// Flips refused in a row after which the last snapshot before the machine's end is given up.
const REFUSALS: u32 = 8;

/// What to do next about snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Nothing.
    Wait,
    /// One is due: ask for the grace that goes before it.
    Begin,
    /// Stop all threads and flip.
    Stop,
}

/// Where the next snapshot stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Resting,
    Preparing {
        /// When it flips at the latest.
        patience_ends: Nanoseconds,
    },
    /// The machine stops: no more.
    Finished,
}

/// The schedule of snapshots.
pub(crate) struct Snapshots {
    interval: Nanoseconds,
    state: State,
    due: Nanoseconds,
    asked: bool,
    /// Not before this time, even if somebody asked: flips were refused.
    not_before: Nanoseconds,
    refusals: u32,
    last: bool,
    enabled: bool,
    flipped_at: Nanoseconds,
    /// The last flip: epoch and parts of the pause.
    pub(crate) last_flip: Option<FlipTimes>,
    /// Blocks that the last durable snapshot wrote.
    pub(crate) last_blocks: u64,
    records: Box<[WitnessRecord]>,
    witnesses: usize,
}

/// How long a flip took, by parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FlipTimes {
    /// The snapshot.
    pub(crate) epoch: Epoch,
    /// From the request of the stop to the release of the threads.
    pub(crate) pause: Nanoseconds,
    /// The flip alone.
    pub(crate) flip: Nanoseconds,
    /// Pages frozen.
    pub(crate) dirty: u32,
    /// When the threads were released, on the monotonic clock.
    pub(crate) released: Nanoseconds,
    /// How long until it was durable, once it is.
    pub(crate) durable_after: Option<Nanoseconds>,
}

impl Snapshots {
    /// A schedule that begins now.
    pub(crate) fn new(interval_ms: u64, now: Nanoseconds) -> Self {
        let interval = Nanoseconds(interval_ms * NANOSECONDS_PER_MILLISECOND);
        let nobody = WitnessRecord { thread: ThreadId(0), steps: 0 };
        Self {
            interval,
            state: State::Resting,
            due: Nanoseconds(now.0 + interval.0),
            asked: false,
            not_before: now,
            refusals: 0,
            last: false,
            enabled: true,
            flipped_at: now,
            last_flip: None,
            last_blocks: 0,
            records: vec![nobody; WITNESSES].into_boxed_slice(),
            witnesses: 0,
        }
    }

    /// Somebody waits for a snapshot: take one as soon as the one under way is done.
    pub(crate) fn request(&mut self) {
        self.asked = true;
    }

    /// Take one more, then none.
    pub(crate) fn request_last(&mut self) {
        self.asked = true;
        self.last = true;
    }

    /// Whether the last one has been made (or given up, or cannot be).
    pub(crate) fn has_made_last(&self) -> bool {
        self.last && !self.asked && self.state == State::Finished
    }

    /// The store has become read-only: no more snapshots.
    pub(crate) fn disable(&mut self) {
        self.enabled = false;
    }

    /// Whether snapshots can be made at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// What to do now. `making`: a snapshot is still being written.
    pub(crate) fn next(&mut self, now: Nanoseconds, making: bool) -> Stage {
        match self.state {
            State::Finished => Stage::Wait,
            _ if !self.enabled => {
                if self.last {
                    self.asked = false;
                    self.state = State::Finished;
                }
                Stage::Wait
            }
            _ if making => Stage::Wait,
            State::Resting if self.last && !self.asked => {
                self.state = State::Finished;
                Stage::Wait
            }
            State::Resting if now >= self.not_before && (self.asked || now >= self.due) => {
                self.state = State::Preparing { patience_ends: Nanoseconds(now.0 + PATIENCE.0) };
                Stage::Begin
            }
            State::Resting => Stage::Wait,
            State::Preparing { .. } => Stage::Stop,
        }
    }

    /// Whether the flip may still wait for the grace.
    pub(crate) fn is_patient(&self, now: Nanoseconds) -> bool {
        matches!(self.state, State::Preparing { patience_ends } if now < patience_ends)
    }

    /// The buffer for the witness, out of the way of borrows during the stop.
    pub(crate) fn take_records(&mut self) -> Box<[WitnessRecord]> {
        core::mem::take(&mut self.records)
    }

    /// Gives the buffer back, with so many records in it.
    pub(crate) fn give_records(&mut self, records: Box<[WitnessRecord]>, count: usize) {
        self.records = records;
        self.witnesses = count;
    }

    /// The flip has happened; the threads are released from `end` on.
    pub(crate) fn flipped(
        &mut self,
        report: &FlipReport,
        begin: Nanoseconds,
        witnessed: Nanoseconds,
        end: Nanoseconds,
    ) {
        self.state = State::Resting;
        self.asked = false;
        self.refusals = 0;
        self.due = Nanoseconds(end.0 + self.interval.0);
        self.flipped_at = end;
        let times = FlipTimes {
            epoch: report.ended,
            pause: Nanoseconds(end.0 - begin.0),
            flip: Nanoseconds(end.0 - witnessed.0),
            dirty: report.dirty_pages,
            released: end,
            durable_after: None,
        };
        self.last_flip = Some(times);
        log!(
            "flip epoch={} dirty={} pause_ns={} flip_ns={} steps={}",
            times.epoch,
            times.dirty,
            times.pause,
            times.flip,
            Steps(self.records.get(..self.witnesses).unwrap_or(&[]))
        );
    }

    /// There was no flip; try again at the next interval, also for those who asked. A machine that is to end does not
    /// wait for ever: what it could not keep makes its end a failure.
    pub(crate) fn refused(&mut self, now: Nanoseconds) {
        self.state = State::Resting;
        self.refusals += 1;
        self.not_before = Nanoseconds(now.0 + self.interval.0);
        if self.last && self.refusals >= REFUSALS {
            self.asked = false;
            self.enabled = false;
            self.state = State::Finished;
        }
    }

    /// The snapshot in the making is durable or given up; returns the time since its flip.
    pub(crate) fn ended(&mut self, now: Nanoseconds) -> Nanoseconds {
        let latency = Nanoseconds(now.0.saturating_sub(self.flipped_at.0));
        if let Some(times) = &mut self.last_flip {
            times.durable_after = Some(latency);
        }
        latency
    }
}

/// `thread:steps,thread:steps`.
struct Steps<'a>(&'a [WitnessRecord]);

impl fmt::Display for Steps<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, record) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(formatter, "{separator}{}:{}", record.thread.0, record.steps)?;
        }
        Ok(())
    }
}
