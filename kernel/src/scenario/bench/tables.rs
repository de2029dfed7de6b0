//! What page tables and nodes of the page map take of memory while many readers jump about in far more object space than there is
//! memory: all pages of it are as likely, one in [`SPREAD`] of them is stored, and each wants a node of the map and a table. Besides, what
//! else the kernel has on its heap then.

use super::alone::random;
use super::readers::{Course, Readers};
use super::{SPREAD, content, metric};
use crate::event_loop::EventLoop;
use crate::scenario::Machine;
use crate::scenario::synthetic::TEST_ABI;
use crate::{disk, space};
use alloc::string::String;
use alloc::vec::Vec;
use revenant_hal::{Clock, FrameMemory, PAGE_SIZE_U64};
use revenant_machine::exit::ExitCode;
use revenant_machine::heap;

/// Readers.
const READERS: usize = 16;
/// Arrivals between two looks at what is taken.
const SAMPLE: u64 = 64;
/// Arrivals, in fills of memory, before it counts: until then memory fills, and tables are as many as they like.
const FILLS_BEFORE: u64 = 3;
/// And until the end.
const FILLS: u64 = 6;

/// `bench=tables_share`.
pub(super) fn run(machine: Machine) -> Result<ExitCode, String> {
    let Machine { clock, mut options, frames, tables, .. } = machine;
    let pages = options.pages * SPREAD;
    let fill = u64::from(frames.frame_count());
    let mut disk = disk::find(&frames)?;
    options.exit_on_main = true;
    let (store, _) = disk::open(&mut disk, &options, TEST_ABI)?;
    space::install(store, disk, frames, tables, Vec::new(), || ());
    let random = 0x9e37_79b9_7f4a_7c15 ^ clock.monotonic().get();
    let course = Anywhere { pages, fill, random, ..Anywhere::default() };
    let programs = Readers::new(course, [0; READERS]);
    let mut event_loop = EventLoop::new(programs, clock, options);
    let code = event_loop.run();
    event_loop.programs.check()?;
    event_loop.programs.course.report(event_loop.programs.read);
    Ok(code)
}

/// What tables and nodes took, in bytes.
#[derive(Clone, Copy, Default)]
struct Taken {
    tables: u64,
    nodes: u64,
}

impl Taken {
    const fn both(self) -> u64 {
        self.tables + self.nodes
    }
}

/// Every page is as likely to be the next.
#[derive(Default)]
struct Anywhere {
    pages: u64,
    /// Frames of memory.
    fill: u64,
    random: u64,
    /// The most while memory filled, and once it was full.
    filling: Taken,
    full: Taken,
    /// The most that was on the kernel's heap once it was full, nodes of the map apart, and pages in memory then.
    kept: u64,
    resident: u32,
}

impl Anywhere {
    /// Prints what was found.
    fn report(&self, read: u64) {
        let counters = space::with(|space| space.statistics());
        metric("tables_share.reads", read, "pages");
        metric("tables_share.thinned_out", counters.pages_thinned_out, "pages");
        metric("tables_share.evicted", counters.pages_evicted, "pages");
        metric("tables_share.filling", self.filling.both(), "bytes");
        metric("tables_share.tables", self.full.tables, "bytes");
        metric("tables_share.map_nodes", self.full.nodes, "bytes");
        metric("tables_share.taken", self.full.both(), "bytes");
        metric("tables_share.kept", self.kept, "bytes");
        metric("tables_share.resident", u64::from(self.resident), "pages");
    }
}

impl Course for Anywhere {
    fn next(&mut self, _number: u64) -> u64 {
        random(&mut self.random) % self.pages
    }

    fn expected(&self, number: u64) -> u64 {
        if number.is_multiple_of(SPREAD) { content(number) } else { 0 }
    }

    fn is_done(&self, _read: u64, arrived: u64) -> bool {
        arrived >= FILLS * self.fill
    }

    fn arrived(&mut self, arrived: u64) {
        if !arrived.is_multiple_of(SAMPLE) {
            return;
        }
        let state = space::with(|space| space.state());
        let taken = Taken {
            tables: u64::from(state.frames.tables) * PAGE_SIZE_U64,
            nodes: (state.map_nodes * disk::NODE_BYTES) as u64,
        };
        let filling = arrived < FILLS_BEFORE * self.fill;
        if !filling {
            let kept = (heap::used_bytes() as u64).saturating_sub(taken.nodes);
            if kept > self.kept {
                (self.kept, self.resident) = (kept, state.frames.resident());
            }
        }
        let most = if filling { &mut self.filling } else { &mut self.full };
        if taken.both() > most.both() {
            *most = taken;
        }
    }
}
