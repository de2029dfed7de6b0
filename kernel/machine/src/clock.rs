//! Time: a periodic tick from the PIT, a monotonic clock from the time-stamp counter, the wall clock from the RTC.
//!
//! The counter's rate is measured once against the PIT. The wall clock is read once and then follows the monotonic one.
//! Invariant: [`MachineClock::monotonic`] never goes back (one processor, constant rate).

use crate::cpu;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use revenant_hal::{Clock, Nanoseconds};
use x86_64::instructions::port::Port;

/// Ticks a second: how late a time-out or a due snapshot can be noticed by a processor that computes without a pause.
pub const TICKS_PER_SECOND: u64 = 250;
const PIT_FREQUENCY: u64 = 1_193_182;
/// How long one calibration measures, in counts of the PIT: about 10 ms.
const CALIBRATION_COUNTS: u16 = 11_932;
const CALIBRATION_ROUNDS: usize = 3;
/// A measurement that did not end after this many polls: there is no PIT.
const CALIBRATION_POLLS: u32 = 50_000_000;
const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
/// Used if there is no PIT to measure against: 1 GHz, one tick a nanosecond.
const FALLBACK_RATE: u64 = NANOSECONDS_PER_SECOND;

static TICKS: AtomicU64 = AtomicU64::new(0);

/// Ticks of the periodic timer since it was started.
#[must_use]
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

pub(crate) fn on_tick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

/// Starts the periodic timer.
pub fn start_ticking() {
    let divisor = PIT_FREQUENCY / TICKS_PER_SECOND;
    let [low, high, ..] = divisor.to_le_bytes();
    // SAFETY: channel 0 of the PIT belongs to this module; mode 2 makes it interrupt periodically.
    unsafe {
        Port::<u8>::new(0x43).write(0b0011_0100);
        Port::<u8>::new(0x40).write(low);
        Port::<u8>::new(0x40).write(high);
    }
}

/// The counter's scale once it is measured, for code that has no clock at hand.
static SCALE: AtomicU64 = AtomicU64::new(1 << 32);

/// Time since some point before the boot; for time-outs of the panic path.
pub(crate) fn coarse_now() -> Duration {
    let scaled = (u128::from(cpu::timestamp()) * u128::from(SCALE.load(Ordering::Relaxed))) >> 32;
    Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub struct MachineClock {
    base: u64,
    /// Nanoseconds a tick of the counter, in 2^-32 ns.
    scale: u64,
    wall_at_base: u64,
}

impl MachineClock {
    /// Measures the counter and reads the RTC. Takes about 30 ms.
    #[must_use]
    pub fn calibrate() -> Self {
        let rate = (0..CALIBRATION_ROUNDS).filter_map(|_| measure()).min().unwrap_or(FALLBACK_RATE);
        let scale = (u128::from(NANOSECONDS_PER_SECOND) << 32) / u128::from(rate.max(1));
        let scale = u64::try_from(scale).unwrap_or(u64::MAX);
        SCALE.store(scale, Ordering::Relaxed);
        Self {
            base: cpu::timestamp(),
            scale,
            wall_at_base: crate::rtc::seconds_since_1970() * NANOSECONDS_PER_SECOND,
        }
    }

    /// Converts a difference of the time-stamp counter.
    #[must_use]
    pub fn span(&self, ticks: u64) -> Nanoseconds {
        let scaled = (u128::from(ticks) * u128::from(self.scale)) >> 32;
        Nanoseconds(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// The time since a reading of the time-stamp counter of this boot.
    #[must_use]
    pub fn since(&self, timestamp: u64) -> Nanoseconds {
        self.span(cpu::timestamp().wrapping_sub(timestamp))
    }

    /// The counter's rate in kHz.
    #[must_use]
    pub fn rate_khz(&self) -> u64 {
        (1_000_000u64 << 32) / self.scale.max(1)
    }
}

impl Clock for MachineClock {
    fn monotonic(&self) -> Nanoseconds {
        self.span(cpu::timestamp().wrapping_sub(self.base))
    }

    fn wall(&self) -> Nanoseconds {
        Nanoseconds(self.wall_at_base.saturating_add(self.monotonic().get()))
    }
}

/// Ticks of the time-stamp counter a second, by one run of the PIT's channel 2. The shortest of a few measurements is
/// the one that nothing interrupted.
fn measure() -> Option<u64> {
    let [low, high] = CALIBRATION_COUNTS.to_le_bytes();
    let mut control: Port<u8> = Port::new(0x61);
    // SAFETY: channel 2 drives nothing but the speaker, which stays off (bit 1); bit 0 starts the count; bit 5 of the
    // same port shows its end.
    unsafe {
        let gate = control.read() & !0b11;
        control.write(gate);
        Port::<u8>::new(0x43).write(0b1011_0000);
        Port::<u8>::new(0x42).write(low);
        Port::<u8>::new(0x42).write(high);
        control.write(gate | 1);
    }
    let start = cpu::timestamp();
    for _ in 0..CALIBRATION_POLLS {
        // SAFETY: reading the port's status changes nothing.
        if unsafe { control.read() } & 0x20 != 0 {
            let elapsed = cpu::timestamp() - start;
            return Some(elapsed * PIT_FREQUENCY / u64::from(CALIBRATION_COUNTS));
        }
    }
    None
}
