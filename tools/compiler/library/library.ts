// The library's own classes, compiled with every program as far as it uses them. `RawArray`, `copyElements` and `EMPTY` (zero, or null for
// places that hold nothing) are known here only. The compiler reaches into `Array`: elements in the first slot, their number in the second.

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
        for (let i = 0; i < this.length; i++) this.items[i] = value;
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

    clear(): void {
        this.items = new RawArray<T>(0);
        this.length = 0;
    }

    join(separator: string): string {
        let text = "";
        for (let i = 0; i < this.length; i++) {
            text = i === 0 ? `${this[i]}` : text + separator + `${this[i]}`;
        }
        return text;
    }
}

function outOfBounds(): void {
    const none = new Int32Array(0);
    none[0] = 0;
}
