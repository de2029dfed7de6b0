//! A module as data: what the assembler builds, the file holds and the decoder yields. **Nothing in it is to be trusted**; the
//! verifier turns it into a [`crate::VerifiedModule`]. MODULE.md describes the file.
//!
//! Index spaces: classes are imports first, then definitions (see [`ClassReference`]); functions likewise, imports first; signatures,
//! strings and statics have one list each.
//!
//! ```text
//!   Module ── strings, signatures, statics, exports
//!     ├── ClassImport / ClassDefinition ── ClassShape ── fields, methods (what a user of the class must know)
//!     └── FunctionImport / FunctionDefinition ── code, block entries, handlers, lines
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use crate::types::{ClassReference, ElementKind, Signature, ValueType};

/// Most reference registers of a frame.
pub const REFERENCE_REGISTERS_MAX: u16 = 1_024;
/// Most raw registers of a frame.
pub const RAW_REGISTERS_MAX: u16 = 4_096;
/// Most handlers whose ranges cover one instruction.
pub const HANDLERS_NESTED_MAX: usize = 16;
/// Most classes from a class up to `Object`.
pub const CLASS_DEPTH_MAX: usize = 64;
/// Most slots of an object: its fields and those of its superclasses.
pub const FIELDS_MAX: usize = 4_096;

/// A module, unverified.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Module {
    /// Its name; imports of other modules use it.
    pub name: String,
    /// Its version, chosen by its author.
    pub version: u32,
    /// The source file, for traces; may be empty.
    pub source: String,
    /// String constants.
    pub strings: Vec<String>,
    /// Signatures of functions, methods and indirect calls.
    pub signatures: Vec<Signature>,
    /// Classes of other modules.
    pub class_imports: Vec<ClassImport>,
    /// Classes of this module.
    pub classes: Vec<ClassDefinition>,
    /// Functions of other modules.
    pub function_imports: Vec<FunctionImport>,
    /// Functions of this module.
    pub functions: Vec<FunctionDefinition>,
    /// Static variables: one of each in every instance of the module, zero or null at first.
    pub statics: Vec<Field>,
    /// What other modules may import.
    pub exports: Vec<Export>,
}

/// A named place for a value: field of a class, or static variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, for people.
    pub name: String,
    /// Its type: a number, or a nullable reference.
    pub value: ValueType,
}

/// A virtual method or a method of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Index of its signature. The first parameter is the receiver, a non-null reference to the declaring class.
    pub signature: u32,
}

/// What kind of class it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassKind {
    /// Objects with fields.
    Plain,
    /// The same, but only subclasses have objects.
    Abstract,
    /// Methods without bodies.
    Interface,
    /// Arrays. `class` is the elements' class if they are references, else `Object`.
    Array {
        /// Kind of the elements.
        element: ElementKind,
        /// Class of reference elements.
        class: ClassReference,
    },
}

/// What a user of a class must know of it. At a class import the loader compares it with the class that it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassShape {
    /// What kind of class.
    pub kind: ClassKind,
    /// The superclass: built in, or of a lower index. Interfaces and arrays name `Object`.
    pub superclass: ClassReference,
    /// Interfaces that the class implements beyond its superclass's; for an interface, all that stand above it.
    pub interfaces: Vec<ClassReference>,
    /// Fields after those of the superclass, a slot each.
    pub fields: Vec<Field>,
    /// Fields added when the layout was frozen, reached by the `extension` operations, numbered after the superclass's.
    pub extension_fields: Vec<Field>,
    /// Virtual methods after those of the superclass; for an interface, its methods.
    pub methods: Vec<Method>,
}

/// A class of another module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassImport {
    /// Name of the module.
    pub module: String,
    /// Name under which that module exports it.
    pub symbol: String,
    /// What this module relies on.
    pub shape: ClassShape,
}

/// What stands in one place of a class's table of virtual methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodBody {
    /// What the superclass has there.
    Inherited,
    /// Nothing: only in abstract classes.
    Abstract,
    /// A function of this module, by function index.
    Function(u32),
}

