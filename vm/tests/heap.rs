//! The heap against a model: random arrays of all sizes in two groups, filled, checked and dropped; every address of an object
//! leads back to it; fresh memory is zero; and every allocation ended at every touch leaves the heap whole.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeMap;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;
use revenant_vm::counting::class_at;
use revenant_vm::heap::runs::{self, BlockNumber};
use revenant_vm::heap::{Allocator, large};
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
