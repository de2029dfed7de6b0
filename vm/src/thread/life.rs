//! The life of a thread: made with its stack and its three exceptions, ended step by step.
//!
//! A thread under way stands in the maker's native cursor, so that a start whose attempt ended goes on with the same object and the same
//! stack. The end of a thread is a sequence of steps too: its locks pass on, those who join it wake, its program hears
//! of it, its stack goes back; a flag says that it is ending, and a restart goes on where it stopped.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use crate::console;
use crate::counting::{self, class_at};
use crate::dispatch::{STACK_LARGEST, SliceEnd, Worker};
use crate::exception::Thrown;
use crate::heap::{self, AllocationError, Allocator, runs};
use crate::loader::layout::{
    CLOSURE_FUNCTION, FUNCTION_CODE, FUNCTION_COUNTS, FUNCTION_RESULTS, PROGRAM_EXCEPTION,
    PROGRAM_EXIT, PROGRAM_MAIN, PROGRAM_RETURNED, PROGRAM_STATE, PROGRAM_UNCAUGHT,
};
use crate::memory::Space;
use crate::memory::layout::area;
use crate::memory::layout::system::{root, scheduler};
use crate::memory::layout::thread::{
    DEADLINE, DISK_FULL, EXIT_RAW, FLAGS, FRAME, GROUP, GROUP_INDEX, HOT_NEXT, INDEX, JOIN_HEAD,
    NAME, NATIVE_REFERENCE, OUT_OF_MEMORY, PENDING_EXCEPTION, POSITION, PROGRAM, RAW_LIMIT,
    RECORD_FUNCTION, RECORD_LIMIT, RECORD_RAW_BASE, RECORD_RAW_END, RECORD_SIZE, REFERENCE_LIMIT,
    STACK, STACK_DEFAULT, STACK_OVERFLOW, STACK_SIZE, STATE, STATE_ENDED, STATE_RUNNABLE, UNCAUGHT,
    WATERMARK, stack_parts,
};
use crate::scheduler::queue::Queue;
use crate::scheduler::{RUN_LENGTH, RUN_QUEUE, word};

use super::{Completion, FLAG_ENDING, FLAG_INTERRUPTED, FLAG_UNWINDING, NEVER, at, touch};

/// Locks and joiners that a thread which ends deals with in one slice. A damaged list may have no end: others run in between.
const HANDED_ON: u32 = 256;

/// Ended threads that one turn or system step deals with.
const REAPED: u32 = 64;

/// Makes the parts of a thread that are not there yet: stack and exceptions. Steps; called again after an ended attempt.
///
/// # Errors
/// No memory to be had.
pub(crate) fn furnish(
    space: Space,
    allocator: Allocator,
    thread: ObjectAddress,
    stack_bytes: u64,
) -> Result<(), AllocationError> {
    for (field, class) in [
        (OUT_OF_MEMORY, Builtin::OutOfMemoryException),
        (DISK_FULL, Builtin::DiskFullException),
        (STACK_OVERFLOW, Builtin::StackOverflowException),
    ] {
        if space.load::<u64>(at(thread, field)) == 0 {
            let made = heap::allocate_plain(space, allocator, class_at(space, class as u32))?;
            space.end_step();
            counting::store_reference(space, at(thread, field), made);
            space.end_step();
        }
    }
    if space.load::<u64>(at(thread, STACK)) == 0 {
        let bytes = if stack_bytes == 0 { STACK_DEFAULT } else { stack_bytes };
        touch(space, thread);
        let (stack, size) = runs::take_stack(space, bytes.clamp(STACK_DEFAULT / 4, STACK_LARGEST))?;
        // No touch, so no ended attempt, lies between the taking and the noting: the object was touched in this attempt.
        let (references, raws, records) = stack_parts(size);
        space.store_resident(at(thread, STACK), stack.0);
        space.store_resident(at(thread, STACK_SIZE), size);
        space.store_resident(at(thread, REFERENCE_LIMIT), stack.0 + references);
        space.store_resident(at(thread, RAW_LIMIT), stack.0 + raws);
        space.store_resident(at(thread, RECORD_LIMIT), stack.0 + records);
        space.store_resident(at(thread, WATERMARK), stack.0);
        space.store_resident(at(thread, DEADLINE), NEVER);
        space.end_step();
    }
    Ok(())
}

