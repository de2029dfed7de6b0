//! Small objects: cells of one size in a block, handed out by a cursor that runs through runs of free cells.
//!
//! Invariants:
//! - `limit - cursor` of a class record is a run of free cells of its current block, in nobody's count of free cells;
//! - a block's free-cell count is exact for the cells outside that run;
//! - a cell is free exactly when its first granule's metadata byte is zero.

use revenant_hal::ObjectAddress;

use super::metadata::{self, Metadata};
use super::runs::{self, BlockNumber, Entry, List};
use super::{AllocationError, Allocator, holes};
use crate::counting::doubt;
use crate::memory::layout::system::{counting, statistics};
use crate::memory::layout::{BLOCK, GRANULE, PAGE, area, block, object};
use crate::memory::{AddressExt, Space};

/// Bytes of a cell by size class.
static CELL_BYTES: [u64; block::SIZE_CLASSES.len()] = {
    let mut bytes = [0; block::SIZE_CLASSES.len()];
    let mut class = 0;
    while class < bytes.len() {
        bytes[class] = block::SIZE_CLASSES[class] as u64 * GRANULE;
        class += 1;
    }
    bytes
};

/// Cells of a block by size class.
static CELLS: [u64; block::SIZE_CLASSES.len()] = {
    let mut cells = [0; block::SIZE_CLASSES.len()];
    let mut class = 0;
    while class < cells.len() {
        cells[class] = block::GRANULES / block::SIZE_CLASSES[class] as u64;
        class += 1;
    }
    cells
};

/// Cells of a block of a size class.
#[inline(always)]
#[must_use]
pub fn cells_of_block(size_class: u32) -> Option<u64> {
    CELLS.get(size_class as usize).copied()
}

/// Size class by granules.
static CLASS_BY_GRANULES: [u8; 769] = {
    let mut table = [0; 769];
    let mut granules = 0;
    let mut class: u8 = 0;
    while granules < table.len() {
        if granules > block::SIZE_CLASSES[class as usize] as usize {
            class += 1;
        }
        table[granules] = class;
        granules += 1;
    }
    table
};

/// The size class of an object of `bytes` bytes, header included; for more than `SMALL_LIMIT`, a number that no
/// allocation accepts.
#[inline]
#[must_use]
pub fn class_of(bytes: u64) -> u32 {
    usize::try_from(bytes.div_ceil(GRANULE))
        .ok()
        .and_then(|granules| CLASS_BY_GRANULES.get(granules))
        .map_or(u32::MAX, |class| u32::from(*class))
}

/// Bytes of a cell of a size class.
#[inline(always)]
#[must_use]
pub fn cell_bytes(size_class: u32) -> Option<u64> {
    CELL_BYTES.get(size_class as usize).copied()
}

const COUNTING: ObjectAddress = ObjectAddress(area::COUNTING);

/// The fast path: the next cell of the current run; none when the run or the open batch is used up, or there is no such
/// size class. One step, changes last.
#[inline(always)]
pub fn allocate(
    space: Space,
    allocator: Allocator,
    size_class: u32,
    header: u64,
) -> Option<ObjectAddress> {
    let bytes = cell_bytes(size_class)?;
    let record = record_of(allocator, size_class);
    let cursor = space.load::<u64>(record.plus(block::CLASS_CURSOR));
    let limit = space.load::<u64>(record.plus(block::CLASS_LIMIT));
    let next = cursor.wrapping_add(bytes);
    let entry = space.load::<u64>(COUNTING.plus(counting::OPEN_NEXT));
    let open_limit = space.load::<u64>(COUNTING.plus(counting::OPEN_LIMIT));
    if next > limit || entry >= open_limit {
        return None;
    }
    let cell = ObjectAddress(cursor);
    let epoch = space.load::<u64>(COUNTING.plus(counting::EPOCH));
    let fresh = space.load::<u8>(COUNTING.plus(counting::NEW_METADATA));
    // The cell and the entry behind the end of the batch are nobody's: writing them is the touch.
    let words = (bytes - object::HEADER_SIZE) / 8;
    if words > PAGE / 8 {
        zero_in_steps(space, cell.plus(object::PAYLOAD), words);
    } else {
        space.zero_ahead(cell.plus(object::PAYLOAD), words);
    }
    space.store_ahead(cell.plus(object::CLASS), header);
    space.store_ahead(cell.plus(object::BIRTH_AND_FLAGS), epoch);
    space.store_ahead(ObjectAddress(entry), cell.0);
    space.touch_write(record);
    space.touch_write(COUNTING);
    let _ = metadata::load_for_change(space, cell);
    space.begin_changes();
    metadata::store(space, cell, Metadata(fresh));
    space.store(record.plus(block::CLASS_CURSOR), next);
    space.store(COUNTING.plus(counting::OPEN_NEXT), entry + 8);
    Some(cell)
}

