//! `revenant compile`: a program of the language to a module, and its mistakes as text with the source beside them.
//!
//! The compiler hands out mistakes as values; how they look is decided here alone, so the tests of their looks stand here, too.

use crate::modules::{finish, read};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use clap::Args;
use core::ops::Range;
use revenant_bytecode::{VerifiedModule, encode};
use revenant_compiler::{Diagnostic, Mistakes, Source, Span, compile_files};
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

/// Reads and compiles a program, with the files that it imports. The module's name is the first file's, without its ending.
///
/// # Errors
/// All mistakes, drawn; or why the file cannot be read.
pub fn load(path: &Path) -> Result<VerifiedModule, String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let main = Source { path: file.into_owned(), text: text(path)? };
    let mut read = |path: &str| text(&folder.join(path));
    compile_files(main, &name, &mut read).map_err(|mistakes| render(&mistakes, folder))
}

fn text(path: &Path) -> Result<String, String> {
    let shown = path.display();
    String::from_utf8(read(path)?).map_err(|error| format!("{shown}: expected UTF-8 text: {error}"))
}

/// The mistakes as text, without colours; the files are shown as lying in this folder.
#[must_use]
pub fn render(mistakes: &Mistakes, folder: &Path) -> String {
    let renderer = Renderer::plain();
    let in_folder = |source: &Source| Source {
        path: folder.join(&source.path).display().to_string(),
        text: source.text.clone(),
    };
    let sources: Vec<Source> = mistakes.sources.iter().map(in_folder).collect();
    let drawn: Vec<String> = mistakes
        .list
        .iter()
        .map(|diagnostic| renderer.render(&[group(&sources, diagnostic)]))
        .collect();
    drawn.join("\n\n")
}

fn group<'a>(sources: &'a [Source], diagnostic: &'a Diagnostic) -> Group<'a> {
    let main =
        mark(sources, AnnotationKind::Primary, diagnostic.file, diagnostic.span, &diagnostic.label);
    let title = Level::ERROR.primary_title(&*diagnostic.message);
    let group = match &diagnostic.other {
        Some(other) => {
            let kind = AnnotationKind::Context;
            let second = mark(sources, kind, other.file, other.span, &other.label);
            if other.file == diagnostic.file {
                let text = sources.get(other.file);
                title.element(snippet(text).annotations([main, second]))
            } else {
                title
                    .element(snippet(sources.get(diagnostic.file)).annotation(main))
                    .element(snippet(sources.get(other.file)).annotation(second))
            }
        }
        None => title.element(snippet(sources.get(diagnostic.file)).annotation(main)),
    };
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(&**help)),
        None => group,
    }
}

fn snippet(source: Option<&Source>) -> Snippet<'_, Annotation<'_>> {
    let (text, path) = source.map_or(("", ""), |source| (&*source.text, &*source.path));
    Snippet::source(text).path(path)
}

fn mark<'a>(
    sources: &'a [Source],
    kind: AnnotationKind,
    file: usize,
    span: Span,
    label: &'a str,
) -> Annotation<'a> {
    let text = sources.get(file).map_or("", |source| &source.text);
    let mark = kind.span(range(text, span));
    if label.is_empty() { mark } else { mark.label(label) }
}

/// The bytes of a span, widened to whole characters: a mistake may be in the middle of one.
fn range(source: &str, span: Span) -> Range<usize> {
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX).min(source.len());
    let start = source.floor_char_boundary(place(span.start));
    start..source.ceil_char_boundary(place(span.end)).max(start)
}
