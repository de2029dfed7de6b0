// Eight queens on a board, none attacking another: after Are-We-Fast-Yet's Queens.
const rows: Uint8Array = new Uint8Array(8);
const rising: Uint8Array = new Uint8Array(16);
const falling: Uint8Array = new Uint8Array(16);
const columns: Int32Array = new Int32Array(8);

function isFree(row: i32, column: i32): bool {
    return rows[row] === 0 && rising[column + row] === 0 && falling[column - row + 7] === 0;
}

function mark(row: i32, column: i32, taken: i32): void {
    rows[row] = taken;
    rising[column + row] = taken;
    falling[column - row + 7] = taken;
}

function place(column: i32): bool {
    for (let row = 0; row < 8; row++) {
        if (isFree(row, column)) {
            columns[column] = row;
            mark(row, column, 1);
            if (column === 7 || place(column + 1)) return true;
            mark(row, column, 0);
        }
    }
    return false;
}

export function main(): i32 {
    if (!place(0)) return 1;
    for (let column = 0; column < 8; column++) {
        let line = "";
        for (let row = 0; row < 8; row++) line += columns[column] === row ? "Q " : ". ";
        console.log(line);
    }
    return 0;
}
