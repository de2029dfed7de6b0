// The demonstration: threads that do real work and audit themselves all the time. Power may be cut whenever it likes.
//
//   sieve       finds primes into a list that grows, checks its sum and the known counts of primes
//   bank 1..3   move money between accounts under two locks each; bank 0 takes all locks and counts: the total is constant
//   map         random inserts and deletes, checked against a table that says the same
//   recursion   goes 1,500 calls deep, rests there, and adds up on the way back
//   sleeper     sleeps, and never too short by the persistent clock
//   garbage     makes lists and drops them, in constant memory
//
// Every thread numbers its steps and reports each to the outside witness. Nothing here saves or loads anything. (samples/demo.rasm does the
// same in the machine's own instructions.)

abstract class Worker {
    private steps: i64 = 0;
    private audits: i64 = 0;
    private told: i64 = 0;

    constructor(private readonly name: string) {}

    abstract work(): void;

    protected step(): void {
        this.steps++;
        reportStep(this.steps);
    }

    // Tells what an audit found: a failure at once, success once a second.
    protected audit(good: bool): void {
        this.audits++;
        if (good && uptime() - this.told < 1_000_000_000) return;
        this.told = uptime();
        console.log(`audit ${this.name} ${good ? "held" : "failed"} audits=${this.audits} step=${this.steps}`);
    }
}

// Primes by division through those found; begins again at 50,000 of them.
class Sieve extends Worker {
    work(): void {
        const primes: i64[] = [];
        let sum: i64 = 0;
        for (let candidate: i64 = 2; primes.length < 50_000; candidate++) {
            if (!this.isPrime(primes, candidate)) continue;
            this.step();
            primes.push(candidate);
            sum += candidate;
            const count = primes.length;
            if (count % 1024 === 0) this.audit(primes.reduce((total, prime) => total + prime, i64(0)) === sum);
            if (count === 1229) this.audit(candidate === 9_973);
            if (count === 9592) this.audit(candidate === 99_991);
        }
    }

    private isPrime(primes: i64[], candidate: i64): bool {
        for (const prime of primes) {
            if (prime * prime > candidate) return true;
            if (candidate % prime === 0) return false;
        }
        return true;
    }
}

class Account {
    readonly lock: Mutex = new Mutex();
    balance: i64 = 1000;
}

// Moves random amounts between random accounts, the lower lock first.
class Bank extends Worker {
    constructor(
        name: string,
        private readonly accounts: Account[],
    ) {
        super(name);
    }

    work(): void {
        const from = i32(randomInteger(16));
        const to = i32(randomInteger(16));
        if (from === to) return;
        this.step();
        const amount = randomInteger(100);
        this.accounts[from < to ? from : to].lock.run(() => {
            this.accounts[from < to ? to : from].lock.run(() => {
                this.accounts[from].balance -= amount;
                yieldThread();
                this.accounts[to].balance += amount;
            });
        });
    }
}

// Takes all locks and counts: 16,000, always.
class Counter extends Worker {
    constructor(
        name: string,
        private readonly accounts: Account[],
    ) {
        super(name);
    }

    work(): void {
        this.step();
        this.audit(this.count(0) === 16_000);
        sleep(2_000_000);
    }

    private count(first: i32): i64 {
        if (first === this.accounts.length) return 0;
        const account = this.accounts[first];
        return account.lock.run((): i64 => this.count(first + 1) + account.balance);
    }
}

// Random inserts and deletes of 256 keys in a map, and the same in a table; -1 in the table: the key is not there.
class Keys extends Worker {
    private readonly map: Map<i64, i64> = new Map<i64, i64>();
    private readonly table: Int64Array = new Int64Array(256);

    work(): void {
        for (let key: i64 = 0; key < 256; key++) {
            this.map.delete(key);
            this.table[key] = -1;
        }
        for (let round = 1; round <= 100_000; round++) {
            this.step();
            const key = randomInteger(256);
            if (randomInteger(3) === 0) {
                const was = this.table[key] !== -1;
                this.table[key] = -1;
                if (this.map.delete(key) !== was) this.audit(false);
            } else {
                this.table[key] = randomInteger(1_000_000);
                this.map.set(key, this.table[key]);
            }
            if (round % 256 === 0) this.audit(this.isSame());
        }
    }

    private isSame(): bool {
        let count = 0;
        for (let key: i64 = 0; key < 256; key++) {
            const value = this.table[key];
            if (this.map.getOr(key, -1) !== value) return false;
            if (value !== -1) count++;
        }
        return count === this.map.size;
    }
}

// Most cuts find it deep down.
class Recursion extends Worker {
    work(): void {
        this.step();
        this.audit(this.descend(1500) === 1_125_750);
    }

    private descend(n: i64): i64 {
        if (n > 0) return n + this.descend(n - 1);
        sleep(3_000_000);
        return 0;
    }
}

class Sleeper extends Worker {
    work(): void {
        this.step();
        const before = uptime();
        sleep(20_000_000);
        this.audit(uptime() - before >= 20_000_000);
    }
}

class Node {
    constructor(
        readonly value: i64,
        readonly next: Node | null,
    ) {}
}

class Garbage extends Worker {
    work(): void {
        this.step();
        let list: Node | null = null;
        for (let n: i64 = 200; n > 0; n--) list = new Node(n, list);
        let sum: i64 = 0;
        for (let node = list; node !== null; node = node.next) sum += node.value;
        this.audit(sum === 20_100);
    }
}

function begin(worker: Worker): Thread {
    return Thread.spawn(() => {
        while (true) worker.work();
    });
}

export function main(): void {
    const accounts: Account[] = [];
    for (let i = 0; i < 16; i++) accounts.push(new Account());
    root.set("accounts", accounts);
    console.log("demo: nine threads at work");
    const workers: Worker[] = [
        new Sieve("sieve"),
        new Bank("bank.1", accounts),
        new Bank("bank.2", accounts),
        new Bank("bank.3", accounts),
        new Counter("bank", accounts),
        new Keys("map"),
        new Recursion("recursion"),
        new Sleeper("sleeper"),
        new Garbage("garbage"),
    ];
    const threads = workers.map((worker) => begin(worker));
    for (const thread of threads) {
        const problem = thread.join();
        if (problem !== null) console.log(`audit thread failed: ${problem}`);
    }
}
