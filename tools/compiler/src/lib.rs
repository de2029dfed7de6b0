//! The compiler of the language for Revenant programs: the files of a program to a module. LANGUAGE.md is the reference.
//!
//! ```text
//!   files ─ lexer ─▶ tokens ─ parser ─▶ ast ─ lower ─▶ Module ─ infer_blocks, verify ─▶ VerifiedModule
//!                                            │ types, scopes, registers; emit: labels, distances
//! ```
//!
//! Every stage reports into one list of [`Diagnostic`]s and goes on; a module is made only if the list is empty. No input makes it
//! panic or exhaust the stack: the parser bounds the tree's height. What it makes always verifies; a module that does not is a
//! fault of the compiler, and is reported as one instead of being handed out.
//!
//! Checking and generation are one walk: an expression is generated as soon as its type is known, into registers that the walk
//! hands out like a stack above the local variables, which have registers of their own. Before it, the names of the files are declared; the
//! library's own classes are a file beside them, of which only what is used is walked.
//!
//! A program of several files becomes one module: a generic class for one choice of types is one class wherever it is used, variables are
//! imported by instructions and not by calls, and which methods some class has again is known. (A module file imports functions and classes.)
//! Reading files is the caller's part, by a [`Reader`].
//!
//! In a [`Session`] each input becomes a module that imports from those before it: it is lowered as if it were alone with everything that has
//! been declared so far, and `detach` turns what is known already into imports.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ast;
mod detach;
mod diagnostic;
mod emit;
mod files;
mod lexer;
mod lower;
mod parser;
mod session;
mod types;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use diagnostic::Diagnostics;
pub use diagnostic::{DIAGNOSTICS_MAX, Diagnostic, OtherPlace, Span};
use files::Files;
pub use files::{Reader, Source};
use revenant_bytecode::{VerifiedModule, infer_blocks, verify};
pub use session::Session;

/// Most bytes of all sources: places in them are 32 bits, with room to spare.
pub const SOURCE_BYTES_MAX: usize = 64 << 20;

/// What the language's own classes are made of.
const LIBRARY: &str = concat!(
    include_str!("../library/library.ts"),
    include_str!("../library/deque.ts"),
    include_str!("../library/texts.ts"),
    include_str!("../library/json.ts"),
    include_str!("../library/threads.ts"),
    include_str!("../library/root.ts")
);

/// What is wrong with a program, and the files that it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The files, by their numbers. The first is the library.
    pub sources: Vec<Source>,
    /// What is wrong, by place.
    pub list: Vec<Diagnostic>,
}

/// Compiles the text of a program of one file. `name` is the module's, `file` the source's for stack traces.
///
/// # Errors
/// What is wrong with the text, by place.
pub fn compile(source: &str, name: &str, file: &str) -> Result<VerifiedModule, Vec<Diagnostic>> {
    let main = Source { path: file.into(), text: source.into() };
    let mut none = |_: &str| Err(String::from("there are no other files here"));
    compile_files(main, name, &mut none).map_err(|mistakes| mistakes.list)
}

/// Compiles a program that begins in the file `main`, with what that imports, into one module. `name` is the module's.
///
/// # Errors
/// What is wrong with the files.
pub fn compile_files(
    main: Source,
    name: &str,
    read: &mut Reader<'_>,
) -> Result<VerifiedModule, Mistakes> {
    let mut diagnostics = Diagnostics::default();
    if main.text.len() > SOURCE_BYTES_MAX {
        diagnostics.error(Span::default(), "the source is longer than 64 MiB", "");
        let main = Source { text: String::new(), ..main };
        return Err(mistakes(&Files::gather(main, read), diagnostics));
    }
    let file = main.path.clone();
    let files = Files::gather(main, read);
    let programs = files.list.iter().zip(0..).map(|(file, number)| {
        let (text, start) = files.up_to(file);
        parser::parse(text, start, number, &mut diagnostics)
    });
    let programs: Vec<_> = programs.collect();
    let (program, parts) = ast::join(programs);
    let mut module = lower::lower(&program, &parts, &files, &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(mistakes(&files, diagnostics));
    }
    module.name = name.into();
    module.source = file;
    let verified = infer_blocks(&mut module).and_then(|()| verify(module));
    verified.map_err(|error| {
        let message = format!("a fault of the compiler: what it made does not verify: {error}");
        diagnostics.error(Span::default(), message, "");
        mistakes(&files, diagnostics)
    })
}

fn mistakes(files: &Files, diagnostics: Diagnostics) -> Mistakes {
    let sources = files.list.iter().map(|file| {
        let (text, start) = files.up_to(file);
        Source { path: file.path.clone(), text: text.get(start..).unwrap_or_default().into() }
    });
    Mistakes { sources: sources.collect(), list: diagnostics.into_list(files) }
}
