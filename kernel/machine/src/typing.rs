//! What a person types at the console: each byte shown, Enter turned into an end of line, Backspace taken back.
//!
//! The other end is a bare terminal, as a serial line has it: it sends a carriage return for Enter and shows nothing by itself.
//! What is typed is passed on at once, so that half a line survives a cut like everything else; a Backspace is passed on
//! as byte 0x7f, and `console.read_line` takes back what stood before it. Only how much of the running line was typed
//! since the start is known here, so that nobody erases what was shown by somebody else.
//!
//! Pure. Neighbours: the event loop calls it for every byte that `serial` has received.

/// Ctrl-C.
const INTERRUPT: u8 = 3;
const BACKSPACE: u8 = 8;
/// What most terminals send for Backspace, and what is passed on for it.
const DELETE: u8 = 0x7f;

/// The line that is being typed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Typing {
    /// Characters of it.
    characters: usize,
    /// The last byte was a carriage return: a newline after it belongs to it.
    after_return: bool,
}

impl Typing {
    /// Takes a byte, gives `show` what the terminal is to show for it, and returns what programs are to read.
    pub fn take(&mut self, byte: u8, mut show: impl FnMut(&[u8])) -> Option<u8> {
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            b'\n' if after_return => None,
            b'\r' | b'\n' => {
                self.characters = 0;
                show(b"\n");
                Some(b'\n')
            }
            INTERRUPT => {
                self.characters = 0;
                show(b"^C\n");
                Some(INTERRUPT)
            }
            BACKSPACE | DELETE => {
                self.characters = self.characters.checked_sub(1)?;
                show(b"\x08 \x08");
                Some(DELETE)
            }
            b'\t' => self.character(byte, b" ", show),
            // Neither text nor a key that means something here.
            0..0x20 => None,
            _ => self.character(byte, &[byte], show),
        }
    }

    fn character(&mut self, byte: u8, shown: &[u8], mut show: impl FnMut(&[u8])) -> Option<u8> {
        let goes_on = byte & 0xc0 == 0x80; // a later byte of a character in UTF-8
        self.characters += usize::from(!goes_on);
        show(shown);
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn type_all(bytes: &[u8]) -> (String, Vec<u8>) {
        let (mut typing, mut shown, mut passed) = (Typing::default(), Vec::new(), Vec::new());
        for byte in bytes {
            passed.extend(typing.take(*byte, |text| shown.extend_from_slice(text)));
        }
        (String::from_utf8_lossy(&shown).into_owned(), passed)
    }

    #[test]
    fn enter_ends_a_line_however_the_terminal_says_it() {
        let (shown, passed) = type_all(b"a\rb\nc\r\nd\r\r");
        assert_eq!(
            (shown.as_str(), passed.as_slice()),
            ("a\nb\nc\nd\n\n", b"a\nb\nc\nd\n\n" as &[u8])
        );
    }

    #[test]
    fn backspace_takes_characters_back_and_never_more_than_were_typed() {
        let (shown, passed) = type_all("x\r\u{7f}\u{e9}y\u{8}\u{7f}\u{7f}z\u{1b}\r".as_bytes());
        assert_eq!(shown, "x\n\u{e9}y\u{8} \u{8}\u{8} \u{8}z\n");
        assert_eq!(passed, "x\n\u{e9}y\u{7f}\u{7f}z\n".as_bytes());
    }

    #[test]
    fn an_interruption_is_shown_and_begins_a_new_line() {
        let (shown, passed) = type_all(b"ab\x03\x7fc");
        assert_eq!((shown.as_str(), passed.as_slice()), ("ab^C\nc", b"ab\x03c" as &[u8]));
    }
}
