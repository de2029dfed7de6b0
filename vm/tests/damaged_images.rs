//! Whole programs on damaged object spaces: a thread may die, the host may not, nor may it be held up.

mod machine;

use machine::meeting::MEETING;
use machine::{Machine, Random};
use revenant_hal::{Epoch, ObjectAddress};
use revenant_vm::memory::layout::system::{root, scheduler};
use revenant_vm::memory::layout::{area, thread};
use revenant_vm::sweep::{MARK_WORDS, Marks, Verdicts};
use revenant_vm::{StepOutcome, SystemStep};

/// How many images are damaged: as the environment says, for long runs.
fn images_to_damage(usual: u64) -> u64 {
    std::env::var("REVENANT_DAMAGE").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The worst of marks: all that is there is garbage.
struct NothingMarked;

impl Verdicts for NothingMarked {
    fn name(&self) -> [u64; 4] {
        [1; 4]
    }
    fn epoch(&self) -> Epoch {
        Epoch(u64::MAX >> 16)
    }
    fn follows_weak(&self) -> bool {
        true
    }
    fn marks(&self, _: u32) -> Marks<'_> {
        Marks::Here(&[0; MARK_WORDS])
    }
}

/// Random words in heap, frames and thread objects: a thread may die, the host may not.
#[test]
fn damaged_images_never_crash_the_host() {
    let images = images_to_damage(10_000);
    let seed = 0x5eed_0001;
    let mut machine = Machine::new(MEETING, &[]);
    for _ in 0..60 {
        let _ = machine.turn(5);
    }
    let snapshot = machine.snapshot();
    let mut resumed = 0;
    for image in 0..images {
        let mut random = Random(seed + image);
        machine.restore_if_whole(&snapshot);
        let ranges = machine.host.touched();
        let pages: Vec<_> = ranges.iter().flat_map(|range| range.start.0..range.end.0).collect();
        for _ in 0..=random.below(30) {
            let page = pages[usize::try_from(random.below(pages.len() as u64)).unwrap()];
            let word = page * 4096 + random.below(512) * 8 + (1 << 44);
            let value = match random.below(4) {
                0 => random.next(),
                1 => random.below(1 << 20),
                2 => (1 << 44) + random.below(1 << 44),
                _ => (1 << 44) + (1 << 40) + random.below(1 << 22),
            };
            machine.host.space().store(revenant_hal::ObjectAddress(word), value);
        }
        if !machine.resume_damaged() {
            continue;
        }
        resumed += 1;
        do_system_steps(&mut machine, image);
        for turn in 0..300 {
            let _ = machine.damaged_turn(40);
            if turn % 10 == 0 && image % 4 == 0 {
                let _ = machine.vm.sweep(&NothingMarked, &mut machine.environment);
            }
        }
    }
    assert!(resumed > images / 4, "only {resumed} of {images} damaged images were resumed");
}

/// Calls of a system step after which it counts as endless.
const CALLS: u64 = 5_000;

/// What the kernel asks for by name. Nothing runs before the announcement of a restart is through, and nothing else is done before
/// the commits are: these have an end, whatever their lists hold. A grace may be long: threads run between its calls.
fn do_system_steps(machine: &mut Machine, image: u64) {
    for step in [
        SystemStep::Restarted { resumed: Epoch(1) },
        SystemStep::CommitFailed(Epoch(7)),
        SystemStep::CommitDurable(Epoch(9)),
    ] {
        let ends = (0..CALLS)
            .any(|_| machine.vm.system_step(step, &mut machine.environment) == StepOutcome::Done);
        assert!(ends, "image {image}: {step:?} has no end");
    }
    let _ = machine.vm.system_step(SystemStep::BeginGrace, &mut machine.environment);
    for _ in 0..20 {
        let _ = machine.vm.system_step(SystemStep::ContinueGrace, &mut machine.environment);
    }
}

/// Damage where it is rare by chance: the heads of the lists of threads (ended, waiting for a commit or a restart, runnable), the links in
/// thread objects, the table of threads.
#[test]
fn damaged_lists_of_threads_have_an_end() {
    let images = images_to_damage(10_000) / 25;
    let mut machine = Machine::new(MEETING, &[]);
    for _ in 0..60 {
        let _ = machine.turn(5);
    }
    let snapshot = machine.snapshot();
    let load =
        |machine: &Machine, address| machine.host.space().load::<u64>(ObjectAddress(address));
    let threads: Vec<u64> =
        (1..=5).map(|index| load(&machine, area::THREAD_TABLE + index * 8)).collect();
    let event = load(&machine, area::ROOT + root::RESTART_EVENT);
    let heads = [scheduler::ENDED_HEAD, scheduler::COMMIT_HEAD, scheduler::RUN_HEAD]
        .map(|word| area::SCHEDULER + word);
    let links = [
        thread::HOT_NEXT,
        thread::WAIT_NEXT,
        thread::WAIT_PREVIOUS,
        thread::WAIT_QUEUE,
        thread::STATE,
        thread::INDEX,
        thread::JOIN_HEAD,
        thread::COMMIT_EPOCH,
    ];
    for image in 0..images {
        let mut random = Random(0x5eed_0002 + image);
        machine.restore_if_whole(&snapshot);
        let pick = |random: &mut Random, from: &[u64]| {
            from[usize::try_from(random.below(from.len() as u64)).unwrap()]
        };
        for _ in 0..=random.below(12) {
            let place = match random.below(8) {
                0..3 => pick(&mut random, &heads) + 8 * random.below(2),
                3 => event + 16 + 8 * random.below(2),
                4 => area::THREAD_TABLE + 8 * random.below(6),
                _ => pick(&mut random, &threads) + pick(&mut random, &links),
            };
            let value = match random.below(6) {
                0 => random.next(),
                1 => random.below(6),
                2 => pick(&mut random, &heads),
                3 => pick(&mut random, &threads) + 8 * random.below(60),
                _ => pick(&mut random, &threads),
            };
            machine.host.space().store(ObjectAddress(place & !7), value);
        }
        if !machine.resume_damaged() {
            continue;
        }
        do_system_steps(&mut machine, image);
        for _ in 0..60 {
            let _ = machine.damaged_turn(40);
        }
    }
}
