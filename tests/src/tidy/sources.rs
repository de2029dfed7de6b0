//! Rules over Rust files: a purpose at the top, unsafe code only where it may stand, no orphans, sizes that only shrink.

use super::lexer::{code_only, has_word};
use super::{SourceFile, Violation};
use std::collections::BTreeMap;

/// Where unsafe code may stand, in all the tree.
const UNSAFE_PLACES: [&str; 5] = [
    "kernel/machine/",
    "vm/src/memory",
    "vm/src/dispatch",
    "tools/src/host_memory",
    "kernel/sim/src/host_memory",
];

/// Crate roots without `forbid`, because a module below is one of [`UNSAFE_PLACES`]: the workspace's `deny` holds there.
const DENY_ROOTS: [&str; 3] = ["vm/src/lib.rs", "tools/src/lib.rs", "kernel/sim/src/lib.rs"];

/// Lines a file may have.
const SIZE_LIMIT: usize = 500;

/// Files that are longer, with the length they may not exceed: `lines path`. The list only shrinks.
const RATCHET: &str = "tests/size_ratchet.txt";

/// Checks every Rust file.
pub fn check(files: &[SourceFile], violations: &mut Vec<Violation>) {
    check_sizes(files, violations);
    for file in files.iter().filter(|file| file.is_rust()) {
        check_purpose(file, violations);
        check_unsafe(file, violations);
        check_orphan(file, files, violations);
    }
}

/// A file opens with `//!` and enough of it to say something.
fn check_purpose(file: &SourceFile, violations: &mut Vec<Violation>) {
    let purpose: usize = file
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.trim().len())
        .sum();
    if purpose < 40 {
        let message =
            "opens without a //! paragraph: what it is for, its invariants, its neighbours";
        violations.push(Violation::new(&file.path, 1, message));
    }
}

/// Unsafe code stands only in its places, and every other crate root forbids it.
fn check_unsafe(file: &SourceFile, violations: &mut Vec<Violation>) {
    if UNSAFE_PLACES.iter().any(|place| file.path.starts_with(place)) {
        return;
    }
    let code = code_only(&file.text);
    for (index, line) in code.lines().enumerate() {
        // An attribute of a linker section or symbol is spelled `#[unsafe(...)]`; that counts, too.
        // The type of a pointer to an unsafe function is no unsafe code.
        if has_word(&line.replace("unsafe fn(", "fn("), "unsafe") {
            let message = format!("unsafe code may stand only in {}", UNSAFE_PLACES.join(", "));
            violations.push(Violation::new(&file.path, index + 1, message));
        }
    }
    let is_root = ["/src/lib.rs", "/src/main.rs"].iter().any(|end| file.path.ends_with(end));
    let forbids = code.contains("#![forbid(unsafe_code)]");
    if is_root && !forbids && !DENY_ROOTS.contains(&&*file.path) {
        violations.push(Violation::new(&file.path, 1, "needs #![forbid(unsafe_code)]"));
    }
}

/// A module file that no other file of its crate declares is dead: the compiler never sees it.
fn check_orphan(file: &SourceFile, files: &[SourceFile], violations: &mut Vec<Violation>) {
    let Some((folder, below)) = file.path.split_once("/src/") else { return };
    let name = below.strip_suffix(".rs").unwrap_or(below);
    let name = name.strip_suffix("/mod").unwrap_or(name);
    if matches!(name, "lib" | "main") || name.starts_with("bin/") {
        return;
    }
    let module = name.rsplit('/').next().unwrap_or(name);
    let prefix = format!("{folder}/src/");
    let declared = files.iter().any(|other| {
        other.path.starts_with(&prefix)
            && other.path != file.path
            && (other.text.contains(&format!("mod {module};"))
                || other.text.contains(&format!("/{module}.rs\"")))
    });
    if !declared {
        let message = format!("no file declares `mod {module};`: the compiler never sees this one");
        violations.push(Violation::new(&file.path, 0, message));
    }
}

