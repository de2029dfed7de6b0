//! Block table entries, block headers and the page of free runs.
//!
//! A run is a power of two of blocks, aligned to its size (buddies), so any block's run is found by asking at most
//! [`ORDERS`] candidate heads, the largest first; inner blocks need no marks. Entries of inner blocks are stale, never wrong
//! for the search.

/// Bytes of a block table entry.
pub const ENTRY_SIZE: u64 = 16;
/// Entry: kind of the run that starts here, u8.
pub const ENTRY_KIND: u64 = 0;
/// Entry: log2 of the run's length in blocks, u8.
pub const ENTRY_ORDER: u64 = 1;
/// Entry: size class (small blocks), u8.
pub const ENTRY_SIZE_CLASS: u64 = 2;
/// Entry: state of a small block ([`STATE_LISTED`] and friends), u8.
pub const ENTRY_STATE: u64 = 3;
/// Entry: owning group, u32. Of a run of [`KIND_DIRTY`]: pages at its end that are known to be zero. Of a stack range: index of its
/// thread, 0 while that has not begun.
pub const ENTRY_OWNER: u64 = 4;
/// Entry: previous head in the list that the state names, block index u32, 0 none.
pub const ENTRY_PREVIOUS: u64 = 8;
/// Entry: next head in that list, block index u32, 0 none.
pub const ENTRY_NEXT: u64 = 12;

/// Kind: never used, or inside a run.
pub const KIND_NONE: u8 = 0;
/// Kind: free, every byte zero.
pub const KIND_FREE: u8 = 1;
/// Kind: free, content unknown but for the pages that the entry names; serves small blocks and stacks until it is discarded.
pub const KIND_DIRTY: u8 = 2;
/// Kind: one block of small objects.
pub const KIND_SMALL: u8 = 3;
/// Kind: one large object.
pub const KIND_LARGE: u8 = 4;
/// Kind: stack range of a thread.
pub const KIND_STACK: u8 = 5;

/// State: allocation goes on in it.
pub const STATE_CURRENT: u8 = 1;
/// State: stands in its owner's list of blocks with free cells.
pub const STATE_LISTED: u8 = 2;
/// State: no free cell was left when allocation left it.
pub const STATE_FULL: u8 = 3;

/// Orders of runs: 0 (64 KiB) to 24 (1 TiB).
pub const ORDERS: u64 = 25;

/// Header of a block: stands in the metadata bytes that the metadata page's own granules would have.
pub const HEADER_SIZE: u64 = 256;
/// First granule that holds objects.
pub const FIRST_GRANULE: u64 = 256;
/// Granules for objects in a block.
pub const GRANULES: u64 = 3840;
/// Header: free cells outside the allocator's current run of cells, u16 in a u64.
pub const HEADER_FREE_CELLS: u64 = 0;
/// Header: kind, size class and owner once more (u8, u8, [`HEADER_NOTED`], u8 0, u32), for checkers and for freeing without
/// the table.
pub const HEADER_CLASS: u64 = 8;
/// Header of a small block: not 0 when it is noted for a look at its free pages, u8.
pub const HEADER_NOTED: u64 = 10;
/// Header of a large run: bytes of payload that may differ from zero (its high-water mark), u64.
pub const HEADER_EXTENT: u64 = 16;
/// Header of a small block: the pages of it that were discarded and not used since, a bit each, u16.
pub const HEADER_ZERO_PAGES: u64 = 24;

/// Runs page: heads of the lists of clean free runs, u32 each by order.
pub const RUNS_CLEAN: u64 = 0;
/// Runs page: heads of the lists of dirty free runs, u32 each by order.
pub const RUNS_DIRTY: u64 = 128;
/// Runs page: blocks in use of every kind, u64.
pub const RUNS_BLOCKS_USED: u64 = 256;
/// Runs page: not 0 while allocation is refused because the disk's reserve is touched, u64.
pub const RUNS_REFUSED: u64 = 280;
/// Runs page: dirty runs of one block, u64.
pub const RUNS_DIRTY_BLOCKS: u64 = 264;
/// Runs page: pages of larger dirty runs that are not known to be zero, u64.
pub const RUNS_UNKNOWN_PAGES: u64 = 272;
/// Runs page: lower end of address space that was never used, address.
pub const RUNS_FRESH: u64 = 288;
/// Runs page: upper end of it, exclusive, address.
pub const RUNS_FRESH_TOP: u64 = 296;
/// Runs page: which pages of the set of noted blocks may have a bit, a bit each: 1 KiB.
pub const RUNS_NOTED: u64 = 2048;

/// Allocator page: group index, u64.
pub const ALLOCATOR_GROUP: u64 = 0;
/// Allocator page: quota in bytes, u64.
pub const ALLOCATOR_QUOTA: u64 = 8;
/// Allocator page: bytes of blocks and large payloads charged, u64.
pub const ALLOCATOR_USED: u64 = 16;
/// Allocator page: allocations refused because of the quota, each an exception thrown, u64.
pub const ALLOCATOR_REFUSED: u64 = 24;
/// Allocator page: first of the records by size class.
pub const ALLOCATOR_CLASSES: u64 = 64;
/// Bytes of the record of a size class.
pub const ALLOCATOR_CLASS_SIZE: u64 = 32;
/// Class record: address of the next cell of the current run of free cells, u64.
pub const CLASS_CURSOR: u64 = 0;
/// Class record: end of that run, u64.
pub const CLASS_LIMIT: u64 = 8;
/// Class record: block in which the run lies, block index u32, 0 none.
pub const CLASS_CURRENT: u64 = 16;
/// Class record: first listed block, u32, 0 none.
pub const CLASS_HEAD: u64 = 20;
/// Class record: last listed block, u32, 0 none.
pub const CLASS_TAIL: u64 = 24;

/// Granules of a cell, by size class. 3840 is divisible by most of them. The last class is that of threads.
pub const SIZE_CLASSES: [u16; 35] = [
    2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 60, 64, 80, 96, 120, 128, 160,
    192, 240, 256, 320, 384, 480, 548, 640, 768, 32,
];
/// Size class of thread objects and of nothing else: a page of such a block, but the first, holds eight cells of threads, so
/// that a lost one can be made anew.
pub const THREAD_CLASS: u8 = 34;

const _: () = assert!(FIRST_GRANULE * super::GRANULE == super::PAGE);
const _: () = assert!((FIRST_GRANULE + GRANULES) * super::GRANULE == super::BLOCK);
const _: () = assert!(RUNS_CLEAN + 4 * ORDERS <= RUNS_DIRTY && RUNS_DIRTY + 4 * ORDERS <= 256);
const _: () = assert!(RUNS_NOTED + super::BLOCKS / 8 / super::PAGE / 8 <= super::PAGE);
const _: () =
    assert!(ALLOCATOR_CLASSES + ALLOCATOR_CLASS_SIZE * SIZE_CLASSES.len() as u64 <= super::PAGE);
const _: () = assert!(
    SIZE_CLASSES[THREAD_CLASS as usize - 1] as u64 * super::GRANULE == super::object::SMALL_LIMIT
);
const _: () = assert!(
    SIZE_CLASSES[THREAD_CLASS as usize] as u64 * super::GRANULE == super::thread::SIZE
        && SIZE_CLASSES.len() == THREAD_CLASS as usize + 1
);
