//! Maps: insertion-ordered hash tables from references to references (strings, longs and doubles are keys by value).
//!
//! Entries are records (hash and state, key, value) in segments that never move; segment k holds `8 << k` entries. The index
//! is an open-addressed raw array of u64 (hash u32, entry number + 1 u32). A bigger index is filled a few places an insertion
//! while both are asked; so no operation copies a whole map.

use super::object::PAYLOAD;

/// Live entries, u64.
pub const LIVE: u64 = PAYLOAD;
/// Entry numbers given out: entries 0 to `END`-1 are live or deleted, u64.
pub const END: u64 = PAYLOAD + 8;
/// Changes so far that move or add or remove entries, u64; iterators compare it.
pub const CHANGES: u64 = PAYLOAD + 16;
/// Places of the index that are not empty (live and deleted), u64.
pub const INDEX_USED: u64 = PAYLOAD + 24;
/// Place of the old index from which it still counts; places before it were moved, u64.
pub const MOVE_CURSOR: u64 = PAYLOAD + 32;
/// Compaction: next entry to look at plus one, u64; 0 while none is in progress; all ones while a cleared map drops its
/// segments.
pub const COMPACT_FROM: u64 = PAYLOAD + 40;
/// Compaction: where the next live entry goes, u64.
pub const COMPACT_TO: u64 = PAYLOAD + 48;
/// The index, a raw array of 64-bit elements, reference; null while the map is empty.
pub const INDEX: u64 = PAYLOAD + 56;
/// The index being left, reference, or null.
pub const OLD_INDEX: u64 = PAYLOAD + 64;
/// Segment 0 of the entries, reference; the others follow.
pub const SEGMENTS: u64 = PAYLOAD + 72;
/// Number of segments: entries 0 to 8 * (2^26 - 1) - 1.
pub const SEGMENT_COUNT: u64 = 26;
/// Entries of segment 0.
pub const FIRST_SEGMENT: u64 = 8;
/// Bytes of a map.
pub const SIZE: u64 = SEGMENTS + 8 * SEGMENT_COUNT;
/// Reference slots of a map, as a bitmap.
pub const REFERENCES: u64 = ((1 << (2 + SEGMENT_COUNT)) - 1) << ((INDEX - PAYLOAD) / 8);

/// Words of an entry.
pub const ENTRY_WORDS: u64 = 3;
/// Entry word: hash in the low 32 bits, bit 32 set while the entry is live.
pub const ENTRY_STATE: u64 = 0;
/// Entry word: key.
pub const ENTRY_KEY: u64 = 8;
/// Entry word: value.
pub const ENTRY_VALUE: u64 = 16;
/// Bit of [`ENTRY_STATE`]: the entry is live.
pub const ENTRY_LIVE: u64 = 1 << 32;

/// Index place: never used since the index was made.
pub const PLACE_EMPTY: u64 = 0;
/// Index place: its entry was deleted.
pub const PLACE_DELETED: u64 = u64::MAX;

const _: () = assert!((INDEX - PAYLOAD) / 8 + 2 + SEGMENT_COUNT <= 64);
