//! The seam to time: what the pager measures its stops with, and what programs read as their clocks.

use crate::Nanoseconds;

/// Two clocks: one that only grows while the machine runs, one that people read.
pub trait Clock {
    /// Nanoseconds since this boot; never goes back.
    fn monotonic(&self) -> Nanoseconds;
    /// Nanoseconds since 1970-01-01 UTC; may jump.
    fn wall(&self) -> Nanoseconds;
}
