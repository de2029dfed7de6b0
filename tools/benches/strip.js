// Runs a program of the language on node: node --jitless strip.js TYPESCRIPT PROGRAM. Its types are stripped by TypeScript's own compiler, and the
// conversions between numbers are those of JavaScript, and so are the characters of texts.
const [compiler, program] = process.argv.slice(2);
const text = require("fs").readFileSync(program, "utf8");
const options = { target: "es2022", module: "commonjs" };
String.prototype.byteAt = String.prototype.charCodeAt;
const stripped = require(compiler).transpileModule(text, { compilerOptions: options }).outputText;
const run = new Function("exports", "f64", "i32", stripped + "\nexports.main();");
run({}, Number, (value) => value | 0);
