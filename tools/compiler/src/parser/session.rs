//! What is typed into a session: declarations and statements in any order, the last of which may be an expression to look at.

use super::{Parser, Program, tokens};
use crate::diagnostic::Diagnostics;
use crate::lexer::Kind;

/// Whether brackets are open at the end of a text, so that more lines belong to it.
pub(crate) fn is_open(text: &str) -> bool {
    let mut ignored = Diagnostics::default();
    let mut open = 0_i64;
    for token in tokens(text, 0, &mut ignored) {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let piece = text.get(place(token.span.start)..place(token.span.end)).unwrap_or_default();
        open += match token.kind {
            Kind::Mark("(" | "[" | "{") => 1,
            Kind::Mark(")" | "]" | "}") => -1,
            // A piece of a template begins with what ends an expression, or ends with what begins one.
            Kind::Template { .. } => {
                i64::from(piece.ends_with("${")) - i64::from(piece.starts_with('}'))
            }
            _ => 0,
        };
    }
    open > 0
}

impl<'s> Parser<'s, '_> {
    /// Everything up to the end of the input.
    pub(super) fn input(&mut self) -> Program<'s> {
        let mut program = Program::default();
        let before = self.lambdas;
        while self.peek().kind != Kind::End {
            let at = self.at;
            self.accept("export");
            match self.text() {
                "import" => {
                    let help = "type what it has, or run a program of several files";
                    let message = "a session has no files to import yet";
                    self.diagnostics.error_with_help(self.peek().span, message, "here", help);
                    self.skip_to_item();
                }
                "function" => {
                    self.bump();
                    let function = self.function(false);
                    program.functions.extend(function);
                }
                "enum" => {
                    self.bump();
                    self.enumeration(&mut program, false);
                }
                "class" | "abstract" | "interface" => {
                    let class = self.class();
                    program.classes.extend(class);
                }
                ";" => self.bump(),
                _ => program.statements.push(self.statement()),
            }
            if self.at == at {
                self.bump();
            }
        }
        program.lambdas = self.lambdas != before;
        program
    }
}
