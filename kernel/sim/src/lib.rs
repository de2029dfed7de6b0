//! A disk, an MMU with a TLB, frames and a clock that misbehave on purpose: the hardware on which the policy crates are
//! tested. Everything is deterministic: equal seeds and equal calls give equal runs.
//!
//! ```text
//!   SimDisk  --- medium (durable image + outstanding writes) --- cut(policy) ---> Image ---> SimDisk of the next boot
//!      |              \-- DiskLog --- Replay: every cut of a recorded run
//!      | advance(frames): the device's turn, the only moment it touches frames
//!   SimFrames         content of frames, born as garbage
//!   SimMmu            page tables and a TLB that goes on serving stale entries until it is told
//!   SimClock          time that moves only when it is told
//!   replacement       traces of page touches, and the misses of the policies that have a name
//! ```
//!
//! What this crate does not do: judge contents. Which state is right after a cut is known to the test that made it.
#![forbid(unsafe_code)]

mod clock;
pub mod disk;
mod frames;
mod mmu;
mod random;
pub mod replacement;

pub use clock::SimClock;
pub use disk::{
    CutPolicy, DiskLog, Fault, FaultEffect, FaultTarget, FlushFailure, Image, KeepAll, KeepNone,
    LogEntry, Order, Replay, Scattered, SectorAtRisk, SectorFate, Seeded, SimDisk, SimDiskOptions,
    Subset, cuts_to_try, every_subset,
};
pub use frames::{NoFrames, SimFrames};
pub use mmu::{DeviceAccess, FrameRole, RuleBroken, SimFault, SimMmu, index_at};
pub use random::Random;
