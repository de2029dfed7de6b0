// JSON, as RFC 8259 has it: values, their text and how it is read. Part of the library: see library.ts.

// What is wrong with a text, and at which of its bytes.
class JsonError extends Error {
    constructor(message: string, readonly position: i32) {
        super(message);
    }
}

abstract class JsonValue {
    static ofNull(): JsonValue {
        return new JsonNothing();
    }

    static ofBool(value: bool): JsonValue {
        return new JsonTruth(value);
    }

    static ofInteger(value: i64): JsonValue {
        return new JsonInteger(value);
    }

    static ofNumber(value: f64): JsonValue {
        return new JsonFloat(value);
    }

    static ofText(value: string): JsonValue {
        return new JsonText(value);
    }

    static ofList(values: JsonValue[]): JsonValue {
        return new JsonList(values);
    }

    static ofMap(values: Map<string, JsonValue>): JsonValue {
        return new JsonMap(values);
    }

    isNull(): bool {
        return false;
    }

    asBool(): bool {
        throw this.isNo("truth value");
    }

    asInteger(): i64 {
        throw this.isNo("integer");
    }

    asNumber(): f64 {
        throw this.isNo("number");
    }

    asText(): string {
        throw this.isNo("text");
    }

    asList(): JsonValue[] {
        throw this.isNo("list");
    }

    asMap(): Map<string, JsonValue> {
        throw this.isNo("map");
    }

    toString(): string {
        const bytes = new JsonBytes();
        this.write(bytes, 0);
        return bytes.toText();
    }

    abstract write(to: JsonBytes, depth: i32): void;
    abstract called(): string;

    private isNo(wanted: string): JsonError {
        return new JsonError(`this is ${this.called()}, no ${wanted}`, -1);
    }
}

class JsonNothing extends JsonValue {
    isNull(): bool {
        return true;
    }

    write(to: JsonBytes, depth: i32): void {
        to.addText("null");
    }

    called(): string {
        return "null";
    }
}

class JsonTruth extends JsonValue {
    constructor(private readonly value: bool) {
        super();
    }

    asBool(): bool {
        return this.value;
    }

    write(to: JsonBytes, depth: i32): void {
        to.addText(this.value ? "true" : "false");
    }

    called(): string {
        return "a truth value";
    }
}

class JsonInteger extends JsonValue {
    constructor(private readonly value: i64) {
        super();
    }

    asInteger(): i64 {
        return this.value;
    }

    asNumber(): f64 {
        return f64(this.value);
    }

    write(to: JsonBytes, depth: i32): void {
        to.addInteger(this.value);
    }

    called(): string {
        return "a number";
    }
}

class JsonFloat extends JsonValue {
    constructor(private readonly value: f64) {
        super();
    }

    // Only if nothing is lost.
    asInteger(): i64 {
        const value = this.value;
        if (Math.trunc(value) !== value || Math.abs(value) > 9007199254740992.0) return super.asInteger();
        return i64(value);
    }

    asNumber(): f64 {
        return this.value;
    }

    // JSON has no text for what is infinite or no number: null, as in JavaScript.
    write(to: JsonBytes, depth: i32): void {
        const value = this.value;
        to.addText(value - value === 0.0 ? `${value}` : "null");
    }

    called(): string {
        return "a number";
    }
}

class JsonText extends JsonValue {
    constructor(private readonly value: string) {
        super();
    }

    asText(): string {
        return this.value;
    }

    write(to: JsonBytes, depth: i32): void {
        to.addQuoted(this.value);
    }

    called(): string {
        return "a text";
    }
}

class JsonList extends JsonValue {
    constructor(private readonly values: JsonValue[]) {
        super();
    }

    asList(): JsonValue[] {
        return this.values;
    }

    write(to: JsonBytes, depth: i32): void {
        JSON.checkDepth(depth, -1);
        const values = this.values;
        to.add(91);
        for (let i = 0; i < values.length; i++) {
            if (i > 0) to.add(44);
            values[i].write(to, depth + 1);
        }
        to.add(93);
    }

    called(): string {
        return "a list";
    }
}

class JsonMap extends JsonValue {
    constructor(private readonly values: Map<string, JsonValue>) {
        super();
    }

    asMap(): Map<string, JsonValue> {
        return this.values;
    }

    write(to: JsonBytes, depth: i32): void {
        JSON.checkDepth(depth, -1);
        const keys = this.values.keys();
        const values = this.values.values();
        to.add(123);
        for (let i = 0; i < keys.length; i++) {
            if (i > 0) to.add(44);
            to.addQuoted(keys[i]);
            to.add(58);
            values[i].write(to, depth + 1);
        }
        to.add(125);
    }

    called(): string {
        return "a map";
    }
}

class JSON {
    static parse(text: string): JsonValue {
        return new JsonReader(text).whole();
    }

    static stringify(value: JsonValue): string {
        return value.toString();
    }

    // Lists in lists that no program needs would end in a stack that is too small; so would a list that holds itself, when it is written.
    static checkDepth(depth: i32, position: i32): void {
        if (depth >= 512) throw new JsonError("more than 512 lists and maps in each other", position);
    }
}

