// Conway's game of life, in text (make run PROGRAM=samples/life.ts): cells on a field without edges, a generation every fifth of a second. Pull
// the plug: the game goes on at the generation where the last snapshot found it.

class Field {
    private cells: Uint8Array;

    constructor(
        private readonly width: i32,
        private readonly height: i32,
    ) {
        this.cells = new Uint8Array(i64(width * height));
    }

    // A pattern of rows, with its corner at this place: `#` lives.
    put(column: i32, row: i32, pattern: string[]): void {
        for (let y = 0; y < pattern.length; y++) {
            for (let x: i64 = 0; x < pattern[y].length; x++) {
                if (pattern[y].byteAt(x) === 35) this.cells[this.place(column + i32(x), row + y)] = 1;
            }
        }
    }

    step(): void {
        const next = new Uint8Array(this.cells.length);
        for (let y = 0; y < this.height; y++) {
            for (let x = 0; x < this.width; x++) {
                const around = this.neighbours(x, y);
                const alive = this.cells[this.place(x, y)] === 1;
                if (around === 3 || (alive && around === 2)) next[this.place(x, y)] = 1;
            }
        }
        this.cells = next;
    }

    toString(): string {
        const rows: string[] = [];
        for (let y = 0; y < this.height; y++) {
            let row = "";
            for (let x = 0; x < this.width; x++) row += this.cells[this.place(x, y)] === 1 ? "#" : ".";
            rows.push(row);
        }
        return rows.join("\n");
    }

    private neighbours(x: i32, y: i32): i32 {
        let count = -this.cells[this.place(x, y)];
        for (let down = -1; down <= 1; down++) {
            for (let right = -1; right <= 1; right++) count += this.cells[this.place(x + right, y + down)];
        }
        return count;
    }

    // Who leaves on one side comes back on the other.
    private place(x: i32, y: i32): i32 {
        return ((y + this.height) % this.height) * this.width + ((x + this.width) % this.width);
    }
}

export function main(): void {
    console.print("life: how many generations? (none: for ever) ");
    const line = console.readLine();
    const last: i64 = line === "" ? -1 : parseInteger(line);
    const field = new Field(24, 10);
    field.put(1, 1, [".#.", "..#", "###"]);
    field.put(14, 4, ["###"]);
    field.put(20, 7, ["##", "##"]);
    root.set("field", field);
    for (let generation: i64 = 0; ; generation++) {
        console.log(`generation ${generation}\n${field}`);
        if (generation === last) return;
        sleep(200_000_000);
        field.step();
    }
}
