//! Bodies of the operations that touch nothing but registers: numbers, moves, branches.
//!
//! Each takes the state and the instruction word and gives the state after the instruction. They are generic over the arithmetic, which
//! `table.rs` names; both back ends inline them. Neighbours: `heap` (objects), `calls` (frames), `numeric` (arithmetic).

use super::numeric::{float32, float64, low, word32};
use super::state::{Flow, Slow, State, a, b, c, wide};

/// The immediate in field c, sign-extended to 64 bits.
#[inline(always)]
fn immediate_c(word: u64) -> u64 {
    i64::from(c(word).cast_signed()).cast_unsigned()
}

/// The immediate in field b, sign-extended to 64 bits.
#[inline(always)]
fn immediate_b(word: u64) -> u64 {
    i64::from(b(word).cast_signed()).cast_unsigned()
}

/// The branch distance in field c.
#[inline(always)]
fn distance(word: u64) -> i32 {
    i32::from(c(word).cast_signed())
}

/// A result that may have to be thrown instead.
pub(super) trait Outcome<T> {
    /// The value, or why there is none.
    fn outcome(self) -> Result<T, Slow>;
}

impl<T> Outcome<T> for Result<T, Slow> {
    #[inline(always)]
    fn outcome(self) -> Result<T, Slow> {
        self
    }
}

macro_rules! plain_outcomes {
    ($($kind:ty),*) => { $(impl Outcome<$kind> for $kind {
        #[inline(always)]
        fn outcome(self) -> Result<$kind, Slow> {
            Ok(self)
        }
    })* };
}
plain_outcomes!(u32, u64, f32, f64);

/// `a = operation(b, c)` on 32 bits.
#[inline(always)]
pub(super) fn binary32<R: Outcome<u32>>(s: State, w: u64, operation: fn(u32, u32) -> R) -> Flow {
    let result = operation(low(s.raw(b(w))), low(s.raw(c(w)))).outcome()?;
    s.set_raw(a(w), word32(result));
    s.next()
}

/// `a = operation(b, immediate)` on 32 bits.
#[inline(always)]
pub(super) fn immediate32<R: Outcome<u32>>(s: State, w: u64, operation: fn(u32, u32) -> R) -> Flow {
    let result = operation(low(s.raw(b(w))), low(immediate_c(w))).outcome()?;
    s.set_raw(a(w), word32(result));
    s.next()
}

/// `a = operation(b, c)` on 64 bits.
#[inline(always)]
pub(super) fn binary64<R: Outcome<u64>>(s: State, w: u64, operation: fn(u64, u64) -> R) -> Flow {
    let result = operation(s.raw(b(w)), s.raw(c(w))).outcome()?;
    s.set_raw(a(w), result);
    s.next()
}

/// `a = operation(b, immediate)` on 64 bits.
#[inline(always)]
pub(super) fn immediate64<R: Outcome<u64>>(s: State, w: u64, operation: fn(u64, u64) -> R) -> Flow {
    let result = operation(s.raw(b(w)), immediate_c(w)).outcome()?;
    s.set_raw(a(w), result);
    s.next()
}

/// `a = operation(b)`, word to word.
#[inline(always)]
pub(super) fn unary(s: State, w: u64, operation: fn(u64) -> u64) -> Flow {
    s.set_raw(a(w), operation(s.raw(b(w))));
    s.next()
}

/// `a = operation(b)`, which may throw.
#[inline(always)]
pub(super) fn unary_checked(s: State, w: u64, operation: fn(u64) -> Result<u64, Slow>) -> Flow {
    s.set_raw(a(w), operation(s.raw(b(w)))?);
    s.next()
}

/// `a = operation(b, c)` on f32.
#[inline(always)]
pub(super) fn float_binary32(s: State, w: u64, operation: fn(f32, f32) -> f32) -> Flow {
    let result = operation(float32(s.raw(b(w))), float32(s.raw(c(w))));
    s.set_raw(a(w), word32(result.to_bits()));
    s.next()
}

/// `a = operation(b)` on f32.
#[inline(always)]
pub(super) fn float_unary32(s: State, w: u64, operation: fn(f32) -> f32) -> Flow {
    s.set_raw(a(w), word32(operation(float32(s.raw(b(w)))).to_bits()));
    s.next()
}

/// `a = operation(b, c)` on f64.
#[inline(always)]
pub(super) fn float_binary64(s: State, w: u64, operation: fn(f64, f64) -> f64) -> Flow {
    s.set_raw(a(w), operation(float64(s.raw(b(w))), float64(s.raw(c(w)))).to_bits());
    s.next()
}

/// `a = operation(b)` on f64.
#[inline(always)]
pub(super) fn float_unary64(s: State, w: u64, operation: fn(f64) -> f64) -> Flow {
    s.set_raw(a(w), operation(float64(s.raw(b(w)))).to_bits());
    s.next()
}

