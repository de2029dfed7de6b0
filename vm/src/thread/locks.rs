//! Locks, conditions, semaphores: objects with FIFOs of waiting threads; nothing in the kernel stands behind them.
//!
//! A lock passes from owner to owner: unlocking gives it to the first waiter, in one step. The locks of a thread are linked, so that a
//! thread that ends can pass them on, marked as abandoned: the next owner gets an exception and owns the lock. A lock that
//! is owned counts one reference for that. Waiting on a condition lets go of its lock; being notified, timed out or interrupted moves the
//! thread to the lock's FIFO with its result already noted, and it goes on when the lock is its own again.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use crate::counting;
use crate::dispatch::{SliceEnd, Worker};
use crate::exception::Thrown;
use crate::memory::Space;
use crate::memory::layout::thread::{
    CONDITION_HEAD, CONDITION_MUTEX, MUTEX_ABANDONED, MUTEX_HEAD, MUTEX_NEXT, MUTEX_OWNER,
    MUTEX_PREVIOUS, NATIVE_PROGRESS, OWNED_MUTEXES, SEMAPHORE_HEAD, SEMAPHORE_PERMITS, SIZE,
    WAIT_RESULT,
};
use crate::scheduler::queue::Queue;

use super::{
    Completion, NEVER, Outcome, Wait, WaitKind, at, forget_lost, is_damaged, leave, park,
    skip_damaged, touch, touch_leave, touch_park, touch_wake, wake,
};

/// While a thread waits for a lock, this word of it says what it is told when it gets it: 0 for the raw result in its
/// progress word, else the built-in class to throw.
pub(crate) const GRANT: u64 = NATIVE_PROGRESS + 8;

fn waiters(mutex: ObjectAddress) -> Queue {
    Queue::new(at(mutex, MUTEX_HEAD))
}

/// Touches what [`own`] changes.
fn touch_own(space: Space, mutex: ObjectAddress, thread: ObjectAddress) {
    space.touch_write(mutex);
    space.touch_write(at(mutex, MUTEX_PREVIOUS));
    touch(space, thread);
    counting::touch_count(space, mutex);
    let first: u64 = space.load(at(thread, OWNED_MUTEXES));
    if first != 0 {
        space.touch_write(at(ObjectAddress(first), MUTEX_PREVIOUS));
    }
}

/// Makes `thread` the owner of a free lock.
fn own(space: Space, mutex: ObjectAddress, thread: ObjectAddress) {
    let first: u64 = space.load(at(thread, OWNED_MUTEXES));
    counting::count_up(space, mutex);
    space.store(at(mutex, MUTEX_OWNER), thread.0);
    space.store(at(mutex, MUTEX_NEXT), first);
    space.store(at(mutex, MUTEX_PREVIOUS), 0_u64);
    if first != 0 {
        space.store(at(ObjectAddress(first), MUTEX_PREVIOUS), mutex.0);
    }
    space.store(at(thread, OWNED_MUTEXES), mutex.0);
}

/// Touches what [`disown`] changes.
fn touch_disown(space: Space, mutex: ObjectAddress, owner: ObjectAddress) {
    space.touch_write(mutex);
    space.touch_write(at(mutex, MUTEX_PREVIOUS));
    touch(space, owner);
    counting::touch_count(space, mutex);
    for neighbour in [MUTEX_NEXT, MUTEX_PREVIOUS] {
        let neighbour: u64 = space.load(at(mutex, neighbour));
        if neighbour != 0 {
            space.touch_write(at(ObjectAddress(neighbour), MUTEX_NEXT));
            space.touch_write(at(ObjectAddress(neighbour), MUTEX_PREVIOUS));
        }
    }
}

/// Takes a lock from its owner.
fn disown(space: Space, mutex: ObjectAddress, owner: ObjectAddress) {
    let next: u64 = space.load(at(mutex, MUTEX_NEXT));
    let previous: u64 = space.load(at(mutex, MUTEX_PREVIOUS));
    if previous == 0 {
        space.store(at(owner, OWNED_MUTEXES), next);
    } else {
        space.store(at(ObjectAddress(previous), MUTEX_NEXT), next);
    }
    if next != 0 {
        space.store(at(ObjectAddress(next), MUTEX_PREVIOUS), previous);
    }
    space.store(at(mutex, MUTEX_OWNER), 0_u64);
    space.store(at(mutex, MUTEX_NEXT), 0_u64);
    space.store(at(mutex, MUTEX_PREVIOUS), 0_u64);
    counting::count_down(space, mutex);
}

