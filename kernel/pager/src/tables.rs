//! Page tables: the walk, new tables, and the push-down of protection that follows a flip.
//!
//! Invariants ([`crate::FrameState::Table`] frames carry the stamp):
//! - a table with the current stamp has W only in entries that deserve it: a page dirty in this epoch, or a table that has
//!   the current stamp too;
//! - the flip clears W in the top entries alone, so whatever stands below with an older stamp is out of reach;
//! - W is set in an entry only after the table below it has the current stamp; a new table is born with the current stamp
//!   and without W, and is linked without W: the next push-down sets it.
//!
//! Neighbours: `fault` calls all of this from a trap; nothing here allocates but table frames out of the pool.

use crate::frame_table::FrameTable;
use crate::planted::Planted;
use revenant_hal::{Epoch, FrameIndex, Mmu, PageIndex, TableEntry};

/// Top-level entries of object space.
pub(crate) const TOP_ENTRIES: usize = 32;
/// Table levels below the root.
pub(crate) const TABLE_LEVELS: usize = 3;

/// The entry index that a page uses at a level: 0 in the root, 3 in the table of pages.
#[inline]
pub(crate) const fn index_at(page: PageIndex, level: usize) -> usize {
    ((page.0 >> (9 * (TABLE_LEVELS - level))) & 511) as usize
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// The last table (of pages), if all tables exist.
    pub(crate) leaf_table: Option<FrameIndex>,
    /// The page's entry, if it is present.
    pub(crate) entry: Option<TableEntry>,
    /// W at every level.
    pub(crate) writable: bool,
    /// W in all tables above the last: none of them was protected since, or it would have been lost at the top.
    pub(crate) path_writable: bool,
    /// Tables that are missing.
    pub(crate) missing: u32,
}

impl Walk {
    /// What is known of an absent page whose last table was found without a walk. The way there may be writable, which only a
    /// store asks.
    pub(crate) const fn to_absent(table: FrameIndex) -> Self {
        let leaf_table = Some(table);
        Self { leaf_table, entry: None, writable: false, path_writable: false, missing: 0 }
    }
}

#[inline]
fn read<M: Mmu>(mmu: &M, table: Option<FrameIndex>, index: usize) -> Option<TableEntry> {
    match table {
        None => mmu.top_entry(index),
        Some(table) => mmu.entry(table, index),
    }
}

#[inline]
fn store<M: Mmu>(mmu: &mut M, table: Option<FrameIndex>, index: usize, entry: TableEntry) {
    match table {
        None => mmu.set_top_entry(index, Some(entry)),
        Some(table) => mmu.set_entry(table, index, Some(entry)),
    }
}

/// Follows the tables towards a page.
pub(crate) fn walk<M: Mmu>(mmu: &M, page: PageIndex) -> Walk {
    let (mut table, mut path_writable) = (None, true);
    for level in 0..TABLE_LEVELS {
        let Some(entry) = read(mmu, table, index_at(page, level)) else {
            let missing = [3, 2, 1][level];
            let (leaf_table, entry) = (None, None);
            return Walk { leaf_table, entry, writable: false, path_writable: false, missing };
        };
        path_writable &= entry.writable;
        table = Some(entry.frame);
    }
    let entry = read(mmu, table, index_at(page, TABLE_LEVELS));
    let writable = path_writable && entry.is_some_and(|entry| entry.writable);
    Walk { leaf_table: table, entry, writable, path_writable, missing: 0 }
}

/// The last table of a page, if all its tables exist, and the page's entry, if it is present.
#[inline]
pub(crate) fn find_entry<M: Mmu>(
    frames: &FrameTable,
    mmu: &M,
    page: PageIndex,
) -> (Option<FrameIndex>, Option<TableEntry>) {
    match frames.leaf_table(page) {
        Some(table) => (Some(table), mmu.entry(table, index_at(page, TABLE_LEVELS))),
        None => {
            let walk = walk(mmu, page);
            (walk.leaf_table, walk.entry)
        }
    }
}

