// What programs for Revenant find without importing it, for editors and for TypeScript's own compiler:
//
//     tsc --noEmit --strict --noLib tools/compiler/library/revenant.d.ts PROGRAM.ts
//
// Revenant's compiler knows these by itself, and is stricter: the number types are different types there. LANGUAGE.md says what each does.

type i32 = number;
type u32 = number;
type i64 = number;
type u64 = number;
type f32 = number;
type f64 = number;
type bool = boolean;

declare function i32(value: number | boolean): i32;
declare function u32(value: number | boolean): u32;
declare function i64(value: number | boolean): i64;
declare function u64(value: number | boolean): u64;
declare function f32(value: number | boolean): f32;
declare function f64(value: number | boolean): f64;

declare const console: {
    log(...values: (number | string | boolean | { toString(): string })[]): void;
    print(...values: (number | string | boolean | { toString(): string })[]): void;
    readLine(): string;
};

declare function sleep(nanoseconds: i64): void;
declare function commit(): i64;
declare function uptime(): i64;
declare function now(): i64;
declare function restarts(): i64;
declare function entropy(): i64;
declare function randomInteger(limit: i64): i64;
declare function reportStep(step: i64): void;
declare function yieldThread(): void;
declare function parseInteger(text: string): i64;
declare function parseFloat(text: string): f64;
declare function clz(value: u32): i32;
declare function ctz(value: u32): i32;
declare function popcnt(value: u32): i32;

declare const Math: {
    readonly PI: f64;
    readonly E: f64;
    abs(x: f64): f64;
    ceil(x: f64): f64;
    floor(x: f64): f64;
    trunc(x: f64): f64;
    sqrt(x: f64): f64;
    min(x: f64, y: f64): f64;
    max(x: f64, y: f64): f64;
    sin(x: f64): f64;
    cos(x: f64): f64;
    tan(x: f64): f64;
    asin(x: f64): f64;
    acos(x: f64): f64;
    atan(x: f64): f64;
    atan2(y: f64, x: f64): f64;
    exp(x: f64): f64;
    log(x: f64): f64;
    log2(x: f64): f64;
    log10(x: f64): f64;
    pow(x: f64, y: f64): f64;
    random(): f64;
};

declare class Uint8Array {
    constructor(length: i64);
    readonly length: i64;
    [index: number]: i32;
    [Symbol.iterator](): IterableIterator<i32>;
}
declare class Int16Array {
    constructor(length: i64);
    readonly length: i64;
    [index: number]: i32;
    [Symbol.iterator](): IterableIterator<i32>;
}
declare class Int32Array {
    constructor(length: i64);
    readonly length: i64;
    [index: number]: i32;
    [Symbol.iterator](): IterableIterator<i32>;
}
declare class Int64Array {
    constructor(length: i64);
    readonly length: i64;
    [index: number]: i64;
    [Symbol.iterator](): IterableIterator<i64>;
}
declare class Float32Array {
    constructor(length: i64);
    readonly length: i64;
    [index: number]: f32;
    [Symbol.iterator](): IterableIterator<f32>;
}
declare class Float64Array {
    constructor(length: i64);
    readonly length: i64;
    [index: number]: f64;
    [Symbol.iterator](): IterableIterator<f64>;
}

declare class Error {
    constructor(message: string);
    readonly message: string;
    toString(): string;
}
declare class NullReferenceException extends Error {}
declare class IndexOutOfBoundsException extends Error {}
declare class InvalidCastException extends Error {}
declare class DivideByZeroException extends Error {}
declare class IntegerOverflowException extends Error {}
declare class InvalidConversionException extends Error {}
declare class InvalidArgumentException extends Error {}
declare class UnreachableException extends Error {}
declare class AbstractMethodException extends Error {}
declare class SignatureMismatchException extends Error {}
declare class OutOfMemoryException extends Error {}
declare class DiskFullException extends Error {}
declare class StackOverflowException extends Error {}
declare class DamagedObjectException extends Error {}
declare class LockAbandonedException extends Error {}
declare class LockStateException extends Error {}
declare class InterruptedException extends Error {}
declare class ConcurrentChangeException extends Error {}
declare class StaleHandleException extends Error {}
declare class VerificationException extends Error {}
declare class NotSupportedException extends Error {}
declare class SnapshotFailedException extends Error {}

interface String {
    readonly length: i64;
    byteAt(index: i64): i32;
    slice(start: i64, end: i64): string;
    indexOf(text: string, from: i64): i64;
    compare(other: string): i32;
    hash(): i64;
    bytes(): Uint8Array;
    startsWith(part: string): bool;
    endsWith(part: string): bool;
    includes(part: string): bool;
    repeat(times: i32): string;
    trim(): string;
    trimStart(): string;
    trimEnd(): string;
    padStart(length: i32, fill: string): string;
    padEnd(length: i32, fill: string): string;
    split(separator: string): string[];
    replaceAll(part: string, by: string): string;
    toUpperCase(): string;
    toLowerCase(): string;
    toString(): string;
    [Symbol.iterator](): IterableIterator<string>;
}
declare const String: {
    fromCodePoint(codePoint: i32): string;
    fromBytes(bytes: Uint8Array, start: i64, count: i64): string;
};
interface Number {
    toFixed(decimals: i32): string;
    toString(): string;
}
interface Boolean {
    toString(): string;
}

