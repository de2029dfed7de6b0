//! The three queues of each group through which resident pages go, by frame: ten bytes a frame, every operation constant in time.

use super::groups::{Group, Groups};
use alloc::vec::Vec;

const NONE: u32 = u32::MAX;
const QUEUES: usize = 3;
/// The mark of a frame on no queue.
const NOWHERE: u16 = 3;
const LIVES_SHIFT: u32 = 2;
const LIVES_MASK: u16 = 3;
const GROUP_SHIFT: u32 = 4;

/// Where a page stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub(super) enum Queue {
    /// The newer half of probation.
    Fresh = 0,
    /// The older half of probation: touches right after the arrival no longer count.
    Aged = 1,
    /// Pages that were touched again.
    Main = 2,
}

const ALL: [Queue; QUEUES] = [Queue::Fresh, Queue::Aged, Queue::Main];

#[derive(Clone, Copy)]
struct Node {
    newer: u32,
    older: u32,
}

#[derive(Clone, Copy)]
struct Ends {
    oldest: u32,
    newest: u32,
    length: u32,
}

/// The queues. A frame stands on at most one.
pub(super) struct Order {
    nodes: Vec<Node>,
    /// The queue in the lowest two bits, the lives in two above, then the group.
    marks: Vec<u16>,
    ends: Vec<[Ends; QUEUES]>,
    /// Frames on any queue of each group, and of all.
    lengths: Vec<u32>,
    total: u32,
    /// Groups that have any, and how many they are: asked at each look.
    present: Groups,
    groups: u32,
}

impl Order {
    pub(super) fn new(frames: u32) -> Self {
        let node = Node { newer: NONE, older: NONE };
        let ends = Ends { oldest: NONE, newest: NONE, length: 0 };
        Self {
            nodes: alloc::vec![node; frames as usize],
            marks: alloc::vec![NOWHERE; frames as usize],
            ends: alloc::vec![[ends; QUEUES]; Group::COUNT],
            lengths: alloc::vec![0; Group::COUNT],
            total: 0,
            present: Groups::NONE,
            groups: 0,
        }
    }

    /// Frames on any queue.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// Frames on any queue of a group.
    pub(super) fn of_group(&self, group: Group) -> u32 {
        self.lengths[group.place()]
    }

    /// Groups that have frames on a queue.
    pub(super) fn present(&self) -> Groups {
        self.present
    }

    /// How many they are.
    pub(super) fn groups(&self) -> u32 {
        self.groups
    }

    fn count(&mut self, group: Group, more: bool) {
        let length = &mut self.lengths[group.place()];
        (*length, self.total) =
            if more { (*length + 1, self.total + 1) } else { (*length - 1, self.total - 1) };
        // The first has come, or the last is gone.
        if *length == u32::from(more) {
            self.present.set(group, more);
            self.groups = if more { self.groups + 1 } else { self.groups - 1 };
        }
    }

    pub(super) fn length(&self, group: Group, queue: Queue) -> u32 {
        self.ends[group.place()][queue as usize].length
    }

    /// The group of the page in a frame. Kept when the frame leaves its queue.
    pub(super) fn group(&self, frame: u32) -> Group {
        Group::new(u32::from(self.marks[frame as usize] >> GROUP_SHIFT))
    }

    pub(super) fn queue_of(&self, frame: u32) -> Option<Queue> {
        ALL.get(usize::from(self.marks[frame as usize] & NOWHERE)).copied()
    }

    /// How often the frame's page may still be passed over without a touch. Kept when the frame leaves its queue.
    pub(super) fn lives(&self, frame: u32) -> u16 {
        self.marks[frame as usize] >> LIVES_SHIFT & LIVES_MASK
    }

    pub(super) fn push_newest(&mut self, group: Group, queue: Queue, frame: u32, lives: u16) {
        assert!(self.queue_of(frame).is_none(), "frame {frame} stands on a queue already");
        let ends = &mut self.ends[group.place()][queue as usize];
        let older = core::mem::replace(&mut ends.newest, frame);
        ends.length += 1;
        if older == NONE {
            ends.oldest = frame;
        } else {
            self.nodes[older as usize].newer = frame;
        }
        self.nodes[frame as usize] = Node { newer: NONE, older };
        self.count(group, true);
        self.marks[frame as usize] = queue as u16 | lives << LIVES_SHIFT | group.0 << GROUP_SHIFT;
    }

    pub(super) fn push_oldest(&mut self, group: Group, queue: Queue, frame: u32, lives: u16) {
        assert!(self.queue_of(frame).is_none(), "frame {frame} stands on a queue already");
        let ends = &mut self.ends[group.place()][queue as usize];
        let newer = core::mem::replace(&mut ends.oldest, frame);
        ends.length += 1;
        if newer == NONE {
            ends.newest = frame;
        } else {
            self.nodes[newer as usize].older = frame;
        }
        self.nodes[frame as usize] = Node { newer, older: NONE };
        self.count(group, true);
        self.marks[frame as usize] = queue as u16 | lives << LIVES_SHIFT | group.0 << GROUP_SHIFT;
    }

