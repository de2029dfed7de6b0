//! The sweep: frees what a mark of an older snapshot has found unreachable, in slices, over the heap as it is now.
//!
//! Counting never frees objects that refer to each other in a circle, nor those whose count has stuck. A mark over snapshot e says
//! which objects of that snapshot could be reached; programs have gone on since, counting has freed, and addresses
//! are used again. The sweep walks the block table and the metadata pages, and frees an address if
//!
//! 1. it is not marked,
//! 2. an object starts there now, and
//! 3. that object was born no later than e: so it is the one that stood there in snapshot e.
//!
//! **Why nobody has it.** Call D the objects of snapshot e that are not marked. Roots of the mark are the root page, the tables of classes
//! and threads, the slots of all frames, what threads own and are making, the batches, the held table and the object being torn
//! down; it follows weak references too, in a second stage, and leads from an object to its weak reference. After the flip a program gets at an
//! object by a slot of a frame or of an object that it has already, by a weak reference that it has, or makes a new one; nothing of that
//! leads into D, which is closed: what a marked object referred to in snapshot e is marked. A native under way has its objects
//! in its thread's object or frame. So nobody ever stores to an object of D again: **its references are what they were in snapshot
//! e**. Its count is at least one (at zero it would stand in a batch), and comes from D alone, so counting does not free it either.
//!
//! **References of what is freed.** A target outside D is marked; the slot counted it since e, so it still stands where it stood, and is
//! counted down once, in the step that frees the object or moves on in it. A target in D is left alone: it is freed by this same
//! sweep, and its address may hold something new already. A target born after e there cannot be.
//!
//! **Interruption.** The cursor, with the name of the mark, is in object space, and so are the counts and start bits: a cut takes all of
//! them back together. A sweep goes on only if its name is that of the mark at hand. If not (the machine went back to a snapshot
//! of the time machine and the mark of those days is gone), it is dropped, and objects of D that are left may refer to addresses that were freed and used
//! again. So the epoch of the earliest dropped mark is kept until a sweep has come to its end with nothing passed over: until then a
//! target born after that epoch is not counted down. It may keep a count too many; the mark after its death frees it all the same.
//!
//! ```text
//!   mod      verdicts, slices            walk   from block to block and from start bit to start bit
//!   cursor   its words in object space   free   one object: in one step, or part by part
//!   statistics  what was freed, by class
//! ```
//!
//! **Slices.** [`Sweep::slice`] frees at most [`OBJECTS`] objects or releases as many parts of a long one, looks at no more than
//! [`LOOKS`] headers, [`ROWS`] rows of metadata and [`ENTRIES`] entries of the block table. It is a sequence of steps each of which leaves the
//! heap whole, so an attempt that ends in it is simply made again. Graces and threads may run between any two slices: a count that the sweep brings
//! to zero enters the open batch like any other; what stands in a batch is left to counting, and D does not.
//!
//! Neighbours: `counting` and `heap`, whose steps these are; `system` calls it; the collector has the verdicts.

mod cursor;
mod free;
mod statistics;
mod walk;

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use revenant_hal::Epoch;

use crate::counting::Table;
use crate::memory::Space;

pub use cursor::{is_under_way, is_unfinished};
pub use statistics::{ByClass, Freed, Statistics, Why};

/// Objects that a slice frees at most, and parts of long ones that it releases.
pub const OBJECTS: usize = 1;
/// Headers of objects that a slice reads at most.
pub const LOOKS: u32 = 4;
/// Rows of 64 granules whose metadata a slice reads at most: a quarter of a block.
pub const ROWS: u32 = 16;
/// Entries of the block table that a slice reads at most.
pub const ENTRIES: u32 = 16;

/// Slices in a row that end because a page was split or brought for them; the next one goes on whatever comes.
const EARLY_ENDS: u32 = 64;

/// Words of the marks of a block: a bit for each of its 4,096 granules.
pub const MARK_WORDS: usize = 64;

/// The marks of a heap block.
#[derive(Clone, Copy, Debug)]
pub enum Marks<'a> {
    /// A bit a granule, of bit i of word i / 64. The bit at an object's start: it was reached. The bit of the granule behind, where nothing
    /// can start: it was reached through weak references only.
    Here(&'a [u64; MARK_WORDS]),
    /// They have to be read first.
    NotYet,
    /// They cannot be read.
    Failed,
}

