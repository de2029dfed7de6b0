//! Queues of pages by index: a page stands on at most one. The tool of the named policies.

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    newer: u32,
    older: u32,
    on: Option<u8>,
}

#[derive(Clone, Copy)]
struct Ends {
    oldest: u32,
    newest: u32,
    length: u32,
}

/// The queues.
pub(super) struct Queues {
    nodes: Vec<Node>,
    ends: Vec<Ends>,
}

impl Queues {
    /// Empty queues for pages below `pages`.
    pub(super) fn new(pages: u32, queues: usize) -> Self {
        let node = Node { newer: NONE, older: NONE, on: None };
        let ends = Ends { oldest: NONE, newest: NONE, length: 0 };
        Self { nodes: vec![node; pages as usize], ends: vec![ends; queues] }
    }

    /// The queue that a page stands on.
    pub(super) fn queue_of(&self, page: u32) -> Option<u8> {
        self.nodes[page as usize].on
    }

    pub(super) fn length(&self, queue: u8) -> u32 {
        self.ends[queue as usize].length
    }

    pub(super) fn oldest(&self, queue: u8) -> Option<u32> {
        Some(self.ends[queue as usize].oldest).filter(|page| *page != NONE)
    }

    /// The page that came to its queue right after this one.
    pub(super) fn newer(&self, page: u32) -> Option<u32> {
        Some(self.nodes[page as usize].newer).filter(|page| *page != NONE)
    }

    pub(super) fn push_newest(&mut self, queue: u8, page: u32) {
        let ends = &mut self.ends[queue as usize];
        let older = core::mem::replace(&mut ends.newest, page);
        ends.length += 1;
        if older == NONE {
            ends.oldest = page;
        } else {
            self.nodes[older as usize].newer = page;
        }
        let node = &mut self.nodes[page as usize];
        assert!(node.on.is_none(), "page {page} stands on a queue already");
        *node = Node { newer: NONE, older, on: Some(queue) };
    }

    pub(super) fn remove(&mut self, page: u32) {
        let Node { newer, older, on } = self.nodes[page as usize];
        let queue = on.expect("the page stands on a queue");
        let ends = &mut self.ends[queue as usize];
        ends.length -= 1;
        match older {
            NONE => ends.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
        match newer {
            NONE => ends.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        self.nodes[page as usize].on = None;
    }

    pub(super) fn pop_oldest(&mut self, queue: u8) -> Option<u32> {
        let page = self.oldest(queue)?;
        self.remove(page);
        Some(page)
    }
}
