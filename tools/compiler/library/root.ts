// The library's part about what outlives a program's variables: its directory, restarts, the past, and numbers that nobody foresees.

class NoSuchNameException extends Error {}

function directory(): Dictionary {
    return directoryOf(programEnvironment());
}

function Root_has(name: string): bool {
    return dictionaryHas(directory(), name);
}

function Root_get<T>(name: string): T {
    const found = dictionaryGet(directory(), name);
    if (found === null) throw new NoSuchNameException(name);
    return castTo<T>(found);
}

function Root_getBoxed<T>(name: string): T {
    return Root_get<Box<T>>(name).value;
}

function Root_set<T>(name: string, value: T): void {
    dictionarySet(directory(), name, value);
}

function Root_setBoxed<T>(name: string, value: T): void {
    dictionarySet(directory(), name, new Box<T>(value));
}

function Root_delete(name: string): bool {
    return dictionaryRemove(directory(), name);
}

function Root_names(): string[] {
    const names: string[] = [];
    const all = directory();
    let cursor: i64 = 0;
    while (true) {
        const key = dictionaryKey(all, cursor);
        if (key === null) return names;
        names.push(castTo<string>(key));
        cursor = dictionaryNext(all, cursor);
    }
}

function Past_copy<T>(subject: T, epoch: i64): T {
    return castTo<T>(pastCopy(subject, epoch));
}

// The number of restarts is read by the caller: one that comes before the thread begins counts.
function onRestart(action: () => void): Thread {
    const before = restarts();
    return Thread.spawn(() => watchRestarts(before, action));
}

function watchRestarts(before: i64, action: () => void): void {
    const event = restartEventOf(programEnvironment());
    let seen = before;
    while (true) {
        seen = restartWait(event, seen);
        action();
    }
}

// 53 bits of a number. Each is drawn from the machine: there is no state that an older snapshot could bring back.
function Math_random(): f64 {
    return f64((entropy() >> 11) & 0x1f_ffff_ffff_ffff) / 9007199254740992.0;
}

// What is left of 2^64 beyond a multiple of the limit is drawn again, so that all are equally likely.
function randomInteger(limit: i64): i64 {
    if (limit < 1) throw new InvalidArgumentException("the limit of a random integer is at least 1");
    const count = u64(limit);
    const most: u64 = 0xffff_ffff_ffff_ffff;
    const last = most - (most % count);
    let drawn = u64(entropy());
    while (drawn >= last) drawn = u64(entropy());
    return i64(drawn % count);
}
