//! Every way in which the store says no, as values: why a disk is refused, why a page cannot be had, why a snapshot was
//! abandoned. Nothing here is fatal to the caller; nothing here was caused by the caller's own bug.
//!
//! Neighbours: `open` makes [`Refusal`]s, `read` makes [`DamagedBlock`]s, `commit` makes [`AbandonReason`]s.

use core::fmt;
use revenant_hal::{BlockIndex, DiskError, Epoch, Generation, PageIndex};

/// Why a disk was not opened. A refused disk was never written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No slot of the ring carries our magic number.
    NotOurs,
    /// Written by a version of the format older than this code reads.
    FormatOlder {
        /// The version on the disk.
        found: u32,
    },
    /// Written by a version of the format newer than this code knows.
    FormatNewer {
        /// The version on the disk.
        found: u32,
    },
    /// The programs on the disk were made for an older virtual machine.
    VmOlder {
        /// The version on the disk.
        found: u32,
    },
    /// The programs on the disk were made for a newer virtual machine.
    VmNewer {
        /// The version on the disk.
        found: u32,
    },
    /// Neither of the two newest generations is whole.
    Damaged {
        /// The newest generation found, if any slot verified.
        newest: Option<Generation>,
    },
    /// The generation that was asked for is not whole.
    GenerationDamaged(Generation),
    /// The generation that was asked for is not in the ring.
    NoSuchGeneration(Generation),
    /// The snapshot that was asked for is not on the disk.
    NoSuchSnapshot(Epoch),
    /// `rollback=N@R` was given with another restore generation than the store's: it was applied already.
    RollbackAlreadyApplied {
        /// The store's restore generation.
        current: u64,
    },
    /// The table of snapshots has no room for another branch.
    TooManyBranches,
    /// Another machine or tool has the disk open.
    InUse,
    /// The device refuses writes.
    ReadOnly,
    /// The device is smaller than the store on it, or than the smallest possible store.
    TooSmall {
        /// Blocks on the device.
        blocks: u64,
        /// Blocks needed.
        needed: u64,
    },
    /// The disk is too large for the memory that the store may use.
    NotEnoughMemory {
        /// Bytes needed.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// The device cannot make writes durable.
    NoFlush,
    /// The device failed while the disk was being opened.
    Device(DiskError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => formatter.write_str(
                "not a Revenant disk; make one with `revenant disk create`, or attach the right one",
            ),
            Self::FormatOlder { found } => write!(
                formatter,
                "disk format {found} is older than this system reads; open it with the version that made it"
            ),
            Self::FormatNewer { found } => write!(
                formatter,
                "disk format {found} is newer than this system knows; use a newer system"
            ),
            Self::VmOlder { found } => write!(
                formatter,
                "its programs were made for virtual machine {}, older than this system runs; bring it up to date with `revenant disk verify`, or use the version that made it",
                version(*found)
            ),
            Self::VmNewer { found } => write!(
                formatter,
                "its programs were made for virtual machine {}, newer than this system; use a newer system",
                version(*found)
            ),
            Self::Damaged { newest: Some(generation) } => write!(
                formatter,
                "disk damaged: generation {generation} and the one before it are not whole; `revenant disk check` names older ones that are, and the word that opens one"
            ),
            Self::Damaged { newest: None } => formatter.write_str(
                "disk damaged: no superblock is whole, `revenant disk info` shows what stands there; restore a copy",
            ),
            Self::GenerationDamaged(generation) => write!(
                formatter,
                "generation {generation} is not whole; `revenant disk check` names those that are"
            ),
            Self::NoSuchGeneration(generation) => write!(
                formatter,
                "generation {generation} is not on the disk; `revenant disk info` lists those that are"
            ),
            Self::NoSuchSnapshot(epoch) => write!(
                formatter,
                "snapshot {epoch} is not on the disk; `revenant disk info` lists those that are"
            ),
            Self::RollbackAlreadyApplied { current } => write!(
                formatter,
                "this rollback was applied already: the restore generation is {current}; remove it from the command line"
            ),
            Self::TooManyBranches => formatter.write_str(
                "its table of snapshots has no room for another branch; unpin snapshots or release branches with `revenant disk`",
            ),
            Self::InUse => formatter
                .write_str("disk in use by another machine or tool; stop that one first"),
            Self::ReadOnly => {
                formatter.write_str("disk is read-only; attach it with permission to write")
            }
            Self::TooSmall { blocks, needed } => write!(
                formatter,
                "disk too small: {blocks} blocks of 4 KiB, {needed} needed; attach a larger one or the whole image"
            ),
            Self::NotEnoughMemory { needed, available } => write!(
                formatter,
                "disk too large for this machine: {} KiB of the kernel's memory are needed for it, {} KiB are to be had; give the machine more memory",
                needed >> 10,
                available >> 10
            ),
            Self::NoFlush => formatter.write_str(
                "disk without FLUSH: nothing on it would survive a power cut; attach it with a write-back cache that flushes",
            ),
            Self::Device(error) => {
                write!(formatter, "{error} while the disk was being opened; check the device")
            }
        }
    }
}

/// A block that cannot be read or is not what its reference says. The value in place of data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DamagedBlock {
    /// The (first) block that was tried.
    pub block: BlockIndex,
    /// What it should have held.
    pub role: BlockRole,
    /// Whether the device failed; otherwise it delivered something with another checksum.
    pub device_error: Option<DiskError>,
    /// The epoch whose snapshot it was written for; nothing that it held, or that stands below it, is younger.
    pub birth: Epoch,
}

