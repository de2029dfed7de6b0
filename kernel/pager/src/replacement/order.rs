//! The three queues through which resident pages go, by frame: nine bytes a frame, every operation constant in time.

use alloc::vec::Vec;

const NONE: u32 = u32::MAX;
const QUEUES: usize = 3;
/// The mark of a frame on no queue.
const NOWHERE: u8 = 3;
const LIVES_SHIFT: u32 = 2;

/// Where a page stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
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
    /// The queue in the lowest two bits, the lives above.
    marks: Vec<u8>,
    ends: [Ends; QUEUES],
}

impl Order {
    pub(super) fn new(frames: u32) -> Self {
        let node = Node { newer: NONE, older: NONE };
        let ends = Ends { oldest: NONE, newest: NONE, length: 0 };
        Self {
            nodes: alloc::vec![node; frames as usize],
            marks: alloc::vec![NOWHERE; frames as usize],
            ends: [ends; QUEUES],
        }
    }

    pub(super) fn length(&self, queue: Queue) -> u32 {
        self.ends[queue as usize].length
    }

    pub(super) fn queue_of(&self, frame: u32) -> Option<Queue> {
        ALL.get(usize::from(self.marks[frame as usize] & NOWHERE)).copied()
    }

    /// How often the frame's page may still be passed over without a touch. Kept when the frame leaves its queue.
    pub(super) fn lives(&self, frame: u32) -> u8 {
        self.marks[frame as usize] >> LIVES_SHIFT
    }

    pub(super) fn push_newest(&mut self, queue: Queue, frame: u32, lives: u8) {
        assert!(self.queue_of(frame).is_none(), "frame {frame} stands on a queue already");
        let ends = &mut self.ends[queue as usize];
        let older = core::mem::replace(&mut ends.newest, frame);
        ends.length += 1;
        if older == NONE {
            ends.oldest = frame;
        } else {
            self.nodes[older as usize].newer = frame;
        }
        self.nodes[frame as usize] = Node { newer: NONE, older };
        self.marks[frame as usize] = queue as u8 | lives << LIVES_SHIFT;
    }

    pub(super) fn pop_oldest(&mut self, queue: Queue) -> Option<u32> {
        let ends = &mut self.ends[queue as usize];
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
        self.marks[frame as usize] |= NOWHERE; // the lives stay readable
        Some(frame)
    }

    /// Takes a frame off its queue, if it stands on one.
    pub(super) fn remove(&mut self, frame: u32) {
        let Some(queue) = self.queue_of(frame) else { return };
        let Node { newer, older } = self.nodes[frame as usize];
        let ends = &mut self.ends[queue as usize];
        ends.length -= 1;
        match older {
            NONE => ends.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
        let ends = &mut self.ends[queue as usize];
        match newer {
            NONE => ends.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        self.marks[frame as usize] |= NOWHERE;
    }

    /// Puts `new` in the place of `old`, lives included; nothing if `old` stands on no queue.
    pub(super) fn exchange(&mut self, old: u32, new: u32) {
        let Some(queue) = self.queue_of(old) else { return };
        assert!(self.queue_of(new).is_none(), "frame {new} stands on a queue already");
        let node = self.nodes[old as usize];
        let ends = &mut self.ends[queue as usize];
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

    fn drain(order: &mut Order, queue: Queue) -> Vec<u32> {
        core::iter::from_fn(|| order.pop_oldest(queue)).collect()
    }

    #[test]
    fn who_comes_first_goes_first_and_an_exchange_keeps_the_place() {
        let mut order = Order::new(8);
        for frame in 0..4 {
            order.push_newest(Queue::Main, frame, 1);
        }
        order.exchange(0, 5);
        order.exchange(2, 6);
        order.exchange(3, 7);
        order.exchange(4, 0);
        assert_eq!((order.queue_of(0), order.queue_of(6)), (None, Some(Queue::Main)));
        assert_eq!((order.lives(6), order.length(Queue::Main)), (1, 4));
        assert_eq!(drain(&mut order, Queue::Main), [5, 1, 6, 7]);
        assert_eq!((order.length(Queue::Main), order.queue_of(7)), (0, None));
        order.push_newest(Queue::Aged, 7, 0);
        assert_eq!(drain(&mut order, Queue::Aged), [7]);
    }

    #[test]
    fn who_is_taken_off_leaves_the_others_in_their_order() {
        for gone in 0..3 {
            let mut order = Order::new(4);
            (0..3).for_each(|frame| order.push_newest(Queue::Fresh, frame, 2));
            order.remove(gone);
            order.remove(3);
            assert_eq!((order.queue_of(gone), order.length(Queue::Fresh)), (None, 2));
            order.push_newest(Queue::Fresh, gone, 0);
            let rest = (0..3).filter(|frame| *frame != gone).chain([gone]);
            assert_eq!(drain(&mut order, Queue::Fresh), rest.collect::<Vec<_>>());
        }
    }
}
