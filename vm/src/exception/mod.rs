//! Throwing: handler tables, unwinding one frame a step, exceptions made by the machine.
//!
//! An exception goes to the first handler, innermost frame first, whose range holds the throwing instruction and whose class
//! is the exception's or above. Unwinding is not one instruction: while it lasts, the thread holds the exception as its
//! pending one and carries a flag, each frame left is one step, and a thread that is resumed in between goes on unwinding.
//! What memory is needed to say that there is no memory was allocated when the thread was made. Neighbours: `dispatch`
//! (the cold path throws), `thread` (an exception nobody catches ends it).

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use crate::counting;
use crate::dispatch::Worker;
use crate::dispatch::{catches, enter_caller, first_record};
use crate::heap::{self, AllocationError};
use crate::loader::layout::{
    EXCEPTION_CODE, EXCEPTION_TRACE, FUNCTION_CODE, FUNCTION_HANDLERS, HANDLER_WORDS,
};
use crate::memory::layout::object::{LENGTH, PAYLOAD};
use crate::memory::layout::thread::{
    DISK_FULL, FLAGS, OUT_OF_MEMORY, PENDING_EXCEPTION, RECORD_FUNCTION, RECORD_POSITION,
    RECORD_RAW_BASE, RECORD_SIZE, STACK_OVERFLOW, WAIT_RESULT,
};
use crate::natives::description::FRAMES_MAX;
use crate::object::array;
use crate::thread::{self, FLAG_INTERRUPTED, FLAG_UNWINDING};

/// What is to be thrown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Thrown {
    /// This object.
    Object(u64),
    /// A new exception of a built-in class, with a number that says more.
    New(Builtin, u64),
    /// The thread's own exception for want of memory: object space has none.
    OutOfMemory,
    /// The same, because the group's quota is used up.
    QuotaUsedUp,
    /// The thread's own exception for want of disk.
    DiskFull,
    /// The thread's own exception for want of stack.
    StackOverflow,
}

#[cfg(any(test, all(feature = "host", debug_assertions)))] // who holds it against the table of natives
impl Thrown {
    /// Its class; none for an object that a program made.
    pub(crate) const fn class(self) -> Option<Builtin> {
        match self {
            Self::Object(_) => None,
            Self::New(class, _) => Some(class),
            Self::OutOfMemory | Self::QuotaUsedUp => Some(Builtin::OutOfMemoryException),
            Self::DiskFull => Some(Builtin::DiskFullException),
            Self::StackOverflow => Some(Builtin::StackOverflowException),
        }
    }
}

impl From<Builtin> for Thrown {
    fn from(class: Builtin) -> Self {
        Self::New(class, 0)
    }
}

impl From<AllocationError> for Thrown {
    fn from(error: AllocationError) -> Self {
        match error {
            AllocationError::Quota => Self::QuotaUsedUp,
            AllocationError::Exhausted => Self::OutOfMemory,
            AllocationError::DiskReserve => Self::DiskFull,
            AllocationError::TooLarge => Builtin::InvalidArgumentException.into(),
            AllocationError::Damaged(place) => {
                Self::New(Builtin::DamagedObjectException, place.page().0)
            }
        }
    }
}

/// Throws at the worker's instruction. False when the slice is over because nobody caught it.
pub(crate) fn throw(worker: &mut Worker, thrown: Thrown) -> bool {
    worker.space.end_step();
    let (exception, by_quota) = object_of(worker, thrown);
    worker.space.end_step();
    record_trace(worker, thrown, exception);
    let interrupts = matches!(thrown, Thrown::New(Builtin::InterruptedException, _));
    let place = |offset| ObjectAddress(worker.thread.0 + offset);
    let (allocator, space) = (worker.allocator, worker.space);
    let refused = by_quota.then(|| allocator.touch_refused(space));
    counting::store_reference(worker.space, place(PENDING_EXCEPTION), ObjectAddress(exception));
    // From here the exception is persistent, and what asked for it (the result of a wait, an interruption) has had its answer.
    // Nothing that could end the attempt lies between, so it is neither lost nor told twice.
    let clear = if interrupts { FLAG_INTERRUPTED } else { 0 };
    let flags: u32 = worker.space.load(place(FLAGS));
    worker.space.store_resident(place(FLAGS), (flags | FLAG_UNWINDING) & !clear);
    worker.space.store_resident(place(WAIT_RESULT), 0_u64);
    if let Some(before) = refused {
        allocator.count_refusal(space, before);
    }
    worker.space.end_step();
    unwind(worker)
}

/// The exception object for what is thrown, and whether the quota refuses something: what was asked for, or the object itself.
fn object_of(worker: &Worker, thrown: Thrown) -> (u64, bool) {
    let own = |offset| (worker.load(worker.thread.0, offset), false);
    let by_quota = || (own(OUT_OF_MEMORY).0, true);
    match thrown {
        Thrown::Object(object) => (object, false),
        Thrown::OutOfMemory => own(OUT_OF_MEMORY),
        Thrown::QuotaUsedUp => by_quota(),
        Thrown::DiskFull => own(DISK_FULL),
        Thrown::StackOverflow => own(STACK_OVERFLOW),
        Thrown::New(class, code) => {
            let class = ObjectAddress(match worker.class(class as u32) {
                // The disk was made before there was this class.
                0 => worker.class(class.superclass() as u32),
                known => known,
            });
            match heap::allocate_plain(worker.space, worker.allocator, class) {
                Ok(object) => {
                    worker.space.store(ObjectAddress(object.0 + EXCEPTION_CODE), code);
                    (object.0, false)
                }
                Err(AllocationError::DiskReserve) => own(DISK_FULL),
                Err(AllocationError::Quota) => by_quota(),
                Err(_) => own(OUT_OF_MEMORY),
            }
        }
    }
}

