//! Pages of thread objects that cannot be read, by every kind of list that led through them: the others get what they wait for, and
//! who waits for a lost one hears of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;
mod sweep_oracle;

use core::sync::atomic::AtomicBool;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use machine::crowd::CROWD;
use machine::{Calm, Machine, Random};
use revenant_hal::{Epoch, ObjectAddress, PageBytes, PageIndex};
use revenant_vm::counting::audit;
use revenant_vm::memory::Attempts;
use revenant_vm::memory::layout::system::{counting, root, scheduler};
use revenant_vm::memory::layout::{BLOCK, area, block, thread};
use revenant_vm::sweep::Outcome;
use revenant_vm::{ExitStatus, PageVerdict, StepOutcome, SystemStep, Turn, TurnLimits, Vm};
use sweep_oracle::{Roots, Tracer, Verdict};

/// Nanoseconds that pass with a turn.
const TICK: u64 = 100_000;
/// When `main` lets everybody go, and a little more.
const LET_GO: u64 = 62_000_000;
const MAIN: u64 = 1;

/// A program whose thread objects may be lost, driven as the kernel drives it.
struct Crowd {
    machine: Machine,
    random: Random,
    /// One attempt in so many ends early, as if a page had to be brought in first; 0 for none.
    ended_one_in: u64,
    /// One break between attempts in so many is a restart; 0 for none.
    cut_one_in: u64,
    /// Lost threads that were told of, with their pages.
    told: BTreeMap<u64, u64>,
    has_let_go: bool,
}

impl Crowd {
    fn new(source: &str, arguments: &[&str], seed: u64) -> Self {
        let machine = Machine::new(source, arguments);
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (told, has_let_go) = (BTreeMap::new(), false);
        Self { machine, random, ended_one_in: 0, cut_one_in: 0, told, has_let_go }
    }

    fn word(&self, address: u64) -> u64 {
        let value = self.machine.host.space().load::<u64>(ObjectAddress(address));
        self.machine.host.space().end_step();
        value
    }

    fn state(&self, object: u64) -> u32 {
        u32::try_from(self.word(object + thread::STATE) & 0xffff_ffff).unwrap()
    }

    /// Threads by index.
    fn threads(&self) -> BTreeMap<u64, u64> {
        let next = self.word(area::ROOT + root::NEXT_THREAD);
        let entry = |index| (index, self.word(area::THREAD_TABLE + index * 8));
        (1..next).map(entry).filter(|(_, object)| object & 1 == 0 && *object != 0).collect()
    }

    /// Destroys a page; the thread objects, those of ended ones among them, that it held.
    fn lose(&self, page: PageIndex) -> Vec<u64> {
        let cells = (0..8).map(|cell| page.address().0 + cell * thread::SIZE);
        // A cell in which no thread ever was has been made a lost one without an index, if the page was lost before.
        let is_thread = |cell: &u64| self.word(cell + thread::INDEX) & 0xffff_ffff != 0;
        let held = cells.filter(is_thread).collect();
        self.machine.host.set_page(page, &PageBytes([0xa5; 4096]));
        Attempts::lose(page.address().0);
        held
    }

    /// Does something until an attempt is whole.
    fn attempt<T>(&mut self, work: impl Fn(&mut Vm, &mut Calm) -> T) -> T {
        let mut touches = u64::MAX;
        if self.ended_one_in > 0 && self.random.next().is_multiple_of(self.ended_one_in) {
            touches = self.random.below(120);
        }
        for _ in 0..1000 {
            let (vm, environment) = (&mut self.machine.vm, &mut self.machine.environment);
            if let Some(value) = Attempts::run(touches, || work(vm, environment)) {
                return value;
            }
            let page = ObjectAddress(Attempts::ended_at()).page();
            self.machine.abandoned(page);
            if Attempts::is_lost(page.address().0) {
                self.judge(page);
            } else {
                self.machine.vm.page_arrived(page);
                touches = touches.saturating_mul(2).saturating_add(30);
            }
        }
        panic!("an attempt ends for ever");
    }

