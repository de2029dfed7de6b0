// The program's own directory, and numbers that nobody foresees.
interface Named {
    title(): string;
}

class Account implements Named {
    constructor(readonly name: string, public balance: i64) {}
    title(): string {
        return this.name;
    }
}

class Savings extends Account {}

enum Colour {
    Red,
    Green,
}

function shown(what: () => string): void {
    try {
        console.log(what());
    } catch (e) {
        if (e instanceof InvalidCastException) console.log("of another class");
        else if (e instanceof NoSuchNameException) console.log("no such name:", e.message);
        else throw e;
    }
}

function objects(): void {
    console.log(root.has("account"), root.names().length);
    const account = new Savings("Ada", 5);
    root.set("account", account);
    root.set("words", ["one", "two"]);
    root.set("text", "as it is");
    root.set("lock", new Mutex());
    root.set("bytes", new Uint8Array(3));
    root.get<Account>("account").balance += 2;
    shown(() => root.get<Savings>("account").name + " " + root.get<Account>("account").balance.toString());
    shown(() => root.get<Named>("account").title());
    shown(() => root.get<string[]>("words").join(" and "));
    shown(() => root.get<string>("text") + root.get<string>("text"));
    shown(() => root.get<Mutex>("lock").run(() => "locked"));
    shown(() => root.get<Uint8Array>("bytes").length.toString());
    shown(() => root.get<i32[]>("words").length.toString());
    shown(() => root.get<Account>("text").name);
    shown(() => root.get<string>("nothing"));
    console.log(root.names().join(", "));
    console.log(root.has("text"), root.delete("text"), root.delete("text"), root.has("text"));
    console.log(root.get<Account>("account") === account);
}

function values(): void {
    const start: i64 = 9_000_000_000;
    root.set("count", start);
    root.set("share", 0.25);
    root.set("open", true);
    root.set("colour", Colour.Green);
    root.set<Account | null>("nobody", null);
    root.set<i64>("count", root.get<i64>("count") + 1);
    console.log(root.get<i64>("count"), root.get<f64>("share"), root.get<bool>("open"));
    console.log(root.get<Colour>("colour") === Colour.Green, root.get<Account | null>("nobody") === null);
    shown(() => `${root.get<i32>("count")}`);
}

function numbers(): void {
    let least = 1.0;
    let most = 0.0;
    for (let i = 0; i < 1000; i++) {
        const drawn = Math.random();
        least = Math.min(least, drawn);
        most = Math.max(most, drawn);
    }
    console.log(least >= 0.0 && least < 0.05, most > 0.95 && most < 1.0);
    const sides = new Int32Array(6);
    for (let i = 0; i < 600; i++) sides[i32(randomInteger(6))] += 1;
    let fair = true;
    for (const count of sides) fair = fair && count > 40;
    console.log(fair, randomInteger(1));
    try {
        randomInteger(0);
    } catch (e) {
        if (e instanceof InvalidArgumentException) console.log(e.message);
    }
}

export function main(): void {
    objects();
    values();
    numbers();
    const watcher = onRestart(() => console.log("back again"));
    watcher.interrupt();
    console.log(watcher.join() instanceof InterruptedException, restarts());
}
