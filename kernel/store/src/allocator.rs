//! Which blocks may be handed out.
//!
//! Four bitmaps: `current` is the allocator of the newest durable superblock, `previous` of the one before it, `next` of
//! the commit in the making, and `busy` what must not be handed out now.
//!
//! Invariants:
//! - `busy` = current | previous | allocated in the making | bad | held | held for later. So a block dropped by commit g is clear in
//!   `next` at once, and leaves `busy` only when superblock g+1 is durable and `previous` is g's bitmap;
//! - nothing is handed out, and nothing is freed, outside the data area;
//! - giving up a commit restores `next` from `current`; what the given-up commit may have made durable anyway stays
//!   held until its slot has been overwritten;
//! - blocks of which the device is being told that they hold nothing ([`Untold`]) are in `busy` until it has answered.
//!
//! Pages written before their flip (`early`) take blocks that are held beside the bitmaps ([`later`]) until their own commit. So the
//! superblock of e records the allocator as of flip e and e's own writes.

pub(crate) mod later;

use crate::api::Planted;
use crate::bitmap::{Bitmap, leaf_of};
use crate::layout::{BLOCKS_PER_BITMAP, Layout};
use crate::trim::Untold;
use alloc::collections::BTreeSet;
use later::Later;
use revenant_hal::{BlockIndex, PageBytes};

/// Adjacent blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl Run {
    pub(crate) fn blocks(self) -> impl Iterator<Item = BlockIndex> {
        (self.start..self.start + self.length).map(BlockIndex)
    }
}

/// A block was to be freed that is not allocated: two references claim it, or one points outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotAllocated(pub(crate) BlockIndex);

/// Runs looked at before a short one is taken.
const RUNS_CONSIDERED: usize = 64;
/// A run of this length is long enough not to look further.
const GOOD_RUN: u64 = 64;

#[derive(Debug)]
pub(crate) struct Allocator {
    layout: Layout,
    area: (u64, u64),
    pub(crate) current: Bitmap,
    previous: Bitmap,
    next: Bitmap,
    busy: Bitmap,
    /// Leaves in which `next` differs from `current`.
    touched: BTreeSet<u64>,
    /// Leaves in which `current` may differ from `previous`.
    previously_touched: BTreeSet<u64>,
    bad: BTreeSet<u64>,
    /// Blocks of a given-up commit that may have landed.
    held: Option<Bitmap>,
    /// Blocks of snapshots whose commits have not come to them.
    later: Later,
    allocatable: u64,
    allocated_in_making: u64,
    cursor: u64,
    pub(crate) untold: Untold,
    /// Planted fault: what a commit drops is handed out as soon as its superblock is durable.
    reuse_early: bool,
}

