//! Natives 1 to 35: environment, console, clocks, restart, commit, witness, threads, sleep, locks, conditions, semaphores.
//!
//! What each does when it cannot finish at once, what it throws and what becomes of it over a restart stands in the table of
//! `revenant_bytecode` and in ISA.md 9.

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use crate::console;
use crate::counting;
use crate::dispatch::Worker;
use crate::exception::Thrown;
use crate::heap;
use crate::loader::layout::{
    ENVIRONMENT_ARGUMENTS, ENVIRONMENT_CONSOLE, ENVIRONMENT_DIRECTORY, ENVIRONMENT_RESTART_EVENT,
    EVENT_HEAD,
};
use crate::memory::layout::area;
use crate::memory::layout::system::{root, scheduler};
use crate::memory::layout::thread::{
    COMMIT_EPOCH, CONDITION_MUTEX, JOIN_HEAD, MUTEX_OWNER, NATIVE_REFERENCE, SEMAPHORE_HEAD,
    SEMAPHORE_PERMITS, STATE, STATE_DAMAGED, STATE_ENDED, UNCAUGHT,
};
use crate::scheduler::queue::Queue;
use crate::scheduler::word;
use crate::thread::{self, NEVER, NativeResult, Outcome, Wait, WaitKind, at, life, locks, witness};

use super::Context;

/// Nanoseconds for which a native waits that wants a page of a snapshot.
const MOMENT: u64 = 20_000;

/// Executes the native if it is one of this file's.
pub(super) fn call(native: Native, worker: &mut Worker, context: &Context) -> Option<NativeResult> {
    Some(match native {
        Native::EnvironmentArguments => part(context, ENVIRONMENT_ARGUMENTS),
        Native::EnvironmentConsole => part(context, ENVIRONMENT_CONSOLE),
        Native::EnvironmentDirectory => part(context, ENVIRONMENT_DIRECTORY),
        Native::EnvironmentRestartEvent => part(context, ENVIRONMENT_RESTART_EVENT),
        Native::ConsolePrint => console::print(worker, context),
        Native::ConsoleReadLine => console::read_line(worker, context),
        Native::ClockMonotonic => monotonic(worker, context),
        Native::ClockWall => {
            let wall = worker.environment().map_or(0, |environment| environment.wall().0);
            raw(context, wall)
        }
        Native::RestartGeneration => {
            raw(context, worker.load(area::ROOT, root::RESTART_GENERATION))
        }
        Native::RestartWait => restart_wait(worker, context),
        Native::Commit => commit(worker),
        Native::EpochCurrent => {
            let epoch = worker.environment().map_or(0, |environment| environment.epoch().0);
            raw(context, epoch)
        }
        Native::Entropy => {
            let entropy = worker.environment().map_or(0, |environment| environment.entropy());
            raw(context, entropy)
        }
        Native::WitnessStep => {
            witness::report(worker, context.raw(0));
            Ok(Outcome::Done)
        }
        Native::ThreadSpawn => spawn(worker, context),
        Native::ThreadCurrent => {
            context.set_reference(0, worker.thread.0);
            Ok(Outcome::Done)
        }
        Native::ThreadJoin => join(worker, context),
        Native::ThreadYield => Ok(Outcome::Yield),
        Native::ThreadInterrupt => {
            let other = context.object(0);
            thread::interrupt(worker.space, other);
            // The fast path polls without looking at the thread; the next slice begins by looking.
            Ok(if other == worker.thread { Outcome::Yield } else { Outcome::Done })
        }
        Native::Sleep => {
            let deadline = deadline_in(worker, context.raw(0));
            sleep_until(worker, deadline)
        }
        Native::SleepUntil => sleep_until(worker, positive(context.raw(0))),
        Native::SleepUntilWall => sleep_until_wall(worker, context.raw(0)),
        Native::PastBefore | Native::PastCopy => {
            return super::values::past::call(native, worker, context);
        }
        _ => return lock_native(native, worker, context),
    })
}

