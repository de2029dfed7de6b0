//! What a mark has found alive, added up block by block when marks are compared with start bits: nothing is read for it that is not read anyway.
//!
//! What is known then is what the block table and the metadata pages say: sizes, counts, how full blocks are. Classes and ages stand in headers,
//! which would be a second reading of the heap; `revenant disk report` has them.
//!
//! Invariant: a checkpoint carries the sums of exactly the blocks that it says are compared, so that they are right after any cut.

use crate::bytes::{read_u32, read_u64, write_u32, write_u64};
use revenant_vm::memory::layout::{GRANULE, block};

/// Sizes that are told apart: the size classes, and large objects behind them.
pub(crate) const SIZES: usize = block::SIZE_CLASSES.len() + 1;
/// Steps in which the fill of blocks is told.
pub(crate) const FILLS: usize = 10;

/// Bytes of the sums in a control block.
pub(crate) const ENCODED: usize = SIZES * SIZE_BYTES + FILLS * 4 + 4 + 8 + 8;
/// Bytes of those of one size.
const SIZE_BYTES: usize = 24;

/// Objects of one size that are alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BySize {
    /// How many.
    pub objects: u64,
    /// References to them from the heap and from tables, of those whose count has not stuck.
    pub references: u64,
    /// Those whose count has stuck.
    pub stuck: u64,
}

/// What is alive, by size; and where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Survivors {
    /// By size class; large objects last.
    pub sizes: [BySize; SIZES],
    /// Blocks of small objects by how much of them live objects take, in tenths.
    pub fills: [u32; FILLS],
    /// Blocks and large objects that were looked at: all, or the sums are not those of the whole heap.
    pub blocks: u32,
    /// Pages of blocks of small objects on which something lives.
    pub pages: u64,
    /// Bytes of the payloads of large objects that may differ from zero.
    pub large_bytes: u64,
}

/// A sum that ends at the largest number: what stands in a region may be anything.
fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

impl Default for Survivors {
    fn default() -> Self {
        Self {
            sizes: [BySize::default(); SIZES],
            fills: [0; FILLS],
            blocks: 0,
            pages: 0,
            large_bytes: 0,
        }
    }
}

impl Survivors {
    /// Objects alive.
    #[must_use]
    pub fn objects(&self) -> u64 {
        sum(self.sizes.iter().map(|size| size.objects))
    }

    /// Those of them whose count has stuck.
    #[must_use]
    pub fn stuck(&self) -> u64 {
        sum(self.sizes.iter().map(|size| size.stuck))
    }

    /// Bytes that they take: their cells, and what large ones have in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let cells = block::SIZE_CLASSES.map(|granules| u64::from(granules) * GRANULE);
        let small = self.sizes.iter().zip(cells);
        let small = small.map(|(size, cell)| size.objects.saturating_mul(cell));
        sum(small).saturating_add(self.large_bytes)
    }

    /// References to an object, in hundredths, on average over those whose count has not stuck.
    #[must_use]
    pub fn in_degree_hundredths(&self) -> u64 {
        let counted = sum(self.sizes.iter().map(|size| size.objects.saturating_sub(size.stuck)));
        let references = sum(self.sizes.iter().map(|size| size.references));
        references.saturating_mul(100).checked_div(counted).unwrap_or(0)
    }

    /// Adds an object with this count.
    pub(crate) fn object(&mut self, size: usize, count: u8, stuck: bool) {
        if let Some(sums) = self.sizes.get_mut(size) {
            sums.objects += 1;
            sums.stuck += u64::from(stuck);
            sums.references += if stuck { 0 } else { u64::from(count) };
        }
    }

    /// Adds a block of small objects of which so many granules live.
    pub(crate) fn block(&mut self, granules: u64, pages: u32) {
        let step = granules * FILLS as u64 / block::GRANULES;
        let step = usize::try_from(step).unwrap_or(FILLS).min(FILLS - 1);
        if let Some(blocks) = self.fills.get_mut(step) {
            *blocks += 1;
        }
        self.blocks += 1;
        self.pages += u64::from(pages);
    }

    /// Adds a large object's run.
    pub(crate) fn large(&mut self, bytes: u64) {
        self.blocks += 1;
        self.large_bytes = self.large_bytes.saturating_add(bytes);
    }

    /// Writes the sums into a control block.
    pub(crate) fn encode(&self, bytes: &mut [u8], start: usize) {
        for (place, size) in self.sizes.iter().enumerate() {
            let at = start + place * SIZE_BYTES;
            write_u64(bytes, at, size.objects);
            write_u64(bytes, at + 8, size.references);
            write_u64(bytes, at + 16, size.stuck);
        }
        let at = start + SIZES * SIZE_BYTES;
        for (place, blocks) in self.fills.iter().enumerate() {
            write_u32(bytes, at + place * 4, *blocks);
        }
        let at = at + FILLS * 4;
        write_u32(bytes, at, self.blocks);
        write_u64(bytes, at + 4, self.pages);
        write_u64(bytes, at + 12, self.large_bytes);
    }

    /// Reads them back.
    pub(crate) fn decode(bytes: &[u8], start: usize) -> Self {
        let mut found = Self::default();
        for (place, size) in found.sizes.iter_mut().enumerate() {
            let at = start + place * SIZE_BYTES;
            size.objects = read_u64(bytes, at);
            size.references = read_u64(bytes, at + 8);
            size.stuck = read_u64(bytes, at + 16);
        }
        let at = start + SIZES * SIZE_BYTES;
        for (place, blocks) in found.fills.iter_mut().enumerate() {
            *blocks = read_u32(bytes, at + place * 4);
        }
        let at = at + FILLS * 4;
        found.blocks = read_u32(bytes, at);
        found.pages = read_u64(bytes, at + 4);
        found.large_bytes = read_u64(bytes, at + 12);
        found
    }
}
