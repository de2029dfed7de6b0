//! Blocks held for pages that were written before their flip. No bitmap that is or will be in a superblock knows them until the
//! commit of their snapshot enters them, so a cut leaks nothing; `busy` knows them, so nobody else gets them.
//!
//! ```text
//!   hold --> running --flip--> in the making --enter--> `next` of that commit --durable--> `current`
//!               ^                    |
//!               +-----given up-------+            let go (written again, discarded, moved): unread --read by nobody--> free
//! ```
//!
//! Invariants: a held block is in one set, in `busy`, and in neither `current` nor `previous`; it is in `next` only if the commit in
//! the making has entered it. The sets are bounded by the RAM that the overlay may take, and what is being read.
//!
//! Neighbours: `overlay` says which page stands where, `early` writes; `reservation` counts what is held as given out of the charges.

use super::{Allocator, Run};
use crate::bitmap::{Bitmap, leaf_of};
use crate::layout::BLOCKS_PER_BITMAP;
use alloc::collections::BTreeSet;
use revenant_hal::BlockIndex;

/// For which snapshot a block is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    /// The one that the next flip begins.
    Running,
    /// The one in the making.
    Making,
}

/// The blocks held.
#[derive(Debug, Default)]
pub(super) struct Later {
    running: BTreeSet<u64>,
    making: BTreeSet<u64>,
    /// For no snapshot any more, but somebody may be reading them.
    unread: BTreeSet<u64>,
    /// Planted fault: the bitmap to come knows a block as soon as it is held.
    pub(super) entered_at_once: bool,
    /// Planted fault: the blocks are not out of reach of others.
    pub(super) unheld: bool,
}

impl Later {
    fn sets(&self) -> [&BTreeSet<u64>; 3] {
        [&self.running, &self.making, &self.unread]
    }

    pub(super) fn contains(&self, block: u64) -> bool {
        self.sets().iter().any(|set| set.contains(&block))
    }

    /// Puts what is held out of reach, in one leaf.
    pub(super) fn keep_busy(&self, leaf: u64, busy: &mut Bitmap) {
        let blocks = leaf * BLOCKS_PER_BITMAP..(leaf + 1) * BLOCKS_PER_BITMAP;
        for block in self.sets().into_iter().flat_map(|set| set.range(blocks.clone())) {
            if !self.unheld {
                busy.set(*block);
            }
        }
    }

    fn set_of(&mut self, holder: Holder) -> &mut BTreeSet<u64> {
        match holder {
            Holder::Running => &mut self.running,
            Holder::Making => &mut self.making,
        }
    }

    /// Takes a block out of the set of its snapshot.
    fn take_out(&mut self, block: u64) -> Option<Holder> {
        let holders = [Holder::Running, Holder::Making];
        holders.into_iter().find(|holder| self.set_of(*holder).remove(&block))
    }
}

impl Allocator {
    /// Holds up to `want` adjacent blocks for pages that are written before their flip.
    pub(crate) fn hold(&mut self, want: u64, holder: Holder) -> Option<Run> {
        let run = self.find(self.cursor, want)?;
        self.cursor = run.start + run.length;
        for block in run.start..run.start + run.length {
            assert!(
                !self.current.get(block) && !self.next.get(block),
                "a block that a superblock reaches is never held for a later one"
            );
            let new = !self.later.contains(block) && self.later.set_of(holder).insert(block);
            assert!(new, "what is held is held for one page");
            if self.later.entered_at_once {
                self.next.set(block);
                self.touched.insert(leaf_of(block));
            }
            if self.later.unheld {
                continue;
            }
            self.busy.set(block);
            self.allocatable -= 1;
            self.untold.taken(block);
        }
        Some(run)
    }

    /// Blocks held for a snapshot: given out of its charges.
    pub(crate) fn held_for(&self, holder: Holder) -> u64 {
        match holder {
            Holder::Running => self.later.running.len() as u64,
            Holder::Making => self.later.making.len() as u64,
        }
    }

    /// A flip: what was held for the running epoch is the commit's.
    pub(crate) fn held_flipped(&mut self) {
        assert!(self.later.making.is_empty(), "one snapshot in the making at a time");
        core::mem::swap(&mut self.later.running, &mut self.later.making);
    }

    /// The commit in the making refers to a block held for it.
    pub(crate) fn enter(&mut self, block: BlockIndex) {
        assert!(!self.current.get(block.0), "no superblock knows what is held for a later one");
        self.next.set(block.0);
        self.touched.insert(leaf_of(block.0));
    }

    /// The commit is durable: its blocks are in its bitmap.
    pub(super) fn held_committed(&mut self) {
        let entered = self.later.making.iter().all(|block| self.next.get(*block));
        assert!(entered, "a durable snapshot refers to all that is held for it");
        self.later.making.clear();
    }

