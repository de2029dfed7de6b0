//! Assignments to variables, `++` and `--`; those to elements are in `array`, to members in `access`.

use alloc::format;

use revenant_bytecode::Opcode;

use super::expression::Value;
use super::facts::Assigned;
use super::function::Found;
use super::{Global, Lowering};
use crate::ast::{Binary, Expression, ExpressionKind};
use crate::diagnostic::Span;
use crate::types::Type;

impl<'s> Lowering<'_, 's, '_> {
    pub(super) fn assign(
        &mut self,
        operator: Option<Binary>,
        target: &Expression<'s>,
        value: &Expression<'s>,
        span: Span,
    ) -> Value {
        if let ExpressionKind::Index(parts) = &target.kind {
            return self.assign_element(operator, parts, value, span);
        }
        if let ExpressionKind::Member(object, member) = &target.kind {
            return self.assign_member(operator, [object, target], *member, value, span);
        }
        let Some(found) = self.assignable(target) else {
            self.expression(value, None, None);
            return Value::MISTAKE;
        };
        let (kind, want) = match found {
            Found::Local { kind, boxed: true, .. } => (kind, None),
            Found::Local { kind, register, .. } => (kind, Some(register)),
            Found::Global(global) => (global.kind, None),
        };
        let mut given = kind;
        let value = match operator {
            None => {
                let (value, found) = self.coerced_from(value, kind, want);
                given = found;
                value
            }
            Some(operator) => {
                let computed = self.operate(operator, target, value, span, Some(kind), want);
                if computed.kind != kind && computed.kind != Type::Mistake && kind != Type::Mistake
                {
                    let message = format!(
                        "expected `{}`, found `{}`",
                        self.show(kind),
                        self.show(computed.kind)
                    );
                    self.diagnostics.error(span, message, "would change the variable's type");
                }
                computed
            }
        };
        if let ExpressionKind::Name(name) = target.kind {
            self.body.forget(Assigned::Variable(name), None);
            self.learn_assigned(target, kind, given);
        }
        match found {
            Found::Local { kind, register, boxed: true, .. } => {
                self.store_slot(kind, value.register, register, 0);
                value
            }
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
        if target.acts() {
            return self.update_once(operator, target, &one, span);
        }
        let value = self.expression(target, None, None);
        let kept = self.keep(value);
        self.assign(Some(operator), target, &one, span);
        kept
    }

    /// The same where the target's parts must not be evaluated twice: the value before is computed back from the one after.
    fn update_once(
        &mut self,
        operator: Binary,
        target: &Expression<'s>,
        one: &Expression<'s>,
        span: Span,
    ) -> Value {
        let value = self.assign(Some(operator), target, one, span);
        if !value.kind.is_integer() {
            if value.kind != Type::Mistake {
                let help = "name the object or the index with `const` before";
                let message = "this would be evaluated twice";
                self.diagnostics.error_with_help(target.span, message, "does something", help);
            }
            return value;
        }
        let before = self.target(value.kind, None);
        let wide = value.kind.is_wide();
        let opcode = if wide { Opcode::I64AddImm } else { Opcode::I32AddImm };
        let step = if operator == Binary::Add { -1_i16 } else { 1 };
        let step = step.cast_unsigned();
        self.body.emitter.emit(opcode, before.register, value.register, step);
        before
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
        if let Found::Global(global) = found
            && global.file != self.body.file
            && self.known.is_none()
        {
            let message = format!("`{name}` is another file's: only that assigns to it");
            let help = "write a function there that does, and call it";
            self.diagnostics.error_with_help(target.span, message, "assigned to", help);
        } else if constant {
            let message = format!("`{name}` is `const`");
            let help = format!("declare it with `let {name}`");
            self.diagnostics.error_with_help(target.span, message, "assigned to", help);
        }
        Some(found)
    }
}
