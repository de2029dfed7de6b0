//! The roots of a snapshot, one word after the other (the crate's page lists them), and the entries of side tables.
//!
//! Invariant: a call that lacks a page changes nothing and is made again; walks are bounded by what the tables can hold.

use crate::error::{Stop, Unsound};
use crate::pages::{Reader, page_of};
use revenant_hal::FrameMemory;
use revenant_vm::memory::layout::system::{counting, root, table};
use revenant_vm::memory::layout::{BLOCK, PAGE, SLOT, area, class, object, thread};

/// The largest stack range that a thread can have.
const STACK_LIMIT: u64 = 1 << 40;
/// Places of an arena, as a power of two.
const ARENA_LIMIT: u64 = 30;

/// What one word turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Root {
    /// A reference.
    Object(u64),
    /// An entry of a batch (1 or 2), or of the object being torn down (0): it may be stale, and counts only if the metadata byte says so, too.
    Listed(u64, u8),
    /// Nothing.
    Nothing,
    /// There are no more.
    End,
}

/// The object being torn down: what its slots before the cursor held was released, and is not followed.
pub(crate) fn torn<F: FrameMemory + ?Sized>(
    reader: &mut Reader<'_, F>,
) -> Result<(u64, u64), Stop> {
    let subject = reader.u64(area::COUNTING + counting::TEARDOWN_OBJECT)?;
    let stage = reader.u64(area::COUNTING + counting::TEARDOWN_STAGE)?;
    let slot = reader.u64(area::COUNTING + counting::TEARDOWN_INDEX)?;
    Ok((subject, if stage == counting::STAGE_REFERENCES { slot } else { u64::MAX }))
}

/// Whether a sweep was under way when the snapshot was made.
pub(crate) fn is_swept<F: FrameMemory + ?Sized>(reader: &mut Reader<'_, F>) -> Result<bool, Stop> {
    Ok(reader.u64(area::COUNTING + counting::SWEEP_BLOCK)? != 0)
}

/// Where the walk over the roots is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Roots {
    stage: u8,
    next: u64,
    /// A thread whose frames come next.
    thread: u64,
    /// Slots of a stack.
    stack: u64,
    stack_end: u64,
    arena: Arena,
}

impl Roots {
    /// The next word.
    pub(crate) fn next<F: FrameMemory + ?Sized>(
        &mut self,
        reader: &mut Reader<'_, F>,
    ) -> Result<Root, Stop> {
        match self.stage {
            0 => {
                let word = root::DIRECTORY + self.next * SLOT;
                self.strong(reader, area::ROOT + word, word < root::REFERENCES_END)
            }
            1 => {
                let known = reader.u64(area::ROOT + root::NEXT_CLASS)?;
                let end = known.max(u64::from(class::FIRST_MODULE_CLASS));
                let more = self.next < end.min(area::CLASS_TABLE_ENTRIES);
                self.strong(reader, area::CLASS_TABLE + self.next * SLOT, more)
            }
            2 => self.threads(reader),
            3 => {
                let (subject, _) = torn(reader)?;
                self.end_stage();
                Ok(if subject == 0 { Root::Nothing } else { Root::Listed(subject, 0) })
            }
            4 | 5 => self.batch(reader),
            6 => {
                let held = area::COUNTING + counting::HELD;
                match self.arena.next(reader, held, area::HELD_TABLE)? {
                    Entry::Pair(key, _) => Ok(Root::Object(key)),
                    Entry::Nothing => Ok(Root::Nothing),
                    Entry::End => {
                        self.end_stage();
                        Ok(Root::Nothing)
                    }
                }
            }
            _ => Ok(Root::End),
        }
    }

    fn end_stage(&mut self) {
        *self = Self { stage: self.stage + 1, ..Self::default() };
    }

    fn strong<F: FrameMemory + ?Sized>(
        &mut self,
        reader: &mut Reader<'_, F>,
        address: u64,
        more: bool,
    ) -> Result<Root, Stop> {
        if !more {
            self.end_stage();
            return Ok(Root::Nothing);
        }
        let target = reader.u64(address)?;
        self.next += 1;
        Ok(if target == 0 { Root::Nothing } else { Root::Object(target) })
    }

    /// Threads, and after each the slots of its frames.
    fn threads<F: FrameMemory + ?Sized>(
        &mut self,
        reader: &mut Reader<'_, F>,
    ) -> Result<Root, Stop> {
        if self.thread != 0 {
            (self.stack, self.stack_end) = frames(reader, self.thread)?;
            self.thread = 0;
            return Ok(Root::Nothing);
        }
        if self.stack < self.stack_end {
            let target = match reader.u64(self.stack) {
                // What ran in it is no younger, and so is what it held: suspects.
                Err(Stop::Lost(_)) => {
                    self.stack = (self.stack / PAGE + 1) * PAGE;
                    return Ok(Root::Nothing);
                }
                read => read?,
            };
            self.stack += SLOT;
            return Ok(if target == 0 { Root::Nothing } else { Root::Object(target) });
        }
        let end = reader.u64(area::ROOT + root::NEXT_THREAD)?.min(area::THREAD_TABLE_ENTRIES);
        if self.next >= end {
            self.end_stage();
            return Ok(Root::Nothing);
        }
        let found = reader.u64(area::THREAD_TABLE + self.next * SLOT)?;
        self.next += 1;
        if found == 0 || found & 1 != 0 {
            return Ok(Root::Nothing);
        }
        self.thread = found;
        Ok(Root::Object(found))
    }

