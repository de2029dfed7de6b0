//! Reading the superblock ring: eight slots, the guard and the epitaph, without believing any of it.
//!
//! Invariant: nothing is written. The tail half of the ring is looked for at the end of the device first; if a verified
//! slot says that the store is smaller (the device has grown), at the end of the store.

use crate::epitaph::Epitaph;
use crate::error::Refusal;
use crate::guard::{Guard, decode_epitaph};
use crate::io::{Io, owned};
use crate::layout::{
    EPITAPH_BLOCK, GUARD_BLOCK, Layout, MAXIMUM_BLOCKS, MINIMUM_BLOCKS, RING_SLOTS,
};
use crate::superblock::{RawSlot, SlotContent, Superblock};
use crate::units::index;
use alloc::{collections::BTreeMap, vec::Vec};
use revenant_hal::{Disk, DiskCompletion, Epoch, Generation};

#[derive(Clone, Copy, Debug)]
enum What {
    SlotStart(u64),
    SlotRest(u64),
    Guard,
    Epitaph,
}

/// A reading of the ring in progress.
#[derive(Debug)]
pub struct RingReader {
    pub(crate) io: Option<Io>,
    layout: Option<Layout>,
    pending: BTreeMap<u64, What>,
    slots: Vec<Option<RawSlot>>,
    guard: Option<Guard>,
    epitaph: Option<Epitaph>,
    started: bool,
    resized: bool,
}

/// What stands in the ring.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The layout by which the slots were found.
    pub layout: Layout,
    /// Each slot; none if the device could not read it.
    pub slots: Vec<Option<SlotContent>>,
    /// The last words of a kernel, if there are any.
    pub epitaph: Option<Epitaph>,
    pub(crate) guard: Option<Guard>,
}

/// What a step of reading the ring did.
#[derive(Debug)]
#[must_use]
pub enum RingOutcome {
    /// Call again soon.
    Again,
    /// Waiting for completions of the disk.
    Waiting,
    /// Done.
    Read(Ring),
    /// The device is too small to hold a ring.
    Refused(Refusal),
}

impl Default for RingReader {
    fn default() -> Self {
        Self::new()
    }
}

impl RingReader {
    /// Prepares to read.
    #[must_use]
    pub fn new() -> Self {
        Self {
            io: None,
            layout: None,
            pending: BTreeMap::new(),
            slots: Vec::new(),
            guard: None,
            epitaph: None,
            started: false,
            resized: false,
        }
    }

    /// Starts and continues I/O; bounded work.
    pub fn step<D: Disk + ?Sized>(&mut self, disk: &mut D) -> RingOutcome {
        let geometry = disk.geometry();
        let io = self.io.get_or_insert_with(|| Io::new(&geometry, 64));
        if !self.started {
            let blocks = geometry.blocks.min(MAXIMUM_BLOCKS);
            let Some(layout) = self.layout.or_else(|| Layout::new(blocks)) else {
                return RingOutcome::Refused(Refusal::TooSmall {
                    blocks: geometry.blocks,
                    needed: MINIMUM_BLOCKS,
                });
            };
            self.layout = Some(layout);
            self.started = true;
            self.slots = (0..RING_SLOTS).map(|_| None).collect();
            for slot in 0..RING_SLOTS {
                self.pending.insert(io.read(layout.slot(slot), 1), What::SlotStart(slot));
            }
            self.pending.insert(io.read(GUARD_BLOCK, 1), What::Guard);
            self.pending.insert(io.read(EPITAPH_BLOCK, 1), What::Epitaph);
        }
        io.submit(disk);
        if !self.pending.is_empty() {
            return RingOutcome::Waiting;
        }
        let Some(layout) = self.layout else { return RingOutcome::Again };
        let slots: Vec<_> =
            self.slots.iter().map(|slot| slot.as_ref().map(RawSlot::classify)).collect();
        let ring = Ring { layout, slots, epitaph: self.epitaph.clone(), guard: self.guard };
        match ring.newest() {
            Some(newest) if newest.layout.blocks() > geometry.blocks => {
                let needed = newest.layout.blocks();
                RingOutcome::Refused(Refusal::TooSmall { blocks: geometry.blocks, needed })
            }
            Some(newest) if newest.layout != layout && !self.resized => {
                self.layout = Some(newest.layout);
                self.resized = true;
                self.started = false;
                RingOutcome::Again
            }
            _ => RingOutcome::Read(ring),
        }
    }

    /// Takes a completion ([`crate::Store::owns`]).
    pub fn complete(&mut self, completion: DiskCompletion) {
        let (Some(io), Some(what)) = (self.io.as_mut(), self.pending.remove(&completion.tag.0))
        else {
            return;
        };
        io.completed();
        if completion.result.is_err() {
            if let What::SlotRest(slot) = what {
                self.slots[index(slot)] = None;
            }
            return;
        }
        let pages = owned(completion.buffers);
        match what {
            What::SlotStart(slot) => {
                let raw = RawSlot(pages);
                let more = raw.claimed_blocks() - 1;
                if more > 0 {
                    let next = revenant_hal::BlockIndex(completion.block.0 + 1);
                    self.pending.insert(io.read(next, index(more)), What::SlotRest(slot));
                }
                self.slots[index(slot)] = Some(raw);
            }
            What::SlotRest(slot) => {
                if let Some(raw) = &mut self.slots[index(slot)] {
                    raw.0.extend(pages);
                }
            }
            What::Guard => self.guard = pages.first().and_then(|page| Guard::decode(page)),
            What::Epitaph => self.epitaph = pages.first().and_then(|page| decode_epitaph(page)),
        }
    }
}

