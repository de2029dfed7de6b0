//! Snapshots as programs see them: which there are, and what an object was in one (OBJECTS.md 9).
//!
//! Nothing in object space refers to a snapshot: it is named by its epoch, and read through the environment beside the page cache. The copy
//! is new, and leads to nothing but what is new. Who asks must hold the object; so a program sees the past of what it has, no more.
//!
//! All progress is in object space. The thread's cursor holds a map from old addresses to new objects; in order of insertion it is also
//! the list of what is to be done. Each of its entries is gone through twice: first contents are copied, and what they lead to is
//! entered; then maps get their entries, when all keys are whole. Every step may be made again (`cursor` says how far it is):
//! a page of the snapshot that is not here yet ends the step before anything has changed, and the thread sleeps for a moment.
//!
//! ```text
//!   mod   the natives, the two rounds     reader   words and objects of the snapshot
//! ```

mod reader;

use revenant_bytecode::{Builtin, Native};
use revenant_hal::{Epoch, ObjectAddress};

use super::long::PIECE;
use super::{INVALID, cursor, object as argument};
use crate::counting::{class_at, count_down, store_reference, touch_count};
use crate::dispatch::Worker;
use crate::heap;
use crate::memory::AddressExt;
use crate::memory::layout::class::{KIND, KIND_RAW_ARRAY, KIND_REFERENCE_ARRAY, SLOTS};
use crate::memory::layout::object::{
    BOX_VALUE, CLASS, PAYLOAD, STRING_BYTES, VECTOR_ELEMENTS, VECTOR_LENGTH,
};
use crate::memory::layout::{class, map as layout};
use crate::natives::Context;
use crate::object::map::{self, Next};
use crate::object::{array, string, vector};
use crate::thread::{NativeResult, Outcome};
use reader::{Past, Stop, damaged};

/// Steps of one call; after them the thread may have to make room for others.
const STEPS: u64 = 64;
/// Bytes copied in one step: they stand on the kernel's stack.
const BYTES: usize = 512;

/// Executes the native if it is one of this file's.
pub(in crate::natives) fn call(
    native: Native,
    worker: &mut Worker,
    c: &Context,
) -> Option<NativeResult> {
    Some(match native {
        Native::PastBefore => before(worker, c),
        Native::PastCopy => copy(worker, c),
        _ => return None,
    })
}

fn before(worker: &mut Worker, c: &Context) -> NativeResult {
    let limit = Epoch(u64::try_from(c.raw(0).cast_signed()).unwrap_or(0));
    let found = worker.environment().and_then(|environment| environment.snapshot_before(limit));
    let (epoch, wall) = found.map_or((u64::MAX, 0), |(epoch, wall)| (epoch.0, wall.0));
    c.touch_results();
    c.set_raw(0, epoch);
    c.set_raw(1, wall);
    Ok(Outcome::Done)
}

fn copy(worker: &mut Worker, c: &Context) -> NativeResult {
    let original = argument(c, 0)?;
    let epoch = Epoch(u64::try_from(c.raw(0).cast_signed()).map_err(|_| INVALID)?);
    c.space.end_step();
    let Some(environment) = worker.environment() else {
        return Err(Builtin::NotSupportedException.into());
    };
    let mut copying = Copying { c, past: Past { epoch, environment } };
    match copying.go_on(original) {
        Ok(outcome) => Ok(outcome),
        Err(Stop::Throws(thrown)) => Err(thrown),
        Err(Stop::Waits) => {
            c.space.end_step();
            Ok(super::super::control::look_again_soon(worker))
        }
    }
}

/// How far it is: which round, which entry of the table, and which part of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    second_round: bool,
    entry: u64,
    part: u64,
}

/// An object of the snapshot and what becomes of it.
#[derive(Clone, Copy)]
struct Pair {
    old: ObjectAddress,
    new: ObjectAddress,
}

/// Whether a step was the last of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    /// It goes on with this part.
    Not(u64),
    Whole,
}

/// A copy under way.
struct Copying<'c, 'e> {
    c: &'c Context,
    past: Past<'e>,
}

impl Copying<'_, '_> {
    fn place(&self) -> Option<Place> {
        let tag = cursor::under_way(self.c)?.tag >> 1;
        let part = cursor::second(self.c);
        self.c.space.end_step();
        Some(Place { second_round: tag & 1 == 1, entry: tag >> 1, part })
    }

    /// The first word of the cursor is the waker's.
    fn keep(&self, place: Place) {
        let tag = cursor::tag(place.entry << 1 | u64::from(place.second_round));
        cursor::advance_tagged(self.c, 0, place.part, tag);
    }

    fn table(&self) -> ObjectAddress {
        let table = cursor::object(self.c);
        self.c.space.end_step();
        table
    }

