//! Strings, builders, vectors, maps, buffers and large objects against the standard library, with the exact checker and
//! the check of "touch all, then change" on.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeMap;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;
use revenant_vm::counting::class_at;
use revenant_vm::heap::{self, AllocationError, large};
use revenant_vm::memory::layout::object;
use revenant_vm::memory::{AddressExt, Attempts};
use revenant_vm::object::{array, map, string, vector};
use world::World;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        (self.0 >> 33) % limit
    }
}

/// Runs `operation` with the touch check on.
fn checked<T>(world: &World, operation: impl FnOnce() -> T) -> T {
    world.space.end_step();
    Attempts::check(true);
    let result = operation();
    world.space.end_step();
    Attempts::check(false);
    let violations = Attempts::take_violations();
    assert!(violations.is_empty(), "{violations:#?}");
    result
}

fn long(world: &World, value: u64) -> ObjectAddress {
    let class_object = class_at(world.space, Builtin::Long as u32);
    let made = heap::allocate_plain(world.space, world.allocator, class_object).unwrap();
    world.space.store(made.plus(object::BOX_VALUE), value);
    world.space.end_step();
    made
}

fn text(world: &World, value: &str) -> ObjectAddress {
    checked(world, || string::from_bytes(world.space, world.allocator, value.as_bytes()).unwrap())
}

