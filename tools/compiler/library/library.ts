// The library's own classes, compiled with every program as far as it uses them. `RawArray`, `copyElements`, `hashOf`, `isQuickToCompare`
// (all but texts), `EMPTY` (zero, or null for places that hold nothing), `castTo` and natives that have no names in programs (`INTERNAL` in library.rs) are known here only.
// The compiler reaches into `Array`: elements in the first slot, their number in the second.

class Array<T> {
    private items: RawArray<T>;
    readonly length: i32;

    constructor(length: i32) {
        this.items = new RawArray<T>(length);
        this.length = length;
    }

    push(value: T): i32 {
        const length = this.length;
        let items = this.items;
        const room = i32(items.length);
        if (length >= room) {
            const more = new RawArray<T>(i64(room) + i64(room >> 1) + 4);
            copyElements(items, 0, more, 0, length);
            items = more;
            this.items = more;
        }
        items[length] = value;
        this.length = length + 1;
        return length + 1;
    }

    pop(): T {
        const last = this.length - 1;
        if (last < 0) outOfBounds();
        const value = this.items[last];
        this.items[last] = EMPTY;
        this.length = last;
        return value;
    }

    indexOf(value: T): i32 {
        for (let i = 0; i < this.length; i++) {
            if (this[i] === value) return i;
        }
        return -1;
    }

    includes(value: T): bool {
        return this.indexOf(value) >= 0;
    }

    fill(value: T): T[] {
        const items = this.items;
        const length = this.length;
        for (let i = 0; i < length; i++) items[i] = value;
        return this;
    }

    reverse(): T[] {
        let last = this.length - 1;
        for (let i = 0; i < last; i++) {
            const value = this[i];
            this[i] = this[last];
            this[last] = value;
            last--;
        }
        return this;
    }

    slice(start: i32, end: i32): T[] {
        if (start < 0 || end > this.length || start > end) outOfBounds();
        const part = new Array<T>(end - start);
        copyElements(this.items, start, part.items, 0, end - start);
        return part;
    }

    concat(other: T[]): T[] {
        const all = new Array<T>(this.length + other.length);
        copyElements(this.items, 0, all.items, 0, this.length);
        copyElements(other.items, 0, all.items, this.length, other.length);
        return all;
    }

    insert(index: i32, value: T): void {
        if (index < 0 || index > this.length) outOfBounds();
        this.push(value);
        copyElements(this.items, index, this.items, index + 1, this.length - 1 - index);
        this.items[index] = value;
    }

    remove(index: i32): T {
        const value = this[index];
        const last = this.length - 1;
        copyElements(this.items, index + 1, this.items, index, last - index);
        this.items[last] = EMPTY;
        this.length = last;
        return value;
    }

    shift(): T {
        return this.remove(0);
    }

    unshift(value: T): i32 {
        this.insert(0, value);
        return this.length;
    }

    forEach(action: (value: T) => void): void {
        for (const value of this) action(value);
    }

    filter(keep: (value: T) => bool): T[] {
        const kept: T[] = [];
        for (const value of this) if (keep(value)) kept.push(value);
        return kept;
    }

    some(test: (value: T) => bool): bool {
        return this.findIndex(test) >= 0;
    }

    every(test: (value: T) => bool): bool {
        for (const value of this) if (!test(value)) return false;
        return true;
    }

    findIndex(test: (value: T) => bool): i32 {
        for (let i = 0; i < this.length; i++) if (test(this[i])) return i;
        return -1;
    }

    // By merging runs of growing length: what compares equal keeps its order.
    sort(compare: (a: T, b: T) => i32): T[] {
        const length = this.length;
        let from = this.slice(0, length);
        let to = new Array<T>(length);
        for (let width = 1; width < length; width *= 2) {
            for (let start = 0; start < length; start += width * 2) {
                mergeRuns(from, to, start, start + width, start + width * 2, compare);
            }
            const other = from;
            from = to;
            to = other;
        }
        copyElements(from.items, 0, this.items, 0, length);
        return this;
    }

    clear(): void {
        this.items = new RawArray<T>(0);
        this.length = 0;
    }

