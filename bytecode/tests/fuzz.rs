//! Mutated modules against decoder, verifier and a checking machine.
//!
//! Of the mutants at least half are structure-aware with their checksums right, at least 5 % verify, and each of those runs 10,000
//! instructions with every register's kind asserted. Deterministic: a case is a number; a failure prints it. Environment:
//! `REVENANT_FUZZ_COUNT` and `REVENANT_FUZZ_SEED` for the short form; the long one is `make fuzz`.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "fuzz/execute.rs"]
mod execute;
#[path = "fuzz/machine.rs"]
mod machine;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/random.rs"]
mod random;

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Instant;

use machine::Machine;
use mutate::mutant;
use random::Random;
use revenant_bytecode::{Module, assemble, decode, disassemble, encode, verify};

/// Instructions that every mutant that verifies has to run.
const INSTRUCTIONS: u32 = 10_000;

fn seeds() -> Vec<Module> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = vec![root.join("tests/corpus/everything.rasm")];
    let samples = std::fs::read_dir(root.join("../samples/bench")).unwrap();
    texts.extend(
        samples
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "rasm")),
    );
    texts.sort();
    // The first is the richest; the others are small, and change more by one mutation.
    texts
        .iter()
        .map(|path| assemble(&std::fs::read_to_string(path).unwrap(), "seed.rasm").unwrap())
        .collect()
}

#[derive(Default, Debug)]
struct Count {
    structured: u64,
    decoded: u64,
    verified: u64,
}

/// One case: whatever it does, nothing may panic.
fn case(seeds: &[Module], number: u64, count: &mut Count) {
    let mut random = Random::new(number);
    let seed = random.pick(seeds);
    let mutant = mutant(seed, &mut random);
    count.structured += u64::from(mutant.structured);
    let Ok(module) = decode(&mutant.bytes) else { return };
    count.decoded += 1;
    if random.one_in(50) {
        assert_eq!(encode(&module), mutant.bytes, "decoding and encoding changes a module");
        // Whatever it is, it can be listed.
        let _ = disassemble(&module);
    }
    let Ok(verified) = verify(module) else { return };
    count.verified += 1;
    if random.one_in(50) {
        // Not every module can be said in assembly; what can be said comes back as it was said.
        let text = disassemble(verified.module());
        if let Ok(again) = assemble(&text, "seed.rasm") {
            assert_eq!(disassemble(&again), text, "assembling and disassembling changes a text");
        }
    }
    Machine::new(verified.module(), Some(&verified), number).run(INSTRUCTIONS);
}

fn fuzz(first: u64, cases: u64) -> Count {
    let seeds = seeds();
    let mut count = Count::default();
    for number in first..first + cases {
        let run = catch_unwind(AssertUnwindSafe(|| case(&seeds, number, &mut count)));
        assert!(
            run.is_ok(),
            "case {number}: run it alone with REVENANT_FUZZ_SEED={number} REVENANT_FUZZ_COUNT=1"
        );
    }
    count
}

fn report(cases: u64, count: &Count, started: Instant) {
    println!("fuzz: {cases} cases, {count:?}, {:.1} s", started.elapsed().as_secs_f64());
    if cases >= 1_000 {
        assert!(count.structured * 2 >= cases, "too few structure-aware cases");
        assert!(count.verified * 20 >= cases, "too few cases verify");
    }
}

fn environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn mutated_modules_do_no_harm() {
    let started = Instant::now();
    let cases = environment("REVENANT_FUZZ_COUNT", 5_000);
    let count = fuzz(environment("REVENANT_FUZZ_SEED", 1), cases);
    report(cases, &count, started);
}

/// A million of them, on all processors; a tenth of it in builds for debugging.
#[test]
#[ignore = "minutes long: make fuzz"]
fn a_million_mutated_modules_do_no_harm() {
    let started = Instant::now();
    let million = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let cases = environment("REVENANT_FUZZ_COUNT", million);
    let first = environment("REVENANT_FUZZ_SEED", 1 << 32);
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let handles: Vec<_> = (0..workers)
        .map(|worker| {
            let share = cases / workers + u64::from(worker < cases % workers);
            std::thread::spawn(move || fuzz(first + worker * (cases / workers + 1), share))
        })
        .collect();
    let mut sum = Count::default();
    for handle in handles {
        let count = handle.join().unwrap();
        sum.structured += count.structured;
        sum.decoded += count.decoded;
        sum.verified += count.verified;
    }
    report(cases, &sum, started);
}

/// The machine must catch what it is for: a module whose types are wrong, run as if it were verified.
#[test]
fn the_checking_machine_catches_a_wrong_kind() {
    use revenant_bytecode::{Instruction, Opcode};
    let seeds = seeds();
    let mut caught = 0;
    for (index, seed) in seeds.iter().enumerate() {
        let mut module = seed.clone();
        for function in &mut module.functions {
            for word in &mut function.code {
                // Every signed comparison of i64 becomes one of f64: the same fields, another kind.
                let old = Instruction::word(Opcode::I64BranchLtS, 0, 0, 0);
                if *word & 0xffff == old {
                    *word += Instruction::word(Opcode::F64BranchLt, 0, 0, 0) - old;
                }
            }
        }
        if module == *seed {
            continue;
        }
        assert!(verify(module.clone()).is_err());
        let seed = u64::try_from(index).unwrap();
        let run = || Machine::new(&module, None, seed).run(INSTRUCTIONS);
        caught += u32::from(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
    assert!(caught >= 2, "{caught}");
}
