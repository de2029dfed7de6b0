//! Bodies of the operations on objects: fields, statics, arrays, buffers, class tests, allocation.
//!
//! Every address goes through [`Space`](crate::memory::Space), which confines it. Loads and raw stores are one access each, so they
//! happen or do not; a store of a reference is `counting`'s, which touches everything first. An index that fails the 32-bit check
//! goes to the cold path, which asks a large object for its 64-bit length.

use crate::loader::layout::{
    CLOSURE_ENVIRONMENT, FUNCTION_MODULE, MODULE_FUNCTIONS, MODULE_STATIC_RAWS,
    MODULE_STATIC_REFERENCES, MODULE_STRINGS,
};
use crate::memory::Scalar;
use crate::memory::layout::class::{DEPTH, DISPLAY, DISPLAY_LENGTH, FLAG_INTERFACE, FLAGS, INDEX};
use crate::memory::layout::object::{CLASS, LENGTH, PAYLOAD};
use crate::memory::layout::thread::RECORD_FUNCTION;

use super::calls::class_object;
use super::numeric::{canonical_f32, canonical_f64, float32, float64, low, sign_extend_to_32};
use super::state::{Flow, Slow, State, a, b, c, unsigned_wide};

/// A scalar of object space as the word of a register, and back.
pub(super) trait Element: Scalar {
    /// Bytes.
    const SIZE: u64;
    /// Zero-extended.
    fn word(self) -> u64;
    /// The low bits.
    fn truncate(word: u64) -> Self;
}

macro_rules! elements {
    ($($kind:ty),*) => { $(impl Element for $kind {
        const SIZE: u64 = size_of::<$kind>() as u64;
        #[inline(always)]
        fn word(self) -> u64 {
            u64::from(self)
        }
        #[inline(always)]
        #[expect(clippy::allow_attributes, reason = "one of the four is a word already")]
        #[allow(
            clippy::cast_possible_truncation,
            clippy::unnecessary_cast,
            reason = "stores truncate"
        )]
        fn truncate(word: u64) -> Self {
            word as $kind
        }
    })* };
}
elements!(u8, u16, u32, u64);

/// The address of a field.
#[inline(always)]
fn field(s: State, w: u64) -> Result<revenant_hal::ObjectAddress, Slow> {
    Ok(State::place(s.object(b(w))?, PAYLOAD + u64::from(c(w)) * 8))
}

/// `field.load.raw`.
#[inline(always)]
pub(super) fn field_load_raw(s: State, w: u64) -> Flow {
    s.set_raw(a(w), s.space.load(field(s, w)?));
    s.next()
}

/// `field.load.ref`.
#[inline(always)]
pub(super) fn field_load_reference(s: State, w: u64) -> Flow {
    s.set_reference(a(w), s.space.load(field(s, w)?));
    s.next()
}

/// `field.store.raw`.
#[inline(always)]
pub(super) fn field_store_raw(s: State, w: u64) -> Flow {
    s.space.store(field(s, w)?, s.raw(a(w)));
    s.next()
}

/// `field.store.ref`.
#[inline(always)]
pub(super) fn field_store_reference(s: State, w: u64) -> Flow {
    let place = field(s, w)?;
    store_reference(s, place, s.reference(a(w)))
}

/// Stores a counted reference and goes on.
#[inline(always)]
fn store_reference(s: State, place: revenant_hal::ObjectAddress, value: u64) -> Flow {
    s.worker().store_reference(place, value)?;
    s.next()
}

/// The module of the current function.
#[inline(always)]
fn module(s: State) -> u64 {
    let function: u64 = s.space.load(State::place(s.worker().record, RECORD_FUNCTION));
    s.space.load(State::place(function, FUNCTION_MODULE))
}

/// The address of the element that the wide operand numbers, in the module's table at `table`.
#[inline(always)]
fn module_entry(s: State, w: u64, table: u64) -> revenant_hal::ObjectAddress {
    let table: u64 = s.space.load(State::place(module(s), table));
    State::place(table, PAYLOAD + u64::from(unsigned_wide(w)) * 8)
}

