//! Threads: made, parked, woken, interrupted, ended. Everything of a thread is in its object and its stack range.
//!
//! A running thread stands in the run queue. Parking takes it out and puts it into the FIFO and the deadlines that it waits in; waking does the
//! reverse and notes the result. Either is one step. A woken thread never executes its wait again: the result and the
//! fact that the wait is over are in its object, and the first thing its next slice does is to write the result registers
//! and move the position past the instruction. Neighbours: `scheduler` (lists), `locks` (who gets a lock), `life` (start and end).

pub(crate) mod life;
pub(crate) mod locks;
pub(crate) mod witness;

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use crate::counting;
use crate::dispatch::{SliceEnd, Worker};
use crate::exception::{self, Thrown};
use crate::memory::Space;
use crate::memory::layout::thread::{
    DAMAGED_PAGE, DEADLINE, FLAGS, JOIN_HEAD, NATIVE_PROGRESS, NATIVE_REFERENCE, SIZE, STATE,
    STATE_DAMAGED, STATE_RUNNABLE, STATE_WAITING, WAIT_KIND, WAIT_OBJECT, WAIT_PREVIOUS,
    WAIT_QUEUE, WAIT_RESULT,
};
use crate::natives;
use crate::scheduler::queue::Queue;
use crate::scheduler::{RUN_LENGTH, RUN_QUEUE, timers};

pub(crate) use life::{ended_by, go_on_ending, returned};

/// Flag of a thread: its pending exception is on its way through the frames.
pub(crate) const FLAG_UNWINDING: u32 = 1 << 8;
/// Flag of a thread: it has left its last frame and gives back what it holds.
pub(crate) const FLAG_ENDING: u32 = 1 << 9;
/// Flag of a thread: it was interrupted and has not been told.
pub(crate) const FLAG_INTERRUPTED: u32 = 1 << 10;

/// Flag of a thread: the console has said by which exception it ends, or cannot.
pub(crate) const FLAG_TOLD: u32 = 1 << 11;

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// Damaged threads that a list passes over at once; a list that is damaged too may have no end.
const DAMAGED_MAX: u32 = 1 << 10;

/// What a thread waits for; says what its deadline does. Persistent numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum WaitKind {
    /// Time alone: the deadline completes it.
    Sleep = 1,
    /// A lock: after the deadline the result is 0.
    Mutex = 2,
    /// A condition: after the deadline the result is 0, once the lock is owned again.
    Condition = 3,
    /// A semaphore.
    Semaphore = 4,
    /// A thread's end.
    Join = 5,
    /// A snapshot.
    Commit = 6,
    /// A restart.
    Restart = 7,
    /// A line of input.
    ConsoleInput = 8,
    /// Room in the output ring.
    ConsoleOutput = 9,
    /// Time, after which the instruction looks again: the wall clock, or a page of a snapshot.
    SleepWall = 10,
    /// A lock, on the way back from a condition: it is owned before the thread hears of anything.
    Reacquire = 11,
}

impl WaitKind {
    /// The kind with this number.
    pub(crate) const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Sleep,
            2 => Self::Mutex,
            3 => Self::Condition,
            4 => Self::Semaphore,
            5 => Self::Join,
            6 => Self::Commit,
            7 => Self::Restart,
            8 => Self::ConsoleInput,
            9 => Self::ConsoleOutput,
            10 => Self::SleepWall,
            11 => Self::Reacquire,
            _ => return None,
        })
    }
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Completion {
    /// With this raw result, if the native has one; a reference result stands in the thread's object.
    Result(u64),
    /// With an exception of this class.
    Throws(Builtin),
    /// It begins again: the instruction is executed once more.
    Again,
}

/// Pending result: none.
const RESULT_NONE: u64 = 0;
/// Pending result: the wait is complete.
const RESULT_COMPLETE: u64 = 1;
/// Pending result: throw the built-in class in the high half.
const RESULT_THROWS: u64 = 2;

/// A word of a thread object.
pub(crate) const fn at(thread: ObjectAddress, offset: u64) -> ObjectAddress {
    ObjectAddress(thread.0.wrapping_add(offset))
}

/// Touches a whole thread object for writing.
pub(crate) fn touch(space: Space, thread: ObjectAddress) {
    space.touch_write(thread);
    space.touch_write(at(thread, SIZE - 1));
}

/// What a thread is about to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// The kind.
    pub(crate) kind: WaitKind,
    /// The FIFO to stand in.
    pub(crate) queue: Option<Queue>,
    /// The address of that FIFO's first word, as it is persistent; 0 without one.
    pub(crate) queue_word: u64,
    /// The object that the wait keeps alive, or null.
    pub(crate) object: ObjectAddress,
    /// On the machine clock, or [`NEVER`].
    pub(crate) deadline: u64,
}

