//! Makes the objects of a load: memory and raw words at once, references later.
//!
//! Invariant: until [`Maker::publish`] no object made here refers to another, so what a failed load leaves behind are single
//! objects with count zero. `publish` cannot fail.

use alloc::vec::Vec;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use crate::counting;
use crate::heap::{self, AllocationError, Allocator};
use crate::memory::layout::object::{CLASS, LENGTH, PAYLOAD, STRING_BYTES};
use crate::memory::{AddressExt, Space};

/// Memory from one group's allocator, and the references to be stored.
pub(super) struct Maker {
    /// Object space.
    pub(super) space: Space,
    allocator: Allocator,
    references: Vec<(ObjectAddress, ObjectAddress)>,
    /// Class objects made.
    classes: Vec<ObjectAddress>,
}

impl Maker {
    /// With nothing made yet.
    pub(super) const fn new(space: Space, allocator: Allocator) -> Self {
        Self { space, allocator, references: Vec::new(), classes: Vec::new() }
    }

    /// An object of a built-in class with `bytes` bytes, header included, all zero.
    pub(super) fn plain(
        &self,
        class: Builtin,
        bytes: u64,
    ) -> Result<ObjectAddress, AllocationError> {
        self.sized(class as u32, 0, bytes.saturating_sub(PAYLOAD))
    }

    /// An object of a class given by its index: `payload` bytes, with this length in its header.
    pub(super) fn sized(
        &self,
        class: u32,
        length: u64,
        payload: u64,
    ) -> Result<ObjectAddress, AllocationError> {
        let object = heap::allocate_sized(self.space, self.allocator, class, length, payload)?;
        self.space.end_step();
        Ok(object)
    }

    /// A string.
    pub(super) fn text(&self, text: &str) -> Result<ObjectAddress, AllocationError> {
        let length = text.len() as u64;
        let payload = length + (STRING_BYTES - PAYLOAD);
        let string = self.sized(Builtin::String as u32, length, payload)?;
        self.space.write(string.plus(STRING_BYTES), text.as_bytes());
        Ok(string)
    }

    /// A byte array.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<ObjectAddress, AllocationError> {
        let length = bytes.len() as u64;
        let array = self.sized(Builtin::ByteArray as u32, length, length)?;
        self.space.write(array.plus(PAYLOAD), bytes);
        Ok(array)
    }

    /// An array of 64-bit numbers.
    pub(super) fn longs(&self, words: &[u64]) -> Result<ObjectAddress, AllocationError> {
        let array =
            self.sized(Builtin::LongArray as u32, words.len() as u64, words.len() as u64 * 8)?;
        for (index, word) in words.iter().enumerate() {
            self.word(array, PAYLOAD + index as u64 * 8, *word);
        }
        Ok(array)
    }

    /// An array of references of a class, all null so far.
    pub(super) fn nulls(
        &self,
        class: Builtin,
        length: usize,
    ) -> Result<ObjectAddress, AllocationError> {
        self.sized(class as u32, length as u64, length as u64 * 8)
    }

    /// An array of references.
    pub(super) fn objects(
        &mut self,
        elements: &[ObjectAddress],
    ) -> Result<ObjectAddress, AllocationError> {
        self.objects_of(Builtin::ObjectArray, elements)
    }

    /// An array of references of an array class.
    pub(super) fn objects_of(
        &mut self,
        class: Builtin,
        elements: &[ObjectAddress],
    ) -> Result<ObjectAddress, AllocationError> {
        let array = self.nulls(class, elements.len())?;
        for (index, element) in elements.iter().enumerate() {
            self.refer(array, PAYLOAD + index as u64 * 8, *element);
        }
        Ok(array)
    }

    /// Writes a raw word.
    pub(super) fn word(&self, object: ObjectAddress, offset: u64, value: u64) {
        self.space.store(object.plus(offset), value);
    }

    /// Will store a reference.
    pub(super) fn refer(&mut self, object: ObjectAddress, offset: u64, value: ObjectAddress) {
        self.references.push((object.plus(offset), value));
    }

    /// A class object with `payload` bytes. Until it is published it is an array of numbers to everybody else, because class
    /// objects are never freed and this one may have to be.
    pub(super) fn class(&mut self, payload: u64) -> Result<ObjectAddress, AllocationError> {
        let object = self.sized(Builtin::LongArray as u32, payload.div_ceil(8), payload)?;
        self.classes.push(object);
        Ok(object)
    }

    /// Stores all references, in the order in which they were given. Cannot fail.
    pub(super) fn publish(self) {
        for object in self.classes {
            self.space.store(object.plus(CLASS), Builtin::Class as u32);
            self.space.store(object.plus(LENGTH), 0_u32);
            counting::make_immortal(self.space, object);
        }
        for (place, value) in self.references {
            counting::store_reference(self.space, place, value);
            self.space.end_step();
        }
    }
}
