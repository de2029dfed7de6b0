//! Natives on vectors and maps: touch all, then change; the operations themselves stand in `object`.

use revenant_bytecode::Native;
use revenant_hal::ObjectAddress;

use super::text::{give, give_object};
use super::{CHANGED, INVALID, OUTSIDE, cursor, object, search};
use crate::exception::Thrown;
use crate::natives::Context;
use crate::object::map::{self, Long, Next};
use crate::object::vector::{self, Step};
use crate::thread::{NativeResult, Outcome};

/// Executes a native on vectors or maps.
pub(super) fn call(native: Native, c: &Context) -> NativeResult {
    match native {
        Native::VectorNew => {
            if c.raw(0).cast_signed() < 0 {
                return Err(INVALID);
            }
            let made = vector::allocate(c.space, c.allocator, c.raw(0))?;
            give_object(c, made)
        }
        Native::VectorLength => give(c, vector::length(c.space, object(c, 0)?)),
        Native::VectorGet => {
            let found = vector::get(c.space, object(c, 0)?, c.raw(0)).ok_or(OUTSIDE)?;
            give_object(c, found)
        }
        Native::VectorSet => done_if(vector::set(c.space, object(c, 0)?, c.raw(0), c.object(1))),
        Native::VectorPush => {
            vector::push(c.space, c.allocator, object(c, 0)?, c.object(1))?;
            Ok(Outcome::Done)
        }
        Native::VectorPop => {
            c.touch_results();
            let last = vector::pop(c.space, object(c, 0)?).ok_or(OUTSIDE)?;
            c.set_reference(0, last.0);
            Ok(Outcome::Done)
        }
        Native::VectorInsert => insert(c),
        Native::VectorRemove => remove(c),
        Native::VectorClear => {
            vector::clear(c.space, object(c, 0)?);
            Ok(Outcome::Done)
        }
        _ => call_map(native, c),
    }
}

fn done_if(inside: bool) -> NativeResult {
    if inside { Ok(Outcome::Done) } else { Err(OUTSIDE) }
}

fn call_map(native: Native, c: &Context) -> NativeResult {
    use Native::{MapContains, MapGet, MapRemove, MapSet};
    let has_key = matches!(native, MapGet | MapContains | MapSet | MapRemove);
    let mut long = Long::Compared;
    if has_key {
        let (subject, key) = (object(c, 0)?, object(c, 1)?);
        // First a long text's hash is found, then its twin: two progresses, one after the other.
        if !search::is_short_key(c, key) {
            return Ok(Outcome::Again);
        }
        let Some(told) = search::long_key(c, subject, key)? else { return Ok(Outcome::Again) };
        long = told;
        c.space.end_step();
    }
    match native {
        Native::MapNew => {
            let made = map::allocate(c.space, c.allocator)?;
            give_object(c, made)
        }
        Native::MapLength => give(c, map::length(c.space, object(c, 0)?)),
        Native::MapGet => {
            let found = map::get_by(c.space, object(c, 0)?, object(c, 1)?, long);
            give_object(c, found.unwrap_or(ObjectAddress(0)))
        }
        Native::MapContains => {
            let found = map::get_by(c.space, object(c, 0)?, object(c, 1)?, long);
            give(c, u64::from(found.is_some()))
        }
        Native::MapSet => {
            map::set_by(c.space, c.allocator, object(c, 0)?, (object(c, 1)?, long), c.object(2))?;
            Ok(Outcome::Done)
        }
        Native::MapRemove => {
            let (subject, key) = (object(c, 0)?, object(c, 1)?);
            // The hash of a key may have to be kept, which is a step of its own.
            let _ = map::hash(c.space, key);
            c.space.end_step();
            c.touch_results();
            let removed = map::remove_by(c.space, subject, key, long);
            if !removed {
                return give(c, 0);
            }
            c.set_raw(0, 1);
            Ok(Outcome::Done)
        }
        Native::MapClear => {
            map::clear(c.space, object(c, 0)?);
            Ok(Outcome::Done)
        }
        _ => next(c),
    }
}

/// Steps that pass over deleted entries keep their place in the cursor's own register.
fn next(c: &Context) -> NativeResult {
    let found = map::next(c.space, object(c, 0)?, c.raw(0));
    c.space.end_step();
    c.touch_results();
    c.space.begin_changes();
    match found {
        Next::GoOn(cursor) => {
            c.set_raw(0, cursor);
            return Ok(Outcome::Again);
        }
        Next::Entry { key, value, cursor } => {
            c.set_reference(0, key.0);
            c.set_reference(1, value.0);
            c.set_raw(0, cursor);
        }
        Next::End => {
            c.set_reference(0, 0);
            c.set_reference(1, 0);
            c.set_raw(0, u64::MAX);
        }
    }
    Ok(Outcome::Done)
}

/// The progress of an insertion or removal, 0 at its beginning; refused if somebody else changed the vector since.
fn progress(c: &Context, subject: ObjectAddress) -> Result<u64, Thrown> {
    match cursor::under_way(c) {
        None => Ok(0),
        Some(progress) if progress.tag == cursor::tag(vector::changes(c.space, subject)) => {
            Ok(progress.done)
        }
        Some(_) => Err(CHANGED),
    }
}

/// Ends a step of an insertion or removal: keeps the progress, or the result.
fn settle(c: &Context, subject: ObjectAddress, step: Step, gives: bool) -> Outcome {
    match step {
        Step::Again(progress) => {
            cursor::keep(c, progress, cursor::tag(vector::changes(c.space, subject)));
            Outcome::Again
        }
        Step::Done(element) => {
            cursor::finish(c);
            if gives {
                c.set_reference(0, element.0);
            }
            Outcome::Done
        }
    }
}

fn insert(c: &Context) -> NativeResult {
    let (subject, value, index) = (object(c, 0)?, c.object(1), c.raw(0));
    let progress = progress(c, subject)?;
    if progress == 0 {
        if index > vector::length(c.space, subject) {
            return Err(OUTSIDE);
        }
        vector::make_room(c.space, c.allocator, subject)?;
        c.space.end_step();
    }
    cursor::touch(c);
    let step = vector::insert_step(c.space, c.allocator, subject, value, index, progress)?;
    Ok(settle(c, subject, step.ok_or(CHANGED)?, false))
}

fn remove(c: &Context) -> NativeResult {
    let (subject, index) = (object(c, 0)?, c.raw(0));
    let progress = progress(c, subject)?;
    if progress == 0 && index >= vector::length(c.space, subject) {
        return Err(OUTSIDE);
    }
    cursor::touch(c);
    c.touch_results();
    let step = vector::remove_step(c.space, subject, index, progress).ok_or(CHANGED)?;
    Ok(settle(c, subject, step, true))
}
