//! The words between a mark and those who run it: memory, outcomes, figures, planted faults.
//!
//! Invariant: nothing here has behaviour but the division of the budget.

use crate::error::{MarkRefusal, RegionError, Unsound};
use revenant_hal::{PAGE_SIZE, PageIndex};
use revenant_store::DamagedBlock;

/// The memory that a mark may use: an eighth for references on their way to other partitions, one for what is foreseen of objects, three eighths for
/// bitmap pages, three for pages of the snapshot. Beside it stand the directory of blocks (5 bytes each, a byte a partition) and the classes met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarkBudget {
    bytes: usize,
}

impl Default for MarkBudget {
    /// 8 MiB.
    fn default() -> Self {
        Self { bytes: 8 << 20 }
    }
}

impl MarkBudget {
    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        Self { bytes }
    }

    /// Frames that a mark wants to be given.
    #[must_use]
    pub const fn frames(self) -> usize {
        self.bytes / 8 * 3 / PAGE_SIZE
    }

    /// Bitmap pages kept in memory.
    pub(crate) const fn bitmap_pages(self) -> usize {
        self.bytes / 16 * 5 / PAGE_SIZE
    }

    /// References that wait for their partition.
    pub(crate) const fn references(self) -> usize {
        self.bytes / 8 / 8
    }

    /// Bytes for what is foreseen.
    pub(crate) const fn foreseen(self) -> usize {
        self.bytes / 8
    }

    /// Blocks whose scanned bits wait until the marks that they caused are entered.
    pub(crate) const fn waiting_blocks(self) -> usize {
        self.bytes / 16 / 512
    }
}

/// How a step of a mark ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum MarkOutcome {
    /// There is more to do at once.
    Again,
    /// The disk has to answer first.
    Waiting,
    /// Everything reachable is marked, and that is durable.
    Complete,
    /// A page could not be read. Nothing may be freed on the word of this mark.
    Incomplete {
        /// The page.
        page: PageIndex,
        /// Where and why.
        damage: DamagedBlock,
    },
    /// The snapshot holds what no sound heap does. Nothing may be freed on the word of this mark.
    Unsound(Unsound),
    /// The region failed.
    Failed(RegionError),
    /// It cannot be, or not any more.
    Refused(MarkRefusal),
}

/// What a mark did since it was begun or taken up again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MarkStatistics {
    /// Pages of the snapshot read, holes not counted.
    pub pages_read: u64,
    /// Objects looked at.
    pub objects: u64,
    /// Partitions worked on, those of before a restart included.
    pub partitions: u64,
    /// Of these, how many a restart would not do again.
    pub durable_partitions: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Bitmap pages in use.
    pub bitmap_pages: u64,
    /// Whether it went on from a checkpoint of an earlier session.
    pub taken_up: bool,
}

/// Faults that tests plant to see them caught. Never set outside tests.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PlantedMark {
    /// None.
    #[default]
    None,
    /// An object counts as scanned before the marks that it causes are entered.
    ScannedFirst,
    /// The flush between log and control block is left out.
    FlushSkipped,
    /// A page that cannot be read is taken for an empty one.
    ReadErrorIsEmpty,
    /// Bitmap pages are not compared with their checksums.
    ChecksumSkipped,
    /// What a lost page may have led to is not looked for.
    SuspectsForgotten,
    /// What stands in the region is used whatever mark it is of.
    OtherNameUsed,
}
