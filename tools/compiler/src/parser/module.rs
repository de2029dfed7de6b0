//! What a file takes from others, and what it hands out: `import` and `export`.

use alloc::string::String;
use alloc::vec::Vec;

use super::Parser;
use crate::ast::{Import, Name};
use crate::diagnostic::{Diagnostics, Span};
use crate::lexer::{Kind, Token, tokens};

/// The paths of the files that a file imports, as written, with their places: all that has to be known to find them.
pub(crate) fn imported(source: &str, start: usize) -> Vec<(String, Span)> {
    let mut ignored = Diagnostics::default();
    let tokens = tokens(source, start, &mut ignored);
    let mut parser = Parser::new(source, tokens, 1, &mut ignored);
    let mut braces = 0_u32;
    let mut found = Vec::new();
    while parser.peek().kind != Kind::End {
        match parser.text() {
            "{" => braces = braces.saturating_add(1),
            "}" => braces = braces.saturating_sub(1),
            "import" if braces == 0 => {
                parser.bump();
                let import = parser.import();
                found.extend(import.map(|import| (import.path, import.span)));
                continue;
            }
            _ => {}
        }
        parser.bump();
    }
    found
}

/// The names under which a file has all of another one: `import * as NAME`.
pub(super) fn spaces<'s>(source: &'s str, tokens: &[Token]) -> Vec<&'s str> {
    let text = |token: &Token| {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        source.get(place(token.span.start)..place(token.span.end)).unwrap_or_default()
    };
    let words = tokens.windows(4).filter_map(|window| match window {
        [import, star, word, name] if name.kind == Kind::Name => {
            let is = text(import) == "import" && star.kind == Kind::Mark("*") && text(word) == "as";
            is.then(|| text(name))
        }
        _ => None,
    });
    words.collect()
}

impl<'s> Parser<'s, '_> {
    /// What follows `import`.
    pub(super) fn import(&mut self) -> Option<Import<'s>> {
        let start = self.last_span();
        let (mut names, mut space) = (Vec::new(), None);
        if self.text() == "type" && self.ahead(1).kind == Kind::Mark("{") {
            self.bump();
        }
        if self.accept("*") {
            self.expect("as");
            space = Some(self.name("the name for what the file has")?);
        } else if self.accept("{") {
            names = self.imported_names();
        } else {
            let span = self.peek().span;
            let (message, help) = if self.peek().kind == Kind::String {
                let help = "write `import { name } from \"./file\"`";
                ("a file is imported for what it has", help)
            } else {
                let help = "write `import { name } from \"./file\"`, or `import * as name`";
                ("no file has a default export", help)
            };
            self.diagnostics.error_with_help(span, message, "names in braces", help);
            self.skip_to_item();
            return None;
        }
        self.expect("from");
        let token = self.peek();
        if token.kind != Kind::String {
            let message = "expected the path of a file, as a text";
            let help = "write `from \"./file\"`";
            self.diagnostics.error_with_help(token.span, message, "found this", help);
            return None;
        }
        let text = self.slice(token.span);
        let path = String::from(text.get(1..text.len().saturating_sub(1)).unwrap_or_default());
        self.bump();
        self.end_of_statement();
        let span = Span { start: token.span.start.max(start.start), end: token.span.end };
        Some(Import { path, span, names, space })
    }

    /// `a, b as c }`: the names there and here.
    fn imported_names(&mut self) -> Vec<(Name<'s>, Name<'s>)> {
        let mut names = Vec::new();
        while !self.at_end_of("}") {
            if self.text() == "type" && self.ahead(1).kind == Kind::Name {
                self.bump();
            }
            let Some(there) = self.name("a name") else { break };
            let here = if self.accept("as") { self.name("a name") } else { Some(there) };
            names.extend(here.map(|here| (there, here)));
            if !self.accept(",") {
                break;
            }
        }
        self.expect("}");
        names
    }

    /// What follows `export` and declares nothing; whether there was such.
    pub(super) fn refuse_export(&mut self) -> bool {
        let refusal = match self.text() {
            "default" => ("no file has a default export", "export it by its name"),
            "{" => {
                ("`export` stands before what it exports", "write it there: `export function f`")
            }
            "*" => ("no file hands on what another has", "import it from where it is declared"),
            _ => return false,
        };
        let span = self.peek().span;
        self.diagnostics.error_with_help(span, refusal.0, "not here", refusal.1);
        self.skip_to_item();
        true
    }

    /// `space.name` as one name, if `space`, which was read last, stands for what another file has.
    pub(super) fn qualified(&mut self, space: &'s str) -> Option<&'s str> {
        if !self.spaces.contains(&space) || self.text() != "." {
            return None;
        }
        let (before, after) = (self.last_span(), self.ahead(1));
        if after.kind != Kind::Name {
            return None;
        }
        let whole = self.slice(before.to(after.span));
        self.bump();
        self.bump();
        Some(whole)
    }
}
