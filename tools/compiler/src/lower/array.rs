//! Arrays of numbers: made with their length, reached by index.
//!
//! An index is an `i32` or an `i64`; the machine compares it unsigned with the length and throws `IndexOutOfBoundsException`.

use alloc::format;

use revenant_bytecode::{ClassReference, Opcode};

use super::Lowering;
use super::expression::Value;
use crate::ast::{Binary, Expression, Name};
use crate::diagnostic::Span;
use crate::types::{Array, Type};

/// An element that is about to be read or written.
#[derive(Clone, Copy, Debug)]
struct Place {
    array: Array,
    register: u16,
    index: u16,
}

impl<'s> Lowering<'_, 's, '_> {
    /// `new Int32Array(length)`.
    pub(super) fn create(
        &mut self,
        name: Name<'s>,
        arguments: &[Expression<'s>],
        span: Span,
        want: Option<u16>,
    ) -> Value {
        let Some(kind @ Type::Array(array)) = Type::named(name.text) else {
            let message = format!("there is no class `{}`", name.text);
            let help = "there are arrays of numbers: `new Int32Array(length)` and its like";
            self.diagnostics.error_with_help(name.span, message, "not known", help);
            return Value::MISTAKE;
        };
        if !self.check_count(1, arguments, span) {
            return Value { kind, ..Value::MISTAKE };
        }
        let Some(length) = arguments.first() else { return Value::MISTAKE };
        let tops = self.body.tops;
        let length = self.coerced(length, Type::I64, None);
        self.body.tops = tops;
        let target = self.target(kind, want);
        let class = ClassReference::builtin(array.class()).0;
        let fields = [target.register, length.register, 0];
        self.body.emitter.emit_literal(Opcode::ArrayNew, fields, class.into());
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
        let Type::Array(array) = held.kind else {
            let message = format!("`{}` has no elements", held.kind.name());
            self.diagnostics.error(object.span, message, "is no array");
            return None;
        };
        if !position.kind.is_integer() {
            let message = format!("an index is an integer, not `{}`", position.kind.name());
            self.diagnostics.error(index.span, message, "here");
            return None;
        }
        Some(Place { array, register: held.register, index: position.register })
    }

    fn keep(&mut self, value: Value) -> Value {
        let register = self.body.allocate(value.kind);
        self.move_to(value.kind, register, value.register);
        Value { kind: value.kind, register }
    }

    /// An element, read.
    pub(super) fn element(&mut self, parts: &[Expression<'s>; 2], want: Option<u16>) -> Value {
        let tops = self.body.tops;
        let Some(place) = self.place(parts, false) else { return Value::MISTAKE };
        self.body.tops = tops;
        let target = self.target(place.array.element(), want);
        self.load(place, target.register);
        target
    }

    fn load(&mut self, place: Place, register: u16) {
        let (load, _) = place.array.access();
        self.body.emitter.emit(load, register, place.register, place.index);
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
        let kind = place.array.element();
        let value = match operator {
            None => self.coerced(value, kind, None),
            Some(operator) => {
                let old = self.body.allocate(kind);
                self.load(place, old);
                let right = self.coerced(value, kind, None);
                let left = Value { kind, register: old };
                self.operation(operator, kind, [left, right], span, None)
            }
        };
        let (_, store) = place.array.access();
        self.body.emitter.emit(store, value.register, place.register, place.index);
        value
    }
}
