//! No operation stands in the instruction set for one benchmark: what a benchmark uses, another program uses too. A fused operation
//! with a single user would be that benchmark compiled by hand. Any other program of `samples/` counts as the second user, also
//! one that is not measured beside Lua.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use revenant_bytecode::{Instruction, assemble};

/// The programs that are measured beside Lua.
const MEASURED: [&str; 6] =
    ["binary_trees", "fib", "interface_calls", "mandelbrot", "nbody", "sieve"];

fn samples() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let mut found = BTreeMap::new();
    for folder in [root.clone(), root.join("bench")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rasm") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// The operations of a program.
fn operations(name: &str, text: &str) -> BTreeSet<&'static str> {
    let module = assemble(text, name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut used = BTreeSet::new();
    for function in &module.functions {
        let mut position = 0;
        while (position as usize) < function.code.len() {
            let instruction = Instruction::decode(&function.code, position).unwrap();
            used.insert(instruction.opcode.info().mnemonic);
            position += instruction.length;
        }
    }
    used
}

/// What is used by a measured program and by no other program, with that program.
fn lonely(users: &BTreeMap<String, BTreeSet<&'static str>>) -> Vec<String> {
    let mut found = Vec::new();
    for name in MEASURED {
        for operation in &users[name] {
            if users.values().filter(|used| used.contains(operation)).count() < 2 {
                found.push(format!("{operation} is used by {name} alone"));
            }
        }
    }
    found
}

#[test]
fn what_a_benchmark_uses_another_program_uses_too() {
    let mut users: BTreeMap<String, BTreeSet<&'static str>> =
        samples().iter().map(|(name, text)| (name.clone(), operations(name, text))).collect();
    let found = lonely(&users);
    assert!(found.is_empty(), "{}", found.join("\n"));
    // An operation made for one of them would be found.
    users.get_mut("fib").unwrap().insert("i64.fibonacci");
    assert_eq!(lonely(&users), ["i64.fibonacci is used by fib alone"]);
}
