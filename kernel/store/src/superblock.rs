//! One slot of the ring: the root of everything, self-contained and checked by its own checksum (FORMAT.md 3).
//!
//! Invariants: [`RawSlot`] is what the device delivered and proves nothing; only [`RawSlot::classify`] makes a
//! [`Superblock`] of it, and only if length, checksum and every field hold. The first 64 bytes keep their meaning in all
//! versions of the format, so that an older system can say "newer" instead of "damaged".
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::api::{SessionId, StoreId};
use crate::layout::{FORMAT_VERSION, Layout, SLOT_BLOCKS};
use crate::reference::{
    REFERENCE_BYTES, Reference, read_u32, read_u64, write_bytes, write_u32, write_u64,
};
use crate::retention::Retention;
use crate::snapshot::{BranchId, MAXIMUM_SNAPSHOTS, Snapshot, SnapshotTable};
use alloc::{boxed::Box, vec::Vec};
use revenant_hal::{Checksum, Epoch, Generation, Nanoseconds, PAGE_SIZE, PAGE_SIZE_U64, PageBytes};

const MAGIC: u64 = u64::from_le_bytes(*b"REVENANT");
const KIND_SUPERBLOCK: u32 = 1;
const KIND_TOMBSTONE: u32 = 2;
const HEADER_BYTES: usize = 512;
const ENTRY_BYTES: usize = 80;
const FLAG_PINNED: u32 = 1;
const FLAG_HIDDEN: u32 = 2;

const _: () = assert!(
    (HEADER_BYTES + MAXIMUM_SNAPSHOTS * ENTRY_BYTES) as u64 <= SLOT_BLOCKS * PAGE_SIZE_U64,
    "a full table fits in a slot"
);

mod at {
    //! Byte offsets of the header's fields.
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 8;
    pub(super) const KIND: usize = 12;
    pub(super) const LENGTH: usize = 16;
    pub(super) const VM_ABI: usize = 20;
    pub(super) const CHECKSUM: usize = 24;
    pub(super) const STORE: usize = 32;
    pub(super) const GENERATION: usize = 48;
    pub(super) const HIGHEST_EPOCH: usize = 56;
    pub(super) const EPOCH: usize = 64;
    pub(super) const BRANCH: usize = 72;
    pub(super) const NEXT_BRANCH: usize = 76;
    pub(super) const RESTORE_GENERATION: usize = 80;
    pub(super) const BLOCKS: usize = 88;
    pub(super) const SESSION: usize = 96;
    pub(super) const FREE_ROOT: usize = 112;
    pub(super) const PREVIOUS_FREE_ROOT: usize = 144;
    pub(super) const ALLOCATED: usize = 176;
    pub(super) const PIN_EPOCH: usize = 184;
    pub(super) const PIN_BRANCH: usize = 192;
    pub(super) const SNAPSHOTS: usize = 196;
    pub(super) const PIN_CHECKSUM: usize = 200;
    pub(super) const WALL_TIME: usize = 208;
    pub(super) const ROOT: usize = 216;
    pub(super) const COLLECTOR_START: usize = 248;
    pub(super) const COLLECTOR_LENGTH: usize = 256;
    pub(super) const KEEP_LAST: usize = 264;
    pub(super) const KEEP_HOURLY: usize = 268;
    pub(super) const KEEP_DAILY: usize = 272;
}

/// The collector's pin: the full name of the snapshot that it marks (the store's id completes it).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CollectorPin {
    /// The snapshot.
    pub epoch: Epoch,
    /// Its branch.
    pub branch: BranchId,
    /// The checksum of its root.
    pub root_checksum: Checksum,
}

/// A verified superblock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Superblock {
    /// The store's name.
    pub store: StoreId,
    /// The version of the virtual machine whose objects are in the snapshots: layout in the high half, verifier in the low half.
    pub vm_abi: u32,
    /// Its number; only grows.
    pub generation: Generation,
    /// The highest epoch that ran before it was written.
    pub highest_epoch: Epoch,
    /// The snapshot that the live state equals; 0 for none yet.
    pub epoch: Epoch,
    /// The live branch.
    pub branch: BranchId,
    /// The first branch id never used.
    pub next_branch: BranchId,
    /// Counts resumes from other than the newest committed state.
    pub restore_generation: u64,
    /// The store's size.
    pub layout: Layout,
    /// Who wrote it.
    pub session: SessionId,
    /// The live page map.
    pub root: Reference,
    /// The free-space tree of this generation.
    pub free_root: Reference,
    /// That of the generation before: what either marks is not handed out.
    pub previous_free_root: Reference,
    /// Bits set in the free-space tree.
    pub allocated: u64,
    /// What the collector marks.
    pub collector_pin: Option<CollectorPin>,
    /// Which snapshots stay without being asked for; none if nobody ever said.
    pub retention: Option<Retention>,
    /// When it was written.
    pub wall_time: Nanoseconds,
    /// All snapshots.
    pub snapshots: SnapshotTable,
}

