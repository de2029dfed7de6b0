//! The collector's region on the disk: places and page formats (FORMAT.md 11).
//!
//! Invariants: every block carries magic, checksum, the mark's name and the sequence of the checkpoint that wrote it; what does not verify is
//! none, never data. A bitmap page holds the bits of four heap blocks, or of 8,064 large objects.
#![deny(clippy::indexing_slicing)]

use crate::bytes::{read_u32, read_u64, write_u32, write_u64};
use crate::recovery::{self, Recovery};
use crate::survivors::{self, Survivors};
use alloc::{boxed::Box, vec::Vec};
use revenant_hal::{BlockIndex, PageBytes};
use revenant_store::{Layout, checksum};

const BITMAP_MAGIC: u64 = u64::from_le_bytes(*b"REVBITMP");
const LOG_MAGIC: u64 = u64::from_le_bytes(*b"REVREDOL");
const CONTROL_MAGIC: u64 = u64::from_le_bytes(*b"REVMARKS");
/// Bytes before the bits of a bitmap page, and before the entries of a log header.
pub(crate) const HEADER: usize = 64;
/// Granules of a heap block that can hold an object: all but those of its metadata page.
pub(crate) const BLOCK_BITS: usize = 3840;
/// Bytes of one bitmap of a heap block.
pub(crate) const BLOCK_BYTES: usize = BLOCK_BITS / 8;
/// Heap blocks that a bitmap page describes.
pub(crate) const BLOCKS_PER_PAGE: u32 = 4;
/// Large objects that a bitmap page describes.
pub(crate) const LARGE_PER_PAGE: u32 = 8_064;
/// Pages that a log header can name.
const LOG_ENTRIES: usize = 252;

const _: () = assert!(HEADER + 4 * 2 * BLOCK_BYTES <= 4096);
const _: () = assert!(HEADER + 3 * LARGE_PER_PAGE as usize / 8 <= 4096);
const _: () = assert!(HEADER + LOG_ENTRIES * 16 == 4096);
const _: () = assert!(at::SURVIVORS + survivors::ENCODED <= at::RECOVERY);
const _: () = assert!(at::RECOVERY + recovery::ENCODED <= 4096);

mod at {
    //! Byte offsets of the fields.
    pub(super) const MAGIC: usize = 0;
    pub(super) const CHECKSUM: usize = 8;
    pub(super) const NAME: usize = 16;
    pub(super) const SEQUENCE: usize = 48;
    /// Bitmap page: its number. Log header: pages that follow.
    pub(super) const NUMBER: usize = 56;
    pub(super) const LOG_COUNT: usize = 56;
    pub(super) const PHASE: usize = 60;
    pub(super) const LOG_CHECKSUM: usize = 64;
    pub(super) const SUM: usize = 72;
    pub(super) const SMALL: usize = 80;
    pub(super) const LARGE: usize = 84;
    pub(super) const CURSOR: usize = 88;
    pub(super) const CURSOR_SLOT: usize = 96;
    pub(super) const CONFIRMED: usize = 104;
    pub(super) const PARTITIONS: usize = 112;
    pub(super) const SURVIVORS: usize = 120;
    pub(super) const RECOVERY: usize = 1088;
}

/// Where the parts of the region stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    first: u64,
    bitmaps: u64,
    log: u64,
}

impl Region {
    /// The region of a store.
    #[must_use]
    pub const fn new(layout: Layout) -> Self {
        let (first, length) = layout.collector_region();
        let bitmaps = layout.blocks().div_ceil(63);
        Self { first: first.0, bitmaps, log: length - bitmaps - 2 }
    }

    /// Bitmap pages: what can be marked at most.
    #[must_use]
    pub const fn bitmap_pages(self) -> u64 {
        self.bitmaps
    }

    /// The block of a bitmap page.
    #[must_use]
    pub const fn bitmap(self, page: u32) -> BlockIndex {
        BlockIndex(self.first + page as u64)
    }

    /// The first block of the log: its header.
    #[must_use]
    pub const fn log(self) -> BlockIndex {
        BlockIndex(self.first + self.bitmaps)
    }

