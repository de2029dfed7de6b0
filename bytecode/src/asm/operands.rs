//! Operands as written to numbers: integers with ranges, floats, registers.

use alloc::format;
use alloc::string::String;

use super::AsmError;
use super::items::Name;

/// A register as the text names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegisterText {
    /// `r3`, `n4`: by number.
    Fixed(char, u16),
    /// `>r0`, `>n1`: in the window of calls.
    Window(char, u16),
    /// By name.
    Named(String),
}

/// Reads a register.
pub(crate) fn register(name: &Name) -> RegisterText {
    let (text, window) = match name.text.strip_prefix('>') {
        Some(rest) => (rest, true),
        None => (name.text.as_str(), false),
    };
    let mut characters = text.chars();
    let file = characters.next().filter(|file| matches!(file, 'r' | 'n'));
    let digits = characters.as_str();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    match (file, plain.then(|| digits.parse().ok()).flatten()) {
        (Some(file), Some(number)) if window => RegisterText::Window(file, number),
        (Some(file), Some(number)) => RegisterText::Fixed(file, number),
        _ => RegisterText::Named(name.text.clone()),
    }
}

/// Reads an integer: decimal, or hexadecimal with `0x`, with a sign and `_` anywhere.
pub(crate) fn integer(name: &Name) -> Result<i128, AsmError> {
    let text = name.text.replace('_', "");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.as_str()),
    };
    let magnitude = match digits.strip_prefix("0x") {
        Some(hexadecimal) => i128::from_str_radix(hexadecimal, 16),
        None => digits.parse::<i128>(),
    };
    let magnitude = magnitude
        .map_err(|_| name.at.error(format!("expected an integer, found `{}`", name.text)))?;
    Ok(if negative { magnitude.saturating_neg() } else { magnitude })
}

/// An integer between the limits.
fn ranged(name: &Name, low: i128, high: i128) -> Result<i128, AsmError> {
    let value = integer(name)?;
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(name.at.error(format!("{value} is not between {low} and {high}")))
}

/// A 16-bit immediate, signed.
pub(crate) fn immediate16(name: &Name) -> Result<u16, AsmError> {
    let value = ranged(name, i16::MIN.into(), i16::MAX.into())?;
    Ok(i16::try_from(value).unwrap_or_default().cast_unsigned())
}

/// An unsigned 16-bit number.
pub(crate) fn unsigned16(name: &Name) -> Result<u16, AsmError> {
    let value = ranged(name, 0, u16::MAX.into())?;
    Ok(u16::try_from(value).unwrap_or_default())
}

/// A 32-bit immediate, signed or unsigned.
pub(crate) fn immediate32(name: &Name, signed_only: bool) -> Result<u32, AsmError> {
    let high = if signed_only { i128::from(i32::MAX) } else { u32::MAX.into() };
    let value = ranged(name, i32::MIN.into(), high)?;
    let signed = i64::try_from(value).unwrap_or_default();
    Ok(crate::instruction::low_half(signed.cast_unsigned()))
}

/// A 64-bit immediate, signed or unsigned.
pub(crate) fn immediate64(name: &Name) -> Result<u64, AsmError> {
    let value = ranged(name, i64::MIN.into(), u64::MAX.into())?;
    Ok(match u64::try_from(value) {
        Ok(value) => value,
        Err(_) => i64::try_from(value).unwrap_or_default().cast_unsigned(),
    })
}

/// The bits of an f64: decimal, `inf`, `-inf`, `nan`, or `bits.` and 16 hexadecimal digits.
pub(crate) fn float64(name: &Name) -> Result<u64, AsmError> {
    if name.text == "nan" {
        return Ok(0x7ff8_0000_0000_0000);
    }
    if let Some(bits) = name.text.strip_prefix("bits.") {
        return u64::from_str_radix(bits, 16).map_err(|_| name.at.error("expected hexadecimal"));
    }
    let parsed = name.text.replace('_', "").parse::<f64>();
    parsed
        .map(f64::to_bits)
        .map_err(|_| name.at.error(format!("expected a number, found `{}`", name.text)))
}

/// The bits of an f32, written as those of an f64, `bits.` with 8 digits.
pub(crate) fn float32(name: &Name) -> Result<u32, AsmError> {
    if name.text == "nan" {
        return Ok(0x7fc0_0000);
    }
    if let Some(bits) = name.text.strip_prefix("bits.") {
        return u32::from_str_radix(bits, 16).map_err(|_| name.at.error("expected hexadecimal"));
    }
    let parsed = name.text.replace('_', "").parse::<f32>();
    parsed
        .map(f32::to_bits)
        .map_err(|_| name.at.error(format!("expected a number, found `{}`", name.text)))
}
