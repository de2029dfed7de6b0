//! Blocks in use give back the pages on which no cell is in use: what died there is not written.
//!
//! A release that leaves a block a quarter free notes it: a flag beside the block's size class, which the release has read
//! anyway, and a bit in a sparse set of blocks with a summary on the page of runs. So a block is noted once, whatever is freed
//! in it until it is looked at, and whoever looks goes through the set, never through the heap or the block table. A look
//! reads the block's metadata, hands each run of its free pages to the pager, and notes in the block which pages are zero now,
//! so that they are not handed over again before allocation has come by.
//!
//! Invariants:
//! - a flagged block stands in the set; what else stands there (blocks given back or taken again meanwhile) is passed over;
//! - a page is handed over only while its cells are out of allocation: the block is nobody's current one, and no object in
//!   use reaches into the page;
//! - a page that its block notes as zero is zero; the note goes before its first cell can be handed out.
//!
//! Neighbours: `small` notes blocks and takes pages back into use; `discard` does the same for free runs; `system` says when.

use core::ops::Range;

use revenant_hal::{ObjectAddress, PageIndex};

use super::discard::{Discarded, Progress};
use super::runs::{self, BlockNumber};
use super::{metadata, small};
use crate::memory::layout::{BLOCK, BLOCKS, GRANULE, PAGE, area, block};
use crate::memory::{AddressExt, Space};

/// Bits in a word of the set.
const WORD: u64 = 64;
/// Blocks of which the bits stand on one page of the set.
const BLOCKS_A_PAGE: u64 = PAGE * 8;
/// Pages of the set, a bit each in the summary.
const SET_PAGES: u64 = BLOCKS / BLOCKS_A_PAGE;
/// Pages of a block.
const BLOCK_PAGES: u64 = BLOCK / PAGE;

/// Whether a release that leaves so many of a block's cells free has to note it, if it is not noted.
#[inline(always)]
pub(super) const fn is_worth_a_look(free: u64, cells: u64) -> bool {
    free >= cells.div_ceil(4)
}

fn bit_of(start: u64, index: u64) -> (ObjectAddress, u64) {
    (ObjectAddress(start + index / WORD * 8), 1 << (index % WORD))
}

fn in_set(number: BlockNumber) -> (ObjectAddress, u64) {
    bit_of(area::NOTED_BLOCKS, u64::from(number.0))
}

fn in_summary(set_page: u64) -> (ObjectAddress, u64) {
    bit_of(area::RUNS + block::RUNS_NOTED, set_page % SET_PAGES)
}

/// Whether releases have noted the block since it was looked at last.
#[must_use]
pub fn is_flagged(space: Space, number: BlockNumber) -> bool {
    space.load::<u8>(number.address().plus(block::HEADER_NOTED)) != 0
}

/// Whether a look will come to the block.
#[must_use]
pub fn is_in_set(space: Space, number: BlockNumber) -> bool {
    let (word, bit) = in_set(number);
    let (summary, summary_bit) = in_summary(u64::from(number.0) / BLOCKS_A_PAGE);
    space.load::<u64>(word) & bit != 0 && space.load::<u64>(summary) & summary_bit != 0
}

/// The pages of a block that it notes as zero, a bit each.
#[must_use]
pub fn zero_pages(space: Space, number: BlockNumber) -> u16 {
    space.load(number.address().plus(block::HEADER_ZERO_PAGES))
}

/// Touches what [`note`] changes beyond the block's first page.
pub(super) fn touch_note(space: Space, number: BlockNumber) {
    space.touch_write(in_set(number).0);
    space.touch_write(ObjectAddress(area::RUNS));
}

/// Notes a block for the next look: part of a step that has touched its first page for writing.
pub(super) fn note(space: Space, number: BlockNumber) {
    let (word, bit) = in_set(number);
    let (summary, summary_bit) = in_summary(u64::from(number.0) / BLOCKS_A_PAGE);
    space.store(number.address().plus(block::HEADER_NOTED), 1_u8);
    space.store(word, space.load::<u64>(word) | bit);
    space.store(summary, space.load::<u64>(summary) | summary_bit);
}

/// Cells of a block from `start` up to `end` come into use: their pages are no longer zero. Part of a step that has touched
/// the block's first page for writing.
pub(super) fn take(space: Space, start: ObjectAddress, end: u64) {
    let base = BlockNumber::of(start).address();
    let pages = bits((start.0 - base.0) / PAGE..(end - base.0).div_ceil(PAGE));
    let word = base.plus(block::HEADER_ZERO_PAGES);
    space.store(word, space.load::<u16>(word) & !pages);
}

/// Bits for pages of a block.
fn bits(pages: Range<u64>) -> u16 {
    let below = |page: u64| if page < BLOCK_PAGES { (1 << page) - 1 } else { u16::MAX };
    below(pages.end) & !below(pages.start)
}

/// Looks at the first noted block from number `from` on, and moves `from` behind it. `left` are the calls of `discard` that
/// may still be made. Steps, each of which leaves the heap whole.
pub fn step(
    space: Space,
    from: &mut u64,
    left: &mut u32,
    discard: impl FnMut(Range<PageIndex>) -> Discarded,
) -> Progress {
    let set_page = match next_set_page(space, *from / BLOCKS_A_PAGE) {
        Some(page) => page,
        None => {
            *from = 0;
            return Progress::Idle;
        }
    };
    let first = (*from).max(set_page * BLOCKS_A_PAGE);
    let end = (set_page + 1) * BLOCKS_A_PAGE;
    let Some(number) = next_in_set(space, first, end) else {
        if first == set_page * BLOCKS_A_PAGE {
            forget_set_page(space, set_page);
        }
        *from = end;
        return Progress::More;
    };
    space.end_step();
    let progress = look(space, number, left, discard);
    space.end_step();
    if progress == Progress::More {
        *from = u64::from(number.0) + 1;
    }
    progress
}

