//! Bytes of a module file: a reader that never panics and never trusts a count, and one description of each part that both
//! directions follow, so that they cannot disagree.
//!
//! All numbers are little-endian. A list is its count (u32) and its elements; text is a list of UTF-8 bytes. Memory grows only with bytes
//! that were really there. Neighbours: `module` (what is described), `file` (header, checksum, sections).

use alloc::string::String;
use alloc::vec::Vec;

use crate::file::DecodeError;
use crate::module::{
    Block, ClassDefinition, ClassImport, ClassKind, ClassShape, Export, ExportItem, Field,
    FunctionDefinition, FunctionImport, Handler, Line, Method, MethodBody, RegisterType,
};
use crate::types::{ClassReference, ElementKind, Signature, ValueType};

/// A cursor over untrusted bytes.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads from `bytes`, which stand at `offset` of the file.
    pub(crate) const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, offset }
    }

    /// Where the next byte stands in the file.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether all bytes were read.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(DecodeError::Truncated { offset: self.offset, wanted: count });
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(count);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn invalid(&self, expected: &'static str) -> DecodeError {
        DecodeError::Invalid { offset: self.offset, expected }
    }
}

/// A part of a module file.
pub(crate) trait Wire: Sized {
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads one.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! wire_number {
    ($($number:ident)*) => {
        $(impl Wire for $number {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(reader.array()?))
            }
        })*
    };
}
wire_number!(u8 u16 u32 u64);

macro_rules! wire_struct {
    ($($name:ident { $($field:ident)* })*) => {
        $(impl Wire for $name {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }
            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Wire::read(reader)?,)* })
            }
        })*
    };
}
wire_struct! {
    Signature { parameters results }
    Field { name value }
    Method { name signature }
    ClassShape { kind superclass interfaces fields extension_fields methods }
    ClassImport { module symbol shape }
    ClassDefinition { name shape bodies interface_methods }
    FunctionImport { module symbol signature }
    FunctionDefinition {
        name signature reference_registers raw_registers code blocks handlers lines
    }
    Block { position registers }
    RegisterType { register value }
    Handler { start end target class register }
    Line { position line }
    Export { name item }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_count(self.len(), out);
        for element in self {
            element.write(out);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::read(reader)?;
        // Every element takes at least one byte, so a count cannot ask for more work than the file has bytes.
        let mut list = Self::new();
        for _ in 0..count {
            list.push(T::read(reader)?);
        }
        Ok(list)
    }
}

impl Wire for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_count(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::read(reader)?;
        let bytes = reader.take(usize::try_from(count).unwrap_or(usize::MAX))?;
        let text = core::str::from_utf8(bytes).map_err(|_| reader.invalid("UTF-8 text"))?;
        Ok(Self::from(text))
    }
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    // A list of 2^32 elements does not fit in memory beside its encoding; the file limit refuses far smaller ones.
    u32::try_from(count).unwrap_or(u32::MAX).write(out);
}

impl Wire for ClassReference {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(u32::read(reader)?))
    }
}

impl Wire for ValueType {
    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::I32 => out.push(1),
            Self::I64 => out.push(2),
            Self::F32 => out.push(3),
            Self::F64 => out.push(4),
            Self::Reference { class, nullable } => {
                out.push(if nullable { 6 } else { 5 });
                class.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::read(reader)? {
            1 => Self::I32,
            2 => Self::I64,
            3 => Self::F32,
            4 => Self::F64,
            5 => Self::Reference { class: Wire::read(reader)?, nullable: false },
            6 => Self::Reference { class: Wire::read(reader)?, nullable: true },
            _ => return Err(reader.invalid("a type, 1 to 6")),
        })
    }
}

impl Wire for ElementKind {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I32 => 3,
            Self::I64 => 4,
            Self::F32 => 5,
            Self::F64 => 6,
            Self::Reference => 7,
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::read(reader)? {
            1 => Self::U8,
            2 => Self::I16,
            3 => Self::I32,
            4 => Self::I64,
            5 => Self::F32,
            6 => Self::F64,
            7 => Self::Reference,
            _ => return Err(reader.invalid("an element kind, 1 to 7")),
        })
    }
}

impl Wire for ClassKind {
    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Plain => out.push(1),
            Self::Abstract => out.push(2),
            Self::Interface => out.push(3),
            Self::Array { element, class } => {
                out.push(4);
                element.write(out);
                class.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::read(reader)? {
            1 => Self::Plain,
            2 => Self::Abstract,
            3 => Self::Interface,
            4 => Self::Array { element: Wire::read(reader)?, class: Wire::read(reader)? },
            _ => return Err(reader.invalid("a class kind, 1 to 4")),
        })
    }
}

impl Wire for MethodBody {
    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Inherited => out.push(1),
            Self::Abstract => out.push(2),
            Self::Function(function) => {
                out.push(3);
                function.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::read(reader)? {
            1 => Self::Inherited,
            2 => Self::Abstract,
            3 => Self::Function(Wire::read(reader)?),
            _ => return Err(reader.invalid("a method body, 1 to 3")),
        })
    }
}

impl Wire for ExportItem {
    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Function(function) => {
                out.push(1);
                function.write(out);
            }
            Self::Class(class) => {
                out.push(2);
                class.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::read(reader)? {
            1 => Self::Function(Wire::read(reader)?),
            2 => Self::Class(Wire::read(reader)?),
            _ => return Err(reader.invalid("an export, 1 or 2")),
        })
    }
}
