//! The worker: what one slice keeps in the kernel's memory, and nothing that must survive it.
//!
//! A slice is one thread running until its budget is spent, attention is raised, or it parks or ends. The worker holds the
//! position of the instruction being executed, stored before the instruction touches memory, the current call record, and how far the
//! thread's stacks have been touched for writing in this slice. When an attempt is abandoned, [`Worker::save`] writes
//! position and frame to the thread object, whose pages the slice touched when it began.
//!
//! Invariant: between two instructions `position`, `record` and the pages of the stacks describe the thread completely.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use revenant_hal::ObjectAddress;

use crate::counting;
use crate::heap::{self, Allocator};
use crate::memory::Space;
use crate::memory::layout::{area, thread};
use crate::system::{Environment, Requests, ThreadId, WitnessRecord};

use super::state::Slow;

/// Places of the cache of interface methods.
const CACHE_PLACES: usize = 256;
/// Polls between two looks at the attention flag.
pub(crate) const POLL_CHUNK: u32 = 256;

/// What a class answered for a method of an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InterfaceEntry {
    /// Class index of the receiver; 0 is no class.
    pub(crate) class: u32,
    /// The literal of the call: interface and method.
    pub(crate) method: u64,
    /// The function found.
    pub(crate) function: u64,
}

/// A cache beside the code: nothing of it is in object space, and a restart begins with an empty one.
#[derive(Debug)]
pub(crate) struct InterfaceCache([InterfaceEntry; CACHE_PLACES]);

impl InterfaceCache {
    const EMPTY: InterfaceEntry = InterfaceEntry { class: 0, method: 0, function: 0 };

    /// The place where the answer for this class and method stands, if it is known.
    #[inline(always)]
    pub(crate) fn entry(&mut self, class: u32, method: u64) -> &mut InterfaceEntry {
        let hash =
            u64::from(class).wrapping_mul(31).wrapping_add(method).wrapping_add(method >> 32);
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
        let place = hash as usize % CACHE_PLACES;
        &mut self.0[place]
    }
}

/// Registers and position of the instruction that the cold path works on, as addresses in object space.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frame {
    /// The instruction word.
    pub(crate) position: u64,
    /// Base of the reference registers.
    pub(crate) references: u64,
    /// Base of the raw registers.
    pub(crate) raws: u64,
}

/// Why a slice ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SliceEnd {
    /// Budget spent or attention raised: the thread stays runnable.
    Budget,
    /// The thread waits for something.
    Parked,
    /// The thread has ended.
    Ended,
    /// The thread asked to let others run.
    Yielded,
}

/// See the text of the file.
pub(crate) struct Worker {
    /// The token for object space.
    pub(crate) space: Space,
    /// The instruction being executed.
    pub(crate) position: u64,
    /// The current call record.
    pub(crate) record: u64,
    /// Returning from this record or one below takes the cold path.
    pub(crate) record_floor: u64,
    /// Call records up to here were touched for writing in this slice.
    pub(crate) record_soft_limit: u64,
    /// Reference registers up to here were.
    pub(crate) reference_soft_limit: u64,
    /// Raw registers up to here were.
    pub(crate) raw_soft_limit: u64,
    /// Start of the thread's stack range.
    pub(crate) stack: u64,
    /// Bytes of it.
    pub(crate) stack_size: u64,
    /// The running thread; 0 while there is none.
    pub(crate) thread: ObjectAddress,
    /// Who pays for allocations.
    pub(crate) allocator: Allocator,
    /// Where the cold path says to go on.
    pub(crate) frame: Frame,
    /// Polls left for this slice beyond the chunk that the loop counts down.
    pub(crate) polls: u32,
    /// The chunk of polls that the loop begins to count down.
    pub(crate) chunk: i32,
    /// Set by the cold path when the slice is over.
    pub(crate) end: Option<SliceEnd>,
    /// Interface methods found so far.
    pub(crate) interface_cache: InterfaceCache,
    /// What programs asked of the kernel.
    pub(crate) requests: Requests,
    /// Machine clock minus the environment's monotonic clock.
    pub(crate) clock_base: u64,
    /// Which entries of the witness page were written since the resume.
    steps_seen: [u64; 4],
    /// The first report of each, in order, not taken yet.
    pub(crate) first_steps: FirstSteps,
    attention: Option<NonNull<AtomicBool>>,
    environment: Option<NonNull<dyn Environment>>,
}