    /// The entries of the open batch, then those left of the closed one.
    fn batch<F: FrameMemory + ?Sized>(&mut self, reader: &mut Reader<'_, F>) -> Result<Root, Stop> {
        let word = |offset| area::COUNTING + offset;
        let byte = reader.u64(word(counting::NEW_METADATA))?;
        let open = if byte >> object::META_BATCH_SHIFT & 3 == 2 { 2_u8 } else { 1 };
        let start = |batch: u8| area::BATCHES + u64::from(batch - 1) * area::BATCH_SIZE;
        let (batch, from, end) = if self.stage == 4 {
            (open, start(open), reader.u64(word(counting::OPEN_NEXT))?)
        } else {
            let closed = 3 - open;
            let idle = reader.u64(word(counting::PHASE))? == counting::PHASE_IDLE;
            let from = reader.u64(word(counting::CLOSED_NEXT))?;
            let end = reader.u64(word(counting::CLOSED_END))?;
            if idle { (closed, 0, 0) } else { (closed, from, end) }
        };
        let inside = |address| (start(batch)..=start(batch) + area::BATCH_SIZE).contains(&address);
        if end != 0 && !(inside(from) && inside(end) && from.is_multiple_of(SLOT)) {
            return Err(Stop::Unsound(Unsound::System { address: word(counting::OPEN_NEXT) }));
        }
        let place = from + self.next * SLOT;
        if place >= end {
            self.end_stage();
            return Ok(Root::Nothing);
        }
        let found = reader.u64(place)?;
        self.next += 1;
        Ok(if found == 0 { Root::Nothing } else { Root::Listed(found, batch) })
    }
}

/// The reference slots of a thread's frames: from the start of its stack range to the end of its current frame.
fn frames<F: FrameMemory + ?Sized>(
    reader: &mut Reader<'_, F>,
    subject: u64,
) -> Result<(u64, u64), Stop> {
    let stack = reader.u64(subject + thread::STACK)?;
    let size = reader.u64(subject + thread::STACK_SIZE)?;
    let record = reader.u64(subject + thread::FRAME)?;
    let watermark = reader.u64(subject + thread::WATERMARK)?;
    let inside = |address: u64| address >= stack && address - stack <= size;
    let sound = size.is_power_of_two()
        && (BLOCK..=STACK_LIMIT).contains(&size)
        && stack.is_multiple_of(BLOCK)
        && (area::HEAP..area::END).contains(&stack)
        && inside(watermark)
        && watermark.is_multiple_of(SLOT)
        && (record == 0 || (inside(record) && record.is_multiple_of(SLOT)));
    if sound {
        let end = match record {
            0 => 0,
            _ => u64::from(reader.u32(record + thread::RECORD_REFERENCE_END)?),
        };
        if end <= size {
            return Ok((stack, stack + end));
        }
    }
    // Who has ended has no stack, and who was damaged never runs again: nothing of theirs is missed.
    match reader.u32(subject + thread::STATE)? {
        thread::STATE_ENDED | thread::STATE_DAMAGED => Ok((0, 0)),
        _ => Err(Stop::Unsound(Unsound::Thread { address: subject })),
    }
}

/// What one place of a side table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// A key and its word.
    Pair(u64, u64),
    /// Nothing.
    Nothing,
    /// There are no more places.
    End,
}

/// A walk over a side table: the arena in use, then the one being left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arena {
    old: bool,
    next: u64,
}

impl Arena {
    /// The next place of the table whose state and arenas stand there.
    pub(crate) fn next<F: FrameMemory + ?Sized>(
        &mut self,
        reader: &mut Reader<'_, F>,
        state: u64,
        arenas: u64,
    ) -> Result<Entry, Stop> {
        let which = reader.u64(state + table::ARENA)? & 1;
        let (log2, from, arena) = if self.old {
            let from = reader.u64(state + table::OLD_CURSOR)?;
            (reader.u64(state + table::OLD_LOG2)?, from, 1 - which)
        } else {
            (reader.u64(state + table::LOG2)?, 0, which)
        };
        let next = self.next.max(from);
        if log2 == 0 || next >= 1 << log2.min(ARENA_LIMIT) {
            let end = self.old;
            *self = Self { old: true, next: 0 };
            return Ok(if end { Entry::End } else { Entry::Nothing });
        }
        let place = arenas + arena * area::TABLE_ARENA + next * table::PLACE;
        if reader.is_hole(page_of(place))? {
            let per_page = PAGE / table::PLACE;
            self.next = (next / per_page + 1) * per_page;
            return Ok(Entry::Nothing);
        }
        let key = reader.u64(place)?;
        let word = reader.u64(place + SLOT)?;
        self.next = next + 1;
        Ok(if key > table::REMOVED { Entry::Pair(key, word) } else { Entry::Nothing })
    }
}
