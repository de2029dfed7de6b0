//! What holds after every step: the rules of page tables by [`revenant_sim::SimMmu::check`], that the frame table knows what
//! devices do, and that its counts are right.

use super::{Backing, Outcome, World};
use revenant_hal::FrameIndex;
use revenant_pager::{FrameState, Planted};
use revenant_sim::{DeviceAccess, FrameRole};

impl<B: Backing> World<B> {
    /// The rules of page tables, and that the frame table knows what devices do.
    pub(crate) fn check(&self) -> Outcome {
        let devices = self.backing.frames_in_flight();
        for (frame, access) in &devices {
            let (state, page, _) = self.pager.frame(*frame);
            let known = match access {
                DeviceAccess::Reads => {
                    let frozen = matches!(state, FrameState::Writing | FrameState::SplitWriting);
                    frozen || matches!(state, FrameState::Cleaning | FrameState::SplitCleaning)
                }
                DeviceAccess::Fills => state == FrameState::Filling,
            };
            if !known {
                return Err(format!("{access:?} {frame:?} of {page:?}, which is {state:?}"));
            }
        }
        let role = |frame: FrameIndex| {
            let (state, page, stamp) = self.pager.frame(frame);
            match state {
                FrameState::Clean | FrameState::Cleaning => {
                    FrameRole::Page { page, dirty_epoch: None }
                }
                FrameState::Dirty | FrameState::Writing | FrameState::Written => {
                    FrameRole::Page { page, dirty_epoch: Some(stamp) }
                }
                FrameState::Table => FrameRole::Table { stamp },
                _ => FrameRole::Unreachable,
            }
        };
        self.mmu.check(self.epoch, &role, devices).map_err(|broken| broken.to_string())?;
        self.check_counts()
    }

    /// The counts that the pager keeps equal the frames counted.
    fn check_counts(&self) -> Outcome {
        let counts = self.pager.frame_counts();
        let mut by_state = [0u32; 16];
        for frame in 0..self.plan.frames {
            let (state, ..) = self.pager.frame(FrameIndex(frame));
            by_state[state as usize] += 1;
        }
        let count = |state: FrameState| by_state[state as usize];
        let expected = [
            (
                counts.resident(),
                u32::try_from(self.pager.resident_pages().count()).unwrap_or(u32::MAX),
            ),
            (counts.free, count(FrameState::Free)),
            (counts.filling, count(FrameState::Filling)),
            (counts.clean, count(FrameState::Clean)),
            (counts.written, count(FrameState::Written)),
            (counts.tables, count(FrameState::Table)),
            (
                counts.split,
                count(FrameState::SplitQueued)
                    + count(FrameState::SplitWriting)
                    + count(FrameState::SplitCleaning),
            ),
            (counts.cleaning, count(FrameState::Cleaning) + count(FrameState::SplitCleaning)),
            (counts.writing, count(FrameState::Writing) + count(FrameState::SplitWriting)),
        ];
        if self.planted == Planted::None && expected.iter().any(|(kept, real)| kept != real) {
            return Err(format!("counts {counts:?} but frames {by_state:?}"));
        }
        Ok(())
    }
}