/// The natives of locks, conditions and semaphores.
fn lock_native(native: Native, worker: &mut Worker, context: &Context) -> Option<NativeResult> {
    let object = context.object(0);
    context.space.end_step();
    Some(match native {
        Native::MutexNew => make(context, Builtin::Mutex),
        Native::MutexLock => locks::lock(worker, object, NEVER),
        Native::MutexLockFor => {
            let deadline = deadline_in(worker, context.raw(0));
            // Taken at once: 1. Otherwise whoever wakes it says.
            let free = worker.load(object.0, MUTEX_OWNER) == 0;
            if free {
                context.touch_results();
            }
            let result = locks::lock(worker, object, deadline);
            if free && result.is_ok() {
                context.set_raw(0, 1);
            }
            result
        }
        Native::MutexTryLock => {
            context.touch_results();
            locks::try_lock(worker, object).map(|taken| {
                context.set_raw(0, u64::from(taken));
                Outcome::Done
            })
        }
        Native::MutexUnlock => locks::unlock(worker, object),
        Native::ConditionNew => make_condition(context),
        Native::ConditionWait => locks::wait(worker, object, NEVER),
        Native::ConditionWaitFor => {
            let deadline = deadline_in(worker, context.raw(0));
            locks::wait(worker, object, deadline)
        }
        Native::ConditionNotifyOne => locks::notify(worker, object).map(|_| Outcome::Done),
        Native::ConditionNotifyAll => locks::notify(worker, object)
            .map(|notified| if notified { Outcome::Again } else { Outcome::Done }),
        Native::SemaphoreNew => make_semaphore(context),
        Native::SemaphoreAcquire => Ok(locks::acquire(worker, object)),
        Native::SemaphoreRelease => release_permits(worker, context),
        _ => return None,
    })
}

/// A raw result.
fn raw(context: &Context, value: u64) -> NativeResult {
    context.set_raw(0, value);
    Ok(Outcome::Done)
}

/// A slot of the object in the first reference argument.
fn part(context: &Context, offset: u64) -> NativeResult {
    let value = context.space.load(ObjectAddress(context.reference(0).wrapping_add(offset)));
    context.set_reference(0, value);
    Ok(Outcome::Done)
}

/// A duration as programs give it: negative is none.
fn positive(duration: u64) -> u64 {
    u64::try_from(duration.cast_signed()).unwrap_or(0)
}

/// The machine clock: what the root page has seen, or later. Every reading is saved, so that a resumed clock is never behind what a
/// program has read.
fn now(worker: &mut Worker) -> u64 {
    let seen = ObjectAddress(area::ROOT + root::MACHINE_CLOCK);
    let saved: u64 = worker.space.load(seen);
    let clock = worker.machine_clock().max(saved);
    worker.space.touch_write(seen);
    worker.space.store(seen, clock);
    worker.space.end_step();
    clock
}

/// The end of a time that begins now. A step of its own: what comes next touches as much as a step may.
fn deadline_in(worker: &mut Worker, duration: u64) -> u64 {
    now(worker).saturating_add(positive(duration))
}

fn monotonic(worker: &mut Worker, context: &Context) -> NativeResult {
    let clock = now(worker);
    raw(context, clock)
}

fn sleep_until(worker: &mut Worker, deadline: u64) -> NativeResult {
    if deadline <= now(worker) {
        return Ok(Outcome::Yield);
    }
    // The greatest number means "no deadline"; the sleep is endless either way.
    thread::park_worker(worker, Wait::until(deadline.min(NEVER - 1)));
    Ok(Outcome::Parked)
}

/// Sleeps by the machine clock until the wall clock should have reached the time; after waking, looks again.
fn sleep_until_wall(worker: &mut Worker, until: u64) -> NativeResult {
    let wall = worker.environment().map_or(0, |environment| environment.wall().0);
    let until = positive(until);
    if until <= wall {
        return Ok(Outcome::Yield);
    }
    // At most a second at a time: the wall clock may be set, and the machine may have been off.
    let deadline = now(worker).saturating_add((until - wall).min(1_000_000_000));
    thread::park_worker(worker, Wait { kind: WaitKind::SleepWall, ..Wait::until(deadline) });
    Ok(Outcome::Parked)
}

/// Parks the worker's thread for a moment, then its native looks again: what it waits for comes from the disk, which takes longer, and its
/// completion interrupts the machine.
pub(super) fn look_again_soon(worker: &mut Worker) -> Outcome {
    let deadline = now(worker).saturating_add(MOMENT);
    thread::park_worker(worker, Wait { kind: WaitKind::SleepWall, ..Wait::until(deadline) });
    Outcome::Parked
}

fn restart_wait(worker: &mut Worker, context: &Context) -> NativeResult {
    let generation = worker.load(area::ROOT, root::RESTART_GENERATION);
    if generation != context.raw(0) {
        return raw(context, generation);
    }
    let event = context.object(0);
    worker.space.end_step();
    let wait = Wait::in_queue(WaitKind::Restart, event.0.wrapping_add(EVENT_HEAD), event);
    thread::park_worker(worker, wait);
    Ok(Outcome::Parked)
}

