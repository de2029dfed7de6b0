// A program that has no beginning, and paths without a value.
function half(x: i32): i32 {
    if (x > 0) return x / 2;
}

let later: f32 = i32(1);

function start(): void {
    const x: u32 = -1;
    let y: i64 = 1;
    const z: i32 = y;
    half("text");
    label: while (true) {}
}
