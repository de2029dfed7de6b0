// Functions without names: what they copy, what they share, what is done with them.

class Button {
    private presses = 0;
    private action: (times: i32) => string;

    constructor(name: string) {
        this.action = (times) => `${name} pressed ${times} of ${this.presses}`;
    }
    press(): string {
        this.presses++;
        return this.action(this.presses * 10);
    }
    later(): () => i32 {
        return () => this.presses + 100;
    }
}

function counter(start: i32): () => i32 {
    let count = start;
    return () => {
        count++;
        return count;
    };
}

function compose<A, B, C>(first: (a: A) => B, second: (b: B) => C): (a: A) => C {
    return (a: A): C => second(first(a));
}

function apply(n: i32, f: ((x: i32) => i32) | null): i32 {
    return f !== null ? f(n) : -1;
}

let twice: (x: i32) => i32 = (x) => x * 2;

class Tally {
    sum: i32 = 0;
    start: () => () => i32 = () => {
        let own = 0;
        return () => {
            own++;
            this.sum += own;
            return own;
        };
    };
}

const twoSteps: () => i32 = () => {
    let n = 0;
    const step = (): void => {
        n++;
    };
    step();
    step();
    return n;
};

export function main(): void {
    const tally = new Tally();
    const step = tally.start();
    step();
    step();
    console.log(step(), tally.sum, twoSteps());
    const doubled = [1, 2, 3].map((x): i32 => {
        const y = x * 2;
        return y;
    });
    console.log(doubled.join(","), 1 + doubled.map((x) => x + 1).length);
    for (const v of doubled) {
        let q = v;
        const add = () => {
            q += 10;
        };
        add();
        console.log(q);
    }
    const next = counter(5);
    const other = counter(50);
    console.log(next(), next(), other(), next());
    const button = new Button("red");
    console.log(button.press(), button.press(), button.later()());
    const numbers = [5, 3, 8, 1];
    const by = 10;
    console.log(numbers.map((x) => x * by).join(" "), numbers.filter((x) => x > 3).join(" "));
    console.log(numbers.reduce((sum, x) => sum + x, 0), numbers.some((x) => x > 7), numbers.every((x) => x > 7));
    console.log(numbers.map((x) => `<${x}>`).reduce((all, text) => all + text, ""), numbers.findIndex((x) => x === 8));
    let total: i64 = 0;
    numbers.forEach((x) => {
        total += x;
    });
    console.log(total);
    const words = ["pear", "fig", "apple", "kiwi", "plum", "date"];
    words.sort((a, b) => i32(a.length - b.length));
    console.log(words.join(" "));
    console.log(words.sort((a, b) => a.compare(b)).join(" "));
    const actions: (() => i32)[] = [];
    for (let i = 0; i < 3; i++) {
        actions.push(() => i * 10);
        i += 0;
    }
    console.log(actions[0](), actions[1](), actions[2]());
    const half = compose((x: i32) => f64(x) / 2, (x: f64) => `${x}!`);
    console.log(half(5), apply(4, twice), apply(4, null), apply(4, (x) => apply(x, (y) => y + x)));
    twice = (x) => x + x + 1;
    console.log(twice(4));
    let depth = 0;
    const nested = (n: i32): i32 => {
        depth++;
        const inner = () => {
            depth += n;
            return depth;
        };
        return inner() + inner();
    };
    console.log(nested(10), depth);
    const maybe: string | null = by > 5 ? "sure" : null;
    if (maybe !== null) {
        const said = () => maybe.length;
        console.log(said());
    }
    try {
        [1].forEach((x) => {
            throw new Error(`at ${x}`);
        });
    } catch (e) {
        if (e instanceof Error) console.log(e.message);
    }
}
