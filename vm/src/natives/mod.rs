//! Native operations: what `call.native` calls, by number, never calling bytecode.
//!
//! A native is one step (all or, with an exception, nothing), stepped (called again, its progress in the thread), or it parks the thread and
//! its waker completes it. The table of `revenant_bytecode` says which, and what each throws. In builds with debug assertions every call is
//! held against its kind; the tests hold it against what it throws, too. Numbers and signatures are a disk format.
//!
//! ```text
//!   window    the caller: arguments, results, cursor       control   threads, locks, time, console, commit, environment
//!   answers   what was answered, for the tests
//!   values    strings, builders, vectors, maps, boxes, arrays, buffers, weak references, mathematics
//! ```

mod answers;
mod control;
mod values;
mod window;

use revenant_bytecode::{Builtin, Native, NativeKind};

use crate::dispatch::{SliceEnd, Worker};
use crate::exception;
use crate::thread::{NativeResult, Outcome};

#[cfg(all(feature = "host", debug_assertions))]
pub use answers::{Answer, NativeAnswers};
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
    debug_assert!(is_of_its_kind(native, &result), "{native:?} answers {result:?}");
    answers::note(native, &result);
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

/// The wait of the native that a call word names is over, with an exception of this class if there is one.
pub(crate) fn note_end_of_wait(word: u64, thrown: Option<Builtin>) {
    if let Some(native) = u16::try_from(word >> 48).ok().and_then(Native::from_number) {
        answers::note(native, &thrown.map_or(Ok(Outcome::Done), |class| Err(class.into())));
    }
}

/// Whether the table of natives allows this answer: programs rely on what it says.
#[cfg(test)]
pub(crate) fn is_promised(native: Native, result: &NativeResult) -> bool {
    let may_throw = |class| native.info().may_throw(class);
    let thrown = result.as_ref().err().map(|thrown| thrown.class().is_some_and(may_throw));
    is_of_its_kind(native, result) && thrown.unwrap_or(true)
}

/// Whether the native stops as its kind says. What it throws is for the tests to look at: on a damaged disk it may be anything.
fn is_of_its_kind(native: Native, result: &NativeResult) -> bool {
    let kind = native.info().kind;
    match result {
        Ok(Outcome::Done) | Err(_) => true,
        Ok(Outcome::Again) => kind != NativeKind::Step,
        Ok(Outcome::Yield) => kind != NativeKind::Stepped,
        Ok(Outcome::Parked) => kind == NativeKind::Waits,
    }
}
