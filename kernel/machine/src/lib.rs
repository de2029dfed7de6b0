//! The machine under Revenant: x86-64, its interrupt controllers, clocks, serial port, PCI, virtio disk and page tables.
//! All unsafe code of the kernel stands in this crate, each block with the reason why it is sound; what it exports is
//! safe to call. Policy (store, pager, vm) never names this crate: it sees the traits of `revenant-hal`, which the types
//! here implement; only the kernel binary puts the two together.
//!
//! ```text
//!   entry ──> boot        _start enables SSE; the loader's information becomes a `Handover`
//!   cpu, cell             one processor: interrupts on and off, cells that one holder at a time may open
//!   memory, heap, frames  the loader's map of physical memory; the kernel's own heap in it; the pager's frames and tables
//!   descriptors ──> trap ──┬─> interrupts ──> clock, serial, attention
//!                          └─> attempt: page faults of slices, and the point they return to; object_memory: words of pages
//!   pci ──> virtio        the disk          fw_cfg ──> command_line: what the machine was asked to do
//!   serial, exit, panic   the ways out: text, an exit code for QEMU, the epitaph
//! ```
//!
//! What this crate does not do: decide anything about pages, threads or snapshots. Interrupt handlers only fill rings
//! and raise flags. Pure parts (rings, command line, memory regions) are tested on the host; what touches hardware is
//! compiled there but only runs in QEMU.
#![cfg_attr(not(test), no_std)]
#![expect(unsafe_code, reason = "this crate is where the kernel's unsafe code stands")]
#![cfg_attr(
    not(target_os = "none"),
    expect(dead_code, reason = "handlers and the panic path are reached on the bare machine only")
)]

extern crate alloc;

pub mod attempt;
pub mod attention;
pub mod boot;
pub mod cell;
pub mod clock;
pub mod command_line;
pub mod cpu;
pub mod descriptors;
mod entry;
pub mod exit;
pub mod frames;
pub mod fw_cfg;
pub mod heap;
pub mod interrupts;
mod memory;
pub mod object_memory;
pub mod panic;
mod pci;
pub mod ring;
mod rtc;
pub mod serial;
mod trap;
pub mod typing;
pub mod virtio;
