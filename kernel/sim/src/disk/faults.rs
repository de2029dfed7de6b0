//! Faults by schedule: which operation, and what goes wrong with it.

use revenant_hal::{BlockIndex, DiskOperation};

/// Which operations a fault strikes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultTarget {
    /// The n-th operation of its kind from now on, counted from 0; then the fault is spent.
    Nth(u64),
    /// Every operation of its kind that touches this block, until the fault is removed.
    Block(BlockIndex),
    /// Each operation of its kind with this chance, by the disk's seed.
    OneIn(u64),
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultEffect {
    /// The completion carries `DiskError::Failed`. A failed write leaves each sector old, new or garbage; a failed
    /// read leaves garbage in the buffers; a failed flush covers nothing.
    Fail,
    /// A write goes to this block instead and reports success; a read returns this block's content.
    Misdirect(BlockIndex),
    /// A write reports success and never happens. For other operations: nothing.
    Lose,
    /// One bit of the first block's data is flipped on its way; success is reported.
    FlipBit(usize),
}

/// One fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Reads, writes or flushes.
    pub operation: DiskOperation,
    /// Which of them.
    pub target: FaultTarget,
    /// What happens.
    pub effect: FaultEffect,
}
