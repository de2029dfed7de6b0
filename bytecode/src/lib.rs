//! Revenant's instruction set as data: opcodes, module format, verifier, disassembler. ISA.md is its reference.
//!
//! Everything here is pure: no state, no I/O, no unsafe code. Module files come from anywhere, so decoding yields
//! unvalidated types, and only the verifier turns them into ones that an interpreter may trust.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod builtin;
#[cfg(test)]
mod golden;
mod native;
mod opcode;
mod opcode_table;
mod types;

pub use builtin::{Builtin, BuiltinKind, EXCEPTION_FIELDS};
pub use native::{NATIVES, Native, NativeInfo, NativeKind};
pub use opcode::{Literal, OPCODES, Opcode, OpcodeInfo, Operand, Properties, number};
pub use types::{ClassReference, ElementKind, Signature, ValueType, WindowSize};
