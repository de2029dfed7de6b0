//! QEMU's configuration device: named files from the command line of the emulator.
//!
//! Only reads; on a machine without the device there are no files.

use alloc::string::String;
use alloc::vec::Vec;
use x86_64::instructions::port::Port;

const SELECTOR_PORT: u16 = 0x510;
const DATA_PORT: u16 = 0x511;
const SIGNATURE: u16 = 0x0000;
const DIRECTORY: u16 = 0x0019;
/// Files listed; more than QEMU ever has.
const MAX_FILES: u32 = 1024;
/// The longest file that is read.
const MAX_BYTES: u32 = 64 * 1024;
const NAME_LENGTH: usize = 56;
const ENTRY_LENGTH: usize = 8 + NAME_LENGTH;

/// The content of a file as text, if there is such a file and it is text. A final zero byte is left away.
#[must_use]
pub fn read_text(name: &str) -> Option<String> {
    let mut bytes = read(name)?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    String::from_utf8(bytes).ok()
}

fn read(name: &str) -> Option<Vec<u8>> {
    if select(SIGNATURE).take::<4>() != *b"QEMU" {
        return None;
    }
    let mut data = select(DIRECTORY);
    let count = big_endian_u32(data.take()).min(MAX_FILES);
    let (size, selector) =
        (0..count).find_map(|_| match_entry(&data.take::<ENTRY_LENGTH>(), name))?;
    let mut data = select(selector);
    Some((0..size.min(MAX_BYTES)).map(|_| data.byte()).collect())
}

/// Size and selector of a directory entry, if it is the one with this name.
fn match_entry(entry: &[u8; ENTRY_LENGTH], name: &str) -> Option<(u32, u16)> {
    let (numbers, text) = entry.split_at(8);
    let length = text.iter().position(|byte| *byte == 0).unwrap_or(NAME_LENGTH);
    if text.get(..length) != Some(name.as_bytes()) {
        return None;
    }
    let [s0, s1, s2, s3, k0, k1, ..] = *numbers else { return None };
    Some((big_endian_u32([s0, s1, s2, s3]), u16::from(k0) << 8 | u16::from(k1)))
}

/// The device's directory is big-endian, whatever the machine.
fn big_endian_u32(bytes: [u8; 4]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The bytes of the selected item, one after the other; zeros after its end.
struct Data(Port<u8>);

fn select(item: u16) -> Data {
    // SAFETY: selecting an item changes nothing but the selection.
    unsafe { Port::new(SELECTOR_PORT).write(item) };
    Data(Port::new(DATA_PORT))
}

impl Data {
    fn byte(&mut self) -> u8 {
        // SAFETY: reading moves the device's cursor and nothing else.
        unsafe { self.0.read() }
    }

    fn take<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        core::array::from_fn(|_| self.byte())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_matched_by_its_whole_name() {
        let mut entry = [0; ENTRY_LENGTH];
        entry[..8].copy_from_slice(&[0, 0, 1, 2, 0, 0x2a, 0, 0]);
        entry[8..14].copy_from_slice(b"opt/re");
        assert_eq!(match_entry(&entry, "opt/re"), Some((0x102, 0x2a)));
        assert_eq!(match_entry(&entry, "opt/r"), None);
        assert_eq!(match_entry(&entry, "opt/rev"), None);
    }
}
