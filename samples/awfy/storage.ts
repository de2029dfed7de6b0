// Are We Fast Yet: Storage. Trees of arrays, to keep whoever collects garbage busy.

class Random {
    private seed: i32 = 74755;

    next(): i32 {
        this.seed = (this.seed * 1309 + 13849) & 65535;
        return this.seed;
    }
}

class Tree {
    children: (Tree | null)[];

    constructor(size: i32) {
        this.children = new Array<Tree | null>(size);
    }
}

class Storage {
    private count: i32 = 0;

    run(): i32 {
        const random = new Random();
        this.count = 0;
        this.build(7, random);
        return this.count;
    }

    private build(depth: i32, random: Random): Tree {
        this.count++;
        if (depth === 1) return new Tree((random.next() % 10) + 1);
        const tree = new Tree(4);
        for (let i = 0; i < 4; i++) tree.children[i] = this.build(depth - 1, random);
        return tree;
    }
}

export function main(): void {
    const storage = new Storage();
    let result = 0;
    for (let i = 0; i < 20; i++) result = storage.run();
    console.log(`Storage ${result} ${result === 5461}`);
}
