//! New strings and byte arrays from bytes of object space, of any length: at most [`PIECE`] bytes a step, at most [`PIECES`] steps a
//! call. The object under construction stands in the thread's cursor, counted, so no grace takes it.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::{CHANGED, INVALID, cursor};
use crate::counting::{self, class_at, count_down, count_up, touch_count};
use crate::exception::Thrown;
use crate::memory::AddressExt;
use crate::memory::layout::object::{PAYLOAD, STRING_BYTES};
use crate::natives::Context;
use crate::object::{array, string};
use crate::thread::{NativeResult, Outcome};

/// Bytes that one step copies: up to two pages on each side.
pub(super) const PIECE: u64 = 4096;
/// Bytes that one step checks.
pub(super) const CHECKED_PIECE: usize = 1024;
/// Steps of one call; after them the thread may have to make room for others.
pub(super) const PIECES: u64 = 16;

/// What is built from what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'b> {
    /// `String` or `ByteArray`.
    pub(super) class: Builtin,
    /// Two ranges of bytes, one after the other.
    pub(super) parts: [(ObjectAddress, u64); 2],
    /// What comes between them; nothing where pieces are checked.
    pub(super) between: &'b [u8],
    /// Whether the source may change or hold anything: then each piece is checked to be UTF-8 as it is copied, and this is
    /// thrown if it is not.
    pub(super) checked: Option<Thrown>,
}

/// Bytes that lie together.
enum Source<'b> {
    Space(ObjectAddress, u64),
    Stack(&'b [u8]),
}

impl<'b> Job<'b> {
    /// A string from text that is known to be one and never changes.
    pub(super) const fn text(parts: [(ObjectAddress, u64); 2]) -> Self {
        Self { class: Builtin::String, parts, between: &[], checked: None }
    }

    fn total(&self) -> Option<u64> {
        let [(_, first), (_, second)] = self.parts;
        let total = first.checked_add(second)?.checked_add(self.between.len() as u64);
        total.filter(|total| *total < 1 << 40)
    }

    const fn payload(&self) -> u64 {
        match self.class {
            Builtin::String => STRING_BYTES,
            _ => PAYLOAD,
        }
    }

    /// What comes from an offset on.
    fn source(&self, offset: u64) -> Source<'b> {
        let [(first, bytes), (second, rest)] = self.parts;
        let Some(behind) = offset.checked_sub(bytes) else {
            return Source::Space(first.plus(offset), bytes - offset);
        };
        match usize::try_from(behind).ok().and_then(|behind| self.between.get(behind..)) {
            Some(between) if !between.is_empty() => Source::Stack(between),
            _ => {
                let behind = behind - self.between.len() as u64;
                Source::Space(second.plus(behind), rest.saturating_sub(behind))
            }
        }
    }
}

/// Executes the job; its result is the first reference of the window.
pub(super) fn build(c: &Context, job: &Job) -> NativeResult {
    let total = job.total().ok_or(INVALID)?;
    let Some(progress) = cursor::under_way(c) else {
        c.space.end_step();
        let target = allocate(c, job, total)?;
        if total <= PIECE && job.checked.is_none() || total <= CHECKED_PIECE as u64 {
            return at_once(c, job, target, total);
        }
        return begin(c, target, total);
    };
    if progress.tag != cursor::tag(total) {
        return Err(CHANGED);
    }
    let (target, mut done) = (cursor::object(c), progress.done);
    for _ in 0..PIECES {
        if done >= total {
            return finish(c, target);
        }
        done += piece(c, job, target, done, total)?;
    }
    Ok(Outcome::Again)
}

fn allocate(c: &Context, job: &Job, total: u64) -> Result<ObjectAddress, Thrown> {
    // What can be refused by one look is refused before memory is taken.
    if let (Some(thrown), true) = (job.checked, total <= CHECKED_PIECE as u64) {
        let mut bytes = [0; CHECKED_PIECE];
        read(c, job, 0, total, &mut bytes, thrown)?;
        c.space.end_step();
    }
    let target = match job.class {
        Builtin::String => string::allocate(c.space, c.allocator, total)?,
        class => array::allocate(c.space, c.allocator, class_at(c.space, class as u32), total)?,
    };
    c.space.end_step();
    Ok(target)
}

