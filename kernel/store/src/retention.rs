//! The rule of retention: which snapshots of the live line stay without being asked for. It stands in the superblock and goes
//! with the disk; whoever opens the store may override it for a session.
//!
//! Invariant: nothing here looks at what a snapshot holds; the newest, the pinned and the other branches are none of its business.

use crate::error::SnapshotError;
use crate::snapshot::{MAXIMUM_SNAPSHOTS, SnapshotTable};
use crate::store::Store;
use alloc::{collections::BTreeMap, collections::BTreeSet, vec::Vec};
use revenant_hal::Epoch;

const HOUR_NANOSECONDS: u64 = 3_600_000_000_000;
const DAY_NANOSECONDS: u64 = 24 * HOUR_NANOSECONDS;
/// Entries of the table that a policy leaves to pins, branches and the snapshot in the making.
const LEFT_FREE: usize = 28;
const _: () = assert!(Retention::MOST as usize + LEFT_FREE == MAXIMUM_SNAPSHOTS);

/// Which snapshots are kept without being asked for. The newest and the pinned ones always are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// The last so many on the live line, the newest among them; 0 is taken as 1.
    pub last: u32,
    /// The newest of each of the last so many hours that have one.
    pub hourly: u32,
    /// The newest of each of the last so many days that have one.
    pub daily: u32,
}

impl Retention {
    /// That of a store that was never told another.
    pub const DEFAULT: Self = Self { last: 8, hourly: 0, daily: 0 };
    /// Snapshots that a policy may ask for, its three numbers together.
    pub const MOST: u32 = 100;

    /// Whether a store takes it: beyond what the table holds, the oldest would go first, though they are the daily ones.
    #[must_use]
    pub fn is_possible(self) -> bool {
        let all = self.last.checked_add(self.hourly).and_then(|sum| sum.checked_add(self.daily));
        self.last >= 1 && all.is_some_and(|all| all <= Self::MOST)
    }

    /// With each number replaced that the override names.
    #[must_use]
    pub fn overridden(self, by: RetentionOverride) -> Self {
        Self {
            last: by.last.unwrap_or(self.last),
            hourly: by.hourly.unwrap_or(self.hourly),
            daily: by.daily.unwrap_or(self.daily),
        }
    }
}

/// What a session puts in the place of the store's policy; nothing of it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RetentionOverride {
    /// For [`Retention::last`].
    pub last: Option<u32>,
    /// For [`Retention::hourly`].
    pub hourly: Option<u32>,
    /// For [`Retention::daily`].
    pub daily: Option<u32>,
}

impl RetentionOverride {
    /// No snapshot goes but those that are asked to, and the oldest while the disk or the table is full.
    pub const KEEP_ALL: Self = Self::only_last(u32::MAX);

    /// The last so many and no others.
    #[must_use]
    pub const fn only_last(last: u32) -> Self {
        Self { last: Some(last), hourly: Some(0), daily: Some(0) }
    }
}

/// Which parts of a policy keep a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeptBy {
    /// It is one of the last.
    pub last: bool,
    /// The newest of its hour.
    pub hour: bool,
    /// The newest of its day.
    pub day: bool,
}

impl SnapshotTable {
    /// What keeps the snapshots of the line of `newest`, by epoch; those that nothing keeps are not there.
    #[must_use]
    pub fn kept_by(&self, newest: Epoch, retention: Retention) -> BTreeMap<Epoch, KeptBy> {
        let line = self.line(newest);
        let mut kept: BTreeMap<Epoch, KeptBy> = BTreeMap::new();
        for epoch in line.iter().take(retention.last.max(1) as usize) {
            kept.entry(*epoch).or_default().last = true;
        }
        let mut of_periods = |count: u32, length: u64, note: fn(&mut KeptBy)| {
            let mut seen = BTreeSet::new();
            for epoch in &line {
                let Some(entry) = self.get(*epoch) else { continue };
                if seen.len() < count as usize && seen.insert(entry.wall_time.0 / length) {
                    note(kept.entry(*epoch).or_default());
                }
            }
        };
        of_periods(retention.hourly, HOUR_NANOSECONDS, |kept| kept.hour = true);
        of_periods(retention.daily, DAY_NANOSECONDS, |kept| kept.day = true);
        kept
    }

