// Are We Fast Yet: Towers. Thirteen disks of Hanoi.

class Disk {
    next: Disk | null = null;

    constructor(readonly size: i32) {}
}

class Towers {
    private piles: (Disk | null)[] = [];
    private moved: i32 = 0;

    run(): i32 {
        this.piles = new Array<Disk | null>(3).fill(null);
        this.build(0, 13);
        this.moved = 0;
        this.move(13, 0, 1);
        return this.moved;
    }

    private push(disk: Disk, pile: i32): void {
        const top = this.piles[pile];
        if (top !== null && disk.size >= top.size) throw new Error("a big disk on a small one");
        disk.next = top;
        this.piles[pile] = disk;
    }

    private pop(pile: i32): Disk {
        const top = this.piles[pile];
        if (top === null) throw new Error("nothing to take");
        this.piles[pile] = top.next;
        top.next = null;
        return top;
    }

    private moveTop(from: i32, to: i32): void {
        this.push(this.pop(from), to);
        this.moved++;
    }

    private build(pile: i32, disks: i32): void {
        for (let size = disks; size >= 0; size--) this.push(new Disk(size), pile);
    }

    private move(disks: i32, from: i32, to: i32): void {
        if (disks === 1) {
            this.moveTop(from, to);
            return;
        }
        const other = 3 - from - to;
        this.move(disks - 1, from, other);
        this.moveTop(from, to);
        this.move(disks - 1, other, to);
    }
}

export function main(): void {
    const towers = new Towers();
    let result = 0;
    for (let i = 0; i < 20; i++) result = towers.run();
    console.log(`Towers ${result} ${result === 8191}`);
}