interface Array<T> {
    readonly length: i32;
    [index: number]: T;
    push(value: T): i32;
    pop(): T;
    shift(): T;
    unshift(value: T): i32;
    insert(index: i32, value: T): void;
    remove(index: i32): T;
    indexOf(value: T): i32;
    includes(value: T): bool;
    fill(value: T): T[];
    reverse(): T[];
    slice(start: i32, end: i32): T[];
    concat(other: T[]): T[];
    join(separator: string): string;
    forEach(action: (value: T) => void): void;
    map<U>(change: (value: T) => U): U[];
    filter(keep: (value: T) => bool): T[];
    reduce<U>(join: (sum: U, value: T) => U, start: U): U;
    some(test: (value: T) => bool): bool;
    every(test: (value: T) => bool): bool;
    findIndex(test: (value: T) => bool): i32;
    sort(compare: (a: T, b: T) => i32): T[];
    clear(): void;
    [Symbol.iterator](): IterableIterator<T>;
}
declare const Array: { new <T>(length: i32): T[] };

declare class Map<K, V> {
    constructor();
    readonly size: i32;
    has(key: K): bool;
    get(key: K): V;
    getOr(key: K, other: V): V;
    set(key: K, value: V): void;
    delete(key: K): bool;
    clear(): void;
    keys(): K[];
    values(): V[];
    forEach(action: (value: V, key: K) => void): void;
}
declare class Set<T> {
    constructor();
    readonly size: i32;
    has(value: T): bool;
    add(value: T): bool;
    delete(value: T): bool;
    clear(): void;
    values(): T[];
    forEach(action: (value: T) => void): void;
}

declare class Deque<T> {
    constructor();
    readonly size: i32;
    pushBack(value: T): void;
    pushFront(value: T): void;
    popFront(): T;
    popBack(): T;
    at(index: i32): T;
    values(): T[];
    clear(): void;
}

declare class StringBuilder {
    constructor();
    append(text: string): void;
    appendInteger(value: i64): void;
    appendNumber(value: f64): void;
    appendFixed(value: f64, decimals: i32): void;
    appendCodePoint(codePoint: i32): void;
    length(): i64;
    clear(): void;
    toString(): string;
}

declare class JsonError extends Error {
    readonly position: i32;
}
declare abstract class JsonValue {
    private constructor();
    static ofNull(): JsonValue;
    static ofBool(value: bool): JsonValue;
    static ofInteger(value: i64): JsonValue;
    static ofNumber(value: f64): JsonValue;
    static ofText(value: string): JsonValue;
    static ofList(values: JsonValue[]): JsonValue;
    static ofMap(values: Map<string, JsonValue>): JsonValue;
    isNull(): bool;
    asBool(): bool;
    asInteger(): i64;
    asNumber(): f64;
    asText(): string;
    asList(): JsonValue[];
    asMap(): Map<string, JsonValue>;
    toString(): string;
}
declare const JSON: {
    parse(text: string): JsonValue;
    stringify(value: JsonValue): string;
};
declare class Thread {
    private constructor();
    static spawn(action: () => void): Thread;
    static current(): Thread;
    join(): Error | null;
    interrupt(): void;
}
declare class Mutex {
    constructor();
    lock(): void;
    lockFor(nanoseconds: i64): bool;
    tryLock(): bool;
    unlock(): void;
    run<T>(action: () => T): T;
}
declare class Condition {
    constructor(mutex: Mutex);
    wait(): void;
    waitFor(nanoseconds: i64): bool;
    notify(): void;
    notifyAll(): void;
}
declare class Semaphore {
    constructor(permits: i64);
    acquire(): void;
    release(permits: i64): void;
}
declare class Channel<T> {
    constructor(capacity: i32);
    readonly length: i32;
    send(value: T): void;
    receive(): T;
    close(): void;
}
declare class ChannelClosedException extends Error {}
declare class NoSuchNameException extends Error {}
declare const root: {
    has(name: string): bool;
    get<T>(name: string): T;
    set<T>(name: string, value: T): void;
    delete(name: string): bool;
    names(): string[];
};
declare const collector: {
    start(): void;
    pause(): void;
    resume(): void;
    stop(): void;
    sweeps(): i64;
};
declare const past: {
    before(epoch: i64): i64;
    copy<T>(subject: T, epoch: i64): T;
};
declare function onRestart(action: () => void): Thread;
declare class WeakRef<T> {
    constructor(target: T);
    deref(): T | null;
}

// What `for (const x of values)` asks for in TypeScript; programs do not name these.
interface SymbolConstructor {
    readonly iterator: unique symbol;
}
declare const Symbol: SymbolConstructor;
interface IteratorResult<T> {
    done: boolean;
    value: T;
}
interface Iterator<T> {
    next(): IteratorResult<T>;
}
interface Iterable<T> {
    [Symbol.iterator](): Iterator<T>;
}
interface IterableIterator<T> extends Iterator<T> {
    [Symbol.iterator](): IterableIterator<T>;
}

// TypeScript asks for these by name; programs cannot use them.
interface Object {}
interface Function {}
interface CallableFunction extends Function {}
interface NewableFunction extends Function {}
interface IArguments {}
interface RegExp {}