/// What a finished mark says, of a snapshot from which the object space as it is now has come: who has the mark sees to that. It only
/// looks things up: a slice may be abandoned at any moment and made again.
pub trait Verdicts {
    /// Which mark: store, branch, epoch, checksum of the root. Never all zero.
    fn name(&self) -> [u64; 4];
    /// The snapshot that was marked.
    fn epoch(&self) -> Epoch;
    /// Whether the mark went on from the targets of weak references that it reached, and from each object reached to its
    /// weak reference, when everything else was marked. A mark that did not frees nothing once there have been weak
    /// references: what it did not reach, a program may have got hold of since.
    fn follows_weak(&self) -> bool;
    /// The marks of heap block `number`, counted from the start of object space. Of blocks that were asked for, at least eight are kept: one step needs
    /// several.
    fn marks(&self, number: u32) -> Marks<'_>;
}

/// How a slice ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Outcome {
    /// Call again.
    More,
    /// Call again when the marks of this block are at hand.
    NotYet(u32),
    /// The marks of this block cannot be read. The sweep stays where it is; another mark drops it.
    Failed(u32),
    /// A page that it needs is on its way, or pages of thread objects are being made anew. Call again then.
    Waiting,
    /// Nothing follows from this mark: it has not followed weak references, and there have been some.
    Refused,
    /// Everything that the mark found is freed. Calling again with this mark finds nothing more.
    Done,
}

/// What a slice did.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// How it ended.
    pub outcome: Outcome,
    /// Weak references cleared: their objects were reached through such only, and nobody asked for them since.
    pub weak_cleared: u32,
    /// Objects and blocks that were left as they are although nobody has them: damaged, or not this kernel's to free.
    pub passed_over: u32,
    /// Stack ranges given back whose threads were lost.
    pub stacks: u32,
    freed: [Freed; OBJECTS],
    count: usize,
}

impl Slice {
    /// One that has not done anything.
    pub(crate) const fn new(outcome: Outcome) -> Self {
        let freed = [Freed::NONE; OBJECTS];
        Self { outcome, weak_cleared: 0, passed_over: 0, stacks: 0, freed, count: 0 }
    }

    /// The objects freed.
    #[must_use]
    pub fn freed(&self) -> &[Freed] {
        self.freed.get(..self.count).unwrap_or(&[])
    }
}

/// What steps have done that no slice has told yet: an attempt that is abandoned in a later step tells nothing, though what went before
/// stays done. In cells, because control leaves an attempt at any access to object space.
#[derive(Debug)]
struct Notes {
    freed: [Cell<Freed>; OBJECTS],
    count: Cell<usize>,
    weak_cleared: Cell<u32>,
    passed_over: Cell<u32>,
    stacks: Cell<u32>,
    /// Page faults served for anybody so far; when the slice began; and how many slices in a row have ended for that.
    faults: Option<&'static AtomicU64>,
    faults_before: Cell<u64>,
    early_ends: Cell<u32>,
}

impl Notes {
    const fn new() -> Self {
        Self {
            freed: [const { Cell::new(Freed::NONE) }; OBJECTS],
            count: Cell::new(0),
            weak_cleared: Cell::new(0),
            passed_over: Cell::new(0),
            stacks: Cell::new(0),
            faults: None,
            faults_before: Cell::new(0),
            early_ends: Cell::new(0),
        }
    }

    fn faults(&self) -> u64 {
        self.faults.map_or(0, |faults| faults.load(Ordering::Relaxed))
    }

    fn begin(&self) {
        self.faults_before.set(self.faults());
    }

    /// Ends the slice if a page was split or brought for it: that costs about as much as all else. What was asked about so far is asked again by
    /// the next one, which finds the page there. Nothing has changed since the last step.
    fn go_on_unless_faulted(&self) -> Result<(), walk::Stop> {
        let early = self.early_ends.get();
        if self.faults() == self.faults_before.get() || early >= EARLY_ENDS {
            return Ok(());
        }
        self.early_ends.set(early + 1);
        Err(walk::Stop::Enough)
    }

