// Are We Fast Yet: Permute. All permutations of six elements, by exchanging them in place.

class Permute {
    private count: i32 = 0;
    private elements: i32[] = [];

    run(): i32 {
        this.count = 0;
        this.elements = new Array<i32>(6);
        this.permute(6);
        return this.count;
    }

    private permute(n: i32): void {
        this.count++;
        if (n === 0) return;
        const last = n - 1;
        this.permute(last);
        for (let i = last; i >= 0; i--) {
            this.swap(last, i);
            this.permute(last);
            this.swap(last, i);
        }
    }

    private swap(i: i32, j: i32): void {
        const kept = this.elements[i];
        this.elements[i] = this.elements[j];
        this.elements[j] = kept;
    }
}

export function main(): void {
    const permute = new Permute();
    let result = 0;
    for (let i = 0; i < 20; i++) result = permute.run();
    console.log(`Permute ${result} ${result === 8660}`);
}
