//! Loops over lists of numbers: where the elements stand and how many there are is looked up once, before the loop.
//!
//! Only where nothing in the loop could change either: no calls, no members, nothing but numbers, and the variable with the list is not
//! assigned to. What another thread does to the list meanwhile may be seen late, as of every field without a lock.
//!
//! Invariant: an entry is of a register that holds the same list until the entry goes.

use alloc::vec::Vec;

use revenant_bytecode::Opcode;

use super::Lowering;
use super::facts::each_expression;
use super::list::{ITEMS, LENGTH};
use crate::ast::{Expression, ExpressionKind, Statement};
use crate::types::{Referent, Type};

/// A list whose parts are at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hoisted {
    /// The register of the list.
    pub(super) list: u16,
    /// That of its elements.
    pub(super) items: u16,
    /// That of their number, an i32.
    pub(super) length: u16,
}

/// What a loop is seen to do.
#[derive(Default)]
struct Survey<'s> {
    /// Variables whose elements are read or written.
    lists: Vec<&'s str>,
    assigned: Vec<&'s str>,
    /// Something in it may do anything.
    open: bool,
}

impl<'s> Lowering<'_, 's, '_> {
    /// Looks up the lists of a loop that is about to begin; how many were at hand before.
    pub(super) fn hoist<'e>(
        &mut self,
        parts: impl Iterator<Item = &'e Expression<'s>>,
        body: &Statement<'s>,
    ) -> usize
    where
        's: 'e,
    {
        let before = self.body.hoisted.len();
        let mut survey = Survey::default();
        parts.for_each(|value| self.survey(value, &mut survey));
        each_expression(body, &mut |value| self.survey(value, &mut survey));
        if survey.open {
            return before;
        }
        for name in survey.lists {
            let Some(local) = self.body.locals.iter().rev().find(|local| local.name == name) else {
                continue;
            };
            let (kind, list) = (local.kind, local.register);
            let known = self.body.hoisted.iter().any(|hoisted| hoisted.list == list);
            if local.boxed || known || survey.assigned.contains(&name) {
                continue;
            }
            let Some(element) = self.list_element(kind) else { continue };
            let raw = self.raw_array(element);
            let (items, length) = (self.body.allocate(raw), self.body.allocate(Type::I32));
            self.body.emitter.emit(Opcode::FieldLoadRaw, length, list, LENGTH);
            self.body.emitter.emit(Opcode::FieldLoadRef, items, list, ITEMS);
            self.body.hoisted.push(Hoisted { list, items, length });
        }
        before
    }

    fn survey(&self, value: &Expression<'s>, survey: &mut Survey<'s>) {
        use ExpressionKind as K;
        match &value.kind {
            K::Number(_) | K::Bool(_) => {}
            K::Name(name) => survey.open |= !self.is_plain(name),
            K::Unary(_, inner) => self.survey(inner, survey),
            K::Binary(_, left, right) => {
                self.survey(left, survey);
                self.survey(right, survey);
            }
            K::Conditional(parts) => parts.iter().for_each(|part| self.survey(part, survey)),
            K::Index(parts) => {
                let [list, index] = &**parts;
                self.survey(index, survey);
                match list.kind {
                    K::Name(name) if self.has_plain_elements(name) => survey.lists.push(name),
                    _ => survey.open = true,
                }
            }
            K::Assign(_, target, value) => {
                self.survey_target(target, survey);
                self.survey(value, survey);
            }
            K::Update(_, target, _) => self.survey_target(target, survey),
            K::Member(object, member) if member.text == "length" => match object.kind {
                K::Name(name) if self.has_plain_elements(name) => {}
                _ => survey.open = true,
            },
            _ => survey.open = true,
        }
    }

    fn survey_target(&self, target: &Expression<'s>, survey: &mut Survey<'s>) {
        if let ExpressionKind::Name(name) = target.kind {
            survey.assigned.push(name);
        }
        self.survey(target, survey);
    }

    /// Whether a variable holds no reference; one that is not known is declared in the loop, with what stands in the loop.
    fn is_plain(&self, name: &str) -> bool {
        let local = self.body.locals.iter().rev().find(|local| local.name == name);
        let kind = match local {
            Some(local) => Some(local.kind),
            None => self.global(name).map(|global| global.kind),
        };
        kind.is_none_or(|kind| !kind.is_reference())
    }

    fn has_plain_elements(&self, name: &str) -> bool {
        let local = self.body.locals.iter().rev().find(|local| local.name == name);
        local.is_some_and(|local| match local.kind {
            Type::Object(Referent::Array(_)) => true,
            kind => self.list_element(kind).is_some_and(|element| !element.is_reference()),
        })
    }
}
