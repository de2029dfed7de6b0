//! Opening a disk: read the ring, choose among the two newest, guard it, bury what could win later.
//!
//! ```text
//!   Ring -> Roots (newest) -> Roots (second newest) -> [Walk: an older generation, on request]
//!                 '-> Guard -> GuardFlush -> Recheck (ring and guard) -> Tombstones -> TombstoneFlush -> Store
//! ```
//!
//! Invariants: nothing is written before a candidate is accepted; whatever is opened, no slot that could be taken for
//! newer survives the first write of the session; the next epoch and generation are above everything seen.

use crate::api::{Access, OpenFrom, OpenReport, OpenRequest, Planted};
use crate::check::{Check, CheckOutcome};
use crate::error::{BlockRole, Refusal};
use crate::guard::Guard;
use crate::io::Io;
use crate::layout::{GUARD_BLOCK, RING_SLOTS};
use crate::reference::{MAP_LEVELS, Reference};
use crate::ring::{Ring, RingOutcome, RingReader};
use crate::snapshot::BranchId;
use crate::store::{Start, Store};
use crate::superblock::{Superblock, encode_tombstone};
use crate::tree::{Place, TreeKind};
use crate::verified::VerifiedReads;
use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};
use revenant_hal::{
    BlockIndex, Disk, DiskCompletion, DiskError, DiskGeometry, Epoch, Generation, PageBytes,
};

/// An opening in progress.
#[derive(Debug)]
pub struct Opening {
    request: OpenRequest,
    phase: Phase,
    io: Option<Io>,
    ring: Option<Ring>,
    /// Generations still to be tried, newest first.
    candidates: Vec<Superblock>,
    damaged: Vec<Generation>,
    chosen: Option<Superblock>,
    roots: BTreeMap<BlockIndex, Box<PageBytes>>,
    reads: VerifiedReads<()>,
    root_damaged: bool,
    write_error: Option<DiskError>,
    rechecks: u32,
    tombstones: u32,
    /// The generation of the session's first superblock, as our guard says.
    first_generation: Generation,
    blocks_read: u64,
    planted: Planted,
}

#[derive(Debug)]
enum Phase {
    Start,
    Ring(RingReader),
    Choose,
    Roots,
    Walk(Box<Check>),
    WriteGuard,
    Guard,
    GuardFlush,
    Recheck(RingReader),
    Tombstones,
    TombstoneFlush,
    Finish,
}

/// What a step of an opening did.
#[derive(Debug)]
#[must_use]
pub enum OpenOutcome {
    /// Call again soon.
    Again,
    /// Waiting for completions of the disk.
    Waiting,
    /// Done: the store, and what was found.
    Opened(Box<Store>, Box<OpenReport>),
    /// Refused; nothing was written.
    Refused(Refusal),
}

/// Bytes of RAM that the walk needs for each block that it reaches.
const WALK_BYTES: u64 = 256;
/// Rings read again because they had changed, before the disk counts as in use.
const RECHECKS: u32 = 3;

/// What a phase came to: the next one, a wait, or the end.
enum Next {
    Phase(Phase),
    Wait(Phase),
    End(OpenOutcome),
}

impl Opening {
    /// Prepares to open a disk.
    #[must_use]
    pub fn new(request: OpenRequest) -> Self {
        Self {
            request,
            phase: Phase::Start,
            io: None,
            ring: None,
            candidates: Vec::new(),
            damaged: Vec::new(),
            chosen: None,
            roots: BTreeMap::new(),
            reads: VerifiedReads::new(),
            root_damaged: false,
            write_error: None,
            rechecks: 0,
            tombstones: 0,
            first_generation: Generation(0),
            blocks_read: 0,
            planted: Planted::None,
        }
    }

    /// Plants a fault, for tests.
    #[doc(hidden)]
    pub fn plant(&mut self, fault: Planted) {
        self.planted = fault;
        self.reads.believe =
            matches!(fault, Planted::ChecksumSkipped | Planted::HighestSuperblockTrusted);
    }

