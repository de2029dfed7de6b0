//! Opcodes and what the words of an instruction mean.
//!
//! An instruction is one 64-bit little-endian word `op16 | a16 << 16 | b16 << 32 | c16 << 48`, followed by the literal
//! words that its opcode announces. What each field is (a register read or written, an immediate, an index) stands in the
//! table of `opcode_table.rs`, so the assembler, the disassembler and the verifier cannot disagree.
//!
//! Invariants: number 0 is no opcode, so zeroed memory never executes; a field without a meaning is zero, and the
//! verifier insists. Neighbours: `instruction` (decoding), `verify`, the interpreter in `vm/src/dispatch`.

/// What a 16-bit field of an instruction word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// Must be zero.
    None,
    /// The upper half of the 32-bit operand whose lower half is field `b`.
    High,
    /// Raw register, written with an i32 (the upper 32 bits become zero).
    DefI32,
    /// Raw register, written with an i64.
    DefI64,
    /// Raw register, written with an f32 (the upper 32 bits become zero).
    DefF32,
    /// Raw register, written with an f64.
    DefF64,
    /// Raw register, written; the kind follows from the other operands.
    DefRaw,
    /// Raw register, read as i32.
    UseI32,
    /// Raw register, read as i64.
    UseI64,
    /// Raw register, read as f32.
    UseF32,
    /// Raw register, read as f64.
    UseF64,
    /// Raw register of any kind, read.
    UseRaw,
    /// Raw register, read as an unsigned 64-bit index; holds an i32 or an i64.
    UseInteger,
    /// Raw register, perhaps written; read before, and its kind stays.
    UpdateRaw,
    /// Reference register, written.
    DefRef,
    /// Reference register, read.
    UseRef,
    /// Reference register, perhaps written.
    UpdateRef,
    /// First reference register of a window.
    WindowRef,
    /// First raw register of a window.
    WindowRaw,
    /// Signed 16-bit immediate, sign-extended to the operation's width.
    Immediate16,
    /// Field slot number within an object, or within its extension.
    Slot16,
    /// Number of entries of a jump table.
    Count16,
    /// Number of a native operation.
    Native,
    /// Signed branch distance in words, from the first word of this instruction.
    Displacement16,
    /// As `Displacement16`, 32 bits, in `b` (low) and `c` (high).
    Displacement32,
    /// Signed 32-bit immediate in `b` and `c`.
    Immediate32,
    /// Bits of an f32 in `b` and `c`.
    Float32,
    /// Index of a string constant of the module, in `b` and `c`.
    StringIndex,
    /// Index of a static variable of the module, in `b` and `c`.
    StaticIndex,
    /// Index of a function of the module, in `b` and `c`.
    FunctionIndex,
}

/// What the literal words after an instruction word mean. Every one is a single word, but for `Table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// There is none.
    None,
    /// A 64-bit integer.
    I64,
    /// The bits of an f64.
    F64,
    /// A raw value of the kind of the field it stands for.
    Raw,
    /// Unsigned 32-bit byte offset; the upper half is zero.
    Offset,
    /// Function index of the module; the upper half is zero.
    Function,
    /// Class reference (see `types`); the upper half is zero.
    Class,
    /// Signature index of the module; the upper half is zero.
    Signature,
    /// Low half: class reference; high half: index in its table of virtual methods.
    VirtualMethod,
    /// Low half: interface's class reference; high half: index of the interface's method.
    InterfaceMethod,
    /// As many words as operand `b` says, each a signed branch distance in words from the first word of the instruction.
    Table,
}

/// Properties of an opcode, as a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties(u16);

impl Properties {
    /// No property.
    pub const NONE: Self = Self(0);
    /// Execution never falls through to the next instruction.
    pub const ENDS: Self = Self(1);
    /// May continue at a target named by displacement. A branch to itself or backwards polls.
    pub const BRANCHES: Self = Self(2);
    /// Uses a window; registers of the window and above are undefined afterwards, but for the results.
    pub const CALLS: Self = Self(4);
    /// May throw an exception.
    pub const THROWS: Self = Self(8);
    /// May allocate.
    pub const ALLOCATES: Self = Self(16);
    /// Leaves the current frame with results.
    pub const RETURNS: Self = Self(32);
    /// The slice may end at this instruction.
    pub const POLLS: Self = Self(64);
    /// Changes an object or a static variable.
    pub const WRITES: Self = Self(128);

    /// The union of two sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every property of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OpcodeInfo {
    /// The opcode.
    pub opcode: Opcode,
    /// Its number, the disk format.
    pub number: u16,
    /// Its name in assembly.
    pub mnemonic: &'static str,
    /// Meanings of fields a, b and c.
    pub operands: [Operand; 3],
    /// Meaning of the literal words.
    pub literal: Literal,
    /// Its properties.
    pub properties: Properties,
    /// What it does, in one line.
    pub meaning: &'static str,
}

