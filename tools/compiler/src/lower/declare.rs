//! The names of the files: functions, classes, enums, variables, before anything is walked.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use revenant_bytecode::Field;

use super::expression::{integer, literal_type};
use super::resolve::Bindings;
use super::scope::Entity;
use super::{Callee, Global, Lowering, Work, index};
use crate::ast::{Class, Enum, ExpressionKind, FileParts, Function, TypeKind, Variable};
use crate::types::Type;

/// An enum.
#[derive(Debug)]
pub(super) struct EnumInfo<'s> {
    pub(super) name: &'s str,
    /// The number of its file.
    pub(super) file: u16,
    pub(super) members: BTreeMap<&'s str, i32>,
}

impl<'p, 's> Lowering<'p, 's, '_> {
    /// Declares what stands in the files; whether all that they import is there.
    pub(super) fn declare(&mut self, parts: &[FileParts<'s>]) -> bool {
        let program = self.program;
        for (place, class) in program.classes.iter().enumerate() {
            self.define(class.file, class.name, Entity::Class(place));
        }
        for declared in &program.enums {
            let number = u16::try_from(self.enums.len()).unwrap_or(u16::MAX);
            if self.define(declared.file, declared.name, Entity::Enum(number)) {
                self.declare_enum(declared);
            }
        }
        for (place, function) in program.functions.iter().enumerate() {
            self.define(function.file, function.name, Entity::Function(place));
        }
        if !self.import_all(parts) {
            return false;
        }
        self.find_overridden();
        for (place, class) in program.classes.iter().enumerate() {
            if class.file != 0 && class.generics.is_empty() {
                let reference = self.instantiate(place, Vec::new(), class.name.span);
                self.lay_out(reference);
            }
        }
        for (place, function) in program.functions.iter().enumerate() {
            if function.file != 0 && function.generics.is_empty() {
                self.instance(place, Vec::new());
            }
        }
        for variable in &program.variables {
            self.declare_variable(variable);
        }
        true
    }

    fn declare_enum(&mut self, declared: &Enum<'s>) {
        let mut members = BTreeMap::new();
        let mut next = 0_i32;
        for (name, value) in &declared.members {
            if let Some(value) = value {
                match integer(value).and_then(|number| i32::try_from(number).ok()) {
                    Some(number) => next = number,
                    None => {
                        let message = "the value of a member is an integer literal, an `i32`";
                        let help = "for texts, write a function that gives the text of a member";
                        self.diagnostics.error_with_help(value.span, message, "is not", help);
                    }
                }
            }
            if members.insert(name.text, next).is_some() {
                let message = format!("there is a `{}` already", name.text);
                self.diagnostics.error(name.span, message, "a second one");
            }
            next = next.wrapping_add(1);
        }
        self.enums.push(EnumInfo { name: declared.name.text, file: declared.file, members });
    }

    /// Which methods classes further down have again, by the names alone: all classes of a program are known.
    fn find_overridden(&mut self) {
        let classes = &self.program.classes;
        for class in classes.iter().filter(|class| class.is_interface) {
            for method in &class.methods {
                self.interface_methods.insert((method.role, method.function.name.text));
            }
        }
        let above = |class: &Class<'s>| match class.superclass.as_ref().map(|name| &name.kind) {
            Some(TypeKind::Named(name, _)) => match self.entity_in(class.file, name) {
                Some(Entity::Class(place)) => Some(place),
                _ => None,
            },
            _ => None,
        };
        let above: Vec<Option<usize>> = classes.iter().map(above).collect();
        for (place, class) in classes.iter().enumerate() {
            let mut next = above.get(place).copied().flatten();
            // A circle of classes is reported elsewhere; here it only has to end.
            for _ in 0..revenant_bytecode::CLASS_DEPTH_MAX {
                let Some(upper) = next else { break };
                for method in &class.methods {
                    self.overridden.insert((upper, method.role, method.function.name.text));
                }
                next = above.get(upper).copied().flatten();
            }
        }
    }

    /// A function for these types; walked once.
    pub(super) fn instance(&mut self, place: usize, arguments: Vec<Type>) -> Option<Callee> {
        let key = (place, arguments);
        if let Some(known) = self.functions.get(&key) {
            return Some(known.clone());
        }
        let function = self.program.functions.get(place)?;
        let pairs = function.generics.iter().map(|name| name.text).zip(key.1.iter().copied());
        let bindings = Bindings::new(pairs.collect());
        let outer = self.body.enter(bindings.clone(), function.file);
        let callee = self.callee(function);
        self.body.leave(outer);
        let work = Work {
            function,
            name: function.name.text.into(),
            callee: callee.clone(),
            bindings,
            class: None,
            is_static: true,
            constructs: None,
        };
        self.name_function(callee.index, function.name.text, function.file, &key.1);
        self.work.push(work);
        self.functions.insert(key, callee.clone());
        Some(callee)
    }

    /// The types of a function as it is declared, and a place for it.
    pub(super) fn callee(&mut self, function: &'p Function<'s>) -> Callee {
        let (parameters, result) = self.signature_of(function);
        Callee { index: self.reserve_function(), parameters, result }
    }

    pub(super) fn signature_of(&mut self, function: &'p Function<'s>) -> (Vec<Type>, Type) {
        let parameters = function.parameters.iter().map(|(name, declared)| match declared {
            Some(declared) => self.declared(declared),
            None => {
                let help = format!("write `{}: i32`, for instance", name.text);
                let message = format!("parameter `{}` has no type", name.text);
                self.diagnostics.error_with_help(name.span, message, "needs one", help);
                Type::Mistake
            }
        });
        let parameters = parameters.collect();
        let result =
            function.result.as_ref().map_or(Type::Void, |declared| self.declared(declared));
        (parameters, result)
    }

    fn declare_variable(&mut self, variable: &'p Variable<'s>) {
        self.body.file = self.files.number_of(variable.name.span.start);
        let kind = self.variable_type(variable);
        let global = self.static_variable(variable, kind, self.traced(variable.name.text));
        self.define(global.file, variable.name, Entity::Global(global));
    }

    /// A static variable of the module, computed when the program starts.
    pub(super) fn static_variable(
        &mut self,
        variable: &'p Variable<'s>,
        kind: Type,
        name: alloc::string::String,
    ) -> Global {
        if self.known.is_some() {
            let global = self.session_variable(&name, kind, variable.constant);
            if !self.is_foreign(global) {
                self.initial.push((global, variable));
            }
            return global;
        }
        let place = index(self.module.statics.len());
        self.module.statics.push(Field { name, value: kind.stored() });
        let (constant, file) = (variable.constant, self.body.file);
        let global = Global { index: place, kind, constant, file };
        self.initial.push((global, variable));
        global
    }

    /// The type of a variable of the module or a field: declared, or to be seen from its value.
    pub(super) fn variable_type(&mut self, variable: &Variable<'s>) -> Type {
        if let Some(declared) = &variable.declared {
            return self.declared(declared);
        }
        let simple = match variable.value.as_ref() {
            Some(value) if value.is_literal() => Some(literal_type(value)),
            Some(value) => match &value.kind {
                ExpressionKind::Text(_) | ExpressionKind::Template(..) => Some(Type::TEXT),
                ExpressionKind::Bool(_) => Some(Type::Bool),
                ExpressionKind::New(class, _) => Some(self.declared(class)),
                ExpressionKind::Mistake => Some(Type::Mistake),
                _ => None,
            },
            None => None,
        };
        simple.unwrap_or_else(|| {
            let message = format!("`{}` needs a type: other functions read it", variable.name.text);
            let help = format!("write `{}: i32`, for instance", variable.name.text);
            self.diagnostics.error_with_help(variable.name.span, message, "no type", help);
            Type::Mistake
        })
    }
}
