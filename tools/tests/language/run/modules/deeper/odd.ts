// The other half, in a folder of its own.

import { isEven } from "../even";

export function isOdd(n: i32): bool {
    return n === 0 ? false : isEven(n - 1);
}
