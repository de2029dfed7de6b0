//! When free memory is discarded: all of it before a flip, so that nothing of it is written, first the free runs, then the free pages
//! of blocks in use; long runs also when they have become many, so that whoever lets go of much has the room at once.
//!
//! Neighbours: `heap::discard` and `heap::holes` do it, with the [`Environment`] that the worker was lent; `steps` and `vm` ask for it.
//!
//! [`Environment`]: super::Environment

use revenant_hal::Epoch;

use crate::dispatch::Worker;
use crate::heap::discard::{self, Progress, Which};
use crate::heap::holes;

/// Pieces that one turn or step discards at most.
const PIECES: u32 = 4;
/// Blocks in use that one step looks at at most.
const LOOKS: u32 = 8;
/// Pieces of blocks in use that are discarded in an epoch at most. The store has a list of so many pieces, and free runs go first.
const HOLES_AN_EPOCH: u32 = 1536;
/// Free pages in long runs at which they are discarded: as many as the large objects are long that one grace is about.
const LONG_PAGES: u64 = 1024;

/// What is remembered between turns.
#[derive(Debug)]
pub(super) struct Discards {
    /// In this epoch there is no room for more.
    waits: Option<Epoch>,
    /// The number of the block with which the look at blocks in use goes on.
    next: u64,
    /// Pieces of blocks in use that may still be discarded in this epoch.
    holes: (Option<Epoch>, u32),
}

impl Discards {
    pub(super) const fn new() -> Self {
        Self { waits: None, next: 0, holes: (None, 0) }
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

    /// Discards a few pieces of what is free: of runs, and when there are none left of blocks in use.
    pub(super) fn before_flip(&mut self, worker: &mut Worker) -> Progress {
        match some(worker, Which::All) {
            Progress::Idle => self.some_holes(worker),
            progress => progress,
        }
    }

    /// Looks at a few noted blocks.
    fn some_holes(&mut self, worker: &mut Worker) -> Progress {
        let space = worker.space;
        let Some(environment) = worker.environment() else { return Progress::Idle };
        let epoch = Some(environment.epoch());
        if self.holes.0 != epoch {
            self.holes = (epoch, HOLES_AN_EPOCH);
        }
        for _ in 0..LOOKS {
            let left = &mut self.holes.1;
            let discard = |pages| environment.discard(pages);
            let progress = holes::step(space, &mut self.next, left, discard);
            space.end_step();
            if progress != Progress::More {
                return progress;
            }
        }
        Progress::More
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
