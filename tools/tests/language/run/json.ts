// JSON: what is read and written, numbers to the last digit, mistakes with their place, depth; texts by their bytes.

function read(text: string): string {
    try {
        return JSON.parse(text).toString();
    } catch (e) {
        if (e instanceof JsonError) return `${e.position}: ${e.message}`;
        throw e;
    }
}

function nested(depth: i32): string {
    const open: string[] = [];
    const close: string[] = [];
    for (let i = 0; i < depth; i++) {
        open.push("[");
        close.push("]");
    }
    return open.join("") + close.join("");
}

function ask(value: JsonValue): string {
    try {
        return `${value.asInteger()}`;
    } catch (e) {
        if (e instanceof JsonError) return e.message;
        throw e;
    }
}

function numbers(): void {
    const texts = ["0", "-0", "10", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808"];
    for (const text of texts) console.log(text, read(text));
    for (const text of ["0.1", "1e5", "1E+2", "1.5e-7", "123456789.125", "5e-324", "1.7976931348623157e308"]) console.log(text, read(text));
    for (const text of ["01", "-", "1.", ".5", "1e", "+1", "1e999", "0x1", "- 1", "NaN"]) console.log(text, read(text));
    let wrong = 0;
    let value = 0.1;
    for (let i = 0; i < 2000; i++) {
        value = value * -1.37 + 0.011;
        if (JSON.parse(`${value}`).asNumber() !== value) wrong++;
        if (Math.abs(value) > 1e200) value = 1e-200;
    }
    console.log("wrong numbers", wrong);
    console.log(JsonValue.ofNumber(0.5 / 0.0), JsonValue.ofNumber(3), ask(JsonValue.ofNumber(3)), ask(JsonValue.ofNumber(3.5)));
}

function texts(): void {
    console.log(read('"a\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\u0000\\u001f"'));
    console.log(read('"é€😀"'), JSON.parse('"é€😀"').asText().length);
    for (const text of ['"', '"\\', '"\\x"', '"\\u12g4"', '"\\ud800"', '"\\ud800\\u0041"', '"\\udc00"', '"a\nb"', '"\\u12']) {
        console.log(read(text));
    }
    const made = String.fromBytes("a€b".bytes(), 1, 3);
    console.log(made, "€".bytes().length, "€".bytes()[0]);
}

function structure(): void {
    const texts = ["[]", " [ ] ", "{}", '{"a":{"b":[1,[2,{"c":null}]]},"d":true,"a":false}', "", " ", "[1,]", "[1 2]", "[,]"];
    for (const text of texts) console.log(read(text));
    for (const text of ['{"a"}', '{"a":}', '{a:1}', '{"a":1,}', "[1", '{"a":1', "nul", "tru\n", "truex", "[] []", "\n\n  ]", "\0", "1\0"]) {
        console.log(read(text));
    }
    console.log(read(nested(512)) === nested(512), read(nested(513)), read(nested(100000)));
    const list: JsonValue[] = [];
    const circle = JsonValue.ofList(list);
    list.push(circle);
    try {
        console.log(circle.toString());
    } catch (e) {
        if (e instanceof JsonError) console.log(e.message);
    }
}

export function main(): void {
    numbers();
    texts();
    structure();
    const map = new Map<string, JsonValue>();
    map.set("name", JsonValue.ofText("a \"b\""));
    map.set("age", JsonValue.ofInteger(41));
    map.set("tall", JsonValue.ofBool(false));
    map.set("none", JsonValue.ofNull());
    const text = JSON.stringify(JsonValue.ofMap(map));
    const back = JSON.parse(text);
    console.log(text, back.asMap().get("age").asInteger() + 1, back.asMap().get("none").isNull(), back);
    console.log(back.asMap().get("age").asNumber(), back.asMap().get("tall").asBool(), back.asMap().get("name").asText());
    try {
        back.asMap().get("age").asText();
    } catch (e) {
        if (e instanceof JsonError) console.log(e.message, e.position);
    }
}
