// What arrays are not.
function f(list: i32[]): void {}

export function main(): void {
    const a = new Int32Array(2.5);
    const b = new Int64Array();
    a[1.5] = 1;
    a[0] = 2.5;
    a.length = 3;
    console.log(a, a < a, a === b, 1[0], a.size);
    const c = new Map();
}
