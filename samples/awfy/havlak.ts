// Are We Fast Yet: Havlak. Finds the loops of a large control flow graph, also those with several entries.

const UNVISITED = 2147483647;
const MOST_NON_BACK_PREDECESSORS = 32768;

class BasicBlock {
    readonly inEdges: BasicBlock[] = [];
    readonly outEdges: BasicBlock[] = [];

    constructor(readonly name: i32) {}
}

class Edge {
    readonly from: BasicBlock;
    readonly to: BasicBlock;

    constructor(graph: ControlFlowGraph, from: i32, to: i32) {
        this.from = graph.createNode(from);
        this.to = graph.createNode(to);
        this.from.outEdges.push(this.to);
        this.to.inEdges.push(this.from);
        graph.addEdge(this);
    }
}

class ControlFlowGraph {
    readonly blocks: BasicBlock[] = [];
    start: BasicBlock | null = null;
    private readonly byName: (BasicBlock | null)[] = [];
    private readonly edges: Edge[] = [];

    createNode(name: i32): BasicBlock {
        while (this.byName.length <= name) this.byName.push(null);
        const known = this.byName[name];
        if (known !== null) return known;
        const made = new BasicBlock(name);
        this.byName[name] = made;
        this.blocks.push(made);
        if (this.start === null) this.start = made;
        return made;
    }

    addEdge(edge: Edge): void {
        this.edges.push(edge);
    }
}

class Entry {
    constructor(readonly key: BasicBlock, public value: i32, public next: Entry | null) {}
}

// Numbers of blocks: a table of lists, never more blocks than lists.
class Dictionary {
    private buckets: (Entry | null)[];
    private size: i32 = 0;

    constructor() {
        this.buckets = new Array<Entry | null>(16).fill(null);
    }

    get(key: BasicBlock): i32 {
        const entry = this.find(key);
        return entry === null ? UNVISITED : entry.value;
    }

    set(key: BasicBlock, value: i32): void {
        const entry = this.find(key);
        if (entry !== null) {
            entry.value = value;
            return;
        }
        if (this.size >= this.buckets.length) this.grow();
        const at = key.name & (this.buckets.length - 1);
        this.buckets[at] = new Entry(key, value, this.buckets[at]);
        this.size++;
    }

    private find(key: BasicBlock): Entry | null {
        let entry = this.buckets[key.name & (this.buckets.length - 1)];
        while (entry !== null && entry.key !== key) entry = entry.next;
        return entry;
    }

    private grow(): void {
        const before = this.buckets;
        const buckets = new Array<Entry | null>(before.length * 2).fill(null);
        for (const first of before) {
            let entry = first;
            while (entry !== null) {
                const next = entry.next;
                const at = entry.key.name & (buckets.length - 1);
                entry.next = buckets[at];
                buckets[at] = entry;
                entry = next;
            }
        }
        this.buckets = buckets;
    }
}

class SimpleLoop {
    parent: SimpleLoop | null = null;
    readonly children: SimpleLoop[] = [];
    readonly blocks: BasicBlock[] = [];
    nestingLevel: i32 = 0;
    depthLevel: i32 = 0;
    isRoot = false;

    constructor(readonly header: BasicBlock | null, readonly isReducible: boolean) {
        if (header !== null) this.blocks.push(header);
    }

    setParent(parent: SimpleLoop): void {
        this.parent = parent;
        if (!parent.children.includes(this)) parent.children.push(this);
    }

    addNode(block: BasicBlock): void {
        if (!this.blocks.includes(block)) this.blocks.push(block);
    }

    setNestingLevel(level: i32): void {
        this.nestingLevel = level;
        if (level === 0) this.isRoot = true;
    }
}

class LoopStructureGraph {
    readonly loops: SimpleLoop[] = [];
    private readonly root: SimpleLoop = new SimpleLoop(null, false);

    constructor() {
        this.root.setNestingLevel(0);
        this.loops.push(this.root);
    }

    createLoop(header: BasicBlock, isReducible: boolean): SimpleLoop {
        const loop = new SimpleLoop(header, isReducible);
        this.loops.push(loop);
        return loop;
    }