    pub(super) fn pop_oldest(&mut self, group: Group, queue: Queue) -> Option<u32> {
        let ends = &mut self.ends[group.place()][queue as usize];
        let frame = ends.oldest;
        if frame == NONE {
            return None;
        }
        let newer = self.nodes[frame as usize].newer;
        ends.oldest = newer;
        ends.length -= 1;
        if newer == NONE {
            ends.newest = NONE;
        } else {
            self.nodes[newer as usize].older = NONE;
        }
        self.count(group, false);
        self.marks[frame as usize] |= NOWHERE; // lives and group stay readable
        Some(frame)
    }

    /// Takes a frame off its queue, if it stands on one.
    pub(super) fn remove(&mut self, frame: u32) {
        let Some(queue) = self.queue_of(frame) else { return };
        let Node { newer, older } = self.nodes[frame as usize];
        let place = self.group(frame).place();
        let ends = &mut self.ends[place][queue as usize];
        ends.length -= 1;
        match older {
            NONE => ends.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
        match newer {
            NONE => ends.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        self.count(self.group(frame), false);
        self.marks[frame as usize] |= NOWHERE;
    }

    /// Puts `new` in the place of `old`, lives and group included; nothing if `old` stands on no queue.
    pub(super) fn exchange(&mut self, old: u32, new: u32) {
        let Some(queue) = self.queue_of(old) else { return };
        assert!(self.queue_of(new).is_none(), "frame {new} stands on a queue already");
        let node = self.nodes[old as usize];
        let place = self.group(old).place();
        let ends = &mut self.ends[place][queue as usize];
        match node.older {
            NONE => ends.oldest = new,
            older => self.nodes[older as usize].newer = new,
        }
        match node.newer {
            NONE => ends.newest = new,
            newer => self.nodes[newer as usize].older = new,
        }
        self.nodes[new as usize] = node;
        self.marks[new as usize] = core::mem::replace(&mut self.marks[old as usize], NOWHERE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Group = Group(1);

    fn drain(order: &mut Order, queue: Queue) -> Vec<u32> {
        core::iter::from_fn(|| order.pop_oldest(ONE, queue)).collect()
    }

    #[test]
    fn who_comes_first_goes_first_and_an_exchange_keeps_the_place() {
        let mut order = Order::new(8);
        for frame in 0..4 {
            order.push_newest(ONE, Queue::Main, frame, 1);
        }
        order.exchange(0, 5);
        order.exchange(2, 6);
        order.exchange(3, 7);
        order.exchange(4, 0);
        assert_eq!((order.queue_of(0), order.queue_of(6)), (None, Some(Queue::Main)));
        assert_eq!((order.lives(6), order.length(ONE, Queue::Main)), (1, 4));
        assert_eq!(drain(&mut order, Queue::Main), [5, 1, 6, 7]);
        assert_eq!((order.length(ONE, Queue::Main), order.queue_of(7)), (0, None));
        order.push_newest(ONE, Queue::Aged, 7, 0);
        assert_eq!(drain(&mut order, Queue::Aged), [7]);
    }

    #[test]
    fn each_group_has_queues_of_its_own() {
        let mut order = Order::new(4);
        let last = Group::new(u32::MAX);
        order.push_newest(ONE, Queue::Main, 0, 3);
        order.push_newest(last, Queue::Main, 1, 0);
        order.exchange(1, 2);
        assert_eq!((order.group(2), order.group(0), order.lives(0)), (last, ONE, 3));
        assert_eq!((order.groups(), order.present().contains(last)), (2, true));
        order.remove(2);
        assert_eq!((order.length(last, Queue::Main), order.length(ONE, Queue::Main)), (0, 1));
        assert_eq!((order.groups(), order.present().contains(last)), (1, false));
        assert_eq!((order.group(2), order.queue_of(2)), (last, None));
    }

    #[test]
    fn who_is_taken_off_leaves_the_others_in_their_order() {
        for gone in 0..3 {
            let mut order = Order::new(4);
            (0..3).for_each(|frame| order.push_newest(ONE, Queue::Fresh, frame, 2));
            order.remove(gone);
            order.remove(3);
            assert_eq!((order.queue_of(gone), order.length(ONE, Queue::Fresh)), (None, 2));
            order.push_newest(ONE, Queue::Fresh, gone, 0);
            order.push_oldest(ONE, Queue::Fresh, 3, 0);
            let rest = (0..3).filter(|frame| *frame != gone).chain([gone]);
            assert_eq!(
                drain(&mut order, Queue::Fresh),
                [3].into_iter().chain(rest).collect::<Vec<_>>()
            );
            order.push_oldest(ONE, Queue::Fresh, 1, 0);
            order.push_newest(ONE, Queue::Fresh, 2, 0);
            assert_eq!(drain(&mut order, Queue::Fresh), [1, 2]);
        }
    }
}
