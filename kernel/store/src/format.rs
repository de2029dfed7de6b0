//! Formatting: a fresh ring, an empty allocator, no snapshot.
//!
//! Order: every slot becomes a tombstone, so that nothing of an older store can win; flush; the free-space tree; flush;
//! superblock 1; flush. A cut on the way leaves a disk that is refused as damaged.

use crate::allocator::Allocator;
use crate::api::{SessionId, StoreId};
use crate::error::Refusal;
use crate::free_space::FreeSpace;
use crate::guard::Guard;
use crate::io::Io;
use crate::layout::{
    EPITAPH_BLOCK, GUARD_BLOCK, LABEL_BLOCK, Layout, MAXIMUM_BLOCKS, MINIMUM_BLOCKS, RING_SLOTS,
};
use crate::reference::Reference;
use crate::snapshot::{BranchId, SnapshotTable};
use crate::superblock::{Superblock, encode_tombstone};
use alloc::{boxed::Box, vec};
use revenant_hal::{
    BlockIndex, Disk, DiskCompletion, DiskError, Epoch, Generation, Nanoseconds, PageBytes,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Start,
    Ring,
    RingFlush,
    Tree,
    TreeFlush,
    Superblock,
    SuperblockFlush,
    Done,
}

/// A formatting in progress. Everything on the disk is lost.
#[derive(Debug)]
pub struct Formatting {
    store: StoreId,
    vm_abi: u32,
    io: Option<Io>,
    phase: Phase,
    failure: Option<DiskError>,
    root: Reference,
    allocated: u64,
}

/// What a step of formatting did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum FormatOutcome {
    /// Call again soon.
    Again,
    /// Waiting for completions of the disk.
    Waiting,
    /// Durable; open it.
    Formatted,
    /// Not done, and why.
    Refused(Refusal),
}

impl Formatting {
    /// Prepares to format a disk with a fresh random name, for objects of virtual machine `vm_abi`.
    #[must_use]
    pub fn new(store: StoreId, vm_abi: u32) -> Self {
        Self {
            store,
            vm_abi,
            io: None,
            phase: Phase::Start,
            failure: None,
            root: Reference::ZERO,
            allocated: 0,
        }
    }

    /// Starts and continues I/O; bounded work.
    pub fn step<D: Disk + ?Sized>(&mut self, disk: &mut D) -> FormatOutcome {
        let geometry = disk.geometry();
        let Some(layout) = Layout::new(geometry.blocks.min(MAXIMUM_BLOCKS)) else {
            return FormatOutcome::Refused(Refusal::TooSmall {
                blocks: geometry.blocks,
                needed: MINIMUM_BLOCKS,
            });
        };
        if geometry.read_only {
            return FormatOutcome::Refused(Refusal::ReadOnly);
        }
        if !geometry.flush {
            return FormatOutcome::Refused(Refusal::NoFlush);
        }
        if let Some(error) = self.failure {
            return FormatOutcome::Refused(Refusal::Device(error));
        }
        let mut io = self.io.take().unwrap_or_else(|| Io::new(&geometry, 64));
        if io.is_idle() && self.phase != Phase::Done {
            self.advance(layout, &mut io);
        }
        io.submit(disk);
        self.io = Some(io);
        if self.phase == Phase::Done { FormatOutcome::Formatted } else { FormatOutcome::Waiting }
    }

    fn advance(&mut self, layout: Layout, io: &mut Io) {
        self.phase = match self.phase {
            Phase::Start => {
                self.write_ring(layout, io);
                Phase::Ring
            }
            Phase::Ring => {
                io.flush();
                Phase::RingFlush
            }
            Phase::RingFlush => {
                self.write_tree(layout, io);
                Phase::Tree
            }
            Phase::Tree => {
                io.flush();
                Phase::TreeFlush
            }
            Phase::TreeFlush => {
                io.write(layout.slot(1), self.superblock(layout).encode());
                Phase::Superblock
            }
            Phase::Superblock => {
                io.flush();
                Phase::SuperblockFlush
            }
            Phase::SuperblockFlush | Phase::Done => Phase::Done,
        };
    }

    fn write_ring(&self, layout: Layout, io: &mut Io) {
        let mut label = Box::new(PageBytes::ZERO);
        let text =
            b"Revenant disk. Its format is described in FORMAT.md of the Revenant sources.\n";
        label.0[..text.len()].copy_from_slice(text);
        io.write(LABEL_BLOCK, vec![label]);
        let (session, generation) = (SessionId(0), Generation(0));
        let nobody = Guard { store: self.store, session, counter: 0, generation };
        io.write(GUARD_BLOCK, vec![nobody.encode()]);
        io.write(EPITAPH_BLOCK, vec![Box::new(PageBytes::ZERO)]);
        for slot in 0..RING_SLOTS {
            io.write(layout.slot(slot), encode_tombstone(self.store, Generation(0), Epoch(0)));
        }
    }

    fn write_tree(&mut self, layout: Layout, io: &mut Io) {
        let mut allocator = Allocator::new(layout, 0);
        allocator.start_empty();
        let mut space = FreeSpace::new(Reference::ZERO, layout.bitmap_levels());
        let sealed = space.seal(&mut allocator, Generation(1));
        assert!(sealed.is_ok(), "an empty store has room for its own allocator");
        if let Ok(sealed) = sealed {
            self.root = sealed.root;
            self.allocated = allocator.next().count();
            for (block, page) in sealed.writes {
                io.write(block, vec![page]);
            }
        }
    }

    fn superblock(&self, layout: Layout) -> Superblock {
        Superblock {
            store: self.store,
            vm_abi: self.vm_abi,
            generation: Generation(1),
            highest_epoch: Epoch(0),
            epoch: Epoch(0),
            branch: BranchId(1),
            next_branch: BranchId(2),
            restore_generation: 0,
            layout,
            session: SessionId(0),
            root: Reference::ZERO,
            free_root: self.root,
            previous_free_root: self.root,
            allocated: self.allocated,
            collector_pin: None,
            retention: None,
            wall_time: Nanoseconds(0),
            snapshots: SnapshotTable::default(),
        }
    }

    /// Takes a completion ([`crate::Store::owns`]).
    pub fn complete(&mut self, completion: DiskCompletion) {
        if let Some(io) = &mut self.io {
            io.completed();
        }
        if let Err(error) = completion.result {
            self.failure = Some(error);
        }
        debug_assert!(completion.block <= BlockIndex(MAXIMUM_BLOCKS));
    }
}
