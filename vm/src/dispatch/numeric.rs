//! The arithmetic of the machine: WebAssembly's numeric operations on the 64-bit words of raw registers.
//!
//! Every function here is pure and total; what can fail answers with the [`Slow`] reason to throw. Invariant: an i32 or an f32 is
//! zero-extended in its word, in and out. Floats whose bits programs can see are made canonical by [`canonical_f32`] and
//! [`canonical_f64`]; rounding and square roots come from `libm`, the same code on host and metal. Neighbour: `bodies`.

use super::state::Slow;

/// The low 32 bits of a register.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "an i32 register is its low half")]
pub(super) const fn low(word: u64) -> u32 {
    word as u32
}

/// The low 32 bits as a signed number.
#[inline(always)]
pub(super) const fn signed32(word: u64) -> i32 {
    low(word).cast_signed()
}

/// The word of a 32-bit result.
#[inline(always)]
pub(super) const fn word32(value: u32) -> u64 {
    value as u64
}

/// The f32 in a word.
#[inline(always)]
pub(super) const fn float32(word: u64) -> f32 {
    f32::from_bits(low(word))
}

/// The f64 in a word.
#[inline(always)]
pub(super) const fn float64(word: u64) -> f64 {
    f64::from_bits(word)
}

/// The bits of an f32 as programs may see them: every NaN is one.
#[inline(always)]
pub(super) const fn canonical_f32(value: f32) -> u32 {
    if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() }
}

/// The bits of an f64 as programs may see them: every NaN is one.
#[inline(always)]
pub(super) const fn canonical_f64(value: f64) -> u64 {
    if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() }
}

/// The low `BYTES` bytes, sign-extended to 32 bits.
#[inline(always)]
pub(super) const fn sign_extend_to_32<const BYTES: u32>(word: u64) -> u64 {
    let shift = 32 - 8 * BYTES;
    word32(((low(word) << shift).cast_signed() >> shift).cast_unsigned())
}

/// The low `BYTES` bytes, sign-extended to 64 bits.
#[inline(always)]
pub(super) const fn sign_extend_to_64<const BYTES: u32>(word: u64) -> u64 {
    let shift = 64 - 8 * BYTES;
    ((word << shift).cast_signed() >> shift).cast_unsigned()
}

/// Negation as an operation: `not (a < b)` is true for a NaN, `a >= b` is not.
#[inline(always)]
pub(super) const fn not(condition: bool) -> bool {
    !condition
}

macro_rules! conversions {
    ($($name:ident: $integer:ty, $of:ident, $float:ty;)*) => { $(
        /// Integer to float, rounded to nearest.
        #[inline(always)]
        #[expect(clippy::allow_attributes, reason = "some of the conversions are exact")]
        #[allow(clippy::cast_precision_loss, clippy::cast_lossless, reason = "rounds to nearest, as specified")]
        pub(super) fn $name(word: u64) -> u64 {
            let value: $integer = $of(word);
            ((value as $float).to_bits()).into()
        }
    )* };
}
conversions! {
    convert_s32_f32: i32, signed32, f32;
    convert_u32_f32: u32, low, f32;
    convert_s64_f32: i64, signed64, f32;
    convert_u64_f32: u64, identity, f32;
    convert_s32_f64: i32, signed32, f64;
    convert_u32_f64: u32, low, f64;
    convert_s64_f64: i64, signed64, f64;
    convert_u64_f64: u64, identity, f64;
}

#[inline(always)]
const fn signed64(word: u64) -> i64 {
    word.cast_signed()
}

#[inline(always)]
const fn identity(word: u64) -> u64 {
    word
}

/// `f32.demote_f64`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounds to nearest, as specified")]
pub(super) fn demote(word: u64) -> u64 {
    word32((float64(word) as f32).to_bits())
}

/// `f64.promote_f32`.
#[inline(always)]
pub(super) fn promote(word: u64) -> u64 {
    f64::from(float32(word)).to_bits()
}