fn read(world: &World, value: ObjectAddress) -> String {
    let length = string::length(world.space, value);
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    world.space.read(string::byte_address(value, 0), &mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// A map against a list of pairs in order of insertion.
#[test]
fn maps_behave_like_a_list_of_pairs() {
    for seed in 0..6 {
        let world = World::new();
        let space = world.space;
        let mut random = Random(seed);
        let subject = map::allocate(space, world.allocator).unwrap();
        space.end_step();
        world.set_root(0, subject);
        let mut order: Vec<u64> = Vec::new();
        let mut model: BTreeMap<u64, ObjectAddress> = BTreeMap::new();
        let keys = if seed % 2 == 0 { 40 } else { 2_000 };
        for round in 0..6_000_u64 {
            let number = random.below(keys);
            let key = if number.is_multiple_of(3) {
                text(&world, &format!("key {number}"))
            } else {
                long(&world, number)
            };
            // Phases in which the map grows and in which it shrinks.
            if random.below(10) < if round / 1_500 % 2 == 0 { 7 } else { 3 } {
                let value = if random.below(5) == 0 { ObjectAddress(0) } else { world.new_node() };
                checked(&world, || map::set(space, world.allocator, subject, key, value)).unwrap();
                if model.insert(number, value).is_none() {
                    order.push(number);
                }
            } else {
                let there = checked(&world, || map::remove(space, subject, key));
                assert_eq!(there, model.remove(&number).is_some(), "seed {seed} round {round}");
                order.retain(|known| *known != number);
            }
            let key = long(&world, random.below(keys) / 3 * 3 + 1);
            let asked = space.load::<u64>(key.plus(object::BOX_VALUE));
            assert_eq!(map::get(space, subject, key), model.get(&asked).copied());
            assert_eq!(map::length(space, subject), model.len() as u64);
            if round % 500 == 0 {
                compare_order(&world, subject, &order, &model);
                world.settle();
                world.audit();
            }
        }
        compare_order(&world, subject, &order, &model);
        checked(&world, || map::clear(space, subject));
        assert_eq!(map::next(space, subject, 0), map::Next::End);
        checked(&world, || map::set(space, world.allocator, subject, subject, subject)).unwrap();
        assert_eq!(map::get(space, subject, subject), Some(subject));
        assert!(checked(&world, || map::remove(space, subject, subject)));
        world.set_root(0, ObjectAddress(0));
        world.settle();
        let left = world.audit().objects;
        let classes = left.get(&(Builtin::Class as u32)).copied().unwrap();
        assert_eq!(left.values().sum::<u64>(), classes, "seed {seed}: something leaked: {left:?}");
    }
}

fn compare_order(
    world: &World,
    subject: ObjectAddress,
    order: &[u64],
    model: &BTreeMap<u64, ObjectAddress>,
) {
    let mut cursor = 0;
    let mut seen = Vec::new();
    loop {
        match map::next(world.space, subject, cursor) {
            map::Next::Entry { key, value, cursor: next } => {
                let is_text =
                    world.space.load::<u32>(key.plus(object::CLASS)) == Builtin::String as u32;
                let number = if is_text {
                    read(world, key).trim_start_matches("key ").parse().unwrap()
                } else {
                    world.space.load::<u64>(key.plus(object::BOX_VALUE))
                };
                assert_eq!(model.get(&number), Some(&value));
                seen.push(number);
                cursor = next;
            }
            map::Next::GoOn(next) => cursor = next,
            map::Next::End => break,
        }
    }
    assert_eq!(seen, order);
}

/// Each operation ended at every one of its touches, then done: as if it had been done undisturbed.
#[test]
fn a_map_operation_ended_at_every_touch_happens_once() {
    let world = World::new();
    let space = world.space;
    let subject = map::allocate(space, world.allocator).unwrap();
    space.end_step();
    world.set_root(0, subject);
    for number in 0..60_u64 {
        let (key, value) = (long(&world, number), world.new_node());
        let mut touches = 0;
        loop {
            let attempt = Attempts::run(touches, || {
                map::set(space, world.allocator, subject, key, value).unwrap();
                space.end_step();
            });
            let length = map::length(space, subject);
            assert_eq!(length, number + u64::from(attempt.is_some()));
            assert_eq!(map::get(space, subject, key).is_some(), attempt.is_some());
            space.end_step();
            if attempt.is_some() {
                break;
            }
            touches += 1;
        }
    }
    world.audit();
    for number in 0..60_u64 {
        let key = long(&world, number);
        let removed = (0..).find_map(|touches| {
            let attempt = Attempts::run(touches, || {
                let removed = map::remove(space, subject, key);
                space.end_step();
                removed
            });
            assert_eq!(map::get(space, subject, key).is_none(), attempt.is_some());
            space.end_step();
            attempt
        });
        assert_eq!(removed, Some(true));
    }
    world.settle();
    world.audit();
}

#[test]
fn vectors_behave_like_vec() {
    for seed in 0..4 {
        let world = World::new();
        let space = world.space;
        let mut random = Random(seed);
        let subject = vector::allocate(space, world.allocator, 3).unwrap();
        space.end_step();
        world.set_root(0, subject);
        let mut model: Vec<ObjectAddress> = Vec::new();
        let target = [50, 700, 3_000, 9_000][usize::try_from(seed).unwrap()];
        while model.len() < target {
            for _ in 0..target / 8 {
                let node = world.new_node();
                checked(&world, || vector::push(space, world.allocator, subject, node)).unwrap();
                model.push(node);
            }
            for _ in 0..6 {
                let node = world.new_node();
                let at = random.below(model.len() as u64 + 1);
                let mut progress = 0;
                while let Some(vector::Step::Again(next)) = checked(&world, || {
                    let allocator = world.allocator;
                    vector::insert_step(space, allocator, subject, node, at, progress).unwrap()
                }) {
                    progress = next;
                }
                model.insert(usize::try_from(at).unwrap(), node);
                let at = random.below(model.len() as u64);
                let mut progress = 0;
                let removed = loop {
                    match checked(&world, || vector::remove_step(space, subject, at, progress)) {
                        Some(vector::Step::Again(next)) => progress = next,
                        other => break other,
                    }
                };
                let expected = model.remove(usize::try_from(at).unwrap());
                assert_eq!(removed, Some(vector::Step::Done(expected)));
            }
            assert_eq!(checked(&world, || vector::pop(space, subject)), model.pop());
            assert_eq!(vector::length(space, subject), model.len() as u64);
            for (index, expected) in (0..).zip(&model) {
                assert_eq!(vector::get(space, subject, index), Some(*expected), "{index}");
            }
            assert_eq!(vector::get(space, subject, model.len() as u64), None);
            space.end_step();
            world.settle();
            assert_eq!(world.nodes(), model.len() as u64);
        }
        checked(&world, || vector::clear(space, subject));
        world.settle();
        assert_eq!(world.nodes(), 0);
    }
}

#[test]
fn strings_hash_and_join() {
    let world = World::new();
    let space = world.space;
    let short = text(&world, "persistent");
    let long_text = "grüße, мир, 世界! ".repeat(2_000);
    let long = text(&world, &long_text);
    assert_eq!(read(&world, long), long_text);
    let joined = checked(&world, || string::concat(space, world.allocator, short, long).unwrap());
    assert_eq!(read(&world, joined), format!("persistent{long_text}"));
    let again = text(&world, "persistent");
    assert!(string::equal(space, short, again) && !string::equal(space, short, long));
    space.end_step();
    let first = checked(&world, || string::hash(space, short));
    assert_eq!(first, checked(&world, || string::hash(space, again)));
    assert_eq!(first, checked(&world, || string::hash(space, short)));
    // The hash is part of the disk format.
    assert_eq!(first, 0x8D4C_89A2, "{first:#x}");
}

#[test]
fn builders_grow_from_small_to_large() {
    let world = World::new();
    let space = world.space;
    let builder = string::new_builder(space, world.allocator).unwrap();
    space.end_step();
    world.set_root(0, builder);
    let mut model = String::new();
    let piece = text(&world, &"x".repeat(3_000));
    for round in 0..60 {
        let words = format!("{round} bottles; ");
        checked(&world, || {
            string::append(space, world.allocator, builder, words.as_bytes()).unwrap();
        });
        model += &words;
        if round % 4 == 0 {
            checked(&world, || {
                string::append_string(space, world.allocator, builder, piece).unwrap();
            });
            model += &"x".repeat(3_000);
        }
        assert_eq!(string::builder_length(space, builder), model.len() as u64);
    }
    let made = checked(&world, || string::builder_text(space, world.allocator, builder).unwrap());
    assert_eq!(read(&world, made), model);
    world.set_root(0, ObjectAddress(0));
    world.settle();
    world.audit();
}

#[test]
fn buffers_grow_in_place_and_come_back_zero() {
    let world = World::new();
    let space = world.space;
    let class_index = Builtin::ByteBuffer as u32;
    let make = |length, capacity| {
        let allocator = world.allocator;
        let made = checked(&world, || {
            array::allocate_buffer(space, allocator, class_index, length, capacity)
        });
        made.unwrap()
    };
    let small = make(10, 100);
    assert_eq!(checked(&world, || array::grow_buffer(space, small, 80)), Ok(10));
    assert_eq!(array::length(space, small), 90);
    let over = checked(&world, || array::grow_buffer(space, small, 1_000));
    assert_eq!(over, Err(AllocationError::TooLarge));
    // A WebAssembly memory: 4 GiB reserved, and in the end 4 GiB long.
    let large = make(0, 1 << 32);
    for _ in 0..4 {
        assert!(checked(&world, || array::grow_buffer(space, large, 1 << 16)).is_ok());
    }
    space.fill(large.plus(object::PAYLOAD), 0xAB, 1 << 18);
    assert_eq!(
        checked(&world, || array::grow_buffer(space, large, (1 << 32) - (1 << 18))),
        Ok(1 << 18)
    );
    assert_eq!(array::length(space, large), 1 << 32);
    assert_eq!(space.load::<u32>(large.plus(object::LENGTH)), u32::MAX);
    assert_eq!(space.load::<u8>(large.plus(object::PAYLOAD + (1 << 18))), 0);
    assert!(checked(&world, || array::grow_buffer(space, large, 1)).is_err());
    assert!(large::is_large(space, large));
    let pages: u64 = world.host.touched().iter().map(|range| range.end.0 - range.start.0).sum();
    assert!(pages < 200, "{pages} pages touched for 256 KiB in use");
}

#[test]
fn a_large_object_freed_is_zero_for_the_next() {
    let world = World::new();
    let space = world.space;
    let longs = class_at(space, Builtin::LongArray as u32);
    for _ in 0..3 {
        let made =
            checked(&world, || array::allocate(space, world.allocator, longs, 20_000).unwrap());
        for index in 0..20_000 {
            assert_eq!(space.load::<u64>(array::slot(made, index)), 0);
            space.store(array::slot(made, index), index + 1);
        }
        space.end_step();
        world.settle();
        world.audit();
    }
    let used = world.allocator.used(space);
    assert!(used < 20 * 64 * 1024, "{used} bytes are charged to an empty world");
}

#[test]
fn a_quota_is_an_error_and_comes_back() {
    let world = World::new();
    let space = world.space;
    let group = heap::Allocator::of_group(1);
    group.open(space, 1, 4 << 16);
    space.store(
        ObjectAddress(revenant_vm::memory::layout::area::ROOT)
            .plus(revenant_vm::memory::layout::system::root::NEXT_GROUP),
        2_u64,
    );
    let thread = world.spawn(2);
    let mut count = 0;
    let mut head = ObjectAddress(0);
    let error = loop {
        match heap::allocate_plain(space, group, world.node) {
            Ok(node) => {
                space.end_step();
                world.set_field(node, 0, head);
                head = node;
                thread.set_register(0, head);
                count += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, AllocationError::Quota);
    assert_eq!(count, 4 * 3840 / 3);
    assert_eq!(group.used(space), 4 << 16);
    let longs = class_at(space, Builtin::LongArray as u32);
    assert_eq!(array::allocate(space, group, longs, 1 << 20), Err(AllocationError::Quota));
    thread.set_register(0, ObjectAddress(0));
    world.settle();
    world.audit();
    assert_eq!(group.used(space), 0);
    heap::set_refused(space, true);
    let refused = array::allocate(space, group, longs, 4_000);
    assert_eq!(refused, Err(AllocationError::DiskReserve));
    heap::set_refused(space, false);
    assert!(array::allocate(space, group, longs, 4_000).is_ok());
}
