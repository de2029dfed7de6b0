//! Frames on the host: a few pages of memory through which pages travel to and from an image.

use revenant_hal::{FrameIndex, FrameMemory, PageBytes};

/// A pool of frames on the heap.
#[derive(Debug)]
pub struct HostFrames {
    frames: Vec<PageBytes>,
}

impl HostFrames {
    /// `count` frames of zeros.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self { frames: (0..count).map(|_| PageBytes::ZERO).collect() }
    }
}

impl FrameMemory for HostFrames {
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
        self.frames[target.0 as usize] = self.frames[source.0 as usize].clone();
    }

    fn zero(&mut self, frame: FrameIndex) {
        self.frames[frame.0 as usize].0.fill(0);
    }
}
