//! The words between the store and those who use it: options, requests to open, what a page turned out to hold, events.
//!
//! Invariant: nothing here has behaviour; the state machines stand in `open`, `store` and `check`.

use crate::error::{AbandonReason, DamagedBlock, ReadOnlyReason};
use crate::retention::RetentionOverride;
use crate::snapshot::BranchId;
use alloc::vec::Vec;
use revenant_hal::{Epoch, Event, FrameIndex, Generation, Nanoseconds, PageIndex};

/// The name of a store, drawn at random when it is formatted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StoreId(pub u128);

/// The name of one opening of a store, drawn at random by whoever opens it; never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u128);

/// How a store behaves while it is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreOptions {
    /// What this session puts in the place of the store's policy of retention.
    pub retention: RetentionOverride,
    /// So many snapshots that nothing keeps are deleted together: what they free is noted in the same bitmaps, which are written
    /// once for all of them; in a commit that changes nothing, up to one less than twice as many. So some stand longer than
    /// they must, as long as there is space. 0 is taken as 1.
    pub deleted_together: u32,
    /// So many abandoned snapshots in a row make the store read-only.
    pub failures_until_read_only: u32,
    /// Map nodes kept in RAM; each is 4 KiB and a little.
    pub cached_nodes: usize,
    /// Map nodes that the dirty pages of the running and the frozen epoch may need; each takes 4 KiB and a little while its
    /// commit is made. A page that would need more waits for the next snapshot.
    pub changed_nodes: usize,
    /// Pages that may be written before their flip; each takes about 150 bytes until its snapshot is durable. A quarter more while the
    /// snapshot before is in the making.
    pub early_pages: usize,
    /// Bytes of RAM for the allocator's bitmaps, and for the walk that verifies an older generation: a disk that needs
    /// more is refused.
    pub memory: u64,
    /// Requests kept in flight at most, below what the device allows.
    pub queue_depth: usize,
    /// What the device is told of free blocks, if it wants to know.
    pub trim: TrimOptions,
}

/// When the device is told of free blocks (its DISCARD).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrimOptions {
    /// Fewer adjacent blocks than this are not worth a request.
    pub run: u64,
    /// So many blocks must have become free since the last time.
    pub batch: u64,
    /// Requests after a commit at most; 0: never.
    pub requests: u32,
}

impl Default for TrimOptions {
    /// Runs of 64 KiB, when a MiB has become free.
    fn default() -> Self {
        Self { run: 16, batch: 256, requests: 32 }
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retention: RetentionOverride::default(),
            deleted_together: 1,
            failures_until_read_only: 3,
            cached_nodes: 4096,
            changed_nodes: 4096,
            early_pages: 8192,
            memory: u64::MAX,
            queue_depth: 64,
            trim: TrimOptions::default(),
        }
    }
}

/// Whether an opening may write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Guard, tombstones, commits.
    ReadWrite,
    /// Nothing is written; FLUSH is not needed.
    ReadOnly,
}

/// Which state to resume.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenFrom {
    /// The newest whole generation of the two newest.
    Newest,
    /// `rollback=N@R`: snapshot N of the newest generation, if the store's restore generation is R.
    Rollback {
        /// N.
        epoch: Epoch,
        /// R.
        restore_generation: u64,
    },
    /// The snapshot before the newest that is not hidden, because the newest was resumed and its kernel recorded a fault. Whoever asks says
    /// which epoch failed; if the newest is another one by now, the newest is opened.
    StepBack {
        /// The epoch whose resume failed.
        failed: Epoch,
    },
    /// The newest snapshot of the live line from before this one that is not hidden, or the oldest if there is none: resumes in a row
    /// have ended in a recorded fault, this one's first, whatever became durable in between. The newest, if that is all there is.
    StepBackBefore {
        /// The epoch that was resumed first.
        first: Epoch,
    },
    /// `generation=G@R`: an older generation, on explicit request, after a walk that verifies every block it reaches.
    Generation {
        /// G.
        generation: Generation,
        /// R: the highest restore generation in the ring, so that a forgotten command line does not go back twice. None to
        /// go back whatever it is: for reading.
        restore_generation: Option<u64>,
    },
}

/// Everything an opening needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenRequest {
    /// A fresh random number: the guard against two openers, and the place where allocation starts.
    pub session: SessionId,
    /// The version of the virtual machine whose objects this system runs.
    pub vm_abi: u32,
    /// Whether to write.
    pub access: Access,
    /// Which state.
    pub from: OpenFrom,
    /// Behaviour while open.
    pub options: StoreOptions,
}

/// What an opening found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenReport {
    /// The store's name.
    pub store: StoreId,
    /// The generation that was opened.
    pub generation: Generation,
    /// The snapshot that is resumed; 0 on a store without one.
    pub epoch: Epoch,
    /// Its branch; after a rollback a new one.
    pub branch: BranchId,
    /// The epoch in which programs run now: above every epoch seen on this disk.
    pub running_epoch: Epoch,
    /// Counts resumes from other than the newest committed state; shown to programs.
    pub restore_generation: u64,
    /// Whether this resume is one of them: fire the restart event.
    pub restored: bool,
    /// Generations whose slot verified while their root did not: damage.
    pub damaged: Vec<Generation>,
    /// Slots overwritten because they could have won over what was opened.
    pub tombstones: u32,
    /// What a kernel that failed left behind, if it was of this store.
    pub epitaph: Option<crate::Epitaph>,
    /// Wall time of the snapshot's flip.
    pub wall_time: Nanoseconds,
    /// Blocks read by this opening.
    pub blocks_read: u64,
}

/// What a page holds according to the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageContent {
    /// Never written: zeros. The frame was not touched; its owner clears it.
    Zero,
    /// On disk; after a read, in the frame.
    Stored,
}

