//! Readers of pages that run as programs do: each turn of the event loop is one reader's until it misses a page, then another's.
//! Nothing of them is in object space.

use super::{FIRST, word};
use crate::programs::Programs;
use crate::space;
use crate::world::World;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, compiler_fence};
use revenant_hal::PageIndex;
use revenant_machine::attention;
use revenant_machine::object_memory::load;
use revenant_vm::{ExitStatus, Requests, ThreadId, Turn};

/// What is read, and until when.
pub(super) trait Course {
    /// The page that a reader reads after this one.
    fn next(&mut self, number: u64) -> u64;
    /// What the first word of a page has to be.
    fn expected(&self, number: u64) -> u64;
    /// Whether so many reads, and so many pages that have come for them, are enough.
    fn is_done(&self, read: u64, arrived: u64) -> bool;
    /// So many pages have come until now.
    fn arrived(&mut self, arrived: u64);
    /// It was enough.
    fn ended(&mut self) {}
    /// Whether readers are to stand still, after so many pages have come, until nothing is on its way from the disk.
    fn is_interrupted(&self, _arrived: u64) -> bool {
        false
    }
    /// All stand still, and the disk is idle.
    fn interlude(&mut self) {}
}

/// What a reader does.
struct Reader {
    /// The page that it reads next.
    number: u64,
    waits: bool,
}

/// All readers of a measurement.
pub(super) struct Readers<C> {
    pub(super) course: C,
    /// Pages read so far.
    pub(super) read: u64,
    wrong: u64,
    readers: Vec<Reader>,
    current: usize,
    arrived: u64,
    ended: bool,
}

impl<C: Course> Readers<C> {
    /// A reader for each page to begin with.
    pub(super) fn new(course: C, first: impl IntoIterator<Item = u64>) -> Self {
        let readers = first.into_iter().map(|number| Reader { number, waits: false }).collect();
        Self { course, read: 0, wrong: 0, readers, current: 0, arrived: 0, ended: false }
    }

    /// An error if a page did not hold what it should.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.wrong {
            0 => Ok(()),
            wrong => Err(format!("{wrong} of {} reads were wrong", self.read)),
        }
    }

    fn is_done(&self) -> bool {
        self.course.is_done(self.read, self.arrived)
    }
}

impl<C: Course> Programs for Readers<C> {
    fn turn(&mut self, _world: &mut World) -> Turn {
        if self.course.is_interrupted(self.arrived) {
            if space::with(|space| space.disk().in_flight() > 0) {
                return Turn::Waiting;
            }
            self.course.interlude();
        }
        let count = self.readers.len();
        let ready = (0..count).map(|ahead| (self.current + ahead) % count);
        let Some(reader) = ready.into_iter().find(|reader| !self.readers[*reader].waits) else {
            return Turn::Waiting;
        };
        self.current = reader;
        loop {
            let interrupted = self.course.is_interrupted(self.arrived);
            if interrupted || self.is_done() || attention::flag().load(Ordering::Relaxed) {
                return Turn::Ran(ThreadId(reader as u64));
            }
            let number = self.readers[reader].number;
            // The load may not return: what is known so far has to be in memory by then.
            compiler_fence(Ordering::SeqCst);
            let value = load(word(number));
            self.wrong += u64::from(value != self.course.expected(number));
            self.read += 1;
            self.readers[reader].number = self.course.next(number);
        }
    }

    fn has_run(&self) -> bool {
        true
    }

    fn abandoned(&mut self, _page: PageIndex) {
        self.readers[self.current].waits = true;
        self.current = (self.current + 1) % self.readers.len();
    }

    fn page_arrived(&mut self, page: PageIndex) {
        self.arrived += 1;
        self.course.arrived(self.arrived);
        for reader in &mut self.readers {
            reader.waits &= reader.number + FIRST != page.0;
        }
    }

    fn retry_all(&mut self) {
        self.readers.iter_mut().for_each(|reader| reader.waits = false);
    }

    fn take_requests(&mut self) -> Requests {
        let mut requests = Requests::default();
        if self.is_done() && !core::mem::replace(&mut self.ended, true) {
            self.course.ended();
            requests.main_ended = Some(ExitStatus::Returned(0));
        }
        requests
    }
}
