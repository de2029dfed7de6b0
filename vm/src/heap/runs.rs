//! Runs of blocks: a buddy allocator over the block table.
//!
//! Invariants:
//! - a run of order n is 2^n blocks, aligned to its size; its head's table entry is exact, entries of inner blocks are stale;
//! - clean lists hold runs that are all zero, dirty lists runs of any content; a block stands in one list at most;
//! - a dirty run becomes a clean one when all of it was discarded (`discard`);
//! - address space that was never used is not in any list: runs up to [`FRESH_ORDER`] come from its lower end, larger ones
//!   from its upper end.

use revenant_hal::{OBJECT_SPACE_BASE, ObjectAddress};

use super::AllocationError;
use crate::memory::layout::{BLOCK, BLOCKS, PAGE, area, block};
use crate::memory::{AddressExt, Space};

/// Order of the pieces in which fresh address space is taken for all smaller runs: 256 MiB.
pub const FRESH_ORDER: u32 = 12;

/// A block of object space by number; 0 means none (block 0 holds the system pages).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BlockNumber(pub u32);

impl BlockNumber {
    /// The block that holds an address.
    #[inline(always)]
    #[must_use]
    pub fn of(address: ObjectAddress) -> Self {
        let number = (address.0 & (BLOCKS * BLOCK - 1)) / BLOCK;
        Self(number as u32)
    }

    /// The block's first byte.
    #[inline(always)]
    #[must_use]
    pub const fn address(self) -> ObjectAddress {
        ObjectAddress(OBJECT_SPACE_BASE + self.0 as u64 * BLOCK)
    }

    /// The block's entry in the block table.
    #[inline(always)]
    #[must_use]
    pub const fn entry(self) -> ObjectAddress {
        ObjectAddress(area::BLOCK_TABLE + self.0 as u64 * block::ENTRY_SIZE)
    }
}

/// A block table entry, by value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// One of `layout::block::KIND_*`.
    pub kind: u8,
    /// Log2 of the run's blocks.
    pub order: u8,
    /// Size class of a small block.
    pub size_class: u8,
    /// One of `layout::block::STATE_*`, for small blocks.
    pub state: u8,
    /// Index of the owning group.
    pub owner: u32,
}

/// Reads the entry of a block.
#[must_use]
pub fn entry(space: Space, number: BlockNumber) -> Entry {
    // All of it stands in one word: whoever looks for a run's head reads one candidate for each order.
    let [kind, order, size_class, state, owner @ ..] =
        space.load::<u64>(number.entry().plus(block::ENTRY_KIND)).to_le_bytes();
    Entry { kind, order, size_class, state, owner: u32::from_le_bytes(owner) }
}

const _: () = assert!(
    block::ENTRY_KIND == 0
        && block::ENTRY_ORDER == 1
        && block::ENTRY_SIZE_CLASS == 2
        && block::ENTRY_STATE == 3
        && block::ENTRY_OWNER == 4
        && block::ENTRY_SIZE.is_multiple_of(8)
);

/// Writes the entry of a block, links aside. Its page was touched.
pub(super) fn set_entry(space: Space, number: BlockNumber, entry: Entry) {
    let at = number.entry();
    space.store(at.plus(block::ENTRY_KIND), entry.kind);
    space.store(at.plus(block::ENTRY_ORDER), entry.order);
    space.store(at.plus(block::ENTRY_SIZE_CLASS), entry.size_class);
    space.store(at.plus(block::ENTRY_STATE), entry.state);
    space.store(at.plus(block::ENTRY_OWNER), entry.owner);
}

/// The head of the run that covers a block, if the block was ever part of one: the largest candidate wins, because entries
/// inside a run are stale.
#[must_use]
pub fn run_of(space: Space, number: BlockNumber) -> Option<(BlockNumber, Entry)> {
    let (mut found, mut head, mut least) = (None, number.0, 0);
    // Orders from `least` to the number of its low zeroes have the same candidate, which can be the head of one of them.
    while head != 0 && u64::from(least) < block::ORDERS {
        let most = head.trailing_zeros();
        let candidate = entry(space, BlockNumber(head));
        let order = u32::from(candidate.order);
        if candidate.kind != block::KIND_NONE && (least..=most).contains(&order) {
            found = Some((BlockNumber(head), candidate));
        }
        head &= head - 1;
        least = most + 1;
    }
    found
}

/// A doubly linked list of blocks: where the numbers of its first and last block stand (u32 each; the last may be absent).
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) head: ObjectAddress,
    pub(super) tail: Option<ObjectAddress>,
}

impl List {
    fn of_runs(table: u64, order: u32) -> Self {
        let head = ObjectAddress(area::RUNS).plus(table + 4 * u64::from(order));
        Self { head, tail: None }
    }

