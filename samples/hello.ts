// The smallest program: prints a line and ends.
export function main(): void {
    console.log("Hello, I shall be back.");
}
