//! A slice of the sweep, as the kernel asks for it between two turns.
//!
//! Neighbours: `sweep` does it; `failure` passes over what can never be read.

use crate::sweep::{self, Outcome, Slice, Sweep, Verdicts};

use crate::memory::Space;

use super::activity::Activity;
use super::environment::Environment;
use super::vm::{Vm, set_freeing};

impl Vm {
    /// The next slice of the sweep that these verdicts ask for: it begins one if none is under way, and drops one that another mark
    /// has begun. A few thousand instructions, whatever the heap is like. *In an attempt*, which may be made again; programs and graces run on between
    /// slices, also while the sweep waits for a page.
    pub fn sweep(&mut self, verdicts: &dyn Verdicts, environment: &mut dyn Environment) -> Slice {
        if self.lost.is_under_way() || self.waiting.contains(Activity::Sweep) {
            return Slice::new(Outcome::Waiting);
        }
        self.sweeping(environment, |space| Sweep::new().slice(space, verdicts))
    }

    /// Drops a sweep that was under way in the snapshot resumed and whose mark is not to be had any more; whether none is under way now. *In an
    /// attempt*, as [`Vm::sweep`].
    pub fn give_up_sweep(&mut self, environment: &mut dyn Environment) -> bool {
        if self.lost.is_under_way() || self.waiting.contains(Activity::Sweep) {
            return false;
        }
        self.sweeping(environment, sweep::give_up)
    }

    fn sweeping<V>(
        &mut self,
        environment: &mut dyn Environment,
        work: impl FnOnce(Space) -> V,
    ) -> V {
        self.deeds += 1;
        let quiet = core::sync::atomic::AtomicBool::new(false);
        self.enter(environment, &quiet);
        self.activity.set(Activity::Sweep);
        set_freeing(&mut self.worker, true);
        let done = work(self.worker.space);
        set_freeing(&mut self.worker, false);
        self.leave();
        done
    }
}
