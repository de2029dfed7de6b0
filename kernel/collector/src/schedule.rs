//! When to collect, and what comes next: the states of a collection, from the pin of a snapshot to its release.
//!
//! ```text
//!   Idle --pin--> Pinning --durable--> Marking --verdict--> Sweeping --its end durable--> Ending --> Unpinning --> Idle
//!                                         |                     |
//!                                         +----- stopped, or failed: what is under way is let go of ---> Leaving
//!                                         |                                                                ^
//!                                         +--a page cannot be read--> Rewriting --it is in memory, or ----+
//!                                         ^                             |         stands elsewhere by now
//!                                         '------ it is nowhere --------'
//! ```
//!
//! All of it outlives a cut: the pin stands in the superblock, the mark in its region, the sweep's cursor in object space. So a start
//! that finds a pin goes on with `Marking`, whatever was done before.
//!
//! Invariants: the pin goes when a durable snapshot has the end of the sweep, or the sweep was dropped, not before, so none is pinned in which
//! a sweep is under way; a mark or verdict is let go of only when the disk has answered everything that it asked. After a failure nothing is
//! begun for a minute, after each further one for twice as long, an hour at most; a collection that comes to its end makes that good. A page
//! that the marked snapshot has in vain, but the running machine has in memory or in another block, goes into the next snapshot, and a mark of
//! that one begins at once (B24, B25); so many times without an end between, then that counts as a failure.
//!
//! Pure: who calls it looks at the world ([`View`]), does as it is told ([`Order`]), and says what came of it.

use crate::pace;
use revenant_hal::{Epoch, Nanoseconds};
use revenant_vm::Prospect;
use revenant_vm::counting::doubt::{Collected, Tallies, Wish};

/// After a step of the mark so many times its length go to programs, if they have something to do.
const PROGRAMS_SHARE: u64 = 9;
/// With the second commit after the wish a pin is in the superblock, if its snapshot still is there.
const COMMITS_OF_A_PIN: u32 = 3;
/// Between two collections so many times as long goes by as the one before has taken, unless one was asked for.
const REST_SHARE: u64 = 4;
/// Looks at what there may be to find are so far apart.
const LOOKS: Nanoseconds = Nanoseconds(50_000_000);
/// After the first failure nothing is begun for so long.
const FIRST_RETRY: Nanoseconds = Nanoseconds(60_000_000_000);
/// Pages written anew after which a collection that has not come to its end counts as failed.
const MOST_REWRITTEN: u32 = 64;
/// However many have failed.
const LAST_RETRY: Nanoseconds = Nanoseconds(3_600_000_000_000);

/// When a collection begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Never. A pin that is found is released.
    Off,
    /// When it pays ([`pace`]), or somebody asks for it.
    Gain,
    /// So long after the one before, whatever there is to find.
    Every(Nanoseconds),
}

/// What the caller sees.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The monotonic clock.
    pub now: Nanoseconds,
    /// The snapshot that the newest superblock pins for the collector.
    pub pinned: Option<Epoch>,
    /// The newest snapshot that no cut can lose.
    pub durable: Epoch,
    /// Programs had something to do when they were asked last.
    pub programs_run: bool,
    /// The disk runs short.
    pub short_of_space: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Order {
    /// Nothing.
    Rest,
    /// Look at the prospect: [`Schedule::looked`].
    Look,
    /// Drop a sweep whose mark is not to be had: [`Schedule::dropped`].
    DropSweep,
    /// Pin this snapshot: [`Schedule::pinned`].
    Pin(Epoch),
    /// Begin the mark of the snapshot that is pinned, or take it up again: [`Schedule::begun`].
    Begin,
    /// A step of the mark: [`Schedule::marked`].
    Mark,
    /// Have the page that the mark could not read written with the next snapshot: [`Schedule::rewritten`].
    Rewrite,
    /// Have the mark go on without the page: [`Schedule::did_without`].
    DoWithout,
    /// A slice of the sweep, or some: [`Schedule::swept`] when it has come to its end.
    Sweep,
    /// Note what the next one is judged by, and that a wish was granted: [`Schedule::noted`].
    Note(Note),
    /// Let go of mark and verdict: [`Schedule::released`] when the disk has answered all that they asked.
    Release,
    /// Let go of the pin.
    Unpin,
}

