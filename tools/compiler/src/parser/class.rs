//! Classes, interfaces and enums. After a mistake reading goes on at the next member; a class that has no constructor is given one
//! here, so that all have one from then on.

use alloc::vec::Vec;

use super::Parser;
use crate::ast::{
    Access, Class, Enum, FieldDeclaration, Function, Method, Modifiers, Name, Program, Role,
    TypeName, Variable,
};
use crate::diagnostic::Span;
use crate::lexer::Kind;

const PLAIN: Modifiers =
    Modifiers { access: Access::Public, is_static: false, is_abstract: false, readonly: false };

impl<'s> Parser<'s, '_> {
    /// From `abstract`, `class` or `interface` on.
    pub(super) fn class(&mut self) -> Option<Class<'s>> {
        let is_abstract = self.accept("abstract");
        let is_interface = self.accept("interface");
        if !is_interface {
            self.expect("class");
        }
        let name = self.name("the name of the class")?;
        let generics = self.type_parameters();
        let mut class = Class {
            name,
            generics,
            superclass: None,
            interfaces: Vec::new(),
            is_abstract,
            is_interface,
            fields: Vec::new(),
            methods: Vec::new(),
            file: self.file,
        };
        if self.accept("extends") {
            if is_interface {
                class.interfaces = self.type_list();
            } else {
                class.superclass = Some(self.type_name());
            }
        }
        if self.accept("implements") {
            class.interfaces.append(&mut self.type_list());
        }
        if !self.expect("{") {
            self.skip_to_item();
            return None;
        }
        while !self.at_end_of("}") {
            let before = self.at;
            self.member(&mut class);
            if self.at == before {
                self.bump();
            }
        }
        self.expect("}");
        if !is_interface && !class.methods.iter().any(|m| m.role == Role::Constructor) {
            self.implicit_constructor(&mut class);
        }
        Some(class)
    }

    fn type_list(&mut self) -> Vec<TypeName<'s>> {
        let mut list = Vec::from([self.type_name()]);
        while self.accept(",") {
            list.push(self.type_name());
        }
        list
    }

    /// Whether the next word is a member's name itself and no modifier.
    fn names_member(&self) -> bool {
        matches!(
            self.ahead(1).kind,
            Kind::Mark("(" | ":" | "=" | ";" | "<" | "}" | "!" | "?" | ",")
        )
    }

    /// `private static readonly` and so on; None if there is none.
    fn modifiers(&mut self) -> Option<Modifiers> {
        let mut found = None;
        while !self.names_member() {
            let mut next = found.unwrap_or(PLAIN);
            match self.text() {
                "public" => next.access = Access::Public,
                "protected" => next.access = Access::Protected,
                "private" => next.access = Access::Private,
                "static" => next.is_static = true,
                "abstract" => next.is_abstract = true,
                "readonly" => next.readonly = true,
                "override" => {}
                _ => break,
            }
            self.bump();
            found = Some(next);
        }
        found
    }

    fn member(&mut self, class: &mut Class<'s>) {
        if self.accept(";") || class.is_interface && self.accept(",") {
            return;
        }
        let mut modifiers = self.modifiers().unwrap_or(PLAIN);
        modifiers.is_abstract |= class.is_interface;
        let mut role = Role::Method;
        if matches!(self.text(), "get" | "set") && !self.names_member() {
            role = if self.text() == "get" { Role::Getter } else { Role::Setter };
            self.bump();
        }
        if self.text() == "constructor" {
            return self.constructor(class, modifiers);
        }
        let Some(name) = self.member_name() else {
            self.skip_member();
            return;
        };
        if matches!(self.text(), "(" | "<") {
            let function = self.method(name, modifiers.is_abstract);
            class.methods.push(Method {
                role,
                modifiers,
                function,
                properties: Vec::new(),
                implicit: false,
            });
            return;
        }
        if class.is_interface {
            let message = "an interface has methods only";
            let help = "write `get NAME(): TYPE`, and the same in the class, or an abstract class";
            self.diagnostics.error_with_help(name.span, message, "a field", help);
        }
        self.refuse_optional();
        let bang = self.peek().span;
        if self.accept("!") {
            let help = "give it a value here or in the constructor";
            self.diagnostics.error_with_help(bang, "every field has a value", "here", help);
        }
        let declared = self.annotation();
        let value = self.accept("=").then(|| self.assignment());
        let constant = modifiers.readonly;
        let variable = Variable { name, constant, declared, value };
        class.fields.push(FieldDeclaration { variable, modifiers });
        if !(class.is_interface && self.accept(",")) {
            self.end_of_statement();
        }
    }

    fn member_name(&mut self) -> Option<Name<'s>> {
        let token = self.peek();
        let span = token.span;
        let refusal = match (token.kind, self.text()) {
            (Kind::Name, text) => {
                self.bump();
                return Some(Name { text, span });
            }
            (_, "[") => ("members have names", "write a method"),
            (_, "(" | "<") => ("an object is not called", "write a method with a name"),
            (_, "@") => ("there are no decorators", "leave it out"),
            (_, "*") => ("there are no generators", "write an ordinary method"),
            _ => ("expected a member of the class", "a field, a method or a constructor"),
        };
        let (message, help) = refusal;
        self.diagnostics.error_with_help(span, message, "not a member", help);
        None
    }

    /// Up to where the next member may begin.
    fn skip_member(&mut self) {
        let mut braces = 0_u32;
        while self.peek().kind != Kind::End {
            match self.text() {
                "{" => braces = braces.saturating_add(1),
                "}" if braces == 0 => return,
                "}" => {
                    braces -= 1;
                    if braces == 0 {
                        self.bump();
                        return;
                    }
                }
                ";" if braces == 0 => return,
                _ => {}
            }
            self.bump();
        }
    }

    fn method(&mut self, name: Name<'s>, bodiless: bool) -> Function<'s> {
        let generics = self.type_parameters();
        if let Some(first) = generics.first() {
            let help = "write a function, or give the class the type parameter";
            self.diagnostics.error_with_help(
                first.span,
                "methods have no type parameters of their own yet",
                "here",
                help,
            );
        }
        let parameters = self.parameters();
        let result = self.annotation();
        let before = self.lambdas;
        let (body, end) = self.method_body(bodiless);
        let (file, lambdas) = (self.file, self.lambdas != before);
        let exported = false;
        Function { name, exported, generics, parameters, result, body, end, file, lambdas }
    }

    fn method_body(&mut self, bodiless: bool) -> (Vec<crate::ast::Statement<'s>>, Span) {
        if bodiless {
            let end = self.last_span();
            if self.text() == "{" {
                let span = self.peek().span;
                let message = "an abstract method has no body";
                self.diagnostics.error(span, message, "here");
                self.bump();
                self.statements();
                self.expect("}");
            } else if !self.accept(",") {
                self.end_of_statement();
            }
            return (Vec::new(), end);
        }
        if !self.expect("{") {
            self.skip_member();
            return (Vec::new(), self.last_span());
        }
        let body = self.statements();
        let end = self.peek().span;
        self.expect("}");
        (body, end)
    }

    fn constructor(&mut self, class: &mut Class<'s>, modifiers: Modifiers) {
        let name = Name { text: self.text(), span: self.peek().span };
        self.bump();
        let (mut parameters, mut properties) = (Vec::new(), Vec::new());
        self.expect("(");
        while !self.at_end_of(")") {
            let property = self.modifiers();
            let Some(parameter) = self.name("a parameter") else { break };
            self.refuse_optional();
            properties.extend(property.map(|modifiers| (parameters.len(), modifiers)));
            parameters.push((parameter, self.annotation()));
            if !self.accept(",") {
                break;
            }
        }
        self.expect(")");
        let before = self.lambdas;
        let (body, end) = self.method_body(false);
        let file = self.file;
        let function = Function {
            name,
            exported: false,
            generics: Vec::new(),
            parameters,
            result: None,
            body,
            end,
            file,
            lambdas: self.lambdas != before,
        };
        if class.is_interface || class.methods.iter().any(|m| m.role == Role::Constructor) {
            let message = "a class has one constructor, an interface none";
            self.diagnostics.error(name.span, message, "one too many");
        }
        class.methods.push(Method {
            role: Role::Constructor,
            modifiers,
            function,
            properties,
            implicit: false,
        });
    }

    /// The constructor of a class that has none.
    fn implicit_constructor(&self, class: &mut Class<'s>) {
        let name = Name { text: "constructor", span: class.name.span };
        let function = Function {
            name,
            exported: false,
            generics: Vec::new(),
            parameters: Vec::new(),
            result: None,
            body: Vec::new(),
            end: class.name.span,
            file: self.file,
            lambdas: false,
        };
        let (role, modifiers) = (Role::Constructor, PLAIN);
        let properties = Vec::new();
        class.methods.push(Method { role, modifiers, function, properties, implicit: true });
    }

    /// What follows `enum`.
    pub(super) fn enumeration(&mut self, program: &mut Program<'s>, exported: bool) {
        let Some(name) = self.name("the name of the enum") else { return };
        self.expect("{");
        let mut members = Vec::new();
        while !self.at_end_of("}") {
            let Some(member) = self.name("a member") else { break };
            let value = self.accept("=").then(|| self.assignment());
            members.push((member, value));
            if !self.accept(",") {
                break;
            }
        }
        self.expect("}");
        program.exports.extend(exported.then_some(name));
        program.enums.push(Enum { name, members, file: self.file });
    }
}
