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
use revenant_hal::{FrameIndex, FrameMemory, Mmu, Nanoseconds, PageIndex};

/// Pages looked at in one step, read or not.
const LOOKS_PER_STEP: u32 = 512;
/// Stretches of pages in which some are remembered, as a part of the frames: one for so many.
const FRAMES_PER_STRETCH: u32 = 2;
/// Pages of a stretch.
const STRETCH: u32 = u64::BITS;

/// What suspended groups had. Pages go in the order of their use and come back in that of their addresses, so they are kept as sets: a
/// bit each, in stretches of neighbours.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Pages that have gone, by group and number of the stretch. None is empty.
    gone: BTreeMap<(Group, u32), u64>,
    most: usize,
    /// Groups whose pages are being read back, the last first.
    coming: Vec<Group>,
}

impl Remembered {
    pub(crate) fn new(frames: u32) -> Self {
        Self { most: (frames / FRAMES_PER_STRETCH) as usize, ..Self::default() }
    }

    /// A page of a suspended group goes.
    fn note_gone(&mut self, group: Group, page: u32) {
        let (stretch, bit) = ((group, page / STRETCH), 1 << (page % STRETCH));
        if let Some(pages) = self.gone.get_mut(&stretch) {
            *pages |= bit;
        } else if self.gone.len() < self.most {
            self.gone.insert(stretch, bit);
        }
    }

    /// The group is suspended: what it had not got back yet is gone.
    fn suspend(&mut self, group: Group) {
        self.coming.retain(|coming| *coming != group);
    }

    /// The group goes on: what it had is to be read.
    fn go_on(&mut self, group: Group) {
        if self.first(group).is_some() {
            self.coming.insert(0, group);
        }
    }

    /// Whether something is still to be read back.
    pub(crate) fn is_coming(&self) -> bool {
        !self.coming.is_empty()
    }

    /// The first page that a group had. Disk order follows the order of pages, more or less.
    fn first(&self, group: Group) -> Option<u32> {
        let mut stretches = self.gone.range((group, 0)..=(group, u32::MAX));
        stretches.next().map(|((_, stretch), pages)| stretch * STRETCH + pages.trailing_zeros())
    }

    fn next(&self) -> Option<(Group, u32)> {
        let group = *self.coming.last()?;
        self.first(group).map(|page| (group, page))
    }

    /// The next page was asked for.
    fn advance(&mut self) {
        let Some((group, page)) = self.next() else { return };
        let stretch = (group, page / STRETCH);
        if let Some(pages) = self.gone.get_mut(&stretch) {
            *pages &= *pages - 1;
            if *pages == 0 {
                self.gone.remove(&stretch);
            }
        }
        if self.first(group).is_none() {
            self.coming.pop();
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
        for page in [7, 8, 9, 3, 2, 700, 40, 200, 701, 130, u32::MAX] {
            remembered.note_gone(one, page);
        }
        remembered.note_gone(two, 5);
        remembered.go_on(two);
        assert!(!remembered.is_coming());
        assert_eq!(all(&mut remembered), [], "there was no room for it");
        remembered.go_on(one);
        assert_eq!(remembered.next(), Some((one, 2)));
        remembered.advance();
        remembered.suspend(one);
        assert_eq!(remembered.next(), None);
        remembered.note_gone(one, 2);
        remembered.note_gone(one, 10);
        remembered.go_on(one);
        let pages = all(&mut remembered);
        let expected = [2, 3, 7, 8, 9, 10, 40, 200, 700, 701].map(|page| (1, page));
        assert_eq!(pages, expected);
        assert!(remembered.gone.is_empty() && !remembered.is_coming(), "there is room again");
        remembered.note_gone(two, u32::MAX);
        remembered.note_gone(one, 64);
        remembered.go_on(two);
        remembered.go_on(one);
        assert_eq!(all(&mut remembered), [(2, u32::MAX), (1, 64)], "who went on first is first");
    }

    #[test]
    fn all_that_groups_had_is_remembered_in_whatever_order_it_goes() {
        let mut remembered = Remembered::new(10_000);
        let mut random = 1_u32;
        for group in (1..=8).map(Group::new) {
            remembered.suspend(group);
            // A multiplier and a step that visit each of the pages once.
            for _ in 0..8192 {
                random = (random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)) % 8192;
                remembered.note_gone(group, 100_000 * group.index() + random);
            }
        }
        for group in (1..=8).map(Group::new) {
            remembered.go_on(group);
            assert_eq!(all(&mut remembered).len(), 8192, "{}", group.index());
        }
    }
}
