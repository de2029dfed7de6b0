//! Members by name: fields, accessors, members of enums, static fields, lengths, constants of the library.

use alloc::format;
use alloc::vec::Vec;

use revenant_bytecode::{Builtin, ClassReference, Native, Opcode};

use super::Lowering;
use super::expression::Value;
use super::facts::Assigned;
use super::layout::{FieldInfo, Place};
use crate::ast::{Access, Binary, Expression, ExpressionKind, Name, Role};
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

impl<'s> Lowering<'_, 's, '_> {
    /// A member that is not called.
    pub(super) fn member(
        &mut self,
        object: &Expression<'s>,
        member: Name<'s>,
        whole: &Expression<'s>,
        want: Option<u16>,
    ) -> Value {
        if let ExpressionKind::Name(name) = object.kind
            && let Some(found) = self.static_member(name, member, want)
        {
            return found;
        }
        let tops = self.body.tops;
        let value = self.expression(object, None, None);
        self.body.tops = tops;
        match value.kind {
            Type::Mistake => value,
            Type::Object(Referent::Array(_) | Referent::Raw(..)) if member.text == "length" => {
                let target = self.target(Type::I64, want);
                self.body.emitter.emit(Opcode::ArrayLength, target.register, value.register, 0);
                target
            }
            Type::TEXT if member.text == "length" => {
                let slot = self.body.allocate(Type::TEXT);
                self.move_to(Type::TEXT, slot, value.register);
                self.native(Native::StringLength, tops);
                self.body.tops = tops;
                self.target(Type::I64, None)
            }
            Type::Object(Referent::Class(class)) => {
                let found = self.get(class, value, member, want);
                self.narrowed(found, whole)
            }
            Type::Nullable(_) | Type::Null => self.may_be_null(value.kind, object.span),
            kind => {
                let owner = self.show(kind);
                self.no_member(&owner, member)
            }
        }
    }

    /// Constants of `Math`, members of enums, static fields; None if the name is none of them.
    fn static_member(
        &mut self,
        name: &'s str,
        member: Name<'s>,
        want: Option<u16>,
    ) -> Option<Value> {
        if self.body.locals.iter().any(|local| local.name == name) {
            return None;
        }
        let constant = match (name, member.text) {
            ("Math", "PI") => core::f64::consts::PI,
            ("Math", "E") => core::f64::consts::E,
            ("Math" | "String" | "console" | "Thread", _) => {
                return Some(self.no_member(name, member));
            }
            _ => return self.enum_or_static(name, member, want),
        };
        let target = self.target(Type::F64, want);
        let fields = [target.register, 0, 0];
        self.body.emitter.emit_literal(Opcode::F64Const, fields, constant.to_bits());
        Some(target)
    }

    fn enum_or_static(
        &mut self,
        name: &'s str,
        member: Name<'s>,
        want: Option<u16>,
    ) -> Option<Value> {
        if let Some(place) = self.enum_number(name) {
            let number = self.enums.get(usize::from(place))?.members.get(member.text).copied();
            let Some(number) = number else { return Some(self.no_member(name, member)) };
            let target = self.target(Type::Enum(place), want);
            self.body.emitter.emit_wide(Opcode::I32Const, target.register, number.cast_unsigned());
            return Some(target);
        }
        let class = self.class_named(name)?;
        let Some(field) = self.static_field(class, member) else {
            return Some(self.no_member(name, member));
        };
        let Place::Static(global) = field.place else { return None };
        Some(self.load_global(global))
    }

    /// The class of this name, if it has no type parameters. One of the library's comes into being when it is asked for.
    pub(super) fn class_named(&mut self, name: &str) -> Option<ClassReference> {
        let place = self.class_place(name)?;
        let class = self.program.classes.get(place).filter(|class| class.generics.is_empty())?;
        let reference = self.instantiate(place, Vec::new(), class.name.span);
        self.lay_out(reference);
        Some(reference)
    }

