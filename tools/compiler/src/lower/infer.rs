//! Which types a call of a generic function is about: those of its arguments, and what is expected of its result.

use alloc::vec::Vec;

use super::Lowering;
use super::resolve::Bindings;
use crate::ast::{Expression, ExpressionKind, Lambda, Name, TypeKind, TypeName};
use crate::types::{Referent, Type};

impl<'s> Lowering<'_, 's, '_> {
    /// The types that type parameters have to have for these arguments. The first one's may be known, which saves looking
    /// again at each link of a chain.
    pub(super) fn infer(
        &mut self,
        generics: &[Name<'s>],
        parameters: &[(Name<'s>, Option<TypeName<'s>>)],
        arguments: &[&Expression<'s>],
        first: Option<Type>,
    ) -> Option<Vec<Type>> {
        let mut found: Vec<Option<Type>> = generics.iter().map(|_| None).collect();
        if generics.is_empty() {
            return Some(Vec::new());
        }
        // What functions without names take is seen from the other arguments.
        for lambdas in [false, true] {
            for (place, ((_, declared), argument)) in parameters.iter().zip(arguments).enumerate() {
                let Some(declared) = declared else { continue };
                let kind = match &argument.kind {
                    ExpressionKind::Lambda(lambda) if lambdas => {
                        match self.known_parameters(declared, generics, &found) {
                            Some(given) => self.lambda_argument(lambda, &given),
                            None => self.lambda_argument(lambda, &[]),
                        }
                    }
                    ExpressionKind::Name(name) if lambdas && self.names_function(name) => {
                        match self.known_parameters(declared, generics, &found) {
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
                self.unify(declared, kind, generics, &mut found);
            }
        }
        found.into_iter().collect()
    }

    /// The types of the parameters in a pattern of functions, if other arguments have shown them.
    fn known_parameters(
        &mut self,
        pattern: &TypeName<'s>,
        generics: &[Name<'s>],
        found: &[Option<Type>],
    ) -> Option<Vec<Type>> {
        let TypeKind::Function(patterns, _) = &pattern.kind else { return None };
        let known = generics.iter().zip(found);
        let known = known.filter_map(|(name, kind)| Some((name.text, (*kind)?)));
        // The pattern is read as where it was declared: with the types that are known, and as the library's if it is.
        let bindings = Bindings::new(known.collect());
        let outer = self.body.enter(bindings, self.body.library);
        let given = patterns
            .iter()
            .map(|pattern| self.is_known(pattern, generics).then(|| self.declared(pattern)))
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
                ExpressionKind::Name(name) if self.templates.contains_key(name) => {
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
        generics: &[Name<'s>],
        found: &mut [Option<Type>],
    ) {
        if matches!(kind, Type::Mistake | Type::Void | Type::Null) {
            return;
        }
        match &pattern.kind {
            TypeKind::Named(name, given) => {
                let place = generics.iter().position(|generic| generic.text == *name);
                if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
                    *slot = slot.or(Some(kind));
                    return;
                }
                let Some(Referent::Class(class)) = kind.referent() else { return };
                let Some(info) = self.classes.get(&class) else { return };
                if self.class_templates.get(name) == Some(&info.template) {
                    for (pattern, kind) in given.iter().zip(&info.arguments) {
                        self.unify(pattern, *kind, generics, found);
                    }
                }
            }
            TypeKind::List(element) => {
                if let Some(kind) = self.list_element(kind.without_null()) {
                    self.unify(element, kind, generics, found);
                }
            }
            TypeKind::Nullable(inner) => self.unify(inner, kind.without_null(), generics, found),
            TypeKind::Function(parameters, result) => {
                let Some(Referent::Function(place)) = kind.referent() else { return };
                let Some((given, returned)) = self.function_types.get(usize::from(place)) else {
                    return;
                };
                for (pattern, kind) in parameters.iter().zip(given) {
                    self.unify(pattern, *kind, generics, found);
                }
                self.unify(result, *returned, generics, found);
            }
            TypeKind::Mistake => {}
        }
    }
}
