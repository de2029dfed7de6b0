//! The type of an expression before it is walked, for literals that take the type of what stands beside them.
//!
//! Looks, reports nothing, emits nothing; in time linear in the expression. Where there is a mistake any answer will do: the
//! walk finds it.

use super::Lowering;
use super::expression::literal_type;
use super::library;
use crate::ast::{Binary, Expression, ExpressionKind, Unary};
use crate::types::Type;

impl<'s> Lowering<'_, 's, '_> {
    pub(super) fn type_of(&self, value: &Expression<'s>) -> Type {
        match &value.kind {
            ExpressionKind::Number(_) => literal_type(value),
            ExpressionKind::Text(_) | ExpressionKind::Template(..) => Type::Text,
            ExpressionKind::Bool(_) | ExpressionKind::Unary(Unary::Not, _) => Type::Bool,
            ExpressionKind::Name(name) => self.type_of_name(name),
            ExpressionKind::Unary(_, inner)
            | ExpressionKind::Update(_, inner, _)
            | ExpressionKind::Assign(_, inner, _) => self.type_of(inner),
            ExpressionKind::Binary(operator, left, right) => {
                if operator.is_comparison() || operator.is_logical() {
                    Type::Bool
                } else {
                    self.type_of_both(*operator, left, right)
                }
            }
            ExpressionKind::Conditional(parts) => {
                let [_, then, other] = &**parts;
                self.type_of(if then.is_literal() { other } else { then })
            }
            ExpressionKind::Call(callee, _) => self.type_of_call(callee),
            ExpressionKind::Member(object, _) => match object.kind {
                ExpressionKind::Name("Math") => Type::F64,
                _ => Type::I64,
            },
            ExpressionKind::Index(parts) => match self.type_of(&parts[0]) {
                Type::Array(array) => array.element(),
                _ => Type::Mistake,
            },
            ExpressionKind::New(name, _) => Type::named(name.text).unwrap_or(Type::Mistake),
            ExpressionKind::Mistake => Type::Mistake,
        }
    }

    fn type_of_both(
        &self,
        operator: Binary,
        left: &Expression<'s>,
        right: &Expression<'s>,
    ) -> Type {
        let (first, second) = (self.type_of(left), self.type_of(right));
        if operator == Binary::Add && (first == Type::Text || second == Type::Text) {
            Type::Text
        } else if left.is_literal() || first.widens_to(second) && !right.is_literal() {
            second
        } else {
            first
        }
    }

    fn type_of_name(&self, name: &str) -> Type {
        let local = self.body.locals.iter().rev().find(|local| local.name == name);
        match (local, self.globals.get(name)) {
            (Some(local), _) => local.kind,
            (None, Some(global)) => global.kind,
            (None, None) => Type::Mistake,
        }
    }

    fn type_of_call(&self, callee: &Expression<'s>) -> Type {
        match &callee.kind {
            ExpressionKind::Name(name) => match (Type::named(name), library::function(name)) {
                (Some(kind), _) if kind.is_number() => kind,
                (_, Some(entry)) => entry.result,
                _ => self.functions.get(name).map_or(Type::Mistake, |callee| callee.result),
            },
            ExpressionKind::Member(object, member) => match object.kind {
                ExpressionKind::Name("Math") => Type::F64,
                ExpressionKind::Name("String" | "console") => Type::Text,
                _ => library::text_method(member.text).map_or(Type::Text, |entry| entry.result),
            },
            _ => Type::Mistake,
        }
    }
}
