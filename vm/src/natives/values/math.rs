//! Elementary functions, from the one implementation that host and machine share, so that a program's results do not depend on
//! where it runs.

use revenant_bytecode::{Builtin, Native};

use super::float;
use crate::natives::Context;
use crate::thread::{NativeResult, Outcome};

/// Executes an elementary function.
pub(super) fn call(native: Native, c: &Context) -> NativeResult {
    let x = float(c, 0);
    let result = match native {
        Native::F64Sin => libm::sin(x),
        Native::F64Cos => libm::cos(x),
        Native::F64Tan => libm::tan(x),
        Native::F64Asin => libm::asin(x),
        Native::F64Acos => libm::acos(x),
        Native::F64Atan => libm::atan(x),
        Native::F64Atan2 => libm::atan2(x, float(c, 1)),
        Native::F64Exp => libm::exp(x),
        Native::F64Log => libm::log(x),
        Native::F64Log2 => libm::log2(x),
        Native::F64Log10 => libm::log10(x),
        Native::F64Pow => libm::pow(x, float(c, 1)),
        Native::F64Rem => libm::fmod(x, float(c, 1)),
        // Not a native on values: the caller's table and this one disagree.
        _ => return Err(Builtin::NotSupportedException.into()),
    };
    c.touch_results();
    c.space.begin_changes();
    c.set_raw(0, result.to_bits());
    Ok(Outcome::Done)
}
