//! The battery-backed clock: read once at the boot, in UTC.

use x86_64::instructions::port::Port;

const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATE_IN_PROGRESS: u8 = 0x80;
const BINARY: u8 = 0x04;
const TWENTY_FOUR_HOURS: u8 = 0x02;
const AFTERNOON: u8 = 0x80;
/// Reads until two agree; a clock that never settles is taken as it is.
const ATTEMPTS: usize = 100;

/// What the clock's registers hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Registers {
    seconds: u8,
    minutes: u8,
    hours: u8,
    day: u8,
    month: u8,
    year: u8,
    status: u8,
}

/// Seconds since 1970-01-01 UTC, as the machine's clock has it.
#[must_use]
pub(crate) fn seconds_since_1970() -> u64 {
    let mut last = Registers::default();
    for _ in 0..ATTEMPTS {
        if read(STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            core::hint::spin_loop();
            continue;
        }
        let now = read_all();
        if now == last {
            break;
        }
        last = now;
    }
    decode(last)
}

fn read_all() -> Registers {
    Registers {
        seconds: read(SECONDS),
        minutes: read(MINUTES),
        hours: read(HOURS),
        day: read(DAY),
        month: read(MONTH),
        year: read(YEAR),
        status: read(STATUS_B),
    }
}

fn read(register: u8) -> u8 {
    // SAFETY: the index port selects, the data port reads; bit 7 of the index would mask NMIs and stays clear.
    unsafe {
        Port::<u8>::new(0x70).write(register);
        Port::<u8>::new(0x71).read()
    }
}

/// Turns registers of either number format into seconds. Years are of the 21st century.
fn decode(registers: Registers) -> u64 {
    let binary = |value: u8| {
        if registers.status & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 0x0f) }
    };
    let mut hours = binary(registers.hours & !AFTERNOON);
    if registers.status & TWENTY_FOUR_HOURS == 0 {
        hours = hours % 12 + if registers.hours & AFTERNOON != 0 { 12 } else { 0 };
    }
    let year = 2000 + u64::from(binary(registers.year));
    let days =
        days_since_1970(year, u64::from(binary(registers.month)), u64::from(binary(registers.day)));
    ((days * 24 + u64::from(hours)) * 60 + u64::from(binary(registers.minutes))) * 60
        + u64::from(binary(registers.seconds))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let century = year / 100;
    let to_march_first = year * 365 + year / 4 - century + century / 4;
    (to_march_first + (153 * month + 2) / 5 + day).saturating_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_seconds_in_both_number_formats() {
        let binary = Registers {
            seconds: 9,
            minutes: 8,
            hours: 15,
            day: 22,
            month: 11,
            year: 26,
            status: BINARY | TWENTY_FOUR_HOURS,
        };
        assert_eq!(decode(binary), 1_795_360_089);
        let decimal = Registers {
            seconds: 0x09,
            minutes: 0x08,
            hours: 0x03 | AFTERNOON,
            day: 0x22,
            month: 0x11,
            year: 0x26,
            status: 0,
        };
        assert_eq!(decode(decimal), decode(binary));
    }

    #[test]
    fn midnight_and_noon_of_a_twelve_hour_clock() {
        let clock = |hours| Registers {
            hours,
            day: 1,
            month: 1,
            year: 0,
            status: BINARY,
            ..Registers::default()
        };
        let day = days_since_1970(2000, 1, 1) * 86_400;
        assert_eq!(decode(clock(12)), day);
        assert_eq!(decode(clock(12 | AFTERNOON)), day + 12 * 3600);
        assert_eq!(days_since_1970(1970, 1, 1), 0);
        assert_eq!(days_since_1970(2024, 3, 1) - days_since_1970(2024, 2, 28), 2);
    }
}