/// A prepared release of a lock, with the first waiter as the next owner.
struct Release {
    mutex: ObjectAddress,
    owner: ObjectAddress,
    next: Option<super::Waking>,
    next_thread: ObjectAddress,
}

fn touch_release(space: Space, mutex: ObjectAddress, owner: ObjectAddress) -> Release {
    touch_disown(space, mutex, owner);
    let first = waiters(mutex).first(space);
    let next = first.map(|thread| {
        touch_own(space, mutex, thread);
        touch_wake(space, thread)
    });
    Release { mutex, owner, next, next_thread: first.unwrap_or(ObjectAddress(0)) }
}

/// Lets go of the lock: its first waiter owns it and runs, with what it was promised or, if the owner ended, with an exception.
fn release(space: Space, release: &Release, abandoned: bool) {
    disown(space, release.mutex, release.owner);
    let marked = abandoned && release.next.is_none();
    space.store(at(release.mutex, MUTEX_ABANDONED), u64::from(marked));
    let Some(waking) = &release.next else { return };
    let thread = release.next_thread;
    own(space, release.mutex, thread);
    wake(space, waking, granted(space, thread, abandoned));
}

/// What a thread is told that gets the lock it waited for.
fn granted(space: Space, thread: ObjectAddress, abandoned: bool) -> Completion {
    if abandoned {
        return Completion::Throws(Builtin::LockAbandonedException);
    }
    let class: u64 = space.load(at(thread, GRANT));
    match u32::try_from(class).ok().and_then(Builtin::from_number) {
        Some(class) => Completion::Throws(class),
        None => Completion::Result(space.load(at(thread, NATIVE_PROGRESS))),
    }
}

/// Takes the lock or waits for it until `deadline`. The raw result, for those natives that have one, is 1.
///
/// # Errors
/// The thread owns it already; or its last owner ended holding it, and now the thread owns it.
pub(crate) fn lock(
    worker: &mut Worker,
    mutex: ObjectAddress,
    deadline: u64,
) -> Result<Outcome, Thrown> {
    let (space, thread) = (worker.space, worker.thread);
    let owner: u64 = space.load(at(mutex, MUTEX_OWNER));
    if owner == thread.0 {
        return Err(owned_already(space, mutex));
    }
    if owner != 0 {
        abandon_if_lost(space, mutex);
    }
    if owner == 0 || space.load::<u64>(at(mutex, MUTEX_OWNER)) == 0 {
        return take(worker, mutex);
    }
    forget_lost(space, waiters(mutex));
    let wait =
        Wait::in_queue(WaitKind::Mutex, mutex.0.wrapping_add(MUTEX_HEAD), mutex).before(deadline);
    let parking = touch_park(space, thread, wait);
    space.begin_changes();
    park(space, thread, &parking);
    space.store(at(thread, NATIVE_PROGRESS), 1_u64);
    space.store(at(thread, GRANT), 0_u64);
    worker.end = Some(SliceEnd::Parked);
    Ok(Outcome::Parked)
}

/// Why a thread that owns the lock cannot take it. An abandoned lock stays marked until it is let go, so that whoever takes it is told
/// even if the attempt ends between the taking and the telling.
fn owned_already(space: Space, mutex: ObjectAddress) -> Thrown {
    if space.load::<u64>(at(mutex, MUTEX_ABANDONED)) != 0 {
        return Builtin::LockAbandonedException.into();
    }
    Builtin::LockStateException.into()
}

/// Takes a free lock.
fn take(worker: &Worker, mutex: ObjectAddress) -> Result<Outcome, Thrown> {
    let (space, thread) = (worker.space, worker.thread);
    touch_own(space, mutex, thread);
    let abandoned: u64 = space.load(at(mutex, MUTEX_ABANDONED));
    space.begin_changes();
    own(space, mutex, thread);
    if abandoned != 0 {
        return Err(Builtin::LockAbandonedException.into());
    }
    Ok(Outcome::Done)
}

