//! The tree of a program as it was written: what the parser makes and the lowering reads.
//!
//! Names are slices of the source. Every node has its span. Heights are bounded by the parser, so walks over the tree may recurse.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::diagnostic::Span;

/// What stands in a file; or in all files of a program, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Program<'s> {
    pub(crate) functions: Vec<Function<'s>>,
    /// Variables of the module, in order: their initial values are computed in it.
    pub(crate) variables: Vec<Variable<'s>>,
    pub(crate) classes: Vec<Class<'s>>,
    pub(crate) enums: Vec<Enum<'s>>,
    pub(crate) imports: Vec<Import<'s>>,
    /// Names that other files may import.
    pub(crate) exports: Vec<Name<'s>>,
    /// Of an input of a session, what it does; and whether functions without names stand in that.
    pub(crate) statements: Vec<Statement<'s>>,
    pub(crate) lambdas: bool,
}

/// What a file takes from another.
#[derive(Debug)]
pub(crate) struct Import<'s> {
    /// The path as written, and where it stands.
    pub(crate) path: String,
    pub(crate) span: Span,
    /// Each name there, and here.
    pub(crate) names: Vec<(Name<'s>, Name<'s>)>,
    /// The name for all that it has.
    pub(crate) space: Option<Name<'s>>,
}

/// What a file takes and hands out, and what an input of a session does.
#[derive(Debug, Default)]
pub(crate) struct FileParts<'s> {
    pub(crate) imports: Vec<Import<'s>>,
    pub(crate) exports: Vec<Name<'s>>,
    pub(crate) statements: Vec<Statement<'s>>,
    pub(crate) lambdas: bool,
}

/// All files as one, and for each file what is its own.
pub(crate) fn join(programs: Vec<Program<'_>>) -> (Program<'_>, Vec<FileParts<'_>>) {
    let mut all = Program::default();
    let mut parts = Vec::new();
    for mut program in programs {
        all.functions.append(&mut program.functions);
        all.variables.append(&mut program.variables);
        all.classes.append(&mut program.classes);
        all.enums.append(&mut program.enums);
        let (imports, exports) = (program.imports, program.exports);
        let (statements, lambdas) = (program.statements, program.lambdas);
        parts.push(FileParts { imports, exports, statements, lambdas });
    }
    (all, parts)
}

/// A class or an interface.
#[derive(Debug)]
pub(crate) struct Class<'s> {
    pub(crate) name: Name<'s>,
    /// Names of its type parameters.
    pub(crate) generics: Vec<Name<'s>>,
    pub(crate) superclass: Option<TypeName<'s>>,
    pub(crate) interfaces: Vec<TypeName<'s>>,
    pub(crate) is_abstract: bool,
    pub(crate) is_interface: bool,
    pub(crate) fields: Vec<FieldDeclaration<'s>>,
    pub(crate) methods: Vec<Method<'s>>,
    /// The number of its file; 0 is the library.
    pub(crate) file: u16,
}

/// Who may name a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Public,
    Protected,
    Private,
}

/// What stands before a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modifiers {
    pub(crate) access: Access,
    pub(crate) is_static: bool,
    pub(crate) is_abstract: bool,
    pub(crate) readonly: bool,
}

#[derive(Debug)]
pub(crate) struct FieldDeclaration<'s> {
    pub(crate) variable: Variable<'s>,
    pub(crate) modifiers: Modifiers,
}

/// What a function of a class is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Method,
    Getter,
    Setter,
    Constructor,
}

#[derive(Debug)]
pub(crate) struct Method<'s> {
    pub(crate) role: Role,
    pub(crate) modifiers: Modifiers,
    pub(crate) function: Function<'s>,
    /// For parameters of a constructor that declare fields: which.
    pub(crate) properties: Vec<(usize, Modifiers)>,
    /// A constructor that nobody wrote: it hands on what it is given.
    pub(crate) implicit: bool,
}

/// An enum of numbers.
#[derive(Debug)]
pub(crate) struct Enum<'s> {
    pub(crate) name: Name<'s>,
    pub(crate) members: Vec<(Name<'s>, Option<Expression<'s>>)>,
    /// The number of its file.
    pub(crate) file: u16,
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
    /// Names of its type parameters.
    pub(crate) generics: Vec<Name<'s>>,
    pub(crate) parameters: Vec<(Name<'s>, Option<TypeName<'s>>)>,
    pub(crate) result: Option<TypeName<'s>>,
    pub(crate) body: Vec<Statement<'s>>,
    /// The brace that ends it, where a missing `return` is noticed.
    pub(crate) end: Span,
    /// The number of its file; 0 is the library.
    pub(crate) file: u16,
    /// Whether functions without names stand in it.
    pub(crate) lambdas: bool,
}