/// First reports of threads since a resume; a fixed array, because it is written inside attempts.
#[derive(Debug)]
pub(crate) struct FirstSteps {
    records: [WitnessRecord; 255],
    count: usize,
}

impl FirstSteps {
    /// The reports, which are then forgotten.
    pub(crate) fn take(&mut self) -> &[WitnessRecord] {
        let count = core::mem::take(&mut self.count);
        &self.records[..count]
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Worker(thread {:?}, position {:#x})", self.thread, self.position)
    }
}

impl Worker {
    /// A worker that runs nothing.
    pub(crate) fn new(space: Space) -> Self {
        Self {
            space,
            position: 0,
            record: 0,
            record_floor: 0,
            record_soft_limit: 0,
            reference_soft_limit: 0,
            raw_soft_limit: 0,
            stack: 0,
            stack_size: 0,
            thread: ObjectAddress(0),
            allocator: Allocator::of_group(0),
            frame: Frame::default(),
            polls: 0,
            chunk: 0,
            end: None,
            interface_cache: InterfaceCache([InterfaceCache::EMPTY; CACHE_PLACES]),
            requests: Requests::default(),
            clock_base: 0,
            steps_seen: [0; 4],
            first_steps: FirstSteps {
                records: [WitnessRecord { thread: ThreadId(0), steps: 0 }; 255],
                count: 0,
            },
            attention: None,
            environment: None,
        }
    }

    /// Lends the worker the world outside for one slice or step; [`Worker::release_world`] takes it back. What the borrows
    /// promise is kept by `system`, which calls both in one function and nothing of the world in between.
    pub(crate) fn lend_world(&mut self, environment: &mut dyn Environment, attention: &AtomicBool) {
        // SAFETY: only the lifetime changes; the pointer is dropped by `release_world` or replaced before it dangles, and
        // an abandoned attempt calls `release_world` before anything else.
        let environment: &'static mut dyn Environment =
            unsafe { core::mem::transmute(environment) };
        self.environment = Some(NonNull::from(environment));
        self.attention = Some(NonNull::from(attention));
    }

    /// Ends what [`Worker::lend_world`] began.
    pub(crate) fn release_world(&mut self) {
        self.environment = None;
        self.attention = None;
    }

    /// The world outside object space, during a slice or step.
    pub(crate) fn environment(&mut self) -> Option<&mut (dyn Environment + 'static)> {
        // SAFETY: lent for the whole slice; the borrow of the worker keeps it unique.
        self.environment.map(|mut environment| unsafe { environment.as_mut() })
    }

    /// Whether somebody wants the slice to end.
    pub(crate) fn attention(&self) -> bool {
        // SAFETY: lent for the whole slice; an atomic may be set by an interrupt handler meanwhile.
        self.attention.is_some_and(|flag| unsafe { flag.as_ref() }.load(Ordering::Relaxed))
    }

    /// The persistent machine clock, before what the root page has seen.
    pub(crate) fn machine_clock(&mut self) -> u64 {
        let base = self.clock_base;
        self.environment().map_or(0, |environment| environment.monotonic().0).wrapping_add(base)
    }

    /// Notes a report to the witness; part of a step, touches no object space.
    pub(crate) fn note_step(&mut self, entry: u64, thread: u64, steps: u64) {
        let bit = 1 << (entry % 64);
        let Some(word) = usize::try_from(entry / 64).ok().and_then(|w| self.steps_seen.get_mut(w))
        else {
            return;
        };
        if *word & bit == 0 {
            *word |= bit;
            if let Some(record) = self.first_steps.records.get_mut(self.first_steps.count) {
                *record = WitnessRecord { thread: ThreadId(thread), steps };
                self.first_steps.count += 1;
            }
        }
    }

    /// The entry has been given back: whoever takes it next reports a first step of its own.
    pub(crate) fn forget_step(&mut self, entry: u64) {
        let word = usize::try_from(entry / 64).ok().and_then(|w| self.steps_seen.get_mut(w));
        if let Some(word) = word {
            *word &= !(1 << (entry % 64));
        }
    }

    /// Takes the next chunk of polls; 0 when the slice has to end.
    pub(crate) fn refill(&mut self) -> i32 {
        if self.attention() {
            return 0;
        }
        let chunk = self.polls.min(POLL_CHUNK);
        self.polls -= chunk;
        chunk.cast_signed()
    }

    /// A raw register of the current frame.
    pub(crate) fn raw(&self, register: u16) -> u64 {
        self.space.load(self.raw_place(register))
    }

    /// A reference register of the current frame.
    pub(crate) fn reference(&self, register: u16) -> u64 {
        self.space.load(self.reference_place(register))
    }

    /// Where a raw register of the current frame stands.
    pub(crate) const fn raw_place(&self, register: u16) -> ObjectAddress {
        ObjectAddress(self.frame.raws + register as u64 * 8)
    }

    /// Where a reference register of the current frame stands.
    pub(crate) const fn reference_place(&self, register: u16) -> ObjectAddress {
        ObjectAddress(self.frame.references + register as u64 * 8)
    }

    /// Writes a raw register, as the only or last change of a step.
    pub(crate) fn set_raw(&self, register: u16, value: u64) {
        self.space.store_resident(self.raw_place(register), value);
    }

    /// Writes a reference register of the running thread: not counted.
    pub(crate) fn set_reference(&self, register: u16, value: u64) {
        self.space.store_resident(self.reference_place(register), value);
    }

    /// Goes on `words` further in the code.
    pub(crate) const fn advance(&mut self, words: u64) {
        self.frame.position = self.frame.position.wrapping_add(words * 8);
    }

    /// The instruction word.
    pub(crate) fn word(&self) -> u64 {
        self.space.load(ObjectAddress(self.frame.position))
    }

    /// The literal after the instruction word.
    pub(crate) fn literal(&self) -> u64 {
        self.space.load(ObjectAddress(self.frame.position.wrapping_add(8)))
    }

    /// A word of an object or table, at an offset.
    pub(crate) fn load(&self, object: u64, offset: u64) -> u64 {
        self.space.load(ObjectAddress(object.wrapping_add(offset)))
    }

    /// A 32-bit word of an object or table, at an offset.
    pub(crate) fn load32(&self, object: u64, offset: u64) -> u32 {
        self.space.load(ObjectAddress(object.wrapping_add(offset)))
    }

    /// The address of the class object with this index.
    pub(crate) fn class(&self, index: u32) -> u64 {
        self.load(area::CLASS_TABLE, u64::from(index) * 8)
    }

    /// Writes position and frame to the thread object, whose pages this slice has touched for writing and which no flip
    /// has come between; true if the thread stands elsewhere than before.
    pub(crate) fn save(&mut self) -> bool {
        if self.thread.0 == 0 {
            return false;
        }
        let position = ObjectAddress(self.thread.0 + thread::POSITION);
        let began: u64 = self.space.load(position);
        self.space.store_resident(position, self.position);
        self.space.store_resident(ObjectAddress(self.thread.0 + thread::FRAME), self.record);
        began != self.position
    }

    /// Stores a counted reference; nothing has changed when the answer is an error.
    #[inline(always)]
    pub(crate) fn store_reference(&mut self, place: ObjectAddress, value: u64) -> Result<(), Slow> {
        counting::store_reference(self.space, place, ObjectAddress(value));
        Ok(())
    }

    /// A new object of the class; when memory is short the cold path says why.
    #[inline(always)]
    pub(crate) fn allocate_plain(&mut self, class: u64) -> Result<u64, Slow> {
        let class = ObjectAddress(class);
        match heap::allocate_plain_quickly(self.space, self.allocator, class) {
            Some(object) => Ok(object.0),
            None => self.allocate_plain_slowly(class),
        }
    }

    #[cold]
    #[inline(never)]
    fn allocate_plain_slowly(&mut self, class: ObjectAddress) -> Result<u64, Slow> {
        if counting::is_behind(self.space) {
            return Err(Slow::Allocate);
        }
        match heap::allocate_plain_slowly(self.space, self.allocator, class) {
            Ok(object) => Ok(object.0),
            Err(_) => Err(Slow::Allocate),
        }
    }
}
