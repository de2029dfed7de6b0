//! Every program of the language passes TypeScript's own compiler, so that editors, formatters and highlighters work unchanged.
//!
//! Needs `make setup`, which brings the pinned compiler; fails, and says so, where it is not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
#[ignore = "needs `make setup`, which brings TypeScript"]
fn every_program_passes_the_compiler_of_typescript() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let compiler = root.join("build/typescript/node_modules/typescript/bin/tsc");
    assert!(compiler.exists(), "TypeScript is missing: `make setup` brings it");
    let mut programs: Vec<PathBuf> = Vec::new();
    for folder in
        ["samples", "samples/awfy", "samples/bench", "tools/tests/language/run", "tests/tests"]
    {
        let entries = fs::read_dir(root.join(folder)).expect("the folder");
        programs.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    programs.retain(|path| path.extension().is_some_and(|extension| extension == "ts"));
    assert!(programs.len() >= 3);
    let output = Command::new("node")
        .arg(compiler)
        .args(["--noEmit", "--strict", "--noLib", "--target", "es2022", "--module", "es2022"])
        .arg(root.join("tools/compiler/library/revenant.d.ts"))
        .args(&programs)
        .output()
        .expect("node");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