/// What is written down in object space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Note {
    /// What the next collection is judged by; none if that has not changed.
    pub collected: Option<Collected>,
    /// Wishes that were met.
    pub granted: Wish,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// A pin may have been left by the session before.
    Begin,
    /// A sweep under way is dropped, then the pin goes.
    Dropping,
    Idle,
    /// The pin of this snapshot is not durable yet. Of commits, so many have been seen since, and this is the last of them.
    Pinning {
        epoch: Epoch,
        last: Epoch,
        commits: u32,
    },
    Starting,
    Marking,
    /// A page of the snapshot cannot be read; it is looked for in the running machine.
    Rewriting,
    /// It is nowhere.
    DoingWithout,
    Sweeping,
    /// The sweep is over in this epoch's snapshot and in later ones.
    Ending(Epoch),
    /// What was under way is let go of.
    Leaving,
    Unpinning,
    Off,
}

/// The schedule. Volatile: it begins again with every start of the machine.
#[derive(Debug)]
pub struct Schedule {
    mode: Mode,
    stage: Stage,
    /// The prospect at the last look, and when the next is due.
    prospect: Prospect,
    next_look: Nanoseconds,
    /// Nothing begins before, unless it is asked for.
    not_before: Nanoseconds,
    /// The end of the last collection, or the start.
    rest_since: Nanoseconds,
    /// When the one under way was begun, or taken up again.
    begun_at: Nanoseconds,
    /// When the mark may go on if programs have something to do.
    may_mark: Nanoseconds,
    /// The tallies of the snapshot under collection, if it was pinned in this session; pages that its mark has read.
    tallies: Option<Tallies>,
    pages: u64,
    failures: u32,
    /// The next mark begins as soon as this epoch's snapshot is durable; and pages written anew since the last collection that came to its end.
    restart: Option<Epoch>,
    rewritten: u32,
    /// What is to be written down as soon as it can.
    note: Note,
    released: bool,
}

impl Schedule {
    /// After a start.
    #[must_use]
    pub fn new(mode: Mode, now: Nanoseconds) -> Self {
        let first = if let Mode::Every(interval) = mode { interval.0 } else { 0 };
        Self {
            mode,
            stage: Stage::Begin,
            prospect: Prospect::default(),
            next_look: now,
            not_before: Nanoseconds(now.0.saturating_add(first)),
            rest_since: now,
            begun_at: now,
            may_mark: now,
            tallies: None,
            pages: 0,
            failures: 0,
            restart: None,
            rewritten: 0,
            note: Note::default(),
            released: true,
        }
    }

