//! Why a load was refused: the values that `loader` returns; nothing of a refused module is in object space.

use alloc::string::String;
use core::fmt;

use crate::heap::AllocationError;

/// Why nothing was loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LoadError {
    /// A file is at fault.
    Module {
        /// Which, from 0.
        index: usize,
        /// Its name if it has one by then, the place in it, and what was expected.
        reason: String,
    },
    /// Object space has no room.
    Memory(AllocationError),
}

impl From<AllocationError> for LoadError {
    fn from(error: AllocationError) -> Self {
        Self::Memory(error)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module { index, reason } => write!(formatter, "module {index}: {reason}"),
            Self::Memory(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for LoadError {}
