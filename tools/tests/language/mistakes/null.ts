// What null and arrays refuse.

class Node {
    next: Node | null = null;
    value: i32 = 0;
}

let start: Node | null = null;
let number: i32 | null = null;
let mixed: string | Node = "a";
let wrong: Node = null;

function take(node: Node): i32 {
    return node.value;
}

export function main(): void {
    let node: Node | null = start;
    console.log(node.value, start.next, take(node));
    while (node !== null) {
        node = node.next;
        console.log(node.value);
    }
    if (node !== null || start === null) console.log(node.value);
    const what = null;
    const length = node?.value;
    const sure = 5 ?? 6;
    if (take(node!) !== null) return;
    undefined;
    const empty = [];
    const list: i32[] = [1, "two", 2.5];
    const nodes: Node[] = [null];
    list.push("x");
    list.length = 3;
    list["a"] = 1;
    for (const x of 5) console.log(x);
    for (const x in list) console.log(x);
    const more = [...list];
    const voids: void[] = [];
    list.sorted();
    const zeros = new Array<Node>(3);
    const later = (x: i32) => x;
}
