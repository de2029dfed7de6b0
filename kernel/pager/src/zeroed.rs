//! Zeros ahead of need: while nothing else is to be done, free frames are filled with zeros, and a page that comes into being
//! takes one of these, so that its fault does not pay for it. A quarter of such a fault went there.
//!
//! How many are wanted follows from what frames are taken for. Where pages only come from the disk and go, and none comes into
//! being, frames would be zeroed for the disk to overwrite, and whoever waits for it would wait for that.
//!
//! Invariant: a frame on the list of zeroed ones is written by nobody until it is taken off. Neighbours: `frame_table` has the
//! list; `fault` takes from it; the kernel's loop calls [`Pager::zero_ahead`] before it halts.

use crate::frame_table::ListName;
use crate::pager::Pager;
use crate::planted::Planted;
use revenant_hal::{FrameIndex, FrameMemory};

/// Frames zeroed in one call: some 20 microseconds on an emulator.
const FRAMES_A_CALL: u32 = 8;
/// At most one frame of so many is zeroed ahead.
const SHARE: u32 = 16;
/// And at most so many: 8 MiB.
const MOST: u32 = 2048;
/// Frames taken for other things that outweigh one that was taken for its zeros.
const WEIGHT_OF_ZEROS: u32 = 8;

impl Pager {
    /// Fills a few free frames with zeros; whether it did. For times in which there is nothing else to do.
    pub fn zero_ahead<F: FrameMemory>(&mut self, frames: &mut F) -> bool {
        let most = (self.frames.len() / SHARE).min(MOST);
        self.frames.zeros_wanted = self.frames.zeros_wanted.min(most);
        for done in 0..FRAMES_A_CALL {
            if self.frames.length(ListName::Zeroed) >= self.frames.zeros_wanted {
                return done > 0;
            }
            let Some(frame) = self.frames.pop_front(ListName::Free) else { return done > 0 };
            if self.planted != Planted::ReleasedFrameTakenForZeros {
                frames.zero(frame);
            }
            self.frames.push_back(ListName::Zeroed, frame);
        }
        true
    }

    /// Takes a frame of zeros: one that was zeroed ahead, or another, which is zeroed now.
    pub(crate) fn take_zeros<F: FrameMemory>(&mut self, frames: &mut F) -> Option<FrameIndex> {
        self.frames.zeros_wanted = self.frames.zeros_wanted.saturating_add(WEIGHT_OF_ZEROS);
        if let Some(frame) = self.frames.pop_front(ListName::Zeroed) {
            return Some(frame);
        }
        let frame = self.frames.pop_front(ListName::Free)?;
        frames.zero(frame);
        Some(frame)
    }
}
