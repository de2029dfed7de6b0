//! When free memory is discarded: all of it before a flip, so that nothing of it is written; long runs also when they have become
//! many, so that whoever lets go of much has the room at once.
//!
//! Neighbours: `heap::discard` does it, with the [`Environment`] that the worker was lent; `steps` and `vm` ask for it.
//!
//! [`Environment`]: super::Environment

use revenant_hal::Epoch;

use crate::dispatch::Worker;
use crate::heap::discard::{self, Progress, Which};

/// Pieces that one turn or step discards at most.
const PIECES: u32 = 4;
/// Free pages in long runs at which they are discarded: as many as the large objects are long that one grace is about.
const LONG_PAGES: u64 = 1024;

/// What is remembered between turns.
#[derive(Debug)]
pub(super) struct Discards {
    /// In this epoch there is no room for more.
    waits: Option<Epoch>,
}

impl Discards {
    pub(super) const fn new() -> Self {
        Self { waits: None }
    }

    /// Discards a few pieces of long runs if there are many; whether there are more.
    pub(super) fn go_on(&mut self, worker: &mut Worker) -> bool {
        let many = discard::long_pages(worker.space) >= LONG_PAGES;
        worker.space.end_step();
        if !many {
            return false;
        }
        let epoch = worker.environment().map(|environment| environment.epoch());
        if self.waits == epoch {
            return false;
        }
        let progress = some(worker, Which::Long);
        if progress == Progress::NotNow {
            self.waits = epoch;
        }
        progress == Progress::More
    }
}

/// Discards a few pieces.
pub(super) fn some(worker: &mut Worker, which: Which) -> Progress {
    let space = worker.space;
    for _ in 0..PIECES {
        let Some(environment) = worker.environment() else { return Progress::Idle };
        let progress = discard::step(space, which, |pages| environment.discard(pages));
        space.end_step();
        if progress != Progress::More {
            return progress;
        }
    }
    Progress::More
}
