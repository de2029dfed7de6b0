// Functions at the top of the file as values, and functions with blocks whose results are seen from their bodies.

function double(x: i32): i32 {
    return x * 2;
}

function gcd(a: i64, b: i64): i64 {
    return b === 0 ? a : gcd(b, a % b);
}

function shout(text: string, times: i32): string {
    let loud = text;
    for (let i = 0; i < times; i++) loud += "!";
    return loud;
}

function note(text: string): void {
    console.log("noted", text);
}

function first<T>(list: T[]): T {
    return list[0];
}

function fold(list: i64[], combine: (a: i64, b: i64) => i64): i64 {
    return list.reduce(combine, 0);
}

function refuse(x: i32): i32 {
    if (x > 2) throw new Error(`refused ${x}`);
    return x;
}

const steps: ((x: i32) => i32)[] = [double, (x) => x + 1, double];

class Wiring {
    action: (text: string) => void = note;
    constructor(readonly shape: (text: string, times: i32) => string) {}
    say(text: string): void {
        this.action(this.shape(text, 2));
    }
}

export function main(): void {
    const list = [1, 2, 3];
    console.log(list.map(double).join(" "));
    const f = gcd;
    console.log(f(12, 18), fold([12, 18, 30], gcd), fold([12, 18], f));
    new Wiring(shout).say("hello");
    let x = 5;
    for (const step of steps) x = step(x);
    console.log(x);
    ["a", "b"].forEach(note);
    const head: (list: string[]) => string = first;
    console.log(head(["x", "y"]), [[7, 8], [9]].map(first).join(","));
    const chosen = x > 3 ? double : refuse;
    console.log(chosen(4));
    const lengths = list.map((x) => {
        const text = `${x * x * x}`;
        if (x === 1) {
            return text.length;
        }
        return text.length * 100;
    });
    console.log(lengths.join(" "));
    const totals = list.reduce((sum, x) => {
        let next = sum;
        for (const y of list) next += i64(x * y);
        return next;
    }, i64(0));
    console.log(totals);
    console.log(
        list
            .map((x) => {
                switch (x) {
                    case 1:
                        return "one";
                    default:
                        return `${x}`;
                }
            })
            .join(" "),
    );
    console.log(
        list.map((x) => {
            const row = list.map((y) => {
                return x * y;
            });
            return row;
        })[2].join(" "),
    );
    list.map(refuse);
}
