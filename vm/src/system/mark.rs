//! The console as the kernel sees it: output on its way out, with the mark of a restart, and input on its way in.

use crate::console;

use super::activity::Activity;
use super::vm::Vm;

/// What the console shows where a restart came between.
const RESTART_MARK: &[u8] = b"\n-- restarted --\n";

/// The mark of a restart on its way to the console. It stands in no ring, so it needs no room there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    None,
    /// It is to be sent before anything else.
    Due,
    /// It is the batch that was taken last.
    Taken,
}

impl Vm {
    /// Copies the next batch of console output into `buffer` and returns how many bytes. `sent` bytes of the batch before (all
    /// of it, or 0 at first) have left the machine: the persistent drain cursor moves over those, and over no others, so
    /// what a cut keeps from leaving comes again. *In an attempt.* 0: everything was sent.
    pub fn console_drain(&mut self, sent: usize, buffer: &mut [u8]) -> usize {
        self.activity.set(Activity::System);
        self.deeds += u64::from(sent > 0);
        let space = self.worker.space;
        let of_ring = if self.mark == Mark::Taken { 0 } else { sent };
        if self.mark == Mark::Due {
            console::drain(space, of_ring, &mut []);
            self.mark = Mark::Taken;
            let count = RESTART_MARK.len().min(buffer.len());
            buffer[..count].copy_from_slice(&RESTART_MARK[..count]);
            return count;
        }
        let count = console::drain(space, of_ring, buffer);
        self.mark = Mark::None;
        count
    }

    /// Enters input into the persistent queue and wakes the foreground reader; returns how many bytes found room. *In an
    /// attempt.* Byte 3 (Ctrl-C) interrupts every thread of the foreground program's group, in the turns that follow, and is not queued.
    pub fn console_input(&mut self, bytes: &[u8]) -> usize {
        self.activity.set(Activity::System);
        self.deeds += 1;
        let space = self.worker.space;
        let end = bytes.iter().position(|byte| *byte == 3).unwrap_or(bytes.len());
        let (before, from) = bytes.split_at(end);
        if !before.is_empty() {
            let entered = console::enter(space, before);
            if entered > 0 || from.is_empty() {
                return entered;
            }
            // The queue is full and nobody reads: an interruption does not wait behind what cannot be entered. It comes with
            // the next call: this one may not end at a page after it has counted.
            console::lose(space, before.len());
            self.worker.requests.console_input_lost += before.len() as u64;
            return before.len();
        }
        let program = console::foreground(space);
        if !from.is_empty() && program != 0 {
            console::interrupt_foreground(space);
        }
        from.len().min(1)
    }
}
