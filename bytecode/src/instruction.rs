//! Decoding one instruction from code words, and putting one together.
//!
//! Decoding checks what a single instruction can show by itself: the opcode exists, its literal words lie inside the code, fields
//! without a meaning are zero. Everything else is the verifier's. Neighbours: `opcode` (the table).

use core::fmt;

use crate::opcode::{Literal, Opcode, Operand};

/// One instruction, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Position of its first word.
    pub position: u32,
    /// What to do.
    pub opcode: Opcode,
    /// Field a.
    pub a: u16,
    /// Field b.
    pub b: u16,
    /// Field c.
    pub c: u16,
    /// The literal word, or 0 if there is none; 0 for a jump table, whose words stay in the code.
    pub literal: u64,
    /// Words it takes, literals included.
    pub length: u32,
}

/// Why words are not an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionError {
    /// No opcode has this number.
    Opcode(u16),
    /// Its literal words do not fit in the code.
    Truncated(Opcode),
    /// A field, or half of a literal, that has no meaning is not zero.
    Unused(Opcode),
    /// The position is outside the code.
    Outside,
}

impl fmt::Display for InstructionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opcode(number) => write!(formatter, "there is no opcode {number}"),
            Self::Truncated(opcode) => {
                write!(
                    formatter,
                    "the literals of {} run past the code's end",
                    opcode.info().mnemonic
                )
            }
            Self::Unused(opcode) => {
                write!(formatter, "an unused field of {} is not zero", opcode.info().mnemonic)
            }
            Self::Outside => formatter.write_str("the position is outside the code"),
        }
    }
}

/// The 16-bit field of `word` that begins at bit `shift`.
#[expect(clippy::cast_possible_truncation, reason = "taking 16 bits is the purpose")]
const fn field(word: u64, shift: u32) -> u16 {
    (word >> shift) as u16
}

/// The lower 32 bits.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "taking 32 bits is the purpose")]
pub const fn low_half(literal: u64) -> u32 {
    literal as u32
}

/// The upper 32 bits.
#[must_use]
pub const fn high_half(literal: u64) -> u32 {
    low_half(literal >> 32)
}

impl Instruction {
    /// Decodes the instruction at `position`.
    ///
    /// # Errors
    /// The words there are not an instruction.
    pub fn decode(code: &[u64], position: u32) -> Result<Self, InstructionError> {
        let index = usize::try_from(position).unwrap_or(usize::MAX);
        let word = *code.get(index).ok_or(InstructionError::Outside)?;
        let number = field(word, 0);
        let opcode = Opcode::from_number(number).ok_or(InstructionError::Opcode(number))?;
        let info = opcode.info();
        let (a, b, c) = (field(word, 16), field(word, 32), field(word, 48));
        for (value, operand) in [a, b, c].into_iter().zip(info.operands) {
            if operand == Operand::None && value != 0 {
                return Err(InstructionError::Unused(opcode));
            }
        }
        let literals = match info.literal {
            Literal::None => 0,
            Literal::Table => u32::from(b),
            _ => 1,
        };
        let length = literals.saturating_add(1);
        let end = index.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        if end > code.len() {
            return Err(InstructionError::Truncated(opcode));
        }
        let literal = match info.literal {
            Literal::None | Literal::Table => 0,
            _ => code.get(index.saturating_add(1)).copied().unwrap_or(0),
        };
        let half = matches!(
            info.literal,
            Literal::Offset | Literal::Function | Literal::Class | Literal::Signature
        );
        if half && high_half(literal) != 0 {
            return Err(InstructionError::Unused(opcode));
        }
        Ok(Self { position, opcode, a, b, c, literal, length })
    }

    /// The 32-bit operand in fields b and c.
    #[must_use]
    pub fn wide(&self) -> u32 {
        u32::from(self.b) | u32::from(self.c) << 16
    }

    /// Field b or c as a signed immediate.
    #[must_use]
    pub const fn signed(field: u16) -> i16 {
        field.cast_signed()
    }

    /// The first word.
    #[must_use]
    pub fn word(opcode: Opcode, a: u16, b: u16, c: u16) -> u64 {
        u64::from(opcode.number()) | u64::from(a) << 16 | u64::from(b) << 32 | u64::from(c) << 48
    }

    /// The position after it.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.position.saturating_add(self.length)
    }

    /// Where its displacement leads (not for jump tables), if it has one and stays in 32 bits.
    #[must_use]
    pub fn target(&self) -> Option<u32> {
        let operands = self.opcode.info().operands;
        let distance = if operands.contains(&Operand::Displacement32) {
            i64::from(self.wide().cast_signed())
        } else if operands.contains(&Operand::Displacement16) {
            i64::from(Self::signed(self.c))
        } else {
            return None;
        };
        u32::try_from(i64::from(self.position).checked_add(distance)?).ok()
    }

    /// Where entry `index` of a jump table leads, if that stays in 32 bits.
    #[must_use]
    pub fn table_target(&self, code: &[u64], index: u16) -> Option<u32> {
        let place = self.position.checked_add(1)?.checked_add(u32::from(index))?;
        let distance = code.get(usize::try_from(place).ok()?)?.cast_signed();
        u32::try_from(i64::from(self.position).checked_add(distance)?).ok()
    }
}
