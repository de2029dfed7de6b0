//! Assignments to variables, `++` and `--`; those to elements are in `array`, to members in `access`.

use alloc::format;

use super::expression::Value;
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
            self.body.forget(name, None);
            self.learn_assigned(target, kind, given);
        }
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