    /// Draws the consequences of an unreadable page, as the kernel's loop does.
    fn judge(&mut self, page: PageIndex) {
        let mut failed = VecDeque::from([page]);
        let mut touches = 40;
        for _ in 0..100_000 {
            let Some(page) = failed.front().copied() else { return };
            if self.cut_one_in > 0 && self.random.next().is_multiple_of(self.cut_one_in) {
                self.restart();
                return;
            }
            let limit = if self.ended_one_in > 0 { touches } else { u64::MAX };
            let (vm, environment) = (&mut self.machine.vm, &mut self.machine.environment);
            match Attempts::run(limit, || vm.page_failed(page, environment)) {
                Some(verdict) => {
                    failed.pop_front();
                    assert_ne!(verdict, PageVerdict::StepBack, "{page}");
                    if let PageVerdict::ThreadDamaged(thread) = verdict {
                        self.told.insert(thread.0, page.0);
                    }
                    while let Some((page, thread)) = self.machine.vm.take_lost() {
                        self.told.insert(thread.0, page.0);
                    }
                }
                None => {
                    let ended = ObjectAddress(Attempts::ended_at()).page();
                    self.machine.abandoned(ended);
                    if !Attempts::is_lost(ended.address().0) {
                        self.machine.vm.page_arrived(ended);
                        touches += 1 + self.random.below(60);
                    } else if !failed.contains(&ended) {
                        failed.push_back(ended);
                    }
                    failed.rotate_left(1);
                }
            }
        }
        panic!("there is no verdict on {page}");
    }

    /// The power goes right after a flip, and comes back.
    fn restart(&mut self) {
        self.machine.vm = self.machine.vm_again();
    }

    /// One turn and what the outside does.
    fn turn(&mut self) -> Turn {
        if self.cut_one_in > 0 && self.random.next().is_multiple_of(self.cut_one_in) {
            self.restart();
        }
        let polls = u32::try_from(self.random.below(40)).unwrap() + 1;
        let quiet = AtomicBool::new(false);
        let turn = self.attempt(|vm, world| vm.turn(world, &quiet, TurnLimits { polls }));
        self.machine.environment.clock += TICK;
        if let Turn::Idle { deadline: Some(deadline) } = turn {
            let clock = self.machine.environment.clock;
            self.machine.environment.clock = clock.max(deadline.0);
        }
        let requests = self.machine.vm.take_requests();
        self.machine.ended = self.machine.ended.or(requests.main_ended);
        match self.random.below(20) {
            step @ 0..=3 => {
                let grace = [SystemStep::BeginGrace, SystemStep::ContinueGrace];
                let step = grace[usize::from(step > 0)];
                let _ = self.attempt(|vm, world| vm.system_step(step, world));
            }
            4 if self.machine.environment.clock > LET_GO => self.let_go(),
            _ => {}
        }
        turn
    }

    /// What comes from outside: a restart, a durable snapshot, lines of input.
    fn let_go(&mut self) {
        if !self.has_let_go {
            let step = SystemStep::Restarted { resumed: Epoch(0) };
            let _ = self.attempt(|vm, world| vm.system_step(step, world));
        }
        self.has_let_go = true;
        let step = SystemStep::CommitDurable(Epoch(1 << 40));
        let _ = self.attempt(|vm, world| vm.system_step(step, world));
        let _ = self.attempt(|vm, _| vm.console_input(b"x\n"));
    }

    /// Runs until `main` ends.
    fn run(&mut self) -> ExitStatus {
        for _ in 0..200_000 {
            if let Some(status) = self.machine.ended {
                return status;
            }
            let _ = self.turn();
        }
        let states: Vec<_> = self
            .threads()
            .into_iter()
            .map(|(index, object)| {
                let kind = self.word(object + thread::WAIT_KIND);
                (index, self.state(object), kind, self.told.contains_key(&index))
            })
            .filter(|(_, state, ..)| *state != thread::STATE_ENDED)
            .collect();
        panic!("main does not end; index, state, kind of wait, lost: {states:?}");
    }

    /// Turns until no round is under way.
    fn finish_round(&mut self) {
        for _ in 0..1000 {
            if self.word(area::SCHEDULER + scheduler::ROUND) == 0 {
                return;
            }
            let _ = self.turn();
        }
        panic!("the round does not end");
    }

