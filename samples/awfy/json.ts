// Are We Fast Yet: Json. Reads a text of JSON into objects: what a server tells a browser to show, a table of many rows.
// The text is made here, of the shape that the suite's has: 156 operations, most of which create a row.

const QUOTE = 34;
const MINUS = 45;
const BACKSLASH = 92;
const END = -1;

abstract class Value {
    isObject(): boolean {
        return false;
    }

    isArray(): boolean {
        return false;
    }

    asObject(): JsonObject {
        throw new Error("no object");
    }

    asArray(): JsonArray {
        throw new Error("no array");
    }
}

class JsonLiteral extends Value {
    constructor(readonly text: string) {
        super();
    }
}

class JsonNumber extends Value {
    constructor(readonly text: string) {
        super();
    }
}

class JsonString extends Value {
    constructor(readonly text: string) {
        super();
    }
}

class JsonArray extends Value {
    readonly values: Value[] = [];

    isArray(): boolean {
        return true;
    }

    asArray(): JsonArray {
        return this;
    }

    add(value: Value): void {
        this.values.push(value);
    }

    size(): i32 {
        return this.values.length;
    }
}

// Where a name stands perhaps, plus one; names beyond the first 255 are looked for.
class HashIndexTable {
    private readonly table: i32[];

    constructor() {
        this.table = new Array<i32>(32).fill(0);
    }

    add(name: string, index: i32): void {
        this.table[this.slot(name)] = index < 255 ? index + 1 : 0;
    }

    get(name: string): i32 {
        return this.table[this.slot(name)] - 1;
    }

    private slot(name: string): i32 {
        return i32(name.length * 1402589) & 31;
    }
}

class JsonObject extends Value {
    private readonly names: string[] = [];
    private readonly values: Value[] = [];
    private readonly table: HashIndexTable = new HashIndexTable();

    isObject(): boolean {
        return true;
    }

    asObject(): JsonObject {
        return this;
    }

    add(name: string, value: Value): void {
        this.table.add(name, this.names.length);
        this.names.push(name);
        this.values.push(value);
    }

    get(name: string): Value | null {
        let index = this.table.get(name);
        if (index < 0 || this.names[index] !== name) index = this.names.indexOf(name);
        return index < 0 ? null : this.values[index];
    }
}

const NULL: JsonLiteral = new JsonLiteral("null");
const TRUE: JsonLiteral = new JsonLiteral("true");
const FALSE: JsonLiteral = new JsonLiteral("false");

class Parser {
    private index: i32 = -1;
    private line: i32 = 1;
    private column: i32 = 0;
    private current: i32 = END;
    private readonly length: i32;
    private captured: string = "";
    private captureStart: i32 = -1;

    constructor(private readonly input: string) {
        this.length = i32(input.length);
    }

    parse(): Value {
        this.read();
        this.skipWhiteSpace();
        const value = this.readValue();
        this.skipWhiteSpace();
        if (this.current !== END) throw this.error("more than a value");
        return value;
    }

    private readValue(): Value {
        switch (this.current) {
            case 110:
                return this.readLiteral(NULL);
            case 116:
                return this.readLiteral(TRUE);
            case 102:
                return this.readLiteral(FALSE);
            case QUOTE:
                return new JsonString(this.readText());
            case 91:
                return this.readArray();
            case 123:
                return this.readObject();
        }
        if (this.current === MINUS || this.isDigit()) return this.readNumber();
        throw this.expected("value");
    }

    private readArray(): JsonArray {
        this.read();
        const array = new JsonArray();
        this.skipWhiteSpace();
        if (this.readIf(93)) return array;
        do {
            this.skipWhiteSpace();
            array.add(this.readValue());
            this.skipWhiteSpace();
        } while (this.readIf(44));
        if (!this.readIf(93)) throw this.expected("',' or ']'");
        return array;
    }

    private readObject(): JsonObject {
        this.read();
        const object = new JsonObject();
        this.skipWhiteSpace();
        if (this.readIf(125)) return object;
        do {
            this.skipWhiteSpace();
            if (this.current !== QUOTE) throw this.expected("name");
            const name = this.readText();
            this.skipWhiteSpace();
            if (!this.readIf(58)) throw this.expected("':'");
            this.skipWhiteSpace();
            object.add(name, this.readValue());
            this.skipWhiteSpace();
        } while (this.readIf(44));
        if (!this.readIf(125)) throw this.expected("',' or '}'");
        return object;
    }

    private readLiteral(literal: JsonLiteral): JsonLiteral {
        for (let i = 0; i < literal.text.length; i++) {
            if (!this.readIf(literal.text.byteAt(i))) throw this.expected(literal.text);
        }
        return literal;
    }

