// Threads and what they wait for each other with.
class Account {
    constructor(readonly name: string, public balance: i64) {}
}

const guard: Mutex = new Mutex();
let steps: i32 = 0;

function addTo(account: Account, times: i32): void {
    for (let i = 0; i < times; i++) {
        guard.run(() => {
            const before = account.balance;
            if (i % 100 === 0) yieldThread();
            account.balance = before + 1;
        });
    }
}

function counting(): void {
    const account = new Account("shared", 0);
    const threads: Thread[] = [];
    for (let i = 0; i < 4; i++) threads.push(Thread.spawn(() => addTo(account, 500)));
    for (const thread of threads) {
        const end = thread.join();
        if (end !== null) console.log("ended by", end.message);
    }
    console.log(account.name, account.balance);
    // What the function returns, and what it throws, comes out; the lock is free behind both.
    const text: string = guard.run(() => `${account.balance / 4} each`);
    const doubled = guard.run(() => account.balance * 2);
    console.log(text, doubled);
    try {
        guard.run(() => {
            throw new Error("from inside");
        });
    } catch (e) {
        if (e instanceof Error) console.log("caught", e.message, guard.tryLock());
    }
    guard.unlock();
    try {
        guard.unlock();
    } catch (e) {
        console.log("nobody owns it:", e instanceof LockStateException);
    }
}

function endings(): void {
    const failing = Thread.spawn(() => {
        const none = new Int32Array(1);
        none[steps + 1] = 1;
    });
    const end = failing.join();
    console.log(end !== null, end instanceof IndexOutOfBoundsException);
    const sleeping = Thread.spawn(() => sleep(1_000_000_000_000_000));
    sleeping.interrupt();
    console.log(sleeping.join() instanceof InterruptedException);
    const me = Thread.current();
    console.log(me === Thread.current(), me === sleeping);
    const held = new Mutex();
    const careless = Thread.spawn(() => held.lock());
    careless.join();
    try {
        held.run(() => console.log("never"));
    } catch (e) {
        console.log("abandoned:", e instanceof LockAbandonedException);
    }
    held.run(() => console.log("whole again"));
    const names = new Map<Thread, string>();
    names.set(me, "main");
    console.log(names.get(Thread.current()), names.has(sleeping));
}

function conditions(): void {
    const lock = new Mutex();
    const turn = new Condition(lock);
    let next = 0;
    const said: string[] = [];
    const threads: Thread[] = [];
    for (let i = 0; i < 3; i++) {
        const own = i;
        threads.push(
            Thread.spawn(() => {
                for (let round = 0; round < 2; round++) {
                    lock.lock();
                    while (next % 3 !== own) turn.wait();
                    said.push(`${own}`);
                    next++;
                    turn.notifyAll();
                    lock.unlock();
                }
            }),
        );
    }
    for (const thread of threads) thread.join();
    console.log(said.join(""), lock.lockFor(1000), turn.waitFor(1000));
    lock.unlock();
}

function permits(): void {
    const free = new Semaphore(2);
    let most = 0;
    let inside = 0;
    const threads: Thread[] = [];
    for (let i = 0; i < 5; i++) {
        threads.push(
            Thread.spawn(() => {
                free.acquire();
                inside++;
                if (inside > most) most = inside;
                yieldThread();
                inside--;
                free.release(1);
            }),
        );
    }
    for (const thread of threads) thread.join();
    console.log("at once", most <= 2, inside);
}

function channels(): void {
    const numbers = new Channel<i64>(2);
    const words = new Channel<string>(1);
    const squares = Thread.spawn(() => {
        try {
            while (true) {
                const number = numbers.receive();
                words.send(`${number * number}`);
            }
        } catch (e) {
            if (!(e instanceof ChannelClosedException)) throw e;
            words.close();
        }
    });
    const feeder = Thread.spawn(() => {
        for (let i: i64 = 1; i <= 10; i++) numbers.send(i);
        numbers.close();
    });
    let all = "";
    try {
        while (true) all += words.receive() + " ";
    } catch (e) {
        if (e instanceof ChannelClosedException) console.log(all + "and no more");
    }
    console.log(squares.join() === null, feeder.join() === null, numbers.length);
    try {
        numbers.send(11);
    } catch (e) {
        if (e instanceof ChannelClosedException) console.log(e.message);
    }
    // Who is interrupted while it waits leaves the channel whole.
    const quiet = new Channel<Account>(1);
    const waiting = Thread.spawn(() => console.log(quiet.receive().name));
    yieldThread();
    waiting.interrupt();
    console.log(waiting.join() instanceof InterruptedException);
    quiet.send(new Account("later", 1));
    console.log(quiet.receive().name);
}

class Watched {
    account: Account | null = null;
    reference: WeakRef<Account> | null = null;
}

function watch(watched: Watched): void {
    const account = new Account("watched", 7);
    watched.account = account;
    watched.reference = new WeakRef<Account>(account);
    console.log(watched.reference?.deref() === account);
}

function weak(): void {
    const watched = new Watched();
    // In a thread of its own: registers of this function never see it.
    Thread.spawn(() => watch(watched)).join();
    watched.account = null;
    let last = new Account("", 0);
    for (let i: i64 = 0; i < 300_000; i++) last = new Account("garbage", i);
    console.log(last.balance, watched.reference?.deref() === null);
    const text = new WeakRef("constant");
    console.log(text.deref() ?? "gone");
    const numbers = [1, 2];
    const list = new WeakRef<i32[]>(numbers);
    console.log(list.deref() === numbers);
}

export function main(): void {
    counting();
    endings();
    conditions();
    permits();
    channels();
    weak();
}