/// Gives the thread its first frame: `function` with `argument` as its first reference. The stack is new, so writing it is
/// the touch. One step.
pub(crate) fn first_frame(
    space: Space,
    thread: ObjectAddress,
    function: u64,
    argument: ObjectAddress,
) {
    let load = |offset| space.load::<u64>(at(thread, offset));
    let (stack, raws, record) = (load(STACK), load(REFERENCE_LIMIT), load(RAW_LIMIT));
    let counts: u64 = space.load(ObjectAddress(function.wrapping_add(FUNCTION_COUNTS)));
    let code: u64 = space.load(ObjectAddress(function.wrapping_add(FUNCTION_CODE)));
    let (references, raw_registers) = (counts & 0xffff, counts >> 16 & 0xffff);
    space.zero_ahead(ObjectAddress(stack), references.max(1));
    space.store_ahead(ObjectAddress(raws), 0_u64);
    let raw_base = raws - stack;
    let ends = (raw_base + raw_registers * 8) | (references * 8) << 32;
    space.store_ahead(ObjectAddress(record), code);
    space.store_ahead(ObjectAddress(record + RECORD_FUNCTION), function);
    space.store_ahead(ObjectAddress(record + RECORD_RAW_BASE), raw_base);
    space.store_ahead(ObjectAddress(record + RECORD_RAW_END), ends);
    space.end_step();
    touch(space, thread);
    counting::touch_count(space, argument);
    space.touch_write(ObjectAddress(stack));
    space.begin_changes();
    space.store(ObjectAddress(stack), argument.0);
    counting::declare_again(space, argument);
    space.store(at(thread, POSITION), code);
    space.store(at(thread, FRAME), record);
    space.end_step();
}

/// Enters a furnished thread in the thread table, in the run queue and among the hot threads: its first slots are asked by
/// the next grace although it has not run yet. One step.
///
/// # Errors
/// All thread indices are in use.
pub(crate) fn launch(space: Space, thread: ObjectAddress) -> Result<(), AllocationError> {
    let free_word = ObjectAddress(area::ROOT + root::FREE_THREAD);
    let next_word = ObjectAddress(area::ROOT + root::NEXT_THREAD);
    let free: u64 = space.load_for_change(free_word);
    let next: u64 = space.load::<u64>(next_word).max(1);
    let index = if free == 0 { next } else { free };
    if index >= area::THREAD_TABLE_ENTRIES {
        return Err(AllocationError::Exhausted);
    }
    let entry = ObjectAddress(area::THREAD_TABLE + index * 8);
    let after: u64 = space.load_for_change(entry);
    let entrance = counting::frozen::touch_enter_hot(space, thread, index);
    touch(space, thread);
    let stack = ObjectAddress(space.load(at(thread, STACK)));
    runs::touch_stack_thread(space, stack);
    counting::touch_count(space, thread);
    RUN_QUEUE.touch_push(space, thread);
    space.touch_write(RUN_LENGTH);
    space.begin_changes();
    if free == 0 {
        space.store(next_word, next + 1);
    } else {
        space.store(free_word, after >> 1);
    }
    counting::count_up(space, thread);
    space.store(entry, thread.0);
    // Below the number of table entries, 2^24.
    let number = u32::try_from(index).unwrap_or(0);
    space.store(at(thread, INDEX), number);
    runs::set_stack_thread(space, stack, number);
    space.store(at(thread, STATE), STATE_RUNNABLE);
    entrance.enter(space, thread);
    RUN_QUEUE.push(space, thread);
    space.store(RUN_LENGTH, space.load::<u64>(RUN_LENGTH).wrapping_add(1));
    let alive = word(scheduler::THREAD_COUNT);
    space.store(alive, space.load::<u64>(alive).wrapping_add(1));
    space.end_step();
    Ok(())
}

/// `thread.spawn`: a new thread that calls `closure` on a stack of `bytes`. Steps.
///
/// # Errors
/// No memory; an impossible stack size; nothing remains of the new thread then.
pub(crate) fn spawn(
    worker: &Worker,
    closure: ObjectAddress,
    bytes: u64,
) -> Result<ObjectAddress, Thrown> {
    if bytes > STACK_LARGEST {
        return Err(Builtin::InvalidArgumentException.into());
    }
    check_start(worker.space, closure, bytes)?;
    worker.space.end_step();
    let cursor = at(worker.thread, NATIVE_REFERENCE);
    let made = start(worker, closure, bytes, cursor);
    if made.is_err() {
        let begun = ObjectAddress(worker.space.load(cursor));
        if begun.0 != 0 {
            discard_unfinished(worker.space, begun);
            counting::store_reference(worker.space, cursor, ObjectAddress(0));
            worker.space.end_step();
        }
    }
    Ok(made?)
}

