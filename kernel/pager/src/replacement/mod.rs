//! Which page goes when a frame is needed. No pages here, no tables, no disk: frames by number, and two questions that the
//! pager answers about each (see [`Residents`]).
//!
//! ```text
//!                    half of probation        touched since
//!   page-in --> Fresh ----------------> Aged --------------> Main <--+ touched, or a life left
//!                       the bit is       |                    |  \---+
//!                        cleared         | not touched        | not touched
//!                                        v                    v
//!                                     goes (ghost)         goes (ghost)
//! ```
//!
//! A pager sees faults, and one bit a page that says "touched since you cleared it". Right after its arrival every page is
//! touched several times by those who waited for it; so the bit is cleared once in the middle of probation, and only who is
//! touched after that was touched again. In the main queue a touch is worth up to [`LIVES`] rounds more.
//!
//! How long probation is, the ghosts decide (the names of pages let go lately): who left probation a moment ago and is back
//! would have stayed had it been longer; who left the main queue a moment ago and is back, had it been shorter. Who is back
//! and was a ghost goes to the main queue, out of probation whenever it left, out of the main queue only if that was a moment
//! ago: otherwise it has to prove itself anew.
//!
//! Each group of programs has these queues for itself; whose queue it is that gives a page, the groups' shares decide (`groups`).
//! Among those who pay, pages that nobody has touched again go first; then those of who is farthest beyond its share.
//!
//! Invariants: a frame stands on at most one queue; a frame that cannot leave now is passed over and keeps its rank; each call
//! takes constant time but [`Replacement::next_to_go`], which looks at no more frames than it may.
//!
//! Memory: 26 bytes a frame, 50 with the frame table.
#![doc = include_str!("figures.md")]

mod ghosts;
mod groups;
mod order;
mod rest;

pub use groups::{Claim, Group, Groups, Members, Need, WorkingSet};

use alloc::vec::Vec;
use ghosts::{Ghosts, Left};
use groups::Claims;
use order::{Order, Queue};

/// Rounds in the main queue that a page can have before it after a touch.
const LIVES: u16 = 2;
/// What a page has that just came to probation: whoever waits for it may not have touched it before it is to go.
const LIFE_OF_ARRIVAL: u16 = 1;
/// Probation at first, at least, and at most, as a part of the frames: one in so many.
const PROBATION: u32 = 16;
const LEAST_PROBATION: u32 = 32;
const MOST_PROBATION: u32 = 2;
/// "A moment ago": while fewer pages have left than one in so many frames.
const MOMENT: u32 = 16;

/// What the policy asks about the page in a frame.
pub trait Residents {
    /// The page's number, as given to [`Replacement::arrived`].
    fn page(&self, frame: u32) -> u32;
    /// Whether the page was touched since this was asked last. From now on it was not.
    fn take_touched(&mut self, frame: u32) -> bool;
    /// Whether the page can go now: nothing would be lost, nobody is using the frame.
    fn can_go(&mut self, frame: u32) -> bool;
}

/// The order in which resident pages go.
pub struct Replacement {
    order: Order,
    ghosts: Ghosts,
    claims: Claims,
    frames: u32,
    /// Wanted length of probation.
    probation: u32,
}

impl Replacement {
    /// The order for a pool of `frames` frames, none of which holds a page.
    #[must_use]
    pub fn new(frames: u32) -> Self {
        Self {
            order: Order::new(frames),
            ghosts: Ghosts::new(frames),
            claims: Claims::new(frames),
            frames,
            probation: (frames / PROBATION).max(1),
        }
    }

    /// Frames that hold a page which may go some time.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.order.total()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says what a group is promised and permitted.
    pub fn claim(&mut self, group: Group, claim: Claim) {
        self.claims.set(group, claim);
    }

    /// Says whether a group is suspended: its pages go before all others then.
    pub fn suspend(&mut self, group: Group, suspended: bool) {
        self.claims.suspend(group, suspended);
    }

    /// A group is about to run.
    pub fn runs(&mut self, group: Group) {
        self.claims.run(group);
    }

    /// From now on nobody has run lately.
    pub fn forget_runs(&mut self) {
        self.claims.forget_runs();
    }

    /// Whether a group is suspended.
    #[must_use]
    pub fn is_suspended(&self, group: Group) -> bool {
        self.claims.is_suspended(group)
    }

    /// Pages that could not go may be able to now.
    pub fn hope(&mut self) {
        self.claims.hope_for_all();
    }

    /// Whether looking for a page that can go has no sense: every one that may be taken was looked at often enough since the last
    /// could, or came.
    #[must_use]
    pub fn is_in_vain(&self, need: Need) -> bool {
        self.claims.payers(need, &self.order).is_empty()
    }

    /// Of which groups a page may be taken for whoever needs a frame.
    pub(crate) fn payers(&self) -> Groups {
        self.claims.payers(Need::Frame, &self.order)
    }

