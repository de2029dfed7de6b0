// A key-value store with transactions (make run PROGRAM=samples/store.ts). "stored" means: a snapshot on the disk holds it, and no power cut
// takes it back. A transaction that a cut finds open is still open when the machine is back.
//
//   set KEY VALUE, get KEY, delete KEY, list      each by itself, or in a transaction
//   begin, commit, abort                          a transaction: nobody sees half of it
//   quit                                          ends the program

// Everything that is stored. Threads may share it.
class Store {
    private readonly lock: Mutex = new Mutex();
    private readonly values: Map<string, string> = new Map<string, string>();

    get(key: string): string | null {
        return this.lock.run((): string | null => (this.values.has(key) ? this.values.get(key) : null));
    }

    keys(): string[] {
        return this.lock.run(() => this.values.keys());
    }

    // All of the changes at once; returns when they are on the disk.
    apply(changes: Map<string, string | null>): void {
        this.lock.run(() => {
            changes.forEach((value, key) => {
                if (value !== null) this.values.set(key, value);
                else this.values.delete(key);
            });
        });
        commit();
    }
}

// What is to become of keys, in front of what is stored. Null: the key goes.
class Transaction {
    private readonly changes: Map<string, string | null> = new Map<string, string | null>();

    constructor(private readonly store: Store) {}

    get(key: string): string | null {
        return this.changes.has(key) ? this.changes.get(key) : this.store.get(key);
    }

    set(key: string, value: string | null): void {
        this.changes.set(key, value);
    }

    list(): string[] {
        const keys = this.store.keys().concat(this.changes.keys());
        const seen = new Set<string>();
        const there = keys.filter((key) => seen.add(key) && this.get(key) !== null);
        return there.sort((a, b) => a.compare(b));
    }

    commit(): void {
        this.store.apply(this.changes);
    }
}

// The console: what was typed, in the transaction that is open, or in one of its own.
class Session {
    private open: Transaction | null = null;

    constructor(private readonly store: Store) {}

    answer(line: string): string {
        const words = line.split(" ");
        const open = this.open;
        const current = open ?? new Transaction(this.store);
        if (words[0] === "get" && words.length === 2) return current.get(words[1]) ?? "nothing";
        if (words[0] === "list") return current.list().map((key) => `${key} = ${current.get(key) ?? ""}`).join("\n");
        if (words[0] === "begin" && open === null) {
            this.open = current;
            return "begun";
        }
        if (words[0] === "abort" && open !== null) {
            this.open = null;
            return "forgotten";
        }
        if (words[0] === "set" && words.length >= 3) current.set(words[1], words.slice(2, words.length).join(" "));
        else if (words[0] === "delete" && words.length === 2) current.set(words[1], null);
        else if (words[0] !== "commit" || open === null) return "set, get, delete, list, begin, commit, abort or quit";
        if (open !== null && words[0] !== "commit") return "noted";
        this.open = null;
        current.commit();
        return "stored";
    }
}

export function main(): void {
    const store = new Store();
    root.set("store", store);
    const session = new Session(store);
    console.log("store: set KEY VALUE, get KEY, delete KEY, list; begin, commit, abort; quit");
    while (true) {
        const line = console.readLine();
        if (line === "quit") return;
        console.log(session.answer(line));
    }
}