    /// Pages that one checkpoint can carry.
    #[must_use]
    pub fn log_pages(self) -> usize {
        usize::try_from(self.log - 1).unwrap_or(LOG_ENTRIES).min(LOG_ENTRIES)
    }

    /// The control block of a sequence: they alternate.
    #[must_use]
    pub const fn control(self, sequence: u64) -> BlockIndex {
        BlockIndex(self.first + self.bitmaps + self.log + sequence % 2)
    }
}

/// Where the bits of an object stand. The third says that it was reached through weak references only; in a heap block it is the one behind
/// the first, because no object has a single granule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct BitPlace {
    pub(crate) page: u32,
    pub(crate) marked: usize,
    pub(crate) scanned: usize,
    pub(crate) weak: usize,
}

impl BitPlace {
    /// Those of granule `granule` (counted behind the metadata page) of the heap block with this ordinal.
    pub(crate) fn small(ordinal: u32, granule: usize) -> Self {
        let slot = usize::try_from(ordinal % BLOCKS_PER_PAGE).unwrap_or(0);
        let start = HEADER + slot * 2 * BLOCK_BYTES;
        let marked = start * 8 + granule;
        let scanned = marked + BLOCK_BITS;
        Self { page: ordinal / BLOCKS_PER_PAGE, marked, scanned, weak: marked + 1 }
    }

    /// Those of a large object; `first` is the first bitmap page of large objects.
    pub(crate) fn large(first: u32, ordinal: u32) -> Self {
        let bit = usize::try_from(ordinal % LARGE_PER_PAGE).unwrap_or(0);
        let marked = HEADER * 8 + bit;
        let scanned = marked + LARGE_PER_PAGE as usize;
        let weak = scanned + LARGE_PER_PAGE as usize;
        Self { page: first + ordinal / LARGE_PER_PAGE, marked, scanned, weak }
    }
}

/// Gives a block its header, and its checksum last.
fn seal(page: &mut PageBytes, magic: u64, name: [u64; 4], sequence: u64) -> u64 {
    write_u64(&mut page.0, at::MAGIC, magic);
    write_u64(&mut page.0, at::CHECKSUM, 0);
    for (place, word) in name.into_iter().enumerate() {
        write_u64(&mut page.0, at::NAME + 8 * place, word);
    }
    write_u64(&mut page.0, at::SEQUENCE, sequence);
    let sum = checksum(page).0;
    write_u64(&mut page.0, at::CHECKSUM, sum);
    sum
}

/// The checksum of a block that is whole, of this kind and of this mark.
fn verify(page: &PageBytes, magic: u64, name: [u64; 4], any_name: bool) -> Option<u64> {
    let mut copy = page.clone();
    write_u64(&mut copy.0, at::CHECKSUM, 0);
    let sum = read_u64(&page.0, at::CHECKSUM);
    let named =
        (0..).zip(name).all(|(place, word)| read_u64(&page.0, at::NAME + 8 * place) == word);
    let good = read_u64(&page.0, at::MAGIC) == magic && (named || any_name);
    (good && checksum(&copy).0 == sum).then_some(sum)
}

/// Makes a bitmap page ready to be written; its checksum.
pub(crate) fn seal_bitmap(page: &mut PageBytes, name: [u64; 4], number: u32, sequence: u64) -> u64 {
    write_u64(&mut page.0, at::NUMBER, u64::from(number));
    seal(page, BITMAP_MAGIC, name, sequence)
}

/// The checksum of a bitmap page that is what it should be.
pub(crate) fn verify_bitmap(
    page: &PageBytes,
    name: [u64; 4],
    number: u32,
    any_name: bool,
) -> Option<u64> {
    let sum = verify(page, BITMAP_MAGIC, name, any_name)?;
    (read_u64(&page.0, at::NUMBER) == u64::from(number)).then_some(sum)
}

/// The header of a log: which pages follow, with their checksums.
pub(crate) fn log_header(
    name: [u64; 4],
    sequence: u64,
    entries: &[(u32, u64)],
) -> (Box<PageBytes>, u64) {
    let mut page = Box::new(PageBytes::ZERO);
    write_u64(&mut page.0, at::NUMBER, entries.len() as u64);
    for (place, (number, sum)) in entries.iter().enumerate() {
        write_u64(&mut page.0, HEADER + 16 * place, u64::from(*number));
        write_u64(&mut page.0, HEADER + 16 * place + 8, *sum);
    }
    let sum = seal(&mut page, LOG_MAGIC, name, sequence);
    (page, sum)
}

