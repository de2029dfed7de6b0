//! Groups that stand still: what they had in memory is remembered as it goes, and read back in large pieces when they go on.
//!
//! [`crate::load_control`] decides who stands still; the kernel does not run their threads. Invariants:
//! - pages of a suspended group go before all others (`replacement`), and only because frames are needed;
//! - what is remembered is bounded for all groups together: what does not fit comes back by faults, like everything else;
//! - reading back leaves frames and room for those who wait ([`Pager::prefetch`]), and is given up when the group is suspended again.

use crate::PageStore;
use crate::ahead::number;
use crate::fault::Prefetch;
use crate::load_control::Changes;
use crate::pager::{Memory, Pager};
use crate::replacement::Group;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use revenant_hal::{FrameIndex, FrameMemory, Mmu, Nanoseconds, PageIndex};

/// Pages looked at in one step, read or not.
const LOOKS_PER_STEP: u32 = 512;
/// Runs of pages that are remembered, as a part of the frames: one for so many.
const FRAMES_PER_RUN: u32 = 2;

/// What suspended groups had.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Runs of pages that have gone, by group.
    gone: BTreeMap<Group, Vec<Range<u32>>>,
    runs: u32,
    most: u32,
    /// Runs that are being read back, the lowest last.
    coming: Vec<(Group, Range<u32>)>,
}

impl Remembered {
    pub(crate) fn new(frames: u32) -> Self {
        Self { most: frames / FRAMES_PER_RUN, ..Self::default() }
    }

    /// A page of a suspended group goes.
    fn note_gone(&mut self, group: Group, page: u32) {
        let runs = self.gone.entry(group).or_default();
        if let Some(last) = runs.last_mut() {
            if last.end == page && page < u32::MAX {
                last.end += 1;
                return;
            }
            if last.start.checked_sub(1) == Some(page) {
                last.start = page;
                return;
            }
        }
        if self.runs < self.most && page < u32::MAX {
            runs.push(page..page + 1);
            self.runs += 1;
        }
    }

    /// The group is suspended: what it had not got back yet is gone.
    fn suspend(&mut self, group: Group) {
        let coming = core::mem::take(&mut self.coming);
        let (its, others) = coming.into_iter().partition(|(whose, _)| *whose == group);
        self.coming = others;
        let its: Vec<(Group, Range<u32>)> = its;
        self.gone.insert(group, its.into_iter().map(|(_, run)| run).collect());
    }

    /// The group goes on: what it had is to be read.
    fn go_on(&mut self, group: Group) {
        let mut runs = self.gone.remove(&group).unwrap_or_default();
        // Disk order follows the order of pages, more or less; the last is taken first.
        runs.sort_unstable_by_key(|run| core::cmp::Reverse(run.start));
        self.coming.splice(0..0, runs.into_iter().map(|run| (group, run)));
    }

    /// Whether something is still to be read back.
    pub(crate) fn is_coming(&self) -> bool {
        !self.coming.is_empty()
    }

    fn next(&self) -> Option<(Group, u32)> {
        self.coming.last().map(|(group, run)| (*group, run.start))
    }

    fn advance(&mut self) {
        if let Some((_, run)) = self.coming.last_mut() {
            run.start += 1;
            if run.start == run.end {
                self.coming.pop();
                self.runs = self.runs.saturating_sub(1);
            }
        }
    }
}

impl Pager {
    /// Looks whether groups have to take turns; called a few times a second. What has changed: the caller runs no threads of a
    /// group from its suspension until it goes on. `waited`: how long of the time since the last look nobody could run.
    pub fn control_load(&mut self, now: Nanoseconds, waited: Nanoseconds) -> Changes {
        let sets = self.replacement.working_sets();
        self.replacement.forget_runs();
        let changes = self.load.look(now, waited, self.remembered.is_coming(), &sets);
        if let Some(group) = changes.suspend {
            self.replacement.suspend(group, true);
            self.remembered.suspend(group);
            self.statistics.suspensions += 1;
        }
        if let Some(group) = changes.go_on {
            self.replacement.suspend(group, false);
            self.remembered.go_on(group);
        }
        changes
    }

    /// A page is about to leave its frame because frames are short.
    pub(crate) fn remember(&mut self, page: PageIndex, frame: FrameIndex) {
        let group = self.replacement.group(frame.0);
        if self.replacement.is_suspended(group) {
            self.remembered.note_gone(group, number(page));
        }
    }

    /// Asks for pages of groups that go on, as far as there is room.
    pub(crate) fn bring_back<M: Mmu, F: FrameMemory, S: PageStore>(
        &mut self,
        memory: &mut Memory<'_, M, F>,
        store: &mut S,
    ) {
        for _ in 0..LOOKS_PER_STEP {
            let Some((group, page)) = self.remembered.next() else { return };
            match self.prefetch(PageIndex(u64::from(page)), memory, store) {
                Prefetch::Requested(frame) => {
                    self.frames.set_group(frame, group);
                    self.frames.set_back(frame);
                    self.statistics.pages_brought_back += 1;
                }
                Prefetch::Pointless => {}
                Prefetch::NoRoom => return,
            }
            self.remembered.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(remembered: &mut Remembered) -> Vec<(u32, u32)> {
        let next = || {
            let (group, page) = remembered.next()?;
            remembered.advance();
            Some((group.index(), page))
        };
        core::iter::from_fn(next).collect()
    }

    #[test]
    fn what_a_group_had_comes_back_in_the_order_of_pages_and_not_without_bound() {
        let (one, two) = (Group::new(1), Group::new(2));
        let mut remembered = Remembered::new(6);
        remembered.suspend(one);
        remembered.suspend(two);
        for page in [7, 8, 9, 3, 2, 20, 40] {
            remembered.note_gone(one, page);
        }
        remembered.note_gone(two, 5);
        remembered.go_on(two);
        assert_eq!(all(&mut remembered), [], "there was no room for it");
        remembered.go_on(one);
        assert_eq!(remembered.next(), Some((one, 2)));
        remembered.advance();
        remembered.suspend(one);
        assert_eq!(remembered.next(), None);
        remembered.go_on(one);
        let pages = all(&mut remembered);
        assert_eq!(pages, [(1, 3), (1, 7), (1, 8), (1, 9), (1, 20)]);
        assert_eq!(remembered.runs, 0, "there is room again");
    }
}
