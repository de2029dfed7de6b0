//! What the frame table remembers of pages that are written before their flip (`crate::cleaner`), and of those that looked settled
//! (`crate::settled`).

use super::{FLAG_SETTLED, FLAG_TOUCHED, FrameState, FrameTable, ListName};
use revenant_hal::FrameIndex;

impl FrameTable {
    /// A page of the running epoch was given to the store.
    pub(crate) fn begin_cleaning(&mut self, frame: FrameIndex) {
        self.set_state(frame, FrameState::Cleaning);
        self.push_back(ListName::Cleaning, frame);
    }

    /// The store is done with it. The state says still what became of it meanwhile.
    pub(crate) fn end_cleaning(&mut self, frame: FrameIndex) {
        self.remove(ListName::Cleaning, frame);
        if self.making.is_some_and(|making| self.stamp(frame) <= making) {
            self.cleaning_for_making -= 1;
        }
    }

    /// The page was touched; the bit in its entry says so no more.
    pub(crate) fn set_touched(&mut self, frame: FrameIndex) {
        self.record_mut(frame).flags |= FLAG_TOUCHED;
    }

    /// Whether that was noted; not said again.
    pub(crate) fn take_touched(&mut self, frame: FrameIndex) -> bool {
        self.take_flag(frame, FLAG_TOUCHED)
    }

    /// The page is given to the store because it looks settled.
    pub(crate) fn set_settled(&mut self, frame: FrameIndex) {
        self.record_mut(frame).flags |= FLAG_SETTLED;
    }

    /// Whether it was, and nothing has changed it since.
    pub(crate) fn is_settled(&self, frame: FrameIndex) -> bool {
        self.record(frame).flags & FLAG_SETTLED != 0
    }

    /// The same; from now on it is not.
    pub(crate) fn take_settled(&mut self, frame: FrameIndex) -> bool {
        self.take_flag(frame, FLAG_SETTLED)
    }

    fn take_flag(&mut self, frame: FrameIndex, flag: u32) -> bool {
        let flags = &mut self.record_mut(frame).flags;
        let set = *flags & flag != 0;
        *flags &= !flag;
        set
    }
}
