//! The interpreter: one instruction after another, on frames that are persistent at every instruction boundary.
//!
//! The second of the two places of `vm` that may hold unsafe code: registers are reached through raw pointers (`state`), the worker
//! through one (`worker`, `interpret`). Everything else reaches object space through [`Space`](crate::memory::Space).
//!
//! ```text
//!   table     operation => body            interpret   back end 1: the loop        tail   back end 2: jumps
//!   bodies    numbers, moves, branches     calls       frames         heap   objects
//!   state     five words in registers      worker      the rest of a slice's state
//!   numeric   WebAssembly's arithmetic     cold        what the bodies leave: polls, limits, throws, natives, allocation
//! ```
#![expect(unsafe_code, reason = "registers and the worker are reached through raw pointers")]

mod bodies;
mod calls;
mod cold;
mod heap;
#[cfg_attr(
    all(target_arch = "x86_64", not(debug_assertions)),
    expect(
        dead_code,
        reason = "the reference: compiled wherever `tail` runs, so that both stay alike"
    )
)]
mod interpret;
mod numeric;
mod slice;
mod state;
mod table;
#[cfg(all(target_arch = "x86_64", not(debug_assertions)))]
mod tail;
mod worker;

pub(crate) use cold::{catches, enter_caller, first_record, poll};
pub(crate) use slice::{STACK_LARGEST, run_slice};
pub(crate) use worker::{SliceEnd, Worker};