/// A slot as the device delivered it; proves nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawSlot(pub Vec<Box<PageBytes>>);

/// What a slot turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotContent {
    /// Without our magic number.
    Foreign,
    /// Ours by its magic number, but incomplete or damaged. The numbers are hints, not facts.
    Torn {
        /// What stands where the store's name belongs.
        store: StoreId,
        /// What stands where the generation belongs.
        generation: Generation,
        /// What stands where the highest epoch belongs.
        highest_epoch: Epoch,
    },
    /// Whole, of another version of the format.
    OtherVersion(u32),
    /// Whole, and made so that it cannot win.
    Tombstone {
        /// The store.
        store: StoreId,
        /// The highest generation seen when it was written.
        generation: Generation,
        /// The highest epoch seen when it was written.
        highest_epoch: Epoch,
    },
    /// Whole.
    Superblock(Box<Superblock>),
}

impl RawSlot {
    /// How many blocks the slot's header says it has; 1 if it says nothing sensible.
    #[must_use]
    pub fn claimed_blocks(&self) -> u64 {
        let Some(first) = self.0.first() else { return 1 };
        let length = u64::from(read_u32(&first.0, at::LENGTH));
        let ours = read_u64(&first.0, at::MAGIC) == MAGIC;
        let blocks = length.div_ceil(PAGE_SIZE_U64);
        if ours && (1..=SLOT_BLOCKS).contains(&blocks) { blocks } else { 1 }
    }

    /// Decides what the slot is. Only a slot whose checksum holds is believed.
    #[must_use]
    pub fn classify(&self) -> SlotContent {
        let Some(first) = self.0.first() else { return SlotContent::Foreign };
        let header = &first.0;
        if read_u64(header, at::MAGIC) != MAGIC {
            return SlotContent::Foreign;
        }
        let store = StoreId(read_u128(header, at::STORE));
        let generation = Generation(read_u64(header, at::GENERATION));
        let highest_epoch = Epoch(read_u64(header, at::HIGHEST_EPOCH));
        let torn = SlotContent::Torn { store, generation, highest_epoch };
        let length = self.claimed_blocks();
        if self.0.len() as u64 != length
            || u64::from(read_u32(header, at::LENGTH)) != length.saturating_mul(PAGE_SIZE_U64)
            || slot_checksum(&self.0) != read_u64(header, at::CHECKSUM)
        {
            return torn;
        }
        let version = read_u32(header, at::VERSION);
        if version != FORMAT_VERSION {
            return SlotContent::OtherVersion(version);
        }
        match read_u32(header, at::KIND) {
            KIND_TOMBSTONE => SlotContent::Tombstone { store, generation, highest_epoch },
            KIND_SUPERBLOCK => decode(&self.0)
                .map_or(torn, |superblock| SlotContent::Superblock(Box::new(superblock))),
            _ => torn,
        }
    }
}

/// XXH3-64 of all blocks with the checksum field taken as zero.
fn slot_checksum(blocks: &[Box<PageBytes>]) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for (index, block) in blocks.iter().enumerate() {
        if index == 0 {
            let mut first = block.clone();
            write_u64(&mut first.0, at::CHECKSUM, 0);
            hasher.update(&first.0);
        } else {
            hasher.update(&block.0);
        }
    }
    hasher.digest()
}

fn read_u128(bytes: &[u8], at: usize) -> u128 {
    u128::from(read_u64(bytes, at)) | (u128::from(read_u64(bytes, at.saturating_add(8))) << 64)
}

fn read_reference(bytes: &[u8], at: usize) -> Reference {
    at.checked_add(REFERENCE_BYTES)
        .and_then(|end| bytes.get(at..end))
        .and_then(|slice| slice.try_into().ok())
        .map_or(Reference::ZERO, |bytes: [u8; REFERENCE_BYTES]| Reference::decode(&bytes))
}