    /// The snapshots of the live line that nothing keeps, oldest first: not the newest, not pinned, beyond `retention`.
    /// Other branches are kept until they are released.
    #[must_use]
    pub fn expired(&self, newest: Epoch, retention: Retention) -> Vec<Epoch> {
        let kept = self.kept_by(newest, retention);
        let line = self.line(newest).into_iter().rev();
        line.filter(|epoch| {
            let entry = self.get(*epoch);
            let free = entry.is_some_and(|entry| !entry.pinned && !entry.hidden);
            free && !kept.contains_key(epoch)
        })
        .collect()
    }
}

impl Store {
    /// The policy that stands in the store, or will with the next commit, without what this session puts in its place.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.requests.retention.unwrap_or(Retention::DEFAULT)
    }

    /// Replaces the store's policy. It becomes durable with the next commit, which already follows it where this session does not
    /// override it.
    ///
    /// # Errors
    /// More than the table of snapshots could hold, or not even the newest; read-only.
    pub fn set_retention(&mut self, retention: Retention) -> Result<(), SnapshotError> {
        if let Some(reason) = self.read_only {
            return Err(SnapshotError::ReadOnly(reason));
        }
        if !retention.is_possible() {
            return Err(SnapshotError::Retention { most: Retention::MOST });
        }
        self.requests.retention = Some(retention);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;
    use crate::snapshot::{BranchId, Snapshot};
    use revenant_hal::Nanoseconds;

    /// Two snapshots an hour, on one line.
    fn table(count: u64) -> SnapshotTable {
        let mut table = SnapshotTable::default();
        for epoch in 1..=count {
            table.push(Snapshot {
                epoch: Epoch(epoch),
                parent: Epoch(epoch - 1),
                branch: BranchId(1),
                pinned: false,
                hidden: false,
                root: Reference::ZERO,
                wall_time: Nanoseconds(epoch * HOUR_NANOSECONDS / 2),
                pages: 0,
                blocks_written: 0,
            });
        }
        table
    }

    #[test]
    fn the_last_the_hourly_and_the_pinned_are_kept() {
        let mut table = table(10);
        table.get_mut(Epoch(1)).unwrap().pinned = true;
        let retention = Retention { last: 2, hourly: 3, daily: 0 };
        // Kept: 10, 9; the newest of the hours 5 (10), 4 (9), 3 (7); pinned 1.
        let expired = table.expired(Epoch(10), retention);
        assert_eq!(expired, [2, 3, 4, 5, 6, 8].map(Epoch).to_vec());
        let kept = table.kept_by(Epoch(10), retention);
        let of = |last, hour, day| KeptBy { last, hour, day };
        assert_eq!(kept.len(), 3);
        assert_eq!(kept[&Epoch(10)], of(true, true, false));
        assert_eq!(kept[&Epoch(9)], of(true, true, false));
        assert_eq!(kept[&Epoch(7)], of(false, true, false));
        assert_eq!(table.oldest_droppable(Epoch(10), Some(Epoch(2))), Some(Epoch(3)));
    }

    #[test]
    fn days_go_back_further_than_hours() {
        // 120 half hours: from day 0 to day 2.5.
        let table = table(120);
        let kept = table.kept_by(Epoch(120), Retention { last: 1, hourly: 2, daily: 9 });
        let days: Vec<u64> = kept.iter().filter(|(_, by)| by.day).map(|(at, _)| at.0).collect();
        assert_eq!(days, [47, 95, 120]);
        let hours: Vec<u64> = kept.iter().filter(|(_, by)| by.hour).map(|(at, _)| at.0).collect();
        assert_eq!(hours, [119, 120]);
    }

    #[test]
    fn an_override_replaces_only_what_it_names() {
        let stored = Retention { last: 3, hourly: 24, daily: 7 };
        let by = RetentionOverride { last: Some(1), ..RetentionOverride::default() };
        assert_eq!(stored.overridden(by), Retention { last: 1, hourly: 24, daily: 7 });
        let all = stored.overridden(RetentionOverride::KEEP_ALL);
        assert_eq!(table(100).expired(Epoch(100), all), []);
    }

    #[test]
    fn a_policy_fits_into_the_table_or_is_none() {
        let of = |last, hourly, daily| Retention { last, hourly, daily }.is_possible();
        assert!(of(1, 0, 0) && of(Retention::MOST, 0, 0) && of(40, 30, 30));
        assert!(!of(0, 10, 0) && !of(40, 30, 31) && !of(1, u32::MAX, 1) && !of(u32::MAX, 1, 0));
    }
}