/// A class of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassDefinition {
    /// Its name.
    pub name: String,
    /// What users see.
    pub shape: ClassShape,
    /// The whole table of virtual methods, the superclass's first. Empty for interfaces and arrays.
    pub bodies: Vec<MethodBody>,
    /// For each of `shape.interfaces`, for each of its methods, the index in the table of virtual methods. Empty for interfaces.
    pub interface_methods: Vec<Vec<u32>>,
}

/// A function of another module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionImport {
    /// Name of the module.
    pub module: String,
    /// Name under which that module exports it.
    pub symbol: String,
    /// Index of the signature that this module relies on.
    pub signature: u32,
}

/// A function of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDefinition {
    /// Its name, for traces.
    pub name: String,
    /// Index of its signature.
    pub signature: u32,
    /// Reference registers of a frame, arguments included.
    pub reference_registers: u16,
    /// Raw registers of a frame, arguments included.
    pub raw_registers: u16,
    /// Instruction words and literals, in the file form.
    pub code: Vec<u64>,
    /// Declared types at block entries, by increasing position.
    pub blocks: Vec<Block>,
    /// The handler table, in order of search.
    pub handlers: Vec<Handler>,
    /// Source lines, by increasing position; each holds up to the next.
    pub lines: Vec<Line>,
}

/// A block entry: a position that can be reached otherwise than by falling through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Position in words.
    pub position: u32,
    /// The registers that are defined there: references by increasing number, then raws by increasing number.
    pub registers: Vec<RegisterType>,
}

/// The declared type of one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterType {
    /// Its number in its file; the type says which file.
    pub register: u16,
    /// Its type. The class may be [`ClassReference::NOTHING`] if it can only be null.
    pub value: ValueType,
}

/// An entry of a handler table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler {
    /// First position of the range.
    pub start: u32,
    /// Position after the range.
    pub end: u32,
    /// Where execution goes on: a block entry.
    pub target: u32,
    /// The class of exceptions it takes.
    pub class: ClassReference,
    /// The reference register that receives the exception.
    pub register: u16,
}

/// From `position` on, the code comes from this line of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Position in words.
    pub position: u32,
    /// Line number from 1.
    pub line: u32,
}

/// A name that other modules may import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The name.
    pub name: String,
    /// What it names.
    pub item: ExportItem,
}

/// What an export names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportItem {
    /// A function, by function index; a definition.
    Function(u32),
    /// A class; a definition.
    Class(ClassReference),
}

impl Module {
    /// The shape of a class of this module, if the reference is to an import or a definition that exists.
    #[must_use]
    pub fn shape(&self, class: ClassReference) -> Option<&ClassShape> {
        let index = class.as_module_index()?;
        if let Some(import) = self.class_imports.get(index) {
            return Some(&import.shape);
        }
        let definition = index.checked_sub(self.class_imports.len())?;
        self.classes.get(definition).map(|class| &class.shape)
    }

    /// The name of a class of this module or of a built-in class, as assembly writes it.
    #[must_use]
    pub fn class_name(&self, class: ClassReference) -> Option<&str> {
        if let Some(builtin) = class.as_builtin() {
            return Some(builtin.name());
        }
        let index = class.as_module_index()?;
        if let Some(import) = self.class_imports.get(index) {
            return Some(&import.symbol);
        }
        let definition = index.checked_sub(self.class_imports.len())?;
        self.classes.get(definition).map(|class| class.name.as_str())
    }

    /// The name of a function of this module.
    #[must_use]
    pub fn function_name(&self, function: u32) -> Option<&str> {
        let index = usize::try_from(function).ok()?;
        if let Some(import) = self.function_imports.get(index) {
            return Some(&import.symbol);
        }
        let definition = index.checked_sub(self.function_imports.len())?;
        self.functions.get(definition).map(|function| function.name.as_str())
    }

    /// The signature of a function of this module.
    #[must_use]
    pub fn function_signature(&self, function: u32) -> Option<&Signature> {
        let index = usize::try_from(function).ok()?;
        let signature = match self.function_imports.get(index) {
            Some(import) => import.signature,
            None => {
                let definition = index.checked_sub(self.function_imports.len())?;
                self.functions.get(definition)?.signature
            }
        };
        self.signature(signature)
    }

    /// A signature by its index.
    #[must_use]
    pub fn signature(&self, index: u32) -> Option<&Signature> {
        self.signatures.get(usize::try_from(index).ok()?)
    }
}
