//! The two interrupt controllers and what each line does. Handlers take what came and raise the attention flag.
//!
//! Lines of PCI devices are level-triggered and shared: the handler masks the line and notes it; the driver, in the event
//! loop, takes back its device's request and opens the line again ([`reopen`]). So a handler needs nothing of a driver,
//! and a line that nobody takes back stays silent instead of storming.

use crate::cell::ExclusiveCell;
use crate::{attention, clock, serial, trap};
use core::sync::atomic::{AtomicU16, Ordering};
use pic8259::ChainedPics;
use x86_64::instructions::port::Port;

const TIMER_LINE: u8 = 0;
const CASCADE_LINE: u8 = 2;
const SERIAL_LINE: u8 = 4;
/// A request that went away before it was served shows as the last line of its controller.
const SPURIOUS_FIRST: u8 = 7;
const SPURIOUS_SECOND: u8 = 15;
/// The ports of the controllers' masks.
const FIRST_MASK: u16 = 0x21;
const SECOND_MASK: u16 = 0xa1;
/// Command: the next read of the command port gives the in-service register.
const READ_IN_SERVICE: u8 = 0x0b;

/// Set bits are closed lines.
static MASK: AtomicU16 = AtomicU16::new(0xffff);
/// Lines of devices that asked since the last [`reopen`].
static PENDING: AtomicU16 = AtomicU16::new(0);

static CONTROLLERS: ExclusiveCell<ChainedPics> =
    // SAFETY: vectors 32 to 47 belong to no exception.
    ExclusiveCell::new(unsafe { ChainedPics::new_contiguous(trap::FIRST_INTERRUPT) });

/// Moves the controllers' vectors out of the exceptions' way and opens the lines of timer and serial port.
pub fn initialise() {
    CONTROLLERS.with_interrupts_off(|controllers| {
        // SAFETY: the interrupt table has an entry for each of the sixteen vectors.
        unsafe {
            controllers.initialize();
            controllers.write_masks(u8::MAX, u8::MAX);
        }
    });
    for line in [TIMER_LINE, CASCADE_LINE, SERIAL_LINE] {
        open(line);
    }
}

/// Opens a line.
pub fn open(line: u8) {
    change_mask(|mask| mask & !(1 << line));
}

/// Whether a device's line asked since the last [`reopen`].
#[must_use]
pub fn is_pending(line: u8) -> bool {
    PENDING.load(Ordering::Acquire) & (1 << line) != 0
}

/// Opens a device's line again after the driver has taken back the device's request.
pub fn reopen(line: u8) {
    PENDING.fetch_and(!(1 << line), Ordering::AcqRel);
    open(line);
}

/// Writes to the controller whose mask changes: each write is an exit to an emulator.
fn change_mask(change: impl FnOnce(u16) -> u16) {
    crate::cpu::without_interrupts(|| {
        let before = MASK.load(Ordering::Relaxed);
        let after = change(before);
        MASK.store(after, Ordering::Relaxed);
        let masks = before.to_le_bytes().into_iter().zip(after.to_le_bytes());
        for (port, (before, after)) in [FIRST_MASK, SECOND_MASK].into_iter().zip(masks) {
            if before != after {
                // SAFETY: masks decide which interrupts come; every vector has a handler.
                unsafe { Port::new(port).write(after) };
            }
        }
    });
}

/// Called by the trap dispatcher, interrupts off.
pub(crate) fn handle(line: u8) {
    if is_spurious(line) {
        return;
    }
    match line {
        TIMER_LINE => clock::on_tick(),
        SERIAL_LINE => serial::on_interrupt(),
        _ => {
            PENDING.fetch_or(1 << line, Ordering::AcqRel);
            change_mask(|mask| mask | 1 << line);
        }
    }
    attention::raise();
    acknowledge(line);
}

fn acknowledge(line: u8) {
    CONTROLLERS.with(|controllers| {
        // SAFETY: this line's interrupt is in service.
        unsafe { controllers.notify_end_of_interrupt(trap::FIRST_INTERRUPT + line) };
    });
}

/// A spurious request is not in service; one of the second controller still has to be acknowledged at the first.
fn is_spurious(line: u8) -> bool {
    let port = match line {
        SPURIOUS_FIRST => 0x20,
        SPURIOUS_SECOND => 0xa0,
        _ => return false,
    };
    let mut command: Port<u8> = Port::new(port);
    // SAFETY: selecting and reading the in-service register changes nothing in the controller.
    let in_service = unsafe {
        command.write(READ_IN_SERVICE);
        command.read()
    };
    let spurious = in_service & 0x80 == 0;
    if spurious && line == SPURIOUS_SECOND {
        acknowledge(CASCADE_LINE);
    }
    spurious
}
