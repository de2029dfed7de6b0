//! What a page of object space holds, in words: for a person who is told the number of a page that cannot be read.

use alloc::format;
use alloc::string::{String, ToString};

use revenant_hal::{ObjectAddress, PageIndex};

use super::node::object_title;
use crate::heap::runs::{BlockNumber, run_of};
use crate::memory::layout::block::{
    KIND_DIRTY, KIND_FREE, KIND_LARGE, KIND_NONE, KIND_SMALL, KIND_STACK, THREAD_CLASS,
};
use crate::memory::layout::object::LARGE_OFFSET;
use crate::memory::layout::system::root;
use crate::memory::layout::thread::{INDEX, RAW_LIMIT, REFERENCE_LIMIT, STACK, STACK_SIZE};
use crate::memory::layout::{BLOCK, PAGE, area};
use crate::memory::{AddressExt, Space};

/// The areas below the heap, by where they begin.
const AREAS: [(u64, &str); 18] = [
    (area::ROOT, "the root page"),
    (area::SCHEDULER, "the run queue and the timers' heads"),
    (area::COUNTING, "the state of counting"),
    (area::RUNS, "the lists of free blocks"),
    (area::STATISTICS, "unused"),
    (area::CONSOLE, "the state of the console"),
    (area::WITNESS, "what threads reported of their steps"),
    (area::WITNESS + PAGE, "nothing"),
    (area::CONSOLE_OUTPUT, "console output"),
    (area::CONSOLE_INPUT, "console input"),
    (area::CLASS_TABLE, "the class table"),
    (area::THREAD_TABLE, "the thread table"),
    (area::ALLOCATORS, "allocators of groups"),
    (area::BLOCK_TABLE, "the block table"),
    (area::BATCHES, "objects without counted references"),
    (area::TIMER_HEAP, "deadlines"),
    (area::HELD_TABLE, "what parked threads hold"),
    (area::WEAK_TABLE, "weak references"),
];

/// What the page holds.
pub(in crate::system) fn describe(space: Space, page: PageIndex) -> String {
    let address = page.address();
    if address.0 < area::HEAP {
        let found = AREAS.iter().rev().find(|(start, _)| *start <= address.0);
        return found.map_or("nothing", |(_, name)| name).to_string();
    }
    let Some((head, entry)) = run_of(space, BlockNumber::of(address)) else {
        return String::from("nothing");
    };
    let metadata = address.0.is_multiple_of(BLOCK);
    match entry.kind {
        KIND_SMALL if metadata => String::from("metadata of a block of small objects"),
        KIND_SMALL if entry.size_class == THREAD_CLASS => String::from("thread objects"),
        KIND_SMALL => format!("small objects of size class {}", entry.size_class),
        KIND_LARGE if address == head.address() => String::from("metadata of a large object"),
        KIND_LARGE => {
            let object = head.address().plus(LARGE_OFFSET);
            let title = object_title(space, object);
            format!("large object: {}", title.unwrap_or_else(|_| String::from("damaged")))
        }
        KIND_STACK => stack(space, head.address(), address),
        KIND_FREE | KIND_DIRTY | KIND_NONE => String::from("free"),
        _ => String::from("damaged"),
    }
}

/// Whose stack begins at `start`, and which part of it lies at `address`.
fn stack(space: Space, start: ObjectAddress, address: ObjectAddress) -> String {
    let ever: u64 = space.load(ObjectAddress(area::ROOT).plus(root::NEXT_THREAD));
    for entry in 1..ever.min(area::THREAD_TABLE_ENTRIES) {
        let thread = ObjectAddress(space.load(ObjectAddress(area::THREAD_TABLE + entry * 8)));
        let word = |offset: u64| space.load::<u64>(thread.plus(offset));
        // A free entry is a link, odd or 0.
        if thread.0 == 0 || !thread.0.is_multiple_of(8) || word(STACK) != start.0 {
            continue;
        }
        let part = match address.0 {
            place if place < word(REFERENCE_LIMIT) => "references",
            place if place < word(RAW_LIMIT) => "numbers",
            place if place < start.0.saturating_add(word(STACK_SIZE)) => "calls",
            _ => "nothing",
        };
        let index: u32 = space.load(thread.plus(INDEX));
        return format!("stack of thread {index}: {part}");
    }
    String::from("stack of no thread")
}
