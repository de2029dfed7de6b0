// Are We Fast Yet: List. Takeuchi's function on the lengths of linked lists.

class Element {
    next: Element | null = null;

    constructor(readonly value: i32) {}

    length(): i32 {
        return this.next === null ? 1 : 1 + this.next.length();
    }
}

function makeList(length: i32): Element | null {
    if (length === 0) return null;
    const element = new Element(length);
    element.next = makeList(length - 1);
    return element;
}

function isShorterThan(x: Element | null, y: Element | null): bool {
    let left = x;
    let right = y;
    while (right !== null) {
        if (left === null) return true;
        left = left.next;
        right = right.next;
    }
    return false;
}

function next(element: Element | null): Element | null {
    return element?.next ?? null;
}

function tail(x: Element | null, y: Element | null, z: Element | null): Element | null {
    if (!isShorterThan(y, x)) return z;
    return tail(tail(next(x), y, z), tail(next(y), z, x), tail(next(z), x, y));
}

export function main(): void {
    let result = 0;
    for (let i = 0; i < 20; i++) {
        result = tail(makeList(15), makeList(10), makeList(6))?.length() ?? 0;
    }
    console.log(`List ${result} ${result === 10}`);
}
