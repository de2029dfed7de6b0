//! The table of snapshots: a tree by parent, with branches, pins and hidden members.
//!
//! Invariants: epochs are unique in the table and grow from parent to child; the live state's own snapshot is always in
//! the table and never hidden; a snapshot with more than one child is never freed, only hidden, because which of its
//! blocks are still needed cannot be told from one child alone.
//!
//! Neighbours: `superblock` encodes the table into a slot; `retention` says which snapshots go; `delete` frees what a dropped snapshot alone held.

use crate::reference::Reference;
use alloc::{collections::BTreeSet, vec::Vec};
use revenant_hal::{Epoch, Nanoseconds};

/// Snapshots that a table can hold: what fits in a slot.
pub const MAXIMUM_SNAPSHOTS: usize = 128;
/// Of these, how many may be pinned by users.
pub(crate) const MAXIMUM_PINS: usize = 96;
/// Of these, how many neither pins nor branches may take: the machine's next snapshot, the one before it, the collector's.
const KEPT_FREE: usize = 3;

/// The number of a line of history. Never used twice on one store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BranchId(pub u32);

/// One snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Its name: the epoch that its flip ended.
    pub epoch: Epoch,
    /// The snapshot it grew from; 0 for none.
    pub parent: Epoch,
    /// The line of history it belongs to.
    pub branch: BranchId,
    /// Kept until somebody unpins it.
    pub pinned: bool,
    /// Deleted by its owner, but still needed by two children, or kept because it cannot be read.
    pub hidden: bool,
    /// The page map.
    pub root: Reference,
    /// Wall time of the flip, since 1970.
    pub wall_time: Nanoseconds,
    /// Pages with content.
    pub pages: u64,
    /// Blocks written for it.
    pub blocks_written: u64,
}

/// All snapshots of a store, by epoch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SnapshotTable {
    entries: Vec<Snapshot>,
}

impl SnapshotTable {
    /// A table from entries that ascend by epoch and name only earlier parents; none otherwise, or if there are too many.
    #[must_use]
    pub fn from_entries(entries: Vec<Snapshot>) -> Option<Self> {
        if entries.len() > MAXIMUM_SNAPSHOTS {
            return None;
        }
        let mut previous = Epoch(0);
        let mut seen = BTreeSet::from([Epoch(0)]);
        for entry in &entries {
            if entry.epoch <= previous || !seen.contains(&entry.parent) {
                return None;
            }
            previous = entry.epoch;
            seen.insert(entry.epoch);
        }
        Some(Self { entries })
    }

    /// Every snapshot, oldest epoch first, hidden ones too.
    #[must_use]
    pub fn entries(&self) -> &[Snapshot] {
        &self.entries
    }

    /// The snapshot of an epoch.
    #[must_use]
    pub fn get(&self, epoch: Epoch) -> Option<&Snapshot> {
        let place = self.entries.binary_search_by_key(&epoch, |entry| entry.epoch).ok()?;
        self.entries.get(place)
    }

    /// The snapshot of an epoch, to change.
    pub fn get_mut(&mut self, epoch: Epoch) -> Option<&mut Snapshot> {
        let place = self.entries.binary_search_by_key(&epoch, |entry| entry.epoch).ok()?;
        self.entries.get_mut(place)
    }