// Bytes that grow.
class JsonBytes {
    private bytes: Uint8Array;
    private length: i32 = 0;

    constructor() {
        this.bytes = new Uint8Array(64);
    }

    add(byte: i32): void {
        const length = this.length;
        if (length >= i32(this.bytes.length)) this.grow(1);
        this.bytes[length] = byte;
        this.length = length + 1;
    }

    addBytes(from: Uint8Array, start: i32, end: i32): void {
        const length = this.length;
        if (length + (end - start) > i32(this.bytes.length)) this.grow(end - start);
        copyElements(from, start, this.bytes, length, end - start);
        this.length = length + (end - start);
    }

    addText(text: string): void {
        const bytes = text.bytes();
        this.addBytes(bytes, 0, i32(bytes.length));
    }

    addInteger(value: i64): void {
        if (value < 0 || value > 999) {
            this.addText(`${value}`);
            return;
        }
        const small = i32(value);
        if (small > 99) this.add(48 + small / 100);
        if (small > 9) this.add(48 + (small / 10) % 10);
        this.add(48 + small % 10);
    }

    addQuoted(text: string): void {
        const bytes = text.bytes();
        const end = i32(bytes.length);
        this.add(34);
        let start = 0;
        for (let i = 0; i < end; i++) {
            const byte = bytes[i];
            if (byte < 32 || byte === 34 || byte === 92) {
                this.addBytes(bytes, start, i);
                this.addEscape(byte);
                start = i + 1;
            }
        }
        this.addBytes(bytes, start, end);
        this.add(34);
    }

    toText(): string {
        return String.fromBytes(this.bytes, 0, this.length);
    }

    private addEscape(byte: i32): void {
        this.add(92);
        switch (byte) {
            case 8:
                this.add(98);
                return;
            case 9:
                this.add(116);
                return;
            case 10:
                this.add(110);
                return;
            case 12:
                this.add(102);
                return;
            case 13:
                this.add(114);
                return;
            case 34:
            case 92:
                this.add(byte);
                return;
        }
        const digit = byte & 15;
        this.addText(byte > 15 ? "u001" : "u000");
        this.add(digit < 10 ? 48 + digit : 87 + digit);
    }

    private grow(more: i32): void {
        const bytes = new Uint8Array(this.length * 2 + more);
        copyElements(this.bytes, 0, bytes, 0, this.length);
        this.bytes = bytes;
    }
}

// Reads the bytes of a text and the 0 behind them, which nothing takes, so that nobody has to ask for the end.
class JsonReader {
    private readonly bytes: Uint8Array;
    private at: i32 = 0;

    constructor(private readonly text: string) {
        this.bytes = (text + "\0").bytes();
    }

    whole(): JsonValue {
        const value = this.value(0);
        if (this.skipSpace() !== 0 || this.at !== i32(this.text.length)) throw this.unexpected("the end");
        return value;
    }

    private value(depth: i32): JsonValue {
        const byte = this.skipSpace();
        if (byte === 34) return new JsonText(this.quoted());
        if (byte === 123) return this.map(depth);
        if (byte === 91) return this.list(depth);
        if (byte === 45 || (byte >= 48 && byte <= 57)) return this.number();
        if (byte === 116) return this.word("true", new JsonTruth(true));
        if (byte === 102) return this.word("false", new JsonTruth(false));
        if (byte === 110) return this.word("null", new JsonNothing());
        throw this.unexpected("a value");
    }

    // What comes behind white space.
    private skipSpace(): i32 {
        const bytes = this.bytes;
        let at = this.at;
        let byte = bytes[at];
        while (byte === 32 || byte === 10 || byte === 13 || byte === 9) {
            at++;
            byte = bytes[at];
        }
        this.at = at;
        return byte;
    }

    private word(word: string, value: JsonValue): JsonValue {
        for (let i: i64 = 0; i < word.length; i++) {
            if (this.bytes[this.at] !== word.byteAt(i)) throw this.unexpected(`\`${word}\``);
            this.at++;
        }
        return value;
    }

    private list(depth: i32): JsonValue {
        JSON.checkDepth(depth, this.at);
        const values: JsonValue[] = [];
        this.at++;
        if (this.skipSpace() === 93) {
            this.at++;
            return new JsonList(values);
        }
        while (true) {
            values.push(this.value(depth + 1));
            const byte = this.skipSpace();
            if (byte !== 44 && byte !== 93) throw this.unexpected("`,` or `]`");
            this.at++;
            if (byte === 93) return new JsonList(values);
        }
    }

    private map(depth: i32): JsonValue {
        JSON.checkDepth(depth, this.at);
        const values = new Map<string, JsonValue>();
        this.at++;
        if (this.skipSpace() === 125) {
            this.at++;
            return new JsonMap(values);
        }
        while (true) {
            if (this.skipSpace() !== 34) throw this.unexpected("a name");
            const name = this.quoted();
            if (this.skipSpace() !== 58) throw this.unexpected("`:`");
            this.at++;
            values.set(name, this.value(depth + 1));
            const byte = this.skipSpace();
            if (byte !== 44 && byte !== 125) throw this.unexpected("`,` or `}`");
            this.at++;
            if (byte === 125) return new JsonMap(values);
        }
    }

