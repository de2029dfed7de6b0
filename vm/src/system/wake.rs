//! Waking those whose time has come.
//!
//! Neighbours: `scheduler::timers` is the heap of deadlines, `waits` knows whether the first thread after a resume has the disk for
//! itself.

use crate::dispatch::Worker;
use crate::scheduler::{RUN_LENGTH, timers};
use crate::thread;

use super::steps;
use super::waits::Waits;

/// Threads that one turn wakes.
const WOKEN_A_TURN: usize = 16;

/// Wakes a few of those whose time has come. After a resume each is a page that the disk is asked for: nobody as long as somebody can
/// run who is not to stand behind those pages, and one otherwise.
pub(super) fn due(worker: &mut Worker, waiting: &Waits) {
    let space = worker.space;
    let clock = worker.machine_clock();
    let most = match (waiting.hold_others_back(), space.load::<u64>(RUN_LENGTH)) {
        (false, _) => WOKEN_A_TURN,
        (true, 0) => 1,
        (true, _) => 0,
    };
    for _ in 0..most {
        let Some(timer) = timers::first(space).filter(|timer| timer.deadline <= clock) else {
            break;
        };
        steps::save_clock(space, clock);
        if timers::is_sound(space, timer) {
            thread::expire(space, timer.thread(space));
        } else {
            // Damage: nobody can be woken by it, and everybody would wait behind it.
            timers::drop_first(space);
        }
        space.end_step();
    }
}
