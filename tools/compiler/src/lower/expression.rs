//! Expressions to instructions: literals, names, assignments, and the types that are expected of them.
//!
//! A walk may be given a register that it has to leave its value in; else it answers with the register where the value is: a
//! variable's own, or one above the top as it was. A wanted register is written by the last instruction only, after all reads.

use alloc::format;

use revenant_bytecode::Opcode;

use super::function::Found;
use super::{Global, Lowering};
use crate::ast::{Binary, Expression, ExpressionKind, Unary};
use crate::diagnostic::Span;
use crate::types::Type;

/// A value in a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) kind: Type,
    pub(super) register: u16,
}

impl Value {
    pub(super) const MISTAKE: Self = Self { kind: Type::Mistake, register: 0 };
}

/// The type that literals have where none is expected: i32 as in AssemblyScript, f64 with a point or an exponent.
pub(super) fn literal_type(value: &Expression<'_>) -> Type {
    match &value.kind {
        ExpressionKind::Number(text) if is_float(text) => Type::F64,
        ExpressionKind::Unary(_, value) => literal_type(value),
        ExpressionKind::Binary(_, left, right) => {
            let float = literal_type(left) == Type::F64 || literal_type(right) == Type::F64;
            if float { Type::F64 } else { Type::I32 }
        }
        _ => Type::I32,
    }
}

fn is_float(text: &str) -> bool {
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    !hexadecimal && text.contains(['.', 'e', 'E'])
}

/// The value of an integer literal, with its sign.
pub(super) fn integer(value: &Expression<'_>) -> Option<i128> {
    match &value.kind {
        ExpressionKind::Number(text) if !is_float(text) => {
            let digits = text.replace('_', "");
            let parsed = match digits.get(..2) {
                Some("0x" | "0X") => i128::from_str_radix(digits.get(2..)?, 16),
                Some("0b" | "0B") => i128::from_str_radix(digits.get(2..)?, 2),
                Some("0o" | "0O") => i128::from_str_radix(digits.get(2..)?, 8),
                _ => digits.parse(),
            };
            parsed.ok().filter(|value| *value <= i128::from(u64::MAX))
        }
        ExpressionKind::Unary(Unary::Minus, inner) => {
            if matches!(inner.kind, ExpressionKind::Number(_)) {
                integer(inner).map(|v| -v)
            } else {
                None
            }
        }
        _ => None,
    }
}

impl<'s> Lowering<'_, 's, '_> {
    /// Evaluates. `expected` gives literals their type and is no promise; `want` is where the value shall be.
    pub(super) fn expression(
        &mut self,
        value: &Expression<'s>,
        expected: Option<Type>,
        want: Option<u16>,
    ) -> Value {
        let found = self.walk(value, expected, want);
        match want {
            Some(want) if !matches!(found.kind, Type::Void | Type::Mistake) => {
                self.move_to(found.kind, want, found.register);
                Value { kind: found.kind, register: want }
            }
            _ => found,
        }
    }

    /// Evaluates to a value of this type, widening if that loses nothing.
    pub(super) fn coerced(
        &mut self,
        value: &Expression<'s>,
        kind: Type,
        want: Option<u16>,
    ) -> Value {
        let tops = self.body.tops;
        let found = self.expression(value, Some(kind), want);
        if found.kind == kind || kind == Type::Mistake || found.kind == Type::Mistake {
            return Value { kind, register: found.register };
        }
        if found.kind.widens_to(kind) {
            self.body.tops = tops;
            return self.convert(found, kind, want);
        }
        let message = format!("expected `{}`, found `{}`", kind.name(), found.kind.name());
        let label = format!("is `{}`", found.kind.name());
        if found.kind.is_number() && kind.is_number() {
            let help = format!("what may lose something is written: `{}(...)`", kind.name());
            self.diagnostics.error_with_help(value.span, message, &label, help);
        } else if kind == Type::Bool {
            let help = "write the comparison: `x !== 0`, `s !== \"\"`";
            self.diagnostics.error_with_help(value.span, message, &label, help);
        } else {
            self.diagnostics.error(value.span, message, &label);
        }
        Value { kind, register: found.register }
    }

