//! The snapshots of this machine: their schedule, the last flip and its parts, and what is said about it.
//!
//! The lines `flip` and `durable` are the outside witness: a program whose memory was rolled back cannot testify.

use crate::detail;
use alloc::boxed::Box;
use alloc::vec;
use core::fmt;
use revenant_hal::{Epoch, Nanoseconds};
use revenant_pager::{FlipReport, Schedule};
use revenant_vm::{ThreadId, WitnessRecord};

/// Threads whose counters a flip reports.
const WITNESSES: usize = 256;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Snapshots, as the event loop keeps them.
pub(crate) struct Snapshots {
    /// When to flip.
    pub(crate) schedule: Schedule,
    flipped_at: Nanoseconds,
    /// When the stop that is due was asked for, however often it has been tried since.
    stop_requested: Option<Nanoseconds>,
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
    /// From the first request of the stop, also if it had to be tried again, to the release of the threads.
    pub(crate) pause: Nanoseconds,
    /// The flip alone.
    pub(crate) flip: Nanoseconds,
    /// The longest step of the grace before: how long programs stood still for the first stop.
    pub(crate) grace: Nanoseconds,
    /// When the threads were released, on the monotonic clock.
    pub(crate) released: Nanoseconds,
    /// How long until it was durable, once it is.
    pub(crate) durable_after: Option<Nanoseconds>,
}

impl Snapshots {
    /// The first one is due after the interval.
    pub(crate) fn new(interval_ms: u64, now: Nanoseconds) -> Self {
        let interval = Nanoseconds(interval_ms.saturating_mul(NANOSECONDS_PER_MILLISECOND));
        let nobody = WitnessRecord { thread: ThreadId(0), steps: 0 };
        Self {
            schedule: Schedule::new(interval, now),
            flipped_at: now,
            stop_requested: None,
            last_flip: None,
            last_blocks: 0,
            records: vec![nobody; WITNESSES].into_boxed_slice(),
            witnesses: 0,
        }
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

    /// The stop is tried now.
    pub(crate) fn stopping(&mut self, now: Nanoseconds) {
        self.stop_requested.get_or_insert(now);
    }

    /// There was no flip.
    pub(crate) fn refused(&mut self, now: Nanoseconds) {
        self.stop_requested = None;
        self.schedule.refused(now);
    }

    /// The flip has happened; the threads were at rest and their counters taken at `witnessed`, and are released from `end` on. Returns what
    /// it took.
    pub(crate) fn flipped(
        &mut self,
        report: &FlipReport,
        grace: Nanoseconds,
        witnessed: Nanoseconds,
        end: Nanoseconds,
    ) -> FlipTimes {
        let requested = self.stop_requested.take().unwrap_or(witnessed);
        self.schedule.flipped(end);
        self.flipped_at = end;
        let times = FlipTimes {
            epoch: report.ended,
            pause: Nanoseconds(end.0 - requested.0),
            flip: Nanoseconds(end.0 - witnessed.0),
            grace,
            released: end,
            durable_after: None,
        };
        self.last_flip = Some(times);
        detail!(
            "flip epoch={} dirty={} page_ins={} pause_ns={} flip_ns={} grace_ns={} steps={}",
            times.epoch,
            report.dirty_pages,
            report.page_ins,
            times.pause,
            times.flip,
            times.grace,
            Steps(self.records.get(..self.witnesses).unwrap_or(&[]))
        );
        times
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
