// Lists that change in a loop over them by what the loop calls: functions without names, methods, accessors, a text's `toString`.

class Holder {
    items: i32[] = [1];

    add(): void {
        for (let k = 0; k < 10; k++) this.items.push(k);
    }
}

class Through {
    set last(n: i32) {
        holder.items.push(n);
    }
    get many(): i32 {
        for (let k = 0; k < 40; k++) holder.items.push(k);
        return 1;
    }
}

class Grows {
    constructor(private list: i32[]) {}
    toString(): string {
        for (let k = 0; k < 9; k++) this.list.push(k);
        return "q";
    }
}

let holder: Holder = new Holder();

export function main(): void {
    let list = [1, 2, 3];
    const grow = () => {
        for (let k = 0; k < 20; k++) list.push(k);
    };
    let sum = 0;
    for (let i = 0; i < 50; i++) {
        grow();
        sum += list[i];
        list[i] = 1000;
    }
    console.log(sum, list.length, list[0], list[30]);
    const swap = () => {
        list = [7];
    };
    try {
        for (let i = 0; i < 3; i++) {
            sum += list[i];
            swap();
        }
    } catch (e) {
        if (e instanceof IndexOutOfBoundsException) console.log("out", sum);
    }
    const own = new Holder();
    const items = own.items;
    for (let i = 0; i < 5; i++) {
        own.add();
        items[i] = -i;
    }
    console.log(own.items.slice(0, 6).join(","), own.items.length);
    const shared = holder.items;
    const through = new Through();
    for (let i = 0; i < 30; i++) {
        shared[i] = -shared[i] + through.many;
        through.last = 5;
    }
    console.log(holder.items.slice(0, 6).join(","), holder.items.length);
    const texts = [3];
    for (let i = 0; i < 9; i++) texts[i] = texts[i] + i32(`${new Grows(texts)}`.length);
    console.log(texts.length, texts.slice(0, 10).join(","));
}
