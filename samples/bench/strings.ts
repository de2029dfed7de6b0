// Builds strings: short ones from parts, a long one piece by piece, and words joined. The same program as strings.lua.

export function main(): void {
    let bytes: i64 = 0;
    for (let i = 0; i < 300_000; i++) {
        const name = "item " + i + ": " + i * 3;
        bytes += name.length;
    }
    const words: string[] = [];
    for (let i = 0; i < 100_000; i++) words.push(`w${i & 1023}`);
    const joined = words.join(" ");
    bytes += joined.length;
    let found = 0;
    for (let i = 0; i < 100_000; i++) {
        if (words[i] === "w77") found++;
    }
    console.log(`strings ${bytes} ${found} ${found === 98}`);
}
