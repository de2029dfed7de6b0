// Exceptions: what is thrown, who takes it, what comes last.

class Refused extends Error {
    constructor(message: string, readonly code: i32) {
        super(message);
    }
}
class Late extends Refused {}

let log = "";

function check(n: i32): i32 {
    if (n > 3) throw new Refused(`${n} is too much`, n);
    if (n === 0) throw new Error("zero");
    return 10 / (n - 1);
}

function kind(n: i32): string {
    try {
        return `${check(n)}`;
    } catch (e) {
        if (e instanceof Refused) return `refused ${e.code}: ${e.message}`;
        if (e instanceof DivideByZeroException) return "divided" + e.message;
        if (e instanceof Error) return "other: " + e.message;
        return "never";
    }
}

function steps(way: i32): i32 {
    let count = 0;
    for (let i = 0; i < 5; i++) {
        try {
            if (way === 1 && i === 2) break;
            if (way === 2 && i % 2 === 0) continue;
            if (way === 3 && i === 3) return count;
            try {
                if (way === 4 && i === 1) throw new Late("inner", i);
                count++;
            } finally {
                log += "i";
            }
        } catch (e) {
            log += e instanceof Late ? "L" : "?";
        } finally {
            count += 100;
            log += "o";
        }
    }
    return count;
}

function text(): string {
    try {
        return "kept";
    } finally {
        log = "";
    }
}

function deep(n: i32): i32 {
    return n === 0 ? check(0) : deep(n - 1) + 1;
}

export function main(): void {
    for (const n of [3, 7, 0, 1]) console.log(kind(n));
    for (let way = 0; way < 5; way++) {
        log = "";
        console.log(way, steps(way), log);
    }
    console.log(text(), log.length);
    let found: Refused | null = null;
    try {
        found = new Late("x", 1);
        deep(3);
    } catch {
        console.log(found !== null ? found.code : -1);
    }
    const list = [1];
    try {
        list[1] = 2;
    } catch (e) {
        if (e instanceof IndexOutOfBoundsException) console.log("outside");
    }
    const none: string | null = list.length > 1 ? "x" : null;
    try {
        console.log(none!.length);
    } catch (e) {
        console.log(e instanceof NullReferenceException);
    }
    deep(1);
}
