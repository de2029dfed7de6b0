//! Strings and string builders.
//!
//! A string is immutable but for its cached hash. Making one: [`allocate`] gives a string of zero bytes that nobody knows,
//! [`fill`] or [`copy_into`] write it piece by piece, then it is handed out. Texts over [`ONE_STEP`] bytes are written in
//! several steps, each bounded.
//!
//! Invariant: the bytes of a string that was handed out are UTF-8. Callers check (natives) or copy at character boundaries.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::array;
use crate::counting::{class_at, store_reference};
use crate::heap::{self, AllocationError, Allocator, large};
use crate::memory::layout::{PAGE, class, object};
use crate::memory::{AddressExt, Space};

/// Bytes that one step writes or compares at most.
pub const ONE_STEP: u64 = PAGE;
/// Bytes reserved for the buffer of a builder that outgrew small objects: no text is longer.
pub const BUILDER_CAPACITY: u64 = 1 << 32;
/// First capacity of a builder's buffer.
const FIRST_BUFFER: u64 = 48;

/// Bytes before the text in the payload: the hash word.
const PREFIX: u64 = object::STRING_BYTES - object::PAYLOAD;

/// 64 bits stirred into 32: the last step of every hash of keys. Part of the disk format, like all of hashing.
#[must_use]
pub const fn mix(word: u64) -> u32 {
    let mut word = word ^ (word >> 32);
    word = word.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    word ^= word >> 32;
    word = word.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    low_half(word ^ (word >> 32))
}

/// The low 32 bits.
const fn low_half(word: u64) -> u32 {
    let [b0, b1, b2, b3, ..] = word.to_le_bytes();
    u32::from_le_bytes([b0, b1, b2, b3])
}

/// Bytes of a string.
#[must_use]
pub fn length(space: Space, string: ObjectAddress) -> u64 {
    array::length(space, string)
}

/// The address of a byte of the text.
#[must_use]
pub fn byte_address(string: ObjectAddress, position: u64) -> ObjectAddress {
    string.plus(object::STRING_BYTES).plus(position)
}

/// The hash of a string's text; the first call keeps it in the string. One step.
#[must_use]
pub fn hash(space: Space, string: ObjectAddress) -> u32 {
    let word = string.plus(object::STRING_HASH);
    let cached = space.load::<u64>(word);
    if cached & object::STRING_HASH_VALID != 0 {
        return low_half(cached);
    }
    let bytes = length(space, string);
    let computed = hash_range(space, byte_address(string, 0), bytes);
    keep_hash(space, string, computed);
    computed
}

/// Whether the hash of a string is known.
pub(crate) fn has_hash(space: Space, string: ObjectAddress) -> bool {
    space.load::<u64>(string.plus(object::STRING_HASH)) & object::STRING_HASH_VALID != 0
}

/// Keeps the hash in the string: one word, written or not, a step of its own, which nobody sees but as speed.
pub(crate) fn keep_hash(space: Space, string: ObjectAddress, hash: u32) {
    let word = string.plus(object::STRING_HASH);
    space.end_step();
    space.touch_write(word);
    space.begin_changes();
    space.store(word, u64::from(hash) | object::STRING_HASH_VALID);
    space.end_step();
}

/// The hash of a text that is not a string yet; equal to [`hash`] of the string.
#[must_use]
pub fn hash_range(space: Space, start: ObjectAddress, bytes: u64) -> u32 {
    hash_end(space, start, bytes, bytes)
}

/// The state of a hash after `bytes` more bytes, a multiple of 8; the first state is the length of the text.
pub(crate) fn hash_words(space: Space, start: ObjectAddress, bytes: u64, state: u64) -> u64 {
    let mut state = state;
    for place in (0..bytes).step_by(8) {
        stir(&mut state, u64::from_le_bytes(space.load_bytes(start.plus(place))));
    }
    state
}

