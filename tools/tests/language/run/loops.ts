// Loops over lists of numbers, whose parts are looked up once before the loop: what changes in the loop has to be seen all the same.

function total(list: i32[]): i32 {
    let sum = 0;
    for (let i = 0; i < list.length; i++) sum += list[i];
    return sum;
}

function replaced(list: i32[], other: i32[]): i32 {
    let sum = 0;
    for (let i = 0; i < 4; i++) {
        sum = sum * 10 + list[i];
        if (i === 1) list = other;
    }
    return sum;
}

function grown(list: i32[]): i32 {
    let sum = 0;
    for (let i = 0; i < list.length; i++) {
        sum += list[i];
        if (list.length < 40) list.push(list[i] + 1);
    }
    return sum;
}

function nested(rows: i32, columns: i32): f64 {
    const left = new Array<f64>(rows * columns).fill(0.5);
    const right = new Array<f64>(columns).fill(2);
    const row: f64[] = new Array<f64>(rows);
    for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++) row[y] += left[y * columns + x] * right[x] + f64(y);
    }
    let sum: f64 = 0;
    for (const value of row) sum += value * row[0];
    return sum;
}

function shadowed(list: i32[]): i32 {
    let sum = 0;
    for (let i = 0; i < 3; i++) {
        const kept = list[i];
        {
            const list = [7, 8, 9];
            sum += list[i] + kept;
        }
    }
    return sum;
}

function search(list: u64[], wanted: u64): i64 {
    let at: i64 = 0;
    while (list[at] !== wanted) at++;
    return at;
}

function beyond(list: i32[], end: i32): string {
    let i = 0;
    try {
        do {
            list[i] += i;
            i++;
        } while (i < end);
        return `all of ${i}`;
    } catch (e) {
        return `${i} was out of bounds`;
    }
}

function exchange(a: i32[], b: i32[]): i32 {
    let sum = 0;
    for (let i = 0; i < 3; i++) {
        a[i] += b[i];
        for (let j = 0; j < 3; j++) {
            b[j] += a[i];
            const kept = a;
            a = b;
            b = kept;
        }
        sum = sum * 3 + a[0] - b[2];
    }
    return sum;
}

export function main(): void {
    console.log(total([]), total([1, 2, 3]), replaced([1, 2, 3, 4], [5, 6, 7, 8]), grown([1, 2]));
    console.log(nested(3, 4), shadowed([1, 2, 3]), search([5, 6, 7], 7));
    console.log(beyond([1, 2, 3], 3), beyond([1, 2, 3], 4), beyond([], 1));
    const same = [1, 2, 3];
    console.log(exchange(same, [4, 5, 6]), exchange(same, same), same.join(" "));
}
