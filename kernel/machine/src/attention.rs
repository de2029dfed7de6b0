//! The one word that interrupt handlers have for the event loop: something happened, come and look.
//!
//! Handlers raise the flag; the interpreter polls it and leaves its slice; the loop lowers it before it looks at its
//! sources (so that what happens while it looks raises it again), and halts only if it is still down.

use core::sync::atomic::{AtomicBool, Ordering};

static ATTENTION: AtomicBool = AtomicBool::new(false);

/// The flag itself, for code that polls it.
#[must_use]
pub fn flag() -> &'static AtomicBool {
    &ATTENTION
}

/// Something happened.
pub fn raise() {
    ATTENTION.store(true, Ordering::Release);
}

/// Lowers the flag and tells whether it was up.
pub fn take() -> bool {
    ATTENTION.swap(false, Ordering::AcqRel)
}

/// Halts until an interrupt comes, unless the flag is up already.
pub fn wait() {
    crate::cpu::disable_interrupts();
    if ATTENTION.load(Ordering::Acquire) {
        crate::cpu::enable_interrupts();
    } else {
        crate::cpu::wait_for_interrupt();
    }
}
