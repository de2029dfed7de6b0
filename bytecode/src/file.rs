//! The module file: a header with a checksum, then sections in a fixed order. MODULE.md is its reference.
//!
//! Decoding yields an unverified [`Module`]: well-formed, nothing more. Bytes may come from anywhere; whatever they are, the
//! answer is a module or a [`DecodeError`], in time and memory proportional to their number.

use alloc::vec::Vec;
use core::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::module::Module;
use crate::wire::{Reader, Wire};

/// The first eight bytes of every module file.
pub const MAGIC: [u8; 8] = *b"REVMODUL";
/// The version of the format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes of the header: magic, version u32, zero u32, length of all u64, checksum of what follows the header u64.
pub const HEADER_BYTES: usize = 32;
/// Longest module file.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// Why bytes are not a module file. Offsets count from the beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The file does not begin as a module does.
    NotAModule,
    /// The format is of another version.
    Version {
        /// What the file says.
        found: u32,
    },
    /// The header's length is not the file's, or beyond the limit.
    Length {
        /// What the header says.
        stated: u64,
        /// What there is.
        actual: usize,
    },
    /// The checksum in the header is not that of the content.
    Checksum,
    /// The file or a section ends too early.
    Truncated {
        /// Where.
        offset: usize,
        /// Bytes that should follow.
        wanted: usize,
    },
    /// Something else stands where this was expected.
    Invalid {
        /// Just after it.
        offset: usize,
        /// What was expected.
        expected: &'static str,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAModule => formatter.write_str(
                "not a module: expected a file that begins with \"REVMODUL\" (was it assembled?)",
            ),
            Self::Version { found } => {
                write!(formatter, "module format {found}; this version reads {FORMAT_VERSION}")
            }
            Self::Length { stated, actual } => write!(
                formatter,
                "the header says {stated} bytes (at most {FILE_BYTES_MAX}), the file has {actual}"
            ),
            Self::Checksum => {
                formatter.write_str("the checksum does not match: the file is damaged")
            }
            Self::Truncated { offset, wanted } => {
                write!(formatter, "offset {offset}: ends early, expected {wanted} more bytes")
            }
            Self::Invalid { offset, expected } => {
                write!(formatter, "offset {offset}: expected {expected}")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Calls the macro with each section's tag and field, in order.
macro_rules! sections {
    ($callback:ident) => {
        $callback! {
            1 name, 2 version, 3 source, 4 strings, 5 signatures, 6 class_imports, 7 classes,
            8 function_imports, 9 functions, 10 statics, 11 exports
        }
    };
}

/// The module as a file.
#[must_use]
pub fn encode(module: &Module) -> Vec<u8> {
    let mut body = Vec::new();
    macro_rules! write_sections {
        ($($tag:literal $field:ident),*) => {
            $({
                let mut section = Vec::new();
                module.$field.write(&mut section);
                u32::write(&$tag, &mut body);
                // A section beyond 4 GiB is beyond the file's limit, which the decoder refuses by the header.
                u32::try_from(section.len()).unwrap_or(u32::MAX).write(&mut body);
                body.extend_from_slice(&section);
            })*
        };
    }
    sections!(write_sections);
    let mut file = Vec::with_capacity(HEADER_BYTES.saturating_add(body.len()));
    file.extend_from_slice(&MAGIC);
    FORMAT_VERSION.write(&mut file);
    0_u32.write(&mut file);
    let length = HEADER_BYTES.saturating_add(body.len());
    u64::try_from(length).unwrap_or(u64::MAX).write(&mut file);
    xxh3_64(&body).write(&mut file);
    file.extend_from_slice(&body);
    file
}

/// Reads a module file. The result is well-formed and unverified.
///
/// # Errors
/// Says where the bytes stop being a module, and what was expected there.
pub fn decode(bytes: &[u8]) -> Result<Module, DecodeError> {
    let body = check_header(bytes)?;
    let mut reader = Reader::new(body, HEADER_BYTES);
    let mut module = Module::default();
    macro_rules! read_sections {
        ($($tag:literal $field:ident),*) => {
            $(module.$field = read_section(&mut reader, $tag)?;)*
        };
    }
    sections!(read_sections);
    if !reader.is_empty() {
        return Err(DecodeError::Invalid {
            offset: reader.offset(),
            expected: "the end of the file",
        });
    }
    Ok(module)
}

/// Makes length and checksum of a file right, whatever its content. For tests that want to get past them.
pub fn reseal(bytes: &mut [u8]) {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let Some((header, body)) = bytes.split_at_mut_checked(HEADER_BYTES) else { return };
    let checksum = xxh3_64(body);
    for (place, byte) in header.iter_mut().skip(16).zip(length.to_le_bytes()) {
        *place = byte;
    }
    for (place, byte) in header.iter_mut().skip(24).zip(checksum.to_le_bytes()) {
        *place = byte;
    }
}

fn check_header(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(bytes, 0);
    let magic = reader.take(MAGIC.len()).map_err(|_| DecodeError::NotAModule)?;
    if magic != MAGIC {
        return Err(DecodeError::NotAModule);
    }
    let version = u32::read(&mut reader)?;
    if version != FORMAT_VERSION {
        return Err(DecodeError::Version { found: version });
    }
    if u32::read(&mut reader)? != 0 {
        return Err(DecodeError::Invalid { offset: reader.offset(), expected: "zero" });
    }
    let stated = u64::read(&mut reader)?;
    if usize::try_from(stated) != Ok(bytes.len()) || bytes.len() > FILE_BYTES_MAX {
        return Err(DecodeError::Length { stated, actual: bytes.len() });
    }
    let checksum = u64::read(&mut reader)?;
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    if xxh3_64(body) == checksum { Ok(body) } else { Err(DecodeError::Checksum) }
}

fn read_section<T: Wire>(reader: &mut Reader<'_>, tag: u32) -> Result<T, DecodeError> {
    if u32::read(reader)? != tag {
        return Err(DecodeError::Invalid {
            offset: reader.offset(),
            expected: "the next section's tag (they stand in order, each once)",
        });
    }
    let length = u32::read(reader)?;
    let offset = reader.offset();
    let bytes = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
    let mut section = Reader::new(bytes, offset);
    let value = T::read(&mut section)?;
    if section.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError::Invalid { offset: section.offset(), expected: "the section's end" })
    }
}
