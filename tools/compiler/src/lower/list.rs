//! `T[]`: literals, elements, loops over them.
//!
//! The library's class `Array<T>` has the elements in its first slot and their number, an `i32`, in its second. An access compares
//! the index with the number here, because the machine's array has room for more.

use alloc::format;

use revenant_bytecode::{Native, Opcode};

use super::Lowering;
use super::expression::Value;
use super::function::Jumps;
use super::resolve::raw_access;
use crate::ast::{Expression, ExpressionKind, ForOf};
use crate::diagnostic::Span;
use crate::emit::Label;
use crate::types::{Referent, Type};

/// The slots of a list.
pub(super) const ITEMS: u16 = 0;
pub(super) const LENGTH: u16 = 1;

impl<'s> Lowering<'_, 's, '_> {
    /// `[a, b]`.
    pub(super) fn list(
        &mut self,
        values: &[Expression<'s>],
        span: Span,
        expected: Option<Type>,
    ) -> Value {
        let hint = expected.map(Type::without_null).and_then(|kind| self.list_element(kind));
        let element = hint.or_else(|| self.common_type(values));
        let Some(element) = element else {
            let message = "what this array holds is not to be seen here";
            let help = "declare its type: `const list: i32[] = []`";
            self.diagnostics.error_with_help(span, message, "of what type?", help);
            return Value::MISTAKE;
        };
        let kind = self.list_of(element, span);
        let Type::Object(Referent::Class(class)) = kind else { return Value::MISTAKE };
        self.lay_out(class);
        let Type::Object(Referent::Raw(raw, _)) = self.raw_array(element) else {
            return Value::MISTAKE;
        };
        let list = self.body.allocate(kind);
        let tops = self.body.tops;
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let items = self.body.allocate(kind);
        let length = self.body.allocate(Type::I64);
        let emitter = &mut self.body.emitter;
        emitter.emit_literal(Opcode::ObjectNew, [list, 0, 0], class.0.into());
        emitter.emit_wide(Opcode::I64ConstShort, length, count);
        emitter.emit_literal(Opcode::ArrayNew, [items, length, 0], raw.0.into());
        emitter.emit(Opcode::FieldStoreRef, items, list, ITEMS);
        emitter.emit_wide(Opcode::I32Const, length, count);
        emitter.emit(Opcode::FieldStoreRaw, length, list, LENGTH);
        let (_, store) = raw_access(element);
        for (place, value) in values.iter().enumerate() {
            let tops = self.body.tops;
            let value = self.coerced(value, element, None);
            let index = self.body.allocate(Type::I32);
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            self.body.emitter.emit_wide(Opcode::I32Const, index, place);
            self.body.emitter.emit(store, value.register, items, index);
            self.body.tops = tops;
        }
        self.body.tops = tops;
        Value { kind, register: list }
    }

    /// The type that all of these have or become.
    pub(super) fn common_type(&mut self, values: &[Expression<'s>]) -> Option<Type> {
        let mut found: Option<Type> = None;
        for value in values {
            let kind = self.type_of(value);
            found = Some(match found {
                None => kind,
                Some(known) if self.fits(kind, known) || kind.widens_to(known) => known,
                Some(known) if self.fits(known, kind) || known.widens_to(kind) => kind,
                Some(Type::Null) => kind.or_null(),
                Some(known) if kind == Type::Null => known.or_null(),
                Some(known) => known,
            });
        }
        found.filter(|kind| !matches!(kind, Type::Mistake | Type::Void | Type::Null))
    }

    /// The elements of a list, once the index has been compared with their number.
    pub(super) fn list_items(&mut self, list: u16, element: Type, index: Value) -> u16 {
        let raw = self.raw_array(element);
        let hoisted = self.body.hoisted.iter().find(|hoisted| hoisted.list == list).copied();
        let wide = index.kind.is_wide();
        let length = match hoisted {
            Some(hoisted) if !wide => hoisted.length,
            _ => self.body.allocate(Type::I64),
        };
        let emitter = &mut self.body.emitter;
        match hoisted {
            None => emitter.emit(Opcode::FieldLoadRaw, length, list, LENGTH),
            Some(hoisted) if wide => emitter.emit(Opcode::MoveRaw, length, hoisted.length, 0),
            Some(_) => {}
        }
        if wide {
            emitter.emit(Opcode::I64ExtendI32U, length, length, 0);
        }
        let fail = self.body.failure();
        let opcode = if wide { Opcode::I64BranchLeU } else { Opcode::I32BranchLeU };
        self.body.emitter.branch(opcode, length, index.register, fail);
        if let Some(hoisted) = hoisted {
            return hoisted.items;
        }
        let items = self.body.allocate(raw);
        self.body.emitter.emit(Opcode::FieldLoadRef, items, list, ITEMS);
        items
    }

    /// Where the indices that were out of bounds come to, at the end of a function.
    pub(super) fn failures(&mut self) {
        let failures = core::mem::take(&mut self.body.failures);
        if failures.is_empty() {
            return;
        }
        let place = self.library_function("outOfBounds");
        let callee = place.and_then(|place| self.instance(place, alloc::vec::Vec::new()));
        let index = callee.map_or(0, |callee| callee.index);
        for (line, label) in failures {
            self.body.emitter.bind(label);
            self.body.emitter.line(line);
            let fields = [self.body.tops.references, self.body.tops.raws, 0];
            self.body.emitter.emit_literal(Opcode::Call, fields, index.into());
            self.body.emitter.emit(Opcode::Unreachable, 0, 0, 0);
        }
    }

    /// `for (const name of list) body`: the list may grow meanwhile.
    pub(super) fn for_of(&mut self, parts: &ForOf<'s>) {
        let values = self.expression(&parts.values, None, None);
        let held = self.keep(values);
        let element = match held.kind {
            Type::Object(Referent::Array(array)) => Some(array.element()),
            Type::TEXT => Some(Type::TEXT),
            kind => self.list_element(kind),
        };
        let Some(element) = element else {
            match held.kind {
                Type::Mistake => {}
                Type::Nullable(_) | Type::Null => {
                    self.may_be_null(held.kind, parts.values.span);
                }
                kind => {
                    self.refuse_collection(kind, parts);
                }
            }
            return;
        };
        self.forget_assigned(core::iter::empty(), &[&parts.body]);
        if held.kind == Type::TEXT {
            return self.for_characters(held, parts);
        }
        let position = self.body.allocate(Type::I32);
        let variable = self.body.allocate(element);
        let emitter = &mut self.body.emitter;
        let (top, again, end) = (emitter.label(), emitter.label(), emitter.label());
        emitter.emit_wide(Opcode::I32Const, position, 0);
        let past = |this: &mut Self, opcode: Opcode, swap: bool, to: Label| {
            let tops = this.body.tops;
            let length = this.list_length(held);
            let (a, b) = if swap { (length, position) } else { (position, length) };
            this.body.branch(opcode, a, b, to);
            this.body.tops = tops;
        };
        past(self, Opcode::I32BranchLeU, true, end);
        let at_hand = self.hoist(core::iter::empty(), &parts.body);
        self.body.bind(top);
        let tops = self.body.tops;
        self.next_element(held, element, position, variable);
        self.body.tops = tops;
        self.declare_local(parts.name, element, variable, parts.constant);
        self.round(&parts.body, Jumps { end, again: Some(again) });
        self.body.bind(again);
        self.mark_line(parts.values.span);
        self.body.emitter.emit(Opcode::I32AddImm, position, position, 1);
        past(self, Opcode::I32BranchLtU, false, top);
        self.body.hoisted.truncate(at_hand);
        self.body.bind(end);
    }

    /// What cannot be walked: a map and a set are walked by lists of what is in them.
    fn refuse_collection(&mut self, kind: Type, parts: &ForOf<'s>) {
        let Type::Object(Referent::Class(class)) = kind else {
            return self.no_elements(kind, parts);
        };
        let template = self.classes.get(&class).map(|info| info.template);
        let is = |name| template.is_some_and(|place| self.is_library_class(name, place));
        let name = parts.name.text;
        let of = match parts.values.kind {
            ExpressionKind::Name(name) => name,
            _ => "all",
        };
        let (message, help) = if is("Map") {
            let help = format!(
                "write `for (const {name} of {of}.keys())`, or `{of}.values()`, or `{of}.forEach((value, key) => ...)`"
            );
            ("a map is not walked by itself: by its keys or by its values", help)
        } else if is("Set") {
            (
                "a set is walked by a list of what is in it",
                format!("write `for (const {name} of {of}.values())`"),
            )
        } else {
            return self.no_elements(kind, parts);
        };
        let label = format!("is `{}`", self.show(kind));
        self.diagnostics.error_with_help(parts.values.span, message, &label, help);
    }

    fn no_elements(&mut self, kind: Type, parts: &ForOf<'s>) {
        let message = format!("`{}` has no elements", self.show(kind));
        self.diagnostics.error(parts.values.span, message, "is no array");
    }

    /// The number of elements, as an i32.
    fn list_length(&mut self, list: Value) -> u16 {
        let length = self.body.allocate(Type::I64);
        let emitter = &mut self.body.emitter;
        if matches!(list.kind, Type::Object(Referent::Array(_))) {
            emitter.emit(Opcode::ArrayLength, length, list.register, 0);
            emitter.emit(Opcode::I32WrapI64, length, length, 0);
        } else {
            emitter.emit(Opcode::FieldLoadRaw, length, list.register, LENGTH);
        }
        length
    }

    /// The element at a position that was just compared with the length.
    fn next_element(&mut self, list: Value, element: Type, position: u16, variable: u16) {
        let (array, load) = if let Type::Object(Referent::Array(array)) = list.kind {
            (list.register, array.access().0)
        } else {
            let raw = self.raw_array(element);
            let items = self.body.allocate(raw);
            self.body.emitter.emit(Opcode::FieldLoadRef, items, list.register, ITEMS);
            (items, raw_access(element).0)
        };
        self.body.emitter.emit(load, variable, array, position);
        self.prove(Value { kind: element, register: variable });
    }

    /// `for (const character of text) body`.
    fn for_characters(&mut self, text: Value, parts: &ForOf<'s>) {
        let window = self.body.tops;
        let slot = self.body.allocate(Type::TEXT);
        self.move_to(Type::TEXT, slot, text.register);
        self.native(Native::StringLength, window);
        self.body.tops = window;
        let length = self.body.allocate(Type::I64);
        let position = self.body.allocate(Type::I64);
        let variable = self.body.allocate(Type::TEXT);
        let emitter = &mut self.body.emitter;
        let (top, again, end) = (emitter.label(), emitter.label(), emitter.label());
        emitter.emit_wide(Opcode::I64ConstShort, position, 0);
        self.body.branch(Opcode::I64BranchLeS, length, position, end);
        self.body.bind(top);
        let window = self.body.tops;
        let slot = self.body.allocate(Type::TEXT);
        let at = self.body.allocate(Type::I64);
        self.move_to(Type::TEXT, slot, text.register);
        self.move_to(Type::I64, at, position);
        self.native(Native::StringCharacter, window);
        self.move_to(Type::I64, position, window.raws.saturating_add(1));
        self.native(Native::StringFromCharacter, window);
        self.move_to(Type::TEXT, variable, slot);
        self.body.tops = window;
        self.declare_local(parts.name, Type::TEXT, variable, parts.constant);
        self.round(&parts.body, Jumps { end, again: Some(again) });
        self.body.bind(again);
        self.body.branch(Opcode::I64BranchLtS, position, length, top);
        self.body.bind(end);
    }
}