/// Makes every table above a page exist and returns the last. The caller made sure that the pool has a frame for each that
/// is missing.
pub(crate) fn ensure_tables<M: Mmu>(
    frames: &mut FrameTable,
    mmu: &mut M,
    page: PageIndex,
    planted: Planted,
) -> FrameIndex {
    let mut table: Option<FrameIndex> = None;
    for level in 0..TABLE_LEVELS {
        let index = index_at(page, level);
        let below = match read(mmu, table, index) {
            Some(entry) => entry.frame,
            None => {
                let below = frames.take_free();
                let below = below.expect("the caller counted the frames that tables need");
                mmu.clear_table(below);
                let shift = 9 * (TABLE_LEVELS - level);
                let first = PageIndex(page.0 >> shift << shift);
                frames.make_table(below, first, level + 1 == TABLE_LEVELS);
                let mut writable = false;
                if let (Planted::TableRebuiltUnderStaleParent, Some(parent)) = (planted, table) {
                    frames.set_stamp(parent, frames.epoch);
                    writable = true;
                }
                if let Some(table) = table {
                    frames.add_entry(table);
                }
                store(mmu, table, index, TableEntry { frame: below, writable, accessed: false });
                below
            }
        };
        table = Some(below);
    }
    table.expect("there are three levels")
}

/// The entry of a page in its last table is used no more: gives the tables back that are empty then. Returns how many. The
/// caller flushes the TLB before their frames are used again.
pub(crate) fn give_back_empty<M: Mmu>(
    frames: &mut FrameTable,
    mmu: &mut M,
    page: PageIndex,
) -> u32 {
    if let Some(table) = frames.leaf_table(page)
        && frames.entries(table) > 1
    {
        frames.remove_entry(table);
        return 0;
    }
    let mut path = [None; TABLE_LEVELS + 1];
    for level in 0..TABLE_LEVELS {
        let entry = read(mmu, path[level], index_at(page, level));
        path[level + 1] = Some(entry.expect("a table with an entry is linked").frame);
    }
    let mut given_back = 0;
    for level in (0..TABLE_LEVELS).rev() {
        let Some(table) = path[level + 1] else { break };
        if frames.remove_entry(table) > 0 {
            break;
        }
        match path[level] {
            None => mmu.set_top_entry(index_at(page, level), None),
            Some(above) => mmu.set_entry(above, index_at(page, level), None),
        }
        frames.release(table);
        given_back += 1;
    }
    given_back
}

/// Whether the last table of a page was walked through since this was asked last. From now on it was not, once the TLB is flushed.
pub(crate) fn take_table_touched<M: Mmu>(mmu: &mut M, page: PageIndex) -> bool {
    let mut table = None;
    for level in 0..TABLE_LEVELS - 1 {
        let entry = read(mmu, table, index_at(page, level));
        table = Some(entry.expect("a last table is linked").frame);
    }
    let index = index_at(page, TABLE_LEVELS - 1);
    let entry = read(mmu, table, index).expect("a last table is linked");
    if entry.accessed {
        store(mmu, table, index, TableEntry { accessed: false, ..entry });
    }
    entry.accessed
}

/// Lets stores pass down to a page's last table: every table on the way that is not of this epoch yet is protected and
/// stamped, then the entry that leads to it gets W. All tables exist. Returns how many tables were protected.
pub(crate) fn push_down<M: Mmu>(
    frames: &mut FrameTable,
    mmu: &mut M,
    page: PageIndex,
    planted: Planted,
) -> u32 {
    let epoch: Epoch = frames.epoch;
    let (mut table, mut protected) = (None, 0);
    for level in 0..TABLE_LEVELS {
        let index = index_at(page, level);
        let entry = read(mmu, table, index).expect("the walk has seen this table");
        let below = entry.frame;
        if frames.stamp(below) != epoch && planted != Planted::StampIgnoredAtPushDown {
            mmu.protect_table(below);
            frames.set_stamp(below, epoch);
            protected += 1;
        }
        if !entry.writable {
            store(mmu, table, index, TableEntry { writable: true, ..entry });
        }
        table = Some(below);
    }
    protected
}

/// Makes all of object space read-only.
pub(crate) fn protect_all<M: Mmu>(mmu: &mut M, planted: Planted) {
    for index in 0..TOP_ENTRIES {
        if let Some(entry) = mmu.top_entry(index)
            && entry.writable
        {
            mmu.set_top_entry(index, Some(TableEntry { writable: false, ..entry }));
        }
    }
    if planted != Planted::TlbFlushOmittedAtFlip {
        mmu.invalidate_all();
    }
}