/// Zeroes a cell of several pages that is nobody's yet: steps of a page, so that the allocation is one of few.
#[cold]
#[inline(never)]
fn zero_in_steps(space: Space, start: ObjectAddress, words: u64) {
    let mut done = 0;
    while done < words {
        let piece = (words - done).min(PAGE / 8);
        space.zero_ahead(start.plus(done * 8), piece);
        space.end_step();
        done += piece;
    }
}

#[inline(always)]
fn record_of(allocator: Allocator, size_class: u32) -> ObjectAddress {
    let offset = u64::from(size_class) * block::ALLOCATOR_CLASS_SIZE;
    allocator.0.plus(block::ALLOCATOR_CLASSES + offset)
}

/// Refills, step by step, and allocates.
///
/// # Errors
/// No block to be had, or no such size class.
#[cold]
#[inline(never)]
pub fn allocate_slowly(
    space: Space,
    allocator: Allocator,
    size_class: u32,
    header: u64,
) -> Result<ObjectAddress, AllocationError> {
    if cell_bytes(size_class).is_none() {
        return Err(AllocationError::TooLarge);
    }
    crate::counting::make_room(space)?;
    // A listed block has a free cell and a new one has many, so few rounds end with a cell; the bound is for damage.
    for _ in 0..1 << 16 {
        if let Some(cell) = allocate(space, allocator, size_class, header) {
            return Ok(cell);
        }
        space.end_step();
        refill(space, allocator, size_class)?;
    }
    Err(AllocationError::Damaged(allocator.0))
}

/// One step towards a run of free cells: the next run of the current block, or the next block.
fn refill(space: Space, allocator: Allocator, size_class: u32) -> Result<(), AllocationError> {
    let record = record_of(allocator, size_class);
    let current = BlockNumber(space.load::<u32>(record.plus(block::CLASS_CURRENT)));
    if current.0 == 0 {
        let first = List::of_class(record).first(space);
        space.end_step();
        return match first {
            Some(number) => adopt(space, record, number),
            None => take_block(space, allocator, size_class),
        };
    }
    let from = space.load::<u64>(record.plus(block::CLASS_LIMIT));
    match find_free_cells(space, current, size_class, ObjectAddress(from)) {
        Some((start, cells)) => {
            let bytes = cells * cell_bytes(size_class).unwrap_or(GRANULE);
            let free = current.address().plus(block::HEADER_FREE_CELLS);
            space.touch_write(record);
            space.touch_write(COUNTING);
            let count = space.load_for_change::<u64>(free);
            space.begin_changes();
            doubt::given(space, bytes);
            space.store(free, count.saturating_sub(cells));
            holes::take(space, start, start.0 + bytes);
            space.store(record.plus(block::CLASS_CURSOR), start.0);
            space.store(record.plus(block::CLASS_LIMIT), start.0 + bytes);
            space.end_step();
        }
        None => retire(space, record, current),
    }
    Ok(())
}

/// The next run of free cells of a block at or after `from`: its start and its number of cells.
fn find_free_cells(
    space: Space,
    number: BlockNumber,
    size_class: u32,
    from: ObjectAddress,
) -> Option<(ObjectAddress, u64)> {
    let bytes = cell_bytes(size_class)?;
    let first = number.address().plus(block::FIRST_GRANULE * GRANULE);
    let cells = cells_of_block(size_class)?;
    let skipped = from.0.saturating_sub(first.0).div_ceil(bytes);
    let is_free = |cell: &u64| metadata::load(space, first.plus(cell * bytes)).0 == 0;
    let start = (skipped..cells).find(is_free)?;
    let end = next_object(space, number, first.plus(start * bytes));
    let length = (end.0.saturating_sub(first.0) / bytes).min(cells).saturating_sub(start);
    Some((first.plus(start * bytes), length.max(1)))
}

/// The first object of a block at or after `from`, or the block's end: eight granules a look, because only starts of objects
/// have a metadata byte that is not zero.
fn next_object(space: Space, number: BlockNumber, from: ObjectAddress) -> ObjectAddress {
    let end = number.address().plus(BLOCK);
    let mut address = from;
    while address.0 < end.0 {
        let byte = metadata::address_of(address);
        let inside = byte.0 & 7;
        let eight = u64::from_le_bytes(space.load_bytes(ObjectAddress(byte.0 - inside)));
        let rest = eight >> (8 * inside);
        if rest != 0 {
            return address.plus(u64::from(rest.trailing_zeros() / 8) * GRANULE);
        }
        address = address.plus((8 - inside) * GRANULE);
    }
    end
}

