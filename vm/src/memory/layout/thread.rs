//! The thread object, the call record, the stack range and its windows, and the objects that threads wait on.
//!
//! Invariants:
//! - at a safepoint every word here is exact; while a thread runs, position and frame live in the worker;
//! - reference slots from the start of the range to the end of the current frame's window are null or valid, always;
//! - every reference slot below [`WATERMARK`] is in the held table, none at or above it; while a thread runs its
//!   watermark is at most the reference base of its current frame.

use super::class::slot;
use super::object::PAYLOAD;

/// State, u32 ([`STATE_RUNNABLE`] and friends).
pub const STATE: u64 = PAYLOAD;
/// Flags, u32 ([`FLAG_HOT`] and friends).
pub const FLAGS: u64 = PAYLOAD + 4;
/// Address of the instruction being executed or next to execute.
pub const POSITION: u64 = PAYLOAD + 8;
/// Address of the call record of the current frame, 0 before the first frame and after the last.
pub const FRAME: u64 = PAYLOAD + 16;
/// Reference slots below this address are frozen: counted in the held table.
pub const WATERMARK: u64 = PAYLOAD + 24;
/// Words that only the worker uses while the thread runs: 5 of them.
pub const SCRATCH: u64 = PAYLOAD + 32;
/// First byte of the stack range: the first reference slot.
pub const STACK: u64 = PAYLOAD + 72;
/// Bytes of the stack range.
pub const STACK_SIZE: u64 = PAYLOAD + 80;
/// End of the reference stack, exclusive; the raw stack starts here.
pub const REFERENCE_LIMIT: u64 = PAYLOAD + 88;
/// End of the raw stack, exclusive; the call records start here.
pub const RAW_LIMIT: u64 = PAYLOAD + 96;
/// End of the call records, exclusive.
pub const RECORD_LIMIT: u64 = PAYLOAD + 104;
/// The last step that the thread reported to the outside witness.
pub const STEPS: u64 = PAYLOAD + 112;
/// Index in the thread table, u32.
pub const INDEX: u64 = PAYLOAD + 120;
/// Index of its group, u32: allocations are charged to it.
pub const GROUP_INDEX: u64 = PAYLOAD + 124;
/// Group, reference.
pub const GROUP: u64 = PAYLOAD + 128;
/// Program, reference.
pub const PROGRAM: u64 = PAYLOAD + 136;
/// What it waits for (mutex, condition, semaphore, thread, event), reference.
pub const WAIT_OBJECT: u64 = PAYLOAD + 144;
/// Next thread in the FIFO in which it waits, or in the run queue; raw.
pub const WAIT_NEXT: u64 = PAYLOAD + 152;
/// Previous thread there; raw.
pub const WAIT_PREVIOUS: u64 = PAYLOAD + 160;
/// How the wait ended, for the thread's next slice: kind in the low half, class to throw in the high half.
pub const WAIT_RESULT: u64 = PAYLOAD + 168;
/// Deadline on the machine clock, nanoseconds; `u64::MAX` none.
pub const DEADLINE: u64 = PAYLOAD + 176;
/// Place in the timer heap plus one, 0 none.
pub const TIMER_PLACE: u64 = PAYLOAD + 184;
/// Epoch that `commit()` waits for.
pub const COMMIT_EPOCH: u64 = PAYLOAD + 192;
/// Next thread in the hot or the pending list; raw.
pub const HOT_NEXT: u64 = PAYLOAD + 200;
/// Exception to throw at the next safepoint (Ctrl-C, kill), reference.
pub const PENDING_EXCEPTION: u64 = PAYLOAD + 208;
/// Exception allocated in advance: out of memory or quota, reference.
pub const OUT_OF_MEMORY: u64 = PAYLOAD + 216;
/// Exception allocated in advance: disk full, reference.
pub const DISK_FULL: u64 = PAYLOAD + 224;
/// Exception allocated in advance: stack overflow, reference.
pub const STACK_OVERFLOW: u64 = PAYLOAD + 232;
/// Uncaught exception with which it ended, or null, reference.
pub const UNCAUGHT: u64 = PAYLOAD + 240;
/// Reference result of its first function, reference.
pub const EXIT_REFERENCE: u64 = PAYLOAD + 248;
/// Raw result of its first function.
pub const EXIT_RAW: u64 = PAYLOAD + 256;
/// First thread in `join` on this one; raw.
pub const JOIN_HEAD: u64 = PAYLOAD + 264;
/// Last thread in `join`; raw.
pub const JOIN_TAIL: u64 = PAYLOAD + 272;
/// First mutex that it owns, linked by the mutexes; raw.
pub const OWNED_MUTEXES: u64 = PAYLOAD + 280;
/// Name, a string, reference.
pub const NAME: u64 = PAYLOAD + 288;
/// Page that could not be read, for a thread parked as damaged.
pub const DAMAGED_PAGE: u64 = PAYLOAD + 296;
/// Cursor of the stepped native in progress, reference (for example the string being made).
pub const NATIVE_REFERENCE: u64 = PAYLOAD + 304;
/// Progress of the stepped native, two words.
pub const NATIVE_PROGRESS: u64 = PAYLOAD + 312;
/// Address of the first word of the FIFO in which it waits, 0 none; raw.
pub const WAIT_QUEUE: u64 = PAYLOAD + 328;
/// What it waits for, a number of the scheduler; says what a time-out does.
pub const WAIT_KIND: u64 = PAYLOAD + 336;
/// Tag of the stepped native in progress, odd; 0 while there is none.
pub const NATIVE_TAG: u64 = PAYLOAD + 344;
/// Reserved words up to here. Eight threads fill a page exactly, so none lies on two: a step deals with several.
pub const SIZE: u64 = PAYLOAD + 496;
/// Reference slots of a thread object.
pub const REFERENCES: u64 = slot(GROUP)
    | slot(PROGRAM)
    | slot(WAIT_OBJECT)
    | slot(PENDING_EXCEPTION)
    | slot(OUT_OF_MEMORY)
    | slot(DISK_FULL)
    | slot(STACK_OVERFLOW)
    | slot(UNCAUGHT)
    | slot(EXIT_REFERENCE)
    | slot(NAME)
    | slot(NATIVE_REFERENCE);

