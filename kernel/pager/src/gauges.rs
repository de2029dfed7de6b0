//! What the pager holds at one moment, beside its counters (`statistics`) and the states of frames (`FrameCounts`): for reports.

use crate::pager::Pager;
use crate::replacement::WorkingSet;
use alloc::vec::Vec;

/// Lists, reserves and what is under way; frames or pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gauges {
    /// Pages on their way from the disk.
    pub coming: usize,
    /// Resident pages that may go some time.
    pub replaceable: u32,
    /// Resident pages that were read ahead and that nobody is known to have touched.
    pub ahead: u32,
    /// Pages that cannot be read.
    pub unreadable: usize,
    /// Free frames that page tables alone may take.
    pub table_reserve: u32,
    /// Free frames above those that copies of frozen pages may take, too.
    pub copy_reserve: u32,
    /// Free frames above those that are kept so that whoever misses a page finds one.
    pub free_reserve: u32,
    /// The groups that have pages.
    pub working_sets: Vec<WorkingSet>,
}

impl Pager {
    /// The state of lists, reserves, page-ins and groups.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges {
            coming: self.pending.count(),
            replaceable: self.replacement.len(),
            ahead: self.ahead,
            unreadable: self.pending.damaged_pages().count(),
            table_reserve: self.options.table_reserve,
            copy_reserve: self.options.copy_reserve,
            free_reserve: self.options.free_reserve,
            working_sets: self.replacement.working_sets(),
        }
    }
}
