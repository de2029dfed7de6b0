//! Tokens to items: module header, imports, classes, statics, signatures, functions. Function bodies stay tokens, a list a line.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::AsmError;
use super::items::{
    ClassItem, ClassItemKind, FunctionImportItem, FunctionItem, Items, MethodItem, Name,
    SignatureText, TypeText,
};
use super::lexer::{At, Kind, Token};

/// A cursor over tokens, of the file or of one line.
#[derive(Debug)]
pub(crate) struct Cursor {
    tokens: Vec<Token>,
    next: usize,
    end: Token,
}

impl Cursor {
    /// Over `tokens`; past them stands the end of the line, at the place of the last.
    pub(crate) fn new(tokens: Vec<Token>) -> Self {
        let at = tokens.last().map_or(At { line: 1, column: 1 }, |token| token.at);
        Self { tokens, next: 0, end: Token { at, kind: Kind::Newline } }
    }

    /// The next token.
    pub(crate) fn peek(&self) -> &Token {
        self.tokens.get(self.next).unwrap_or(&self.end)
    }

    /// Takes the next token.
    pub(crate) fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = self.next.saturating_add(1);
        token
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.peek().kind, Kind::End | Kind::Newline)
    }

    /// An error at the next token, which is not what was expected.
    pub(crate) fn expected(&self, what: &str) -> AsmError {
        let token = self.peek();
        token.at.error(format!("expected {what}, found {}", token.describe()))
    }

    /// Takes the mark if it comes next.
    pub(crate) fn accept(&mut self, mark: char) -> bool {
        let found = self.peek().kind == Kind::Mark(mark);
        if found {
            self.take();
        }
        found
    }

    /// Takes the mark.
    pub(crate) fn expect(&mut self, mark: char) -> Result<(), AsmError> {
        let what = if mark == '>' { String::from("`->`") } else { format!("`{mark}`") };
        if self.accept(mark) { Ok(()) } else { Err(self.expected(&what)) }
    }

    /// Takes the keyword if it comes next.
    pub(crate) fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(&self.peek().kind, Kind::Word(found) if found == word);
        if found {
            self.take();
        }
        found
    }

    /// Takes the keyword.
    pub(crate) fn expect_word(&mut self, word: &str) -> Result<(), AsmError> {
        if self.accept_word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    /// Takes a name.
    pub(crate) fn name(&mut self, what: &str) -> Result<Name, AsmError> {
        let token = self.peek().clone();
        match token.kind {
            Kind::Word(text) | Kind::Quoted(text) => {
                self.take();
                Ok(Name { at: token.at, text })
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Takes a text in double quotes.
    pub(crate) fn text(&mut self) -> Result<String, AsmError> {
        match &self.peek().kind {
            Kind::Text(text) => {
                let text = text.clone();
                self.take();
                Ok(text)
            }
            _ => Err(self.expected("a text in double quotes")),
        }
    }

    /// Takes an unsigned number.
    pub(crate) fn number<T: core::str::FromStr>(&mut self, what: &str) -> Result<T, AsmError> {
        let name = self.name(what)?;
        name.text.parse().map_err(|_| name.at.error(format!("expected {what}")))
    }

    /// Takes the end of the line.
    pub(crate) fn end_line(&mut self) -> Result<(), AsmError> {
        match self.peek().kind {
            Kind::Newline => {
                self.take();
                Ok(())
            }
            Kind::End => Ok(()),
            _ => Err(self.expected("the end of the line")),
        }
    }

    fn skip_lines(&mut self) {
        while self.peek().kind == Kind::Newline {
            self.take();
        }
    }

    fn type_text(&mut self) -> Result<TypeText, AsmError> {
        let name = self.name("a type")?;
        Ok(TypeText { name, nullable: self.accept('?') })
    }

    /// `(T, name: T) -> (T, T)`, the results without parentheses if there is one, nothing if there is none.
    pub(crate) fn signature(&mut self) -> Result<SignatureText, AsmError> {
        let mut signature = SignatureText::default();
        self.expect('(')?;
        while !self.accept(')') {
            if !signature.parameters.is_empty() {
                self.expect(',')?;
            }
            let first = self.type_text()?;
            let parameter = if !first.nullable && self.accept(':') {
                (Some(first.name), self.type_text()?)
            } else {
                (None, first)
            };
            signature.parameters.push(parameter);
        }
        if !self.accept('>') {
            return Ok(signature);
        }
        if !self.accept('(') {
            signature.results.push(self.type_text()?);
            return Ok(signature);
        }
        while !self.accept(')') {
            if !signature.results.is_empty() {
                self.expect(',')?;
            }
            signature.results.push(self.type_text()?);
        }
        Ok(signature)
    }
}

/// Parses a whole file.
pub(crate) fn parse(tokens: Vec<Token>) -> Result<Items, AsmError> {
    let mut cursor = Cursor::new(tokens);
    let mut items = Items::default();
    loop {
        cursor.skip_lines();
        if cursor.is_empty() {
            break;
        }
        parse_item(&mut cursor, &mut items)?;
    }
    if items.name.is_none() {
        return Err(At { line: 1, column: 1 }.error("expected `module NAME version N`"));
    }
    Ok(items)
}

fn parse_item(cursor: &mut Cursor, items: &mut Items) -> Result<(), AsmError> {
    if cursor.accept_word("module") {
        items.name = Some(cursor.name("the module's name")?);
        if cursor.accept_word("version") {
            items.version = cursor.number("a version number")?;
        }
        return cursor.end_line();
    }
    if cursor.accept_word("source") {
        items.source = Some(cursor.text()?);
        return cursor.end_line();
    }
    if cursor.accept_word("static") {
        let name = cursor.name("the variable's name")?;
        cursor.expect(':')?;
        let value = cursor.type_text()?;
        items.statics.push((name, value));
        return cursor.end_line();
    }
    if cursor.accept_word("signature") {
        let name = cursor.name("the signature's name")?;
        let signature = cursor.signature()?;
        items.signatures.push((name, signature));
        return cursor.end_line();
    }
    let imported = cursor.accept_word("import");
    let exported = !imported && cursor.accept_word("export");
    if cursor.accept_word("function") {
        return parse_function(cursor, items, imported, exported);
    }
    let kind = if cursor.accept_word("abstract") {
        cursor.expect_word("class")?;
        ClassItemKind::Abstract
    } else if cursor.accept_word("class") {
        ClassItemKind::Plain
    } else if cursor.accept_word("interface") {
        ClassItemKind::Interface
    } else if cursor.accept_word("array") {
        let name = cursor.name("the array class's name")?;
        cursor.expect_word("of")?;
        let element = cursor.type_text()?;
        let mut class = empty_class(name, exported, ClassItemKind::Array(element));
        if imported {
            cursor.expect_word("from")?;
            class.from = Some(cursor.name("the module's name")?.text);
        }
        items.classes.push(class);
        return cursor.end_line();
    } else {
        return Err(cursor.expected(
            "module, source, import, export, function, class, abstract class, interface, array, static or signature",
        ));
    };
    let name = cursor.name("the class's name")?;
    let mut class = empty_class(name, exported, kind);
    parse_class(cursor, &mut class, imported)?;
    items.classes.push(class);
    Ok(())
}

fn empty_class(name: Name, exported: bool, kind: ClassItemKind) -> ClassItem {
    ClassItem {
        name,
        exported,
        from: None,
        kind,
        superclass: None,
        interfaces: Vec::new(),
        fields: Vec::new(),
        extension_fields: Vec::new(),
        methods: Vec::new(),
    }
}

fn parse_class(cursor: &mut Cursor, class: &mut ClassItem, imported: bool) -> Result<(), AsmError> {
    if cursor.accept_word("extends") {
        class.superclass = Some(cursor.name("the superclass's name")?);
    }
    if cursor.accept_word("implements") {
        loop {
            class.interfaces.push(cursor.name("an interface's name")?);
            if !cursor.accept(',') {
                break;
            }
        }
    }
    if imported {
        cursor.expect_word("from")?;
        class.from = Some(cursor.name("the module's name")?.text);
    }
    cursor.expect('{')?;
    loop {
        cursor.skip_lines();
        if cursor.accept('}') {
            return cursor.end_line();
        }
        parse_member(cursor, class)?;
        if cursor.peek().kind != Kind::Mark('}') {
            cursor.end_line()?;
        }
    }
}

fn parse_member(cursor: &mut Cursor, class: &mut ClassItem) -> Result<(), AsmError> {
    let is_abstract = cursor.accept_word("abstract");
    if cursor.accept_word("method") {
        let name = cursor.name("the method's name")?;
        let written = cursor.peek().kind == Kind::Mark('(');
        let signature = if written { Some(cursor.signature()?) } else { None };
        let body = if cursor.accept('=') { Some(cursor.name("a function")?) } else { None };
        class.methods.push(MethodItem::New { name, signature, body, is_abstract });
        return Ok(());
    }
    if cursor.accept_word("override") {
        let name = cursor.name("the method's name")?;
        let body = if is_abstract {
            None
        } else {
            cursor.expect('=')?;
            Some(cursor.name("a function")?)
        };
        class.methods.push(MethodItem::Override { name, body });
        return Ok(());
    }
    let extension = cursor.accept_word("extension");
    let name = cursor.name("a field, `method`, `override`, `abstract` or `extension`")?;
    cursor.expect(':')?;
    let value = cursor.type_text()?;
    let list = if extension { &mut class.extension_fields } else { &mut class.fields };
    list.push((name, value));
    Ok(())
}

fn parse_function(
    cursor: &mut Cursor,
    items: &mut Items,
    imported: bool,
    exported: bool,
) -> Result<(), AsmError> {
    let name = cursor.name("the function's name")?;
    let signature = cursor.signature()?;
    if imported {
        cursor.expect_word("from")?;
        let from = cursor.name("the module's name")?.text;
        items.function_imports.push(FunctionImportItem { name, from, signature });
        return cursor.end_line();
    }
    cursor.expect('{')?;
    let mut lines = Vec::new();
    let mut line = Vec::new();
    loop {
        let token = cursor.take();
        match token.kind {
            Kind::End => return Err(token.at.error("expected `}` at the end of the function")),
            Kind::Newline if !line.is_empty() => lines.push(core::mem::take(&mut line)),
            Kind::Newline => {}
            Kind::Mark('}') => {
                if !line.is_empty() {
                    lines.push(line);
                }
                items.functions.push(FunctionItem {
                    name,
                    exported,
                    signature,
                    lines,
                    end: token.at,
                });
                return cursor.end_line();
            }
            _ => line.push(token),
        }
    }
}