    private readText(): string {
        this.read();
        this.startCapture();
        while (this.current !== QUOTE) {
            if (this.current === BACKSLASH) {
                this.pauseCapture();
                this.readEscape();
                this.startCapture();
            } else if (this.current < 32) {
                throw this.expected("character of a text");
            } else {
                this.read();
            }
        }
        const text = this.endCapture();
        this.read();
        return text;
    }

    private readEscape(): void {
        this.read();
        switch (this.current) {
            case QUOTE:
            case 47:
            case BACKSLASH:
                this.captured += String.fromCodePoint(this.current);
                break;
            case 98:
                this.captured += "\u0008";
                break;
            case 102:
                this.captured += "\u000c";
                break;
            case 110:
                this.captured += "\n";
                break;
            case 114:
                this.captured += "\r";
                break;
            case 116:
                this.captured += "\t";
                break;
            default:
                throw this.expected("known escape");
        }
        this.read();
    }

    private readNumber(): JsonNumber {
        this.startCapture();
        this.readIf(MINUS);
        const first = this.current;
        if (!this.readDigit()) throw this.expected("digit");
        if (first !== 48) this.readDigits();
        if (this.readIf(46)) this.readSomeDigits();
        if (this.readIf(101) || this.readIf(69)) {
            if (!this.readIf(43)) this.readIf(MINUS);
            this.readSomeDigits();
        }
        return new JsonNumber(this.endCapture());
    }

    private readSomeDigits(): void {
        if (!this.readDigit()) throw this.expected("digit");
        this.readDigits();
    }

    private readDigits(): void {
        while (this.readDigit()) {}
    }

    private readDigit(): boolean {
        if (!this.isDigit()) return false;
        this.read();
        return true;
    }

    private readIf(character: i32): boolean {
        if (this.current !== character) return false;
        this.read();
        return true;
    }

    private skipWhiteSpace(): void {
        while (this.current === 32 || this.current === 9 || this.current === 10 || this.current === 13) this.read();
    }

    private read(): void {
        if (this.current === 10) {
            this.line++;
            this.column = 0;
        }
        this.index++;
        this.column++;
        this.current = this.index < this.length ? this.input.byteAt(this.index) : END;
    }

    private isDigit(): boolean {
        return this.current >= 48 && this.current <= 57;
    }

    private startCapture(): void {
        this.captureStart = this.index;
    }

    private pauseCapture(): void {
        this.captured += this.input.slice(this.captureStart, this.index);
    }

    private endCapture(): string {
        const piece = this.input.slice(this.captureStart, this.index);
        if (this.captured === "") return piece;
        const whole = this.captured + piece;
        this.captured = "";
        return whole;
    }

    private expected(what: string): Error {
        return this.error(`expected ${what}`);
    }

    private error(what: string): Error {
        return new Error(`${what}, line ${this.line}, column ${this.column}`);
    }
}

function row(index: i32): string {
    const group = (index * 7) % 18;
    const texts = `["${index + 1}","E${index}","Element \\"${index}\\"","Group of metals","${group}","${index % 7}"]`;
    const colours = `[null,null,null,[${index * 2},${255 - index},${index % 64},255],null,null]`;
    return `["create","w${108 + index}","widgets.GridItem",{"parent":"w99","index":${index},"texts":${texts},"cellBackgrounds":${colours}}]`;
}

function column(index: i32): string {
    const place = `"index":${index},"left":${index * 50},"width":50,"ratio":${index}.25e-1`;
    const bounds = `"bounds":[${index},0,1008,${586 - index}],"tabIndex":-1`;
    return `["create","w${100 + index}","widgets.GridColumn",{"parent":"w99",${place},${bounds},"moveable":true,"style":["NONE","BORDER"]}]`;
}

function text(): string {
    const operations: string[] = [];
    for (let i = 0; i < 19; i++) {
        operations.push(column(i));
        operations.push(`["listen","w${100 + i}",{"Selection":true,"DefaultSelection":false}]`);
    }
    for (let i = 0; i < 118; i++) operations.push(row(i));
    return `{"head":{"requestCounter":4},"operations":[${operations.join(",")}]}`;
}

export function main(): void {
    const source = text();
    let right = true;
    for (let i = 0; i < 20; i++) {
        const value = new Parser(source).parse();
        const head = value.asObject().get("head");
        const operations = value.asObject().get("operations");
        right = right && value.isObject() && head !== null && head.isObject();
        right = right && operations !== null && operations.isArray() && operations.asArray().size() === 156;
    }
    console.log(`Json ${source.length} ${right}`);
}