    pub(super) fn first(self, space: Space) -> Option<BlockNumber> {
        let number = space.load::<u32>(self.head);
        (number != 0).then_some(BlockNumber(number))
    }

    /// Touches what [`Self::unlink`] of `number` changes.
    pub(super) fn touch_unlink(self, space: Space, number: BlockNumber) {
        let (previous, next) = links(space, number);
        space.touch_write(self.head);
        space.touch_write(number.entry());
        for neighbour in [previous, next].into_iter().flatten() {
            space.touch_write(neighbour.entry());
        }
    }

    pub(super) fn unlink(self, space: Space, number: BlockNumber) {
        let (previous, next) = links(space, number);
        match previous {
            Some(previous) => set_next(space, previous, next),
            None => space.store(self.head, next.map_or(0, |next| next.0)),
        }
        match (next, self.tail) {
            (Some(next), _) => set_previous(space, next, previous),
            (None, Some(tail)) => space.store(tail, previous.map_or(0, |previous| previous.0)),
            (None, None) => {}
        }
        set_previous(space, number, None);
        set_next(space, number, None);
    }

    /// Touches what [`Self::push_first`] of `number` changes.
    pub(super) fn touch_push_first(self, space: Space, number: BlockNumber) {
        space.touch_write(self.head);
        space.touch_write(number.entry());
        if let Some(first) = self.first(space) {
            space.touch_write(first.entry());
        }
    }

    pub(super) fn push_first(self, space: Space, number: BlockNumber) {
        let first = self.first(space);
        set_previous(space, number, None);
        set_next(space, number, first);
        if let Some(first) = first {
            set_previous(space, first, Some(number));
        } else if let Some(tail) = self.tail {
            space.store(tail, number.0);
        }
        space.store(self.head, number.0);
    }

    /// Touches what [`Self::push_last`] of `number` changes.
    pub(super) fn touch_push_last(self, space: Space, number: BlockNumber) {
        self.touch_push_first(space, number);
        if let Some(last) = self.last(space) {
            space.touch_write(last.entry());
        }
    }

    pub(super) fn push_last(self, space: Space, number: BlockNumber) {
        let (Some(last), Some(tail)) = (self.last(space), self.tail) else {
            return self.push_first(space, number);
        };
        set_previous(space, number, Some(last));
        set_next(space, number, None);
        set_next(space, last, Some(number));
        space.store(tail, number.0);
    }

    fn last(self, space: Space) -> Option<BlockNumber> {
        let number = space.load::<u32>(self.tail?);
        (number != 0).then_some(BlockNumber(number))
    }
}

fn links(space: Space, number: BlockNumber) -> (Option<BlockNumber>, Option<BlockNumber>) {
    let read = |offset| {
        let number = space.load::<u32>(number.entry().plus(offset));
        (number != 0).then_some(BlockNumber(number))
    };
    (read(block::ENTRY_PREVIOUS), read(block::ENTRY_NEXT))
}

fn set_previous(space: Space, number: BlockNumber, previous: Option<BlockNumber>) {
    let previous = previous.map_or(0, |previous| previous.0);
    space.store(number.entry().plus(block::ENTRY_PREVIOUS), previous);
}

fn set_next(space: Space, number: BlockNumber, next: Option<BlockNumber>) {
    space.store(number.entry().plus(block::ENTRY_NEXT), next.map_or(0, |next| next.0));
}

/// The next block of whatever list `number` stands in.
#[must_use]
pub fn next_in_list(space: Space, number: BlockNumber) -> Option<BlockNumber> {
    links(space, number).1
}

/// The first block of the clean or dirty list of an order, for checkers.
#[must_use]
pub fn first_free(space: Space, order: u32, clean: bool) -> Option<BlockNumber> {
    list(order, clean).first(space)
}

pub(super) fn list(order: u32, clean: bool) -> List {
    List::of_runs(if clean { block::RUNS_CLEAN } else { block::RUNS_DIRTY }, order)
}

/// A run found for taking: still in its list. [`Found::touch`] and [`Found::take`] are parts of the taker's step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) number: BlockNumber,
    pub(super) order: u32,
    /// Its content is unknown.
    pub(super) dirty: bool,
}

impl Found {
    pub(super) fn touch(self, space: Space) {
        list(self.order, !self.dirty).touch_unlink(space, self.number);
        space.touch_write(ObjectAddress(area::RUNS));
    }

