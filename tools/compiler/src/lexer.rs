//! Text to tokens: names, numbers, strings, templates, punctuators, with their places.
//!
//! Never fails: what is no token is reported and left out. The pieces of a template `a${b}c` are tokens of their own, between
//! which the tokens of the expressions stand; a stack of brace depths says which `}` ends an expression.

use alloc::format;
use alloc::vec::Vec;

use crate::diagnostic::{Diagnostics, Span};

/// What a token is. Its text is found by its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a keyword.
    Name,
    /// A number, in any notation.
    Number,
    /// A string with its quotes.
    String,
    /// A piece of a template; `last` ends it.
    Template { last: bool },
    /// A punctuator.
    Mark(&'static str),
    /// The end of the text.
    End,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// Whether a line ends between the token before and this one, where a semicolon may be left out.
    pub(crate) new_line: bool,
}

/// Longest first, so that the first that fits is the right one.
const MARKS: [&str; 52] = [
    ">>>=", "===", "!==", "**=", "<<=", ">>=", ">>>", "...", "&&=", "||=", "??=", "=>", "==", "!=",
    "<=", ">=", "&&", "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
    "<<", ">>", "**", "{", "}", "(", ")", "[", "]", ";", ",", "<", ">", "+", "-", "*", "/", "%",
    "&", "|", "^", "!",
];
/// The rest of them, of one character.
const MARKS_MORE: [&str; 6] = ["~", "?", ":", "=", ".", "@"];

/// Splits what stands in `source` from `start`; the last token is the end.
pub(crate) fn tokens(source: &str, start: usize, diagnostics: &mut Diagnostics) -> Vec<Token> {
    let mut lexer =
        Lexer { source, at: start, new_line: false, templates: Vec::new(), diagnostics };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        let start = lexer.at;
        let new_line = core::mem::take(&mut lexer.new_line);
        let kind = lexer.next();
        let Some(kind) = kind else { continue };
        tokens.push(Token { kind, span: lexer.span(start), new_line });
        if kind == Kind::End {
            return tokens;
        }
    }
}

struct Lexer<'s, 'd> {
    source: &'s str,
    at: usize,
    new_line: bool,
    /// For each template that is open, how many braces are open inside its expression.
    templates: Vec<u32>,
    diagnostics: &'d mut Diagnostics,
}

impl Lexer<'_, '_> {
    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn span(&self, start: usize) -> Span {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: place(start), end: place(self.at) }
    }

    fn skip_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        loop {
            match self.peek() {
                Some(b'\n') => {
                    self.new_line = true;
                    self.at += 1;
                }
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'/') if self.rest().starts_with("//") => {
                    self.skip_while(|byte| byte != b'\n')
                }
                Some(b'/') if self.rest().starts_with("/*") => self.skip_comment(),
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        let start = self.at;
        let length = self.rest().get(2..).and_then(|rest| rest.find("*/"));
        self.at = length.map_or(self.source.len(), |length| start + length + 4);
        let text = self.source.get(start..self.at).unwrap_or_default();
        self.new_line |= text.contains('\n');
        if length.is_none() {
            self.diagnostics.error(self.span(start), "this comment never ends", "begins here");
        }
    }

    fn next(&mut self) -> Option<Kind> {
        let Some(first) = self.peek() else { return Some(Kind::End) };
        match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => {
                self.skip_while(|byte| {
                    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
                });
                Some(Kind::Name)
            }
            b'0'..=b'9' => Some(self.number()),
            b'"' | b'\'' => Some(self.string(first)),
            b'`' => {
                self.at += 1;
                Some(self.template())
            }
            b'}' if self.templates.last() == Some(&0) => {
                self.templates.pop();
                self.at += 1;
                Some(self.template())
            }
            _ => self.mark(),
        }
    }

    fn number(&mut self) -> Kind {
        let prefixed =
            ["0x", "0X", "0b", "0B", "0o", "0O"].iter().any(|p| self.rest().starts_with(p));
        self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !prefixed {
            let rest = self.rest().as_bytes();
            if rest.first() == Some(&b'.') && rest.get(1).is_some_and(u8::is_ascii_digit) {
                self.at += 1;
                self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            }
            let before = self.at.checked_sub(1).and_then(|at| self.source.as_bytes().get(at));
            if matches!(before, Some(b'e' | b'E')) && matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
                self.skip_while(|byte| byte.is_ascii_digit());
            }
        }
        Kind::Number
    }

    fn string(&mut self, quote: u8) -> Kind {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None | Some(b'\n') => {
                    self.at = self.at.min(self.source.len());
                    let help = "a text over several lines is written in backticks";
                    let message = "this string has no end in its line";
                    self.diagnostics.error_with_help(
                        self.span(start),
                        message,
                        "begins here",
                        help,
                    );
                    return Kind::String;
                }
                Some(b'\\') => self.at += 2,
                Some(byte) => {
                    self.at += 1;
                    if byte == quote {
                        return Kind::String;
                    }
                }
            }
        }
    }

    /// From after the backtick or the brace to the next `${` or backtick.
    fn template(&mut self) -> Kind {
        let start = self.at;
        loop {
            match self.peek() {
                None => {
                    self.at = self.at.min(self.source.len());
                    let message = "this template has no end";
                    self.diagnostics.error(self.span(start), message, "begins here");
                    return Kind::Template { last: true };
                }
                Some(b'\\') => self.at += 2,
                Some(b'`') => {
                    self.at += 1;
                    return Kind::Template { last: true };
                }
                Some(b'$') if self.rest().starts_with("${") => {
                    self.at += 2;
                    self.templates.push(0);
                    return Kind::Template { last: false };
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn mark(&mut self) -> Option<Kind> {
        let found = MARKS.iter().chain(&MARKS_MORE).find(|mark| self.rest().starts_with(**mark));
        if let Some(mark) = found {
            self.at += mark.len();
            if let Some(depth) = self.templates.last_mut() {
                match *mark {
                    "{" => *depth = depth.saturating_add(1),
                    "}" => *depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            return Some(Kind::Mark(mark));
        }
        let start = self.at;
        let stray = self.rest().chars().next().unwrap_or(' ');
        self.at += stray.len_utf8();
        let message = format!("a program cannot contain {stray:?} here");
        self.diagnostics.error(self.span(start), message, "no token begins so");
        None
    }
}
