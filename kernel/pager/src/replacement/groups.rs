//! Groups of programs, and what each may hold: who pays when a frame is needed.
//!
//! Each page belongs to the group that brought it in. A group has a guaranteed share: within it, its pages are not taken for
//! others. Where nothing else is said, the groups that have pages have equal parts; what one does not use is free for all,
//! because only who holds more than its share pays. A group that does not run keeps its share for a while (`rest`), and a
//! suspended group has none; what they do not keep is divided among the others. Beyond its limit a group pays even while frames are
//! free.
//!
//! Invariant: while there are pages and some can go, somebody pays: if nobody that runs is beyond its share, and of those that rest
//! nobody has a page that can go, whoever is nearest to its share.
//! Choosing takes time for the groups that have pages, not for their pages: to a miss in full memory, 0.4 us on the host with one, 2 us
//! with 63, 7 us with 255. What is kept for a group that can be told apart is 136 bytes, whether it has pages or not: 34 KiB together.

use super::order::Order;
use super::rest::Rest;
use alloc::vec;
use alloc::vec::Vec;

/// Looks after which a page that could go would have: one a bit, its lives, and the look at which it goes.
const LOOKS_PER_PAGE: u32 = 4;

/// A group of programs, as the pager knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Group(pub(super) u16);

impl Group {
    /// Groups that are told apart.
    pub const COUNT: usize = 256;
    const LAST: u16 = 255;

    /// The group with this index in object space; from the last that is told apart on they share one working set.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        if index < Self::LAST as u32 { Self((index & 0xff) as u16) } else { Self(Self::LAST) }
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

const _: () = assert!(Group::LAST as usize + 1 == Group::COUNT && Group::COUNT.is_multiple_of(64));

/// What a group is promised and permitted, in pages. None: an equal part; no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Claim {
    /// Pages that are not taken for others.
    pub share: Option<u32>,
    /// Pages beyond which its own go first, even while frames are free.
    pub limit: Option<u32>,
}

impl Claim {
    /// The share of who is promised this and does not rest, if groups without a promise have `part` each.
    fn share(self, part: u32) -> u32 {
        self.share.unwrap_or(part).min(self.limit.unwrap_or(u32::MAX))
    }
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

/// Words of a set of groups.
const WORDS: usize = Group::COUNT / 64;

/// A set of groups: a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Groups([u64; WORDS]);

impl Groups {
    /// No group.
    pub const NONE: Self = Self([0; WORDS]);

    /// Whether a group belongs to it.
    #[must_use]
    pub const fn contains(self, group: Group) -> bool {
        self.0[group.place() / 64] >> (group.0 % 64) & 1 == 1
    }

    /// Lets a group belong to it, or not.
    pub const fn set(&mut self, group: Group, on: bool) {
        let word = &mut self.0[group.place() / 64];
        *word = *word & !(1 << (group.0 % 64)) | (on as u64) << (group.0 % 64);
    }

    /// Whether no group belongs to it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    fn len(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Those that belong to both.
    fn both(self, other: Self) -> Self {
        Self(core::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// Those that belong to either.
    fn or(self, other: Self) -> Self {
        Self(core::array::from_fn(|word| self.0[word] | other.0[word]))
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
        Members { words: self.0, at: 0 }
    }
}

/// The members of a set, from the lowest on.
#[derive(Clone, Debug)]
pub struct Members {
    words: [u64; WORDS],
    at: u32,
}

impl Iterator for Members {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        loop {
            let word = self.words.get_mut(self.at as usize)?;
            if *word != 0 {
                let first = word.trailing_zeros();
                *word &= *word - 1;
                return Some(Group::new(64 * self.at + first));
            }
            self.at += 1;
        }
    }
}

/// Pages of each group without a promise: of those that run, and of those that rest, before it is asked what they keep of it.
#[derive(Clone, Copy)]
struct Parts {
    running: u32,
    resting: u32,
}

/// Promises, limits, and who is left out for now.
pub(super) struct Claims {
    claims: Vec<Claim>,
    /// Who is promised something.
    promised: Groups,
    limited: Groups,
    suspended: Groups,
    /// Looks at each group's pages since one could go, or one came.
    vain: Vec<u32>,
    /// Who has not run for a while.
    pub(super) rest: Rest,
    /// Who has run lately.
    lately: Groups,
    /// Pages of each that somebody has asked for and that came.
    pub(super) arrived: Vec<u64>,
    /// Of these, those that came back soon.
    returned: Vec<u64>,
    /// Planted bug: all pages count as one group's.
    pub(super) ignored: bool,
}

impl Claims {
    pub(super) fn new(frames: u32) -> Self {
        Self {
            claims: vec![Claim::default(); Group::COUNT],
            promised: Groups::NONE,
            limited: Groups::NONE,
            suspended: Groups::NONE,
            vain: vec![0; Group::COUNT],
            rest: Rest::new(frames),
            lately: Groups::NONE,
            arrived: vec![0; Group::COUNT],
            returned: vec![0; Group::COUNT],
            ignored: false,
        }
    }

