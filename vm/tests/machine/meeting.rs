//! Threads that meet: locks, conditions, semaphores, exceptions, garbage, each in a result that any schedule must give.

use revenant_vm::ExitStatus;

/// Four threads add to a counter under a lock, meet at a condition, pass a semaphore; each also throws and catches, calls deep,
/// and sleeps. `main` joins them and returns the counter.
pub const MEETING: &str = r#"
module meeting version 1

class World {
    lock: Mutex?
    met: Condition?
    permits: Semaphore?
    here: i64
    counter: i64
}

array Threads of Thread

export function main(environment: Environment) -> i64 {
    object.new world, World
    native mutex.new() -> lock
    native condition.new(lock) -> met
    i64.set one, 1
    native semaphore.new(one) -> permits
    field.store.ref lock, world, World.lock
    field.store.ref met, world, World.met
    field.store.ref permits, world, World.permits
    i64.set count, 4
    array.new threads, count, Threads
    i64.set i, 0
start:
    closure.new closure, world, work
    native thread.spawn(closure, 0) -> thread
    array.store.ref thread, threads, i
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, start
    i64.set i, 0
join:
    array.load.ref thread, threads, i
    null_check thread, thread
    native thread.join(thread) -> problem
    branch.null problem, fine
    i64.set answer, -1
    return answer
fine:
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, join
    field.load.raw answer, world, World.counter
    return answer
}

function work(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    field.load.ref lock, world, World.lock
    null_check lock, lock
    field.load.ref met, world, World.met
    null_check met, met
    field.load.ref permits, world, World.permits
    null_check permits, permits
    i64.set round, 0
again:
    native mutex.lock(lock)
    field.load.raw counter, world, World.counter
    native thread.yield()
    i64.add.imm counter, counter, 1
    field.store.raw counter, world, World.counter
    native mutex.unlock(lock)
    i64.add.imm round, round, 1
    i64.branch.lt_s.imm round, 3, again
    ; Meet the others.
    native mutex.lock(lock)
    field.load.raw here, world, World.here
    i64.add.imm here, here, 1
    field.store.raw here, world, World.here
    i64.branch.lt_s.imm here, 4, wait
    native condition.notify_all(met)
    jump go
wait:
    field.load.raw here, world, World.here
    i64.branch.ge_s.imm here, 4, go
    native condition.wait(met)
    jump wait
go:
    native mutex.unlock(lock)
    native semaphore.acquire(permits)
    call guarded() -> caught
    i64.set depth, 40
    call deep(depth) -> sum
    native mutex.lock(lock)
    field.load.raw counter, world, World.counter
    i64.add counter, counter, caught
    i64.add counter, counter, sum
    field.store.raw counter, world, World.counter
    native mutex.unlock(lock)
    native semaphore.release(permits, 1)
    i64.set nap, 1000000
    native sleep(nap)
    i64.set limit, 2000000
    native mutex.lock_for(lock, limit) -> owned
    i32.branch.eq.imm owned, 0, end
    native mutex.unlock(lock)
end:
    return
}

; 1000 if an exception comes out of three frames.
function guarded() -> i64 {
    catch IndexOutOfBoundsException problem from begin to after at handler
begin:
    i64.set depth, 3
    call fall(depth)
after:
    i64.set answer, 0
    return answer
handler:
    i64.set answer, 1000
    return answer
}

function fall(depth: i64) {
    i64.branch.eq.imm depth, 0, bottom
    i64.add.imm >n0, depth, -1
    call fall
    return
bottom:
    i64.set length, 2
    array.new numbers, length, LongArray
    array.load.i64 value, numbers, length
    return
}

; The sum of 1 to depth, kept in objects on the way.
function deep(depth: i64) -> i64 {
    native long.new(depth) -> held
    i64.branch.eq.imm depth, 0, bottom
    i64.add.imm >n0, depth, -1
    call deep
    move.raw below, >n0
    native long.value(held) -> own
    i64.add below, below, own
    return below
bottom:
    i64.set below, 0
    return below
}
"#;

/// 4 threads, 3 rounds each, an exception of 1000 and a sum of 820 each.
pub const MEETING_RESULT: ExitStatus = ExitStatus::Returned(4 * (3 + 1000 + 820));
