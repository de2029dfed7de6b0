// Threads, locks, conditions, permits, a channel, the directory and restarts, audited all the time: machine_language.rs cuts its power.
//
//   producers   two, send numbers through a channel; two consumers see that each of a producer's comes once and none is missing
//   bank        two threads move money under a lock; the sum is the same at every audit
//   permits     three threads, of which two at most are inside
//   turns       two threads that wait for each other by a condition
//   reader      waits for a line of the console, over all cuts
//
// `main` audits and tells the round, with a random number; every eighth round it commits and tells that.
class Ledger {
    returns: i64 = 0;
    inside: i32 = 0;
    most: i32 = 0;
    turn: i32 = 0;
    turns: i64 = 0;
    readonly accounts: Int64Array = new Int64Array(16);
    readonly expected: Int64Array = new Int64Array(2);
    readonly early: Set<i64> = new Set<i64>();
    failed: string | null = null;
}

const LIMIT: i64 = 1_000_000_000_000;
const lock: Mutex = new Mutex();
const numbers: Channel<i64> = new Channel<i64>(4);

function fail(ledger: Ledger, what: string): void {
    ledger.failed = what;
}

function produce(producer: i64): void {
    for (let n: i64 = 0; ; n++) numbers.send(producer * LIMIT + n);
}

// A consumer may be slower than the other: what comes early waits for what is missing, and `main` sees if that never comes.
function consume(ledger: Ledger): void {
    while (true) {
        const number = numbers.receive();
        const producer = number / LIMIT;
        lock.run(() => {
            if (number % LIMIT < ledger.expected[producer] || !ledger.early.add(number)) {
                fail(ledger, `number ${number} came twice`);
            }
            while (ledger.early.delete(producer * LIMIT + ledger.expected[producer])) ledger.expected[producer]++;
        });
    }
}

function move(ledger: Ledger): void {
    while (true) {
        const amount = randomInteger(100);
        const from = randomInteger(16);
        const to = randomInteger(16);
        lock.run(() => {
            ledger.accounts[from] -= amount;
            if (amount > 90) yieldThread();
            ledger.accounts[to] += amount;
        });
        if (amount > 80) sleep(100_000);
    }
}

function enter(ledger: Ledger, permits: Semaphore, guard: Mutex): void {
    while (true) {
        permits.acquire();
        guard.run(() => {
            ledger.inside++;
            if (ledger.inside > ledger.most) ledger.most = ledger.inside;
        });
        sleep(300_000);
        guard.run(() => {
            ledger.inside--;
        });
        permits.release(1);
    }
}

function alternate(ledger: Ledger, guard: Mutex, changed: Condition, own: i32): void {
    while (true) {
        guard.run(() => {
            while (ledger.turn !== own) changed.wait();
            ledger.turn = 1 - own;
            ledger.turns++;
            changed.notifyAll();
        });
    }
}

function begin(ledger: Ledger): void {
    Thread.spawn(() => produce(0));
    Thread.spawn(() => produce(1));
    for (let i = 0; i < 2; i++) {
        Thread.spawn(() => consume(ledger));
        Thread.spawn(() => move(ledger));
    }
    const permits = new Semaphore(2);
    const inside = new Mutex();
    for (let i = 0; i < 3; i++) Thread.spawn(() => enter(ledger, permits, inside));
    const guard = new Mutex();
    const changed = new Condition(guard);
    Thread.spawn(() => alternate(ledger, guard, changed, 0));
    Thread.spawn(() => alternate(ledger, guard, changed, 1));
    Thread.spawn(() => console.log(`heard text=${console.readLine()}`));
    onRestart(() => {
        ledger.returns++;
        console.log(`back times=${ledger.returns} restarts=${restarts()}`);
    });
}

// What must be so at any moment; throws what somebody else has noticed.
function audit(ledger: Ledger, watched: WeakRef<Ledger>): void {
    lock.run(() => {
        let sum: i64 = 0;
        for (const balance of ledger.accounts) sum += balance;
        if (sum !== 0) fail(ledger, `the accounts hold ${sum}`);
    });
    if (ledger.most > 2) fail(ledger, `${ledger.most} are inside`);
    if (root.get<Ledger>("ledger") !== ledger || watched.deref() !== ledger) fail(ledger, "another ledger");
    const failed = ledger.failed;
    if (failed !== null) throw new Error(failed);
}

export function main(): void {
    const ledger = new Ledger();
    const watched = new WeakRef(ledger);
    root.set("ledger", ledger);
    begin(ledger);
    let time = uptime();
    let work: i64 = 0;
    let earlier: i64[] = [-1, -1];
    for (let round: i64 = 1; ; round++) {
        sleep(20_000_000);
        audit(ledger, watched);
        if (uptime() - time < 20_000_000) throw new Error("time went back, or a sleep was too short");
        time = uptime();
        root.set("round", round);
        if (root.get<i64>("round") !== round) throw new Error("another round");
        const done = ledger.expected[0] + ledger.expected[1] + ledger.turns;
        if (done < work) throw new Error("work was undone");
        work = done;
        console.log(`round number=${round} random=${randomInteger(LIMIT)} work=${work}`);
        if (round % 32 === 0) {
            const received = [ledger.expected[0], ledger.expected[1]];
            if (received[0] <= earlier[0] || received[1] <= earlier[1]) throw new Error("a number never came");
            earlier = received;
        }
        if (round % 8 === 0) {
            commit();
            console.log(`committed round=${round}`);
        }
    }
}