    /// What to do now.
    pub fn order(&mut self, view: &View) -> Order {
        if self.mode != Mode::Off && view.now >= self.next_look {
            return Order::Look;
        }
        if self.note != Note::default() {
            return Order::Note(self.note);
        }
        if self.prospect.wish.stop {
            self.stop(view.now);
        }
        let pinned = view.pinned;
        match self.stage {
            Stage::Off => Order::Rest,
            // A pin keeps blocks that nobody would ever give back. A sweep under way stays where it is.
            Stage::Begin if self.mode == Mode::Off => self.unpin(),
            Stage::Begin if pinned.is_some() => Order::Begin,
            // Of a mark that was lost with the branch to which it belonged.
            Stage::Begin | Stage::Dropping => Order::DropSweep,
            // A commit that had begun has made a pin durable that was given up since.
            Stage::Idle if pinned.is_some() => self.unpin(),
            Stage::Idle if self.is_due(view) => Order::Pin(view.durable),
            Stage::Idle => Order::Rest,
            Stage::Pinning { epoch, .. } if pinned == Some(epoch) => {
                self.stage = Stage::Starting;
                Order::Begin
            }
            Stage::Pinning { epoch, last, commits } => {
                self.stage = match commits + u32::from(view.durable != last) {
                    // The snapshot was dropped by a commit that had begun before: another one.
                    COMMITS_OF_A_PIN => Stage::Idle,
                    commits => Stage::Pinning { epoch, last: view.durable, commits },
                };
                Order::Rest
            }
            Stage::Starting => Order::Begin,
            Stage::Marking | Stage::Sweeping if self.prospect.wish.pause => Order::Rest,
            Stage::Marking => {
                // While space is short, what frees some is not kept waiting.
                let waits = view.programs_run && !view.short_of_space && view.now < self.may_mark;
                if waits { Order::Rest } else { Order::Mark }
            }
            Stage::Rewriting => Order::Rewrite,
            Stage::DoingWithout => Order::DoWithout,
            Stage::Sweeping => Order::Sweep,
            Stage::Ending(epoch) if view.durable < epoch => Order::Rest,
            Stage::Ending(_) | Stage::Leaving if !self.released => Order::Release,
            Stage::Ending(_) | Stage::Leaving => self.unpin(),
            Stage::Unpinning if pinned.is_some() => Order::Rest,
            Stage::Unpinning => {
                self.stage = if self.mode == Mode::Off { Stage::Off } else { Stage::Idle };
                Order::Rest
            }
        }
    }

    /// Also if none is durable yet: one may be on its way.
    fn unpin(&mut self) -> Order {
        self.stage = Stage::Unpinning;
        Order::Unpin
    }

    fn is_due(&self, view: &View) -> bool {
        let wish = self.prospect.wish;
        if wish.pause || wish.start {
            return wish.start && !wish.pause;
        }
        if let Some(epoch) = self.restart {
            return view.durable >= epoch;
        }
        if view.now < self.not_before {
            return false;
        }
        match self.mode {
            Mode::Off => false,
            Mode::Every(_) => true,
            Mode::Gain => {
                let Prospect { tallies, collected, .. } = &self.prospect;
                let rest = view.now.0.saturating_sub(self.rest_since.0);
                pace::estimate(*tallies, collected, Nanoseconds(rest), view.short_of_space).pays()
            }
        }
    }

    /// Somebody wants what is under way to be given up.
    fn stop(&mut self, now: Nanoseconds) {
        self.prospect.wish.stop = false;
        self.note.granted.stop = true;
        self.stage = match self.stage {
            Stage::Pinning { .. }
            | Stage::Starting
            | Stage::Marking
            | Stage::Rewriting
            | Stage::DoingWithout => Stage::Leaving,
            Stage::Sweeping => Stage::Dropping,
            // What was to begin anew does not.
            _ if self.restart.is_some() => self.stage,
            _ => return,
        };
        (self.tallies, self.restart) = (None, None);
        self.not_before = Nanoseconds(now.0.saturating_add(FIRST_RETRY.0));
    }

    /// The prospect; none if it could not be looked at yet.
    pub fn looked(&mut self, now: Nanoseconds, prospect: Option<Prospect>) {
        if let Some(prospect) = prospect {
            self.prospect = prospect;
            self.next_look = Nanoseconds(now.0.saturating_add(LOOKS.0));
        }
    }

    /// Whether no sweep is under way any more.
    pub fn dropped(&mut self, none: bool) {
        self.stage = match self.stage {
            _ if !none => return,
            Stage::Dropping => Stage::Leaving,
            _ => Stage::Idle,
        };
    }

