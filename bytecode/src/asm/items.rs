//! The parts of a module as the text says them, before any name has a number.

use alloc::string::String;
use alloc::vec::Vec;

use super::lexer::{At, Token};

/// A name and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) at: At,
    pub(crate) text: String,
}

/// A type as written.
#[derive(Clone, Debug)]
pub(crate) struct TypeText {
    pub(crate) name: Name,
    pub(crate) nullable: bool,
}

/// Parameters and results as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignatureText {
    pub(crate) parameters: Vec<(Option<Name>, TypeText)>,
    pub(crate) results: Vec<TypeText>,
}

/// Kind of a class item.
#[derive(Clone, Debug)]
pub(crate) enum ClassItemKind {
    Plain,
    Abstract,
    Interface,
    Array(TypeText),
}

/// One entry of a class's table of methods.
#[derive(Clone, Debug)]
pub(crate) enum MethodItem {
    /// `method m(..) -> .. = f`, `method m = f`; without a body in interfaces and imports, and if abstract.
    New { name: Name, signature: Option<SignatureText>, body: Option<Name>, is_abstract: bool },
    /// `override m = f`; without a body if abstract.
    Override { name: Name, body: Option<Name> },
}

/// A class, defined here or imported.
#[derive(Clone, Debug)]
pub(crate) struct ClassItem {
    pub(crate) name: Name,
    pub(crate) exported: bool,
    /// The module it comes from, if imported.
    pub(crate) from: Option<String>,
    pub(crate) kind: ClassItemKind,
    pub(crate) superclass: Option<Name>,
    pub(crate) interfaces: Vec<Name>,
    pub(crate) fields: Vec<(Name, TypeText)>,
    pub(crate) extension_fields: Vec<(Name, TypeText)>,
    pub(crate) methods: Vec<MethodItem>,
}

/// A function of another module.
#[derive(Clone, Debug)]
pub(crate) struct FunctionImportItem {
    pub(crate) name: Name,
    pub(crate) from: String,
    pub(crate) signature: SignatureText,
}

/// A function with its lines as tokens, each without its end.
#[derive(Clone, Debug)]
pub(crate) struct FunctionItem {
    pub(crate) name: Name,
    pub(crate) exported: bool,
    pub(crate) signature: SignatureText,
    pub(crate) lines: Vec<Vec<Token>>,
    /// Where the closing brace stands.
    pub(crate) end: At,
}

/// A whole file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items {
    pub(crate) name: Option<Name>,
    pub(crate) version: u32,
    pub(crate) source: Option<String>,
    pub(crate) classes: Vec<ClassItem>,
    pub(crate) function_imports: Vec<FunctionImportItem>,
    pub(crate) functions: Vec<FunctionItem>,
    pub(crate) statics: Vec<(Name, TypeText)>,
    pub(crate) signatures: Vec<(Name, SignatureText)>,
}
