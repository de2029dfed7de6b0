//! Attempts: running code that touches object space, from a point that a page fault can return to.
//!
//! The worker enters a slice with [`enter_slice`]. A fault in object space goes to the handler that the kernel
//! registered: if it can serve the page at once, the instruction goes on; if not, the attempt ends there and then, the
//! stack is cut back to the recovery point, and `enter_slice` returns [`SliceEnd::FaultEnded`]. Nothing that the
//! abandoned frames held is dropped: code in a slice holds nothing with a destructor, and no
//! [`ExclusiveCell`](crate::cell::ExclusiveCell), at the moment it touches object space.
//!
//! A fault outside object space, or in object space outside a slice, is a bug of the kernel, and panics.

use core::arch::naked_asm;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use revenant_hal::{ObjectAddress, PageIndex};

/// What a fault handler made of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum FaultOutcome {
    /// The access is now possible: repeat it.
    Served,
    /// It has to wait for I/O, a frame or space: the attempt ends.
    Wait,
}

/// Serves a page fault: the page, and whether the access was a write. Runs with interrupts off, on top of the slice.
pub type FaultHandler = fn(PageIndex, bool) -> FaultOutcome;

/// How a slice ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum SliceEnd<V> {
    /// The function returned.
    Finished(V),
    /// A fault had to wait. The attempt changed nothing that its own code had not finished.
    FaultEnded {
        /// The page that is missing.
        page: PageIndex,
        /// Whether it was to be written.
        write: bool,
    },
}

/// The stack pointer to cut back to; zero outside a slice.
static RECOVERY_STACK: AtomicU64 = AtomicU64::new(0);
/// The registered handler, as an address; zero before there is one.
static HANDLER: AtomicUsize = AtomicUsize::new(0);
/// The page and kind of the fault that ended the last attempt: `page << 1 | write`.
static ENDING_FAULT: AtomicU64 = AtomicU64::new(0);

const ERROR_WRITE: u64 = 1 << 1;
const ERROR_USER: u64 = 1 << 2;
const ERROR_RESERVED: u64 = 1 << 3;
const ERROR_FETCH: u64 = 1 << 4;

/// How another crate gets its right to access object space without depending on this one: a function whose only condition
/// for being called is that a load or store of any byte in object space either completes or does not return to the code that
/// made it, that nothing else lies in that range, and that one thread at a time accesses it. Only
/// [`open_object_space`] calls it.
pub type Declaration<T> = unsafe fn() -> T;

/// Registers what serves faults in object space, and then calls `declare`, whose condition holds from then on.
pub fn open_object_space<T>(handler: FaultHandler, declare: Declaration<T>) -> T {
    HANDLER.store(handler as usize, Ordering::Release);
    // SAFETY: 1. a fault in object space is served by the handler, or abandons the slice, or stops the machine; 2. the
    // boot loader's mappings are pinned outside (`entry`); 3. there is one processor, and traps touch no object space.
    unsafe { declare() }
}

/// What [`call`] is handed through assembly: the work, and the place of its result. Nothing in it is dropped if the
/// attempt is abandoned.
struct Record<W, V> {
    work: ManuallyDrop<W>,
    value: MaybeUninit<V>,
}

/// Runs `work` as one attempt, with interrupts on and the float control word that programs are promised:
/// round to nearest even, no exceptions, no flush to zero.
///
/// # Panics
/// If a slice is running already: slices do not nest.
pub fn enter_slice<W: FnOnce() -> V, V>(work: W) -> SliceEnd<V> {
    assert_eq!(RECOVERY_STACK.load(Ordering::Relaxed), 0, "slices do not nest");
    let mut record = Record { work: ManuallyDrop::new(work), value: MaybeUninit::uninit() };
    // SAFETY: `call::<W, V>` gets the record it was compiled for, which outlives the call; `enter` saves and restores
    // every register that the calling convention asks for, on both ways out.
    let abandoned =
        unsafe { enter((&raw mut record).cast(), call::<W, V>, RECOVERY_STACK.as_ptr()) };
    RECOVERY_STACK.store(0, Ordering::Relaxed);
    if abandoned == 0 {
        // SAFETY: `enter` returned zero, so `call` returned, after it had written the value.
        return SliceEnd::Finished(unsafe { record.value.assume_init() });
    }
    let fault = ENDING_FAULT.load(Ordering::Relaxed);
    SliceEnd::FaultEnded { page: PageIndex(fault >> 1), write: fault & 1 != 0 }
}