/// State: in the run queue or running.
pub const STATE_RUNNABLE: u32 = 1;
/// State: waits (see [`WAIT_OBJECT`] and [`DEADLINE`]).
pub const STATE_WAITING: u32 = 2;
/// State: ended; the stack range is given back.
pub const STATE_ENDED: u32 = 3;
/// State: stopped for good because its own pages could not be read.
pub const STATE_DAMAGED: u32 = 4;

/// Flag: stands in the hot or the pending list: has slots that are not frozen.
pub const FLAG_HOT: u32 = 1;
/// Flag: in the console's foreground group.
pub const FLAG_FOREGROUND: u32 = 2;

/// Call record: address of the instruction at which this frame goes on when its callee returns.
pub const RECORD_POSITION: u64 = 0;
/// Call record: this frame's function, raw address (modules keep functions alive).
pub const RECORD_FUNCTION: u64 = 8;
/// Call record: first raw slot of the frame, u32, bytes from the start of the stack range.
pub const RECORD_RAW_BASE: u64 = 16;
/// Call record: first reference slot, u32, likewise.
pub const RECORD_REFERENCE_BASE: u64 = 20;
/// Call record: end of its raw slots, u32, likewise.
pub const RECORD_RAW_END: u64 = 24;
/// Call record: end of its reference slots, u32, likewise.
pub const RECORD_REFERENCE_END: u64 = 28;
/// Bytes of a call record; every frame has one, the current one too.
pub const RECORD_SIZE: u64 = 32;

/// Smallest and default stack range.
pub const STACK_DEFAULT: u64 = 256 * 1024;
/// Most reference registers of a frame.
pub const FRAME_REFERENCES: u64 = 1024;
/// Most raw registers of a frame.
pub const FRAME_RAWS: u64 = 4096;

/// Mutex: owner, raw thread address, 0 free.
pub const MUTEX_OWNER: u64 = PAYLOAD;
/// Mutex: 1 while its last owner ended holding it and the next has not been told.
pub const MUTEX_ABANDONED: u64 = PAYLOAD + 8;
/// Mutex: first waiting thread, raw.
pub const MUTEX_HEAD: u64 = PAYLOAD + 16;
/// Mutex: last waiting thread, raw.
pub const MUTEX_TAIL: u64 = PAYLOAD + 24;
/// Mutex: next mutex of the same owner, raw.
pub const MUTEX_NEXT: u64 = PAYLOAD + 32;
/// Mutex: previous mutex of the same owner, raw.
pub const MUTEX_PREVIOUS: u64 = PAYLOAD + 40;
/// Bytes of a mutex.
pub const MUTEX_SIZE: u64 = PAYLOAD + 48;

/// Condition: its mutex, reference.
pub const CONDITION_MUTEX: u64 = PAYLOAD;
/// Condition: first waiting thread, raw.
pub const CONDITION_HEAD: u64 = PAYLOAD + 8;
/// Condition: last waiting thread, raw.
pub const CONDITION_TAIL: u64 = PAYLOAD + 16;
/// Bytes of a condition.
pub const CONDITION_SIZE: u64 = PAYLOAD + 24;

/// Semaphore: permits.
pub const SEMAPHORE_PERMITS: u64 = PAYLOAD;
/// Semaphore: first waiting thread, raw.
pub const SEMAPHORE_HEAD: u64 = PAYLOAD + 8;
/// Semaphore: last waiting thread, raw.
pub const SEMAPHORE_TAIL: u64 = PAYLOAD + 16;
/// Bytes of a semaphore.
pub const SEMAPHORE_SIZE: u64 = PAYLOAD + 24;

/// Where the parts of a stack range of `size` bytes end: references at a quarter, raws at five eighths, records at the end.
#[must_use]
pub const fn stack_parts(size: u64) -> (u64, u64, u64) {
    (size / 4, size / 8 * 5, size)
}

const _: () = assert!(NATIVE_PROGRESS + 16 <= SIZE);
const _: () = assert!((SIZE - PAYLOAD) / 8 <= 64 && super::PAGE.is_multiple_of(SIZE));
