//! Random programs under random collections: flips, marks of older snapshots, sweeps in slices among graces and mutators that
//! use freed addresses again, cuts and rollbacks to earlier states. Whatever can be reached stays as it is, and with the mutators
//! stopped two collections leave no garbage. Planted bugs are seen.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mutators;
mod sweep_oracle;
mod world;

use mutators::{Mutators, REGISTERS};
use revenant_hal::{Epoch, PageBytes, PageIndex};
use revenant_vm::counting::{self, grace};
use revenant_vm::sweep::{self, Outcome, Planted, Statistics, Sweep};
use sweep_oracle::{Tracer, Verdict, differ, is_too_many};
use world::{Thread, World};

/// Runs of a test: as the environment says, for long ones.
fn runs(usual: u64) -> u64 {
    std::env::var("REVENANT_SWEEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A bug of the driver, beside those of the sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Mistake {
    #[default]
    None,
    /// Threads run a little before the epoch is advanced.
    EpochAdvancedLate,
    /// After a cut or a rollback the epoch of the copy is given again.
    EpochReset,
}

/// A copy of object space.
struct Saved {
    pages: Vec<(PageIndex, PageBytes)>,
    epoch: u64,
}

struct Run<'a> {
    world: &'a World,
    mutators: Mutators<'a>,
    epoch: u64,
    /// The highest epoch of all branches.
    highest: u64,
    marks: u64,
    saved: Vec<Saved>,
    verdict: Option<Verdict>,
    /// What the mark has found is freed, in object space as it is now.
    done: bool,
    sweep: Sweep,
    mistake: Mistake,
    statistics: Statistics,
    /// A sweep was dropped: some counts may be too high.
    dropped: bool,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, threads: &[Thread], seed: u64) -> Self {
        Self {
            world,
            mutators: Mutators::new(world, threads, seed),
            epoch: 1,
            highest: 1,
            marks: 0,
            saved: Vec::new(),
            verdict: None,
            done: false,
            sweep: Sweep::new(),
            mistake: Mistake::None,
            statistics: Statistics::default(),
            dropped: false,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.mutators.below(limit)
    }

    fn act(&mut self) {
        self.mutators.act();
    }

    fn tracer(&self) -> Tracer {
        Tracer(self.world.space)
    }

    /// A flip, after which a copy of what it froze is kept; perhaps a mark of it.
    fn flip(&mut self) {
        let frozen = self.epoch;
        if (self.done || self.verdict.is_none()) && self.below(2) == 0 {
            self.marks += 1;
            self.done = false;
            let verdict = Verdict::of(self.world.space, self.marks, frozen);
            self.verdict = Some(if self.below(2) == 0 { verdict } else { verdict.forgets() });
        }
        self.save();
        if self.mistake == Mistake::EpochAdvancedLate {
            self.act();
        }
        self.epoch += 1;
        self.highest = self.highest.max(self.epoch);
        counting::set_epoch(self.world.space, Epoch(self.epoch));
    }

    fn save(&mut self) {
        let mut pages = Vec::new();
        for range in self.world.host.touched() {
            pages.extend((range.start.0..range.end.0).map(PageIndex).map(|page| {
                let bytes = self.world.host.page(page);
                (page, bytes)
            }));
        }
        self.saved.push(Saved { pages, epoch: self.epoch });
        if self.saved.len() > 6 {
            let _ = self.saved.remove(0);
        }
    }

    /// Goes back to the newest copy (a cut), or to an older one (a rollback). A mark of a later snapshot says
    /// nothing there, and any mark may be lost.
    fn go_back(&mut self, rollback: bool) {
        let last = self.saved.len().saturating_sub(1);
        let steps = if rollback { usize::try_from(self.below(6)).unwrap() } else { 0 };
        let coin = self.below(2);
        let keep = last.saturating_sub(steps);
        let Some(saved) = self.saved.get(keep) else { return };
        restore(self.world, &saved.pages);
        let is_ancestor = |verdict: &Verdict| verdict.epoch.0 <= saved.epoch;
        let is_lost = rollback && coin == 0;
        if is_lost || !self.verdict.as_ref().is_some_and(is_ancestor) {
            self.dropped |= sweep::is_under_way(self.world.space);
            self.verdict = None;
        }
        self.done = false;
        self.epoch = self.highest + 1;
        if self.mistake == Mistake::EpochReset {
            self.epoch = saved.epoch;
        }
        self.highest = self.highest.max(self.epoch);
        self.saved.truncate(keep + 1);
        counting::set_epoch(self.world.space, Epoch(self.epoch));
    }

    /// Does something that may free, and sees to it that what can be reached stays as it is.
    fn watched<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.tracer().living();
        let result = work(self);
        let after = self.tracer().living();
        assert!(before == after, "what could be reached has changed: {}", differ(&before, &after));
        result
    }

    fn one_slice(&mut self) -> Outcome {
        let Some(verdict) = self.verdict.take() else { return Outcome::Done };
        let slice = self.sweep.slice(self.world.space, &verdict);
        self.world.space.end_step();
        self.statistics.add(&slice);
        if let Outcome::NotYet(block) = slice.outcome {
            verdict.bring(block);
        }
        self.verdict = Some(verdict);
        slice.outcome
    }

    /// Looks after each of some pieces: a slice is so short that looking after each would take minutes.
    fn sweep_some(&mut self, pieces: u64) {
        for _ in 0..pieces {
            let slices = 1 + self.below(12);
            let some = |run: &mut Self| (0..slices).any(|_| run.one_slice() == Outcome::Done);
            if self.done || self.watched(some) {
                self.done = true;
                return;
            }
        }
    }

    fn grace(&mut self) {
        let steps = self.below(60);
        let begins = self.below(2) == 0;
        self.watched(|run| {
            if begins {
                grace::close(run.world.space);
            }
            let _ = grace::run(run.world.space, steps).unwrap();
            run.world.space.end_step();
        });
    }

    fn round(&mut self) {
        self.act();
        match self.below(8) {
            0 => self.flip(),
            1..=3 => {
                let pieces = self.below(12);
                self.sweep_some(pieces);
            }
            4 | 5 => self.grace(),
            6 if self.below(5) == 0 => {
                let rollback = self.below(2) == 0;
                self.go_back(rollback);
            }
            _ => {}
        }
    }

    /// Frees what counting can free, after the grace that is in progress.
    fn settle(&mut self) {
        self.watched(|run| {
            assert_eq!(grace::run(run.world.space, u64::MAX).unwrap(), grace::Progress::Idle);
            run.world.settle();
        });
    }

    /// A whole collection with the mutators stopped.
    fn collect(&mut self) {
        if self.verdict.is_some() && !self.done {
            self.sweep_some(u64::MAX);
        }
        self.settle();
        self.marks += 1;
        self.done = false;
        self.verdict = Some(Verdict::of(self.world.space, self.marks, self.epoch));
        self.epoch += 1;
        self.highest = self.highest.max(self.epoch);
        counting::set_epoch(self.world.space, Epoch(self.epoch));
        for _ in 0..100_000 {
            if self.watched(Self::one_slice) == Outcome::Done {
                self.verdict = None;
                self.settle();
                return;
            }
        }
        panic!("a sweep has no end");
    }

    /// Nothing is left but what can be reached, and the books are right.
    fn check_end(&mut self) {
        self.collect();
        self.collect();
        let garbage = self.tracer().garbage();
        assert!(garbage.is_empty(), "garbage is left: {garbage:x?}");
        assert!(!sweep::is_unfinished(self.world.space));
        let report = counting::audit::audit(self.world.space);
        let findings: Vec<_> = report
            .findings
            .into_iter()
            .filter(|finding| !self.dropped || !is_too_many(finding))
            .collect();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

fn restore(world: &World, pages: &[(PageIndex, PageBytes)]) {
    world.host.clear();
    for (page, bytes) in pages {
        world.host.set_page(*page, bytes);
    }
}

/// A world with threads, made once for many runs.
struct Stage {
    world: World,
    threads: Vec<Thread>,
    pages: Vec<(PageIndex, PageBytes)>,
}

impl Stage {
    fn new() -> Self {
        let world = World::new();
        let threads: Vec<Thread> = (0..3).map(|_| world.spawn(REGISTERS)).collect();
        counting::set_batch_entries(world.space, 50);
        let mut run = Run::new(&world, &threads, 1);
        run.save();
        let pages = run.saved.remove(0).pages;
        Self { world, threads, pages }
    }

    fn run(&self, seed: u64, rounds: u64, planted: Planted, mistake: Mistake) -> Statistics {
        restore(&self.world, &self.pages);
        let mut run = Run::new(&self.world, &self.threads, seed);
        run.sweep.plant(planted);
        run.mistake = mistake;
        run.flip();
        for _ in 0..rounds {
            run.round();
        }
        run.check_end();
        run.statistics
    }
}

/// Whether a run fails; what it says stays unsaid.
fn fails(run: impl FnOnce()) -> bool {
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let result = std::panic::catch_unwind(core::panic::AssertUnwindSafe(run));
    std::panic::set_hook(said);
    result.is_err()
}

#[test]
fn nothing_alive_is_freed_and_no_garbage_is_left() {
    let stage = Stage::new();
    let mut sum = [0; 4];
    for seed in 0..runs(200) {
        println!("seed {seed}");
        let statistics = stage.run(seed, 40 + seed % 7 * 20, Planted::None, Mistake::None);
        sum[0] += statistics.circles.objects;
        sum[1] += statistics.stuck.objects;
        sum[2] += statistics.weak_cleared;
        sum[3] += statistics.slices;
    }
    println!("in circles, stuck, weak references cleared, slices: {sum:?}");
    assert!(sum.iter().all(|count| *count > 10), "{sum:?}");
}

/// How many of these runs are needed to see a bug: the first that fails.
fn seen_after(planted: Planted, mistake: Mistake) -> Option<u64> {
    let stage = Stage::new();
    (1..300_u64).find(|seed| fails(|| drop(stage.run(*seed, 100, planted, mistake))))
}

#[test]
fn planted_bugs_are_seen() {
    assert_eq!(seen_after(Planted::None, Mistake::None), None, "there is none");
    for planted in [
        Planted::BirthBefore,
        Planted::BirthAfter,
        Planted::UnmarkedCountedDown,
        Planted::PartNotNoted,
    ] {
        let seen = seen_after(planted, Mistake::None);
        println!("{planted:?}: {seen:?}");
        assert!(seen.is_some(), "{planted:?} is not seen");
    }
    for mistake in [Mistake::EpochAdvancedLate, Mistake::EpochReset] {
        let seen = seen_after(Planted::None, mistake);
        println!("{mistake:?}: {seen:?}");
        assert!(seen.is_some(), "{mistake:?} is not seen");
    }
}
