// Texts: concatenation, templates, comparison, the methods there are.
function shout(text: string, times: i32): string {
    let result = "";
    for (let i = 0; i < times; i++) result += text + "!";
    return result;
}

export function main(): void {
    const name: string = "Ada";
    console.log(`${name} is ${3 * 12} years, ${1.5}m, ${true}${""}.`);
    console.log(shout("hey", 3), "".length, "grüß".length);
    console.log("a" < "b", "b" <= "a", "x" === "x", name !== "Ada", name == "Ada" ? "same" : "other");
    console.log("tab\there", 'single "quoted"', `multi
line`, "\u{1f600}\u0041\\");
    console.log("hello".slice(1, 3), "hello".indexOf("l", 0), "hello".byteAt(0), "b".compare("a"));
    console.log((12).toString() + 1 + 2, 1 + 2 + "3", parseInteger("42") + 1, parseFloat("2.5") * 2);
    console.log();
    console.log(`nested ${`in ${"ner"}`} and } brace`);
    switch (name) {
        case "Bob":
            console.log("bob");
            break;
        case "Ada":
            console.log("ada");
        case "Eve":
            console.log("falls through");
            break;
        default:
            console.log("nobody");
    }
}
