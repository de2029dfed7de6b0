//! The first instructions, and what the boot loader is asked for.
//!
//! The kernel is compiled with SSE2, so not one line of Rust may run before the control registers allow it: `_start` is
//! assembly, clears CR0.EM, sets CR0.MP, CR0.WP and CR4.OSFXSR | OSXMMEXCPT, and calls [`enter`]. For the same reason the
//! loader's `entry_point!` macro is not used; its configuration is serialised into the section it looks for by hand.
//! Invariant: everything the loader maps lies outside object space, [2^44, 2^45).

use bootloader_api::config::{BootloaderConfig, Mapping};

/// Where the loader maps all physical memory.
pub(crate) const PHYSICAL_MAP: u64 = 0xffff_8000_0000_0000;
/// The range of addresses for the loader's other mappings (stack, boot information, frame buffer).
const DYNAMIC_START: u64 = 0xffff_c000_0000_0000;
const DYNAMIC_END: u64 = 0xffff_efff_ffff_ffff;
/// The kernel's only stack: the event loop, the interpreter's slice and the traps on top of it. A guard page lies below.
const STACK_SIZE: u64 = 256 * 1024;

const CONFIGURATION: BootloaderConfig = {
    let mut configuration = BootloaderConfig::new_default();
    configuration.kernel_stack_size = STACK_SIZE;
    configuration.mappings.physical_memory = Some(Mapping::FixedAddress(PHYSICAL_MAP));
    configuration.mappings.dynamic_range_start = Some(DYNAMIC_START);
    configuration.mappings.dynamic_range_end = Some(DYNAMIC_END);
    configuration
};

/// Read by the loader out of the ELF file; `_start` refers to it so that the linker keeps it.
#[cfg(target_os = "none")]
#[used]
#[unsafe(link_section = ".bootloader-config")]
#[unsafe(export_name = "revenant_loader_configuration")]
static LOADER_CONFIGURATION: [u8; BootloaderConfig::SERIALIZED_LEN] = CONFIGURATION.serialize();

#[cfg(not(target_os = "none"))]
const _: [u8; BootloaderConfig::SERIALIZED_LEN] = CONFIGURATION.serialize();

#[cfg(target_os = "none")]
core::arch::global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "cli",
    "cld",
    "lea rax, [rip + revenant_loader_configuration]", // keeps the section alive
    "mov rax, cr0",
    "and rax, ~(1 << 2)", // EM off: x87 and SSE instructions execute
    "or rax, (1 << 1) | (1 << 5) | (1 << 16)", // MP, NE, WP: the kernel too obeys read-only pages
    "mov cr0, rax",
    "mov rax, cr4",
    "or rax, (1 << 9) | (1 << 10)", // OSFXSR, OSXMMEXCPT
    "mov cr4, rax",
    "fninit",
    "push 0x1f80", // all exceptions masked, round to nearest even
    "ldmxcsr [rsp]",
    "add rsp, 8",
    "xor ebp, ebp",
    "and rsp, -16",
    "call revenant_enter", // rdi still holds the boot information
    "ud2",
);

/// Names the kernel's main function, `fn(revenant_machine::boot::Handover) -> !`.
///
/// The macro exists so that the kernel binary itself can forbid unsafe code: exporting a symbol by name is unsafe.
#[macro_export]
macro_rules! entry_point {
    ($main:path) => {
        /// Called once by `_start`, with the loader's boot information.
        #[unsafe(export_name = "revenant_enter")]
        extern "sysv64" fn revenant_enter(
            information: &'static mut $crate::boot::BootInformation,
        ) -> ! {
            let main: fn($crate::boot::Handover) -> ! = $main;
            main($crate::boot::Handover::take(information))
        }
    };
}
