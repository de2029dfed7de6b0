//! What a group keeps of its share while it does not run: all of it at first, less the more others miss, nothing in the end.
//!
//! The clock is neither time nor pages exchanged: who walks through what it never needs again exchanges all of memory, and would be
//! no better off with more. It counts pages that came back soon after they had gone: each of these would have stayed, had there been
//! more memory. So while a group rests, its share costs others a page-in at each tick; to give the share up costs the group as many
//! page-ins as the share has pages, when it runs again. A share is whole until others have paid half of that, and gone when they
//! have paid all of it: who has rested longest has least. Who runs has its whole share at once.
//!
//! Invariants: who runs more often than others miss in a small part of memory loses nothing; what is kept is looked at once in a
//! small part of memory that came back, so that a fault does not pay for it.

use super::groups::{Group, Groups};
use alloc::vec;
use alloc::vec::Vec;

/// Coming back costs at least what one in so many frames does: a group that waits in a long line for its page does not rest.
const LEAST_COST: u32 = 16;
/// Between two looks, pages come back: one for so many frames.
const LOOK: u32 = 256;
/// A share that is whole, in parts.
const WHOLE: u32 = 16;

/// Who rests, and for how long.
pub(super) struct Rest {
    frames: u32,
    /// Pages that came back soon after they had gone, of all groups; wraps.
    returned: u32,
    /// That, when each group ran last.
    ran: Vec<u32>,
    /// Whose share is not whole; nobody's, most often, and asked at each miss.
    resting: Groups,
    nobody: bool,
    /// What they keep of it, in parts.
    kept: Vec<u8>,
    /// Pages that had come back at the last look.
    looked: u32,
}

impl Rest {
    pub(super) fn new(frames: u32) -> Self {
        Self {
            frames,
            returned: 0,
            ran: vec![0; Group::COUNT],
            resting: Groups::NONE,
            nobody: true,
            kept: vec![0; Group::COUNT],
            looked: 0,
        }
    }

    /// A page has come back soon after it had gone.
    pub(super) const fn note_returned(&mut self) {
        self.returned = self.returned.wrapping_add(1);
    }

    /// The group runs, or a page of it has come.
    pub(super) fn note_run(&mut self, group: Group) {
        self.ran[group.place()] = self.returned;
        if self.resting.contains(group) {
            self.resting.set(group, false);
            self.nobody = self.resting.is_empty();
        }
    }

    /// Whether everybody's share is whole.
    pub(super) const fn is_nobody(&self) -> bool {
        self.nobody
    }

    /// Whose share is not whole.
    pub(super) const fn resting(&self) -> Groups {
        self.resting
    }

    /// What a group keeps of a share.
    pub(super) fn kept(&self, group: Group, share: u32) -> u32 {
        if !self.resting.contains(group) {
            return share;
        }
        let kept = u32::from(self.kept[group.place()]);
        share / WHOLE * kept + share % WHOLE * kept / WHOLE
    }

    /// Whether it is time to look who rests.
    pub(super) const fn is_due(&self) -> bool {
        self.returned.wrapping_sub(self.looked) > self.frames / LOOK
    }

    /// Looks who of these rests, and what of its share it keeps.
    pub(super) fn look(&mut self, groups: Groups, share: impl Fn(Group) -> u32) {
        self.looked = self.returned;
        for group in groups {
            let paid = self.returned.wrapping_sub(self.ran[group.place()]);
            let kept = parts_kept(paid, share(group).max(self.frames / LEAST_COST));
            self.resting.set(group, kept < WHOLE);
            self.kept[group.place()] = (kept & 0xff) as u8;
        }
        self.nobody = self.resting.is_empty();
    }
}

/// What is kept of a share, in parts, when others have paid so much for it and giving it up costs so much.
fn parts_kept(paid: u32, cost: u32) -> u32 {
    let paid = u64::from(paid) * u64::from(2 * WHOLE) / u64::from(cost.max(1));
    (2 * WHOLE).saturating_sub(u32::try_from(paid).unwrap_or(u32::MAX)).min(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_whole_until_half_is_paid_and_gone_when_all_is() {
        let kept: Vec<u32> = [0, 499, 500, 531, 532, 750, 999, 1000, u32::MAX]
            .into_iter()
            .map(|paid| parts_kept(paid, 1000))
            .collect();
        assert_eq!(kept, [16, 16, 16, 16, 15, 8, 1, 0, 0]);
        assert_eq!(parts_kept(u32::MAX, u32::MAX), 0);
    }

    #[test]
    fn who_runs_has_its_whole_share_at_once() {
        let (one, two) = (Group::new(1), Group::new(2));
        let mut groups = Groups::NONE;
        groups.set(one, true);
        groups.set(two, true);
        let mut rest = Rest::new(1600);
        for _ in 0..75 {
            rest.note_returned();
            rest.note_run(two);
        }
        assert!(rest.is_due());
        rest.look(groups, |_| 100);
        assert_eq!((rest.kept(one, 100), rest.kept(two, 100), rest.is_due()), (50, 100, false));
        assert!(!rest.is_nobody() && rest.resting().contains(one));
        rest.note_run(one);
        assert_eq!((rest.kept(one, 100), rest.is_nobody()), (100, true));
    }
}
