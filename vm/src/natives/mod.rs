//! Native operations: what `call.native` calls, by number, never calling bytecode.
//!
//! A native is one step (all or, with an exception, nothing), stepped (called again, its progress in the thread), or it parks the thread and
//! its waker completes it. The table of `revenant_bytecode` says which; numbers and signatures are a disk format.
//!
//! ```text
//!   window    the caller: arguments, results, cursor       control   threads, locks, time, console, commit, environment
//!   values    strings, builders, vectors, maps, boxes, arrays, buffers, weak references, mathematics
//! ```

mod control;
mod values;
mod window;

use revenant_bytecode::{Builtin, Native};

use crate::dispatch::{SliceEnd, Worker};
use crate::exception;
use crate::thread::Outcome;

pub(crate) use values::{abandon, description};
pub(crate) use window::Context;

/// Executes the `call.native` at the worker's position. False when the slice is over.
pub(crate) fn call(worker: &mut Worker) -> bool {
    let word = worker.word();
    let field = |shift: u32| u16::try_from(word >> shift & 0xffff).unwrap_or(0);
    let Some(native) = Native::from_number(field(48)) else {
        return exception::throw(worker, Builtin::VerificationException.into());
    };
    let context = Context {
        space: worker.space,
        allocator: worker.allocator,
        thread: worker.thread,
        references: worker.frame.references + u64::from(field(16)) * 8,
        raws: worker.frame.raws + u64::from(field(32)) * 8,
    };
    worker.space.end_step();
    let result = match control::call(native, worker, &context) {
        Some(result) => result,
        None => values::call(native, &context),
    };
    worker.space.end_step();
    match result {
        Ok(Outcome::Done) => {
            worker.advance(1);
            true
        }
        // A step may be as long as many instructions: others may be due.
        Ok(Outcome::Again) => crate::dispatch::poll(worker),
        Ok(Outcome::Yield) => {
            worker.advance(1);
            worker.position = worker.frame.position;
            worker.end = Some(SliceEnd::Yielded);
            false
        }
        Ok(Outcome::Parked) => {
            worker.position = worker.frame.position;
            false
        }
        Err(thrown) => exception::throw(worker, thrown),
    }
}
