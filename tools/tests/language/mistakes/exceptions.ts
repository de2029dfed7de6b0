// What exceptions refuse.
class Refused extends Error {
    constructor() {}
}
export function main(): void {
    throw "text";
    throw new Error();
    try {
        throw new Missing("x");
    } catch (e: Error) {
        console.log(e.code);
        e = new Error("again");
    }
    try {
        sleep(1);
    }
    const d = [1.5];
    console.log(d[f()]++);
}
function f(): i32 {
    try {
        return 1;
    } catch {
    }
}
