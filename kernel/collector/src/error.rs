//! Why a mark stops, for now or for good.
//!
//! Invariant: whatever the snapshot's bytes are, what goes wrong is one of these values.

use revenant_hal::{BlockIndex, PageIndex};

/// What a mark found in the snapshot that no sound heap holds. Nothing may be freed on the word of such a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsound {
    /// A reference to where no object can start.
    NoObject {
        /// The reference.
        address: u64,
    },
    /// An object was reached whose granule has no start bit.
    NoStart {
        /// The object.
        address: u64,
    },
    /// An object's class index names no class.
    Class {
        /// The object.
        address: u64,
        /// The index.
        index: u32,
    },
    /// An object says that it is longer than its cell or run.
    Length {
        /// The object.
        address: u64,
        /// What it says, in slots.
        slots: u64,
    },
    /// A thread's words that lead to its frames contradict each other.
    Thread {
        /// The thread.
        address: u64,
    },
    /// The block table contradicts itself.
    BlockTable {
        /// The block.
        block: u32,
    },
    /// A system page holds what cannot be.
    System {
        /// The word.
        address: u64,
    },
}

/// What went wrong with the collector's region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionError {
    /// A request failed. What is durable is known: the mark can be taken up again.
    Device(BlockIndex),
    /// A bitmap page is not what the last checkpoint left, or the heap is not the one it was about. The mark has to begin anew.
    Damaged,
}

/// Why a mark does not begin or go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkRefusal {
    /// No snapshot is pinned for the collector by the opened superblock, or it is no ancestor of the live state, or it is not the one that
    /// was being marked.
    NotPinned,
    /// The heap has more blocks than the region describes: blocks full of holes on a disk that is nearly full.
    TooManyBlocks,
    /// In the snapshot a sweep is under way: it goes by an older mark, and comes to its end first.
    SweepUnderWay,
    /// The memory given is not enough to work with.
    Budget,
}

/// What an operation lacks to go on. It has changed nothing that it would not do again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// A page of the snapshot.
    Page(PageIndex),
    /// A page of the snapshot that is not to be had.
    Lost(PageIndex),
    /// A bitmap page.
    Bitmap(u32),
    /// A checkpoint: as many bitmap pages have changed as the log holds.
    Full,
    /// It never will.
    Unsound(Unsound),
    Refused(MarkRefusal),
}