    /// Starts and continues I/O; bounded work.
    pub fn step<D: Disk + ?Sized>(&mut self, disk: &mut D) -> OpenOutcome {
        let geometry = disk.geometry();
        let mut io = self.io.take().unwrap_or_else(|| Io::new(&geometry, 64));
        io.submit(disk);
        if !io.is_idle() {
            self.io = Some(io);
            return OpenOutcome::Waiting;
        }
        let phase = core::mem::replace(&mut self.phase, Phase::Start);
        let next = match phase {
            Phase::Start => self.start(&geometry),
            Phase::Ring(reader) => self.ring_step(reader, disk),
            Phase::Choose => self.choose(&mut io),
            Phase::Roots => self.roots_read(),
            Phase::Walk(check) => self.walk(check, disk),
            Phase::WriteGuard => self.write_guard(&mut io),
            Phase::Guard => self.after_write(|_| {
                io.flush();
                Phase::GuardFlush
            }),
            Phase::GuardFlush => self.after_write(|_| Phase::Recheck(RingReader::new())),
            Phase::Recheck(reader) => self.recheck(reader, disk, &mut io),
            Phase::Tombstones => self.after_write(|_| {
                io.flush();
                Phase::TombstoneFlush
            }),
            Phase::TombstoneFlush => self.after_write(|_| Phase::Finish),
            Phase::Finish => Next::End(self.finish(&geometry, io.blocks_read)),
        };
        io.submit(disk);
        self.io = Some(io);
        match next {
            Next::Phase(phase) => {
                self.phase = phase;
                OpenOutcome::Again
            }
            Next::Wait(phase) => {
                self.phase = phase;
                OpenOutcome::Waiting
            }
            Next::End(outcome) => outcome,
        }
    }

    /// Takes a completion ([`Store::owns`]).
    pub fn complete(&mut self, completion: DiskCompletion) {
        match &mut self.phase {
            Phase::Ring(reader) | Phase::Recheck(reader) => return reader.complete(completion),
            Phase::Walk(check) => return check.complete(completion),
            _ => {}
        }
        let Some(io) = self.io.as_mut() else { return };
        io.completed();
        if !self.reads.owns(&completion) {
            self.write_error = self.write_error.or(completion.result.err());
        } else if let Some(((), reference, result)) = self.reads.complete(io, completion) {
            match result {
                Ok(page) => {
                    self.roots.insert(reference.block, page);
                }
                Err(_) => self.root_damaged = true,
            }
        }
    }

    fn start(&self, geometry: &DiskGeometry) -> Next {
        if self.request.access == Access::ReadWrite {
            if geometry.read_only {
                return refuse(Refusal::ReadOnly);
            }
            if !geometry.flush {
                return refuse(Refusal::NoFlush);
            }
        }
        Next::Phase(Phase::Ring(RingReader::new()))
    }

    fn ring_step<D: Disk + ?Sized>(&mut self, mut reader: RingReader, disk: &mut D) -> Next {
        let ring = match reader.step(disk) {
            RingOutcome::Again => return Next::Phase(Phase::Ring(reader)),
            RingOutcome::Waiting => return Next::Wait(Phase::Ring(reader)),
            RingOutcome::Refused(refusal) => return refuse(refusal),
            RingOutcome::Read(ring) => ring,
        };
        self.blocks_read += reader.io.as_ref().map_or(0, |io| io.blocks_read);
        if let Some(refusal) = ring.refusal() {
            return refuse(refusal);
        }
        let tried = match (self.request.from, self.planted) {
            (OpenFrom::Generation { .. }, _) => usize::MAX,
            (_, Planted::StepBackByThree) => 4,
            _ => 2,
        };
        self.damaged.clear(); // the ring may have changed since it was read the first time
        self.candidates = ring.superblocks().into_iter().take(tried).cloned().collect();
        if let OpenFrom::Generation { generation, restore_generation } = self.request.from {
            let current = ring.restore_generation();
            if restore_generation.is_some_and(|wanted| wanted != current) {
                return refuse(Refusal::RollbackAlreadyApplied { current });
            }
            self.candidates.retain(|candidate| candidate.generation == generation);
            if self.candidates.is_empty() {
                return refuse(Refusal::NoSuchGeneration(generation));
            }
        }
        self.ring = Some(ring);
        Next::Phase(Phase::Choose)
    }

