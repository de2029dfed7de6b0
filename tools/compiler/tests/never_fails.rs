//! Properties of the compiler over all texts: it never panics, and what it makes verifies.
//!
//! Four kinds of texts: words of the language in any order, programs that work with bytes changed, also of several files, and
//! programs made by a grammar, nearly all of which compile. A failing case is shrunk and printed, with the seed, by proptest.

use proptest::prelude::*;
use revenant_compiler::{Diagnostic, Session, Source, compile, compile_files};

const PROGRAMS: [&str; 20] = [
    include_str!("../../../samples/hello.ts"),
    include_str!("../../tests/language/run/arrays.ts"),
    include_str!("../../tests/language/run/numbers.ts"),
    include_str!("../../tests/language/run/texts.ts"),
    include_str!("../../tests/language/run/classes.ts"),
    include_str!("../../tests/language/run/lists.ts"),
    include_str!("../../tests/language/run/null.ts"),
    include_str!("../../tests/language/run/generics.ts"),
    include_str!("../../tests/language/run/exceptions.ts"),
    include_str!("../../tests/language/run/closures.ts"),
    include_str!("../../tests/language/run/maps.ts"),
    include_str!("../../tests/language/run/functions.ts"),
    include_str!("../../tests/language/run/threads.ts"),
    include_str!("../library/library.ts"),
    include_str!("../library/json.ts"),
    include_str!("../library/texts.ts"),
    include_str!("../library/deque.ts"),
    include_str!("../library/threads.ts"),
    include_str!("../../tests/language/run/root.ts"),
    include_str!("../library/root.ts"),
];

/// A program of several files.
const FILES: [(&str, &str); 6] = [
    ("modules.ts", include_str!("../../tests/language/run/modules.ts")),
    ("modules/shapes.ts", include_str!("../../tests/language/run/modules/shapes.ts")),
    ("modules/names.ts", include_str!("../../tests/language/run/modules/names.ts")),
    ("modules/even.ts", include_str!("../../tests/language/run/modules/even.ts")),
    ("modules/deeper/odd.ts", include_str!("../../tests/language/run/modules/deeper/odd.ts")),
    ("modules/generic.ts", include_str!("../../tests/language/run/modules/generic.ts")),
];

/// What may be typed into a session, in any order: some of it is a mistake then.
const INPUTS: &str = include_str!("../../tests/language/inputs.txt");

const WORDS: [&str; 101] = [
    "function",
    "export",
    "main",
    "let",
    "const",
    "if",
    "else",
    "while",
    "for",
    "do",
    "break",
    "continue",
    "switch",
    "case",
    "default",
    "return",
    "true",
    "false",
    "null",
    "class",
    "import",
    "import {",
    "from",
    "as",
    "'./a'",
    "'./b'",
    "i32",
    "u64",
    "f64",
    "string",
    "bool",
    "void",
    "a",
    "b",
    "f",
    "console",
    ".",
    "log",
    "length",
    "(",
    ")",
    "(",
    ")",
    "{",
    "}",
    "{",
    "}",
    "[",
    "]",
    ";",
    ",",
    ":",
    "?",
    "=",
    "+=",
    "++",
    "--",
    "extends",
    "implements",
    "interface",
    "abstract",
    "static",
    "private",
    "readonly",
    "get",
    "set",
    "constructor",
    "super",
    "this",
    "new",
    "enum",
    "of",
    "try",
    "catch",
    "finally",
    "throw",
    "?.",
    "??",
    "=>",
    "instanceof",
    "|",
    "C",
    "T",
    "<T>",
    "C {",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "<",
    "===",
    "&&",
    "||",
    "!",
    "1",
    "2.5",
    "'t'",
    "`a${",
    "}`",
];

/// What the programs of the grammar may name.
const CLASSES: &str = "
enum E { A, B = 7 }
class C {
    static count = 0;
    next: C | null = null;
    text: string | null = null;
    constructor(public x: i32) { C.count++; }
    add(by: i32): C { this.x += by; return this; }
    get half(): i32 { return this.x / 2; }
    set half(value: i32) { this.x = value * 2; }
}
class Refused extends Error { constructor(text: string, readonly code: i32) { super(text); } }
function half(v: i32): i32 { return v / 2; }
function twice(f: (v: i32) => i32, v: i32): i32 { return f(f(v)); }
class D extends C {
    y: i32;
    constructor(x: i32, text: string) { super(x); this.y = x; this.text = text; }
    add(by: i32): C { this.y += by; return super.add(by); }
}";

