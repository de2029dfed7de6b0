//! The sweep by hand: what it frees, what it leaves, and how it gets on with counting, weak references, long objects, damage and cuts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sweep_hand;
mod sweep_oracle;
mod world;

use core::sync::atomic::{AtomicU64, Ordering};
use revenant_bytecode::Builtin;
use revenant_hal::{Epoch, ObjectAddress};
use revenant_vm::counting::{self, class_at, grace};
use revenant_vm::memory::layout::system::counting as words;
use revenant_vm::memory::layout::{object, thread};
use revenant_vm::memory::{AddressExt, Attempts};
use revenant_vm::sweep::{self, Marks, Outcome, Statistics, Sweep, Verdicts};
use sweep_hand::{NULL, circle, flip, long_garbage, new_array, set_element, sweep, word};
use sweep_oracle::{Tracer, Verdict};
use world::{NODE, World};

#[test]
fn a_circle_is_freed_and_what_it_refers_to_counts_one_less() {
    let world = World::new();
    let child = world.new_node();
    world.set_root(0, child);
    let pair = circle(&world);
    world.set_field(pair[0], 1, child);
    world.settle();
    assert_eq!(world.nodes(), 3, "counting does not see it");
    let verdict = flip(&world, 1);
    let statistics = sweep(&world, &verdict);
    assert_eq!((statistics.circles.objects, statistics.objects()), (2, 2));
    assert_eq!(statistics.by_class.get(&NODE).unwrap().bytes, 2 * 48);
    assert_eq!(world.nodes(), 1);
    world.set_root(0, NULL);
    world.settle();
    assert_eq!(world.nodes(), 0, "the child counted once too often");
}

#[test]
fn what_was_born_after_the_snapshot_is_left_also_where_something_was() {
    let world = World::new();
    let pair = circle(&world);
    world.settle();
    let verdict = flip(&world, 1);
    let _ = sweep(&world, &verdict);
    // Until allocation comes to the freed cells again.
    let again = (0..2_000).map(|_| circle(&world)).find(|made| made.contains(&pair[0])).unwrap();
    world.settle();
    let before = world.nodes();
    let _ = sweep(&world, &verdict);
    assert_eq!(world.nodes(), before);
    assert!(Tracer(world.space).started().contains(&again[0].0));
    let verdict = flip(&world, 2);
    let _ = sweep(&world, &verdict);
    assert_eq!(world.nodes(), 0);
}

#[test]
fn a_count_that_has_stuck_keeps_nothing() {
    let world = World::new();
    let stuck = world.new_node();
    let many = new_array(&world, 40);
    for index in 0..40 {
        set_element(&world, many, index, stuck);
    }
    world.settle();
    assert_eq!(world.nodes(), 1, "it has stuck");
    let statistics = sweep(&world, &flip(&world, 1));
    assert_eq!((statistics.stuck.objects, world.nodes()), (1, 0));
}

#[test]
fn a_long_object_is_released_part_by_part_and_its_quota_credited() {
    let world = World::new();
    let used = world.allocator.used(world.space);
    let living = long_garbage(&world);
    let statistics = sweep(&world, &flip(&world, 1));
    assert_eq!(statistics.objects(), 2);
    assert!(statistics.slices > 15, "{} slices", statistics.slices);
    world.audit();
    world.set_root(0, NULL);
    world.settle();
    // One of them was referred to less often than the others.
    assert_eq!((world.nodes(), living.len()), (19, 20), "counts that have stuck");
    let statistics = sweep(&world, &flip(&world, 2));
    assert_eq!((statistics.stuck.objects, world.nodes()), (19, 0));
    assert!(world.allocator.used(world.space) <= used + 3 * 65_536);
}

/// Each slice ended at each of its touches in turn and made again: nothing is done twice, nothing by halves, and nothing goes untold (the
/// figures of slices that were ended used to be lost, and with them a sixth of what a collection found).
#[test]
fn a_slice_that_is_ended_anywhere_is_made_again() {
    let world = World::new();
    let _ = long_garbage(&world);
    for _ in 0..20 {
        let pair = circle(&world);
        world.set_field(pair[0], 1, world.root(0));
    }
    world.settle();
    let verdict = flip(&world, 1);
    let (mut touches, mut attempts) = (0, 0);
    let (sweep, mut statistics) = (Sweep::new(), Statistics::default());
    Attempts::check(true);
    loop {
        let slice = Attempts::run(touches, || sweep.slice(world.space, &verdict));
        attempts += 1;
        Attempts::check(false);
        slice.iter().for_each(|slice| statistics.add(slice));
        if attempts % 8 == 0 {
            let _ = Tracer(world.space).living();
        }
        Attempts::check(true);
        match slice.map(|slice| slice.outcome) {
            None => touches += 1 + touches / 8,
            Some(Outcome::Done) => break,
            Some(_) => touches = 0,
        }
    }
    Attempts::check(false);
    let violations = Attempts::take_violations();
    assert!(violations.is_empty(), "{} of {attempts}: {}", violations.len(), violations[0]);
    world.audit();
    assert_eq!((world.nodes(), statistics.objects()), (20, 42));
}

