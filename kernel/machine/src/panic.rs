//! The end of a kernel that found its own bug: the reason on the serial port, the last words on the disk, then out.
//!
//! From the moment it begins, interrupts are off, the allocator hands out memory of its own that was set aside, and a
//! second panic goes straight out. What is written to the disk is the kernel binary's business: it registers a function.

#[cfg(target_os = "none")]
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::{AtomicBool, Ordering};

static BEGUN: AtomicBool = AtomicBool::new(false);

/// Writes last words; the argument is the panic's message.
pub type LastWords = fn(core::fmt::Arguments<'_>);

#[cfg(target_os = "none")]
static LAST_WORDS: AtomicUsize = AtomicUsize::new(0);

/// Registers what a panic calls after it has written to the serial port.
#[cfg(target_os = "none")]
pub fn set_last_words(function: LastWords) {
    LAST_WORDS.store(function as usize, Ordering::Release);
}

/// Whether the kernel is panicking.
pub(crate) fn has_begun() -> bool {
    BEGUN.load(Ordering::Relaxed)
}

/// Compiled for the bare machine only; on the host, tests bring std's handler.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    crate::cpu::disable_interrupts();
    let first = !BEGUN.swap(true, Ordering::Relaxed);
    crate::serial::write_emergency(format_args!("\npanic: {information}\n"));
    let function = LAST_WORDS.load(Ordering::Acquire);
    if first && function != 0 {
        // SAFETY: the word was stored by `set_last_words` from a function of this type.
        let function = unsafe { core::mem::transmute::<usize, LastWords>(function) };
        function(format_args!("{information}"));
    }
    crate::exit::exit(crate::exit::ExitCode::Failure)
}