    pub(super) fn set(&mut self, group: Group, claim: Claim) {
        self.claims[group.place()] = claim;
        self.promised.set(group, claim.share.is_some());
        self.limited.set(group, claim.limit.is_some());
    }

    pub(super) fn suspend(&mut self, group: Group, suspended: bool) {
        self.suspended.set(group, suspended);
    }

    /// The group is about to run.
    pub(super) fn run(&mut self, group: Group) {
        self.lately.set(group, true);
        self.rest.note_run(group);
    }

    pub(super) fn forget_runs(&mut self) {
        self.lately = Groups::NONE;
    }

    /// Whether the group is suspended.
    pub(super) fn is_suspended(&self, group: Group) -> bool {
        self.suspended.contains(group)
    }

    /// A page of a group has come back soon after it had gone.
    pub(super) fn note_returned(&mut self, group: Group, order: &Order) {
        self.returned[group.place()] += 1;
        self.rest.note_returned();
        if self.rest.is_due() {
            let (claims, part) = (&self.claims, self.equal_part(order));
            let share = |group: Group| claims[group.place()].share(part);
            self.rest.look(order.present(), share);
        }
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
        self.vain.fill(0);
    }

    /// Pages that would not be taken from the group for others.
    fn share(&self, group: Group, parts: Parts) -> u32 {
        if self.suspended.contains(group) {
            return 0;
        }
        let resting = self.rest.resting().contains(group);
        let part = if resting { parts.resting } else { parts.running };
        self.rest.kept(group, self.claims[group.place()].share(part))
    }

    /// By how much a group is beyond its share.
    fn excess(&self, group: Group, parts: Parts, order: &Order) -> i64 {
        i64::from(order.of_group(group)) - i64::from(self.share(group, parts))
    }

    /// Of these, the one that is farthest beyond its share and has what is asked for.
    pub(super) fn farthest(
        &self,
        groups: Groups,
        order: &Order,
        has: impl Fn(Group) -> bool,
    ) -> Option<Group> {
        let parts = self.parts(order);
        let having = groups.into_iter().filter(|group| has(*group));
        having.max_by_key(|group| self.excess(*group, parts, order))
    }

    /// The equal parts of groups without a promise. What those that rest or are suspended do not keep is divided among the others.
    fn parts(&self, order: &Order) -> Parts {
        let part = self.equal_part(order);
        let parts = Parts { running: part, resting: part };
        if self.rest.is_nobody() && self.suspended.is_empty() {
            return parts;
        }
        let idle = order.present().both(self.rest.resting().or(self.suspended));
        let whole = |group: Group| match self.claims[group.place()].share {
            None if group == Group::default() => 0,
            share => share.unwrap_or(part),
        };
        let given_up = idle.into_iter().fold(0_u32, |sum, group| {
            sum.saturating_add(whole(group).saturating_sub(self.share(group, parts)))
        });
        let running = order.present().filter(|group| !idle.contains(group));
        let running = self.without_promise(running).max(1);
        Parts { running: part.saturating_add(given_up / running), resting: part }
    }

