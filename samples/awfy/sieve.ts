// Are We Fast Yet: Sieve. The primes up to 5,000.

function sieve(flags: bool[], size: i32): i32 {
    let primes = 0;
    for (let i = 2; i <= size; i++) {
        if (flags[i - 1]) {
            primes++;
            for (let k = i + i; k <= size; k += i) flags[k - 1] = false;
        }
    }
    return primes;
}

export function main(): void {
    let result = 0;
    for (let i = 0; i < 20; i++) result = sieve(new Array<bool>(5000).fill(true), 5000);
    console.log(`Sieve ${result} ${result === 669}`);
}