/// Gives back the stack of a thread whose making is given up; nothing for other objects. Steps.
pub(crate) fn discard_unfinished(space: Space, object: ObjectAddress) {
    if object.0 != 0
        && space.load::<u32>(object) == Builtin::Thread as u32
        && space.load::<u32>(at(object, STATE)) == 0
    {
        give_back_stack(space, object);
    }
    space.end_step();
}

/// Whether a thread can begin with this closure: the verifier knows only that it is one, and a function that expects more than
/// its closure would find registers that nobody filled.
fn check_start(space: Space, closure: ObjectAddress, bytes: u64) -> Result<(), Thrown> {
    let function: u64 = space.load(at(closure, CLOSURE_FUNCTION));
    let counts: u64 = space.load(ObjectAddress(function.wrapping_add(FUNCTION_COUNTS)));
    let results: u32 = space.load(ObjectAddress(function.wrapping_add(FUNCTION_RESULTS)));
    let (references, raws) = (counts & 0xffff, counts >> 16 & 0xffff);
    let (reference_arguments, raw_arguments) = (counts >> 32 & 0xffff, counts >> 48);
    if (reference_arguments, raw_arguments, results) != (1, 0, 0) {
        return Err(Builtin::SignatureMismatchException.into());
    }
    // The size that `furnish` will ask for; the range handed out is no smaller.
    let size = if bytes == 0 { STACK_DEFAULT } else { bytes.max(STACK_DEFAULT / 4) };
    let (reference_part, raw_limit, _) = stack_parts(size);
    if references * 8 > reference_part || raws * 8 > raw_limit - reference_part {
        return Err(Thrown::StackOverflow);
    }
    Ok(())
}

fn start(
    worker: &Worker,
    closure: ObjectAddress,
    bytes: u64,
    cursor: ObjectAddress,
) -> Result<ObjectAddress, AllocationError> {
    let (space, parent) = (worker.space, worker.thread);
    let mut thread = ObjectAddress(space.load(cursor));
    if thread.0 == 0 || space.load::<u32>(thread) != Builtin::Thread as u32 {
        let class = class_at(space, Builtin::Thread as u32);
        thread = heap::allocate_plain(space, worker.allocator, class)?;
        space.end_step();
        counting::store_reference(space, cursor, thread);
        space.end_step();
    }
    if space.load::<u32>(at(thread, STATE)) == 0 {
        furnish(space, worker.allocator, thread, bytes)?;
        for field in [GROUP, PROGRAM] {
            let value = ObjectAddress(space.load(at(parent, field)));
            space.end_step();
            counting::store_reference(space, at(thread, field), value);
            space.end_step();
        }
        let group: u32 = space.load(at(parent, GROUP_INDEX));
        space.touch_write(at(thread, GROUP_INDEX));
        space.store(at(thread, GROUP_INDEX), group);
        space.end_step();
        let function = space.load(at(closure, CLOSURE_FUNCTION));
        first_frame(space, thread, function, closure);
        launch(space, thread)?;
    }
    Ok(thread)
}

/// The first thread of a program: makes it and lets it call `function` with `argument`. Not in an attempt.
///
/// # Errors
/// No memory to be had.
pub(crate) fn first_thread(
    space: Space,
    program: ObjectAddress,
    group: ObjectAddress,
    group_index: u32,
    function: ObjectAddress,
    argument: ObjectAddress,
) -> Result<ObjectAddress, AllocationError> {
    let allocator = Allocator::of_group(group_index);
    let thread = heap::allocate_plain(space, allocator, class_at(space, Builtin::Thread as u32))?;
    space.end_step();
    furnish(space, allocator, thread, 0)?;
    for (field, value) in [(GROUP, group), (PROGRAM, program)] {
        counting::store_reference(space, at(thread, field), value);
        space.end_step();
    }
    space.store(at(thread, GROUP_INDEX), group_index);
    counting::store_reference(space, at(program, PROGRAM_MAIN), thread);
    space.end_step();
    first_frame(space, thread, function.0, argument);
    launch(space, thread)?;
    Ok(thread)
}

/// The worker's thread returned from its first frame. False: the slice is over.
pub(crate) fn returned(worker: &mut Worker) -> bool {
    let space = worker.space;
    let instruction = worker.word();
    let opcode = instruction & 0xffff;
    let register = u16::try_from(instruction >> 16 & 0xffff).unwrap_or(0);
    let is_raw = opcode == u64::from(revenant_bytecode::number::ReturnRaw);
    let value = if is_raw { worker.raw(register) } else { 0 };
    let thread = worker.thread;
    touch(space, thread);
    space.begin_changes();
    space.store(at(thread, EXIT_RAW), value);
    set_flags(space, thread, FLAG_ENDING, 0);
    space.end_step();
    go_on_ending(worker)
}

