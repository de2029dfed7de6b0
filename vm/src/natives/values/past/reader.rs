//! What stood in a snapshot: words, headers and parts of objects, read through the environment and believed of nothing.
//!
//! An object of the present is the one that stands at its address in the snapshot exactly if both were born in the same epoch and an
//! object started there then: epochs never go back, on no branch, and of those born in one epoch at one place the last is what a
//! snapshot holds.

use revenant_bytecode::Builtin;
use revenant_hal::{Epoch, ObjectAddress, PAGE_SIZE_U64};

use crate::counting::class_at;
use crate::exception::Thrown;
use crate::heap::{AllocationError, metadata};
use crate::memory::layout::class::{
    FIRST_MODULE_CLASS, KIND, KIND_PLAIN, KIND_RAW_ARRAY, KIND_REFERENCE_ARRAY,
};
use crate::memory::layout::object::{
    BIRTH_AND_FLAGS, BIRTH_MASK, CLASS, LENGTH, LENGTH_OVERFLOW, META_START, PAYLOAD,
};
use crate::memory::layout::{GRANULE, area, map};
use crate::memory::{AddressExt, Space};
use crate::object::map::locate;
use crate::system::{Environment, PastRead};

/// Why a step of a copy was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// A page of the snapshot is on its way.
    Waits,
    /// The copy ends.
    Throws(Thrown),
}

impl<T: Into<Thrown>> From<T> for Stop {
    fn from(thrown: T) -> Self {
        Self::Throws(thrown.into())
    }
}

/// The place holds no object, or not what it must.
pub(super) fn damaged(place: ObjectAddress) -> Stop {
    AllocationError::Damaged(place).into()
}

/// The first words of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) class: u32,
    pub(super) length: u32,
    birth: u64,
}

/// A snapshot, as far as it can be read now.
pub(super) struct Past<'e> {
    pub(super) epoch: Epoch,
    pub(super) environment: &'e mut dyn Environment,
}

