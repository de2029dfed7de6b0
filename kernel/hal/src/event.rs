//! What pure crates report: typed events, not text. The kernel prints them and keeps the last ones for the epitaph; the
//! simulator checks them.

use crate::{BlockIndex, Epoch, FrameIndex, Generation, PageIndex};

/// Something worth a line of the log or a place in the epitaph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A superblock was opened.
    Opened {
        /// Its generation.
        generation: Generation,
        /// The snapshot it names.
        epoch: Epoch,
    },
    /// A slot verified but what it reaches did not: damage, not a torn write.
    DamagedGeneration {
        /// The generation that was passed over.
        generation: Generation,
    },
    /// Newer slots were overwritten after a step back.
    Tombstoned {
        /// How many.
        slots: u32,
    },
    /// Object space became read-only; the epoch ended.
    Flipped {
        /// The epoch that ended.
        epoch: Epoch,
        /// Pages to write.
        dirty_pages: u64,
    },
    /// The snapshot is durable.
    Committed {
        /// Its epoch.
        epoch: Epoch,
        /// Its superblock's generation.
        generation: Generation,
        /// Blocks written for it, all kinds.
        blocks_written: u64,
    },
    /// A snapshot was given up; its pages stay dirty.
    Abandoned {
        /// Its epoch.
        epoch: Epoch,
    },
    /// A snapshot was deleted.
    Deleted {
        /// Its epoch.
        epoch: Epoch,
        /// Blocks freed.
        blocks: u64,
    },
    /// A page could not be read or did not match its checksum.
    UnreadablePage {
        /// The page.
        page: PageIndex,
        /// Where it should have been.
        block: BlockIndex,
    },
    /// A map node that could not be read was replaced: what only it named is lost.
    PagesLost {
        /// The first page that it covered.
        first: PageIndex,
        /// Pages that it covered.
        count: u64,
        /// Where it stood.
        block: BlockIndex,
    },
    /// A part of the record of free blocks could not be read: the blocks that it described count as used.
    FreeSpaceLost {
        /// The first of them.
        first: BlockIndex,
        /// How many.
        count: u64,
    },
    /// No frame is left and none can come back.
    OutOfFrames,
    /// No disk space is left for new pages.
    OutOfSpace,
    /// Another machine writes to this disk.
    ForeignSession,
    /// The machine went read-only.
    ReadOnly,
    /// A page was copied because its frame is frozen.
    CopiedPage {
        /// The page.
        page: PageIndex,
        /// The frozen frame.
        frame: FrameIndex,
    },
}

/// Takes events; must not fail and must not block.
pub trait EventSink {
    /// Records one event.
    fn record(&mut self, event: Event);
}

impl EventSink for alloc::vec::Vec<Event> {
    fn record(&mut self, event: Event) {
        self.push(event);
    }
}
