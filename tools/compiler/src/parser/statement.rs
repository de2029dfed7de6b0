//! Statements. After a mistake reading goes on at the next statement.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Parser;
use crate::ast::{Case, For, ForOf, Statement, StatementKind, Try, Variable};
use crate::lexer::Kind;

impl<'s> Parser<'s, '_> {
    /// Up to the brace that closes, which is left.
    pub(super) fn statements(&mut self) -> Vec<Statement<'s>> {
        let mut list = Vec::new();
        while !self.at_end_of("}") {
            let before = self.at;
            list.push(self.statement());
            if self.at == before {
                self.bump();
            }
        }
        list
    }

    pub(super) fn statement(&mut self) -> Statement<'s> {
        let depth = self.depth;
        let start = self.peek().span;
        let kind = if self.descend() {
            self.statement_kind()
        } else {
            self.skip_nested();
            StatementKind::Empty
        };
        self.depth = depth;
        let end =
            self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(start, |t| t.span);
        Statement { span: start.to(end), kind }
    }

    /// What is too deep is passed over with its brackets, so that it is reported once.
    fn skip_nested(&mut self) {
        while !matches!(self.text(), ";" | "}") && self.peek().kind != Kind::End {
            self.bump();
        }
    }

    fn statement_kind(&mut self) -> StatementKind<'s> {
        match self.text() {
            "{" => {
                self.bump();
                let list = self.statements();
                self.expect("}");
                StatementKind::Block(list)
            }
            ";" => {
                self.bump();
                StatementKind::Empty
            }
            word @ ("let" | "const") => {
                self.bump();
                let list = self.variables(word == "const");
                self.end_of_statement();
                StatementKind::Variables(list)
            }
            "if" => self.branch(),
            "while" => {
                self.bump();
                let condition = self.in_parentheses();
                StatementKind::While(condition, Box::new(self.statement()))
            }
            "do" => {
                self.bump();
                let body = Box::new(self.statement());
                self.expect("while");
                let condition = self.in_parentheses();
                self.accept(";");
                StatementKind::DoWhile(body, condition)
            }
            "for" => self.counted(),
            "switch" => self.switch(),
            "return" => {
                self.bump();
                let next = self.peek();
                let bare =
                    next.new_line || matches!(self.text(), ";" | "}") || next.kind == Kind::End;
                let value = (!bare).then(|| self.expression());
                self.end_of_statement();
                StatementKind::Return(value)
            }
            word @ ("break" | "continue") => {
                self.bump();
                if self.peek().kind == Kind::Name && !self.peek().new_line {
                    let span = self.peek().span;
                    let help = "make the loops a function and `return` from it";
                    self.diagnostics.error_with_help(span, "there are no labels", "a label", help);
                    self.bump();
                }
                self.end_of_statement();
                if word == "break" { StatementKind::Break } else { StatementKind::Continue }
            }
            "throw" => {
                self.bump();
                let value = self.expression();
                self.end_of_statement();
                StatementKind::Throw(value)
            }
            "try" => self.attempt(),
            _ => self.other_statement(),
        }
    }

    fn attempt(&mut self) -> StatementKind<'s> {
        self.bump();
        let body = self.braces();
        let handler = self.accept("catch").then(|| {
            let mut name = None;
            if self.accept("(") {
                name = self.name("what is caught");
                if let Some(declared) = self.annotation() {
                    let help = "leave the type out, and ask by `instanceof`";
                    let message = "`catch` takes every exception";
                    self.diagnostics.error_with_help(declared.span, message, "here", help);
                }
                self.expect(")");
            }
            (name, self.braces())
        });
        let last = self.accept("finally").then(|| self.braces());
        if handler.is_none() && last.is_none() {
            let span = self.peek().span;
            self.diagnostics.error(span, "expected `catch` or `finally`", "found this");
        }
        StatementKind::Try(Box::new(Try { body, handler, last }))
    }

    fn braces(&mut self) -> Vec<Statement<'s>> {
        self.expect("{");
        let list = self.statements();
        self.expect("}");
        list
    }

    fn other_statement(&mut self) -> StatementKind<'s> {
        let span = self.peek().span;
        if self.peek().kind == Kind::Name && self.ahead(1).kind == Kind::Mark(":") {
            let help = "make the loops a function and `return` from it";
            self.diagnostics.error_with_help(span, "there are no labels", "a label", help);
            self.bump();
            self.bump();
            return self.statement_kind();
        }
        let refusal = match self.text() {
            "var" => Some(("there is no `var`", "write `let` or `const`")),
            "function" => Some((
                "functions stand at the top of the file",
                "move it out, and pass what it needs",
            )),
            "class" | "interface" | "enum" => {
                Some(("classes and enums stand at the top of the file", "move it out"))
            }
            "with" => Some(("there is no `with`", "write the names out")),
            _ => None,
        };
        if let Some((message, help)) = refusal {
            self.diagnostics.error_with_help(span, message, "not here", help);
            self.bump();
            self.skip_nested();
            self.accept(";");
            return StatementKind::Empty;
        }
        let value = self.expression();
        self.end_of_statement();
        StatementKind::Expression(value)
    }

    /// What follows `let` or `const`.
    pub(super) fn variables(&mut self, constant: bool) -> Vec<Variable<'s>> {
        let mut list = Vec::new();
        loop {
            if matches!(self.text(), "[" | "{") {
                let span = self.peek().span;
                let help = "write one `const` for each part";
                self.diagnostics.error_with_help(
                    span,
                    "there is no destructuring",
                    "a pattern",
                    help,
                );
                self.skip_nested();
                return list;
            }
            let Some(name) = self.name("the variable's name") else { return list };
            let declared = self.annotation();
            let value = self.accept("=").then(|| self.assignment());
            list.push(Variable { name, constant, declared, value });
            if !self.accept(",") {
                return list;
            }
        }
    }

    fn branch(&mut self) -> StatementKind<'s> {
        self.bump();
        let condition = self.in_parentheses();
        let then = Box::new(self.statement());
        let other = self.accept("else").then(|| Box::new(self.statement()));
        StatementKind::If(condition, then, other)
    }

    fn counted(&mut self) -> StatementKind<'s> {
        self.bump();
        self.expect("(");
        let span = self.peek().span;
        if matches!(self.text(), "let" | "const") && self.ahead(2).kind == Kind::Name {
            return self.collection();
        }
        let start = match self.text() {
            ";" => StatementKind::Empty,
            word @ ("let" | "const" | "var") => {
                self.bump();
                StatementKind::Variables(self.variables(word == "const"))
            }
            _ => StatementKind::Expression(self.expression()),
        };
        self.expect(";");
        let condition = (self.text() != ";").then(|| self.expression());
        self.expect(";");
        let step = (self.text() != ")").then(|| self.expression());
        self.expect(")");
        let body = self.statement();
        let start = Statement { span, kind: start };
        StatementKind::For(Box::new(For { start, condition, step, body }))
    }

    /// `const name of values) body`.
    fn collection(&mut self) -> StatementKind<'s> {
        let constant = self.text() == "const";
        self.bump();
        let Some(name) = self.name("the name of an element") else { return StatementKind::Empty };
        let span = self.peek().span;
        if !self.accept("of") {
            let message = "a loop over a collection is written with `of`";
            let help = "`in` would give names of members, and those are known when compiling";
            self.diagnostics.error_with_help(span, message, "here", help);
            self.bump();
        }
        let values = self.expression();
        self.expect(")");
        let body = self.statement();
        StatementKind::ForOf(Box::new(ForOf { name, constant, values, body }))
    }

    fn switch(&mut self) -> StatementKind<'s> {
        self.bump();
        let subject = self.in_parentheses();
        self.expect("{");
        let mut cases = Vec::new();
        while !self.at_end_of("}") {
            let before = self.at;
            let value = if self.accept("default") {
                None
            } else {
                self.expect("case");
                Some(self.expression())
            };
            self.expect(":");
            let mut body = Vec::new();
            while !self.at_end_of("}") && !matches!(self.text(), "case" | "default") {
                let before = self.at;
                body.push(self.statement());
                if self.at == before {
                    self.bump();
                }
            }
            cases.push(Case { value, body });
            if self.at == before {
                self.bump();
            }
        }
        self.expect("}");
        StatementKind::Switch(subject, cases)
    }

    fn in_parentheses(&mut self) -> crate::ast::Expression<'s> {
        self.expect("(");
        let value = self.expression();
        self.expect(")");
        value
    }
}