macro_rules! saturations {
    ($($name:ident: $integer:ty;)*) => { $(
        /// Float to integer, rounded to zero, saturating; 0 for a NaN.
        #[inline(always)]
        #[expect(clippy::allow_attributes, reason = "not every one of them can lose a sign")]
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as specified")]
        pub(super) fn $name(value: f64) -> u64 {
            word_of(value as $integer)
        }
    )* };
}
saturations! {
    saturate_s32: i32;
    saturate_u32: u32;
    saturate_s64: i64;
    saturate_u64: u64;
}

/// The register word of an integer of any kind.
trait Word {
    fn word(self) -> u64;
}

macro_rules! words {
    ($($kind:ty: $function:expr;)*) => { $(impl Word for $kind {
        #[inline(always)]
        fn word(self) -> u64 {
            $function(self)
        }
    })* };
}
words! {
    i32: |value: i32| word32(value.cast_unsigned());
    u32: word32;
    i64: i64::cast_unsigned;
    u64: identity;
}

#[inline(always)]
fn word_of<W: Word>(value: W) -> u64 {
    value.word()
}

macro_rules! integer_division {
    ($signed:ty, $unsigned:ty, $div_s:ident, $div_u:ident, $rem_s:ident, $rem_u:ident) => {
        /// Signed quotient; throws on zero and on overflow.
        #[inline(always)]
        pub(super) const fn $div_s(left: $unsigned, right: $unsigned) -> Result<$unsigned, Slow> {
            let (left, right) = (left.cast_signed(), right.cast_signed());
            if right == 0 {
                return Err(Slow::DivideByZero);
            }
            match left.checked_div(right) {
                Some(quotient) => Ok(quotient.cast_unsigned()),
                None => Err(Slow::IntegerOverflow),
            }
        }

        /// Unsigned quotient; throws on zero.
        #[inline(always)]
        pub(super) const fn $div_u(left: $unsigned, right: $unsigned) -> Result<$unsigned, Slow> {
            match left.checked_div(right) {
                Some(quotient) => Ok(quotient),
                None => Err(Slow::DivideByZero),
            }
        }

        /// Signed remainder with the sign of the dividend; throws on zero.
        #[inline(always)]
        pub(super) const fn $rem_s(left: $unsigned, right: $unsigned) -> Result<$unsigned, Slow> {
            if right == 0 {
                return Err(Slow::DivideByZero);
            }
            Ok(left.cast_signed().wrapping_rem(right.cast_signed()).cast_unsigned())
        }

        /// Unsigned remainder; throws on zero.
        #[inline(always)]
        pub(super) const fn $rem_u(left: $unsigned, right: $unsigned) -> Result<$unsigned, Slow> {
            match left.checked_rem(right) {
                Some(remainder) => Ok(remainder),
                None => Err(Slow::DivideByZero),
            }
        }
    };
}
integer_division!(i32, u32, div_s32, div_u32, rem_s32, rem_u32);
integer_division!(i64, u64, div_s64, div_u64, rem_s64, rem_u64);

/// Why a float does not convert: it is no number, or its integer part does not fit.
#[inline(always)]
fn checked_range(value: f64, low_exclusive: f64, high_exclusive: f64) -> Result<(), Slow> {
    // Written so that a NaN fails.
    if value > low_exclusive && value < high_exclusive { Ok(()) } else { Err(Slow::Conversion) }
}

/// `i32.trunc_*_s`; every f32 is an f64 exactly, so one function serves both.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
pub(super) fn trunc_s32(value: f64) -> Result<u64, Slow> {
    checked_range(value, -2_147_483_649.0, 2_147_483_648.0)?;
    Ok(word32((value as i32).cast_unsigned()))
}

/// `i32.trunc_*_u`.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range was checked"
)]
pub(super) fn trunc_u32(value: f64) -> Result<u64, Slow> {
    checked_range(value, -1.0, 4_294_967_296.0)?;
    Ok(word32(value as u32))
}

/// `i64.trunc_*_s`. The least i64 is an f64, and nothing lies between it and the next f64 below.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
pub(super) fn trunc_s64(value: f64) -> Result<u64, Slow> {
    checked_range(value, -9_223_372_036_854_777_856.0, 9_223_372_036_854_775_808.0)?;
    Ok((value as i64).cast_unsigned())
}

