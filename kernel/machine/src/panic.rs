//! The end of a kernel that found its own bug: the reason on the serial port, then out.

/// Compiled for the bare machine only; on the host, tests bring std's handler.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    crate::cpu::disable_interrupts();
    crate::serial::write_emergency(format_args!("\npanic: {information}\n"));
    crate::exit::exit(crate::exit::ExitCode::Failure)
}
