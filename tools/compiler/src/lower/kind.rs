//! The type of an expression before it is walked, for literals that take the type of what stands beside them.
//!
//! Looks and emits nothing, but makes the functions and classes that a call of a generic one needs; in time linear in the expression. Where
//! there is a mistake any answer will do: the
//! walk finds it.

use alloc::vec::Vec;

use revenant_bytecode::{Builtin, ClassReference};

use super::Lowering;
use super::expression::literal_type;
use super::library;
use crate::ast::{
    Binary, Expression, ExpressionKind, Role, Statement, StatementKind, TypeKind, TypeName, Unary,
};
use crate::types::{Referent, Type};

impl<'s> Lowering<'_, 's, '_> {
    pub(super) fn type_of(&mut self, value: &Expression<'s>) -> Type {
        match &value.kind {
            ExpressionKind::Number(_) => literal_type(value),
            ExpressionKind::Text(_) | ExpressionKind::Template(..) => Type::TEXT,
            ExpressionKind::Bool(_) | ExpressionKind::Unary(Unary::Not, _) => Type::Bool,
            ExpressionKind::Name(name) => self.type_of_name(name, value),
            ExpressionKind::Unary(_, inner)
            | ExpressionKind::Update(_, inner, _)
            | ExpressionKind::Assign(_, inner, _) => self.type_of(inner),
            ExpressionKind::Binary(operator, left, right) => {
                if operator.is_comparison() || operator.is_logical() {
                    Type::Bool
                } else {
                    self.type_of_both(*operator, left, right)
                }
            }
            ExpressionKind::Conditional(parts) => {
                let [_, then, other] = &**parts;
                self.type_of(if then.is_literal() { other } else { then })
            }
            ExpressionKind::Call(callee, arguments) => self.type_of_call(callee, arguments),
            ExpressionKind::Member(object, member) => {
                let kind = self.type_of_member(object, member.text);
                let known = self.path(value).and_then(|path| self.body.known(&path));
                known.unwrap_or(kind)
            }
            ExpressionKind::Index(parts) => match self.type_of(&parts[0]).without_null() {
                Type::Object(Referent::Array(array)) => array.element(),
                Type::Object(Referent::Raw(_, place)) => {
                    self.elements.get(usize::from(place)).copied().unwrap_or(Type::Mistake)
                }
                kind => self.list_element(kind).unwrap_or(Type::Mistake),
            },
            ExpressionKind::New(name, _) => self.type_named(name),
            ExpressionKind::Null => Type::Null,
            ExpressionKind::This => {
                self.body.this.map_or(Type::Mistake, |class| Type::Object(Referent::Class(class)))
            }
            ExpressionKind::NonNull(inner) | ExpressionKind::Optional(inner) => {
                self.type_of(inner).without_null()
            }
            ExpressionKind::Chain(inner) => self.type_of(inner).or_null(),
            ExpressionKind::Coalesce(parts) => {
                let [left, right] = &**parts;
                let left = self.type_of(left);
                match self.type_of(right) {
                    Type::Nullable(_) | Type::Null => left,
                    _ => left.without_null(),
                }
            }
            ExpressionKind::InstanceOf(..) => Type::Bool,
            ExpressionKind::List(values) => {
                let element = values.first().map_or(Type::Mistake, |value| self.type_of(value));
                self.known_list(element)
            }
            ExpressionKind::Super | ExpressionKind::Lambda(_) | ExpressionKind::Instance(..) => {
                Type::Mistake
            }
            ExpressionKind::Mistake => Type::Mistake,
        }
    }

    fn type_of_both(
        &mut self,
        operator: Binary,
        left: &Expression<'s>,
        right: &Expression<'s>,
    ) -> Type {
        let (first, second) = (self.type_of(left), self.type_of(right));
        if operator == Binary::Add && (first == Type::TEXT || second == Type::TEXT) {
            Type::TEXT
        } else if left.is_literal() || first.widens_to(second) && !right.is_literal() {
            second
        } else {
            first
        }
    }

