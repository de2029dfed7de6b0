//! What programs need from below and cannot have in object space: time, the open epoch, the state of the disk.
//!
//! The kernel implements [`Environment`] over its clock and its pager, the host runner over `std`, the tests over numbers that they
//! choose. None of its methods may touch object space or block.

use core::ops::Range;

use revenant_hal::{Epoch, Nanoseconds, ObjectAddress, PageIndex};

pub use crate::heap::discard::Discarded;

/// How much room the disk has for pages that were never stored before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskSpace {
    /// Allocation goes on.
    Enough,
    /// The reserve has been reached: allocation throws, frees go on.
    Reserve,
}

/// What became of [`Environment::read_past`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PastRead {
    /// The bytes are there.
    Read,
    /// They have been asked for: the same again in a moment.
    Waits,
    /// The page cannot be read.
    Damaged,
    /// The snapshot is not kept, or this machine has none.
    NoSnapshot,
}

/// The world outside object space, as one turn or step sees it.
pub trait Environment {
    /// Nanoseconds since this boot; never goes back. The persistent machine clock is built on it.
    fn monotonic(&self) -> Nanoseconds;
    /// Nanoseconds since 1970-01-01 UTC; may jump.
    fn wall(&self) -> Nanoseconds;
    /// The open epoch: the birth of everything allocated now. Constant during an attempt.
    fn epoch(&self) -> Epoch;
    /// Room on the disk.
    fn disk_space(&self) -> DiskSpace;
    /// Whether snapshots can be made: not on a disk that takes no more writes. There `commit()` throws at once.
    fn makes_snapshots(&self) -> bool {
        true
    }
    /// Whether a page of object space cannot be read and never will be.
    fn is_lost(&self, _page: PageIndex) -> bool {
        false
    }
    /// Lets the next store to a lost page make it anew, all zeros. Until then it stays lost.
    fn replace_page(&mut self, _page: PageIndex) {}
    /// Makes pages of free memory zeros without writing them: nobody reads them before, and nobody touches them in the same step.
    fn discard(&mut self, _pages: Range<PageIndex>) -> Discarded {
        Discarded::Unable
    }
    /// Says whether what follows gives memory back, no more and no less: its stores may use room on the disk that no program's
    /// may, or programs that store all the time would keep what is dead from ever going. An attempt begins without, also after
    /// one that was abandoned in the middle of it.
    fn set_freeing(&mut self, _freeing: bool) {}
    /// A thread of this group is about to run: what it brings into memory is the group's.
    fn group_runs(&mut self, _group: u32) {}
    /// Whether there are groups whose threads are not to be run now.
    fn suspends(&self) -> bool {
        false
    }
    /// Whether the threads of this group are not to be run now.
    fn is_suspended(&self, _group: u32) -> bool {
        false
    }
    /// The newest snapshot that is kept of those older than an epoch, and when it was taken by the wall clock.
    fn snapshot_before(&self, _epoch: Epoch) -> Option<(Epoch, Nanoseconds)> {
        None
    }
    /// Copies bytes that lie in one page of object space as they were in a snapshot. All of `into` is written, or nothing.
    fn read_past(&mut self, _epoch: Epoch, _from: ObjectAddress, _into: &mut [u8]) -> PastRead {
        PastRead::NoSnapshot
    }
    /// 64 unpredictable bits if the machine has a source of them, else any number that differs from boot to boot.
    fn entropy(&mut self) -> u64;
}
