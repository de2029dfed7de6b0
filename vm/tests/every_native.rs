//! Natives 1 to 35 in programs: what they answer, and that they answer the same when attempts end at every touch, once and again
//! and again, and when the machine is cut at any turn.
//!
//! Each program of `natives/` counts what came out as it must. It runs undisturbed; then from the beginning of each turn with the attempt
//! ended at the n-th touch, for every n of the turn, and undisturbed from there; then with every turn ended at one touch after the
//! other; then from a snapshot of each turn as after a restart. What natives answered is recorded, and one test asks that all of
//! them ran, waited, went in steps and threw as the table says. Natives from 36 on have such tests beside their code.

mod machine;

use std::collections::BTreeSet;

use machine::{Machine, Snapshot};
use revenant_bytecode::{NATIVES, NativeKind};
use revenant_hal::Epoch;
use revenant_vm::memory::Attempts;
use revenant_vm::{Answer, ExitStatus, NativeAnswers, StepOutcome, SystemStep, Turn};

/// What happens when nothing can run.
#[derive(Clone, Copy)]
enum Event {
    /// Somebody types.
    Input(&'static str),
    /// The machine restarts.
    Restart,
}

/// A program and what must come of it.
struct Case {
    source: &'static str,
    arguments: &'static [&'static str],
    events: &'static [Event],
    read_only: bool,
    answer: u64,
}

impl Case {
    const fn new(source: &'static str, answer: u64) -> Self {
        Self { source, arguments: &[], events: &[], read_only: false, answer }
    }
}

const WORLD: Case = Case {
    arguments: &["4"],
    events: &[Event::Restart],
    ..Case::new(include_str!("natives/world.rasm"), 12)
};
const REFUSED: Case =
    Case { read_only: true, ..Case::new(include_str!("natives/refused.rasm"), 1) };
const CONSOLE: Case = Case {
    events: &[Event::Input("abc"), Event::Input("d\n"), Event::Input("ef\n")],
    ..Case::new(include_str!("natives/console.rasm"), 6)
};
const TIME: Case = Case::new(include_str!("natives/time.rasm"), 6);
const THREADS: Case = Case::new(include_str!("natives/threads.rasm"), 12);
const LOCKS: Case = Case::new(include_str!("natives/locks.rasm"), 17);
const CONDITIONS: Case = Case::new(include_str!("natives/conditions.rasm"), 14);
const SEMAPHORES: Case = Case::new(include_str!("natives/semaphores.rasm"), 6);

const CASES: [&Case; 8] =
    [&WORLD, &REFUSED, &CONSOLE, &TIME, &THREADS, &LOCKS, &CONDITIONS, &SEMAPHORES];

/// A run of a case, and how many of its events have happened.
struct Run<'c> {
    machine: Machine,
    case: &'c Case,
    events: usize,
}

/// The console's mark of a restart.
const MARK: &str = "\n-- restarted --\n";

impl<'c> Run<'c> {
    fn new(case: &'c Case) -> Self {
        let mut machine = Machine::new(case.source, case.arguments);
        machine.environment.read_only = case.read_only;
        Self { machine, case, events: 0 }
    }

    /// Lets happen what the program waits for.
    fn event(&mut self) {
        match self.case.events.get(self.events) {
            Some(Event::Input(text)) => {
                assert_eq!(self.machine.vm.console_input(text.as_bytes()), text.len());
            }
            Some(Event::Restart) => self.restart(),
            None => panic!("nothing can run; output so far: {}", self.machine.output),
        }
        self.events += 1;
    }

    fn restart(&mut self) {
        let step = SystemStep::Restarted { resumed: Epoch(1) };
        let (vm, environment) = (&mut self.machine.vm, &mut self.machine.environment);
        while vm.system_step(step, environment) == StepOutcome::More {}
    }

    /// Makes a turn of what `turn` does; false at the end of the program.
    fn turn(&mut self, turn: impl FnOnce(&mut Machine) -> Turn) -> bool {
        if self.machine.ended.is_some() {
            return false;
        }
        let idle = turn(&mut self.machine) == (Turn::Idle { deadline: None });
        if idle && !self.machine.committed && self.machine.ended.is_none() {
            self.event();
        }
        true
    }

    /// Runs to the end: the answer, and the output without marks of restarts.
    fn finish(&mut self, mut turn: impl FnMut(&mut Machine) -> Turn) -> String {
        for _ in 0..1_000_000 {
            if !self.turn(&mut turn) {
                self.machine.audit();
                let answer = match self.machine.ended {
                    Some(ExitStatus::Returned(answer)) => answer.cast_signed().to_string(),
                    other => format!("{other:?}"),
                };
                return format!("{answer} {}", self.machine.output.replace(MARK, ""));
            }
        }
        panic!("the program does not end; output so far: {}", self.machine.output)
    }

