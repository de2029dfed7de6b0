//! Objects of the machine as the language has them: threads, locks, conditions, semaphores, and what its own classes are made of.
//!
//! Their classes cannot be extended and have no fields; their methods are natives (`library`), or functions of the library that take
//! the object first.

use alloc::format;
use alloc::vec::Vec;

use revenant_bytecode::{Builtin, Native, Opcode};

use super::expression::Value;
use super::library;
use super::{Callee, Lowering};
use crate::ast::{Expression, ExpressionKind, Name, TypeName};
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

impl<'s> Lowering<'_, 's, '_> {
    /// `new Mutex()` and its like.
    pub(super) fn create_machine(
        &mut self,
        class: Builtin,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        if let Some(entry) = library::machine_constructor(class) {
            return self.library_call(entry, None, arguments, span);
        }
        let message = "threads begin with `Thread.spawn(...)`";
        self.diagnostics.error(span, message, "cannot be made so");
        Value::MISTAKE
    }

    /// `Thread.spawn(() => ...)`.
    pub(super) fn spawn(&mut self, arguments: &[Expression<'s>], span: Span) -> Value {
        let result = Type::machine(Builtin::Thread);
        let window = self.body.tops;
        let action = self.function_type(Vec::new(), Type::Void);
        if self.pass(&[action], arguments, span) {
            let register = window.references;
            self.body.emitter.emit(Opcode::NullCheck, register, register, 0);
            // The default size of its stacks.
            let size = self.body.allocate(Type::I64);
            self.body.emitter.emit_wide(Opcode::I64ConstShort, size, 0);
            self.native(Native::ThreadSpawn, window);
        }
        self.body.tops = window;
        self.result(result)
    }

    /// Whether a method of this name may be a function of the library: then one has to know whose it is.
    pub(super) fn may_be_library_method(member: Name<'s>) -> bool {
        matches!(member.text, "map" | "reduce" | "run")
    }

    /// What the function of the library is, for these arguments, that is a method with type parameters of its own; it takes the object,
    /// whose type is `kind`, first.
    pub(super) fn library_callee(
        &mut self,
        object: &Expression<'s>,
        member: Name<'s>,
        arguments: &[Expression<'s>],
        kind: Type,
    ) -> Option<Option<Callee>> {
        let is_list = self.list_element(kind.without_null()).is_some();
        let name = match member.text {
            "map" if is_list => "Array_map",
            "reduce" if is_list => "Array_reduce",
            "run" if kind.without_null() == Type::machine(Builtin::Mutex) => {
                return Some(self.run_callee(arguments));
            }
            _ => return None,
        };
        let all: Vec<&Expression<'s>> = core::iter::once(object).chain(arguments).collect();
        Some(self.callee_of(name, &[], member.span, &all, Some(kind)))
    }

    /// `mutex.run(action)`. No type parameter stands for no value, so there are two. The action is looked at once: what is nested in it
    /// would be looked at twice as often at every depth.
    fn run_callee(&mut self, arguments: &[Expression<'s>]) -> Option<Callee> {
        let action = match arguments {
            [Expression { kind: ExpressionKind::Lambda(lambda), .. }]
                if lambda.parameters.is_empty() =>
            {
                self.lambda_type(lambda, Vec::new())
            }
            [Expression { kind: ExpressionKind::Lambda(_), .. }] => Type::Mistake,
            [action] => self.argument_type(action),
            _ => Type::Mistake,
        };
        let result = match action.referent() {
            Some(Referent::Function(place)) => self.function_types.get(usize::from(place)),
            _ => None,
        };
        let result = result.map_or(Type::Void, |(_, result)| *result);
        let (name, types) = match result {
            Type::Void | Type::Null | Type::Mistake => ("Mutex_do", Vec::new()),
            _ => ("Mutex_run", Vec::from([result])),
        };
        let template = self.library_function(name)?;
        self.instance(template, types)
    }

    /// Whether this is the program's directory, which is no value.
    pub(super) fn is_root(&self, object: &Expression<'s>) -> bool {
        self.is_ours(object, "root")
    }

    /// Whether this is the name of something of the library that programs may have given to a thing of their own.
    pub(super) fn is_ours(&self, object: &Expression<'s>, name: &str) -> bool {
        matches!(object.kind, ExpressionKind::Name(found) if found == name)
            && self.entity(name).is_none()
            && self.body.locals.iter().all(|local| local.name != name)
    }

    /// Whether this is a name before the functions of the library that have one.
    pub(super) fn is_space(&self, object: &Expression<'s>, name: &str) -> bool {
        matches!(name, "Math" | "String" | "Thread")
            || matches!(name, "collector" | "past") && self.is_ours(object, name)
    }

    /// `past.copy(object, epoch)`: of objects only.
    pub(super) fn past_copy(
        &mut self,
        member: Name<'s>,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        if let [subject, _] = arguments {
            let kind = self.argument_type(subject);
            if !matches!(kind, Type::Object(_) | Type::Mistake) {
                let message = format!("`past.copy` takes an object, not `{}`", self.show(kind));
                let help = "ask for null before, and copy the object that holds a number";
                self.diagnostics.error_with_help(member.span, message, "here", help);
                return Value::MISTAKE;
            }
        }
        let arguments: Vec<&Expression<'s>> = arguments.iter().collect();
        match self.callee_of("Past_copy", &[], member.span, &arguments, None) {
            Some(callee) => self.call_function(&callee, &arguments, span),
            None => Value::MISTAKE,
        }
    }

    /// `root.get<T>(name)` and its like. Objects stand in the directory as they are; all else in a box, whose class says what is in it.
    pub(super) fn root_call(
        &mut self,
        member: Name<'s>,
        given: &[TypeName<'s>],
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let kind = match (given, arguments) {
            ([wanted], _) => self.declared(wanted),
            (_, [_, value]) if member.text == "set" => self.argument_type(value),
            _ => Type::Void,
        };
        let kept = match kind.without_null() {
            Type::Object(Referent::Function(_)) => {
                Some("a function is kept in a field of an object")
            }
            Type::Null => Some("write `root.set<Account | null>(...)`, for instance"),
            _ => None,
        };
        if let Some(help) = kept {
            let message = format!("`root` does not take a value of type `{}`", self.show(kind));
            self.diagnostics.error_with_help(member.span, message, "here", help);
            return Value::MISTAKE;
        }
        let boxed = !matches!(kind, Type::Object(_) | Type::Mistake);
        let name = match (member.text, boxed) {
            ("get", _) if given.is_empty() => {
                let message = "what stands under the name?";
                let help = "write `root.get<Account>(\"name\")`, for instance";
                self.diagnostics.error_with_help(member.span, message, "of what type?", help);
                return Value::MISTAKE;
            }
            ("get", false) => "Root_get",
            ("get", true) => "Root_getBoxed",
            ("set", false) => "Root_set",
            ("set", true) => "Root_setBoxed",
            ("has", _) => "Root_has",
            ("delete", _) => "Root_delete",
            ("names", _) => "Root_names",
            _ => return self.no_member("root", member),
        };
        let arguments: Vec<&Expression<'s>> = arguments.iter().collect();
        match self.callee_of(name, given, member.span, &arguments, None) {
            Some(callee) => self.call_function(&callee, &arguments, span),
            None => Value::MISTAKE,
        }
    }

    /// The function of the library that is a method of a text or a number; it takes that first.
    pub(super) fn value_method(&mut self, kind: Type, member: &str) -> Option<Callee> {
        let owner = match kind {
            Type::TEXT => "String",
            Type::F64 | Type::F32 => "Number",
            _ => return None,
        };
        let template = self.library_function(&format!("{owner}_{member}"))?;
        self.instance(template, Vec::new())
    }

    /// Calls it on a value that has been evaluated.
    pub(super) fn call_value_method(
        &mut self,
        callee: &Callee,
        value: Value,
        arguments: &[Expression<'s>],
        span: Span,
    ) -> Value {
        let window = self.body.tops;
        if let [first, parameters @ ..] = callee.parameters.as_slice() {
            let slot = self.body.allocate(*first);
            self.convert(value, *first, Some(slot));
            if self.pass(parameters, arguments, span) {
                let fields = [window.references, window.raws, 0];
                self.body.emitter.emit_literal(Opcode::Call, fields, callee.index.into());
            }
        }
        self.body.tops = window;
        self.result(callee.result)
    }

    /// `castTo<T>(object)`, of the library: throws if it is no `T`.
    pub(super) fn cast_to(
        &mut self,
        given: &[TypeName<'s>],
        arguments: &[Expression<'s>],
    ) -> Value {
        let ([wanted], [value]) = (given, arguments) else { return Value::MISTAKE };
        let kind = self.declared(wanted);
        let Some(referent) = kind.referent() else { return Value::MISTAKE };
        let tops = self.body.tops;
        let value = self.expression(value, None, None);
        self.body.tops = tops;
        let target = self.target(kind, None);
        let fields = [target.register, value.register, 0];
        self.body.emitter.emit_literal(Opcode::Cast, fields, referent.class().0.into());
        self.prove(target);
        target
    }
}
