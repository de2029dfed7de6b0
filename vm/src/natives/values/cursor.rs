//! Progress of a stepped operation, in three words of the calling thread: an object it builds (a counted reference), how far it
//! has come, and a tag.
//!
//! Invariants: the tag is odd exactly while an operation is under way; it is written in the same step as the progress that it
//! belongs to; whatever throws at an instruction abandons the operation. So an instruction that finds a cursor has set it.

use revenant_hal::ObjectAddress;

use crate::counting;
use crate::memory::layout::thread::{NATIVE_REFERENCE, NATIVE_TAG};
use crate::memory::{AddressExt, Space};
use crate::natives::Context;
use crate::thread::{NativeResult, Outcome, life};

/// Tag of operations that have nothing to compare.
pub(super) const PLAIN: u64 = 1;

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Progress {
    /// Whatever the operation counts.
    pub(super) done: u64,
    /// What it was told to remember, odd.
    pub(super) tag: u64,
}

const fn tag_of(thread: ObjectAddress) -> ObjectAddress {
    ObjectAddress(thread.0.wrapping_add(NATIVE_TAG))
}

/// A tag that remembers a number (but for its highest bit).
pub(super) const fn tag(number: u64) -> u64 {
    number << 1 | 1
}

/// The progress, if an operation is under way.
pub(super) fn under_way(c: &Context) -> Option<Progress> {
    let tag = c.space.load::<u64>(tag_of(c.thread));
    (tag & 1 == 1).then(|| Progress { done: c.space.load(c.cursor_words()), tag })
}

/// Touches the three words.
pub(super) fn touch(c: &Context) {
    c.space.touch_write(c.cursor_reference());
    c.space.touch_write(tag_of(c.thread));
}

/// Keeps the progress; part of a step that touched.
pub(super) fn keep(c: &Context, done: u64, tag: u64) {
    c.space.store(c.cursor_words(), done);
    c.space.store(tag_of(c.thread), tag);
}

/// The second word of the progress.
pub(super) fn second(c: &Context) -> u64 {
    c.space.load(c.cursor_words().plus(8))
}

/// Keeps a progress of two numbers. One step.
pub(super) fn advance(c: &Context, done: u64, second: u64) {
    advance_tagged(c, done, second, PLAIN);
}

/// Keeps a progress of two numbers and a tag. One step.
pub(super) fn advance_tagged(c: &Context, done: u64, second: u64, tag: u64) {
    c.space.end_step();
    touch(c);
    c.space.touch_write(c.cursor_words().plus(8));
    c.space.begin_changes();
    keep(c, done, tag);
    c.space.store(c.cursor_words().plus(8), second);
    c.space.end_step();
}

/// Writes the raw result of an operation that may have had a progress. The last step.
pub(super) fn give(c: &Context, word: u64) -> NativeResult {
    let begun = under_way(c).is_some();
    if begun {
        touch(c);
    }
    c.touch_results();
    c.space.begin_changes();
    if begun {
        finish(c);
    }
    c.set_raw(0, word);
    Ok(Outcome::Done)
}

/// The operation is over; part of a step that touched.
pub(super) fn finish(c: &Context) {
    c.space.store(tag_of(c.thread), 0_u64);
}

/// The object under construction.
pub(super) fn object(c: &Context) -> ObjectAddress {
    ObjectAddress(c.space.load(c.cursor_reference()))
}

/// Forgets whatever operation the thread has under way: something was thrown. Steps.
pub(crate) fn abandon(space: Space, thread: ObjectAddress) {
    let tag = tag_of(thread);
    let held = ObjectAddress(space.load(thread.plus(NATIVE_REFERENCE)));
    if space.load::<u64>(tag) == 0 && held.is_null() {
        return;
    }
    space.end_step();
    life::discard_unfinished(space, held);
    crate::console::release(space, thread);
    // The tag last: who is stopped between the two steps comes here again.
    counting::store_reference(space, thread.plus(NATIVE_REFERENCE), ObjectAddress(0));
    space.end_step();
    space.touch_write(tag);
    space.begin_changes();
    space.store(tag, 0_u64);
    space.end_step();
}