    calculateNestingLevel(): void {
        for (const loop of this.loops) {
            if (!loop.isRoot && loop.parent === null) loop.setParent(this.root);
        }
        this.calculateBelow(this.root, 0);
    }

    private calculateBelow(loop: SimpleLoop, depth: i32): void {
        loop.depthLevel = depth;
        for (const child of loop.children) {
            this.calculateBelow(child, depth + 1);
            const level = child.nestingLevel + 1;
            if (level > loop.nestingLevel) loop.setNestingLevel(level);
        }
    }
}

class UnionFindNode {
    parent: UnionFindNode;
    block: BasicBlock | null = null;
    loop: SimpleLoop | null = null;
    number: i32 = 0;

    constructor() {
        this.parent = this;
    }

    begin(block: BasicBlock, number: i32): void {
        this.parent = this;
        this.block = block;
        this.number = number;
        this.loop = null;
    }

    // The way there is shortened.
    findSet(): UnionFindNode {
        const passed: UnionFindNode[] = [];
        let node: UnionFindNode = this;
        while (node !== node.parent) {
            if (node.parent !== node.parent.parent) passed.push(node);
            node = node.parent;
        }
        for (const other of passed) other.union(this.parent);
        return node.parent;
    }

    union(parent: UnionFindNode): void {
        this.parent = parent;
    }
}

enum BlockType {
    NonHeader,
    Reducible,
    Self,
    Irreducible,
    Dead,
}

class LoopFinder {
    private nonBackPredecessors: i32[][] = [];
    private backPredecessors: i32[][] = [];
    private readonly number: Dictionary = new Dictionary();
    private size: i32 = 0;
    private header: i32[] = [];
    private types: BlockType[] = [];
    private last: i32[] = [];
    private nodes: UnionFindNode[] = [];

    constructor(private readonly graph: ControlFlowGraph, private readonly loops: LoopStructureGraph) {}

    findLoops(): void {
        const start = this.graph.start;
        if (start === null) return;
        this.size = this.graph.blocks.length;
        for (let i = 0; i < this.size; i++) {
            const nonBack: i32[] = [];
            const back: i32[] = [];
            this.nonBackPredecessors.push(nonBack);
            this.backPredecessors.push(back);
            this.header.push(0);
            this.types.push(BlockType.NonHeader);
            this.last.push(0);
            this.nodes.push(new UnionFindNode());
        }
        for (const block of this.graph.blocks) this.number.set(block, UNVISITED);
        this.search(start, 0);
        this.identifyEdges();
        for (let w = this.size - 1; w >= 0; w--) {
            const block = this.nodes[w].block;
            if (block !== null && !this.findLoop(w, block)) return;
        }
    }

    // Whether the finder goes on behind the loop of this header.
    private findLoop(w: i32, block: BasicBlock): boolean {
        const pool: UnionFindNode[] = [];
        for (const v of this.backPredecessors[w]) {
            if (v === w) this.types[w] = BlockType.Self;
            else pool.push(this.nodes[v].findSet());
        }
        const work = pool.slice(0, pool.length);
        if (pool.length > 0) this.types[w] = BlockType.Reducible;
        for (let at = 0; at < work.length; at++) {
            const x = work[at].number;
            if (this.nonBackPredecessors[x].length > MOST_NON_BACK_PREDECESSORS) return false;
            this.processNonBack(w, this.nonBackPredecessors[x], pool, work);
        }
        if (pool.length > 0 || this.types[w] === BlockType.Self) {
            const loop = this.loops.createLoop(block, this.types[w] !== BlockType.Irreducible);
            this.setLoop(w, pool, loop);
        }
        return true;
    }

    private processNonBack(w: i32, predecessors: i32[], pool: UnionFindNode[], work: UnionFindNode[]): void {
        for (const predecessor of predecessors) {
            const node = this.nodes[predecessor].findSet();
            if (!this.isAncestor(w, node.number)) {
                this.types[w] = BlockType.Irreducible;
                this.addNonBack(w, node.number);
            } else if (node.number !== w && !pool.includes(node)) {
                work.push(node);
                pool.push(node);
            }
        }
    }

