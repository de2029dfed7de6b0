//! One slice: a thread from the place where it stopped to the place where it stops next.
//!
//! What comes from the thread object and from its current call record may be damaged, so it is checked before it becomes a pointer:
//! the stack lies in the heap area, the record in the stack, the position in the code of the record's function. A thread that
//! fails the check is parked as damaged. Neighbours: `system` calls [`run_slice`] inside an attempt and saves the worker when
//! the attempt is abandoned.

use revenant_hal::ObjectAddress;

use crate::counting;
use crate::exception;
use crate::heap::Allocator;
use crate::loader::layout::{FUNCTION_CODE, FUNCTION_RESULTS};
use crate::memory::layout::area;
use crate::memory::layout::thread::{
    FLAGS, FRAME, GROUP_INDEX, POSITION, RAW_LIMIT, RECORD_FUNCTION, RECORD_LIMIT, RECORD_RAW_BASE,
    RECORD_SIZE, REFERENCE_LIMIT, SIZE, STACK, STACK_SIZE, STATE, STATE_RUNNABLE,
};
use crate::thread::{self, FLAG_ENDING, FLAG_UNWINDING};

use super::cold::prepare_frame;
#[cfg(any(debug_assertions, not(target_arch = "x86_64")))]
use super::interpret;
#[cfg(all(target_arch = "x86_64", not(debug_assertions)))]
use super::tail;
use super::worker::{Frame, SliceEnd, Worker};

/// Largest stack range that a thread can have.
pub(crate) const STACK_LARGEST: u64 = 1 << 30;

/// Runs `thread` for at most `polls` polls. In an attempt; when it is abandoned, [`Worker::save`] keeps what was done.
pub(crate) fn run_slice(worker: &mut Worker, thread: ObjectAddress, polls: u32) -> SliceEnd {
    if !begin(worker, thread, polls) {
        worker.thread = ObjectAddress(0);
        thread::park_damaged(worker.space, thread);
        thread::release_others(worker.space, thread);
        return SliceEnd::Parked;
    }
    let flags: u32 = worker.space.load(ObjectAddress(thread.0.wrapping_add(FLAGS)));
    let goes_on = if flags & FLAG_ENDING != 0 {
        thread::go_on_ending(worker)
    } else if flags & FLAG_UNWINDING != 0 {
        exception::unwind(worker)
    } else {
        thread::deliver_result(worker)
    };
    if goes_on {
        #[cfg(any(debug_assertions, not(target_arch = "x86_64")))]
        interpret::run(worker);
        #[cfg(all(target_arch = "x86_64", not(debug_assertions)))]
        tail::run(worker);
    }
    worker.space.end_step();
    worker.save();
    worker.thread = ObjectAddress(0);
    worker.end.take().unwrap_or(SliceEnd::Budget)
}

/// Makes the worker describe the thread; false if the thread cannot be one.
fn begin(worker: &mut Worker, thread: ObjectAddress, polls: u32) -> bool {
    let space = worker.space;
    let load = |offset| space.load::<u64>(ObjectAddress(thread.0.wrapping_add(offset)));
    space.touch_write(thread);
    space.touch_write(ObjectAddress(thread.0.wrapping_add(SIZE - 1)));
    let (stack, size) = (load(STACK), load(STACK_SIZE));
    let (position, record) = (load(POSITION), load(FRAME));
    let (references, raws, records) = (load(REFERENCE_LIMIT), load(RAW_LIMIT), load(RECORD_LIMIT));
    let whole = stack >= area::HEAP
        && size <= STACK_LARGEST
        && stack.checked_add(size).is_some_and(|end| end <= area::END)
        && stack <= references
        && references <= raws
        && raws <= record
        && record.is_multiple_of(8)
        && record < records
        && records - record >= RECORD_SIZE
        && records <= stack + size;
    let state: u32 = space.load(ObjectAddress(thread.0.wrapping_add(STATE)));
    if !whole || state != STATE_RUNNABLE {
        return false;
    }
    worker.thread = thread;
    worker.position = position;
    worker.record = record;
    worker.stack = stack;
    worker.stack_size = size;
    worker.record_floor = record;
    worker.reference_soft_limit = 0;
    worker.raw_soft_limit = 0;
    worker.record_soft_limit = 0;
    worker.polls = polls;
    worker.end = None;
    worker.allocator =
        Allocator::of_group(space.load(ObjectAddress(thread.0.wrapping_add(GROUP_INDEX))));
    space.end_step();
    if counting::frozen::prepare_to_run(space, thread).is_err() {
        return false;
    }
    if prepare_frame(worker, record).is_err() {
        return false;
    }
    space.end_step();
    let bases = worker.load(record, RECORD_RAW_BASE);
    worker.frame =
        Frame { position, references: stack + (bases >> 32), raws: stack + (bases & 0xffff_ffff) };
    let function = worker.load(record, RECORD_FUNCTION);
    let code = worker.load(function, FUNCTION_CODE);
    let words = worker.load(function, FUNCTION_RESULTS) >> 32;
    position.is_multiple_of(8) && position >= code && (position - code) / 8 < words
}
