//! Who runs next: the run queue, FIFOs of waiting threads, the heap of deadlines. All of it in object space.
//!
//! A thread stands in at most one list at a time, linked by its own two words; the lists hold raw addresses, because the thread
//! table keeps threads alive. A wait is completed by its waker in one step: it leaves its FIFO and the deadlines, its result is
//! written, its position moves past the wait, it enters the run queue. Each function here is one step, or says otherwise.
//! Neighbours: `thread` (states, results), `natives` (what parks), `system` (picks).

pub(crate) mod queue;
pub(crate) mod timers;

use revenant_hal::ObjectAddress;

use crate::memory::layout::area;
use crate::memory::layout::system::scheduler::{RUN_COUNT, RUN_HEAD};

/// A word of the scheduler page.
pub(crate) const fn word(offset: u64) -> ObjectAddress {
    ObjectAddress(area::SCHEDULER + offset)
}

/// The run queue.
pub(crate) const RUN_QUEUE: queue::Queue = queue::Queue::new(word(RUN_HEAD));

/// How many threads stand in the run queue.
pub(crate) const RUN_LENGTH: ObjectAddress = word(RUN_COUNT);