    fn restore(&mut self, (snapshot, events): &(Snapshot, usize)) {
        self.machine.restore(snapshot);
        self.events = *events;
    }
}

/// The undisturbed run: what came out, and a snapshot of the beginning of each turn.
fn undisturbed<'c>(case: &'c Case, polls: u32) -> (Run<'c>, String, Vec<(Snapshot, usize)>) {
    let mut run = Run::new(case);
    let mut snapshots = vec![(run.machine.snapshot(), 0)];
    Attempts::check(true);
    while run.turn(|machine| machine.turn(polls)) {
        Attempts::check(false);
        snapshots.push((run.machine.snapshot(), run.events));
        Attempts::check(true);
    }
    Attempts::check(false);
    let violations = Attempts::take_violations();
    assert!(violations.is_empty(), "{} violations; {}", violations.len(), violations[0]);
    let found = run.finish(|machine| machine.turn(polls));
    assert!(found.starts_with(&format!("{} ", case.answer)), "{found}");
    (run, found, snapshots)
}

/// Ends the attempt once at each touch of each turn.
fn once(case: &Case, polls: u32) {
    let (mut run, expected, snapshots) = undisturbed(case, polls);
    let mut ended = 0;
    for (number, snapshot) in snapshots.iter().enumerate() {
        for touches in 0.. {
            run.restore(snapshot);
            let mut whole = true;
            let _ = run.turn(|machine| {
                let turn = machine.turn_ended_at(polls, touches);
                whole = turn.is_some();
                turn.unwrap_or(Turn::Waiting)
            });
            if whole {
                break;
            }
            ended += 1;
            let found = run.finish(|machine| machine.turn(polls));
            assert_eq!(found, expected, "turn {number} ended at touch {touches}");
        }
    }
    assert!(ended > 150, "{ended} attempts were ended");
}

/// Ends every turn at one touch after the other, until it is whole.
fn again_and_again(case: &Case) {
    for polls in [1, 9, 1000] {
        let (_, expected, _) = undisturbed(case, polls);
        let mut run = Run::new(case);
        let found = run.finish(|machine| machine.disturbed_turn(polls, 0));
        assert_eq!(found, expected, "{polls} polls a slice");
        assert!(run.machine.abandoned > 100, "{} attempts were ended", run.machine.abandoned);
    }
}

/// Cuts the machine before each turn.
fn over_a_restart(case: &Case, polls: u32) {
    let (mut run, expected, snapshots) = undisturbed(case, polls);
    for (number, snapshot) in snapshots.iter().enumerate() {
        run.restore(snapshot);
        run.restart();
        let found = run.finish(|machine| machine.turn(polls));
        assert_eq!(found, expected, "restarted before turn {number}");
    }
}

macro_rules! disturbed {
    ($($name:ident $case:ident $polls:literal;)*) => {
        $(mod $name {
            use super::{CASES, over_a_restart, once, again_and_again, $case};

            #[test]
            fn once_at_every_touch() {
                once(&$case, $polls);
            }

            #[test]
            fn at_every_touch_again_and_again() {
                again_and_again(&$case);
            }

            #[test]
            fn cut_before_every_turn() {
                over_a_restart(&$case, $polls);
            }

            #[test]
            fn is_looked_at_by_the_test_of_coverage() {
                assert!(CASES.iter().any(|case| case.source == $case.source));
            }
        })*
    };
}

disturbed! {
    world WORLD 2;
    refused REFUSED 2;
    console CONSOLE 9;
    time TIME 2;
    threads THREADS 9;
    locks LOCKS 9;
    conditions CONDITIONS 9;
    semaphores SEMAPHORES 9;
}

/// What the table says of natives 1 to 35 has happened in these programs: each ran to its end, those that wait waited, and
/// each threw what it can throw; and nothing else has happened.
#[test]
fn every_native_has_a_case_for_all_that_it_does() {
    let _ = NativeAnswers::take();
    for case in CASES {
        let _ = undisturbed(case, 1000);
    }
    let seen = NativeAnswers::take();
    let mut missing = BTreeSet::new();
    for info in NATIVES.iter().filter(|info| info.native.number() <= 35) {
        let mut needed = vec![Answer::Done];
        if info.kind == NativeKind::Waits {
            needed.push(Answer::Parked);
        }
        needed.extend(info.throws.iter().map(|class| Answer::Throws(*class)));
        for answer in needed {
            if !seen.contains(&(info.native, answer)) {
                missing.insert(format!("{}: {answer:?}", info.name));
            }
        }
    }
    assert!(missing.is_empty(), "no case has {missing:#?}");
    for (native, answer) in seen {
        let info = native.info();
        let promised = match answer {
            Answer::Done => true,
            Answer::Again => info.kind != NativeKind::Step,
            Answer::Parked => info.kind == NativeKind::Waits,
            Answer::Throws(class) => info.may_throw(class),
        };
        assert!(promised, "{}: {answer:?} is not in its row", info.name);
    }
}
