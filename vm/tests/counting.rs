//! Deferred counting over real object space: scenarios by hand, and random programs against a model of reachability.
//! Nothing is freed that a thread can still reach.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;
use revenant_vm::counting::{self, frozen, grace};
use revenant_vm::memory::layout::{area, object};
use revenant_vm::memory::{AddressExt, Attempts};
use world::{Thread, World};

const NULL: ObjectAddress = ObjectAddress(0);

#[test]
fn what_a_frame_holds_outlives_its_last_heap_reference() {
    let world = World::new();
    let thread = world.spawn(4);
    let node = world.new_node();
    thread.set_register(0, node);
    world.set_root(0, node);
    world.settle();
    world.set_root(0, NULL);
    world.settle();
    assert_eq!(world.nodes(), 1);
    thread.run();
    thread.set_register(0, NULL);
    world.settle();
    assert_eq!(world.nodes(), 0);
}

#[test]
fn a_parked_thread_is_asked() {
    let world = World::new();
    let (parked, other) = (world.spawn(4), world.spawn(4));
    let node = world.new_node();
    world.set_root(0, node);
    parked.set_register(0, world.root(0));
    world.settle();
    // The parked thread does not run again; the other clears the only field that names the node.
    other.run();
    world.set_root(0, NULL);
    world.settle();
    assert_eq!(world.nodes(), 1);
    parked.run();
    assert_eq!(parked.register(0), node);
    assert_eq!(world.nodes(), 1);
}

#[test]
fn a_grace_is_pointless_until_something_was_made_or_let_go() {
    let world = World::new();
    let thread = world.spawn(4);
    world.settle();
    assert!(grace::is_pointless(world.space), "nothing has happened");
    thread.run();
    assert!(grace::is_pointless(world.space), "running is nothing");
    let node = world.new_node();
    assert!(!grace::is_pointless(world.space), "an object was made");
    thread.set_register(0, node);
    world.settle();
    assert_eq!(world.nodes(), 1);
    assert!(grace::is_pointless(world.space), "a frozen frame holds it");
    // What only a register held is declared again as soon as the register may change: its death is not overlooked.
    thread.run();
    thread.set_register(0, NULL);
    assert!(!grace::is_pointless(world.space), "it was let go");
    world.settle();
    assert_eq!(world.nodes(), 0);
}

#[test]
fn an_object_that_moves_behind_the_scan_is_kept() {
    let world = World::new();
    let (first, second) = (world.spawn(4), world.spawn(4));
    let node = world.new_node();
    second.set_register(0, node);
    grace::close(world.space);
    // Freeze one thread, let both exchange the node through the heap, let the holder drop it.
    let _ = grace::step(world.space).unwrap();
    for _ in 0..100 {
        let _ = frozen::is_hot(world.space, first.object);
        if frozen::is_hot(world.space, first.object) != frozen::is_hot(world.space, second.object) {
            break;
        }
        let _ = grace::step(world.space).unwrap();
    }
    first.run();
    second.run();
    world.set_root(0, second.register(0));
    first.set_register(0, world.root(0));
    world.set_root(0, NULL);
    second.set_register(0, NULL);
    let _ = grace::run(world.space, u64::MAX).unwrap();
    assert_eq!(world.nodes(), 1);
    first.run();
    first.set_register(0, NULL);
    world.settle();
    assert_eq!(world.nodes(), 0);
}

#[test]
fn a_count_that_goes_up_and_down_is_freed_once() {
    let world = World::new();
    let thread = world.spawn(1);
    let node = world.new_node();
    thread.set_register(0, node);
    for _ in 0..10 {
        world.set_root(0, node);
        world.set_root(0, NULL);
    }
    let freed = world.freed();
    thread.set_register(0, NULL);
    world.settle();
    assert_eq!(world.freed(), freed + 1);
    world.audit();
}

#[test]
fn a_long_list_dies_in_bounded_steps() {
    let world = World::new();
    let mut head = NULL;
    for _ in 0..20_000 {
        let node = world.new_node();
        world.set_field(node, 0, head);
        head = node;
    }
    world.set_root(0, head);
    world.settle();
    assert_eq!(world.nodes(), 20_000);
    world.set_root(0, NULL);
    grace::close(world.space);
    let mut steps = 0;
    while grace::step(world.space).unwrap() == grace::Progress::More {
        steps += 1;
    }
    // Once in each of 16 blocks it takes a few more: when a quarter of it is free, it is noted.
    assert!(steps < 20_200, "{steps} steps for 20,000 nodes");
    assert_eq!(world.nodes(), 0, "one grace is enough when no thread runs in it");
}

#[test]
fn a_list_dies_also_while_a_thread_runs() {
    let world = World::new();
    let thread = world.spawn(2);
    let mut head = NULL;
    for _ in 0..500 {
        let node = world.new_node();
        world.set_field(node, 0, head);
        head = node;
    }
    thread.set_register(0, head);
    world.settle();
    thread.run();
    thread.set_register(0, NULL);
    let mut rounds = 0;
    while world.nodes() > 0 {
        grace::close(world.space);
        thread.run();
        for _ in 0..50 {
            let _ = grace::step(world.space).unwrap();
        }
        thread.run();
        rounds += 1;
        assert!(rounds < 2_000);
    }
}