/// Notes in the exception where it was thrown: at most [`FRAMES_MAX`] frames. One that was thrown before keeps what it has. An
/// exception of the thread's own is used again and again: only of a stack overflow is the place noted, each time.
/// Without memory there is no trace.
fn record_trace(worker: &Worker, thrown: Thrown, exception: u64) {
    let space = worker.space;
    let place = ObjectAddress(exception.wrapping_add(EXCEPTION_TRACE));
    let has_trace = space.load::<u64>(place) != 0;
    let own = [OUT_OF_MEMORY, DISK_FULL].map(|field| worker.load(worker.thread.0, field));
    let skipped = match thrown {
        Thrown::Object(_) => has_trace,
        Thrown::New(..) | Thrown::StackOverflow => false,
        Thrown::OutOfMemory | Thrown::QuotaUsedUp | Thrown::DiskFull => true,
    };
    if skipped || own.contains(&exception) {
        space.end_step();
        return;
    }
    let mut words = [0_u64; 2 * FRAMES_MAX];
    let mut length = 0;
    let (mut record, mut position) = (worker.record, worker.frame.position);
    for frame in words.chunks_exact_mut(2) {
        frame.copy_from_slice(&[worker.load(record, RECORD_FUNCTION), position]);
        length += 2;
        if record <= first_record(worker) {
            break;
        }
        record -= RECORD_SIZE;
        // Inside the call instruction.
        position = worker.load(record, RECORD_POSITION).wrapping_sub(8);
    }
    let class = counting::class_at(space, Builtin::LongArray as u32);
    let trace = array::allocate(space, worker.allocator, class, length);
    space.end_step();
    let Ok(trace) = trace else { return };
    space.touch_write_range(array::slot(trace, 0), length * 8);
    space.begin_changes();
    for (at, word) in (0..length).zip(words) {
        space.store(array::slot(trace, at), word);
    }
    space.end_step();
    counting::store_reference(space, place, trace);
    space.end_step();
}

/// Goes on unwinding the pending exception, here or in a thread that was resumed. False when the slice is over.
pub(crate) fn unwind(worker: &mut Worker) -> bool {
    let pending = ObjectAddress(worker.thread.0 + PENDING_EXCEPTION);
    let flags = ObjectAddress(worker.thread.0 + FLAGS);
    crate::natives::abandon(worker.space, worker.thread);
    loop {
        let exception: u64 = worker.space.load(pending);
        if handle(worker, exception) {
            worker.space.end_step();
            // The frame holds it now.
            counting::store_reference(worker.space, pending, ObjectAddress(0));
            worker.space.store_resident(flags, worker.space.load::<u32>(flags) & !FLAG_UNWINDING);
            worker.position = worker.frame.position;
            worker.space.end_step();
            return true;
        }
        if worker.record <= first_record(worker) {
            return thread::ended_by(worker, exception);
        }
        if enter_caller(worker).is_err() {
            // The frame below is damaged: nothing above it can be trusted to catch.
            return thread::ended_by(worker, exception);
        }
        let caller = worker.record - RECORD_SIZE;
        let bases = worker.load(caller, RECORD_RAW_BASE);
        // Inside the call instruction, so that its range is the one that is searched.
        worker.frame.position = worker.load(caller, RECORD_POSITION).wrapping_sub(8);
        worker.frame.raws = worker.stack + (bases & 0xffff_ffff);
        worker.frame.references = worker.stack + (bases >> 32);
        worker.record = caller;
        worker.position = worker.frame.position;
        worker.space.end_step();
    }
}

/// Goes to the first handler of the current frame that takes the exception; false if there is none.
fn handle(worker: &mut Worker, exception: u64) -> bool {
    let function = worker.load(worker.record, RECORD_FUNCTION);
    let handlers = worker.load(function, FUNCTION_HANDLERS);
    if handlers == 0 {
        return false;
    }
    let code = worker.load(function, FUNCTION_CODE);
    let position = worker.frame.position.wrapping_sub(code) / 8;
    let entries = u64::from(worker.load32(handlers, LENGTH)) / HANDLER_WORDS;
    for entry in 0..entries {
        let place = PAYLOAD + entry * HANDLER_WORDS * 8;
        let range = worker.load(handlers, place);
        if position < range & 0xffff_ffff || position >= range >> 32 {
            continue;
        }
        let class = worker.load(handlers, place + 16);
        if catches(worker, exception, class) {
            let target = worker.load(handlers, place + 8);
            let register = (target >> 32) & 0xffff;
            let slot = ObjectAddress(worker.frame.references + register * 8);
            worker.space.store_resident(slot, exception);
            worker.frame.position = code.wrapping_add((target & 0xffff_ffff) * 8);
            return true;
        }
    }
    false
}