    join(separator: string): string {
        return this.length === 0 ? "" : joinElements(this, separator, 0, this.length);
    }
}

// By halves: piece by piece, the text so far would be copied for every element.
function joinElements<T>(list: T[], separator: string, start: i32, end: i32): string {
    const first = list[start];
    if (end - start === 1) return `${first}`;
    if (end - start === 2) return `${first}${separator}${list[start + 1]}`;
    const middle = start + (end - start) / 2;
    return joinElements(list, separator, start, middle) + separator + joinElements(list, separator, middle, end);
}

function outOfBounds(): void {
    const none = new Int32Array(0);
    none[0] = 0;
}

function mergeRuns<T>(
    from: T[],
    to: T[],
    start: i32,
    middle: i32,
    end: i32,
    compare: (a: T, b: T) => i32,
): void {
    const last = from.length;
    const half = middle < last ? middle : last;
    const limit = end < last ? end : last;
    let left = start;
    let right = half;
    for (let at = start; at < limit; at++) {
        if (left < half && (right >= limit || compare(from[left], from[right]) <= 0)) {
            to[at] = from[left];
            left++;
        } else {
            to[at] = from[right];
            right++;
        }
    }
}

function Array_map<T, U>(list: T[], change: (value: T) => U): U[] {
    const made: U[] = [];
    for (const value of list) made.push(change(value));
    return made;
}

function Array_reduce<T, U>(list: T[], join: (sum: U, value: T) => U, start: U): U {
    let sum = start;
    for (const value of list) sum = join(sum, value);
    return sum;
}

// A variable that functions without names share with their surroundings.
class Box<T> {
    value: T;

    constructor(value: T) {
        this.value = value;
    }
}

// Keys and values in the order of their insertion, from place 1 on, and a table, at most half full, of twice their places: 0 is nobody's.
// Bit 0 is set where keys went on past, whose own index was taken: who looks for one goes on there, too, and nowhere else. What was
// removed keeps its place, with a hash that no key has, until the table is made anew. So at most half of a table was ever taken, and every
// search ends.
class Map<K, V> {
    private table: Int32Array;
    // The length of the table less one.
    private mask: i32 = 15;
    private hashes: Int32Array;
    private entryKeys: RawArray<K>;
    private entryValues: RawArray<V>;
    private used: i32 = 1;
    readonly size: i32 = 0;

    constructor() {
        this.table = new Int32Array(16);
        this.hashes = new Int32Array(8);
        this.entryKeys = new RawArray<K>(8);
        this.entryValues = new RawArray<V>(8);
    }

    // Most keys lie at their own index, or nothing does: that is seen without a call.
    has(key: K): bool {
        const hash = hashOf(key);
        const found = this.table[hash & this.mask];
        if (found === 0) return false;
        if (isQuickToCompare(key) && found > 1 && this.entryKeys[found >> 1] === key) return true;
        return this.place(key, hash) > 0;
    }

    get(key: K): V {
        const hash = hashOf(key);
        if (isQuickToCompare(key)) {
            const place = this.table[hash & this.mask] >> 1;
            if (place > 0 && this.entryKeys[place] === key) return this.entryValues[place];
        }
        return this.entryValues[this.place(key, hash)];
    }

    getOr(key: K, other: V): V {
        const place = this.place(key, hashOf(key));
        return place < 0 ? other : this.entryValues[place];
    }

    set(key: K, value: V): void {
        const hash = hashOf(key);
        const table = this.table;
        const at = hash & this.mask;
        const found = table[at];
        if (isQuickToCompare(key) && found > 1 && this.entryKeys[found >> 1] === key) {
            this.entryValues[found >> 1] = value;
            return;
        }
        if (found !== 0) {
            const place = this.place(key, hash);
            if (place > 0) {
                this.entryValues[place] = value;
                return;
            }
        }
        if (this.used >= i32(this.hashes.length)) this.rebuild();
        const used = this.used;
        this.hashes[used] = hash;
        this.entryKeys[used] = key;
        this.entryValues[used] = value;
        if (found === 0 && this.table === table) table[at] = used << 1;
        else this.enter(this.table, hash, used);
        this.used = used + 1;
        this.size = this.size + 1;
    }

