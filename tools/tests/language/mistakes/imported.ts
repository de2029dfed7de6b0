// Mistakes in what is done with imports, and in a file that is imported.

import * as space from "./modules/wrong";
import { limit, Plain, half } from "./modules/wrong";

function use(space: i32): i32 {
    return space;
}

export function main(): void {
    limit = 5;
    space.limit++;
    const value = space;
    console.log(space.nothing, space.Plain.nothing, value);
    const plain: space.Missing = new Plain();
    half("text");
    space.half("text");
    plain.inner = 3;
    console.log(space.hidden());
}