#[test]
fn a_weak_reference_does_not_keep_a_circle_but_for_a_collection() {
    let world = World::new();
    let class = class_at(world.space, Builtin::WeakReference as u32);
    let (read, unread) = (circle(&world), circle(&world));
    let weak = |node| counting::weak_reference(world.space, world.allocator, class, node).unwrap();
    world.set_root(0, weak(read[0]));
    world.set_root(1, weak(unread[0]));
    world.settle();
    let verdict = flip(&world, 1);
    // Somebody asks for one of them before the sweep has come to it.
    let thread = world.spawn(1);
    thread.set_register(0, counting::read_weak(world.space, world.root(0)));
    world.space.end_step();
    let statistics = sweep(&world, &verdict);
    assert_eq!((statistics.weak_cleared, world.nodes()), (1, 4), "nothing of them is freed yet");
    assert_eq!(counting::read_weak(world.space, world.root(1)), NULL);
    let verdict = flip(&world, 2);
    let statistics = sweep(&world, &verdict);
    assert_eq!((statistics.weak_cleared, world.nodes()), (0, 2), "the one nobody asked for");
    thread.set_register(0, NULL);
    world.space.end_step();
    assert_eq!(sweep(&world, &flip(&world, 3)).weak_cleared, 1);
    let _ = sweep(&world, &flip(&world, 4));
    assert_eq!(world.nodes(), 0);
    world.audit();
}

#[test]
fn a_dead_object_takes_its_weak_reference_with_it() {
    let world = World::new();
    let class = class_at(world.space, Builtin::WeakReference as u32);
    let pair = circle(&world);
    let weak = counting::weak_reference(world.space, world.allocator, class, pair[0]).unwrap();
    world.set_field(pair[1], 1, weak);
    world.settle();
    let verdict = flip(&world, 1);
    assert_eq!(sweep(&world, &verdict).objects(), 3);
    assert_eq!(counting::Table::weak().len(world.space), 0);
    world.audit();
}

/// A mark that has not followed weak references does not say what programs can get at.
#[test]
fn a_mark_that_has_not_followed_weak_references_frees_nothing_if_there_were_any() {
    let world = World::new();
    let _ = circle(&world);
    world.settle();
    let mut verdict = flip(&world, 1);
    verdict.follows_weak = false;
    assert_eq!(sweep(&world, &verdict).objects(), 2, "there never were any");
    let class = class_at(world.space, Builtin::WeakReference as u32);
    let _ = circle(&world);
    let node = world.new_node();
    counting::weak_reference(world.space, world.allocator, class, node).unwrap();
    world.settle();
    let mut verdict = flip(&world, 2);
    verdict.follows_weak = false;
    assert_eq!(Sweep::new().slice(world.space, &verdict).outcome, Outcome::Refused);
    assert_eq!(world.nodes(), 2);
}

/// A wrong mark cannot take from counting what is counting's, nor from the scheduler what is the scheduler's.
#[test]
fn what_stands_in_a_batch_is_left_to_counting() {
    let world = World::new();
    let node = world.new_node();
    let mut verdict = flip(&world, 1);
    verdict.forget(node.0);
    let statistics = sweep(&world, &verdict);
    assert_eq!((statistics.objects(), statistics.passed_over), (0, 1));
    world.settle();
    assert_eq!(world.nodes(), 0);
    let thread = world.spawn(1);
    world.space.store(thread.object.plus(thread::INDEX), 1_u32);
    world.space.end_step();
    let mut verdict = flip(&world, 2);
    verdict.forget(thread.object.0);
    world.settle();
    assert_eq!(sweep(&world, &verdict).objects(), 0, "a thread that stands in the table");
    let class = class_at(world.space, NODE);
    let mut verdict = flip(&world, 3);
    verdict.forget(class.0);
    assert_eq!(sweep(&world, &verdict).objects(), 0, "a class");
}

#[test]
fn an_object_with_an_extension_is_left() {
    let world = World::new();
    let pair = circle(&world);
    world.settle();
    let flags = pair[0].plus(object::BIRTH_AND_FLAGS);
    let birth: u64 = world.space.load(flags);
    world.space.store(flags, birth | object::FLAG_EXTENDED);
    world.space.end_step();
    let statistics = sweep(&world, &flip(&world, 1));
    assert_eq!((statistics.objects(), statistics.passed_over), (1, 1));
    assert!(sweep::is_unfinished(world.space), "it may refer to what is used again");
}