    /// The commit was given up: its blocks hold what is needed nowhere else, and stay, for the next. `lost`: a planted fault; they,
    /// or those of the running epoch, are forgotten.
    pub(crate) fn held_kept(&mut self, lost: Option<Holder>) {
        let forgotten = lost.map(|holder| core::mem::take(self.later.set_of(holder)));
        forgotten.into_iter().flatten().for_each(|block| self.free_if_unneeded(block));
        let mut making = core::mem::take(&mut self.later.making);
        self.later.running.append(&mut making);
    }

    /// No snapshot will refer to a block that was held; for which one it was. Who reads it may go on.
    pub(crate) fn let_go(&mut self, block: BlockIndex) -> Option<Holder> {
        let holder = self.later.take_out(block.0);
        if holder.is_some() {
            self.later.unread.insert(block.0);
        }
        if self.later.entered_at_once {
            self.next.clear(block.0);
        }
        holder
    }

    /// A block of the commit that is being given up may be read still: it comes back by [`Allocator::hand_back`].
    pub(crate) fn hold_unread(&mut self, block: BlockIndex) {
        self.later.unread.insert(block.0);
    }

    /// Nobody reads a block any more that was let go: it may be handed out, unless something else keeps it.
    pub(crate) fn hand_back(&mut self, block: BlockIndex) {
        if self.later.unread.remove(&block.0) {
            self.free_if_unneeded(block.0);
        }
    }

    fn free_if_unneeded(&mut self, block: u64) {
        let needed = self.current.get(block)
            || self.previous.get(block)
            || self.next.get(block)
            || self.bad.contains(&block)
            || self.held.as_ref().is_some_and(|held| held.get(block));
        if !needed && self.busy.get(block) {
            self.busy.clear(block);
            self.allocatable += 1;
            self.untold.freed([leaf_of(block)], 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;
    use alloc::vec::Vec;

    fn empty() -> Allocator {
        let mut allocator = Allocator::new(Layout::new(2048).unwrap(), 1);
        allocator.start_empty();
        allocator.commit();
        allocator
    }

    #[test]
    fn what_is_held_is_nobody_elses_and_in_no_bitmap_before_its_own_commit() {
        let mut allocator = empty();
        let marked = allocator.next().count();
        let held = allocator.hold(20, Holder::Running).unwrap();
        assert_eq!((allocator.next().count(), allocator.touched().len()), (marked, 0));
        // A commit in between, of another epoch, that takes all that is left.
        let before = allocator.allocatable();
        let mut taken = 0;
        while let Some(run) = allocator.allocate(64) {
            assert!(run.blocks().all(|block| held.blocks().all(|held| held != block)));
            taken += run.length;
        }
        assert_eq!(taken, before);
        allocator.abandon(false);
        assert_eq!(allocator.allocatable(), before);
        allocator.allocate(1).unwrap();
        allocator.commit();
        allocator.held_flipped();
        assert_eq!(allocator.held_for(Holder::Making), 20);
        held.blocks().for_each(|block| allocator.enter(block));
        allocator.commit();
        assert_eq!((allocator.held_for(Holder::Making), allocator.allocatable()), (0, before - 1));
        assert!(held.blocks().all(|block| allocator.is_current(block.0)));
    }

    #[test]
    fn what_was_entered_by_a_commit_that_is_given_up_stays_held() {
        for landed in [false, true] {
            let mut allocator = empty();
            let before = allocator.allocatable();
            let held = allocator.hold(3, Holder::Running).unwrap();
            allocator.held_flipped();
            let newer = allocator.hold(2, Holder::Running).unwrap();
            held.blocks().for_each(|block| allocator.enter(block));
            allocator.held_kept(None);
            allocator.abandon(landed);
            assert_eq!(
                (allocator.held_for(Holder::Running), allocator.allocatable()),
                (5, before - 5)
            );
            let all: Vec<BlockIndex> = held.blocks().chain(newer.blocks()).collect();
            for block in &all {
                assert_eq!(allocator.let_go(*block), Some(Holder::Running));
                assert_eq!(allocator.let_go(*block), None);
            }
            assert_eq!(allocator.allocatable(), before - 5, "somebody may be reading");
            allocator.commit();
            all.iter().for_each(|block| allocator.hand_back(*block));
            let stuck = if landed { 3 } else { 0 };
            assert_eq!(allocator.allocatable(), before - stuck, "what may have landed is held");
            allocator.release_held();
            assert_eq!(allocator.allocatable(), before);
        }
    }

    #[test]
    fn what_may_have_landed_and_is_held_still_is_not_released_with_the_slot() {
        let mut allocator = empty();
        let before = allocator.allocatable();
        let held = allocator.hold(1, Holder::Running).unwrap();
        allocator.held_flipped();
        held.blocks().for_each(|block| allocator.enter(block));
        allocator.held_kept(None);
        allocator.abandon(true);
        allocator.release_held();
        assert_eq!(allocator.allocatable(), before - 1);
    }
}