    /// Whether the page in a frame may go some time, and belongs to one of these groups.
    pub(crate) fn pays(&self, payers: Groups, frame: u32) -> bool {
        self.order.queue_of(frame).is_some() && payers.contains(self.order.group(frame))
    }

    /// The groups that have pages, for reports.
    #[must_use]
    pub fn working_sets(&self) -> Vec<WorkingSet> {
        self.claims.working_sets(&self.order)
    }

    /// The group of the page in a frame.
    #[must_use]
    pub fn group(&self, frame: u32) -> Group {
        self.order.group(frame)
    }

    /// Plants a bug, for tests: shares do not count.
    #[doc(hidden)]
    pub fn ignore_shares(&mut self, ignored: bool) {
        self.claims.ignored = ignored;
    }

    fn in_probation(&self, group: Group) -> u32 {
        self.order.length(group, Queue::Fresh) + self.order.length(group, Queue::Aged)
    }

    /// A page of a group has come into a frame.
    pub fn arrived(&mut self, frame: u32, page: u32, group: Group) {
        self.claims.arrived[group.place()] += 1;
        let queue = match self.ghosts.take(page) {
            Some((left, age)) => {
                if age <= self.frames {
                    self.claims.note_returned(group, &self.order);
                }
                self.learn(left, age <= self.frames / MOMENT)
            }
            None => Queue::Fresh,
        };
        let lives = if queue == Queue::Main { 0 } else { LIFE_OF_ARRIVAL };
        self.enter(group, queue, frame, lives);
    }

    /// A page has come into a frame that nobody has asked for yet: what was known of it does not count.
    pub fn arrived_ahead(&mut self, frame: u32, group: Group) {
        self.enter(group, Queue::Fresh, frame, LIFE_OF_ARRIVAL);
    }

    /// A page has come back that its group had when it was suspended: it was in use then.
    pub fn arrived_back(&mut self, frame: u32, page: u32, group: Group) {
        let _ = self.ghosts.take(page);
        self.enter(group, Queue::Main, frame, LIFE_OF_ARRIVAL);
    }

    fn enter(&mut self, group: Group, queue: Queue, frame: u32, lives: u16) {
        let group = if self.claims.ignored { Group::default() } else { group };
        self.order.push_newest(group, queue, frame, lives);
        self.claims.hope(group);
        self.claims.rest.note_run(group);
    }

    /// Draws the lesson from a ghost that is back; where it goes.
    fn learn(&mut self, left: Left, a_moment_ago: bool) -> Queue {
        let least = (self.frames / LEAST_PROBATION).max(1);
        let most = (self.frames / MOST_PROBATION).max(1);
        match left {
            Left::Probation => {
                if a_moment_ago {
                    self.probation = (self.probation + 1).min(most);
                }
                Queue::Main
            }
            Left::Main if a_moment_ago => {
                self.probation = self.probation.saturating_sub(2).max(least);
                Queue::Main
            }
            Left::Main => Queue::Fresh,
        }
    }

    /// The page of `old` is in `new` from now on.
    pub fn moved(&mut self, old: u32, new: u32) {
        self.order.exchange(old, new);
    }

    /// The page of a frame is gone, and not by this policy's choice.
    pub fn left(&mut self, frame: u32) {
        self.order.remove(frame);
    }

    /// A page that could not go when its turn came can go now: its turn is next, unless it is touched before.
    pub fn to_the_front(&mut self, frame: u32) {
        let Some(queue) = self.order.queue_of(frame) else { return };
        let group = self.order.group(frame);
        self.order.remove(frame);
        let queue = if queue == Queue::Main { queue } else { Queue::Aged };
        self.order.push_oldest(group, queue, frame, 0);
        self.claims.hope(group);
    }

    /// The frame whose page should go next. It is off the queues, and its page is remembered as a ghost. None if there is no
    /// such frame among those looked at, or no sense in looking; each look takes one off `looks`.
    pub fn next_to_go(
        &mut self,
        need: Need,
        residents: &mut impl Residents,
        looks: &mut u32,
    ) -> Option<u32> {
        // Where the last page looked at could not go: the other queue is tried next, or one full of such pages would be in the
        // way of all.
        let mut stuck: Option<Left> = None;
        while *looks > 0 {
            let payers = self.claims.payers(need, &self.order);
            if payers.is_empty() {
                return None;
            }
            *looks -= 1;
            if let Some(group) = payers.into_iter().max_by_key(|group| self.in_probation(*group)) {
                self.age(group, residents);
            }
            let (group, left) = self.choose(payers, stuck.take())?;
            let queue = if left == Left::Probation { Queue::Aged } else { Queue::Main };
            let frame = self.order.pop_oldest(group, queue)?;
            let lives = self.order.lives(frame);
            let touched = residents.take_touched(frame);
            self.claims.looked_in_vain(group);
            match queue {
                Queue::Main if touched => {
                    self.order.push_newest(group, queue, frame, (lives + 1).min(LIVES));
                }
                _ if touched => self.order.push_newest(group, Queue::Main, frame, 0),
                _ if lives > 0 => self.order.push_newest(group, queue, frame, lives - 1),
                _ if !residents.can_go(frame) => {
                    // From the end of probation it begins anew, or those behind it would never come to its end.
                    let queue = if queue == Queue::Main { queue } else { Queue::Fresh };
                    self.order.push_newest(group, queue, frame, 0);
                    stuck = Some(left);
                }
                _ => {
                    // What suspended groups had is remembered otherwise, and says nothing of this order.
                    if !self.claims.is_suspended(group) {
                        self.ghosts.remember(residents.page(frame), left);
                    }
                    self.claims.hope(group);
                    return Some(frame);
                }
            }
        }
        None
    }

