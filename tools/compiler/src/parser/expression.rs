//! Expressions, by precedence climbing. Texts with their escapes are in `text`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Parser;
use crate::ast::{
    Binary, Expression, ExpressionKind, Lambda, LambdaBody, Name, TypeKind, TypeName, Unary,
};
use crate::diagnostic::Span;
use crate::lexer::Kind;

/// Precedence of a binary operator, and whether its right side may be one of the same (`**`).
fn binary(text: &str) -> Option<(Binary, u8)> {
    Some(match text {
        "||" => (Binary::LogicalOr, 1),
        "&&" => (Binary::LogicalAnd, 2),
        "|" => (Binary::Or, 3),
        "^" => (Binary::Xor, 4),
        "&" => (Binary::And, 5),
        "==" | "===" => (Binary::Equal, 6),
        "!=" | "!==" => (Binary::NotEqual, 6),
        "<" => (Binary::Less, 7),
        "<=" => (Binary::LessEqual, 7),
        ">" => (Binary::Greater, 7),
        ">=" => (Binary::GreaterEqual, 7),
        "<<" => (Binary::ShiftLeft, 8),
        ">>" => (Binary::ShiftRight, 8),
        ">>>" => (Binary::ShiftRightUnsigned, 8),
        "+" => (Binary::Add, 9),
        "-" => (Binary::Subtract, 9),
        "*" => (Binary::Multiply, 10),
        "/" => (Binary::Divide, 10),
        "%" => (Binary::Remainder, 10),
        "**" => (Binary::Power, 11),
        _ => return None,
    })
}

/// The operator of a compound assignment.
fn compound(text: &str) -> Option<Binary> {
    let operator = text.strip_suffix('=')?;
    let (operator, precedence) = binary(operator)?;
    (!operator.is_comparison() && precedence > 2).then_some(operator)
}

