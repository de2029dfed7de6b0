//! What is free gives its pages back: dirty runs are discarded piece by piece from their end, and are clean then.
//!
//! The pager neither keeps nor writes a discarded page, and it reads as zeros. That is all that a clean run promises; and a
//! dirty one promises nothing, so a piece may be discarded before anything says so, and again. Which runs are free stands in the
//! block table: no page of theirs is read.
//!
//! Invariants: what a run's entry says to be zero is zero at each flip after it was said; a run stands in its list all the
//! while, and whoever takes it takes it as it is.
//!
//! Neighbours: `runs` has the lists; [`crate::Environment::discard`] is the pager; `system` says when.

use core::ops::Range;

use revenant_hal::{ObjectAddress, PageIndex};

use super::runs::{self, BlockNumber};
use crate::memory::layout::{BLOCK, PAGE, area, block};
use crate::memory::{AddressExt, Space};

/// Pages discarded at a time.
const PIECE: u64 = 256;
/// Dirty blocks that stay as they are while the disk takes nothing new: they have their blocks there, so what programs let go of can
/// be taken again at once.
const KEPT_WHILE_REFUSED: u64 = 64;

/// What became of pages that were to be discarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discarded {
    /// They read as zeros, and cost nothing.
    Zero,
    /// Not before the next snapshot; they hold what they held, or zeros.
    NotNow,
    /// There is no pager: whoever wants zeros has to write them.
    Unable,
}

/// Which runs to discard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// All.
    All,
    /// Those of more than one block: small blocks are soon taken again.
    Long,
}

/// Whether there is more to discard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// Call again.
    More,
    /// Everything that was to be discarded is.
    Idle,
    /// There is no room to note more before the next snapshot.
    NotNow,
}

/// Pages of free runs longer than a block that stand on the disk or in memory for nothing.
#[must_use]
pub fn long_pages(space: Space) -> u64 {
    space.load(ObjectAddress(area::RUNS).plus(block::RUNS_UNKNOWN_PAGES))
}

/// Discards one piece of one run. Steps, each of which leaves the heap whole.
pub fn step(
    space: Space,
    which: Which,
    discard: impl FnOnce(Range<PageIndex>) -> Discarded,
) -> Progress {
    let Some((number, order)) = next_run(space, which) else { return Progress::Idle };
    let left = runs::dirty_part(space, number);
    let piece = left.min(PIECE);
    space.end_step();
    let first = number.address().page().0;
    match discard(PageIndex(first + left - piece)..PageIndex(first + left)) {
        Discarded::Zero => {}
        Discarded::NotNow => return Progress::NotNow,
        Discarded::Unable => {
            (left - piece..left).for_each(|page| zero(space, number.address().plus(page * PAGE)))
        }
    }
    if piece < left {
        note_zero(space, number, order, piece);
    } else {
        make_clean(space, number, order);
        runs::merge(space, number, order);
    }
    Progress::More
}

/// The first dirty run.
fn next_run(space: Space, which: Which) -> Option<(BlockNumber, u32)> {
    let page = ObjectAddress(area::RUNS);
    let refused = space.load::<u64>(page.plus(block::RUNS_REFUSED)) != 0;
    let few = space.load::<u64>(page.plus(block::RUNS_DIRTY_BLOCKS)) <= KEPT_WHILE_REFUSED;
    let least = u32::from(which == Which::Long || refused && few);
    let orders = u32::try_from(block::ORDERS).unwrap_or(0);
    let (number, order) = (least..orders).find_map(|order| {
        let number = runs::list(order, false).first(space)?;
        Some((number, order))
    })?;
    // Whatever a damaged list says: nothing but free runs of the heap.
    let found = runs::entry(space, number);
    let sound = found.kind == block::KIND_DIRTY && u32::from(found.order) == order;
    let start = number.address().0;
    let inside = start >= area::HEAP && start + (BLOCK << order) <= area::END;
    (sound && inside).then_some((number, order))
}

/// So many pages more at the end of a run are zero. One step.
fn note_zero(space: Space, number: BlockNumber, order: u32, pages: u64) {
    space.touch_write(number.entry());
    space.touch_write(ObjectAddress(area::RUNS));
    let behind = u64::from(runs::entry(space, number).owner);
    space.begin_changes();
    runs::count_dirty(space, order, pages, false);
    let owner = u32::try_from(behind + pages).unwrap_or(0);
    space.store(number.entry().plus(block::ENTRY_OWNER), owner);
    space.end_step();
}

/// All of a run is zero: it changes its list. One step.
fn make_clean(space: Space, number: BlockNumber, order: u32) {
    let (dirty, clean) = (runs::list(order, false), runs::list(order, true));
    dirty.touch_unlink(space, number);
    clean.touch_push_first(space, number);
    space.touch_write(ObjectAddress(area::RUNS));
    space.begin_changes();
    dirty.unlink(space, number);
    runs::count_dirty(space, order, runs::dirty_part(space, number), false);
    runs::set_entry(space, number, runs::free_entry(block::KIND_FREE, order));
    clean.push_first(space, number);
    space.end_step();
}

/// Zeroes a page that nobody uses. One step.
pub(super) fn zero(space: Space, page: ObjectAddress) {
    // A page never touched reads as zero and must not come to life for being written.
    if (0..PAGE / 8).any(|word| space.load::<u64>(page.plus(word * 8)) != 0) {
        space.zero_ahead(page, PAGE / 8);
    }
    space.end_step();
}

const _: () = assert!(BLOCK.is_multiple_of(PAGE));
