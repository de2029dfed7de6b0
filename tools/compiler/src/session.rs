//! A session: texts in, one after the other, modules out. Each module imports from those before it and exports what it declares.
//!
//! The engine of whatever reads texts: it knows no terminal and no machine. Its caller loads each module beside the others, in the order
//! in which they were handed out, and calls the `main` that it exports; the module itself prints the value of a last expression.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{ExportItem, Module, VerifiedModule, infer_blocks, verify};

use crate::detach::{detach, module_name};
use crate::diagnostic::Diagnostics;
use crate::files::Files;
use crate::lower::Known;
use crate::{Mistakes, SOURCE_BYTES_MAX, Span, ast, lower, mistakes, parser};

/// Most inputs of a session.
const INPUTS_MAX: usize = 60_000;

/// What has been typed so far and could be compiled.
#[derive(Debug, Default)]
pub struct Session {
    inputs: Vec<String>,
    bytes: usize,
    known: Known,
}

impl Session {
    /// A session in which nothing has been said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether brackets are open at the end of a text, so that more lines belong to it.
    #[must_use]
    pub fn is_open(text: &str) -> bool {
        parser::is_open(text)
    }

    /// Compiles the next input: declarations and statements. Where there is a mistake the session is as before.
    ///
    /// # Errors
    /// What is wrong with the input.
    pub fn compile(&mut self, input: &str) -> Result<VerifiedModule, Mistakes> {
        let mut diagnostics = Diagnostics::default();
        let number = self.inputs.len().saturating_add(1);
        let bytes = self.bytes.saturating_add(input.len());
        if bytes > SOURCE_BYTES_MAX || number > INPUTS_MAX {
            diagnostics.error(Span::default(), "the session is too long; begin a new one", "");
            return Err(mistakes(&Files::of_inputs(&[], ""), diagnostics));
        }
        let files = Files::of_inputs(&self.inputs, input);
        let programs = files.list.iter().zip(0..).map(|(file, number)| {
            let (text, start) = files.up_to(file);
            if number == 0 {
                parser::parse(text, start, number, &mut diagnostics)
            } else {
                parser::parse_input(text, start, number, &mut diagnostics)
            }
        });
        let programs: Vec<_> = programs.collect();
        let (program, parts) = ast::join(programs);
        let (module, symbols) =
            lower::lower_input(&program, &parts, &files, &self.known, &mut diagnostics);
        if !diagnostics.is_empty() {
            return Err(mistakes(&files, diagnostics));
        }
        let mut module = detach(module, &self.known, &symbols);
        module.name = module_name(files.main);
        module.source = module.name.clone();
        let exported = exported(&module);
        let verified =
            infer_blocks(&mut module).and_then(|()| verify(module)).map_err(|error| {
                let message =
                    format!("a fault of the compiler: what it made does not verify: {error}");
                diagnostics.error(Span::default(), message, "");
                mistakes(&files, diagnostics)
            })?;
        for (symbol, is_function) in exported {
            let known =
                if is_function { &mut self.known.functions } else { &mut self.known.classes };
            known.insert(symbol, files.main);
        }
        self.inputs.push(input.into());
        self.bytes = bytes;
        Ok(verified)
    }
}

/// What a module exports, but for the function that begins it: the symbol, and whether it is a function.
fn exported(module: &Module) -> BTreeMap<String, bool> {
    let exports = module.exports.iter().filter(|export| export.name != "main");
    let kinds =
        exports.map(|export| (export.name.clone(), matches!(export.item, ExportItem::Function(_))));
    kinds.collect()
}
