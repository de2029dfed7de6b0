// A list of twenty hangs from one object alone, whose page the disk will not deliver; beside it garbage in circles. Asks now and
// then whether the list is whole. For machine_lost.rs.

class Node {
    next: Node | null = null;
    constructor(public value: i32) {}
}

const LENGTH: i32 = 20;
const FILLERS: i32 = 600;
const HOLDER: i32 = 300;

let fillers: Node[] = [];
let rounds: i64 = 0;

function build(): void {
    for (let i = 0; i < FILLERS; i++) fillers.push(new Node(i));
    let last = fillers[HOLDER];
    for (let i = 0; i < LENGTH; i++) {
        const node = new Node(1000 + i);
        last.next = node;
        last = node;
    }
}

function whole(): i32 {
    let count = 0;
    let node = fillers[HOLDER].next;
    while (node !== null && node.value === 1000 + count) {
        count++;
        node = node.next;
    }
    return count;
}

function circles(count: i32): void {
    for (let i = 0; i < count; i++) {
        const first = new Node(i);
        first.next = new Node(i);
        const second = first.next;
        if (second !== null) second.next = first;
    }
}

export function main(): void {
    build();
    console.log(`holder built ${whole()}`);
    while (true) {
        circles(500);
        rounds++;
        try {
            console.log(`holder round ${rounds} list ${whole()}`);
        } catch (e) {
            if (e instanceof Error) console.log(`holder round ${rounds} thrown ${e}`);
        }
        sleep(100_000_000);
    }
}