    /// The threads of a list, its links checked in both directions.
    fn list(&self, head: u64) -> Vec<u64> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let (mut before, mut next) = (0, self.word(head));
        while next != 0 {
            assert!(seen.insert(next), "the list at {head:#x} has a cycle at {next:#x}");
            assert_eq!(self.word(next + thread::WAIT_PREVIOUS), before, "{next:#x} in {head:#x}");
            found.push(next);
            (before, next) = (next, self.word(next + thread::WAIT_NEXT));
        }
        assert_eq!(self.word(head + 8), before, "the last of {head:#x}");
        found
    }

    fn chain(&self, head: u64) -> Vec<u64> {
        let (mut found, mut next) = (Vec::new(), self.word(head));
        while next != 0 {
            assert!(found.len() < 10_000, "the chain at {head:#x} has a cycle");
            found.push(next);
            next = self.word(next + thread::HOT_NEXT);
        }
        found
    }

    /// Every survivor stands in the lists in which it says it does, once; so does every lost one that stands in any.
    fn check_lists(&self) {
        let run_queue = area::SCHEDULER + scheduler::RUN_HEAD;
        let threads = self.threads();
        let mut lists: BTreeMap<u64, BTreeSet<u64>> =
            BTreeMap::from([(run_queue, BTreeSet::new())]);
        let mut hot = BTreeSet::new();
        for object in threads.values() {
            let state = self.state(*object);
            let queue = self.word(object + thread::WAIT_QUEUE);
            let waits = matches!(state, thread::STATE_WAITING | thread::STATE_DAMAGED);
            if state == thread::STATE_RUNNABLE {
                lists.entry(run_queue).or_default().insert(*object);
            } else if waits && queue != 0 {
                lists.entry(queue).or_default().insert(*object);
            }
            if self.word(object + thread::FLAGS - 4) >> 32 & u64::from(thread::FLAG_HOT) != 0 {
                hot.insert(*object);
            }
        }
        for (head, expected) in lists {
            let found = self.list(head);
            let sound = found.iter().copied();
            let sound: BTreeSet<u64> = sound
                .filter(|object| head != run_queue || self.state(*object) != thread::STATE_DAMAGED)
                .collect();
            let describe = |object: &u64| {
                let index = self.word(object + thread::INDEX) & 0xffff_ffff;
                let kind = self.word(object + thread::WAIT_KIND);
                format!("{index} at {object:#x}, state {}, kind {kind}", self.state(*object))
            };
            let differ: Vec<_> = sound.symmetric_difference(&expected).map(describe).collect();
            assert!(differ.is_empty(), "the list at {head:#x}: {differ:?}, lost {:?}", self.told);
            if head == run_queue {
                let length = self.word(area::SCHEDULER + scheduler::RUN_COUNT);
                assert_eq!(length, found.len() as u64, "the length of the run queue");
            }
        }
        if self.word(area::SCHEDULER + scheduler::ROUND) == 0 {
            let mut found = self.chain(area::COUNTING + counting::HOT_HEAD);
            found.extend(self.chain(area::COUNTING + counting::PENDING_HEAD));
            let once: BTreeSet<u64> = found.iter().copied().collect();
            assert_eq!(once.len(), found.len(), "somebody is hot twice");
            assert_eq!(once, hot, "the hot ones");
        }
    }

    /// The heap is sound, but for what lost threads held: counts may be too high, and slots that nobody has any more held.
    fn check_heap(&mut self) {
        let report = audit::audit(self.machine.host.space());
        self.machine.host.space().end_step();
        let is_leak = |finding: &String| {
            if let Some((counted, found)) = finding
                .split_once(": count ")
                .and_then(|(_, rest)| rest.strip_suffix(" references")?.split_once(", "))
            {
                return counted.parse::<u64>().unwrap() > found.parse::<u64>().unwrap();
            }
            let slots =
                |text: &str| text.strip_prefix("Some(")?.strip_suffix(')')?.parse::<u64>().ok();
            finding
                .strip_suffix(" frozen slots")
                .and_then(|text| text.split_once(": ")?.1.split_once(" held, "))
                .is_some_and(|(held, frozen)| slots(held) > slots(frozen))
        };
        let findings: Vec<_> = report.findings.iter().filter(|found| !is_leak(found)).collect();
        assert!(findings.is_empty(), "{findings:#?}");
    }

    /// Pages of thread objects, with the indices of the threads there.
    fn pages(&self) -> BTreeMap<PageIndex, Vec<u64>> {
        let mut pages: BTreeMap<PageIndex, Vec<u64>> = BTreeMap::new();
        for (index, object) in self.threads() {
            pages.entry(ObjectAddress(object).page()).or_default().push(index);
        }
        pages
    }
}

impl Crowd {
    /// Two collections leave nothing of what lost threads had: neither what they held, nor their stacks.
    fn check_collected(&mut self) {
        let space = self.machine.host.space();
        for number in 1..3 {
            for _ in 0..3 {
                let _ = self.attempt(|vm, world| vm.system_step(SystemStep::BeginGrace, world));
                let step = SystemStep::ContinueGrace;
                while self.attempt(|vm, world| vm.system_step(step, world)) == StepOutcome::More {}
            }
            let verdict = Verdict::of(space, number, self.machine.environment.epoch);
            self.machine.environment.epoch += 1;
            let slice = |vm: &mut Vm, world: &mut Calm| vm.sweep(&verdict, world).outcome;
            while self.attempt(slice) != Outcome::Done {}
        }
        let trace = Tracer(space).trace(Roots::Programs);
        let started = Tracer(space).started();
        let garbage = started.difference(&trace.strong);
        let garbage: Vec<_> = garbage.map(|object| Tracer(space).describe(*object)).collect();
        assert!(garbage.is_empty(), "{garbage:x?}");
        let threads = self.threads();
        let stacks = threads.values().filter(|object| self.word(**object + thread::STACK) != 0);
        let blocks: u64 = stacks.map(|object| self.word(object + thread::STACK_SIZE) / BLOCK).sum();
        let report = audit::audit(space);
        assert_eq!(report.blocks.get(&block::KIND_STACK).copied().unwrap_or(0), blocks);
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        Attempts::find_all();
    }
}

