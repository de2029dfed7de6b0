//! The rules of the house, checked over the source tree by a test instead of by reviewers.
//!
//! Each rule is a pure function from the tree to violations; a violation names the file, the line and what to do. The rules
//! have planted violations of their own. Neighbours: Clippy and rustc check what they can (lengths of functions, missing
//! documentation, unwraps: the lint table in Cargo.toml); here stands what they cannot see.
//!
//! | rule | where |
//! |---|---|
//! | a crate depends only on crates of a lower layer; every crate inherits the lints | [`packages`] |
//! | every test target is reached by `make test` | [`packages`] |
//! | unsafe code only where it may stand; every other crate root forbids it | [`sources`] |
//! | every file opens with its purpose; no orphans; sizes only shrink | [`sources`] |
//! | no words that do not belong; no printing from crates without an operating system | [`words`] |

pub mod lexer;
pub mod packages;
pub mod sources;
pub mod words;

use std::fmt;
use std::path::Path;

/// One file of the tree.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path below the repository's root, with `/`.
    pub path: String,
    /// The content.
    pub text: String,
}

impl SourceFile {
    /// A file from its parts, for tests.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether it is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// A rule that is broken somewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Violation {
    /// The file.
    pub path: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Violation {
    /// A violation at a line.
    #[must_use]
    pub fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Every text file of the repository but what is built and what cargo writes.
///
/// # Errors
/// If a folder or a file cannot be read.
pub fn read_tree(root: &Path) -> Result<Vec<SourceFile>, String> {
    let mut files = Vec::new();
    read_folder(root, root, &mut files)?;
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> Result<(), String> {
    let complain = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(complain)? {
        let entry = entry.map_err(complain)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let kind = entry.file_type().map_err(complain)?;
        if kind.is_dir() {
            if !matches!(&*name, "target" | "build" | ".git" | "corpus" | "artifacts") {
                read_folder(root, &path, files)?;
            }
        } else if kind.is_file() && is_text(&name) {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let below = path.strip_prefix(root).unwrap_or(&path);
            files.push(SourceFile { path: below.to_string_lossy().replace('\\', "/"), text });
        }
    }
    Ok(())
}

fn is_text(name: &str) -> bool {
    let extensions = ["rs", "toml", "md", "sh", "json", "rasm", "c", "lua", "svg", "txt"];
    let known = ["Makefile", "run", "metal-cargo", "host-cargo", ".gitignore"];
    known.contains(&name)
        || name.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// All rules over a tree; empty if the house is in order.
#[must_use]
pub fn check(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    packages::check(files, &mut violations);
    sources::check(files, &mut violations);
    words::check(files, &mut violations);
    violations.sort();
    violations
}
