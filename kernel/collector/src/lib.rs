//! The exact collector's first half: marks what is reachable in a pinned snapshot. Counting misses garbage in cycles and what stuck at the
//! top of its count; what is unreachable in a complete old copy is unreachable ever after, so nothing has to stop meanwhile.
//!
//! ```text
//!   snapshot (pinned, never written)                          the collector's region (reserved at format time)
//!     block table --> directory: block -> ordinal                marked  scanned      one bit a granule each
//!     roots ----------> exchange buffer ---- sorted, entered --> [ grey = marked and not scanned ]
//!                            ^                                        |
//!                            |   references to other partitions       v
//!                            '------------- partition, 1 to 4 MiB, worked on until nothing grey is left in it;
//!                                           what was not reached is foreseen: its page need not be read again
//!   then: weak pairs (a second stage), start bits compared, complete --> verdict: the marks of each block
//! ```
//!
//! # Roots, and the rule that keeps each sound
//!
//! - **Root page**, words 128 to 512: counted references; the root directory is one, programs, groups, modules, signatures are others.
//! - **Class table**: every class made is kept, so a header's class index always has its class, and code that names a class by number too.
//! - **Thread table**: every thread that is not forgotten. A thread object's references (what it waits for, exceptions, native under way) are
//!   those of its class.
//! - **Frames of all threads**: every slot from the start of a stack to the end of the current frame's references is null or valid, also
//!   arguments that were passed and the frames below. Threads that ended or were damaged never run again and have none.
//! - **Zero-count batches**, the open one and what is left of the closed one: counting frees these itself. An entry counts if the object's
//!   metadata byte names the same batch; else it is stale, and what starts there now, if anything, has another reason to live.
//! - **Held table**: what frozen slots hold. Said twice: the slots themselves are scanned too.
//! - **The object being torn down**, from the slot that teardown has come to: what stands before it was released.
//! - **Raw addresses** are not followed. Links of queues, owners of locks, the timer heap, hot, pending and ended lists, the writer that has
//!   the console name threads: the thread table keeps them. A thread's owned locks: a lock is in a program's hands as long as it matters, and
//!   its owner's link to it is looked at only by who holds it. The foreground program: the root page's programs. Functions in call records
//!   and traces, positions, code: their module's arrays, which namespaces and classes keep.
//! - **Weak references** keep nothing in the first stage. But a program can get at a weak target after the flip, and at the weak
//!   reference of an object that it has; so when all else is marked, a second stage marks the other one of each pair of which one is
//!   marked, and what follows from it, and says so in the verdict.
//! - **The extension table** is reserved and empty.
//!
//! # What it does not trust
//!
//! The store has verified checksums; what the bytes mean is not believed. References lead to a place where a cell or a large object can start, or
//! the mark ends as [`Unsound`]; class indices, lengths, bitmaps and threads are bounded; in the end every marked granule must have its start
//! bit. A page that cannot be read ends the mark as incomplete and is named. Nothing is freed on the word of a mark that ended so. If the page
//! is nowhere else, the mark can be told to do without it: then what it may have led to is kept ([`Mark::tolerate`]).
//!
//! # What it does not do
//!
//! Free anything (`revenant_vm`'s sweep does, over the live heap); look for an unreadable page elsewhere, or hang in lost+found what it has found
//! ([`Mark::recovered`]). When it runs, and what comes after it, is `schedule`'s: pure, and beside the rest.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod account;
mod api;
mod begin;
mod bytes;
mod error;
mod foreseen;
mod heap;
mod journal;
mod mark;
mod name;
mod object;
pub mod pace;
mod pages;
mod partition;
mod phases;
mod recovery;
mod region;
mod requests;
mod roots;
pub mod schedule;
mod settling;
mod survivors;
mod verdict;

pub use api::{MarkBudget, MarkOutcome, MarkStatistics, PlantedMark};
pub use error::{MarkRefusal, RegionError, Unsound};
pub use mark::Mark;
pub use name::MarkName;
pub use recovery::{LEAST_OBJECTS, Recovered, Subtree};
pub use region::Region;
pub use survivors::{BySize, Survivors};
pub use verdict::Verdict;