/// A grace passed over it, perhaps with half of its references released: the rest keep a count too many.
#[test]
fn what_a_grace_has_left_is_freed_without_its_references() {
    let world = World::new();
    let (child, parent) = (world.new_node(), world.new_node());
    world.set_root(0, child);
    world.set_field(parent, 0, child);
    grace::close(world.space);
    for _ in 0..100 {
        let entry: u64 = world.space.load(ObjectAddress(word(&world, words::CLOSED_NEXT)));
        world.space.end_step();
        if entry == parent.0 && word(&world, words::PHASE) == words::PHASE_FREEING {
            break;
        }
        let _ = grace::step(world.space).unwrap();
    }
    assert_eq!(grace::skip(world.space), grace::Skipped::Object);
    let _ = grace::run(world.space, u64::MAX).unwrap();
    // While the batch that it names is open, it is taken for one that stands there.
    let left = |epoch| {
        let statistics = sweep(&world, &flip(&world, epoch));
        grace::close(world.space);
        let _ = grace::run(world.space, u64::MAX).unwrap();
        statistics.left.objects
    };
    assert_eq!([left(1), left(2), left(3)].iter().sum::<u64>(), 1);
    assert_eq!(Tracer(world.space).metadata(child.0) >> 1 & 31, 2);
    world.set_root(0, NULL);
    let _ = sweep(&world, &flip(&world, 4));
    assert!(!Tracer(world.space).started().contains(&child.0), "the collector has it all the same");
}

#[test]
fn marks_that_cannot_be_read_leave_everything_as_it_is() {
    let world = World::new();
    let pair = circle(&world);
    world.settle();
    let mut verdict = flip(&world, 1).forgets();
    let number = u32::try_from((pair[0].0 & ((1 << 44) - 1)) / 65_536).unwrap();
    verdict.failed = Some(number);
    let running = Sweep::new();
    for _ in 0..20 {
        match running.slice(world.space, &verdict).outcome {
            Outcome::NotYet(block) => verdict.bring(block),
            Outcome::Failed(block) => {
                assert_eq!((block, world.nodes()), (number, 2));
                let statistics = sweep(&world, &flip(&world, 2));
                assert_eq!((statistics.objects(), world.nodes()), (2, 0));
                return;
            }
            outcome => assert_eq!(outcome, Outcome::More),
        }
    }
    panic!("it is not noticed");
}

/// A block whose metadata can never be read is passed over, and an object whose page cannot.
#[test]
fn what_is_lost_is_passed_over() {
    let world = World::new();
    let pairs: Vec<_> = (0..2_000).map(|_| circle(&world)).collect();
    world.settle();
    let verdict = flip(&world, 1);
    let metadata = ObjectAddress(pairs[1_500][0].0 & !65_535);
    let payload = ObjectAddress(pairs[100][0].0 & !4_095);
    Attempts::lose(metadata.0);
    Attempts::lose(payload.0);
    let (running, mut done) = (Sweep::new(), false);
    for _ in 0..100_000 {
        match Attempts::run(u64::MAX, || running.slice(world.space, &verdict).outcome) {
            Some(Outcome::Done) => {
                done = true;
                break;
            }
            Some(_) => {}
            None => {
                world.space.end_step();
                assert!(sweep::skip(world.space, ObjectAddress(Attempts::ended_at())));
            }
        }
    }
    Attempts::find_all();
    assert!(done);
    let left = Tracer(world.space).started();
    let is_there = |index: usize| left.contains(&pairs[index][0].0);
    assert!(is_there(1_500) && is_there(100) && !is_there(1_999) && !is_there(0));
    assert!(sweep::is_unfinished(world.space));
}

static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Verdicts of which each costs a page fault.
struct Faulting(Verdict);

impl Verdicts for Faulting {
    fn name(&self) -> [u64; 4] {
        self.0.name()
    }
    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }
    fn follows_weak(&self) -> bool {
        self.0.follows_weak()
    }
    fn marks(&self, number: u32) -> Marks<'_> {
        FAULTS.fetch_add(1, Ordering::Relaxed);
        self.0.marks(number)
    }
}

/// A slice that met a page fault ends before it changes anything, so that nobody waits for both; but not for ever.
#[test]
fn slices_end_at_a_page_fault_and_the_sweep_ends_all_the_same() {
    let world = World::new();
    let _ = circle(&world);
    world.settle();
    let mut slices = Vec::new();
    for faulting in [false, true] {
        let _ = circle(&world);
        world.settle();
        let verdict = Faulting(flip(&world, 1 + u64::from(faulting)));
        let mut sweep = Sweep::new();
        if faulting {
            sweep.watch(&FAULTS);
        }
        let (mut count, mut freed) = (0, 0);
        loop {
            let slice = sweep.slice(world.space, &verdict);
            (count, freed) = (count + 1, freed + slice.freed().len());
            match slice.outcome {
                Outcome::More => assert!(count < 1_000, "it never ends"),
                outcome => break assert_eq!(outcome, Outcome::Done),
            }
        }
        assert_eq!((freed, world.nodes()), (if faulting { 2 } else { 4 }, 0));
        slices.push(count);
    }
    assert!(slices[1] > slices[0] + 20, "{slices:?}");
}
