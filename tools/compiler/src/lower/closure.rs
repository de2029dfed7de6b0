//! Functions without names: what they share with their surroundings, and calls of function values.
//!
//! A variable that nobody assigns to after its declaration is copied into the function's environment; one that someone does lives in a
//! box, which both sides hold. The environment is an object of a class of its own.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use revenant_bytecode::{Builtin, ClassReference, Field, Opcode, ValueType};

use super::Lowering;
use super::expression::Value;
use super::facts::each_expression;
use super::function::Body;
use super::layout::Place;
use crate::ast::{Expression, ExpressionKind, Lambda, LambdaBody, Name, Statement, StatementKind};
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

/// The names in an expression: those that functions without names in it use, and those that are assigned to.
#[derive(Default)]
struct Names<'s> {
    inside: BTreeSet<&'s str>,
    assigned: BTreeSet<&'s str>,
    this: bool,
    depth: u32,
}

impl<'s> Names<'s> {
    fn expression(&mut self, value: &Expression<'s>) {
        match &value.kind {
            ExpressionKind::Name(name) if self.depth > 0 => {
                self.inside.insert(name);
            }
            ExpressionKind::This | ExpressionKind::Super if self.depth > 0 => self.this = true,
            ExpressionKind::Assign(_, target, _) | ExpressionKind::Update(_, target, _) => {
                if let ExpressionKind::Name(name) = target.kind {
                    self.assigned.insert(name);
                }
            }
            ExpressionKind::Lambda(lambda) => {
                self.depth += 1;
                self.lambda(lambda);
                self.depth -= 1;
            }
            _ => {}
        }
        value.children(|child| self.expression(child));
    }

    fn lambda(&mut self, lambda: &Lambda<'s>) {
        match &lambda.body {
            LambdaBody::Expression(value) => self.expression(value),
            LambdaBody::Block(list) => self.statements(list),
        }
    }

    fn statements(&mut self, list: &[Statement<'s>]) {
        for statement in list {
            each_expression(statement, &mut |value| self.expression(value));
        }
    }
}

/// Names of variables that have to live in boxes, in a function with functions without names in it.
pub(super) fn shared<'s>(body: &[Statement<'s>]) -> BTreeSet<&'s str> {
    let mut names = Names::default();
    names.statements(body);
    names.inside.intersection(&names.assigned).copied().collect()
}

/// What goes into an environment.
struct Capture<'s> {
    /// None for `this`.
    name: Option<&'s str>,
    kind: Type,
    register: u16,
    boxed: bool,
    constant: bool,
}

impl<'s> Lowering<'_, 's, '_> {
    /// A box with the value in it.
    pub(super) fn boxed(&mut self, kind: Type, register: u16) -> u16 {
        let class = self.box_class(kind);
        let made = self.body.allocate(Type::TEXT);
        self.body.emitter.emit_literal(Opcode::ObjectNew, [made, 0, 0], class.0.into());
        if kind.value().is_some() {
            self.store_slot(kind, register, made, 0);
        }
        made
    }

    fn box_class(&mut self, kind: Type) -> ClassReference {
        let object = ClassReference::builtin(Builtin::Object);
        let Some(place) = self.library_class("Box") else { return object };
        if kind.value().is_none() {
            return object;
        }
        let class = self.instantiate(place, Vec::from([kind]), Span::default());
        self.lay_out(class);
        class
    }

    /// Each round of a loop has variables of its own, which begin as those of the round before ended.
    pub(super) fn fresh_boxes(&mut self, start: &Statement<'s>) {
        let StatementKind::Variables(variables) = &start.kind else { return };
        for variable in variables {
            let name = variable.name.text;
            let local = self.body.locals.iter().rev().find(|local| local.name == name).copied();
            let Some(local) = local.filter(|local| local.boxed) else { continue };
            let tops = self.body.tops;
            let value = self.load_slot(local.kind, local.register, 0, None);
            let made = self.boxed(local.kind, value.register);
            self.body.emitter.emit(Opcode::MoveRef, local.register, made, 0);
            self.body.tops = tops;
        }
    }

    /// A function without a name, as a value.
    pub(super) fn lambda(
        &mut self,
        lambda: &Lambda<'s>,
        expected: Option<Type>,
        span: Span,
    ) -> Value {
        let hint = match expected.and_then(Type::referent) {
            Some(Referent::Function(place)) => self.function_types.get(usize::from(place)).cloned(),
            _ => None,
        };
        let given = hint.as_ref().map(|(parameters, _)| parameters.as_slice()).unwrap_or_default();
        let Some(parameters) = self.lambda_parameters(lambda, given) else { return Value::MISTAKE };
        let declared = lambda.result.as_ref().map(|name| self.declared(name));
        let result = declared.or(hint.map(|(_, result)| result));
        let captures = self.captures(lambda);
        let environment = self.environment(&captures);
        let index = self.reserve_function();
        let result =
            self.lambda_function(lambda, &parameters, result, &captures, environment, index, span);
        let tops = self.body.tops;
        let held = self.body.allocate(Type::TEXT);
        match environment {
            Some(class) => self.fill(held, class, &captures),
            None => self.body.emitter.emit(Opcode::Null, held, 0, 0),
        }
        self.body.tops = tops;
        let kind = self.function_type(parameters, result);
        let target = self.target(kind, None);
        let fields = [target.register, held, 0];
        self.body.emitter.emit_literal(Opcode::ClosureNew, fields, index.into());
        target
    }

