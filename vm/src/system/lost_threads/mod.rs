//! A page of thread objects that cannot be read costs those threads only: they never run again, and the page is made anew with what
//! is left of them.
//!
//! Blocks of threads hold nothing else. The thread table says who stood in the page; what they were linked to, the survivors say:
//! whose next is a lost one, whose previous is one, and in which list. From that each lost thread gets the links with which every
//! list is whole again without a change of any survivor; one that stood among lost ones stands in no list any more. The lists
//! that have one direction only (hot, pending, ended) are forgotten and made anew by the `round` that follows.
//!
//! Invariants:
//! - until the pages are made anew nobody runs and nothing here is written, so what was seen of the survivors stays true over any
//!   number of attempts; if something else was done in between, the look begins again;
//! - a page is made anew in one step, with everything that has to be true at the same time.

mod joints;

use core::cell::Cell;

use revenant_bytecode::Builtin;
use revenant_hal::{ObjectAddress, PAGE_SIZE_U64, PageIndex};

use crate::counting::frozen::forget_lists;
use crate::heap::runs::{BlockNumber, run_of};
use crate::memory::Space;
use crate::memory::layout::block::{KIND_SMALL, THREAD_CLASS};
use crate::memory::layout::object::{BIRTH_AND_FLAGS, BIRTH_MASK, CLASS, FLAG_WEAK};
use crate::memory::layout::system::{counting, root};
use crate::memory::layout::thread::{
    DAMAGED_PAGE, DEADLINE, INDEX, JOIN_HEAD, JOIN_TAIL, SIZE, STATE, STATE_DAMAGED,
    STATE_RUNNABLE, STATE_WAITING, WAIT_NEXT, WAIT_PREVIOUS, WAIT_QUEUE,
};
use crate::memory::layout::{BLOCK, area};
use crate::scheduler::{RUN_LENGTH, RUN_QUEUE};
use crate::thread::at;

use super::outcome::{PageVerdict, ThreadId};
use super::vm::Vm;
use crate::thread::life::thread_at;
use joints::{Joints, Links};

/// Pages that are made anew together; with more the snapshot is given up.
const PAGES: usize = 4;
/// Thread objects of a page.
const A_PAGE: usize = 8;
/// Thread objects that may be lost together.
const CELLS: usize = PAGES * A_PAGE;

const _: () = assert!(A_PAGE as u64 * SIZE == PAGE_SIZE_U64 && CELLS <= u32::BITS as usize);

/// What the survivors say of a lost thread. Addresses are 0 where nobody says anything.
#[derive(Clone, Copy, Default, Debug)]
struct Trace {
    /// Its index, 0 if it is in no table: not yet a thread, or no longer one.
    index: u64,
    /// The survivor before it in its list, and the one behind it.
    before: u64,
    after: u64,
    /// The first word of that list.
    queue: u64,
    /// The first and the last of those who join it.
    first_joiner: u64,
    last_joiner: u64,
}

/// The pages that are to be made anew and what is known so far. Volatile: after a restart the pages are met again.
#[derive(Default, Debug)]
pub(super) struct Lost {
    /// Page numbers, 0 for none.
    pages: [Cell<u64>; PAGES],
    traces: [Cell<Trace>; CELLS],
    /// The next thread index to look at; 0: begin.
    place: Cell<u64>,
    /// Survivors in the run queue so far.
    runnable: Cell<u64>,
    /// What [`Vm`] had done when the look began.
    deeds: Cell<u64>,
    /// Who was lost and is to be told: page and thread index, 0 for none.
    told: [Cell<(u64, u64)>; CELLS],
}

impl Lost {
    /// Whether a page is to be made anew: nobody runs meanwhile.
    pub(super) fn is_under_way(&self) -> bool {
        self.pages.iter().any(|page| page.get() != 0)
    }

    /// Whether it is this page.
    pub(super) fn has(&self, page: PageIndex) -> bool {
        page.0 != 0 && self.pages.iter().any(|lost| lost.get() == page.0)
    }

    /// Whether a word of a survivor leads into what was lost.
    fn holds(&self, address: u64) -> bool {
        self.has(ObjectAddress(address).page())
    }

    /// The next lost thread to tell of, and its page.
    pub(super) fn take_told(&self) -> Option<(PageIndex, ThreadId)> {
        let told = self.told.iter().find(|told| told.get().1 != 0)?.take();
        Some((PageIndex(told.0), ThreadId(told.1)))
    }

    /// The pages are there again.
    fn end(&self) {
        for page in &self.pages {
            page.set(0);
        }
        self.place.set(0);
    }

