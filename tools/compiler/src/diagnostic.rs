//! What the compiler has to say about a text: values, which a host renders with the source beside them and a console in a line.
//!
//! Positions are byte offsets, so nothing here needs the text: while compiling into the text of all files, in the end into a file. Every stage reports through one list and goes on;
//! the list is bounded, because a text of garbage has as many mistakes as letters.

use alloc::string::String;
use alloc::vec::Vec;

use crate::files::Files;

/// Most diagnostics of one run; what comes after them is not reported.
pub const DIAGNOSTICS_MAX: usize = 100;

/// A range of bytes of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// From the start of one to the end of the other.
    #[must_use]
    pub const fn to(self, end: Self) -> Self {
        Self { start: self.start, end: end.end }
    }
}

/// One mistake in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The number of the file.
    pub file: usize,
    /// Where in it.
    pub span: Span,
    /// What is wrong, in one line.
    pub message: String,
    /// What to note at the place itself; may be empty.
    pub label: String,
    /// What to write instead, where the compiler knows.
    pub help: Option<String>,
    /// Another place that has to do with it.
    pub other: Option<OtherPlace>,
}

/// A place that a mistake at another one has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPlace {
    /// The number of the file.
    pub file: usize,
    /// Where in it.
    pub span: Span,
    /// What to note there.
    pub label: String,
}

/// The diagnostics of a run.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Reports a mistake. A second one at the same place says nothing new and is dropped.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>, label: &str) {
        let known = self.list.last().is_some_and(|last| last.span == span);
        if !known && self.list.len() < DIAGNOSTICS_MAX {
            let label = String::from(label);
            let (message, help, other) = (message.into(), None, None);
            self.list.push(Diagnostic { file: 0, span, message, label, help, other });
        }
    }

    /// The same with advice.
    pub(crate) fn error_with_help(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) {
        let before = self.list.len();
        self.error(span, message, label);
        if let Some(added) = self.list.get_mut(before) {
            added.help = Some(help.into());
        }
    }

    /// Notes at another place what the mistake that was reported last, at `span`, has to do with it.
    pub(crate) fn also(&mut self, span: Span, place: Span, label: &str) {
        if let Some(last) = self.list.last_mut()
            && last.span == span
            && last.other.is_none()
        {
            last.other = Some(OtherPlace { file: 0, span: place, label: label.into() });
        }
    }

    /// Whether nothing was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, by place, each in its file.
    pub(crate) fn into_list(mut self, files: &Files) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.span.start);
        for diagnostic in &mut self.list {
            (diagnostic.file, diagnostic.span) = in_file(files, diagnostic.span);
            if let Some(other) = &mut diagnostic.other {
                (other.file, other.span) = in_file(files, other.span);
            }
        }
        self.list
    }
}

/// The number of the file of a place, and the place in it. What has no place belongs to the program's first file.
fn in_file(files: &Files, span: Span) -> (usize, Span) {
    if span == Span::default() {
        return (files.main.into(), span);
    }
    let number = usize::from(files.number_of(span.start));
    let start = files.list.get(number).map_or(0, |file| file.span.start);
    let place = |at: u32| at.saturating_sub(start);
    (number, Span { start: place(span.start), end: place(span.end) })
}
