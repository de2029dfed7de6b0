//! Load control: groups of programs take turns when what they need together is more than memory. No pages here, no threads: figures
//! of working sets go in, and who stands still comes out.
//!
//! ```text
//!             pages of several groups come back soon after they went, two looks in a row
//!   running ----------------------------------------------------------------------> suspended
//!      ^                                                                                |
//!      +-- one that runs has had its turn and stands still in its place; or it fits in --+
//!          beside those that run; or none of them runs any more
//! ```
//!
//! Memory is overloaded while pages that went a moment ago come back, and not those of one group alone: one that needs more than
//! memory for itself is no better off without the others. They come back so fast that all of memory is exchanged in seconds,
//! or so slowly that the processor waits for them most of the time. Then whoever has run longest of those that miss pages is
//! suspended, until it stops. Who fits its share misses nothing, so it is never suspended. As long as more run than have room, who
//! has had its turn stands still and nobody takes its place.
//!
//! Invariants: at least one of those that miss runs; who has stood still longest goes on first; so nobody stands still longer than
//! the others' turns together ([`LoadControl::longest_stand`]). All state is volatile: a restart begins with everybody running.

use crate::replacement::{Group, WorkingSet};
use alloc::vec::Vec;
use revenant_hal::Nanoseconds;

/// Time between two looks.
const PERIOD: u64 = 250_000_000;
/// How long a group runs before another takes its place: at 100 MiB/s a set of 32 MiB is back in a tenth of it.
const TURN: u64 = 3_000_000_000;
/// Looks in a row that have to find memory overloaded.
const LOOKS: u32 = 2;
/// Pages that come back in a period, as a part of memory, that are too many: one in so many.
const MANY: u64 = 128;
/// Of what comes in, so much at least has to come back: one page in so many. Who walks through what it never needs again is
/// nobody's problem.
const BACK: u64 = 8;
/// A group misses pages if of those that come back to all, more than one in so many are its.
const PART: u64 = 32;
/// Pages that come back in a period which mean nothing.
const FEW: u64 = 16;

/// What is known of one group.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Pages that had come, and come back, at the last look.
    arrived: u64,
    returned: u64,
    /// Of the last period.
    lately: u64,
    /// When it was suspended or went on last.
    since: u64,
    suspended: bool,
    /// It was one of those that needed too much together: it has turns. The first begins when that is seen.
    takes_turns: bool,
    /// It went on after having stood still: what it has is what it needs, after a while.
    went_on: bool,
    /// Pages that it had after a turn; none known.
    needs: Option<u32>,
}

/// What is to be done: one may go on, one be suspended, or one take the place of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// The group whose threads are not run any more.
    pub suspend: Option<Group>,
    /// The group whose threads are run again.
    pub go_on: Option<Group>,
}

/// The policy.
#[derive(Debug)]
pub struct LoadControl {
    seen: Vec<Seen>,
    frames: u32,
    looked: u64,
    /// Looks in a row that have found memory overloaded.
    overloaded: u32,
}

impl LoadControl {
    /// The policy for a pool of `frames` frames: everybody runs.
    #[must_use]
    pub fn new(frames: u32) -> Self {
        Self { seen: alloc::vec![Seen::default(); Group::COUNT], frames, looked: 0, overloaded: 0 }
    }

    /// The longest time that one of so many groups stands still while the others take their turns.
    #[must_use]
    pub const fn longest_stand(groups: u32) -> Nanoseconds {
        Nanoseconds(groups as u64 * (2 * TURN + 2 * PERIOD))
    }

    /// Looks at the working sets; what is to be done. `waited`: how long of the time since the last look nobody could run; `coming`:
    /// a group that went on is still getting back what it had.
    pub fn look(
        &mut self,
        now: Nanoseconds,
        waited: Nanoseconds,
        coming: bool,
        sets: &[WorkingSet],
    ) -> Changes {
        self.measure(now.0.saturating_sub(self.looked), waited, sets);
        self.looked = now.0;
        let runner = self.runner(sets);
        let next = self.longest_suspended();
        let mut changes = Changes::default();
        if self.overloaded >= LOOKS {
            self.overloaded = 0;
            for group in self.missing(sets).collect::<Vec<_>>() {
                let seen = &mut self.seen[group.place()];
                if !core::mem::replace(&mut seen.takes_turns, true) {
                    seen.since = now.0;
                }
            }
            changes.suspend = self.missing(sets).max_by_key(|group| self.time(*group, now));
        } else if let Some(next) = next {
            // A turn begins when there is something to run with; on a slow disk that may take as long as a turn.
            let turn = if coming { 2 * TURN } else { TURN };
            let runs_long = runner.is_some_and(|group| self.time(group, now) >= turn);
            if runner.is_none() || self.overloaded == 0 && self.fits(next, None, sets) {
                changes.go_on = Some(next);
            } else if runs_long {
                // In the beginning all run: no more than have room are to be left.
                let takes_place = self.runners(sets).count() == 1 || self.fits(next, runner, sets);
                changes.suspend = runner;
                changes.go_on = takes_place.then_some(next);
            }
        }
        if let Some(group) = changes.suspend {
            self.suspend(group, now, sets);
        }
        if let Some(group) = changes.go_on {
            let seen = &mut self.seen[group.place()];
            (seen.suspended, seen.went_on, seen.since) = (false, true, now.0);
        }
        changes
    }

