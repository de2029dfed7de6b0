// The library's second part: what threads wait for each other with, and weak references. Locks and conditions are the machine's.

// Who takes a lock whose owner ended with it is told, and does not keep it.
function takeLock(mutex: Mutex): void {
    try {
        mutex.lock();
    } catch (e) {
        if (e instanceof LockAbandonedException) mutex.unlock();
        throw e;
    }
}

// Who is interrupted may have been notified already: then it is somebody else's turn.
function waitOrPassOn(condition: Condition): void {
    try {
        condition.wait();
    } catch (e) {
        condition.notify();
        throw e;
    }
}

function Mutex_run<T>(mutex: Mutex, action: () => T): T {
    takeLock(mutex);
    try {
        return action();
    } finally {
        mutex.unlock();
    }
}

function Mutex_do(mutex: Mutex, action: () => void): void {
    takeLock(mutex);
    try {
        action();
    } finally {
        mutex.unlock();
    }
}

class ChannelClosedException extends Error {}

// A ring of values behind a lock.
class Channel<T> {
    private readonly mutex: Mutex = new Mutex();
    private readonly filled: Condition;
    private readonly emptied: Condition;
    private readonly values: RawArray<T>;
    private first: i32 = 0;
    private count: i32 = 0;
    private closed: bool = false;

    constructor(capacity: i32) {
        if (capacity < 1) throw new InvalidArgumentException("a channel holds one value at least");
        this.filled = new Condition(this.mutex);
        this.emptied = new Condition(this.mutex);
        this.values = new RawArray<T>(capacity);
    }

    get length(): i32 {
        return this.count;
    }

    send(value: T): void {
        const mutex = this.mutex;
        takeLock(mutex);
        try {
            const capacity = i32(this.values.length);
            while (this.count === capacity && !this.closed) waitOrPassOn(this.emptied);
            if (this.closed) throw new ChannelClosedException("sent to a closed channel");
            this.values[(this.first + this.count) % capacity] = value;
            this.count++;
            this.filled.notify();
        } finally {
            mutex.unlock();
        }
    }

    receive(): T {
        const mutex = this.mutex;
        takeLock(mutex);
        try {
            while (this.count === 0 && !this.closed) waitOrPassOn(this.filled);
            if (this.count === 0) throw new ChannelClosedException("nothing more comes from a closed channel");
            const first = this.first;
            const value = this.values[first];
            this.values[first] = EMPTY;
            this.first = (first + 1) % i32(this.values.length);
            this.count--;
            this.emptied.notify();
            return value;
        } finally {
            mutex.unlock();
        }
    }

    close(): void {
        const mutex = this.mutex;
        takeLock(mutex);
        try {
            this.closed = true;
            this.filled.notifyAll();
            this.emptied.notifyAll();
        } finally {
            mutex.unlock();
        }
    }
}

class WeakRef<T> {
    private readonly target: Weak;

    constructor(target: T) {
        this.target = weakNew(target);
    }

    deref(): T | null {
        const found = weakGet(this.target);
        return found === null ? null : castTo<T>(found);
    }
}
