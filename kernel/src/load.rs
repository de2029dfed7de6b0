//! Groups of programs that need more than memory together take turns: the pager decides (`revenant_pager::load_control`), here it is
//! asked a few times a second, and what it decides is told to the scheduler and to the log.
//!
//! All of it is volatile: after a restart everybody runs.

use crate::world::World;
use crate::{detail, space};
use revenant_hal::{Clock, Nanoseconds};

/// Time between two looks, in nanoseconds.
const PERIOD: u64 = 250_000_000;

/// When to look again.
pub(crate) struct Load {
    enabled: bool,
    looked: Nanoseconds,
    /// How long nobody could run since.
    waited: u64,
}

impl Load {
    /// Nobody stands still.
    pub(crate) const fn new(enabled: bool, now: Nanoseconds) -> Self {
        Self { enabled, looked: now, waited: 0 }
    }

    /// Nothing could be done for so long.
    pub(crate) fn waited(&mut self, from: Nanoseconds, to: Nanoseconds) {
        self.waited += to.0.saturating_sub(from.0);
    }

    /// Has groups stand still, or go on, if it is time to look.
    pub(crate) fn control(&mut self, world: &mut World) {
        let now = world.clock.monotonic();
        if !self.enabled || now.0 < self.looked.0 + PERIOD {
            return;
        }
        self.looked = now;
        let waited = Nanoseconds(core::mem::take(&mut self.waited));
        let changes = space::with(|space| space.control_load(now, waited));
        if let Some(group) = changes.suspend {
            world.suspended.set(group, true);
            detail!("suspended group={} waited_us={}", group.index(), waited.0 / 1000);
        }
        if let Some(group) = changes.go_on {
            world.suspended.set(group, false);
            detail!("goes_on group={}", group.index());
        }
    }
}