    /// Whether a group's share is not whole because it does not run.
    fn is_idle(&self, group: Group) -> bool {
        self.rest.resting().contains(group) || self.suspended.contains(group)
    }

    /// The equal part of groups without a promise if all ran.
    fn equal_part(&self, order: &Order) -> u32 {
        let present = order.present();
        if self.promised.is_empty() {
            let others = order.groups() - u32::from(present.contains(Group::default()));
            return order.total() / others.max(1);
        }
        let promised = present.both(self.promised).into_iter().fold(0_u32, |sum, group| {
            sum.saturating_add(self.claims[group.place()].share.unwrap_or(0))
        });
        order.total().saturating_sub(promised) / self.without_promise(present).max(1)
    }

    /// How many of these are promised nothing. The system is none of the groups among which memory is divided.
    fn without_promise(&self, groups: Groups) -> u32 {
        let promised = groups.both(self.promised);
        let system = Group::default();
        let system_counts = groups.contains(system) && !promised.contains(system);
        groups.len() - promised.len() - u32::from(system_counts)
    }

    /// All groups that have pages.
    pub(super) fn working_sets(&self, order: &Order) -> Vec<WorkingSet> {
        let parts = self.parts(order);
        let set = |group: Group| WorkingSet {
            group,
            resident: order.of_group(group),
            share: self.share(group, parts),
            arrived: self.arrived[group.place()],
            returned: self.returned[group.place()],
            suspended: self.suspended.contains(group),
            ran: self.lately.contains(group),
        };
        order.present().into_iter().map(set).collect()
    }

    /// Who pays: groups of which a page may be taken now. None if looking at their pages has no sense.
    pub(super) fn payers(&self, need: Need, order: &Order) -> Groups {
        let present = order.present();
        let sensible = |group: Group| {
            let looks = order.of_group(group).saturating_mul(LOOKS_PER_PAGE);
            self.vain[group.place()] < looks
        };
        let beyond = |group: Group| {
            let limit = self.claims[group.place()].limit;
            limit.is_some_and(|limit| order.of_group(group) > limit)
        };
        let limited = present.both(self.limited).filter(|group| beyond(group) && sensible(group));
        let first = match need {
            Need::Limits => return limited,
            Need::Frame => limited.or(present.both(self.suspended).filter(sensible)),
        };
        if !first.is_empty() {
            return first;
        }
        let parts = self.parts(order);
        let (mut payers, mut runner_is_beyond) = (Groups::NONE, false);
        let mut nearest: Option<(i64, Group)> = None;
        for group in present {
            let excess = self.excess(group, parts, order);
            // Who does not run does not wait for pages of its own to be able to go, so nobody else may have to wait for them.
            runner_is_beyond |= excess > 0 && !self.is_idle(group);
            if sensible(group) {
                payers.set(group, excess > 0);
                nearest = Some((excess, group)).max(nearest);
            }
        }
        if let (false, Some((_, nearest))) = (runner_is_beyond || !payers.is_empty(), nearest) {
            payers.set(nearest, true);
        }
        payers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it_in_its_order() {
        let members = [0, 1, 63, 64, 65, 127, 128, 200, 254, 255];
        let mut set = Groups::NONE;
        assert!(set.is_empty());
        members.into_iter().rev().for_each(|index| set.set(Group::new(index), true));
        assert_eq!(set.into_iter().map(Group::index).collect::<Vec<_>>(), members);
        for index in 0..256 {
            assert_eq!(set.contains(Group::new(index)), members.contains(&index), "{index}");
        }
        let even = set.filter(|group| group.index() % 2 == 0);
        assert_eq!((set.len(), even.len(), set.both(even) == even), (10, 5, true));
        members.into_iter().for_each(|index| set.set(Group::new(index), false));
        assert!(set.is_empty());
        assert_eq!(Group::new(70_000), Group::new(255));
        assert_ne!(Group::new(254), Group::new(255));
    }
}
