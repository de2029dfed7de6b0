//! One newtype for every number with a unit, so that a page can never be passed for a frame or a block.
//!
//! Invariant: none of them carries validity; a `BlockIndex` may lie beyond the device. Range checks belong to whoever
//! knows the range (store, pager, vm).

use core::fmt;

/// Bytes in a page of object space, a frame of RAM and a block of disk.
pub const PAGE_SIZE: usize = 4096;
/// [`PAGE_SIZE`] for address arithmetic.
pub const PAGE_SIZE_U64: u64 = 4096;
/// Bytes in a sector: the unit that a disk may tear.
pub const SECTOR_SIZE: usize = 512;
/// Sectors in a block.
pub const SECTORS_PER_BLOCK: usize = PAGE_SIZE / SECTOR_SIZE;
/// Entries in one x86-64 page table of any level.
pub const TABLE_ENTRIES: usize = 512;
/// First address of object space, 2^44.
pub const OBJECT_SPACE_BASE: u64 = 1 << 44;
/// Bytes of object space, 16 TiB: [2^44, 2^45).
pub const OBJECT_SPACE_SIZE: u64 = 1 << 44;
/// Pages of object space, 2^32.
pub const OBJECT_SPACE_PAGES: u64 = OBJECT_SPACE_SIZE / PAGE_SIZE_U64;

/// The content of one page, frame or block, aligned to a line of the processor's cache.
///
/// Not to a page: LLVM 22 (Rust 1.95 to 1.97) loses the prologue of functions that have a value aligned to 4 KiB or more on
/// their stack, probe it inline and return early without it (the pushes of saved registers and the alignment itself
/// vanish: shrink-wrapping and the probe's loop together). It crashed release builds of the tools; the kernel's target
/// probes inline too. What a page table or a device needs aligned is allocated with that layout.
#[derive(Clone, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct PageBytes(pub [u8; PAGE_SIZE]);

const _: () = assert!(align_of::<PageBytes>() < PAGE_SIZE);

impl PageBytes {
    /// A page of zeros.
    pub const ZERO: Self = Self([0; PAGE_SIZE]);
}

impl fmt::Debug for PageBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nonzero = self.0.iter().filter(|byte| **byte != 0).count();
        write!(formatter, "PageBytes({nonzero} bytes not zero)")
    }
}

macro_rules! unit {
    ($(#[$documentation:meta])* $name:ident, $inner:ty, $prefix:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The bare number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}", self.0)
            }
        }
    };
}

unit!(
    /// A page of object space, counted from [`OBJECT_SPACE_BASE`]; below [`OBJECT_SPACE_PAGES`].
    PageIndex, u64, "page "
);
unit!(
    /// A frame of RAM, counted in the pool that the pager was given.
    FrameIndex, u32, "frame "
);
unit!(
    /// A 4 KiB block of a disk, counted from its start.
    BlockIndex, u64, "block "
);
unit!(
    /// The time between two flips. Only grows, on every branch and over every rollback.
    Epoch, u64, "epoch "
);
unit!(
    /// The number of a superblock write. Only grows.
    Generation, u64, "generation "
);
unit!(
    /// A size in bytes.
    ByteCount, u64, "bytes "
);
unit!(
    /// A span or a point of time in nanoseconds, on the clock that the context names.
    Nanoseconds, u64, "ns "
);

/// An address in object space. Pointers in objects are exactly this number and never change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ObjectAddress(pub u64);

impl ObjectAddress {
    /// The page that holds this address, whatever its high bits say: an access is confined to object space.
    #[must_use]
    pub const fn page(self) -> PageIndex {
        PageIndex((self.0 & (OBJECT_SPACE_SIZE - 1)) / PAGE_SIZE_U64)
    }

    /// Whether the address lies in object space.
    #[must_use]
    pub const fn is_inside(self) -> bool {
        self.0 >= OBJECT_SPACE_BASE && self.0 < OBJECT_SPACE_BASE + OBJECT_SPACE_SIZE
    }
}

impl fmt::Debug for ObjectAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

impl PageIndex {
    /// The address of the page's first byte.
    #[must_use]
    pub const fn address(self) -> ObjectAddress {
        ObjectAddress(OBJECT_SPACE_BASE + self.0 * PAGE_SIZE_U64)
    }
}

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// 64 bits over the content that a reference names (FORMAT.md says how computed); kept beside the reference, never beside the content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Checksum(pub u64);

impl fmt::Debug for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_outside_object_space_is_confined_to_a_page_inside() {
        assert_eq!(ObjectAddress(u64::MAX).page(), PageIndex(OBJECT_SPACE_PAGES - 1));
        assert_eq!(PageIndex(7).address().page(), PageIndex(7));
        assert!(!ObjectAddress(OBJECT_SPACE_BASE - 1).is_inside());
        assert!(PageIndex(OBJECT_SPACE_PAGES - 1).address().is_inside());
        assert!(!PageIndex(OBJECT_SPACE_PAGES).address().is_inside());
    }
}
