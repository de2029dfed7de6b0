//! Expressions, by precedence climbing; also strings and templates with their escapes.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::Parser;
use crate::ast::{Binary, Expression, ExpressionKind, Unary};
use crate::diagnostic::Span;
use crate::lexer::Kind;

/// Precedence of a binary operator, and whether its right side may be one of the same (`**`).
fn binary(text: &str) -> Option<(Binary, u8)> {
    Some(match text {
        "||" => (Binary::LogicalOr, 1),
        "&&" => (Binary::LogicalAnd, 2),
        "|" => (Binary::Or, 3),
        "^" => (Binary::Xor, 4),
        "&" => (Binary::And, 5),
        "==" | "===" => (Binary::Equal, 6),
        "!=" | "!==" => (Binary::NotEqual, 6),
        "<" => (Binary::Less, 7),
        "<=" => (Binary::LessEqual, 7),
        ">" => (Binary::Greater, 7),
        ">=" => (Binary::GreaterEqual, 7),
        "<<" => (Binary::ShiftLeft, 8),
        ">>" => (Binary::ShiftRight, 8),
        ">>>" => (Binary::ShiftRightUnsigned, 8),
        "+" => (Binary::Add, 9),
        "-" => (Binary::Subtract, 9),
        "*" => (Binary::Multiply, 10),
        "/" => (Binary::Divide, 10),
        "%" => (Binary::Remainder, 10),
        "**" => (Binary::Power, 11),
        _ => return None,
    })
}

/// The operator of a compound assignment.
fn compound(text: &str) -> Option<Binary> {
    let operator = text.strip_suffix('=')?;
    let (operator, precedence) = binary(operator)?;
    (!operator.is_comparison() && precedence > 2).then_some(operator)
}

