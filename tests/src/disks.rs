//! Disks for machines, made and checked by the `revenant` command that was built beside the test: what a person would use.

use crate::harness::{repository, scratch_file};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the command; what it said.
///
/// # Errors
/// It is not built, or it failed: with what it said.
pub fn revenant(arguments: &[&str]) -> Result<String, String> {
    let mut program = std::env::current_exe().map_err(|error| error.to_string())?;
    program.pop();
    program.pop();
    program.push("revenant");
    if !program.is_file() {
        return Err(format!("{}: not built; cargo build -p revenant-tools", program.display()));
    }
    let output = Command::new(&program)
        .args(arguments)
        .current_dir(repository())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("revenant {arguments:?}: {} {text}", output.status))
    }
}

/// A fresh disk of `size` (as `--size` takes it) with a program of samples/, below build/scratch/. A name without an ending is of assembly.
///
/// # Errors
/// As [`revenant`].
pub fn disk_with(
    program: &str,
    name: &str,
    size: &str,
    arguments: &[&str],
) -> Result<PathBuf, String> {
    disk_with_several(program, name, size, arguments, &[])
}

/// As [`disk_with`], with further programs of the same file, each in a group of its own: their arguments.
///
/// # Errors
/// As [`revenant`].
pub fn disk_with_several(
    program: &str,
    name: &str,
    size: &str,
    arguments: &[&str],
    beside: &[&str],
) -> Result<PathBuf, String> {
    let path = scratch_file(name)?;
    let image = path.to_string_lossy().into_owned();
    let ending = if program.contains('.') { "" } else { ".rasm" };
    let source = format!("samples/{program}{ending}");
    let mut line = vec!["disk", "create", &image, "--size", size, "--force", "--module", &source];
    for argument in arguments {
        line.extend(["--arg", *argument]);
    }
    let programs: Vec<String> = beside.iter().map(|text| format!("{source} {text}")).collect();
    for program in &programs {
        line.extend(["--program", program]);
    }
    revenant(&line)?;
    Ok(path)
}

/// Reads every block of a disk that no machine runs from, and requires that all is well.
///
/// # Errors
/// What the check found.
pub fn check(path: &Path) -> Result<(), String> {
    revenant(&["disk", "check", &path.to_string_lossy()]).map(drop)
}

/// Blocks of 4 KiB that an image takes of its file system: what is a hole takes none.
///
/// # Errors
/// It cannot be looked at.
pub fn allocated_blocks(path: &Path) -> Result<u64, String> {
    let found = path.metadata().map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(found.blocks() / 8) // told in units of 512 bytes
}