    /// Takes what has come, and come back, since the last look.
    fn measure(&mut self, time: u64, waited: Nanoseconds, sets: &[WorkingSet]) {
        let (mut arrived, mut returned) = (0, 0);
        for set in sets {
            let seen = &mut self.seen[set.group.place()];
            arrived += set.arrived - core::mem::replace(&mut seen.arrived, set.arrived);
            seen.lately = set.returned - core::mem::replace(&mut seen.returned, set.returned);
            returned += seen.lately;
        }
        let fast = returned > u64::from(self.frames) / MANY;
        let slow = waited.0 > time / 2;
        let back = returned > FEW && returned * BACK > arrived;
        let many = back && (fast || slow) && self.missing(sets).count() >= 2;
        self.overloaded = if many { self.overloaded + 1 } else { 0 };
    }

    /// Those that run and whose pages have come back.
    fn missing(&self, sets: &[WorkingSet]) -> impl Iterator<Item = Group> {
        let total: u64 = sets.iter().map(|set| self.seen[set.group.place()].lately).sum();
        let groups = sets.iter().map(|set| set.group);
        groups.filter(move |group| {
            let seen = &self.seen[group.place()];
            !seen.suspended && seen.lately * PART > total
        })
    }

    /// Those that take turns and really run.
    fn runners(&self, sets: &[WorkingSet]) -> impl Iterator<Item = Group> {
        let runs = |set: &&WorkingSet| {
            let seen = &self.seen[set.group.place()];
            let just_now = seen.since + PERIOD / 2 > self.looked;
            seen.takes_turns && !seen.suspended && (set.ran || just_now)
        };
        sets.iter().filter(runs).map(|set| set.group)
    }

    /// Of those that take turns and really run, the one that has done so longest.
    fn runner(&self, sets: &[WorkingSet]) -> Option<Group> {
        self.runners(sets).min_by_key(|group| self.seen[group.place()].since)
    }

    fn longest_suspended(&self) -> Option<Group> {
        let places = 0..Group::COUNT;
        let suspended = places.filter(|place| self.seen[*place].suspended);
        let first = suspended.min_by_key(|place| self.seen[*place].since)?;
        u32::try_from(first).ok().map(Group::new)
    }

    /// How long the group has run, or stood still.
    fn time(&self, group: Group, now: Nanoseconds) -> u64 {
        now.0.saturating_sub(self.seen[group.place()].since)
    }

    /// Whether there is room for what a group needs beside those that run, one excepted. Not if nobody knows what it needs.
    fn fits(&self, group: Group, leaves: Option<Group>, sets: &[WorkingSet]) -> bool {
        let Some(needs) = self.seen[group.place()].needs else { return false };
        let runs = |set: &&WorkingSet| {
            let seen = &self.seen[set.group.place()];
            let stays = set.group != group && Some(set.group) != leaves;
            stays && (set.ran || seen.takes_turns && !seen.suspended)
        };
        let beside = sets.iter().filter(runs);
        // Who has just gone on has not got back yet what it needs.
        let size = |set: &WorkingSet| {
            let needs = self.seen[set.group.place()].needs;
            u64::from(needs.map_or(set.resident, |needs| needs.max(set.resident)))
        };
        let others: u64 = beside.map(size).sum();
        others + u64::from(needs) <= u64::from(self.frames) / 8 * 7
    }

    fn suspend(&mut self, group: Group, now: Nanoseconds, sets: &[WorkingSet]) {
        let seen = &mut self.seen[group.place()];
        // Not the first time: what it had while all needed too much says little.
        if seen.went_on && now.0.saturating_sub(seen.since) >= TURN / 2 {
            let set = sets.iter().find(|set| set.group == group);
            seen.needs = set.map(|set| set.resident);
        }
        (seen.suspended, seen.since) = (true, now.0);
    }
}
