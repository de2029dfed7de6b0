//! Frames on paper, for the replacement policies: the pages in them, their accessed bits, and which may not go.

use revenant_pager::replacement::Residents;

/// What a policy sees of memory.
pub(crate) struct Memory {
    /// The page in each frame.
    pub(crate) pages: Vec<u32>,
    /// Touched since the policy has asked.
    pub(crate) touched: Vec<bool>,
    /// Cannot go.
    pub(crate) dirty: Vec<bool>,
}

impl Memory {
    /// So many frames with page 0.
    pub(crate) fn new(frames: u32) -> Self {
        let none = || vec![false; frames as usize];
        Self { pages: vec![0; frames as usize], touched: none(), dirty: none() }
    }
}

impl Residents for Memory {
    fn page(&self, frame: u32) -> u32 {
        self.pages[frame as usize]
    }

    fn take_touched(&mut self, frame: u32) -> bool {
        core::mem::take(&mut self.touched[frame as usize])
    }

    fn can_go(&mut self, frame: u32) -> bool {
        !self.dirty[frame as usize]
    }
}