/// `i64.trunc_*_u`.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range was checked"
)]
pub(super) fn trunc_u64(value: f64) -> Result<u64, Slow> {
    checked_range(value, -1.0, 18_446_744_073_709_551_616.0)?;
    Ok(value as u64)
}

macro_rules! float_extremes {
    ($float:ty, $minimum:ident, $maximum:ident) => {
        /// The smaller; NaN if either is; -0 is below +0.
        #[inline(always)]
        pub(super) fn $minimum(left: $float, right: $float) -> $float {
            if left < right {
                left
            } else if right < left {
                right
            } else if left == right {
                // Equal numbers differ at most in the sign of zero: the union of the signs is the smaller.
                <$float>::from_bits(left.to_bits() | right.to_bits())
            } else {
                <$float>::NAN
            }
        }

        /// The greater; NaN if either is; +0 is above -0.
        #[inline(always)]
        pub(super) fn $maximum(left: $float, right: $float) -> $float {
            if left > right {
                left
            } else if right > left {
                right
            } else if left == right {
                <$float>::from_bits(left.to_bits() & right.to_bits())
            } else {
                <$float>::NAN
            }
        }
    };
}
float_extremes!(f32, min32, max32);
float_extremes!(f64, min64, max64);

#[cfg(test)]
mod tests {
    use super::{
        Slow, canonical_f32, canonical_f64, div_s32, div_s64, div_u32, max64, min32, min64,
        rem_s32, rem_s64, trunc_s32, trunc_s64, trunc_u32, trunc_u64, word32,
    };

    #[test]
    fn division_throws_on_zero_and_overflow_and_remainder_of_the_least_is_zero() {
        assert_eq!(div_s32(7, 0xffff_fffe), Ok(0xffff_fffd));
        assert_eq!(div_s32(1 << 31, u32::MAX), Err(Slow::IntegerOverflow));
        assert_eq!(div_s64(1 << 63, u64::MAX), Err(Slow::IntegerOverflow));
        assert_eq!(rem_s32(1 << 31, u32::MAX), Ok(0));
        assert_eq!(rem_s64(1 << 63, u64::MAX), Ok(0));
        assert_eq!(rem_s32(0xffff_fff9, 2), Ok(u32::MAX));
        assert_eq!(div_u32(1, 0), Err(Slow::DivideByZero));
    }

    #[test]
    fn truncation_accepts_exactly_what_fits() {
        assert_eq!(trunc_s32(-2_147_483_648.9), Ok(1 << 31));
        assert_eq!(trunc_s32(2_147_483_648.0), Err(Slow::Conversion));
        assert_eq!(trunc_u32(-0.9), Ok(0));
        assert_eq!(trunc_u32(4_294_967_295.9), Ok(word32(u32::MAX)));
        assert_eq!(trunc_u32(-1.0), Err(Slow::Conversion));
        assert_eq!(trunc_s64(-9_223_372_036_854_775_808.0), Ok(1 << 63));
        assert_eq!(trunc_s64(9_223_372_036_854_775_808.0), Err(Slow::Conversion));
        assert_eq!(trunc_u64(18_446_744_073_709_549_568.0), Ok(18_446_744_073_709_549_568));
        assert_eq!(trunc_u64(f64::NAN), Err(Slow::Conversion));
    }

    #[test]
    fn zeros_have_an_order_and_a_nan_wins() {
        assert_eq!(min64(0.0, -0.0).to_bits(), (-0.0f64).to_bits());
        assert_eq!(max64(-0.0, 0.0).to_bits(), 0);
        assert!(min32(1.0, f32::NAN).is_nan());
        assert_eq!(canonical_f64(f64::from_bits(0xfff8_0000_0000_0001)), 0x7ff8_0000_0000_0000);
        assert_eq!(canonical_f32(f32::from_bits(0xffc0_0001)), 0x7fc0_0000);
    }
}
