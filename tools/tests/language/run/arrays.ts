// Arrays of numbers: every kind, what is kept in order, an index that is out of bounds.
let shared: Float64Array = new Float64Array(2);

function sum(values: Int64Array): i64 {
    let total: i64 = 0;
    for (let i = 0; i < i32(values.length); i++) total += values[i];
    return total;
}

export function main(): void {
    const longs = new Int64Array(4);
    for (let i = 0; i < 4; i++) longs[i] = i * i;
    longs[3]++;
    longs[2] *= 10;
    console.log(sum(longs), longs.length, longs[3]--, longs[3]);
    const bytes = new Uint8Array(1);
    bytes[0] = 511;
    const shorts = new Int16Array(1);
    shorts[0] = 40000;
    const floats = new Float32Array(1);
    floats[0] = 0.1;
    shared[1] += 2.5;
    console.log(bytes[0], shorts[0], floats[0], shared[1], shared[0]);
    let i = 0;
    longs[i] = longs[i++] + i * 100;
    console.log(longs[0], longs[1], i);
    let other = longs;
    console.log(other === longs, other !== new Int64Array(1));
    other[i + (i = 2)] = 7;
    console.log(longs[3], i);
    console.log(longs[-1]);
}
