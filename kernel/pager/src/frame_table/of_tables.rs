//! What the frame table knows of frames that are page tables: where in object space they stand, and how many of their entries are
//! used or promised to page-ins.
//!
//! Invariant: a table is given back when its count falls to 0, and only then (`tables` and `thinning` see to that).

use super::{FLAG_LEAF, FLAG_RECENT, FLAGS_MASK, FrameState, FrameTable, GROUP_SHIFT};
use revenant_hal::{FrameIndex, PageIndex};

/// Pages of which one last table has the entries, as a shift.
const LEAF_SHIFT: u32 = 9;
/// Frames for each place at which a last table is remembered: more places than last tables, where those are not thin.
const FRAMES_PER_PLACE: u32 = 32;

/// Places for last tables in a pool of so many frames: a power of two.
pub(super) const fn places(frames: u32) -> usize {
    (frames / FRAMES_PER_PLACE + 1).next_power_of_two() as usize
}

impl FrameTable {
    /// The frame is an empty page table from now on, of the pages from `first` on; a last table if its entries are pages.
    pub(crate) fn make_table(&mut self, frame: FrameIndex, first: PageIndex, leaf: bool) {
        self.set_state_and_stamp(frame, FrameState::Table, self.epoch);
        self.set_page(frame, first);
        self.record_mut(frame).flags = if leaf { FLAG_LEAF } else { 0 };
        if leaf {
            let place = self.place_of_leaf(first);
            self.leaves[place] = frame.0;
        }
    }

    fn place_of_leaf(&self, page: PageIndex) -> usize {
        (page.0 >> LEAF_SHIFT) as usize & (self.leaves.len() - 1)
    }

    /// The last table of a page, if it exists and is remembered: a walk of three levels less. What is remembered is believed
    /// only if the frame is a last table of these pages, and there is no other; tables that share a place are found by a walk.
    #[inline]
    pub(crate) fn leaf_table(&self, page: PageIndex) -> Option<FrameIndex> {
        let frame = FrameIndex(*self.leaves.get(self.place_of_leaf(page))?);
        let record = self.records.get(frame.0 as usize)?;
        let table = record.stamp_and_state & 0xff == FrameState::Table as u64;
        let leads_here = u64::from(record.page) == page.0 >> LEAF_SHIFT << LEAF_SHIFT;
        (table && leads_here && record.flags & FLAG_LEAF != 0).then_some(frame)
    }

    /// How many entries of a table are used, or promised to page-ins.
    pub(crate) fn entries(&self, table: FrameIndex) -> u32 {
        assert_eq!(self.state(table), FrameState::Table, "{table:?} has entries");
        self.record(table).flags >> GROUP_SHIFT
    }

    fn set_entries(&mut self, table: FrameIndex, entries: u32) {
        let flags = &mut self.record_mut(table).flags;
        *flags = *flags & FLAGS_MASK | entries << GROUP_SHIFT;
    }

    /// An entry of a table is used, or promised to a page-in.
    pub(crate) fn add_entry(&mut self, table: FrameIndex) {
        self.set_entries(table, self.entries(table) + 1);
        self.set_recent(table);
    }

    /// An entry of a table is used no more; how many are left.
    pub(crate) fn remove_entry(&mut self, table: FrameIndex) -> u32 {
        let left = self.entries(table).checked_sub(1).expect("an entry was added before");
        self.set_entries(table, left);
        left
    }

    /// Whether the frame is a table whose entries are pages.
    pub(crate) fn is_leaf_table(&self, frame: FrameIndex) -> bool {
        self.state(frame) == FrameState::Table && self.record(frame).flags & FLAG_LEAF != 0
    }

    /// A page was asked for below the table, or has come to it.
    pub(crate) fn set_recent(&mut self, table: FrameIndex) {
        self.record_mut(table).flags |= FLAG_RECENT;
    }

    /// Whether that was so since this was asked last.
    pub(crate) fn take_recent(&mut self, table: FrameIndex) -> bool {
        let flags = &mut self.record_mut(table).flags;
        let recent = *flags & FLAG_RECENT != 0;
        *flags &= !FLAG_RECENT;
        recent
    }
}
