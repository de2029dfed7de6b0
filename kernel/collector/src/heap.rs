//! Which blocks of the heap hold objects, in the snapshot: the directory that gives each block its ordinal.
//!
//! It is made by a walk of the block table, and again after a restart: the snapshot does not change. It stands in memory, 5 bytes a block of
//! 64 KiB.
//!
//! Invariant: both lists ascend by block number, so the same snapshot gives the same ordinals.

use crate::bytes::index;
use crate::error::{Stop, Unsound};
use crate::pages::{Reader, page_of};
use crate::region::{BLOCKS_PER_PAGE, BitPlace, LARGE_PER_PAGE};
use alloc::vec::Vec;
use revenant_hal::{FrameMemory, OBJECT_SPACE_BASE};
use revenant_vm::memory::layout::{BLOCK, BLOCKS, GRANULE, PAGE, area, block, object};

/// A block or a run of blocks that holds objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    number: u32,
    /// Size class of small objects, order of a large one's run.
    detail: u8,
}

/// What stands at an address, by the block table alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A cell of a block of small objects: ordinal, granule behind the metadata page.
    Small(u32, u32),
    /// A large object: ordinal.
    Large(u32),
}

/// All blocks of objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    small: Vec<Run>,
    large: Vec<Run>,
}

/// The address of a block.
pub(crate) fn block_address(number: u32) -> u64 {
    OBJECT_SPACE_BASE + u64::from(number) * BLOCK
}

