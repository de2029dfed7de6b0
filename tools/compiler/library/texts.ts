// Methods of texts and numbers that the machine has no native for: functions that take the text first. Part of the library: see library.ts.

function String_startsWith(text: string, part: string): bool {
    return part.length <= text.length && standsAt(text, part, 0);
}

function String_endsWith(text: string, part: string): bool {
    return part.length <= text.length && standsAt(text, part, text.length - part.length);
}

function String_includes(text: string, part: string): bool {
    return text.indexOf(part, 0) >= 0;
}

function String_repeat(text: string, times: i32): string {
    if (times < 0) throw new InvalidArgumentException("a text less than 0 times");
    const builder = new StringBuilder();
    for (let i = 0; i < times; i++) builder.append(text);
    return builder.toString();
}

// White space of ASCII.
function String_trim(text: string): string {
    return String_trimEnd(String_trimStart(text));
}

function String_trimStart(text: string): string {
    let start: i64 = 0;
    while (start < text.length && isSpace(text.byteAt(start))) start++;
    return text.slice(start, text.length);
}

function String_trimEnd(text: string): string {
    let end = text.length;
    while (end > 0 && isSpace(text.byteAt(end - 1))) end--;
    return text.slice(0, end);
}

function String_padStart(text: string, length: i32, fill: string): string {
    return padding(text, length, fill) + text;
}

function String_padEnd(text: string, length: i32, fill: string): string {
    return text + padding(text, length, fill);
}

function String_split(text: string, separator: string): string[] {
    const parts: string[] = [];
    if (separator === "") {
        for (const character of text) parts.push(character);
        return parts;
    }
    let start: i64 = 0;
    let at = text.indexOf(separator, 0);
    while (at >= 0) {
        parts.push(text.slice(start, at));
        start = at + separator.length;
        at = text.indexOf(separator, start);
    }
    parts.push(text.slice(start, text.length));
    return parts;
}

function String_replaceAll(text: string, part: string, by: string): string {
    if (part === "") throw new InvalidArgumentException("nothing cannot be replaced");
    return String_split(text, part).join(by);
}

// Letters of ASCII.
function String_toUpperCase(text: string): string {
    return changeCase(text, 97);
}

function String_toLowerCase(text: string): string {
    return changeCase(text, 65);
}

function Number_toFixed(value: f64, decimals: i32): string {
    const builder = new StringBuilder();
    builder.appendFixed(value, decimals);
    return builder.toString();
}

function standsAt(text: string, part: string, start: i64): bool {
    for (let i: i64 = 0; i < part.length; i++) if (text.byteAt(start + i) !== part.byteAt(i)) return false;
    return true;
}

function isSpace(byte: i32): bool {
    return byte === 32 || (byte >= 9 && byte <= 13);
}

// Of characters; the last time, only as much as is missing.
function padding(text: string, length: i32, fill: string): string {
    let missing = length;
    for (const character of text) missing--;
    const builder = new StringBuilder();
    while (missing > 0 && fill !== "") {
        for (const character of fill) {
            if (missing > 0) builder.append(character);
            missing--;
        }
    }
    return builder.toString();
}

// The 26 letters that begin with this one become the others.
function changeCase(text: string, first: i32): string {
    const bytes = text.bytes();
    for (let i: i64 = 0; i < bytes.length; i++) {
        const byte = bytes[i];
        if (byte >= first && byte < first + 26) bytes[i] = byte ^ 32;
    }
    return String.fromBytes(bytes, 0, bytes.length);
}
