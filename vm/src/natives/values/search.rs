//! Natives that only look: equality, order, hash and search of texts and byte arrays of any length, in steps.
//!
//! A step looks at [`PIECE`] bytes of each side at most; the progress is in the thread's cursor. Nothing is changed before
//! the result but that progress and a string's kept hash.

use core::cmp::Ordering;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::long::{PIECE, PIECES};
use super::text::order_word;
use super::{CHANGED, cursor, object};
use crate::exception::Thrown;
use crate::memory::AddressExt;
use crate::memory::layout::object::{CLASS, PAYLOAD};
use crate::natives::Context;
use crate::object::map::{self, Long};
use crate::object::{array, string};
use crate::thread::{NativeResult, Outcome};

/// Bytes that one step of a search looks at: it goes from several places of either text.
const SEARCHED: u64 = PIECE / 2;
/// Places that one step of a search looks at closely.
const LOOKS: u32 = 64;

/// Goes on through `total` bytes, piece by piece, until `look` (offset, bytes) has an answer. `None`: call again; `Some(None)`: no
/// piece had one.
fn scan<T>(c: &Context, total: u64, look: impl Fn(u64, u64) -> Option<T>) -> Option<Option<T>> {
    let mut done = cursor::under_way(c).map_or(0, |progress| progress.done);
    c.space.end_step();
    for _ in 0..PIECES {
        let piece = total.saturating_sub(done).min(PIECE);
        let answer = look(done, piece);
        done += piece;
        if answer.is_some() || done >= total {
            c.space.end_step();
            return Some(answer);
        }
        cursor::advance(c, done, 0);
    }
    None
}

/// `string.equals`.
pub(super) fn equals(c: &Context) -> NativeResult {
    let (left, right) = (c.object(0), c.object(1));
    if left == right || left.is_null() || right.is_null() {
        return cursor::give(c, u64::from(left == right));
    }
    let bytes = string::length(c.space, left);
    if bytes != string::length(c.space, right) {
        return cursor::give(c, 0);
    }
    let difference = scan(c, bytes, |from, piece| {
        let start = |text| string::byte_address(text, from);
        (!c.space.equal(start(left), start(right), piece)).then_some(())
    });
    difference.map_or(Ok(Outcome::Again), |found| cursor::give(c, u64::from(found.is_none())))
}

/// The order of two stretches of bytes.
fn order(
    c: &Context,
    (left, left_bytes): (ObjectAddress, u64),
    (right, right_bytes): (ObjectAddress, u64),
) -> NativeResult {
    let difference = scan(c, left_bytes.min(right_bytes), |from, piece| {
        // The order of big-endian words is that of their bytes.
        let word = |start: ObjectAddress, at: u64| -> u64 {
            u64::from_le_bytes(c.space.load_bytes(start.plus(at))).swap_bytes()
        };
        let byte = |start: ObjectAddress, at: u64| c.space.load::<u8>(start.plus(at));
        let end = from + piece;
        let words = (from..end - piece % 8).step_by(8);
        let bytes = end - piece % 8..end;
        let in_words = words.map(|at| word(left, at).cmp(&word(right, at)));
        in_words.chain(bytes.map(|at| byte(left, at).cmp(&byte(right, at)))).find(|o| o.is_ne())
    });
    difference.map_or(Ok(Outcome::Again), |found: Option<Ordering>| {
        cursor::give(c, order_word(found.unwrap_or_else(|| left_bytes.cmp(&right_bytes))))
    })
}

/// `string.compare`: by bytes.
pub(super) fn compare(c: &Context) -> NativeResult {
    let whole = |text| (string::byte_address(text, 0), string::length(c.space, text));
    order(c, whole(object(c, 0)?), whole(object(c, 1)?))
}

/// `array.compare`: of byte arrays.
pub(super) fn compare_arrays(c: &Context) -> NativeResult {
    let whole = |array: ObjectAddress| (array.plus(PAYLOAD), array::length(c.space, array));
    order(c, whole(object(c, 0)?), whole(object(c, 1)?))
}

/// `string.hash`.
pub(super) fn hash(c: &Context) -> NativeResult {
    let text = object(c, 0)?;
    if !hash_in_steps(c, text) {
        return Ok(Outcome::Again);
    }
    let hash = string::hash(c.space, text);
    cursor::give(c, u64::from(hash))
}

/// Brings a string's hash so far that one more step has it; false: call again.
fn hash_in_steps(c: &Context, text: ObjectAddress) -> bool {
    let bytes = string::length(c.space, text);
    if bytes <= PIECE || string::has_hash(c.space, text) {
        return true;
    }
    let progress = cursor::under_way(c).map(|progress| (progress.done, cursor::second(c)));
    let (mut done, mut state) = progress.unwrap_or((0, bytes));
    for _ in 0..PIECES {
        let place = string::byte_address(text, done);
        let left = bytes.saturating_sub(done);
        if left <= PIECE {
            let computed = string::hash_end(c.space, place, left, state);
            string::keep_hash(c.space, text, computed);
            return true;
        }
        state = string::hash_words(c.space, place, PIECE, state);
        done += PIECE;
        cursor::advance(c, done, state);
    }
    false
}

