//! The compiler of the language for Revenant programs: the text of a program to a module. LANGUAGE.md is the reference.
//!
//! ```text
//!   text ─ lexer ─▶ tokens ─ parser ─▶ ast ─ lower ─▶ Module ─ infer_blocks, verify ─▶ VerifiedModule
//!                                            │ types, scopes, registers; emit: labels, distances
//! ```
//!
//! Every stage reports into one list of [`Diagnostic`]s and goes on; a module is made only if the list is empty. No input makes it
//! panic or exhaust the stack: the parser bounds the tree's height. What it makes always verifies; a module that does not is a
//! fault of the compiler, and is reported as one instead of being handed out.
//!
//! Checking and generation are one walk: an expression is generated as soon as its type is known, into registers that the walk
//! hands out like a stack above the local variables, which have registers of their own. Before it, the names of the file are declared; the
//! library's own classes are a program beside it, of which only what is used is walked.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ast;
mod diagnostic;
mod emit;
mod lexer;
mod lower;
mod parser;
mod types;

use alloc::format;
use alloc::vec::Vec;

pub use diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Span};
use revenant_bytecode::{VerifiedModule, infer_blocks, verify};

/// Most bytes of a source: places in it are 32 bits, with room to spare.
pub const SOURCE_BYTES_MAX: usize = 64 << 20;

/// What the language's own classes are made of.
const LIBRARY: &str = include_str!("../library/library.ts");

/// Compiles the text of a program. `name` is the module's, `file` the source's for stack traces.
///
/// # Errors
/// What is wrong with the text, by place.
pub fn compile(source: &str, name: &str, file: &str) -> Result<VerifiedModule, Vec<Diagnostic>> {
    let mut diagnostics = diagnostic::Diagnostics::default();
    if source.len() > SOURCE_BYTES_MAX {
        diagnostics.error(Span::default(), "the source is longer than 64 MiB", "");
        return Err(diagnostics.into_list());
    }
    let mut program = parser::parse(source, false, &mut diagnostics);
    let mut library = parser::parse(LIBRARY, true, &mut diagnostics);
    // The library comes first: what has one of its names is shown where the program declares it.
    library.functions.append(&mut program.functions);
    library.classes.append(&mut program.classes);
    (program.functions, program.classes) = (library.functions, library.classes);
    let mut module = lower::lower(&program, source, &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(diagnostics.into_list());
    }
    module.name = name.into();
    module.source = file.into();
    let verified = infer_blocks(&mut module).and_then(|()| verify(module));
    verified.map_err(|error| {
        let message = format!("a fault of the compiler: what it made does not verify: {error}");
        diagnostics.error(Span::default(), message, "");
        diagnostics.into_list()
    })
}