macro_rules! define_opcodes {
    ($($number:literal $name:ident $mnemonic:literal ($a:ident $b:ident $c:ident) $literal:ident [$($property:ident)*] $meaning:literal;)*) => {
        /// The operations of the machine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Opcode {
            $(#[doc = concat!("`", $mnemonic, "`: ", $meaning)] $name = $number,)*
        }

        /// The numbers of the opcodes as constants, for patterns over raw words in an interpreter.
        pub mod number {
            #![expect(non_upper_case_globals, reason = "the constants bear the names of the enum's variants")]
            $(#[doc = concat!("`", $mnemonic, "`")] pub const $name: u16 = $number;)*
        }

        /// Every opcode in order of number; entry `i` has number `i + 1`.
        pub static OPCODES: &[OpcodeInfo] = &[
            $(OpcodeInfo {
                opcode: Opcode::$name,
                number: $number,
                mnemonic: $mnemonic,
                operands: [Operand::$a, Operand::$b, Operand::$c],
                literal: Literal::$literal,
                properties: Properties::NONE$(.with(Properties::$property))*,
                meaning: $meaning,
            },)*
        ];
    };
}
crate::for_each_opcode!(define_opcodes);

impl Opcode {
    /// The opcode with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        let index = usize::from(number).checked_sub(1)?;
        OPCODES.get(index).map(|info| info.opcode)
    }

    /// The opcode with this name in assembly, if there is one.
    #[must_use]
    pub fn from_mnemonic(mnemonic: &str) -> Option<Self> {
        OPCODES.iter().find(|info| info.mnemonic == mnemonic).map(|info| info.opcode)
    }

    /// The opcode's number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The opcode's row of the table.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "numbers are dense from 1, which the tests hold"
    )]
    pub fn info(self) -> &'static OpcodeInfo {
        &OPCODES[usize::from(self.number()) - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::{Literal, OPCODES, Opcode, Operand};
    use alloc::{collections::BTreeSet, format, string::String};

    #[test]
    fn numbers_are_dense_and_names_unique() {
        let mut mnemonics = BTreeSet::new();
        for (index, info) in OPCODES.iter().enumerate() {
            assert_eq!(usize::from(info.number), index + 1, "{}", info.mnemonic);
            assert!(mnemonics.insert(info.mnemonic), "{} stands twice", info.mnemonic);
            assert_eq!(Opcode::from_number(info.number), Some(info.opcode));
            assert_eq!(Opcode::from_mnemonic(info.mnemonic), Some(info.opcode));
        }
        assert_eq!(Opcode::from_number(0), None);
        assert_eq!(Opcode::from_number(u16::MAX), None);
    }

    #[test]
    fn wide_operands_stand_in_b_and_take_c() {
        for info in OPCODES {
            let [a, b, c] = info.operands;
            let wide = |operand| {
                matches!(
                    operand,
                    Operand::Displacement32
                        | Operand::Immediate32
                        | Operand::Float32
                        | Operand::StringIndex
                        | Operand::StaticIndex
                        | Operand::FunctionIndex
                )
            };
            assert!(!wide(a) && !wide(c), "{}", info.mnemonic);
            assert_eq!(wide(b), c == Operand::High, "{}", info.mnemonic);
            assert_eq!(info.literal == Literal::Table, b == Operand::Count16, "{}", info.mnemonic);
        }
    }

    /// The golden image of the table: rows may be appended, never changed. Set `REVENANT_BLESS=1` to append.
    #[test]
    fn the_table_only_grows() {
        let mut text = String::new();
        for info in OPCODES {
            text += &format!(
                "{} {} {:?} {:?}\n",
                info.number, info.mnemonic, info.operands, info.literal
            );
        }
        crate::golden::compare("opcodes.txt", &text);
    }

    /// Section 8 of ISA.md is the table in words; it is written from here, and must say the same.
    #[test]
    fn the_reference_lists_every_operation() {
        let mut table = String::from(
            "| number | operation | a | b | c | literal | meaning |\n|---|---|---|---|---|---|---|\n",
        );
        for info in OPCODES {
            let word = |operand: Operand| match operand {
                Operand::None => String::from("-"),
                Operand::High => String::from("(b)"),
                other => format!("{other:?}"),
            };
            let [a, b, c] = info.operands.map(word);
            let literal = match info.literal {
                Literal::None => String::from("-"),
                other => format!("{other:?}"),
            };
            table += &format!(
                "| {} | `{}` | {a} | {b} | {c} | {literal} | {} |\n",
                info.number,
                info.mnemonic,
                info.meaning.replace('|', "\\|")
            );
        }
        crate::golden::compare_reference(&table);
    }
}