/// `string.const`.
#[inline(always)]
pub(super) fn string_constant(s: State, w: u64) -> Flow {
    s.set_reference(a(w), s.space.load(module_entry(s, w, MODULE_STRINGS)));
    s.next()
}

/// `function.const`.
#[inline(always)]
pub(super) fn function_constant(s: State, w: u64) -> Flow {
    s.set_reference(a(w), s.space.load(module_entry(s, w, MODULE_FUNCTIONS)));
    s.next()
}

/// `closure.environment`.
#[inline(always)]
pub(super) fn closure_environment(s: State, w: u64) -> Flow {
    let closure = s.object(b(w))?;
    s.set_reference(a(w), s.space.load(State::place(closure, CLOSURE_ENVIRONMENT)));
    s.next()
}

/// `static.load.raw`.
#[inline(always)]
pub(super) fn static_load_raw(s: State, w: u64) -> Flow {
    s.set_raw(a(w), s.space.load(module_entry(s, w, MODULE_STATIC_RAWS)));
    s.next()
}

/// `static.load.ref`.
#[inline(always)]
pub(super) fn static_load_reference(s: State, w: u64) -> Flow {
    s.set_reference(a(w), s.space.load(module_entry(s, w, MODULE_STATIC_REFERENCES)));
    s.next()
}

/// `static.store.raw`.
#[inline(always)]
pub(super) fn static_store_raw(s: State, w: u64) -> Flow {
    s.space.store(module_entry(s, w, MODULE_STATIC_RAWS), s.raw(a(w)));
    s.next()
}

/// `static.store.ref`.
#[inline(always)]
pub(super) fn static_store_reference(s: State, w: u64) -> Flow {
    store_reference(s, module_entry(s, w, MODULE_STATIC_REFERENCES), s.reference(a(w)))
}

/// `array.length`, `buffer.length`.
#[inline(always)]
pub(super) fn array_length(s: State, w: u64) -> Flow {
    let length: u32 = s.space.load(State::place(s.object(b(w))?, LENGTH));
    if length == u32::MAX {
        return Err(Slow::Index);
    }
    s.set_raw(a(w), u64::from(length));
    s.next()
}

/// The address of element c of array b.
#[inline(always)]
fn element(s: State, w: u64, size: u64) -> Result<revenant_hal::ObjectAddress, Slow> {
    let array = s.object(b(w))?;
    let length: u32 = s.space.load(State::place(array, LENGTH));
    let index = s.raw(c(w));
    if index >= u64::from(length) {
        return Err(Slow::Index);
    }
    Ok(State::place(array, PAYLOAD + index * size))
}

/// `array.load.*` for elements that are zero-extended.
#[inline(always)]
pub(super) fn array_load<E: Element>(s: State, w: u64) -> Flow {
    let value: E = s.space.load(element(s, w, E::SIZE)?);
    s.set_raw(a(w), value.word());
    s.next()
}

/// `array.load.i16`: sign-extended to 32 bits.
#[inline(always)]
pub(super) fn array_load_i16(s: State, w: u64) -> Flow {
    let value: u16 = s.space.load(element(s, w, 2)?);
    s.set_raw(a(w), sign_extend_to_32::<2>(u64::from(value)));
    s.next()
}

/// `array.load.ref`.
#[inline(always)]
pub(super) fn array_load_reference(s: State, w: u64) -> Flow {
    s.set_reference(a(w), s.space.load(element(s, w, 8)?));
    s.next()
}

/// `array.store.*`.
#[inline(always)]
pub(super) fn array_store<E: Element>(s: State, w: u64) -> Flow {
    s.space.store(element(s, w, E::SIZE)?, E::truncate(s.raw(a(w))));
    s.next()
}

/// `array.store.ref`.
#[inline(always)]
pub(super) fn array_store_reference(s: State, w: u64) -> Flow {
    let place = element(s, w, 8)?;
    store_reference(s, place, s.reference(a(w)))
}

