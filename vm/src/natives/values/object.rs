//! Natives on objects as such: boxed numbers, identity, class names, weak references.

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use super::digits::CANONICAL_NAN;
use super::text::{give, give_object};
use super::{description, float, object};
use crate::counting::{self, class_at, class_of};
use crate::heap;
use crate::memory::AddressExt;
use crate::memory::layout::class::NAME;
use crate::memory::layout::object::BOX_VALUE;
use crate::natives::Context;
use crate::thread::{NativeResult, Outcome};

/// Executes a native on objects.
pub(super) fn call(native: Native, c: &Context) -> NativeResult {
    match native {
        Native::LongNew => new_box(c, Builtin::Long, c.raw(0)),
        Native::DoubleNew => {
            let number = float(c, 0);
            let bits = if number.is_nan() { CANONICAL_NAN } else { number.to_bits() };
            new_box(c, Builtin::Double, bits)
        }
        Native::LongValue | Native::DoubleValue => {
            let value = c.space.load(object(c, 0)?.plus(BOX_VALUE));
            give(c, value)
        }
        Native::ObjectHash => give(c, object(c, 0)?.0 >> 4),
        Native::ObjectClassName => {
            let class = class_of(c.space, object(c, 0)?);
            let name = c.space.load(class.plus(NAME));
            give_object(c, ObjectAddress(name))
        }
        Native::WeakNew => {
            let class = class_at(c.space, Builtin::WeakReference as u32);
            let weak = counting::weak_reference(c.space, c.allocator, class, object(c, 0)?)?;
            give_object(c, weak)
        }
        Native::WeakGet => {
            c.touch_results();
            let target = counting::read_weak(c.space, object(c, 0)?);
            c.set_reference(0, target.0);
            Ok(Outcome::Done)
        }
        _ => description::describe(c, object(c, 0)?),
    }
}

/// A boxed number. The value is written in the step that makes the object.
fn new_box(c: &Context, class: Builtin, value: u64) -> NativeResult {
    let class = class_at(c.space, class as u32);
    let made = heap::allocate_plain(c.space, c.allocator, class)?;
    c.space.end_step();
    c.touch_results();
    c.space.touch_write(made.plus(BOX_VALUE));
    c.space.begin_changes();
    c.space.store(made.plus(BOX_VALUE), value);
    c.set_reference(0, made.0);
    Ok(Outcome::Done)
}
