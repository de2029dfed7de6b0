//! What a check found, as values and in words.
//!
//! Invariant: a problem names the block, and what it should have held or who lost it.

use crate::error::{BlockRole, DamagedBlock};
use alloc::vec::Vec;
use revenant_hal::{BlockIndex, Epoch, PageIndex};

/// Something wrong with a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// A block cannot be read or does not match; `lost` if there is no good second copy.
    Damaged {
        /// The block.
        damage: DamagedBlock,
        /// No good copy is left.
        lost: bool,
    },
    /// Pages were lost with the node that named them, which was replaced.
    Lost {
        /// The first page.
        first: PageIndex,
        /// How many pages it named at most.
        count: u64,
        /// Where the node stood.
        node: BlockIndex,
        /// The first snapshot without them.
        since: Epoch,
    },
    /// A reference points outside the places where data may stand.
    Outside(BlockIndex, BlockRole),
    /// Two references that do not mean the same thing claim a block.
    ClaimedTwice(BlockIndex, BlockRole),
    /// A snapshot contains something born after it.
    BornTooLate(BlockIndex, BlockRole),
    /// Marked in the allocator, but nothing reaches it: lost space.
    Leaked {
        /// The first block.
        first: BlockIndex,
        /// How many.
        count: u64,
    },
    /// Reached, but not marked in the allocator: it would be overwritten.
    NotAllocated {
        /// The first block.
        first: BlockIndex,
        /// How many.
        count: u64,
    },
    /// The superblock's count of allocated blocks is not that of its bitmaps.
    WrongCount {
        /// What the superblock says.
        recorded: u64,
        /// What the bitmaps say.
        counted: u64,
    },
}

impl core::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Damaged { damage, lost: true } => write!(formatter, "{damage}; no good copy"),
            Self::Damaged { damage, lost: false } => {
                write!(formatter, "{damage}; the second copy is good")
            }
            Self::Lost { first, count, node, since } => write!(
                formatter,
                "what {count} pages from {first} held is lost since snapshot {since}: their map node in block {node} could not be read"
            ),
            Self::Outside(block, role) => {
                write!(formatter, "{role:?} points to block {block}, outside the data area")
            }
            Self::ClaimedTwice(block, role) => {
                write!(formatter, "block {block} is claimed twice, the second time as {role:?}")
            }
            Self::BornTooLate(block, role) => {
                write!(formatter, "block {block} ({role:?}) was born after its snapshot")
            }
            Self::Leaked { first, count } => {
                write!(formatter, "{count} blocks from {first} are allocated but not reached")
            }
            Self::NotAllocated { first, count } => {
                write!(formatter, "{count} blocks from {first} are reached but not allocated")
            }
            Self::WrongCount { recorded, counted } => write!(
                formatter,
                "the superblock counts {recorded} allocated blocks, its bitmaps {counted}"
            ),
        }
    }
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckReport {
    /// Problems, at most [`MAXIMUM_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// Blocks read.
    pub blocks_read: u64,
    /// Pages reached, each once however often it is shared.
    pub pages: u64,
    /// Map nodes reached.
    pub nodes: u64,
    /// Blocks of the allocator's tree.
    pub free_space_blocks: u64,
    /// Blocks reached, all kinds, second copies included.
    pub reached: u64,
}

/// Problems that are listed before the rest is left out.
pub const MAXIMUM_PROBLEMS: usize = 1000;

impl CheckReport {
    /// The first problem that makes a state unsafe to resume: everything but lost space, one bad copy of two, and losses
    /// that the map itself records.
    #[must_use]
    pub fn damage(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| {
            !matches!(
                problem,
                Problem::Leaked { .. }
                    | Problem::Damaged { lost: false, .. }
                    | Problem::Lost { .. }
                    | Problem::WrongCount { .. }
            )
        })
    }
}
