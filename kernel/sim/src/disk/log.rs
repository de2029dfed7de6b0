//! A recorded run, and its replay to every moment at which the power could have gone.
//!
//! A replay is harsher than the run was: a write counts as outstanding from its submission, not only from the moment at
//! which the simulated device happened to begin it.

use super::cut::CutPolicy;
use super::image::Image;
use super::medium::{LogEntry, Medium};
use revenant_hal::BlockIndex;

/// Everything that happened to a device since the recording began.
#[derive(Clone, Debug)]
pub struct DiskLog {
    /// The durable image at the beginning.
    pub start: Image,
    /// What happened since.
    pub entries: Vec<LogEntry>,
    pub(super) flush_failure_keeps: bool,
}

impl DiskLog {
    /// A replay that stands before the first entry.
    #[must_use]
    pub fn replay(&self) -> Replay<'_> {
        Replay { medium: Medium::new(self.start.clone()), log: self, position: 0 }
    }
}

/// A device's past at one position of its log.
#[derive(Clone, Debug)]
pub struct Replay<'log> {
    medium: Medium,
    log: &'log DiskLog,
    position: usize,
}

impl<'log> Replay<'log> {
    /// How many entries have happened.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The entry that happens next.
    #[must_use]
    pub fn next_entry(&self) -> Option<&'log LogEntry> {
        self.log.entries.get(self.position)
    }

    /// Lets the next entry happen; false at the end.
    pub fn step(&mut self) -> bool {
        let Some(entry) = self.next_entry() else { return false };
        self.medium.apply(entry, self.log.flush_failure_keeps);
        self.position += 1;
        true
    }

    /// Block writes whose fate a cut here would decide.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.medium.outstanding()
    }

    /// Request and block of each, in order: what a [`super::Subset`] counts.
    pub fn outstanding_blocks(&self) -> impl Iterator<Item = (u64, BlockIndex)> + '_ {
        self.medium.outstanding_blocks()
    }

    /// What the power leaves if it goes here.
    #[must_use]
    pub fn cut(&self, policy: &mut dyn CutPolicy) -> Image {
        self.medium.cut(policy)
    }
}
