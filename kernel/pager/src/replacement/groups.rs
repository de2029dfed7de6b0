//! Groups of programs, and what each may hold: who pays when a frame is needed.
//!
//! Each page belongs to the group that brought it in. A group has a guaranteed share: within it, its pages are not taken for
//! others. Where nothing else is said, the groups that have pages have equal parts; what one does not use is free for all,
//! because only who holds more than its share pays. A group that nobody has run for a long time has no share, and a
//! suspended group has none. Beyond its limit a group pays even while frames are free.
//!
//! Invariant: while there are pages and some can go, somebody pays: if nobody is beyond its share, whoever is nearest to it.
//! Choosing takes time for the groups that have pages, not for their pages.

use super::order::Order;
use alloc::vec::Vec;

/// Looks after which a page that could go would have: one a bit, its lives, and the look at which it goes.
const LOOKS_PER_PAGE: u32 = 4;
/// Times that all of memory was exchanged without a group having run, after which it has no share.
const IDLE_TURNOVERS: u32 = 16;

/// A group of programs, as the pager knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Group(pub(super) u16);

impl Group {
    /// Groups that are told apart.
    pub const COUNT: usize = 64;
    const LAST: u16 = 63;

    /// The group with this index in object space; from the last that is told apart on they share one working set.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        if index < Self::LAST as u32 { Self((index & 0x3f) as u16) } else { Self(Self::LAST) }
    }

    /// Its index, the same for all that share the last.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn place(self) -> usize {
        self.0 as usize
    }
}

const _: () = assert!(Group::LAST as usize + 1 == Group::COUNT);

/// What a group is promised and permitted, in pages. None: an equal part; no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Claim {
    /// Pages that are not taken for others.
    pub share: Option<u32>,
    /// Pages beyond which its own go first, even while frames are free.
    pub limit: Option<u32>,
}

/// What is to be made room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// A page of whatever group.
    Frame,
    /// The limits of groups.
    Limits,
}

/// One group's pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkingSet {
    /// Whose.
    pub group: Group,
    /// Pages in memory that may go some time.
    pub resident: u32,
    /// Pages that would not be taken for others now.
    pub share: u32,
    /// Pages that somebody has asked for and that came.
    pub arrived: u64,
    /// Of these, pages that came back soon after they had gone: memory of twice the size would have kept them.
    pub returned: u64,
    /// Its threads are not run.
    pub suspended: bool,
    /// One of them has run since [`super::Replacement::forget_runs`].
    pub ran: bool,
}

/// A set of groups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Groups(u64);

impl Groups {
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn contains(self, group: Group) -> bool {
        self.0 >> group.0 & 1 == 1
    }

    pub(super) fn set(&mut self, group: Group, on: bool) {
        self.0 = self.0 & !(1 << group.0) | u64::from(on) << group.0;
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn filter(self, keep: impl Fn(Group) -> bool) -> Self {
        let mut kept = Self::NONE;
        self.into_iter().for_each(|group| kept.set(group, keep(group)));
        kept
    }
}

impl IntoIterator for Groups {
    type Item = Group;
    type IntoIter = Members;

    fn into_iter(self) -> Members {
        Members(self.0)
    }
}

/// The members of a set, from the lowest on.
pub(super) struct Members(u64);

impl Iterator for Members {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let first = self.0.trailing_zeros();
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            Group::new(first)
        })
    }
}

/// Promises, limits, and who is left out for now.
pub(super) struct Claims {
    claims: [Claim; Group::COUNT],
    limited: Groups,
    suspended: Groups,
    /// Looks at each group's pages since one could go, or one came.
    vain: [u32; Group::COUNT],
    /// Departures when each group ran last.
    ran: [u32; Group::COUNT],
    /// Who has run lately.
    lately: Groups,
    /// Pages of each that somebody has asked for and that came.
    pub(super) arrived: [u64; Group::COUNT],
    /// Of these, those that came back soon.
    pub(super) returned: [u64; Group::COUNT],
    /// Planted bug: all pages count as one group's.
    pub(super) ignored: bool,
}

impl Claims {
    pub(super) const fn new() -> Self {
        Self {
            claims: [Claim { share: None, limit: None }; Group::COUNT],
            limited: Groups::NONE,
            suspended: Groups::NONE,
            vain: [0; Group::COUNT],
            ran: [0; Group::COUNT],
            lately: Groups::NONE,
            arrived: [0; Group::COUNT],
            returned: [0; Group::COUNT],
            ignored: false,
        }
    }

    pub(super) fn set(&mut self, group: Group, claim: Claim) {
        self.claims[group.place()] = claim;
        self.limited.set(group, claim.limit.is_some());
    }