impl Past<'_> {
    /// Bytes from an address on, over ends of pages.
    pub(super) fn bytes(&mut self, from: ObjectAddress, into: &mut [u8]) -> Result<(), Stop> {
        let (mut from, mut rest) = (from, into);
        while !rest.is_empty() {
            if !from.is_inside() {
                return Err(damaged(from));
            }
            let room = PAGE_SIZE_U64 - from.0 % PAGE_SIZE_U64;
            let count = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let (piece, next) = rest.split_at_mut(count);
            match self.environment.read_past(self.epoch, from, piece) {
                PastRead::Read => {}
                PastRead::Waits => return Err(Stop::Waits),
                PastRead::Damaged => return Err(damaged(from)),
                PastRead::NoSnapshot => return Err(Builtin::InvalidArgumentException.into()),
            }
            (from, rest) = (from.plus(count as u64), next);
        }
        Ok(())
    }

    pub(super) fn u64(&mut self, place: ObjectAddress) -> Result<u64, Stop> {
        let mut word = [0; 8];
        self.bytes(place, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    pub(super) fn reference(&mut self, place: ObjectAddress) -> Result<ObjectAddress, Stop> {
        Ok(ObjectAddress(self.u64(place)?))
    }

    /// The header of the object that starts at an address; none if none starts there.
    pub(super) fn header(&mut self, object: ObjectAddress) -> Result<Option<Header>, Stop> {
        if !is_place(object) {
            return Ok(None);
        }
        let mut first = [0];
        self.bytes(metadata::address_of(object), &mut first)?;
        let shape = self.u64(object.plus(CLASS))?;
        let birth = self.u64(object.plus(BIRTH_AND_FLAGS))?;
        Ok((first[0] & META_START != 0).then(|| header_of(shape, birth)))
    }

    /// The header of what a reference of the snapshot leads to.
    pub(super) fn object(&mut self, object: ObjectAddress) -> Result<Header, Stop> {
        self.header(object)?.ok_or(damaged(object))
    }

    /// Whether what stands at the address now is what stood there in the snapshot.
    pub(super) fn is_the_same(&mut self, space: Space, now: ObjectAddress) -> Result<bool, Stop> {
        let shape = space.load(now.plus(CLASS));
        let birth = space.load(now.plus(BIRTH_AND_FLAGS));
        space.end_step();
        let (present, past) = (header_of(shape, birth), self.header(now)?);
        Ok(past.is_some_and(|past| (past.class, past.birth) == (present.class, present.birth)))
    }

    /// Whether objects of this class are copied: the class object if so. The class table of an abandoned branch may have other classes
    /// in the same places.
    pub(super) fn class(&mut self, space: Space, class: u32) -> Result<ObjectAddress, Stop> {
        let now = class_at(space, class);
        space.end_step();
        if class >= FIRST_MODULE_CLASS {
            let entry = ObjectAddress(area::CLASS_TABLE).plus(8 * u64::from(class));
            let same = !now.is_null() && self.reference(entry)? == now;
            if !same || !self.is_the_same(space, now)? {
                return Err(Thrown::New(Builtin::InvalidCastException, u64::from(class)).into());
            }
        }
        let kind = space.load::<u8>(now.plus(KIND));
        space.end_step();
        if is_copied(class, kind) {
            Ok(now)
        } else {
            Err(Thrown::New(Builtin::NotSupportedException, u64::from(class)).into())
        }
    }

    /// The length of an array or a text, whose header this is.
    pub(super) fn length(&mut self, object: ObjectAddress, header: Header) -> Result<u64, Stop> {
        let whole = header.length != LENGTH_OVERFLOW;
        if whole { Ok(u64::from(header.length)) } else { Err(damaged(object)) }
    }

    /// Key and value of an entry of a map, if it is live.
    pub(super) fn entry(
        &mut self,
        subject: ObjectAddress,
        entry: u64,
    ) -> Result<Option<(ObjectAddress, ObjectAddress)>, Stop> {
        let (segment, offset) = locate(entry);
        if segment >= map::SEGMENT_COUNT {
            return Err(damaged(subject));
        }
        let records = self.reference(subject.plus(map::SEGMENTS + 8 * segment))?;
        if !is_place(records) {
            return Err(damaged(subject));
        }
        let record = records.plus(PAYLOAD + offset * 8 * map::ENTRY_WORDS);
        if self.u64(record.plus(map::ENTRY_STATE))? & map::ENTRY_LIVE == 0 {
            return Ok(None);
        }
        let key = self.reference(record.plus(map::ENTRY_KEY))?;
        Ok(Some((key, self.reference(record.plus(map::ENTRY_VALUE))?)))
    }
}

/// Whether an object could start there.
fn is_place(object: ObjectAddress) -> bool {
    (area::HEAP..area::END).contains(&object.0) && object.0.is_multiple_of(GRANULE)
}

/// The header of two words.
fn header_of(shape: u64, birth: u64) -> Header {
    let half = |word: u64| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
    let length = half(shape >> (8 * (LENGTH - CLASS)));
    Header { class: half(shape), length, birth: birth & BIRTH_MASK }
}

/// Data are copied; what stands for the machine, for code or for somebody's identity is not.
fn is_copied(class: u32, kind: u8) -> bool {
    use Builtin as B;
    match Builtin::from_number(class) {
        Some(B::Object | B::String | B::Vector | B::Map | B::Long | B::Double) => true,
        Some(B::ByteArray | B::ShortArray | B::IntArray | B::LongArray) => true,
        Some(B::FloatArray | B::DoubleArray | B::ObjectArray | B::StringArray) => true,
        Some(other) => other.is_below(B::Exception),
        None => {
            let known = matches!(kind, KIND_PLAIN | KIND_REFERENCE_ARRAY | KIND_RAW_ARRAY);
            class >= FIRST_MODULE_CLASS && known
        }
    }
}