/// What a block is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BlockRole {
    /// The content of a page.
    Page(PageIndex),
    /// A page that was lost with the node of the page map that named it; the block is that node's.
    LostPage(PageIndex),
    /// A node of a page map: it covers `128^(level+1)` pages from `first`.
    MapNode {
        /// 0 for leaves.
        level: u8,
        /// The first page it covers.
        first: PageIndex,
    },
    /// A node or a leaf of the free-space tree.
    FreeSpace,
    /// A superblock slot.
    Slot,
    /// The guard block.
    Guard,
}

impl fmt::Display for DamagedBlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "block {} ", self.block)?;
        match self.role {
            BlockRole::Page(page) => write!(formatter, "(content of page {page})")?,
            BlockRole::LostPage(page) => {
                return write!(formatter, "held the map node with which page {page} was lost");
            }
            BlockRole::MapNode { level, first } => {
                write!(formatter, "(map node of level {level} over pages from {first})")?;
            }
            BlockRole::FreeSpace => formatter.write_str("(free-space map)")?,
            BlockRole::Slot => formatter.write_str("(superblock slot)")?,
            BlockRole::Guard => formatter.write_str("(guard block)")?,
        }
        match self.device_error {
            Some(error) => write!(formatter, ": {error}"),
            None => formatter.write_str(": content does not match its checksum"),
        }
    }
}

/// No block can be set aside for a page that is about to become dirty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSpace;

/// Why a snapshot was given up. Its pages stay dirty; the previous snapshot is untouched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AbandonReason {
    /// A write was refused; the block is not used again in this session.
    WriteFailed(BlockIndex, DiskError),
    /// A flush failed: nothing is known about what was written since the last good one.
    FlushFailed(DiskError),
    /// A block that the commit needs cannot be read.
    Damaged(DamagedBlock),
    /// What was written came back different (checked in the first two commits of a session).
    ReadBackDiffers(BlockIndex),
    /// The disk is full although space was reserved: a defect of the reservation, reported rather than hidden.
    NoSpace,
    /// More snapshots are pinned, hidden or kept than a table holds.
    TooManySnapshots,
    /// A block that was to be freed is not allocated: the disk contradicts itself; `revenant disk check` says where.
    InconsistentAllocator(BlockIndex),
    /// The guard block carries another session's id.
    ForeignSession,
    /// The caller gave the snapshot up.
    Requested,
}

impl fmt::Display for AbandonReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteFailed(block, error) => write!(formatter, "write of block {block}: {error}"),
            Self::FlushFailed(error) => write!(formatter, "flush: {error}"),
            Self::Damaged(damage) => write!(formatter, "{damage}"),
            Self::ReadBackDiffers(block) => {
                write!(formatter, "block {block} reads back different from what was written")
            }
            Self::NoSpace => formatter.write_str("no block is free although space was reserved"),
            Self::InconsistentAllocator(block) => {
                write!(
                    formatter,
                    "block {block} is in use but not allocated; run `revenant disk check`"
                )
            }
            Self::TooManySnapshots => {
                formatter.write_str("the table of snapshots is full; unpin or release some")
            }
            Self::ForeignSession => formatter.write_str("another machine writes to this disk"),
            Self::Requested => formatter.write_str("given up on request"),
        }
    }
}

/// Why the store writes nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadOnlyReason {
    /// The disk was opened for reading.
    OpenedSo,
    /// So many snapshots in a row were abandoned.
    TooManyFailures(u32),
    /// The guard block carries another session's id.
    ForeignSession,
    /// The free-space map cannot be read.
    FreeSpaceDamaged(DamagedBlock),
}

impl fmt::Display for ReadOnlyReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenedSo => formatter.write_str("the disk was opened for reading"),
            Self::TooManyFailures(count) => {
                write!(formatter, "{count} snapshots in a row could not be written")
            }
            Self::ForeignSession => formatter.write_str("another machine writes to this disk"),
            Self::FreeSpaceDamaged(damage) => write!(formatter, "{damage}"),
        }
    }
}

/// Why a request about snapshots was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotError {
    /// No such snapshot.
    Unknown(Epoch),
    /// No such branch.
    UnknownBranch(u32),
    /// It is pinned; unpin it first.
    Pinned(Epoch),
    /// The newest snapshot, or the live branch, cannot be dropped.
    Newest,
    /// The table of snapshots is full of pinned ones and branches.
    TooManyPins,
    /// A policy of retention that keeps nothing, or more than there is room for.
    Retention {
        /// Snapshots that one may keep.
        most: u32,
    },
    /// The store writes nothing any more.
    ReadOnly(ReadOnlyReason),
    /// A snapshot is in the making; one at a time.
    Busy,
    /// The epoch is not above every epoch seen on this disk.
    EpochNotNew(Epoch),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(epoch) => write!(formatter, "there is no snapshot {epoch}"),
            Self::UnknownBranch(branch) => write!(formatter, "there is no branch {branch}"),
            Self::Pinned(epoch) => write!(formatter, "snapshot {epoch} is pinned"),
            Self::Newest => formatter.write_str("the live state cannot be dropped"),
            Self::TooManyPins => formatter
                .write_str("the table of snapshots is full; unpin some, or release a branch"),
            Self::ReadOnly(reason) => write!(formatter, "read-only: {reason}"),
            Self::Retention { most } => {
                write!(formatter, "from 1 to {most} snapshots can be kept, the last one among them")
            }
            Self::Busy => formatter.write_str("a snapshot is in the making"),
            Self::EpochNotNew(epoch) => write!(formatter, "epoch {epoch} is not new"),
        }
    }
}

/// A version of the virtual machine as people see it: layout of objects, verifier.
fn version(vm: u32) -> impl fmt::Display {
    fmt::from_fn(move |formatter| write!(formatter, "{}.{}", vm >> 16, vm & 0xffff))
}
