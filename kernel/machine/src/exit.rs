//! The way out of QEMU: its `isa-debug-exit` device turns a byte written to a port into an exit code.
//!
//! QEMU exits with `2 * byte + 1`, so that neither code below can be mistaken for one of QEMU's own.

use crate::cpu;
use x86_64::instructions::port::Port;

/// Where the harness puts the device (`-device isa-debug-exit,iobase=0xf4,iosize=0x04`).
const PORT: u16 = 0xf4;

/// How the kernel ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitCode {
    /// As it should; QEMU exits with 33.
    Success,
    /// A failed test, a refused disk or a panic; QEMU exits with 35.
    Failure,
}

/// Ends QEMU. On a machine without the device, halts.
pub fn exit(code: ExitCode) -> ! {
    crate::serial::drain();
    let byte: u32 = match code {
        ExitCode::Success => 0x10,
        ExitCode::Failure => 0x11,
    };
    // SAFETY: writing to this port ends the emulator; where there is no such device nothing listens.
    unsafe { Port::new(PORT).write(byte) };
    cpu::halt_forever()
}
