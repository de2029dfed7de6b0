// Variables, enums, a class with static members; and an import that closes a circle.

import { Shape } from "./shapes";

export enum Kind {
    Short,
    Long = 7,
}

export let count: i32 = 0;
export let last: Name | null = null;

export class Name {
    static made: i32 = 0;
    constructor(readonly text: string) {
        Name.made++;
        last = this;
    }
    static empty(): Name {
        return new Name("-");
    }
}

export function greet(who: string): string {
    count++;
    return `hello ${who}`;
}

export function rename(text: string): void {
    count += 10;
    last = new Name(text);
}

export function kindOf(text: string): Kind {
    return text.length > 3 ? Kind.Long : Kind.Short;
}

export function nameOf(shape: Shape): string {
    return `<${shape.name()}>`;
}

export function refuse(who: string): void {
    const refused = [who].map((text) => {
        if (count > 0) throw new Error(`refused ${text}`);
        return text;
    });
    console.log(refused.length);
}
