//! Natives on strings: touch all, then change; the operations themselves stand in `object`.

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use super::digits::{self, Decimal, Digits, TEXT_MAX};
use super::long::{self, Job};
use super::{INVALID, OUTSIDE, float, object, search};
use crate::exception::Thrown;
use crate::memory::layout::object::PAYLOAD;
use crate::memory::{AddressExt, Space};
use crate::natives::Context;
use crate::object::{array, string};
use crate::thread::{NativeResult, Outcome};

/// Executes a native on strings.
pub(super) fn call(native: Native, c: &Context) -> NativeResult {
    match native {
        Native::StringLength => give(c, string::length(c.space, object(c, 0)?)),
        Native::StringByte => byte(c),
        Native::StringCharacter => character(c),
        Native::StringEquals => search::equals(c),
        Native::StringCompare => search::compare(c),
        Native::StringHash => search::hash(c),
        Native::StringConcat => long::build(c, &Job::text(both(c)?)),
        Native::StringConcatI64 => {
            let digits = Decimal::signed(c.raw(0).cast_signed());
            long::build(c, &Job { between: digits.text(), ..Job::text(both(c)?) })
        }
        Native::StringSlice => slice(c),
        Native::StringFind => search::find(c),
        Native::StringFromI64 => new_text(c, Decimal::signed(c.raw(0).cast_signed()).text()),
        Native::StringFromU64 => new_text(c, Decimal::unsigned(c.raw(0)).text()),
        Native::StringFromF64 => new_text(c, Digits::float(float(c, 0)).text()),
        Native::StringFromCharacter => {
            let mut bytes = [0; 4];
            new_text(c, encode(c.raw(0), &mut bytes)?)
        }
        Native::StringFromBytes => from_bytes(c),
        Native::StringToBytes => {
            let text = object(c, 0)?;
            let parts = [whole(c.space, text), (ObjectAddress(0), 0)];
            long::build(c, &Job { class: Builtin::ByteArray, ..Job::text(parts) })
        }
        Native::StringParseI64 => {
            let mut buffer = [0; TEXT_MAX];
            let number = digits::parse_signed(short_text(c, &mut buffer)?).ok_or(INVALID)?;
            give(c, number.cast_unsigned())
        }
        _ => {
            let mut buffer = [0; TEXT_MAX];
            let number = digits::parse_float(short_text(c, &mut buffer)?).ok_or(INVALID)?;
            give(c, number.to_bits())
        }
    }
}

/// Writes the only result, raw.
pub(super) fn give(c: &Context, word: u64) -> NativeResult {
    c.touch_results();
    c.space.begin_changes();
    c.set_raw(0, word);
    Ok(Outcome::Done)
}

/// Writes the only result, an object that is whole.
pub(super) fn give_object(c: &Context, made: ObjectAddress) -> NativeResult {
    c.space.end_step();
    c.touch_results();
    c.space.begin_changes();
    c.set_reference(0, made.0);
    Ok(Outcome::Done)
}

/// -1, 0 or 1 as an i32 in a register.
pub(super) const fn order_word(order: core::cmp::Ordering) -> u64 {
    (order as i8 as i32).cast_unsigned() as u64
}

/// A new string of a short text of the stack.
pub(super) fn new_text(c: &Context, text: &[u8]) -> NativeResult {
    let made = string::from_bytes(c.space, c.allocator, text)?;
    give_object(c, made)
}

/// UTF-8 of the code point in a register.
pub(super) fn encode(word: u64, bytes: &mut [u8; 4]) -> Result<&[u8], Thrown> {
    let character = u32::try_from(word).ok().and_then(char::from_u32).ok_or(INVALID)?;
    Ok(character.encode_utf8(bytes).as_bytes())
}

/// Where the text of a string lies, and its bytes.
fn whole(space: Space, text: ObjectAddress) -> (ObjectAddress, u64) {
    (string::byte_address(text, 0), string::length(space, text))
}

/// Both arguments, as the parts of a new text.
fn both(c: &Context) -> Result<[(ObjectAddress, u64); 2], Thrown> {
    Ok([whole(c.space, object(c, 0)?), whole(c.space, object(c, 1)?)])
}

/// The text of the first argument, if it is short enough to be a number.
fn short_text<'b>(c: &Context, buffer: &'b mut [u8; TEXT_MAX]) -> Result<&'b [u8], Thrown> {
    let (start, length) = whole(c.space, object(c, 0)?);
    let length = usize::try_from(length).map_err(|_| INVALID)?;
    let bytes = buffer.get_mut(..length).ok_or(INVALID)?;
    c.space.read(start, bytes);
    Ok(bytes)
}

fn byte(c: &Context) -> NativeResult {
    let (text, position) = (object(c, 0)?, c.raw(0));
    if position >= string::length(c.space, text) {
        return Err(OUTSIDE);
    }
    let byte = c.space.load::<u8>(string::byte_address(text, position));
    give(c, u64::from(byte))
}

/// Whether a character begins at a position, or the text ends there.
fn is_boundary(space: Space, text: ObjectAddress, position: u64) -> bool {
    position == string::length(space, text)
        || space.load::<u8>(string::byte_address(text, position)) & 0xc0 != 0x80
}

fn character(c: &Context) -> NativeResult {
    let (text, position) = (object(c, 0)?, c.raw(0));
    let length = string::length(c.space, text);
    if position >= length {
        return Err(OUTSIDE);
    }
    let mut buffer = [0; 4];
    let bytes = usize::try_from(length - position).unwrap_or(4).min(4);
    let bytes = buffer.get_mut(..bytes).ok_or(OUTSIDE)?;
    c.space.read(string::byte_address(text, position), bytes);
    let valid = match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes
            .get(..error.valid_up_to())
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or_default(),
    };
    // Nothing valid begins inside a character.
    let character = valid.chars().next().ok_or(INVALID)?;
    c.touch_results();
    c.space.begin_changes();
    c.set_raw(0, u64::from(u32::from(character)));
    c.set_raw(1, position + character.len_utf8() as u64);
    Ok(Outcome::Done)
}

fn slice(c: &Context) -> NativeResult {
    let (text, start, end) = (object(c, 0)?, c.raw(0), c.raw(1));
    if start > end || end > string::length(c.space, text) {
        return Err(OUTSIDE);
    }
    if !is_boundary(c.space, text, start) || !is_boundary(c.space, text, end) {
        return Err(INVALID);
    }
    let part = (string::byte_address(text, start), end - start);
    long::build(c, &Job::text([part, (ObjectAddress(0), 0)]))
}

fn from_bytes(c: &Context) -> NativeResult {
    let (bytes, start, count) = (object(c, 0)?, c.raw(0), c.raw(1));
    let end = start.checked_add(count).ok_or(OUTSIDE)?;
    if end > array::length(c.space, bytes) {
        return Err(OUTSIDE);
    }
    let part = (bytes.plus(PAYLOAD + start), count);
    let parts = [part, (ObjectAddress(0), 0)];
    long::build(c, &Job { checked: Some(INVALID), ..Job::text(parts) })
}