/// No file above the limit but those of the ratchet, and those not above what the ratchet says.
fn check_sizes(files: &[SourceFile], violations: &mut Vec<Violation>) {
    let ratchet = files.iter().find(|file| file.path == RATCHET);
    let mut allowed: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, line) in ratchet.map_or("", |file| &file.text).lines().enumerate() {
        let entry = line.split_once(' ').and_then(|(size, path)| Some((path, size.parse().ok()?)));
        match entry {
            Some((path, size)) => drop(allowed.insert(path, size)),
            None => violations.push(Violation::new(RATCHET, index + 1, "is not `lines path`")),
        }
    }
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        let limit = allowed.remove(&*file.path);
        if lines > limit.unwrap_or(SIZE_LIMIT).max(SIZE_LIMIT) {
            let message = format!(
                "has {lines} lines; {} is the limit: split it by concept",
                limit.unwrap_or(SIZE_LIMIT)
            );
            violations.push(Violation::new(&file.path, lines, message));
        } else if limit.is_some_and(|limit| limit > SIZE_LIMIT && lines + 20 < limit) {
            let message = format!("{} has only {lines} lines now: lower its entry", file.path);
            violations.push(Violation::new(RATCHET, 0, message));
        } else if limit.is_some() && lines <= SIZE_LIMIT {
            let message = format!("{} is short enough now: remove its entry", file.path);
            violations.push(Violation::new(RATCHET, 0, message));
        }
    }
    for path in allowed.keys() {
        violations.push(Violation::new(RATCHET, 0, format!("{path} is gone: remove its entry")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: &str = "//! A file of a test; it says what it is for, at some length.\n";

    fn violations(files: &[SourceFile]) -> Vec<String> {
        let mut violations = Vec::new();
        check(files, &mut violations);
        violations.iter().map(ToString::to_string).collect()
    }

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile::new(path, &format!("{PURPOSE}{text}"))
    }

    #[test]
    fn a_tidy_crate_passes_and_each_planted_disorder_is_caught() {
        let root = file("a/src/lib.rs", "#![forbid(unsafe_code)]\nmod b;\n// unsafe in a comment");
        let module = file("a/src/b.rs", "");
        assert_eq!(violations(&[root.clone(), module.clone()]), Vec::<String>::new());

        let careless = file("a/src/b.rs", "fn f() { unsafe { g() } }");
        assert!(violations(&[root.clone(), careless])[0].contains("a/src/b.rs:2: unsafe code"));
        let silent = SourceFile::new("a/src/b.rs", "fn f() {}");
        assert!(violations(&[root.clone(), silent])[0].contains("opens without"));
        let orphan = file("a/src/c.rs", "");
        assert!(violations(&[root, module, orphan])[0].contains("no file declares"));
        let lax = file("a/src/lib.rs", "#![deny(unsafe_code)]");
        assert!(violations(&[lax])[0].contains("needs #![forbid"));
        let pointer = file("a/tests/b.rs", "fn f(g: unsafe fn() -> i32) {}");
        assert_eq!(violations(&[pointer]), Vec::<String>::new());
        let machine = file("kernel/machine/src/lib.rs", "unsafe {}");
        assert_eq!(violations(&[machine]), Vec::<String>::new());
    }

    #[test]
    fn the_ratchet_lets_nothing_grow_and_nothing_stay_that_shrank() {
        let long = file("a/tests/long.rs", &"\n".repeat(600));
        assert!(violations(core::slice::from_ref(&long))[0].contains("601 lines"));
        let ratchet = |text: &str| SourceFile::new(RATCHET, text);
        let listed = [ratchet("601 a/tests/long.rs\n"), long.clone()];
        assert_eq!(violations(&listed), Vec::<String>::new());
        let grown = [ratchet("600 a/tests/long.rs\n"), long.clone()];
        assert!(violations(&grown)[0].contains("601 lines; 600"));
        let shrunk = [ratchet("700 a/tests/long.rs\n"), long];
        assert!(violations(&shrunk)[0].contains("lower its entry"));
        let short = [ratchet("600 a/tests/long.rs\n"), file("a/tests/long.rs", "")];
        assert!(violations(&short).iter().any(|text| text.contains("entry")));
        assert!(violations(&[ratchet("600 a/tests/gone.rs\n")])[0].contains("is gone"));
    }
}
