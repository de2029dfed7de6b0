//! What natives have answered, for the tests that hold the code against the table: which of them ran, waited, went in steps and
//! threw what. Present only on the host with debug assertions; elsewhere it vanishes.

#[cfg(not(all(feature = "host", debug_assertions)))]
pub(super) use absent::note;
#[cfg(all(feature = "host", debug_assertions))]
pub(super) use present::note;
#[cfg(all(feature = "host", debug_assertions))]
pub use present::{Answer, NativeAnswers};

#[cfg(not(all(feature = "host", debug_assertions)))]
mod absent {
    use crate::thread::NativeResult;
    use revenant_bytecode::Native;

    #[inline(always)]
    pub(in crate::natives) const fn note(_: Native, _: &NativeResult) {}
}

#[cfg(all(feature = "host", debug_assertions))]
mod present {
    use alloc::collections::BTreeSet;
    use core::cell::RefCell;
    use std::thread_local;

    use revenant_bytecode::{Builtin, Native};

    use crate::thread::{NativeResult, Outcome};

    /// How a call of a native came out.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    pub enum Answer {
        /// It is done.
        Done,
        /// A step of it has happened.
        Again,
        /// The thread waits.
        Parked,
        /// It threw, at once or at the end of its wait.
        Throws(Builtin),
    }

    /// The answers of natives on this thread of the host.
    #[derive(Clone, Copy, Debug)]
    pub struct NativeAnswers;

    thread_local! {
        static SEEN: RefCell<BTreeSet<(Native, Answer)>> = const { RefCell::new(BTreeSet::new()) };
    }

    impl NativeAnswers {
        /// Every answer that was given since the last call, once.
        #[must_use]
        pub fn take() -> BTreeSet<(Native, Answer)> {
            SEEN.take()
        }
    }

    pub(in crate::natives) fn note(native: Native, result: &NativeResult) {
        let answer = match result {
            Ok(Outcome::Done | Outcome::Yield) => Answer::Done,
            Ok(Outcome::Again) => Answer::Again,
            Ok(Outcome::Parked) => Answer::Parked,
            Err(thrown) => match thrown.class() {
                Some(class) => Answer::Throws(class),
                None => return,
            },
        };
        SEEN.with_borrow_mut(|seen| seen.insert((native, answer)));
    }
}