    delete(key: K): bool {
        const hash = hashOf(key);
        const place = this.place(key, hash);
        if (place < 0) return false;
        const table = this.table;
        const mask = this.mask;
        let at = hash & mask;
        let rest = hash;
        let found = table[at];
        while (found >> 1 !== place) {
            // Another thread was faster.
            if ((found & 1) === 0) return false;
            rest = rest >> 5;
            at = (at * 5 + rest + 1) & mask;
            found = table[at];
        }
        table[at] = found & 1;
        this.hashes[place] = -1;
        this.entryKeys[place] = EMPTY;
        this.entryValues[place] = EMPTY;
        this.size = this.size - 1;
        return true;
    }

    clear(): void {
        this.used = 1;
        this.size = 0;
        this.rebuild();
    }

    keys(): K[] {
        const keys: K[] = [];
        for (let i = 1; i < this.used; i++) if (this.hashes[i] >= 0) keys.push(this.entryKeys[i]);
        return keys;
    }

    values(): V[] {
        const values: V[] = [];
        for (let i = 1; i < this.used; i++) if (this.hashes[i] >= 0) values.push(this.entryValues[i]);
        return values;
    }

    // What is there at the beginning: the action may change the map.
    forEach(action: (value: V, key: K) => void): void {
        const keys = this.keys();
        const values = this.values();
        for (let i = 0; i < keys.length; i++) action(values[i], keys[i]);
    }

    // The place of a key, -1 if it is not there. Near keys have near indices, so that who reads them in order finds them in the
    // processor's caches; keys that meet are led apart by the rest of their hashes, as CPython does it.
    private place(key: K, hash: i32): i32 {
        const table = this.table;
        const mask = this.mask;
        let at = hash & mask;
        let rest = hash;
        while (true) {
            const found = table[at];
            const place = found >> 1;
            if (place > 0 && (isQuickToCompare(key) || this.hashes[place] === hash) && this.entryKeys[place] === key) return place;
            if ((found & 1) === 0) return -1;
            rest = rest >> 5;
            at = (at * 5 + rest + 1) & mask;
        }
    }

    // Puts the place of a key that is not there into a table.
    private enter(table: Int32Array, hash: i32, place: i32): void {
        const mask = i32(table.length) - 1;
        let rest = hash;
        let at = hash & mask;
        while (true) {
            const other = table[at];
            if (other < 2) {
                table[at] = (place << 1) | other;
                return;
            }
            table[at] = other | 1;
            rest = rest >> 5;
            at = (at * 5 + rest + 1) & mask;
        }
    }

    // Room for as many again as there are, without those that were removed.
    private rebuild(): void {
        const oldHashes = this.hashes;
        const oldKeys = this.entryKeys;
        const oldValues = this.entryValues;
        let room = 8;
        while (room <= this.size * 2) room *= 2;
        const hashes = new Int32Array(room);
        const keys = new RawArray<K>(room);
        const values = new RawArray<V>(room);
        let used = this.size + 1;
        if (used === this.used) {
            copyElements(oldHashes, 0, hashes, 0, used);
            copyElements(oldKeys, 0, keys, 0, used);
            copyElements(oldValues, 0, values, 0, used);
        } else {
            used = 1;
            for (let i = 1; i < this.used; i++) {
                if (oldHashes[i] >= 0) {
                    hashes[used] = oldHashes[i];
                    keys[used] = oldKeys[i];
                    values[used] = oldValues[i];
                    used++;
                }
            }
        }
        const mask = room * 2 - 1;
        const table = new Int32Array(room * 2);
        for (let i = 1; i < used; i++) {
            const hash = hashes[i];
            const at = hash & mask;
            if (table[at] === 0) table[at] = i << 1;
            else this.enter(table, hash, i);
        }
        this.table = table;
        this.mask = mask;
        this.hashes = hashes;
        this.entryKeys = keys;
        this.entryValues = values;
        this.used = used;
    }
}

