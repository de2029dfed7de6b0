//! A clock that moves only when it is told, so that a simulation is the same on a slow and on a fast day.

use core::cell::Cell;
use revenant_hal::{Clock, Nanoseconds};

/// Simulated time.
#[derive(Debug)]
pub struct SimClock {
    monotonic: Cell<u64>,
    wall: Cell<u64>,
}

impl SimClock {
    /// A clock whose monotonic time is zero and whose wall time is given.
    #[must_use]
    pub fn new(wall: Nanoseconds) -> Self {
        Self { monotonic: Cell::new(0), wall: Cell::new(wall.0) }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, span: Nanoseconds) {
        self.monotonic.set(self.monotonic.get() + span.0);
        self.wall.set(self.wall.get() + span.0);
    }

    /// Sets the wall clock, as a person or a network does: forward or back.
    pub fn set_wall(&self, wall: Nanoseconds) {
        self.wall.set(wall.0);
    }

    /// A new boot `off` later: monotonic time starts again at zero.
    pub fn reboot(&self, off: Nanoseconds) {
        self.monotonic.set(0);
        self.wall.set(self.wall.get() + off.0);
    }
}

impl Clock for SimClock {
    fn monotonic(&self) -> Nanoseconds {
        Nanoseconds(self.monotonic.get())
    }

    fn wall(&self) -> Nanoseconds {
        Nanoseconds(self.wall.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reboot_starts_monotonic_time_again_and_leaves_wall_time_running() {
        let clock = SimClock::new(Nanoseconds(100));
        clock.advance(Nanoseconds(5));
        clock.reboot(Nanoseconds(10));
        assert_eq!((clock.monotonic(), clock.wall()), (Nanoseconds(0), Nanoseconds(115)));
    }
}