    fn static_field(&mut self, class: ClassReference, member: Name<'s>) -> Option<FieldInfo> {
        let field = self.field(class, member.text)?;
        if let Place::Slot(_) = field.place {
            return None;
        }
        self.check_field_access(&field, member);
        Some(field)
    }

    fn check_field_access(&mut self, field: &FieldInfo, member: Name<'s>) {
        if field.modifiers.access != Access::Public {
            let name = format!("`{}`", member.text);
            self.check_access(field.modifiers.access, field.owner, &name, member.span);
        }
    }

    /// Reads a field, or calls its getter.
    fn get(
        &mut self,
        class: ClassReference,
        object: Value,
        member: Name<'s>,
        want: Option<u16>,
    ) -> Value {
        if let Some(field) = self.field(class, member.text) {
            self.check_field_access(&field, member);
            let Place::Slot(slot) = field.place else {
                let owner = self.show(object.kind);
                return self.no_member(&owner, member);
            };
            if field.owner == ClassReference::builtin(Builtin::Exception) {
                return self.message(object.register, want);
            }
            return self.load_slot(field.kind, object.register, slot, want);
        }
        let Some(getter) = self.method(class, Role::Getter, member.text) else {
            let owner = self.show(object.kind);
            return self.no_member(&owner, member);
        };
        let name = format!("`{}`", member.text);
        self.check_access(getter.modifiers.access, getter.owner, &name, member.span);
        let window = self.body.tops;
        let slot = self.body.allocate(object.kind);
        self.move_to(object.kind, slot, object.register);
        self.emit_call(class, Role::Getter, member.text, &getter, window);
        self.body.tops = window;
        self.result(getter.callee.result)
    }

    /// A field of an object that was evaluated.
    pub(super) fn field_value(
        &mut self,
        object: Value,
        class: ClassReference,
        member: Name<'s>,
    ) -> Value {
        self.get(class, object, member, None)
    }

    pub(super) fn load_slot(
        &mut self,
        kind: Type,
        object: u16,
        slot: u16,
        want: Option<u16>,
    ) -> Value {
        let target = self.target(kind, want);
        let reference = kind.is_reference();
        let opcode = if reference { Opcode::FieldLoadRef } else { Opcode::FieldLoadRaw };
        self.body.emitter.emit(opcode, target.register, object, slot);
        self.prove(target);
        target
    }

    /// What natives take has to be known not to be null.
    pub(super) fn prove(&mut self, value: Value) {
        if let Type::Object(referent) = value.kind
            && referent.is_proved()
        {
            self.body.emitter.emit(Opcode::NullCheck, value.register, value.register, 0);
        }
    }

    pub(super) fn store_slot(&mut self, kind: Type, register: u16, object: u16, slot: u16) {
        let reference = kind.is_reference();
        let opcode = if reference { Opcode::FieldStoreRef } else { Opcode::FieldStoreRaw };
        self.body.emitter.emit(opcode, register, object, slot);
    }