impl Wait {
    /// A wait in the FIFO at this address for something in `object`.
    pub(crate) const fn in_queue(kind: WaitKind, queue_word: u64, object: ObjectAddress) -> Self {
        let queue = Some(Queue::new(ObjectAddress(queue_word)));
        Self { kind, queue, queue_word, object, deadline: NEVER }
    }

    /// A wait for time alone.
    pub(crate) const fn until(deadline: u64) -> Self {
        let object = ObjectAddress(0);
        Self { kind: WaitKind::Sleep, queue: None, queue_word: 0, object, deadline }
    }

    /// The same wait with a deadline.
    pub(crate) const fn before(self, deadline: u64) -> Self {
        Self { deadline, ..self }
    }
}

/// A prepared change of a thread's state: everything is touched, nothing changed.
pub(crate) struct Parking {
    wait: Wait,
    timer: Option<timers::Moves>,
}

/// Touches everything for parking a runnable thread.
pub(crate) fn touch_park(space: Space, thread: ObjectAddress, wait: Wait) -> Parking {
    touch(space, thread);
    RUN_QUEUE.touch_remove(space, thread);
    space.touch_write(RUN_LENGTH);
    if let Some(queue) = wait.queue {
        queue.touch_push(space, thread);
    }
    counting::touch_count(space, wait.object);
    let timer = (wait.deadline != NEVER).then(|| timers::insertion(space, thread, wait.deadline));
    Parking { wait, timer }
}

/// Parks the thread; part of a step that [`touch_park`] prepared.
pub(crate) fn park(space: Space, thread: ObjectAddress, parking: &Parking) {
    let wait = parking.wait;
    RUN_QUEUE.remove(space, thread);
    space.store(RUN_LENGTH, space.load::<u64>(RUN_LENGTH).wrapping_sub(1));
    if let Some(queue) = wait.queue {
        queue.push(space, thread);
    }
    counting::count_up(space, wait.object);
    space.store(at(thread, WAIT_OBJECT), wait.object.0);
    space.store(at(thread, WAIT_QUEUE), wait.queue_word);
    space.store(at(thread, WAIT_KIND), wait.kind as u64);
    space.store(at(thread, WAIT_RESULT), RESULT_NONE);
    space.store(at(thread, DEADLINE), wait.deadline);
    space.store(at(thread, STATE), STATE_WAITING);
    if let Some(timer) = &parking.timer {
        timer.apply(space);
    }
}

/// Parks the worker's thread at its instruction; one step. The slice is over.
pub(crate) fn park_worker(worker: &mut Worker, wait: Wait) {
    if let Some(queue) = wait.queue {
        forget_lost(worker.space, queue);
    }
    let parking = touch_park(worker.space, worker.thread, wait);
    worker.space.begin_changes();
    park(worker.space, worker.thread, &parking);
    worker.end = Some(SliceEnd::Parked);
}

/// A prepared waking: everything is touched, nothing changed.
pub(crate) struct Waking {
    thread: ObjectAddress,
    queue: Option<Queue>,
    object: ObjectAddress,
    timer: Option<timers::Moves>,
    run_queue_touched: bool,
}

/// The FIFO in which a waiting thread stands.
fn queue_of(space: Space, thread: ObjectAddress) -> Option<Queue> {
    let word: u64 = space.load(at(thread, WAIT_QUEUE));
    (word != 0).then_some(Queue::new(ObjectAddress(word)))
}

/// Whether the first thread of a list is what it seems: it waits there, and nobody stands before it.
pub(crate) fn waits_in(space: Space, first: ObjectAddress, queue: Queue) -> bool {
    let state: u32 = space.load(at(first, STATE));
    first.0.is_multiple_of(8)
        && matches!(state, STATE_WAITING | STATE_DAMAGED)
        && space.load::<u64>(at(first, WAIT_QUEUE)) == queue.word()
        && space.load::<u64>(at(first, WAIT_PREVIOUS)) == 0
}

/// The first thread of a list of waiting ones. A damaged list is emptied: waking the first of one may change another list, and
/// the step would be made for ever. So is one of which only lost threads are left.
pub(crate) fn first_waiting(space: Space, queue: Queue) -> Option<ObjectAddress> {
    let thread = queue.first(space)?;
    if waits_in(space, thread, queue) {
        return Some(thread);
    }
    forget(space, queue);
    None
}

/// Empties a list of waiting threads if only lost ones are left in it, which do not know that they wait there: before somebody
/// is appended, who would be lost with them. One step.
pub(crate) fn forget_lost(space: Space, queue: Queue) {
    let Some(last) = queue.last(space) else { return };
    if is_damaged(space, last) && space.load::<u64>(at(last, WAIT_QUEUE)) != queue.word() {
        forget(space, queue);
    }
    space.end_step();
}

