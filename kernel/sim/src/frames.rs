//! The content of frames on the host. Frames are born as garbage: a policy that forgets to zero or fill one is noticed.

use crate::Random;
use revenant_hal::{FrameIndex, FrameMemory, PageBytes};

/// A pool of frames in host memory.
#[derive(Clone)]
pub struct SimFrames {
    frames: Vec<PageBytes>,
}

impl SimFrames {
    /// `count` frames of garbage that depends on the seed.
    #[must_use]
    pub fn new(count: u32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let frames = (0..count)
            .map(|_| {
                let mut page = PageBytes::ZERO;
                random.fill(&mut page.0);
                page
            })
            .collect();
        Self { frames }
    }
}

impl FrameMemory for SimFrames {
    fn frame_count(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    fn bytes(&self, frame: FrameIndex) -> &PageBytes {
        &self.frames[frame.0 as usize]
    }

    fn bytes_mut(&mut self, frame: FrameIndex) -> &mut PageBytes {
        &mut self.frames[frame.0 as usize]
    }

    fn copy(&mut self, source: FrameIndex, target: FrameIndex) {
        assert_ne!(source, target, "a frame is not copied onto itself");
        let (low, high) = (source.min(target).0 as usize, source.max(target).0 as usize);
        let (head, tail) = self.frames.split_at_mut(high);
        if source < target {
            tail[0].0.copy_from_slice(&head[low].0);
        } else {
            head[low].0.copy_from_slice(&tail[0].0);
        }
    }

    fn zero(&mut self, frame: FrameIndex) {
        self.bytes_mut(frame).0.fill(0);
    }
}

/// A pool without frames, for users of a disk that bring only buffers of their own.
#[derive(Clone, Copy, Debug)]
pub struct NoFrames;

impl FrameMemory for NoFrames {
    fn frame_count(&self) -> u32 {
        0
    }

    fn bytes(&self, frame: FrameIndex) -> &PageBytes {
        panic!("{frame:?} of an empty pool")
    }

    fn bytes_mut(&mut self, frame: FrameIndex) -> &mut PageBytes {
        panic!("{frame:?} of an empty pool")
    }

    fn copy(&mut self, source: FrameIndex, _target: FrameIndex) {
        panic!("{source:?} of an empty pool")
    }

    fn zero(&mut self, frame: FrameIndex) {
        panic!("{frame:?} of an empty pool")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_born_as_garbage_and_copied_both_ways() {
        let mut frames = SimFrames::new(3, 1);
        assert_ne!(frames.bytes(FrameIndex(0)).0, frames.bytes(FrameIndex(2)).0);
        frames.zero(FrameIndex(2));
        frames.copy(FrameIndex(2), FrameIndex(0));
        assert_eq!(frames.bytes(FrameIndex(0)).0, [0; 4096]);
        frames.bytes_mut(FrameIndex(0)).0[5] = 9;
        frames.copy(FrameIndex(0), FrameIndex(1));
        assert_eq!(frames.bytes(FrameIndex(1)).0[5], 9);
    }
}