    fn go_on(&mut self, original: ObjectAddress) -> Result<Outcome, Stop> {
        let Some(mut place) = self.place() else { return self.begin(original) };
        if map::length(self.c.space, self.table()) == 0 {
            self.c.space.end_step();
            self.copy_of(original)?;
        }
        for _ in 0..STEPS {
            self.c.space.end_step();
            let found = map::next(self.c.space, self.table(), place.entry);
            self.c.space.end_step();
            match found {
                Next::GoOn(entry) => place = Place { entry, part: 0, ..place },
                Next::Entry { key, value, cursor } => {
                    let old = ObjectAddress(self.c.space.load(key.plus(BOX_VALUE)));
                    let done = self.step(Pair { old, new: value }, place)?;
                    place = match done {
                        Done::Not(part) => Place { part, ..place },
                        Done::Whole => Place { entry: cursor, part: 0, ..place },
                    };
                }
                Next::End if place.second_round => return Ok(self.finish()),
                Next::End => place = Place { second_round: true, entry: 0, part: 0 },
            }
            self.keep(place);
        }
        Ok(Outcome::Again)
    }

    /// The object is one that there was, and the table is made.
    fn begin(&mut self, original: ObjectAddress) -> Result<Outcome, Stop> {
        if !self.past.is_the_same(self.c.space, original)? {
            return Err(INVALID.into());
        }
        let table = map::allocate(self.c.space, self.c.allocator)?;
        self.c.space.end_step();
        // The part stands where an operation before may have left a number; without a tag it says nothing.
        let part = self.c.cursor_words().plus(8);
        self.c.space.touch_write(part);
        self.c.space.begin_changes();
        self.c.space.store(part, 0_u64);
        self.c.space.end_step();
        Ok(super::long::begin(self.c, table, 0)?)
    }

    /// The result, which the table holds until now and the caller's register from here on. One step.
    fn finish(&self) -> Outcome {
        let c = self.c;
        let table = self.table();
        let first = map::next(c.space, table, 0);
        let result = if let Next::Entry { value, .. } = first { value } else { ObjectAddress(0) };
        c.space.end_step();
        touch_count(c.space, table);
        cursor::touch(c);
        c.touch_results();
        c.space.begin_changes();
        count_down(c.space, table);
        c.space.store(c.cursor_reference(), 0_u64);
        c.set_reference(0, result.0);
        cursor::finish(c);
        Outcome::Done
    }

    /// The copy of what an address of the snapshot leads to, entered if it is new. Steps.
    fn copy_of(&mut self, old: ObjectAddress) -> Result<ObjectAddress, Stop> {
        let c = self.c;
        if old.is_null() {
            return Ok(old);
        }
        let table = self.table();
        let key =
            heap::allocate_plain(c.space, c.allocator, class_at(c.space, Builtin::Long as u32))?;
        c.space.end_step();
        c.space.store_ahead(key.plus(BOX_VALUE), old.0);
        c.space.end_step();
        if let Some(known) = map::get(c.space, table, key) {
            c.space.end_step();
            return Ok(known);
        }
        c.space.end_step();
        let new = self.allocate(old)?;
        c.space.end_step();
        map::set(c.space, c.allocator, table, key, new)?;
        c.space.end_step();
        Ok(new)
    }

    /// An object like the one of the snapshot, all zeros.
    fn allocate(&mut self, old: ObjectAddress) -> Result<ObjectAddress, Stop> {
        let c = self.c;
        let header = self.past.object(old)?;
        let class_object = self.past.class(c.space, header.class)?;
        let kind = c.space.load::<u8>(class_object.plus(KIND));
        c.space.end_step();
        let made = if header.class == Builtin::String as u32 {
            string::allocate(c.space, c.allocator, self.past.length(old, header)?)
        } else if matches!(kind, KIND_REFERENCE_ARRAY | KIND_RAW_ARRAY) {
            let length = self.past.length(old, header)?;
            array::allocate(c.space, c.allocator, class_object, length)
        } else {
            heap::allocate_plain(c.space, c.allocator, class_object)
        };
        Ok(made?)
    }

    /// Copies a part of an object.
    fn step(&mut self, pair: Pair, place: Place) -> Result<Done, Stop> {
        let c = self.c;
        let index = c.space.load::<u32>(pair.new.plus(CLASS));
        let class_object = class_at(c.space, index);
        let kind = c.space.load::<u8>(class_object.plus(KIND));
        c.space.end_step();
        let part = place.part;
        if Builtin::from_number(index) == Some(Builtin::Map) {
            return self.map(pair, place);
        }
        if place.second_round {
            return Ok(Done::Whole);
        }
        match Builtin::from_number(index) {
            Some(Builtin::String) => {
                let bytes = string::length(c.space, pair.new);
                self.raw(pair, (STRING_BYTES, bytes), part)
            }
            Some(Builtin::Vector) => self.vector(pair),
            _ if kind == KIND_RAW_ARRAY => {
                let shift = array::element_shift(c.space, class_object);
                let bytes = array::length(c.space, pair.new) << shift;
                self.raw(pair, (PAYLOAD, bytes), part)
            }
            _ if kind == KIND_REFERENCE_ARRAY => {
                let length = array::length(c.space, pair.new);
                self.slot(pair, part, length, true)
            }
            _ => {
                let slots = u64::from(c.space.load::<u32>(class_object.plus(SLOTS)));
                let is_reference = is_reference(c, class_object, part);
                self.slot(pair, part, slots, is_reference)
            }
        }
    }