fn commit(worker: &mut Worker) -> NativeResult {
    let asked = worker.environment().map(|world| world.makes_snapshots().then(|| world.epoch()));
    let Some(possible) = asked else { return Err(Builtin::NotSupportedException.into()) };
    // Whoever began to wait now would wait for ever.
    let Some(epoch) = possible else { return Err(Builtin::SnapshotFailedException.into()) };
    let queue = word(scheduler::COMMIT_HEAD).0;
    let wait = Wait::in_queue(WaitKind::Commit, queue, ObjectAddress(0));
    thread::park_worker(worker, wait);
    // Its page was touched by the parking.
    worker.space.store(at(worker.thread, COMMIT_EPOCH), epoch.0);
    worker.requests.commit = Some(epoch);
    Ok(Outcome::Parked)
}

fn spawn(worker: &Worker, context: &Context) -> NativeResult {
    let made = life::spawn(worker, context.object(0), context.raw(0))?;
    // The new thread is in the thread table; the cursor lets go of it in the step that ends the native.
    counting::touch_count(context.space, made);
    context.touch_results();
    thread::touch(context.space, worker.thread);
    context.space.begin_changes();
    counting::count_down(context.space, made);
    context.space.store(at(worker.thread, NATIVE_REFERENCE), 0_u64);
    context.set_reference(0, made.0);
    Ok(Outcome::Done)
}

fn join(worker: &mut Worker, context: &Context) -> NativeResult {
    let other = context.object(0);
    match worker.space.load::<u32>(at(other, STATE)) {
        STATE_ENDED => {
            context.set_reference(0, worker.load(other.0, UNCAUGHT));
            Ok(Outcome::Done)
        }
        STATE_DAMAGED => Err(Builtin::DamagedObjectException.into()),
        _ if other == worker.thread => Err(Builtin::InvalidArgumentException.into()),
        _ => {
            worker.space.end_step();
            let wait = Wait::in_queue(WaitKind::Join, other.0.wrapping_add(JOIN_HEAD), other);
            thread::park_worker(worker, wait);
            Ok(Outcome::Parked)
        }
    }
}

/// A new object of a built-in class, every slot zero.
fn make(context: &Context, class: Builtin) -> NativeResult {
    let class = counting::class_at(context.space, class as u32);
    let made = heap::allocate_plain(context.space, context.allocator, class)?;
    context.set_reference(0, made.0);
    Ok(Outcome::Done)
}

fn make_condition(context: &Context) -> NativeResult {
    let class = counting::class_at(context.space, Builtin::Condition as u32);
    let made = heap::allocate_plain(context.space, context.allocator, class)?;
    context.space.end_step();
    counting::store_reference(context.space, at(made, CONDITION_MUTEX), context.object(0));
    context.set_reference(0, made.0);
    Ok(Outcome::Done)
}

fn make_semaphore(context: &Context) -> NativeResult {
    let permits = context.raw(0);
    if permits.cast_signed() < 0 {
        return Err(Thrown::from(Builtin::InvalidArgumentException));
    }
    let class = counting::class_at(context.space, Builtin::Semaphore as u32);
    let made = heap::allocate_plain(context.space, context.allocator, class)?;
    context.space.store(at(made, SEMAPHORE_PERMITS), permits);
    context.set_reference(0, made.0);
    Ok(Outcome::Done)
}

/// Gives permits one a step; what is left to give stands in the argument register.
fn release_permits(worker: &mut Worker, context: &Context) -> NativeResult {
    let left = positive(context.raw(0));
    let semaphore = context.object(0);
    if left == 0 {
        return Ok(Outcome::Done);
    }
    let queue = Queue::new(at(semaphore, SEMAPHORE_HEAD));
    thread::skip_damaged(worker.space, queue);
    let waiting = queue.first(worker.space).is_some();
    if waiting {
        context.touch_results();
        locks::give_permit(worker.space, semaphore);
        context.set_raw(0, left - 1);
        return Ok(Outcome::Again);
    }
    let permits = at(semaphore, SEMAPHORE_PERMITS);
    let sum = worker.space.load_for_change::<u64>(permits).checked_add(left);
    let Some(sum) = sum.filter(|sum| sum.cast_signed() >= 0) else {
        return Err(Builtin::InvalidArgumentException.into());
    };
    worker.space.begin_changes();
    worker.space.store(permits, sum);
    Ok(Outcome::Done)
}
