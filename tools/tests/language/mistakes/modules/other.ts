// What may be imported, and what not.

let secret: i32 = 1;

function hidden(): i32 {
    return secret;
}

export function shown(): i32 {
    return hidden();
}