/// `a = test(b, c)`, 0 or 1.
#[inline(always)]
pub(super) fn compare(s: State, w: u64, test: fn(u64, u64) -> bool) -> Flow {
    s.set_raw(a(w), u64::from(test(s.raw(b(w)), s.raw(c(w)))));
    s.next()
}

/// `a = test(b, immediate)`, 0 or 1; the immediate is sign-extended to 64 bits.
#[inline(always)]
pub(super) fn compare_immediate(s: State, w: u64, test: fn(u64, u64) -> bool) -> Flow {
    s.set_raw(a(w), u64::from(test(s.raw(b(w)), immediate_c(w))));
    s.next()
}

/// Branches if `test(a, b)`.
#[inline(always)]
pub(super) fn branch_if(s: State, w: u64, test: fn(u64, u64) -> bool) -> Flow {
    if test(s.raw(a(w)), s.raw(b(w))) { s.branch(distance(w)) } else { s.next() }
}

/// Branches if `test(a, immediate)`; the immediate is sign-extended to 64 bits.
#[inline(always)]
pub(super) fn branch_if_immediate(s: State, w: u64, test: fn(u64, u64) -> bool) -> Flow {
    if test(s.raw(a(w)), immediate_b(w)) { s.branch(distance(w)) } else { s.next() }
}

/// Branches if `test` holds for references a and b.
#[inline(always)]
pub(super) fn branch_if_references(s: State, w: u64, test: fn(u64, u64) -> bool) -> Flow {
    if test(s.reference(a(w)), s.reference(b(w))) { s.branch(distance(w)) } else { s.next() }
}

/// Branches, over a wide distance, if the reference in a is null, or is not.
#[inline(always)]
pub(super) fn branch_null(s: State, w: u64, null: bool) -> Flow {
    if (s.reference(a(w)) == 0) == null { s.branch(wide(w)) } else { s.next() }
}

/// `jump`.
#[inline(always)]
pub(super) fn jump(s: State, w: u64) -> Flow {
    s.branch(wide(w))
}

/// `jump_table`.
#[inline(always)]
pub(super) fn jump_table(s: State, w: u64) -> Flow {
    let entries = u64::from(b(w));
    let entry = u64::from(low(s.raw(a(w))));
    if entry >= entries {
        return Ok(s.advance(usize::from(b(w)) + 1));
    }
    s.before_touch();
    let table = State::place(s.position.addr() as u64, 8);
    let distance: u64 = s.space.load(State::place(table.0, entry * 8));
    s.branch(low(distance).cast_signed())
}

/// `a = b`, raw.
#[inline(always)]
pub(super) fn move_raw(s: State, w: u64) -> Flow {
    s.set_raw(a(w), s.raw(b(w)));
    s.next()
}

/// `a = b`, reference.
#[inline(always)]
pub(super) fn move_reference(s: State, w: u64) -> Flow {
    s.set_reference(a(w), s.reference(b(w)));
    s.next()
}

/// `if c != 0 { a = b }`, raw.
#[inline(always)]
pub(super) fn move_raw_if(s: State, w: u64) -> Flow {
    if low(s.raw(c(w))) != 0 {
        s.set_raw(a(w), s.raw(b(w)));
    }
    s.next()
}

/// `if c != 0 { a = b }`, reference.
#[inline(always)]
pub(super) fn move_reference_if(s: State, w: u64) -> Flow {
    if low(s.raw(c(w))) != 0 {
        s.set_reference(a(w), s.reference(b(w)));
    }
    s.next()
}

/// `a = the wide immediate`, zero-extended or sign-extended.
#[inline(always)]
pub(super) fn constant(s: State, w: u64, sign_extend: bool) -> Flow {
    let value = if sign_extend { i64::from(wide(w)).cast_unsigned() } else { w >> 32 };
    s.set_raw(a(w), value);
    s.next()
}

/// `a = the literal word`.
#[inline(always)]
pub(super) fn long_constant(s: State, w: u64) -> Flow {
    s.set_raw(a(w), s.literal());
    Ok(s.advance(2))
}

/// `a = null`.
#[inline(always)]
pub(super) fn null(s: State, w: u64) -> Flow {
    s.set_reference(a(w), 0);
    s.next()
}

/// `a = b == c`, references.
#[inline(always)]
pub(super) fn references_equal(s: State, w: u64) -> Flow {
    s.set_raw(a(w), u64::from(s.reference(b(w)) == s.reference(c(w))));
    s.next()
}

/// `a = b == null`.
#[inline(always)]
pub(super) fn is_null(s: State, w: u64) -> Flow {
    s.set_raw(a(w), u64::from(s.reference(b(w)) == 0));
    s.next()
}

/// `a = b`, which must not be null.
#[inline(always)]
pub(super) fn null_check(s: State, w: u64) -> Flow {
    s.set_reference(a(w), s.object(b(w))?);
    s.next()
}
