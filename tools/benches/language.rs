//! The language beside others, as `metric NAME VALUE UNIT` lines: the programs of `samples/awfy` against the same in Lua 5.4, and against the same
//! sources, stripped of types, on `node --jitless`; strings, JSON and a map of a million integers against Lua's (`samples/bench`); what a call through an
//! interface costs; how fast the compiler is.
//!
//! Whole processes are compared, in processor time of the same round; a program's ratio is the median of the rounds, `awfy_vs_lua` the
//! geometric mean. `cargo bench -p revenant-tools --bench language [-- --quick] [NAME...]`.
#![expect(clippy::unwrap_used, reason = "a benchmark ends by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

use core::fmt::Write;
use nix::sys::resource::{UsageWho, getrusage};
use revenant_compiler::compile;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROUNDS: usize = 5;
/// Seconds that Lua is to take at least in a round, and how often a program runs at most for that.
const LENGTH: f64 = 0.4;
const REPEATS_MOST: u32 = 1024;
/// Calls measured.
const CALLS: u32 = 20_000_000;
/// Copies of all programs in the source on which the compiler is measured.
const COPIES: usize = 40;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Seconds of processor time.
fn used(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 * 1e-6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Seconds of a process, which has to find what is published as often as it runs.
fn timed(command: &mut Command, rounds: u32) -> f64 {
    let before = used(UsageWho::RUSAGE_CHILDREN);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let time = used(UsageWho::RUSAGE_CHILDREN) - before;
    assert!(output.status.success(), "{command:?}");
    let right =
        String::from_utf8_lossy(&output.stdout).lines().filter(|l| l.ends_with(" true")).count();
    assert_eq!(right, rounds as usize, "{command:?}");
    time
}

/// The program, run so often in one process.
fn repeated(source: &str, rounds: u32) -> String {
    let once = source.replacen("export function main()", "function once()", 1);
    format!(
        "{once}\nexport function main(): void {{\n    for (let round = 0; round < {rounds}; round++) once();\n}}\n"
    )
}

fn ours(program: &Path, rounds: u32) -> f64 {
    timed(Command::new(env!("CARGO_BIN_EXE_revenant")).arg("run").arg(program), rounds)
}

fn lua(program: &Path, rounds: u32) -> f64 {
    timed(Command::new("lua5.4").arg(program).arg(rounds.to_string()), rounds)
}

fn node(program: &Path, rounds: u32) -> f64 {
    let root = repository();
    let mut command = Command::new("node");
    command.arg("--jitless").arg(root.join("tools/benches/strip.js"));
    command.arg(root.join("build/typescript/node_modules/typescript")).arg(program);
    timed(&mut command, rounds)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// The programs against Lua and node.
fn programs(chosen: &[String], rounds: usize, folder: &Path) {
    let awfy = repository().join("samples/awfy");
    let mut names: Vec<String> = fs::read_dir(&awfy)
        .unwrap()
        .filter_map(|entry| {
            Some(entry.unwrap().file_name().to_str()?.strip_suffix(".lua")?.to_owned())
        })
        .filter(|name| chosen.is_empty() || chosen.contains(name))
        .collect();
    names.sort();
    let with_node = repository().join("build/typescript/node_modules/typescript").exists();
    if !with_node {
        eprintln!(
            "TypeScript is missing, so nothing is compared with node: `make setup` brings it"
        );
    }
    let (mut by_lua, mut by_node) = (Vec::new(), Vec::new());
    for name in &names {
        let (source, other) =
            (awfy.join(name).with_extension("ts"), awfy.join(name).with_extension("lua"));
        let once = lua(&other, 1);
        let mut repeats = 1;
        while f64::from(repeats) * once < LENGTH && repeats < REPEATS_MOST {
            repeats *= 2;
        }
        let program = folder.join(name).with_extension("ts");
        fs::write(&program, repeated(&fs::read_to_string(&source).unwrap(), repeats)).unwrap();
        let (mut to_lua, mut to_node) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let own = ours(&program, repeats);
            to_lua.push(own / lua(&other, repeats));
            if with_node {
                to_node.push(own / node(&program, repeats));
            }
        }
        by_lua.push(median(to_lua));
        println!("metric awfy_vs_lua_{name} {:.3} ratio", by_lua[by_lua.len() - 1]);
        if with_node {
            by_node.push(median(to_node));
            println!("metric awfy_vs_node_jitless_{name} {:.3} ratio", by_node[by_node.len() - 1]);
        }
    }
    if names.is_empty() {
        return;
    }
    println!("metric awfy_vs_lua {:.3} ratio", mean(&by_lua));
    println!("metric awfy_vs_lua_worst {:.3} ratio", by_lua.iter().copied().fold(0.0, f64::max));
    println!("metric awfy_programs {} programs", names.len());
    if with_node {
        println!("metric awfy_vs_node_jitless {:.3} ratio", mean(&by_node));
    }
}

/// A call through an interface over a direct call, both in a loop that does nothing else.
fn interface_call(rounds: usize, folder: &Path) {
    let program = |declared: &str, start: &str| {
        format!(
            "interface Counter {{\n    add(by: i32): i32;\n}}\n\
            class Simple implements Counter {{\n    constructor(private count: i32) {{}}\n\
            add(by: i32): i32 {{\n        this.count += by;\n        return this.count;\n    }}\n}}\n\
            class Double implements Counter {{\n    constructor(private count: i32) {{}}\n\
            add(by: i32): i32 {{\n        this.count += 2 * by;\n        return this.count;\n    }}\n}}\n\
            function run(counter: {declared}): i32 {{\n    let sum = 0;\n\
            for (let i = 0; i < {CALLS}; i++) sum = counter.add(1);\n    return sum;\n}}\n\
            export function main(): void {{\n    const other = new Double(1);\n    other.add(1);\n\
            {start}\n    console.log(`${{run(counter)}} ${{other.add(1) === 5}}`);\n}}\n"
        )
    };
    let files = [("direct", "Simple"), ("interface", "Counter")].map(|(name, declared)| {
        let path = folder.join(name).with_extension("ts");
        let start = format!("const counter: {declared} = new Simple(0);");
        fs::write(&path, program(declared, &start)).unwrap();
        path
    });
    let ratios = (0..rounds).map(|_| ours(&files[1], 1) / ours(&files[0], 1)).collect();
    println!("metric interface_call {:.3} ratio", median(ratios));
}

/// What both have of their own: a program of `samples/bench` against its counterpart.
fn against_lua(name: &str, rounds: usize) {
    let program = repository().join("samples/bench").join(name);
    let (source, other) = (program.with_extension("ts"), program.with_extension("lua"));
    let ratios = (0..rounds).map(|_| ours(&source, 1) / lua(&other, 1)).collect();
    println!("metric {name}_vs_lua {:.3} ratio", median(ratios));
}

/// The words of a text and what stands between them.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.split_inclusive(move |character| !is_word(character)).flat_map(move |piece| {
        let end = piece.trim_end_matches(|character| !is_word(character)).len();
        [&piece[..end], &piece[end..]]
    })
}

