// Functions without names: what is not to be seen, what does not fit, what may be null.

function apply(n: i32, f: (x: i32) => i32): i32 {
    return f(n);
}

let wrong: (x: i32) => string = (x) => x;

export function main(): void {
    const fixed = 5;
    let text: string | null = null;
    const unseen = (x) => x;
    const change = (x: i32) => {
        fixed = x;
    };
    apply(1, (x: string) => 2);
    apply(1, (x, y) => x + y);
    apply(1, (x) => `${x}`);
    apply(1, 5);
    apply("a", (x) => x);
    const some: ((x: i32) => i32) | null = null;
    some(3);
    fixed(3);
    const list = [1, 2];
    list.map((x) => missing);
    list.sort((a, b) => a < b);
    list.filter((x) => x);
    const path = (x: i32): i32 => {
        if (x > 2) return 1;
    };
    const read = () => text.length;
    text = "now";
    this.main();
    const inner = () => this;
    console.log(change, path(1), read(), inner, list.reduce((sum, x) => sum + x));
}
