//! Natives on objects as such: boxed numbers, identity, class names, weak references, descriptions of exceptions.

use core::fmt::{self, Write};

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use super::digits::CANONICAL_NAN;
use super::text::{give, give_object, new_text};
use super::{float, object};
use crate::counting::{self, class_at, class_of};
use crate::heap;
use crate::loader::layout::{
    EXCEPTION_CAUSE, EXCEPTION_CODE, EXCEPTION_MESSAGE, EXCEPTION_TRACE, FUNCTION_LINES,
    FUNCTION_MODULE, FUNCTION_NAME, MODULE_NAME,
};
use crate::memory::layout::class::NAME;
use crate::memory::layout::object::{BOX_VALUE, CLASS};
use crate::memory::{AddressExt, Space};
use crate::natives::Context;
use crate::object::{array, string};
use crate::thread::{NativeResult, Outcome};

/// Longest description of an exception, in bytes.
const DESCRIPTION_MAX: usize = 4096;
/// Bytes of a message that a description shows.
const MESSAGE_MAX: usize = 1024;
/// Causes that a description follows.
const CAUSES_MAX: usize = 8;
/// Frames of a trace that a description shows.
const FRAMES_MAX: u64 = 16;

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
        _ => {
            let mut description = Description { bytes: [0; DESCRIPTION_MAX], length: 0 };
            // Full means cut: the rest is left out.
            let _ = describe(c.space, object(c, 0)?, &mut description);
            new_text(c, description.text())
        }
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

/// A text under construction on the stack.
struct Description {
    bytes: [u8; DESCRIPTION_MAX],
    length: usize,
}

impl Description {
    /// What fits, cut where a character ends.
    fn text(&self) -> &[u8] {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        valid(bytes)
    }

    /// Appends at most `limit` bytes of a string; nothing for null.
    fn string(&mut self, space: Space, text: ObjectAddress, limit: usize) -> fmt::Result {
        if text.is_null() {
            return Ok(());
        }
        let length = usize::try_from(string::length(space, text)).unwrap_or(limit).min(limit);
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let fits = length.min(room.len());
        let target = room.get_mut(..fits).ok_or(fmt::Error)?;
        space.read(string::byte_address(text, 0), target);
        self.length += valid(target).len();
        if fits < length { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The part of the bytes before the first that is not UTF-8.
fn valid(bytes: &[u8]) -> &[u8] {
    match core::str::from_utf8(bytes) {
        Ok(_) => bytes,
        Err(error) => bytes.get(..error.valid_up_to()).unwrap_or_default(),
    }
}

impl Write for Description {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let fits = text.len().min(room.len());
        for (target, source) in room.iter_mut().zip(text.as_bytes()) {
            *target = *source;
        }
        self.length += fits;
        if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Class, message and trace of an exception and of its causes.
fn describe(space: Space, exception: ObjectAddress, out: &mut Description) -> fmt::Result {
    let mut next = exception;
    for depth in 0..CAUSES_MAX {
        if depth > 0 {
            out.write_str("\ncaused by ")?;
        }
        let slot = |offset: u64| ObjectAddress(space.load(next.plus(offset)));
        let class = class_of(space, next);
        out.string(space, ObjectAddress(space.load(class.plus(NAME))), MESSAGE_MAX)?;
        let message = slot(EXCEPTION_MESSAGE);
        if !message.is_null() {
            out.write_str(": ")?;
            out.string(space, message, MESSAGE_MAX)?;
        }
        let code = space.load::<u64>(next.plus(EXCEPTION_CODE));
        if code != 0 {
            write!(out, " ({})", code.cast_signed())?;
        }
        trace(space, slot(EXCEPTION_TRACE), out)?;
        next = slot(EXCEPTION_CAUSE);
        if next.is_null() {
            return Ok(());
        }
    }
    out.write_str("\n...")
}

/// The frames of a trace: pairs of function and position in its code, innermost first.
fn trace(space: Space, words: ObjectAddress, out: &mut Description) -> fmt::Result {
    if words.is_null() {
        return Ok(());
    }
    let frames = array::length(space, words) / 2;
    for frame in 0..frames.min(FRAMES_MAX) {
        let function = ObjectAddress(space.load(array::slot(words, frame * 2)));
        let position = space.load::<u64>(array::slot(words, frame * 2 + 1));
        if space.load::<u32>(function.plus(CLASS)) != Builtin::Function as u32 {
            continue;
        }
        let slot = |of: ObjectAddress, offset: u64| ObjectAddress(space.load(of.plus(offset)));
        out.write_str("\n  at ")?;
        out.string(space, slot(slot(function, FUNCTION_MODULE), MODULE_NAME), MESSAGE_MAX)?;
        out.write_str(".")?;
        out.string(space, slot(function, FUNCTION_NAME), MESSAGE_MAX)?;
        match line(space, slot(function, FUNCTION_LINES), position) {
            Some(line) => write!(out, ", line {line}")?,
            None => write!(out, ", position {position}")?,
        }
    }
    if frames > FRAMES_MAX { write!(out, "\n  and {} more", frames - FRAMES_MAX) } else { Ok(()) }
}

/// The source line of a position.
fn line(space: Space, lines: ObjectAddress, position: u64) -> Option<u64> {
    if lines.is_null() {
        return None;
    }
    let entry = |at: u64| space.load::<u64>(array::slot(lines, at));
    let (mut low, mut high) = (0, array::length(space, lines));
    // The last entry at or before the position.
    while low < high {
        let middle = low + (high - low) / 2;
        if entry(middle) & 0xffff_ffff <= position { low = middle + 1 } else { high = middle }
    }
    low.checked_sub(1).map(|at| entry(at) >> 32)
}
