//! Who is at work in an attempt, kept where an attempt that is abandoned at any access finds it again.

use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};

/// Who was at work when an attempt was abandoned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Activity {
    /// The scheduler, or a system step.
    System,
    /// The scheduler, waking whose time has come: what this waits for holds nobody else up.
    Timers,
    /// The scheduler, visiting all threads: likewise.
    Round,
    /// The scheduler, judging a page that cannot be read. Whoever waits for that page waits on meanwhile.
    Judgement,
    /// The sweep of what a mark has found: likewise.
    Sweep,
    /// Keeping the account of a collection, or what one has found: likewise.
    Account,
    /// A thread's slice.
    Thread(u64),
}

/// No threads' addresses.
const TIMERS: u64 = 1;
const ROUND: u64 = 2;
const JUDGEMENT: u64 = 3;
const SWEEP: u64 = 4;
const ACCOUNT: u64 = 5;

/// Who is at work now: 0, one of these, or the thread's address. An attempt may be abandoned at any access to object space, which the compiler
/// does not know: to it, a plain store before a slice is dead if another follows the slice, and it leaves it out. So this is an
/// atomic, with a fence behind.
#[derive(Default, Debug)]
pub(super) struct CurrentActivity(AtomicU64);

impl CurrentActivity {
    pub(super) fn set(&self, activity: Activity) {
        let number = match activity {
            Activity::System => 0,
            Activity::Timers => TIMERS,
            Activity::Round => ROUND,
            Activity::Judgement => JUDGEMENT,
            Activity::Sweep => SWEEP,
            Activity::Account => ACCOUNT,
            Activity::Thread(thread) => thread,
        };
        self.0.store(number, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    pub(super) fn get(&self) -> Activity {
        match self.0.load(Ordering::Relaxed) {
            0 => Activity::System,
            TIMERS => Activity::Timers,
            ROUND => Activity::Round,
            JUDGEMENT => Activity::Judgement,
            SWEEP => Activity::Sweep,
            ACCOUNT => Activity::Account,
            thread => Activity::Thread(thread),
        }
    }
}
