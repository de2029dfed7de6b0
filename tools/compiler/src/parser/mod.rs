//! Tokens to tree: recursive descent, which recovers at statements and reports as many mistakes as it meets.
//!
//! Heights are bounded: an expression, a statement or a chain of operators that is deeper than [`DEPTH_MAX`] is refused, so that
//! neither this nor any later walk over the tree can exhaust a stack. What belongs to TypeScript and not to this language is
//! recognized and refused with what to write instead.

mod class;
mod expression;
mod module;
mod session;
mod statement;
mod text;
mod type_name;

use alloc::format;
use alloc::vec::Vec;

use crate::ast::{Function, Name, Program, TypeName};
use crate::diagnostic::{Diagnostics, Span};
use crate::lexer::{Kind, Token, tokens};

/// How deep statements and expressions may stand in each other.
const DEPTH_MAX: u32 = 120;

/// Words that cannot name anything.
const RESERVED: [&str; 30] = [
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "import",
    "in",
    "instanceof",
    "let",
    "new",
    "null",
    "return",
    "super",
    "switch",
    "this",
    "throw",
    "true",
];
const RESERVED_MORE: [&str; 7] = ["try", "typeof", "var", "void", "while", "with", "yield"];

pub(crate) use module::imported;
pub(crate) use session::is_open;

/// Reads the file that begins at `start` and ends with the text. Files are numbered; 0 is the library.
pub(crate) fn parse<'s>(
    source: &'s str,
    start: usize,
    file: u16,
    diagnostics: &mut Diagnostics,
) -> Program<'s> {
    let tokens = tokens(source, start, diagnostics);
    let spaces = module::spaces(source, &tokens);
    let mut parser = Parser { spaces, ..Parser::new(source, tokens, file, diagnostics) };
    parser.program()
}

/// Reads an input of a session, which begins at `start` and ends with the text.
pub(crate) fn parse_input<'s>(
    source: &'s str,
    start: usize,
    file: u16,
    diagnostics: &mut Diagnostics,
) -> Program<'s> {
    let tokens = tokens(source, start, diagnostics);
    Parser::new(source, tokens, file, diagnostics).input()
}

pub(crate) struct Parser<'s, 'd> {
    source: &'s str,
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    /// The number of the file.
    file: u16,
    /// Names that stand for what other files have.
    spaces: Vec<&'s str>,
    /// How many functions without names have been read.
    lambdas: u32,
    diagnostics: &'d mut Diagnostics,
}

impl<'s, 'd> Parser<'s, 'd> {
    fn new(
        source: &'s str,
        tokens: Vec<Token>,
        file: u16,
        diagnostics: &'d mut Diagnostics,
    ) -> Self {
        let (at, depth, lambdas, spaces) = (0, 0, 0, Vec::new());
        Self { source, tokens, at, depth, file, spaces, lambdas, diagnostics }
    }
}