    /// Adds a page; false if there are too many.
    fn add(&self, page: PageIndex) -> bool {
        if self.has(page) {
            return true;
        }
        let Some(free) = self.pages.iter().find(|lost| lost.get() == 0) else { return false };
        free.set(page.0);
        self.place.set(0);
        true
    }

    fn begin(&self, deeds: u64) {
        for trace in &self.traces {
            trace.take();
        }
        self.runnable.set(0);
        self.deeds.set(deeds);
        self.place.set(1);
    }

    /// Which lost thread has this address.
    fn cell_of(&self, address: u64) -> Option<usize> {
        let page = ObjectAddress(address).page();
        let inside = address % PAGE_SIZE_U64;
        if address == 0 || !inside.is_multiple_of(SIZE) || !self.has(page) {
            return None;
        }
        let place = self.pages.iter().position(|lost| lost.get() == page.0)?;
        Some(place * A_PAGE + usize::try_from(inside / SIZE).ok()?)
    }

    /// The address of a lost thread.
    fn address_of(&self, cell: usize) -> u64 {
        let page = self.pages.get(cell / A_PAGE).map_or(0, Cell::get);
        PageIndex(page).address().0 + (cell % A_PAGE) as u64 * SIZE
    }

    /// The lost thread whose joiners stand in this list.
    fn joined(&self, queue: u64) -> Option<usize> {
        self.cell_of(queue.wrapping_sub(JOIN_HEAD))
    }

    fn trace(&self, cell: usize) -> Trace {
        self.traces.get(cell).map_or_else(Trace::default, Cell::get)
    }

    fn change(&self, cell: usize, change: impl FnOnce(&mut Trace)) {
        if let Some(trace) = self.traces.get(cell) {
            let mut value = trace.get();
            change(&mut value);
            trace.set(value);
        }
    }
}

/// Whether a page holds thread objects and nothing else.
pub(super) fn holds_threads(space: Space, place: ObjectAddress) -> bool {
    !place.0.is_multiple_of(BLOCK)
        && run_of(space, BlockNumber::of(place))
            .is_some_and(|(_, entry)| entry.kind == KIND_SMALL && entry.size_class == THREAD_CLASS)
}

/// Makes the page anew, and with it the others that were met on the way. Ends with the attempt wherever a survivor is not in memory,
/// and goes on there with the next.
pub(super) fn judge(vm: &mut Vm, page: PageIndex) -> PageVerdict {
    if !vm.lost.add(page) {
        return PageVerdict::StepBack;
    }
    for place in 0..PAGES {
        let lost = PageIndex(vm.lost.pages[place].get());
        if lost.0 != 0 && !vm.worker.environment().is_some_and(|world| world.is_lost(lost)) {
            // An attempt before this one has made it anew.
            vm.lost.pages[place].set(0);
            vm.lost.place.set(0);
        }
    }
    let space = vm.worker.space;
    if vm.lost.place.get() == 0 || vm.lost.deeds.get() != vm.deeds {
        vm.lost.begin(vm.deeds);
    }
    look(space, &vm.lost);
    let links = Joints::new(space, &vm.lost).connected();
    for place in 0..PAGES {
        let lost = PageIndex(vm.lost.pages[place].get());
        if lost.0 != 0 {
            make_anew(vm, place, lost, &links);
        }
    }
    let pages = vm.lost.pages.each_ref().map(Cell::get);
    vm.lost.end();
    for lost in pages {
        vm.waiting.remove_page(PageIndex(lost));
    }
    let told = vm.lost.told.iter().find(|told| told.get().0 == page.0);
    match told.map(Cell::take) {
        Some((_, thread)) => PageVerdict::ThreadDamaged(ThreadId(thread)),
        None => PageVerdict::Unused,
    }
}

/// What a survivor says.
struct Seen {
    thread: u64,
    /// The first word of the list in which it stands, 0 for none.
    queue: u64,
    next: u64,
    previous: u64,
}

impl Seen {
    fn load(space: Space, thread: ObjectAddress, lost: &Lost) -> Self {
        let word = |offset| space.load::<u64>(at(thread, offset));
        let (next, previous, queue) = (word(WAIT_NEXT), word(WAIT_PREVIOUS), word(WAIT_QUEUE));
        // A damaged one may have been left in the run queue; others that wait for time stand in no list.
        let is_linked = next != 0 || previous != 0 || RUN_QUEUE.first(space) == Some(thread);
        let queue = match space.load::<u32>(at(thread, STATE)) {
            STATE_RUNNABLE => RUN_QUEUE.word(),
            STATE_DAMAGED if queue == 0 && is_linked => RUN_QUEUE.word(),
            // A list inside what was lost can only be one of joiners.
            STATE_WAITING | STATE_DAMAGED if lost.joined(queue).is_some() => queue,
            STATE_WAITING | STATE_DAMAGED if !lost.holds(queue) => queue,
            _ => 0,
        };
        Self { thread: thread.0, queue, next, previous }
    }

