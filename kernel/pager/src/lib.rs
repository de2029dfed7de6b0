//! Object space in RAM: residency, faults, the flip, copy-on-write, and the writer of snapshots.
//!
//! RAM is a cache of object space. The frame table is the truth about every page; page tables are a cache of it for the
//! processor. A frame's life:
//!
//! ```text
//!            page-in              store to it                flip            writer takes it
//! Free --> Filling --> Clean ------------------> Dirty(e) ---------> frozen ----------------> Writing
//!   |   zero-fill: at once  ^                       ^                  |  store to it: copy      |   completed
//!   |                       |                       |                  v                         v
//!   |                       +------- commit --------|------------- SplitQueued --> SplitWriting  Written
//!   |                                               |                                  |          |
//!   +<------------------------------------------------- completed: free at once -------+          |
//!                                    store to it, or the snapshot is abandoned  <-----------------+
//! ```
//!
//! The kernel's loop and the trap handler use it so:
//! - trap: [`Pager::fault`]; `Served` goes on, `Wait` ends the attempt;
//! - loop: hand the store's events to [`Pager::on_store_event`], call [`Pager::step`], then wake threads by
//!   [`Pager::next_wake`];
//! - when no thread runs: [`Pager::flip`], at most one snapshot in the making; [`Schedule`] says when.
//!
//! When free frames are short, [`Pager::step`] lets clean pages go (`eviction`), in the order of [`replacement`]; from `Clean` a
//! frame goes back to `Free`. While tables take much of memory, those that hold little go with their pages (`thinning`). Each page belongs to the group of programs that runs when it comes ([`Pager::runs`]). Whoever walks up through object space is read ahead for (`ahead`), by the rules of [`read_ahead`].
//!
//! Pages that nobody needs any more are discarded (`discard`): from any state but a table's their frame goes to `Free`, or to
//! `SplitQueued` and `SplitWriting` if it is frozen.
//!
//! What was stored to in the running epoch and is to go is written before its flip (`cleaner`): from `Dirty` a frame goes to
//! `Cleaning` and on to `Clean`, or to `SplitCleaning` and `Free` if it is stored to before the device has it.
//!
//! When groups need more than memory together, they take turns ([`load_control`], `suspension`).
//!
//! What this crate does not do yet: writing settled pages before a flip while frames suffice.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ahead;
mod cleaner;
mod discard;
mod eviction;
mod fault;
mod frame_table;
mod gauges;
pub mod load_control;
mod page_store;
mod pager;
pub mod past;
mod pending;
mod planted;
pub mod read_ahead;
pub mod replacement;
mod schedule;
mod settled;
mod statistics;
mod suspension;
mod tables;
mod thinning;
mod wired;
mod writer;
mod zeroed;

pub use fault::{FaultKind, FaultOutcome, Impossible, Prefetch, WaitReason};
pub use frame_table::{FrameCounts, FrameState};
pub use gauges::Gauges;
pub use page_store::PageStore;
pub use pager::{FlipRefused, FlipReport, Memory, Pager, PagerOptions, page_digest};
pub use pending::Wake;
#[doc(hidden)]
pub use planted::Planted;
pub use schedule::{Obstacles, Schedule, Stage};
pub use statistics::Statistics;
pub use wired::WiredRange;
pub use writer::{StepOutcome, WiredProgress};
