// Functions as values that do not fit, and collections that are walked by their parts.

function double(x: i32): i32 {
    return x * 2;
}

function same<T>(x: T): T {
    return x;
}

export function main(): void {
    const text: (x: string) => string = double;
    const unseen = same;
    const native = sleep;
    const map = new Map<string, i32>();
    for (const x of map) console.log(x);
    for (const x of new Set<i32>()) console.log(x);
    double = text;
    [1].map((x) => {
        console.log(x);
    });
}