    /// Takes the next candidate and reads the roots that it names.
    fn choose(&mut self, io: &mut Io) -> Next {
        if self.candidates.is_empty() {
            if let OpenFrom::Generation { generation, .. } = self.request.from {
                return refuse(Refusal::GenerationDamaged(generation));
            }
            let newest = self.ring.as_ref().and_then(|ring| ring.newest()).map(|s| s.generation);
            return refuse(Refusal::Damaged { newest });
        }
        let candidate = self.candidates.remove(0);
        let (found, wanted) = (candidate.vm_abi, self.request.vm_abi);
        if found != wanted && self.request.access == Access::ReadWrite {
            let newer = found > wanted;
            return refuse(if newer {
                Refusal::VmNewer { found }
            } else {
                Refusal::VmOlder { found }
            });
        }
        self.root_damaged = false;
        self.roots.clear();
        let top = Place { level: MAP_LEVELS - 1, ordinal: 0 };
        // The allocator of the generation before is not asked for: after a step back it may have been overwritten, by right.
        let wanted: [(Reference, BlockRole); 2] = [
            (candidate.root, TreeKind::Map.role(top)),
            (candidate.free_root, BlockRole::FreeSpace),
        ];
        for (reference, role) in wanted.into_iter().filter(|(root, _)| !root.is_zero()) {
            self.reads.start(io, (), reference, role);
        }
        self.chosen = Some(candidate);
        Next::Wait(Phase::Roots)
    }

    fn roots_read(&mut self) -> Next {
        let Some(chosen) = &self.chosen else { return Next::Phase(Phase::Choose) };
        if self.root_damaged {
            self.damaged.push(chosen.generation);
            self.chosen = None;
            return Next::Phase(Phase::Choose);
        }
        let available = self.request.options.memory;
        let walk = self.needs_walk(chosen);
        let blocks = chosen.allocated.min(chosen.layout.blocks());
        let needed = chosen.layout.allocator_memory().max(u64::from(walk) * blocks * WALK_BYTES);
        if needed > available {
            return refuse(Refusal::NotEnoughMemory { needed, available });
        }
        if walk {
            return Next::Phase(Phase::Walk(Box::new(Check::new(chosen.clone()))));
        }
        self.accepted()
    }

    /// Only the two newest generations are whole for certain. What was asked for by number may be older; so may be the
    /// second one that verifies, if a slot that does not verify may have held a newer one.
    fn needs_walk(&self, chosen: &Superblock) -> bool {
        let second = !self.damaged.is_empty();
        let hidden = self.ring.as_ref().is_some_and(|ring| ring.may_hide_newer(chosen));
        matches!(self.request.from, OpenFrom::Generation { .. }) || second && hidden
    }

    /// Such a generation is opened only if every block it reaches is whole.
    fn walk<D: Disk + ?Sized>(&mut self, mut check: Box<Check>, disk: &mut D) -> Next {
        match check.step(disk) {
            CheckOutcome::Again => Next::Phase(Phase::Walk(check)),
            CheckOutcome::Waiting => Next::Wait(Phase::Walk(check)),
            CheckOutcome::Done(report) if report.damage().is_none() => self.accepted(),
            CheckOutcome::Done(_) => {
                self.damaged.extend(self.chosen.as_ref().map(|chosen| chosen.generation));
                Next::Phase(Phase::Choose)
            }
        }
    }

    /// The candidate is whole; from here on writing is allowed.
    fn accepted(&mut self) -> Next {
        let epoch = match self.target() {
            Ok((epoch, _)) => epoch,
            Err(refusal) => return refuse(refusal),
        };
        if self.request.access == Access::ReadOnly {
            return Next::Phase(Phase::Finish);
        }
        let crowded = self.chosen.as_ref().is_some_and(|chosen| {
            epoch != chosen.epoch && !chosen.snapshots.has_room_for_branch(epoch)
        });
        if crowded {
            return refuse(Refusal::TooManyBranches);
        }
        Next::Phase(Phase::WriteGuard)
    }