    /// The types of the parameters: as written, or as expected.
    pub(super) fn lambda_parameters(
        &mut self,
        lambda: &Lambda<'s>,
        given: &[Type],
    ) -> Option<Vec<Type>> {
        let mut parameters = Vec::new();
        for (place, (name, declared)) in lambda.parameters.iter().enumerate() {
            let kind = match declared {
                Some(declared) => self.declared(declared),
                None => match given.get(place) {
                    Some(kind) => *kind,
                    None => {
                        let message = format!("the type of `{}` is not to be seen", name.text);
                        let help = format!("write `({}: i32) => ...`, for instance", name.text);
                        self.diagnostics.error_with_help(name.span, message, "no type", help);
                        return None;
                    }
                },
            };
            parameters.push(kind);
        }
        Some(parameters)
    }

    /// The variables around that the function uses, and `this`.
    fn captures(&mut self, lambda: &Lambda<'s>) -> Vec<Capture<'s>> {
        let mut names = Names { depth: 1, ..Names::default() };
        names.lambda(lambda);
        let mut captures = Vec::new();
        if names.this
            && let Some(class) = self.body.this
        {
            let kind = Type::Object(Referent::Class(class));
            let register = self.body.this_register;
            captures.push(Capture { name: None, kind, register, boxed: false, constant: true });
        }
        for name in names.inside {
            let local = self.body.locals.iter().rev().find(|local| local.name == name).copied();
            let Some(local) = local else { continue };
            if local.kind.value().is_none() {
                continue;
            }
            let (name, register) = (Some(local.name), local.register);
            let (boxed, constant) = (local.boxed, local.constant);
            if boxed {
                captures.push(Capture { name, kind: local.kind, register, boxed, constant });
                continue;
            }
            // What is known about it here stays true: nobody assigns to it.
            let place =
                Expression { span: Span::default(), kind: ExpressionKind::Name(local.name) };
            let value = self.expression(&place, None, None);
            let (kind, register) = (value.kind, value.register);
            captures.push(Capture { name, kind, register, boxed, constant });
        }
        captures
    }

    /// The class of the environment, if there has to be one.
    fn environment(&mut self, captures: &[Capture<'s>]) -> Option<ClassReference> {
        if captures.is_empty() {
            return None;
        }
        let fields = captures.iter().map(|capture| {
            let value = if capture.boxed {
                ValueType::Reference { class: self.box_class(capture.kind), nullable: true }
            } else {
                capture.kind.stored()
            };
            Field { name: capture.name.unwrap_or("this").into(), value }
        });
        let fields: Vec<Field> = fields.collect();
        let class = self.reserve_class("environment");
        if let Some(definition) = self.module.classes.last_mut() {
            definition.shape.fields = fields;
        }
        Some(class)
    }

    fn fill(&mut self, held: u16, class: ClassReference, captures: &[Capture<'s>]) {
        self.body.emitter.emit_literal(Opcode::ObjectNew, [held, 0, 0], class.0.into());
        for (slot, capture) in (0..).zip(captures) {
            let kind = if capture.boxed { Type::TEXT } else { capture.kind };
            self.store_slot(kind, capture.register, held, slot);
        }
    }

    /// What lives in boxes: as around the function, and what others in it share, which may stand where there is nothing around.
    fn shared_in(&self, lambda: &Lambda<'s>) -> Rc<BTreeSet<&'s str>> {
        let mut names = Names::default();
        names.lambda(lambda);
        let mut own = names.inside.intersection(&names.assigned).copied().peekable();
        if own.peek().is_none() {
            return self.body.shared.clone();
        }
        Rc::new(self.body.shared.iter().copied().chain(own).collect())
    }

    /// Walks the function into its place; the type of its result.
    #[expect(clippy::too_many_arguments, reason = "a function's parts")]
    fn lambda_function(
        &mut self,
        lambda: &Lambda<'s>,
        parameters: &[Type],
        result: Option<Type>,
        captures: &[Capture<'s>],
        environment: Option<ClassReference>,
        index: u32,
        span: Span,
    ) -> Type {
        let inner = Body {
            shared: self.shared_in(lambda),
            result: result.unwrap_or(Type::Void),
            infers: result.is_none(),
            class: self.body.class,
            bindings: self.body.bindings.clone(),
            file: self.body.file,
            ..Body::default()
        };
        let outer = core::mem::replace(&mut self.body, inner);
        self.mark_line(span);
        let closure = self.body.allocate(Type::TEXT);
        self.parameters(&lambda.parameters, parameters);
        if let Some(class) = environment {
            self.unpack(closure, class, captures, &outer);
        }
        let scope = self.body.locals.len();
        self.body.scope = scope;
        match &lambda.body {
            LambdaBody::Block(list) => self.statements(list),
            LambdaBody::Expression(value) => {
                if self.body.result == Type::Void && !self.body.infers {
                    self.expression(value, None, None);
                } else {
                    self.return_value(Some(value), value.span);
                }
            }
        }
        let result = self.body.result;
        self.function_end(result, lambda.end, "this function");
        let mut machine = Vec::from([ValueType::object(Builtin::Closure)]);
        machine.extend(parameters.iter().filter_map(|kind| kind.value()));
        self.finish(index, "function", machine, result.value().into_iter().collect(), span);
        self.body = outer;
        result
    }

    /// The variables of the surroundings, out of the environment.
    fn unpack(
        &mut self,
        closure: u16,
        class: ClassReference,
        captures: &[Capture<'s>],
        outer: &Body<'s>,
    ) {
        let held = self.body.allocate(Type::TEXT);
        self.body.emitter.emit(Opcode::ClosureEnvironment, held, closure, 0);
        self.body.emitter.emit_literal(Opcode::Cast, [held, held, 0], class.0.into());
        let own = self.body.locals.clone();
        for (slot, capture) in (0..).zip(captures) {
            let kind = if capture.boxed {
                Type::Nullable(Referent::Class(self.box_class(capture.kind)))
            } else {
                capture.kind
            };
            let value = self.load_slot(kind, held, slot, None);
            let Some(name) = capture.name else {
                self.body.this = outer.this;
                self.body.this_register = value.register;
                continue;
            };
            // Its own parameters hide those of the surroundings.
            if own.iter().all(|local| local.name != name) {
                self.body.declare_captured(
                    name,
                    capture.kind,
                    value.register,
                    [capture.boxed, capture.constant],
                );
            }
        }
    }

    /// The type of a function without a name whose parameters have these types, as far as it is to be seen.
    pub(super) fn lambda_type(&mut self, lambda: &Lambda<'s>, parameters: Vec<Type>) -> Type {
        let declared = lambda.result.as_ref().map(|name| self.declared(name));
        let result = declared.unwrap_or_else(|| match &lambda.body {
            LambdaBody::Expression(value) => {
                let locals = self.body.locals.len();
                for ((name, _), kind) in lambda.parameters.iter().zip(&parameters) {
                    self.body.declare_looked_at(name.text, *kind);
                }
                let kind = self.type_of(value);
                self.body.locals.truncate(locals);
                kind
            }
            LambdaBody::Block(list) => {
                let locals = self.body.locals.len();
                for ((name, _), kind) in lambda.parameters.iter().zip(&parameters) {
                    self.body.declare_looked_at(name.text, *kind);
                }
                let found = self.first_returned(list);
                self.body.locals.truncate(locals);
                found.unwrap_or(Type::Void)
            }
        });
        self.function_type(parameters, result)
    }

    /// Calls a function that is a value.
    pub(super) fn call_value(
        &mut self,
        callee: Value,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let Some(Referent::Function(place)) = callee.kind.referent() else {
            if callee.kind != Type::Mistake {
                self.diagnostics.error(span, "this cannot be called", "is no function");
            }
            return Value::MISTAKE;
        };
        if matches!(callee.kind, Type::Nullable(_)) {
            return self.may_be_null(callee.kind, span);
        }
        let Some((parameters, result)) = self.function_types.get(usize::from(place)).cloned()
        else {
            return Value::MISTAKE;
        };
        let window = self.body.tops;
        let slot = self.body.allocate(callee.kind);
        self.move_to(callee.kind, slot, callee.register);
        if self.pass(&parameters, arguments, span) {
            let mut machine = Vec::from([ValueType::object(Builtin::Closure)]);
            machine.extend(parameters.iter().filter_map(|kind| kind.value()));
            let signature = self.signature(machine, result.value().into_iter().collect());
            let fields = [window.references, window.raws, 0];
            self.body.emitter.emit_literal(Opcode::CallClosure, fields, signature.into());
        }
        self.body.tops = window;
        self.result(result)
    }

    /// A field with a function in it.
    pub(super) fn function_field(&mut self, class: ClassReference, member: Name<'s>) -> bool {
        self.field(class, member.text).is_some_and(|field| {
            matches!(field.kind.referent(), Some(Referent::Function(_)))
                && matches!(field.place, Place::Slot(_))
        })
    }
}