/// The entries of a log header that is the one with this checksum.
pub(crate) fn log_entries(
    page: &PageBytes,
    name: [u64; 4],
    wanted: u64,
) -> Option<Vec<(u32, u64)>> {
    let sum = verify(page, LOG_MAGIC, name, false)?;
    let count = usize::try_from(read_u64(&page.0, at::NUMBER)).ok()?;
    if sum != wanted || count > LOG_ENTRIES {
        return None;
    }
    let entry = |place: usize| {
        let number = u32::try_from(read_u64(&page.0, HEADER + 16 * place)).ok()?;
        Some((number, read_u64(&page.0, HEADER + 16 * place + 8)))
    };
    (0..count).map(entry).collect()
}

/// How far a mark is, as its last checkpoint says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Control {
    pub(crate) sequence: u64,
    pub(crate) phase: u32,
    pub(crate) log_count: u32,
    pub(crate) log_checksum: u64,
    /// Sum of the checksums of all bitmap pages in use: a page that is whole, but older than it should be, is noticed by it.
    pub(crate) sum: u64,
    pub(crate) small: u32,
    pub(crate) large: u32,
    /// The large object being scanned, by ordinal plus one, and its next slot.
    pub(crate) cursor: u64,
    pub(crate) cursor_slot: u64,
    /// Blocks whose marks were compared with the start bits.
    pub(crate) confirmed: u64,
    pub(crate) partitions: u64,
    /// What lives in the blocks that were compared.
    pub(crate) survivors: Survivors,
    /// How far the recovery from lost pages is, and how many objects were looked at when this was written.
    pub(crate) recovery: Recovery,
    pub(crate) objects: u64,
}

impl Control {
    pub(crate) fn encode(&self, name: [u64; 4]) -> Box<PageBytes> {
        let mut page = Box::new(PageBytes::ZERO);
        write_u32(&mut page.0, at::LOG_COUNT, self.log_count);
        write_u32(&mut page.0, at::PHASE, self.phase);
        write_u64(&mut page.0, at::LOG_CHECKSUM, self.log_checksum);
        write_u64(&mut page.0, at::SUM, self.sum);
        write_u32(&mut page.0, at::SMALL, self.small);
        write_u32(&mut page.0, at::LARGE, self.large);
        write_u64(&mut page.0, at::CURSOR, self.cursor);
        write_u64(&mut page.0, at::CURSOR_SLOT, self.cursor_slot);
        write_u64(&mut page.0, at::CONFIRMED, self.confirmed);
        write_u64(&mut page.0, at::PARTITIONS, self.partitions);
        self.survivors.encode(&mut page.0, at::SURVIVORS);
        self.recovery.encode(&mut page.0, at::RECOVERY, self.objects);
        seal(&mut page, CONTROL_MAGIC, name, self.sequence);
        page
    }

    pub(crate) fn decode(page: &PageBytes, name: [u64; 4], any_name: bool) -> Option<Self> {
        verify(page, CONTROL_MAGIC, name, any_name)?;
        let bytes = &page.0;
        Some(Self {
            sequence: read_u64(bytes, at::SEQUENCE),
            phase: read_u32(bytes, at::PHASE),
            log_count: read_u32(bytes, at::LOG_COUNT),
            log_checksum: read_u64(bytes, at::LOG_CHECKSUM),
            sum: read_u64(bytes, at::SUM),
            small: read_u32(bytes, at::SMALL),
            large: read_u32(bytes, at::LARGE),
            cursor: read_u64(bytes, at::CURSOR),
            cursor_slot: read_u64(bytes, at::CURSOR_SLOT),
            confirmed: read_u64(bytes, at::CONFIRMED),
            partitions: read_u64(bytes, at::PARTITIONS),
            survivors: Survivors::decode(bytes, at::SURVIVORS),
            recovery: Recovery::decode(bytes, at::RECOVERY),
            objects: 0,
        })
    }
}
