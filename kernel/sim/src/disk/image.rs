//! What a disk holds: a sparse array of blocks whose clones share everything that was not written since.

use revenant_hal::{BlockIndex, PAGE_SIZE, PageBytes};
use std::sync::Arc;

const CHUNK_BLOCKS: usize = 256;

type Chunk = [Option<Arc<PageBytes>>; CHUNK_BLOCKS];

static ZERO: PageBytes = PageBytes::ZERO;

/// The blocks of a device at one moment. Blocks never written read as zeros. A clone costs one reference count.
#[derive(Clone)]
pub struct Image {
    blocks: u64,
    chunks: Arc<Vec<Option<Arc<Chunk>>>>,
}

impl Image {
    /// A device of zeros.
    #[must_use]
    pub fn new(blocks: u64) -> Self {
        let chunks = usize::try_from(blocks).unwrap_or(usize::MAX).div_ceil(CHUNK_BLOCKS);
        Self { blocks, chunks: Arc::new(vec![None; chunks]) }
    }

    /// Blocks on the device.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    fn place(&self, block: BlockIndex) -> (usize, usize) {
        assert!(block.0 < self.blocks, "{block:?} lies beyond the device of {}", self.blocks);
        let index = usize::try_from(block.0).unwrap_or(usize::MAX);
        (index / CHUNK_BLOCKS, index % CHUNK_BLOCKS)
    }

    /// A block's content. Panics beyond the device.
    #[must_use]
    pub fn read(&self, block: BlockIndex) -> &PageBytes {
        let (chunk, slot) = self.place(block);
        match &self.chunks[chunk] {
            Some(blocks) => blocks[slot].as_deref().unwrap_or(&ZERO),
            None => &ZERO,
        }
    }

    /// Replaces a block. Panics beyond the device.
    pub fn write(&mut self, block: BlockIndex, page: Arc<PageBytes>) {
        let (chunk, slot) = self.place(block);
        let chunks = Arc::make_mut(&mut self.chunks);
        let blocks = chunks[chunk].get_or_insert_with(|| Arc::new([const { None }; CHUNK_BLOCKS]));
        Arc::make_mut(blocks)[slot] = Some(page);
    }

    /// Changes a block in place: bit rot, damage by hand. Panics beyond the device.
    pub fn damage(&mut self, block: BlockIndex, change: impl FnOnce(&mut [u8; PAGE_SIZE])) {
        let mut page = self.read(block).clone();
        change(&mut page.0);
        self.write(block, Arc::new(page));
    }

    /// The blocks that were ever written, in order.
    pub fn written(&self) -> impl Iterator<Item = BlockIndex> + '_ {
        self.chunks.iter().enumerate().flat_map(|(chunk, blocks)| {
            let slots = blocks.iter().flat_map(|blocks| blocks.iter().enumerate());
            slots
                .filter(|(_, page)| page.is_some())
                .map(move |(slot, _)| BlockIndex((chunk * CHUNK_BLOCKS + slot) as u64))
        })
    }
}

impl PartialEq for Image {
    /// Equal size and equal content of every block.
    fn eq(&self, other: &Self) -> bool {
        self.blocks == other.blocks
            && self.written().chain(other.written()).all(|b| self.read(b) == other.read(b))
    }
}

impl core::fmt::Debug for Image {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Image({} blocks, {} written)", self.blocks, self.written().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_does_not_see_later_writes() {
        let mut image = Image::new(1000);
        image.damage(BlockIndex(999), |bytes| bytes[0] = 1);
        let clone = image.clone();
        image.damage(BlockIndex(999), |bytes| bytes[0] = 2);
        assert_eq!(clone.read(BlockIndex(999)).0[0], 1);
        assert_ne!(image, clone);
        assert_eq!(image.written().collect::<Vec<_>>(), [BlockIndex(999)]);
    }
}
