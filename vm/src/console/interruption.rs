//! Ctrl-C: an exception for every thread of the foreground program's group.
//!
//! The byte sets a persistent cursor over the thread table; turns move it on, a bounded number of threads at a time, before
//! threads run. A thread that is asked twice because an attempt ended in between is told once.

use revenant_hal::ObjectAddress;

use super::{FOREGROUND, INTERRUPTING, word};
use crate::loader::layout::PROGRAM_GROUP;
use crate::memory::Space;
use crate::memory::layout::area;
use crate::memory::layout::system::root;
use crate::memory::layout::thread::GROUP;
use crate::thread::{self, at};

/// Threads that one turn looks at.
const LOOKED_AT: u64 = 256;

fn set(space: Space, index: u64) {
    space.touch_write(word(INTERRUPTING));
    space.begin_changes();
    space.store(word(INTERRUPTING), index);
    space.end_step();
}

/// Ctrl-C was pressed. One step.
pub(crate) fn interrupt_foreground(space: Space) {
    set(space, 1);
}

/// Interrupts some of the threads that a Ctrl-C means; false if there was nothing to do. Steps.
pub(crate) fn go_on_interrupting(space: Space) -> bool {
    let first: u64 = space.load(word(INTERRUPTING));
    if first == 0 {
        return false;
    }
    let program = ObjectAddress(space.load(word(FOREGROUND)));
    let all: u64 = space.load(ObjectAddress(area::ROOT + root::NEXT_THREAD));
    let all = all.min(area::THREAD_TABLE_ENTRIES);
    let end = first.saturating_add(LOOKED_AT).min(all);
    let group: u64 = if program.0 == 0 { 0 } else { space.load(at(program, PROGRAM_GROUP)) };
    for index in first..end {
        let entry: u64 = space.load(ObjectAddress(area::THREAD_TABLE + index * 8));
        let is_free = entry == 0 || entry & 1 != 0;
        if !is_free && space.load::<u64>(at(ObjectAddress(entry), GROUP)) == group {
            thread::interrupt(space, ObjectAddress(entry));
            space.end_step();
        }
        // What was looked at is not looked at again, however many attempts it takes.
        if index + 1 < end {
            set(space, index + 1);
        }
    }
    set(space, if end < all { end } else { 0 });
    true
}
