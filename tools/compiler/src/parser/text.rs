//! Strings and templates, with their escapes.

use alloc::string::String;
use alloc::vec::Vec;

use super::Parser;
use crate::ast::{Expression, ExpressionKind};
use crate::diagnostic::Span;
use crate::lexer::Kind;

impl<'s> Parser<'s, '_> {
    pub(super) fn template(&mut self, mut last: bool) -> Expression<'s> {
        let start = self.peek().span;
        let mut end = start;
        let (mut texts, mut values) = (Vec::new(), Vec::new());
        loop {
            let piece = self.slice(end);
            let inner = piece.strip_prefix(['`', '}']).unwrap_or(piece);
            let inner = inner.strip_suffix(if last { "`" } else { "${" }).unwrap_or(inner);
            texts.push(self.unescape(inner, end));
            self.bump();
            if last {
                break;
            }
            values.push(self.expression());
            end = self.peek().span;
            let Kind::Template { last: ends } = self.peek().kind else {
                self.diagnostics.error(
                    end,
                    "expected `}`, which ends the expression",
                    "found this",
                );
                texts.push(String::new());
                break;
            };
            last = ends;
        }
        Expression { span: start.to(end), kind: ExpressionKind::Template(texts, values) }
    }

    pub(super) fn unescape(&mut self, text: &str, span: Span) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            if character != '\\' {
                result.push(character);
                continue;
            }
            let escape = rest.next();
            let meant = match escape {
                Some('n') => Some('\n'),
                Some('t') => Some('\t'),
                Some('r') => Some('\r'),
                Some('0') => Some('\0'),
                Some('u') => {
                    let (found, after) = code_point(rest.as_str());
                    rest = after.chars();
                    found
                }
                Some('\n') => continue,
                Some(quote @ ('\\' | '\'' | '"' | '`' | '$')) => Some(quote),
                _ => None,
            };
            if meant.is_none() {
                let help = "there are \\n \\t \\r \\0 \\\\ \\' \\\" \\` \\$ \\u0041 \\u{1f600}";
                self.diagnostics.error_with_help(
                    span,
                    "this escape is not known",
                    "in this text",
                    help,
                );
            }
            result.extend(meant);
        }
        result
    }
}

/// What `\u` means, and the text after it.
fn code_point(text: &str) -> (Option<char>, &str) {
    let (digits, after) = match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some(parts) => parts,
        None => text.split_at_checked(4).unwrap_or(("", text)),
    };
    let found = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    (found, after)
}
