//! Lines of the kernel's log: a first word, then `key=value` words, for people and for the harness that reads them.

/// Writes one line to the serial port.
#[macro_export]
macro_rules! log {
    ($($text:tt)*) => {
        revenant_machine::serial::write(format_args!("{}\n", format_args!($($text)*)))
    };
}