impl Allocator {
    /// An allocator whose bitmaps are still to be loaded; `seed` decides where the session starts allocating.
    pub(crate) fn new(layout: Layout, seed: u128) -> Self {
        let leaves = layout.bitmap_leaves();
        let area = layout.data_area();
        let seed = xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes());
        Self {
            layout,
            area,
            current: Bitmap::new(leaves),
            previous: Bitmap::new(leaves),
            next: Bitmap::new(leaves),
            busy: Bitmap::new(leaves),
            touched: BTreeSet::new(),
            previously_touched: BTreeSet::new(),
            bad: BTreeSet::new(),
            held: None,
            later: Later::default(),
            allocatable: 0,
            allocated_in_making: 0,
            cursor: area.0 + seed % (area.1 - area.0),
            untold: Untold::default(),
            reuse_early: false,
        }
    }

    /// The bitmap of an empty store: everything outside the data area is taken.
    pub(crate) fn fixed_places(layout: Layout) -> Bitmap {
        let area = layout.data_area();
        let mut bitmap = Bitmap::new(layout.bitmap_leaves());
        bitmap.set_range(0..area.0);
        bitmap.set_range(area.1..layout.bitmap_leaves() * BLOCKS_PER_BITMAP);
        bitmap
    }

    /// For formatting: nothing but the fixed places is taken, and every leaf is to be written.
    pub(crate) fn start_empty(&mut self) {
        self.current = Self::fixed_places(self.layout);
        self.previous = self.current.clone();
        self.loaded();
        self.touched = (0..self.layout.bitmap_leaves()).collect();
    }

    /// Takes a leaf of the newest superblock's bitmap, and of the one before if it is the same.
    pub(crate) fn load_current(&mut self, leaf: u64, page: &PageBytes) {
        self.current.decode_leaf(leaf, page);
    }

    /// Takes a leaf of the second newest superblock's bitmap.
    pub(crate) fn load_previous(&mut self, leaf: u64, page: &PageBytes) {
        self.previous.decode_leaf(leaf, page);
    }

    /// The generation before is not whole any more: only the newest is protected.
    pub(crate) fn forget_previous(&mut self) {
        self.previous = self.current.clone();
    }

    /// A leaf cannot be read: all its blocks count as used, and it is to be written anew. After [`Allocator::loaded`].
    pub(crate) fn count_as_used(&mut self, leaf: u64) {
        for bitmap in [&mut self.current, &mut self.previous, &mut self.next] {
            bitmap.leaf_mut(leaf).fill(u64::MAX);
        }
        self.touched.insert(leaf);
        self.recompute_busy([leaf]);
    }

    /// Both bitmaps are loaded. The fixed places count as taken whatever the disk says.
    pub(crate) fn loaded(&mut self) {
        let fixed = Self::fixed_places(self.layout);
        for leaf in 0..self.layout.bitmap_leaves() {
            for (word, fixed) in self.current.leaf_mut(leaf).iter_mut().zip(fixed.leaf(leaf)) {
                *word |= fixed;
            }
        }
        self.next = self.current.clone();
        self.previously_touched = (0..self.layout.bitmap_leaves()).collect();
        self.recompute_busy(self.previously_touched.clone());
    }

    /// Blocks that may be handed out now.
    pub(crate) const fn allocatable(&self) -> u64 {
        self.allocatable
    }

    /// Blocks handed out by the commit in the making, without those that were held for it.
    pub(crate) const fn allocated_in_making(&self) -> u64 {
        self.allocated_in_making
    }

    /// Blocks that the newest superblock does not need but the one before does.
    pub(crate) fn quarantined(&self) -> u64 {
        let leaves = self.previously_touched.iter();
        leaves.map(|leaf| difference(self.previous.leaf(*leaf), self.current.leaf(*leaf))).sum()
    }

    /// Blocks of the data area.
    pub(crate) const fn managed(&self) -> u64 {
        self.area.1 - self.area.0
    }

    /// Takes up to `want` adjacent blocks, going on from where the last ones were taken.
    pub(crate) fn allocate(&mut self, want: u64) -> Option<Run> {
        let run = self.take(self.cursor, want)?;
        self.cursor = run.start + run.length;
        Some(run)
    }

    /// Takes up to `want` adjacent blocks far from `block`, for its second copy: half the data area further on, if space
    /// allows.
    pub(crate) fn allocate_far_from(&mut self, block: u64, want: u64) -> Option<Run> {
        let half = self.managed() / 2;
        let wrapped = (block - self.area.0 + half) % self.managed();
        self.take(self.area.0 + wrapped, want)
    }

    fn take(&mut self, from: u64, want: u64) -> Option<Run> {
        assert!(want > 0, "an allocation asks for something");
        let run = self.find(from, want)?;
        for block in run.start..run.start + run.length {
            assert!(
                !self.current.get(block) && !self.next.get(block),
                "a block that a superblock reaches is never handed out"
            );
            self.next.set(block);
            self.busy.set(block);
            self.touched.insert(leaf_of(block));
            self.untold.taken(block);
        }
        self.allocatable -= run.length;
        self.allocated_in_making += run.length;
        Some(run)
    }

    /// The first good run from `from` on, wrapping once; else the longest of those seen.
    fn find(&self, from: u64, want: u64) -> Option<Run> {
        let from = if from >= self.area.0 && from < self.area.1 { from } else { self.area.0 };
        let mut best: Option<Run> = None;
        for (mut at, end) in [(from, self.area.1), (self.area.0, from)] {
            for _ in 0..RUNS_CONSIDERED {
                let Some(start) = self.busy.first_clear(at, end) else { break };
                let stop = self.busy.first_set(start, end.min(start.saturating_add(want)));
                let run = Run { start, length: stop - start };
                if run.length >= want.min(GOOD_RUN) {
                    return Some(run);
                }
                if best.is_none_or(|best| best.length < run.length) {
                    best = Some(run);
                }
                at = stop + 1;
            }
        }
        best
    }

    /// The commit in the making does not need the block any more. It is clear in `next` at once. A block that was handed
    /// out in this very commit leaves `busy` when the commit ends (a write to it may still be in flight), any other one a
    /// commit later.
    pub(crate) fn free(&mut self, block: BlockIndex) -> Result<(), NotAllocated> {
        let inside = block.0 >= self.area.0 && block.0 < self.area.1;
        if !inside || !self.next.get(block.0) {
            return Err(NotAllocated(block));
        }
        self.next.clear(block.0);
        self.touched.insert(leaf_of(block.0));
        Ok(())
    }

    /// The bitmap in the making, for its leaves that changed.
    pub(crate) fn next(&self) -> &Bitmap {
        &self.next
    }

    /// Leaves of `next` that have to be written.
    pub(crate) fn touched(&self) -> &BTreeSet<u64> {
        &self.touched
    }

    /// Whether a block is marked in the newest superblock's allocator.
    pub(crate) fn is_current(&self, block: u64) -> bool {
        self.current.get(block)
    }

    /// The superblock is durable: what it dropped stays out of reach until the next one is.
    pub(crate) fn commit(&mut self) {
        self.held_committed();
        let mut leaves = core::mem::take(&mut self.previously_touched);
        self.previously_touched = core::mem::take(&mut self.touched);
        leaves.extend(&self.previously_touched);
        for leaf in &leaves {
            self.previous.leaf_mut(*leaf).copy_from_slice(self.current.leaf(*leaf));
            self.current.leaf_mut(*leaf).copy_from_slice(self.next.leaf(*leaf));
        }
        self.allocated_in_making = 0;
        self.recompute_busy(leaves);
    }

    /// The commit was given up. `landed`: its superblock may be on the disk all the same, so its blocks stay held.
    pub(crate) fn abandon(&mut self, landed: bool) {
        let leaves = core::mem::take(&mut self.touched);
        if landed {
            let empty = || Bitmap::new(self.layout.bitmap_leaves());
            let held = self.held.get_or_insert_with(empty);
            for leaf in &leaves {
                let sources = self.next.leaf(*leaf).iter().zip(self.current.leaf(*leaf));
                for (held, (next, current)) in held.leaf_mut(*leaf).iter_mut().zip(sources) {
                    *held |= next & !current;
                }
            }
        }
        for leaf in &leaves {
            self.next.leaf_mut(*leaf).copy_from_slice(self.current.leaf(*leaf));
        }
        self.allocated_in_making = 0;
        self.recompute_busy(leaves);
    }

    /// The slot of the given-up commit is overwritten for good: its blocks are free. May be called in the middle of the
    /// next commit.
    pub(crate) fn release_held(&mut self) {
        let Some(held) = self.held.take() else { return };
        let mut at = held.first_set(self.area.0, self.area.1);
        while at < self.area.1 {
            let needed = self.current.get(at)
                || self.previous.get(at)
                || self.next.get(at)
                || self.later.contains(at)
                || self.bad.contains(&at);
            if !needed && self.busy.get(at) {
                self.busy.clear(at);
                self.allocatable += 1;
            }
            at = held.first_set(at + 1, self.area.1);
        }
    }

    /// Never hand this block out again in this session.
    pub(crate) fn mark_bad(&mut self, block: BlockIndex) {
        self.bad.insert(block.0);
    }

    /// Plants faults.
    pub(crate) fn plant(&mut self, fault: Planted) {
        self.reuse_early = fault == Planted::ReusedOneGenerationEarly;
        self.untold.early = fault == Planted::TrimmedOneGenerationEarly;
        self.later.entered_at_once = fault == Planted::OverlayInOlderSuperblock;
        self.later.unheld = fault == Planted::LaterBlocksUnheld;
    }

    /// Recomputes `busy` in some leaves; nothing is in the making.
    fn recompute_busy(&mut self, leaves: impl IntoIterator<Item = u64>) {
        let mut leaves: BTreeSet<u64> = leaves.into_iter().collect();
        leaves.extend(self.bad.iter().map(|block| leaf_of(*block)));
        for leaf in &leaves {
            let sources = self.current.leaf(*leaf).iter().zip(self.previous.leaf(*leaf));
            for (busy, (current, previous)) in self.busy.leaf_mut(*leaf).iter_mut().zip(sources) {
                *busy = if self.reuse_early { *current } else { current | previous };
            }
            let held = self.held.iter().flat_map(|held| held.leaf(*leaf));
            for (busy, held) in self.busy.leaf_mut(*leaf).iter_mut().zip(held) {
                *busy |= held;
            }
            self.later.keep_busy(*leaf, &mut self.busy);
        }
        for block in &self.bad {
            self.busy.set(*block);
        }
        if let Some(run) = self.untold.locked {
            self.busy.set_range(run.start..run.start + run.length);
        }
        let total = self.layout.bitmap_leaves() * BLOCKS_PER_BITMAP;
        let before = core::mem::replace(&mut self.allocatable, total - self.busy.count());
        self.untold.freed(leaves, self.allocatable.saturating_sub(before));
    }

    /// First and last place of what is handed out, the latter exclusive.
    pub(crate) const fn area(&self) -> (u64, u64) {
        self.area
    }

    /// The word of the set of free blocks in which a block's bit stands; or, for a planted fault, of those in quarantine.
    pub(crate) fn free_word(&self, block: u64, quarantined: bool) -> u64 {
        if quarantined {
            self.previous.word(block) & !(self.current.word(block) | self.next.word(block))
        } else {
            !self.busy.word(block)
        }
    }

    /// Puts free blocks out of reach.
    pub(crate) fn lock(&mut self, run: Run) {
        let (start, end) = (run.start, run.start + run.length);
        assert!(self.busy.first_set(start, end) == end, "what is locked is free");
        self.busy.set_range(start..end);
        self.allocatable -= run.length;
        self.untold.locked = Some(run);
    }

    /// Gives them back, if any are locked.
    pub(crate) fn unlock(&mut self) {
        let Some(run) = self.untold.locked.take() else { return };
        let range = run.start..run.start + run.length;
        self.busy.clear_range(range.clone());
        let bad = self.bad.range(range).copied();
        let bad = bad.inspect(|block| self.busy.set(*block)).count();
        self.allocatable += run.length - bad as u64;
    }
}

