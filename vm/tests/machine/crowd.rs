//! Threads that wait in every way there is until `main` lets them go, for tests that lose some of them.

/// `main` makes as many threads as its argument says, by turns in twelve roles, and sleeps. Then it gives everybody what they wait
/// for, joins all, and returns 1,000 for each that ended, one for each that cannot be joined any more.
pub const CROWD: &str = r#"
module crowd version 1

class World {
    threads: Threads?
    console: Console?
    restart: RestartEvent?
    held: Mutex?
    second: Mutex?
    guard: Mutex?
    told: Condition?
    permits: Semaphore?
    next: i64
    go: i64
}

class Node {
    next: Node?
    value: i64
}

array Threads of Thread

export function main(environment: Environment) -> i64 {
    object.new world, World
    native environment.console(environment) -> console
    field.store.ref console, world, World.console
    native environment.restart_event(environment) -> restart
    field.store.ref restart, world, World.restart
    native mutex.new() -> held
    field.store.ref held, world, World.held
    native mutex.new() -> second
    field.store.ref second, world, World.second
    native mutex.new() -> guard
    field.store.ref guard, world, World.guard
    native condition.new(guard) -> told
    field.store.ref told, world, World.told
    i64.set none, 0
    native semaphore.new(none) -> permits
    field.store.ref permits, world, World.permits
    native environment.arguments(environment) -> arguments
    array.load.ref argument, arguments, none
    null_check argument, argument
    native string.parse_i64(argument) -> count
    array.new threads, count, Threads
    field.store.ref threads, world, World.threads
    native mutex.lock(held)
    i64.set i, 0
spawn:
    closure.new closure, world, work
    native thread.spawn(closure, 0) -> thread
    array.store.ref thread, threads, i
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, spawn
    i64.set nap, 60000000
    native sleep(nap)
    i64.set one, 1
    field.store.raw one, world, World.go
    native mutex.unlock(held)
    call lock(guard)
    native condition.notify_all(told)
    native mutex.unlock(guard)
    native semaphore.release(permits, count)
    i64.set sum, 0
    i64.set i, 0
join:
    array.load.ref thread, threads, i
    null_check thread, thread
begin:
    native thread.join(thread) -> problem
end:
    branch.null problem, sound
    i64.set sum, -1000000
sound:
    i64.add.imm sum, sum, 1000
    jump counted
lost:
    i64.add.imm sum, sum, 1
counted:
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, join
    return sum
    catch DamagedObjectException damage from begin to end at lost
}

; Takes a lock, whatever became of its last owner.
function lock(mutex: Mutex) {
begin:
    native mutex.lock(mutex)
end:
    return
abandoned:
    return
    catch LockAbandonedException problem from begin to end at abandoned
}

; The second lock, which may have been abandoned.
function pass(world: World) {
    field.load.ref second, world, World.second
    null_check second, second
    call lock(second)
    native mutex.unlock(second)
    return
}

function work(closure: Closure) {
    closure.environment environment, closure
    cast world, environment, World
    null_check world, world
    field.load.raw number, world, World.next
    i64.add.imm after, number, 1
    field.store.raw after, world, World.next
    i64.rem_u.imm role, number, 12
    i64.set nap, 700000
    field.load.ref guard, world, World.guard
    null_check guard, guard
    field.load.ref told, world, World.told
    null_check told, told
    i64.branch.eq.imm role, 0, runner
    i64.branch.eq.imm role, 1, sleeper
    i64.branch.eq.imm role, 2, locker
    i64.branch.eq.imm role, 3, listener
    i64.branch.eq.imm role, 4, taker
    i64.branch.eq.imm role, 5, joiner
    i64.branch.eq.imm role, 6, impatient
    i64.branch.eq.imm role, 7, holder
    i64.branch.eq.imm role, 8, follower
    i64.branch.eq.imm role, 9, restarter
    i64.branch.eq.imm role, 10, committer
    field.load.ref console, world, World.console
    null_check console, console
    native console.read_line(console) -> line
    return
runner:
    object.new kept, Node
    field.store.raw number, kept, Node.value
run:
    object.new node, Node
    field.store.ref node, kept, Node.next
    field.load.raw value, kept, Node.value
    i64.branch.ne value, number, wrong
    field.load.raw go, world, World.go
    native thread.yield()
    i64.branch.eq.imm go, 0, run
    return
wrong:
    i64.set zero, 0
    i64.div_u zero, zero, zero
    return
sleeper:
    object.new kept, Node
    field.store.raw number, kept, Node.value
slept:
    native sleep(nap)
    field.load.raw value, kept, Node.value
    i64.branch.ne value, number, wrong
    field.load.raw go, world, World.go
    i64.branch.eq.imm go, 0, slept
    return
locker:
    field.load.ref held, world, World.held
    null_check held, held
    call lock(held)
    native mutex.unlock(held)
    return
listener:
    call lock(guard)
listen:
    field.load.raw go, world, World.go
    i64.branch.ne.imm go, 0, heard
begin:
    native condition.wait(told)
end:
    jump listen
heard:
    native mutex.unlock(guard)
    return
orphaned:
    jump listen
taker:
    field.load.ref permits, world, World.permits
    null_check permits, permits
    native semaphore.acquire(permits)
    return
joiner:
    field.load.ref threads, world, World.threads
    null_check threads, threads
    i64.add.imm before, number, -1
    array.load.ref other, threads, before
    null_check other, other
begin_join:
    native thread.join(other) -> outcome
end_join:
    return
broken:
    return
impatient:
    call lock(guard)
impatiently:
    field.load.raw go, world, World.go
    i64.branch.ne.imm go, 0, heard
begin_impatient:
    native condition.wait_for(told, nap) -> notified
end_impatient:
    jump impatiently
unheld:
    jump impatiently
holder:
    field.load.ref second, world, World.second
    null_check second, second
    call lock(second)
hold:
    native sleep(nap)
    field.load.raw go, world, World.go
    i64.branch.eq.imm go, 0, hold
    native mutex.unlock(second)
    return
follower:
    call pass(world)
    return
restarter:
    field.load.ref restart, world, World.restart
    null_check restart, restart
    native restart.generation() -> first
    native restart.wait(restart, first) -> generation
    return
committer:
    native commit() -> epoch
    return
    catch LockAbandonedException problem from begin to end at orphaned
    catch LockAbandonedException problem from begin_impatient to end_impatient at unheld
    catch DamagedObjectException damage from begin_join to end_join at broken
}
"#;
