//! The disk format of object space as numbers: where everything lies and which word means what.
//!
//! OBJECTS.md says the same in prose and is the reference for the reasons. Every constant here is persistent: a change is a
//! new [`ABI_VERSION`]. Offsets are in bytes from the start of the structure (of the object, header included, for objects).
//! Neighbours: everything in this crate reads these names; nobody writes a bare offset.
//!
//! Invariants: structures do not overlap and end inside their page or object; the const assertions at the end of each file
//! say so.

pub mod block;
pub mod class;
#[cfg(test)]
mod golden;
pub mod map;
pub mod object;
pub mod system;
pub mod thread;

use revenant_hal::{OBJECT_SPACE_BASE, OBJECT_SPACE_SIZE};

/// The number of this format. Stands in the root page and in every superblock (as the VM ABI version). With 1 thread objects had
/// 416 bytes and the statistics a page of their own; with 2 the keys of the held table were not counted by block; with 3 thread
/// objects stood among others of their size.
pub const ABI_VERSION: u32 = 4;

/// First word of the root page: "REVENANT" read as a little-endian number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"REVENANT");

/// Bytes of a reference or raw slot.
pub const SLOT: u64 = 8;

/// Bytes of a granule: the unit in which objects are placed.
pub const GRANULE: u64 = 16;

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// Bytes of a heap block.
pub const BLOCK: u64 = 64 * 1024;

/// Blocks of the whole object space; block 0 starts at its first byte.
pub const BLOCKS: u64 = OBJECT_SPACE_SIZE / BLOCK;

/// Start of the address map: the fixed areas of object space, as absolute addresses.
pub mod area {
    use super::{BLOCK, OBJECT_SPACE_BASE, OBJECT_SPACE_SIZE, PAGE};

    const GIB: u64 = 1 << 30;

    /// The root page.
    pub const ROOT: u64 = OBJECT_SPACE_BASE;
    /// The scheduler's page: run queue, timer heap, hot counters.
    pub const SCHEDULER: u64 = OBJECT_SPACE_BASE + PAGE;
    /// The page of counting: both batches, the grace in progress, the side tables.
    pub const COUNTING: u64 = OBJECT_SPACE_BASE + 2 * PAGE;
    /// The page of free block runs.
    pub const RUNS: u64 = OBJECT_SPACE_BASE + 3 * PAGE;
    /// A page that nothing uses: once the statistics.
    pub const STATISTICS: u64 = OBJECT_SPACE_BASE + 4 * PAGE;
    /// The page of the console: cursors of both rings, the foreground reader.
    pub const CONSOLE: u64 = OBJECT_SPACE_BASE + 5 * PAGE;
    /// The witness page: what threads last reported of their work (system.rs, `witness`).
    pub const WITNESS: u64 = OBJECT_SPACE_BASE + 6 * PAGE;
    /// The console's output ring.
    pub const CONSOLE_OUTPUT: u64 = OBJECT_SPACE_BASE + BLOCK;
    /// Bytes of the output ring.
    pub const CONSOLE_OUTPUT_SIZE: u64 = BLOCK;
    /// The console's input queue.
    pub const CONSOLE_INPUT: u64 = OBJECT_SPACE_BASE + 2 * BLOCK;
    /// Bytes of the input queue.
    pub const CONSOLE_INPUT_SIZE: u64 = PAGE;

    /// Class index (u32) to class object: 8 bytes each.
    pub const CLASS_TABLE: u64 = OBJECT_SPACE_BASE + GIB / 4;
    /// Classes that the table holds; index 0 is never a class.
    pub const CLASS_TABLE_ENTRIES: u64 = 1 << 24;
    /// Thread index to thread object: 8 bytes each, a counted reference.
    pub const THREAD_TABLE: u64 = OBJECT_SPACE_BASE + 2 * (GIB / 4);
    /// Threads that the table holds; index 0 is never a thread.
    pub const THREAD_TABLE_ENTRIES: u64 = 1 << 24;
    /// One allocator page a group, by group index.
    pub const ALLOCATORS: u64 = OBJECT_SPACE_BASE + 3 * (GIB / 4);
    /// Groups that can exist; group 0 is the system's.
    pub const ALLOCATOR_COUNT: u64 = 1 << 16;

    /// The block table: 16 bytes for every block of object space.
    pub const BLOCK_TABLE: u64 = OBJECT_SPACE_BASE + 4 * GIB;
    /// The two batches of the zero-count table, one after the other: 8 bytes an entry.
    pub const BATCHES: u64 = OBJECT_SPACE_BASE + 8 * GIB;
    /// Bytes of one batch.
    pub const BATCH_SIZE: u64 = 4 * GIB;
    /// The timer heap: 16 bytes an entry (deadline u64, thread u64), a binary heap.
    pub const TIMER_HEAP: u64 = OBJECT_SPACE_BASE + 16 * GIB;
    /// Entries of the timer heap.
    pub const TIMER_HEAP_ENTRIES: u64 = THREAD_TABLE_ENTRIES;

    /// The set of blocks that were noted for a look at their free pages: a bit each, by number.
    pub const NOTED_BLOCKS: u64 = OBJECT_SPACE_BASE + 20 * GIB;

    /// The held table: two arenas of [`TABLE_ARENA`] bytes.
    pub const HELD_TABLE: u64 = OBJECT_SPACE_BASE + 64 * GIB;
    /// The table of weak references: target to weak object, two arenas.
    pub const WEAK_TABLE: u64 = OBJECT_SPACE_BASE + 128 * GIB;
    /// The table of extensions (fields added to a class later), two arenas. Reserved: nothing writes it yet.
    pub const EXTENSION_TABLE: u64 = OBJECT_SPACE_BASE + 192 * GIB;
    /// Bytes of one arena of a side table.
    pub const TABLE_ARENA: u64 = 32 * GIB;

    /// First address of heap blocks and stack ranges: block runs.
    pub const HEAP: u64 = OBJECT_SPACE_BASE + 1024 * GIB;
    /// End of object space, exclusive.
    pub const END: u64 = OBJECT_SPACE_BASE + OBJECT_SPACE_SIZE;

    const _: () = assert!(CONSOLE_OUTPUT + CONSOLE_OUTPUT_SIZE <= CONSOLE_INPUT);
    const _: () = assert!(CLASS_TABLE + CLASS_TABLE_ENTRIES * 8 <= THREAD_TABLE);
    const _: () = assert!(THREAD_TABLE + THREAD_TABLE_ENTRIES * 8 <= ALLOCATORS);
    const _: () = assert!(ALLOCATORS + ALLOCATOR_COUNT * PAGE <= BLOCK_TABLE);
    const _: () = assert!(BLOCK_TABLE + super::BLOCKS * super::block::ENTRY_SIZE <= BATCHES);
    const _: () = assert!(BATCHES + 2 * BATCH_SIZE <= TIMER_HEAP);
    const _: () = assert!(TIMER_HEAP + TIMER_HEAP_ENTRIES * 16 <= NOTED_BLOCKS);
    const _: () = assert!(NOTED_BLOCKS + super::BLOCKS / 8 <= HELD_TABLE);
    const _: () = assert!(HELD_TABLE + 2 * TABLE_ARENA <= WEAK_TABLE);
    const _: () = assert!(WEAK_TABLE + 2 * TABLE_ARENA <= EXTENSION_TABLE);
    const _: () = assert!(EXTENSION_TABLE + 2 * TABLE_ARENA <= HEAP);
}
