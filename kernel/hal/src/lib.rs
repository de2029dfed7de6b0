//! The seams of the kernel: the words that every layer shares, and the small traits through which policy sees hardware.
//!
//! Policy crates (`store`, `pager`, `vm`) are pure: they are generic over the traits here, and the same code runs in the
//! kernel over `revenant-machine` and under `cargo test` over `revenant-sim`. This crate has no state and no policy.
//!
//! ```text
//!   units   PageIndex FrameIndex BlockIndex Epoch Generation ByteCount ObjectAddress Nanoseconds Checksum
//!   disk    Disk: asynchronous requests over whole blocks, completions by tag
//!   memory  FrameMemory: the content of frames        Mmu: page-table entries and the TLB
//!   clock   Clock: monotonic and wall time            event: what pure crates report instead of text
//! ```
//!
//! What this crate does not do: allocate frames, order requests, decide anything.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod clock;
mod disk;
mod event;
mod memory;
mod units;

pub use clock::Clock;
pub use disk::{
    Buffer, DiscardLimits, Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation,
    DiskRequest, RequestTag,
};
pub use event::{Event, EventSink};
pub use memory::{FrameMemory, Mmu, TableEntry};
pub use units::{
    BlockIndex, ByteCount, Checksum, Epoch, FrameIndex, Generation, Nanoseconds, OBJECT_SPACE_BASE,
    OBJECT_SPACE_PAGES, OBJECT_SPACE_SIZE, ObjectAddress, PAGE_SIZE, PAGE_SIZE_U64, PageBytes,
    PageIndex, SECTOR_SIZE, SECTORS_PER_BLOCK, TABLE_ENTRIES,
};
