//! Exceptions as text: class, message, number, the frames of the trace, then the same of the causes.
//!
//! A description looks at many objects, so it is made in steps, one item each: the text so far is a byte array in the thread's
//! cursor, the progress counts items and bytes. `exception.describe` makes a string of it; a thread that ends by an
//! exception prints it. Neighbours: `exception` (records the trace), `console` (prints what nobody caught).

use core::fmt::{self, Write};

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::{cursor, long};
use crate::counting::{self, class_at, class_of};
use crate::exception::Thrown;
use crate::loader::layout::{
    EXCEPTION_CAUSE, EXCEPTION_CODE, EXCEPTION_MESSAGE, EXCEPTION_TRACE, FUNCTION_CODE,
    FUNCTION_LINES, FUNCTION_MODULE, FUNCTION_NAME, MODULE_NAME,
};
use crate::memory::layout::class::NAME;
use crate::memory::layout::object::{CLASS, PAYLOAD};
use crate::memory::{AddressExt, Space};
use crate::natives::Context;
use crate::object::{array, string};
use crate::thread::{NativeResult, Outcome};

/// Longest description, in bytes: with what stands around it, a print that is one step.
const DESCRIPTION_MAX: u64 = 3072;
/// Bytes of a message that a description shows.
const MESSAGE_MAX: usize = 512;
/// Bytes of a name that a description shows.
const NAME_MAX: usize = 120;
/// Exceptions that a description shows: the one and its causes.
const CAUSES_MAX: u64 = 4;
/// Frames of a trace that are recorded and shown.
pub(crate) const FRAMES_MAX: usize = 16;
/// Items of one exception: class, message, two a frame.
const ITEMS: u64 = 2 + 2 * FRAMES_MAX as u64;
/// Number of the item after the last.
const COMPLETE: u64 = 0xffff_ffff;

/// Makes the description in steps. `None`: call again; the number of bytes in [`bytes_of`] once it is complete.
///
/// # Errors
/// No memory to be had.
pub(crate) fn advance(c: &Context, exception: ObjectAddress) -> Result<Option<u64>, Thrown> {
    let Some(progress) = cursor::under_way(c) else {
        let class = class_at(c.space, Builtin::ByteArray as u32);
        c.space.end_step();
        let buffer = array::allocate(c.space, c.allocator, class, DESCRIPTION_MAX)?;
        c.space.end_step();
        long::begin(c, buffer, 0)?;
        c.space.end_step();
        return Ok(None);
    };
    let (length, mut item) = (progress.done >> 32, progress.done & 0xffff_ffff);
    if item == COMPLETE {
        return Ok(Some(length));
    }
    let mut piece = Piece { bytes: [0; PIECE_MAX], length: 0 };
    // Full means cut: the rest is left out.
    let next = write_item(c.space, exception, item, &mut piece).unwrap_or(None);
    let room = usize::try_from(DESCRIPTION_MAX.saturating_sub(length)).unwrap_or(0);
    let whole = piece.text();
    let text = valid(whole.get(..whole.len().min(room)).unwrap_or_default());
    item = if text.len() < whole.len() { COMPLETE } else { next.unwrap_or(COMPLETE) };
    c.space.end_step();
    let place = bytes_of(c).plus(length);
    cursor::touch(c);
    c.space.touch_write_range(place, text.len() as u64);
    c.space.begin_changes();
    c.space.write(place, text);
    cursor::keep(c, (length + text.len() as u64) << 32 | item, cursor::PLAIN);
    c.space.end_step();
    Ok(None)
}

/// Where the text under construction lies.
pub(crate) fn bytes_of(c: &Context) -> ObjectAddress {
    cursor::object(c).plus(PAYLOAD)
}

/// `exception.describe`. Steps.
pub(super) fn describe(c: &Context, exception: ObjectAddress) -> NativeResult {
    for _ in 0..long::PIECES {
        if let Some(length) = advance(c, exception)? {
            return finish(c, length);
        }
    }
    Ok(Outcome::Again)
}