    /// Takes the run out of its list and gives it a kind.
    pub(super) fn take(self, space: Space, entry: Entry) {
        list(self.order, !self.dirty).unlink(space, self.number);
        if self.dirty {
            count_dirty(space, self.order, dirty_part(space, self.number), false);
        }
        set_entry(space, self.number, entry);
        let used = ObjectAddress(area::RUNS).plus(block::RUNS_BLOCKS_USED);
        space.store(used, space.load::<u64>(used).wrapping_add(1 << self.order));
    }
}

/// Finds a free run of an order, splitting larger ones step by step. Leaves it in its list.
pub(super) fn find(
    space: Space,
    order: u32,
    dirty_will_do: bool,
) -> Result<Found, AllocationError> {
    if u64::from(order) >= block::ORDERS {
        return Err(AllocationError::TooLarge);
    }
    if dirty_will_do && let Some(number) = list(order, false).first(space) {
        return Ok(Found { number, order, dirty: true });
    }
    // A dirty run stands on the disk already and costs no more than any overwrite, so what a program lets go of can be
    // taken again however full the disk is. A clean one would be new to it.
    if space.load::<u64>(ObjectAddress(area::RUNS).plus(block::RUNS_REFUSED)) != 0 {
        return Err(AllocationError::DiskReserve);
    }
    space.end_step();
    // Each round either finds, splits once, or takes fresh space once; 3 * ORDERS rounds always suffice.
    for _ in 0..3 * block::ORDERS {
        let Some(size) = (order..25).find(|size| list(*size, true).first(space).is_some()) else {
            take_fresh(space, order)?;
            continue;
        };
        if size == order {
            let number = list(order, true).first(space).ok_or(AllocationError::Exhausted)?;
            return Ok(Found { number, order, dirty: false });
        }
        split(space, size)?;
    }
    Err(AllocationError::Damaged(ObjectAddress(area::RUNS)))
}

/// Splits the first clean run of an order in two. One step.
fn split(space: Space, order: u32) -> Result<(), AllocationError> {
    let (from, to) = (list(order, true), list(order - 1, true));
    let lower = from.first(space).ok_or(AllocationError::Exhausted)?;
    let upper = BlockNumber(lower.0 + (1 << (order - 1)));
    from.touch_unlink(space, lower);
    to.touch_push_first(space, upper);
    space.begin_changes();
    from.unlink(space, lower);
    for half in [upper, lower] {
        set_entry(space, half, free_entry(block::KIND_FREE, order - 1));
        to.push_first(space, half);
    }
    space.end_step();
    Ok(())
}

/// Puts a run of never-used address space that serves `order` in its clean list. One step.
fn take_fresh(space: Space, order: u32) -> Result<(), AllocationError> {
    let page = ObjectAddress(area::RUNS);
    let low = space.load_for_change::<u64>(page.plus(block::RUNS_FRESH));
    let top = space.load::<u64>(page.plus(block::RUNS_FRESH_TOP));
    let size = BLOCK << order.max(FRESH_ORDER);
    if low < area::HEAP || top > area::END || low > top {
        return Err(AllocationError::Damaged(page));
    }
    let (start, low, top) = if order <= FRESH_ORDER {
        (low, low + size, top)
    } else {
        let start = top.saturating_sub(size) & !(size - 1);
        (start, low, start)
    };
    if low > top || start < area::HEAP {
        return Err(AllocationError::Exhausted);
    }
    let number = BlockNumber::of(ObjectAddress(start));
    let to = list(order.max(FRESH_ORDER), true);
    to.touch_push_first(space, number);
    space.begin_changes();
    space.store(page.plus(block::RUNS_FRESH), low);
    space.store(page.plus(block::RUNS_FRESH_TOP), top);
    set_entry(space, number, free_entry(block::KIND_FREE, order.max(FRESH_ORDER)));
    to.push_first(space, number);
    space.end_step();
    Ok(())
}

pub(super) fn free_entry(kind: u8, order: u32) -> Entry {
    let order = u8::try_from(order).unwrap_or(0);
    Entry { kind, order, size_class: 0, state: 0, owner: 0 }
}

/// Pages of a run.
pub(super) fn pages_of(order: u32) -> u64 {
    (BLOCK / PAGE) << order.min(24)
}

/// Pages at the start of a dirty run that are not known to be zero.
pub(super) fn dirty_part(space: Space, number: BlockNumber) -> u64 {
    let entry = entry(space, number);
    pages_of(u32::from(entry.order)).saturating_sub(u64::from(entry.owner))
}

/// Counts a dirty run that comes or goes, on the page of runs, which was touched.
pub(super) fn count_dirty(space: Space, order: u32, pages: u64, comes: bool) {
    let (word, amount) = match order {
        0 => (block::RUNS_DIRTY_BLOCKS, 1),
        _ => (block::RUNS_UNKNOWN_PAGES, pages),
    };
    let word = ObjectAddress(area::RUNS).plus(word);
    let before = space.load::<u64>(word);
    let after = if comes { before.wrapping_add(amount) } else { before.saturating_sub(amount) };
    space.store(word, after);
}