#[test]
fn a_program_of_temporaries_runs_in_constant_memory() {
    let world = World::new();
    let thread = world.spawn(2);
    counting::set_batch_entries(world.space, 1_000);
    let mut highest = 0;
    for round in 0..200_000_u64 {
        let node = world.new_node();
        thread.set_register(round % 2, node);
        if grace::grace_requested(world.space) {
            grace::close(world.space);
            let _ = grace::run(world.space, u64::MAX).unwrap();
            thread.run();
            highest = highest.max(world.host.touched().iter().map(|r| r.end.0 - r.start.0).sum());
        }
    }
    world.audit();
    assert!(highest < 300, "{highest} pages for two live objects");
}

#[test]
fn a_weak_reference_reads_null_after_the_death_and_saves_before() {
    let world = World::new();
    let thread = world.spawn(4);
    let weak_class =
        counting::class_at(world.space, revenant_bytecode::Builtin::WeakReference as u32);
    let node = world.new_node();
    world.set_root(0, node);
    let weak = counting::weak_reference(world.space, world.allocator, weak_class, node).unwrap();
    world.set_root(1, weak);
    let again = counting::weak_reference(world.space, world.allocator, weak_class, node).unwrap();
    assert_eq!(weak, again);
    world.settle();
    assert_eq!(counting::read_weak(world.space, weak), node);
    // At zero and in a closed batch, a read saves it for the reader's register.
    world.set_root(0, NULL);
    grace::close(world.space);
    while frozen::is_hot(world.space, thread.object) {
        let _ = grace::step(world.space).unwrap();
    }
    thread.run();
    thread.set_register(0, counting::read_weak(world.space, weak));
    world.space.end_step();
    let _ = grace::run(world.space, u64::MAX).unwrap();
    assert_eq!(world.nodes(), 1);
    thread.run();
    thread.set_register(0, NULL);
    world.settle();
    assert_eq!(world.nodes(), 0);
    assert_eq!(counting::read_weak(world.space, weak), NULL);
    world.set_root(1, NULL);
    world.settle();
    world.audit();
}

/// The story: a weak reference that was being torn down was handed out once more, and freed in the hands of who had asked.
#[test]
fn a_weak_reference_that_is_being_torn_down_is_not_handed_out() {
    for touches in 0..12 {
        let world = World::new();
        let thread = world.spawn(4);
        let weak_class = counting::class_at(world.space, Builtin::WeakReference as u32);
        let node = world.new_node();
        world.set_root(0, node);
        world.settle();
        let ask = || counting::weak_reference(world.space, world.allocator, weak_class, node);
        let first = ask().unwrap();
        thread.run();
        grace::close(world.space);
        for _ in 0..touches {
            let _ = grace::step(world.space).unwrap();
        }
        thread.run();
        let again = ask().unwrap();
        thread.set_register(0, again);
        while grace::step(world.space).unwrap() == grace::Progress::More {}
        assert_eq!(counting::read_weak(world.space, again), node, "{first:?} {again:?}");
        world.space.end_step();
        world.audit();
    }
}

/// The random program's view of the truth: which nodes exist, by address, and which must.
struct Model<'a> {
    world: &'a World,
    threads: Vec<Thread>,
    random: u64,
}

