//! The first serial port: the console of the machine and the log of the kernel.
//!
//! Output goes into a ring that the transmit interrupt empties; before interrupts are on, and from a panic, it is sent by
//! polling. Input goes from the receive interrupt into a ring of its own; bytes that come while it is full are counted,
//! and the event loop says so ([`take_lost_input`]). Newlines are sent as CR LF.
//!
//! Nobody may be at the other end: a terminal that was stopped, a pipe that is not read. Every wait for the wire ends, what
//! does not fit then is counted and lost, and the log says so when the wire takes something again.

use crate::cell::ExclusiveCell;
use crate::clock::coarse_now;
use crate::cpu;
use crate::ring::ByteRing;
use core::fmt::{self, Write};
use core::time::Duration;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::{IER, ISR};
use uart_16550::{BaudRate, Config, Uart16550};

/// COM1.
const PORT: u16 = 0x3f8;
const OUTPUT_CAPACITY: usize = 64 * 1024;
const INPUT_CAPACITY: usize = 4 * 1024;
/// What a 16550 takes at once when its transmitter is empty.
const FIFO_SIZE: usize = 16;
/// A device that takes no byte for so long has nobody at its other end. The wire needs 90 us for one.
const STALL: Duration = Duration::from_secs(1);
/// What one wait may take at most: nearly twice what the whole ring needs on the wire.
const PATIENCE: Duration = Duration::from_secs(10);

struct Serial {
    uart: Option<Uart16550<PioBackend>>,
    output: ByteRing<OUTPUT_CAPACITY>,
    input: ByteRing<INPUT_CAPACITY>,
    lost_input: u64,
    /// Nobody took anything during the last wait: there is no other before something is taken.
    stalled: bool,
    /// Bytes of output lost since they were last told of.
    lost_output: u64,
    /// Bytes ever queued.
    queued: u64,
    /// Bytes ever given to the device.
    given: u64,
    interrupt_driven: bool,
    /// What was queued last did not end a line: a program's text. A line of the log then begins with a newline.
    inside_line: bool,
}

static SERIAL: ExclusiveCell<Serial> = ExclusiveCell::new(Serial {
    uart: None,
    output: ByteRing::new(),
    input: ByteRing::new(),
    lost_input: 0,
    stalled: false,
    lost_output: 0,
    queued: 0,
    given: 0,
    interrupt_driven: false,
    inside_line: false,
});

impl Serial {
    /// Sends up to `limit` queued bytes while the device takes them; false if the device would not take the next one.
    fn send(&mut self, limit: usize) -> bool {
        let Some(uart) = self.uart.as_mut() else { return true };
        for _ in 0..limit {
            let Some(byte) = self.output.front() else { return true };
            if uart.try_send_byte(byte).is_err() {
                return false;
            }
            self.output.pop();
            self.given += 1;
            self.stalled = false;
        }
        true
    }

    /// Sends everything queued, as long as somebody takes it.
    fn flush(&mut self) {
        let begin = coarse_now();
        let mut last = (self.given, begin);
        while !self.output.is_empty() && self.uart.is_some() {
            self.send(OUTPUT_CAPACITY);
            let now = coarse_now();
            if self.given != last.0 {
                last = (self.given, now);
            }
            let waits_for = |since: Duration| now.saturating_sub(since);
            if self.stalled || waits_for(last.1) > STALL || waits_for(begin) > PATIENCE {
                self.stalled = true;
                return;
            }
            core::hint::spin_loop();
        }
    }

    fn queue(&mut self, byte: u8) {
        let mut queued = self.output.push(byte);
        if !queued {
            // A full ring: the log is faster than the wire.
            self.flush();
            queued = self.output.push(byte);
        }
        self.queued += u64::from(queued);
        self.lost_output += u64::from(!queued);
    }

    /// Says how much was lost, once half of the ring is free for it and for what follows.
    fn tell_of_loss(&mut self) {
        if self.lost_output > 0 && self.output.len() < OUTPUT_CAPACITY / 2 {
            let lost = core::mem::take(&mut self.lost_output);
            let _infallible =
                self.write_fmt(format_args!("\nserial lost={lost} bytes: nobody took them\n"));
        }
    }

    fn receive(&mut self) {
        let Some(uart) = self.uart.as_mut() else { return };
        while let Ok(byte) = uart.try_receive_byte() {
            if !self.input.push(byte) {
                self.lost_input += 1;
            }
        }
    }
}

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.queue(b'\r');
            }
            self.queue(byte);
        }
        Ok(())
    }
}

