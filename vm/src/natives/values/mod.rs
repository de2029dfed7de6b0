//! Natives on values, numbers 36 to 106: not yet here.

use revenant_bytecode::{Builtin, Native};

use crate::exception::Thrown;
use crate::thread::Outcome;

use super::Context;

/// Executes a native on values.
///
/// # Errors
/// What it throws.
pub(crate) fn call(native: Native, context: &Context) -> Result<Outcome, Thrown> {
    let _ = (native, context.thread, context.cursor_reference(), context.cursor_words());
    Err(Builtin::NotSupportedException.into())
}
