//! The Revenant kernel: this file is the boot, read from top to bottom, one call and its reason a line.
//!
//! The binary only wires: hardware is in `revenant-machine`, policy in `revenant-store`, `revenant-pager` and
//! `revenant-vm`. It has one way to start: to resume the snapshot on its disk.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod log;

#[cfg(target_os = "none")]
revenant_machine::entry_point!(kernel_main);

#[cfg(target_os = "none")]
fn kernel_main(mut handover: revenant_machine::boot::Handover) -> ! {
    use revenant_machine::{exit, heap, serial};

    serial::initialise(); // first of all: everything that fails later can say why
    log!("revenant version={}", env!("CARGO_PKG_VERSION"));
    log!("memory usable_mib={}", handover.usable_bytes() >> 20);
    heap::initialise(&mut handover); // before anything allocates
    log!("heap size_mib={} used={}", heap::size_bytes() >> 20, heap::used_bytes());
    exit::exit(exit::ExitCode::Success)
}

/// There is no kernel on the host; this keeps `cargo check --workspace` whole.
#[cfg(not(target_os = "none"))]
fn main() {}
