// Null: narrowing by what was asked, chains, what is given instead.

class Node {
    next: Node | null = null;
    constructor(public value: i32, readonly name: string | null) {}
}

function length(node: Node | null): i32 {
    let count = 0;
    while (node !== null) {
        count++;
        node = node.next;
    }
    return count;
}

function last(first: Node): Node {
    let node = first;
    while (node.next !== null) node = node.next;
    return node;
}

function nameOf(node: Node | null): string {
    if (node === null || node.name === null) return "nobody";
    return node.name + "!";
}

function either(a: Node | null, b: Node | null): Node {
    return a ?? b ?? new Node(-1, null);
}

function bytes(node: Node | null): i64 {
    return node?.name?.length ?? -1;
}

// Takes the second out; a variable with the name of a field that is assigned to stays what it is.
function cut(first: Node): i32 {
    const next = first.next;
    if (next === null) return 0;
    first.next = next.next;
    return next.value;
}

let kept: Node | null = null;

export function main(): void {
    const three = new Node(7, null);
    three.next = new Node(8, null);
    three.next.next = new Node(9, null);
    console.log(cut(three), length(three), cut(three), cut(three));
    const list = new Node(1, "one");
    list.next = new Node(2, null);
    list.next.next = new Node(3, "three");
    console.log(length(list), length(null), last(list).value);
    console.log(nameOf(list), nameOf(list.next), nameOf(null));
    console.log(either(null, list).value, either(null, null).value);
    console.log(bytes(list), bytes(list.next), bytes(null));
    console.log(list.next!.next!.name ?? "none", list.next?.name ?? "none");
    if (kept !== null) console.log("not yet");
    kept = list;
    console.log(kept.value);
    const maybe: string | null = list.value > 1 ? "big" : null;
    console.log(maybe === null, maybe ?? "small", maybe === "big");
    let found: Node | null = null;
    for (let node: Node | null = list; node !== null; node = node.next) {
        if (node.value === 2) {
            found = node;
            break;
        }
    }
    console.log(found !== null && found.value === 2 ? "found" : "lost");
    console.log(list === (list.value > 0 ? list.next : list), list === (list.value > 0 ? list : list.next));
    console.log("one" === (list.value > 0 ? list.name : "two"), "two" === (list.value > 1 ? list.name : "two"));
}