/// Takes the lock if it is free: whether it did.
///
/// # Errors
/// As [`lock`].
pub(crate) fn try_lock(worker: &Worker, mutex: ObjectAddress) -> Result<bool, Thrown> {
    let owner: u64 = worker.space.load(at(mutex, MUTEX_OWNER));
    if owner == worker.thread.0 {
        return Err(owned_already(worker.space, mutex));
    }
    if owner != 0 {
        abandon_if_lost(worker.space, mutex);
        if worker.space.load::<u64>(at(mutex, MUTEX_OWNER)) != 0 {
            return Ok(false);
        }
    }
    take(worker, mutex).map(|_| true)
}

/// Gives the lock to its first waiter.
///
/// # Errors
/// The thread does not own it.
pub(crate) fn unlock(worker: &Worker, mutex: ObjectAddress) -> Result<Outcome, Thrown> {
    let (space, thread) = (worker.space, worker.thread);
    if space.load::<u64>(at(mutex, MUTEX_OWNER)) != thread.0 {
        return Err(Builtin::LockStateException.into());
    }
    skip_damaged(space, waiters(mutex));
    let prepared = touch_release(space, mutex, thread);
    space.begin_changes();
    release(space, &prepared, false);
    Ok(Outcome::Done)
}

/// Passes on the first lock that an ending thread owns; false when it owns none. One step.
pub(crate) fn abandon_one(space: Space, thread: ObjectAddress) -> bool {
    let mutex = ObjectAddress(space.load(at(thread, OWNED_MUTEXES)));
    if mutex.0 == 0 {
        return false;
    }
    skip_damaged(space, waiters(mutex));
    let prepared = touch_release(space, mutex, thread);
    space.begin_changes();
    release(space, &prepared, true);
    space.end_step();
    true
}

/// The lock of a condition.
fn mutex_of(space: Space, condition: ObjectAddress) -> ObjectAddress {
    ObjectAddress(space.load(at(condition, CONDITION_MUTEX)))
}

/// Lets go of the condition's lock and waits until notified or until `deadline`.
///
/// # Errors
/// The thread does not own the lock.
pub(crate) fn wait(
    worker: &mut Worker,
    condition: ObjectAddress,
    deadline: u64,
) -> Result<Outcome, Thrown> {
    let (space, thread) = (worker.space, worker.thread);
    let mutex = mutex_of(space, condition);
    if space.load::<u64>(at(mutex, MUTEX_OWNER)) != thread.0 {
        return Err(Builtin::LockStateException.into());
    }
    skip_damaged(space, waiters(mutex));
    forget_lost(space, Queue::new(at(condition, CONDITION_HEAD)));
    let kind = WaitKind::Condition;
    let wait =
        Wait::in_queue(kind, condition.0.wrapping_add(CONDITION_HEAD), condition).before(deadline);
    let released = touch_release(space, mutex, thread);
    let parking = touch_park(space, thread, wait);
    space.begin_changes();
    // Parking first: the run queue is then as `touch_park` saw it, but for this thread.
    park(space, thread, &parking);
    release(space, &released, false);
    worker.end = Some(SliceEnd::Parked);
    Ok(Outcome::Parked)
}

/// Takes a thread out of its condition and lets it have the lock, now or in its turn, and then learn `completion`. One step.
pub(crate) fn leave_condition(space: Space, thread: ObjectAddress, completion: Completion) {
    let condition =
        ObjectAddress(space.load(at(thread, crate::memory::layout::thread::WAIT_OBJECT)));
    let mutex = mutex_of(space, condition);
    abandon_if_lost(space, mutex);
    if space.load::<u64>(at(mutex, MUTEX_OWNER)) == 0 {
        touch_own(space, mutex, thread);
        let waking = touch_wake(space, thread);
        let abandoned = space.load::<u64>(at(mutex, MUTEX_ABANDONED)) != 0;
        space.begin_changes();
        own(space, mutex, thread);
        space.store(at(mutex, MUTEX_ABANDONED), 0_u64);
        let told = if abandoned {
            Completion::Throws(Builtin::LockAbandonedException)
        } else {
            completion
        };
        wake(space, &waking, told);
        return;
    }
    forget_lost(space, waiters(mutex));
    let leaving = touch_leave(space, thread);
    space.touch_write(mutex);
    space.touch_write(at(mutex, MUTEX_PREVIOUS));
    waiters(mutex).touch_push(space, thread);
    counting::touch_count(space, mutex);
    space.begin_changes();
    leave(space, &leaving);
    waiters(mutex).push(space, thread);
    counting::count_up(space, mutex);
    let (value, class) = match completion {
        Completion::Throws(class) => (0, class as u64),
        Completion::Result(value) => (value, 0),
        Completion::Again => (0, 0),
    };
    space.store(at(thread, crate::memory::layout::thread::WAIT_OBJECT), mutex.0);
    space.store(
        at(thread, crate::memory::layout::thread::WAIT_QUEUE),
        mutex.0.wrapping_add(MUTEX_HEAD),
    );
    space.store(at(thread, crate::memory::layout::thread::WAIT_KIND), WaitKind::Reacquire as u64);
    space.store(at(thread, crate::memory::layout::thread::DEADLINE), NEVER);
    space.store(at(thread, WAIT_RESULT), 0_u64);
    space.store(at(thread, NATIVE_PROGRESS), value);
    space.store(at(thread, GRANT), class);
}

