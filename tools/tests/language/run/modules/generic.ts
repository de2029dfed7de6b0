// Generic classes and functions, instances of which are made in other files; what they call is seen from here.

export class Pair<A, B> {
    constructor(
        readonly first: A,
        readonly second: B,
    ) {}
}

export const table: Map<string, i32> = new Map<string, i32>();

function pair<A, B>(a: A, b: B): Pair<A, B> {
    return new Pair(a, b);
}

export function pairs<A, B>(left: A[], right: B[]): Pair<A, B>[] {
    const list: Pair<A, B>[] = [];
    for (let i = 0; i < left.length; i++) list.push(pair(left[i], right[i]));
    return list;
}

export function swap<A, B>(given: Pair<A, B>): Pair<B, A> {
    return pair(given.second, given.first);
}

export function largest<T>(list: T[]): T {
    let found = list[0];
    for (const x of list) {
        if (x > found) found = x;
    }
    return found;
}
