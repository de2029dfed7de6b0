//! Revenant's instruction set as data: opcodes, module format, verifier, disassembler. ISA.md is its reference.
//!
//! Everything here is pure: no state, no I/O, no unsafe code. Module files come from anywhere, so decoding yields
//! unvalidated types, and only the verifier turns them into ones that an interpreter may trust.
#![no_std]
#![forbid(unsafe_code)]
// Module files are untrusted bytes: what could panic on them is refused by the compiler.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

extern crate alloc;

mod asm;
mod builtin;
mod disassemble;
mod file;
#[cfg(test)]
mod golden;
mod instruction;
mod module;
mod native;
mod opcode;
mod opcode_table;
mod types;
mod verify;
mod wire;

pub use asm::{AsmError, assemble};
pub use builtin::{Builtin, BuiltinKind, EXCEPTION_FIELDS};
pub use disassemble::disassemble;
pub use file::{
    DecodeError, FILE_BYTES_MAX, FORMAT_VERSION, HEADER_BYTES, MAGIC, decode, encode, reseal,
};
pub use instruction::{Instruction, InstructionError, high_half, low_half};
pub use module::{
    Block, CLASS_DEPTH_MAX, ClassDefinition, ClassImport, ClassKind, ClassShape, Export,
    ExportItem, FIELDS_MAX, Field, FunctionDefinition, FunctionImport, HANDLERS_NESTED_MAX,
    Handler, Line, Method, MethodBody, Module, RAW_REGISTERS_MAX, REFERENCE_REGISTERS_MAX,
    RegisterType,
};
pub use native::{NATIVES, Native, NativeInfo, NativeKind, THROWN_BY_ALL};
pub use opcode::{Literal, OPCODES, Opcode, OpcodeInfo, Operand, Properties, number};
pub use types::{ClassReference, ElementKind, Signature, ValueType, WindowSize};
pub use verify::{
    Place, RawKind, ReferenceType, State, VERIFIER_VERSION, Verdicts, VerifiedModule, VerifyError,
    infer_blocks, verify, verify_each,
};
