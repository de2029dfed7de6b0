// A map of a million integers: filled, read in another order, thinned out and read again. The same program as map.lua.

export function main(): void {
    const squares = new Map<i32, i32>();
    for (let i = 0; i < 1_000_000; i++) squares.set(i * 7, i);
    let sum: i64 = 0;
    let at = 1;
    for (let i = 0; i < 1_000_000; i++) {
        at = (at * 1309 + 13849) & 1048575;
        sum += squares.get((at % 1_000_000) * 7);
    }
    for (let i = 0; i < 1_000_000; i += 2) squares.delete(i * 7);
    for (let i = 0; i < 1_000_000; i++) sum += squares.has(i * 7) ? 1 : 0;
    console.log(`map ${sum} ${squares.size === 500_000}`);
}