/// An exception that nobody caught ends the worker's thread. False: the slice is over.
pub(crate) fn ended_by(worker: &mut Worker, exception: u64) -> bool {
    let (space, thread) = (worker.space, worker.thread);
    space.end_step();
    counting::store_reference(space, at(thread, UNCAUGHT), ObjectAddress(exception));
    space.end_step();
    counting::store_reference(space, at(thread, PENDING_EXCEPTION), ObjectAddress(0));
    set_flags(space, thread, FLAG_ENDING, FLAG_UNWINDING);
    space.end_step();
    go_on_ending(worker)
}

fn set_flags(space: Space, thread: ObjectAddress, set: u32, clear: u32) {
    let flags: u32 = space.load(at(thread, FLAGS));
    space.store(at(thread, FLAGS), (flags | set) & !clear);
}

/// Does what is left of a thread's end, step by step; what is left then is for its next slice. Always false: the slice is over.
pub(crate) fn go_on_ending(worker: &mut Worker) -> bool {
    let (space, thread) = (worker.space, worker.thread);
    let mut left = HANDED_ON;
    while super::locks::abandon_one(space, thread) {
        left -= 1;
        if left == 0 {
            worker.end = Some(SliceEnd::Budget);
            return false;
        }
    }
    // Before anybody hears of the end and perhaps ends the machine.
    if !console::tell_uncaught(worker) {
        return false;
    }
    let joiners = Queue::new(at(thread, JOIN_HEAD));
    while let Some(joiner) = super::first_waiting(space, joiners) {
        tell_joiner(space, thread, joiner);
        left -= 1;
        if left == 0 {
            worker.end = Some(SliceEnd::Budget);
            return false;
        }
    }
    tell_program(worker);
    // Frozen slots leave the held table before the stack goes.
    let stack = ObjectAddress(space.load(at(thread, STACK)));
    if counting::frozen::thaw(space, thread, stack).is_err() {
        super::park_damaged(space, thread);
        worker.thread = ObjectAddress(0);
        worker.end = Some(SliceEnd::Parked);
        return false;
    }
    for field in [GROUP, PROGRAM, NATIVE_REFERENCE, NAME, OUT_OF_MEMORY, DISK_FULL, STACK_OVERFLOW]
    {
        counting::store_reference(space, at(thread, field), ObjectAddress(0));
        space.end_step();
    }
    super::witness::release(worker, thread);
    leave_run_queue(space, thread);
    worker.thread = ObjectAddress(0);
    worker.end = Some(SliceEnd::Ended);
    false
}

/// Hands the end of a thread to one that waits for it. One step, after the result is in place.
fn tell_joiner(space: Space, thread: ObjectAddress, joiner: ObjectAddress) {
    let uncaught = ObjectAddress(space.load(at(thread, UNCAUGHT)));
    counting::store_reference(space, at(joiner, NATIVE_REFERENCE), uncaught);
    space.end_step();
    super::wake_now(space, joiner, Completion::Result(0));
}

/// If it was a program's main thread, notes how the program ended. Steps, repeatable.
fn tell_program(worker: &Worker) {
    let (space, thread) = (worker.space, worker.thread);
    let program = ObjectAddress(space.load(at(thread, PROGRAM)));
    if program.0 == 0 || space.load::<u64>(at(program, PROGRAM_MAIN)) != thread.0 {
        return;
    }
    let uncaught = ObjectAddress(space.load(at(thread, UNCAUGHT)));
    counting::store_reference(space, at(program, PROGRAM_EXCEPTION), uncaught);
    space.end_step();
    let state = if uncaught.0 == 0 { PROGRAM_RETURNED } else { PROGRAM_UNCAUGHT };
    let value: u64 = space.load(at(thread, EXIT_RAW));
    space.touch_write(at(program, PROGRAM_STATE));
    space.touch_write(at(program, PROGRAM_EXIT));
    space.begin_changes();
    space.store(at(program, PROGRAM_EXIT), value);
    space.store(at(program, PROGRAM_STATE), state);
    space.end_step();
}