impl<'s> Parser<'s, '_> {
    fn program(&mut self) -> Program<'s> {
        let mut program = Program::default();
        while self.peek().kind != Kind::End {
            let before = self.at;
            let exported = self.accept("export");
            if exported && self.refuse_export() {
                continue;
            }
            match self.text() {
                "import" => {
                    self.bump();
                    program.imports.extend(self.import());
                }
                "function" => {
                    self.bump();
                    let function = self.function(exported);
                    program.exports.extend(function.iter().filter(|_| exported).map(|f| f.name));
                    program.functions.extend(function);
                }
                "let" | "const" => {
                    let constant = self.text() == "const";
                    self.bump();
                    if constant && self.accept("enum") {
                        self.enumeration(&mut program, exported);
                    } else {
                        let list = self.variables(constant);
                        program.exports.extend(list.iter().filter(|_| exported).map(|v| v.name));
                        program.variables.extend(list);
                        self.end_of_statement();
                    }
                }
                "enum" => {
                    self.bump();
                    self.enumeration(&mut program, exported);
                }
                "class" | "abstract" | "interface" => {
                    let class = self.class();
                    program.exports.extend(class.iter().filter(|_| exported).map(|c| c.name));
                    program.classes.extend(class);
                }
                ";" => self.bump(),
                _ => self.refuse_item(),
            }
            if self.at == before {
                self.bump();
            }
        }
        program
    }

    fn refuse_item(&mut self) {
        let span = self.peek().span;
        let (message, help) = match self.text() {
            "type" => ("there are no type aliases: types are nominal", "write the type itself"),
            "namespace" | "module" => {
                ("there are no namespaces", "write the functions at the top of the file")
            }
            "async" => ("there is no `async`: threads wait", "write an ordinary function"),
            "var" => ("there is no `var`", "write `let` or `const`"),
            _ => (
                "expected a function, a class or a variable",
                "statements stand in functions; a program begins at `export function main(): void`",
            ),
        };
        self.diagnostics.error_with_help(span, message, "not here", help);
        self.skip_to_item();
    }

    /// Up to what looks like the next function or variable of the file.
    fn skip_to_item(&mut self) {
        let mut braces = 0_u32;
        loop {
            self.bump();
            match self.text() {
                "" if self.peek().kind == Kind::End => return,
                "{" => braces = braces.saturating_add(1),
                "}" => braces = braces.saturating_sub(1),
                "function" | "export" | "const" | "let" | "class" | "import"
                    if braces == 0 && self.peek().new_line =>
                {
                    return;
                }
                _ => {}
            }
        }
    }

    fn function(&mut self, exported: bool) -> Option<Function<'s>> {
        if self.text() == "*" {
            let span = self.peek().span;
            self.diagnostics.error(span, "there are no generators", "write an ordinary function");
            self.bump();
        }
        let name = self.name("the function's name")?;
        let generics = self.type_parameters();
        let parameters = self.parameters();
        let result = self.annotation();
        if !self.expect("{") {
            self.skip_to_item();
            return None;
        }
        let before = self.lambdas;
        let body = self.statements();
        let end = self.peek().span;
        self.expect("}");
        let (file, lambdas) = (self.file, self.lambdas != before);
        Some(Function { name, exported, generics, parameters, result, body, end, file, lambdas })
    }

    /// `(a: T, b: U)`.
    fn parameters(&mut self) -> Vec<(Name<'s>, Option<TypeName<'s>>)> {
        self.expect("(");
        let mut parameters = Vec::new();
        while !self.at_end_of(")") {
            let Some(parameter) = self.name("a parameter") else { break };
            self.refuse_optional();
            parameters.push((parameter, self.annotation()));
            if !self.accept(",") {
                break;
            }
        }
        self.expect(")");
        parameters
    }

    fn refuse_optional(&mut self) {
        let span = self.peek().span;
        if self.accept("?") {
            let help = "write `T | null`, and give `null` where there is none";
            self.diagnostics.error_with_help(span, "nothing is optional", "here", help);
        }
    }

    fn name(&mut self, what: &str) -> Option<Name<'s>> {
        let token = self.peek();
        let text = self.text();
        if token.kind != Kind::Name {
            let message = format!("expected {what}");
            self.diagnostics.error(token.span, message, "not a name");
            return None;
        }
        self.bump();
        if RESERVED.contains(&text) || RESERVED_MORE.contains(&text) {
            let message = format!("`{text}` is a word of the language");
            self.diagnostics.error(token.span, message, "cannot be a name");
        }
        Some(Name { text, span: token.span })
    }

    fn peek(&self) -> Token {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> Token {
        let end = Token { kind: Kind::End, span: Span::default(), new_line: true };
        self.tokens
            .get(self.at.saturating_add(count))
            .or(self.tokens.last())
            .copied()
            .unwrap_or(end)
    }

    /// Where what was read last stands.
    fn last_span(&self) -> Span {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or_else(|| self.peek().span, |token| token.span)
    }

    fn slice(&self, span: Span) -> &'s str {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        self.source.get(place(span.start)..place(span.end)).unwrap_or_default()
    }

    /// The next token's text, if it is a word or a punctuator: what grammar decides by. Empty for all else.
    fn text(&self) -> &'s str {
        let token = self.peek();
        match token.kind {
            Kind::Mark(mark) => mark,
            Kind::Name => self.slice(token.span),
            _ => "",
        }
    }

    fn bump(&mut self) {
        if self.at.saturating_add(1) < self.tokens.len() {
            self.at += 1;
        }
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.text() == text;
        if found {
            self.bump();
        }
        found
    }

    fn at_end_of(&self, close: &str) -> bool {
        self.text() == close || self.peek().kind == Kind::End
    }

    fn expect(&mut self, text: &str) -> bool {
        let found = self.accept(text);
        if !found {
            let span = self.peek().span;
            self.diagnostics.error(span, format!("expected `{text}`"), "found this");
        }
        found
    }

    /// A semicolon, or where one may be left out.
    fn end_of_statement(&mut self) {
        let next = self.peek();
        if self.accept(";") || next.new_line || next.kind == Kind::End || self.text() == "}" {
            return;
        }
        self.diagnostics.error(next.span, "expected `;` or the end of the line", "found this");
        while !self.peek().new_line
            && !matches!(self.text(), ";" | "}")
            && self.peek().kind != Kind::End
        {
            self.bump();
        }
    }

    /// Goes one level down; false if that is too deep.
    fn descend(&mut self) -> bool {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEPTH_MAX {
            let span = self.peek().span;
            let help = "name a part of it with `const`, or make it a function";
            self.diagnostics.error_with_help(span, "this is nested too deeply", "here", help);
            return false;
        }
        true
    }
}
