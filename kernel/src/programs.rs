//! What the event loop runs: the programs of object space, or a built-in test in their place.
//!
//! Methods marked *attempt* touch object space; the loop calls them inside a slice, and they may never return.

use crate::world::World;
use alloc::vec::Vec;
use revenant_collector::schedule::Note;
use revenant_hal::{Epoch, PageIndex};
use revenant_machine::attention;
use revenant_vm::heap::AllocationError;
use revenant_vm::sweep::{Slice, Verdicts};
use revenant_vm::{
    Hanging, Lost, PageVerdict, Prospect, Quota, Requests, StepOutcome, SystemStep, ThreadId, Turn,
    Vm, WitnessRecord,
};

/// The loop's view of programs. Its documentation is that of [`Vm`]'s methods with the same names, which overrides all of
/// them; the defaults are for built-in tests: no console, no threads, nothing asked for, nothing known of pages that fail.
pub(crate) trait Programs {
    /// *Attempt.* Runs something for a while.
    fn turn(&mut self, world: &mut World) -> Turn;
    /// *Attempt.* A bounded piece of the scheduler's work.
    fn system_step(&mut self, _step: SystemStep, _world: &mut World) -> StepOutcome {
        StepOutcome::Done
    }
    /// *Attempt.* The page cannot be read.
    fn page_failed(&mut self, _page: PageIndex, _world: &mut World) -> PageVerdict {
        PageVerdict::StepBack
    }
    /// The next thread that was lost with a page.
    fn take_lost(&mut self) -> Option<(PageIndex, ThreadId)> {
        None
    }
    /// *Attempt.* Copies the next console output; `sent` bytes of the batch before have left the machine.
    fn console_drain(&mut self, _sent: usize, _buffer: &mut [u8]) -> usize {
        0
    }
    /// *Attempt.* Gives console input.
    fn console_input(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }
    /// *Attempt.* The step counters, in the stop.
    fn witness(&mut self, _records: &mut [WitnessRecord]) -> usize {
        0
    }
    /// The first step of each thread since the resume, once.
    fn take_first_steps(&mut self) -> Vec<WitnessRecord> {
        Vec::new()
    }
    /// *Attempt.* Pages that the scheduler will need after the one that it waits for.
    fn upcoming(&mut self, _pages: &mut [PageIndex]) -> usize {
        0
    }
    /// *Attempt.* The next slice of a sweep.
    fn sweep(&mut self, _verdicts: &dyn Verdicts, _world: &mut World) -> Option<Slice> {
        None
    }
    /// *Attempt.* Drops a sweep whose mark is gone; whether none is under way now.
    fn give_up_sweep(&mut self, _world: &mut World) -> bool {
        true
    }
    /// *Attempt.* What a collection may find, and what is wanted of it.
    fn prospect(&mut self) -> Prospect {
        Prospect::default()
    }
    /// *Attempt.* Writes down what the next collection is judged by, and which wishes were met.
    fn note_collection(&mut self, _note: Note) {}
    /// *Attempt.* Keeps the account of a collection; none if that has to wait.
    fn keep_account(
        &mut self,
        _text: &str,
        _world: &mut World,
    ) -> Option<Result<(), AllocationError>> {
        Some(Ok(()))
    }
    /// *Attempt.* Hangs what a lost page led to; none if that has to wait.
    fn hang(
        &mut self,
        _lost: &Lost,
        _world: &mut World,
    ) -> Option<Result<Hanging, AllocationError>> {
        Some(Ok(Hanging::Refused))
    }
    /// *Attempt.* Keeps the report on lost pages; none if that has to wait.
    fn keep_lost(
        &mut self,
        _epoch: Epoch,
        _pages: &[PageIndex],
        _report: &str,
        _world: &mut World,
    ) -> Option<Result<(), AllocationError>> {
        Some(Ok(()))
    }
    /// *Attempt.* Whether such a report was about this page; none if that has to wait.
    fn knows_lost(
        &mut self,
        _page: PageIndex,
        _world: &mut World,
    ) -> Option<Result<bool, AllocationError>> {
        Some(Ok(false))
    }
    /// *Attempt.* Groups, that of the system included.
    fn groups(&mut self) -> u32 {
        0
    }
    /// *Attempt.* What a group has of object space.
    fn quota(&mut self, _group: u32) -> Quota {
        Quota::default()
    }
    /// Whether an instruction of a program has run since the resume.
    fn has_run(&self) -> bool {
        false
    }
    /// The last attempt waits for a page.
    fn abandoned(&mut self, _page: PageIndex) {}
    /// Whoever waits for the page may try again.
    fn page_arrived(&mut self, _page: PageIndex) {}
    /// Everybody who waits may try again.
    fn retry_all(&mut self) {}
    /// What was asked for.
    fn take_requests(&mut self) -> Requests {
        Requests::default()
    }
}

