//! Arrays of numbers: made with their length, reached by index.
//!
//! An index is an `i32` or an `i64`; the machine compares it unsigned with the length and throws `IndexOutOfBoundsException`.

use alloc::format;

use revenant_bytecode::Opcode;

use super::Lowering;
use super::expression::Value;
use super::resolve::raw_access;
use crate::ast::{Binary, Expression};
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

/// An element that is about to be read or written.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Whether it is a `T[]`, whose elements stand behind a comparison of the index.
    list: bool,
    element: Type,
    access: (Opcode, Opcode),
    register: u16,
    index: Value,
}

impl<'s> Lowering<'_, 's, '_> {
    /// `new Int32Array(length)`, and the arrays that the library is made of.
    pub(super) fn create_array(
        &mut self,
        kind: Type,
        arguments: &[Expression<'s>],
        span: Span,
        want: Option<u16>,
    ) -> Value {
        if !self.check_count(1, arguments.len(), span) {
            return Value { kind, ..Value::MISTAKE };
        }
        let (Some(length), Some(referent)) = (arguments.first(), kind.referent()) else {
            return Value::MISTAKE;
        };
        let tops = self.body.tops;
        let length = self.coerced(length, Type::I64, None);
        self.body.tops = tops;
        let target = self.target(kind, want);
        let fields = [target.register, length.register, 0];
        self.body.emitter.emit_literal(Opcode::ArrayNew, fields, referent.class().0.into());
        target
    }

    /// Evaluates array and index, and keeps them from what `rest` assigns.
    fn place(&mut self, parts: &[Expression<'s>; 2], rest: bool) -> Option<Place> {
        let [object, index] = parts;
        let mut held = self.expression(object, None, None);
        if rest || index.assigns() {
            held = self.keep(held);
        }
        let mut position = self.expression(index, None, None);
        if rest {
            position = self.keep(position);
        }
        if held.kind == Type::Mistake || position.kind == Type::Mistake {
            return None;
        }
        let (list, element, access) = match held.kind {
            Type::Object(Referent::Array(array)) => (false, array.element(), array.access()),
            Type::Object(Referent::Raw(_, place)) => {
                let element = self.elements.get(usize::from(place)).copied()?;
                (false, element, raw_access(element))
            }
            Type::Nullable(_) | Type::Null => {
                self.may_be_null(held.kind, object.span);
                return None;
            }
            kind => {
                let Some(element) = self.list_element(kind) else {
                    let message = format!("`{}` has no elements", self.show(kind));
                    self.diagnostics.error(object.span, message, "is no array");
                    return None;
                };
                (true, element, raw_access(element))
            }
        };
        if !position.kind.is_integer() {
            let message = format!("an index is an integer, not `{}`", self.show(position.kind));
            self.diagnostics.error(index.span, message, "here");
            return None;
        }
        Some(Place { list, element, access, register: held.register, index: position })
    }

    /// The machine's array behind the place, just before it is read or written.
    fn array_of(&mut self, place: &Place) -> u16 {
        if place.list {
            self.list_items(place.register, place.element, place.index)
        } else {
            place.register
        }
    }

    /// An element, read.
    pub(super) fn element(&mut self, parts: &[Expression<'s>; 2], want: Option<u16>) -> Value {
        let tops = self.body.tops;
        let Some(place) = self.place(parts, false) else { return Value::MISTAKE };
        let array = self.array_of(&place);
        self.body.tops = tops;
        let target = self.target(place.element, want);
        self.load(&place, array, target);
        target
    }

    fn load(&mut self, place: &Place, array: u16, target: Value) {
        self.body.emitter.emit(place.access.0, target.register, array, place.index.register);
        self.prove(target);
    }

    /// `array[index] = value`, and with an operator.
    pub(super) fn assign_element(
        &mut self,
        operator: Option<Binary>,
        parts: &[Expression<'s>; 2],
        value: &Expression<'s>,
        span: Span,
    ) -> Value {
        let Some(place) = self.place(parts, value.assigns()) else {
            self.expression(value, None, None);
            return Value::MISTAKE;
        };
        let kind = place.element;
        let value = match operator {
            None => self.coerced(value, kind, None),
            Some(operator) => {
                let target = self.target(kind, None);
                let array = self.array_of(&place);
                self.load(&place, array, target);
                self.combine(operator, target, value, span)
            }
        };
        let array = self.array_of(&place);
        self.body.emitter.emit(place.access.1, value.register, array, place.index.register);
        value
    }
}