    /// Evaluates into the next free register, which it takes: an argument at its place in a window.
    pub(super) fn argument(&mut self, value: &Expression<'s>, kind: Type) -> Value {
        let tops = self.body.tops;
        let found = self.coerced(value, kind, None);
        self.body.tops = tops;
        let register = self.body.allocate(kind);
        self.move_to(kind, register, found.register);
        Value { kind, register }
    }

    /// The register that is wanted, or a new one.
    pub(super) fn target(&mut self, kind: Type, want: Option<u16>) -> Value {
        let register = want.unwrap_or_else(|| self.body.allocate(kind));
        Value { kind, register }
    }

    fn walk(&mut self, value: &Expression<'s>, expected: Option<Type>, want: Option<u16>) -> Value {
        let span = value.span;
        match &value.kind {
            ExpressionKind::Number(_) => self.number(value, expected, want),
            ExpressionKind::Text(text) => {
                let constant = self.string(text);
                let target = self.target(Type::Text, want);
                self.body.emitter.emit_wide(Opcode::StringConst, target.register, constant);
                target
            }
            ExpressionKind::Template(texts, values) => self.template(texts, values),
            ExpressionKind::Bool(truth) => {
                let target = self.target(Type::Bool, want);
                self.body.emitter.emit_wide(Opcode::I32Const, target.register, u32::from(*truth));
                target
            }
            ExpressionKind::Name(name) => self.name(name, span),
            ExpressionKind::Unary(operator, inner) => {
                self.unary(*operator, inner, value, expected, want)
            }
            ExpressionKind::Binary(operator, left, right) => {
                self.binary(*operator, [left, right], value, expected, want)
            }
            ExpressionKind::Conditional(parts) => self.conditional(parts, expected, want),
            ExpressionKind::Assign(operator, target, value) => {
                self.assign(*operator, target, value, span)
            }
            ExpressionKind::Update(operator, target, before) => {
                self.update(*operator, target, *before, span)
            }
            ExpressionKind::Call(callee, arguments) => self.call(callee, arguments, span, want),
            ExpressionKind::Member(object, name) => self.member(object, *name, want),
            ExpressionKind::Index(parts) => self.element(parts, want),
            ExpressionKind::New(name, arguments) => self.create(*name, arguments, span, want),
            ExpressionKind::Mistake => Value::MISTAKE,
        }
    }

    fn number(
        &mut self,
        value: &Expression<'s>,
        expected: Option<Type>,
        want: Option<u16>,
    ) -> Value {
        let kind = match expected {
            Some(kind) if kind.is_float() => kind,
            Some(kind) if kind.is_integer() && literal_type(value) == Type::I32 => kind,
            _ => literal_type(value),
        };
        let target = self.target(kind, want);
        if kind.is_float() {
            self.float(value, target);
            return target;
        }
        let number = integer(value).unwrap_or(i128::MAX);
        let emitter = &mut self.body.emitter;
        let fits = match kind {
            Type::I32 => i32::try_from(number)
                .map(|n| emitter.emit_wide(Opcode::I32Const, target.register, n.cast_unsigned()))
                .is_ok(),
            Type::U32 => u32::try_from(number)
                .map(|n| emitter.emit_wide(Opcode::I32Const, target.register, n))
                .is_ok(),
            Type::I64 => i64::try_from(number).map(|n| self.long(n, target.register)).is_ok(),
            _ => u64::try_from(number).map(|n| self.long(n.cast_signed(), target.register)).is_ok(),
        };
        if !fits {
            let message = format!("this number is no `{}`", kind.name());
            self.diagnostics.error(value.span, message, "does not fit");
        }
        target
    }

