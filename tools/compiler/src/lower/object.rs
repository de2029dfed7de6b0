//! Objects: made, set up by their constructors, and asked by their methods.
//!
//! A constructor takes the new object and returns it, so that it stands where the call's window began.

use alloc::format;
use alloc::vec::Vec;

use revenant_bytecode::{ClassReference, Opcode};

use super::Lowering;
use super::expression::Value;
use super::function::Tops;
use super::infer::Patterns;
use super::layout::{MethodInfo, Place};
use super::resolve::Bindings;
use crate::ast::{
    Access, Class, Expression, ExpressionKind, Function, Name, Role, Statement, StatementKind,
    TypeName,
};
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

impl<'p, 's> Lowering<'p, 's, '_> {
    /// `new Name(arguments)`.
    pub(super) fn create(
        &mut self,
        name: &TypeName<'s>,
        arguments: &[Expression<'s>],
        span: Span,
        expected: Option<Type>,
        want: Option<u16>,
    ) -> Value {
        let kind = self.created_type(name, arguments, expected);
        match kind {
            Type::Object(Referent::Array(_) | Referent::Raw(..)) => {
                self.create_array(kind, arguments, span, want)
            }
            Type::Object(Referent::Machine(class)) => self.create_machine(class, arguments, span),
            Type::Object(Referent::Class(class)) => {
                self.create_object(class, kind, arguments, span)
            }
            Type::Mistake => Value::MISTAKE,
            _ => {
                let message = format!("`{}` is no class", self.show(kind));
                self.diagnostics.error(name.span, message, "cannot be made");
                Value::MISTAKE
            }
        }
    }

    /// The class of what is made; types that are not given come from what is expected or from the arguments.
    pub(super) fn created_type(
        &mut self,
        name: &TypeName<'s>,
        arguments: &[Expression<'s>],
        expected: Option<Type>,
    ) -> Type {
        let crate::ast::TypeKind::Named(text, given) = &name.kind else { return Type::Mistake };
        let place = self.class_place(text);
        let tree = place.and_then(|place| self.program.classes.get(place));
        let (Some(place), Some(tree)) = (place, tree) else { return self.declared(name) };
        if !given.is_empty() || tree.generics.is_empty() {
            return self.declared(name);
        }
        if let Some(Type::Object(Referent::Class(class)) | Type::Nullable(Referent::Class(class))) =
            expected
            && self.classes.get(&class).is_some_and(|info| info.template == place)
        {
            return Type::Object(Referent::Class(class));
        }
        let constructor = tree.methods.iter().find(|method| method.role == Role::Constructor);
        let found = constructor.and_then(|constructor| {
            let arguments: Vec<&Expression<'s>> = arguments.iter().collect();
            let (generics, file) = (tree.generics.as_slice(), tree.file);
            let patterns = Patterns { generics, file, around: Bindings::default() };
            self.infer(&patterns, &constructor.function.parameters, &arguments, None)
        });
        match found {
            Some(types) if !self.may_be_weak(place, &types, name.span) => Type::Mistake,
            Some(types) => Type::Object(Referent::Class(self.instantiate(place, types, name.span))),
            None => {
                let message = format!("which `{text}` is not to be seen here");
                let help = format!("write `new {text}<i32>(...)`, for instance");
                self.diagnostics.error_with_help(name.span, message, "of what types?", help);
                Type::Mistake
            }
        }
    }

    fn create_object(
        &mut self,
        class: ClassReference,
        kind: Type,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let window = self.body.tops;
        let object = self.body.allocate(kind);
        if class.as_builtin().is_some() {
            self.emit_new(class, object);
            self.exception_message(object, arguments, span);
            self.body.tops = window;
            return self.target(kind, None);
        }
        self.lay_out(class);
        if let Some(info) = self.classes.get(&class)
            && (info.is_abstract || info.is_interface)
        {
            let message = format!("`{}` is abstract: only classes below it are made", info.name);
            self.diagnostics.error(span, message, "made here");
            self.body.tops = window;
            return Value { kind, ..Value::MISTAKE };
        }
        self.check_zeros(kind, span);
        let Some(constructor) = self.method(class, Role::Constructor, "constructor") else {
            self.body.tops = window;
            return Value { kind, ..Value::MISTAKE };
        };
        self.check_access(constructor.modifiers.access, class, "the constructor", span);
        self.emit_new(class, object);
        self.pass(&constructor.callee.parameters, arguments, span);
        self.call_constructor(class, window);
        self.body.tops = window;
        self.target(kind, None)
    }

    /// `new Array<T>(n)` is full of zeros or nulls: there has to be such a `T`.
    fn check_zeros(&mut self, kind: Type, span: Span) {
        if let Some(element @ Type::Object(_)) = self.list_element(kind)
            && !self.body.is_library()
        {
            let kind = self.show(element);
            let message = format!("there is no `{kind}` to fill this array with");
            let help =
                format!("begin with `[]` and push, or write `new Array<{kind} | null>(...)`");
            self.diagnostics.error_with_help(span, message, "of what?", help);
        }
    }

    fn emit_new(&mut self, class: ClassReference, register: u16) {
        self.body.emitter.emit_literal(Opcode::ObjectNew, [register, 0, 0], class.0.into());
    }

    fn call_constructor(&mut self, class: ClassReference, window: Tops) {
        let function = self.method_function(class, Role::Constructor, "constructor");
        let fields = [window.references, window.raws, 0];
        self.body.emitter.emit_literal(Opcode::Call, fields, function.unwrap_or(0).into());
    }

    /// The message of an exception: all that a constructor of the machine's exceptions takes.
    fn exception_message(&mut self, object: u16, arguments: &[Expression<'s>], span: Span) {
        if self.check_count(1, arguments.len(), span)
            && let Some(message) = arguments.first()
        {
            let message = self.coerced(message, Type::TEXT, None);
            self.body.emitter.emit(Opcode::FieldStoreRef, message.register, object, 0);
        }
    }

    /// Evaluates arguments into a window.
    pub(super) fn pass(
        &mut self,
        parameters: &[Type],
        arguments: &[Expression<'s>],
        span: Span,
    ) -> bool {
        if !self.check_count(parameters.len(), arguments.len(), span) {
            return false;
        }
        for (argument, kind) in arguments.iter().zip(parameters) {
            self.argument(argument, *kind);
        }
        true
    }

    /// All of a constructor: what the class above sets up, initial values, then what is written.
    pub(super) fn constructor_body(
        &mut self,
        tree: &'p Class<'s>,
        function: &'p Function<'s>,
        parameters: &[Type],
    ) {
        let Some(class) = self.body.this else { return };
        let above = self.classes.get(&class).and_then(|info| info.superclass);
        let mut rest = function.body.as_slice();
        let method = tree.methods.iter().find(|method| method.role == Role::Constructor);
        let implicit = method.is_some_and(|method| method.implicit);
        match (above, rest.split_first()) {
            (Some(above), _) if implicit => self.hand_on(above, parameters),
            (Some(above), Some((first, others))) if is_super(first).is_some() => {
                self.mark_line(first.span);
                rest = others;
                let arguments = is_super(first).unwrap_or_default();
                self.call_super(above, arguments, first.span);
            }
            (Some(_), _) => {
                let message = "the constructor of a class with `extends` begins with `super(...)`";
                self.diagnostics.error(function.name.span, message, "does not");
            }
            (None, _) => {}
        }
        for field in tree.fields.iter().filter(|field| !field.modifiers.is_static) {
            if let Some(value) = &field.variable.value {
                self.mark_line(field.variable.name.span);
                self.initial_field(class, field.variable.name, value);
            }
        }
        for (parameter, _) in method.iter().flat_map(|method| &method.properties) {
            if let Some((name, _)) = function.parameters.get(*parameter) {
                let value = Expression { span: name.span, kind: ExpressionKind::Name(name.text) };
                self.initial_field(class, *name, &value);
            }
        }
        self.statements(rest);
    }

    fn initial_field(&mut self, class: ClassReference, name: Name<'s>, value: &Expression<'s>) {
        let Some(field) = self.field(class, name.text) else { return };
        let Place::Slot(slot) = field.place else { return };
        let tops = self.body.tops;
        let value = self.coerced(value, field.kind, None);
        self.store_slot(field.kind, value.register, 0, slot);
        self.body.set(name.text);
        self.body.tops = tops;
    }

    /// Calls the constructor above with what this one was given.
    fn hand_on(&mut self, above: ClassReference, parameters: &[Type]) {
        if above.as_builtin().is_some() {
            self.body.emitter.emit(Opcode::FieldStoreRef, 1, 0, 0);
            return;
        }
        let window = self.body.tops;
        let this = self.body.allocate(Type::TEXT);
        self.body.emitter.emit(Opcode::MoveRef, this, 0, 0);
        let mut from = Tops { references: 1, raws: 0 };
        for kind in parameters {
            let next = if kind.is_reference() { &mut from.references } else { &mut from.raws };
            let register = *next;
            *next += 1;
            let slot = self.body.allocate(*kind);
            self.move_to(*kind, slot, register);
        }
        self.call_constructor(above, window);
        self.body.reserve(window, 1, 0);
        self.body.tops = window;
    }

    fn call_super(&mut self, above: ClassReference, arguments: &[Expression<'s>], span: Span) {
        if above.as_builtin().is_some() {
            self.exception_message(0, arguments, span);
            return;
        }
        let window = self.body.tops;
        let this = self.body.allocate(Type::TEXT);
        self.body.emitter.emit(Opcode::MoveRef, this, 0, 0);
        let parameters = self.constructor_parameters(above);
        self.pass(&parameters, arguments, span);
        self.call_constructor(above, window);
        self.body.tops = window;
    }

    /// Every way out of a constructor: all fields have been set; the object is the result.
    pub(super) fn constructor_end(&mut self, span: Span) {
        let tree = self.body.this.and_then(|class| self.classes.get(&class));
        let tree = tree.and_then(|info| self.program.classes.get(info.template));
        let fields = tree.map_or(&[][..], |tree| &tree.fields);
        let missing = fields.iter().find(|field| {
            let set = field.variable.value.is_some() || field.modifiers.is_static;
            !set && !self.body.facts.is_set(field.variable.name.text)
        });
        if let Some(missing) = missing {
            let name = missing.variable.name;
            let message = format!("`{}` has no value when the constructor is done", name.text);
            let help = "give it a value here, or on every path of the constructor";
            let place = if span == Span::default() { span } else { name.span };
            self.diagnostics.error_with_help(place, message, "no value", help);
        }
        self.body.emitter.emit(Opcode::ReturnRef, 0, 0, 0);
    }

    /// Whether a member may be named here.
    pub(super) fn check_access(
        &mut self,
        access: Access,
        owner: ClassReference,
        name: &str,
        span: Span,
    ) {
        let template = |class: ClassReference| self.classes.get(&class).map(|info| info.template);
        let allowed = match (access, self.body.class) {
            (Access::Public, _) => true,
            (_, None) => false,
            (Access::Private, Some(class)) => template(class) == template(owner),
            (Access::Protected, Some(class)) => {
                template(class) == template(owner) || self.is_below(class, owner)
            }
        };
        if !allowed && !self.body.is_library() {
            let word = if access == Access::Private { "private" } else { "protected" };
            let message = format!("{name} is {word}");
            self.diagnostics.error(span, message, "cannot be named here");
        }
    }

    /// A method of the object, which is evaluated already and stands in its register.
    pub(super) fn call_method(
        &mut self,
        receiver: Value,
        class: ClassReference,
        member: Name<'s>,
        found: &MethodInfo,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        self.check_access(
            found.modifiers.access,
            found.owner,
            &format!("`{}`", member.text),
            member.span,
        );
        let window = self.body.tops;
        let slot = self.body.allocate(receiver.kind);
        self.move_to(receiver.kind, slot, receiver.register);
        let passed = self.pass(&found.callee.parameters, arguments, span);
        if passed {
            self.emit_call(class, Role::Method, member.text, found, window);
        }
        self.body.tops = window;
        self.result(found.callee.result)
    }

    /// The call itself, with receiver and arguments in the window.
    pub(super) fn emit_call(
        &mut self,
        class: ClassReference,
        role: Role,
        name: &str,
        found: &MethodInfo,
        window: Tops,
    ) {
        let fields = [window.references, window.raws, 0];
        match found.table {
            Some((first, place)) if found.overridden || found.modifiers.is_abstract => {
                let interface = self.classes.get(&first).is_some_and(|info| info.is_interface);
                let opcode = if interface { Opcode::CallInterface } else { Opcode::CallVirtual };
                let literal = u64::from(first.0) | u64::from(place) << 32;
                self.body.emitter.emit_literal(opcode, fields, literal);
            }
            _ => {
                let function = self.method_function(class, role, name).unwrap_or(0);
                self.body.emitter.emit_literal(Opcode::Call, fields, function.into());
            }
        }
    }

    /// `super.name(arguments)`.
    pub(super) fn super_method(
        &mut self,
        member: Name<'s>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let above = self.body.this.and_then(|class| self.classes.get(&class)?.superclass);
        let found =
            above.and_then(|above| Some((above, self.method(above, Role::Method, member.text)?)));
        let Some((above, mut found)) = found else {
            let message = format!("no class above has a method `{}`", member.text);
            self.diagnostics.error(member.span, message, "not known");
            return Value::MISTAKE;
        };
        if found.modifiers.is_abstract {
            let message = format!("`{}` is abstract in the class above", member.text);
            self.diagnostics.error(member.span, message, "has no body there");
        }
        found.table = None;
        let kind = Type::Object(Referent::Class(above));
        let this = Value { kind, register: self.body.this_register };
        self.call_method(this, above, member, &found, arguments, span)
    }
}

/// The arguments of a statement `super(...)`.
fn is_super<'e, 's>(statement: &'e Statement<'s>) -> Option<&'e [Expression<'s>]> {
    let StatementKind::Expression(value) = &statement.kind else { return None };
    let ExpressionKind::Call(callee, arguments) = &value.kind else { return None };
    matches!(callee.kind, ExpressionKind::Super).then_some(Vec::as_slice(arguments))
}
