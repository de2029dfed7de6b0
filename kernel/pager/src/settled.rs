//! Settled pages: modified pages that nobody has touched for a while are written before their flip although memory suffices, while the
//! disk has nothing else to do. The snapshot has less to write then, and is durable sooner.
//!
//! ```text
//!   period n     a few hundred modified pages are looked at, longest modified first; their accessed bits are cleared
//!   period n+2   whose bit is still clear is settled: it goes to the store, a small batch each time the disk is at rest
//! ```
//!
//! A page that is stored to again has been written in vain. So a share is kept: if more than one of [`SHARE_IN_VAIN`] was in vain, the next
//! epoch may write a quarter as many, else twice as many. Snapshots of few pages are left alone: they would gain nothing, and an idle
//! machine writes no block more than its snapshots hold.
//!
//! Measured in a machine of 256 MiB with a snapshot every 2 or 4 seconds: `samples/library.rasm` kept 254 of its first 256 pages at their
//! flip; `medley` 26 % and `bench/binary_trees` none, when snapshots of one frame in 64 were large enough: what is settled there is most
//! often dead, and discarded before the flip. At one in [`LEAST_SHARE`] the latter write nothing early. The kernel has it off by default.
//!
//! Invariants, besides those of `cleaner`, which takes W and gives the pages to the store:
//! - the replacement loses no touch: a bit cleared here is kept in the frame's record until it asks;
//! - a page remembered from an earlier period counts only if its frame still holds it, modified in the running epoch;
//! - no page is given while frames are short: then the cleaner writes whose turn it is.
//!
//! Neighbours: `cleaner`; `fault` and `discard` say what was changed after all; the kernel calls when the disk is at rest.

use crate::PageStore;
use crate::ahead::number;
use crate::frame_table::{FrameState, ListName};
use crate::pager::{Memory, Pager};
use crate::tables::{index_at, walk};
use alloc::vec::Vec;
use revenant_hal::{FrameIndex, FrameMemory, Mmu, PageIndex, TableEntry};
use revenant_store::Copies;

/// Pages looked at in a period.
const LOOKS_A_PERIOD: u32 = 512;
/// Pages given to the store at a time: a page fault waits behind them.
const BATCH: u32 = 32;
/// Snapshots of fewer pages than one frame in so many are left alone.
const LEAST_SHARE: u32 = 16;
/// Of so many pages one may be written in vain.
const SHARE_IN_VAIN: u32 = 8;
/// Pages that the first epoch may write, and the least that any may.
const FIRST_ALLOWANCE: u32 = 256;
const LEAST_ALLOWANCE: u32 = 16;

/// Who was looked at, and how much may be written.
pub(crate) struct Settled {
    on: bool,
    /// Pages looked at in `looked_in`, from the last on; allocated once.
    candidates: Vec<(u32, FrameIndex)>,
    looked_in: u64,
    /// Pages that one epoch may write, has written, and has written in vain.
    allowance: u32,
    given: u32,
    in_vain: u32,
}

impl Settled {
    pub(crate) fn new() -> Self {
        let candidates = Vec::with_capacity(LOOKS_A_PERIOD as usize);
        let (allowance, given, in_vain) = (FIRST_ALLOWANCE, 0, 0);
        Self { on: false, candidates, looked_in: 0, allowance, given, in_vain }
    }

    /// An epoch ends: what it has written says what the next may.
    pub(crate) fn flipped(&mut self) {
        if self.in_vain * SHARE_IN_VAIN > self.given {
            self.allowance = (self.allowance / 4).max(LEAST_ALLOWANCE);
        } else if self.given == self.allowance {
            self.allowance = self.allowance.saturating_mul(2);
        }
        self.candidates.clear();
        (self.given, self.in_vain) = (0, 0);
    }
}

impl Pager {
    /// Says whether settled pages are written before their flip while memory suffices.
    pub fn set_settling(&mut self, on: bool) {
        self.settled.on = on;
    }

    /// Gives settled pages to the store; how many. To be called while the disk has nothing to do. `period` is the time in units of what
    /// a page must be at rest for: a tenth of a second, say. Not while an attempt is under way.
    pub fn write_settled<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        period: u64,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) -> u32 {
        let few = self.frames.length(ListName::Dirty) <= self.frames.len() / LEAST_SHARE;
        let busy = self.frames.making.is_some(); // the disk is the writer's
        if !self.settled.on || busy || few || self.settled.given >= self.settled.allowance {
            return 0;
        }
        self.look_for_early_room(store);
        if self.early_room == 0 || self.is_short() {
            return 0;
        }
        if self.settled.candidates.is_empty() {
            if self.settled.looked_in != period {
                self.settled.looked_in = period;
                self.choose_candidates(memory.mmu);
            }
            return 0;
        }
        if period < self.settled.looked_in + 2 {
            return 0;
        }
        let left = self.settled.allowance - self.settled.given;
        let most = BATCH.min(left).min(self.cleaning_room()) as usize;
        while self.to_clean.len() < most
            && let Some((page, frame)) = self.settled.candidates.pop()
        {
            if self.is_settled(page, frame, memory.mmu) {
                self.to_clean.push((page, frame));
            }
        }
        if self.protect_for_cleaning(memory.mmu) {
            memory.mmu.invalidate_all();
        }
        let given = self.give_for_cleaning(store, true);
        self.settled.given += given;
        self.statistics.pages_settled += u64::from(given);
        given
    }

    /// Looks at pages that were made writable longest ago, and has them looked at again.
    fn choose_candidates<M: Mmu>(&mut self, mmu: &mut M) {
        for _ in 0..LOOKS_A_PERIOD.min(self.frames.length(ListName::Dirty)) {
            let Some(frame) = self.frames.pop_front(ListName::Dirty) else { break };
            self.frames.push_back(ListName::Dirty, frame);
            let page = self.frames.page(frame);
            let once = self.wired.range_of(page).is_none_or(|range| range.copies == Copies::One);
            let walk = walk(mmu, page);
            let (Some(table), Some(entry)) = (walk.leaf_table, walk.entry) else {
                panic!("{page:?} is modified and not mapped");
            };
            if entry.accessed {
                let entry = TableEntry { accessed: false, ..entry };
                mmu.set_entry(table, index_at(page, 3), Some(entry));
                self.frames.set_touched(frame);
                self.note_touched(frame);
            }
            if once {
                self.settled.candidates.push((number(page), frame));
            }
        }
        mmu.invalidate_all();
    }

    /// Whether a page that was looked at is still modified, in the same frame, and was not touched since.
    fn is_settled<M: Mmu>(&self, page: u32, frame: FrameIndex, mmu: &M) -> bool {
        let page = PageIndex(u64::from(page));
        let modified = self.frames.state(frame) == FrameState::Dirty
            && !self.frames.is_frozen(frame)
            && self.frames.page(frame) == page;
        modified && walk(mmu, page).entry.is_some_and(|entry| !entry.accessed)
    }

    /// A page is stored to or discarded: if it was taken for settled in this epoch, it was written in vain.
    pub(crate) fn note_changed(&mut self, frame: FrameIndex) {
        if self.frames.take_settled(frame) && self.frames.stamp(frame) == self.frames.epoch {
            self.settled.in_vain += 1;
            self.statistics.pages_settled_in_vain += 1;
        }
    }
}
