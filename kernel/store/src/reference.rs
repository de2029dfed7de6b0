//! References and nodes: the 32 bytes by which a parent names a block, and the block of 128 of them.
//!
//! Invariants: a reference carries everything that is needed to distrust what it points at (checksum, birth), so a
//! misdirected, stale or rotten block is noticed by whoever reads it; a node is nothing but references, so every bit of it
//! is covered by its parent's checksum. This file reads untrusted bytes: no indexing, no unchecked arithmetic.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::checksum::checksum;
use alloc::boxed::Box;
use revenant_hal::{BlockIndex, Checksum, Epoch, PageBytes};

/// Bytes of a reference.
pub(crate) const REFERENCE_BYTES: usize = 32;
/// References in a node.
pub const FANOUT: usize = 128;
/// Bits of an index that one level of nodes consumes.
pub(crate) const FANOUT_BITS: u32 = 7;
/// Levels of nodes in a page map: 5 x 7 bits cover the 32 bits of a page index.
pub const MAP_LEVELS: u8 = 5;

/// The block of a reference to what is lost.
const LOST: BlockIndex = BlockIndex(u64::MAX);

const _: () = assert!(FANOUT * REFERENCE_BYTES == revenant_hal::PAGE_SIZE);
const _: () = assert!(FANOUT == 1 << FANOUT_BITS);
const _: () = assert!(FANOUT_BITS * MAP_LEVELS as u32 >= 32);

/// What a parent says about a block. All zero: there is no block, and everything below reads as zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reference {
    /// Where it stands; 0 for nothing.
    pub block: BlockIndex,
    /// Where its second copy stands; 0 for none.
    pub mirror: BlockIndex,
    /// The epoch whose snapshot it was written for.
    pub birth: Epoch,
    /// Of its 4096 bytes: [`checksum`].
    pub checksum: Checksum,
}

impl Reference {
    /// Nothing: reads as zeros.
    pub const ZERO: Self = Self {
        block: BlockIndex(0),
        mirror: BlockIndex(0),
        birth: Epoch(0),
        checksum: Checksum(0),
    };

    /// What stood here is lost, a page or everything below a node: the node that named it could not be read. Its block
    /// is beyond every device, so that whoever does not know the mark fails to read it and never takes it for zeros.
    #[must_use]
    pub const fn lost(node: BlockIndex, birth: Epoch) -> Self {
        Self { block: LOST, mirror: node, birth, checksum: Checksum(0) }
    }

    /// Whether there is no block.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.block.0 == 0
    }

    /// Whether what stood here is lost ([`Reference::lost`]); `mirror` is then the block of the node that named it.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.block.0 == LOST.0
    }

    /// Whether `bytes` are what this reference names.
    #[must_use]
    pub fn matches(&self, bytes: &PageBytes) -> bool {
        checksum(bytes) == self.checksum
    }

    /// Decodes 32 bytes.
    #[must_use]
    pub fn decode(bytes: &[u8; REFERENCE_BYTES]) -> Self {
        let word = |at: usize| read_u64(bytes, at);
        Self {
            block: BlockIndex(word(0)),
            mirror: BlockIndex(word(8)),
            birth: Epoch(word(16)),
            checksum: Checksum(word(24)),
        }
    }

    /// Encodes to 32 bytes, little endian: block, mirror, birth, checksum.
    #[must_use]
    pub fn encode(&self) -> [u8; REFERENCE_BYTES] {
        let mut bytes = [0; REFERENCE_BYTES];
        write_u64(&mut bytes, 0, self.block.0);
        write_u64(&mut bytes, 8, self.mirror.0);
        write_u64(&mut bytes, 16, self.birth.0);
        write_u64(&mut bytes, 24, self.checksum.0);
        bytes
    }

    /// The blocks it occupies: none, one or two.
    pub fn blocks(&self) -> impl Iterator<Item = BlockIndex> + use<> {
        let lost = self.is_lost();
        [self.block, self.mirror].into_iter().filter(move |block| block.0 != 0 && !lost)
    }
}

/// A node of a page map or of the free-space tree: 128 references.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node(pub Box<PageBytes>);

impl Default for Node {
    fn default() -> Self {
        Self(Box::new(PageBytes::ZERO))
    }
}

impl Node {
    /// The reference at `index`; zero beyond the node.
    #[must_use]
    pub fn get(&self, index: usize) -> Reference {
        let (all, _) = self.0.0.as_chunks::<REFERENCE_BYTES>();
        all.get(index).map_or(Reference::ZERO, Reference::decode)
    }

    /// A node that says the same of everything below it.
    #[must_use]
    pub(crate) fn filled(reference: Reference) -> Self {
        let mut node = Self::default();
        let (all, _) = node.0.0.as_chunks_mut::<REFERENCE_BYTES>();
        all.fill(reference.encode());
        node
    }

    /// Stores the reference at `index`, which is below [`FANOUT`].
    pub fn set(&mut self, index: usize, reference: Reference) {
        let (all, _) = self.0.0.as_chunks_mut::<REFERENCE_BYTES>();
        let place = all.get_mut(index);
        assert!(place.is_some(), "index of a reference is below the fan-out");
        if let Some(place) = place {
            *place = reference.encode();
        }
    }

    /// All references in order.
    pub fn references(&self) -> impl Iterator<Item = Reference> + '_ {
        self.0.0.as_chunks::<REFERENCE_BYTES>().0.iter().map(Reference::decode)
    }
}

/// Reads a little-endian word; zero where the bytes end early.
#[must_use]
pub(crate) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    at.checked_add(8)
        .and_then(|end| bytes.get(at..end))
        .and_then(|slice| slice.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

/// Reads a little-endian half word; zero where the bytes end early.
#[must_use]
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    at.checked_add(4)
        .and_then(|end| bytes.get(at..end))
        .and_then(|slice| slice.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

/// Writes a little-endian word; the place exists (offsets are constants of the format).
pub(crate) fn write_u64(bytes: &mut [u8], at: usize, value: u64) {
    write_bytes(bytes, at, &value.to_le_bytes());
}

/// Writes a little-endian half word; the place exists.
pub(crate) fn write_u32(bytes: &mut [u8], at: usize, value: u32) {
    write_bytes(bytes, at, &value.to_le_bytes());
}

/// Copies `value` to `at`; the place exists.
pub(crate) fn write_bytes(bytes: &mut [u8], at: usize, value: &[u8]) {
    let place = at.checked_add(value.len()).and_then(|end| bytes.get_mut(at..end));
    assert!(place.is_some(), "a field of the format lies inside its block");
    if let Some(place) = place {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gives_back_what_was_stored() {
        let mut node = Node::default();
        let reference = Reference {
            block: BlockIndex(7),
            mirror: BlockIndex(9),
            birth: Epoch(3),
            checksum: Checksum(0x0123_4567_89ab_cdef),
        };
        node.set(127, reference);
        assert_eq!(node.get(127), reference);
        assert_eq!(node.get(126), Reference::ZERO);
        assert_eq!(node.get(FANOUT), Reference::ZERO);
        assert_eq!(node.references().filter(|found| !found.is_zero()).count(), 1);
        assert_eq!(reference.blocks().count(), 2);
        assert_eq!(Reference::ZERO.blocks().count(), 0);
        let lost = Reference::lost(BlockIndex(9), Epoch(4));
        let node = Node::filled(lost);
        assert!(
            node.references().all(|found| found == lost && found.is_lost() && !found.is_zero())
        );
        assert_eq!(lost.blocks().count(), 0);
    }
}
