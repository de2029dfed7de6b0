// A queue with two ends. Part of the library: see library.ts.

// The elements stand one after the other in an array whose length is a power of two; behind its end comes its beginning.
class Deque<T> {
    private items: RawArray<T>;
    private first: i32 = 0;
    readonly size: i32 = 0;

    constructor() {
        this.items = new RawArray<T>(8);
    }

    pushBack(value: T): void {
        if (this.size === i32(this.items.length)) this.grow();
        this.items[this.index(this.size)] = value;
        this.size = this.size + 1;
    }

    pushFront(value: T): void {
        if (this.size === i32(this.items.length)) this.grow();
        const at = this.index(-1);
        this.items[at] = value;
        this.first = at;
        this.size = this.size + 1;
    }

    popFront(): T {
        const value = this.at(0);
        this.items[this.first] = EMPTY;
        this.first = this.index(1);
        this.size = this.size - 1;
        return value;
    }

    popBack(): T {
        const value = this.at(this.size - 1);
        this.items[this.index(this.size - 1)] = EMPTY;
        this.size = this.size - 1;
        return value;
    }

    at(index: i32): T {
        if (index < 0 || index >= this.size) outOfBounds();
        return this.items[this.index(index)];
    }

    values(): T[] {
        const values = new Array<T>(this.size);
        this.copyTo(values.items);
        return values;
    }

    clear(): void {
        this.items = new RawArray<T>(8);
        this.first = 0;
        this.size = 0;
    }

    private index(offset: i32): i32 {
        return (this.first + offset) & (i32(this.items.length) - 1);
    }

    private copyTo(items: RawArray<T>): void {
        const end = i32(this.items.length) - this.first;
        const together = this.size < end ? this.size : end;
        copyElements(this.items, this.first, items, 0, together);
        copyElements(this.items, 0, items, together, this.size - together);
    }

    private grow(): void {
        const items = new RawArray<T>(this.items.length * 2);
        this.copyTo(items);
        this.items = items;
        this.first = 0;
    }
}
