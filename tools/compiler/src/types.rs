//! Types of the language, and which of them become which without being asked.

use revenant_bytecode::{Builtin, ClassReference, Opcode, ValueType};

/// A type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// `null` alone.
    Null,
    /// A member of the enum with this number: an i32.
    Enum(u16),
    /// A reference that is not null.
    Object(Referent),
    /// The same or null.
    Nullable(Referent),
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Referent {
    Text,
    Array(Array),
    /// An object of a class or an interface.
    Class(ClassReference),
    /// An array of the machine for the library's own use; the element's type has this number.
    Raw(ClassReference, u16),
    /// A function; its type has this number.
    Function(u16),
    /// An object that natives work on.
    Machine(Builtin),
}

impl Referent {
    /// The machine's class.
    pub(crate) const fn class(self) -> ClassReference {
        match self {
            Self::Text => ClassReference::builtin(Builtin::String),
            Self::Array(array) => ClassReference::builtin(array.class()),
            Self::Class(class) | Self::Raw(class, _) => class,
            Self::Function(_) => ClassReference::builtin(Builtin::Closure),
            Self::Machine(class) => ClassReference::builtin(class),
        }
    }

    /// Whether registers say that it is not null, because natives ask for that. Objects of classes are
    /// null to the machine as long as it does not matter: whoever reaches into one checks it anyway.
    pub(crate) const fn is_proved(self) -> bool {
        matches!(self, Self::Text | Self::Array(_) | Self::Machine(_))
    }
}

/// An array of numbers, of a length for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    pub(crate) const TEXT: Self = Self::Object(Referent::Text);

    /// Any reference; the library's alone.
    pub(crate) const ANYTHING: Self =
        Self::Nullable(Referent::Class(ClassReference::builtin(Builtin::Object)));

    /// An object of the machine.
    pub(crate) const fn machine(class: Builtin) -> Self {
        Self::Object(Referent::Machine(class))
    }

    /// The type of this name, if it is none of the program's.
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
            "string" => Self::TEXT,
            "Thread" => Self::machine(Builtin::Thread),
            "Mutex" => Self::machine(Builtin::Mutex),
            "Condition" => Self::machine(Builtin::Condition),
            "Semaphore" => Self::machine(Builtin::Semaphore),
            "StringBuilder" => Self::machine(Builtin::StringBuilder),
            _ => {
                let array = Array::ALL.into_iter().find(|array| array.name() == name)?;
                Self::Object(Referent::Array(array))
            }
        })
    }

    /// Its name, if it needs no table.
    pub(crate) const fn simple_name(self) -> &'static str {
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
            Self::Null => "null",
            Self::Object(Referent::Array(array)) => array.name(),
            Self::Object(Referent::Machine(class)) => class.name(),
            _ => "string",
        }
    }

    pub(crate) const fn is_reference(self) -> bool {
        matches!(self, Self::Null | Self::Object(_) | Self::Nullable(_))
    }

    /// What it leads to, if it is a reference.
    pub(crate) const fn referent(self) -> Option<Referent> {
        match self {
            Self::Object(referent) | Self::Nullable(referent) => Some(referent),
            _ => None,
        }
    }

    /// The same or null.
    pub(crate) const fn or_null(self) -> Self {
        match self {
            Self::Object(referent) => Self::Nullable(referent),
            other => other,
        }
    }

    /// The same without null.
    pub(crate) const fn without_null(self) -> Self {
        match self {
            Self::Nullable(referent) => Self::Object(referent),
            other => other,
        }
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
            Self::Enum(_) => matches!(other, Self::I32 | Self::I64 | Self::F64),
            _ => false,
        }
    }

    /// What a register holds; nothing for no value.
    pub(crate) const fn value(self) -> Option<ValueType> {
        Some(match self {
            Self::Mistake | Self::Void => return None,
            Self::Bool | Self::I32 | Self::U32 | Self::Enum(_) => ValueType::I32,
            Self::I64 | Self::U64 => ValueType::I64,
            Self::F32 => ValueType::F32,
            Self::F64 => ValueType::F64,
            Self::Null => ValueType::nullable(Builtin::Object),
            Self::Object(referent) => {
                ValueType::Reference { class: referent.class(), nullable: !referent.is_proved() }
            }
            Self::Nullable(referent) => {
                ValueType::Reference { class: referent.class(), nullable: true }
            }
        })
    }

    /// What a field or a static variable holds: references begin as null.
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
