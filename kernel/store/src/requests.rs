//! Wishes about snapshots: pin, unpin, delete, release a branch, the collector's pin, the policy of retention. They take effect with the next
//! commit that succeeds, together, and stay wishes if it is given up.
//!
//! Invariant: nothing here changes the durable table.

use crate::api::Planted;
use crate::error::SnapshotError;
use crate::retention::Retention;
use crate::snapshot::{BranchId, SnapshotTable};
use crate::store::Store;
use crate::superblock::{CollectorPin, Superblock};
use alloc::{collections::BTreeMap, collections::BTreeSet, vec::Vec};
use revenant_hal::Epoch;

/// What was asked for since the last commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Requests {
    pins: BTreeMap<Epoch, bool>,
    pub(crate) deletions: BTreeSet<Epoch>,
    pub(crate) collector_pin: Option<CollectorPin>,
    /// The store's policy from the next commit on; none if it never had one.
    pub(crate) retention: Option<Retention>,
}

impl Requests {
    pub(crate) fn new(superblock: &Superblock) -> Self {
        Self {
            pins: BTreeMap::new(),
            deletions: BTreeSet::new(),
            collector_pin: superblock.collector_pin,
            retention: superblock.retention,
        }
    }

    /// Applies pins to a table in the making.
    pub(crate) fn apply_pins(&self, table: &mut SnapshotTable) {
        for (epoch, pinned) in &self.pins {
            if let Some(snapshot) = table.get_mut(*epoch) {
                snapshot.pinned = *pinned;
            }
        }
    }

    /// The collector's pin for a superblock with this table. A snapshot that went with a commit that had begun before it was
    /// pinned stays gone: a pin names what is there.
    pub(crate) fn collector_pin_in(
        &self,
        table: &SnapshotTable,
        planted: Planted,
    ) -> Option<CollectorPin> {
        let pin = self.collector_pin.filter(|_| planted != Planted::PinForgotten)?;
        table.get(pin.epoch).is_some_and(|found| !found.hidden).then_some(pin)
    }

    /// Forgets what a commit has made durable; what came in meanwhile stays.
    pub(crate) fn fulfilled(&mut self, done: &Self) {
        self.pins.retain(|epoch, pinned| done.pins.get(epoch) != Some(pinned));
        self.deletions.retain(|epoch| !done.deletions.contains(epoch));
    }
}

impl Store {
    fn existing(&self, epoch: Epoch) -> Result<(), SnapshotError> {
        if let Some(reason) = self.read_only {
            return Err(SnapshotError::ReadOnly(reason));
        }
        let found = self.superblock.snapshots.get(epoch).filter(|snapshot| !snapshot.hidden);
        found.map(|_| ()).ok_or(SnapshotError::Unknown(epoch))
    }

    fn is_pinned(&self, epoch: Epoch) -> bool {
        let durable = self.superblock.snapshots.get(epoch).is_some_and(|found| found.pinned);
        let collector = self.requests.collector_pin.is_some_and(|pin| pin.epoch == epoch);
        collector || self.requests.pins.get(&epoch).copied().unwrap_or(durable)
    }

    /// Keeps a snapshot until it is unpinned. Takes effect with the next commit.
    ///
    /// # Errors
    /// Unknown snapshot; too many pins, or so many branches that the table would have no room; read-only.
    pub fn pin(&mut self, epoch: Epoch) -> Result<(), SnapshotError> {
        self.existing(epoch)?;
        let mut table = self.superblock.snapshots.clone();
        self.requests.apply_pins(&mut table);
        let pinned = table.get(epoch).is_some_and(|snapshot| snapshot.pinned);
        if !pinned && !table.has_room_for_pin(self.superblock.epoch) {
            return Err(SnapshotError::TooManyPins);
        }
        self.requests.pins.insert(epoch, true);
        self.requests.deletions.remove(&epoch);
        Ok(())
    }

    /// Leaves a snapshot to retention again. Takes effect with the next commit.
    ///
    /// # Errors
    /// Unknown snapshot, read-only.
    pub fn unpin(&mut self, epoch: Epoch) -> Result<(), SnapshotError> {
        self.existing(epoch)?;
        self.requests.pins.insert(epoch, false);
        Ok(())
    }

    /// Deletes a snapshot with the next commit; a fork is hidden until one side is gone.
    ///
    /// # Errors
    /// Unknown, pinned or the newest snapshot; read-only.
    pub fn delete(&mut self, epoch: Epoch) -> Result<(), SnapshotError> {
        self.existing(epoch)?;
        if self.is_pinned(epoch) {
            return Err(SnapshotError::Pinned(epoch));
        }
        if epoch == self.superblock.epoch {
            return Err(SnapshotError::Newest);
        }
        self.requests.deletions.insert(epoch);
        Ok(())
    }

    /// Releases a branch that was stepped back from: its snapshots that the live line does not stand on are deleted with
    /// the next commit, pinned ones excepted.
    ///
    /// # Errors
    /// Unknown branch, the live branch, read-only.
    pub fn release_branch(&mut self, branch: BranchId) -> Result<(), SnapshotError> {
        if let Some(reason) = self.read_only {
            return Err(SnapshotError::ReadOnly(reason));
        }
        if branch == self.superblock.branch {
            return Err(SnapshotError::Newest);
        }
        let line = self.superblock.snapshots.line(self.superblock.epoch);
        let entries = self.superblock.snapshots.entries().iter();
        let members: Vec<Epoch> = entries
            .filter(|entry| entry.branch == branch && !line.contains(&entry.epoch))
            .map(|entry| entry.epoch)
            .collect();
        if members.is_empty() {
            return Err(SnapshotError::UnknownBranch(branch.0));
        }
        let free: Vec<Epoch> =
            members.into_iter().filter(|epoch| !self.is_pinned(*epoch)).collect();
        self.requests.deletions.extend(free);
        Ok(())
    }

    /// Pins a snapshot for the collector, under its full name, or releases that pin. Takes effect with the next commit.
    ///
    /// # Errors
    /// Unknown snapshot, read-only.
    pub fn set_collector_pin(&mut self, epoch: Option<Epoch>) -> Result<(), SnapshotError> {
        let Some(epoch) = epoch else {
            self.requests.collector_pin = None;
            return Ok(());
        };
        self.existing(epoch)?;
        let snapshot = self.superblock.snapshots.get(epoch);
        self.requests.collector_pin = snapshot.map(|snapshot| CollectorPin {
            epoch,
            branch: snapshot.branch,
            root_checksum: snapshot.root.checksum,
        });
        self.requests.deletions.remove(&epoch);
        Ok(())
    }
}
