//! Segments, the task state with its separate stacks, and the interrupt table.
//!
//! Double faults and non-maskable interrupts run on stacks of their own: the first because the kernel's stack may be
//! what is broken, the second because it may come at any instruction. Everything else runs on the stack that was
//! interrupted; the target has no red zone. All gates close interrupts.

use crate::trap;
use alloc::boxed::Box;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;

const DOUBLE_FAULT_STACK: u16 = 0;
const NMI_STACK: u16 = 1;
const TRAP_STACK_SIZE: usize = 32 * 1024;

/// Loads segments, task state and interrupt table. Needs the heap; interrupts stay off.
pub fn initialise() {
    let mut tss = TaskStateSegment::new();
    for index in [DOUBLE_FAULT_STACK, NMI_STACK] {
        tss.interrupt_stack_table[usize::from(index)] = new_stack_top();
    }
    let tss = Box::leak(Box::new(tss));
    let gdt = Box::leak(Box::new(GlobalDescriptorTable::new()));
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    let task = gdt.append(Descriptor::tss_segment(tss));
    gdt.load();
    // SAFETY: the selectors are those of a 64-bit code segment, a writable data segment and a task state in the table
    // that was just loaded and lives for good.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(data);
        ES::set_reg(data);
        load_tss(task);
    }
    let table = Box::leak(Box::new(InterruptDescriptorTable::new()));
    fill(table);
    table.load();
}

fn new_stack_top() -> VirtAddr {
    let stack = Box::leak(alloc::vec![0u128; TRAP_STACK_SIZE / 16].into_boxed_slice());
    VirtAddr::from_ptr(stack.as_ptr_range().end)
}

/// One entry point a vector; vectors without a stub stay absent, and using one is a general protection fault.
fn fill(table: &mut InterruptDescriptorTable) {
    macro_rules! exceptions {
        ($($field:ident: $vector:literal, $has_code:literal;)*) => {
            $(
                // SAFETY: the stub is an interrupt entry for exactly this vector, with or without an error code.
                unsafe {
                    table.$field.set_handler_addr(address(trap::entry::<$vector, $has_code>));
                }
            )*
        };
    }
    exceptions! {
        divide_error: 0, false; debug: 1, false; breakpoint: 3, false; overflow: 4, false;
        bound_range_exceeded: 5, false; invalid_opcode: 6, false; device_not_available: 7, false;
        invalid_tss: 10, true; segment_not_present: 11, true; stack_segment_fault: 12, true;
        general_protection_fault: 13, true; page_fault: 14, true; x87_floating_point: 16, false;
        alignment_check: 17, true; simd_floating_point: 19, false;
    }
    // SAFETY: as above; the stack indices name stacks that were put into the task state.
    unsafe {
        let nmi = table.non_maskable_interrupt.set_handler_addr(address(trap::entry::<2, false>));
        nmi.set_stack_index(NMI_STACK);
        let double = table.double_fault.set_handler_addr(address(trap::entry::<8, true>));
        double.set_stack_index(DOUBLE_FAULT_STACK);
        // Debuggers' MONITOR of machine checks is not enabled; a machine check shuts the processor down.
    }
    macro_rules! interrupts {
        ($($vector:literal)*) => {
            $(
                // SAFETY: the stub is an interrupt entry without error code for this vector.
                unsafe {
                    table[$vector].set_handler_addr(address(trap::entry::<$vector, false>));
                }
            )*
        };
    }
    interrupts! { 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 }
}

fn address(entry: unsafe extern "sysv64" fn()) -> VirtAddr {
    VirtAddr::from_ptr(entry as *const ())
}
