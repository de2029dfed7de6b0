//! Checking a store from its superblock down: every block that it reaches is read and compared with its checksum, both
//! copies where there are two, and the allocator must mark exactly what is reached.
//!
//! Used by `revenant disk check`, by the crash matrix after every cut, and before an older generation is opened on request.
//!
//! Invariants: nothing is written; nothing on the disk is believed (a reference may point anywhere, or at what another one
//! claims); the walk reads each block once however many snapshots share it.

use crate::allocator::Allocator;
use crate::bitmap::Bitmap;
use crate::checksum::checksum;
use crate::error::{BlockRole, DamagedBlock};
use crate::io::{Io, owned};
use crate::problem::{CheckReport, MAXIMUM_PROBLEMS, Problem};
use crate::reference::{FANOUT, MAP_LEVELS, Node, Reference};
use crate::superblock::Superblock;
use crate::tree::{Place, TreeKind, is_inside};
use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};
use revenant_hal::{BlockIndex, Disk, DiskCompletion, Epoch, PageBytes, PageIndex};

/// What a step of a check did.
#[derive(Debug)]
#[must_use]
pub enum CheckOutcome {
    /// Call again soon.
    Again,
    /// Waiting for completions of the disk.
    Waiting,
    /// Done.
    Done(CheckReport),
}

/// What a block is to the walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    MapNode(Place),
    Page(PageIndex),
    FreeNode(Place),
    Bitmap(u64),
}

impl Kind {
    fn role(self) -> BlockRole {
        match self {
            Self::MapNode(place) => TreeKind::Map.role(place),
            Self::Page(page) => BlockRole::Page(page),
            Self::FreeNode(_) | Self::Bitmap(_) => BlockRole::FreeSpace,
        }
    }
}

/// A reference to be followed. `owned` is false for the allocator's tree of the generation before, which is verified but
/// not part of what this generation reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Claim {
    reference: Reference,
    kind: Kind,
    owned: bool,
}

/// A block to be read.
#[derive(Clone, Copy, Debug)]
struct ToRead {
    block: BlockIndex,
    claim: Claim,
}

/// A check in progress.
#[derive(Debug)]
pub struct Check {
    superblock: Superblock,
    io: Option<Io>,
    claims: Vec<Claim>,
    seen: BTreeMap<BlockIndex, Claim>,
    /// Nodes and bitmaps to be read one by one, pages to be read in the order of their blocks.
    nodes: Vec<ToRead>,
    pages: Vec<ToRead>,
    in_flight: BTreeMap<u64, Vec<ToRead>>,
    /// References one copy of which was good, or bad, so far.
    good: BTreeMap<BlockIndex, bool>,
    bitmap: Bitmap,
    report: CheckReport,
    started: bool,
    sorted: bool,
    read: u64,
    previous_too: bool,
}

impl Check {
    /// Prepares to check what a superblock reaches.
    #[must_use]
    pub fn new(superblock: Superblock) -> Self {
        let bitmap = Bitmap::new(superblock.layout.bitmap_leaves());
        Self {
            superblock,
            io: None,
            claims: Vec::new(),
            seen: BTreeMap::new(),
            nodes: Vec::new(),
            pages: Vec::new(),
            in_flight: BTreeMap::new(),
            good: BTreeMap::new(),
            bitmap,
            report: CheckReport::default(),
            started: false,
            sorted: false,
            read: 0,
            previous_too: false,
        }
    }

    /// Verifies the allocator of the generation before too. It is whole as long as the superblock checked is the newest;
    /// after a step back it may have been overwritten.
    #[must_use]
    pub fn with_previous_allocator(mut self) -> Self {
        self.previous_too = true;
        self
    }