    fn write_guard(&mut self, io: &mut Io) -> Next {
        let Some(chosen) = &self.chosen else { return Next::Phase(Phase::Choose) };
        let Some(ring) = &self.ring else { return Next::Phase(Phase::Choose) };
        let last = ring.guard.filter(|guard| guard.store == chosen.store);
        self.first_generation = first_generation(ring, chosen);
        let guard = Guard {
            store: chosen.store,
            session: self.request.session,
            counter: last.map_or(0, |guard| guard.counter).wrapping_add(1),
            generation: self.first_generation,
        };
        io.write(GUARD_BLOCK, vec![guard.encode()]);
        Next::Wait(Phase::Guard)
    }

    /// Goes on when the writes before went well.
    fn after_write(&mut self, then: impl FnOnce(&mut Self) -> Phase) -> Next {
        match self.write_error {
            Some(error) => refuse(Refusal::Device(error)),
            None => {
                let phase = then(self);
                Next::Phase(phase)
            }
        }
    }

    /// Whoever else opened the disk since the ring was read has left a trace by now.
    fn recheck<D: Disk + ?Sized>(
        &mut self,
        mut reader: RingReader,
        disk: &mut D,
        io: &mut Io,
    ) -> Next {
        let ring = match reader.step(disk) {
            RingOutcome::Again => return Next::Phase(Phase::Recheck(reader)),
            RingOutcome::Waiting => return Next::Wait(Phase::Recheck(reader)),
            RingOutcome::Refused(refusal) => return refuse(refusal),
            RingOutcome::Read(ring) => ring,
        };
        self.blocks_read += reader.io.as_ref().map_or(0, |io| io.blocks_read);
        let ours = ring.guard.is_some_and(|guard| guard.session == self.request.session);
        let same = self.ring.as_ref().is_some_and(|old| old.slots == ring.slots);
        if !ours {
            return refuse(Refusal::InUse);
        }
        if !same {
            self.rechecks += 1;
            if self.rechecks > RECHECKS {
                return refuse(Refusal::InUse);
            }
            return Next::Phase(Phase::Ring(RingReader::new()));
        }
        let Some(chosen) = &self.chosen else { return Next::Phase(Phase::Choose) };
        let rivals = if self.planted == Planted::TombstoneOmitted {
            Vec::new()
        } else {
            ring.rivals(chosen)
        };
        let (generation, epoch) = ring.highest_seen(chosen);
        for slot in &rivals {
            let grave = encode_tombstone(chosen.store, generation, epoch);
            io.write(chosen.layout.slot(*slot), grave);
            self.tombstones += 1;
        }
        self.ring = Some(ring);
        Next::Phase(if rivals.is_empty() { Phase::Finish } else { Phase::Tombstones })
    }

    /// The snapshot to resume: epoch, and whether it is other than the newest committed state.
    fn target(&self) -> Result<(Epoch, bool), Refusal> {
        let Some(chosen) = &self.chosen else { return Err(Refusal::Damaged { newest: None }) };
        match self.request.from {
            OpenFrom::Newest => Ok((chosen.epoch, !self.damaged.is_empty())),
            // Even if it is the newest: later, when it is not, the same words must not go back to it.
            OpenFrom::Generation { .. } => Ok((chosen.epoch, true)),
            OpenFrom::Rollback { epoch, restore_generation } => {
                if restore_generation != chosen.restore_generation {
                    let current = chosen.restore_generation;
                    return Err(Refusal::RollbackAlreadyApplied { current });
                }
                let found = chosen.snapshots.get(epoch).filter(|snapshot| !snapshot.hidden);
                found.map(|_| (epoch, true)).ok_or(Refusal::NoSuchSnapshot(epoch))
            }
            // Something newer than what failed: that deserves its try.
            OpenFrom::StepBack { failed } if failed != chosen.epoch => {
                Ok((chosen.epoch, !self.damaged.is_empty()))
            }
            OpenFrom::StepBack { failed: first } | OpenFrom::StepBackBefore { first } => {
                let before = chosen.snapshots.resumable_before(first, chosen.epoch);
                Ok((before, before != chosen.epoch || !self.damaged.is_empty()))
            }
        }
    }

