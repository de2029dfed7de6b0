//! The round over all threads that follows the loss of a page of thread objects: who waits for what a lost thread held gets it, and
//! the lists of hot and of ended threads, which led through the page, are made anew.
//!
//! Its place, a thread index, stands in the scheduler page, so a restart goes on with it; turns move it on, a bounded number of
//! threads at a time. No grace goes on meanwhile, because who is hot is not known before the end. Neighbours: `lost_threads`
//! begins it, `counting::frozen` keeps those out of the lists whom it has yet to visit.

use revenant_hal::ObjectAddress;

use crate::console;
use crate::counting::frozen::list_again;
use crate::memory::Space;
use crate::memory::layout::area;
use crate::memory::layout::system::{root, scheduler};
use crate::memory::layout::thread::{STATE, STATE_DAMAGED, STATE_WAITING, WAIT_KIND, WAIT_OBJECT};
use crate::scheduler::word;
use crate::thread::life::thread_at;
use crate::thread::{WaitKind, at, locks, release_others};

/// Threads that one turn visits.
const VISITED: u32 = 256;

const PLACE: ObjectAddress = word(scheduler::ROUND);

/// How far a round is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Round {
    /// There is none.
    None,
    /// There are more threads to visit.
    More,
    /// It has just come to its end.
    Ended,
}

/// Whether a round is under way.
pub(super) fn is_due(space: Space) -> bool {
    space.load::<u64>(PLACE) != 0
}

/// Visits the next threads. Steps.
pub(super) fn go_on(space: Space) -> Round {
    if !is_due(space) {
        return Round::None;
    }
    for _ in 0..VISITED {
        let index: u64 = space.load(PLACE);
        let all: u64 = space.load(ObjectAddress(area::ROOT + root::NEXT_THREAD));
        if index >= all.min(area::THREAD_TABLE_ENTRIES) {
            move_to(space, 0);
            return Round::Ended;
        }
        match thread_at(space, index) {
            Some(thread) => {
                pass_on(space, thread);
                list_again(space, thread, index + 1);
            }
            None => move_to(space, index + 1),
        }
    }
    Round::More
}

/// What the next thread waits for cannot be read: it keeps what it has. One step.
pub(super) fn skip(space: Space) {
    space.end_step();
    let index: u64 = space.load(PLACE);
    match thread_at(space, index) {
        Some(thread) => list_again(space, thread, index + 1),
        None => move_to(space, index + 1),
    }
}

fn move_to(space: Space, index: u64) {
    space.end_step();
    space.touch_write(PLACE);
    space.begin_changes();
    space.store(PLACE, index);
    space.end_step();
}

/// What others wait for from a thread that was lost: those who join it, or print after it, by itself; a lock that it owned, by
/// whoever waits for that. Steps.
fn pass_on(space: Space, thread: ObjectAddress) {
    let state: u32 = space.load(at(thread, STATE));
    let kind: u64 = space.load(at(thread, WAIT_KIND));
    let waits_for_lock = kind == WaitKind::Mutex as u64 || kind == WaitKind::Reacquire as u64;
    match state {
        STATE_DAMAGED => {
            console::release(space, thread);
            release_others(space, thread);
        }
        STATE_WAITING if waits_for_lock => {
            let mutex = ObjectAddress(space.load(at(thread, WAIT_OBJECT)));
            locks::abandon_if_lost(space, mutex);
        }
        _ => {}
    }
    space.end_step();
}
