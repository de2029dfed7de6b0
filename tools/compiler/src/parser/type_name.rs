//! Types as they are written, and what is given for type parameters.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Parser;
use crate::ast::{Name, TypeKind, TypeName};
use crate::diagnostic::Span;
use crate::lexer::Kind;

impl<'s> Parser<'s, '_> {
    /// `: type`, if it is there.
    pub(super) fn annotation(&mut self) -> Option<TypeName<'s>> {
        self.accept(":").then(|| self.type_name())
    }

    pub(super) fn type_name(&mut self) -> TypeName<'s> {
        let depth = self.depth;
        let start = self.peek().span;
        let found = if self.descend() { self.union() } else { self.type_mistake(start) };
        self.depth = depth;
        found
    }

    fn type_mistake(&mut self, span: Span) -> TypeName<'s> {
        self.bump();
        TypeName { span, kind: TypeKind::Mistake }
    }

    /// `T | null`; no other unions.
    fn union(&mut self) -> TypeName<'s> {
        let start = self.peek().span;
        let mut found: Option<TypeName<'s>> = None;
        let (mut nullable, mut refused) = (false, false);
        self.accept("|");
        loop {
            if self.accept("null") {
                nullable = true;
            } else {
                let part = self.array_type();
                refused |= found.is_some();
                found = Some(part);
            }
            if !self.accept("|") {
                break;
            }
        }
        let span = start.to(self.last_span());
        if self.text() == "&" || refused {
            let help = "write a class with subclasses, or an interface";
            let message = "types are not joined, but for `T | null`";
            self.diagnostics.error_with_help(span, message, "not a type", help);
            if self.accept("&") {
                self.type_name();
            }
            return TypeName { span, kind: TypeKind::Mistake };
        }
        match found {
            Some(found) if nullable => TypeName { span, kind: TypeKind::Nullable(Box::new(found)) },
            Some(found) => found,
            None => {
                self.diagnostics.error(span, "`null` alone is no type", "of what?");
                TypeName { span, kind: TypeKind::Mistake }
            }
        }
    }

    fn array_type(&mut self) -> TypeName<'s> {
        let depth = self.depth;
        let mut found = self.plain_type();
        while self.text() == "[" && !self.peek().new_line {
            let open = self.peek().span;
            self.bump();
            if !self.descend() {
                break;
            }
            self.expect("]");
            let span = found.span.to(open);
            found = TypeName { span, kind: TypeKind::List(Box::new(found)) };
        }
        self.depth = depth;
        found
    }

    fn plain_type(&mut self) -> TypeName<'s> {
        let token = self.peek();
        if self.text() == "(" {
            return self.function_or_parenthesized();
        }
        self.accept("readonly");
        let text = self.text();
        if token.kind != Kind::Name {
            let label = "not a type";
            self.diagnostics.error(token.span, "expected a type", label);
            return TypeName { span: token.span, kind: TypeKind::Mistake };
        }
        self.bump();
        let text = self.qualified(text).unwrap_or(text);
        let span = token.span.to(self.last_span());
        let arguments = if self.text() == "<" { self.type_arguments() } else { Vec::new() };
        TypeName { span, kind: TypeKind::Named(text, arguments) }
    }

    /// `(a: T) => R`, or a type in parentheses.
    fn function_or_parenthesized(&mut self) -> TypeName<'s> {
        let start = self.peek().span;
        self.bump();
        let named =
            self.peek().kind == Kind::Name && matches!(self.ahead(1).kind, Kind::Mark(":" | "?"));
        if !named && self.text() != ")" {
            let inner = self.type_name();
            self.expect(")");
            return inner;
        }
        let mut parameters = Vec::new();
        while !self.at_end_of(")") {
            if self.name("a parameter").is_none() {
                break;
            }
            self.refuse_optional();
            self.expect(":");
            parameters.push(self.type_name());
            if !self.accept(",") {
                break;
            }
        }
        self.expect(")");
        self.expect("=>");
        let result = self.type_name();
        let span = start.to(result.span);
        TypeName { span, kind: TypeKind::Function(parameters, Box::new(result)) }
    }

    /// `<T, U>` behind the name of what is declared, if it is there.
    pub(super) fn type_parameters(&mut self) -> Vec<Name<'s>> {
        let mut list = Vec::new();
        if !self.accept("<") {
            return list;
        }
        while let Some(name) = self.name("a type parameter") {
            list.push(name);
            let span = self.peek().span;
            if self.accept("extends") || self.accept("=") {
                let message = "a type parameter stands for any type";
                let help = "leave it out: a generic is checked for the types that it is used with";
                self.diagnostics.error_with_help(span, message, "here", help);
                self.type_name();
            }
            if !self.accept(",") {
                break;
            }
        }
        self.close_angle();
        list
    }

    /// `<T, U>` where types are given.
    pub(super) fn type_arguments(&mut self) -> Vec<TypeName<'s>> {
        let mut list = Vec::new();
        self.expect("<");
        loop {
            list.push(self.type_name());
            if !self.accept(",") {
                break;
            }
        }
        self.close_angle();
        list
    }

    /// `>`, which may be the first of several that the lexer took for one.
    fn close_angle(&mut self) {
        let rest = match self.text() {
            ">>" => ">",
            ">>>" => ">>",
            ">=" => "=",
            ">>=" => ">=",
            _ => {
                self.expect(">");
                return;
            }
        };
        if let Some(token) = self.tokens.get_mut(self.at) {
            token.kind = Kind::Mark(rest);
            token.span.start = token.span.start.saturating_add(1);
        }
    }

    /// Whether types and `>` and `(` follow the `<` that is next: then it is no comparison.
    pub(super) fn is_instance(&self) -> bool {
        let mut open = 0_usize;
        for count in 0..64 {
            let token = self.ahead(count);
            match token.kind {
                Kind::Mark("<") => open = open.saturating_add(1),
                Kind::Mark(close @ (">" | ">>" | ">>>")) => {
                    let Some(left) = open.checked_sub(close.len()) else { return false };
                    open = left;
                    if open == 0 {
                        return self.ahead(count + 1).kind == Kind::Mark("(");
                    }
                }
                Kind::Name | Kind::Mark("," | "[" | "]" | "|") => {}
                _ => return false,
            }
        }
        false
    }
}