    private setLoop(w: i32, pool: UnionFindNode[], loop: SimpleLoop): void {
        this.nodes[w].loop = loop;
        for (const node of pool) {
            this.header[node.number] = w;
            node.union(this.nodes[w]);
            const inner = node.loop;
            if (inner !== null) inner.setParent(loop);
            else loop.addNode(node.block!);
        }
    }

    private isAncestor(w: i32, v: i32): boolean {
        return w <= v && v <= this.last[w];
    }

    // Numbers the blocks in the order of a search by depth; the last number given.
    private search(block: BasicBlock, number: i32): i32 {
        this.nodes[number].begin(block, number);
        this.number.set(block, number);
        let last = number;
        for (const target of block.outEdges) {
            if (this.number.get(target) === UNVISITED) last = this.search(target, last + 1);
        }
        this.last[number] = last;
        return last;
    }

    private identifyEdges(): void {
        for (let w = 0; w < this.size; w++) {
            const block = this.nodes[w].block;
            if (block === null) this.types[w] = BlockType.Dead;
            else this.processEdges(block, w);
        }
    }

    private processEdges(block: BasicBlock, w: i32): void {
        for (const from of block.inEdges) {
            const v = this.number.get(from);
            if (v === UNVISITED) continue;
            if (this.isAncestor(w, v)) this.backPredecessors[w].push(v);
            else this.addNonBack(w, v);
        }
    }

    private addNonBack(w: i32, v: i32): void {
        const predecessors = this.nonBackPredecessors[w];
        if (!predecessors.includes(v)) predecessors.push(v);
    }
}

class LoopTester {
    readonly graph: ControlFlowGraph = new ControlFlowGraph();
    private readonly loops: LoopStructureGraph = new LoopStructureGraph();

    constructor() {
        this.graph.createNode(0);
        this.baseLoop(0);
        this.graph.createNode(1);
        this.connect(0, 2);
    }

    // The number of loops found.
    run(dummies: i32, times: i32, outer: i32, middle: i32, inner: i32): i32 {
        for (let i = 0; i < dummies; i++) this.findLoops(this.loops);
        this.build(outer, middle, inner);
        this.findLoops(this.loops);
        for (let i = 0; i < times; i++) this.findLoops(new LoopStructureGraph());
        this.loops.calculateNestingLevel();
        return this.loops.loops.length;
    }

    private findLoops(loops: LoopStructureGraph): void {
        new LoopFinder(this.graph, loops).findLoops();
    }

    private build(outer: i32, middle: i32, inner: i32): void {
        let n = 2;
        for (let i = 0; i < outer; i++) {
            this.graph.createNode(n + 1);
            this.connect(2, n + 1);
            n++;
            for (let j = 0; j < middle; j++) {
                const top = n;
                n = this.straight(n, 1);
                for (let k = 0; k < inner; k++) n = this.baseLoop(n);
                const bottom = this.straight(n, 1);
                this.connect(n, top);
                n = bottom;
            }
            this.connect(n, 1);
        }
    }

    private connect(from: i32, to: i32): void {
        new Edge(this.graph, from, to);
    }

    private straight(start: i32, length: i32): i32 {
        for (let i = 0; i < length; i++) this.connect(start + i, start + i + 1);
        return start + length;
    }

    private diamond(start: i32): i32 {
        this.connect(start, start + 1);
        this.connect(start, start + 2);
        this.connect(start + 1, start + 3);
        this.connect(start + 2, start + 3);
        return start + 3;
    }

    private baseLoop(from: i32): i32 {
        const header = this.straight(from, 1);
        const first = this.diamond(header);
        const between = this.straight(first, 1);
        const second = this.diamond(between);
        const footer = this.straight(second, 1);
        this.connect(second, between);
        this.connect(first, header);
        this.connect(footer, from);
        return this.straight(footer, 1);
    }
}

export function main(): void {
    const tester = new LoopTester();
    const loops = tester.run(1, 50, 10, 10, 5);
    const blocks = tester.graph.blocks.length;
    console.log(`Havlak ${loops} ${blocks} ${loops === 1605 && blocks === 5213}`);
}
