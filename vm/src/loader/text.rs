//! Strings and tables of object space as values of this crate, for the loader and for who looks into the object tree.

use alloc::string::String;
use alloc::vec::Vec;

use revenant_hal::ObjectAddress;

use crate::memory::layout::object::{LENGTH, PAYLOAD, STRING_BYTES};
use crate::memory::{AddressExt, Space};

/// Most bytes that are copied out of one string or byte array: what damage can make this crate allocate.
const BYTES_MAX: u32 = 64 << 20;

/// The text of a string; nothing for null. What is not UTF-8, which only damage makes, is replaced.
#[must_use]
pub(crate) fn text_of(space: Space, string: ObjectAddress) -> String {
    if string.is_null() {
        return String::new();
    }
    let length = space.load::<u32>(string.plus(LENGTH));
    String::from_utf8_lossy(&bytes_at(space, string.plus(STRING_BYTES), length)).into_owned()
}

/// The content of a byte array; nothing for null.
#[must_use]
pub(crate) fn bytes_of(space: Space, array: ObjectAddress) -> Vec<u8> {
    if array.is_null() {
        return Vec::new();
    }
    bytes_at(space, array.plus(PAYLOAD), space.load(array.plus(LENGTH)))
}

fn bytes_at(space: Space, address: ObjectAddress, length: u32) -> Vec<u8> {
    let mut bytes = alloc::vec![0; length.min(BYTES_MAX) as usize];
    space.read(address, &mut bytes);
    bytes
}

/// The elements of a reference array; nothing for null.
#[must_use]
pub(crate) fn elements_of(space: Space, array: ObjectAddress) -> Vec<ObjectAddress> {
    if array.is_null() {
        return Vec::new();
    }
    let length = u64::from(space.load::<u32>(array.plus(LENGTH)).min(BYTES_MAX / 8));
    (0..length).map(|index| element_of(space, array, index)).collect()
}

/// An element of a reference array.
#[must_use]
pub(crate) fn element_of(space: Space, array: ObjectAddress, index: u64) -> ObjectAddress {
    ObjectAddress(space.load(array.plus(PAYLOAD + index * 8)))
}

/// The reference in a slot.
#[must_use]
pub(crate) fn slot_of(space: Space, object: ObjectAddress, offset: u64) -> ObjectAddress {
    ObjectAddress(space.load(object.plus(offset)))
}