    fn finish(&mut self, geometry: &DiskGeometry, blocks_read: u64) -> OpenOutcome {
        let (target, ring, chosen) = (self.target(), self.ring.take(), self.chosen.take());
        let (Ok((epoch, restored)), Some(ring), Some(mut chosen)) = (target, ring, chosen) else {
            return OpenOutcome::Refused(Refusal::Damaged { newest: None });
        };
        let (_, highest) = ring.highest_seen(&chosen);
        let mut running_epoch = Epoch((highest.0 + 1).max(chosen.highest_epoch.0 + RING_SLOTS));
        let mut next_generation = self.first_generation;
        if self.planted == Planted::EpochResetOnRollback {
            running_epoch = Epoch(epoch.0 + 1);
            next_generation = Generation(chosen.generation.0 + 1);
        }
        let committed = chosen.epoch;
        if epoch != committed {
            chosen.branch = chosen.next_branch;
            chosen.next_branch = BranchId(chosen.next_branch.0 + 1);
            chosen.root =
                chosen.snapshots.get(epoch).map_or(Reference::ZERO, |snapshot| snapshot.root);
            chosen.epoch = epoch;
        }
        if restored {
            chosen.restore_generation = ring.restore_generation() + 1;
        }
        let second = ring.second(&chosen).map(|second| second.generation);
        let report = OpenReport {
            store: chosen.store,
            generation: chosen.generation,
            epoch,
            branch: chosen.branch,
            running_epoch,
            restore_generation: chosen.restore_generation,
            restored,
            damaged: core::mem::take(&mut self.damaged),
            tombstones: self.tombstones,
            epitaph: ring.epitaph.clone().filter(|epitaph| epitaph.store == chosen.store),
            wall_time: chosen.snapshots.get(epoch).map_or(chosen.wall_time, |s| s.wall_time),
            blocks_read: self.blocks_read + blocks_read,
        };
        let start = Start {
            running_epoch,
            next_generation,
            second_generation: second,
            request: self.request,
            roots: core::mem::take(&mut self.roots),
            planted: self.planted,
            epitaph: ring.epitaph.is_some(),
        };
        OpenOutcome::Opened(Box::new(Store::open(geometry, chosen, start)), Box::new(report))
    }
}

/// Superblocks that a session may have on their way beyond the newest that is seen: one, and those of commits given up
/// before the store becomes read-only.
const UNSEEN: u64 = 3;

/// The generation of the session's first superblock: above everything seen or announced, a ring's size above what is opened,
/// and in a slot of its own. A stalled machine that looked at the guard before we wrote ours may still put its superblock:
/// the next one after what is opened, or, if it has not written any yet, the one that its guard announces. Neither may
/// overwrite ours, nor win over it.
fn first_generation(ring: &Ring, opened: &Superblock) -> Generation {
    let (highest, _) = ring.highest_seen(opened);
    let announced = ring.announced(opened);
    let second = ring.second(opened).map(|second| second.generation.0);
    let mut taken: Vec<u64> = (opened.generation.0..=opened.generation.0 + UNSEEN).collect();
    taken.extend(announced.iter().flat_map(|generation| [generation.0, generation.0 + 1]));
    taken.extend(second);
    let highest = announced.map_or(highest, |announced| announced.max(highest));
    let mut number = (highest.0 + 1).max(opened.generation.0 + RING_SLOTS);
    // At most seven of the eight slots are taken.
    while taken.iter().any(|taken| taken % RING_SLOTS == number % RING_SLOTS) {
        number += 1;
    }
    Generation(number)
}

fn refuse(refusal: Refusal) -> Next {
    Next::End(OpenOutcome::Refused(refusal))
}
