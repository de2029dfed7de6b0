//! The whole collection at random, against a tracer that shares no code with it: programs that make garbage and use addresses again,
//! graces, flips, marks over the snapshots on a simulated disk, sweeps; the power goes, reads fail, the machine goes back to older snapshots, in
//! every phase. Whatever can be reached stays as it is, and with the programs stopped two collections leave no garbage.

use crate::graphs::populate;
use crate::machine::{Bugs, INTERVAL, Machine, Mistake, Pages, Phase, Seen};
use crate::mutators::{Mutators, REGISTERS};
use crate::rig::Rig;
use crate::sweep_oracle::{Tracer, is_too_many};
use crate::world::{Thread, World};
use revenant_collector::PlantedMark;
use revenant_hal::Epoch;
use revenant_sim::{CutPolicy, FaultTarget, Image, KeepAll, KeepNone, Random, Seeded};
use revenant_store::{OpenFrom, Planted};
use revenant_vm::counting::doubt::Wish;
use revenant_vm::counting::{self, audit, grace};
use revenant_vm::sweep;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Small, but with room for all that the runs write.
const BLOCKS: u64 = 8_192;
/// Heaps that the runs begin with: empty ones, and some with a random graph.
const GRAPHS: u64 = 4;
const HOUR: u64 = 3_600_000_000_000;

/// Worlds made once for many runs, and an empty disk.
struct Stage {
    world: World,
    threads: Vec<Thread>,
    heaps: Vec<Pages>,
    image: Image,
}

fn spawn(world: &World) -> Vec<Thread> {
    counting::set_batch_entries(world.space, 50);
    (0..3).map(|_| world.spawn(REGISTERS)).collect()
}

fn pages(world: &World) -> Pages {
    crate::graphs::pages(world).into_iter().map(|(page, bytes)| (page, Arc::new(bytes))).collect()
}

impl Stage {
    fn new() -> Self {
        let mut heaps = Vec::new();
        let mut threads = Vec::new();
        for seed in 0..GRAPHS {
            // The threads of each heap are where they are in the first: they came before anything else.
            let world = World::new();
            threads = spawn(&world);
            if seed > 0 {
                populate(&world, seed, 40);
            }
            heaps.push(pages(&world));
        }
        let world = World::new();
        let mut rig = Rig::new(BLOCKS, 1);
        rig.rest();
        Self { world, threads, heaps, image: rig.disk.durable() }
    }
}

/// A run: a machine, its programs, and chance.
struct Run<'a> {
    machine: Option<Machine<'a>>,
    world: &'a World,
    mutators: Mutators<'a>,
    random: Random,
    session: u64,
    bugs: Bugs,
    seen: Seen,
}

impl<'a> Run<'a> {
    fn new(stage: &'a Stage, seed: u64, bugs: Bugs) -> Self {
        let mut random = Random::new(seed);
        let heap = &stage.heaps[random.index(stage.heaps.len())];
        // A new disk is in its epoch 0, which no flip ends: programs begin with the first snapshot.
        let saved = BTreeMap::from([(Epoch(0), heap.clone())]);
        let image = stage.image.clone();
        let mut machine =
            Machine::start(&stage.world, image, seed + 2, OpenFrom::Newest, saved, bugs);
        machine.first_snapshot();
        let mutators = Mutators::new(&stage.world, &stage.threads, seed + 1);
        Self {
            machine: Some(machine),
            world: &stage.world,
            mutators,
            random,
            session: seed + 2,
            bugs,
            seen: Seen::default(),
        }
    }

