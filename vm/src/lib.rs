//! Programs of Revenant: objects, allocation and counting, the interpreter, threads, waits, natives.
//!
//! Everything a program is made of lives in object space, at every instruction boundary. This crate holds no program
//! state of its own: a [`Vm`] is a handle with caches that a restart rebuilds. The same code runs in the kernel, over
//! pages that a pager serves, and on the host, over ordinary memory at the same addresses.
//!
//! ```text
//!            kernel loop / host runner
//!                     |  turn(), system steps: each inside an attempt
//!   system    Vm, Turn, SystemStep, Environment        <- the only way in
//!      |
//!   scheduler run queue, sleep heap, waits     program  groups, namespaces, start, exit
//!   thread    frames, locks, life and death    console  output ring, input queue
//!   dispatch  one instruction after another    natives  the numbered table
//!   exception handler tables, unwinding        loader   modules to classes and code
//!      |
//!   memory    object space: blocks, headers, counts, graces, held frames        sweep  frees what a mark has found dead
//! ```
//!
//! What this crate does not do: page I/O, snapshots, interrupts, devices.
#![cfg_attr(not(any(test, feature = "host")), no_std)]

extern crate alloc;

mod console;
pub mod counting;
mod dispatch;
mod exception;
pub mod heap;
mod loader;
pub mod memory;
mod natives;
pub mod object;
mod scheduler;
pub mod sweep;
mod system;
mod thread;

#[cfg(all(feature = "host", debug_assertions))]
pub use natives::{Answer, NativeAnswers};
pub use system::script;
pub use system::{
    Creation, CreationError, Discarded, DiskSpace, Environment, ExitStatus, Hanging, InspectError,
    Lost, NamedWay, PageVerdict, PastRead, Prospect, Quota, Requests, ResumeError, StepOutcome,
    SystemStep, ThreadId, Turn, TurnLimits, VerifiedAgain, Verifier, Vm, WitnessRecord, accounts,
    class_name, name_way, title_of,
};

/// What a disk must have been made for, so that its programs can go on here: the layout of objects in the high half, in the low half the
/// verifier that has passed all code. Every superblock says it; a store of another version is refused before anything is written.
pub const VERSION: u32 = memory::layout::ABI_VERSION << 16 | revenant_bytecode::VERIFIER_VERSION;
