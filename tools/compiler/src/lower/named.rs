//! Functions at the top of a file as values: each is called by a function of the form that function values have, which is made once.

use alloc::format;
use alloc::vec::Vec;

use revenant_bytecode::{Builtin, Opcode, ValueType};

use super::exception::Exit;
use super::expression::Value;
use super::function::Body;
use super::infer::Patterns;
use super::resolve::Bindings;
use super::{Callee, Lowering};
use crate::ast::TypeKind;
use crate::diagnostic::Span;
use crate::types::{Referent, Type};

impl<'s> Lowering<'_, 's, '_> {
    /// Whether a name means a function of the program here, and no variable.
    pub(super) fn names_function(&self, name: &str) -> bool {
        let variable =
            self.body.locals.iter().any(|local| local.name == name) || self.global(name).is_some();
        !variable && self.function_place(name).is_some()
    }

    /// The function of this name, with the types that are expected of it if it has type parameters.
    fn named_callee(&mut self, name: &str, expected: Option<Type>) -> Option<Callee> {
        let template = self.function_place(name)?;
        let function = self.program.functions.get(template)?;
        if function.generics.is_empty() {
            return self.instance(template, Vec::new());
        }
        let Some(Referent::Function(place)) = expected.and_then(Type::referent) else {
            return None;
        };
        let (given, _) = self.function_types.get(usize::from(place)).cloned()?;
        let (generics, file) = (function.generics.as_slice(), function.file);
        let patterns = Patterns { generics, file, around: Bindings::default() };
        let mut found: Vec<Option<Type>> = function.generics.iter().map(|_| None).collect();
        for ((_, declared), kind) in function.parameters.iter().zip(given) {
            if let Some(declared) = declared {
                self.unify(declared, kind, &patterns, &mut found);
            }
        }
        let types: Option<Vec<Type>> = found.into_iter().collect();
        self.instance(template, types.filter(|types| !types.contains(&Type::Mistake))?)
    }

    /// The type of a function as a value, if that is to be seen without knowing what is expected.
    pub(super) fn named_function_type(&mut self, name: &str) -> Type {
        match self.named_callee(name, None) {
            Some(callee) => self.function_type(callee.parameters, callee.result),
            None => Type::Mistake,
        }
    }

    /// What the function of this name returns for these types, for a pattern whose other types are known.
    pub(super) fn named_argument(
        &mut self,
        name: &str,
        patterns: &TypeKind<'s>,
        parameters: Vec<Type>,
    ) -> Type {
        if !matches!(patterns, TypeKind::Function(..)) {
            return Type::Mistake;
        }
        let given = self.function_type(parameters, Type::Void);
        match self.named_callee(name, Some(given)) {
            Some(callee) => self.function_type(callee.parameters, callee.result),
            None => Type::Mistake,
        }
    }

    /// A function of the program as a value.
    pub(super) fn named_function(
        &mut self,
        name: &str,
        expected: Option<Type>,
        span: Span,
    ) -> Value {
        let Some(callee) = self.named_callee(name, expected) else {
            let message = format!("which `{name}` is not to be seen here");
            let help = format!("write the call: `(x: i32) => {name}<i32>(x)`, for instance");
            self.diagnostics.error_with_help(span, message, "of what types?", help);
            return Value::MISTAKE;
        };
        let kind = self.function_type(callee.parameters.clone(), callee.result);
        let wrapper = self.wrapper(&callee, span);
        let tops = self.body.tops;
        let nothing = self.body.allocate(Type::TEXT);
        self.body.emitter.emit(Opcode::Null, nothing, 0, 0);
        self.body.tops = tops;
        let target = self.target(kind, None);
        let fields = [target.register, nothing, 0];
        self.body.emitter.emit_literal(Opcode::ClosureNew, fields, wrapper.into());
        target
    }

    /// What takes the function value itself and all arguments, and calls the function with these.
    fn wrapper(&mut self, callee: &Callee, span: Span) -> u32 {
        if let Some(known) = self.wrappers.get(&callee.index) {
            return *known;
        }
        let index = self.reserve_function();
        self.wrappers.insert(callee.index, index);
        // Nothing in it belongs to a line: as in the library's own functions.
        let inner = Body { result: callee.result, file: 0, ..Body::default() };
        let outer = core::mem::replace(&mut self.body, inner);
        self.body.allocate(Type::TEXT);
        let given: Vec<u16> =
            callee.parameters.iter().map(|kind| self.body.allocate(*kind)).collect();
        let window = self.body.tops;
        for (kind, register) in callee.parameters.iter().zip(given) {
            let slot = self.body.allocate(*kind);
            self.move_to(*kind, slot, register);
        }
        let fields = [window.references, window.raws, 0];
        self.body.emitter.emit_literal(Opcode::Call, fields, callee.index.into());
        self.body.tops = window;
        let result = self.result(callee.result);
        let register = Some(result.register).filter(|_| callee.result.value().is_some());
        self.leave(Exit::Return(register, span));
        let mut machine = Vec::from([ValueType::object(Builtin::Closure)]);
        machine.extend(callee.parameters.iter().filter_map(|kind| kind.value()));
        self.finish(index, "function", machine, callee.result.value().into_iter().collect(), span);
        self.body = outer;
        index
    }
}
