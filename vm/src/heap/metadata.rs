//! The metadata byte of an object: start, count, batch. Found by arithmetic on the address alone.
//!
//! Invariant: nothing here changes memory but [`store`]; counting policy is in `counting`.

use revenant_hal::ObjectAddress;

use crate::memory::Space;
use crate::memory::layout::{BLOCK, object};

/// Where the metadata byte of the granule at `address` lies.
#[inline(always)]
#[must_use]
pub const fn address_of(address: ObjectAddress) -> ObjectAddress {
    let base = address.0 & !(BLOCK - 1);
    ObjectAddress(base + ((address.0 & (BLOCK - 1)) >> 4))
}

/// The metadata byte of an object, by value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata(pub u8);

impl Metadata {
    /// Whether an object starts here.
    #[inline(always)]
    #[must_use]
    pub const fn starts(self) -> bool {
        self.0 & object::META_START != 0
    }

    /// References from the heap; [`Self::STICKY`] and above are not exact.
    #[inline(always)]
    #[must_use]
    pub const fn count(self) -> u8 {
        (self.0 & object::META_COUNT_MASK) / object::META_COUNT_ONE
    }

    /// The count at which counting stops for good.
    pub const STICKY: u8 = object::META_COUNT_MASK / object::META_COUNT_ONE;

    /// Whether nothing in the heap refers to the object.
    #[inline(always)]
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 & object::META_COUNT_MASK == 0
    }

    /// Whether the count has stuck.
    #[inline(always)]
    #[must_use]
    pub const fn is_sticky(self) -> bool {
        self.0 & object::META_COUNT_MASK == object::META_COUNT_MASK
    }

    /// The batch in which the object stands: 0 none, 1 or 2.
    #[inline(always)]
    #[must_use]
    pub const fn batch(self) -> u8 {
        self.0 >> object::META_BATCH_SHIFT
    }

    /// With another batch.
    #[inline(always)]
    #[must_use]
    pub const fn with_batch(self, batch: u8) -> Self {
        Self(self.0 & !object::META_BATCH_MASK | batch << object::META_BATCH_SHIFT)
    }

    /// One reference more, unless stuck.
    #[inline(always)]
    #[must_use]
    pub const fn incremented(self) -> Self {
        if self.is_sticky() { self } else { Self(self.0 + object::META_COUNT_ONE) }
    }

    /// One reference less, unless stuck or already zero (damage).
    #[inline(always)]
    #[must_use]
    pub const fn decremented(self) -> Self {
        if self.is_sticky() || self.is_zero() {
            self
        } else {
            Self(self.0 - object::META_COUNT_ONE)
        }
    }

    /// With a count that never changes again.
    #[must_use]
    pub const fn stuck(self) -> Self {
        Self(self.0 | object::META_COUNT_MASK)
    }
}

/// Reads the byte of an object.
#[inline(always)]
#[must_use]
pub fn load(space: Space, object: ObjectAddress) -> Metadata {
    Metadata(space.load(address_of(object)))
}

/// Reads the byte of an object and makes its page writable.
#[inline(always)]
#[must_use]
pub fn load_for_change(space: Space, object: ObjectAddress) -> Metadata {
    Metadata(space.load_for_change(address_of(object)))
}

/// Writes the byte of an object.
#[inline(always)]
pub fn store(space: Space, object: ObjectAddress, metadata: Metadata) {
    space.store(address_of(object), metadata.0);
}
