//! The next commit's memory, taken before it is needed: a commit begins in the stop of a flip.
//!
//! Neighbours: `commit` takes it; [`Store::step`] sees to it that it is there.

use crate::commit::{COMMITS_READ_BACK, Commit, Phase};
use crate::discard::Discards;
use crate::early::EarlyStatistics;
use crate::overlay::Overlay;
use crate::reservation::Charges;
use crate::seal::Sealing;
use crate::store::Store;
use crate::write::Data;
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use revenant_hal::PageIndex;

impl Store {
    /// Has the memory of the next commit ready. That begins in the stop of a flip, where a search through a heap in use takes
    /// as long as all the rest.
    pub(crate) fn prepare_commit(&mut self) {
        if self.commit.is_none() && self.prepared.is_none() && self.read_only.is_none() {
            self.prepared = Some(Box::new(self.blank_commit()));
        }
    }

    /// A commit of nothing on top of what is durable.
    pub(crate) fn blank_commit(&self) -> Commit {
        let read_back = self.commits_in_session < COMMITS_READ_BACK;
        Commit {
            target: None,
            phase: Phase::Collect,
            jobs: BTreeMap::new(),
            data: Data::default(),
            discards: Discards::default(),
            charges: Charges::none(),
            sealing: Sealing::default(),
            table: self.superblock.snapshots.clone(),
            requests: self.requests.clone(),
            root: self.map.root,
            free_root: self.superblock.free_root,
            deletion: None,
            expiring: false,
            undeletable: Vec::new(),
            freed: 0,
            merged: PageIndex(0),
            overlay: Overlay::default(),
            early: EarlyStatistics::default(),
            dropped: Vec::new(),
            moved: Vec::new(),
            rescues: 0,
            nodes_in_flight: 0,
            written: read_back.then(Vec::new),
            failure: None,
            landed: false,
            blocks_before: 0,
            pages: 0,
        }
    }
}