/// What the map in RAM knows about a page, without I/O.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// The map's path is in RAM.
    Known(PageContent),
    /// Nodes have to be read first: use [`crate::Store::read_page`].
    NeedsRead,
}

/// For whom a block is set aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A program's page.
    Program,
    /// A page that changes because memory is given back: may use what programs leave for that.
    Freeing,
    /// A page of the system (scheduler, root, thread bookkeeping): may use the fixed pool.
    System,
}

/// How often a page is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copies {
    /// Once.
    One,
    /// Twice, in distant places: root directory, run queue, class table.
    Two,
}

/// What the store has to tell. Taken by [`crate::Store::next_event`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreEvent {
    /// A read that [`crate::Store::read_page`] started has ended; the frame is the caller's again.
    PageRead {
        /// The page.
        page: PageIndex,
        /// The frame.
        frame: FrameIndex,
        /// What it holds. On damage the frame's content is undefined.
        result: Result<PageContent, DamagedBlock>,
    },
    /// The device has the page's frozen content; the frame is free for other use. Not yet durable.
    PageWritten {
        /// The page.
        page: PageIndex,
        /// The frame.
        frame: FrameIndex,
    },
    /// A page that was to be written before its flip was not: it is as dirty as before. The frame is free for other use.
    PageNotWritten {
        /// The page.
        page: PageIndex,
        /// The frame.
        frame: FrameIndex,
    },
    /// The snapshot is durable and the newest. (For a commit without a snapshot: epoch of the live state.)
    Committed {
        /// Its epoch.
        epoch: Epoch,
        /// Its generation.
        generation: Generation,
        /// Blocks written, all kinds, superblock included.
        blocks_written: u64,
    },
    /// The snapshot was given up: every page given to it counts as dirty again, no frame is used by the device any more.
    Abandoned {
        /// Its epoch.
        epoch: Epoch,
        /// Why.
        reason: AbandonReason,
    },
    /// From now on nothing is written.
    BecameReadOnly(ReadOnlyReason),
    /// More for the log.
    Report(Event),
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum StepOutcome {
    /// There is more to do now: call again soon.
    Again,
    /// Waiting for completions of the disk.
    Waiting,
    /// Nothing to do and nothing in flight.
    Idle,
}

/// Space on the disk, in blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Blocks that the allocator manages.
    pub total: u64,
    /// Free now.
    pub allocatable: u64,
    /// Freed by commits that are not two superblocks old yet.
    pub quarantined: u64,
    /// Set aside for pages that are dirty.
    pub charged: u64,
    /// Set aside for the system and for commits.
    pub pool: u64,
    /// What may still be charged to programs.
    pub available: u64,
}

/// How short of space the store is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SpaceState {
    /// Nothing is refused.
    Plenty,
    /// History is being dropped; nothing is refused yet. A snapshot soon makes the space usable.
    Short,
    /// Allocation throws; stores to existing pages still proceed.
    AllocationRefused,
    /// Stores to clean pages wait.
    Full,
}

/// Faults that tests plant to see them caught. Never set outside tests.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Planted {
    /// None.
    #[default]
    None,
    /// The flush before the superblock is left out.
    DataFlushSkipped,
    /// The flush after the superblock is left out.
    SuperblockFlushSkipped,
    /// Blocks dropped by a commit are handed out as soon as its own superblock is durable.
    ReusedOneGenerationEarly,
    /// Nothing read is compared with its checksum.
    ChecksumSkipped,
    /// The highest superblock is opened whether its roots verify or not.
    HighestSuperblockTrusted,
    /// Deletion frees blocks that the parent snapshot has too.
    BirthTestDropped,
    /// Births are compared by `<` instead of `<=`.
    BirthOffByOne,
    /// Slots that could win later are left alone.
    TombstoneOmitted,
    /// Opening falls back as far as three generations.
    StepBackByThree,
    /// Epochs and generations continue from what was opened.
    EpochResetOnRollback,
    /// Pins are not written to the superblock.
    PinForgotten,
    /// The allocator in the superblock is that of the commit before: one epoch too old.
    AllocatorOneEpochOff,
    /// The allocator in a superblock knows what was written early for the snapshot after it: it is too new.
    OverlayInOlderSuperblock,
    /// The commit in the making may take blocks in which pages of the next epoch were written.
    LaterBlocksUnheld,
    /// When a snapshot is given up, what was written early for the one after it loses its blocks.
    LaterBlocksNotKept,
    /// What was written early for the snapshot after it goes into the snapshot in the making.
    NextOverlayMerged,
    /// Reads ask what the commit in the making has before what was written after its flip.
    OlderOverlayFirst,
    /// What was written before the flip is not in the snapshot.
    OverlayLost,
    /// Reads do not look where pages were written before their flip.
    OverlayUnseen,
    /// When a snapshot is given up, what was written for it before its flip loses its blocks.
    EarlyBlocksNotKept,
    /// What was written for a snapshot that was given up goes into the next as it is.
    EarlyBlocksBelieved,
    /// The guard block is not looked at before a superblock.
    GuardIgnored,
    /// The blocks of an abandoned snapshot never come back.
    AbandonedBlocksLeaked,
    /// A commit's failed flush is taken for a good one.
    FlushErrorIgnored,
    /// A discarded page still holds what the map says.
    DiscardUnseen,
    /// What was discarded in an epoch does not get into its snapshot.
    DiscardNotCommitted,
    /// What was discarded before an abandoned snapshot is forgotten with it.
    DiscardLostWithSnapshot,
    /// The device is told that a block holds nothing that the second newest superblock reaches.
    TrimmedOneGenerationEarly,
    /// Blocks may be handed out while the device is told that they hold nothing.
    TrimmedUnlocked,
}