/// The thread is on its way from a condition back to the lock: what it hears when it owns it is the interruption. One step.
pub(crate) fn note_interruption(space: Space, thread: ObjectAddress) {
    touch(space, thread);
    space.begin_changes();
    space.store(at(thread, GRANT), Builtin::InterruptedException as u64);
    space.end_step();
}

/// A lock whose owner's object was lost passes on like that of a thread that ended: to its first waiter, or it is free and marked
/// as abandoned. Steps; nothing for any other lock.
pub(crate) fn abandon_if_lost(space: Space, mutex: ObjectAddress) {
    let owner: u64 = space.load(at(mutex, MUTEX_OWNER));
    let is_lost = owner != 0 && is_damaged(space, ObjectAddress(owner));
    space.end_step();
    if !is_lost {
        return;
    }
    skip_damaged(space, waiters(mutex));
    let prepared = touch_release(space, mutex, ObjectAddress(owner));
    space.begin_changes();
    release(space, &prepared, true);
    space.end_step();
}

/// Notifies the first waiter of a condition; false if there is none. One step.
///
/// # Errors
/// The thread does not own the lock.
pub(crate) fn notify(worker: &Worker, condition: ObjectAddress) -> Result<bool, Thrown> {
    let space = worker.space;
    let mutex = mutex_of(space, condition);
    if space.load::<u64>(at(mutex, MUTEX_OWNER)) != worker.thread.0 {
        return Err(Builtin::LockStateException.into());
    }
    let waiting = Queue::new(at(condition, CONDITION_HEAD));
    skip_damaged(space, waiting);
    let Some(first) = waiting.first(space) else { return Ok(false) };
    leave_condition(space, first, Completion::Result(1));
    Ok(true)
}

/// Takes a permit or waits for one.
pub(crate) fn acquire(worker: &mut Worker, semaphore: ObjectAddress) -> Outcome {
    let space = worker.space;
    let permits: u64 = space.load_for_change(at(semaphore, SEMAPHORE_PERMITS));
    if permits > 0 {
        space.begin_changes();
        space.store(at(semaphore, SEMAPHORE_PERMITS), permits - 1);
        return Outcome::Done;
    }
    let wait =
        Wait::in_queue(WaitKind::Semaphore, semaphore.0.wrapping_add(SEMAPHORE_HEAD), semaphore);
    super::park_worker(worker, wait);
    Outcome::Parked
}

/// Gives one permit: to the first waiter, or to whoever asks next. One step; false when no more fit.
pub(crate) fn give_permit(space: Space, semaphore: ObjectAddress) -> bool {
    skip_damaged(space, Queue::new(at(semaphore, SEMAPHORE_HEAD)));
    if let Some(first) = Queue::new(at(semaphore, SEMAPHORE_HEAD)).first(space) {
        super::wake_now(space, first, Completion::Result(0));
        return true;
    }
    let permits: u64 = space.load_for_change(at(semaphore, SEMAPHORE_PERMITS));
    let Some(more) = permits.checked_add(1) else { return false };
    space.begin_changes();
    space.store(at(semaphore, SEMAPHORE_PERMITS), more);
    space.end_step();
    true
}

const _: () = assert!(GRANT + 8 <= SIZE);
