//! System steps: the scheduler's work that the kernel asks for by name. Each call is bounded and may be made again after an abandoned
//! attempt.

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use crate::counting::{self, Progress};
use crate::dispatch::Worker;
use crate::heap::discard;
use crate::loader::layout::EVENT_HEAD;
use crate::memory::Space;
use crate::memory::layout::area;
use crate::memory::layout::system::{root, scheduler};
use crate::memory::layout::thread::COMMIT_EPOCH;
use crate::scheduler::queue::Queue;
use crate::scheduler::word;
use crate::thread::{Completion, at, first_waiting, life, wake_now};

use super::discards::Discards;
use super::outcome::{StepOutcome, SystemStep};
use super::vm::GRACE_STEPS;

/// Threads that one step wakes at most.
const WOKEN: u32 = 64;

const fn root_word(offset: u64) -> ObjectAddress {
    ObjectAddress(area::ROOT + offset)
}

/// Notes the machine clock in the root page. One step.
pub(super) fn save_clock(space: Space, clock: u64) {
    let place = root_word(root::MACHINE_CLOCK);
    if space.load_for_change::<u64>(place) < clock {
        space.begin_changes();
        space.store(place, clock);
    }
    space.end_step();
}

/// Takes the step.
pub(super) fn take(worker: &mut Worker, discards: &mut Discards, step: SystemStep) -> StepOutcome {
    let space = worker.space;
    match step {
        SystemStep::BeginGrace => {
            // What a grace changes is written by the snapshot after it: an idle machine is to write little.
            if !counting::grace::is_pointless(space) {
                counting::close(space);
            }
            StepOutcome::Done
        }
        SystemStep::ContinueGrace => match counting::grace::run(space, GRACE_STEPS) {
            Ok(Progress::More) => StepOutcome::More,
            _ if life::reap(space) => StepOutcome::More,
            _ => StepOutcome::Done,
        },
        SystemStep::Discard => match discards.before_flip(worker) {
            discard::Progress::More => StepOutcome::More,
            _ => StepOutcome::Done,
        },
        SystemStep::CommitDurable(epoch) => commit_durable(space, epoch.0),
        SystemStep::CommitFailed(epoch) => {
            end_waits(space, epoch.0, |_| Completion::Throws(Builtin::SnapshotFailedException))
        }
        SystemStep::Restarted { resumed } => restarted(space, resumed.0),
        SystemStep::SaveClock => {
            let clock = worker.machine_clock();
            save_clock(space, clock);
            StepOutcome::Done
        }
    }
}

/// Completes waits of `commit()`, first come first served: epochs in the FIFO never go down.
fn commit_durable(space: Space, epoch: u64) -> StepOutcome {
    let durable = root_word(root::DURABLE_EPOCH);
    if space.load::<u64>(durable) < epoch {
        space.touch_write(durable);
        space.store(durable, epoch);
        space.end_step();
    }
    end_waits(space, epoch, Completion::Result)
}

/// Ends the waits of `commit()` up to this epoch, each as `completion` makes of the epoch it waits for.
fn end_waits(space: Space, epoch: u64, completion: impl Fn(u64) -> Completion) -> StepOutcome {
    let waiting = Queue::new(word(scheduler::COMMIT_HEAD));
    for _ in 0..WOKEN {
        let Some(thread) = first_waiting(space, waiting) else { return StepOutcome::Done };
        let wanted: u64 = space.load(at(thread, COMMIT_EPOCH));
        if wanted > epoch {
            return StepOutcome::Done;
        }
        wake_now(space, thread, completion(wanted));
    }
    StepOutcome::More
}

/// A restart: generation, event, commits. The generation goes up last, so a step that is abandoned and made again
/// announces one restart.
fn restarted(space: Space, resumed: u64) -> StepOutcome {
    if commit_durable(space, resumed) == StepOutcome::More {
        return StepOutcome::More;
    }
    let generation = space.load::<u64>(root_word(root::RESTART_GENERATION)).wrapping_add(1);
    let event: u64 = space.load(root_word(root::RESTART_EVENT));
    let waiting = Queue::new(ObjectAddress(event.wrapping_add(EVENT_HEAD)));
    if event != 0 {
        for _ in 0..WOKEN {
            let Some(thread) = first_waiting(space, waiting) else { break };
            wake_now(space, thread, Completion::Result(generation));
        }
        if waiting.first(space).is_some() {
            return StepOutcome::More;
        }
    }
    space.touch_write(root_word(root::RESTART_GENERATION));
    space.begin_changes();
    space.store(root_word(root::RESTART_GENERATION), generation);
    space.end_step();
    StepOutcome::Done
}