/// All programs, so many times, as one: what each declares gets a number.
fn large_source() -> String {
    let mut all = String::new();
    let mut declared = BTreeSet::new();
    for entry in fs::read_dir(repository().join("samples/awfy")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "ts") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap().replace("export ", "");
        let own = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let names = text.lines().filter_map(|line| {
            let rest = ["class ", "function ", "const ", "interface ", "enum ", "let "]
                .iter()
                .find_map(|word| {
                    line.strip_prefix(word).or(line.strip_prefix(&format!("abstract {word}")))
                })?;
            tokens(rest).next().map(str::to_owned)
        });
        let names: BTreeSet<String> = names.collect();
        // The programs declare some of the same names.
        for token in tokens(&text) {
            all.push_str(token);
            if names.contains(token) {
                let _ = write!(all, "_{own}");
                declared.insert(format!("{token}_{own}"));
            }
        }
    }
    let mut text = String::from("export function main(): void {}\n");
    for copy in 0..COPIES {
        for token in tokens(&all) {
            text.push_str(token);
            if declared.contains(token) {
                let _ = write!(text, "_{copy}");
            }
        }
    }
    text
}

fn compiler(rounds: usize) {
    let text = large_source();
    let lines = text.lines().count();
    let speeds = (0..rounds).map(|_| {
        let before = used(UsageWho::RUSAGE_SELF);
        let compiled = compile(&text, "large", "large.ts");
        let time = used(UsageWho::RUSAGE_SELF) - before;
        if let Err(mistakes) = &compiled {
            panic!("{:?}", mistakes.first());
        }
        lines as f64 / time
    });
    println!("metric compile_lines_per_s {:.0} lines/s", median(speeds.collect()));
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let rounds = if words.iter().any(|word| word == "--quick") { 1 } else { ROUNDS };
    let chosen: Vec<String> = words.into_iter().filter(|word| !word.starts_with("--")).collect();
    let folder = std::env::temp_dir().join(format!("revenant-language-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    programs(&chosen, rounds, &folder);
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    for name in ["strings", "map", "json"].into_iter().filter(|name| wanted(name)) {
        against_lua(name, rounds);
    }
    if wanted("interface_call") {
        interface_call(rounds, &folder);
    }
    if wanted("compiler") {
        compiler(rounds);
    }
    fs::remove_dir_all(&folder).unwrap();
}
