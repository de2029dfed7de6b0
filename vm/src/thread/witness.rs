//! The witness page: what each thread last reported of its work, for the kernel to print at every flip.
//!
//! A thread takes an entry with its first report and gives it back when it ends. Its number in the page is its index and, above it,
//! how many entries had been given back by then: an index that is used again is another number, so whoever compares the
//! numbers from outside does not take the new thread's counter for the old one's. Neighbours: `natives` (`witness.step`), `system`
//! (the kernel's reading), `tests/src/witness.rs` (the outside witness).

use revenant_hal::ObjectAddress;

use super::{at, touch};
use crate::dispatch::Worker;
use crate::memory::Space;
use crate::memory::layout::area;
use crate::memory::layout::system::witness;
use crate::memory::layout::thread::{INDEX, STEPS};

/// Bits of a thread's index in its number.
const INDEX_BITS: u32 = 24;

const fn page(offset: u64) -> ObjectAddress {
    ObjectAddress(area::WITNESS + offset)
}

/// The word of an entry that holds the thread's number; its step follows.
const fn number_word(entry: u64) -> ObjectAddress {
    page(witness::ENTRIES + entry * witness::ENTRY_SIZE)
}

fn entries(space: Space) -> u64 {
    space.load::<u64>(page(witness::COUNT)).min(witness::CAPACITY)
}

/// The entry of the thread with this index, if it has one.
fn entry_of(space: Space, index: u64) -> Option<u64> {
    let is_its = |entry: &u64| {
        let number: u64 = space.load(number_word(*entry));
        number != 0 && number & ((1 << INDEX_BITS) - 1) == index
    };
    (0..entries(space)).find(is_its)
}

/// Reports a step of the worker's thread: in its object and in the page. A thread that finds no free entry is not witnessed. One step.
pub(crate) fn report(worker: &mut Worker, step: u64) {
    let space = worker.space;
    let index = u64::from(space.load::<u32>(at(worker.thread, INDEX)));
    space.touch_write(page(witness::COUNT));
    let count = entries(space);
    let own = entry_of(space, index);
    let is_free = |entry: &u64| space.load::<u64>(number_word(*entry)) == 0;
    let entry = own.or_else(|| (0..count).find(is_free)).unwrap_or(count);
    let number = match own {
        Some(entry) => space.load(number_word(entry)),
        None => index | space.load::<u64>(page(witness::RELEASED)) << INDEX_BITS,
    };
    touch(space, worker.thread);
    space.begin_changes();
    space.store(at(worker.thread, STEPS), step);
    if entry < witness::CAPACITY {
        space.store(number_word(entry), number);
        space.store(at(number_word(entry), 8), step);
        space.store(page(witness::COUNT), count.max(entry + 1));
        worker.note_step(entry, number, step);
    }
}

/// The thread is ending: gives its entry back. One step, repeatable.
pub(crate) fn release(worker: &mut Worker, thread: ObjectAddress) {
    let space = worker.space;
    let index = u64::from(space.load::<u32>(at(thread, INDEX)));
    if let Some(entry) = entry_of(space, index) {
        let released: u64 = space.load(page(witness::RELEASED));
        space.touch_write(page(witness::COUNT));
        space.begin_changes();
        space.store(number_word(entry), 0_u64);
        space.store(at(number_word(entry), 8), 0_u64);
        space.store(page(witness::RELEASED), released.wrapping_add(1));
        worker.forget_step(entry);
    }
    space.end_step();
}
