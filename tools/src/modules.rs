//! `revenant asm`, `disasm`, `verify`: modules as files.
//!
//! Messages begin with the file, then line and column or function and instruction, and say what was expected.

use clap::Args;
use revenant_bytecode::{VerifiedModule, assemble, decode, disassemble, encode, verify};
use revenant_vm::CreationError;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Assembles a text into a module.
#[derive(Args, Debug)]
pub struct AsmArguments {
    /// The text, usually NAME.rasm
    pub input: PathBuf,
    /// The module to write; by default the input with the ending .rmod
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Prints a module as text that `asm` reads.
#[derive(Args, Debug)]
pub struct DisasmArguments {
    /// The module
    pub module: PathBuf,
}

/// Checks modules as a loader would.
#[derive(Args, Debug)]
pub struct VerifyArguments {
    /// The modules (or texts, which are assembled first)
    #[arg(required = true)]
    pub modules: Vec<PathBuf>,
}

/// Reads a module, compiling or assembling it first if the file is a text, and verifies it.
///
/// # Errors
/// One line: the file, the place in it, what was expected.
pub fn load(path: &Path) -> Result<VerifiedModule, String> {
    let name = path.display();
    if path.extension().is_some_and(|extension| extension == "ts") {
        return crate::compile::load(path);
    }
    let module = if path.extension().is_some_and(|extension| extension == "rasm") {
        assemble_file(path)?
    } else {
        decode(&read(path)?).map_err(|error| format!("{name}: {error}"))?
    };
    verify(module).map_err(|error| format!("{name}: {error}"))
}

/// Loads several and gives them as module files.
///
/// # Errors
/// As [`load`], for the first that is refused.
pub fn load_all(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    paths.iter().map(|path| load(path).map(|module| encode(module.module()))).collect()
}

/// Why programs could not be made from the modules of these files, with the name of the file.
#[must_use]
pub fn explain(error: &CreationError, paths: &[PathBuf]) -> String {
    match error {
        CreationError::Module { index, reason } => match paths.get(*index) {
            Some(path) => format!("{}: {reason}", path.display()),
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// Runs `revenant asm`.
#[must_use]
pub fn asm(arguments: &AsmArguments) -> ExitCode {
    let output = arguments.output.clone().unwrap_or_else(|| arguments.input.with_extension("rmod"));
    finish(assemble_file(&arguments.input).and_then(|module| {
        // What the assembler made must pass like anything else: better here than at the loader.
        let verified =
            verify(module).map_err(|error| format!("{}: {error}", arguments.input.display()))?;
        let bytes = encode(verified.module());
        fs::write(&output, bytes).map_err(|error| format!("{}: {error}", output.display()))
    }))
}

/// Runs `revenant disasm`.
#[must_use]
pub fn disasm(arguments: &DisasmArguments) -> ExitCode {
    let path = &arguments.module;
    finish(read(path).and_then(|bytes| {
        let module = decode(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        print!("{}", disassemble(&module));
        Ok(())
    }))
}

/// Runs `revenant verify`.
#[must_use]
pub fn verify_files(arguments: &VerifyArguments) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for path in &arguments.modules {
        match load(path) {
            Ok(verified) => {
                let module = verified.module();
                println!(
                    "{}: {} version {}: {} classes, {} functions, verified",
                    path.display(),
                    module.name,
                    module.version,
                    module.classes.len(),
                    module.functions.len()
                );
            }
            Err(message) => {
                eprintln!("{message}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Prints the error, if there is one, and turns the result into an exit code.
pub fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn assemble_file(path: &Path) -> Result<revenant_bytecode::Module, String> {
    let text = String::from_utf8(read(path)?)
        .map_err(|error| format!("{}: expected UTF-8 text: {error}", path.display()))?;
    let source = path.file_name().unwrap_or_default().to_string_lossy();
    assemble(&text, &source).map_err(|error| format!("{}:{error}", path.display()))
}
