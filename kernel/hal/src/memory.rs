//! The seams to RAM: the content of frames, and page-table entries with the TLB that caches them.
//!
//! The algorithms (walk, push-down of protection, flip) are policy and stand in `pager`; an implementation of [`Mmu`] is a
//! few loads and stores. Object space covers top-level entries 32 to 63 of the root table (2^44 / 2^39); no other entry
//! of the root is read or written through this trait.

use crate::{FrameIndex, PageBytes, PageIndex};

/// The content of the frames of the pool.
///
/// Whoever reads or writes a frame that is mapped writable in object space races with the program; the pager's rule
/// is that only unmapped or protected frames are touched through here.
pub trait FrameMemory {
    /// Frames in the pool; valid indices are below it.
    fn frame_count(&self) -> u32;
    /// A frame's content.
    fn bytes(&self, frame: FrameIndex) -> &PageBytes;
    /// A frame's content, to change.
    fn bytes_mut(&mut self, frame: FrameIndex) -> &mut PageBytes;
    /// Copies a whole frame; `source` and `target` differ.
    fn copy(&mut self, source: FrameIndex, target: FrameIndex);
    /// Fills a frame with zeros.
    fn zero(&mut self, frame: FrameIndex);
}

/// One entry of a page table of any level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableEntry {
    /// The table below, or, at the last level, the frame that holds the page.
    pub frame: FrameIndex,
    /// Writes are permitted, if every level above permits them too.
    pub writable: bool,
    /// Set by the processor on use; may be lost; approximate.
    pub accessed: bool,
}

/// Page tables and the TLB, one processor.
pub trait Mmu {
    /// The entry of `table`, or none if it is not present.
    fn entry(&self, table: FrameIndex, index: usize) -> Option<TableEntry>;
    /// Stores an entry; `None` makes it not present. Does not invalidate.
    fn set_entry(&mut self, table: FrameIndex, index: usize, entry: Option<TableEntry>);
    /// Makes all 512 entries of a fresh table frame not present.
    fn clear_table(&mut self, table: FrameIndex);
    /// Clears the writable bit of all 512 entries with plain stores. Does not invalidate.
    fn protect_table(&mut self, table: FrameIndex);
    /// A top-level entry of object space, `index` in 0..32 counted from the first.
    fn top_entry(&self, index: usize) -> Option<TableEntry>;
    /// Stores a top-level entry of object space. Does not invalidate.
    fn set_top_entry(&mut self, index: usize, entry: Option<TableEntry>);
    /// Drops whatever the TLB holds for one page.
    fn invalidate_page(&mut self, page: PageIndex);
    /// Drops everything the TLB holds for object space.
    fn invalidate_all(&mut self);
}