    /// Whether there is one too many to be written.
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        self.entries.len() > MAXIMUM_SNAPSHOTS
    }

    /// Adds the newest snapshot; its epoch is above every other and its parent is in the table (or 0). The table may be
    /// one above its maximum until the commit has dropped another.
    pub fn push(&mut self, snapshot: Snapshot) {
        assert!(self.entries.len() <= MAXIMUM_SNAPSHOTS, "one too many at most, and not for long");
        assert!(self.entries.last().is_none_or(|last| last.epoch < snapshot.epoch));
        assert!(snapshot.parent == Epoch(0) || self.get(snapshot.parent).is_some());
        self.entries.push(snapshot);
    }

    /// The snapshots that grew directly from this one.
    pub fn children(&self, epoch: Epoch) -> impl Iterator<Item = &Snapshot> {
        self.entries.iter().filter(move |entry| entry.parent == epoch)
    }

    /// Takes a snapshot with at most one child out; the child's parent becomes its parent.
    pub fn remove(&mut self, epoch: Epoch) {
        assert!(self.children(epoch).count() <= 1, "a fork is hidden, never removed");
        let Ok(place) = self.entries.binary_search_by_key(&epoch, |entry| entry.epoch) else {
            return;
        };
        let gone = self.entries.remove(place);
        for child in self.entries.iter_mut().filter(|entry| entry.parent == epoch) {
            child.parent = gone.parent;
        }
    }

    /// The live line: `newest` and its ancestors, newest first.
    #[must_use]
    pub fn line(&self, newest: Epoch) -> Vec<Epoch> {
        let mut line = Vec::new();
        let mut at = newest;
        while let Some(entry) = self.get(at) {
            line.push(at);
            at = entry.parent;
        }
        line
    }

    /// Whether one more may be pinned: the live line must always have room for its next snapshot.
    pub(crate) fn has_room_for_pin(&self, live: Epoch) -> bool {
        let pins = self.entries.iter().filter(|entry| entry.pinned).count();
        pins < MAXIMUM_PINS && self.held(live) + KEPT_FREE < MAXIMUM_SNAPSHOTS
    }

    /// Whether the live state may become `live`, and what it was so far a branch.
    pub(crate) fn has_room_for_branch(&self, live: Epoch) -> bool {
        self.held(live) + KEPT_FREE <= MAXIMUM_SNAPSHOTS
    }

    /// Snapshots that no commit drops when the table is full: all but those of the line of `live` that are free to go
    /// once it has its next snapshot.
    fn held(&self, live: Epoch) -> usize {
        let free = self.line(live).into_iter().filter(|epoch| {
            let children = self.children(*epoch).count() + usize::from(*epoch == live);
            children <= 1 && self.get(*epoch).is_some_and(|entry| !entry.pinned && !entry.hidden)
        });
        self.entries.len() - free.count()
    }

    /// The newest snapshot from before `epoch` on the line of `live` that may be resumed; if there is none, the oldest that may.
    pub(crate) fn resumable_before(&self, epoch: Epoch, live: Epoch) -> Epoch {
        let mut line = self.line(live);
        line.retain(|epoch| self.get(*epoch).is_some_and(|entry| !entry.hidden));
        let before = line.iter().copied().find(|candidate| *candidate < epoch);
        before.or(line.last().copied()).unwrap_or(live)
    }

    /// Pins the newest ancestor of `newest` from before `birth`, if there is one and not too many are pinned: it does not
    /// know what was born then and is damaged now, so it may have what was lost with it.
    pub(crate) fn keep_before(&mut self, newest: Epoch, birth: Epoch) {
        let older = self.line(newest).into_iter().find(|epoch| *epoch < birth);
        let room = self.has_room_for_pin(newest);
        if let Some(entry) = older.and_then(|epoch| self.get_mut(epoch))
            && !entry.hidden
            && room
        {
            entry.pinned = true;
        }
    }

    /// The oldest snapshot of the live line that may be dropped when space runs short: not pinned, not `newest`, and not a
    /// fork. Other branches are kept until somebody releases them.
    #[must_use]
    pub fn oldest_droppable(&self, newest: Epoch, collector_pin: Option<Epoch>) -> Option<Epoch> {
        self.line(newest).into_iter().rev().find(|epoch| {
            let free = self.get(*epoch).is_some_and(|entry| !entry.pinned && !entry.hidden);
            free && *epoch != newest
                && Some(*epoch) != collector_pin
                && self.children(*epoch).count() <= 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn snapshot(epoch: u64, parent: u64) -> Snapshot {
        Snapshot {
            epoch: Epoch(epoch),
            parent: Epoch(parent),
            branch: BranchId(1),
            pinned: false,
            hidden: false,
            root: Reference::ZERO,
            wall_time: Nanoseconds(epoch),
            pages: 0,
            blocks_written: 0,
        }
    }

    #[test]
    fn a_removed_snapshot_hands_its_child_to_its_parent() {
        let mut table = SnapshotTable::default();
        table.push(snapshot(1, 0));
        table.push(snapshot(2, 1));
        table.push(snapshot(3, 2));
        table.push(snapshot(4, 2));
        assert_eq!(table.children(Epoch(2)).count(), 2);
        assert_eq!(table.oldest_droppable(Epoch(4), None), Some(Epoch(1)));
        table.remove(Epoch(3));
        table.remove(Epoch(2));
        assert_eq!(table.get(Epoch(4)).unwrap().parent, Epoch(1));
        assert_eq!(table.line(Epoch(4)), vec![Epoch(4), Epoch(1)]);
    }

    #[test]
    fn a_table_that_does_not_ascend_or_names_strangers_is_rejected() {
        assert!(SnapshotTable::from_entries(vec![snapshot(2, 0), snapshot(1, 0)]).is_none());
        assert!(SnapshotTable::from_entries(vec![snapshot(2, 1)]).is_none());
        assert!(SnapshotTable::from_entries(vec![snapshot(2, 0), snapshot(3, 2)]).is_some());
    }
}