/// The address of `WIDTH` bytes of buffer b at c plus the literal, computed in 64 bits and checked against the length.
#[inline(always)]
fn bytes<const WIDTH: usize>(s: State, w: u64) -> Result<revenant_hal::ObjectAddress, Slow> {
    let buffer = s.object(b(w))?;
    let length: u32 = s.space.load(State::place(buffer, LENGTH));
    let start = u64::from(low(s.raw(c(w)))) + u64::from(low(s.literal()));
    if start + WIDTH as u64 > u64::from(length) {
        return Err(Slow::Index);
    }
    Ok(State::place(buffer, PAYLOAD + start))
}

/// `*.load*` of byte buffers, extended by `extend`.
#[inline(always)]
pub(super) fn buffer_load<const WIDTH: usize>(s: State, w: u64, extend: fn(u64) -> u64) -> Flow {
    let loaded = s.space.load_bytes::<WIDTH>(bytes::<WIDTH>(s, w)?);
    let mut word = [0; 8];
    word[..WIDTH].copy_from_slice(&loaded);
    s.set_raw(a(w), extend(u64::from_le_bytes(word)));
    Ok(s.advance(2))
}

/// Stores the low `WIDTH` bytes of `value` in a byte buffer.
#[inline(always)]
fn buffer_store_word<const WIDTH: usize>(s: State, w: u64, value: u64) -> Flow {
    let place = bytes::<WIDTH>(s, w)?;
    let mut stored = [0; WIDTH];
    stored.copy_from_slice(&value.to_le_bytes()[..WIDTH]);
    // One store that may straddle two pages: the second must not be missing when the first has changed.
    s.space.touch_write(State::place(place.0, WIDTH as u64 - 1));
    s.space.store_bytes::<WIDTH>(place, stored);
    Ok(s.advance(2))
}

/// `*.store*` of integers.
#[inline(always)]
pub(super) fn buffer_store<const WIDTH: usize>(s: State, w: u64) -> Flow {
    buffer_store_word::<WIDTH>(s, w, s.raw(a(w)))
}

/// `f32.store`: a NaN becomes the canonical one.
#[inline(always)]
pub(super) fn buffer_store_f32(s: State, w: u64) -> Flow {
    buffer_store_word::<4>(s, w, u64::from(canonical_f32(float32(s.raw(a(w))))))
}

/// `f64.store`: a NaN becomes the canonical one.
#[inline(always)]
pub(super) fn buffer_store_f64(s: State, w: u64) -> Flow {
    buffer_store_word::<8>(s, w, canonical_f64(float64(s.raw(a(w)))))
}

/// Whether the object is of the class whose object is `class`, as far as the display knows; else the cold path.
#[inline(always)]
fn is_instance(s: State, object: u64, class: u64) -> Result<bool, Slow> {
    let depth: u32 = s.space.load(State::place(class, DEPTH));
    let flags: u16 = s.space.load(State::place(class, FLAGS));
    if u64::from(depth) >= DISPLAY_LENGTH || flags & FLAG_INTERFACE != 0 {
        return Err(Slow::ClassTest);
    }
    let index: u32 = s.space.load(State::place(class, INDEX));
    let actual: u32 = s.space.load(State::place(object, CLASS));
    if actual == index {
        return Ok(true);
    }
    let actual = class_object(s, actual);
    let above: u32 = s.space.load(State::place(actual, DISPLAY + u64::from(depth) * 4));
    Ok(above == index)
}

/// `instance_of`: the linked literal is the class object.
#[inline(always)]
pub(super) fn instance_of(s: State, w: u64) -> Flow {
    let object = s.reference(b(w));
    let result = object != 0 && is_instance(s, object, s.literal())?;
    s.set_raw(a(w), u64::from(result));
    Ok(s.advance(2))
}

/// `cast`.
#[inline(always)]
pub(super) fn cast(s: State, w: u64) -> Flow {
    let object = s.reference(b(w));
    if object != 0 && !is_instance(s, object, s.literal())? {
        return Err(Slow::Cast);
    }
    s.set_reference(a(w), object);
    Ok(s.advance(2))
}

/// `object.new`: the linked literal is the class object.
#[inline(always)]
pub(super) fn object_new(s: State, w: u64) -> Flow {
    let object = s.worker().allocate_plain(s.literal())?;
    s.set_reference(a(w), object);
    Ok(s.advance(2))
}
