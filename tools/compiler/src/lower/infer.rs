//! Which types a call of a generic function is about: those of its arguments, and what is expected of its result.

use alloc::vec::Vec;

use super::Lowering;
use super::resolve::Bindings;
use super::scope::Entity;
use crate::ast::{Expression, ExpressionKind, Lambda, Name, TypeKind, TypeName};
use crate::types::{Referent, Type};

/// Types as a declaration has them: with type parameters that stand for something yet to be found.
pub(super) struct Patterns<'a, 's> {
    pub(super) generics: &'a [Name<'s>],
    /// The number of the file in which they are written.
    pub(super) file: u16,
    /// What the type parameters of the class around them stand for.
    pub(super) around: Bindings<'s>,
}

impl<'s> Lowering<'_, 's, '_> {
    /// The types that type parameters have to have for these arguments. The first one's may be known, which saves looking
    /// again at each link of a chain.
    pub(super) fn infer(
        &mut self,
        patterns: &Patterns<'_, 's>,
        parameters: &[(Name<'s>, Option<TypeName<'s>>)],
        arguments: &[&Expression<'s>],
        first: Option<Type>,
    ) -> Option<Vec<Type>> {
        let mut found: Vec<Option<Type>> = patterns.generics.iter().map(|_| None).collect();
        if patterns.generics.is_empty() {
            return Some(Vec::new());
        }
        // What functions without names take is seen from the other arguments.
        for lambdas in [false, true] {
            for (place, ((_, declared), argument)) in parameters.iter().zip(arguments).enumerate() {
                let Some(declared) = declared else { continue };
                let kind = match &argument.kind {
                    ExpressionKind::Lambda(lambda) if lambdas => {
                        match self.known_parameters(declared, patterns, &found) {
                            Some(given) => self.lambda_argument(lambda, &given),
                            None => self.lambda_argument(lambda, &[]),
                        }
                    }
                    ExpressionKind::Name(name) if lambdas && self.names_function(name) => {
                        match self.known_parameters(declared, patterns, &found) {
                            Some(given) => self.named_argument(name, &declared.kind, given),
                            None => self.named_function_type(name),
                        }
                    }
                    ExpressionKind::Lambda(_) => continue,
                    ExpressionKind::Name(name) if self.names_function(name) => continue,
                    _ if lambdas => continue,
                    _ => match first.filter(|_| place == 0) {
                        Some(kind) => kind,
                        None => self.argument_type(argument),
                    },
                };
                self.unify(declared, kind, patterns, &mut found);
            }
        }
        found.into_iter().collect()
    }

    /// The types of the parameters in a pattern of functions, if other arguments have shown them.
    fn known_parameters(
        &mut self,
        pattern: &TypeName<'s>,
        patterns: &Patterns<'_, 's>,
        found: &[Option<Type>],
    ) -> Option<Vec<Type>> {
        let TypeKind::Function(parameters, _) = &pattern.kind else { return None };
        let known = patterns.generics.iter().zip(found);
        let known = known.filter_map(|(name, kind)| Some((name.text, (*kind)?)));
        // The pattern is read as where it was declared: with the types that are known, and in its file.
        let bindings = Bindings::new(known.chain(patterns.around.iter().copied()).collect());
        let outer = self.body.enter(bindings, patterns.file);
        let given = parameters
            .iter()
            .map(|name| self.is_known(name, patterns.generics).then(|| self.declared(name)))
            .collect();
        self.body.leave(outer);
        given
    }

    /// The type of a function without a name, whose parameters may have types that other arguments have shown.
    fn lambda_argument(&mut self, lambda: &Lambda<'s>, given: &[Type]) -> Type {
        if given.len() < lambda.parameters.iter().filter(|(_, kind)| kind.is_none()).count() {
            return Type::Mistake;
        }
        match self.lambda_parameters(lambda, given) {
            Some(parameters) => self.lambda_type(lambda, parameters),
            None => Type::Mistake,
        }
    }

    /// Whether all type parameters in a type stand for something.
    fn is_known(&self, pattern: &TypeName<'s>, generics: &[Name<'s>]) -> bool {
        match &pattern.kind {
            TypeKind::Named(name, given) => {
                let generic = generics.iter().any(|generic| generic.text == *name);
                let bound = self.body.bindings.iter().any(|(bound, _)| bound == name);
                (!generic || bound) && given.iter().all(|name| self.is_known(name, generics))
            }
            TypeKind::List(inner) | TypeKind::Nullable(inner) => self.is_known(inner, generics),
            TypeKind::Function(parameters, result) => {
                parameters.iter().all(|name| self.is_known(name, generics))
                    && self.is_known(result, generics)
            }
            TypeKind::Mistake => false,
        }
    }

    /// The type of an argument from which a type parameter is to be seen; makes the classes that it needs.
    pub(super) fn argument_type(&mut self, argument: &Expression<'s>) -> Type {
        match &argument.kind {
            ExpressionKind::List(values) => {
                let element = match values.as_slice() {
                    [first, ..] if matches!(first.kind, ExpressionKind::List(_)) => {
                        Some(self.argument_type(first))
                    }
                    _ => self.common_type(values),
                };
                element.map_or(Type::Mistake, |element| self.list_of(element, argument.span))
            }
            ExpressionKind::New(name, arguments) => self.created_type(name, arguments, None),
            ExpressionKind::Call(callee, arguments) => match &callee.kind {
                ExpressionKind::Name(name) if self.function_place(name).is_some() => {
                    let all: Vec<&Expression<'s>> = arguments.iter().collect();
                    let callee = self.callee_of(name, &[], callee.span, &all, None);
                    callee.map_or(Type::Mistake, |callee| callee.result)
                }
                _ => self.type_of(argument),
            },
            _ => self.type_of(argument),
        }
    }

    pub(super) fn unify(
        &self,
        pattern: &TypeName<'s>,
        kind: Type,
        patterns: &Patterns<'_, 's>,
        found: &mut [Option<Type>],
    ) {
        if matches!(kind, Type::Mistake | Type::Void | Type::Null) {
            return;
        }
        match &pattern.kind {
            TypeKind::Named(name, given) => {
                let place = patterns.generics.iter().position(|generic| generic.text == *name);
                if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
                    *slot = slot.or(Some(kind));
                    return;
                }
                let Some(Referent::Class(class)) = kind.referent() else { return };
                let Some(info) = self.classes.get(&class) else { return };
                let class = self.entity_in(patterns.file, name);
                if matches!(class, Some(Entity::Class(place)) if place == info.template) {
                    for (pattern, kind) in given.iter().zip(&info.arguments) {
                        self.unify(pattern, *kind, patterns, found);
                    }
                }
            }
            TypeKind::List(element) => {
                if let Some(kind) = self.list_element(kind.without_null()) {
                    self.unify(element, kind, patterns, found);
                }
            }
            TypeKind::Nullable(inner) => self.unify(inner, kind.without_null(), patterns, found),
            TypeKind::Function(parameters, result) => {
                let Some(Referent::Function(place)) = kind.referent() else { return };
                let Some((given, returned)) = self.function_types.get(usize::from(place)) else {
                    return;
                };
                for (pattern, kind) in parameters.iter().zip(given) {
                    self.unify(pattern, *kind, patterns, found);
                }
                self.unify(result, *returned, patterns, found);
            }
            TypeKind::Mistake => {}
        }
    }
}