    /// Objects that can still be noted.
    fn room(&self) -> usize {
        OBJECTS - self.count.get()
    }

    fn free(&self, freed: Freed) {
        self.early_ends.set(0);
        if let Some(place) = self.freed.get(self.count.get()) {
            place.set(freed);
            self.count.set(self.count.get() + 1);
        }
    }

    fn tell(&self, outcome: Outcome) -> Slice {
        Slice {
            outcome,
            weak_cleared: self.weak_cleared.take(),
            passed_over: self.passed_over.take(),
            stacks: self.stacks.take(),
            freed: self.freed.each_ref().map(Cell::get),
            count: self.count.take(),
        }
    }
}

/// One more.
fn increment(count: &Cell<u32>) {
    count.set(count.get().saturating_add(1));
}

/// Which bug the sweep has. Anything but `None` is for tests alone.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Planted {
    /// No bug.
    #[default]
    None,
    /// What was born in the epoch of the mark is left.
    BirthBefore,
    /// What was born an epoch later is freed.
    BirthAfter,
    /// References to what is not marked are counted down, too.
    UnmarkedCountedDown,
    /// The cursor of another mark is followed.
    ForeignCursorFollowed,
    /// After a sweep was dropped, whatever an object refers to is counted down.
    DroppedForgotten,
    /// A count that was brought down is not noted in the cursor.
    PartNotNoted,
}

/// The sweep. All that it goes by is in object space; here is only what it has yet to tell.
#[derive(Debug)]
pub struct Sweep {
    planted: Planted,
    notes: Notes,
}

impl Default for Sweep {
    fn default() -> Self {
        Self::new()
    }
}

impl Sweep {
    /// Over the object space of this process.
    #[must_use]
    pub const fn new() -> Self {
        Self { planted: Planted::None, notes: Notes::new() }
    }

    /// Gives it a bug.
    #[doc(hidden)]
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// Slices end early when this number changes meanwhile: page faults served so far.
    pub fn watch(&mut self, faults: &'static AtomicU64) {
        self.notes.faults = Some(faults);
    }

    /// The next slice of the sweep that these verdicts ask for. All threads are at safepoints. Begins a sweep if none of this name is
    /// under way, and drops one of another. Tells also what slices have done that were abandoned since the last that was not.
    pub fn slice(&self, space: Space, verdicts: &dyn Verdicts) -> Slice {
        space.end_step();
        self.notes.begin();
        if !verdicts.follows_weak() && Table::weak().was_used(space) {
            return self.notes.tell(Outcome::Refused);
        }
        let mut work = walk::Work { space, verdicts, planted: self.planted, notes: &self.notes };
        let outcome = work.go_on();
        space.end_step();
        self.notes.tell(outcome)
    }
}

/// Verdicts of a mark that is not to be had any more.
struct Gone;

impl Verdicts for Gone {
    fn name(&self) -> [u64; 4] {
        [0; 4]
    }

    fn epoch(&self) -> Epoch {
        Epoch(0)
    }

    fn follows_weak(&self) -> bool {
        true
    }

    fn marks(&self, _number: u32) -> Marks<'_> {
        Marks::Failed
    }
}

/// Drops the sweep under way, whose mark is not to be had any more; whether there is none any more. In a few steps; if not all were
/// enough, call again. A snapshot in which a sweep is under way is not marked.
pub fn give_up(space: Space) -> bool {
    space.end_step();
    if !cursor::is_under_way(space) {
        return true;
    }
    let (planted, notes) = (Planted::None, Notes::new());
    let mut work = walk::Work { space, verdicts: &Gone, planted, notes: &notes };
    let given_up = work.give_up(&mut OBJECTS.clone()).is_ok();
    space.end_step();
    given_up
}

/// Passes over what the sweep would do next, because a page that it needs can never be read: an object stays for good, or all of a
/// block whose metadata is lost. Whether a sweep is under way. Touches neither. Steps.
pub fn skip(space: Space, lost: revenant_hal::ObjectAddress) -> bool {
    space.end_step();
    cursor::skip(space, lost)
}
