//! The assembler: `.rasm` text to a [`Module`] with block types inferred. ASSEMBLY.md describes the language.
//!
//! ```text
//!   text ── lexer ──> tokens ── parser ──> items ── names ──> indices of classes and functions
//!                                            └── function (calls, registers, labels) ──> code ──> infer_blocks
//! ```
//!
//! What the text says in any order comes out in one order (imports, classes, functions), and tables of strings and signatures fill in order
//! of first use, so that assembling a disassembly gives the same module. Errors name line and column and say what was expected.

mod calls;
mod classes;
mod finish;
mod function;
mod items;
mod lexer;
mod names;
mod operands;
mod parser;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::module::Module;
use crate::verify::{Place, VerifyError, infer_blocks};

/// Why a text is not a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsmError {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1; 0 if the line as a whole is meant.
    pub column: u32,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for AsmError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.line)?;
        if self.column > 0 {
            write!(formatter, "{}:", self.column)?;
        }
        write!(formatter, " {}", self.message)
    }
}

impl core::error::Error for AsmError {}

/// Assembles `text`, which stands in the file `source` (for traces). The module is not verified yet, but its block types are.
///
/// # Errors
/// The first thing that is not as the language wants it, or whose types cannot be right.
pub fn assemble(text: &str, source: &str) -> Result<Module, AsmError> {
    let tokens = lexer::tokenize(text)?;
    let items = parser::parse(tokens)?;
    let names = names::Names::collect(&items)?;
    let mut builder = names.start_module(&items, source)?;
    classes::define(&items, &names, &mut builder)?;
    let mut register_names = Vec::new();
    for item in &items.functions {
        register_names.push(function::define(item, &names, &mut builder)?);
    }
    let mut module = builder.module;
    infer_blocks(&mut module).map_err(|error| explain(&module, &register_names, &error))?;
    Ok(module)
}

/// Names of the registers of one function: as the verifier writes them, as the text does.
type RegisterNames = BTreeMap<String, String>;

/// A type error at its source line, with the names of the registers that it speaks of.
fn explain(module: &Module, names: &[RegisterNames], error: &VerifyError) -> AsmError {
    let mut message = format!("{error}");
    let mut line = 0;
    if let Place::Function { name, line: known, .. } = &error.place {
        line = known.unwrap_or(0);
        let function = module.functions.iter().position(|function| function.name == *name);
        let mut explained = Vec::new();
        if let Some(names) = function.and_then(|index| names.get(index)) {
            for word in error.reason.split(|character: char| !character.is_alphanumeric()) {
                if let Some(name) = names.get(word) {
                    let text = format!("{word} is `{name}`");
                    if !explained.contains(&text) {
                        explained.push(text);
                    }
                }
            }
        }
        if !explained.is_empty() {
            message = format!("{message} ({})", explained.join(", "));
        }
    }
    AsmError { line, column: 0, message }
}
