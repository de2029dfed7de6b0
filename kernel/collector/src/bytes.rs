//! Little-endian words in pages that nobody has validated.
//!
//! Invariant: a place beyond the end reads as zero and is not written; nothing here panics.

pub(crate) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..at.saturating_add(8)).and_then(|word| word.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at.saturating_add(4)).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_le_bytes)
}

pub(crate) fn write_u64(bytes: &mut [u8], at: usize, value: u64) {
    if let Some(word) = bytes.get_mut(at..at.saturating_add(8)) {
        word.copy_from_slice(&value.to_le_bytes());
    }
}

pub(crate) fn write_u32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(word) = bytes.get_mut(at..at.saturating_add(4)) {
        word.copy_from_slice(&value.to_le_bytes());
    }
}

/// A number as an index; one that no memory has if it is too large.
pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Whether bit `bit` is set.
pub(crate) fn bit(bytes: &[u8], bit: usize) -> bool {
    bytes.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 != 0)
}

/// Clears bit `bit`.
pub(crate) fn clear_bit(bytes: &mut [u8], bit: usize) {
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte &= !(1 << (bit % 8));
    }
}

/// Sets bit `bit`.
pub(crate) fn set_bit(bytes: &mut [u8], bit: usize) {
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte |= 1 << (bit % 8);
    }
}
