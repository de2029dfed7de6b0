//! The heap against a model: random arrays of all sizes in two groups, filled, checked and dropped; every address of an object
//! leads back to it; fresh memory is zero; and every allocation ended at every touch leaves the heap whole.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeMap;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;
use revenant_vm::counting::class_at;
use revenant_vm::heap::discard::{self, Discarded, Progress, Which};
use revenant_vm::heap::runs::{self, BlockNumber};
use revenant_vm::heap::{self, Allocator, holes, large};
use revenant_vm::memory::layout::system::root;
use revenant_vm::memory::layout::{area, block, object};
use revenant_vm::memory::{AddressExt, Attempts};
use revenant_vm::object::array;
use world::World;

const SLOTS: u64 = 200;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        (self.0 >> 33) % limit
    }

    /// Mostly small, sometimes a page or a few, rarely many blocks.
    fn size(&mut self) -> u64 {
        match self.below(20) {
            0 if self.below(8) == 0 => self.below(3_000_000),
            0 => self.below(400_000),
            1..4 => self.below(20_000),
            4..8 => self.below(2_000),
            _ => self.below(120),
        }
    }
}

fn check(world: &World, subject: ObjectAddress, bytes: u64, pattern: u8) {
    let start = subject.plus(object::PAYLOAD);
    for place in (0..bytes).step_by(61).chain(bytes.checked_sub(1)) {
        assert_eq!(world.space.load::<u8>(start.plus(place)), pattern, "{subject:?}+{place}");
    }
    let (head, entry) = runs::run_of(world.space, BlockNumber::of(subject)).unwrap();
    if large::is_large(world.space, subject) {
        assert_eq!(head.address().plus(object::LARGE_OFFSET), subject);
        assert_eq!(entry.kind, block::KIND_LARGE);
        let last = BlockNumber::of(start.plus(bytes.saturating_sub(1)));
        assert_eq!(runs::run_of(world.space, last).unwrap().0, head);
    } else {
        assert_eq!((head, entry.kind), (BlockNumber::of(subject), block::KIND_SMALL));
    }
}

/// Discards as much as chance will have, of the pager's or by hand; of blocks in use, too.
fn discard_some(world: &World, random: &mut Random) {
    let (mut from, mut left) = (random.below(2) << 24, 20);
    for _ in 0..random.below(40) {
        let discard = |pages| match random.below(8) {
            0 => Discarded::NotNow,
            1 => Discarded::Unable,
            _ => {
                world.host.discard(pages);
                Discarded::Zero
            }
        };
        if holes::step(world.space, &mut from, &mut left, discard) != Progress::More {
            break;
        }
    }
    let which = if random.below(2) == 0 { Which::All } else { Which::Long };
    for _ in 0..random.below(200) {
        let progress = discard::step(world.space, which, |pages| match random.below(8) {
            0 => Discarded::NotNow,
            1 => Discarded::Unable,
            _ => {
                world.host.discard(pages);
                Discarded::Zero
            }
        });
        if progress != Progress::More {
            return;
        }
    }
}

/// Discards everything that is free.
fn discard_all(world: &World) {
    let real = |pages| {
        world.host.discard(pages);
        Discarded::Zero
    };
    while discard::step(world.space, Which::All, real) == Progress::More {}
}

/// A long array that was filled and let go of, and what another of its size finds after these discards.
fn taken_again(discarded: impl Fn(&World)) -> (World, ObjectAddress, ObjectAddress) {
    const LONGS: u64 = 400_000;
    let world = World::new();
    let longs = class_at(world.space, Builtin::LongArray as u32);
    let make = || {
        let made = array::allocate(world.space, world.allocator, longs, LONGS).unwrap();
        world.space.end_step();
        made
    };
    let first = make();
    world.space.fill(first.plus(object::PAYLOAD), 7, LONGS * 8);
    world.set_root(0, first);
    world.set_root(0, ObjectAddress(0));
    world.settle();
    assert!(discard::long_pages(world.space) >= LONGS * 8 / 4096);
    let other = make();
    assert_ne!(other, first, "content unknown: not to be had by who wants zeros");
    world.set_root(1, other);
    discarded(&world);
    let again = make();
    world.set_root(2, again);
    world.audit();
    (world, first, again)
}

/// A long run is not zeroed when its object dies (that would bring in what nobody needs), but discarded; it is clean then.
#[test]
fn a_long_run_is_taken_again_when_its_pages_are_zeros() {
    {
        let (world, first, again) = taken_again(discard_all);
        assert_eq!(again, first);
        check(&world, again, 3_200_000, 0);
        assert_eq!(discard::long_pages(world.space), 0);
    }
    let by = |discarded: Discarded| {
        move |world: &World| {
            let answer = |_| discarded;
            while discard::step(world.space, Which::Long, answer) == Progress::More {}
        }
    };
    {
        let (world, first, again) = taken_again(by(Discarded::Unable));
        assert_eq!(again, first);
        check(&world, again, 3_200_000, 0);
    }
    {
        // A pager that does not do what it says is noticed by the same check.
        let (world, first, again) = taken_again(by(Discarded::Zero));
        assert_eq!(again, first);
        assert_ne!(world.space.load::<u64>(again.plus(object::PAYLOAD)), 0);
    }
    // One that has no room leaves the run where it is.
    let (_, first, again) = taken_again(by(Discarded::NotNow));
    assert_ne!(again, first);
}

