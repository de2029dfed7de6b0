//! Conversions between block arithmetic (u64) and memory indices (usize), in one place with their reason.

/// A number as an index of memory. The kernel and its tools run on 64-bit machines only; elsewhere it saturates, and the
/// access that follows fails cleanly.
pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The low 7 bits: a slot in a node.
pub(crate) const fn slot_of(number: u64) -> usize {
    (number & 127) as usize
}