/// Sets the port up for polling. Without a port the kernel runs on, mute.
pub fn initialise() {
    SERIAL.with_interrupts_off(|serial| {
        // SAFETY: COM1's registers belong to nothing else; this is the only place that makes a driver for them.
        let Ok(mut uart) = (unsafe { Uart16550::new_port(PORT) }) else { return };
        let config = Config {
            baud_rate: BaudRate::Baud115200,
            check_cts_before_sending: false,
            ..Config::DEFAULT
        };
        if uart.init(config).is_ok() {
            serial.uart = Some(uart);
        }
    });
}

/// Lets the port interrupt; call when its interrupt has a handler.
pub fn enable_interrupts() {
    SERIAL.with_interrupts_off(|serial| {
        if let Some(uart) = serial.uart.as_mut() {
            uart.enable_interrupts(IER::DATA_READY | IER::THR_EMPTY);
            serial.interrupt_driven = true;
        }
        serial.send(FIFO_SIZE);
    });
}

/// Causes that one interrupt looks at: more than there can be, unless the device is broken.
const CAUSES: usize = 64;

/// The interrupt handler's part: take what came, send what fits, until the device has no cause left. The line is
/// edge-triggered: a byte that comes while the handler runs keeps it high, and the device would never interrupt again.
pub(crate) fn on_interrupt() {
    SERIAL.with_interrupts_off(|serial| {
        for _ in 0..CAUSES {
            let Some(uart) = serial.uart.as_mut() else { return };
            // Reading the cause takes the transmit interrupt back.
            if uart.isr().contains(ISR::INTERRUPT_STATUS) {
                return; // set means: nothing is pending
            }
            serial.receive();
            serial.send(FIFO_SIZE);
        }
    });
}

/// Writes a line of the log.
pub fn write_line(text: fmt::Arguments<'_>) {
    SERIAL.with_interrupts_off(|serial| {
        serial.tell_of_loss();
        if core::mem::take(&mut serial.inside_line) {
            let _infallible = serial.write_str("\n");
        }
        let _infallible = serial.write_fmt(format_args!("{text}\n"));
        if serial.interrupt_driven {
            serial.send(FIFO_SIZE);
        } else {
            serial.flush();
        }
    });
}

/// Bytes of console text that [`write_text`] would take now without waiting for the wire, were each a newline.
pub fn room() -> usize {
    SERIAL.with_interrupts_off(|serial| (OUTPUT_CAPACITY - serial.output.len()) / 2)
}

/// A place in the stream of output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u64);

/// Whether everything before `place` has left the machine. The interrupt that tells so raises attention.
pub fn has_sent(place: Place) -> bool {
    SERIAL.with_interrupts_off(|serial| {
        let given = serial.given;
        // What was given last may stand in the device's queue until that is empty; what was given before does not.
        serial.uart.as_mut().is_none_or(|uart| {
            given > place.0 || (given == place.0 && uart.ready_to_send().is_ok())
        })
    })
}

/// Queues console text of programs; the place behind it.
pub fn write_text(bytes: &[u8]) -> Place {
    SERIAL.with_interrupts_off(|serial| {
        for byte in bytes {
            if *byte == b'\n' {
                serial.queue(b'\r');
            }
            serial.queue(*byte);
        }
        if let Some(last) = bytes.last() {
            serial.inside_line = *last != b'\n';
        }
        serial.send(FIFO_SIZE);
        Place(serial.queued)
    })
}

/// The next input byte.
pub fn read_byte() -> Option<u8> {
    SERIAL.with_interrupts_off(|serial| serial.input.pop())
}

/// Whether input waits.
pub fn has_input() -> bool {
    SERIAL.with_interrupts_off(|serial| !serial.input.is_empty())
}

/// Input bytes lost since the last call because nobody read them in time.
pub fn take_lost_input() -> u64 {
    SERIAL.with_interrupts_off(|serial| core::mem::take(&mut serial.lost_input))
}

/// Sends everything queued and waits until it is gone, or nobody takes it.
pub fn drain() {
    cpu::without_interrupts(|| SERIAL.try_with(Serial::flush));
}

/// Writes from a panic: everything queued first, by polling, even if the code that panicked was in here.
pub(crate) fn write_emergency(text: fmt::Arguments<'_>) {
    let written = SERIAL.try_with(|serial| {
        serial.flush();
        let _infallible = serial.write_fmt(text);
        serial.flush();
    });
    if written.is_none() {
        // SAFETY: interrupts are off for good and the holder of the port never runs again.
        if let Ok(uart) = unsafe { Uart16550::new_port(PORT) } {
            let _infallible = Polled(uart).write_fmt(text);
        }
    }
}

/// A port that is written by polling alone.
struct Polled(Uart16550<PioBackend>);

impl Write for Polled {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let begin = coarse_now();
        for byte in text.bytes() {
            while self.0.try_send_byte(byte).is_err() {
                if coarse_now().saturating_sub(begin) > STALL {
                    return Err(fmt::Error);
                }
                core::hint::spin_loop();
            }
        }
        Ok(())
    }
}
