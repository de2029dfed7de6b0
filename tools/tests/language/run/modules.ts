// A program of several files: what is imported, under which names, circles, variables in the order of files, traces.

import { Circle, Shape, Square, total as sum } from "./modules/shapes";
import * as names from "./modules/names";
import { isEven } from "./modules/even";
import { Pair, pairs, swap } from "./modules/generic";
import * as generic from "./modules/generic";

let greeting: string = names.greet("main");

class Unit extends Circle {
    constructor() {
        super(1.0);
    }
    // Hides nothing of the other file's `Unit`.
    name(): string {
        return `unit ${super.name()}`;
    }
}

function total(list: i32[]): i32 {
    return list.reduce((all, x) => all + x, 0);
}

function describe(shape: Shape, name: names.Name): string {
    return `${name.text}: ${shape.name()} ${shape.area()}`;
}

export function main(): void {
    const list: Shape[] = [new Square(2.0), new Unit(), new Circle(0.5)];
    console.log(greeting, names.count);
    console.log(sum(list), total([1, 2, 3]));
    for (const shape of list) console.log(describe(shape, new names.Name("shape")));
    names.rename("other");
    console.log(names.count, names.last !== null ? "named" : "none", names.Kind.Long, names.kindOf("a"));
    const kind: names.Kind = names.kindOf("a long name");
    console.log(kind === names.Kind.Long, names.Name.made, names.Name.empty().text);
    console.log(isEven(10), isEven(7));
    const pair: Pair<i32, string> = pairs([1, 2], ["one", "two"])[1];
    const swapped: generic.Pair<string, i32> = swap(pair);
    console.log(swapped.first, swapped.second, list.map(names.nameOf).join(" "));
    console.log(["x", "y"].map(names.greet).join(" "), generic.largest([3, 9, 4]));
    generic.table.set("k", 5);
    console.log(generic.table.get("k"));
    names.refuse("main");
}