impl Programs for Vm {
    fn turn(&mut self, world: &mut World) -> Turn {
        let limits = world.turn;
        Self::turn(self, world, attention::flag(), limits)
    }

    fn system_step(&mut self, step: SystemStep, world: &mut World) -> StepOutcome {
        Self::system_step(self, step, world)
    }

    fn page_failed(&mut self, page: PageIndex, world: &mut World) -> PageVerdict {
        Self::page_failed(self, page, world)
    }

    fn take_lost(&mut self) -> Option<(PageIndex, ThreadId)> {
        Self::take_lost(self)
    }

    fn console_drain(&mut self, sent: usize, buffer: &mut [u8]) -> usize {
        Self::console_drain(self, sent, buffer)
    }

    fn console_input(&mut self, bytes: &[u8]) -> usize {
        Self::console_input(self, bytes)
    }

    fn witness(&mut self, records: &mut [WitnessRecord]) -> usize {
        Self::witness(self, records)
    }

    fn take_first_steps(&mut self) -> Vec<WitnessRecord> {
        Self::take_first_steps(self)
    }

    fn upcoming(&mut self, pages: &mut [PageIndex]) -> usize {
        Self::upcoming(self, pages)
    }

    fn sweep(&mut self, verdicts: &dyn Verdicts, world: &mut World) -> Option<Slice> {
        Some(Self::sweep(self, verdicts, world))
    }

    fn give_up_sweep(&mut self, world: &mut World) -> bool {
        Self::give_up_sweep(self, world)
    }

    fn prospect(&mut self) -> Prospect {
        Self::prospect(self)
    }

    fn note_collection(&mut self, note: Note) {
        self.grant(note.granted);
        if let Some(collected) = note.collected {
            self.set_collected(collected);
        }
    }

    fn keep_account(
        &mut self,
        text: &str,
        world: &mut World,
    ) -> Option<Result<(), AllocationError>> {
        Self::keep_account(self, text, world)
    }

    fn hang(&mut self, lost: &Lost, world: &mut World) -> Option<Result<Hanging, AllocationError>> {
        Self::hang(self, lost, world)
    }

    fn keep_lost(
        &mut self,
        epoch: Epoch,
        pages: &[PageIndex],
        report: &str,
        world: &mut World,
    ) -> Option<Result<(), AllocationError>> {
        Self::keep_lost(self, epoch, pages, report, world)
    }

    fn knows_lost(
        &mut self,
        page: PageIndex,
        world: &mut World,
    ) -> Option<Result<bool, AllocationError>> {
        Self::knows_lost(self, page, world)
    }

    fn groups(&mut self) -> u32 {
        Self::groups(self)
    }

    fn quota(&mut self, group: u32) -> Quota {
        Self::quota(self, group)
    }

    fn has_run(&self) -> bool {
        Self::has_run(self)
    }

    fn abandoned(&mut self, page: PageIndex) {
        Self::abandoned(self, page);
    }

    fn page_arrived(&mut self, page: PageIndex) {
        Self::page_arrived(self, page);
    }

    fn retry_all(&mut self) {
        Self::retry_all(self);
    }

    fn take_requests(&mut self) -> Requests {
        Self::take_requests(self)
    }
}