/// Bits set in `a` and clear in `b`.
fn difference(a: &[u64], b: &[u64]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from((a & !b).count_ones())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Allocator {
        let mut allocator = Allocator::new(Layout::new(2048).unwrap(), 1);
        allocator.start_empty();
        allocator
    }

    #[test]
    fn a_dropped_block_comes_back_after_the_second_superblock() {
        let mut allocator = empty();
        let run = allocator.allocate(1).unwrap();
        allocator.commit();
        let before = allocator.allocatable();
        allocator.free(BlockIndex(run.start)).unwrap();
        assert_eq!(allocator.allocatable(), before);
        allocator.commit();
        assert_eq!((allocator.allocatable(), allocator.quarantined()), (before, 1));
        allocator.commit();
        assert_eq!((allocator.allocatable(), allocator.quarantined()), (before + 1, 0));
    }

    #[test]
    fn a_block_of_the_running_commit_comes_back_with_it() {
        let mut allocator = empty();
        let before = allocator.allocatable();
        let run = allocator.allocate(3).unwrap();
        for block in run.blocks() {
            allocator.free(block).unwrap();
            assert_eq!(allocator.free(block), Err(NotAllocated(block)));
        }
        assert_eq!(allocator.allocatable(), before - 3);
        allocator.commit();
        assert_eq!(allocator.allocatable(), before);
        assert_eq!(allocator.free(BlockIndex(1)), Err(NotAllocated(BlockIndex(1))));
    }

    #[test]
    fn an_abandoned_commit_gives_everything_back_unless_it_may_have_landed() {
        let mut allocator = empty();
        let before = allocator.allocatable();
        allocator.allocate(100).unwrap();
        allocator.abandon(false);
        assert_eq!(allocator.allocatable(), before);
        allocator.allocate(100).unwrap();
        allocator.abandon(true);
        assert_eq!(allocator.allocatable(), before - 100);
        allocator.commit();
        assert_eq!(allocator.allocatable(), before - 100);
        allocator.release_held();
        assert_eq!(allocator.allocatable(), before);
    }

    #[test]
    fn everything_can_be_allocated_once_and_a_bad_block_never() {
        let mut allocator = empty();
        let bad = allocator.area.0 + 5;
        allocator.mark_bad(BlockIndex(bad));
        allocator.abandon(false);
        let mut seen = BTreeSet::new();
        while let Some(run) = allocator.allocate(7) {
            for block in run.blocks() {
                assert!(seen.insert(block) && block.0 != bad);
            }
        }
        assert_eq!(seen.len() as u64, allocator.managed() - 1);
        assert_eq!(allocator.allocatable(), 0);
    }

    #[test]
    fn a_second_copy_stands_far_away() {
        let mut allocator = empty();
        for _ in 0..200 {
            let run = allocator.allocate(1).unwrap();
            let far = allocator.allocate_far_from(run.start, 1).unwrap();
            assert!(far.start.abs_diff(run.start) > allocator.managed() / 8);
        }
    }
}