/// Makes a listed block the current one. One step.
fn adopt(space: Space, record: ObjectAddress, number: BlockNumber) -> Result<(), AllocationError> {
    let list = List::of_class(record);
    if runs::entry(space, number).kind != block::KIND_SMALL {
        return Err(AllocationError::Damaged(number.entry()));
    }
    list.touch_unlink(space, number);
    space.touch_write(record);
    space.begin_changes();
    list.unlink(space, number);
    space.store(number.entry().plus(block::ENTRY_STATE), block::STATE_CURRENT);
    make_current(space, record, number);
    space.end_step();
    Ok(())
}

fn make_current(space: Space, record: ObjectAddress, number: BlockNumber) {
    let start = number.address().plus(block::FIRST_GRANULE * GRANULE);
    space.store(record.plus(block::CLASS_CURRENT), number.0);
    space.store(record.plus(block::CLASS_CURSOR), start.0);
    space.store(record.plus(block::CLASS_LIMIT), start.0);
}

/// Leaves the current block, whose cells behind the cursor are all in use or were freed since: listed or full. One step.
fn retire(space: Space, record: ObjectAddress, number: BlockNumber) {
    let list = List::of_class(record);
    let free = space.load::<u64>(number.address().plus(block::HEADER_FREE_CELLS));
    list.touch_push_last(space, number);
    space.touch_write(record);
    space.begin_changes();
    let state = if free > 0 { block::STATE_LISTED } else { block::STATE_FULL };
    space.store(number.entry().plus(block::ENTRY_STATE), state);
    if free > 0 {
        list.push_last(space, number);
    }
    space.store(record.plus(block::CLASS_CURRENT), 0_u32);
    space.store(record.plus(block::CLASS_CURSOR), 0_u64);
    space.store(record.plus(block::CLASS_LIMIT), 0_u64);
    space.end_step();
}

/// Takes a free block for a size class. Two steps: a dirty block's metadata is cleared while the block is still free.
fn take_block(space: Space, allocator: Allocator, size_class: u32) -> Result<(), AllocationError> {
    if !allocator.admits(space, BLOCK) {
        return Err(AllocationError::Quota);
    }
    let found = runs::find(space, 0, true)?;
    let (number, record) = (found.number, record_of(allocator, size_class));
    if found.dirty {
        space.zero_ahead(number.address(), PAGE / 8);
        space.end_step();
    }
    let group = space.load::<u64>(allocator.0.plus(block::ALLOCATOR_GROUP));
    let owner = u32::try_from(group).map_err(|_| AllocationError::Damaged(allocator.0))?;
    let class = u8::try_from(size_class).map_err(|_| AllocationError::TooLarge)?;
    let cells = cells_of_block(size_class).ok_or(AllocationError::TooLarge)?;
    found.touch(space);
    space.touch_write(allocator.0);
    space.touch_write(number.address());
    space.begin_changes();
    let entry = Entry {
        kind: block::KIND_SMALL,
        order: 0,
        size_class: class,
        state: block::STATE_CURRENT,
        owner,
    };
    found.take(space, entry);
    let mirror = u64::from(block::KIND_SMALL) | u64::from(class) << 8 | u64::from(owner) << 32;
    space.store(number.address().plus(block::HEADER_CLASS), mirror);
    space.store(number.address().plus(block::HEADER_FREE_CELLS), 0_u64);
    let used = allocator.0.plus(block::ALLOCATOR_USED);
    space.store(used, space.load::<u64>(used).wrapping_add(BLOCK));
    // All its cells are the first run.
    make_current(space, record, number);
    let start = number.address().plus(block::FIRST_GRANULE * GRANULE);
    let bytes = cells * cell_bytes(size_class).unwrap_or(GRANULE);
    space.store(record.plus(block::CLASS_LIMIT), start.plus(bytes).0);
    count(space, statistics::BLOCKS_TAKEN);
    space.end_step();
    Ok(())
}

/// Gives a cell back, and its block when it was the last object there. One step.
pub fn release(space: Space, object: ObjectAddress) {
    let number = BlockNumber::of(object);
    let base = number.address();
    let mirror = space.load::<u64>(base.plus(block::HEADER_CLASS)).to_le_bytes();
    let size_class = u32::from(mirror[1]);
    let Some(cells) = cells_of_block(size_class) else { return };
    let free = space.load_for_change::<u64>(base.plus(block::HEADER_FREE_CELLS));
    if changes_no_list(free, cells, mirror) {
        space.begin_changes();
        metadata::store(space, object, Metadata(0));
        space.store(base.plus(block::HEADER_FREE_CELLS), free + 1);
        return;
    }
    release_with_more(space, object, number, size_class, free, cells);
}