impl<'s> Parser<'s, '_> {
    pub(super) fn expression(&mut self) -> Expression<'s> {
        let value = self.assignment();
        if self.text() == "," {
            let span = self.peek().span;
            self.diagnostics.error_with_help(
                span,
                "there is no comma operator",
                "here",
                "write two statements",
            );
            self.bump();
            self.assignment();
        }
        value
    }

    pub(super) fn assignment(&mut self) -> Expression<'s> {
        let depth = self.depth;
        let value = if self.descend() { self.assignment_below() } else { self.mistake() };
        self.depth = depth;
        value
    }

    /// Passes over one token and stands for an expression that could not be read.
    fn mistake(&mut self) -> Expression<'s> {
        let span = self.peek().span;
        if !matches!(self.text(), ")" | "}" | "]" | ";") {
            self.bump();
        }
        Expression { span, kind: ExpressionKind::Mistake }
    }

    fn assignment_below(&mut self) -> Expression<'s> {
        let target = self.conditional();
        let text = self.text();
        let operator = compound(text);
        if text != "=" && operator.is_none() {
            return target;
        }
        self.bump();
        let value = self.assignment();
        let span = target.span.to(value.span);
        let kind = ExpressionKind::Assign(operator, Box::new(target), Box::new(value));
        Expression { span, kind }
    }

    fn conditional(&mut self) -> Expression<'s> {
        let condition = self.operators(1);
        if !self.accept("?") {
            return condition;
        }
        let then = self.assignment();
        self.expect(":");
        let other = self.assignment();
        let span = condition.span.to(other.span);
        Expression { span, kind: ExpressionKind::Conditional(Box::new([condition, then, other])) }
    }

    fn operators(&mut self, lowest: u8) -> Expression<'s> {
        let mut left = self.unary();
        loop {
            let text = self.text();
            if matches!(text, "??" | "instanceof" | "in") {
                let span = self.peek().span;
                let help = "there is nothing that could be null, or of several types";
                self.diagnostics.error_with_help(
                    span,
                    "this operator is not part of the language yet",
                    "here",
                    help,
                );
                self.bump();
                continue;
            }
            let Some((operator, precedence)) = binary(text) else { return left };
            if precedence < lowest {
                return left;
            }
            // Each operator of a chain makes the tree one higher.
            if !self.descend() {
                return self.mistake();
            }
            self.bump();
            let power = operator == Binary::Power;
            let right = self.operators(if power { precedence } else { precedence + 1 });
            let span = left.span.to(right.span);
            let kind = ExpressionKind::Binary(operator, Box::new(left), Box::new(right));
            left = Expression { span, kind };
        }
    }

    fn unary(&mut self) -> Expression<'s> {
        let start = self.peek().span;
        let text = self.text();
        let operator = match text {
            "-" => Unary::Minus,
            "+" => Unary::Plus,
            "!" => Unary::Not,
            "~" => Unary::Complement,
            "++" | "--" => return self.step_before(start, text),
            "typeof" | "void" | "delete" | "await" | "yield" => {
                let help = "the compiler knows every type: write what is meant for each";
                self.diagnostics.error_with_help(
                    start,
                    "this operator is not part of the language",
                    "here",
                    help,
                );
                self.bump();
                return self.mistake();
            }
            _ => return self.postfix(),
        };
        self.bump();
        let depth = self.depth;
        let value = if self.descend() { self.unary() } else { self.mistake() };
        self.depth = depth;
        let span = start.to(value.span);
        Expression { span, kind: ExpressionKind::Unary(operator, Box::new(value)) }
    }

    fn step_before(&mut self, start: Span, text: &str) -> Expression<'s> {
        self.bump();
        let depth = self.depth;
        let target = if self.descend() { self.unary() } else { self.mistake() };
        self.depth = depth;
        let span = start.to(target.span);
        let operator = if text == "++" { Binary::Add } else { Binary::Subtract };
        Expression { span, kind: ExpressionKind::Update(operator, Box::new(target), false) }
    }

    fn postfix(&mut self) -> Expression<'s> {
        let mut value = self.primary();
        loop {
            let next = self.peek();
            let text = self.text();
            if !matches!(text, "(" | "." | "++" | "--" | "[" | "?." | "!" | "as") {
                return value;
            }
            if matches!(text, "++" | "--" | "!") && next.new_line {
                return value;
            }
            if !self.descend() {
                return self.mistake();
            }
            self.bump();
            let start = value.span;
            let kind = match text {
                "(" => ExpressionKind::Call(Box::new(value), self.arguments()),
                "." => {
                    let Some(name) = self.name("a member's name") else { return self.mistake() };
                    ExpressionKind::Member(Box::new(value), name)
                }
                "[" => {
                    let index = self.expression();
                    self.expect("]");
                    ExpressionKind::Index(Box::new([value, index]))
                }
                "++" => ExpressionKind::Update(Binary::Add, Box::new(value), true),
                "--" => ExpressionKind::Update(Binary::Subtract, Box::new(value), true),
                "as" => {
                    let help = "convert by a call: `i32(x)`, `f64(x)`";
                    self.diagnostics.error_with_help(next.span, "there is no `as`", "here", help);
                    self.bump();
                    ExpressionKind::Mistake
                }
                _ => {
                    let message = "this version of the language has no null yet";
                    self.diagnostics.error(next.span, message, "not part of it");
                    ExpressionKind::Mistake
                }
            };
            let end = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
            value = Expression { span: start.to(end.map_or(start, |token| token.span)), kind };
        }
    }

    fn arguments(&mut self) -> Vec<Expression<'s>> {
        let mut list = Vec::new();
        while !self.at_end_of(")") {
            let before = self.at;
            list.push(self.assignment());
            if !self.accept(",") || self.at == before {
                break;
            }
        }
        self.expect(")");
        list
    }

    fn primary(&mut self) -> Expression<'s> {
        let token = self.peek();
        let span = token.span;
        let kind = match token.kind {
            Kind::Number => ExpressionKind::Number(self.slice(span)),
            Kind::String => {
                let text = self.slice(span);
                let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
                ExpressionKind::Text(self.unescape(inner, span))
            }
            Kind::Template { last } => return self.template(last),
            Kind::Name => return self.word(),
            Kind::Mark("(") => {
                self.bump();
                let value = self.expression();
                self.expect(")");
                if self.text() == "=>" {
                    let message = "this version of the language has no closures yet";
                    let arrow = self.peek().span;
                    self.diagnostics.error_with_help(
                        arrow,
                        message,
                        "here",
                        "write a function at the top of the file",
                    );
                    self.bump();
                    return self.mistake();
                }
                return value;
            }
            _ => {
                self.diagnostics.error(span, "expected an expression", "found this");
                return self.mistake();
            }
        };
        self.bump();
        Expression { span, kind }
    }

    fn word(&mut self) -> Expression<'s> {
        let span = self.peek().span;
        let kind = match self.text() {
            "true" => ExpressionKind::Bool(true),
            "false" => ExpressionKind::Bool(false),
            "null" | "undefined" | "this" | "super" | "function" => {
                let message = "this version of the language has no objects and no null yet";
                self.diagnostics.error(span, message, "not part of it");
                ExpressionKind::Mistake
            }
            "new" => return self.creation(),
            text => {
                self.name("an expression");
                return Expression { span, kind: ExpressionKind::Name(text) };
            }
        };
        self.bump();
        Expression { span, kind }
    }

    /// `new Name(arguments)`.
    fn creation(&mut self) -> Expression<'s> {
        let start = self.peek().span;
        self.bump();
        let Some(name) = self.name("the class of what is made") else { return self.mistake() };
        self.expect("(");
        let arguments = self.arguments();
        Expression { span: start.to(name.span), kind: ExpressionKind::New(name, arguments) }
    }

    fn template(&mut self, mut last: bool) -> Expression<'s> {
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

    fn unescape(&mut self, text: &str, span: Span) -> String {
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