impl<'s> Parser<'s, '_> {
    pub(super) fn expression(&mut self) -> Expression<'s> {
        let value = self.assignment();
        if self.text() == "," {
            let span = self.peek().span;
            self.diagnostics.error_with_help(
                span,
                "there is no comma operator",
                "here",
                "write two statements",
            );
            self.bump();
            self.assignment();
        }
        value
    }

    pub(super) fn assignment(&mut self) -> Expression<'s> {
        let depth = self.depth;
        let value = if self.descend() { self.assignment_below() } else { self.mistake() };
        self.depth = depth;
        value
    }

    /// Passes over one token and stands for an expression that could not be read.
    fn mistake(&mut self) -> Expression<'s> {
        let span = self.peek().span;
        if !matches!(self.text(), ")" | "}" | "]" | ";") {
            self.bump();
        }
        Expression { span, kind: ExpressionKind::Mistake }
    }

    fn assignment_below(&mut self) -> Expression<'s> {
        let target = self.conditional();
        let text = self.text();
        let operator = compound(text);
        if text != "=" && operator.is_none() {
            return target;
        }
        self.bump();
        let value = self.assignment();
        let span = target.span.to(value.span);
        let kind = ExpressionKind::Assign(operator, Box::new(target), Box::new(value));
        Expression { span, kind }
    }

    fn conditional(&mut self) -> Expression<'s> {
        let condition = self.operators(1);
        if !self.accept("?") {
            return condition;
        }
        let then = self.assignment();
        self.expect(":");
        let other = self.assignment();
        let span = condition.span.to(other.span);
        Expression { span, kind: ExpressionKind::Conditional(Box::new([condition, then, other])) }
    }

    fn operators(&mut self, lowest: u8) -> Expression<'s> {
        let mut left = self.unary();
        loop {
            let text = self.text();
            if text == "in" {
                let span = self.peek().span;
                let help = "the compiler knows every type: an object has what its class says";
                let message = "this operator is not part of the language";
                self.diagnostics.error_with_help(span, message, "here", help);
                self.bump();
                continue;
            }
            if text == "instanceof" {
                // As tight as a comparison.
                if lowest > 7 {
                    return left;
                }
                if !self.descend() {
                    return self.mistake();
                }
                self.bump();
                let class = self.type_name();
                let span = left.span.to(class.span);
                left = Expression { span, kind: ExpressionKind::InstanceOf(Box::new(left), class) };
                continue;
            }
            if text == "??" {
                if lowest > 1 {
                    return left;
                }
                if !self.descend() {
                    return self.mistake();
                }
                self.bump();
                let right = self.operators(2);
                let span = left.span.to(right.span);
                let kind = ExpressionKind::Coalesce(Box::new([left, right]));
                left = Expression { span, kind };
                continue;
            }
            let Some((operator, precedence)) = binary(text) else { return left };
            if precedence < lowest {
                return left;
            }
            // Each operator of a chain makes the tree one higher.
            if !self.descend() {
                return self.mistake();
            }
            self.bump();
            let power = operator == Binary::Power;
            let right = self.operators(if power { precedence } else { precedence + 1 });
            let span = left.span.to(right.span);
            let kind = ExpressionKind::Binary(operator, Box::new(left), Box::new(right));
            left = Expression { span, kind };
        }
    }

    fn unary(&mut self) -> Expression<'s> {
        let start = self.peek().span;
        let text = self.text();
        let operator = match text {
            "-" => Unary::Minus,
            "+" => Unary::Plus,
            "!" => Unary::Not,
            "~" => Unary::Complement,
            "++" | "--" => return self.step_before(start, text),
            "typeof" | "void" | "delete" | "await" | "yield" => {
                let help = "the compiler knows every type: write what is meant for each";
                self.diagnostics.error_with_help(
                    start,
                    "this operator is not part of the language",
                    "here",
                    help,
                );
                self.bump();
                return self.mistake();
            }
            _ => return self.postfix(),
        };
        self.bump();
        let depth = self.depth;
        let value = if self.descend() { self.unary() } else { self.mistake() };
        self.depth = depth;
        let span = start.to(value.span);
        Expression { span, kind: ExpressionKind::Unary(operator, Box::new(value)) }
    }

    fn step_before(&mut self, start: Span, text: &str) -> Expression<'s> {
        self.bump();
        let depth = self.depth;
        let target = if self.descend() { self.unary() } else { self.mistake() };
        self.depth = depth;
        let span = start.to(target.span);
        let operator = if text == "++" { Binary::Add } else { Binary::Subtract };
        Expression { span, kind: ExpressionKind::Update(operator, Box::new(target), false) }
    }

    fn postfix(&mut self) -> Expression<'s> {
        let mut value = self.primary();
        let mut chain = false;
        loop {
            let next = self.peek();
            let text = self.text();
            let ends = match text {
                "(" | "." | "[" | "?." | "as" => false,
                "++" | "--" | "!" => next.new_line,
                "<" => !self.is_instance(),
                _ => true,
            };
            if ends {
                break;
            }
            if !self.descend() {
                return self.mistake();
            }
            self.bump();
            let start = value.span;
            chain |= text == "?.";
            let kind = self.postfix_kind(text, value, next.span);
            value = Expression { span: start.to(self.last_span()), kind };
        }
        if chain {
            let span = value.span;
            value = Expression { span, kind: ExpressionKind::Chain(Box::new(value)) };
        }
        value
    }

    /// What follows `value` after this punctuator, which has been passed.
    fn postfix_kind(
        &mut self,
        text: &str,
        value: Expression<'s>,
        place: Span,
    ) -> ExpressionKind<'s> {
        match text {
            "(" => ExpressionKind::Call(Box::new(value), self.arguments()),
            "?." => {
                let span = value.span;
                let kind = ExpressionKind::Optional(Box::new(value));
                let value = Box::new(Expression { span, kind });
                if self.accept("[") {
                    let index = self.expression();
                    self.expect("]");
                    return ExpressionKind::Index(Box::new([*value, index]));
                }
                match self.member_name_here() {
                    Some(name) => ExpressionKind::Member(value, name),
                    None => ExpressionKind::Mistake,
                }
            }
            "." => match self.member_name_here() {
                Some(name) => ExpressionKind::Member(Box::new(value), name),
                None => ExpressionKind::Mistake,
            },
            "[" => {
                let index = self.expression();
                self.expect("]");
                ExpressionKind::Index(Box::new([value, index]))
            }
            "<" => {
                // The angle has been passed; the list reads its own.
                self.at -= 1;
                ExpressionKind::Instance(Box::new(value), self.type_arguments())
            }
            "++" => ExpressionKind::Update(Binary::Add, Box::new(value), true),
            "--" => ExpressionKind::Update(Binary::Subtract, Box::new(value), true),
            "!" => ExpressionKind::NonNull(Box::new(value)),
            _ => {
                let help = "convert numbers by a call: `i32(x)`; ask for a class by `instanceof`";
                self.diagnostics.error_with_help(place, "there is no `as`", "here", help);
                self.type_name();
                ExpressionKind::Mistake
            }
        }
    }

    /// A member's name, which may be a word of the language.
    fn member_name_here(&mut self) -> Option<Name<'s>> {
        let token = self.peek();
        let text = self.text();
        if token.kind == Kind::Name {
            self.bump();
            return Some(Name { text, span: token.span });
        }
        self.diagnostics.error(token.span, "expected a member's name", "not a name");
        None
    }

    fn arguments(&mut self) -> Vec<Expression<'s>> {
        let mut list = Vec::new();
        while !self.at_end_of(")") {
            let before = self.at;
            list.push(self.assignment());
            if !self.accept(",") || self.at == before {
                break;
            }
        }
        self.expect(")");
        list
    }

    fn primary(&mut self) -> Expression<'s> {
        let token = self.peek();
        let span = token.span;
        let kind = match token.kind {
            Kind::Number => ExpressionKind::Number(self.slice(span)),
            Kind::String => {
                let text = self.slice(span);
                let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
                ExpressionKind::Text(self.unescape(inner, span))
            }
            Kind::Template { last } => return self.template(last),
            Kind::Name => return self.word(),
            Kind::Mark("(") if self.is_lambda() => return self.lambda(),
            Kind::Mark("(") => {
                self.bump();
                let value = self.expression();
                self.expect(")");
                return value;
            }
            Kind::Mark("[") => return self.list(),
            Kind::Mark("{") => {
                let help = "write a class, and `new` with what its constructor takes";
                let message = "there are no objects without a class";
                self.diagnostics.error_with_help(span, message, "here", help);
                return self.mistake();
            }
            _ => {
                self.diagnostics.error(span, "expected an expression", "found this");
                return self.mistake();
            }
        };
        self.bump();
        Expression { span, kind }
    }

    fn list(&mut self) -> Expression<'s> {
        let start = self.peek().span;
        self.bump();
        let mut values = Vec::new();
        while !self.at_end_of("]") {
            let before = self.at;
            if self.text() == "..." {
                let span = self.peek().span;
                let help = "push the elements in a loop";
                self.diagnostics.error_with_help(span, "there is no spreading", "here", help);
                self.bump();
            }
            values.push(self.assignment());
            if !self.accept(",") || self.at == before {
                break;
            }
        }
        self.expect("]");
        Expression { span: start.to(self.last_span()), kind: ExpressionKind::List(values) }
    }

    /// Whether a function without a name begins at the parenthesis that is next.
    fn is_lambda(&self) -> bool {
        match (self.ahead(1).kind, self.ahead(2).kind) {
            (Kind::Mark(")"), _) | (Kind::Name, Kind::Mark(":" | ",")) => true,
            (Kind::Name, Kind::Mark(")")) => match self.ahead(3).kind {
                Kind::Mark("=>") => true,
                Kind::Mark(":") => self.is_result(),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a type and `=>` follow `(x):`, which begins the other half of a `?:` as well.
    fn is_result(&self) -> bool {
        (4..20)
            .map(|place| self.ahead(place).kind)
            .find(|kind| {
                !matches!(kind, Kind::Name | Kind::Mark("<" | ">" | "[" | "]" | "|" | ","))
            })
            .is_some_and(|kind| kind == Kind::Mark("=>"))
    }

    fn lambda(&mut self) -> Expression<'s> {
        let start = self.peek().span;
        self.lambdas = self.lambdas.saturating_add(1);
        let (parameters, result) = if self.text() == "(" {
            let parameters = self.parameters();
            (parameters, self.annotation())
        } else {
            let name = self.name("a parameter");
            (name.map(|name| (name, None)).into_iter().collect(), None)
        };
        self.expect("=>");
        let body = if self.accept("{") {
            let body = self.statements();
            self.expect("}");
            LambdaBody::Block(body)
        } else {
            LambdaBody::Expression(self.assignment())
        };
        let end = self.last_span();
        let lambda = Lambda { parameters, result, body, end };
        Expression { span: start.to(end), kind: ExpressionKind::Lambda(Box::new(lambda)) }
    }

    fn word(&mut self) -> Expression<'s> {
        let span = self.peek().span;
        let kind = match self.text() {
            "true" => ExpressionKind::Bool(true),
            "false" => ExpressionKind::Bool(false),
            "null" => ExpressionKind::Null,
            "this" => ExpressionKind::This,
            "super" => ExpressionKind::Super,
            "undefined" => {
                let help = "write `null`";
                self.diagnostics.error_with_help(span, "there is no `undefined`", "here", help);
                ExpressionKind::Mistake
            }
            "function" => {
                let message =
                    "functions with this word have names and stand at the top of the file";
                self.diagnostics.error_with_help(span, message, "here", "write `(a: i32) => a`");
                ExpressionKind::Mistake
            }
            "new" => return self.creation(),
            _ if self.ahead(1).kind == Kind::Mark("=>") => return self.lambda(),
            text => {
                self.name("an expression");
                let text = self.qualified(text).unwrap_or(text);
                return Expression {
                    span: span.to(self.last_span()),
                    kind: ExpressionKind::Name(text),
                };
            }
        };
        self.bump();
        Expression { span, kind }
    }

    /// `new Name(arguments)`.
    fn creation(&mut self) -> Expression<'s> {
        let start = self.peek().span;
        self.bump();
        let token = self.peek();
        let Some(name) = self.name("the class of what is made") else { return self.mistake() };
        let name = self.qualified(name.text).unwrap_or(name.text);
        let span = token.span.to(self.last_span());
        let given = if self.text() == "<" { self.type_arguments() } else { Vec::new() };
        let class = TypeName { span, kind: TypeKind::Named(name, given) };
        self.expect("(");
        let arguments = self.arguments();
        let span = start.to(self.last_span());
        Expression { span, kind: ExpressionKind::New(class, arguments) }
    }
}
