//! A slice of the sweep, as the kernel asks for it between two turns.
//!
//! Neighbours: `sweep` does it; `failure` passes over what can never be read.

use crate::sweep::{Outcome, Slice, Sweep, Verdicts};

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
        self.deeds += 1;
        let quiet = core::sync::atomic::AtomicBool::new(false);
        self.enter(environment, &quiet);
        self.activity.set(Activity::Sweep);
        set_freeing(&mut self.worker, true);
        let slice = Sweep::new().slice(self.worker.space, verdicts);
        set_freeing(&mut self.worker, false);
        self.leave();
        slice
    }
}
