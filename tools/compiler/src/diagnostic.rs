//! What the compiler has to say about a text: values, which a host renders with the source beside them and a console in a line.
//!
//! Positions are byte offsets into the source, so nothing here needs the text. Every stage reports through one list and goes on;
//! the list is bounded, because a text of garbage has as many mistakes as letters.

use alloc::string::String;
use alloc::vec::Vec;

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
    /// Where.
    pub span: Span,
    /// What is wrong, in one line.
    pub message: String,
    /// What to note at the place itself; may be empty.
    pub label: String,
    /// What to write instead, where the compiler knows.
    pub help: Option<String>,
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
            self.list.push(Diagnostic { span, message: message.into(), label, help: None });
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

    /// Whether nothing was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, by place.
    pub(crate) fn into_list(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.span.start);
        self.list
    }
}