/// The whole copy in one step: the source was there just now.
fn at_once(c: &Context, job: &Job, target: ObjectAddress, total: u64) -> NativeResult {
    let start = target.plus(job.payload());
    for (source, bytes) in job.parts {
        c.space.touch_read_range(source, bytes);
    }
    c.space.touch_write_range(start, total);
    c.touch_results();
    c.space.begin_changes();
    let [(first, bytes), (second, rest)] = job.parts;
    c.space.copy(first, start, bytes);
    c.space.write(start.plus(bytes), job.between);
    c.space.copy(second, start.plus(total - rest), rest);
    c.set_reference(0, target.0);
    Ok(Outcome::Done)
}

/// Puts the new object into the cursor. One step.
pub(super) fn begin(c: &Context, target: ObjectAddress, total: u64) -> NativeResult {
    let before = cursor::object(c);
    cursor::touch(c);
    touch_count(c.space, target);
    touch_count(c.space, before);
    c.space.begin_changes();
    count_up(c.space, target);
    count_down(c.space, before);
    c.space.store(c.cursor_reference(), target.0);
    cursor::keep(c, 0, cursor::tag(total));
    Ok(Outcome::Again)
}

/// Copies one piece and counts it; how many bytes. One step.
fn piece(
    c: &Context,
    job: &Job,
    target: ObjectAddress,
    done: u64,
    total: u64,
) -> Result<u64, Thrown> {
    let place = target.plus(job.payload() + done);
    let mut buffer = [0; CHECKED_PIECE];
    let source = match (job.checked, job.source(done)) {
        (None, source) => source,
        (Some(thrown), _) => Source::Stack(read(c, job, done, total, &mut buffer, thrown)?),
    };
    cursor::touch(c);
    let bytes = match source {
        Source::Space(source, together) => {
            let bytes = together.min(PIECE);
            c.space.touch_read_range(source, bytes);
            c.space.touch_write_range(place, bytes);
            c.space.begin_changes();
            c.space.copy(source, place, bytes);
            bytes
        }
        Source::Stack(text) => {
            let bytes = text.len() as u64;
            c.space.touch_write_range(place, bytes);
            c.space.begin_changes();
            c.space.write(place, text);
            bytes
        }
    };
    if bytes == 0 {
        return Err(CHANGED);
    }
    cursor::keep(c, done + bytes, cursor::tag(total));
    c.space.end_step();
    Ok(bytes)
}

/// The next piece of a checked source, cut where a character ends.
fn read<'b>(
    c: &Context,
    job: &Job,
    done: u64,
    total: u64,
    buffer: &'b mut [u8; CHECKED_PIECE],
    thrown: Thrown,
) -> Result<&'b [u8], Thrown> {
    let Source::Space(source, together) = job.source(done) else { return Err(thrown) };
    let wanted = usize::try_from(together).unwrap_or(usize::MAX).min(CHECKED_PIECE);
    let bytes = buffer.get_mut(..wanted).ok_or(thrown)?;
    c.space.read(source, bytes);
    let is_last = done + wanted as u64 >= total;
    match core::str::from_utf8(bytes) {
        Ok(_) => Ok(bytes),
        // A character that the end of the piece cuts; the next piece begins with it.
        Err(error) if error.error_len().is_none() && !is_last && error.valid_up_to() > 0 => {
            bytes.get(..error.valid_up_to()).ok_or(thrown)
        }
        Err(_) => Err(thrown),
    }
}

/// Takes the object out of the cursor into the result register. One step.
fn finish(c: &Context, target: ObjectAddress) -> NativeResult {
    cursor::touch(c);
    c.touch_results();
    touch_count(c.space, target);
    c.space.begin_changes();
    c.space.store(c.cursor_reference(), 0_u64);
    cursor::finish(c);
    c.set_reference(0, target.0);
    // At zero it enters the open batch, so the register is seen before it is freed.
    counting::count_down(c.space, target);
    Ok(Outcome::Done)
}