    fn long(&mut self, number: i64, register: u16) {
        match i32::try_from(number) {
            Ok(short) => {
                self.body.emitter.emit_wide(Opcode::I64ConstShort, register, short.cast_unsigned())
            }
            Err(_) => self.body.emitter.emit_literal(
                Opcode::I64Const,
                [register, 0, 0],
                number.cast_unsigned(),
            ),
        }
    }

    fn float(&mut self, value: &Expression<'s>, target: Value) {
        let (text, negative) = match &value.kind {
            ExpressionKind::Unary(_, inner) => match &inner.kind {
                ExpressionKind::Number(text) => (*text, true),
                _ => ("", false),
            },
            ExpressionKind::Number(text) => (*text, false),
            _ => ("", false),
        };
        let parsed = match integer(value) {
            // Digits without a point are a decimal, too; other radixes are exact up to 2^53 and rounded beyond.
            Some(number) if text.starts_with('0') => format!("{number}").parse(),
            _ => format!("{}{}", if negative { "-" } else { "" }, text.replace('_', "")).parse(),
        };
        let parsed: Result<f64, _> = parsed;
        let Ok(number) = parsed else {
            self.diagnostics.error(value.span, "this is no number", "cannot be read");
            return;
        };
        let number = if number == 0.0 && negative { -0.0 } else { number };
        if target.kind == Type::F64 {
            let fields = [target.register, 0, 0];
            self.body.emitter.emit_literal(Opcode::F64Const, fields, number.to_bits());
        } else {
            let short: f32 = text.replace('_', "").parse().unwrap_or_default();
            let short = if negative { -short } else { short };
            self.body.emitter.emit_wide(Opcode::F32Const, target.register, short.to_bits());
        }
    }

    fn name(&mut self, name: &str, span: Span) -> Value {
        match self.find(name, span) {
            Some(Found::Local { kind, register, .. }) => Value { kind, register },
            Some(Found::Global(global)) => {
                let target = self.target(global.kind, None);
                let register = target.register;
                if global.kind.is_reference() {
                    self.body.emitter.emit_wide(Opcode::StaticLoadRef, register, global.index);
                    self.body.emitter.emit(Opcode::NullCheck, register, register, 0);
                } else {
                    self.body.emitter.emit_wide(Opcode::StaticLoadRaw, register, global.index);
                }
                target
            }
            None => Value::MISTAKE,
        }
    }

    fn unary(
        &mut self,
        operator: Unary,
        inner: &Expression<'s>,
        whole: &Expression<'s>,
        expected: Option<Type>,
        want: Option<u16>,
    ) -> Value {
        if operator == Unary::Not {
            return self.truth(whole, want);
        }
        if operator == Unary::Minus && matches!(inner.kind, ExpressionKind::Number(_)) {
            return self.number(whole, expected, want);
        }
        let tops = self.body.tops;
        let value = self.expression(inner, expected, None);
        if value.kind == Type::Mistake {
            return value;
        }
        let known = value.kind.is_integer()
            || (value.kind == Type::F32 || value.kind == Type::F64)
                && operator != Unary::Complement;
        if !known {
            let message =
                format!("this operator does not take a value of type `{}`", value.kind.name());
            self.diagnostics.error(whole.span, message, "here");
            return Value::MISTAKE;
        }
        if operator == Unary::Plus {
            return value;
        }
        self.body.tops = tops;
        let target = self.target(value.kind, want);
        let wide = value.kind.is_wide();
        let (opcode, immediate) = match (value.kind, operator) {
            (Type::F32, _) => (Opcode::F32Neg, 0),
            (Type::F64, _) => (Opcode::F64Neg, 0),
            (_, Unary::Minus) => {
                (if wide { Opcode::I64SubFromImm } else { Opcode::I32SubFromImm }, 0)
            }
            _ => (if wide { Opcode::I64XorImm } else { Opcode::I32XorImm }, u16::MAX),
        };
        self.body.emitter.emit(opcode, target.register, value.register, immediate);
        target
    }

