//! `revenant compile`: a program of the language to a module, and its mistakes as text with the source beside them.
//!
//! The compiler hands out mistakes as values; how they look is decided here alone, so the tests of their looks stand here, too.

use crate::modules::{finish, read};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use clap::Args;
use core::ops::Range;
use revenant_bytecode::{VerifiedModule, encode};
use revenant_compiler::{Diagnostic, Span, compile};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compiles a program into a module.
#[derive(Args, Debug)]
pub struct CompileArguments {
    /// The program, usually NAME.ts
    pub input: PathBuf,
    /// The module to write; by default the input with the ending .rmod
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs `revenant compile`.
#[must_use]
pub fn compile_file(arguments: &CompileArguments) -> ExitCode {
    let output = arguments.output.clone().unwrap_or_else(|| arguments.input.with_extension("rmod"));
    finish(load(&arguments.input).and_then(|verified| {
        let bytes = encode(verified.module());
        fs::write(&output, bytes).map_err(|error| format!("{}: {error}", output.display()))
    }))
}

/// Reads and compiles a program. The module's name is the file's, without its ending.
///
/// # Errors
/// All mistakes, drawn; or why the file cannot be read.
pub fn load(path: &Path) -> Result<VerifiedModule, String> {
    let shown = path.display().to_string();
    let source = String::from_utf8(read(path)?)
        .map_err(|error| format!("{shown}: expected UTF-8 text: {error}"))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    compile(&source, &name, &file).map_err(|diagnostics| render(&source, &shown, &diagnostics))
}

/// The mistakes as text, without colours.
#[must_use]
pub fn render(source: &str, path: &str, diagnostics: &[Diagnostic]) -> String {
    let renderer = Renderer::plain();
    let drawn: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| renderer.render(&[group(source, path, diagnostic)]))
        .collect();
    drawn.join("\n\n")
}

fn group<'a>(source: &'a str, path: &'a str, diagnostic: &'a Diagnostic) -> Group<'a> {
    let mut mark = AnnotationKind::Primary.span(range(source, diagnostic.span));
    if !diagnostic.label.is_empty() {
        mark = mark.label(&*diagnostic.label);
    }
    let snippet = Snippet::source(source).path(path).annotation(mark);
    let title = Level::ERROR.primary_title(&*diagnostic.message);
    let group = title.element(snippet);
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(&**help)),
        None => group,
    }
}

/// The bytes of a span, widened to whole characters: a mistake may be in the middle of one.
fn range(source: &str, span: Span) -> Range<usize> {
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX).min(source.len());
    let start = source.floor_char_boundary(place(span.start));
    start..source.ceil_char_boundary(place(span.end)).max(start)
}
