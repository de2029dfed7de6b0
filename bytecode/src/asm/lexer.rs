//! Text to tokens, each with its place. `;` begins a comment; the end of a line is a token, because it ends an instruction.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::str::Chars;

use super::AsmError;

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl At {
    /// An error here.
    pub(crate) fn error(self, message: impl Into<String>) -> AsmError {
        AsmError { line: self.line, column: self.column, message: message.into() }
    }
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A name or a number as written. Numbers begin with a digit, or `-` and a digit.
    Word(String),
    /// A name in backticks: any characters, never a keyword, register or number.
    Quoted(String),
    /// Text in double quotes.
    Text(String),
    /// `( ) { } [ ] , : ? =` or `>` for `->`.
    Mark(char),
    /// End of a line.
    Newline,
    /// End of the text.
    End,
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) at: At,
    pub(crate) kind: Kind,
}

impl Token {
    /// The token as an error message names it.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Word(word) | Kind::Quoted(word) => format!("`{word}`"),
            Kind::Text(_) => String::from("a text"),
            Kind::Mark('>') => String::from("`->`"),
            Kind::Mark(mark) => format!("`{mark}`"),
            Kind::Newline => String::from("the end of the line"),
            Kind::End => String::from("the end of the file"),
        }
    }
}

struct Lexer<'a> {
    characters: Peekable<Chars<'a>>,
    at: At,
}

/// All tokens of `text`; the last is `End`.
pub(crate) fn tokenize(text: &str) -> Result<Vec<Token>, AsmError> {
    let mut lexer = Lexer { characters: text.chars().peekable(), at: At { line: 1, column: 1 } };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token()?;
        let end = token.kind == Kind::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | '$' | '+' | '-' | '#' | '\'')
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.characters.next()?;
        if character == '\n' {
            self.at = At { line: self.at.line.saturating_add(1), column: 1 };
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(character)
    }

    fn peek(&mut self) -> Option<char> {
        self.characters.peek().copied()
    }

    fn token(&mut self) -> Result<Token, AsmError> {
        while let Some(character) = self.peek() {
            match character {
                ';' => {
                    while self.peek().is_some_and(|next| next != '\n') {
                        self.next();
                    }
                }
                ' ' | '\t' | '\r' => {
                    self.next();
                }
                _ => break,
            }
        }
        let at = self.at;
        let kind = match self.next() {
            None => Kind::End,
            Some('\n') => Kind::Newline,
            Some('"') => Kind::Text(self.quoted('"')?),
            Some('`') => Kind::Quoted(self.quoted('`')?),
            Some('\'') => Kind::Word(self.character()?),
            Some('-') if self.peek() == Some('>') => {
                self.next();
                Kind::Mark('>')
            }
            Some(mark @ ('(' | ')' | '{' | '}' | '[' | ']' | ',' | ':' | '?' | '=')) => {
                Kind::Mark(mark)
            }
            // `>n0`, `>r0`: registers of the window.
            Some(first) if first == '>' || is_word(first) => {
                let mut word = String::from(first);
                while let Some(next) = self.peek().filter(|next| is_word(*next)) {
                    if next == '-' && !word.ends_with(['e', 'E']) {
                        break;
                    }
                    word.push(next);
                    self.next();
                }
                Kind::Word(word)
            }
            Some(other) => {
                return Err(at.error(format!("{other:?} begins nothing in this language")));
            }
        };
        Ok(Token { at, kind })
    }

    fn quoted(&mut self, end: char) -> Result<String, AsmError> {
        let begin = self.at;
        let mut text = String::new();
        loop {
            match self.next() {
                None | Some('\n') => {
                    return Err(begin.error(format!("the text has no closing {end:?} on its line")));
                }
                Some('\\') => text.push(self.escape()?),
                Some(character) if character == end => return Ok(text),
                Some(character) => text.push(character),
            }
        }
    }

    /// After a backslash.
    fn escape(&mut self) -> Result<char, AsmError> {
        let at = self.at;
        let unknown = || at.error("expected one of \\n \\r \\t \\0 \\\\ \\\" \\' \\` \\u{...}");
        match self.next() {
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('0') => Ok('\0'),
            Some(same @ ('\\' | '"' | '\'' | '`')) => Ok(same),
            Some('u') if self.next() == Some('{') => {
                let mut digits = String::new();
                while let Some(digit) = self.next().filter(|digit| *digit != '}') {
                    digits.push(digit);
                }
                let number = u32::from_str_radix(&digits, 16).map_err(|_| unknown())?;
                char::from_u32(number).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }

    /// A character in single quotes, as the number of its code point.
    fn character(&mut self) -> Result<String, AsmError> {
        let at = self.at;
        let character = match self.next() {
            Some('\\') => self.escape()?,
            Some(character) if character != '\n' => character,
            _ => return Err(at.error("expected a character")),
        };
        if self.next() == Some('\'') {
            Ok(format!("{}", u32::from(character)))
        } else {
            Err(at.error("expected one character between single quotes"))
        }
    }
}
