//! Natives on arrays and byte buffers: bulk operations in steps, growth in place.
//!
//! The progress of a copy is kept in the step that copies: with overlap, a piece must not be copied twice.

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use super::long::{PIECE, PIECES};
use super::text::give;
use super::{INVALID, OUTSIDE, cursor, object, search};
use crate::counting::{class_of, count_down, count_up, touch_count};
use crate::exception::Thrown;
use crate::heap::AllocationError;
use crate::memory::layout::class::{ELEMENT_SHIFT, KIND, KIND_RAW_ARRAY, KIND_REFERENCE_ARRAY};
use crate::memory::layout::object::{CLASS, PAYLOAD};
use crate::memory::{AddressExt, Space};
use crate::natives::Context;
use crate::object::array;
use crate::thread::{NativeResult, Outcome};

/// References that one call copies, each in a step of its own.
const REFERENCES: u64 = 64;

/// Executes a native on arrays or buffers.
pub(super) fn call(native: Native, c: &Context) -> NativeResult {
    match native {
        Native::ArrayCopy => copy(c, INVALID),
        Native::ArrayFill => fill(c, c.raw(2), INVALID),
        // That it is a buffer, the verifier knows.
        Native::BufferCopy => copy(c, DAMAGED),
        Native::BufferFill => fill(c, c.raw(2), DAMAGED),
        Native::ArrayCompare => search::compare_arrays(c),
        _ => grow(c),
    }
}

/// What the verifier knows of an object does not hold.
const DAMAGED: Thrown = Thrown::New(Builtin::DamagedObjectException, 0);

/// Elements of an array as the machine sees them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elements {
    References,
    /// Log2 of the bytes of one.
    Raw(u32),
}

/// What an array holds; nothing for objects that are no arrays.
fn elements(space: Space, subject: ObjectAddress) -> Option<Elements> {
    let class = class_of(space, subject);
    if class.is_null() {
        return None;
    }
    match space.load::<u8>(class.plus(KIND)) {
        KIND_REFERENCE_ARRAY => Some(Elements::References),
        KIND_RAW_ARRAY => {
            Some(Elements::Raw(u32::from(space.load::<u8>(class.plus(ELEMENT_SHIFT)) & 3)))
        }
        _ => None,
    }
}

/// Whether `count` elements from `start` lie in the array.
fn holds(space: Space, subject: ObjectAddress, start: u64, count: u64) -> bool {
    start.checked_add(count).is_some_and(|end| end <= array::length(space, subject))
}

/// Copies elements; `unfit` is thrown if those are no arrays of one class.
fn copy(c: &Context, unfit: Thrown) -> NativeResult {
    let (source, target) = (object(c, 0)?, object(c, 1)?);
    let (from, to, count) = (c.raw(0), c.raw(1), c.raw(2));
    let class = |subject: ObjectAddress| c.space.load::<u32>(subject.plus(CLASS));
    let kind = elements(c.space, source).ok_or(unfit)?;
    if class(source) != class(target) {
        return Err(unfit);
    }
    if !holds(c.space, source, from, count) || !holds(c.space, target, to, count) {
        return Err(OUTSIDE);
    }
    // Towards higher addresses inside one array, from the end.
    let backwards = source == target && to > from;
    match kind {
        Elements::References => copy_references(c, (source, from), (target, to), count, backwards),
        Elements::Raw(shift) => {
            let place = |array: ObjectAddress, index: u64| array.plus(PAYLOAD + (index << shift));
            copy_bytes(c, place(source, from), place(target, to), count << shift, backwards)
        }
    }
}

fn done_before(c: &Context) -> u64 {
    cursor::under_way(c).map_or(0, |progress| progress.done)
}

/// The end of an operation, with its cursor if it needed one.
fn finish(c: &Context) -> NativeResult {
    cursor::touch(c);
    c.space.begin_changes();
    cursor::finish(c);
    Ok(Outcome::Done)
}