impl Model<'_> {
    fn next(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % below
    }

    /// All nodes reachable from root slots and frames.
    fn reachable(&self) -> BTreeSet<u64> {
        let mut grey: Vec<ObjectAddress> = (0..4).map(|slot| self.world.root(slot)).collect();
        grey.extend(self.threads.iter().flat_map(Thread::slots));
        let mut black = BTreeSet::new();
        while let Some(node) = grey.pop() {
            if !node.is_null() && black.insert(node.0) {
                grey.extend([self.world.field(node, 0), self.world.field(node, 1)]);
            }
        }
        black
    }

    fn act(&mut self) {
        let threads = self.threads.len() as u64;
        let which = usize::try_from(self.next(threads)).unwrap();
        let thread = self.threads[which];
        thread.run();
        for _ in 0..=self.next(12) {
            let (target, source) = (self.next(4), self.next(4));
            let object = thread.register(source);
            match self.next(12) {
                0 | 1 => thread.set_register(target, self.world.new_node()),
                2 => thread.set_register(target, object),
                3 => thread.set_register(target, NULL),
                4 => self.world.set_root(target, object),
                5 => thread.set_register(target, self.world.root(source)),
                6 if !object.is_null() => {
                    let value = thread.register(target);
                    // No cycles: they are the collector's. A node refers to older (lower stamped) nodes only.
                    if value.is_null() || self.stamp(value) < self.stamp(object) {
                        let slot = self.next(2);
                        self.world.set_field(object, slot, value);
                    }
                }
                7 if !object.is_null() => {
                    let slot = self.next(2);
                    thread.set_register(target, self.world.field(object, slot));
                }
                8 if thread.depth() < 30 => thread.push(2, 4),
                9 if thread.depth() > 1 => thread.pop(),
                10 if !object.is_null() => {
                    let receiver_index = usize::try_from(self.next(threads)).unwrap();
                    let receiver = self.threads[receiver_index];
                    receiver.run();
                    let base = frozen::frame_base(self.world.space, receiver.object);
                    self.world.space.end_step();
                    counting::hand_over(self.world.space, base.plus(8 * target), object);
                    self.world.space.end_step();
                }
                _ => {}
            }
            self.stamp_new(thread);
        }
    }

    fn stamp(&self, node: ObjectAddress) -> u64 {
        let stamp = self.world.space.load(node.plus(object::PAYLOAD + 16));
        self.world.space.end_step();
        stamp
    }

    fn stamp_new(&mut self, thread: Thread) {
        for register in 0..4 {
            let node = thread.register(register);
            if !node.is_null() && self.stamp(node) == 0 {
                self.random = self.random.wrapping_add(1);
                let counter = ObjectAddress(area::STATISTICS + 4000);
                let stamp = self.world.space.load::<u64>(counter) + 1;
                self.world.space.store(counter, stamp);
                self.world.space.store(node.plus(object::PAYLOAD + 16), stamp);
                self.world.space.end_step();
            }
        }
    }
}

fn random_program(seed: u64, rounds: u64, checked: bool) {
    let world = World::new();
    let threads = (0..4).map(|_| world.spawn(4)).collect();
    let mut model = Model { world: &world, threads, random: seed };
    counting::set_batch_entries(world.space, 20);
    if checked {
        Attempts::check(true);
    }
    for round in 0..rounds {
        model.act();
        if model.next(3) == 0 {
            grace::close(world.space);
        }
        let steps = model.next(40);
        let _ = grace::run(world.space, steps).unwrap();
        Attempts::check(false);
        if round % 16 == 0 {
            let report = world.audit();
            let nodes = report.objects.get(&world::NODE).copied().unwrap_or(0);
            let reachable = model.reachable().len() as u64;
            assert!(nodes >= reachable, "seed {seed} round {round}: {nodes} of {reachable}");
        }
        let violations = Attempts::take_violations();
        assert!(violations.is_empty(), "seed {seed} round {round}: {violations:#?}");
        Attempts::check(checked);
    }
    Attempts::check(false);
    world.settle();
    world.settle();
    assert_eq!(world.nodes(), model.reachable().len() as u64, "seed {seed}: garbage is left");
}

#[test]
fn random_programs_lose_nothing_and_leak_nothing() {
    for seed in 0..40 {
        random_program(seed, 250, false);
    }
}

#[test]
fn random_programs_touch_all_before_they_change() {
    for seed in 100..104 {
        random_program(seed, 120, true);
    }
}

/// Ends attempts at random touches, all the time, and retries: nothing half done is ever seen.
#[test]
fn graces_survive_ended_attempts() {
    for seed in 0..10_u64 {
        let world = World::new();
        let threads = (0..3).map(|_| world.spawn(4)).collect();
        let mut model = Model { world: &world, threads, random: seed };
        counting::set_batch_entries(world.space, 20);
        for _ in 0..60 {
            model.act();
            grace::close(world.space);
            let mut touches = model.next(5);
            loop {
                match Attempts::run(touches, || grace::run(world.space, 100).unwrap()) {
                    Some(grace::Progress::Idle) => break,
                    Some(grace::Progress::More) => {}
                    None => touches = model.next(60) + 3,
                }
                world.audit();
            }
        }
        world.settle();
        world.settle();
        assert_eq!(world.nodes(), model.reachable().len() as u64, "seed {seed}");
    }
}

#[test]
fn parked_threads_cost_a_grace_nothing() {
    let steps_with = |threads: u64| {
        let world = World::new();
        let live = world.spawn(4);
        for _ in 0..threads {
            let parked = world.spawn(4);
            parked.set_register(0, world.new_node());
        }
        world.settle();
        live.run();
        for _ in 0..100 {
            live.set_register(0, world.new_node());
        }
        grace::close(world.space);
        let mut steps = 0;
        while grace::step(world.space).unwrap() == grace::Progress::More {
            steps += 1;
        }
        steps
    };
    assert_eq!(steps_with(10), steps_with(1_000));
}

#[test]
fn objects_by_class_are_reported() {
    let world = World::new();
    let report = world.audit();
    let classes: BTreeMap<u32, u64> = report.objects;
    // Beside the built-in ones: map entries, builders' buffers, the test's own.
    let expected = Builtin::ALL.len() as u64 + 3;
    assert_eq!(classes.get(&(Builtin::Class as u32)), Some(&expected));
}
