// Are We Fast Yet: Mandelbrot. A picture of the set, folded into a byte.

function mandelbrot(size: i32): i32 {
    const width = f64(size);
    let sum = 0;
    let byte = 0;
    let bits = 0;
    for (let y = 0; y < size; y++) {
        const ci = (2 * f64(y)) / width - 1;
        for (let x = 0; x < size; x++) {
            const cr = (2 * f64(x)) / width - 1.5;
            byte = (byte << 1) | escapes(cr, ci);
            bits++;
            if (bits === 8) {
                sum ^= byte;
                byte = 0;
                bits = 0;
            } else if (x === size - 1) {
                sum ^= byte << (8 - bits);
                byte = 0;
                bits = 0;
            }
        }
    }
    return sum;
}

// 1 if the point leaves the circle within fifty steps.
function escapes(cr: f64, ci: f64): i32 {
    let zi: f64 = 0;
    let zrr: f64 = 0;
    let zii: f64 = 0;
    for (let step = 0; step < 50; step++) {
        const zr = zrr - zii + cr;
        zi = 2 * zr * zi + ci;
        zrr = zr * zr;
        zii = zi * zi;
        if (zrr + zii > 4) return 1;
    }
    return 0;
}

export function main(): void {
    const small = mandelbrot(1);
    const result = mandelbrot(500);
    console.log(`Mandelbrot ${result} ${small === 128 && result === 191}`);
}
