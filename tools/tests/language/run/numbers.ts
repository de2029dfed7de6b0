// Every number type, its operators, its conversions.
let counter: i64 = 40;
const LIMIT = 3;
const GREETING = "hi";

function factorial(n: i64): i64 {
    return n <= 1 ? 1 : n * factorial(n - 1);
}

function collatz(start: u32): i32 {
    let steps = 0;
    let n = start;
    while (n !== 1) {
        if (n % 2 === 0) n /= 2;
        else n = 3 * n + 1;
        steps++;
    }
    return steps;
}

function classify(n: i32): string {
    switch (n) {
        case 0:
            return "zero";
        case 1:
        case 2:
            return "small";
        default:
            return "large";
    }
}

function order(a: i32, b: i32): i32 {
    let x = a;
    return x + (x = b) * 10 + x * 100;
}

export function main(): i32 {
    console.log(1 + 2 * 3, 7 / 2, -7 / 2, -7 % 3, 7.0 / 2);
    const big: i32 = 2147483647;
    console.log(big + 1, -2147483648);
    const unsigned: u32 = 4294967295;
    console.log(unsigned, unsigned / 2, unsigned >> 4, unsigned > 5);
    const long: u64 = 18446744073709551615;
    console.log(long, i64(long), long % 10, factorial(20));
    console.log(0xff, 0b101, 1_000, 1 << 10, -16 >> 2, -16 >>> 28, 6 & 3, 6 | 3, 6 ^ 3, ~5);
    console.log(0.1 + 0.2, 1e21, 5.5 % 2, 2.0 ** 10, Math.sqrt(2), Math.floor(-1.5), Math.PI);
    const half: f32 = 0.5;
    console.log(half + 1, f64(half), i32(3.99), i32(-3.99), f64(3) / 2);
    console.log(collatz(27), classify(0), classify(2), classify(9));
    counter += 2;
    console.log(counter, LIMIT, GREETING, order(1, 2));
    let i = 5;
    console.log(i++, i--, ++i, i);
    const wide: i64 = i;
    const mixed = f64(wide) + i * 2.5;
    console.log(mixed, true, !true, i > 3 && i < 10, i < 3 || i === 6);
    let sum = 0;
    for (let k = 0; k < 10; k++) {
        if (k === 3) continue;
        if (k === 8) break;
        sum += k;
    }
    do sum--; while (sum > 20);
    console.log(sum, 10 - sum, sum * -1, 0 - sum);
    return 3;
}
