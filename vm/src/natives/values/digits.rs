//! Numbers to text and back without memory: everything in a buffer of the stack.
//!
//! Floats are written as the shortest decimal that reads back as the same number: plainly from 1e-7 to below 1e21, with an
//! exponent outside. A NaN is `NaN`, infinities `inf` and `-inf`. Reading takes what writing gives and Rust's other decimal forms.

use core::fmt::{self, Write};

/// Longest text of a number: 309 digits before the point, [`DECIMALS_MAX`] after it.
const CAPACITY: usize = 700;
/// Most decimals that can be asked for.
pub(super) const DECIMALS_MAX: usize = 340;
/// Longest text that is read as a number.
pub(super) const TEXT_MAX: usize = 1024;

/// The text of a number.
pub(super) struct Digits {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Digits {
    const fn new() -> Self {
        Self { bytes: [0; CAPACITY], length: 0 }
    }

    /// What was written.
    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut digits = Self::new();
        // The buffer is longer than any number, so nothing is lost.
        let _ = digits.write_fmt(arguments);
        digits
    }

    /// The shortest decimal that reads back as the number.
    pub(super) fn float(number: f64) -> Self {
        let size = number.abs();
        if size == 0.0 || !number.is_finite() || (1e-7..1e21).contains(&size) {
            Self::of(format_args!("{number}"))
        } else {
            Self::of(format_args!("{number:e}"))
        }
    }

    /// A number with exactly so many decimals, rounded from its exact value, ties to even.
    pub(super) fn fixed(number: f64, decimals: usize) -> Self {
        Self::of(format_args!("{number:.decimals$}"))
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.checked_add(text.len()).ok_or(fmt::Error)?;
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Longest text of an integer: 20 digits, or 19 and a sign.
const INTEGER_MAX: usize = 20;

/// The text of an integer in decimal; what texts are made of most often, so it is short.
pub(super) struct Decimal {
    /// The text stands at the end.
    bytes: [u8; INTEGER_MAX],
    start: usize,
}

impl Decimal {
    pub(super) fn signed(number: i64) -> Self {
        let mut decimal = Self::unsigned(number.unsigned_abs());
        if number < 0 {
            decimal.put(b'-');
        }
        decimal
    }

    pub(super) fn unsigned(number: u64) -> Self {
        let mut decimal = Self { bytes: [0; INTEGER_MAX], start: INTEGER_MAX };
        let mut rest = number;
        loop {
            decimal.put(b'0' + u8::try_from(rest % 10).unwrap_or(0));
            rest /= 10;
            if rest == 0 {
                return decimal;
            }
        }
    }

    /// In front of what is there. The buffer is as long as any integer.
    fn put(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(place) = self.bytes.get_mut(self.start) {
            *place = byte;
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The i64 that a text is, if it is one.
pub(super) fn parse_signed(text: &[u8]) -> Option<i64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// The f64 that a text is, if it is one; a NaN is the canonical one.
pub(super) fn parse_float(text: &[u8]) -> Option<f64> {
    let number: f64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    Some(if number.is_nan() { f64::from_bits(CANONICAL_NAN) } else { number })
}

/// The bits that every NaN has where bits are visible (ISA.md 3).
pub(super) const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;
