//! Revenant's instruction set as data: opcodes, module format, verifier, disassembler. ISA.md is its reference.
//!
//! Everything here is pure: no state, no I/O, no unsafe code. Module files come from anywhere, so decoding yields
//! unvalidated types, and only the verifier turns them into ones that an interpreter may trust.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod opcode;
mod opcode_table;

pub use opcode::{Literal, OPCODES, Opcode, OpcodeInfo, Operand, Properties, number};
