// A file with mistakes of its own.

export let limit: i32 = "five";

export class Plain {
    private inner: i32 = 1;
}

export function half(x: i32): i32 {
    return x / missing;
}

function hidden(): void {}