    /// Out of whose probation, or main queue, a page is looked at next. Their oldest half of probation is not empty if their
    /// probation is not: `age` has seen to that in the longest.
    fn choose(&self, payers: Groups, stuck: Option<Left>) -> Option<(Group, Left)> {
        let main = |group: Group| self.order.length(group, Queue::Main);
        let (mut probations, mut mains) = (0, 0);
        for group in payers {
            probations += self.in_probation(group);
            mains += main(group);
        }
        let from_probation = match stuck {
            Some(left) => left == Left::Main,
            // Who pays has its part of probation.
            None => {
                let part = u64::from(self.probation) * u64::from(probations + mains);
                u64::from(probations) * u64::from(self.len()) > part
            }
        };
        if probations > 0 && (from_probation || mains == 0) {
            let longest = payers.into_iter().max_by_key(|group| self.in_probation(*group));
            longest.map(|group| (group, Left::Probation))
        } else {
            let has_main = |group| main(group) > 0;
            let farthest = self.claims.farthest(payers, &self.order, has_main);
            farthest.map(|group| (group, Left::Main))
        }
    }

    /// Moves what has been in probation for half of its length on: who was touched by now was so for its arrival.
    fn age(&mut self, group: Group, residents: &mut impl Residents) {
        for _ in 0..2 {
            if self.order.length(group, Queue::Fresh) <= self.in_probation(group) / 2 {
                return;
            }
            let Some(frame) = self.order.pop_oldest(group, Queue::Fresh) else { return };
            let lives = if residents.take_touched(frame) { 0 } else { self.order.lives(frame) };
            self.order.push_newest(group, Queue::Aged, frame, lives);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Nothing is touched; frames below `held` cannot go.
    struct Held(u32);

    impl Residents for Held {
        fn page(&self, frame: u32) -> u32 {
            frame
        }

        fn take_touched(&mut self, _frame: u32) -> bool {
            false
        }

        fn can_go(&mut self, frame: u32) -> bool {
            frame >= self.0
        }
    }

    fn full(frames: u32) -> Replacement {
        let mut replacement = Replacement::new(frames);
        (0..frames).for_each(|frame| replacement.arrived(frame, frame, Group::new(1)));
        replacement
    }

    #[test]
    fn what_cannot_go_stays_and_is_in_nobodys_way() {
        let mut replacement = full(100);
        let mut gone: Vec<u32> = (0..40)
            .map(|_| {
                replacement.next_to_go(Need::Frame, &mut Held(60), &mut 400).expect("forty can go")
            })
            .collect();
        gone.sort_unstable();
        assert_eq!(gone, (60..100).collect::<Vec<_>>());
        let mut looks = 1000;
        assert_eq!(replacement.next_to_go(Need::Frame, &mut Held(60), &mut looks), None);
        assert!(looks > 0 && replacement.len() == 60, "it gave up, and forgot nobody: {looks}");
        assert!(replacement.is_in_vain(Need::Frame));
        assert_eq!(replacement.next_to_go(Need::Frame, &mut Held(0), &mut looks), None);
        replacement.hope();
        assert!(replacement.next_to_go(Need::Frame, &mut Held(0), &mut looks).is_some());
    }

    #[test]
    fn a_page_that_nobody_has_come_for_yet_is_passed_over_once() {
        let mut replacement = full(4);
        let mut looks = 2;
        assert_eq!(
            replacement.next_to_go(Need::Frame, &mut Held(0), &mut looks),
            None,
            "two of two"
        );
        looks = 1;
        assert!(replacement.next_to_go(Need::Frame, &mut Held(0), &mut looks).is_some());
    }

    #[test]
    fn a_page_that_moved_is_the_one_in_its_new_frame() {
        let mut replacement = full(4);
        let first = replacement.next_to_go(Need::Frame, &mut Held(0), &mut 8).expect("one");
        let second = replacement.next_to_go(Need::Frame, &mut Held(0), &mut 8).expect("another");
        let mut replacement = full(4);
        assert_eq!(replacement.next_to_go(Need::Frame, &mut Held(0), &mut 8), Some(first));
        replacement.moved(second, first);
        assert_eq!(replacement.next_to_go(Need::Frame, &mut Held(0), &mut 8), Some(first));
        assert_eq!(replacement.len(), 2);
    }
}