    fn note(&self, lost: &Lost) {
        if self.queue == RUN_QUEUE.word() {
            lost.runnable.set(lost.runnable.get() + 1);
        }
        if self.queue == 0 {
            return;
        }
        if let Some(cell) = lost.cell_of(self.next) {
            lost.change(cell, |trace| (trace.before, trace.queue) = (self.thread, self.queue));
        }
        if let Some(cell) = lost.cell_of(self.previous) {
            lost.change(cell, |trace| (trace.after, trace.queue) = (self.thread, self.queue));
        }
        let Some(cell) = lost.joined(self.queue) else { return };
        if self.previous == 0 {
            lost.change(cell, |trace| trace.first_joiner = self.thread);
        }
        if self.next == 0 {
            lost.change(cell, |trace| trace.last_joiner = self.thread);
        }
    }
}

/// Asks all threads, from where the last attempt ended.
fn look(space: Space, lost: &Lost) {
    let all: u64 = space.load(ObjectAddress(area::ROOT + root::NEXT_THREAD));
    while lost.place.get() < all.min(area::THREAD_TABLE_ENTRIES) {
        let index = lost.place.get();
        if let Some(thread) = thread_at(space, index) {
            match lost.cell_of(thread.0) {
                Some(cell) => lost.change(cell, |trace| trace.index = index),
                None => {
                    let seen = Seen::load(space, thread, lost);
                    // Nothing is noted before all was read: an attempt ends at a read.
                    space.end_step();
                    seen.note(lost);
                }
            }
        }
        lost.place.set(index + 1);
        space.end_step();
    }
}

/// Writes one page: one step, of which nothing can end the attempt once the page is there.
fn make_anew(vm: &mut Vm, place: usize, page: PageIndex, links: &[Links; CELLS]) {
    let space = vm.worker.space;
    let in_run_queue = links.iter().filter(|links| links.queue == RUN_QUEUE.word()).count() as u64;
    let runnable = vm.lost.runnable.get() + in_run_queue;
    let epoch = space.load::<u64>(ObjectAddress(area::COUNTING + counting::EPOCH));
    space.end_step();
    space.touch_write(RUN_LENGTH);
    space.touch_write(ObjectAddress(area::COUNTING));
    if let Some(world) = vm.worker.environment() {
        world.replace_page(page);
    }
    // Nobody can read the page yet: its first store makes it, or ends the attempt.
    space.zero_ahead(page.address(), PAGE_SIZE_U64 / 8);
    space.begin_changes();
    for cell in place * A_PAGE..(place + 1) * A_PAGE {
        let (trace, links) = (vm.lost.trace(cell), links.get(cell).copied().unwrap_or_default());
        let thread = ObjectAddress(vm.lost.address_of(cell));
        store_lost(space, thread, trace.index, epoch, &links);
    }
    space.store(RUN_LENGTH, runnable);
    forget_lists(space);
    space.end_step();
    for cell in place * A_PAGE..(place + 1) * A_PAGE {
        let index = vm.lost.trace(cell).index;
        if let Some(told) = vm.lost.told.get(cell)
            && index != 0
        {
            told.set((page.0, index));
        }
    }
}

/// Stores what is left of a lost thread in zeros; part of a step.
fn store_lost(space: Space, thread: ObjectAddress, index: u64, epoch: u64, links: &Links) {
    let queue = if links.queue == RUN_QUEUE.word() { 0 } else { links.queue };
    space.store(at(thread, CLASS), Builtin::Thread as u32);
    // Weak references to it may exist; the table of weak references knows.
    space.store(at(thread, BIRTH_AND_FLAGS), epoch & BIRTH_MASK | FLAG_WEAK);
    space.store(at(thread, STATE), STATE_DAMAGED);
    space.store(at(thread, INDEX), u32::try_from(index).unwrap_or(0));
    space.store(at(thread, DAMAGED_PAGE), thread.page().0);
    // It may have had a deadline: whoever takes it out of its lists looks for one.
    space.store(at(thread, DEADLINE), 0_u64);
    space.store(at(thread, WAIT_NEXT), links.next);
    space.store(at(thread, WAIT_PREVIOUS), links.previous);
    space.store(at(thread, WAIT_QUEUE), queue);
    space.store(at(thread, JOIN_HEAD), links.joiners.0);
    space.store(at(thread, JOIN_TAIL), links.joiners.1);
}
