//! Null: `?.`, `??`, `!`, comparisons with null and `instanceof`, and what is known behind them.

use alloc::format;

use revenant_bytecode::{Builtin, Opcode};

use super::Lowering;
use super::expression::Value;
use crate::ast::{Expression, ExpressionKind, TypeName};
use crate::diagnostic::Span;
use crate::emit::Label;
use crate::types::{Referent, Type};

impl<'s> Lowering<'_, 's, '_> {
    /// Null as a value of this type. The machine is told the class, so that the register is of use wherever the type is.
    pub(super) fn null(&mut self, kind: Type, want: Option<u16>) -> Value {
        let target = self.target(kind, want);
        let register = target.register;
        self.body.emitter.emit(Opcode::Null, register, 0, 0);
        if let Some(referent) = kind.referent() {
            let class = referent.class().0.into();
            self.body.emitter.emit_literal(Opcode::Cast, [register, register, 0], class);
        }
        target
    }

    /// What the facts say about a value that was just read.
    pub(super) fn narrowed(&mut self, value: Value, place: &Expression<'s>) -> Value {
        if !value.kind.is_reference() {
            return value;
        }
        let path = self.path(place);
        if let Some(path) = path.as_ref().filter(|path| self.body.is_null(path)) {
            self.body.unlearn(path);
            self.restore(value.register, value.kind);
            return value;
        }
        let known = path.and_then(|path| self.body.known(&path));
        match known {
            Some(kind) if kind != value.kind => self.refined(value, kind),
            _ => value,
        }
    }

    /// A value as one of a narrower type, which it is known to have.
    fn refined(&mut self, value: Value, kind: Type) -> Value {
        let (Some(old), Some(new)) = (value.kind.referent(), kind.referent()) else {
            return value;
        };
        if old.class() != new.class() {
            let target = self.target(kind, None);
            let fields = [target.register, value.register, 0];
            self.body.emitter.emit_literal(Opcode::Cast, fields, new.class().0.into());
            return target;
        }
        if new.is_proved() && kind == Type::Object(new) {
            let target = self.target(kind, None);
            self.body.emitter.emit(Opcode::NullCheck, target.register, value.register, 0);
            return target;
        }
        Value { kind, register: value.register }
    }

    /// `value!`.
    pub(super) fn non_null(&mut self, inner: &Expression<'s>, want: Option<u16>) -> Value {
        let tops = self.body.tops;
        let value = self.expression(inner, None, None);
        match value.kind {
            Type::Nullable(referent) => {
                self.body.tops = tops;
                let target = self.target(Type::Object(referent), want);
                self.body.emitter.emit(Opcode::NullCheck, target.register, value.register, 0);
                target
            }
            Type::Null => self.may_be_null(Type::Null, inner.span),
            _ => value,
        }
    }

    /// What stands before `?.`: if it is null, the chain has come to its end.
    pub(super) fn optional(&mut self, inner: &Expression<'s>) -> Value {
        let tops = self.body.tops;
        let value = self.expression(inner, None, None);
        let Type::Nullable(referent) = value.kind else { return value };
        let Some(end) = self.body.chains.last().copied() else { return value };
        let (register, variable) = self.tested(inner, value);
        self.body.branch_null(register, true, end, variable, None);
        let kind = Type::Object(referent);
        if !referent.is_proved() {
            return Value { kind, register: value.register };
        }
        self.body.tops = tops;
        let target = self.target(kind, None);
        self.body.emitter.emit(Opcode::NullCheck, target.register, value.register, 0);
        target
    }

    /// The inside of a chain; where it ends early, `end` is next.
    fn chain_inside(&mut self, inner: &Expression<'s>, end: Label) -> Value {
        self.body.chains.push(end);
        let value = self.expression(inner, None, None);
        self.body.chains.pop();
        value
    }

    /// A chain that ends in a call, whose value nobody wants.
    pub(super) fn chain_effect(&mut self, inner: &Expression<'s>) {
        let ended = self.body.emitter.label();
        self.chain_inside(inner, ended);
        self.body.bind(ended);
    }

    /// A whole chain: null if some link was.
    pub(super) fn chain(&mut self, inner: &Expression<'s>) -> Value {
        let (ended, end) = (self.body.emitter.label(), self.body.emitter.label());
        let tops = self.body.tops;
        let value = self.chain_inside(inner, ended);
        if !value.kind.is_reference() {
            if !matches!(value.kind, Type::Void | Type::Mistake) {
                let message = format!("`{}` is never null", self.show(value.kind));
                let help = "say what it is then: `a?.b ?? 0`";
                self.diagnostics.error_with_help(inner.span, message, "may end early", help);
            }
            self.body.bind(ended);
            return value;
        }
        self.body.tops = tops;
        let target = self.target(value.kind.or_null(), None);
        self.move_to(value.kind, target.register, value.register);
        self.body.branch(Opcode::Jump, 0, 0, end);
        self.body.bind(ended);
        self.null(target.kind, Some(target.register));
        self.body.bind(end);
        target
    }

