//! What a native operation sees of its caller: its window of registers, memory, and the cursor of a stepped operation.
//!
//! Arguments and results are numbered from 0, references and raws apart. Results are written last, after everything was
//! touched: a native that throws or whose attempt ends leaves its arguments as they are.

use revenant_hal::ObjectAddress;

use crate::heap::Allocator;
use crate::memory::Space;
use crate::memory::layout::thread::{NATIVE_PROGRESS, NATIVE_REFERENCE};

/// The caller of a native, for one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// The token for object space.
    pub(crate) space: Space,
    /// Who pays for allocations.
    pub(crate) allocator: Allocator,
    /// The calling thread.
    pub(crate) thread: ObjectAddress,
    /// Address of the first reference of the window.
    pub(crate) references: u64,
    /// Address of the first raw of the window.
    pub(crate) raws: u64,
}

impl Context {
    /// Reference argument `place`.
    pub(crate) fn reference(&self, place: u16) -> u64 {
        self.space.load(ObjectAddress(self.references + u64::from(place) * 8))
    }

    /// Reference argument `place` as an address.
    pub(crate) fn object(&self, place: u16) -> ObjectAddress {
        ObjectAddress(self.reference(place))
    }

    /// Raw argument `place`.
    pub(crate) fn raw(&self, place: u16) -> u64 {
        self.space.load(ObjectAddress(self.raws + u64::from(place) * 8))
    }

    /// Writes reference result `place`: a register of the running thread, not counted.
    pub(crate) fn set_reference(&self, place: u16, value: u64) {
        self.space.store_resident(ObjectAddress(self.references + u64::from(place) * 8), value);
    }

    /// Writes raw result `place`.
    pub(crate) fn set_raw(&self, place: u16, value: u64) {
        self.space.store_resident(ObjectAddress(self.raws + u64::from(place) * 8), value);
    }

    /// Where a stepped operation keeps an object between its steps: a counted slot of the thread, null when none is under way.
    pub(crate) const fn cursor_reference(&self) -> ObjectAddress {
        ObjectAddress(self.thread.0 + NATIVE_REFERENCE)
    }

    /// Where a stepped operation keeps its progress: two words of the thread, of any value when none is under way.
    pub(crate) const fn cursor_words(&self) -> ObjectAddress {
        ObjectAddress(self.thread.0 + NATIVE_PROGRESS)
    }

    /// Touches what [`Self::set_reference`] and [`Self::set_raw`] of the first two results change.
    pub(crate) fn touch_results(&self) {
        self.space.touch_write(ObjectAddress(self.references));
        self.space.touch_write(ObjectAddress(self.references + 8));
        self.space.touch_write(ObjectAddress(self.raws));
        self.space.touch_write(ObjectAddress(self.raws + 8));
    }
}
