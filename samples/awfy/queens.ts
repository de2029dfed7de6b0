// Are We Fast Yet: Queens. Eight queens, placed ten times over by trying.

class Queens {
    private freeRows: bool[] = [];
    private freeMaximums: bool[] = [];
    private freeMinimums: bool[] = [];
    private queenRows: i32[] = [];

    run(): bool {
        let result = true;
        for (let i = 0; i < 10; i++) result = result && this.queens();
        return result;
    }

    private queens(): bool {
        this.freeRows = new Array<bool>(8).fill(true);
        this.freeMaximums = new Array<bool>(16).fill(true);
        this.freeMinimums = new Array<bool>(16).fill(true);
        this.queenRows = new Array<i32>(8).fill(-1);
        return this.place(0);
    }

    private place(column: i32): bool {
        for (let row = 0; row < 8; row++) {
            if (this.isFree(row, column)) {
                this.queenRows[row] = column;
                this.set(row, column, false);
                if (column === 7) return true;
                if (this.place(column + 1)) return true;
                this.set(row, column, true);
            }
        }
        return false;
    }

    private isFree(row: i32, column: i32): bool {
        return this.freeRows[row] && this.freeMaximums[column + row] && this.freeMinimums[column - row + 7];
    }

    private set(row: i32, column: i32, free: bool): void {
        this.freeRows[row] = free;
        this.freeMaximums[column + row] = free;
        this.freeMinimums[column - row + 7] = free;
    }
}

export function main(): void {
    const queens = new Queens();
    let result = true;
    for (let i = 0; i < 20; i++) result = queens.run() && result;
    console.log(`Queens ${result} ${result}`);
}