/// Some turns, some pages lost, and everybody else's end.
fn lose_some(seed: u64, ended_one_in: u64, cut_one_in: u64) -> usize {
    let count = 24 + seed % 5 * 8;
    let mut crowd = Crowd::new(CROWD, &[&count.to_string()], seed);
    (crowd.ended_one_in, crowd.cut_one_in) = (ended_one_in, cut_one_in);
    let before = 150 + crowd.random.below(250);
    for _ in 0..before {
        let _ = crowd.turn();
    }
    assert_eq!(crowd.machine.ended, None);
    let (mut lost, mut objects) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..1 + crowd.random.below(2) {
        let pages = crowd.pages();
        let mut candidates: Vec<_> =
            pages.iter().filter(|(_, threads)| !threads.contains(&MAIN)).collect();
        for _ in 0..1 + crowd.random.below(2) {
            let chosen = usize::try_from(crowd.random.below(candidates.len() as u64)).unwrap();
            let (page, threads) = candidates.swap_remove(chosen);
            objects.extend(crowd.lose(*page));
            lost.extend(threads.iter().copied());
        }
        for _ in 0..crowd.random.below(60) {
            let _ = crowd.turn();
        }
        // Whoever has not met them yet meets them now.
        for (page, _) in crowd.pages() {
            if Attempts::is_lost(page.address().0) {
                let space = crowd.machine.host.space();
                crowd.attempt(|_, _| space.touch_read(page.address()));
            }
        }
        crowd.check_lists();
        crowd.finish_round();
        crowd.check_lists();
        // A grace that did not ask somebody who ran would free what only that one holds.
        for _ in 0..60 {
            let _ = crowd.turn();
        }
        crowd.check_heap();
    }
    let status = crowd.run();
    let lost_count = objects.len() as u64;
    let expected = (count - lost_count) * 1000 + lost_count;
    assert_eq!(status, ExitStatus::Returned(expected), "{lost_count} of {count} lost");
    if cut_one_in == 0 {
        let told: BTreeSet<u64> = crowd.told.keys().copied().collect();
        assert_eq!(told, lost, "each is told of");
    }
    crowd.check_lists();
    crowd.check_heap();
    crowd.check_collected();
    lost.len()
}

#[test]
fn survivors_of_lost_pages_get_what_they_wait_for() {
    for (ended_one_in, cut_one_in, seeds) in [(0, 0, 1..40), (3, 0, 100..130), (3, 25, 200..230)] {
        for seed in seeds {
            println!("seed {seed}, ended {ended_one_in}, cut {cut_one_in}");
            assert!(lose_some(seed, ended_one_in, cut_one_in) >= 1);
        }
    }
}

#[test]
fn a_lost_main_thread_ends_its_program_as_damaged() {
    let mut crowd = Crowd::new(CROWD, &["30"], 5);
    for _ in 0..200 {
        let _ = crowd.turn();
    }
    let page = crowd.pages().into_iter().find(|(_, threads)| threads.contains(&MAIN)).unwrap().0;
    let _ = crowd.lose(page);
    assert_eq!(crowd.run(), ExitStatus::Damaged);
    crowd.check_lists();
}

/// More pages at once than are made anew together: the snapshot is given up, nothing is half done.
#[test]
fn too_many_lost_pages_give_the_snapshot_up() {
    let mut crowd = Crowd::new(CROWD, &["64"], 7);
    for _ in 0..300 {
        let _ = crowd.turn();
    }
    let pages: Vec<PageIndex> = crowd.pages().into_keys().collect();
    for page in &pages[1..7] {
        let _ = crowd.lose(*page);
    }
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let all = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| crowd.run()));
    std::panic::set_hook(quiet);
    assert!(all.is_err(), "there was a verdict on six pages");
    for page in &pages[1..7] {
        assert!(Attempts::is_lost(page.address().0), "{page} was made anew");
    }
}