/// Empties a damaged list. One step.
fn forget(space: Space, queue: Queue) {
    space.end_step();
    queue.touch_forget(space);
    space.begin_changes();
    queue.forget(space);
    space.end_step();
}

/// Takes threads that were parked as damaged out of the front of a list: they can be given nothing. Steps.
pub(crate) fn skip_damaged(space: Space, queue: Queue) {
    for _ in 0..DAMAGED_MAX {
        let Some(first) = first_waiting(space, queue) else { return };
        if !is_damaged(space, first) {
            return;
        }
        let leaving = touch_leave(space, first);
        space.begin_changes();
        leave(space, &leaving);
        space.end_step();
    }
}

/// Whether a thread never runs again because of damage.
pub(crate) fn is_damaged(space: Space, thread: ObjectAddress) -> bool {
    space.load::<u32>(at(thread, STATE)) == STATE_DAMAGED
}

/// Touches everything for taking a waiting thread out of its FIFO and its deadline.
fn touch_leave(space: Space, thread: ObjectAddress) -> Waking {
    touch(space, thread);
    let queue = queue_of(space, thread);
    if let Some(queue) = queue {
        queue.touch_remove(space, thread);
    }
    let object = ObjectAddress(space.load(at(thread, WAIT_OBJECT)));
    counting::touch_count(space, object);
    let deadline: u64 = space.load(at(thread, DEADLINE));
    let timer = (deadline != NEVER).then(|| timers::removal(space, thread));
    Waking { thread, queue, object, timer, run_queue_touched: false }
}

/// Touches everything for waking a waiting thread.
pub(crate) fn touch_wake(space: Space, thread: ObjectAddress) -> Waking {
    let waking = touch_leave(space, thread);
    RUN_QUEUE.touch_push(space, thread);
    space.touch_write(RUN_LENGTH);
    Waking { run_queue_touched: true, ..waking }
}

fn leave(space: Space, waking: &Waking) {
    if let Some(queue) = waking.queue {
        queue.remove(space, waking.thread);
    }
    if let Some(timer) = &waking.timer {
        timer.apply(space);
    }
    space.store(at(waking.thread, WAIT_OBJECT), 0_u64);
    space.store(at(waking.thread, WAIT_QUEUE), 0_u64);
    space.store(at(waking.thread, DEADLINE), NEVER);
    counting::count_down(space, waking.object);
}

/// Completes the wait; part of a step that [`touch_wake`] prepared.
pub(crate) fn wake(space: Space, waking: &Waking, completion: Completion) {
    debug_assert!(waking.run_queue_touched, "a waking that was prepared to move");
    let thread = waking.thread;
    leave(space, waking);
    let (result, value) = match completion {
        Completion::Result(value) => (RESULT_COMPLETE, value),
        Completion::Throws(class) => (RESULT_THROWS | (class as u64) << 32, 0),
        Completion::Again => (RESULT_NONE, 0),
    };
    space.store(at(thread, WAIT_RESULT), result);
    space.store(at(thread, NATIVE_PROGRESS), value);
    space.store(at(thread, WAIT_KIND), 0_u64);
    if is_damaged(space, thread) {
        // It leaves its lists and never runs again.
        return;
    }
    space.store(at(thread, STATE), STATE_RUNNABLE);
    RUN_QUEUE.push(space, thread);
    space.store(RUN_LENGTH, space.load::<u64>(RUN_LENGTH).wrapping_add(1));
}

/// Wakes a thread; one whole step.
pub(crate) fn wake_now(space: Space, thread: ObjectAddress, completion: Completion) {
    let waking = touch_wake(space, thread);
    space.begin_changes();
    wake(space, &waking, completion);
    space.end_step();
}

/// At the beginning of a slice: writes the result of a completed wait and moves past it, or throws it. False when the slice is
/// over.
pub(crate) fn deliver_result(worker: &mut Worker) -> bool {
    let space = worker.space;
    let thread = worker.thread;
    let result: u64 = space.load(at(thread, WAIT_RESULT));
    match result & 0xffff_ffff {
        RESULT_COMPLETE => {
            let word = worker.word();
            natives::note_end_of_wait(word, None);
            let (references, raws) = result_counts(word);
            if references > 0 {
                let value: u64 = space.load(at(thread, NATIVE_REFERENCE));
                worker.set_reference(field(word, 16), value);
                space.end_step();
                counting::store_reference(space, at(thread, NATIVE_REFERENCE), ObjectAddress(0));
                space.end_step();
            }
            if raws > 0 {
                worker.set_raw(field(word, 32), space.load(at(thread, NATIVE_PROGRESS)));
            }
            worker.advance(1);
            worker.position = worker.frame.position;
            space.store_resident(at(thread, WAIT_RESULT), RESULT_NONE);
            space.end_step();
            true
        }
        RESULT_THROWS => {
            let class = u32::try_from(result >> 32).ok().and_then(Builtin::from_number);
            let class = class.unwrap_or(Builtin::Exception);
            natives::note_end_of_wait(worker.word(), Some(class));
            exception::throw(worker, class.into())
        }
        // A completed wait comes first; an interruption that came after it waits for the next poll.
        _ if is_interrupted(worker) => {
            exception::throw(worker, Builtin::InterruptedException.into())
        }
        _ => true,
    }
}

