//! Cases of boxed numbers, exceptions and any object, of what is wanted of the collector, and of mathematics.

use revenant_bytecode::{Builtin, Native};

use super::super::world::{Case, World};
use super::{case, floats};
use crate::loader::layout::{EXCEPTION_CAUSE, EXCEPTION_CODE, EXCEPTION_MESSAGE};
use crate::memory::AddressExt;

fn exception(world: &World<'_>) {
    let (outer, inner) = (
        world.plain(Builtin::InvalidArgumentException),
        world.plain(Builtin::DivideByZeroException),
    );
    let message = world.string("no such account");
    world.refer(outer.plus(EXCEPTION_MESSAGE), message);
    world.refer(outer.plus(EXCEPTION_CAUSE), inner);
    world.space.store(inner.plus(EXCEPTION_CODE), 7_u64);
    world.space.end_step();
    world.references(&[outer]);
}

pub(in super::super) const OBJECT: &[Case] = &[
    case(Native::LongNew, |w| w.raws(&[42]), "42"),
    case(
        Native::LongValue,
        |w| {
            let made = w.long(42);
            w.references(&[made]);
        },
        "42 [42]",
    ),
    case(Native::DoubleNew, |w| floats(w, &[0.5]), "0.5"),
    case(Native::DoubleNew, |w| w.raws(&[0xfff8_0000_0000_0001]), "NaN"),
    case(
        Native::DoubleValue,
        |w| {
            let made = w.double(0.5);
            w.references(&[made]);
        },
        "0.5 [0.5]",
    ),
    case(Native::ObjectClassName, |w| w.references(&[w.string("x")]), "\"String\""),
    case(
        Native::ObjectHash,
        |w| {
            let made = w.long(42);
            w.references(&[made]);
        },
        "(its address)",
    ),
    case(
        Native::ObjectClassName,
        |w| {
            let made = w.long(42);
            w.references(&[made]);
        },
        "\"Long\"",
    ),
    case(
        Native::WeakNew,
        |w| {
            let made = w.long(42);
            w.references(&[made]);
        },
        "WeakReference",
    ),
    case(
        Native::WeakGet,
        |w| {
            let made = w.long(42);
            let class = crate::counting::class_at(w.space, Builtin::WeakReference as u32);
            let weak = crate::counting::weak_reference(w.space, w.allocator, class, made).unwrap();
            w.space.end_step();
            w.references(&[weak]);
        },
        "42",
    ),
    case(
        Native::ExceptionDescribe,
        exception,
        "\"InvalidArgumentException: no such account\\ncaused by DivideByZeroException (7)\"",
    ),
];

pub(in super::super) const COLLECTOR: &[Case] = &[
    case(Native::CollectorStart, |_| {}, ""),
    case(Native::CollectorPause, |_| {}, ""),
    case(Native::CollectorResume, |_| {}, ""),
    case(Native::CollectorStop, |_| {}, ""),
    case(Native::CollectorSweeps, |_| {}, "0"),
];

pub(in super::super) const MATH: &[Case] = &[
    case(Native::F64Sin, |w| floats(w, &[0.0]), "0"),
    case(Native::F64Cos, |w| floats(w, &[0.0]), "1"),
    case(Native::F64Tan, |w| floats(w, &[0.0]), "0"),
    case(Native::F64Asin, |w| floats(w, &[1.0]), "1.5707963267948966"),
    case(Native::F64Acos, |w| floats(w, &[1.0]), "0"),
    case(Native::F64Atan, |w| floats(w, &[1.0]), "0.7853981633974483"),
    case(Native::F64Atan2, |w| floats(w, &[1.0, -1.0]), "2.356194490192345"),
    case(Native::F64Exp, |w| floats(w, &[1.0]), "2.7182818284590455"),
    case(Native::F64Log, |w| floats(w, &[-1.0]), "NaN"),
    case(Native::F64Log2, |w| floats(w, &[8.0]), "3"),
    case(Native::F64Log10, |w| floats(w, &[1000.0]), "3"),
    case(Native::F64Pow, |w| floats(w, &[2.0, 0.5]), "1.4142135623730951"),
    case(Native::F64Rem, |w| floats(w, &[-7.5, 2.0]), "-1.5"),
];