    /// `object.name = value`, and with an operator.
    pub(super) fn assign_member(
        &mut self,
        operator: Option<Binary>,
        [object, target]: [&Expression<'s>; 2],
        member: Name<'s>,
        value: &Expression<'s>,
        span: Span,
    ) -> Value {
        if let ExpressionKind::Name(name) = object.kind
            && !self.body.locals.iter().any(|local| local.name == name)
            && let Some(class) = self.class_named(name)
            && let Some(field) = self.static_field(class, member)
            && let Place::Static(global) = field.place
        {
            self.check_assignable(&field, class, member, false);
            return self.assign_static(operator, global, value, span);
        }
        let mut held = self.expression(object, None, None);
        if value.assigns() {
            held = self.keep(held);
        }
        let Type::Object(Referent::Class(class)) = held.kind else {
            self.expression(value, None, None);
            if matches!(held.kind, Type::Nullable(_) | Type::Null) {
                return self.may_be_null(held.kind, object.span);
            }
            if held.kind != Type::Mistake && member.text == "length" {
                self.diagnostics.error(member.span, "`length` is readonly", "assigned to");
            } else if held.kind != Type::Mistake {
                let owner = self.show(held.kind);
                self.no_member(&owner, member);
            }
            return Value::MISTAKE;
        };
        let Some(field) = self.field(class, member.text) else {
            return self.assign_by_setter(operator, class, held, member, value, span);
        };
        self.check_field_access(&field, member);
        let own = matches!(object.kind, ExpressionKind::This) && self.body.constructor;
        self.check_assignable(&field, class, member, own);
        let Place::Slot(slot) = field.place else {
            let owner = self.show(held.kind);
            return self.no_member(&owner, member);
        };
        let (value, given) = match operator {
            None => self.coerced_from(value, field.kind, None),
            Some(operator) => {
                let old = self.load_slot(field.kind, held.register, slot, None);
                (self.combine(operator, old, value, span), field.kind)
            }
        };
        self.store_slot(field.kind, value.register, held.register, slot);
        let path = self.path(target);
        self.body.forget(Assigned::Field(member.text), path.as_ref());
        self.learn_assigned(target, field.kind, given);
        if own {
            self.body.set(member.text);
        }
        value
    }

    fn check_assignable(
        &mut self,
        field: &FieldInfo,
        class: ClassReference,
        member: Name<'s>,
        own: bool,
    ) {
        if field.modifiers.readonly && !(own && field.owner == class) && !self.body.is_library() {
            let message = format!("`{}` is readonly", member.text);
            let help = "only the constructor of its class gives it a value";
            self.diagnostics.error_with_help(member.span, message, "assigned to", help);
        }
    }

    fn assign_static(
        &mut self,
        operator: Option<Binary>,
        global: super::Global,
        value: &Expression<'s>,
        span: Span,
    ) -> Value {
        let value = match operator {
            None => self.coerced(value, global.kind, None),
            Some(operator) => {
                let old = self.load_global(global);
                self.combine(operator, old, value, span)
            }
        };
        self.store_global(global, value.register);
        value
    }

    /// `old operator value`, of the old value's type.
    pub(super) fn combine(
        &mut self,
        operator: Binary,
        old: Value,
        value: &Expression<'s>,
        span: Span,
    ) -> Value {
        if old.kind == Type::TEXT && operator == Binary::Add {
            return self.concatenate_value(old, value);
        }
        if old.kind == Type::Mistake {
            return old;
        }
        let right = self.coerced(value, old.kind, None);
        self.operation(operator, old.kind, [old, right], span, None)
    }

    fn assign_by_setter(
        &mut self,
        operator: Option<Binary>,
        class: ClassReference,
        object: Value,
        member: Name<'s>,
        value: &Expression<'s>,
        span: Span,
    ) -> Value {
        let Some(setter) = self.method(class, Role::Setter, member.text) else {
            let owner = self.show(object.kind);
            self.expression(value, None, None);
            return self.no_member(&owner, member);
        };
        let name = format!("`{}`", member.text);
        self.check_access(setter.modifiers.access, setter.owner, &name, member.span);
        let kind = setter.callee.parameters.first().copied().unwrap_or(Type::Mistake);
        let value = match operator {
            None => self.coerced(value, kind, None),
            Some(operator) => {
                let old = self.get(class, object, member, None);
                let old = self.keep(old);
                self.combine(operator, old, value, span)
            }
        };
        let value = self.keep(value);
        let window = self.body.tops;
        for argument in [object, value] {
            let slot = self.body.allocate(argument.kind);
            self.move_to(argument.kind, slot, argument.register);
        }
        self.emit_call(class, Role::Setter, member.text, &setter, window);
        self.body.tops = window;
        value
    }

    pub(super) fn may_be_null(&mut self, kind: Type, span: Span) -> Value {
        let message = if kind == Type::Null {
            alloc::string::String::from("this is null")
        } else {
            format!("this may be null: it is `{}`", self.show(kind))
        };
        let help = "ask before (`if (x !== null)`), or write `?.`, `??` or `!`";
        self.diagnostics.error_with_help(span, message, "may be null", help);
        Value::MISTAKE
    }
}
