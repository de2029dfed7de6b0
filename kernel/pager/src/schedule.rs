//! When to flip: at an interval, when somebody asks, and once more before the machine ends.
//!
//! ```text
//!   Resting --due or asked for--> Preparing --prepared, or patience ended--> Stop: flipped or refused --> Resting
//! ```
//!
//! One snapshot is in the making at a time: when the next is due earlier, it waits. What is prepared before a flip (dead
//! objects are freed) only saves writing them, and may need pages from the disk without bound; so it is given a limited
//! time. A flip that waited for it would let programs run on without snapshots for as long.
//!
//! Invariant: whoever asked gets a flip that begins after the asking, or the schedule is disabled.

use revenant_hal::Nanoseconds;

/// How long a flip waits for what goes before it.
const PATIENCE: Nanoseconds = Nanoseconds(100_000_000);
/// How much longer it waits while pages are being discarded.
const PATIENCE_WITH_DISCARDS: Nanoseconds = Nanoseconds(2_000_000_000);
/// Flips refused in a row after which the last one before the machine's end is given up.
const REFUSALS: u32 = 8;

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Stage {
    /// Nothing.
    Wait,
    /// A flip is due: begin with what goes before it.
    Begin,
    /// Stop all threads and flip; then [`Schedule::flipped`] or [`Schedule::refused`].
    Stop,
}

/// What holds a flip up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Obstacles {
    /// The snapshot before is still being made, or taken back.
    pub making: bool,
    /// What [`Stage::Begin`] began is not done.
    pub preparing: bool,
    /// All that is left of it is to discard what is free: that waits for no disk, and what is not discarded is written.
    pub discarding: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Resting,
    Preparing { patience_ends: Nanoseconds },
    Finished,
}

/// The schedule of flips. Times are those of one monotonic clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval: Nanoseconds,
    state: State,
    due: Nanoseconds,
    asked: bool,
    /// Not before this time, even if somebody asked: flips were refused.
    not_before: Nanoseconds,
    refusals: u32,
    last: bool,
    enabled: bool,
}

fn after(now: Nanoseconds, time: Nanoseconds) -> Nanoseconds {
    Nanoseconds(now.0.saturating_add(time.0))
}

impl Schedule {
    /// A schedule that begins now: the first flip is due after an interval.
    #[must_use]
    pub fn new(interval: Nanoseconds, now: Nanoseconds) -> Self {
        Self {
            interval,
            state: State::Resting,
            due: after(now, interval),
            asked: false,
            not_before: now,
            refusals: 0,
            last: false,
            enabled: true,
        }
    }

    /// Somebody waits for a snapshot: take one as soon as the one under way is done.
    pub fn request(&mut self) {
        self.asked = true;
    }

    /// Take one more, then none.
    pub fn request_last(&mut self) {
        self.asked = true;
        self.last = true;
    }

    /// Whether the last one has been made, given up, or cannot be made; which of these, [`Self::is_enabled`] says.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// No snapshot can be made any more.
    pub fn disable(&mut self) {
        self.enabled = false;
    }

    /// Whether snapshots can be made.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// What to do now.
    pub fn next(&mut self, now: Nanoseconds, obstacles: Obstacles) -> Stage {
        match self.state {
            State::Finished => {}
            _ if !self.enabled => {
                if self.last {
                    self.state = State::Finished;
                }
            }
            _ if obstacles.making => {}
            State::Resting if self.last && !self.asked => self.state = State::Finished,
            State::Resting if now >= self.not_before && (self.asked || now >= self.due) => {
                self.state = State::Preparing { patience_ends: after(now, PATIENCE) };
                return Stage::Begin;
            }
            State::Resting => {}
            State::Preparing { patience_ends } => {
                let discarding =
                    now < after(patience_ends, PATIENCE_WITH_DISCARDS) && obstacles.discarding;
                if !obstacles.preparing || now >= patience_ends && !discarding {
                    return Stage::Stop;
                }
            }
        }
        Stage::Wait
    }

    /// The flip has happened; threads run again from `now` on.
    pub fn flipped(&mut self, now: Nanoseconds) {
        self.state = State::Resting;
        self.asked = false;
        self.refusals = 0;
        self.due = after(now, self.interval);
    }