    fn conditional(
        &mut self,
        parts: &[Expression<'s>; 3],
        expected: Option<Type>,
        want: Option<u16>,
    ) -> Value {
        let [condition, then, other] = parts;
        let emitter = &mut self.body.emitter;
        let (otherwise, end) = (emitter.label(), emitter.label());
        self.condition(condition, false, otherwise);
        // Literals take the type of the other branch.
        let hint = match expected {
            None if then.is_literal() && !other.is_literal() => Some(self.type_of(other)),
            _ => expected,
        };
        let tops = self.body.tops;
        let first = self.expression(then, hint, None);
        self.body.tops = tops;
        let target = self.target(first.kind, want);
        if first.kind == Type::Void {
            self.diagnostics.error(then.span, "this has no value", "is void");
            return Value::MISTAKE;
        }
        self.move_to(first.kind, target.register, first.register);
        self.body.emitter.branch(Opcode::Jump, 0, 0, end);
        self.body.emitter.bind(otherwise);
        let tops = self.body.tops;
        self.coerced(other, first.kind, Some(target.register));
        self.body.tops = tops;
        self.body.emitter.bind(end);
        target
    }

    fn assign(
        &mut self,
        operator: Option<Binary>,
        target: &Expression<'s>,
        value: &Expression<'s>,
        span: Span,
    ) -> Value {
        if let ExpressionKind::Index(parts) = &target.kind {
            return self.assign_element(operator, parts, value, span);
        }
        let Some(found) = self.assignable(target) else {
            self.expression(value, None, None);
            return Value::MISTAKE;
        };
        let (kind, want) = match found {
            Found::Local { kind, register, .. } => (kind, Some(register)),
            Found::Global(global) => (global.kind, None),
        };
        let value = match operator {
            None => self.coerced(value, kind, want),
            Some(operator) => {
                let computed = self.operate(operator, target, value, span, Some(kind), want);
                if computed.kind != kind && computed.kind != Type::Mistake && kind != Type::Mistake
                {
                    let message =
                        format!("expected `{}`, found `{}`", kind.name(), computed.kind.name());
                    self.diagnostics.error(span, message, "would change the variable's type");
                }
                computed
            }
        };
        match found {
            Found::Local { kind, register, .. } => {
                self.move_to(kind, register, value.register);
                Value { kind, register }
            }
            Found::Global(global) => {
                self.store_global(global, value.register);
                value
            }
        }
    }

    /// `++` and `--`; `before` says that the value is the one before.
    pub(super) fn update(
        &mut self,
        operator: Binary,
        target: &Expression<'s>,
        before: bool,
        span: Span,
    ) -> Value {
        let one = Expression { span, kind: ExpressionKind::Number("1") };
        if !before {
            return self.assign(Some(operator), target, &one, span);
        }
        let value = self.expression(target, None, None);
        let kept = self.body.allocate(value.kind);
        self.move_to(value.kind, kept, value.register);
        self.assign(Some(operator), target, &one, span);
        Value { kind: value.kind, register: kept }
    }

    fn assignable(&mut self, target: &Expression<'s>) -> Option<Found> {
        let ExpressionKind::Name(name) = target.kind else {
            if !matches!(target.kind, ExpressionKind::Mistake) {
                self.diagnostics.error(target.span, "this cannot be assigned to", "is no variable");
            }
            return None;
        };
        let found = self.find(name, target.span)?;
        let (Found::Local { constant, .. } | Found::Global(Global { constant, .. })) = found;
        if constant {
            let message = format!("`{name}` is `const`");
            let help = format!("declare it with `let {name}`");
            self.diagnostics.error_with_help(target.span, message, "assigned to", help);
        }
        Some(found)
    }
}
