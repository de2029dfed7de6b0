// Reads a text of JSON of 366 KB and writes it again, ten times. The same program as json.lua.

function order(number: i32): string {
    const lines: string[] = [];
    for (let i = 0; i < 5; i++) {
        lines.push(`{"article":"part \\"${number * 7 + i}\\" of steel","count":${i + 1},"price":${number % 90}.25,"tags":["new","caf\\u00e9"]}`);
    }
    return `{"id":${number},"customer":"Customer number ${number % 77}","paid":${number % 3 === 0},"note":null,"lines":[${lines.join(", ")}]}`;
}

export function main(): void {
    const orders: string[] = [];
    for (let i = 0; i < 700; i++) orders.push(order(i));
    const text = `[${orders.join(",\n  ")}]`;
    let count = 0;
    let bytes: i64 = 0;
    let sum = 0.0;
    for (let round = 0; round < 10; round++) {
        const list = JSON.parse(text).asList();
        for (const one of list) {
            for (const line of one.asMap().get("lines").asList()) {
                sum += line.asMap().get("price").asNumber();
                count++;
            }
        }
        bytes += JSON.stringify(JsonValue.ofList(list)).length;
    }
    console.log(`json ${text.length} ${bytes} ${sum} ${count === 35000}`);
}