    fn type_of_name(&mut self, name: &str, value: &Expression<'s>) -> Type {
        if self.names_function(name) {
            return self.named_function_type(name);
        }
        let local = self.body.locals.iter().rev().find(|local| local.name == name);
        let kind = match (local, self.global(name)) {
            (Some(local), _) => local.kind,
            (None, Some(global)) => global.kind,
            (None, None) => return Type::Mistake,
        };
        if !kind.is_reference() {
            return kind;
        }
        self.path(value).and_then(|path| self.body.known(&path)).unwrap_or(kind)
    }

    fn type_of_member(&mut self, object: &Expression<'s>, member: &str) -> Type {
        if let ExpressionKind::Name(name) = object.kind
            && !self.body.locals.iter().any(|local| local.name == name)
        {
            if name == "Math" {
                return Type::F64;
            }
            if let Some(number) = self.enum_number(name) {
                return Type::Enum(number);
            }
            if let Some(class) = self.class_named(name) {
                let info = self.classes.get(&class);
                let field = info.and_then(|info| info.fields.get(member));
                return field.map_or(Type::Mistake, |field| field.kind);
            }
        }
        // What is known here may be known only behind a condition: null is not looked at.
        match self.type_of(object).without_null() {
            Type::Object(Referent::Class(class)) => self.type_of_field(class, member),
            Type::Mistake => Type::Mistake,
            _ => Type::I64,
        }
    }

    fn type_of_field(&mut self, class: ClassReference, member: &str) -> Type {
        self.lay_out(class);
        let Some(info) = self.classes.get(&class) else { return Type::TEXT };
        if let Some(field) = info.fields.get(member) {
            return field.kind;
        }
        let getter = info.methods.get(&(Role::Getter, member));
        getter.map_or(Type::Mistake, |getter| getter.callee.result)
    }

    /// A type as written, if it is known already: a class that nothing has used yet is not made here.
    fn type_named(&self, name: &TypeName<'s>) -> Type {
        let TypeKind::Named(text, given) = &name.kind else { return Type::Mistake };
        let given: Vec<Type> = given.iter().map(|name| self.type_named(name)).collect();
        if let Some((_, bound)) = self.body.bindings.iter().find(|(name, _)| name == text) {
            return *bound;
        }
        if let Some(kind) = Type::named(text) {
            return kind;
        }
        let place = self.class_place(text);
        let known = place.and_then(|place| self.class_instances.get(&(place, given)));
        known.map_or(Type::Mistake, |class| Type::Object(Referent::Class(*class)))
    }

    /// `T[]` of this element, if the program has used it already.
    fn known_list(&self, element: Type) -> Type {
        let place = self.library_class("Array");
        let key = place.map(|place| (place, Vec::from([element])));
        let known = key.and_then(|key| self.class_instances.get(&key));
        known.map_or(Type::Mistake, |class| Type::Object(Referent::Class(*class)))
    }

