//! What the exact collector does to object space and learns from it, as the kernel asks for it between two turns: a slice of the sweep,
//! what there may be to find, what programs want.
//!
//! Neighbours: `sweep` does it; `failure` passes over what can never be read.

use core::sync::atomic::{AtomicBool, AtomicU64};

use crate::counting::doubt::{self, Collected, Tallies, Wish};
use crate::sweep::{self, Outcome, Slice, Verdicts};

use super::activity::Activity;
use super::environment::Environment;
use super::vm::{Vm, set_freeing};

/// What the exact collector goes by when it decides whether to begin, and what it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Prospect {
    /// What was counted so far.
    pub tallies: Tallies,
    /// The collection before.
    pub collected: Collected,
    /// What programs want.
    pub wish: Wish,
}

impl Vm {
    /// What there may be to find. *In an attempt*, which touches one page.
    #[must_use]
    pub fn prospect(&self) -> Prospect {
        let space = self.worker.space;
        Prospect {
            tallies: doubt::tallies(space),
            collected: doubt::collected(space),
            wish: doubt::wish(space),
        }
    }

    /// Takes back wishes that were met. *In an attempt.*
    pub fn grant(&mut self, granted: Wish) {
        let space = self.worker.space;
        space.end_step();
        let wish = doubt::wish(space);
        let left = Wish {
            pause: wish.pause && !granted.pause,
            start: wish.start && !granted.start,
            stop: wish.stop && !granted.stop,
        };
        if left != wish {
            doubt::set_wish(space, left);
        }
    }

    /// Notes what the next collection is judged by. *In an attempt.*
    pub fn set_collected(&mut self, collected: Collected) {
        self.worker.space.end_step();
        doubt::set_collected(self.worker.space, collected);
    }

    /// Slices of the sweep end early when this number changes meanwhile: page faults served so far.
    pub fn watch_faults(&mut self, faults: &'static AtomicU64) {
        self.sweep.watch(faults);
    }

    /// The next slice of the sweep that these verdicts ask for: it begins one if none is under way, and drops one that another mark
    /// has begun. Some two thousand instructions, whatever the heap is like. *In an attempt*, which may be made again; programs and graces run on between
    /// slices, also while the sweep waits for a page.
    pub fn sweep(&mut self, verdicts: &dyn Verdicts, environment: &mut dyn Environment) -> Slice {
        if self.lost.is_under_way() || self.waiting.contains(Activity::Sweep) {
            return Slice::new(Outcome::Waiting);
        }
        let quiet = AtomicBool::new(false);
        self.begin_sweeping(environment, &quiet);
        let slice = self.sweep.slice(self.worker.space, verdicts);
        self.end_sweeping();
        slice
    }

    /// Drops a sweep that was under way in the snapshot resumed and whose mark is not to be had any more; whether none is under way now. *In an
    /// attempt*, as [`Vm::sweep`].
    pub fn give_up_sweep(&mut self, environment: &mut dyn Environment) -> bool {
        if self.lost.is_under_way() || self.waiting.contains(Activity::Sweep) {
            return false;
        }
        let quiet = AtomicBool::new(false);
        self.begin_sweeping(environment, &quiet);
        let given_up = sweep::give_up(self.worker.space);
        self.end_sweeping();
        given_up
    }

    fn begin_sweeping(&mut self, environment: &mut dyn Environment, quiet: &AtomicBool) {
        self.deeds += 1;
        self.enter(environment, quiet);
        self.activity.set(Activity::Sweep);
        set_freeing(&mut self.worker, true);
    }

    fn end_sweeping(&mut self) {
        set_freeing(&mut self.worker, false);
        self.leave();
    }
}
