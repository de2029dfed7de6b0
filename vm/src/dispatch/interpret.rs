//! Back end 1: the loop. The reference, used in debug builds and tests, and everywhere the other is not.
//!
//! One `match` over the opcode with the state in local variables. The position is recorded before each fetch, so an attempt that is
//! abandoned anywhere, even at the fetch itself, begins again at the right instruction. What a body cannot do is handed
//! to the cold path, which works on the worker and says where to go on.

use revenant_bytecode::number;

use super::state::{Flow, Slow, State, code_pointer, slot_pointer};
use super::table::for_each_body;
use super::worker::{Frame, Worker};
use super::{bodies, calls, cold, heap, numeric};

/// Hands an instruction to the cold path; false when the slice is over.
#[cold]
#[inline(never)]
pub(super) fn slow(
    slow: Slow,
    position: *const u64,
    references: *mut u64,
    raws: *mut u64,
    worker: *mut Worker,
) -> bool {
    // SAFETY: the worker outlives the slice, and the loop does not touch it while this runs.
    let worker = unsafe { &mut *worker };
    worker.frame = Frame {
        position: position.addr() as u64,
        references: references.addr() as u64,
        raws: raws.addr() as u64,
    };
    cold::take(worker, slow)
}

/// The state that the cold path left in the worker.
#[inline(always)]
fn reload(worker: &Worker, pointer: *mut Worker, budget: i32) -> State {
    State {
        position: code_pointer(worker.frame.position),
        references: slot_pointer(worker.frame.references),
        raws: slot_pointer(worker.frame.raws),
        worker: pointer,
        budget,
        space: worker.space,
    }
}

/// Calls a body; tells the compiler the types of the closure's arguments.
#[inline(always)]
fn apply(s: State, word: u64, body: impl FnOnce(State, u64) -> Flow) -> Flow {
    body(s, word)
}

macro_rules! define_loop {
    ($($operation:ident => ($body:expr);)*) => {
        /// Runs the worker's thread from `worker.frame` until the slice is over.
        pub(super) fn run(worker: &mut Worker) {
            let pointer: *mut Worker = worker;
            // SAFETY: `pointer` comes from a unique borrow that lasts as long as this function; it is dereferenced through
            // `State::worker` and `slow` alone from here on.
            let mut s = reload(unsafe { &*pointer }, pointer, 0);
            loop {
                #[cfg(all(feature = "host", debug_assertions))]
                s.space.end_step();
                s.before_touch();
                let word = s.word();
                #[expect(clippy::cast_possible_truncation, reason = "the opcode is the low 16 bits")]
                let flow = match word as u16 {
                    $(number::$operation => apply(s, word, $body),)*
                    _ => Err(Slow::Invalid),
                };
                match flow {
                    Ok(next) => s = next,
                    Err(reason) => {
                        if !slow(reason, s.position, s.references, s.raws, s.worker) {
                            return;
                        }
                        let budget = if reason == Slow::Poll { s.worker().chunk } else { s.budget };
                        s = reload(s.worker(), pointer, budget);
                    }
                }
            }
        }
    };
}
for_each_body!(define_loop);
