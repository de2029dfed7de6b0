//! Object header, metadata byte, and the layout of every array-like object.
//!
//! Invariant: the payload of an object, small or large, starts at [`PAYLOAD`]; so field, element and byte accesses are the
//! same instruction for all of them.

/// Class index, u32.
pub const CLASS: u64 = 0;
/// Length in elements (arrays, strings, buffers: at most `u32::MAX`, see [`LARGE_LENGTH`]); 0 for plain objects. u32.
pub const LENGTH: u64 = 4;
/// Birth epoch (low 48 bits) and flags (high 16 bits), u64.
pub const BIRTH_AND_FLAGS: u64 = 8;
/// First byte after the header: slot 0, element 0.
pub const PAYLOAD: u64 = 16;
/// Bytes of the header.
pub const HEADER_SIZE: u64 = 16;

/// Mask of the birth epoch in [`BIRTH_AND_FLAGS`].
pub const BIRTH_MASK: u64 = (1 << 48) - 1;
/// Bit number of the first flag in [`BIRTH_AND_FLAGS`].
pub const FLAGS_SHIFT: u32 = 48;

/// Flag: the object is a large one: a run of its own, 64-bit length and capacity before the header.
pub const FLAG_LARGE: u64 = 1 << 48;
/// Flag: a weak reference to this object may exist (the weak table is asked when it is freed).
pub const FLAG_WEAK: u64 = 1 << 49;
/// Flag: the object has an extension in the extension table. Reserved.
pub const FLAG_EXTENDED: u64 = 1 << 50;
/// Flag: immutable from outside (a finished string, a code object); for checkers, not for speed.
pub const FLAG_FROZEN: u64 = 1 << 51;

/// Large objects: length in elements, u64, this far BEFORE the object's address.
pub const LARGE_LENGTH: u64 = 16;
/// Large objects: reserved capacity in bytes of payload, u64, this far BEFORE the object's address.
pub const LARGE_CAPACITY: u64 = 8;
/// Offset of a large object from the start of its run: payload begins at the third page.
pub const LARGE_OFFSET: u64 = 2 * super::PAGE - HEADER_SIZE;
/// What [`LENGTH`] holds when the length does not fit 32 bits (a WebAssembly memory of exactly 4 GiB).
pub const LENGTH_OVERFLOW: u32 = u32::MAX;

/// Largest object, header included, that lives in a size class; above it is a large object.
/// Chosen so that an allocation touches at most four pages of the object.
pub const SMALL_LIMIT: u64 = 768 * super::GRANULE;

/// Metadata byte: an object starts at this granule.
pub const META_START: u8 = 1;
/// Metadata byte: one reference from the heap.
pub const META_COUNT_ONE: u8 = 1 << 1;
/// Metadata byte: the count, five bits; all ones is sticky.
pub const META_COUNT_MASK: u8 = 0b0011_1110;
/// Metadata byte: which batch of the zero-count table lists the object: 0 none, 1 or 2.
pub const META_BATCH_MASK: u8 = 0b1100_0000;
/// Batch that is none: the sweep is releasing the object, or has left it half released for good.
pub const META_BATCH_SWEPT: u8 = 3;
/// Bit number of the batch in the metadata byte.
pub const META_BATCH_SHIFT: u32 = 6;

/// Strings: cached hash in the low 32 bits of this word with bit 32 set; 0 while nobody asked. u64.
pub const STRING_HASH: u64 = PAYLOAD;
/// Strings and builders' buffers: first byte of text. [`LENGTH`] counts bytes.
pub const STRING_BYTES: u64 = PAYLOAD + 8;
/// Bit that says that [`STRING_HASH`] is valid.
pub const STRING_HASH_VALID: u64 = 1 << 32;

/// Builders: the buffer (laid out like a string, class [`super::class::STRING_BUFFER`]), reference.
pub const BUILDER_BUFFER: u64 = PAYLOAD;
/// Builders: bytes in use, u64.
pub const BUILDER_LENGTH: u64 = PAYLOAD + 8;
/// Bytes of a builder.
pub const BUILDER_SIZE: u64 = PAYLOAD + 16;

/// Vectors: the elements, a reference array whose length is the vector's capacity, reference; null while nothing was pushed.
pub const VECTOR_ELEMENTS: u64 = PAYLOAD;
/// Vectors: elements in use, u64.
pub const VECTOR_LENGTH: u64 = PAYLOAD + 8;
/// Vectors: changes so far that move elements, u64; stepped natives compare it.
pub const VECTOR_CHANGES: u64 = PAYLOAD + 16;
/// Bytes of a vector.
pub const VECTOR_SIZE: u64 = PAYLOAD + 32; // one word reserved

/// Long and Double: the value, u64.
pub const BOX_VALUE: u64 = PAYLOAD;

/// Weak references: the target's address, uncounted, 0 once it was freed.
pub const WEAK_TARGET: u64 = PAYLOAD;
/// Weak references: epoch in which the target was last handed out, u64.
pub const WEAK_READ: u64 = PAYLOAD + 8;
/// Bytes of a weak reference.
pub const WEAK_SIZE: u64 = PAYLOAD + 16;

const _: () = assert!(META_START | META_COUNT_MASK | META_BATCH_MASK == u8::MAX);
const _: () = assert!(LARGE_OFFSET + PAYLOAD == 2 * super::PAGE);