fn copy_bytes(
    c: &Context,
    source: ObjectAddress,
    target: ObjectAddress,
    total: u64,
    backwards: bool,
) -> NativeResult {
    let mut done = done_before(c);
    for _ in 0..PIECES {
        let piece = total.saturating_sub(done).min(PIECE);
        let offset = if backwards { total.saturating_sub(done + piece) } else { done };
        cursor::touch(c);
        c.space.touch_read_range(source.plus(offset), piece);
        c.space.touch_write_range(target.plus(offset), piece);
        c.space.begin_changes();
        c.space.copy(source.plus(offset), target.plus(offset), piece);
        done += piece;
        if done >= total {
            cursor::finish(c);
            return Ok(Outcome::Done);
        }
        cursor::keep(c, done, cursor::PLAIN);
        c.space.end_step();
    }
    Ok(Outcome::Again)
}

fn copy_references(
    c: &Context,
    (source, from): (ObjectAddress, u64),
    (target, to): (ObjectAddress, u64),
    count: u64,
    backwards: bool,
) -> NativeResult {
    let mut done = done_before(c);
    for _ in 0..REFERENCES {
        if done >= count {
            return finish(c);
        }
        let index = if backwards { count - done - 1 } else { done };
        let value = ObjectAddress(c.space.load(array::slot(source, from + index)));
        let slot = array::slot(target, to + index);
        cursor::touch(c);
        let before = ObjectAddress(c.space.load_for_change::<u64>(slot));
        touch_count(c.space, value);
        touch_count(c.space, before);
        c.space.begin_changes();
        if value != before {
            count_up(c.space, value);
            count_down(c.space, before);
            c.space.store(slot, value.0);
        }
        done += 1;
        cursor::keep(c, done, cursor::PLAIN);
        c.space.end_step();
    }
    Ok(Outcome::Again)
}

fn fill(c: &Context, value: u64, unfit: Thrown) -> NativeResult {
    let (subject, start, count) = (object(c, 0)?, c.raw(0), c.raw(1));
    let Some(Elements::Raw(shift)) = elements(c.space, subject) else { return Err(unfit) };
    if !holds(c.space, subject, start, count) {
        return Err(OUTSIDE);
    }
    let total = count << shift;
    let mut done = done_before(c);
    for _ in 0..PIECES {
        let piece = total.saturating_sub(done).min(PIECE);
        let place = subject.plus(PAYLOAD + (start << shift) + done);
        cursor::touch(c);
        c.space.touch_write_range(place, piece);
        c.space.begin_changes();
        fill_piece(c.space, place, piece, shift, value);
        done += piece;
        if done >= total {
            cursor::finish(c);
            return Ok(Outcome::Done);
        }
        cursor::keep(c, done, cursor::PLAIN);
        c.space.end_step();
    }
    Ok(Outcome::Again)
}

/// Part of a step that touched: writes the low bits of `value` to every element of the piece.
fn fill_piece(space: Space, place: ObjectAddress, bytes: u64, shift: u32, value: u64) {
    let [b0, b1, b2, b3, ..] = value.to_le_bytes();
    let (byte, half, word) =
        (b0, u16::from_le_bytes([b0, b1]), u32::from_le_bytes([b0, b1, b2, b3]));
    match shift {
        0 => space.fill(place, byte, bytes),
        1 => (0..bytes / 2).for_each(|at| space.store(place.plus(at * 2), half)),
        2 => (0..bytes / 4).for_each(|at| space.store(place.plus(at * 4), word)),
        _ => (0..bytes / 8).for_each(|at| space.store(place.plus(at * 8), value)),
    }
}

fn grow(c: &Context) -> NativeResult {
    let (buffer, bytes) = (object(c, 0)?, c.raw(0));
    if bytes.cast_signed() < 0 {
        return Err(INVALID);
    }
    c.touch_results();
    match array::grow_buffer(c.space, buffer, bytes) {
        Ok(before) => {
            c.set_raw(0, before);
            Ok(Outcome::Done)
        }
        Err(AllocationError::TooLarge) => give(c, u64::MAX),
        Err(error) => Err(Thrown::from(error)),
    }
}
