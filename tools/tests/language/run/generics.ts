// Interfaces and generics: each choice of types is a class or a function of its own.

interface Named {
    get name(): string;
}
interface Comparable<T> extends Named {
    compare(other: T): i32;
}

class Word implements Comparable<Word> {
    constructor(private readonly text: string) {}
    get name(): string {
        return this.text;
    }
    compare(other: Word): i32 {
        return this.text.compare(other.text);
    }
}
class Number2 implements Named {
    constructor(readonly value: i32) {}
    get name(): string {
        return `#${this.value}`;
    }
}

class Pair<A, B> {
    constructor(readonly first: A, readonly second: B) {}
    swap(): Pair<B, A> {
        return new Pair<B, A>(this.second, this.first);
    }
}
class Stack<T> {
    private readonly items: T[] = [];
    push(item: T): Stack<T> {
        this.items.push(item);
        return this;
    }
    pop(): T {
        return this.items.pop();
    }
    get size(): i32 {
        return this.items.length;
    }
}
class Counted<T> extends Stack<T> {
    pushes: i64 = 0;
    push(item: T): Stack<T> {
        this.pushes++;
        return super.push(item);
    }
}

function largest(words: Word[]): Word {
    let best = words[0];
    for (const word of words) if (word.compare(best) > 0) best = word;
    return best;
}
function last<T>(list: T[]): T {
    return list[list.length - 1];
}
function swapped<A, B>(pair: Pair<A, B>): Pair<B, A> {
    return pair.swap();
}
function name(named: Named | null): string {
    return named?.name ?? "nothing";
}

export function main(): void {
    const words = [new Word("a"), new Word("c"), new Word("b")];
    console.log(largest(words).name, last(words).name, last([1.5, 2.5]), last(["x", "y"]));
    const pair = swapped(new Pair(7, "seven"));
    console.log(pair.first, pair.second + 1, pair.swap().first);
    const stack = new Counted<u64>();
    stack.push(18446744073709551615).push(2);
    console.log(stack.pop(), stack.pop(), stack.size, stack.pushes);
    let some: Named = words[0];
    console.log(name(some), some instanceof Word, name(null));
    some = new Number2(5);
    console.log(name(some), some instanceof Word ? "word" : "number", some.name);
    const both: Named[] = [new Number2(1), words[1]];
    for (const one of both) console.log(one.name);
}
