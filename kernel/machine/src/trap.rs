//! Traps: how an exception or interrupt becomes a call of a safe function on plain data.
//!
//! A stub saves every general register and all sixteen vector registers (the kernel is compiled with SSE, so any Rust
//! code may use them; MXCSR keeps its value, because no trap code computes with floats) and calls [`dispatch`], which
//! decides by vector. Hardware interrupts only take what came and raise the attention flag. A page fault in object space
//! during an attempt goes to the registered handler; every other exception is a bug of the kernel and panics.

use crate::attempt;
use crate::interrupts;
use core::arch::naked_asm;

/// The first vector of the interrupt controllers.
pub(crate) const FIRST_INTERRUPT: u8 = 32;
const PAGE_FAULT: u64 = 14;
const NON_MASKABLE: u64 = 2;

/// What a stub leaves on the stack, lowest address first.
#[repr(C, align(16))]
pub(crate) struct TrapFrame {
    vectors: [u128; 16],
    /// r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax.
    general: [u64; 15],
    vector: u64,
    error_code: u64,
    instruction: u64,
    code_segment: u64,
    flags: u64,
    stack: u64,
    stack_segment: u64,
}

/// The entry point of one vector.
///
/// The processor aligns the stack to 16 bytes and pushes five words; with the error code, the vector and fifteen
/// registers that makes 22 words, so the stack is aligned again where the vector registers go.
///
/// # Safety
/// Only the processor may enter it, through an interrupt gate.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn entry<const VECTOR: u64, const HAS_ERROR_CODE: bool>() {
    naked_asm!(
        ".if {has_error_code} == 0",
        "push 0",
        ".endif",
        "push {vector}",
        "jmp {common}",
        has_error_code = const { if HAS_ERROR_CODE { 1 } else { 0 } },
        vector = const VECTOR,
        common = sym common,
    )
}

/// # Safety
/// Jumped to by [`entry`] only.
#[unsafe(naked)]
unsafe extern "sysv64" fn common() {
    naked_asm!(
        "push rax", "push rbx", "push rcx", "push rdx", "push rsi", "push rdi", "push rbp",
        "push r8", "push r9", "push r10", "push r11", "push r12", "push r13", "push r14", "push r15",
        "sub rsp, 256",
        "movaps [rsp + 0x00], xmm0", "movaps [rsp + 0x10], xmm1",
        "movaps [rsp + 0x20], xmm2", "movaps [rsp + 0x30], xmm3",
        "movaps [rsp + 0x40], xmm4", "movaps [rsp + 0x50], xmm5",
        "movaps [rsp + 0x60], xmm6", "movaps [rsp + 0x70], xmm7",
        "movaps [rsp + 0x80], xmm8", "movaps [rsp + 0x90], xmm9",
        "movaps [rsp + 0xa0], xmm10", "movaps [rsp + 0xb0], xmm11",
        "movaps [rsp + 0xc0], xmm12", "movaps [rsp + 0xd0], xmm13",
        "movaps [rsp + 0xe0], xmm14", "movaps [rsp + 0xf0], xmm15",
        "cld",
        "mov rdi, rsp",
        "call {dispatch}",
        "movaps xmm0, [rsp + 0x00]", "movaps xmm1, [rsp + 0x10]",
        "movaps xmm2, [rsp + 0x20]", "movaps xmm3, [rsp + 0x30]",
        "movaps xmm4, [rsp + 0x40]", "movaps xmm5, [rsp + 0x50]",
        "movaps xmm6, [rsp + 0x60]", "movaps xmm7, [rsp + 0x70]",
        "movaps xmm8, [rsp + 0x80]", "movaps xmm9, [rsp + 0x90]",
        "movaps xmm10, [rsp + 0xa0]", "movaps xmm11, [rsp + 0xb0]",
        "movaps xmm12, [rsp + 0xc0]", "movaps xmm13, [rsp + 0xd0]",
        "movaps xmm14, [rsp + 0xe0]", "movaps xmm15, [rsp + 0xf0]",
        "add rsp, 256",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rbp", "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rbx", "pop rax",
        "add rsp, 16", // vector and error code
        "iretq",
        dispatch = sym dispatch,
    )
}

/// Decides by vector. Returns to resume what was interrupted.
extern "sysv64" fn dispatch(frame: &mut TrapFrame) {
    match u8::try_from(frame.vector) {
        Ok(vector) if vector >= FIRST_INTERRUPT => interrupts::handle(vector - FIRST_INTERRUPT),
        _ if frame.vector == PAGE_FAULT => {
            let address = x86_64::registers::control::Cr2::read_raw();
            attempt::on_page_fault(address, frame.error_code, frame.instruction);
        }
        _ if frame.vector == NON_MASKABLE => panic!("non-maskable interrupt"),
        _ => unexpected(frame),
    }
}

#[cold]
fn unexpected(frame: &TrapFrame) -> ! {
    let accumulator = frame.general[frame.general.len() - 1];
    panic!(
        "exception {} error={:#x} instruction={:#x} stack={:#x} flags={:#x} code_segment={:#x} stack_segment={:#x} \
         rax={accumulator:#x} xmm0={:#x}",
        frame.vector,
        frame.error_code,
        frame.instruction,
        frame.stack,
        frame.flags,
        frame.code_segment,
        frame.stack_segment,
        frame.vectors[0],
    )
}