    private number(): JsonValue {
        const start = this.at;
        if (this.bytes[start] === 45) this.at++;
        const first = this.at;
        const isZero = this.bytes[first] === 48;
        const value = this.digits();
        if (isZero && this.at > first + 1) {
            this.at = first + 1;
            throw this.unexpected("no digit behind a zero in front");
        }
        const next = this.bytes[this.at];
        const isWhole = next !== 46 && next !== 101 && next !== 69 && !(isZero && first > start);
        if (isWhole && this.at - first <= 18) return new JsonInteger(first > start ? -value : value);
        if (next === 46) {
            this.at++;
            this.digits();
        }
        const exponent = this.bytes[this.at];
        if (exponent === 101 || exponent === 69) {
            this.at++;
            const sign = this.bytes[this.at];
            if (sign === 43 || sign === 45) this.at++;
            this.digits();
        }
        const digits = this.text.slice(start, this.at);
        if (isWhole && this.at - first === 19) {
            try {
                return new JsonInteger(parseInteger(digits));
            } catch (e) {
                // More than 64 bits.
            }
        }
        const float = parseFloat(digits);
        if (float - float !== 0.0) throw new JsonError(`a number that is too large at ${this.where(start)}`, start);
        return new JsonFloat(float);
    }

    // At least one; their value, if that fits.
    private digits(): i64 {
        const bytes = this.bytes;
        let at = this.at;
        let value: i64 = 0;
        while (bytes[at] >= 48 && bytes[at] <= 57) {
            value = value * 10 + i64(bytes[at] - 48);
            at++;
        }
        if (at === this.at) throw this.unexpected("a digit");
        this.at = at;
        return value;
    }

    private quoted(): string {
        const bytes = this.bytes;
        const start = this.at + 1;
        let at = start;
        let byte = bytes[at];
        while (byte !== 34) {
            if (byte === 92) return this.escaped(start, at);
            if (byte < 32) {
                this.at = at;
                throw this.unexpected("`\"`");
            }
            at++;
            byte = bytes[at];
        }
        this.at = at + 1;
        return this.text.slice(start, at);
    }

    // The rest of a text, whose first escape is here.
    private escaped(from: i32, escape: i32): string {
        const bytes = this.bytes;
        const made = new JsonBytes();
        let start = from;
        this.at = escape;
        while (bytes[this.at] !== 34) {
            const byte = bytes[this.at];
            if (byte < 32) throw this.unexpected("`\"`");
            this.at++;
            if (byte === 92) {
                made.addBytes(bytes, start, this.at - 1);
                this.escape(made);
                start = this.at;
            }
        }
        made.addBytes(bytes, start, this.at);
        this.at++;
        return made.toText();
    }

    private escape(made: JsonBytes): void {
        const byte = this.bytes[this.at];
        if (byte === 34 || byte === 92 || byte === 47) made.add(byte);
        else if (byte === 98) made.add(8);
        else if (byte === 102) made.add(12);
        else if (byte === 110) made.add(10);
        else if (byte === 114) made.add(13);
        else if (byte === 116) made.add(9);
        else if (byte === 117) {
            this.codePoint(made);
            return;
        } else throw this.unexpected("one of `\"\\/bfnrtu`");
        this.at++;
    }

    // Behind a backslash, the u; if it says half of a character, the other half has to follow.
    private codePoint(made: JsonBytes): void {
        const start = this.at - 1;
        let code = this.unit();
        if (code >= 55296 && code < 56320 && this.bytes[this.at] === 92 && this.bytes[this.at + 1] === 117) {
            this.at++;
            const low = this.unit();
            code = low >= 56320 && low < 57344 ? 65536 + (code - 55296) * 1024 + (low - 56320) : 55296;
        }
        if (code >= 55296 && code < 57344) throw new JsonError(`half a character at ${this.where(start)}`, start);
        made.addText(String.fromCodePoint(code));
    }

    // Four digits behind the u.
    private unit(): i32 {
        this.at++;
        let unit = 0;
        for (let i = 0; i < 4; i++) {
            const byte = this.bytes[this.at];
            const lower = byte | 32;
            if (byte >= 48 && byte <= 57) unit = unit * 16 + byte - 48;
            else if (lower >= 97 && lower <= 102) unit = unit * 16 + lower - 87;
            else throw this.unexpected("four digits of base 16");
            this.at++;
        }
        return unit;
    }

    private unexpected(wanted: string): JsonError {
        const ended = this.at >= i32(this.text.length);
        return new JsonError(`expected ${wanted}${ended ? ", but the text ends" : ""} at ${this.where(this.at)}`, this.at);
    }

    private where(position: i32): string {
        let line = 1;
        let start = 0;
        for (let i = 0; i < position; i++) {
            if (this.bytes[i] === 10) {
                line++;
                start = i + 1;
            }
        }
        return `line ${line}, column ${position - start + 1}`;
    }
}