    /// There was no flip; it is tried again after an interval, also for those who asked. A machine that is to end does not
    /// wait for ever: after some refusals its last snapshot is given up, and the schedule disabled.
    pub fn refused(&mut self, now: Nanoseconds) {
        self.state = State::Resting;
        self.refusals = self.refusals.saturating_add(1);
        self.not_before = after(now, self.interval);
        if self.last && self.refusals >= REFUSALS {
            self.disable();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Obstacles, PATIENCE, PATIENCE_WITH_DISCARDS, REFUSALS, Schedule, Stage};
    use revenant_hal::Nanoseconds;

    const INTERVAL: u64 = 1_000;
    const FREE: Obstacles = Obstacles { making: false, preparing: false, discarding: false };
    const MAKING: Obstacles = Obstacles { making: true, ..FREE };
    const PREPARING: Obstacles = Obstacles { preparing: true, ..FREE };
    const DISCARDING: Obstacles = Obstacles { preparing: true, discarding: true, ..FREE };

    fn schedule() -> Schedule {
        Schedule::new(Nanoseconds(INTERVAL), Nanoseconds(0))
    }

    fn next(schedule: &mut Schedule, now: u64, obstacles: Obstacles) -> Stage {
        schedule.next(Nanoseconds(now), obstacles)
    }

    #[test]
    fn flips_come_at_the_interval_and_one_at_a_time() {
        let mut schedule = schedule();
        assert_eq!(next(&mut schedule, INTERVAL - 1, FREE), Stage::Wait);
        assert_eq!(next(&mut schedule, INTERVAL, MAKING), Stage::Wait);
        assert_eq!(next(&mut schedule, INTERVAL, FREE), Stage::Begin);
        assert_eq!(next(&mut schedule, INTERVAL, FREE), Stage::Stop);
        schedule.flipped(Nanoseconds(INTERVAL));
        assert_eq!(next(&mut schedule, 2 * INTERVAL - 1, FREE), Stage::Wait);
        assert_eq!(next(&mut schedule, 2 * INTERVAL, FREE), Stage::Begin);
    }

    /// The story: a flip waited for a grace that read its pages one by one, and there was no snapshot for minutes.
    #[test]
    fn a_flip_waits_for_what_goes_before_it_only_so_long() {
        let mut schedule = schedule();
        assert_eq!(next(&mut schedule, INTERVAL, PREPARING), Stage::Begin);
        let end = INTERVAL + PATIENCE.0;
        assert_eq!(next(&mut schedule, end - 1, PREPARING), Stage::Wait);
        assert_eq!(next(&mut schedule, end - 1, FREE), Stage::Stop, "it is done");
        assert_eq!(next(&mut schedule, end, DISCARDING), Stage::Wait, "that ends soon");
        assert_eq!(next(&mut schedule, end, PREPARING), Stage::Stop);
        let end = end + PATIENCE_WITH_DISCARDS.0;
        assert_eq!(next(&mut schedule, end, DISCARDING), Stage::Stop);
    }

    #[test]
    fn who_asks_while_a_snapshot_is_made_gets_the_next_one() {
        let mut schedule = schedule();
        schedule.request();
        assert_eq!(next(&mut schedule, 1, FREE), Stage::Begin);
        assert_eq!(next(&mut schedule, 1, FREE), Stage::Stop);
        schedule.flipped(Nanoseconds(2));
        schedule.request();
        assert_eq!(next(&mut schedule, 3, MAKING), Stage::Wait);
        assert_eq!(next(&mut schedule, 4, FREE), Stage::Begin);
    }

    #[test]
    fn a_refused_flip_is_not_forgotten_and_not_tried_without_pause() {
        let mut schedule = schedule();
        schedule.request();
        assert_eq!(next(&mut schedule, 1, FREE), Stage::Begin);
        assert_eq!(next(&mut schedule, 1, FREE), Stage::Stop);
        schedule.refused(Nanoseconds(1));
        assert_eq!(next(&mut schedule, INTERVAL, FREE), Stage::Wait);
        assert_eq!(next(&mut schedule, INTERVAL + 1, FREE), Stage::Begin, "who asked waits still");
    }

    #[test]
    fn the_last_one_is_made_and_then_none() {
        let mut schedule = schedule();
        schedule.request_last();
        assert_eq!(next(&mut schedule, 1, FREE), Stage::Begin);
        assert_eq!(next(&mut schedule, 1, FREE), Stage::Stop);
        schedule.flipped(Nanoseconds(2));
        assert_eq!(next(&mut schedule, 3, MAKING), Stage::Wait);
        assert!(!schedule.is_finished(), "it is not durable yet");
        assert_eq!(next(&mut schedule, 4, FREE), Stage::Wait);
        assert!(schedule.is_finished() && schedule.is_enabled());
        assert_eq!(next(&mut schedule, 100 * INTERVAL, FREE), Stage::Wait);
    }

    #[test]
    fn a_last_one_that_cannot_be_made_ends_too() {
        let mut refused = schedule();
        refused.request_last();
        let mut now = 0;
        for _ in 0..REFUSALS {
            assert!(!refused.is_finished());
            assert_eq!(next(&mut refused, now, FREE), Stage::Begin);
            assert_eq!(next(&mut refused, now, FREE), Stage::Stop);
            refused.refused(Nanoseconds(now));
            now += INTERVAL;
        }
        assert_eq!(next(&mut refused, now, FREE), Stage::Wait);
        assert!(refused.is_finished() && !refused.is_enabled());
        let mut disabled = schedule();
        disabled.disable();
        disabled.request_last();
        assert_eq!(next(&mut disabled, INTERVAL, FREE), Stage::Wait);
        assert!(disabled.is_finished() && !disabled.is_enabled());
    }
}