impl Directory {
    pub(crate) fn small(&self) -> u32 {
        u32::try_from(self.small.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn large(&self) -> u32 {
        u32::try_from(self.large.len()).unwrap_or(u32::MAX)
    }

    /// The first bitmap page of large objects: how many there are before.
    pub(crate) fn small_pages(&self) -> u32 {
        self.small().div_ceil(BLOCKS_PER_PAGE)
    }

    /// Bitmap pages in use.
    pub(crate) fn pages(&self) -> u32 {
        self.small_pages() + self.large().div_ceil(LARGE_PER_PAGE)
    }

    /// The number of the small block with this ordinal.
    pub(crate) fn small_block(&self, ordinal: u32) -> Option<u32> {
        self.small.get(index(ordinal.into())).map(|run| run.number)
    }

    /// The block where the large object with this ordinal begins.
    pub(crate) fn large_block(&self, ordinal: u32) -> Option<u32> {
        self.large.get(index(ordinal.into())).map(|run| run.number)
    }

    /// The ordinal of a block of small objects.
    pub(crate) fn ordinal_of_small(&self, number: u32) -> Option<u32> {
        // Most often all blocks from the first on are such.
        let guess = number.checked_sub(self.small.first()?.number)?;
        if self.small_block(guess) == Some(number) {
            return Some(guess);
        }
        let place = self.small.binary_search_by_key(&number, |run| run.number).ok()?;
        u32::try_from(place).ok()
    }

    /// The ordinal of the large object that begins in a block.
    pub(crate) fn ordinal_of_large(&self, number: u32) -> Option<u32> {
        let place = self.large.binary_search_by_key(&number, |run| run.number).ok()?;
        u32::try_from(place).ok()
    }

    /// Where an object with this address stands, if one can start there.
    pub(crate) fn place(&self, address: u64) -> Option<Place> {
        let offset = address.checked_sub(OBJECT_SPACE_BASE)?;
        let number = u32::try_from(offset / BLOCK).ok()?;
        let inside = offset % BLOCK;
        if let Some(ordinal) = self.ordinal_of_small(number) {
            let cell = self.cell_bytes(ordinal)?;
            let behind = inside.checked_sub(PAGE)?;
            let fits = behind.is_multiple_of(cell) && behind + cell <= BLOCK - PAGE;
            let granule = u32::try_from(behind / GRANULE).ok()?;
            return fits.then_some(Place::Small(ordinal, granule));
        }
        let ordinal = self.ordinal_of_large(number)?;
        (inside == object::LARGE_OFFSET).then_some(Place::Large(ordinal))
    }

    /// The address of what stands there.
    pub(crate) fn address(&self, place: Place) -> Option<u64> {
        Some(match place {
            Place::Small(ordinal, granule) => {
                block_address(self.small_block(ordinal)?) + PAGE + u64::from(granule) * GRANULE
            }
            Place::Large(ordinal) => {
                block_address(self.large_block(ordinal)?) + object::LARGE_OFFSET
            }
        })
    }

    /// The bits of what stands there.
    pub(crate) fn bits(&self, place: Place) -> BitPlace {
        match place {
            Place::Small(ordinal, granule) => BitPlace::small(ordinal, index(granule.into())),
            Place::Large(ordinal) => BitPlace::large(self.small_pages(), ordinal),
        }
    }

    /// Granules of the cells of a block.
    pub(crate) fn granules_of_cell(&self, ordinal: u32) -> usize {
        index(self.cell_bytes(ordinal).unwrap_or(BLOCK) / GRANULE)
    }

    /// The size class of a block.
    pub(crate) fn size_class(&self, ordinal: u32) -> usize {
        self.small.get(index(ordinal.into())).map_or(usize::MAX, |run| run.detail.into())
    }

    fn cell_bytes(&self, ordinal: u32) -> Option<u64> {
        let class = self.small.get(index(ordinal.into()))?.detail;
        block::SIZE_CLASSES.get(usize::from(class)).map(|granules| u64::from(*granules) * GRANULE)
    }

    /// Slots that what stands there has room for.
    pub(crate) fn room(&self, place: Place) -> u64 {
        let bytes = match place {
            Place::Small(ordinal, _) => {
                self.cell_bytes(ordinal).map_or(0, |cell| cell - object::HEADER_SIZE)
            }
            Place::Large(ordinal) => self
                .large
                .get(index(ordinal.into()))
                .map_or(0, |run| (BLOCK << run.detail.min(24)) - 2 * PAGE),
        };
        bytes / 8
    }
}

/// The walk of the block table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walk {
    next: u64,
}

impl Walk {
    /// Looks at the next entries; whether the walk is at its end.
    pub(crate) fn step<F: FrameMemory + ?Sized>(
        &mut self,
        reader: &mut Reader<'_, F>,
        directory: &mut Directory,
    ) -> Result<bool, Stop> {
        let number = |address: u64| address.wrapping_sub(OBJECT_SPACE_BASE) / BLOCK;
        let word = |offset| area::RUNS + offset;
        let fresh = number(reader.u64(word(block::RUNS_FRESH))?).min(BLOCKS);
        let top = number(reader.u64(word(block::RUNS_FRESH_TOP))?).clamp(fresh, BLOCKS);
        let from = number(area::HEAP);
        let mut next = self.next.max(from);
        if (fresh..top).contains(&next) {
            next = top;
        }
        if next >= BLOCKS {
            return Ok(true);
        }
        let entry = area::BLOCK_TABLE + next * block::ENTRY_SIZE;
        if reader.is_hole(page_of(entry))? {
            // Entries of a page that was never written say nothing.
            let per_page = PAGE / block::ENTRY_SIZE;
            self.next = (next / per_page + 1) * per_page;
            return Ok(false);
        }
        let kind = reader.u8(entry + block::ENTRY_KIND)?;
        let order = reader.u8(entry + block::ENTRY_ORDER)?;
        let class = reader.u8(entry + block::ENTRY_SIZE_CLASS)?;
        let number = u32::try_from(next).unwrap_or(u32::MAX);
        let wrong = Stop::Unsound(Unsound::BlockTable { block: number });
        let length = 1_u64 << order.min(24);
        if kind != block::KIND_NONE && (u64::from(order) >= block::ORDERS || next + length > BLOCKS)
        {
            return Err(wrong);
        }
        match kind {
            block::KIND_SMALL if order == 0 && usize::from(class) < block::SIZE_CLASSES.len() => {
                directory.small.push(Run { number, detail: class });
            }
            block::KIND_LARGE => directory.large.push(Run { number, detail: order }),
            block::KIND_NONE | block::KIND_FREE | block::KIND_DIRTY | block::KIND_STACK => {}
            _ => return Err(wrong),
        }
        self.next = next + if kind == block::KIND_NONE { 1 } else { length };
        Ok(false)
    }
}
