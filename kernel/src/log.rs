//! Lines of the kernel's log: a first word, then `key=value` words, for people and for the harness that reads them.
//!
//! The last lines are kept for the epitaph. With `quiet` on the command line, lines of every day ([`detail!`]) are kept but not
//! sent: a person at the console sees what programs say, and what is wrong.

use alloc::collections::VecDeque;
use alloc::string::String;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use revenant_machine::cell::ExclusiveCell;
use revenant_machine::{heap, serial};

/// Lines kept.
const KEPT_LINES: usize = 16;
/// A longer line is kept shortened.
const KEPT_BYTES: usize = 160;

static KEPT: ExclusiveCell<VecDeque<String>> = ExclusiveCell::new(VecDeque::new());

/// Writes one line to the serial port and keeps it.
#[macro_export]
macro_rules! log {
    ($($text:tt)*) => {
        $crate::log::line(format_args!($($text)*))
    };
}

/// The same for what is said in a machine where nothing is wrong.
#[macro_export]
macro_rules! detail {
    ($($text:tt)*) => {
        $crate::log::detail(format_args!($($text)*))
    };
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// Sends no details from here on.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// See [`detail!`].
pub(crate) fn detail(text: fmt::Arguments<'_>) {
    if QUIET.load(Ordering::Relaxed) {
        keep(text);
    } else {
        line(text);
    }
}

/// See [`log!`]. Not for traps: it allocates.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    serial::write_line(text);
    keep(text);
}

fn keep(text: fmt::Arguments<'_>) {
    if heap::size_bytes() == 0 {
        return; // the first lines come before there is a heap
    }
    KEPT.with(|kept| {
        let mut line = if kept.len() < KEPT_LINES {
            String::with_capacity(KEPT_BYTES)
        } else {
            kept.pop_front().unwrap_or_default()
        };
        line.clear();
        let _full = fmt::write(&mut Bounded(&mut line), text);
        kept.push_back(line);
    });
}

/// Appends the kept lines, newest last.
pub(crate) fn append_kept(target: &mut impl fmt::Write) {
    KEPT.try_with(|kept| {
        for line in kept.iter() {
            let _full = writeln!(target, "{line}");
        }
    });
}

/// Refuses what does not fit, so that a kept line never grows.
struct Bounded<'a>(&'a mut String);

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.len() + character.len_utf8() > KEPT_BYTES {
                return Err(fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}
