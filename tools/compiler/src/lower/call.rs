//! Calls: functions of the program, of the library, conversions, methods of texts, `console.log`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{Native, Opcode};

use super::expression::Value;
use super::infer::Patterns;
use super::library::{self, Entry, Means};
use super::resolve::Bindings;
use super::{CONSOLE, Callee, ENVIRONMENT, Lowering};
use crate::ast::{Expression, ExpressionKind, Name, Role, TypeName};
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

impl<'s> Lowering<'_, 's, '_> {
    pub(super) fn call(
        &mut self,
        callee: &Expression<'s>,
        arguments: &[Expression<'s>],
        span: Span,
        want: Option<u16>,
    ) -> Value {
        match &callee.kind {
            ExpressionKind::Name(name) => {
                if let Some(kind) = Type::named(name).filter(|kind| kind.is_number()) {
                    return self.conversion_call(kind, arguments, span, want);
                }
                if *name == "copyElements" && self.body.is_library() {
                    return self.copy_elements(arguments);
                }
                if *name == "hashOf" && self.body.is_library() {
                    return self.hash_of(arguments, span);
                }
                if *name == "inspect" && self.body.is_library() {
                    return self.inspect(arguments);
                }
                let internal = library::internal(name).filter(|_| self.body.is_library());
                if let Some(entry) = library::function(name).or(internal) {
                    return self.library_call(entry, None, arguments, span);
                }
                self.program_call(name, &[], callee.span, arguments, span)
            }
            ExpressionKind::Instance(inner, given) => match inner.kind {
                ExpressionKind::Name("castTo") if self.body.is_library() => {
                    self.cast_to(given, arguments)
                }
                ExpressionKind::Name(name) => {
                    self.program_call(name, given, callee.span, arguments, span)
                }
                ExpressionKind::Member(ref object, member) if self.is_root(object) => {
                    self.root_call(member, given, arguments, span)
                }
                _ => {
                    let message = "methods have no type parameters of their own yet";
                    self.diagnostics.error(callee.span, message, "here");
                    Value::MISTAKE
                }
            },
            ExpressionKind::Super => {
                let message = "`super(...)` is the first statement of a constructor";
                self.diagnostics.error(callee.span, message, "not here");
                Value::MISTAKE
            }
            ExpressionKind::Member(object, member) => match &object.kind {
                ExpressionKind::Super => self.super_method(*member, arguments, span),
                ExpressionKind::Name("Math") if member.text == "random" => {
                    self.program_call("Math_random", &[], callee.span, arguments, span)
                }
                _ if self.is_root(object) => self.root_call(*member, &[], arguments, span),
                ExpressionKind::Name("console") => self.console_call(*member, arguments, span),
                ExpressionKind::Name("Thread") if member.text == "spawn" => {
                    self.spawn(arguments, span)
                }
                _ if self.is_ours(object, "past") && member.text == "copy" => {
                    self.past_copy(*member, arguments, span)
                }
                ExpressionKind::Name(space) if self.is_space(object, space) => {
                    match library::function(&format!("{space}.{}", member.text)) {
                        Some(entry) => self.library_call(entry, None, arguments, span),
                        None => self.no_member(space, *member),
                    }
                }
                _ => self.method_call(object, *member, arguments, span),
            },
            ExpressionKind::Mistake => Value::MISTAKE,
            _ => {
                let value = self.expression(callee, None, None);
                self.call_value(value, arguments, callee.span)
            }
        }
    }

    pub(super) fn no_member(&mut self, owner: &str, member: Name<'s>) -> Value {
        let message = format!("`{owner}` has no `{}`", member.text);
        self.diagnostics.error(member.span, message, "not known");
        Value::MISTAKE
    }

    pub(super) fn check_count(&mut self, expected: usize, found: usize, span: Span) -> bool {
        let right = expected == found;
        if !right {
            let plural = if expected == 1 { "" } else { "s" };
            let message = format!("expected {expected} argument{plural}, found {found}");
            self.diagnostics.error(span, message, "called here");
        }
        right
    }

    fn program_call(
        &mut self,
        name: &'s str,
        given: &[TypeName<'s>],
        place: Span,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let variable =
            self.global(name).is_some() || self.body.locals.iter().any(|local| local.name == name);
        if variable && given.is_empty() {
            let named = Expression { span: place, kind: ExpressionKind::Name(name) };
            let value = self.expression(&named, None, None);
            if !matches!(value.kind.referent(), Some(Referent::Function(_))) {
                let message = format!("`{name}` is a variable and cannot be called");
                self.diagnostics.error(place, message, "is no function");
                return Value::MISTAKE;
            }
            return self.call_value(value, arguments, place);
        }
        let arguments: Vec<&Expression<'s>> = arguments.iter().collect();
        let arguments = arguments.as_slice();
        let Some(callee) = self.callee_of(name, given, place, arguments, None) else {
            return Value::MISTAKE;
        };
        self.call_function(&callee, arguments, span)
    }

    pub(super) fn call_function(
        &mut self,
        callee: &Callee,
        arguments: &[&Expression<'s>],
        span: Span,
    ) -> Value {
        let window = self.body.tops;
        if !self.check_count(callee.parameters.len(), arguments.len(), span) {
            return Value { kind: callee.result, ..Value::MISTAKE };
        }
        for (argument, kind) in arguments.iter().zip(&callee.parameters) {
            self.argument(argument, *kind);
        }
        let fields = [window.references, window.raws, 0];
        self.body.emitter.emit_literal(Opcode::Call, fields, callee.index.into());
        self.body.tops = window;
        self.result(callee.result)
    }

    /// The function of this name, for the types that are given or that the arguments have.
    pub(super) fn callee_of(
        &mut self,
        name: &'s str,
        given: &[TypeName<'s>],
        place: Span,
        arguments: &[&Expression<'s>],
        first: Option<Type>,
    ) -> Option<Callee> {
        let hidden = self.body.locals.iter().any(|local| local.name == name);
        let template = self.function_place(name).filter(|_| !hidden);
        let function = template.and_then(|template| self.program.functions.get(template));
        let (Some(template), Some(function)) = (template, function) else {
            if self.class_place(name).is_some() && !hidden {
                let message = format!("`{name}` is a class");
                let help = format!("write `new {name}(...)`");
                self.diagnostics.error_with_help(place, message, "is made by `new`", help);
            } else if self.find(name, place).is_some() {
                let message = format!("`{name}` is a variable and cannot be called");
                self.diagnostics.error(place, message, "is no function");
            }
            return None;
        };
        let types: Option<Vec<Type>> = if given.is_empty() {
            let (generics, file) = (function.generics.as_slice(), function.file);
            let patterns = Patterns { generics, file, around: Bindings::default() };
            self.infer(&patterns, &function.parameters, arguments, first)
        } else {
            Some(given.iter().map(|name| self.declared(name)).collect())
        };
        let types = types.filter(|types| types.len() == function.generics.len());
        let Some(types) = types else {
            // The library's functions of lists are written as methods.
            let method = name.strip_prefix("Array_");
            let shown = method.unwrap_or(name);
            let message = format!("which `{shown}` is not to be seen here");
            let help = match method {
                Some(_) => {
                    "say what the function takes and returns: `(x: i32): string => ...`".into()
                }
                None => format!("write `{name}<i32>(...)`, for instance"),
            };
            self.diagnostics.error_with_help(place, message, "of what types?", help);
            return None;
        };
        if types.contains(&Type::Mistake) {
            return None;
        }
        self.instance(template, types)
    }

    /// `copyElements(from, start, to, at, count)`, of the library.
    fn copy_elements(&mut self, arguments: &[Expression<'s>]) -> Value {
        let window = self.body.tops;
        if let [from, start, to, at, count] = arguments {
            for array in [from, to] {
                let kind = self.type_of(array);
                self.argument(array, kind);
                let register = self.body.tops.references.saturating_sub(1);
                self.body.emitter.emit(Opcode::NullCheck, register, register, 0);
            }
            for number in [start, at, count] {
                self.argument(number, Type::I64);
            }
            self.native(Native::ArrayCopy, window);
        }
        self.body.tops = window;
        Value { kind: Type::Void, register: 0 }
    }

    /// `hashOf(key)`, of the library: 31 bits of a text's bytes, of a number as it is, of what an object keeps for it.
    fn hash_of(&mut self, arguments: &[Expression<'s>], span: Span) -> Value {
        let [key] = arguments else { return Value::MISTAKE };
        let kind = self.type_of(key);
        let window = self.body.tops;
        let register = if kind.is_reference() {
            self.argument(key, kind);
            let register = window.references;
            self.body.emitter.emit(Opcode::NullCheck, register, register, 0);
            let text = kind.without_null() == Type::TEXT;
            self.native(if text { Native::StringHash } else { Native::ObjectHash }, window);
            window.raws
        } else if kind.is_float() {
            if let Some(callee) = self.callee_of("hashOfFloat", &[], span, &[], None) {
                self.call_function(&callee, &[key], span);
            }
            window.raws
        } else {
            self.expression(key, None, None).register
        };
        self.body.tops = window;
        let hash = self.target(Type::I32, None);
        let tops = self.body.tops;
        let upper = self.body.allocate(Type::I64);
        self.body.tops = tops;
        let (to, emitter) = (hash.register, &mut self.body.emitter);
        if kind.is_reference() || kind.is_float() || kind.is_wide() {
            emitter.emit(Opcode::I64ShrUImm, upper, register, 32);
            emitter.emit(Opcode::I64Xor, upper, upper, register);
            emitter.emit(Opcode::I32WrapI64, to, upper, 0);
            emitter.emit(Opcode::I32ShlImm, to, to, 1);
        } else {
            emitter.emit(Opcode::I32ShlImm, to, register, 1);
        }
        emitter.emit(Opcode::I32ShrUImm, to, to, 1);
        hash
    }

    /// The result of a call, at the beginning of its window.
    pub(super) fn result(&mut self, kind: Type) -> Value {
        match kind {
            Type::Void | Type::Mistake => Value { kind, register: 0 },
            _ => self.target(kind, None),
        }
    }

    pub(super) fn library_call(
        &mut self,
        entry: Entry,
        receiver: Option<Value>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let window = self.body.tops;
        if !self.check_count(entry.parameters.len(), arguments.len(), span) {
            return Value { kind: entry.result, ..Value::MISTAKE };
        }
        if let Some(receiver) = receiver {
            let slot = self.body.allocate(receiver.kind);
            self.move_to(receiver.kind, slot, receiver.register);
        }
        for (argument, kind) in arguments.iter().zip(entry.parameters) {
            self.argument(argument, *kind);
        }
        let first = window.raws;
        match entry.means {
            Means::Native(native) => self.native(native, window),
            Means::Environment => {
                let register = window.references;
                self.body.emitter.emit_wide(Opcode::StaticLoadRef, register, ENVIRONMENT);
                self.body.emitter.emit(Opcode::NullCheck, register, register, 0);
            }
            Means::Unary(opcode) => self.body.emitter.emit(opcode, first, first, 0),
            Means::Binary(opcode) => {
                self.body.emitter.emit(opcode, first, first, first.saturating_add(1));
            }
        }
        self.body.tops = window;
        self.result(entry.result)
    }

    /// `i32(x)` and its like: the conversions that may lose something. Floats out of range throw.
    fn conversion_call(
        &mut self,
        kind: Type,
        arguments: &[Expression<'s>],
        span: Span,
        want: Option<u16>,
    ) -> Value {
        if !self.check_count(1, arguments.len(), span) {
            return Value { kind, ..Value::MISTAKE };
        }
        let Some(argument) = arguments.first() else { return Value::MISTAKE };
        let tops = self.body.tops;
        let value = self.expression(argument, argument.is_literal().then_some(kind), None);
        self.body.tops = tops;
        match value.kind {
            Type::Mistake => value,
            found if found.is_number() || matches!(found, Type::Bool | Type::Enum(_)) => {
                self.convert(value, kind, want)
            }
            found => {
                let message =
                    format!("`{}` does not become `{}`", self.show(found), self.show(kind));
                let help = "texts are read by `parseInteger` and `parseFloat`";
                self.diagnostics.error_with_help(argument.span, message, "here", help);
                Value { kind, ..Value::MISTAKE }
            }
        }
    }

    /// `console.log(a, b)`: the texts of the values with spaces between them, and the end of the line.
    fn console_call(
        &mut self,
        member: Name<'s>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        if member.text != "log" && member.text != "print" && member.text != "readLine" {
            return self.no_member("console", member);
        }
        let window = self.body.tops;
        let console = self.body.allocate(Type::TEXT);
        self.body.emitter.emit_wide(Opcode::StaticLoadRef, console, CONSOLE);
        self.body.emitter.emit(Opcode::NullCheck, console, console, 0);
        if member.text == "readLine" {
            self.check_count(0, arguments.len(), span);
            self.native(Native::ConsoleReadLine, window);
            self.body.tops = window;
            return self.result(Type::TEXT);
        }
        let line = member.text == "log";
        match arguments {
            [Expression { kind: ExpressionKind::Text(text), .. }] => {
                let text = format!("{text}{}", if line { "\n" } else { "" });
                self.template(&[text], &[]);
            }
            _ => self.log_arguments(arguments, line),
        }
        self.native(Native::ConsolePrint, window);
        self.body.tops = window;
        Value { kind: Type::Void, register: 0 }
    }

    fn log_arguments(&mut self, arguments: &[Expression<'s>], line: bool) {
        let mut texts = Vec::from([String::new()]);
        for place in 1..=arguments.len() {
            let last = place == arguments.len();
            texts.push(String::from(if !last {
                " "
            } else if line {
                "\n"
            } else {
                ""
            }));
        }
        if arguments.is_empty() && line {
            texts = Vec::from([String::from("\n")]);
        }
        self.template(&texts, arguments);
    }

    fn method_call(
        &mut self,
        object: &Expression<'s>,
        member: Name<'s>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        if let Some(found) = self.static_call(object, member, arguments, span) {
            return found;
        }
        let kind = match Self::may_be_library_method(member) {
            true => self.argument_type(object),
            false => Type::Mistake,
        };
        if let Some(callee) = self.library_callee(object, member, arguments, kind) {
            let all: Vec<&Expression<'s>> = core::iter::once(object).chain(arguments).collect();
            return match callee {
                Some(callee) => {
                    // The object is not among what people count.
                    let taken = callee.parameters.len().saturating_sub(1);
                    match self.check_count(taken, arguments.len(), span) {
                        true => self.call_function(&callee, &all, span),
                        false => Value { kind: callee.result, ..Value::MISTAKE },
                    }
                }
                None => Value::MISTAKE,
            };
        }
        let value = self.expression(object, None, None);
        if value.kind == Type::Mistake {
            return value;
        }
        if let Type::Object(Referent::Class(class)) = value.kind {
            let found = self.method(class, Role::Method, member.text);
            return match found.filter(|found| !found.modifiers.is_static) {
                Some(found) => self.call_method(value, class, member, &found, arguments, span),
                None if self.function_field(class, member) => {
                    let callee = self.field_value(value, class, member);
                    self.call_value(callee, arguments, span)
                }
                None if member.text == "toString" && self.is_exception(class) => {
                    self.check_count(0, arguments.len(), span);
                    let tops = self.body.tops;
                    self.describe(value);
                    self.body.tops = tops;
                    self.target(Type::TEXT, None)
                }
                None => {
                    let owner = self.show(value.kind);
                    self.no_member(&owner, member)
                }
            };
        }
        if matches!(value.kind, Type::Nullable(_) | Type::Null) {
            return self.may_be_null(value.kind, object.span);
        }
        let machine = matches!(value.kind, Type::Object(Referent::Machine(_)));
        if member.text == "toString" && !machine && self.check_count(0, arguments.len(), span) {
            let tops = self.body.tops;
            self.text_of(value, object);
            self.body.tops = tops;
            return self.target(Type::TEXT, None);
        }
        if let Some(callee) = self.value_method(value.kind, member.text) {
            return self.call_value_method(&callee, value, arguments, span);
        }
        let entry = match value.kind {
            Type::TEXT => library::text_method(member.text),
            Type::Object(Referent::Machine(class)) => library::machine_method(class, member.text),
            _ => None,
        };
        match entry {
            Some(entry) => self.library_call(entry, Some(value), arguments, span),
            None => {
                let owner = self.show(value.kind);
                self.no_member(&owner, member)
            }
        }
    }

    /// `Class.method(arguments)`; None if it is none.
    fn static_call(
        &mut self,
        object: &Expression<'s>,
        member: Name<'s>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Option<Value> {
        let ExpressionKind::Name(name) = object.kind else { return None };
        if self.body.locals.iter().any(|local| local.name == name) {
            return None;
        }
        let class = self.class_named(name)?;
        let found = self.method(class, Role::Method, member.text);
        let Some(found) = found.filter(|found| found.modifiers.is_static) else {
            return Some(self.no_member(name, member));
        };
        let called = format!("`{}`", member.text);
        self.check_access(found.modifiers.access, found.owner, &called, member.span);
        let window = self.body.tops;
        if self.pass(&found.callee.parameters, arguments, span) {
            self.emit_call(class, Role::Method, member.text, &found, window);
        }
        self.body.tops = window;
        Some(self.result(found.callee.result))
    }
}
