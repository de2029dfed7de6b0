//! What turns and steps answer. Every decision that the caller has to take is in one of these values; nothing here acts.

use alloc::string::String;
use core::fmt;

use revenant_hal::{Epoch, Nanoseconds, PageIndex};

/// The number of a thread: unique on a disk for ever, dense enough to print.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadId(pub u64);

/// How far one turn may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TurnLimits {
    /// Polls (back edges, calls, slow paths of allocation) before the slice ends. With the same limits, the same
    /// environment and no attention, two machines execute the same instructions.
    pub polls: u32,
}

impl Default for TurnLimits {
    fn default() -> Self {
        Self { polls: 20_000 }
    }
}

/// What a turn did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Turn {
    /// A thread ran: its budget is spent, attention was raised, or it parked or ended. Ask again at once.
    Ran(ThreadId),
    /// A due timer or another small piece of scheduling was done. Ask again at once.
    Scheduled,
    /// Nothing can run before `deadline` (on [`super::Environment::monotonic`]); none: before input, a restart or a commit.
    Idle {
        /// When the first sleeper wakes.
        deadline: Option<Nanoseconds>,
    },
    /// Every runnable thread waits for a page that [`super::Vm::abandoned`] named, or its group is suspended.
    Waiting,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// `main` returned this.
    Returned(u64),
    /// `main` ended with an exception nobody caught; its text is on the console.
    Uncaught,
    /// The thread's frames or its object could not be read.
    Damaged,
}

/// Work for the scheduler, done between turns, each call bounded and in an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemStep {
    /// Closes the open batch of zero counts and starts a grace, if none is under way.
    BeginGrace,
    /// Scans or frees a bounded number of entries of the grace under way.
    ContinueGrace,
    /// Discards a bounded number of pages that are free, as far as there is room to note that before the next snapshot.
    Discard,
    /// Completes the `commit()` waits up to this epoch: its snapshot is durable.
    CommitDurable(Epoch),
    /// Throws `SnapshotFailedException` in the `commit()` waits up to this epoch: its snapshot was given up.
    CommitFailed(Epoch),
    /// Announces a restart, once after [`super::Vm::resume`]: new restart generation, the restart event fires, `commit()`
    /// waits up to the resumed epoch are complete, the console marks the place.
    Restarted {
        /// The epoch of the snapshot that was resumed.
        resumed: Epoch,
    },
    /// Saves the machine clock. In the stop, just before the flip.
    SaveClock,
}

impl SystemStep {
    /// Whether it is part of what goes before a flip and can go on after it, or after the next start, as well.
    #[must_use]
    pub const fn is_grace(&self) -> bool {
        matches!(self, Self::BeginGrace | Self::ContinueGrace | Self::Discard)
    }
}

/// Whether a system step has more to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum StepOutcome {
    /// Call again.
    More,
    /// Nothing is left.
    Done,
}

/// What a page that cannot be read meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum PageVerdict {
    /// Nobody waited for it.
    Unused,
    /// The thread gets an exception that names the object.
    Thrown(ThreadId),
    /// It held the thread itself or its frames: the thread is parked as damaged.
    ThreadDamaged(ThreadId),
    /// It held the metadata of a block: nothing in the block is freed or allocated any more.
    BlockStuck,
    /// It held what nothing runs without: step back to an older snapshot.
    StepBack,
}

/// What programs asked of the kernel since the last call of [`super::Vm::take_requests`]. Volatile: asked again after a restart
/// where it matters, because the waits themselves are persistent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requests {
    /// A thread waits for a commit of this epoch: take a snapshot soon.
    pub commit: Option<Epoch>,
    /// The console ring holds bytes to send.
    pub console_output: bool,
    /// A batch of zero counts has grown large: run a grace.
    pub grace: bool,
    /// The first program has ended (also reported after a resume in which it had ended before).
    pub main_ended: Option<ExitStatus>,
    /// Bytes of console input that were dropped since, for want of a reader.
    pub console_input_lost: u64,
}

/// A thread's own count of its work, as the outside witness reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WitnessRecord {
    /// Which thread.
    pub thread: ThreadId,
    /// The last step that the thread reported.
    pub steps: u64,
}

/// Why an object space cannot be resumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResumeError {
    /// There is no root object: the space is empty or not ours.
    NoRoot,
    /// The root was made by a layout that this version does not know.
    Version {
        /// What the root says.
        found: u32,
        /// What this version writes.
        known: u32,
    },
    /// A field of the root holds what it never can.
    Damaged {
        /// Which one.
        field: &'static str,
    },
}

impl fmt::Display for ResumeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoot => {
                formatter.write_str("object space has no root: it is empty or not ours")
            }
            Self::Version { found, known } => {
                write!(formatter, "object space has layout {found}, this kernel knows {known}")
            }
            Self::Damaged { field } => write!(formatter, "the root object is damaged: {field}"),
        }
    }
}

/// Why an initial object space could not be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CreationError {
    /// A module does not decode, verify or link; nothing of it was loaded.
    Module {
        /// Which of [`super::Creation::modules`], from 0.
        index: usize,
        /// Function, instruction and reason.
        reason: String,
    },
    /// No module exports `main`, or its signature is not that of a main function.
    NoMain,
    /// Object space is too small for what was asked.
    OutOfMemory,
}

impl fmt::Display for CreationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module { index, reason } => write!(formatter, "module {index}: {reason}"),
            Self::NoMain => formatter.write_str("no module exports a function main(Environment)"),
            Self::OutOfMemory => formatter.write_str("object space is too small"),
        }
    }
}

/// Why [`super::Vm::inspect`] has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InspectError {
    /// The path leads through something that is not there.
    NotFound {
        /// The part of the path, as given.
        component: String,
        /// What could have stood there.
        expected: String,
    },
    /// The object tree holds what it never can at this page.
    Damaged {
        /// Where.
        page: PageIndex,
    },
}

impl fmt::Display for InspectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { component, expected } => {
                write!(formatter, "{component:?} is not there; expected {expected}")
            }
            Self::Damaged { page } => write!(formatter, "the object tree is damaged at {page}"),
        }
    }
}
