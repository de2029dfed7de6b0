// One half of a circle of functions.

import { isOdd } from "./deeper/odd";

export function isEven(n: i32): bool {
    return n === 0 ? true : isOdd(n - 1);
}
