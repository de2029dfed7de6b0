//! A schedule that every machine repeats: after so many turns of it, one object space is the same on the host and on metal,
//! bit by bit, whatever is fast or slow there.
//!
//! Time passes with turns, randomness comes from their number, slices are short, graces run to their end at fixed turns, and
//! nothing calls for attention. What is left is missing pages: an attempt that ends at one may leave an object that
//! nobody names, which a later grace frees. So all pages that the turns touch are brought in before the first
//! ([`pages`]), and an attempt that ends is an error.
//!
//! Neighbours: the kernel's `test=digest` and `revenant disk digest` drive it and compare what comes out.

use core::sync::atomic::AtomicBool;

use revenant_hal::{Epoch, Nanoseconds, OBJECT_SPACE_BASE, PAGE_SIZE_U64, PageIndex};

use super::environment::{DiskSpace, Environment};
use super::outcome::{StepOutcome, SystemStep, Turn, TurnLimits};
use super::vm::Vm;
use crate::memory::layout::{BLOCK, area, block};

/// Polls of a slice: few, so that threads take turns often.
const POLLS: u32 = 3;
/// Nanoseconds that a turn takes.
const TICK: u64 = 10_000;
/// The wall clock at turn 0: some day in 2026.
const WALL: u64 = 1_790_000_000_000_000_000;
/// A grace is run every so many turns, beside those that programs ask for.
const GRACE_EVERY: u64 = 1000;
/// Console bytes moved at a time.
const CONSOLE_BYTES: usize = 1024;

/// The world of the schedule: what time it is, by turns.
#[derive(Clone, Debug)]
pub struct Script {
    turn: u64,
    clock: u64,
    resumed: Epoch,
}

/// Whoever has the object space.
pub trait Host {
    /// Why an attempt was not whole.
    type Error;

    /// Makes an attempt.
    ///
    /// # Errors
    /// It ended at a page that was missing.
    fn whole<V>(&mut self, attempt: impl FnOnce() -> V) -> Result<V, Self::Error>;

    /// Takes console output.
    fn print(&mut self, bytes: &[u8]);
}

/// The pages that a program of moderate size touches: the first so many of the heap, and a sixteenth as many of each table.
pub fn pages(of_heap: u64) -> impl Iterator<Item = PageIndex> {
    let of_table = of_heap / 16;
    let heap_entries = (area::HEAP - OBJECT_SPACE_BASE) / BLOCK * block::ENTRY_SIZE;
    let tables = [
        area::ROOT,
        area::CLASS_TABLE,
        area::THREAD_TABLE,
        area::ALLOCATORS,
        area::BLOCK_TABLE + heap_entries,
        area::BATCHES,
        area::BATCHES + area::BATCH_SIZE,
        area::TIMER_HEAP,
        area::TIMER_HEAP + area::TIMER_HEAP_ENTRIES * 16,
        area::HELD_TABLE,
        area::HELD_TABLE + area::TABLE_ARENA,
        area::WEAK_TABLE,
        area::WEAK_TABLE + area::TABLE_ARENA,
    ];
    let tables = tables.into_iter().map(move |start| (start, of_table));
    tables.chain([(area::HEAP, of_heap)]).flat_map(|(start, count)| {
        let first = (start - OBJECT_SPACE_BASE) / PAGE_SIZE_U64;
        (first..first + count).map(PageIndex)
    })
}

impl Script {
    /// The schedule from a snapshot on. The handle must be resumed with it, too.
    #[must_use]
    pub const fn new(resumed: Epoch) -> Self {
        Self { turn: 0, clock: 0, resumed }
    }

    /// Runs so many turns, as after a restart, and saves the clock.
    ///
    /// # Errors
    /// A page was missing.
    pub fn run<H: Host>(&mut self, vm: &mut Vm, turns: u64, host: &mut H) -> Result<(), H::Error> {
        self.step(vm, SystemStep::Restarted { resumed: self.resumed }, host)?;
        for _ in 0..turns {
            self.turn += 1;
            self.clock += TICK;
            let quiet = AtomicBool::new(false);
            let limits = TurnLimits { polls: POLLS };
            let turn = host.whole(|| vm.turn(self, &quiet, limits))?;
            self.serve(vm, host)?;
            if let Turn::Idle { deadline: Some(deadline) } = turn {
                self.clock = self.clock.max(deadline.0);
            }
        }
        self.step(vm, SystemStep::SaveClock, host)
    }

    /// What programs asked for, and the grace that is due.
    fn serve<H: Host>(&mut self, vm: &mut Vm, host: &mut H) -> Result<(), H::Error> {
        let requests = vm.take_requests();
        if requests.console_output {
            let mut buffer = [0; CONSOLE_BYTES];
            let mut count = 0;
            loop {
                count = host.whole(|| vm.console_drain(count, &mut buffer))?;
                if count == 0 {
                    break;
                }
                host.print(buffer.get(..count).unwrap_or(&buffer));
            }
        }
        if let Some(epoch) = requests.commit {
            self.step(vm, SystemStep::CommitDurable(epoch), host)?;
        }
        if requests.grace || self.turn.is_multiple_of(GRACE_EVERY) {
            self.step(vm, SystemStep::BeginGrace, host)?;
            self.step(vm, SystemStep::ContinueGrace, host)?;
        }
        Ok(())
    }

    /// A system step, to its end.
    fn step<H: Host>(
        &mut self,
        vm: &mut Vm,
        step: SystemStep,
        host: &mut H,
    ) -> Result<(), H::Error> {
        loop {
            let outcome = host.whole(|| vm.system_step(step, self))?;
            if outcome == StepOutcome::Done {
                return Ok(());
            }
        }
    }
}

impl Environment for Script {
    fn monotonic(&self) -> Nanoseconds {
        Nanoseconds(self.clock)
    }

    fn wall(&self) -> Nanoseconds {
        Nanoseconds(WALL + self.clock)
    }

    fn epoch(&self) -> Epoch {
        self.resumed.next()
    }

    fn disk_space(&self) -> DiskSpace {
        DiskSpace::Enough
    }

    fn entropy(&mut self) -> u64 {
        self.turn.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    }
}