/// A 16-bit field of an instruction word.
#[expect(clippy::cast_possible_truncation, reason = "a field is 16 bits")]
const fn field(word: u64, shift: u32) -> u16 {
    (word >> shift) as u16
}

/// References and raws that the native of a call word results in.
fn result_counts(word: u64) -> (usize, usize) {
    Native::from_number(field(word, 48)).map_or((0, 0), |native| {
        let results = native.info().results;
        let references = results.iter().filter(|value| value.is_reference()).count();
        (references, results.len() - references)
    })
}

/// Whether the thread was interrupted and has not been told; throwing `InterruptedException` tells it.
pub(crate) fn is_interrupted(worker: &Worker) -> bool {
    worker.space.load::<u32>(at(worker.thread, FLAGS)) & FLAG_INTERRUPTED != 0
}

/// Interrupts a thread: out of its wait, or at its next poll. One step; nothing for a thread that has ended.
pub(crate) fn interrupt(space: Space, thread: ObjectAddress) {
    let state: u32 = space.load(at(thread, STATE));
    let mark = || {
        let flags: u32 = space.load(at(thread, FLAGS));
        space.store(at(thread, FLAGS), flags | FLAG_INTERRUPTED);
    };
    match state {
        STATE_RUNNABLE => {
            touch(space, thread);
            space.begin_changes();
            mark();
        }
        STATE_WAITING => {
            let kind: u64 = space.load(at(thread, WAIT_KIND));
            if kind == WaitKind::Condition as u64 {
                // It owns the lock again before it hears of anything.
                locks::leave_condition(
                    space,
                    thread,
                    Completion::Throws(Builtin::InterruptedException),
                );
                return;
            }
            if kind == WaitKind::Reacquire as u64 {
                locks::note_interruption(space, thread);
                return;
            }
            let waking = touch_wake(space, thread);
            space.begin_changes();
            wake(space, &waking, Completion::Throws(Builtin::InterruptedException));
        }
        _ => {}
    }
}

/// A deadline has passed: completes the wait, or moves the thread from a condition to its lock. One step.
pub(crate) fn expire(space: Space, thread: ObjectAddress) {
    let kind: u64 = space.load(at(thread, WAIT_KIND));
    match WaitKind::from_number(kind) {
        Some(WaitKind::Condition) => {
            locks::leave_condition(space, thread, Completion::Result(0));
            space.end_step();
        }
        Some(WaitKind::SleepWall) => wake_now(space, thread, Completion::Again),
        _ => wake_now(space, thread, Completion::Result(0)),
    }
}

/// Parks a thread whose own object or frames cannot be: it never runs again, the others do. One step.
pub(crate) fn park_damaged(space: Space, thread: ObjectAddress) {
    space.end_step();
    touch(space, thread);
    RUN_QUEUE.touch_remove(space, thread);
    space.touch_write(RUN_LENGTH);
    space.begin_changes();
    RUN_QUEUE.remove(space, thread);
    space.store(RUN_LENGTH, space.load::<u64>(RUN_LENGTH).wrapping_sub(1));
    space.store(at(thread, STATE), STATE_DAMAGED);
    space.store(at(thread, DAMAGED_PAGE), thread.page().0);
    space.end_step();
    crate::console::release(space, thread);
}

/// What the others get from a thread that was parked as damaged and whose object can be read: its locks, marked as abandoned, and
/// for those who join it an exception. Steps.
pub(crate) fn release_others(space: Space, thread: ObjectAddress) {
    // The bounds are for lists that are damaged too.
    for _ in 0..1 << 10 {
        if !locks::abandon_one(space, thread) {
            break;
        }
    }
    let joiners = Queue::new(at(thread, JOIN_HEAD));
    for _ in 0..1 << 16 {
        let Some(joiner) = first_waiting(space, joiners) else { break };
        wake_now(space, joiner, Completion::Throws(Builtin::DamagedObjectException));
    }
}

/// What natives answer when they cannot finish in this step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The instruction has happened; go on behind it.
    Done,
    /// The thread waits; its waker completes the instruction.
    Parked,
    /// A step of it has happened; call it again.
    Again,
    /// Done, and others may run first.
    Yield,
}

/// What a native answers.
pub(crate) type NativeResult = Result<Outcome, Thrown>;
