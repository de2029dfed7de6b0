//! First in, first out: doubly linked lists of threads.
//!
//! A list is two adjacent words, first and last thread. Touching is apart from changing, so that a list operation can be part of a
//! larger step: call the `touch_*` first, then [`Space::begin_changes`], then the change.

use revenant_hal::ObjectAddress;

use crate::memory::layout::thread::{WAIT_NEXT, WAIT_PREVIOUS};
use crate::memory::{Space, confine};

/// A list of threads: the address of its first of two words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Queue {
    head: ObjectAddress,
}

const fn next(thread: ObjectAddress) -> ObjectAddress {
    ObjectAddress(thread.0.wrapping_add(WAIT_NEXT))
}

const fn previous(thread: ObjectAddress) -> ObjectAddress {
    ObjectAddress(thread.0.wrapping_add(WAIT_PREVIOUS))
}

impl Queue {
    /// The list whose first word stands at `head`, its last right behind.
    pub(crate) const fn new(head: ObjectAddress) -> Self {
        Self { head }
    }

    const fn tail(self) -> ObjectAddress {
        ObjectAddress(self.head.0.wrapping_add(8))
    }

    /// The first thread, or none. Confined, because what is persistent may be damaged and offsets are added to it.
    pub(crate) fn first(self, space: Space) -> Option<ObjectAddress> {
        let first: u64 = space.load(self.head);
        (first != 0).then_some(ObjectAddress(confine(first)))
    }

    /// The last thread, or none; confined likewise.
    pub(crate) fn last(self, space: Space) -> Option<ObjectAddress> {
        let last: u64 = space.load(self.tail());
        (last != 0).then_some(ObjectAddress(confine(last)))
    }

    /// Touches what [`Self::push`] changes.
    pub(crate) fn touch_push(self, space: Space, thread: ObjectAddress) {
        space.touch_write(self.head);
        space.touch_write(self.tail());
        let last: u64 = space.load(self.tail());
        if last != 0 {
            space.touch_write(next(ObjectAddress(last)));
        }
        space.touch_write(next(thread));
        space.touch_write(previous(thread));
    }

    /// Appends a thread that stands in no list.
    pub(crate) fn push(self, space: Space, thread: ObjectAddress) {
        let last: u64 = space.load(self.tail());
        space.store(next(thread), 0_u64);
        space.store(previous(thread), last);
        if last == 0 {
            space.store(self.head, thread.0);
        } else {
            space.store(next(ObjectAddress(last)), thread.0);
        }
        space.store(self.tail(), thread.0);
    }

    /// Touches what [`Self::remove`] changes.
    pub(crate) fn touch_remove(self, space: Space, thread: ObjectAddress) {
        space.touch_write(self.head);
        space.touch_write(self.tail());
        space.touch_write(next(thread));
        space.touch_write(previous(thread));
        for neighbour in [space.load::<u64>(next(thread)), space.load::<u64>(previous(thread))] {
            if neighbour != 0 {
                space.touch_write(next(ObjectAddress(neighbour)));
                space.touch_write(previous(ObjectAddress(neighbour)));
            }
        }
    }

    /// Touches what [`Self::forget`] changes.
    pub(crate) fn touch_forget(self, space: Space) {
        space.touch_write(self.head);
        space.touch_write(self.tail());
    }

    /// Empties a list that is damaged; the threads in it keep their links.
    pub(crate) fn forget(self, space: Space) {
        space.store(self.head, 0_u64);
        space.store(self.tail(), 0_u64);
    }

    /// Where its first word stands.
    pub(crate) const fn word(self) -> u64 {
        self.head.0
    }

    /// Takes a thread out, wherever in this list it stands.
    pub(crate) fn remove(self, space: Space, thread: ObjectAddress) {
        let after: u64 = space.load(next(thread));
        let before: u64 = space.load(previous(thread));
        if before == 0 {
            space.store(self.head, after);
        } else {
            space.store(next(ObjectAddress(before)), after);
        }
        if after == 0 {
            space.store(self.tail(), before);
        } else {
            space.store(previous(ObjectAddress(after)), before);
        }
        space.store(next(thread), 0_u64);
        space.store(previous(thread), 0_u64);
    }
}
