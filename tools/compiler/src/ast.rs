//! The tree of a program as it was written: what the parser makes and the lowering reads.
//!
//! Names are slices of the source. Every node has its span. Heights are bounded by the parser, so walks over the tree may recurse.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::diagnostic::Span;

/// A program of one file.
#[derive(Debug, Default)]
pub(crate) struct Program<'s> {
    pub(crate) functions: Vec<Function<'s>>,
    /// Variables of the module, in order: their initial values are computed in it.
    pub(crate) variables: Vec<Variable<'s>>,
}

/// A name at its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'s> {
    pub(crate) text: &'s str,
    pub(crate) span: Span,
}

/// A function.
#[derive(Debug)]
pub(crate) struct Function<'s> {
    pub(crate) name: Name<'s>,
    pub(crate) exported: bool,
    pub(crate) parameters: Vec<(Name<'s>, Option<TypeName<'s>>)>,
    pub(crate) result: Option<TypeName<'s>>,
    pub(crate) body: Vec<Statement<'s>>,
    /// The brace that ends it, where a missing `return` is noticed.
    pub(crate) end: Span,
}

/// A type as written.
#[derive(Debug)]
pub(crate) struct TypeName<'s> {
    pub(crate) name: &'s str,
    pub(crate) span: Span,
}

/// `let` or `const`.
#[derive(Debug)]
pub(crate) struct Variable<'s> {
    pub(crate) name: Name<'s>,
    pub(crate) constant: bool,
    pub(crate) declared: Option<TypeName<'s>>,
    pub(crate) value: Option<Expression<'s>>,
}

/// A statement.
#[derive(Debug)]
pub(crate) struct Statement<'s> {
    pub(crate) span: Span,
    pub(crate) kind: StatementKind<'s>,
}

#[derive(Debug)]
pub(crate) enum StatementKind<'s> {
    Variables(Vec<Variable<'s>>),
    Expression(Expression<'s>),
    If(Expression<'s>, Box<Statement<'s>>, Option<Box<Statement<'s>>>),
    While(Expression<'s>, Box<Statement<'s>>),
    DoWhile(Box<Statement<'s>>, Expression<'s>),
    For(Box<For<'s>>),
    Switch(Expression<'s>, Vec<Case<'s>>),
    Return(Option<Expression<'s>>),
    Break,
    Continue,
    Block(Vec<Statement<'s>>),
    Empty,
}

/// `for (start; condition; step) body`.
#[derive(Debug)]
pub(crate) struct For<'s> {
    pub(crate) start: Statement<'s>,
    pub(crate) condition: Option<Expression<'s>>,
    pub(crate) step: Option<Expression<'s>>,
    pub(crate) body: Statement<'s>,
}

/// A `case`, or `default` if it has no value.
#[derive(Debug)]
pub(crate) struct Case<'s> {
    pub(crate) value: Option<Expression<'s>>,
    pub(crate) body: Vec<Statement<'s>>,
}

/// An expression.
#[derive(Debug)]
pub(crate) struct Expression<'s> {
    pub(crate) span: Span,
    pub(crate) kind: ExpressionKind<'s>,
}

#[derive(Debug)]
pub(crate) enum ExpressionKind<'s> {
    Number(&'s str),
    Text(String),
    Template(Vec<String>, Vec<Expression<'s>>),
    Bool(bool),
    Name(&'s str),
    Unary(Unary, Box<Expression<'s>>),
    Binary(Binary, Box<Expression<'s>>, Box<Expression<'s>>),
    Conditional(Box<[Expression<'s>; 3]>),
    /// With the operator of `+=` and its like.
    Assign(Option<Binary>, Box<Expression<'s>>, Box<Expression<'s>>),
    /// `++` and `--`: the operator, and whether the value is the one before.
    Update(Binary, Box<Expression<'s>>, bool),
    Call(Box<Expression<'s>>, Vec<Expression<'s>>),
    Member(Box<Expression<'s>>, Name<'s>),
    /// An element: the array, the index.
    Index(Box<[Expression<'s>; 2]>),
    New(Name<'s>, Vec<Expression<'s>>),
    /// What could not be read; reported already.
    Mistake,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Minus,
    Plus,
    Not,
    Complement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    ShiftRightUnsigned,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    LogicalAnd,
    LogicalOr,
}

impl Expression<'_> {
    /// Whether evaluating it may assign to a variable of the function: then what was read before must be kept apart.
    pub(crate) fn assigns(&self) -> bool {
        match &self.kind {
            ExpressionKind::Assign(..) | ExpressionKind::Update(..) => true,
            ExpressionKind::Unary(_, value) | ExpressionKind::Member(value, _) => value.assigns(),
            ExpressionKind::Binary(_, left, right) => left.assigns() || right.assigns(),
            ExpressionKind::Conditional(parts) => parts.iter().any(Self::assigns),
            ExpressionKind::Index(parts) => parts.iter().any(Self::assigns),
            ExpressionKind::Template(_, values) | ExpressionKind::New(_, values) => {
                values.iter().any(Self::assigns)
            }
            ExpressionKind::Call(callee, values) => {
                callee.assigns() || values.iter().any(Self::assigns)
            }
            _ => false,
        }
    }

    /// Whether it is made of number literals alone, and so takes the type that is expected.
    pub(crate) fn is_literal(&self) -> bool {
        match &self.kind {
            ExpressionKind::Number(_) => true,
            ExpressionKind::Unary(Unary::Minus | Unary::Plus | Unary::Complement, value) => {
                value.is_literal()
            }
            ExpressionKind::Binary(operator, left, right) => {
                !operator.is_comparison()
                    && !operator.is_logical()
                    && left.is_literal()
                    && right.is_literal()
            }
            _ => false,
        }
    }
}

impl Binary {
    pub(crate) const fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
        )
    }

    pub(crate) const fn is_logical(self) -> bool {
        matches!(self, Self::LogicalAnd | Self::LogicalOr)
    }
}
