//! What programs want of the exact collector: words of the counting page, which the kernel looks at before it goes on.

use revenant_bytecode::{Builtin, Native};

use crate::counting::doubt::{self, Wish};
use crate::memory::AddressExt;
use crate::memory::layout::{area, system::counting};
use crate::natives::Context;
use crate::thread::{NativeResult, Outcome};
use revenant_hal::ObjectAddress;

/// Executes the native if it is one of this file's.
pub(super) fn call(native: Native, c: &Context) -> NativeResult {
    let wish = doubt::wish(c.space);
    let wanted = match native {
        Native::CollectorStart => Wish { start: true, pause: false, ..wish },
        Native::CollectorPause => Wish { pause: true, ..wish },
        Native::CollectorResume => Wish { pause: false, ..wish },
        Native::CollectorStop => Wish { stop: true, start: false, ..wish },
        Native::CollectorSweeps => {
            let sweeps = ObjectAddress(area::COUNTING).plus(counting::SWEEPS);
            c.set_raw(0, c.space.load(sweeps));
            return Ok(Outcome::Done);
        }
        _ => return Err(Builtin::NotSupportedException.into()),
    };
    doubt::set_wish(c.space, wanted);
    Ok(Outcome::Done)
}
