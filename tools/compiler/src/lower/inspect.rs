//! What a session prints of a value: functions that show the fields of each class by their names, made for the types that are shown.
//!
//! An object is shown as one of the class that it is of, among the classes that the session has so far; so these functions are made anew
//! for each input. The library bounds depth and length (`Session_output`), and notices what holds itself.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{ClassReference, Opcode};

use super::Lowering;
use super::expression::Value;
use super::function::Body;
use super::layout::Place;
use crate::ast::{Binary, Expression, ExpressionKind, Name, Statement, StatementKind};
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

/// Names of what is shown, and of what collects it, in every function that shows.
const VALUE: &str = "value";
const OUTPUT: &str = "to";

fn expression<'s>(kind: ExpressionKind<'s>) -> Expression<'s> {
    Expression { span: Span::default(), kind }
}

fn name<'s>(text: &'s str) -> Expression<'s> {
    expression(ExpressionKind::Name(text))
}

fn text<'s>(text: impl Into<String>) -> Expression<'s> {
    expression(ExpressionKind::Text(text.into()))
}

fn member<'s>(object: Expression<'s>, text: &'s str) -> Expression<'s> {
    let name = Name { text, span: Span::default() };
    expression(ExpressionKind::Member(Box::new(object), name))
}

fn call<'s>(callee: Expression<'s>, arguments: Vec<Expression<'s>>) -> Expression<'s> {
    expression(ExpressionKind::Call(Box::new(callee), arguments))
}

/// `to.method(arguments)`.
fn output<'s>(method: &'s str, arguments: Vec<Expression<'s>>) -> Expression<'s> {
    call(member(name(OUTPUT), method), arguments)
}

fn statement<'s>(kind: StatementKind<'s>) -> Statement<'s> {
    Statement { span: Span::default(), kind }
}

fn put<'s>(shown: impl Into<String>) -> Statement<'s> {
    statement(StatementKind::Expression(output("put", Vec::from([text(shown)]))))
}

fn inspect<'s>(value: Expression<'s>) -> Statement<'s> {
    let arguments = Vec::from([value, name(OUTPUT)]);
    statement(StatementKind::Expression(call(name("inspect"), arguments)))
}

impl<'s> Lowering<'_, 's, '_> {
    /// Prints the value of an expression, if it has one.
    pub(super) fn show_value(&mut self, value: &Expression<'s>) {
        let tops = self.body.tops;
        let found = self.expression(value, None, None);
        let kind = match found.kind {
            Type::Void | Type::Mistake => return,
            // `null` alone has no type to show it by.
            Type::Null => Type::TEXT.or_null(),
            kind => kind,
        };
        self.body.tops = tops;
        let place = self.library_function("Session_show");
        if let Some(callee) = place.and_then(|place| self.instance(place, Vec::from([kind]))) {
            let slot = self.body.allocate(kind);
            self.move_to(kind, slot, found.register);
            let fields = [tops.references, tops.raws, 0];
            self.body.emitter.emit_literal(Opcode::Call, fields, callee.index.into());
        }
        self.body.tops = tops;
    }

