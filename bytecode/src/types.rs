//! Types of values: what a register, a field, an element, a parameter can hold.
//!
//! Class references are 32-bit numbers with two ranges: built-in classes (fixed for ever, see `builtin`) above
//! [`ClassReference::BUILTIN_BASE`], below it the classes of one module, imports first, then its own definitions in order.
//! Neighbours: the module format stores these, the verifier compares them.

use alloc::vec::Vec;

use crate::builtin::Builtin;

/// Names a class within one module: a built-in class, an import, or a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassReference(pub u32);

impl ClassReference {
    /// The first number of the built-in range.
    pub const BUILTIN_BASE: u32 = 0x8000_0000;
    /// The class that no object has: below all classes, in declared types of registers that can only be null.
    pub const NOTHING: Self = Self(u32::MAX);

    /// The reference to a built-in class.
    #[must_use]
    pub const fn builtin(class: Builtin) -> Self {
        Self(Self::BUILTIN_BASE | class as u32)
    }

    /// The built-in class that is meant, if one is and it exists.
    #[must_use]
    pub fn as_builtin(self) -> Option<Builtin> {
        self.0.checked_sub(Self::BUILTIN_BASE).and_then(Builtin::from_number)
    }

    /// The index among the module's imports and definitions, if the reference is to one of them.
    #[must_use]
    pub fn as_module_index(self) -> Option<usize> {
        if self.0 < Self::BUILTIN_BASE { usize::try_from(self.0).ok() } else { None }
    }
}

/// The type of a value in a register, field, parameter or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueType {
    /// 32-bit integer; the upper half of its register is zero.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float; the upper half of its register is zero.
    F32,
    /// 64-bit float.
    F64,
    /// Reference to an object of the class or below.
    Reference {
        /// The class.
        class: ClassReference,
        /// Whether it may be null.
        nullable: bool,
    },
}

impl ValueType {
    /// A reference to a built-in class, never null.
    #[must_use]
    pub const fn object(class: Builtin) -> Self {
        Self::Reference { class: ClassReference::builtin(class), nullable: false }
    }

    /// A reference to a built-in class, or null.
    #[must_use]
    pub const fn nullable(class: Builtin) -> Self {
        Self::Reference { class: ClassReference::builtin(class), nullable: true }
    }

    /// Whether the value lives in the reference file.
    #[must_use]
    pub const fn is_reference(self) -> bool {
        matches!(self, Self::Reference { .. })
    }
}

/// The kind of an array's elements, which decides their width and which operations reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementKind {
    /// Unsigned bytes, loaded as i32.
    U8,
    /// Signed 16-bit integers, loaded as i32.
    I16,
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
    /// References, or null.
    Reference,
}

impl ElementKind {
    /// Bytes that one element takes.
    #[must_use]
    pub const fn size_bytes(self) -> u64 {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 | Self::Reference => 8,
        }
    }
}

/// Parameters and results, references and raws mixed in the order of the declaration; windows take each kind in that order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Signature {
    /// Types of the arguments.
    pub parameters: Vec<ValueType>,
    /// Types of the results.
    pub results: Vec<ValueType>,
}

/// How many references and raws a list of types takes in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WindowSize {
    /// Reference registers.
    pub references: u16,
    /// Raw registers.
    pub raws: u16,
}

impl WindowSize {
    /// Counts `types`, which the module format limits to far fewer than 65,536.
    #[must_use]
    pub fn of(types: &[ValueType]) -> Self {
        types.iter().fold(Self::default(), |size, value| {
            if value.is_reference() {
                Self { references: size.references.saturating_add(1), ..size }
            } else {
                Self { raws: size.raws.saturating_add(1), ..size }
            }
        })
    }
}
