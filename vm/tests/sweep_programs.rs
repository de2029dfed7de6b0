//! Whole programs beside collections: threads in bytecode make circles and let go of them, keep some and look after what these hold; flips, marks
//! made by the tracer, slices between turns, attempts that end anywhere, cuts. They all come to their end, and nothing of theirs is left.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;
mod sweep_oracle;

use machine::{Machine, Random, Snapshot};
use revenant_hal::{Epoch, ObjectAddress, PageIndex};
use revenant_vm::counting;
use revenant_vm::memory::Attempts;
use revenant_vm::sweep::{Outcome, Statistics};
use revenant_vm::{ExitStatus, PageVerdict, StepOutcome, SystemStep};
use sweep_oracle::{Roots, Tracer, Verdict};

/// Four threads make 120 circles each, keep every eighth until the next such one, and throw if it has changed.
const CIRCLES: &str = r#"
module circles version 1

class Node {
    next: Node?
    other: Node?
    value: i64
}

array Threads of Thread

export function main(environment: Environment) -> i64 {
    i64.set count, 4
    array.new threads, count, Threads
    i64.set i, 0
spawn:
    closure.new closure, environment, work
    native thread.spawn(closure, 0) -> thread
    array.store.ref thread, threads, i
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, spawn
    i64.set sum, 0
    i64.set i, 0
join:
    array.load.ref thread, threads, i
    null_check thread, thread
    native thread.join(thread) -> problem
    branch.null problem, sound
    jump next
sound:
    i64.add.imm sum, sum, 1
next:
    i64.add.imm i, i, 1
    i64.branch.lt_s i, count, join
    return sum
}

function circle(value: i64) -> Node {
    object.new first, Node
    object.new second, Node
    field.store.ref second, first, Node.next
    field.store.ref first, second, Node.next
    field.store.raw value, first, Node.value
    field.store.raw value, second, Node.value
    return first
}

function work(closure: Closure) {
    i64.set i, 0
    i64.set end, 120
    i64.set kept, 0
    call circle(kept) -> held
    native weak.new(held) -> weak
again:
    i64.add.imm i, i, 1
    call circle(i) -> made
    field.store.ref held, made, Node.other
    native thread.yield()
    field.load.raw value, held, Node.value
    i64.branch.ne value, kept, wrong
    field.load.ref next, held, Node.next
    null_check next, next
    field.load.raw value, next, Node.value
    i64.branch.ne value, kept, wrong
    field.load.ref back, next, Node.next
    null_check back, back
    field.load.raw value, back, Node.value
    i64.branch.ne value, kept, wrong
    native weak.get(weak) -> got
    branch.null got, wrong
    i64.rem_u.imm turn, i, 8
    i64.branch.ne.imm turn, 0, on
    i64.set kept, 0
    i64.add kept, kept, i
    call circle(kept) -> held
    native weak.new(held) -> weak
on:
    i64.branch.lt_s i, end, again
    return
wrong:
    i64.set zero, 0
    i64.div_u zero, zero, zero
    return
}
"#;

struct Collected {
    machine: Machine,
    random: Random,
    verdict: Option<Verdict>,
    marks: u64,
    highest: u64,
    saved: Option<Snapshot>,
    statistics: Statistics,
}

impl Collected {
    /// Ends attempts at random touches until one is whole.
    fn slice(&mut self) -> Outcome {
        let Some(verdict) = self.verdict.take() else { return Outcome::Done };
        let mut touches = if self.random.below(3) == 0 { self.random.below(40) } else { u64::MAX };
        let slice = loop {
            let (vm, environment) = (&mut self.machine.vm, &mut self.machine.environment);
            if let Some(slice) = Attempts::run(touches, || vm.sweep(&verdict, environment)) {
                break slice;
            }
            self.machine.abandoned(PageIndex(9));
            self.machine.vm.page_arrived(PageIndex(9));
            touches += 1 + self.random.below(30);
        };
        self.statistics.add(&slice);
        if let Outcome::NotYet(block) = slice.outcome {
            verdict.bring(block);
        }
        if slice.outcome != Outcome::Done {
            self.verdict = Some(verdict);
        }
        slice.outcome
    }

    /// The flip: what is at zero is freed before it, a mark of it is made if there is none, and a cut may come back to it.
    fn flip(&mut self) {
        let space = self.machine.host.space();
        let step = SystemStep::BeginGrace;
        let _ = self.machine.vm.system_step(step, &mut self.machine.environment);
        if self.verdict.is_none() {
            self.marks += 1;
            let verdict = Verdict::of(space, self.marks, self.machine.environment.epoch);
            self.verdict = Some(verdict.forgets());
            // The mark is of this snapshot, so a cut comes back to this one at the earliest.
            self.saved = Some(self.machine.snapshot());
        } else if self.random.below(2) == 0 {
            self.saved = Some(self.machine.snapshot());
        }
        self.advance();
    }

