// Methods of texts that the library has, and texts that grow.

function refused(action: () => string): string {
    try {
        return action();
    } catch (e) {
        if (e instanceof InvalidArgumentException) return "refused";
        throw e;
    }
}

export function main(): void {
    const text = "naïve café";
    console.log(text.startsWith("na"), text.startsWith("naï"), text.startsWith("ni"), "".startsWith(""), "a".startsWith("ab"));
    console.log(text.endsWith("é"), text.endsWith("fe"), text.endsWith(""), "e".endsWith("fe"), text.includes("ve c"), text.includes("x"));
    console.log("ab".repeat(3), "ab".repeat(0) === "", refused(() => "a".repeat(-1)));
    console.log(`[${" \t a b\r\n ".trim()}] [${"  ".trim()}] [${" x ".trimStart()}] [${" x ".trimEnd()}]`);
    console.log("7".padStart(3, "0"), "é".padStart(4, "-+"), "long".padStart(2, "x"), "a".padEnd(4, "€"), "a".padEnd(3, ""));
    console.log("a,b,,c".split(",").join("|"), "".split(",").length, "aïé".split("").join("|"), "a--b--".split("--").length);
    console.log("one two one".replaceAll("one", "1"), "aaa".replaceAll("aa", "b"), refused(() => "a".replaceAll("", "b")));
    console.log(text.toUpperCase(), "[ÀZ@a`z{]".toLowerCase(), "[AZ@a`z{]".toUpperCase());
    console.log((1.005).toFixed(2), (2.5).toFixed(0), (-0.125).toFixed(2), f32(0.1).toFixed(10), 1e21.toFixed(1));
    const builder = new StringBuilder();
    for (let i = 0; i < 5; i++) {
        builder.append("<");
        builder.appendInteger(i * -7);
        builder.append(">");
    }
    builder.appendNumber(0.25);
    builder.appendCodePoint(128512);
    builder.appendFixed(3.14159, 2);
    console.log(builder.toString(), builder.length());
    builder.clear();
    console.log(builder.length(), builder.toString() === "", "x".toUpperCase().padStart(3, ".").length);
    const words = ["b", "a"].map((word) => word.toUpperCase());
    console.log(words.join(""), words.map((word) => word.padEnd(2, "!").startsWith("A")).join(" "));
}