/// The first page of the set from `from` on that may have a bit.
fn next_set_page(space: Space, from: u64) -> Option<u64> {
    next_bit(space, area::RUNS + block::RUNS_NOTED, from, SET_PAGES)
}

/// The first block of the set from `first` on, below `end`.
fn next_in_set(space: Space, first: u64, end: u64) -> Option<BlockNumber> {
    let found = next_bit(space, area::NOTED_BLOCKS, first, end)?;
    u32::try_from(found).ok().map(BlockNumber)
}

fn next_bit(space: Space, start: u64, from: u64, end: u64) -> Option<u64> {
    let mut index = from;
    while index < end {
        let rest = space.load::<u64>(bit_of(start, index).0) >> (index % WORD);
        if rest != 0 {
            return Some(index + u64::from(rest.trailing_zeros())).filter(|found| *found < end);
        }
        index = (index / WORD + 1) * WORD;
    }
    None
}

/// A page of the set without a bit leaves the summary. One step.
fn forget_set_page(space: Space, set_page: u64) {
    let (word, bit) = in_summary(set_page);
    let before = space.load_for_change::<u64>(word);
    space.begin_changes();
    space.store(word, before & !bit);
    space.end_step();
}

/// Discards the free pages of a noted block. One step: the pages that the pager has taken are noted in it, and if it stops
/// before that, they are free and zero, and handed over again.
fn look(
    space: Space,
    number: BlockNumber,
    left: &mut u32,
    mut discard: impl FnMut(Range<PageIndex>) -> Discarded,
) -> Progress {
    let entry = runs::entry(space, number);
    let (word, bit) = in_set(number);
    if entry.kind != block::KIND_SMALL {
        // Given back meanwhile: its flag went with its first page, or will when it is taken again.
        let before = space.load_for_change::<u64>(word);
        space.begin_changes();
        space.store(word, before & !bit);
        return Progress::More;
    }
    if entry.state == block::STATE_CURRENT {
        // What is free there is used next. It stays noted for when allocation has left it.
        return Progress::More;
    }
    let base = number.address();
    let mut pages = free_pages(space, number, u32::from(entry.size_class));
    space.touch_write(word);
    let zero = space.load_for_change::<u16>(base.plus(block::HEADER_ZERO_PAGES));
    pages &= !zero;
    let (mut gone, mut progress) = (0, Progress::More);
    while let Some(range) = first_range(pages) {
        let first = base.page().0;
        let answer = match *left {
            0 => Discarded::NotNow,
            _ => discard(PageIndex(first + range.start)..PageIndex(first + range.end)),
        };
        pages &= !bits(range.clone());
        match answer {
            Discarded::Zero => gone |= bits(range),
            Discarded::NotNow => {
                progress = Progress::NotNow;
                break;
            }
            // To write zeros would cost what it is to save.
            Discarded::Unable => {}
        }
        *left -= 1;
    }
    space.begin_changes();
    space.store(base.plus(block::HEADER_ZERO_PAGES), zero | gone);
    if progress == Progress::More {
        space.store(base.plus(block::HEADER_NOTED), 0_u8);
        space.store(word, space.load::<u64>(word) & !bit);
    }
    progress
}

/// The pages of a block on which no part of a cell in use lies, a bit each; never the first, which is metadata.
fn free_pages(space: Space, number: BlockNumber, size_class: u32) -> u16 {
    let (Some(bytes), Some(cells)) =
        (small::cell_bytes(size_class), small::cells_of_block(size_class))
    else {
        return 0;
    };
    if !is_worth_a_look(space.load(number.address().plus(block::HEADER_FREE_CELLS)), cells) {
        return 0;
    }
    let mut used = bits(0..1);
    for page in 1..BLOCK_PAGES {
        // The last cell that starts on a page is the one that reaches furthest.
        if let Some(granule) = last_start(space, number, page) {
            let end = granule * GRANULE + bytes;
            used |= bits(page..end.div_ceil(PAGE).min(BLOCK_PAGES));
        }
    }
    !used
}

/// The last granule of a page of a block at which an object starts.
fn last_start(space: Space, number: BlockNumber, page: u64) -> Option<u64> {
    let granules = PAGE / GRANULE;
    let first = metadata::address_of(number.address().plus(page * PAGE));
    (0..granules / 8).rev().find_map(|word| {
        let eight = space.load::<u64>(first.plus(word * 8));
        let last = 7_u64.checked_sub(u64::from(eight.leading_zeros() / 8))?;
        Some(page * granules + word * 8 + last)
    })
}

/// The first run of pages of a set.
fn first_range(pages: u16) -> Option<Range<u64>> {
    if pages == 0 {
        return None;
    }
    let start = pages.trailing_zeros();
    let length = (pages >> start).trailing_ones();
    Some(u64::from(start)..u64::from(start + length))
}

const _: () = assert!(BLOCK_PAGES == 16, "a bit of a u16 for each page of a block");
const _: () = assert!(SET_PAGES.is_multiple_of(WORD));