class Set<T> {
    private map: Map<T, bool>;

    constructor() {
        this.map = new Map<T, bool>();
    }

    get size(): i32 {
        return this.map.size;
    }

    has(value: T): bool {
        return this.map.has(value);
    }

    // Whether it is new.
    add(value: T): bool {
        const before = this.map.size;
        this.map.set(value, true);
        return this.map.size > before;
    }

    delete(value: T): bool {
        return this.map.delete(value);
    }

    clear(): void {
        this.map.clear();
    }

    values(): T[] {
        return this.map.keys();
    }

    forEach(action: (value: T) => void): void {
        this.map.keys().forEach(action);
    }
}

// Adding 0 makes one of both zeros, which are equal.
function hashOfFloat(value: f64): i64 {
    return `${value + 0.0}`.hash();
}

// What a session prints of a value. `Anything` is any reference; `inspect(value, to)` is made by the compiler for each type, with the names of fields.
class Session_output {
    private parts: string[] = [];
    private path: Anything[] = [];
    private room: i64 = 4000;

    put(text: string): void {
        if (this.room <= 0) return;
        this.room -= text.length;
        this.parts.push(this.room > 0 ? text : "...");
    }

    quote(text: string): void {
        let shown = '"';
        for (const character of text) {
            if (character === '"' || character === "\\") shown += "\\";
            shown += character === "\n" ? "\\n" : character === "\t" ? "\\t" : character;
            if (shown.length > 400) {
                shown += "...";
                break;
            }
        }
        this.put(shown + '"');
    }

    // Whether what an object holds is to be shown: not inside itself, and not too deep.
    enter(value: Anything, name: string, open: string, close: string): bool {
        for (let i = 0; i < this.path.length; i++) {
            if (this.path[i] === value) {
                this.put(`<${this.path.length - i} up>`);
                return false;
            }
        }
        if (this.path.length >= 5 || this.room <= 0) {
            this.put(`${name}${open}...${close}`);
            return false;
        }
        this.path.push(value);
        this.put(name + open);
        return true;
    }

    leave(close: string): void {
        this.path.pop();
        this.put(close);
    }

    // Whether another element is to be shown.
    more(shown: i32, all: i32): bool {
        if (shown > 0) this.put(", ");
        if (shown < 100 && this.room > 0) return true;
        this.put(`${all - shown} more`);
        return false;
    }

    whole(): string {
        return this.parts.join("");
    }
}

function Session_show<T>(value: T): void {
    const to = new Session_output();
    inspect(value, to);
    console.log(to.whole());
}

function Session_elements<L>(list: L, to: Session_output): void {
    if (!to.enter(list, "", "[", "]")) return;
    let shown = 0;
    for (const value of list) {
        if (!to.more(shown, i32(list.length))) break;
        inspect(value, to);
        shown++;
    }
    to.leave("]");
}

function Session_map<K, V>(map: Map<K, V>, to: Session_output): void {
    if (map.size === 0) to.put("Map {}");
    if (map.size === 0 || !to.enter(map, "Map", " { ", " }")) return;
    let shown = 0;
    for (const key of map.keys()) {
        if (!to.more(shown, map.size)) break;
        inspect(key, to);
        to.put(": ");
        inspect(map.get(key), to);
        shown++;
    }
    to.leave(" }");
}

function Session_deque<T>(deque: Deque<T>, to: Session_output): void {
    if (deque.size === 0) to.put("Deque {}");
    if (deque.size === 0 || !to.enter(deque, "Deque", " { ", " }")) return;
    for (let shown = 0; shown < deque.size; shown++) {
        if (!to.more(shown, deque.size)) break;
        inspect(deque.at(shown), to);
    }
    to.leave(" }");
}

function Session_set<T>(set: Set<T>, to: Session_output): void {
    if (set.size === 0) to.put("Set {}");
    if (set.size === 0 || !to.enter(set, "Set", " { ", " }")) return;
    let shown = 0;
    for (const value of set.values()) {
        if (!to.more(shown, set.size)) break;
        inspect(value, to);
        shown++;
    }
    to.leave(" }");
}