/// # Safety
/// `record` points to a `Record<W, V>` that nothing else uses; called once.
unsafe extern "sysv64" fn call<W: FnOnce() -> V, V>(record: *mut u8) {
    // SAFETY: the caller's contract.
    let record = unsafe { &mut *record.cast::<Record<W, V>>() };
    // SAFETY: called once, so the work is taken once.
    let work = unsafe { ManuallyDrop::take(&mut record.work) };
    record.value.write(work());
}

/// Saves what a call must preserve, notes the stack pointer in `recovery`, calls `function(record)`, returns 0. Control
/// comes to the second half also from [`abandon`], which makes it return 1.
///
/// # Safety
/// `function` accepts `record`; `recovery` may be written.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter(
    record: *mut u8,
    function: unsafe extern "sysv64" fn(*mut u8),
    recovery: *mut u64,
) -> u64 {
    naked_asm!(
        "push rbp", "push rbx", "push r12", "push r13", "push r14", "push r15",
        "push 0x1f80",       // also aligns the stack
        "ldmxcsr [rsp]",
        "mov [rdx], rsp",
        "call rsi",
        "xor eax, eax",
        "jmp {leave}",
        leave = sym leave,
    )
}

/// # Safety
/// Jumped to with the stack as [`enter`] left it.
#[unsafe(naked)]
unsafe extern "sysv64" fn leave() {
    naked_asm!(
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Cuts the stack back to the recovery point; interrupts, which the trap closed, are opened again.
///
/// # Safety
/// `stack` is what the running slice's [`enter`] noted.
#[unsafe(naked)]
unsafe extern "sysv64" fn abandon(stack: u64) -> ! {
    naked_asm!(
        "mov rsp, rdi",
        "mov eax, 1",
        "cld",
        "sti",
        "jmp {leave}",
        leave = sym leave,
    )
}

/// Called by the trap dispatcher. Returns if the instruction is to be repeated.
pub(crate) fn on_page_fault(address: u64, error: u64, instruction: u64) {
    let stack = RECOVERY_STACK.load(Ordering::Relaxed);
    let target = ObjectAddress(address);
    let expected = error & (ERROR_USER | ERROR_RESERVED | ERROR_FETCH) == 0;
    if !target.is_inside() || stack == 0 || !expected {
        panic!(
            "page fault address={address:#x} error={error:#x} instruction={instruction:#x} slice={}",
            stack != 0
        );
    }
    let handler = HANDLER.load(Ordering::Acquire);
    assert_ne!(handler, 0, "a fault in object space before there is a pager");
    // SAFETY: the word was stored by `open_object_space` from a function of this type.
    let handler = unsafe { core::mem::transmute::<usize, FaultHandler>(handler) };
    let page = target.page();
    let write = error & ERROR_WRITE != 0;
    // A slice that is abandoned inside the handler would leave the pager half changed: its own faults are bugs.
    RECOVERY_STACK.store(0, Ordering::Relaxed);
    let outcome = handler(page, write);
    RECOVERY_STACK.store(stack, Ordering::Relaxed);
    if outcome == FaultOutcome::Wait {
        ENDING_FAULT.store(page.get() << 1 | u64::from(write), Ordering::Relaxed);
        // SAFETY: `stack` was noted by the `enter` of the slice that faulted; its frame is still on the stack.
        unsafe { abandon(stack) }
    }
}