    /// `left ?? right`.
    pub(super) fn coalesce(
        &mut self,
        [left, right]: [&Expression<'s>; 2],
        expected: Option<Type>,
        want: Option<u16>,
    ) -> Value {
        let (none, end) = (self.body.emitter.label(), self.body.emitter.label());
        let tops = self.body.tops;
        let value = match &left.kind {
            ExpressionKind::Chain(inner) => self.chain_inside(inner, none),
            _ => self.expression(left, expected.map(Type::or_null), None),
        };
        match value.kind {
            Type::Mistake | Type::Void | Type::Null => {
                if value.kind != Type::Mistake {
                    self.diagnostics.error(left.span, "this is never something else", "here");
                }
                self.body.bind(none);
                self.expression(right, expected, None);
                return Value::MISTAKE;
            }
            Type::Nullable(_) => {
                let (register, variable) = self.tested(left, value);
                self.body.branch_null(register, true, none, variable, None);
            }
            kind if !kind.is_reference() && !matches!(left.kind, ExpressionKind::Chain(_)) => {
                let message = format!("`{}` is never null", self.show(kind));
                self.diagnostics.error(left.span, message, "always has a value");
            }
            _ => {}
        }
        let may_be_null = matches!(self.type_of(right), Type::Nullable(_) | Type::Null);
        let plain = value.kind.without_null();
        let kind = if may_be_null { plain.or_null() } else { plain };
        self.body.tops = tops;
        let target = self.target(kind, want.filter(|_| !right.assigns()));
        self.move_to(kind, target.register, value.register);
        if kind == plain && matches!(value.kind, Type::Nullable(_)) {
            self.prove(target);
        }
        self.body.branch(Opcode::Jump, 0, 0, end);
        self.body.bind(none);
        let tops = self.body.tops;
        let other = self.coerced(right, kind, None);
        self.move_to(kind, target.register, other.register);
        self.body.tops = tops;
        self.body.bind(end);
        target
    }

    /// Branches to `to` if it is true that the value is null, or false, as `when_null` says.
    pub(super) fn compare_null(&mut self, value: &Expression<'s>, when_null: bool, to: Label) {
        let found = self.expression(value, None, None);
        if !found.kind.is_reference() {
            if found.kind != Type::Mistake {
                let message = format!("`{}` is never null", self.show(found.kind));
                self.diagnostics.error(value.span, message, "is no reference");
            }
            return;
        }
        let path = self.path(value);
        let more = path.map(|path| (path, found.kind.without_null()));
        let (register, variable) = self.tested(value, found);
        self.body.branch_null(register, when_null, to, variable, more);
    }

    /// `value instanceof Class` as a condition.
    pub(super) fn instance_of(
        &mut self,
        value: &Expression<'s>,
        class: &TypeName<'s>,
        when: bool,
        to: Label,
    ) {
        let found = self.expression(value, None, None);
        let kind = self.declared(class);
        let Some(asked) = self.askable(found.kind, kind, class.span) else { return };
        let result = self.body.allocate(Type::Bool);
        let fields = [result, found.register, 0];
        self.body.emitter.emit_literal(Opcode::InstanceOf, fields, asked.class().0.into());
        let more = self.path(value).map(|path| (path, kind));
        if when {
            // The comparison with zero is the machine's; what is known goes along.
            let past = self.body.emitter.label();
            self.body.branch(Opcode::I32BranchEqImm, result, 0, past);
            if let Some((path, kind)) = more {
                let before = self.body.facts.clone();
                self.body.learn(path, kind);
                self.body.branch(Opcode::Jump, 0, 0, to);
                self.body.facts = before;
            } else {
                self.body.branch(Opcode::Jump, 0, 0, to);
            }
            self.body.bind(past);
        } else {
            self.body.branch(Opcode::I32BranchEqImm, result, 0, to);
            if let Some((path, kind)) = more {
                self.body.learn(path, kind);
            }
        }
    }

    /// Whether a value of the first type can be asked for the second.
    fn askable(&mut self, found: Type, kind: Type, span: Span) -> Option<Referent> {
        if found == Type::Mistake || kind == Type::Mistake {
            return None;
        }
        if let (Some(Referent::Class(_)), Type::Object(Referent::Class(class))) =
            (found.referent(), kind)
        {
            return Some(Referent::Class(class));
        }
        let message = format!("a `{}` is not asked for `{}`", self.show(found), self.show(kind));
        self.diagnostics.error(span, message, "objects are asked for classes");
        None
    }

    /// Whether a value of the first type is one of the second as it stands.
    pub(super) fn fits(&self, from: Type, to: Type) -> bool {
        if from == to || from.is_reference() && to == Type::ANYTHING {
            return true;
        }
        match (from, to) {
            (Type::Null, Type::Nullable(_)) => true,
            (Type::Object(old) | Type::Nullable(old), Type::Nullable(new))
            | (Type::Object(old), Type::Object(new)) => match (old, new) {
                (Referent::Class(below), Referent::Class(above)) => self.is_below(below, above),
                (_, Referent::Machine(Builtin::Object)) => true,
                _ => old == new,
            },
            _ => false,
        }
    }
}