/// Numbers in slots that do not verify are believed as hints only so far ahead of verified ones.
const PLAUSIBLE_LEAP: u64 = 1 << 32;

impl Ring {
    /// Every verified superblock of this store, newest generation first.
    #[must_use]
    pub fn superblocks(&self) -> Vec<&Superblock> {
        let mut found: Vec<&Superblock> = self
            .slots
            .iter()
            .filter_map(|slot| match slot {
                Some(SlotContent::Superblock(superblock)) => Some(&**superblock),
                _ => None,
            })
            .collect();
        found.sort_by_key(|superblock| core::cmp::Reverse(superblock.generation));
        if let Some(newest) = found.first().map(|newest| newest.store) {
            found.retain(|superblock| superblock.store == newest);
        }
        found
    }

    /// The verified superblock with the highest generation.
    #[must_use]
    pub fn newest(&self) -> Option<&Superblock> {
        self.superblocks().first().copied()
    }

    /// How often this store went back to something older, as far as verified superblocks know.
    #[must_use]
    pub fn restore_generation(&self) -> u64 {
        let all = self.superblocks().into_iter().map(|superblock| superblock.restore_generation);
        all.max().unwrap_or(0)
    }

    /// The newest verified superblock older than `chosen`.
    pub(crate) fn second(&self, chosen: &Superblock) -> Option<&Superblock> {
        self.superblocks().into_iter().find(|other| other.generation < chosen.generation)
    }

    /// The generation that the last opener's guard announces for its first superblock.
    pub(crate) fn announced(&self, chosen: &Superblock) -> Option<Generation> {
        let guard = self.guard.filter(|guard| guard.store == chosen.store)?;
        let plausible = guard.generation.0 < chosen.generation.0.saturating_add(PLAUSIBLE_LEAP);
        (guard.generation > chosen.generation && plausible).then_some(guard.generation)
    }

    /// Why no superblock of this ring can be opened at all, if so.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let versions = self.slots.iter().filter_map(|slot| match slot {
            Some(SlotContent::OtherVersion(version)) => Some(*version),
            _ => None,
        });
        let highest = versions.max();
        match highest {
            Some(found) if found > crate::layout::FORMAT_VERSION => {
                return Some(Refusal::FormatNewer { found });
            }
            Some(found) if self.newest().is_none() => return Some(Refusal::FormatOlder { found }),
            _ => {}
        }
        if self.newest().is_some() {
            return None;
        }
        let ours = self.slots.iter().flatten().any(|slot| !matches!(slot, SlotContent::Foreign));
        Some(if ours { Refusal::Damaged { newest: None } } else { Refusal::NotOurs })
    }

    /// The highest generation and epoch in any slot of the store, verified or not.
    pub(crate) fn highest_seen(&self, chosen: &Superblock) -> (Generation, Epoch) {
        let (mut generation, mut epoch) = (chosen.generation, chosen.highest_epoch);
        for slot in self.slots.iter().flatten() {
            let (store, slot_generation, slot_epoch) = match slot {
                SlotContent::Superblock(found) => {
                    (found.store, found.generation, found.highest_epoch)
                }
                SlotContent::Tombstone { store, generation, highest_epoch }
                | SlotContent::Torn { store, generation, highest_epoch } => {
                    (*store, *generation, *highest_epoch)
                }
                SlotContent::Foreign | SlotContent::OtherVersion(_) => continue,
            };
            let near = |seen: u64, known: u64| seen < known.saturating_add(PLAUSIBLE_LEAP);
            if store == chosen.store
                && near(slot_generation.0, chosen.generation.0)
                && near(slot_epoch.0, chosen.highest_epoch.0)
            {
                generation = generation.max(slot_generation);
                epoch = epoch.max(slot_epoch);
            }
        }
        (generation, epoch)
    }

    /// Whether a slot that does not verify may have held a generation between `chosen` and later ones.
    pub(crate) fn may_hide_newer(&self, chosen: &Superblock) -> bool {
        self.slots.iter().any(|slot| match slot {
            Some(SlotContent::Superblock(_) | SlotContent::Tombstone { .. }) => false,
            Some(SlotContent::Torn { store, generation, .. }) => {
                *store != chosen.store || *generation > chosen.generation
            }
            Some(SlotContent::Foreign | SlotContent::OtherVersion(_)) | None => true,
        })
    }

    /// Slots that could be taken for newer than `chosen` at some later opening: everything that is neither a verified
    /// superblock up to it nor a tombstone. A slot that is unreadable now may be readable then.
    pub(crate) fn rivals(&self, chosen: &Superblock) -> Vec<u64> {
        let harmless = |slot: &Option<SlotContent>| match slot {
            Some(SlotContent::Superblock(found)) => {
                found.store == chosen.store && found.generation <= chosen.generation
            }
            Some(SlotContent::Tombstone { store, .. }) => *store == chosen.store,
            _ => false,
        };
        (0..RING_SLOTS)
            .zip(&self.slots)
            .filter(|(_, slot)| !harmless(slot))
            .map(|(n, _)| n)
            .collect()
    }
}
