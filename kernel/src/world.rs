//! The world outside object space as programs may ask for it: clocks, the running epoch, room on the disk; and where they leave
//! what they do not need any more.

use crate::space;
use core::ops::Range;
use revenant_hal::{Clock, Epoch, Nanoseconds, ObjectAddress, PageIndex};
use revenant_machine::clock::MachineClock;
use revenant_machine::cpu;
use revenant_pager::replacement::{Group, Groups};
use revenant_vm::{Discarded, DiskSpace, Environment, PastRead, TurnLimits};

/// What a slice may ask for: copies, made by the loop before it. Only what is asked once a lost page or once a slice, and a discard,
/// open object space's cell, for a moment in which nothing touches object space.
pub(crate) struct World {
    /// The clocks of the machine.
    pub(crate) clock: MachineClock,
    /// The epoch that runs.
    pub(crate) epoch: Epoch,
    /// Room on the disk.
    pub(crate) disk_space: DiskSpace,
    /// The disk takes no more writes.
    pub(crate) read_only: bool,
    /// Groups that stand still.
    pub(crate) suspended: Groups,
    /// How far the next turn may go.
    pub(crate) turn: TurnLimits,
}

impl World {
    /// A world in which nothing is known to be short.
    pub(crate) fn new(clock: MachineClock, epoch: Epoch) -> Self {
        Self {
            clock,
            epoch,
            disk_space: DiskSpace::Enough,
            read_only: false,
            suspended: Groups::NONE,
            turn: TurnLimits::default(),
        }
    }
}

impl Environment for World {
    fn monotonic(&self) -> Nanoseconds {
        self.clock.monotonic()
    }

    fn wall(&self) -> Nanoseconds {
        self.clock.wall()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn disk_space(&self) -> DiskSpace {
        self.disk_space
    }

    fn makes_snapshots(&self) -> bool {
        !self.read_only
    }

    fn is_lost(&self, page: PageIndex) -> bool {
        space::with(|space| space.is_unreadable(page))
    }

    fn replace_page(&mut self, page: PageIndex) {
        space::with(|space| space.replace_damaged_page(page));
    }

    fn discard(&mut self, pages: Range<PageIndex>) -> Discarded {
        let count = pages.end.0.saturating_sub(pages.start.0);
        if space::with(|space| space.discard(pages)) == count {
            Discarded::Zero
        } else {
            Discarded::NotNow
        }
    }

    fn set_freeing(&mut self, freeing: bool) {
        space::with(|space| space.set_freeing(freeing));
    }

    fn group_runs(&mut self, group: u32) {
        space::with(|space| space.group_runs(group));
    }

    fn suspends(&self) -> bool {
        !self.suspended.is_empty()
    }

    fn is_suspended(&self, group: u32) -> bool {
        self.suspended.contains(Group::new(group))
    }

    fn snapshot_before(&self, epoch: Epoch) -> Option<(Epoch, Nanoseconds)> {
        space::with(|space| space.snapshot_before(epoch))
    }

    fn read_past(&mut self, epoch: Epoch, from: ObjectAddress, into: &mut [u8]) -> PastRead {
        space::with(|space| space.read_past(epoch, from, into))
    }

    fn entropy(&mut self) -> u64 {
        cpu::random()
    }
}