    fn advance(&mut self) {
        self.highest += 1;
        self.machine.environment.epoch = self.highest;
        counting::set_epoch(self.machine.host.space(), Epoch(self.highest));
    }

    /// The power goes, and comes back: so does a sweep whose end was in no snapshot.
    fn cut(&mut self) {
        if let Some(saved) = self.saved.take() {
            self.machine.restore(&saved);
            self.saved = Some(saved);
            self.advance();
        }
    }

    fn collect(&mut self) -> u64 {
        for _ in 0..3 {
            let environment = &mut self.machine.environment;
            let _ = self.machine.vm.system_step(SystemStep::BeginGrace, environment);
            let step = SystemStep::ContinueGrace;
            while self.machine.vm.system_step(step, environment) == StepOutcome::More {}
        }
        let before = self.statistics.objects();
        self.verdict = None;
        self.flip();
        while self.slice() != Outcome::Done {}
        self.statistics.objects() - before
    }
}

fn run(seed: u64, cuts: bool) -> Statistics {
    let machine = Machine::new(CIRCLES, &[]);
    let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (verdict, saved, statistics) = (None, None, Statistics::default());
    let mut run = Collected { machine, random, verdict, marks: 0, highest: 1, saved, statistics };
    for _ in 0..100_000 {
        if run.machine.ended.is_some() {
            break;
        }
        let polls = u32::try_from(run.random.below(30) + 1).unwrap();
        let _ = run.machine.turn(polls);
        match run.random.below(12) {
            0 => run.flip(),
            1..=5 => {
                let before = Tracer(run.machine.host.space()).living();
                let _ = run.slice();
                assert!(before == Tracer(run.machine.host.space()).living(), "seed {seed}");
            }
            // While a mark is being swept: its end is in no snapshot yet.
            6 if cuts && run.verdict.is_some() && run.random.below(6) == 0 => {
                run.cut();
            }
            _ => {}
        }
    }
    assert_eq!(run.machine.ended, Some(ExitStatus::Returned(4)), "seed {seed}");
    let _ = run.collect();
    let _ = run.collect();
    assert_eq!(run.collect(), 0, "seed {seed}: garbage is left");
    let space = run.machine.host.space();
    let trace = Tracer(space).trace(Roots::Programs);
    let started = Tracer(space).started();
    let garbage: Vec<_> = started.difference(&trace.strong).collect();
    assert!(garbage.is_empty(), "seed {seed}: {garbage:x?}");
    let report = counting::audit::audit(space);
    assert!(report.findings.is_empty(), "seed {seed}: {:#?}", report.findings);
    run.statistics
}

#[test]
fn programs_go_on_beside_collections() {
    let mut objects = 0;
    for seed in 0..12 {
        println!("seed {seed}");
        objects += run(seed, false).circles.objects;
    }
    assert!(objects > 3_000, "{objects} objects in circles");
}

#[test]
fn programs_go_on_beside_collections_through_cuts() {
    for seed in 100..112 {
        println!("seed {seed}");
        assert!(run(seed, true).objects() > 200);
    }
}

/// What the kernel does when a page that the sweep needs can never be read: it is judged, and the sweep goes on behind it.
#[test]
fn a_sweep_goes_on_behind_a_page_that_cannot_be_read() {
    let mut machine = Machine::new(CIRCLES, &[]);
    while machine.ended.is_none() {
        let _ = machine.turn(1_000);
    }
    machine.audit();
    let space = machine.host.space();
    let verdict = Verdict::of(space, 1, 1);
    machine.environment.epoch = 2;
    let garbage = || {
        let reached = Tracer(space).trace(Roots::Mark).strong;
        let started = Tracer(space).started();
        started.difference(&reached).copied().collect::<Vec<_>>()
    };
    let lost = garbage()[garbage().len() / 2] & !4095;
    let before = garbage().len();
    Attempts::lose(lost);
    let mut judged = 0;
    for _ in 0..10_000 {
        let (vm, environment) = (&mut machine.vm, &mut machine.environment);
        match Attempts::run(u64::MAX, || vm.sweep(&verdict, environment).outcome) {
            Some(Outcome::Done) => break,
            Some(_) => {}
            None => {
                let page = ObjectAddress(Attempts::ended_at()).page();
                machine.abandoned(page);
                let (vm, environment) = (&mut machine.vm, &mut machine.environment);
                assert_eq!(vm.sweep(&verdict, environment).outcome, Outcome::Waiting);
                assert_eq!(vm.page_failed(page, environment), PageVerdict::BlockStuck);
                judged += 1;
            }
        }
    }
    Attempts::find_all();
    let left = garbage();
    assert!(judged > 0 && before > 100, "{judged} of {before}");
    assert!(!left.is_empty() && left.iter().all(|object| object & !4095 == lost), "{left:x?}");
}
