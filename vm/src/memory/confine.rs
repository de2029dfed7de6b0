//! Confinement: the arithmetic that keeps every access inside object space, whatever number it is given.
//!
//! Invariant: for all inputs, the bytes [result, result + width) lie in [2^44, 2^45). It is on in release too; neither a
//! verifier bug nor a damaged heap can reach the kernel.

use revenant_hal::{OBJECT_SPACE_BASE, OBJECT_SPACE_SIZE};

const MASK: u64 = OBJECT_SPACE_SIZE - 1;

/// The address itself if it lies in object space, else one that does.
#[inline(always)]
#[must_use]
pub const fn confine(address: u64) -> u64 {
    (address & MASK) | OBJECT_SPACE_BASE
}

/// Like [`confine`], aligned down to `WIDTH` (a power of two), so that a whole word of that width fits.
#[inline(always)]
#[must_use]
pub const fn confine_aligned<const WIDTH: u64>(address: u64) -> u64 {
    (address & (MASK & !(WIDTH - 1))) | OBJECT_SPACE_BASE
}

/// Like [`confine`] for `width` bytes at any alignment: moved down where the end would be crossed.
/// `width` is at most the size of object space.
#[inline(always)]
#[must_use]
pub const fn confine_range(address: u64, width: u64) -> u64 {
    let start = confine(address);
    let last = OBJECT_SPACE_BASE + OBJECT_SPACE_SIZE - width;
    if start > last { last } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;
    use revenant_hal::ObjectAddress;

    #[test]
    fn every_number_is_confined_with_its_whole_width() {
        let mut number = 1_u64;
        let mut numbers = alloc::vec![0, u64::MAX, OBJECT_SPACE_BASE, 2 * OBJECT_SPACE_BASE - 1];
        for _ in 0..10_000 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            numbers.push(number);
        }
        for number in numbers {
            assert!(ObjectAddress(confine(number)).is_inside());
            assert!(ObjectAddress(confine_aligned::<8>(number) + 7).is_inside());
            assert!(confine_aligned::<8>(number).is_multiple_of(8));
            for width in [1, 2, 4, 8, 4096, 1 << 32] {
                let start = confine_range(number, width);
                assert!(ObjectAddress(start).is_inside());
                assert!(ObjectAddress(start + width - 1).is_inside());
            }
        }
        assert_eq!(confine(OBJECT_SPACE_BASE + 123), OBJECT_SPACE_BASE + 123);
    }
}
