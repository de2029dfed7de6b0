//! Thin tables: while page tables take more of memory than they should, those that lead to few pages go, with their pages.
//!
//! Whoever jumps about in far more object space than there is memory has a page here and a page there, and a table above each:
//! every touched MiB costs a frame of tables, however few pages of it are in memory. Eviction by age does not help, because a table
//! goes with its last page alone. So beyond a share of all frames, a hand goes round over the tables. Who leads to more pages than
//! the mean stays, and so does who was walked through since the hand came by last; of the others, all pages are let go at once, and
//! the table is free. New tables have little, and those that stay gather what memory holds: it stays full.
//!
//! While frames are free, tables may be as many as they like. A program's pages within its group's share stay, and so does what was
//! used since the hand came by, even if tables take more than their share then.
//!
//! Invariants, besides those of `eviction`:
//! - a table goes only if every page that it leads to can go now, and none is on its way to it;
//! - one flush of the TLB serves all that went and all bits that were cleared, before any of these frames is used again;
//! - looks are earned by pages that come: where nothing comes, nothing goes.
//!
//! Neighbours: `eviction` lets a single page go; `frame_table` counts entries.

use crate::frame_table::FrameState;
use crate::pager::{Memory, Pager};
use crate::planted::Planted;
use crate::replacement::Groups;
use crate::tables::take_table_touched;
use alloc::vec::Vec;
use revenant_hal::{FrameIndex, FrameMemory, Mmu, TABLE_ENTRIES};

/// Tables may take one frame in so many.
const SHARE: u32 = 12;
/// And at least so many: two steps of one instruction touch no more.
const LEAST: u32 = 32;
/// Once there are more, tables go until one in so many of those permitted is missing: then a flush of the TLB serves many.
const SLACK: u32 = 16;
/// Records looked at for each page that comes, three tables among them: few enough that who is in use is walked through before the
/// hand comes again.
const LOOKS_PER_ARRIVAL: u64 = 3 * SHARE as u64;
/// Records looked at together.
const LOOKS_TOGETHER: u32 = 1024;

/// The hand, and what it may still do. No pages here and no tables: numbers of frames.
pub(crate) struct Thinning {
    frames: u32,
    /// The frame looked at next.
    hand: u32,
    /// Records that may be looked at.
    earned: u64,
    /// Pages that had come when that was counted last.
    arrived: u64,
    /// Tables go until few enough are left.
    thins: bool,
    /// The pages of one table; allocated once.
    pages: Vec<FrameIndex>,
}

impl Thinning {
    pub(crate) fn new(frames: u32) -> Self {
        let pages = Vec::with_capacity(TABLE_ENTRIES);
        Self { frames, hand: 0, earned: 0, arrived: 0, thins: false, pages }
    }

    /// Tables that are not too many.
    const fn permitted(&self) -> u32 {
        let share = self.frames / SHARE;
        if share > LEAST { share } else { LEAST }
    }

    /// A step in which there are so many tables, after so many pages have come; whether it is time to look for thin ones.
    fn step(&mut self, tables: u32, arrived: u64) -> bool {
        let earned = (arrived - self.arrived) * LOOKS_PER_ARRIVAL;
        self.earned = (self.earned + earned).min(2 * u64::from(self.frames));
        self.arrived = arrived;
        self.thins = tables > self.wanted();
        self.thins && self.earned >= u64::from(LOOKS_TOGETHER.min(self.frames / SHARE))
    }

    /// Tables below which none goes.
    const fn wanted(&self) -> u32 {
        let permitted = self.permitted();
        if self.thins { permitted - permitted / SLACK } else { permitted }
    }

    /// The next frame to look at; none if all that was earned is used.
    fn next(&mut self) -> Option<FrameIndex> {
        self.earned = self.earned.checked_sub(1)?;
        let frame = FrameIndex(self.hand);
        self.hand = (self.hand + 1) % self.frames;
        Some(frame)
    }
}

impl Pager {
    /// Lets tables that lead to few pages go with these, while there are too many tables.
    pub(crate) fn thin_tables<M: Mmu, F: FrameMemory>(&mut self, memory: &mut Memory<'_, M, F>) {
        let tables = self.frames.counts().tables;
        let arrived = self.statistics.pages_read + self.statistics.faults_zero_fill;
        if !self.thinning.step(tables, arrived) || self.held > 0 || !self.is_short() {
            return;
        }
        let payers = self.replacement.payers();
        let (mut gone, mut cleared) = (0, false);
        for _ in 0..LOOKS_TOGETHER {
            let counts = self.frames.counts();
            let few_left = counts.tables <= self.thinning.wanted();
            if few_left || gone >= self.options.eviction_batch {
                break;
            }
            let Some(frame) = self.thinning.next() else { break };
            let mean = counts.resident() / counts.tables;
            if !self.frames.is_leaf_table(frame) || self.frames.entries(frame) > mean.max(1) {
                continue;
            }
            let touched = take_table_touched(memory.mmu, self.frames.page(frame));
            cleared |= touched;
            if self.frames.take_recent(frame) | touched
                || !self.can_empty(frame, payers, memory.mmu)
            {
                continue;
            }
            gone += self.empty(memory.mmu);
        }
        if (gone > 0 || cleared) && self.planted != Planted::FlushOmittedAtThinning {
            memory.mmu.invalidate_all();
        }
        if gone > 0 {
            self.statistics.pages_evicted += u64::from(gone);
            self.statistics.pages_thinned_out += u64::from(gone);
            self.pending.wake_waiting();
        }
    }

    /// Whether every page of a last table can go now; they are noted.
    fn can_empty<M: Mmu>(&mut self, table: FrameIndex, payers: Groups, mmu: &M) -> bool {
        let mut pages = core::mem::take(&mut self.thinning.pages);
        pages.clear();
        let entries = (0..TABLE_ENTRIES).filter_map(|index| mmu.entry(table, index));
        pages.extend(entries.map(|entry| entry.frame));
        let promised = self.frames.entries(table) as usize - pages.len();
        let planted = self.planted == Planted::DirtyPageThinnedOut;
        let all = pages.iter().all(|frame| {
            let state = self.frames.state(*frame);
            let clean = state == FrameState::Clean || planted && state == FrameState::Dirty;
            clean && self.replacement.pays(payers, frame.0)
        });
        self.thinning.pages = pages;
        all && promised == 0
    }

    /// Lets the pages noted go, and with the last of them their table; how many.
    fn empty<M: Mmu>(&mut self, mmu: &mut M) -> u32 {
        let mut gone = 0;
        while let Some(frame) = self.thinning.pages.pop() {
            self.replacement.left(frame.0);
            self.let_go(frame, mmu);
            gone += 1;
        }
        gone
    }
}