#[test]
fn a_discard_ended_at_every_touch_leaves_the_heap_whole() {
    let world = World::new();
    let space = world.space;
    let longs = class_at(space, Builtin::LongArray as u32);
    for length in [100, 200_000, 300_000] {
        let made = array::allocate(space, world.allocator, longs, length).unwrap();
        space.end_step();
        space.fill(made.plus(object::PAYLOAD), 9, length * 8);
        world.set_root(0, made);
    }
    let stack = runs::take_stack(space, 1 << 18).unwrap();
    runs::give_stack(space, stack.0);
    world.set_root(0, ObjectAddress(0));
    world.settle();
    let mut touches = 0;
    loop {
        let progress = Attempts::run(touches, || {
            discard::step(space, Which::All, |pages| {
                world.host.discard(pages);
                Discarded::Zero
            })
        });
        space.end_step();
        world.audit();
        match progress {
            None => touches += 1,
            Some(Progress::More) => touches = 0,
            Some(_) => break,
        }
    }
    assert_eq!(discard::long_pages(space), 0);
    let again = array::allocate(space, world.allocator, longs, 300_000).unwrap();
    check(&world, again, 2_400_000, 0);
}

/// While the disk takes nothing new, a few blocks stay as they are: they can be taken again at once.
#[test]
fn a_few_blocks_are_kept_while_allocation_is_refused() {
    let world = World::new();
    let nodes: Vec<_> = (0..1 << 18).map(|_| world.new_node()).collect();
    drop(nodes);
    world.settle();
    let dirty = || {
        let first = runs::first_free(world.space, 0, false);
        core::iter::successors(first, |number| runs::next_in_list(world.space, *number)).count()
    };
    let before = dirty();
    assert!(before > 100, "{before} blocks");
    heap::set_refused(world.space, true);
    discard_all(&world);
    assert_eq!(dirty(), 64);
    let made = world.new_node();
    heap::set_refused(world.space, false);
    discard_all(&world);
    assert_eq!(dirty(), 0);
    world.set_root(0, made);
    world.audit();
}

#[test]
fn random_arrays_keep_what_they_are_given() {
    for seed in 0..4 {
        let world = World::new();
        let space = world.space;
        space.store(ObjectAddress(area::ROOT).plus(root::NEXT_GROUP), 2_u64);
        let groups = [Allocator::of_group(0), Allocator::of_group(1)];
        groups[1].open(space, 1, u64::MAX);
        let bytes_class = class_at(space, Builtin::ByteArray as u32);
        let table_class = class_at(space, Builtin::ObjectArray as u32);
        let table = array::allocate(space, world.allocator, table_class, SLOTS).unwrap();
        space.end_step();
        world.set_root(0, table);
        let mut random = Random(seed);
        let mut model: BTreeMap<u64, (ObjectAddress, u64, u8)> = BTreeMap::new();
        for round in 0..3_000_u64 {
            let slot = random.below(SLOTS);
            if let Some((subject, bytes, pattern)) = model.remove(&slot) {
                check(&world, subject, bytes, pattern);
            }
            let subject = if random.below(3) == 0 {
                ObjectAddress(0)
            } else {
                let bytes = random.size();
                let group = groups[usize::try_from(random.below(2)).unwrap()];
                let made = array::allocate(space, group, bytes_class, bytes).unwrap();
                space.end_step();
                check(&world, made, bytes, 0);
                let pattern = u8::try_from(round % 251 + 1).unwrap();
                space.fill(made.plus(object::PAYLOAD), pattern, bytes);
                assert!(model.values().all(|(known, ..)| *known != made), "handed out twice");
                model.insert(slot, (made, bytes, pattern));
                made
            };
            assert!(array::set_reference(space, table, slot, subject));
            space.end_step();
            if round % 97 == 0 {
                world.settle();
                discard_some(&world, &mut random);
                world.audit();
            }
        }
        for (subject, bytes, pattern) in model.values() {
            check(&world, *subject, *bytes, *pattern);
        }
        world.set_root(0, ObjectAddress(0));
        world.settle();
        let report = world.audit();
        assert_eq!(report.objects.get(&(Builtin::ByteArray as u32)), None, "seed {seed}");
        assert_eq!(report.blocks.get(&block::KIND_LARGE), None);
    }
}

/// Allocation, growth and stacks ended at each of their touches in turn, checked every time, then done.
#[test]
fn an_allocation_ended_at_every_touch_leaves_the_heap_whole() {
    let world = World::new();
    let space = world.space;
    let longs = class_at(space, Builtin::LongArray as u32);
    for length in [1, 100, 1_500, 2_000, 40_000, 200_000] {
        let made = (0..).find_map(|touches| {
            let attempt = Attempts::run(touches, || {
                let made = array::allocate(space, world.allocator, longs, length).unwrap();
                space.end_step();
                made
            });
            space.end_step();
            world.audit();
            attempt
        });
        world.set_root(0, made.unwrap());
    }
    let stack = (0..)
        .find_map(|touches| {
            let attempt = Attempts::run(touches, || runs::take_stack(space, 1 << 18).unwrap());
            world.audit();
            attempt
        })
        .unwrap();
    assert_eq!(stack.1, 1 << 18);
    while Attempts::run(3, || runs::give_stack(space, stack.0)).is_none() {
        world.audit();
        if Attempts::run(100, || runs::give_stack(space, stack.0)).is_some() {
            break;
        }
    }
    let again = runs::take_stack(space, 1 << 18).unwrap();
    assert_eq!(again, stack, "a stack given back is taken again");
    world.set_root(0, ObjectAddress(0));
    world.settle();
    world.audit();
}
