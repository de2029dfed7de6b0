//! Physical memory through the loader's map of it: every physical address is readable at a fixed distance.
//!
//! Invariant: the map lies outside object space and stays as the loader made it; it is used for the kernel's heap, for
//! page tables, for frames that are not mapped writable in object space, and for devices.

use crate::entry::PHYSICAL_MAP;

/// Where the map shows a physical address.
#[must_use]
pub(crate) const fn virtual_address(physical: u64) -> usize {
    to_usize(PHYSICAL_MAP + physical)
}

/// The physical address that the map shows here, for addresses inside the map.
#[must_use]
pub(crate) const fn physical_address(address: usize) -> u64 {
    (address as u64).wrapping_sub(PHYSICAL_MAP)
}

/// The kernel runs on 64 bits, where the two are the same.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "usize has 64 bits on the only machine there is"
)]
pub(crate) const fn to_usize(number: u64) -> usize {
    const _: () = assert!(size_of::<usize>() == size_of::<u64>());
    number as usize
}
