//! The name of a mark: which snapshot of which store it is about.
//!
//! Invariant: a name is made only of a superblock that pins the snapshot and whose live state descends from it. Epochs are never used
//! twice on a store, so a name is never used for two states.

use revenant_hal::{Checksum, Epoch};
use revenant_store::{BranchId, StoreId, Superblock};

/// A mark's name. Region, verdict and the sweep's cursor carry its four words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarkName {
    /// The store.
    pub store: StoreId,
    /// The snapshot's line of history.
    pub branch: BranchId,
    /// The snapshot.
    pub epoch: Epoch,
    /// What its root must be.
    pub root: Checksum,
}

impl MarkName {
    /// The name of the mark that may run on a store, and whose verdict may be used: its snapshot is pinned by this very superblock,
    /// is in the table under the same name, and is an ancestor of the live state.
    #[must_use]
    pub fn pinned(superblock: &Superblock) -> Option<Self> {
        let pin = superblock.collector_pin?;
        let snapshot = superblock.snapshots.get(pin.epoch).filter(|found| {
            found.branch == pin.branch && found.root.checksum == pin.root_checksum && !found.hidden
        })?;
        let line = superblock.snapshots.line(superblock.epoch);
        line.contains(&snapshot.epoch).then_some(Self {
            store: superblock.store,
            branch: snapshot.branch,
            epoch: snapshot.epoch,
            root: snapshot.root.checksum,
        })
    }

    /// The four words: both halves of the store's id in one, branch, epoch, checksum of the root. Never all zero, as no epoch is 0.
    #[must_use]
    pub fn words(self) -> [u64; 4] {
        let low = u64::try_from(self.store.0 & u128::from(u64::MAX)).unwrap_or(0);
        let high = u64::try_from(self.store.0 >> 64).unwrap_or(0);
        [low ^ high.rotate_left(1), u64::from(self.branch.0), self.epoch.0, self.root.0]
    }
}