    fn machine(&mut self) -> &mut Machine<'a> {
        self.machine.as_mut().unwrap()
    }

    fn grace(&mut self) {
        let (steps, begins) = (self.random.below(60), self.random.one_in(2));
        let space = self.world.space;
        self.machine().watched(|_| {
            if begins {
                grace::close(space);
            }
            let _ = grace::run(space, steps).unwrap();
            space.end_step();
        });
    }

    fn flip(&mut self) {
        let Self { machine: Some(machine), mutators, .. } = self else { return };
        machine.flip(|| mutators.act());
    }

    /// The power goes, or the kernel fails, and the machine starts again.
    fn restart(&mut self) {
        let Some(machine) = self.machine.take() else { return };
        let phase = machine.phase;
        let newest = machine.store.durable_epoch();
        let entries: Vec<Epoch> = machine
            .store
            .snapshots()
            .entries()
            .iter()
            .filter(|entry| !entry.hidden)
            .map(|entry| entry.epoch)
            .collect();
        let (kind, from) = match self.random.below(5) {
            0 => {
                let epoch = entries[self.random.index(entries.len())];
                let restore_generation = machine.store.superblock().restore_generation;
                ("rollback", OpenFrom::Rollback { epoch, restore_generation })
            }
            1 => ("step back", OpenFrom::StepBack { failed: newest }),
            2 => {
                let first = entries[self.random.index(entries.len())];
                ("step back before", OpenFrom::StepBackBefore { first })
            }
            _ => ("cut", OpenFrom::Newest),
        };
        let (mut disk, mut frames, saved, mut seen) = machine.end();
        seen.starts.insert((kind, phase));
        self.add(seen);
        let mut policy: Box<dyn CutPolicy> = match self.random.below(4) {
            0 => Box::new(KeepAll),
            1 => Box::new(KeepNone),
            _ => Box::new(Seeded::new(self.random.next_u64())),
        };
        let image = disk.cut(&mut frames, &mut *policy);
        self.session += 1_000_000;
        let mut machine = Machine::start(self.world, image, self.session, from, saved, self.bugs);
        if kind == "cut" {
            assert!(machine.store.durable_epoch() >= newest, "a durable snapshot is lost");
        }
        for _ in 0..4 {
            if let Some(page) = machine.page(self.random.index(1_000)) {
                assert!(machine.holds(page), "{page:?} is not what was frozen");
            }
        }
        self.machine = Some(machine);
    }

    fn add(&mut self, seen: Seen) {
        self.seen.objects += seen.objects;
        self.seen.collections += seen.collections;
        self.seen.incomplete += seen.incomplete;
        self.seen.rewritten += seen.rewritten;
        self.seen.without += seen.without;
        self.seen.resumed_marks += seen.resumed_marks;
        self.seen.dropped |= seen.dropped;
        self.seen.starts.extend(seen.starts);
    }

    /// Somebody wants something of the collector, or the disk begins to fail, or is well again.
    fn disturb(&mut self) {
        let (which, later, nth) =
            (self.random.below(12), self.random.one_in(4), self.random.below(60));
        let one_in = 2 + self.random.below(40);
        let machine = self.machine();
        match which {
            0 => machine.wish.start = true,
            1 => machine.wish.stop = later,
            2 => machine.wish.pause = !machine.wish.pause && later,
            // Only the collector reads while programs run: object space is all in memory here.
            3 => machine.fail_reads(FaultTarget::Nth(nth)),
            4 if later => machine.fail_reads(FaultTarget::OneIn(one_in)),
            5 if later => machine.now += HOUR,
            6..10 => machine.lose(usize::try_from(one_in * nth).unwrap()),
            _ => machine.disk.clear_faults(),
        }
    }

    fn round(&mut self) {
        let (amount, passing) = (self.random.below(40), self.random.below(40_000_000));
        self.machine().now += passing;
        match self.random.below(32) {
            0..8 => self.mutators.act(),
            8..10 => self.grace(),
            10..13 => self.flip(),
            13..24 => drop(self.machine().collect(1 + amount)),
            24..29 => self.machine().pump(1 + amount),
            29 | 30 => self.disturb(),
            _ if self.random.one_in(2) => self.restart(),
            _ => {}
        }
    }

    /// The programs are stopped; two collections of snapshots from then on.
    fn finish(&mut self) {
        let machine = self.machine();
        machine.disk.clear_faults();
        machine.wish = Wish::default();
        self.settle();
        let machine = self.machine();
        (machine.since, machine.seen.whole) = (machine.store.running_epoch(), 0);
        for _ in 0..10_000 {
            let machine = self.machine();
            machine.now += HOUR;
            let ended = machine.collect(60);
            if ended {
                self.settle();
            }
            if ended && self.machine().seen.whole == 2 {
                return self.check();
            }
            self.flip();
            self.machine().pump(20);
        }
        let machine = self.machine();
        panic!("a collection has no end: {:?}, {:?}", machine.phase, machine.seen);
    }

    /// Nothing is left but what can be reached, and the books are right.
    fn check(&mut self) {
        let garbage = Tracer(self.world.space).garbage();
        assert!(garbage.is_empty(), "garbage is left: {garbage:x?}");
        assert!(!sweep::is_unfinished(self.world.space));
        let seen = core::mem::take(&mut self.machine().seen);
        self.add(seen);
        let findings = audit::audit(self.world.space).findings.into_iter();
        let wrong: Vec<_> =
            findings.filter(|finding| !self.seen.dropped || !is_too_many(finding)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    fn settle(&mut self) {
        let world = self.world;
        self.machine().watched(|_| {
            assert_eq!(grace::run(world.space, u64::MAX).unwrap(), grace::Progress::Idle);
            world.settle();
        });
    }
}

fn run(stage: &Stage, seed: u64, rounds: u64, bugs: Bugs) -> Seen {
    let mut run = Run::new(stage, seed, bugs);
    (0..rounds).for_each(|_| run.round());
    run.finish();
    run.seen
}

/// So many runs, and what was seen in all of them.
fn runs(seeds: core::ops::Range<u64>) {
    let stage = Stage::new();
    let mut all = Seen::default();
    for seed in seeds {
        println!("seed {seed}");
        let seen = run(&stage, seed, 60 + seed % 5 * 40, Bugs::default());
        all.objects += seen.objects;
        all.collections += seen.collections;
        all.incomplete += seen.incomplete;
        all.rewritten += seen.rewritten;
        all.without += seen.without;
        all.resumed_marks += seen.resumed_marks;
        all.starts.extend(seen.starts);
    }
    println!("{all:?}");
    assert!(all.objects > 100 && all.resumed_marks > 10, "{all:?}");
    assert!(all.rewritten > 10 && all.without > 10, "{all:?}");
    for kind in ["cut", "rollback", "step back", "step back before"] {
        for phase in [
            Phase::Idle,
            Phase::Pinning,
            Phase::Marking,
            Phase::Sweeping,
            Phase::Ending,
            Phase::Unpinning,
        ] {
            assert!(all.starts.contains(&(kind, phase)), "{kind} while {phase:?}");
        }
    }
}

#[test]
fn whatever_happens_nothing_alive_is_freed_and_no_garbage_is_left() {
    runs(0..200);
}

#[test]
#[ignore = "ten thousand runs"]
fn in_ten_thousand_runs_nothing_alive_is_freed_and_no_garbage_is_left() {
    runs(1_000..11_000);
}

/// Whether a run fails; what it says stays unsaid.
fn fails(run: impl FnOnce()) -> bool {
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let result = std::panic::catch_unwind(core::panic::AssertUnwindSafe(run));
    std::panic::set_hook(said);
    result.is_err()
}

/// The first run that a bug makes fail.
fn seen_after(stage: &Stage, bugs: Bugs) -> Option<u64> {
    (0..100).find(|seed| fails(|| drop(run(stage, *seed, 200, bugs))))
}

#[test]
fn planted_bugs_are_seen() {
    let stage = Stage::new();
    let none = Bugs::default();
    assert_eq!(seen_after(&stage, none), None, "there is none");
    let of_sweep = |sweep| Bugs { sweep, ..none };
    let of_mark = |mark| Bugs { mark, ..none };
    let of_store = |store| Bugs { store, ..none };
    let of_opening = |opening| Bugs { opening, ..none };
    let of_driver = |mistake| Bugs { mistake, ..none };
    for bugs in [
        of_sweep(sweep::Planted::BirthAfter),
        of_sweep(sweep::Planted::UnmarkedCountedDown),
        of_sweep(sweep::Planted::PartNotNoted),
        of_mark(PlantedMark::ReadErrorIsEmpty),
        of_mark(PlantedMark::SuspectsForgotten),
        of_mark(PlantedMark::OtherNameUsed),
        of_store(Planted::PinForgotten),
        of_store(Planted::SuperblockFlushSkipped),
        of_store(Planted::AllocatorOneEpochOff),
        of_opening(Planted::EpochResetOnRollback),
        of_driver(Mistake::EpochAdvancedLate),
        of_driver(Mistake::EpochReset),
    ] {
        let seen = seen_after(&stage, bugs);
        println!("{seen:?}: {bugs:?}");
        assert!(seen.is_some(), "{bugs:?} is not seen");
    }
}

/// Collects while no program runs, until the collection's end is durable and the pin is gone, or the disk was written to so often. Whether it
/// came to its end.
fn one_collection(machine: &mut Machine<'_>, writes: u64) -> bool {
    for _ in 0..2_000 {
        machine.now += INTERVAL;
        for _ in 0..20 {
            let _ = machine.collect(1);
            machine.pump(3);
            if machine.disk.operation_counts()[1] >= writes {
                return false;
            }
        }
        machine.flip(|| ());
        if machine.seen.whole > 0 && machine.store.superblock().collector_pin.is_none() {
            return true;
        }
    }
    panic!("a collection has no end");
}

/// The objects that are left, and whether the books are right.
fn left(world: &World) -> BTreeSet<u64> {
    world.settle();
    assert_eq!(audit::audit(world.space).findings, Vec::<String>::new());
    Tracer(world.space).started()
}

#[test]
fn cut_after_every_write_a_collection_leaves_the_same_heap() {
    let stage = Stage::new();
    let world = &stage.world;
    let heap = stage.heaps.last().unwrap();
    let start = || {
        let saved = BTreeMap::from([(Epoch(0), heap.clone())]);
        let image = stage.image.clone();
        Machine::start(world, image, 7, OpenFrom::Newest, saved, Bugs::default())
    };
    let mut machine = start();
    world.settle();
    machine.first_snapshot();
    assert!(one_collection(&mut machine, u64::MAX));
    let freed = machine.seen.objects;
    let wanted = left(world);
    assert!(freed > 10, "{freed} objects were garbage");
    drop(machine);
    let mut cuts = 0;
    for writes in 1.. {
        let mut machine = start();
        world.settle();
        machine.first_snapshot();
        let before = machine.disk.operation_counts()[1];
        if one_collection(&mut machine, before + writes) {
            break;
        }
        let phase = machine.phase;
        let (mut disk, mut frames, saved, _) = machine.end();
        let mut policy: Box<dyn CutPolicy> = match writes % 3 {
            0 => Box::new(KeepAll),
            1 => Box::new(KeepNone),
            _ => Box::new(Seeded::new(writes)),
        };
        let image = disk.cut(&mut frames, &mut *policy);
        let mut machine = Machine::start(world, image, 8, OpenFrom::Newest, saved, Bugs::default());
        assert!(one_collection(&mut machine, u64::MAX));
        assert_eq!(left(world), wanted, "cut after write {writes}, {phase:?}");
        cuts += 1;
    }
    println!("{cuts} cuts, {freed} objects freed");
    assert!(cuts > 50, "{cuts} cuts");
}