    pub(super) fn suspend(&mut self, group: Group, suspended: bool) {
        self.suspended.set(group, suspended);
    }

    /// The group is about to run.
    pub(super) fn run(&mut self, group: Group, departures: u32) {
        self.lately.set(group, true);
        self.note_run(group, departures);
    }

    pub(super) fn forget_runs(&mut self) {
        self.lately = Groups::NONE;
    }

    /// Whether the group is suspended.
    pub(super) fn is_suspended(&self, group: Group) -> bool {
        self.suspended.contains(group)
    }

    /// The group runs, or a page of it has come, after so many departures.
    pub(super) fn note_run(&mut self, group: Group, departures: u32) {
        self.ran[group.place()] = departures;
    }

    pub(super) fn looked_in_vain(&mut self, group: Group) {
        let vain = &mut self.vain[group.place()];
        *vain = vain.saturating_add(1);
    }

    /// Looking at the group's pages has sense again.
    pub(super) fn hope(&mut self, group: Group) {
        self.vain[group.place()] = 0;
    }

    /// Looking at any group's pages has sense again.
    pub(super) fn hope_for_all(&mut self) {
        self.vain = [0; Group::COUNT];
    }

    /// Pages that would not be taken from the group for others, if groups without a promise have `part` each.
    fn share(&self, group: Group, part: u32, order: &Order, departures: u32) -> u32 {
        let idle = departures.wrapping_sub(self.ran[group.place()]) & (u32::MAX >> 1);
        if self.suspended.contains(group) || idle / IDLE_TURNOVERS >= order.frames().max(1) {
            return 0;
        }
        let claim = self.claims[group.place()];
        claim.share.unwrap_or(part).min(claim.limit.unwrap_or(u32::MAX))
    }

    /// By how much a group is beyond its share.
    fn excess(&self, group: Group, part: u32, order: &Order, departures: u32) -> i64 {
        i64::from(order.of_group(group)) - i64::from(self.share(group, part, order, departures))
    }

    /// Of these, the one that is farthest beyond its share and has what is asked for.
    pub(super) fn farthest(
        &self,
        groups: Groups,
        order: &Order,
        departures: u32,
        has: impl Fn(Group) -> bool,
    ) -> Option<Group> {
        let part = self.part(order);
        let having = groups.into_iter().filter(|group| has(*group));
        having.max_by_key(|group| self.excess(*group, part, order, departures))
    }

    /// The equal part of groups without a promise. The system is none of the groups among which memory is divided.
    fn part(&self, order: &Order) -> u32 {
        let (mut promised, mut others) = (0_u32, 0_u32);
        order.present().into_iter().for_each(|group| match self.claims[group.place()].share {
            Some(share) => promised = promised.saturating_add(share),
            None => others += u32::from(group != Group::default()),
        });
        order.total().saturating_sub(promised) / others.max(1)
    }

    /// All groups that have pages.
    pub(super) fn working_sets(&self, order: &Order, departures: u32) -> Vec<WorkingSet> {
        let part = self.part(order);
        let set = |group: Group| WorkingSet {
            group,
            resident: order.of_group(group),
            share: self.share(group, part, order, departures),
            arrived: self.arrived[group.place()],
            returned: self.returned[group.place()],
            suspended: self.suspended.contains(group),
            ran: self.lately.contains(group),
        };
        order.present().into_iter().map(set).collect()
    }

    /// Who pays: groups of which a page may be taken now. None if looking at their pages has no sense.
    pub(super) fn payers(&self, need: Need, order: &Order, departures: u32) -> Groups {
        let present = order.present();
        let sensible = |group: &Group| {
            let looks = order.of_group(*group).saturating_mul(LOOKS_PER_PAGE);
            self.vain[group.place()] < looks
        };
        let beyond = |group: Group| {
            let limit = self.claims[group.place()].limit;
            limit.is_some_and(|limit| order.of_group(group) > limit)
        };
        let hopeful = present.filter(|group| sensible(&group));
        let first = hopeful.filter(|group| {
            self.limited.contains(group) && beyond(group)
                || need == Need::Frame && self.suspended.contains(group)
        });
        if need == Need::Limits || !first.is_empty() {
            return first;
        }
        let part = self.part(order);
        let excess = |group: Group| self.excess(group, part, order, departures);
        let over = present.filter(|group| excess(group) > 0);
        if !over.is_empty() {
            return over.filter(|group| hopeful.contains(group));
        }
        let nearest = hopeful.into_iter().max_by_key(|group| excess(*group));
        let mut payers = Groups::NONE;
        nearest.into_iter().for_each(|group| payers.set(group, true));
        payers
    }
}
