//! Back end 2: a handler for each operation, each ending in a call in tail position that an optimising compiler makes a jump.
//!
//! Used in release builds on x86-64. The bodies are those of the loop. The state travels in argument registers; nothing of it is ever
//! in memory on the fast path, and each operation has an indirect jump of its own. Stable Rust does not promise that a call
//! in tail position becomes a jump, so a test runs 10^8 instructions on a stack of 64 KiB (`tests/tail.rs`). Slow paths are
//! tail calls too: an ordinary call would put pushes on the hot path of its handler.

use revenant_bytecode::number;

use super::interpret::slow;
use super::state::{Flow, Slow, State, code_pointer, slot_pointer};
use super::table::for_each_body;
use super::worker::Worker;
use super::{bodies, calls, heap, numeric};

/// Position, references, raws, worker, budget, instruction word (or, for the cold exit, the reason).
type Handler = extern "sysv64" fn(*const u64, *mut u64, *mut u64, *mut Worker, i32, u64);

/// Entries of the table: more than there are operations, a power of two. The verifier lets no other opcode pass; one from a damaged
/// disk is taken for one of these, which is as safe as any other unverified code.
const TABLE_ENTRIES: usize = 512;

/// Fetches the next instruction and jumps to its handler. The position is recorded first, so that an attempt that ends at the fetch
/// begins again there.
#[inline(always)]
fn next(s: State) {
    s.before_touch();
    let word = s.word();
    #[expect(clippy::cast_possible_truncation, reason = "masked to the table")]
    let entry = word as usize % TABLE_ENTRIES;
    TABLE[entry](s.position, s.references, s.raws, s.worker, s.budget, word);
}

/// Hands the instruction to the cold path and goes on where that says, or returns to [`run`] when the slice is over.
#[cold]
extern "sysv64" fn leave(
    position: *const u64,
    references: *mut u64,
    raws: *mut u64,
    worker: *mut Worker,
    budget: i32,
    reason: u64,
) {
    let reason = Slow::from_number(reason);
    if slow(reason, position, references, raws, worker) {
        resume(worker, if reason == Slow::Poll { None } else { Some(budget) });
    }
}

/// Goes on with the frame in the worker.
#[inline(always)]
fn resume(worker: *mut Worker, budget: Option<i32>) {
    // SAFETY: the worker outlives the slice; the borrow ends before the next handler runs.
    let borrowed = unsafe { &*worker };
    next(State {
        position: code_pointer(borrowed.frame.position),
        references: slot_pointer(borrowed.frame.references),
        raws: slot_pointer(borrowed.frame.raws),
        worker,
        budget: budget.unwrap_or(borrowed.chunk),
        space: borrowed.space,
    });
}

/// No operation has this number.
extern "sysv64" fn invalid(
    position: *const u64,
    references: *mut u64,
    raws: *mut u64,
    worker: *mut Worker,
    budget: i32,
    _: u64,
) {
    leave(position, references, raws, worker, budget, Slow::Invalid as u64);
}

/// Calls a body; tells the compiler the types of the closure's arguments.
#[inline(always)]
fn apply(s: State, word: u64, body: impl FnOnce(State, u64) -> Flow) -> Flow {
    body(s, word)
}

macro_rules! define_handlers {
    ($($operation:ident => ($body:expr);)*) => {
        #[expect(non_snake_case, reason = "handlers bear the names of the operations")]
        mod handlers {
            use super::{
                Slow, State, Worker, apply, bodies, calls, heap, leave, next, numeric,
            };

            $(pub(super) extern "sysv64" fn $operation(
                position: *const u64,
                references: *mut u64,
                raws: *mut u64,
                worker: *mut Worker,
                budget: i32,
                word: u64,
            ) {
                // SAFETY: the worker outlives the slice; its token costs nothing to copy.
                let space = unsafe { (*worker).space };
                let s = State { position, references, raws, worker, budget, space };
                match apply(s, word, $body) {
                    Ok(after) => next(after),
                    Err(reason) => {
                        leave(position, references, raws, worker, budget, reason as u64);
                    }
                }
            })*
        }

        /// The handler of each opcode.
        static TABLE: [Handler; TABLE_ENTRIES] = {
            let mut table: [Handler; TABLE_ENTRIES] = [invalid; TABLE_ENTRIES];
            $(table[number::$operation as usize] = handlers::$operation;)*
            table
        };
    };
}
for_each_body!(define_handlers);

/// Runs the worker's thread from `worker.frame` until the slice is over.
pub(super) fn run(worker: &mut Worker) {
    resume(worker, Some(0));
}