/// Touches what [`give`] changes.
pub(super) fn touch_give(space: Space, number: BlockNumber, order: u32, clean: bool) {
    list(order.min(24), clean).touch_push_first(space, number);
    space.touch_write(ObjectAddress(area::RUNS));
}

/// What is known of a run that is given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Every byte is zero.
    Zero,
    /// Nothing, but that so many pages at its end are zero.
    ZeroBehind(u64),
}

/// Puts a run into the free list of its order: part of a step that touched with [`touch_give`].
pub(super) fn give(space: Space, number: BlockNumber, order: u32, content: Content) {
    let order = order.min(24);
    match content {
        Content::Zero => set_entry(space, number, free_entry(block::KIND_FREE, order)),
        Content::ZeroBehind(pages) => {
            let pages = pages.min(pages_of(order));
            let owner = u32::try_from(pages).unwrap_or(0);
            let entry = Entry { owner, ..free_entry(block::KIND_DIRTY, order) };
            set_entry(space, number, entry);
            count_dirty(space, order, pages_of(order) - u64::from(owner), true);
        }
    }
    list(order, content == Content::Zero).push_first(space, number);
    let used = ObjectAddress(area::RUNS).plus(block::RUNS_BLOCKS_USED);
    space.store(used, space.load::<u64>(used).wrapping_sub(1 << order));
}

/// Joins a free clean run with its buddy as often as possible, a step each. May be left out or stop anywhere.
pub(super) fn merge(space: Space, number: BlockNumber, order: u32) {
    let (mut number, mut order) = (number, order);
    while order < FRESH_ORDER {
        let buddy = BlockNumber(number.0 ^ (1 << order));
        let is_free = |block: BlockNumber| {
            let found = entry(space, block);
            found.kind == block::KIND_FREE && u32::from(found.order) == order
        };
        if !is_free(number) || !is_free(buddy) {
            return;
        }
        let lower = number.min(buddy);
        let (from, to) = (list(order, true), list(order + 1, true));
        from.touch_unlink(space, number);
        from.touch_unlink(space, buddy);
        to.touch_push_first(space, lower);
        space.begin_changes();
        from.unlink(space, number);
        from.unlink(space, buddy);
        set_entry(space, number.max(buddy), free_entry(block::KIND_NONE, 0));
        set_entry(space, lower, free_entry(block::KIND_FREE, order + 1));
        to.push_first(space, lower);
        space.end_step();
        (number, order) = (lower, order + 1);
    }
}

/// The order of the smallest run that holds `bytes`.
pub(super) fn order_for(bytes: u64) -> Option<u32> {
    let blocks = bytes.div_ceil(BLOCK).checked_next_power_of_two()?;
    let order = blocks.trailing_zeros();
    (u64::from(order) < block::ORDERS).then_some(order)
}

/// A stack range of at least `bytes`, content unknown, charged to nobody: its first address and its size in bytes.
///
/// # Errors
/// No run of that size is left.
pub fn take_stack(space: Space, bytes: u64) -> Result<(ObjectAddress, u64), AllocationError> {
    // Offsets in a stack range are 32 bits.
    if bytes > 1 << 32 {
        return Err(AllocationError::TooLarge);
    }
    let order = order_for(bytes).ok_or(AllocationError::TooLarge)?;
    let found = find(space, order, true)?;
    found.touch(space);
    space.begin_changes();
    found.take(space, Entry { kind: block::KIND_STACK, ..free_entry(0, order) });
    space.end_step();
    Ok((found.number.address(), BLOCK << order))
}

/// Touches what [`set_stack_thread`] changes.
pub(crate) fn touch_stack_thread(space: Space, start: ObjectAddress) {
    space.touch_write(BlockNumber::of(start).entry());
}

/// Notes whose a stack range is, by the index of the thread: part of a step that touched it.
pub(crate) fn set_stack_thread(space: Space, start: ObjectAddress, thread: u32) {
    let number = BlockNumber::of(start);
    if entry(space, number).kind == block::KIND_STACK {
        space.store(number.entry().plus(block::ENTRY_OWNER), thread);
    }
}

/// Gives a stack range back. One step.
pub fn give_stack(space: Space, start: ObjectAddress) {
    let number = BlockNumber::of(start);
    let found = entry(space, number);
    if found.kind != block::KIND_STACK {
        return;
    }
    let order = u32::from(found.order);
    touch_give(space, number, order, false);
    space.begin_changes();
    give(space, number, order, Content::ZeroBehind(0));
    space.end_step();
}
