//! Natives on string builders: touch all, then change; the operations themselves stand in `object`.

use revenant_bytecode::Native;
use revenant_hal::ObjectAddress;

use super::digits::{DECIMALS_MAX, Decimal, Digits};
use super::long::{self, Job, PIECE, PIECES};
use super::text::{encode, give, give_object};
use super::{CHANGED, INVALID, cursor, float, object};
use crate::memory::AddressExt;
use crate::memory::layout::object::BUILDER_BUFFER;
use crate::natives::Context;
use crate::object::string;
use crate::thread::{NativeResult, Outcome};

/// Bytes up to which a text is appended in one call.
const SHORT: u64 = 4 * PIECE;

/// Executes a native on builders.
pub(super) fn call(native: Native, c: &Context) -> NativeResult {
    match native {
        Native::BuilderNew => {
            let made = string::new_builder(c.space, c.allocator)?;
            give_object(c, made)
        }
        Native::BuilderAppend => append(c),
        Native::BuilderAppendI64 => append_text(c, Decimal::signed(c.raw(0).cast_signed()).text()),
        Native::BuilderAppendF64 => append_text(c, Digits::float(float(c, 0)).text()),
        Native::BuilderAppendFixed => {
            let decimals = usize::try_from(c.raw(1)).map_err(|_| INVALID)?;
            if decimals > DECIMALS_MAX {
                return Err(INVALID);
            }
            append_text(c, Digits::fixed(float(c, 0), decimals).text())
        }
        Native::BuilderAppendCharacter => {
            let mut bytes = [0; 4];
            append_text(c, encode(c.raw(0), &mut bytes)?)
        }
        Native::BuilderLength => give(c, string::builder_length(c.space, object(c, 0)?)),
        Native::BuilderClear => {
            string::clear_builder(c.space, object(c, 0)?);
            Ok(Outcome::Done)
        }
        _ => {
            let builder = object(c, 0)?;
            let buffer = ObjectAddress(c.space.load(builder.plus(BUILDER_BUFFER)));
            let part = (string::byte_address(buffer, 0), string::builder_length(c.space, builder));
            let parts = [part, (ObjectAddress(0), 0)];
            // The text may change between two steps; what is copied is UTF-8 in any case.
            long::build(c, &Job { checked: Some(CHANGED), ..Job::text(parts) })
        }
    }
}

fn append_text(c: &Context, text: &[u8]) -> NativeResult {
    string::append(c.space, c.allocator, object(c, 0)?, text)?;
    Ok(Outcome::Done)
}

/// Appends a string. A long one is copied behind the end, where nobody looks, and counted in when it is all there.
fn append(c: &Context) -> NativeResult {
    let (builder, text) = (object(c, 0)?, object(c, 1)?);
    let bytes = string::length(c.space, text);
    if bytes <= SHORT {
        string::append_string(c.space, c.allocator, builder, text)?;
        return Ok(Outcome::Done);
    }
    let used = string::builder_length(c.space, builder);
    let Some(progress) = cursor::under_way(c) else {
        c.space.end_step();
        let buffer = string::reserve(c.space, c.allocator, builder, bytes)?;
        c.space.end_step();
        cursor::touch(c);
        c.space.begin_changes();
        cursor::keep(c, 0, mark(used, buffer));
        return Ok(Outcome::Again);
    };
    let buffer = ObjectAddress(c.space.load(builder.plus(BUILDER_BUFFER)));
    if progress.tag != mark(used, buffer) {
        return Err(CHANGED);
    }
    let mut done = progress.done;
    for _ in 0..PIECES {
        if done >= bytes {
            cursor::touch(c);
            string::extend(c.space, builder, bytes);
            cursor::finish(c);
            return Ok(Outcome::Done);
        }
        let piece = (bytes - done).min(PIECE);
        let source = string::byte_address(text, done);
        let target = string::byte_address(buffer, used + done);
        cursor::touch(c);
        c.space.touch_read_range(source, piece);
        c.space.touch_write_range(target, piece);
        c.space.begin_changes();
        c.space.copy(source, target, piece);
        done += piece;
        cursor::keep(c, done, mark(used, buffer));
        c.space.end_step();
    }
    Ok(Outcome::Again)
}

/// What must not change while a text is appended: the end of the text before it, and the buffer.
const fn mark(used: u64, buffer: ObjectAddress) -> u64 {
    cursor::tag(used ^ buffer.0 << 16)
}
