//! The class object, kinds of objects, and the class indices that only the `vm` uses.
//!
//! A class object is a small object of kind [`KIND_CLASS`]; its virtual table stands inline behind the fixed part. It is
//! never freed by counting: its count is stuck from birth.

/// Index u32 (low half) of this class in the class table.
pub const INDEX: u64 = 16;
/// Kind of the instances, u8.
pub const KIND: u64 = 20;
/// Log2 of the element size of raw arrays, u8.
pub const ELEMENT_SHIFT: u64 = 21;
/// Class flags, u16.
pub const FLAGS: u64 = 22;
/// Superclass or null, reference.
pub const SUPERCLASS: u64 = 24;
/// Module instance that defined it, or null for built-in classes, reference.
pub const MODULE: u64 = 32;
/// Name, a string, reference.
pub const NAME: u64 = 40;
/// Bytes of an instance with header (fixed-size kinds), u32.
pub const INSTANCE_SIZE: u64 = 48;
/// Slots of an instance, u32.
pub const SLOTS: u64 = 52;
/// Bit i: slot i is a reference, for the first 64 slots; u64.
pub const REFERENCE_BITMAP: u64 = 56;
/// Byte array with the bits of all slots when there are more than 64, else null; reference.
pub const LONG_BITMAP: u64 = 64;
/// Size class of an instance, u32 (see heap size classes; `u32::MAX` when instances vary in size).
pub const SIZE_CLASS: u64 = 72;
/// Entries of the virtual table, u32.
pub const VTABLE_LENGTH: u64 = 76;
/// Interface table: reference array of pairs (interface class, reference array of its methods), or null.
pub const INTERFACES: u64 = 80;
/// Number of superclasses, u32; also this class's place in its own display.
pub const DEPTH: u64 = 88;
/// Records: bit i says that word i of each record is a reference, u32.
pub const RECORD_MASK: u64 = 92;
/// Class indices (u32) of the first eight classes on the way from the topmost superclass to this class itself.
pub const DISPLAY: u64 = 96;
/// Entries of the display.
pub const DISPLAY_LENGTH: u64 = DISPLAY_ENTRIES as u64;
/// [`DISPLAY_LENGTH`] as the length of a Rust array.
pub const DISPLAY_ENTRIES: usize = 8;
/// Records: words of each record, u32.
pub const RECORD_WORDS: u64 = 128;
/// Field names: reference array of strings, or null.
pub const FIELD_NAMES: u64 = 136;
/// Number of live instances that hold the index, u64. Reserved for the collector's rule that an index is not reused.
pub const INSTANCES: u64 = 144;
/// Reserved, u64.
pub const RESERVED: u64 = 152;
/// The virtual table: function objects, references.
pub const VTABLE: u64 = 160;
/// References of the fixed part, as bits of slots counted from the payload.
pub const FIXED_REFERENCES: u64 = slot(SUPERCLASS)
    | slot(MODULE)
    | slot(NAME)
    | slot(LONG_BITMAP)
    | slot(INTERFACES)
    | slot(FIELD_NAMES);

/// Class flag: an interface; has no instances.
pub const FLAG_INTERFACE: u16 = 1;
/// Class flag: abstract; has no instances of its own.
pub const FLAG_ABSTRACT: u16 = 2;
/// Class flag: has instances or subclasses, so its layout is frozen.
pub const FLAG_LAYOUT_FROZEN: u16 = 4;
/// Class flag: code cannot make instances (capabilities, threads, classes).
pub const FLAG_SEALED: u16 = 8;

/// Kind: fields in 8-byte slots, references by bitmap.
pub const KIND_PLAIN: u8 = 1;
/// Kind: array of references.
pub const KIND_REFERENCE_ARRAY: u8 = 2;
/// Kind: array of raw elements of 1, 2, 4 or 8 bytes; byte buffers are its one-byte form.
pub const KIND_RAW_ARRAY: u8 = 3;
/// Kind: string, or the buffer of a builder.
pub const KIND_STRING: u8 = 4;
/// Kind: array of records of a few words with a reference mask each (entries of maps).
pub const KIND_RECORDS: u8 = 5;
/// Kind: weak reference.
pub const KIND_WEAK: u8 = 6;
/// Kind: class object.
pub const KIND_CLASS: u8 = 7;
/// Kind: fields by bitmap like [`KIND_PLAIN`], but freed only when its thread has ended and left every list.
pub const KIND_THREAD: u8 = 8;

/// Index of the class of map entries: the classes that only the `vm` uses stand between the named ones
/// ([`revenant_bytecode::Builtin`], whose numbers are class indices) and those of modules.
pub const MAP_ENTRIES: u32 = 192;
/// Index of the class of builders' buffers: laid out like strings.
pub const STRING_BUFFER: u32 = 193;
/// First class index that modules get.
pub const FIRST_MODULE_CLASS: u32 = 256;

/// The bit of the slot at byte offset `offset` in a reference bitmap.
#[must_use]
pub const fn slot(offset: u64) -> u64 {
    1 << ((offset - super::object::PAYLOAD) / super::SLOT)
}

const _: () = assert!(DISPLAY + 4 * DISPLAY_LENGTH == RECORD_WORDS);
const _: () = assert!(VTABLE.is_multiple_of(8) && VTABLE == RESERVED + 8);
