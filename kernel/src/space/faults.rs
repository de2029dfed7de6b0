//! Page faults of slices, and pages that are brought before there is one.

use super::{ObjectSpace, with};
use core::sync::atomic::{AtomicU64, Ordering};
use revenant_hal::PageIndex;
use revenant_machine::attempt::FaultOutcome;
use revenant_machine::attention;
use revenant_pager::{Memory, Prefetch};

/// Faults served after which whoever runs gives way: a slice is measured in instructions of the program, and one that faults
/// at every store takes a hundred times as long as another.
const FAULTS_A_SLICE: u32 = 128;

static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Page faults served since the start, for whoever wants to know whether there was one meanwhile.
pub(crate) fn served() -> &'static AtomicU64 {
    &FAULTS
}

/// Called by the trap, on top of a slice.
pub(super) fn on_fault(page: PageIndex, write: bool) -> FaultOutcome {
    let outcome = with(|space| space.fault(page, write));
    if matches!(outcome, FaultOutcome::Served) {
        FAULTS.fetch_add(1, Ordering::Relaxed);
    }
    outcome
}

impl ObjectSpace {
    /// Serves a fault, or says that the attempt has to end.
    pub(crate) fn fault(&mut self, page: PageIndex, write: bool) -> FaultOutcome {
        let mut memory = Memory { mmu: &mut self.tables, frames: &mut self.frames };
        match self.pager.fault(page, write, &mut memory, &mut self.store) {
            revenant_pager::FaultOutcome::Served(_) => {
                self.served = self.served.wrapping_add(1);
                if self.served.is_multiple_of(FAULTS_A_SLICE) {
                    attention::raise();
                }
                FaultOutcome::Served
            }
            revenant_pager::FaultOutcome::Wait(_) => FaultOutcome::Wait,
            revenant_pager::FaultOutcome::Impossible(reason) => {
                self.impossible = Some((page, reason));
                FaultOutcome::Wait
            }
        }
    }

    /// Brings pages in that will be needed soon, as far as there is room.
    pub(crate) fn prefetch(&mut self, pages: &[PageIndex]) {
        let mut memory = Memory { mmu: &mut self.tables, frames: &mut self.frames };
        for page in pages {
            if self.pager.prefetch(*page, &mut memory, &mut self.store) == Prefetch::NoRoom {
                return;
            }
        }
    }
}
