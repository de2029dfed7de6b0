const N = 5;
function f(a: i32, b): string {
    var q = 1;
    if (a) { return 1; }
    while (true) { a = 2.5; }
}
class Foo { x: i32 = 1; m() { return this.x; } }
function g(x: i32): i64 {
    let y: Foo = 3;
    N = 6;
    x + 1;
    return unknown(x) + 1;
}
export function main(): void {
    let a = [1, 2];
    let s = "abc;
    const t = `a${1 + }`;
    f(1);
    let i: i32 = 3000000000;
    break;
    console.log(1 + true, "a" < 1, !3, i ? 1 : 2, typeof i);
    const c = i as f64;
    for (const v of a) {}
}
