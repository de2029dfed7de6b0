//! Rules over words: what must not be left behind in code or documents, and no printing where nobody would see it.

use super::lexer::{code_only, has_word};
use super::{SourceFile, Violation};

/// This file and the list of lengths name what they forbid.
const EXEMPT: [&str; 1] = ["tests/src/tidy/words.rs"];

/// Left behind: unfinished work, and paths of the place where somebody worked.
const BANNED: [(&str, &str); 6] = [
    ("FIXME", "fix it, or open an issue"),
    ("XXX", "say what is meant"),
    ("TODO", "do it, or open an issue"),
    ("(to be written)", "write it, or leave the file out"),
    ("/home/", "a path of somebody's machine"),
    ("/root/", "a path of somebody's machine"),
];

/// Macros that print where there is no one to print to.
const PRINTING: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];

/// Checks every text file.
pub fn check(files: &[SourceFile], violations: &mut Vec<Violation>) {
    for file in files.iter().filter(|file| !EXEMPT.contains(&&*file.path)) {
        for (index, line) in file.text.lines().enumerate() {
            for (word, remedy) in BANNED.iter().filter(|(word, _)| line.contains(word)) {
                let message = format!("{word:?} may not stand here: {remedy}");
                violations.push(Violation::new(&file.path, index + 1, message));
            }
        }
    }
    for folder in folders_without_system(files) {
        for file in files.iter().filter(|file| file.is_rust() && file.path.starts_with(&folder)) {
            check_printing(file, violations);
        }
    }
}

/// Source folders of crates that are `no_std`.
fn folders_without_system(files: &[SourceFile]) -> Vec<String> {
    files
        .iter()
        .filter(|file| {
            file.text.lines().any(|line| line.starts_with("#![") && line.contains("no_std"))
        })
        .filter_map(|file| file.path.strip_suffix("lib.rs").or(file.path.strip_suffix("main.rs")))
        .map(str::to_owned)
        .collect()
}

/// Outside tests, a crate without an operating system reports events or values; it does not print.
fn check_printing(file: &SourceFile, violations: &mut Vec<Violation>) {
    if file.path.ends_with("/tests.rs") || file.path.contains("/tests/") {
        return;
    }
    let code = code_only(&file.text);
    for (index, line) in code.lines().enumerate() {
        if line.contains("#[cfg(test)]") {
            break;
        }
        let prints = |name: &&str| line.contains(&format!("{name}!")) && has_word(line, name);
        if let Some(name) = PRINTING.iter().find(|name| prints(name)) {
            let message = format!("{name}! in a crate without an operating system");
            violations.push(Violation::new(&file.path, index + 1, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(files: &[SourceFile]) -> Vec<String> {
        let mut violations = Vec::new();
        check(files, &mut violations);
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn planted_leftovers_and_prints_are_caught() {
        let note = SourceFile::new("a.md", "fine\nFIXME later");
        assert!(violations(&[note])[0].starts_with("a.md:2: \"FIXME\""));
        let root = SourceFile::new("a/src/lib.rs", "#![no_std]");
        let print = SourceFile::new("a/src/b.rs", "// println!\nfn f() { println!(\"x\") }");
        assert!(violations(&[root.clone(), print])[0].starts_with("a/src/b.rs:2: println!"));
        let test =
            SourceFile::new("a/src/b.rs", "#[cfg(test)]\nmod tests { fn f() { println!() } }");
        assert_eq!(violations(&[root, test]), Vec::<String>::new());
        let hosted = SourceFile::new("b/src/lib.rs", "fn f() { println!() }");
        assert_eq!(violations(&[hosted]), Vec::<String>::new());
    }
}
