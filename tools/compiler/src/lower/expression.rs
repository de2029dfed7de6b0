//! Expressions to instructions: literals, names, and the types that are expected of them.
//!
//! A walk may be given a register that it has to leave its value in; else it answers with the register where the value is: a
//! variable's own, or one above the top as it was. A wanted register is written by the last instruction only, after all reads.

use alloc::format;

use revenant_bytecode::{Opcode, ValueType};

use super::Lowering;
use super::function::Found;
use crate::ast::{Expression, ExpressionKind, Unary};
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

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
        self.coerced_from(value, kind, want).0
    }

    /// The same, and the type that it had before.
    pub(super) fn coerced_from(
        &mut self,
        value: &Expression<'s>,
        kind: Type,
        want: Option<u16>,
    ) -> (Value, Type) {
        let tops = self.body.tops;
        let found = self.expression(value, Some(kind), want);
        if found.kind == kind || kind == Type::Mistake || found.kind == Type::Mistake {
            return (Value { kind, register: found.register }, found.kind);
        }
        if found.kind.widens_to(kind) {
            self.body.tops = tops;
            return (self.convert(found, kind, want), found.kind);
        }
        if self.fits(found.kind, kind) {
            return (self.raised(found, kind, want), found.kind);
        }
        self.refuse(value, found.kind, kind);
        (Value { kind, register: found.register }, kind)
    }

    /// A reference as one of a type above its own. Where that is an interface the machine has to be told, because what two classes
    /// have in common is a class to it; and natives take what is proved not to be null.
    fn raised(&mut self, found: Value, kind: Type, want: Option<u16>) -> Value {
        if found.kind == Type::Null {
            return Value { kind, register: found.register };
        }
        if let Type::Object(Referent::Machine(_)) = kind {
            let target = self.target(kind, want);
            self.body.emitter.emit(Opcode::NullCheck, target.register, found.register, 0);
            return target;
        }
        let above = kind.referent().map(Referent::class);
        let interface = above.and_then(|class| self.classes.get(&class));
        let known = found.kind.referent().map(Referent::class);
        if let (Some(class), true) = (above, interface.is_some_and(|info| info.is_interface))
            && known != above
        {
            let target = self.target(kind, want);
            let fields = [target.register, found.register, 0];
            self.body.emitter.emit_literal(Opcode::Cast, fields, class.0.into());
            return target;
        }
        Value { kind, register: found.register }
    }

    fn refuse(&mut self, value: &Expression<'s>, found: Type, kind: Type) {
        let message = format!("expected `{}`, found `{}`", self.show(kind), self.show(found));
        let label = format!("is `{}`", self.show(found));
        if found.without_null() != found && self.fits(found.without_null(), kind) {
            self.may_be_null(found, value.span);
        } else if found.is_number() && kind.is_number() {
            let help = format!("what may lose something is written: `{}(...)`", self.show(kind));
            self.diagnostics.error_with_help(value.span, message, &label, help);
        } else if kind == Type::Bool {
            let help = if found.is_reference() {
                "write the comparison: `x !== null`, `s !== \"\"`"
            } else {
                "write the comparison: `x !== 0`, `s !== \"\"`"
            };
            self.diagnostics.error_with_help(value.span, message, &label, help);
        } else {
            self.diagnostics.error(value.span, message, &label);
        }
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
                let target = self.target(Type::TEXT, want);
                self.body.emitter.emit_wide(Opcode::StringConst, target.register, constant);
                target
            }
            ExpressionKind::Template(texts, values) => self.template(texts, values),
            ExpressionKind::Bool(truth) => {
                let target = self.target(Type::Bool, want);
                self.body.emitter.emit_wide(Opcode::I32Const, target.register, u32::from(*truth));
                target
            }
            ExpressionKind::Name("EMPTY") if self.body.is_library() => self.empty(expected, want),
            ExpressionKind::Name(name) if self.names_function(name) => {
                self.named_function(name, expected, span)
            }
            ExpressionKind::Name(name) => {
                let found = self.name(name, span);
                self.narrowed(found, value)
            }
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
            ExpressionKind::Member(object, name) => self.member(object, *name, value, want),
            ExpressionKind::Index(parts) => self.element(parts, want),
            ExpressionKind::New(name, arguments) => {
                self.create(name, arguments, span, expected, want)
            }
            ExpressionKind::Null => match expected {
                Some(kind @ Type::Nullable(_)) => self.null(kind, want),
                _ => self.null(Type::Null, want),
            },
            ExpressionKind::This => self.this(span),
            ExpressionKind::Super => {
                let message = "`super` stands first in a constructor, or before a method's name";
                self.diagnostics.error(span, message, "here");
                Value::MISTAKE
            }
            ExpressionKind::List(values) => self.list(values, span, expected),
            ExpressionKind::NonNull(inner) => self.non_null(inner, want),
            ExpressionKind::Optional(inner) => self.optional(inner),
            ExpressionKind::Chain(inner) => self.chain(inner),
            ExpressionKind::Coalesce(parts) => {
                let [left, right] = &**parts;
                self.coalesce([left, right], expected, want)
            }
            ExpressionKind::InstanceOf(..) => self.truth(value, want),
            ExpressionKind::Instance(inner, _) => {
                self.diagnostics.error(inner.span, "this is not called", "here");
                Value::MISTAKE
            }
            ExpressionKind::Lambda(lambda) => self.lambda(lambda, expected, span),
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
            let message = format!("this number is no `{}`", self.show(kind));
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
            Some(Found::Local { kind, register, boxed: true, .. }) => {
                self.load_slot(kind, register, 0, None)
            }
            Some(Found::Local { kind, register, .. }) => Value { kind, register },
            Some(Found::Global(global)) => self.load_global(global),
            None => Value::MISTAKE,
        }
    }

    fn this(&mut self, span: Span) -> Value {
        match self.body.this {
            Some(class) => {
                let register = self.body.this_register;
                Value { kind: Type::Object(Referent::Class(class)), register }
            }
            None => {
                let message = "there is no `this` here";
                let help = "it is the object of a method or a constructor";
                self.diagnostics.error_with_help(span, message, "in no method", help);
                Value::MISTAKE
            }
        }
    }

    /// Zero or null, for the places of the library's arrays that hold nothing.
    pub(super) fn empty(&mut self, expected: Option<Type>, want: Option<u16>) -> Value {
        let kind = expected.unwrap_or(Type::Mistake);
        let target = self.target(kind, want);
        match kind.value() {
            Some(ValueType::I32) => {
                self.body.emitter.emit_wide(Opcode::I32Const, target.register, 0);
            }
            Some(ValueType::F32) => {
                self.body.emitter.emit_wide(Opcode::F32Const, target.register, 0);
            }
            Some(ValueType::I64) => self.long(0, target.register),
            Some(ValueType::F64) => {
                self.body.emitter.emit_literal(Opcode::F64Const, [target.register, 0, 0], 0);
            }
            _ => self.body.emitter.emit(Opcode::Null, target.register, 0, 0),
        }
        target
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
                format!("this operator does not take a value of type `{}`", self.show(value.kind));
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
        let mut first = match hint.filter(|kind| kind.is_reference() && *kind != Type::Null) {
            Some(kind) => self.coerced(then, kind, None),
            None => self.expression(then, hint, None),
        };
        if first.kind.is_reference() && hint.is_none_or(|kind| !kind.is_reference()) {
            let second = self.type_of(other);
            first.kind = self.common(first.kind, second);
        }
        self.body.tops = tops;
        let target = self.target(first.kind, want);
        if first.kind == Type::Void {
            self.diagnostics.error(then.span, "this has no value", "is void");
            return Value::MISTAKE;
        }
        self.move_to(first.kind, target.register, first.register);
        self.body.branch(Opcode::Jump, 0, 0, end);
        self.body.bind(otherwise);
        let tops = self.body.tops;
        self.coerced(other, first.kind, Some(target.register));
        self.body.tops = tops;
        self.body.bind(end);
        target
    }

    /// The type that values of both have, as far as one of them has it.
    fn common(&self, first: Type, second: Type) -> Type {
        let nullable =
            [first, second].iter().any(|kind| matches!(kind, Type::Nullable(_) | Type::Null));
        let (mut kind, other) = (first.without_null(), second.without_null());
        if kind == Type::Null || self.fits(kind, other) {
            kind = other;
        }
        if nullable { kind.or_null() } else { kind }
    }
}
