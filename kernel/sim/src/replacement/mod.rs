//! Page replacement on paper: sequences of page touches, and how many of them miss under each policy that has a name.
//!
//! ```text
//!   patterns (generated, by seed) ---\
//!                                     >--- Trace --- misses(policy) ---> compared with the pager's own policy by its tests
//!   recordings (files, see `trace`) -/
//! ```
//!
//! The named policies see every touch in its order. A pager does not: it sees faults, and for the rest one bit a page that
//! says "touched since I looked last". So they are a measure that a pager may fail to reach, not rivals on equal terms.

mod belady;
mod named;
mod patterns;
mod queues;
mod trace;

pub use belady::fewest_misses;
pub use named::Named;
pub use patterns::generated;
pub use trace::{Recording, RecordingError, Touch, Trace};

/// A policy at work on a trace.
pub trait Policy {
    /// A touch; whether the page was resident. A page that was not is so afterwards.
    fn touch(&mut self, touch: Touch) -> bool;
}

/// Touches of the trace that found their page missing.
pub fn misses(policy: &mut dyn Policy, trace: &Trace) -> u64 {
    trace.touches.iter().map(|touch| u64::from(!policy.touch(*touch))).sum()
}