/// Whether a map can take this key at once: the hash of a long text is known. False: call again.
pub(super) fn is_short_key(c: &Context, key: ObjectAddress) -> bool {
    if key.is_null() || c.space.load::<u32>(key.plus(CLASS)) != Builtin::String as u32 {
        return true;
    }
    if string::length(c.space, key) <= PIECE || string::has_hash(c.space, key) {
        return true;
    }
    if hash_in_steps(c, key) {
        // What comes now begins without a progress.
        cursor::touch(c);
        c.space.begin_changes();
        cursor::finish(c);
        c.space.end_step();
    }
    false
}

/// How a map tells this key from its own, once that is known: a long text is compared with those of its hash and length in
/// steps. `None`: call again.
pub(super) fn long_key(
    c: &Context,
    subject: ObjectAddress,
    key: ObjectAddress,
) -> Result<Option<Long>, Thrown> {
    let is_text = c.space.load::<u32>(key.plus(CLASS)) == Builtin::String as u32;
    let bytes = if is_text { string::length(c.space, key) } else { 0 };
    if bytes <= string::ONE_STEP {
        return Ok(Some(Long::Compared));
    }
    let tag = cursor::tag(map::state(c.space, subject));
    let (mut done, mut refuted) = match cursor::under_way(c) {
        None => (0, 0),
        Some(progress) if progress.tag == tag => (progress.done, cursor::second(c)),
        // Another thread has changed the map: which texts were refuted is not known any more.
        Some(_) => return Err(CHANGED),
    };
    for _ in 0..PIECES {
        let Some(twin) = map::doubtful(c.space, subject, key, refuted) else {
            return Ok(Some(settled(c, ObjectAddress(0))));
        };
        c.space.end_step();
        if done >= bytes {
            return Ok(Some(settled(c, twin)));
        }
        let piece = (bytes - done).min(PIECE);
        let start = |text| string::byte_address(text, done);
        if c.space.equal(start(key), start(twin), piece) {
            done += piece;
        } else {
            (done, refuted) = (0, refuted + 1);
        }
        cursor::advance_tagged(c, done, refuted, tag);
    }
    Ok(None)
}

/// The comparisons are over: what comes now begins without a progress.
fn settled(c: &Context, twin: ObjectAddress) -> Long {
    c.space.end_step();
    if cursor::under_way(c).is_some() {
        cursor::touch(c);
        c.space.begin_changes();
        cursor::finish(c);
        c.space.end_step();
    }
    Long::Known(twin)
}

/// `string.find`: where a pattern stands at or after a position.
pub(super) fn find(c: &Context) -> NativeResult {
    let (text, pattern) = (object(c, 0)?, object(c, 1)?);
    let (bytes, wanted) = (string::length(c.space, text), string::length(c.space, pattern));
    let (mut place, mut matched) = match cursor::under_way(c) {
        Some(progress) => (progress.done, cursor::second(c).min(wanted)),
        None => (boundary(c, text, bytes), 0),
    };
    let Some(last) = bytes.checked_sub(wanted).filter(|last| place <= *last) else {
        return cursor::give(c, u64::MAX);
    };
    if wanted == 0 {
        return cursor::give(c, place);
    }
    let first = c.space.load::<u8>(string::byte_address(pattern, 0));
    c.space.end_step();
    for _ in 0..PIECES {
        let end = last.min(place.saturating_add(SEARCHED));
        for _ in 0..LOOKS {
            if matched == 0 {
                let begins =
                    |at: &u64| c.space.load::<u8>(string::byte_address(text, *at)) == first;
                place = (place..=end).find(begins).unwrap_or(end + 1);
            }
            if place > end {
                break;
            }
            let piece = (wanted - matched).min(SEARCHED);
            let here = string::byte_address(text, place + matched);
            let equal = c.space.equal(here, string::byte_address(pattern, matched), piece);
            let went_far = matched > 0;
            matched = if equal { matched + piece } else { 0 };
            if matched == wanted {
                return cursor::give(c, place);
            }
            place += u64::from(!equal);
            if equal || went_far {
                break;
            }
        }
        if place > last {
            return cursor::give(c, u64::MAX);
        }
        cursor::advance(c, place, matched);
    }
    Ok(Outcome::Again)
}

/// Where a search begins: an empty pattern stands between characters, not inside one.
fn boundary(c: &Context, text: ObjectAddress, bytes: u64) -> u64 {
    let from = c.raw(0);
    let begins = |at: &u64| {
        *at >= bytes || c.space.load::<u8>(string::byte_address(text, *at)) & 0xc0 != 0x80
    };
    // A character has at most four bytes.
    (from..from.saturating_add(4)).find(begins).unwrap_or(from)
}
