//! The store: pages on a disk that may lose power at any instant.
//!
//! ```text
//!   Formatting                     Opening ------------> Store ------------------------------> events
//!   ring, empty allocator          ring, guard,          lookup / read_page / reserve / discard
//!                                  tombstones            begin_snapshot, write_page.., finish_snapshot
//!
//!   superblock ring (8 slots, both ends of the device)
//!     '-- snapshot table -- root of a page map -- 5 levels of nodes, 128 references each -- pages
//!     '-- free-space roots -- the same kind of nodes -- bitmaps
//!   one commit: pages; nodes; bitmaps | flush | superblock | flush
//! ```
//!
//! Invariants (FORMAT.md states them all): no block that the two newest superblocks or a retained snapshot reach is
//! overwritten; every block is named by a reference with its checksum and birth; after a cut the state is exactly the
//! last or the next snapshot; the allocator of a superblock is exactly what that superblock reaches.
//!
//! Everything is a state machine over [`revenant_hal::Disk`]: `step` never blocks, completions come in by `complete`.
//! What this crate does not do: decide when to snapshot, hold pages in RAM, know what pages mean.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod allocator;
mod api;
mod bitmap;
mod cache;
mod check;
mod checksum;
mod commit;
mod delete;
mod discard;
mod early;
mod epitaph;
mod error;
mod format;
mod free_space;
mod guard;
mod io;
mod layout;
mod open;
mod overlay;
mod prepared;
mod problem;
mod read;
mod reference;
mod requests;
mod reservation;
mod retention;
mod ring;
mod seal;
mod snapshot;
mod store;
mod superblock;
mod tree;
mod trim;
mod units;
mod verified;
mod write;

pub use api::{
    Access, Copies, Lookup, OpenFrom, OpenReport, OpenRequest, PageContent, Planted, Purpose,
    SessionId, Space, SpaceState, StepOutcome, StoreEvent, StoreId, StoreOptions, TrimOptions,
};
pub use check::{Check, CheckOutcome};
pub use checksum::checksum;
pub use early::EarlyStatistics;
pub use epitaph::{Epitaph, Failures};
pub use error::{
    AbandonReason, BlockRole, DamagedBlock, NoSpace, ReadOnlyReason, Refusal, SnapshotError,
};
pub use format::{FormatOutcome, Formatting};
pub use guard::{EPITAPH_TEXT_BYTES, decode_epitaph, encode_epitaph};
pub use layout::{
    EPITAPH_BLOCK, FORMAT_VERSION, GUARD_BLOCK, LABEL_BLOCK, Layout, MAXIMUM_BLOCKS,
    MINIMUM_BLOCKS, RING_SLOTS, SLOT_BLOCKS,
};
pub use open::{OpenOutcome, Opening};
pub use problem::{CheckReport, MAXIMUM_PROBLEMS, Problem};
pub use reference::{FANOUT, MAP_LEVELS, Node, Reference};
pub use retention::{KeptBy, Retention, RetentionOverride};
pub use ring::{Ring, RingOutcome, RingReader};
pub use snapshot::{BranchId, MAXIMUM_SNAPSHOTS, Snapshot, SnapshotTable};
pub use store::Store;
pub use superblock::{CollectorPin, RawSlot, SlotContent, Superblock, encode_tombstone};