/// The fields of a slot whose checksum holds; none if they contradict each other.
fn decode(blocks: &[Box<PageBytes>]) -> Option<Superblock> {
    let mut flat: Vec<u8> = Vec::new();
    for block in blocks {
        flat.extend_from_slice(&block.0);
    }
    let count = usize::try_from(read_u32(&flat, at::SNAPSHOTS)).ok()?;
    if count > MAXIMUM_SNAPSHOTS {
        return None;
    }
    let entries = flat
        .get(HEADER_BYTES..)?
        .chunks_exact(ENTRY_BYTES)
        .take(count)
        .map(decode_entry)
        .collect::<Vec<_>>();
    if entries.len() != count {
        return None;
    }
    let snapshots = SnapshotTable::from_entries(entries)?;
    let pin_epoch = Epoch(read_u64(&flat, at::PIN_EPOCH));
    let superblock = Superblock {
        store: StoreId(read_u128(&flat, at::STORE)),
        vm_abi: read_u32(&flat, at::VM_ABI),
        generation: Generation(read_u64(&flat, at::GENERATION)),
        highest_epoch: Epoch(read_u64(&flat, at::HIGHEST_EPOCH)),
        epoch: Epoch(read_u64(&flat, at::EPOCH)),
        branch: BranchId(read_u32(&flat, at::BRANCH)),
        next_branch: BranchId(read_u32(&flat, at::NEXT_BRANCH)),
        restore_generation: read_u64(&flat, at::RESTORE_GENERATION),
        layout: Layout::new(read_u64(&flat, at::BLOCKS))?,
        session: SessionId(read_u128(&flat, at::SESSION)),
        root: read_reference(&flat, at::ROOT),
        free_root: read_reference(&flat, at::FREE_ROOT),
        previous_free_root: read_reference(&flat, at::PREVIOUS_FREE_ROOT),
        allocated: read_u64(&flat, at::ALLOCATED),
        collector_pin: (pin_epoch.0 != 0).then(|| CollectorPin {
            epoch: pin_epoch,
            branch: BranchId(read_u32(&flat, at::PIN_BRANCH)),
            root_checksum: Checksum(read_u64(&flat, at::PIN_CHECKSUM)),
        }),
        retention: decode_retention(&flat),
        wall_time: Nanoseconds(read_u64(&flat, at::WALL_TIME)),
        snapshots,
    };
    superblock.is_consistent().then_some(superblock)
}

/// Any numbers are safe: with more than the table holds, as many stay as there is room for.
fn decode_retention(flat: &[u8]) -> Option<Retention> {
    let last = read_u32(flat, at::KEEP_LAST);
    let hourly = read_u32(flat, at::KEEP_HOURLY);
    let daily = read_u32(flat, at::KEEP_DAILY);
    (last != 0).then_some(Retention { last, hourly, daily })
}

fn decode_entry(bytes: &[u8]) -> Snapshot {
    let flags = read_u32(bytes, 20);
    Snapshot {
        epoch: Epoch(read_u64(bytes, 0)),
        parent: Epoch(read_u64(bytes, 8)),
        branch: BranchId(read_u32(bytes, 16)),
        pinned: flags & FLAG_PINNED != 0,
        hidden: flags & FLAG_HIDDEN != 0,
        root: read_reference(bytes, 24),
        wall_time: Nanoseconds(read_u64(bytes, 56)),
        pages: read_u64(bytes, 64),
        blocks_written: read_u64(bytes, 72),
    }
}

fn encode_entry(bytes: &mut [u8], snapshot: &Snapshot) {
    let pinned = if snapshot.pinned { FLAG_PINNED } else { 0 };
    let hidden = if snapshot.hidden { FLAG_HIDDEN } else { 0 };
    write_u64(bytes, 0, snapshot.epoch.0);
    write_u64(bytes, 8, snapshot.parent.0);
    write_u32(bytes, 16, snapshot.branch.0);
    write_u32(bytes, 20, pinned | hidden);
    write_bytes(bytes, 24, &snapshot.root.encode());
    write_u64(bytes, 56, snapshot.wall_time.0);
    write_u64(bytes, 64, snapshot.pages);
    write_u64(bytes, 72, snapshot.blocks_written);
}

