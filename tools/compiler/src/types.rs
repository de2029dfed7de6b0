//! Types of the language, and which of them become which without being asked.

use revenant_bytecode::{Builtin, ValueType};

/// A type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Of an expression with a mistake in it, which has been reported: fits everywhere.
    Mistake,
    /// No value.
    Void,
    Bool,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    Text,
}

impl Type {
    /// The type of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "void" => Self::Void,
            "bool" | "boolean" => Self::Bool,
            "i32" => Self::I32,
            "u32" => Self::U32,
            "i64" => Self::I64,
            "u64" => Self::U64,
            "f32" => Self::F32,
            "f64" | "number" => Self::F64,
            "string" => Self::Text,
            _ => return None,
        })
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mistake => "a mistake",
            Self::Void => "void",
            Self::Bool => "bool",
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Text => "string",
        }
    }

    pub(crate) const fn is_reference(self) -> bool {
        matches!(self, Self::Text)
    }

    pub(crate) const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    pub(crate) const fn is_integer(self) -> bool {
        matches!(self, Self::I32 | Self::U32 | Self::I64 | Self::U64)
    }

    pub(crate) const fn is_number(self) -> bool {
        self.is_integer() || self.is_float()
    }

    /// Whether an integer or float takes 64 bits.
    pub(crate) const fn is_wide(self) -> bool {
        matches!(self, Self::I64 | Self::U64 | Self::F64)
    }

    pub(crate) const fn is_unsigned(self) -> bool {
        matches!(self, Self::U32 | Self::U64)
    }

    /// Whether every value of the one is a value of the other: then it becomes one without being asked.
    pub(crate) const fn widens_to(self, other: Self) -> bool {
        match self {
            Self::I32 => matches!(other, Self::I64 | Self::F64),
            Self::U32 => matches!(other, Self::I64 | Self::U64 | Self::F64),
            Self::F32 => matches!(other, Self::F64),
            _ => false,
        }
    }

    /// What a register holds; nothing for no value.
    pub(crate) const fn value(self) -> Option<ValueType> {
        Some(match self {
            Self::Mistake | Self::Void => return None,
            Self::Bool | Self::I32 | Self::U32 => ValueType::I32,
            Self::I64 | Self::U64 => ValueType::I64,
            Self::F32 => ValueType::F32,
            Self::F64 => ValueType::F64,
            Self::Text => ValueType::object(Builtin::String),
        })
    }

    /// What a static variable holds: references begin as null.
    pub(crate) const fn stored(self) -> ValueType {
        match self.value() {
            Some(ValueType::Reference { class, .. }) => {
                ValueType::Reference { class, nullable: true }
            }
            Some(value) => value,
            None => ValueType::I32,
        }
    }
}
