//! A set of blocks, one bit each, in the shape in which the free-space tree's leaves store it.
//!
//! Invariants: bit `b % 32768` of leaf `b / 32768`, least significant bit of each byte first; blocks beyond the device are
//! never asked for.

use crate::layout::BLOCKS_PER_BITMAP;
use crate::units::index;
use alloc::{boxed::Box, vec, vec::Vec};
use core::ops::Range;
use revenant_hal::{PAGE_SIZE, PageBytes};

const WORDS_PER_LEAF: usize = PAGE_SIZE / 8;

/// One bit a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// All clear.
    pub(crate) fn new(leaves: u64) -> Self {
        Self { words: vec![0; index(leaves) * WORDS_PER_LEAF] }
    }

    pub(crate) fn get(&self, block: u64) -> bool {
        self.words[index(block / 64)] & (1 << (block % 64)) != 0
    }

    pub(crate) fn set(&mut self, block: u64) {
        self.words[index(block / 64)] |= 1 << (block % 64);
    }

    pub(crate) fn clear(&mut self, block: u64) {
        self.words[index(block / 64)] &= !(1 << (block % 64));
    }

    /// Sets a range.
    pub(crate) fn set_range(&mut self, range: Range<u64>) {
        self.each_word(range, |word, bits| *word |= bits);
    }

    /// Clears a range.
    pub(crate) fn clear_range(&mut self, range: Range<u64>) {
        self.each_word(range, |word, bits| *word &= !bits);
    }

    /// Shows every word that has bits of a range, and which.
    fn each_word(&mut self, range: Range<u64>, change: impl Fn(&mut u64, u64)) {
        let mut at = range.start;
        while at < range.end {
            let next = range.end.min((at / 64 + 1) * 64);
            let bits = (u64::MAX >> (64 - (next - at))) << (at % 64);
            change(&mut self.words[index(at / 64)], bits);
            at = next;
        }
    }

    /// The word in which a block's bit stands.
    pub(crate) fn word(&self, block: u64) -> u64 {
        self.words[index(block / 64)]
    }

    /// The words of a leaf.
    pub(crate) fn leaf(&self, leaf: u64) -> &[u64] {
        let start = index(leaf) * WORDS_PER_LEAF;
        &self.words[start..start + WORDS_PER_LEAF]
    }

    /// The words of a leaf, to change.
    pub(crate) fn leaf_mut(&mut self, leaf: u64) -> &mut [u64] {
        let start = index(leaf) * WORDS_PER_LEAF;
        &mut self.words[start..start + WORDS_PER_LEAF]
    }

    /// A leaf as it stands on disk.
    pub(crate) fn encode_leaf(&self, leaf: u64) -> Box<PageBytes> {
        let mut page = Box::new(PageBytes::ZERO);
        for (bytes, word) in page.0.as_chunks_mut::<8>().0.iter_mut().zip(self.leaf(leaf)) {
            *bytes = word.to_le_bytes();
        }
        page
    }

    /// Takes a leaf from disk.
    pub(crate) fn decode_leaf(&mut self, leaf: u64, page: &PageBytes) {
        for (word, bytes) in self.leaf_mut(leaf).iter_mut().zip(page.0.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
    }

    /// Bits set.
    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The first clear bit in `from..end`.
    pub(crate) fn first_clear(&self, from: u64, end: u64) -> Option<u64> {
        self.first(from, end, 0)
    }

    /// The first set bit in `from..end`, or `end`.
    pub(crate) fn first_set(&self, from: u64, end: u64) -> u64 {
        self.first(from, end, u64::MAX).unwrap_or(end)
    }

    /// The first bit in `from..end` that is clear (`wanted` 0) or set (`wanted` all ones).
    fn first(&self, from: u64, end: u64, wanted: u64) -> Option<u64> {
        let mut at = from;
        while at < end {
            let word = self.words[index(at / 64)] ^ !wanted;
            let rest = word & (u64::MAX << (at % 64));
            if rest != 0 {
                let found = at / 64 * 64 + u64::from(rest.trailing_zeros());
                return (found < end).then_some(found);
            }
            at = (at / 64 + 1) * 64;
        }
        None
    }
}

/// The leaf that describes a block.
pub(crate) const fn leaf_of(block: u64) -> u64 {
    block / BLOCKS_PER_BITMAP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_survives_encoding_and_searches_find_the_edges() {
        let mut bitmap = Bitmap::new(2);
        bitmap.set_range(10..200);
        bitmap.set(40_000);
        assert_eq!(bitmap.first_clear(10, 65_536), Some(200));
        assert_eq!(bitmap.first_clear(10, 200), None);
        assert_eq!(bitmap.first_clear(0, 65_536), Some(0));
        assert_eq!(bitmap.first_set(200, 65_536), 40_000);
        assert_eq!(bitmap.first_set(200, 39_000), 39_000);
        assert_eq!(bitmap.count(), 191);
        let mut copy = Bitmap::new(2);
        for leaf in 0..2 {
            copy.decode_leaf(leaf, &bitmap.encode_leaf(leaf));
        }
        assert_eq!(copy, bitmap);
        copy.clear(40_000);
        assert!(!copy.get(40_000) && copy.get(199));
        copy.clear_range(12..190);
        assert_eq!(copy.first_clear(10, 200), Some(12));
        assert_eq!((copy.first_set(12, 300), copy.count()), (190, 12));
        copy.set_range(64..128);
        assert_eq!((copy.word(127), copy.count()), (u64::MAX, 76));
    }
}