/// Whether one cell more that is free only counts: the block changes no list, and is not to be noted.
#[inline(always)]
fn changes_no_list(free: u64, cells: u64, mirror: [u8; 8]) -> bool {
    let noted = mirror[2] != 0;
    free != 0 && free + 1 != cells && (noted || !holes::is_worth_a_look(free + 1, cells))
}

/// Touches what [`release_quickly`] changes and answers the block's count of free cells, if the object is a small one whose
/// release changes no list.
#[inline(always)]
pub(crate) fn prepare_quick_release(space: Space, object: ObjectAddress) -> Option<u64> {
    let base = BlockNumber::of(object).address();
    let mirror = space.load::<u64>(base.plus(block::HEADER_CLASS)).to_le_bytes();
    let cells = cells_of_block(u32::from(mirror[1]))?;
    let free = space.load_for_change::<u64>(base.plus(block::HEADER_FREE_CELLS));
    (mirror[0] == block::KIND_SMALL && changes_no_list(free, cells, mirror)).then_some(free)
}

/// Gives a cell back: part of a step that prepared it.
#[inline(always)]
pub(crate) fn release_quickly(space: Space, object: ObjectAddress, free: u64) {
    let base = BlockNumber::of(object).address();
    metadata::store(space, object, Metadata(0));
    space.store(base.plus(block::HEADER_FREE_CELLS), free + 1);
}

/// The release that changes what list the block stands in, or notes it.
#[cold]
fn release_with_more(
    space: Space,
    object: ObjectAddress,
    number: BlockNumber,
    size_class: u32,
    free: u64,
    cells: u64,
) {
    let entry = runs::entry(space, number);
    let allocator = Allocator::of_group(entry.owner);
    let list = List::of_class(record_of(allocator, size_class));
    let empties =
        free + 1 == cells && matches!(entry.state, block::STATE_LISTED | block::STATE_FULL);
    let lists = !empties && entry.state == block::STATE_FULL;
    let unlinks = empties && entry.state == block::STATE_LISTED;
    let notes =
        !empties && holes::is_worth_a_look(free + 1, cells) && !holes::is_flagged(space, number);
    if unlinks {
        list.touch_unlink(space, number);
    }
    if notes {
        holes::touch_note(space, number);
    }
    if empties {
        runs::touch_give(space, number, 0, false);
        space.touch_write(allocator.0);
    }
    if lists {
        list.touch_push_last(space, number);
    }
    space.begin_changes();
    metadata::store(space, object, Metadata(0));
    space.store(number.address().plus(block::HEADER_FREE_CELLS), free + 1);
    if unlinks {
        list.unlink(space, number);
    }
    if empties {
        runs::give(space, number, 0, runs::Content::ZeroBehind(0));
        let used = allocator.0.plus(block::ALLOCATOR_USED);
        space.store(used, space.load::<u64>(used).wrapping_sub(BLOCK));
        count(space, statistics::BLOCKS_RETURNED);
    }
    if lists {
        space.store(number.entry().plus(block::ENTRY_STATE), block::STATE_LISTED);
        list.push_last(space, number);
    }
    if notes {
        holes::note(space, number);
    }
}

/// Adds one to a statistic, on the page of runs, which whoever takes or gives a run has touched.
pub(super) fn count(space: Space, statistic: u64) {
    let word = ObjectAddress(area::RUNS).plus(statistic);
    space.store(word, space.load::<u64>(word).wrapping_add(1));
}

impl List {
    /// The list of blocks with free cells of a class record.
    fn of_class(record: ObjectAddress) -> Self {
        Self { head: record.plus(block::CLASS_HEAD), tail: Some(record.plus(block::CLASS_TAIL)) }
    }
}

/// Bytes of payload that the cell of a small object has room for.
#[must_use]
pub fn payload_capacity(space: Space, object: ObjectAddress) -> u64 {
    let mirror = space.load::<u64>(BlockNumber::of(object).address().plus(block::HEADER_CLASS));
    cell_bytes(u32::from(mirror.to_le_bytes()[1])).map_or(0, |cell| cell - object::HEADER_SIZE)
}

const _: () = assert!(block::HEADER_NOTED == block::HEADER_CLASS + 2);