    fn type_of_call(&mut self, callee: &Expression<'s>, arguments: &[Expression<'s>]) -> Type {
        if let ExpressionKind::Member(object, member) = &callee.kind
            && !matches!(object.kind, ExpressionKind::Name(name) if self.class_place(name).is_some())
            && Self::may_be_library_method(*member)
        {
            let kind = self.argument_type(object);
            return match self.library_callee(object, *member, arguments, kind) {
                Some(callee) => callee.map_or(Type::Mistake, |callee| callee.result),
                None => self.result_of_method(kind, member.text),
            };
        }
        match &callee.kind {
            ExpressionKind::Name(name) => match (Type::named(name), library::function(name)) {
                (Some(kind), _) if kind.is_number() => kind,
                (_, Some(entry)) => entry.result,
                _ if self.names_function(name) => {
                    let key = self.function_place(name).map(|place| (place, Vec::new()));
                    let known = key.and_then(|key| self.functions.get(&key));
                    known.map_or(Type::Mistake, |callee| callee.result)
                }
                _ => self.result_of_value(callee).unwrap_or(Type::Mistake),
            },
            ExpressionKind::Instance(inner, given) => match (&inner.kind, given.as_slice()) {
                (ExpressionKind::Member(object, _), [wanted]) if self.is_root(object) => {
                    self.type_named(wanted)
                }
                _ => Type::Mistake,
            },
            ExpressionKind::Member(object, member) => match object.kind {
                ExpressionKind::Name("Math") => Type::F64,
                ExpressionKind::Name("Thread") => Type::machine(Builtin::Thread),
                ExpressionKind::Name("console") if member.text != "readLine" => Type::Void,
                ExpressionKind::Name("String" | "console") => Type::TEXT,
                _ => self.type_of_method(object, member.text),
            },
            _ => Type::Mistake,
        }
    }

    /// What a function that is a value returns.
    fn result_of_value(&mut self, callee: &Expression<'s>) -> Option<Type> {
        match self.type_of(callee).without_null() {
            Type::Object(Referent::Function(place)) => {
                self.function_types.get(usize::from(place)).map(|(_, result)| *result)
            }
            _ => None,
        }
    }

    fn type_of_method(&mut self, object: &Expression<'s>, member: &str) -> Type {
        let kind = match object.kind {
            ExpressionKind::Name(name) if self.class_place(name).is_some() => {
                let class = self.class_named(name);
                class.map_or(Type::Mistake, |class| Type::Object(Referent::Class(class)))
            }
            _ => self.type_of(object),
        };
        self.result_of_method(kind, member)
    }

    /// What a method of this name returns, of a value of this type or of a class.
    fn result_of_method(&mut self, kind: Type, member: &str) -> Type {
        let class = match kind.without_null() {
            Type::Object(Referent::Class(class)) => Some(class),
            Type::Object(Referent::Machine(class)) => {
                let entry = library::machine_method(class, member);
                return entry.map_or(Type::Mistake, |entry| entry.result);
            }
            _ => None,
        };
        let mut next = class;
        while let Some(info) = next.and_then(|class| self.classes.get(&class)) {
            if let Some(found) = info.methods.get(&(Role::Method, member)) {
                return found.callee.result;
            }
            next = info.superclass;
        }
        if let Some(callee) = self.value_method(kind, member) {
            return callee.result;
        }
        match library::text_method(member) {
            Some(entry) if class.is_none() => entry.result,
            None if member == "toString" => Type::TEXT,
            _ => Type::Mistake,
        }
    }

    /// The type of the first value that statements return, with the names that they declare on the way to it.
    pub(super) fn first_returned(&mut self, list: &[Statement<'s>]) -> Option<Type> {
        let locals = self.body.locals.len();
        let found = list.iter().find_map(|statement| self.returned_by(statement));
        self.body.locals.truncate(locals);
        found
    }

    fn returned_by(&mut self, statement: &Statement<'s>) -> Option<Type> {
        use StatementKind as S;
        match &statement.kind {
            S::Return(value) => value.as_ref().map(|value| self.type_of(value)),
            S::Variables(list) => {
                for variable in list {
                    let kind = match (&variable.declared, &variable.value) {
                        (Some(declared), _) => self.declared(declared),
                        (None, Some(value)) => self.argument_type(value),
                        (None, None) => Type::Mistake,
                    };
                    self.body.declare_looked_at(variable.name.text, kind);
                }
                None
            }
            S::Block(list) => self.first_returned(list),
            S::If(_, then, other) => {
                let found = self.returned_by(then);
                found.or_else(|| other.as_ref().and_then(|other| self.returned_by(other)))
            }
            S::While(_, body) | S::DoWhile(body, _) => self.returned_by(body),
            S::For(parts) => {
                let locals = self.body.locals.len();
                let found = self.returned_by(&parts.start);
                let found = found.or_else(|| self.returned_by(&parts.body));
                self.body.locals.truncate(locals);
                found
            }
            S::ForOf(parts) => {
                let locals = self.body.locals.len();
                let kind = match self.type_of(&parts.values).without_null() {
                    Type::Object(Referent::Array(array)) => array.element(),
                    Type::TEXT => Type::TEXT,
                    kind => self.list_element(kind).unwrap_or(Type::Mistake),
                };
                self.body.declare_looked_at(parts.name.text, kind);
                let found = self.returned_by(&parts.body);
                self.body.locals.truncate(locals);
                found
            }
            S::Switch(_, cases) => cases.iter().find_map(|case| self.first_returned(&case.body)),
            S::Try(parts) => {
                let handler = parts.handler.as_ref().map(|(_, body)| body);
                let blocks = [Some(&parts.body), handler, parts.last.as_ref()];
                blocks.into_iter().flatten().find_map(|block| self.first_returned(block))
            }
            S::Expression(_) | S::Throw(_) | S::Break | S::Continue | S::Empty => None,
        }
    }
}