/// A type as written.
#[derive(Debug)]
pub(crate) struct TypeName<'s> {
    pub(crate) span: Span,
    pub(crate) kind: TypeKind<'s>,
}

#[derive(Debug)]
pub(crate) enum TypeKind<'s> {
    /// With what is given for its type parameters.
    Named(&'s str, Vec<TypeName<'s>>),
    /// `T[]`.
    List(Box<TypeName<'s>>),
    /// `T | null`.
    Nullable(Box<TypeName<'s>>),
    /// `(a: T) => R`.
    Function(Vec<TypeName<'s>>, Box<TypeName<'s>>),
    /// What could not be read; reported already.
    Mistake,
}

/// A function without a name.
#[derive(Debug)]
pub(crate) struct Lambda<'s> {
    pub(crate) parameters: Vec<(Name<'s>, Option<TypeName<'s>>)>,
    pub(crate) result: Option<TypeName<'s>>,
    pub(crate) body: LambdaBody<'s>,
    pub(crate) end: Span,
}

#[derive(Debug)]
pub(crate) enum LambdaBody<'s> {
    Expression(Expression<'s>),
    Block(Vec<Statement<'s>>),
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
    /// `for (const name of values) body`.
    ForOf(Box<ForOf<'s>>),
    Throw(Expression<'s>),
    Try(Box<Try<'s>>),
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

#[derive(Debug)]
pub(crate) struct ForOf<'s> {
    pub(crate) name: Name<'s>,
    pub(crate) constant: bool,
    pub(crate) values: Expression<'s>,
    pub(crate) body: Statement<'s>,
}

#[derive(Debug)]
pub(crate) struct Try<'s> {
    pub(crate) body: Vec<Statement<'s>>,
    /// With the name of what is caught, if it has one.
    pub(crate) handler: Option<(Option<Name<'s>>, Vec<Statement<'s>>)>,
    pub(crate) last: Option<Vec<Statement<'s>>>,
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
    New(TypeName<'s>, Vec<Expression<'s>>),
    Null,
    This,
    Super,
    /// `[a, b]`.
    List(Vec<Expression<'s>>),
    /// `value!`.
    NonNull(Box<Expression<'s>>),
    /// What stands before `?.`: the chain ends here if it is null.
    Optional(Box<Expression<'s>>),
    /// A whole chain with `?.` in it.
    Chain(Box<Expression<'s>>),
    /// `left ?? right`.
    Coalesce(Box<[Expression<'s>; 2]>),
    InstanceOf(Box<Expression<'s>>, TypeName<'s>),
    /// What is given for the type parameters of a function.
    Instance(Box<Expression<'s>>, Vec<TypeName<'s>>),
    Lambda(Box<Lambda<'s>>),
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

impl<'s> Expression<'s> {
    /// Visits the expressions right below it; not what stands in a function without a name.
    pub(crate) fn children(&self, mut visit: impl FnMut(&Self)) {
        use ExpressionKind as K;
        match &self.kind {
            K::Unary(_, value)
            | K::Member(value, _)
            | K::Update(_, value, _)
            | K::NonNull(value)
            | K::Optional(value)
            | K::Chain(value)
            | K::InstanceOf(value, _)
            | K::Instance(value, _) => visit(value),
            K::Binary(_, left, right) | K::Assign(_, left, right) => {
                visit(left);
                visit(right);
            }
            K::Conditional(parts) => parts.iter().for_each(visit),
            K::Index(parts) | K::Coalesce(parts) => parts.iter().for_each(visit),
            K::Template(_, values) | K::New(_, values) | K::List(values) => {
                values.iter().for_each(visit);
            }
            K::Call(callee, values) => {
                visit(callee);
                values.iter().for_each(visit);
            }
            K::Number(_) | K::Text(_) | K::Bool(_) | K::Name(_) | K::Null | K::This | K::Super => {}
            K::Lambda(_) | K::Mistake => {}
        }
    }

    /// Whether evaluating it may assign to a variable of the function: then what was read before must be kept apart.
    pub(crate) fn assigns(&self) -> bool {
        if matches!(self.kind, ExpressionKind::Assign(..) | ExpressionKind::Update(..)) {
            return true;
        }
        let mut found = false;
        self.children(|child| found = found || child.assigns());
        found
    }

    /// Whether evaluating it twice is not the same as once.
    pub(crate) fn acts(&self) -> bool {
        use ExpressionKind as K;
        if matches!(self.kind, K::Assign(..) | K::Update(..) | K::Call(..) | K::New(..)) {
            return true;
        }
        let mut found = false;
        self.children(|child| found = found || child.acts());
        found
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