/// Makes a string of the text in the cursor, which lets go of it.
fn finish(c: &Context, length: u64) -> NativeResult {
    c.space.end_step();
    let made = string::allocate(c.space, c.allocator, length)?;
    c.space.end_step();
    string::copy_into(c.space, made, 0, bytes_of(c), length);
    let buffer = cursor::object(c);
    c.space.end_step();
    cursor::touch(c);
    counting::touch_count(c.space, buffer);
    c.touch_results();
    c.space.begin_changes();
    c.space.store(c.cursor_reference(), 0_u64);
    cursor::finish(c);
    counting::count_down(c.space, buffer);
    c.set_reference(0, made.0);
    Ok(Outcome::Done)
}

/// Most bytes of an item.
const PIECE_MAX: usize = 640;

/// An item under construction on the stack.
struct Piece {
    bytes: [u8; PIECE_MAX],
    length: usize,
}

impl Piece {
    /// What fits, cut where a character ends.
    fn text(&self) -> &[u8] {
        valid(self.bytes.get(..self.length).unwrap_or_default())
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

impl Write for Piece {
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

/// The item's text; the number of the next, or none after the last.
fn write_item(
    space: Space,
    first: ObjectAddress,
    item: u64,
    out: &mut Piece,
) -> Result<Option<u64>, fmt::Error> {
    let (depth, part) = (item / ITEMS, item % ITEMS);
    let slot = |of: ObjectAddress, offset: u64| ObjectAddress(space.load(of.plus(offset)));
    let mut exception = first;
    for _ in 0..depth {
        // Somebody may take a cause away meanwhile.
        exception = slot(exception, EXCEPTION_CAUSE);
        if exception.is_null() {
            return Ok(None);
        }
    }
    let trace = slot(exception, EXCEPTION_TRACE);
    match part {
        0 => {
            out.write_str(if depth > 0 { "\ncaused by " } else { "" })?;
            out.string(space, slot(class_of(space, exception), NAME), NAME_MAX)?;
        }
        1 => {
            let message = slot(exception, EXCEPTION_MESSAGE);
            if !message.is_null() {
                out.write_str(": ")?;
                out.string(space, message, MESSAGE_MAX)?;
            }
            let code = space.load::<u64>(exception.plus(EXCEPTION_CODE));
            if code != 0 {
                write!(out, " ({})", code.cast_signed())?;
            }
        }
        _ if trace.is_null() => {}
        _ => {
            let frame = (part - 2) / 2;
            let function = array::reference(space, trace, frame * 2);
            let instruction = array::reference(space, trace, frame * 2 + 1);
            if part.is_multiple_of(2) {
                write_function(space, function, out)?;
            } else {
                write_line(space, function, instruction, out)?;
            }
        }
    }
    let frames = if trace.is_null() { 0 } else { array::length(space, trace) / 2 };
    let items = 2 + 2 * frames.min(FRAMES_MAX as u64);
    let has_cause = !slot(exception, EXCEPTION_CAUSE).is_null();
    Ok(if part + 1 < items {
        Some(item + 1)
    } else if has_cause && depth + 1 < CAUSES_MAX {
        Some((depth + 1) * ITEMS)
    } else {
        None
    })
}

/// Whether a word of a trace is a function; programs can write anything there.
fn is_function(space: Space, function: ObjectAddress) -> bool {
    !function.is_null() && space.load::<u32>(function.plus(CLASS)) == Builtin::Function as u32
}

fn write_function(space: Space, function: ObjectAddress, out: &mut Piece) -> fmt::Result {
    if !is_function(space, function) {
        return Ok(());
    }
    let slot = |of: ObjectAddress, offset: u64| ObjectAddress(space.load(of.plus(offset)));
    out.write_str("\n  at ")?;
    out.string(space, slot(slot(function, FUNCTION_MODULE), MODULE_NAME), NAME_MAX)?;
    out.write_str(".")?;
    out.string(space, slot(function, FUNCTION_NAME), NAME_MAX)
}

fn write_line(
    space: Space,
    function: ObjectAddress,
    instruction: ObjectAddress,
    out: &mut Piece,
) -> fmt::Result {
    if !is_function(space, function) {
        return Ok(());
    }
    let code: u64 = space.load(function.plus(FUNCTION_CODE));
    let position = instruction.0.wrapping_sub(code) / 8;
    match line(space, ObjectAddress(space.load(function.plus(FUNCTION_LINES))), position) {
        Some(line) => write!(out, ", line {line}"),
        None => write!(out, ", position {position}"),
    }
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
