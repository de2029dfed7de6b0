//! Types of the language, and which of them become which without being asked.

use revenant_bytecode::{Builtin, Opcode, ValueType};

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
    Array(Array),
}

/// An array of numbers, of a length for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Array {
    U8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Array {
    const ALL: [Self; 6] = [Self::U8, Self::I16, Self::I32, Self::I64, Self::F32, Self::F64];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::U8 => "Uint8Array",
            Self::I16 => "Int16Array",
            Self::I32 => "Int32Array",
            Self::I64 => "Int64Array",
            Self::F32 => "Float32Array",
            Self::F64 => "Float64Array",
        }
    }

    pub(crate) const fn class(self) -> Builtin {
        match self {
            Self::U8 => Builtin::ByteArray,
            Self::I16 => Builtin::ShortArray,
            Self::I32 => Builtin::IntArray,
            Self::I64 => Builtin::LongArray,
            Self::F32 => Builtin::FloatArray,
            Self::F64 => Builtin::DoubleArray,
        }
    }

    /// The type that an element has in a register.
    pub(crate) const fn element(self) -> Type {
        match self {
            Self::U8 | Self::I16 | Self::I32 => Type::I32,
            Self::I64 => Type::I64,
            Self::F32 => Type::F32,
            Self::F64 => Type::F64,
        }
    }

    /// The instructions that load and store an element.
    pub(crate) const fn access(self) -> (Opcode, Opcode) {
        match self {
            Self::U8 => (Opcode::ArrayLoadU8, Opcode::ArrayStoreU8),
            Self::I16 => (Opcode::ArrayLoadI16, Opcode::ArrayStoreI16),
            Self::I32 => (Opcode::ArrayLoadI32, Opcode::ArrayStoreI32),
            Self::I64 => (Opcode::ArrayLoadI64, Opcode::ArrayStoreI64),
            Self::F32 => (Opcode::ArrayLoadF32, Opcode::ArrayStoreF32),
            Self::F64 => (Opcode::ArrayLoadF64, Opcode::ArrayStoreF64),
        }
    }
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
            _ => return Array::ALL.into_iter().find(|array| array.name() == name).map(Self::Array),
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
            Self::Array(array) => array.name(),
        }
    }

    pub(crate) const fn is_reference(self) -> bool {
        matches!(self, Self::Text | Self::Array(_))
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
            Self::Array(array) => ValueType::object(array.class()),
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
