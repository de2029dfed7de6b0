//! The epitaph: what a kernel that fails leaves on the disk it ran from, and what the next start makes of it.
//!
//! A start counts as failed only by an epitaph; a power cut leaves none. One failure before anything newer became durable
//! would only be repeated: the next start goes back one snapshot at once. A state that runs for a while, becomes durable and fails
//! again and again is given up after some failures in a row: the start after them goes back to before the first of them. What was
//! gone back from stays as a branch.
//!
//! Neighbours: `guard` encodes it; the kernel writes it out of a panic; `open` goes back.

use crate::api::{OpenFrom, StoreId};
use alloc::string::String;
use revenant_hal::Epoch;

/// The last words of a kernel that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Epitaph {
    /// The store it ran from.
    pub store: StoreId,
    /// The snapshot that it had resumed.
    pub resumed: Epoch,
    /// The epoch that it was in.
    pub epoch: Epoch,
    /// How it stands with the failures before.
    pub failures: Failures,
    /// Reason and last events, as text.
    pub text: String,
}

/// Resumes in a row that ended in a recorded fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failures {
    /// How many, the last one included.
    pub count: u32,
    /// The snapshot that the first of them had resumed.
    pub first: Epoch,
}

impl Epitaph {
    /// What to open instead of the newest snapshot, which is `newest`: none if it deserves another try. `patience` is the number of
    /// failures in a row after which a state is given up that became durable in between; 0 for never.
    #[must_use]
    pub fn step_back(&self, newest: Epoch, patience: u32) -> Option<OpenFrom> {
        let Failures { count, first } = self.failures;
        if patience > 0 && count >= patience && first < newest {
            Some(OpenFrom::StepBackBefore { first })
        } else if self.resumed == newest {
            Some(OpenFrom::StepBack { failed: newest })
        } else {
            None
        }
    }

    /// What a failure of the kernel that opens after this one will be: the next in the row, unless it has stepped back.
    #[must_use]
    pub fn next_failure(before: Option<&Self>, stepped_back: bool, resumed: Epoch) -> Failures {
        match before {
            Some(epitaph) if !stepped_back => Failures {
                count: epitaph.failures.count.saturating_add(1),
                first: epitaph.failures.first,
            },
            _ => Failures { count: 1, first: resumed },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epitaph(resumed: u64, count: u32, first: u64) -> Epitaph {
        let failures = Failures { count, first: Epoch(first) };
        let (store, epoch) = (StoreId(1), Epoch(resumed + 1));
        Epitaph { store, resumed: Epoch(resumed), epoch, failures, text: String::new() }
    }

    #[test]
    fn a_state_that_failed_at_once_is_not_tried_again_and_one_that_got_on_a_few_times() {
        let back = |failed| Some(OpenFrom::StepBack { failed: Epoch(failed) });
        let before = |first| Some(OpenFrom::StepBackBefore { first: Epoch(first) });
        assert_eq!(epitaph(7, 1, 7).step_back(Epoch(7), 3), back(7));
        assert_eq!(epitaph(7, 1, 7).step_back(Epoch(9), 3), None);
        assert_eq!(epitaph(9, 2, 7).step_back(Epoch(12), 3), None);
        assert_eq!(epitaph(12, 3, 7).step_back(Epoch(14), 3), before(7));
        assert_eq!(epitaph(12, 3, 7).step_back(Epoch(14), 0), None, "never, if so wished");
        assert_eq!(epitaph(7, 5, 7).step_back(Epoch(7), 3), back(7), "nothing lies in between");
    }

    #[test]
    fn failures_are_counted_from_the_first_until_a_step_back() {
        let first = Epitaph::next_failure(None, false, Epoch(7));
        assert_eq!(first, Failures { count: 1, first: Epoch(7) });
        let before = epitaph(7, first.count, first.first.0);
        let second = Epitaph::next_failure(Some(&before), false, Epoch(9));
        assert_eq!(second, Failures { count: 2, first: Epoch(7) });
        let back = Epitaph::next_failure(Some(&before), true, Epoch(5));
        assert_eq!(back, Failures { count: 1, first: Epoch(5) });
    }
}