/// Compiles; a fault of the compiler itself is no answer.
fn answers(source: &str) -> bool {
    match compile(source, "random", "random.ts") {
        Ok(_) => true,
        Err(diagnostics) => {
            are_answers(&diagnostics);
            false
        }
    }
}

fn are_answers(diagnostics: &[Diagnostic]) {
    assert!(!diagnostics.is_empty());
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.contains("fault of the compiler"), "{diagnostic:?}");
    }
}

/// Another byte, one less, or no more after it.
fn change(bytes: &mut Vec<u8>, place: prop::sample::Index, byte: u8, kind: usize) {
    let Some(last) = bytes.len().checked_sub(1) else { return };
    let at = place.index(last + 1);
    match kind {
        0 => bytes[at] = byte,
        1 => drop(bytes.remove(at)),
        _ => bytes.truncate(at.max(32)),
    }
}

/// An integer expression over the variables `a` and `b`.
fn integer() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        any::<i16>().prop_map(|n| format!("({n})")),
        Just("f(a, b)".to_owned()),
        Just("a++".to_owned()),
        Just("d[a & 7]++".to_owned()),
        Just("(d[b = 1] = a)".to_owned()),
        Just("(b = a)".to_owned()),
        Just("i32(s.length)".to_owned()),
        Just("l[a & 3]".to_owned()),
        Just("l[1]++".to_owned()),
        Just("l.push(b)".to_owned()),
        Just("o.x".to_owned()),
        Just("o.x++".to_owned()),
        Just("(o.add(a).half -= b)".to_owned()),
        Just("(o.next?.x ?? b)".to_owned()),
        Just("(n?.next?.add(a)?.half ?? l.length)".to_owned()),
        Just("(n ?? o).add(l[0]).x".to_owned()),
        Just("new D(a, s).x".to_owned()),
        Just("(n !== null && n.next !== null ? n.next.x : C.count++)".to_owned()),
        Just("(n instanceof D ? n.y : o instanceof D && o.y > 2 ? o.y : 1)".to_owned()),
        Just("i32(E.B)".to_owned()),
        Just("g(b)".to_owned()),
        Just("l.map((v) => v + a).reduce((sum, v) => sum + v * b, 0)".to_owned()),
        Just("l.findIndex((v) => v > o.x)".to_owned()),
        Just("l.findIndex((v) => { a += v; return v === b; })".to_owned()),
        Just("g(l.map((v) => v + b).length)".to_owned()),
        Just("k.getOr(s, a)".to_owned()),
        Just("(u.add(o) ? k.size : i32(u.delete(o)))".to_owned()),
        Just(
            "l.map((v) => `${v}${a}`).map((t) => i32(t.length)).reduce((sum, v) => sum + v, b)"
                .to_owned()
        ),
        Just("twice((v: i32) => g(v) - C.count, a)".to_owned()),
        Just(
            "twice(half, l.map(half).reduce((sum, v) => { if (v > 0) return sum; return v; }, 0))"
                .to_owned()
        ),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator =
            prop::sample::select(vec!["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>"]);
        let comparison = prop::sample::select(vec!["<", "<=", ">", ">=", "===", "!=="]);
        prop_oneof![
            inner.clone().prop_map(|value| format!("twice((a) => {value}, b)")),
            inner.clone().prop_map(|value| format!("l.filter((b) => {value} > b).length")),
            (inner.clone(), operator, inner.clone()).prop_map(|(l, o, r)| format!("({l} {o} {r})")),
            inner.clone().prop_map(|value| format!("(-{value})")),
            inner.clone().prop_map(|value| format!("i32(f64({value}) * 0.5)")),
            (inner.clone(), comparison, inner.clone(), inner.clone(), inner)
                .prop_map(|(l, c, r, x, y)| format!("({l} {c} {r} && !(a > b) ? {x} : {y})")),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        integer().prop_map(|value| format!("a = {value};")),
        integer().prop_map(|value| format!("s = s + {value} + `<${{{value}}}>`;")),
        integer().prop_map(|value| format!("b += {value};")),
        (integer(), integer()).prop_map(|(i, v)| format!("d[{i} & 7] *= {v};")),
        integer().prop_map(|value| format!("d[i32(s.length) & 7] = {value};")),
        integer().prop_map(|value| format!("if (s < \"m\") return {value};")),
        integer().prop_map(|value| format!("n = {value} > 3 ? o : null;")),
        integer().prop_map(|value| format!("o.next = new C({value}); o.next.next = n;")),
        integer().prop_map(|value| format!("l = [{value}, a, b, 4];")),
        integer().prop_map(|value| format!("s += o.text ?? `${{{value}}}`;")),
        integer().prop_map(|value| format!("if (n === null) return {value}; a = n.x;")),
        Just("n = n?.next ?? null;".to_owned()),
        Just("o.add(a).half++;".to_owned()),
        Just("a = l[b++]++ + o.add(1).x--;".to_owned()),
        integer().prop_map(|value| format!("if ({value} > 9) throw new Refused(s, a);")),
        Just("o = new D(b, s);".to_owned()),
        integer().prop_map(|value| format!("k.set(s, {value});")),
        integer()
            .prop_map(|value| format!("k.forEach((v, t) => {{ a += v; s = t; b = {value}; }});")),
        Just("for (let i = 0; i < l.length; i++) { l[i] = l[a & 3] + i; d[i & 7]++; }".to_owned()),
        Just("while (l[b & 3] > a) { for (const v of l) l[v & 1] -= b; b++; l = [a]; }".to_owned()),
        Just("do { const k = l[0]; for (let i: i64 = 0; i < 4; i++) l[i] += k; a--; } while (a > l[1]);".to_owned()),
        integer().prop_map(|value| format!("g = (v) => v + {value};")),
        Just("g = half;".to_owned()),
        integer().prop_map(|value| format!("g = (a: i32): i32 => {{ b++; return {value}; }};")),
        integer().prop_map(|value| format!("l.sort((x, y) => x - y + {value});")),
        Just("switch (e) { case E.A: e = E.B; break; default: a++; }".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            (integer(), inner.clone(), inner.clone())
                .prop_map(|(v, x, y)| format!("if ({v} > 0) {{ {x} }} else {{ {y} }}")),
            (integer(), inner.clone())
                .prop_map(|(v, x)| format!("while ({v} < a) {{ {x} if (a === 7) break; }}")),
            (inner.clone(), inner.clone()).prop_map(|(x, y)| {
                format!("switch (a) {{ case 1: {x} break; case 2: {{ let b = a; {y} }} }}")
            }),
            inner
                .clone()
                .prop_map(|x| format!("while (n !== null) {{ {x} n = n?.next ?? null; }}")),
            inner.clone().prop_map(|x| format!("for (const v of l) {{ a += v; {x} }}")),
            inner.clone().prop_map(|x| format!("for (const c of s) {{ s = c; {x} break; }}")),
            (inner.clone(), inner.clone())
                .prop_map(|(x, y)| format!("try {{ {x} }} catch (caught) {{ {y} if (caught instanceof Refused) a = caught.code; }}")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(x, y, z)| format!("try {{ {x} }} catch {{ {y} }} finally {{ {z} }}")),
            (inner.clone(), inner.clone(), integer()).prop_map(|(x, y, v)| format!(
                "for (const v of l) {{ try {{ {x} if (v > a) break; if (v > 2) continue; n = null; return {v}; }} finally {{ {y} }} }}"
            )),
            inner.clone().prop_map(|x| format!("g = (v: i32): i32 => {{ {x} return v; }};")),
            inner.clone().prop_map(|x| {
                format!("for (let i = 0; i < 3; i++) {{ {x} g = (v) => i + v; i += 0; }}")
            }),
            inner.clone().prop_map(|x| format!("{{ const k = (a: i32): i32 => {{ {x} return a; }}; a = k(b); }}")),
            inner.prop_map(|x| format!("for (let i = 0; i < 3; i++) {{ {x} continue; }}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words_get_an_answer(words in prop::collection::vec(prop::sample::select(&WORDS), 0..60)) {
        answers(&words.join(" "));
        answers(&format!("export function main(): void {{ {} }}", words.join(" ")));
    }

    #[test]
    fn changed_programs_get_an_answer(
        program in 0..PROGRAMS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..3), 1..6),
    ) {
        let mut bytes = PROGRAMS[program].as_bytes().to_vec();
        for (place, byte, kind) in changes {
            change(&mut bytes, place, byte, kind);
        }
        answers(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn changed_files_that_import_each_other_get_an_answer(
        changes in prop::collection::vec((0..FILES.len(), any::<prop::sample::Index>(), any::<u8>(), 0_usize..3), 0..6),
        words in prop::collection::vec(prop::sample::select(&WORDS), 0..20),
    ) {
        let mut files: Vec<(&str, Vec<u8>)> =
            FILES.iter().map(|(path, text)| (*path, text.as_bytes().to_vec())).collect();
        for (file, place, byte, kind) in changes {
            change(&mut files[file].1, place, byte, kind);
        }
        let words = words.join(" ");
        let mut read = |path: &str| match files.iter().find(|(known, _)| *known == path) {
            Some((_, bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            None if path == "a.ts" || path == "b.ts" => Ok(words.clone()),
            None => Err(String::from("it is not there")),
        };
        let main = read("modules.ts").unwrap_or_default();
        for text in [main.clone(), format!("{words}\n{main}")] {
            let main = Source { path: "modules.ts".to_owned(), text };
            if let Err(mistakes) = compile_files(main, "random", &mut read) {
                are_answers(&mistakes.list);
            }
        }
    }

    #[test]
    fn programs_of_the_grammar_compile(body in prop::collection::vec(statement(), 1..5)) {
        let body = body.join("\n");
        let source = format!(
            "{CLASSES}\nfunction f(a: i32, b: i32): i32 {{ let s = \"x\"; const d = new Int32Array(8);\n\
             let l: i32[] = [a, b, 3, 4]; let g: (v: i32) => i32 = (v) => v; let o = new C(a); let n: C | null = o; let e = E.A;\n\
             const k = new Map<string, i32>(); const u = new Set<C>();\n{body}\nreturn a; }}\n\
             export function main(): i32 {{ return f(1, 2); }}"
        );
        prop_assert!(answers(&source), "{}\n{:?}", source, compile(&source, "r", "r.ts"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sessions_get_answers(
        inputs in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
        words in prop::collection::vec(prop::sample::select(&WORDS), 0..20),
    ) {
        let mut session = Session::new();
        let words = words.join(" ");
        let all: Vec<&str> = INPUTS.lines().collect();
        let inputs = inputs.into_iter().map(|place| all[place.index(all.len())]);
        for input in inputs.chain([words.as_str()]) {
            let _ = Session::is_open(input);
            if let Err(mistakes) = session.compile(input) {
                are_answers(&mistakes.list);
            }
        }
    }
}

#[test]
fn what_is_too_deep_is_refused_and_what_is_long_is_not() {
    let deep = |open: &str, close: &str| {
        let source = format!(
            "export function main(): void {{ {} 1 {} }}",
            open.repeat(50_000),
            close.repeat(50_000)
        );
        assert!(!answers(&source), "{open}");
    };
    for (open, close) in [("(", ")"), ("-", ""), ("{", "}"), ("if (true) ", ""), ("1 + ", "")] {
        deep(open, close);
    }
    for (open, close) in
        [("f(", ")"), ("`${", "}`"), ("a = ", ""), ("true ? 1 : ", ""), ("a", ".b")]
    {
        deep(open, close);
    }
    let chain = ".map((x) => x + 1)".repeat(45);
    let source = format!("export function main(): i32 {{ return [1]{chain}.length; }}");
    assert!(answers(&source), "a chain, each link of which is asked for its type");
    let long = "a += 1;\n".repeat(50_000);
    let source = format!(
        "export function main(): i32 {{ let a = 0;\nwhile (a < 9) {{ {long} }} return a; }}"
    );
    assert!(answers(&source), "branches over more than 32,767 words");
}

/// Looking ahead for types must not look at what is nested twice as often at every depth.
#[test]
fn what_is_chained_and_nested_deeply_compiles_at_once() {
    let class = "class A { run(): A { return this; } map(): A { return this; } }";
    let chain = ".run().map()".repeat(20);
    let nested = format!("{}1{}", "lock.run(() => ".repeat(25), ")".repeat(25));
    let body = format!(
        "const a = new A(); const lock = new Mutex(); console.log(`${{a{chain} === a}}`, {nested} + 1);"
    );
    let source = format!("{class} export function main(): void {{ {body} }}");
    if let Err(mistakes) = compile(&source, "deep", "deep.ts") {
        panic!("{mistakes:?}");
    }
}