/// The thread is over: it leaves the run queue and has no frame any more. Its entry in the thread table stays until the grace
/// that asks it last is past. One step.
fn leave_run_queue(space: Space, thread: ObjectAddress) {
    touch(space, thread);
    RUN_QUEUE.touch_remove(space, thread);
    space.touch_write(RUN_LENGTH);
    space.begin_changes();
    RUN_QUEUE.remove(space, thread);
    space.store(RUN_LENGTH, space.load::<u64>(RUN_LENGTH).wrapping_sub(1));
    let alive = word(scheduler::THREAD_COUNT);
    space.store(alive, space.load::<u64>(alive).wrapping_sub(1));
    space.store(at(thread, FRAME), 0_u64);
    space.store(at(thread, STATE), STATE_ENDED);
    set_flags(space, thread, 0, FLAG_ENDING | FLAG_INTERRUPTED);
    space.end_step();
}

/// Gives back stack and index of threads that ended and that no grace asks any more, a bounded number; whether some may be left.
pub(crate) fn reap(space: Space) -> bool {
    (0..REAPED).all(|_| reap_one(space))
}

/// Gives back one; false if there is none. Steps.
fn reap_one(space: Space) -> bool {
    let head = word(scheduler::ENDED_HEAD);
    let thread = ObjectAddress(space.load(head));
    if thread.0 == 0 {
        return false;
    }
    let index = u64::from(space.load::<u32>(at(thread, INDEX)));
    let entry = ObjectAddress(area::THREAD_TABLE + index % area::THREAD_TABLE_ENTRIES * 8);
    let state: u32 = space.load(at(thread, STATE));
    if state != STATE_ENDED || space.load::<u64>(entry) != thread.0 {
        // Damage: what stands in this list is not known, and it may have no end. Those behind keep what they have.
        space.end_step();
        space.touch_write(head);
        space.store(head, 0_u64);
        space.end_step();
        return false;
    }
    give_back_stack(space, thread);
    let free_word = ObjectAddress(area::ROOT + root::FREE_THREAD);
    touch(space, thread);
    space.touch_write(head);
    space.touch_write(entry);
    space.touch_write(free_word);
    counting::touch_count(space, thread);
    space.begin_changes();
    space.store(head, space.load::<u64>(at(thread, HOT_NEXT)));
    space.store(at(thread, HOT_NEXT), 0_u64);
    space.store(entry, space.load::<u64>(free_word) << 1 | 1);
    space.store(free_word, index);
    counting::count_down(space, thread);
    space.end_step();
    true
}

/// Gives back a stack range whose thread was lost with the page of its object: the thread for which it was taken has another by
/// now, or none, or is another. One that has no thread yet is its maker's. Whether it was. One step, after some that read.
pub(crate) fn give_back_lost_stack(space: Space, start: ObjectAddress, index: u32) -> bool {
    space.end_step();
    if index == 0 {
        return false;
    }
    let thread = thread_at(space, u64::from(index));
    space.end_step();
    let is_named = thread.is_some_and(|thread| space.load::<u64>(at(thread, STACK)) == start.0);
    space.end_step();
    if !is_named {
        runs::give_stack(space, start);
    }
    !is_named
}

/// The thread with an index, if there is one.
pub(crate) fn thread_at(space: Space, index: u64) -> Option<ObjectAddress> {
    let entry: u64 =
        space.load(ObjectAddress(area::THREAD_TABLE + index % area::THREAD_TABLE_ENTRIES * 8));
    (entry != 0 && entry & 1 == 0).then_some(ObjectAddress(entry))
}

/// The metadata of the first ended thread cannot be read: whether it is this page. Those in the list keep what they have. One step.
pub(crate) fn forget_ended(space: Space, metadata: ObjectAddress) -> bool {
    let head = word(scheduler::ENDED_HEAD);
    let first: u64 = space.load(head);
    let is_its = first != 0 && runs::BlockNumber::of(ObjectAddress(first)).address() == metadata;
    if is_its {
        space.end_step();
        space.touch_write(head);
        space.begin_changes();
        space.store(head, 0_u64);
        space.end_step();
    }
    is_its
}

/// Gives a stack range back, once. The object is touched before, and nothing after, so that giving and noting are one.
fn give_back_stack(space: Space, thread: ObjectAddress) {
    let stack: u64 = space.load(at(thread, STACK));
    if stack == 0 {
        return;
    }
    touch(space, thread);
    space.end_step();
    runs::give_stack(space, ObjectAddress(stack));
    space.store_resident(at(thread, STACK), 0_u64);
    space.end_step();
}

const _: () = assert!(RECORD_SIZE == 32);
