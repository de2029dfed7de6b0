// Queues with two ends: order, growth around the end of the array, nothing to take; a long run against a list.

function longRun(): string {
    const deque = new Deque<i64>();
    const list: i64[] = [];
    let seed = 4711;
    for (let i = 0; i < 5000; i++) {
        seed = (seed * 1309 + 13849) & 65535;
        const choice = (seed >> 5) % 5;
        if (list.length > 0 && choice === 0) {
            if (deque.popFront() !== list.shift()) return `the first at ${i}`;
        } else if (list.length > 0 && choice === 1) {
            if (deque.popBack() !== list.pop()) return `the last at ${i}`;
        } else if (choice < 4) {
            deque.pushBack(seed);
            list.push(seed);
        } else {
            deque.pushFront(seed);
            list.unshift(seed);
        }
        if (deque.size !== list.length) return `the size at ${i}`;
        if (list.length > 0 && deque.at(seed % list.length) !== list[seed % list.length]) return `an element at ${i}`;
        if (i % 100 === 0 && deque.values().join(",") !== list.join(",")) return `all at ${i}`;
        if (i === 3000) {
            deque.clear();
            list.clear();
        }
    }
    return "the same";
}

function refused(action: () => void): string {
    try {
        action();
    } catch (e) {
        if (e instanceof IndexOutOfBoundsException) return "refused";
        throw e;
    }
    return "done";
}

export function main(): void {
    const words = new Deque<string>();
    words.pushBack("b");
    words.pushBack("c");
    words.pushFront("a");
    console.log(words.values().join(" "), words.size, words.at(0), words.at(2));
    console.log(words.popFront(), words.popBack(), words.popFront(), words.size);
    console.log(refused(() => words.popFront()), refused(() => words.popBack()), refused(() => words.at(0)));
    words.pushFront("again");
    console.log(words.values().join(" "), refused(() => words.at(-1)), refused(() => words.at(1)));
    console.log(longRun());
}