    /// Whether there is such a snapshot to pin.
    pub fn pinned(&mut self, epoch: Epoch, done: bool) {
        if done {
            self.stage = Stage::Pinning { epoch, last: epoch, commits: 0 };
            self.tallies = Some(self.prospect.tallies);
            self.restart = None;
            self.note.granted.start = self.prospect.wish.start;
            self.prospect.wish.start = false;
        }
    }

    /// Whether the mark has begun, or goes on.
    pub fn begun(&mut self, now: Nanoseconds, done: bool) {
        self.begun_at = now;
        if done {
            self.released = false;
            self.stage = Stage::Marking;
        } else {
            self.failed(now);
        }
    }

    /// A step of the mark was made from `begin` to `now`.
    pub fn stepped(&mut self, begin: Nanoseconds, now: Nanoseconds) {
        let spent = now.0.saturating_sub(begin.0);
        self.may_mark = Nanoseconds(begin.0.saturating_add(spent * (1 + PROGRAMS_SHARE)));
    }

    /// A page of the snapshot cannot be read: nothing is freed on the word of this mark.
    pub fn unreadable(&mut self, now: Nanoseconds) {
        if self.rewritten < MOST_REWRITTEN {
            self.stage = Stage::Rewriting;
        } else {
            self.failed(now);
        }
    }

    /// The running machine has the page, and it will be in the snapshot of this epoch; or it cannot be read there either.
    pub fn rewritten(&mut self, epoch: Option<Epoch>) {
        if epoch.is_none() {
            self.stage = Stage::DoingWithout;
            return;
        }
        self.rewritten += 1;
        (self.restart, self.tallies) = (epoch, None);
        // A mark taken up again may have been swept by.
        self.stage = Stage::Dropping;
    }

    /// Whether the mark goes on without the page.
    pub fn did_without(&mut self, now: Nanoseconds, done: bool) {
        if done {
            self.stage = Stage::Marking;
        } else {
            self.failed(now);
        }
    }

    /// The mark is complete, and has read so many pages.
    pub fn marked(&mut self, pages: u64) {
        self.pages = pages;
        self.stage = Stage::Sweeping;
    }

    /// The sweep has come to its end in the running epoch, and has freed so many bytes that counting had left.
    pub fn swept(&mut self, now: Nanoseconds, epoch: Epoch, found: u64) {
        let before = &self.prospect.collected;
        // What was pinned in an earlier session is judged as if it had begun when that one's predecessor did: too early, at worst.
        self.note.collected = Some(match self.tallies.take() {
            Some(tallies) => pace::learn(before, tallies, self.pages, Some(found)),
            None => Collected { pages: self.pages, ..*before },
        });
        (self.failures, self.rewritten) = (0, 0);
        self.rest_since = now;
        let spent = now.0.saturating_sub(self.begun_at.0);
        let rest = match self.mode {
            Mode::Every(interval) => interval.0,
            Mode::Gain | Mode::Off => spent.saturating_mul(REST_SHARE),
        };
        self.not_before = Nanoseconds(now.0.saturating_add(rest));
        self.stage = Stage::Ending(epoch);
    }

    /// What was under way cannot go on: nothing more is freed.
    pub fn failed(&mut self, now: Nanoseconds) {
        let wait = FIRST_RETRY.0.checked_shl(self.failures).unwrap_or(u64::MAX).min(LAST_RETRY.0);
        self.failures = self.failures.saturating_add(1).min(16);
        (self.restart, self.rewritten) = (None, 0);
        self.rest_since = now;
        self.not_before = Nanoseconds(now.0.saturating_add(wait));
        self.tallies = None;
        // A snapshot in which a sweep is under way is not marked.
        self.stage = Stage::Dropping;
    }

    /// Whether the disk has answered everything.
    pub fn released(&mut self, done: bool) {
        self.released = done;
    }

    /// The note was written.
    pub fn noted(&mut self, now: Nanoseconds) {
        self.note = Note::default();
        self.next_look = now;
    }
}