    /// `inspect(value, to)`, of the library.
    pub(super) fn inspect(&mut self, arguments: &[Expression<'s>]) -> Value {
        let nothing = Value { kind: Type::Void, register: 0 };
        let [value, to] = arguments else { return nothing };
        self.in_scope(|this| {
            let value = this.expression(value, None, None);
            let value = this.keep(value);
            let to = this.expression(to, None, None);
            let to = this.keep(to);
            this.body.declare_captured(VALUE, value.kind, value.register, [false, true]);
            this.body.declare_captured(OUTPUT, to.kind, to.register, [false, true]);
            this.inspect_kind(value, to);
        });
        nothing
    }

    fn inspect_kind(&mut self, value: Value, to: Value) {
        let kind = value.kind;
        match kind {
            Type::Mistake | Type::Void => {}
            Type::Null => self.statements(&[put("null")]),
            Type::Nullable(_) => {
                let null = Box::new(expression(ExpressionKind::Null));
                let is_null = ExpressionKind::Binary(Binary::Equal, Box::new(name(VALUE)), null);
                let some = expression(ExpressionKind::NonNull(Box::new(name(VALUE))));
                let parts = (Box::new(put("null")), Some(Box::new(inspect(some))));
                let whole = StatementKind::If(expression(is_null), parts.0, parts.1);
                self.statements(&[statement(whole)]);
            }
            Type::TEXT => {
                let quoted = output("quote", Vec::from([name(VALUE)]));
                self.statements(&[statement(StatementKind::Expression(quoted))]);
            }
            Type::Enum(number) => self.inspect_enum(value, number),
            Type::Object(Referent::Array(_)) => {
                self.show_by("Session_elements", Vec::from([kind]), value, to);
            }
            Type::Object(Referent::Class(class)) => self.inspect_object(class, value, to),
            Type::Object(_) => {
                let shown = self.show(kind);
                self.statements(&[put(format!("<{shown}>"))]);
            }
            _ => {
                let texts = Vec::from([String::new(), String::new()]);
                let shown = ExpressionKind::Template(texts, Vec::from([name(VALUE)]));
                let put = output("put", Vec::from([expression(shown)]));
                self.statements(&[statement(StatementKind::Expression(put))]);
            }
        }
    }

    fn inspect_enum(&mut self, value: Value, number: u16) {
        let known = self.enums.get(usize::from(number));
        let all = known.map(|known| (known.name, known.members.clone())).unwrap_or_default();
        let end = self.body.emitter.label();
        for (member, number) in all.1 {
            let tops = self.body.tops;
            let next = self.body.emitter.label();
            let wanted = self.body.allocate(Type::I32);
            self.body.emitter.emit_wide(Opcode::I32Const, wanted, number.cast_unsigned());
            self.body.branch(Opcode::I32BranchNe, value.register, wanted, next);
            self.body.tops = tops;
            self.statements(&[put(format!("{}.{member}", all.0))]);
            self.body.branch(Opcode::Jump, 0, 0, end);
            self.body.bind(next);
        }
        self.statements(&[put(all.0)]);
        self.body.bind(end);
    }

    fn inspect_object(&mut self, class: ClassReference, value: Value, to: Value) {
        let info = self.classes.get(&class).map(|info| (info.template, info.arguments.clone()));
        let Some((template, arguments)) = info else {
            // The machine's own: exceptions, which have a text.
            let shown = call(member(name(VALUE), "toString"), Vec::new());
            let put = output("put", Vec::from([shown]));
            return self.statements(&[statement(StatementKind::Expression(put))]);
        };
        if self.is_library_class("Array", template) {
            self.show_by("Session_elements", Vec::from([value.kind]), value, to);
        } else if self.is_library_class("Map", template) {
            self.show_by("Session_map", arguments, value, to);
        } else if self.is_library_class("Deque", template) {
            self.show_by("Session_deque", arguments, value, to);
        } else if self.is_library_class("Set", template) {
            self.show_by("Session_set", arguments, value, to);
        } else {
            let function = self.showing(class, false);
            self.call_showing(function, value, to);
        }
    }

    /// Calls a function of the library that shows values of this type.
    fn show_by(&mut self, function: &str, types: Vec<Type>, value: Value, to: Value) {
        let place = self.library_function(function);
        if let Some(callee) = place.and_then(|place| self.instance(place, types)) {
            self.call_showing(callee.index, value, to);
        }
    }

    fn call_showing(&mut self, function: u32, value: Value, to: Value) {
        let window = self.body.tops;
        for value in [value, to] {
            let slot = self.body.allocate(value.kind);
            self.move_to(value.kind, slot, value.register);
        }
        let fields = [window.references, window.raws, 0];
        self.body.emitter.emit_literal(Opcode::Call, fields, function.into());
        self.body.tops = window;
    }

    /// The function that shows an object of the class: one that is of exactly that, or of one below it as well.
    fn showing(&mut self, class: ClassReference, exactly: bool) -> u32 {
        if let Some(known) = self.shown.get(&(class, exactly)) {
            return *known;
        }
        let place = self.reserve_function();
        self.shown.insert((class, exactly), place);
        self.to_show.push((class, exactly, place));
        place
    }

    /// Walks such a function.
    pub(super) fn showing_function(&mut self, class: ClassReference, exactly: bool, place: u32) {
        self.lay_out(class);
        let Some(output) = self.library_class("Session_output") else { return };
        let output = self.instantiate(output, Vec::new(), Span::default());
        let kinds = [class, output].map(|class| Type::Object(Referent::Class(class)));
        self.body = Body { file: 0, class: Some(class), ..Body::default() };
        let [value, to] = kinds.map(|kind| Value { kind, register: self.body.allocate(kind) });
        self.body.declare_captured(VALUE, value.kind, value.register, [false, true]);
        self.body.declare_captured(OUTPUT, to.kind, to.register, [false, true]);
        if exactly {
            self.show_fields(class);
        } else {
            self.show_below(class, value, to);
        }
        self.body.emitter.emit(Opcode::Return, 0, 0, 0);
        let parameters = kinds.iter().filter_map(|kind| kind.value()).collect();
        self.finish(place, "show", parameters, Vec::new(), Span::default());
    }

    /// Looks for the class that the object is of, the lowest first.
    fn show_below(&mut self, class: ClassReference, value: Value, to: Value) {
        let below = self.classes.iter().filter(|(other, info)| {
            !info.is_abstract && !info.is_interface && self.is_below(**other, class)
        });
        let mut below: Vec<(usize, ClassReference)> =
            below.map(|(other, info)| (info.depth, *other)).collect();
        below.sort_unstable();
        let end = self.body.emitter.label();
        for (_, other) in below.into_iter().rev() {
            let tops = self.body.tops;
            let next = self.body.emitter.label();
            let kind = Type::Object(Referent::Class(other));
            let (is, cast) = (self.body.allocate(Type::Bool), self.body.allocate(kind));
            let literal = u64::from(other.0);
            self.body.emitter.emit_literal(Opcode::InstanceOf, [is, value.register, 0], literal);
            self.body.branch(Opcode::I32BranchEqImm, is, 0, next);
            self.body.emitter.emit_literal(Opcode::Cast, [cast, value.register, 0], literal);
            let function = self.showing(other, true);
            self.call_showing(function, Value { kind, register: cast }, to);
            self.body.branch(Opcode::Jump, 0, 0, end);
            self.body.bind(next);
            self.body.tops = tops;
        }
        let shown = self.show(value.kind);
        self.statements(&[put(format!("<{shown}>"))]);
        self.body.bind(end);
    }

    fn show_fields(&mut self, class: ClassReference) {
        let Some(info) = self.classes.get(&class) else { return };
        let shown = info.name.clone();
        let fields = info.fields.iter().filter_map(|(name, field)| match field.place {
            Place::Slot(slot) => Some((slot, *name)),
            Place::Static(_) => None,
        });
        let mut fields: Vec<(u16, &'s str)> = fields.collect();
        fields.sort_unstable();
        if fields.is_empty() {
            return self.statements(&[put(format!("{shown} {{}}"))]);
        }
        let mut list = Vec::new();
        for (place, (_, field)) in fields.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            list.push(put(format!("{comma}{field}: ")));
            list.push(inspect(member(name(VALUE), field)));
        }
        let leave = output("leave", Vec::from([text(" }")]));
        list.push(statement(StatementKind::Expression(leave)));
        let arguments = Vec::from([name(VALUE), text(shown), text(" { "), text(" }")]);
        let then = Box::new(statement(StatementKind::Block(list)));
        let whole = StatementKind::If(output("enter", arguments), then, None);
        self.statements(&[statement(whole)]);
    }
}