impl Superblock {
    /// Whether the fields can belong together: the live state is a snapshot of the table (or there is none at all), and
    /// no number is ahead of the highest.
    fn is_consistent(&self) -> bool {
        let live = match self.snapshots.get(self.epoch) {
            Some(snapshot) => snapshot.root == self.root && !snapshot.hidden,
            None => self.epoch == Epoch(0) && self.root.is_zero(),
        };
        let epochs =
            self.snapshots.entries().last().is_none_or(|last| last.epoch <= self.highest_epoch);
        // Numbers that only grow must have room to grow.
        let room = [self.generation.0, self.highest_epoch.0, self.restore_generation];
        let room = room.iter().all(|number| *number < 1 << 62) && self.next_branch.0 < 1 << 31;
        live && epochs && room && self.branch < self.next_branch && !self.free_root.is_zero()
    }

    /// Encodes to the blocks of a slot: as few as the table needs.
    #[must_use]
    pub fn encode(&self) -> Vec<Box<PageBytes>> {
        let entries = self.snapshots.entries();
        let bytes = entries.len().saturating_mul(ENTRY_BYTES).saturating_add(HEADER_BYTES);
        let mut flat = alloc::vec![0u8; bytes.next_multiple_of(PAGE_SIZE)];
        encode_header(&mut flat, KIND_SUPERBLOCK, self.store, self.generation, self.highest_epoch);
        write_u32(&mut flat, at::VM_ABI, self.vm_abi);
        write_u64(&mut flat, at::EPOCH, self.epoch.0);
        write_u32(&mut flat, at::BRANCH, self.branch.0);
        write_u32(&mut flat, at::NEXT_BRANCH, self.next_branch.0);
        write_u64(&mut flat, at::RESTORE_GENERATION, self.restore_generation);
        write_u64(&mut flat, at::BLOCKS, self.layout.blocks());
        write_bytes(&mut flat, at::SESSION, &self.session.0.to_le_bytes());
        write_bytes(&mut flat, at::FREE_ROOT, &self.free_root.encode());
        write_bytes(&mut flat, at::PREVIOUS_FREE_ROOT, &self.previous_free_root.encode());
        write_u64(&mut flat, at::ALLOCATED, self.allocated);
        if let Some(pin) = self.collector_pin {
            write_u64(&mut flat, at::PIN_EPOCH, pin.epoch.0);
            write_u32(&mut flat, at::PIN_BRANCH, pin.branch.0);
            write_u64(&mut flat, at::PIN_CHECKSUM, pin.root_checksum.0);
        }
        if let Some(retention) = self.retention {
            write_u32(&mut flat, at::KEEP_LAST, retention.last);
            write_u32(&mut flat, at::KEEP_HOURLY, retention.hourly);
            write_u32(&mut flat, at::KEEP_DAILY, retention.daily);
        }
        write_u32(&mut flat, at::SNAPSHOTS, u32::try_from(entries.len()).unwrap_or(u32::MAX));
        write_u64(&mut flat, at::WALL_TIME, self.wall_time.0);
        write_bytes(&mut flat, at::ROOT, &self.root.encode());
        let (start, length) = self.layout.collector_region();
        write_u64(&mut flat, at::COLLECTOR_START, start.0);
        write_u64(&mut flat, at::COLLECTOR_LENGTH, length);
        if let Some(table) = flat.get_mut(HEADER_BYTES..) {
            for (place, entry) in table.chunks_exact_mut(ENTRY_BYTES).zip(entries) {
                encode_entry(place, entry);
            }
        }
        seal(&flat)
    }
}

/// A slot that can never win: it names no root. It keeps the highest numbers seen, so that they are not used again.
#[must_use]
pub fn encode_tombstone(
    store: StoreId,
    generation: Generation,
    highest_epoch: Epoch,
) -> Vec<Box<PageBytes>> {
    let mut flat = alloc::vec![0u8; PAGE_SIZE];
    encode_header(&mut flat, KIND_TOMBSTONE, store, generation, highest_epoch);
    seal(&flat)
}

fn encode_header(
    flat: &mut [u8],
    kind: u32,
    store: StoreId,
    generation: Generation,
    highest_epoch: Epoch,
) {
    let length = u32::try_from(flat.len()).unwrap_or(u32::MAX);
    write_u64(flat, at::MAGIC, MAGIC);
    write_u32(flat, at::VERSION, FORMAT_VERSION);
    write_u32(flat, at::KIND, kind);
    write_u32(flat, at::LENGTH, length);
    write_bytes(flat, at::STORE, &store.0.to_le_bytes());
    write_u64(flat, at::GENERATION, generation.0);
    write_u64(flat, at::HIGHEST_EPOCH, highest_epoch.0);
}

