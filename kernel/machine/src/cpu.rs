//! The one processor: interrupts, halting, the time-stamp counter.

use core::arch::asm;
use x86_64::instructions::interrupts;

/// Lets interrupts in.
pub fn enable_interrupts() {
    interrupts::enable();
}

/// Keeps interrupts out.
pub fn disable_interrupts() {
    interrupts::disable();
}

/// Runs `work` with interrupts off and restores what was before.
pub fn without_interrupts<R>(work: impl FnOnce() -> R) -> R {
    interrupts::without_interrupts(work)
}

/// Waits for an interrupt. Call it with interrupts off, after the check that there is nothing to do: the instruction
/// that lets them in takes effect after the halt has begun, so none is slept through. Returns with interrupts on.
pub fn wait_for_interrupt() {
    interrupts::enable_and_hlt();
}

/// Stops for good.
pub fn halt_forever() -> ! {
    loop {
        interrupts::disable();
        x86_64::instructions::hlt();
    }
}

/// The time-stamp counter, in ticks since some point before the boot.
#[must_use]
pub fn timestamp() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: RDTSC reads a counter and changes nothing but the two registers named.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// 64 bits that differ from boot to boot: of the processor's generator if it has one, else of the counter alone, mixed.
#[must_use]
pub fn random() -> u64 {
    const HAS_GENERATOR: u32 = 1 << 30;
    let mut drawn: u64 = 0;
    if core::arch::x86_64::__cpuid(1).ecx & HAS_GENERATOR != 0 {
        // SAFETY: the processor has the instruction; it changes the register and the carry flag. Without a number the
        // register is zero.
        unsafe { asm!("rdrand {}", out(reg) drawn, options(nomem, nostack)) };
    }
    mix(drawn ^ timestamp())
}

/// Spreads every bit over the whole word (SplitMix64's last steps).
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
