//! What the verifier knows at one instruction: the type of every register, or that it is undefined.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::builtin::Builtin;
use crate::module::RegisterType;
use crate::types::{ClassReference, ValueType};

/// The kind of a defined raw register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawKind {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

impl RawKind {
    /// The kind of a type that is not a reference.
    #[must_use]
    pub const fn of(value: ValueType) -> Option<Self> {
        match value {
            ValueType::I32 => Some(Self::I32),
            ValueType::I64 => Some(Self::I64),
            ValueType::F32 => Some(Self::F32),
            ValueType::F64 => Some(Self::F64),
            ValueType::Reference { .. } => None,
        }
    }

    /// The kind as a type.
    #[must_use]
    pub const fn value(self) -> ValueType {
        match self {
            Self::I32 => ValueType::I32,
            Self::I64 => ValueType::I64,
            Self::F32 => ValueType::F32,
            Self::F64 => ValueType::F64,
        }
    }
}

impl fmt::Display for RawKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// The type of a defined reference register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceType {
    /// The class; [`ClassReference::NOTHING`] if the register can only be null.
    pub class: ClassReference,
    /// Whether it may be null.
    pub nullable: bool,
}

impl ReferenceType {
    /// Only null.
    pub(crate) const NULL: Self = Self { class: ClassReference::NOTHING, nullable: true };

    /// Of a built-in class, never null.
    pub(crate) const fn builtin(class: Builtin) -> Self {
        Self { class: ClassReference::builtin(class), nullable: false }
    }

    /// The type of a reference value.
    #[must_use]
    pub const fn of(value: ValueType) -> Option<Self> {
        match value {
            ValueType::Reference { class, nullable } => Some(Self { class, nullable }),
            _ => None,
        }
    }

    /// The type as a value's.
    #[must_use]
    pub const fn value(self) -> ValueType {
        ValueType::Reference { class: self.class, nullable: self.nullable }
    }
}

/// A register of either file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// Reference register.
    Reference(u16),
    /// Raw register.
    Raw(u16),
}

impl fmt::Display for Register {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(number) => write!(formatter, "r{number}"),
            Self::Raw(number) => write!(formatter, "n{number}"),
        }
    }
}

/// Types of all registers of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    references: Vec<Option<ReferenceType>>,
    raws: Vec<Option<RawKind>>,
    /// Registers defined since [`State::take_changed`].
    changed: Vec<Register>,
}

impl State {
    /// All registers undefined.
    pub(crate) fn new(references: u16, raws: u16) -> Self {
        Self {
            references: vec![None; usize::from(references)],
            raws: vec![None; usize::from(raws)],
            changed: Vec::new(),
        }
    }

    /// The type of a reference register; `None` if it is undefined or does not exist.
    #[must_use]
    pub fn reference(&self, register: u16) -> Option<ReferenceType> {
        self.references.get(usize::from(register)).copied().flatten()
    }

    /// The kind of a raw register; `None` if it is undefined or does not exist.
    #[must_use]
    pub fn raw(&self, register: u16) -> Option<RawKind> {
        self.raws.get(usize::from(register)).copied().flatten()
    }

    /// Number of reference and raw registers.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.references.len(), self.raws.len())
    }

    /// Defines a reference register; false if it does not exist.
    pub(crate) fn set_reference(&mut self, register: u16, value: ReferenceType) -> bool {
        let Some(slot) = self.references.get_mut(usize::from(register)) else { return false };
        *slot = Some(value);
        self.changed.push(Register::Reference(register));
        true
    }

    /// Defines a raw register; false if it does not exist.
    pub(crate) fn set_raw(&mut self, register: u16, kind: RawKind) -> bool {
        let Some(slot) = self.raws.get_mut(usize::from(register)) else { return false };
        *slot = Some(kind);
        self.changed.push(Register::Raw(register));
        true
    }

    /// Makes a register undefined, if it exists.
    pub(crate) fn undefine(&mut self, register: Register) {
        match register {
            Register::Reference(number) => {
                if let Some(slot) = self.references.get_mut(usize::from(number)) {
                    *slot = None;
                }
            }
            Register::Raw(number) => {
                if let Some(slot) = self.raws.get_mut(usize::from(number)) {
                    *slot = None;
                }
            }
        }
    }

    /// Makes all registers from these upwards undefined.
    pub fn undefine_from(&mut self, reference: u16, raw: u16) {
        if let Some(upper) = self.references.get_mut(usize::from(reference)..) {
            upper.fill(None);
        }
        if let Some(upper) = self.raws.get_mut(usize::from(raw)..) {
            upper.fill(None);
        }
    }

    /// Makes exactly the declared registers defined; false if one does not exist.
    pub(crate) fn reset(&mut self, declared: &[RegisterType]) -> bool {
        self.undefine_from(0, 0);
        declared.iter().all(|entry| self.define(entry.register, entry.value))
    }

    /// Defines a register of the file that the type says; false if it does not exist.
    pub(crate) fn define(&mut self, register: u16, value: ValueType) -> bool {
        match (RawKind::of(value), ReferenceType::of(value)) {
            (Some(kind), _) => self.set_raw(register, kind),
            (None, Some(reference)) => self.set_reference(register, reference),
            (None, None) => false,
        }
    }

    /// The type of a register.
    pub(crate) fn value(&self, register: Register) -> Option<ValueType> {
        match register {
            Register::Reference(number) => self.reference(number).map(ReferenceType::value),
            Register::Raw(number) => self.raw(number).map(RawKind::value),
        }
    }

    /// The registers that were defined since the last call.
    pub(crate) fn take_changed(&mut self) -> Vec<Register> {
        core::mem::take(&mut self.changed)
    }

    /// Forgets which registers were defined.
    pub(crate) fn clear_changed(&mut self) {
        self.changed.clear();
    }

    /// All defined registers, references first, each file by number.
    pub(crate) fn defined(&self) -> impl Iterator<Item = RegisterType> + '_ {
        let references = (0_u16..).zip(&self.references).filter_map(|(register, slot)| {
            slot.map(|reference| RegisterType { register, value: reference.value() })
        });
        let raws = (0_u16..).zip(&self.raws).filter_map(|(register, slot)| {
            slot.map(|kind| RegisterType { register, value: kind.value() })
        });
        references.chain(raws)
    }
}
