//! Where things stand on the device, computed from its size alone (FORMAT.md 1).
//!
//! Invariants: the fixed places never move and are never handed out by the allocator; the ring's slots alternate between
//! the two ends of the device, so that the two newest generations never stand at the same end.

use revenant_hal::{BlockIndex, PAGE_SIZE_U64};

/// The version of the format that this code writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 2;
/// Slots in the superblock ring.
pub const RING_SLOTS: u64 = 8;
/// Blocks set aside for one slot; a superblock uses as many of them as its snapshot table needs.
pub const SLOT_BLOCKS: u64 = 4;
/// A line for people who look at the raw device. Never read by the store.
pub const LABEL_BLOCK: BlockIndex = BlockIndex(0);
/// The guard against two openers.
pub const GUARD_BLOCK: BlockIndex = BlockIndex(1);
/// The last words of a kernel that failed.
pub const EPITAPH_BLOCK: BlockIndex = BlockIndex(2);
/// The first slot at the head of the device.
const HEAD_RING: u64 = 4;
/// Blocks of half the ring.
const HALF_RING_BLOCKS: u64 = RING_SLOTS / 2 * SLOT_BLOCKS;
/// The first block behind the fixed places at the head.
const HEAD_END: u64 = HEAD_RING + HALF_RING_BLOCKS;
/// The smallest device: 4 MiB.
pub const MINIMUM_BLOCKS: u64 = 1024;
/// The largest device: 64 TiB, so that no computation with block numbers can overflow.
pub const MAXIMUM_BLOCKS: u64 = 1 << 34;
/// Blocks that one leaf of the free-space tree describes: one bit each.
pub(crate) const BLOCKS_PER_BITMAP: u64 = 4096 * 8;

/// The places of a store on a device of a given size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    blocks: u64,
}

impl Layout {
    /// The layout for a store of `blocks` blocks; none if that is too few or too many.
    #[must_use]
    pub const fn new(blocks: u64) -> Option<Self> {
        if blocks < MINIMUM_BLOCKS || blocks > MAXIMUM_BLOCKS {
            None
        } else {
            Some(Self { blocks })
        }
    }

    /// Blocks of the store.
    #[must_use]
    pub const fn blocks(self) -> u64 {
        self.blocks
    }

    /// The first block of slot `slot` (taken modulo the ring's size).
    #[must_use]
    pub const fn slot(self, slot: u64) -> BlockIndex {
        let slot = slot % RING_SLOTS;
        let start = if slot.is_multiple_of(2) { HEAD_RING } else { self.tail() };
        BlockIndex(start + slot / 2 * SLOT_BLOCKS)
    }

    /// The first block of the half ring at the tail.
    const fn tail(self) -> u64 {
        self.blocks - HALF_RING_BLOCKS
    }

    /// The region that belongs to the collector: first block and length.
    ///
    /// `marked` and `scanned` are one bit each a 16-byte granule: 64 bytes a block of disk. A bitmap page carries a
    /// header of 64 bytes, so it describes 63 blocks. A redo log of an eighth of that, at least 8 blocks, and two control
    /// blocks: this is the collector's maximum, whatever it does.
    #[must_use]
    pub const fn collector_region(self) -> (BlockIndex, u64) {
        let bitmaps = self.blocks.div_ceil(63);
        let log = bitmaps.div_ceil(8);
        let log = if log < 8 { 8 } else { log };
        (BlockIndex(HEAD_END), bitmaps + log + 2)
    }

    /// The blocks that the allocator hands out: first, and one past the last.
    #[must_use]
    pub const fn data_area(self) -> (u64, u64) {
        let (start, length) = self.collector_region();
        (start.0 + length, self.tail())
    }

    /// Leaves of the free-space tree.
    #[must_use]
    pub const fn bitmap_leaves(self) -> u64 {
        self.blocks.div_ceil(BLOCKS_PER_BITMAP)
    }

    /// Levels of nodes above the leaves of the free-space tree; at least one.
    #[must_use]
    pub const fn bitmap_levels(self) -> u8 {
        let mut levels = 1;
        let mut reach = 128;
        while reach < self.bitmap_leaves() {
            reach *= 128;
            levels += 1;
        }
        levels
    }

    /// Bytes of RAM that the allocator may need: its four bitmaps, one for a deletion, one for what a given-up commit holds,
    /// and two for a whole tree on its way to the disk.
    #[must_use]
    pub const fn allocator_memory(self) -> u64 {
        self.bitmap_leaves() * PAGE_SIZE_U64 * 8
    }

    /// Blocks of one whole free-space tree: every leaf and node twice.
    #[must_use]
    pub const fn bitmap_tree_blocks(self) -> u64 {
        let mut total = 0;
        let mut width = self.bitmap_leaves();
        let mut level = 0;
        while level <= self.bitmap_levels() {
            total += width * 2;
            width = width.div_ceil(128);
            level += 1;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_places_do_not_overlap_on_any_size() {
        for blocks in [MINIMUM_BLOCKS, 1025, 262_144, 1 << 24, MAXIMUM_BLOCKS] {
            let layout = Layout::new(blocks).unwrap();
            let (region, length) = layout.collector_region();
            let (first, end) = layout.data_area();
            assert!(layout.slot(6).0 + SLOT_BLOCKS <= region.0);
            assert_eq!(region.0 + length, first);
            assert!(first < end);
            assert_eq!(layout.slot(1).0, end);
            assert_eq!(layout.slot(7).0 + SLOT_BLOCKS, blocks);
            assert!(layout.bitmap_tree_blocks() * 8 < end - first, "the pool fits");
        }
        assert_eq!(Layout::new(MINIMUM_BLOCKS - 1), None);
        assert_eq!(Layout::new(MAXIMUM_BLOCKS + 1), None);
    }

    #[test]
    fn consecutive_generations_stand_at_opposite_ends() {
        let layout = Layout::new(262_144).unwrap();
        for generation in 0..20 {
            let near = layout.slot(generation).0 < layout.blocks() / 2;
            assert_ne!(near, layout.slot(generation + 1).0 < layout.blocks() / 2);
        }
    }
}