    /// Blocks read so far, and how many there are according to the superblock.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let fixed = Allocator::fixed_places(self.superblock.layout).count();
        let total = self.superblock.allocated.saturating_sub(fixed);
        (self.read.min(total), total)
    }

    /// Starts and continues I/O; bounded work.
    pub fn step<D: Disk + ?Sized>(&mut self, disk: &mut D) -> CheckOutcome {
        let geometry = disk.geometry();
        let mut io = self.io.take().unwrap_or_else(|| Io::new(&geometry, 64));
        if !self.started {
            self.started = true;
            self.claim_roots();
        }
        while let Some(claim) = self.claims.pop() {
            self.follow(claim);
        }
        while io.room() > 0 {
            let Some(read) = self.nodes.pop() else { break };
            self.in_flight.insert(io.read(read.block, 1), vec![read]);
        }
        if self.nodes.is_empty() && (self.sorted || self.in_flight.is_empty()) {
            self.read_pages(&mut io);
        }
        io.submit(disk);
        self.io = Some(io);
        if !self.in_flight.is_empty() {
            return CheckOutcome::Waiting;
        }
        if !self.nodes.is_empty() || !self.pages.is_empty() || !self.claims.is_empty() {
            return CheckOutcome::Again;
        }
        if core::mem::take(&mut self.previous_too) {
            // Only now: what both trees share has been seen as this generation's.
            let reference = self.superblock.previous_free_root;
            let kind = Kind::FreeNode(self.free_top());
            self.claims.push(Claim { reference, kind, owned: false });
            return CheckOutcome::Again;
        }
        self.compare_allocator();
        self.report.blocks_read = self.read;
        CheckOutcome::Done(core::mem::take(&mut self.report))
    }

    fn claim_roots(&mut self) {
        let top = Place { level: MAP_LEVELS - 1, ordinal: 0 };
        let mut roots: Vec<(Reference, Epoch)> = Vec::new();
        for entry in self.superblock.snapshots.entries() {
            roots.push((entry.root, entry.epoch));
        }
        for (reference, epoch) in roots {
            if reference.birth > epoch {
                self.problem(Problem::BornTooLate(reference.block, Kind::MapNode(top).role()));
            }
            self.claims.push(Claim { reference, kind: Kind::MapNode(top), owned: true });
        }
        let reference = self.superblock.free_root;
        let kind = Kind::FreeNode(self.free_top());
        self.claims.push(Claim { reference, kind, owned: true });
    }

    fn free_top(&self) -> Place {
        Place { level: self.superblock.layout.bitmap_levels() - 1, ordinal: 0 }
    }

    /// Registers what a reference claims; what was seen in the same meaning is not read again.
    fn follow(&mut self, claim: Claim) {
        if claim.reference.is_zero() {
            return;
        }
        let area = self.superblock.layout.data_area();
        for block in claim.reference.blocks() {
            if !is_inside(block, area) {
                return self.problem(Problem::Outside(block, claim.kind.role()));
            }
            match self.seen.get(&block).copied() {
                None => {}
                Some(seen) if (seen.reference, seen.kind) == (claim.reference, claim.kind) => {
                    return;
                }
                // A block of the previous allocator that was dropped is nobody's in this generation.
                Some(_) if !claim.owned => return,
                Some(_) => return self.problem(Problem::ClaimedTwice(block, claim.kind.role())),
            }
        }
        if claim.owned {
            match claim.kind {
                Kind::Page(_) => self.report.pages += 1,
                Kind::MapNode(_) => self.report.nodes += 1,
                Kind::FreeNode(_) | Kind::Bitmap(_) => {
                    self.report.free_space_blocks += claim.reference.blocks().count() as u64;
                }
            }
        }
        for block in claim.reference.blocks() {
            if claim.owned {
                self.report.reached += 1;
                self.seen.insert(block, claim);
            }
            let read = ToRead { block, claim };
            match claim.kind {
                Kind::Page(_) => self.pages.push(read),
                _ => self.nodes.push(read),
            }
        }
    }

    /// All nodes are known: pages in the order of their blocks, neighbours in one request.
    fn read_pages(&mut self, io: &mut Io) {
        if !self.sorted {
            self.pages.sort_unstable_by_key(|read| core::cmp::Reverse(read.block));
            self.sorted = true;
        }
        while io.room() > 0 {
            let Some(first) = self.pages.pop() else { return };
            let mut batch = vec![first];
            while let Some(next) = self.pages.last()
                && next.block.0 == first.block.0 + batch.len() as u64
                && batch.len() < io.per_request()
            {
                batch.extend(self.pages.pop());
            }
            self.in_flight.insert(io.read(first.block, batch.len()), batch);
        }
    }

    /// Takes a completion ([`crate::Store::owns`]).
    pub fn complete(&mut self, completion: DiskCompletion) {
        if let Some(io) = &mut self.io {
            io.completed();
        }
        let Some(batch) = self.in_flight.remove(&completion.tag.0) else { return };
        let error = completion.result.err();
        if error.is_some() && batch.len() > 1 {
            // One bad block must not condemn its neighbours.
            self.nodes.extend(batch);
            return;
        }
        for (read, page) in batch.into_iter().zip(owned(completion.buffers)) {
            self.read += 1;
            let good = error.is_none() && checksum(&page) == read.claim.reference.checksum;
            self.copy_read(read, good.then_some(page), error);
        }
    }

    /// One copy of a block was read. The first good one is used, the last bad one reported.
    fn copy_read(
        &mut self,
        read: ToRead,
        page: Option<Box<PageBytes>>,
        error: Option<revenant_hal::DiskError>,
    ) {
        let reference = read.claim.reference;
        let other = self.good.insert(reference.block, page.is_some());
        match page {
            Some(page) => {
                if other == Some(false) {
                    let block = if read.block == reference.block {
                        reference.mirror
                    } else {
                        reference.block
                    };
                    self.damaged(block, read.claim, error, false);
                }
                if other != Some(true) {
                    self.expand(read.claim, page);
                }
            }
            None => {
                let copies = reference.blocks().count();
                match other {
                    None if copies > 1 => {}
                    Some(true) => self.damaged(read.block, read.claim, error, false),
                    _ => self.damaged(reference.block, read.claim, error, true),
                }
                // A good first copy stays good.
                if other == Some(true) {
                    self.good.insert(reference.block, true);
                }
            }
        }
    }

    fn damaged(
        &mut self,
        block: BlockIndex,
        Claim { reference, kind, .. }: Claim,
        device_error: Option<revenant_hal::DiskError>,
        lost: bool,
    ) {
        let (role, birth) = (kind.role(), reference.birth);
        let damage = DamagedBlock { block, role, device_error, birth };
        self.problem(Problem::Damaged { damage, lost });
    }

    /// A verified node yields claims, a verified bitmap its bits.
    fn expand(&mut self, claim: Claim, page: Box<PageBytes>) {
        let place = match claim.kind {
            Kind::Page(_) => return,
            Kind::Bitmap(leaf) if claim.owned => return self.bitmap.decode_leaf(leaf, &page),
            Kind::Bitmap(_) => return,
            Kind::MapNode(place) | Kind::FreeNode(place) => place,
        };
        let node = Node(page);
        for slot in 0..FANOUT {
            let reference = node.get(slot);
            if reference.is_zero() {
                continue;
            }
            if reference.is_lost() {
                self.lost(place, slot, reference);
                continue;
            }
            let kind = match (claim.kind, place.level) {
                (Kind::MapNode(_), 0) => {
                    Kind::Page(PageIndex(place.ordinal * FANOUT as u64 + slot as u64))
                }
                (Kind::MapNode(_), _) => Kind::MapNode(place.child(slot)),
                (_, 0) => Kind::Bitmap(place.ordinal * FANOUT as u64 + slot as u64),
                _ => Kind::FreeNode(place.child(slot)),
            };
            if reference.birth > claim.reference.birth {
                self.problem(Problem::BornTooLate(reference.block, kind.role()));
            }
            if let Kind::Bitmap(leaf) = kind
                && leaf >= self.superblock.layout.bitmap_leaves()
            {
                self.problem(Problem::Outside(reference.block, kind.role()));
                continue;
            }
            self.claims.push(Claim { reference, kind, owned: claim.owned });
        }
    }

    /// A mark of loss in a node; neighbours that were lost together are one problem.
    fn lost(&mut self, place: Place, slot: usize, reference: Reference) {
        let pages = place.leaves() / FANOUT as u64;
        let start = place.first() + slot as u64 * pages;
        if let Some(Problem::Lost { first, count, node, since }) = self.report.problems.last_mut()
            && (*node, *since, first.0 + *count) == (reference.mirror, reference.birth, start)
        {
            *count += pages;
            return;
        }
        let (first, count) = (PageIndex(start), pages);
        let (node, since) = (reference.mirror, reference.birth);
        self.problem(Problem::Lost { first, count, node, since });
    }

    /// The allocator marks the fixed places and what was reached, and nothing else.
    fn compare_allocator(&mut self) {
        let mut expected = Allocator::fixed_places(self.superblock.layout);
        for block in self.seen.keys() {
            expected.set(block.0);
        }
        let (start, end) = self.superblock.layout.data_area();
        let mut at = start;
        while at < end {
            let (marked, reached) = (self.bitmap.get(at), expected.get(at));
            let mut count = 1;
            while at + count < end
                && (self.bitmap.get(at + count), expected.get(at + count)) == (marked, reached)
            {
                count += 1;
            }
            let first = BlockIndex(at);
            match (marked, reached) {
                (true, false) => self.problem(Problem::Leaked { first, count }),
                (false, true) => self.problem(Problem::NotAllocated { first, count }),
                _ => {}
            }
            at += count;
        }
        let (recorded, counted) = (self.superblock.allocated, self.bitmap.count());
        if recorded != counted {
            self.problem(Problem::WrongCount { recorded, counted });
        }
    }

    fn problem(&mut self, problem: Problem) {
        if self.report.problems.len() < MAXIMUM_PROBLEMS {
            self.report.problems.push(problem);
        }
    }
}
