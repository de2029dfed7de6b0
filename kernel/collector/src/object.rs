//! The references of an object, from bytes that nobody has validated: class index, shape, slots.
//!
//! Invariant: no more slots are looked at than the cell or run has room for; what claims more is unsound.

use crate::bytes::{bit, index};
use crate::error::{Stop, Unsound};
use crate::heap::{Directory, Place};
use crate::pages::{Reader, page_of};
use alloc::{collections::BTreeMap, vec::Vec};
use revenant_hal::FrameMemory;
use revenant_vm::memory::layout::{BLOCK, PAGE, SLOT, area, block, class, object};

/// Classes that are remembered; beyond, all are forgotten and read again as they are met.
const KNOWN: usize = 4096;
/// Slots of a page.
const SLOTS_PER_PAGE: u64 = PAGE / SLOT;

/// Which slots of the instances of a class are references.
#[derive(Clone, Debug)]
enum Shape {
    None,
    Bitmap(u64),
    Long(Vec<u8>, u64),
    All,
    Records(u64, u64),
    Class,
}

/// The classes met so far.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    known: BTreeMap<u32, Shape>,
}

/// An object to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) place: Place,
    pub(crate) address: u64,
    /// The first slot to look at.
    pub(crate) from: u64,
}

impl Classes {
    /// Adds the references of an object to `targets`, from a slot on: of a small one all, of a large one those of one page. The slot to go on
    /// at, if any are left.
    pub(crate) fn targets<F: FrameMemory + ?Sized>(
        &mut self,
        reader: &mut Reader<'_, F>,
        directory: &Directory,
        subject: Subject,
        targets: &mut Vec<u64>,
    ) -> Result<Option<u64>, Stop> {
        let Subject { place, address, from } = subject;
        let Some(class_index) = unless_lost(reader.u32(address + object::CLASS))? else {
            return Ok(None);
        };
        if !self.known.contains_key(&class_index) {
            let shape = load(reader, directory, address, class_index)?;
            if self.known.len() >= KNOWN {
                self.known.clear();
            }
            self.known.insert(class_index, shape);
        }
        let Some(shape) = self.known.get(&class_index) else { return Ok(None) };
        let large = matches!(place, Place::Large(_));
        let room = directory.room(place);
        let Some(mut slots) = unless_lost(shape.slots(reader, address, large))? else {
            return Ok(None);
        };
        if slots > room {
            return Err(Stop::Unsound(Unsound::Length { address, slots }));
        }
        let mut end = slots;
        if large && slots > 0 {
            let extent = reader.u64(address - object::LARGE_OFFSET + block::HEADER_EXTENT)?;
            slots = slots.min(extent.div_ceil(SLOT));
            end = slots.min((from / SLOTS_PER_PAGE + 1) * SLOTS_PER_PAGE);
        }
        let payload = address + object::PAYLOAD;
        let nothing = |reader: &mut Reader<'_, F>| {
            unless_lost(reader.is_hole(page_of(payload + from * SLOT)))
                .map(|hole| hole != Some(false))
        };
        let hole = large && from < end && nothing(reader)?;
        for slot in if hole { end..end } else { from..end } {
            if shape.has(slot) {
                let target = unless_lost(reader.u64(payload + slot * SLOT))?.unwrap_or(0);
                if target != 0 {
                    targets.push(target);
                }
            }
        }
        Ok((end < slots).then_some(end))
    }
}

impl Shape {
    /// Slots to look at, references or not.
    fn slots<F: FrameMemory + ?Sized>(
        &self,
        reader: &mut Reader<'_, F>,
        address: u64,
        large: bool,
    ) -> Result<u64, Stop> {
        let mut length = || {
            if large {
                reader.u64(address - object::LARGE_LENGTH)
            } else {
                reader.u32(address + object::LENGTH).map(u64::from)
            }
        };
        Ok(match self {
            Self::None => 0,
            Self::Bitmap(bits) => 64 - u64::from(bits.leading_zeros()),
            Self::Long(_, slots) => *slots,
            Self::All => length()?,
            Self::Records(words, _) => length()?.saturating_mul(*words),
            Self::Class => {
                let methods = reader.u32(address + class::VTABLE_LENGTH)?;
                (class::VTABLE - object::PAYLOAD) / SLOT + u64::from(methods)
            }
        })
    }

    fn has(&self, slot: u64) -> bool {
        match self {
            Self::None => false,
            Self::Bitmap(bits) => slot < 64 && bits >> slot & 1 != 0,
            Self::Long(bits, _) => bit(bits, index(slot)),
            Self::All => true,
            Self::Records(words, mask) => mask >> (slot % words).min(63) & 1 != 0,
            Self::Class => {
                let fixed = (class::VTABLE - object::PAYLOAD) / SLOT;
                slot >= fixed || class::FIXED_REFERENCES >> slot.min(63) & 1 != 0
            }
        }
    }
}

/// What was read; none if it stood on a lost page, whose references are the suspects' matter ([`crate::recovery`]).
fn unless_lost<T>(read: Result<T, Stop>) -> Result<Option<T>, Stop> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Stop::Lost(_)) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// Reads the class of an object.
fn load<F: FrameMemory + ?Sized>(
    reader: &mut Reader<'_, F>,
    directory: &Directory,
    address: u64,
    class_index: u32,
) -> Result<Shape, Stop> {
    let wrong = Stop::Unsound(Unsound::Class { address, index: class_index });
    if class_index == 0 || u64::from(class_index) >= area::CLASS_TABLE_ENTRIES {
        return Err(wrong);
    }
    let made = reader.u64(area::CLASS_TABLE + SLOT * u64::from(class_index))?;
    let known = matches!(directory.place(made), Some(Place::Small(..)));
    if !known || reader.u32(made + class::INDEX)? != class_index {
        return Err(wrong);
    }
    Ok(match reader.u8(made + class::KIND)? {
        class::KIND_PLAIN | class::KIND_THREAD => {
            let slots = u64::from(reader.u32(made + class::SLOTS)?);
            let long = reader.u64(made + class::LONG_BITMAP)?;
            if slots <= 64 || long == 0 {
                Shape::Bitmap(reader.u64(made + class::REFERENCE_BITMAP)?)
            } else {
                let place = directory.place(long).ok_or(wrong)?;
                let bytes = slots.div_ceil(8);
                if bytes > directory.room(place).min(BLOCK) * SLOT {
                    return Err(wrong);
                }
                let mut bits = Vec::new();
                for byte in 0..bytes {
                    bits.push(reader.u8(long + object::PAYLOAD + byte)?);
                }
                Shape::Long(bits, slots)
            }
        }
        class::KIND_REFERENCE_ARRAY => Shape::All,
        class::KIND_RECORDS => {
            let words = u64::from(reader.u32(made + class::RECORD_WORDS)?);
            Shape::Records(words.max(1), u64::from(reader.u32(made + class::RECORD_MASK)?))
        }
        // A weak reference keeps nothing: the second stage of the mark looks at it.
        class::KIND_RAW_ARRAY | class::KIND_STRING | class::KIND_WEAK => Shape::None,
        class::KIND_CLASS => Shape::Class,
        _ => return Err(wrong),
    })
}
