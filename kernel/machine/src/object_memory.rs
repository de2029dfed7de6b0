//! Words of object space, for the kernel's built-in tests and measurements: programs have an interpreter.
//!
//! Addresses are confined: whatever the number, the access is in object space. Outside a slice an access
//! to a page that is not there, or not writable, is a panic; see `attempt`.

use core::ptr;
use revenant_hal::{OBJECT_SPACE_BASE, OBJECT_SPACE_SIZE, ObjectAddress};

/// The address that is really accessed: inside object space, aligned to a word.
fn confine(address: ObjectAddress) -> usize {
    crate::memory::to_usize((address.0 & (OBJECT_SPACE_SIZE - 1)) | OBJECT_SPACE_BASE) & !0b111
}

/// Reads the aligned word at an address.
#[must_use]
pub fn load(address: ObjectAddress) -> u64 {
    // SAFETY: the address lies in object space, where nothing of the kernel is; the access ends in a value or, if the
    // page cannot be had, in the trap handler.
    unsafe { ptr::with_exposed_provenance::<u64>(confine(address)).read_volatile() }
}

/// Writes the aligned word at an address.
pub fn store(address: ObjectAddress, word: u64) {
    // SAFETY: as in `load`.
    unsafe { ptr::with_exposed_provenance_mut::<u64>(confine(address)).write_volatile(word) }
}

/// Makes sure that the word can be written, without changing it.
pub fn touch(address: ObjectAddress) {
    store(address, load(address));
}
