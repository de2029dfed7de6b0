//! Calls: functions of the program, of the library, conversions, methods of texts, `console.log`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{Native, Opcode};

use super::expression::Value;
use super::library::{self, Entry, Means};
use super::{CONSOLE, Lowering};
use crate::ast::{Expression, ExpressionKind, Name};
use crate::diagnostic::Span;
use crate::types::Type;

impl<'s> Lowering<'_, 's, '_> {
    pub(super) fn call(
        &mut self,
        callee: &Expression<'s>,
        arguments: &[Expression<'s>],
        span: Span,
        want: Option<u16>,
    ) -> Value {
        match &callee.kind {
            ExpressionKind::Name(name) => {
                if let Some(kind) = Type::named(name).filter(|kind| kind.is_number()) {
                    return self.conversion_call(kind, arguments, span, want);
                }
                if let Some(entry) = library::function(name) {
                    return self.library_call(entry, None, arguments, span);
                }
                self.program_call(name, callee.span, arguments, span)
            }
            ExpressionKind::Member(object, member) => match &object.kind {
                ExpressionKind::Name("console") => self.console_call(*member, arguments, span),
                ExpressionKind::Name(space @ ("Math" | "String")) => {
                    match library::function(&format!("{space}.{}", member.text)) {
                        Some(entry) => self.library_call(entry, None, arguments, span),
                        None => self.no_member(space, *member),
                    }
                }
                _ => self.method_call(object, *member, arguments, span),
            },
            ExpressionKind::Mistake => Value::MISTAKE,
            _ => {
                self.diagnostics.error(callee.span, "this cannot be called", "is no function");
                Value::MISTAKE
            }
        }
    }

    fn no_member(&mut self, owner: &str, member: Name<'s>) -> Value {
        let message = format!("`{owner}` has no `{}`", member.text);
        self.diagnostics.error(member.span, message, "not known");
        Value::MISTAKE
    }

    pub(super) fn check_count(
        &mut self,
        expected: usize,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> bool {
        let right = expected == arguments.len();
        if !right {
            let plural = if expected == 1 { "" } else { "s" };
            let message =
                format!("expected {expected} argument{plural}, found {}", arguments.len());
            self.diagnostics.error(span, message, "called here");
        }
        right
    }

    fn program_call(
        &mut self,
        name: &str,
        place: Span,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let Some(callee) = self.functions.get(name).cloned() else {
            if self.find(name, place).is_some() {
                let message = format!("`{name}` is a variable and cannot be called");
                self.diagnostics.error(place, message, "is no function");
            }
            return Value::MISTAKE;
        };
        if !self.check_count(callee.parameters.len(), arguments, span) {
            return Value { kind: callee.result, ..Value::MISTAKE };
        }
        let window = self.body.tops;
        for (argument, kind) in arguments.iter().zip(&callee.parameters) {
            self.argument(argument, *kind);
        }
        let fields = [window.references, window.raws, 0];
        self.body.emitter.emit_literal(Opcode::Call, fields, callee.index.into());
        self.body.tops = window;
        self.result(callee.result)
    }

    /// The result of a call, at the beginning of its window.
    fn result(&mut self, kind: Type) -> Value {
        match kind {
            Type::Void | Type::Mistake => Value { kind, register: 0 },
            _ => self.target(kind, None),
        }
    }

    fn library_call(
        &mut self,
        entry: Entry,
        receiver: Option<Value>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let window = self.body.tops;
        if !self.check_count(entry.parameters.len(), arguments, span) {
            return Value { kind: entry.result, ..Value::MISTAKE };
        }
        if let Some(receiver) = receiver {
            let slot = self.body.allocate(receiver.kind);
            self.move_to(receiver.kind, slot, receiver.register);
        }
        for (argument, kind) in arguments.iter().zip(entry.parameters) {
            self.argument(argument, *kind);
        }
        let first = window.raws;
        match entry.means {
            Means::Native(native) => self.native(native, window),
            Means::Unary(opcode) => self.body.emitter.emit(opcode, first, first, 0),
            Means::Binary(opcode) => {
                self.body.emitter.emit(opcode, first, first, first.saturating_add(1));
            }
        }
        self.body.tops = window;
        self.result(entry.result)
    }

    /// `i32(x)` and its like: the conversions that may lose something. Floats out of range throw.
    fn conversion_call(
        &mut self,
        kind: Type,
        arguments: &[Expression<'s>],
        span: Span,
        want: Option<u16>,
    ) -> Value {
        if !self.check_count(1, arguments, span) {
            return Value { kind, ..Value::MISTAKE };
        }
        let Some(argument) = arguments.first() else { return Value::MISTAKE };
        let tops = self.body.tops;
        let value = self.expression(argument, argument.is_literal().then_some(kind), None);
        self.body.tops = tops;
        match value.kind {
            Type::Mistake => value,
            found if found.is_number() || found == Type::Bool => self.convert(value, kind, want),
            found => {
                let message = format!("`{}` does not become `{}`", found.name(), kind.name());
                let help = "texts are read by `parseInteger` and `parseFloat`";
                self.diagnostics.error_with_help(argument.span, message, "here", help);
                Value { kind, ..Value::MISTAKE }
            }
        }
    }

    /// `console.log(a, b)`: the texts of the values with spaces between them, and the end of the line.
    fn console_call(
        &mut self,
        member: Name<'s>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        if member.text != "log" && member.text != "print" && member.text != "readLine" {
            return self.no_member("console", member);
        }
        let window = self.body.tops;
        let console = self.body.allocate(Type::Text);
        self.body.emitter.emit_wide(Opcode::StaticLoadRef, console, CONSOLE);
        self.body.emitter.emit(Opcode::NullCheck, console, console, 0);
        if member.text == "readLine" {
            self.check_count(0, arguments, span);
            self.native(Native::ConsoleReadLine, window);
            self.body.tops = window;
            return self.result(Type::Text);
        }
        let line = member.text == "log";
        match arguments {
            [Expression { kind: ExpressionKind::Text(text), .. }] => {
                let text = format!("{text}{}", if line { "\n" } else { "" });
                self.template(&[text], &[]);
            }
            _ => self.log_arguments(arguments, line),
        }
        self.native(Native::ConsolePrint, window);
        self.body.tops = window;
        Value { kind: Type::Void, register: 0 }
    }

    fn log_arguments(&mut self, arguments: &[Expression<'s>], line: bool) {
        let mut texts = Vec::from([String::new()]);
        for place in 1..=arguments.len() {
            let last = place == arguments.len();
            texts.push(String::from(if !last {
                " "
            } else if line {
                "\n"
            } else {
                ""
            }));
        }
        if arguments.is_empty() && line {
            texts = Vec::from([String::from("\n")]);
        }
        self.template(&texts, arguments);
    }

    fn method_call(
        &mut self,
        object: &Expression<'s>,
        member: Name<'s>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let tops = self.body.tops;
        let value = self.expression(object, None, None);
        self.body.tops = tops;
        if value.kind == Type::Mistake {
            return value;
        }
        if member.text == "toString" && self.check_count(0, arguments, span) {
            self.text_of(value, object);
            self.body.tops = tops;
            return self.target(Type::Text, None);
        }
        match library::text_method(member.text).filter(|_| value.kind == Type::Text) {
            Some(entry) => self.library_call(entry, Some(value), arguments, span),
            None => self.no_member(value.kind.name(), member),
        }
    }

    /// A member that is not called: the length of a text, constants of `Math`.
    pub(super) fn member(
        &mut self,
        object: &Expression<'s>,
        member: Name<'s>,
        want: Option<u16>,
    ) -> Value {
        let constant = match (&object.kind, member.text) {
            (ExpressionKind::Name("Math"), "PI") => Some(core::f64::consts::PI),
            (ExpressionKind::Name("Math"), "E") => Some(core::f64::consts::E),
            _ => None,
        };
        if let Some(constant) = constant {
            let target = self.target(Type::F64, want);
            let fields = [target.register, 0, 0];
            self.body.emitter.emit_literal(Opcode::F64Const, fields, constant.to_bits());
            return target;
        }
        let tops = self.body.tops;
        let value = self.expression(object, None, None);
        self.body.tops = tops;
        if value.kind == Type::Mistake {
            return value;
        }
        if let (Type::Array(_), "length") = (value.kind, member.text) {
            let target = self.target(Type::I64, want);
            self.body.emitter.emit(Opcode::ArrayLength, target.register, value.register, 0);
            return target;
        }
        if value.kind != Type::Text || member.text != "length" {
            return self.no_member(value.kind.name(), member);
        }
        let slot = self.body.allocate(Type::Text);
        self.move_to(Type::Text, slot, value.register);
        self.native(Native::StringLength, tops);
        self.body.tops = tops;
        self.target(Type::I64, None)
    }
}