/// Cuts into blocks and stores the checksum.
fn seal(flat: &[u8]) -> Vec<Box<PageBytes>> {
    let mut blocks: Vec<Box<PageBytes>> =
        flat.as_chunks::<PAGE_SIZE>().0.iter().map(|chunk| Box::new(PageBytes(*chunk))).collect();
    let checksum = slot_checksum(&blocks);
    if let Some(first) = blocks.first_mut() {
        write_u64(&mut first.0, at::CHECKSUM, checksum);
    }
    blocks
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests compute with small numbers")]
mod tests {
    use super::*;
    use revenant_hal::BlockIndex;

    fn sample(snapshots: u64) -> Superblock {
        let mut table = SnapshotTable::default();
        let root = Reference { block: BlockIndex(99), ..Reference::ZERO };
        for epoch in 1..=snapshots {
            table.push(Snapshot {
                epoch: Epoch(epoch),
                parent: Epoch(epoch - 1),
                branch: BranchId(1),
                pinned: epoch % 2 == 0,
                hidden: false,
                root,
                wall_time: Nanoseconds(epoch),
                pages: 3,
                blocks_written: 5,
            });
        }
        Superblock {
            store: StoreId(77 << 64 | 5),
            vm_abi: 3,
            generation: Generation(12),
            highest_epoch: Epoch(snapshots + 4),
            epoch: Epoch(snapshots),
            branch: BranchId(1),
            next_branch: BranchId(2),
            restore_generation: 6,
            layout: Layout::new(2048).unwrap(),
            session: SessionId(8),
            root: if snapshots == 0 { Reference::ZERO } else { root },
            free_root: root,
            previous_free_root: root,
            allocated: 17,
            collector_pin: Some(CollectorPin {
                epoch: Epoch(2),
                branch: BranchId(1),
                root_checksum: Checksum(4),
            }),
            retention: (snapshots > 1).then_some(Retention { last: 3, hourly: 24, daily: 7 }),
            wall_time: Nanoseconds(11),
            snapshots: table,
        }
    }

    #[test]
    fn a_superblock_survives_encoding_with_any_number_of_snapshots() {
        for (snapshots, blocks) in [(0, 1), (1, 1), (44, 1), (45, 2), (128, 3)] {
            let superblock = sample(snapshots);
            let raw = RawSlot(superblock.encode());
            assert_eq!(raw.0.len(), blocks);
            assert_eq!(raw.claimed_blocks(), blocks as u64);
            assert_eq!(raw.classify(), SlotContent::Superblock(Box::new(superblock)));
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let raw = RawSlot(sample(50).encode());
        for bit in (0..raw.0.len() * PAGE_SIZE * 8).step_by(97) {
            let mut broken = raw.clone();
            broken.0[bit / 8 / PAGE_SIZE].0[bit / 8 % PAGE_SIZE] ^= 1 << (bit % 8);
            assert!(
                !matches!(broken.classify(), SlotContent::Superblock(_)),
                "bit {bit} changed and the slot still verifies"
            );
        }
    }

    #[test]
    fn a_tombstone_and_a_newer_version_are_told_apart_from_damage() {
        let grave = RawSlot(encode_tombstone(StoreId(5), Generation(40), Epoch(50)));
        assert!(matches!(
            grave.classify(),
            SlotContent::Tombstone { generation: Generation(40), .. }
        ));
        let mut blocks = sample(1).encode();
        write_u32(&mut blocks[0].0, at::VERSION, FORMAT_VERSION + 1);
        assert!(matches!(RawSlot(blocks.clone()).classify(), SlotContent::Torn { .. }));
        let checksum = slot_checksum(&blocks);
        write_u64(&mut blocks[0].0, at::CHECKSUM, checksum);
        assert_eq!(RawSlot(blocks).classify(), SlotContent::OtherVersion(FORMAT_VERSION + 1));
    }

    #[test]
    fn fields_that_contradict_each_other_are_damage_even_with_a_good_checksum() {
        let mut superblock = sample(3);
        superblock.epoch = Epoch(9);
        assert!(matches!(RawSlot(superblock.encode()).classify(), SlotContent::Torn { .. }));
        let mut superblock = sample(3);
        superblock.highest_epoch = Epoch(1);
        assert!(matches!(RawSlot(superblock.encode()).classify(), SlotContent::Torn { .. }));
    }
}