/// The hash, from the state before the last `bytes` bytes.
pub(crate) fn hash_end(space: Space, start: ObjectAddress, bytes: u64, state: u64) -> u32 {
    let place = bytes / 8 * 8;
    let mut state = hash_words(space, start, place, state);
    let mut last = 0;
    for byte in (place..bytes).rev() {
        last = last << 8 | u64::from(space.load::<u8>(start.plus(byte)));
    }
    stir(&mut state, last);
    mix(state)
}

fn stir(state: &mut u64, word: u64) {
    *state = (*state ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    *state ^= *state >> 29;
}

/// Whether two strings hold the same text.
#[must_use]
pub fn equal(space: Space, left: ObjectAddress, right: ObjectAddress) -> bool {
    let bytes = length(space, left);
    left == right
        || (bytes == length(space, right)
            && space.equal(byte_address(left, 0), byte_address(right, 0), bytes))
}

/// A string of `bytes` zero bytes that nobody knows yet.
///
/// # Errors
/// No memory to be had, or no text can be that long.
pub fn allocate(
    space: Space,
    allocator: Allocator,
    bytes: u64,
) -> Result<ObjectAddress, AllocationError> {
    if bytes >= BUILDER_CAPACITY - 2 * PREFIX {
        return Err(AllocationError::TooLarge);
    }
    let class_index = Builtin::String as u32;
    heap::allocate_sized(space, allocator, class_index, bytes, PREFIX + bytes)
}

/// Writes `text` into a new string at `position`. Steps.
pub fn fill(space: Space, string: ObjectAddress, position: u64, text: &[u8]) {
    let mut place = byte_address(string, position);
    for piece in text.chunks(4096) {
        let bytes = piece.len() as u64;
        space.touch_write_range(place, bytes);
        space.begin_changes();
        space.write(place, piece);
        space.end_step();
        place = place.plus(bytes);
    }
}

/// Copies `bytes` bytes of text at `source` into a new string at `position`. Steps.
pub fn copy_into(
    space: Space,
    string: ObjectAddress,
    position: u64,
    source: ObjectAddress,
    bytes: u64,
) {
    let mut done = 0;
    while done < bytes {
        let target = byte_address(string, position + done);
        done += array::copy_step(space, source.plus(done), target, bytes - done);
    }
}

/// A new string of a text from outside object space. Steps.
///
/// # Errors
/// As [`allocate`].
pub fn from_bytes(
    space: Space,
    allocator: Allocator,
    text: &[u8],
) -> Result<ObjectAddress, AllocationError> {
    let made = allocate(space, allocator, text.len() as u64)?;
    space.end_step();
    fill(space, made, 0, text);
    Ok(made)
}

/// A new string of a part of object space (a slice of a string, a range of a byte array). Steps.
///
/// # Errors
/// As [`allocate`].
pub fn from_range(
    space: Space,
    allocator: Allocator,
    start: ObjectAddress,
    bytes: u64,
) -> Result<ObjectAddress, AllocationError> {
    let made = allocate(space, allocator, bytes)?;
    space.end_step();
    copy_into(space, made, 0, start, bytes);
    Ok(made)
}

/// A new string of two texts. Steps.
///
/// # Errors
/// As [`allocate`].
pub fn concat(
    space: Space,
    allocator: Allocator,
    left: ObjectAddress,
    right: ObjectAddress,
) -> Result<ObjectAddress, AllocationError> {
    let (left_bytes, right_bytes) = (length(space, left), length(space, right));
    let made = allocate(space, allocator, left_bytes + right_bytes)?;
    space.end_step();
    copy_into(space, made, 0, byte_address(left, 0), left_bytes);
    copy_into(space, made, left_bytes, byte_address(right, 0), right_bytes);
    Ok(made)
}

/// A new empty builder.
///
/// # Errors
/// No memory to be had.
pub fn new_builder(space: Space, allocator: Allocator) -> Result<ObjectAddress, AllocationError> {
    heap::allocate_plain(space, allocator, class_at(space, Builtin::StringBuilder as u32))
}

/// Bytes in a builder.
#[must_use]
pub fn builder_length(space: Space, builder: ObjectAddress) -> u64 {
    space.load(builder.plus(object::BUILDER_LENGTH))
}

fn builder_buffer(space: Space, builder: ObjectAddress) -> ObjectAddress {
    ObjectAddress(space.load(builder.plus(object::BUILDER_BUFFER)))
}

/// Makes room for `bytes` more in a builder's buffer. A small buffer is replaced; a large one grows where it is. Steps.
pub(crate) fn reserve(
    space: Space,
    allocator: Allocator,
    builder: ObjectAddress,
    bytes: u64,
) -> Result<ObjectAddress, AllocationError> {
    let buffer = builder_buffer(space, builder);
    let used = builder_length(space, builder);
    let wanted = used.checked_add(bytes).ok_or(AllocationError::TooLarge)?;
    let room = if buffer.is_null() { 0 } else { array::length(space, buffer) };
    if wanted <= room {
        return Ok(buffer);
    }
    if wanted >= BUILDER_CAPACITY - 2 * PREFIX {
        return Err(AllocationError::TooLarge);
    }
    if !buffer.is_null() && large::is_large(space, buffer) {
        large::grow(space, buffer, wanted, PREFIX + wanted)?;
        space.end_step();
        return Ok(buffer);
    }
    let roomy = wanted.max(2 * room).max(FIRST_BUFFER);
    let made = if PREFIX + roomy > object::SMALL_LIMIT - object::HEADER_SIZE {
        let capacity = BUILDER_CAPACITY;
        large::allocate(space, allocator, class::STRING_BUFFER, wanted, PREFIX + wanted, capacity)?
    } else {
        heap::allocate_sized(space, allocator, class::STRING_BUFFER, roomy, PREFIX + roomy)?
    };
    space.end_step();
    if !buffer.is_null() {
        copy_into(space, made, 0, byte_address(buffer, 0), used);
    }
    store_reference(space, builder.plus(object::BUILDER_BUFFER), made);
    space.end_step();
    Ok(made)
}

/// Counts `bytes` bytes behind the end, already written, as text. One step, changes last.
pub(crate) fn extend(space: Space, builder: ObjectAddress, bytes: u64) {
    let used = builder_length(space, builder);
    space.touch_write(builder.plus(object::BUILDER_LENGTH));
    space.begin_changes();
    space.store(builder.plus(object::BUILDER_LENGTH), used + bytes);
}

/// Appends a text from outside object space. Steps; the last one makes it part of the builder.
///
/// # Errors
/// No memory to be had, or the text becomes too long; the builder is as it was.
pub fn append(
    space: Space,
    allocator: Allocator,
    builder: ObjectAddress,
    text: &[u8],
) -> Result<(), AllocationError> {
    let buffer = reserve(space, allocator, builder, text.len() as u64)?;
    fill(space, buffer, builder_length(space, builder), text);
    extend(space, builder, text.len() as u64);
    Ok(())
}

/// Appends a string. Steps; the last one makes it part of the builder.
///
/// # Errors
/// As [`append`].
pub fn append_string(
    space: Space,
    allocator: Allocator,
    builder: ObjectAddress,
    string: ObjectAddress,
) -> Result<(), AllocationError> {
    let bytes = length(space, string);
    let buffer = reserve(space, allocator, builder, bytes)?;
    let used = builder_length(space, builder);
    copy_into(space, buffer, used, byte_address(string, 0), bytes);
    extend(space, builder, bytes);
    Ok(())
}

/// Makes a builder empty. One step, changes last.
pub fn clear_builder(space: Space, builder: ObjectAddress) {
    space.touch_write(builder.plus(object::BUILDER_LENGTH));
    space.begin_changes();
    space.store(builder.plus(object::BUILDER_LENGTH), 0_u64);
}

/// The text of a builder as a new string; the builder keeps it. Steps.
///
/// # Errors
/// No memory to be had.
pub fn builder_text(
    space: Space,
    allocator: Allocator,
    builder: ObjectAddress,
) -> Result<ObjectAddress, AllocationError> {
    let buffer = builder_buffer(space, builder);
    from_range(space, allocator, byte_address(buffer, 0), builder_length(space, builder))
}