    /// Some of the bytes from `start` on.
    fn raw(&mut self, pair: Pair, (start, total): (u64, u64), part: u64) -> Result<Done, Stop> {
        const _: () = assert!(BYTES as u64 <= PIECE);
        let c = self.c;
        c.space.end_step();
        let count = usize::try_from(total.saturating_sub(part)).unwrap_or(BYTES).min(BYTES);
        let mut bytes = [0; BYTES];
        let piece = bytes.get_mut(..count).unwrap_or_default();
        self.past.bytes(pair.old.plus(start + part), piece)?;
        let target = pair.new.plus(start + part);
        c.space.touch_write_range(target, count as u64);
        c.space.begin_changes();
        c.space.write(target, piece);
        c.space.end_step();
        let next = part + count as u64;
        Ok(if next < total { Done::Not(next) } else { Done::Whole })
    }

    /// A slot of an object or an array.
    fn slot(
        &mut self,
        pair: Pair,
        slot: u64,
        slots: u64,
        is_reference: bool,
    ) -> Result<Done, Stop> {
        let c = self.c;
        c.space.end_step();
        if slot >= slots {
            return Ok(Done::Whole);
        }
        let offset = PAYLOAD + 8 * slot;
        let word = self.past.u64(pair.old.plus(offset))?;
        let target = pair.new.plus(offset);
        if is_reference {
            let new = self.copy_of(ObjectAddress(word))?;
            store_reference(c.space, target, new);
        } else {
            c.space.touch_write(target);
            c.space.begin_changes();
            c.space.store(target, word);
        }
        c.space.end_step();
        Ok(if slot + 1 < slots { Done::Not(slot + 1) } else { Done::Whole })
    }

    /// An element of a vector: how long the copy is says which.
    fn vector(&mut self, pair: Pair) -> Result<Done, Stop> {
        let c = self.c;
        let used = vector::length(c.space, pair.new);
        c.space.end_step();
        if used >= self.past.u64(pair.old.plus(VECTOR_LENGTH))? {
            return Ok(Done::Whole);
        }
        let elements = self.past.reference(pair.old.plus(VECTOR_ELEMENTS))?;
        let header = self.past.object(elements)?;
        if used >= self.past.length(elements, header)? {
            return Err(damaged(pair.old));
        }
        let old = self.past.reference(elements.plus(PAYLOAD + 8 * used))?;
        let new = self.copy_of(old)?;
        vector::push(c.space, c.allocator, pair.new, new)?;
        c.space.end_step();
        Ok(Done::Not(0))
    }

    /// An entry of a map: in the first round key and value are copied, in the second they are entered.
    fn map(&mut self, pair: Pair, place: Place) -> Result<Done, Stop> {
        let c = self.c;
        if place.part >= self.past.u64(pair.old.plus(layout::END))? {
            return Ok(Done::Whole);
        }
        if let Some((key, value)) = self.past.entry(pair.old, place.part)? {
            if key.is_null() {
                return Err(damaged(pair.old));
            }
            let (new_key, new_value) = (self.copy_of(key)?, self.copy_of(value)?);
            let text = c.space.load::<u32>(new_key.plus(CLASS)) == Builtin::String as u32;
            // A longer text takes many steps to be hashed and compared.
            if text && string::length(c.space, new_key) > string::ONE_STEP {
                return Err(Builtin::NotSupportedException.into());
            }
            c.space.end_step();
            if place.second_round {
                map::set(c.space, c.allocator, pair.new, new_key, new_value)?;
                c.space.end_step();
            }
        }
        Ok(Done::Not(place.part + 1))
    }
}

/// Whether a slot of a class is a reference.
fn is_reference(c: &Context, class_object: ObjectAddress, slot: u64) -> bool {
    let long = ObjectAddress(c.space.load(class_object.plus(class::LONG_BITMAP)));
    if long.is_null() {
        let bits = c.space.load::<u64>(class_object.plus(class::REFERENCE_BITMAP));
        return slot < 64 && bits >> slot & 1 == 1;
    }
    c.space.load::<u8>(long.plus(PAYLOAD + slot / 8)) >> (slot % 8) & 1 == 1
}
