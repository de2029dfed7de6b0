// Primes up to 5,000 by the sieve of Eratosthenes, many times over: after Are-We-Fast-Yet's Sieve, whose answer is 669.
function sieve(flags: Uint8Array): i32 {
    const size = i32(flags.length);
    let count = 0;
    for (let i = 2; i <= size; i++) {
        if (flags[i - 1] === 0) {
            count++;
            for (let k = i + i; k <= size; k += i) flags[k - 1] = 1;
        }
    }
    return count;
}

export function main(): i32 {
    let count = 0;
    for (let round = 0; round < 100; round++) count = sieve(new Uint8Array(5000));
    console.log(`sieve: ${count} primes`);
    return count === 669 ? 0 : 1;
}
