//! Heaps to be marked: random graphs of every kind of object, with cycles that counting cannot free, threads with deep stacks, weak
//! references, and counting stopped somewhere in a grace.

use crate::world::World;
use revenant_bytecode::Builtin;
use revenant_hal::{OBJECT_SPACE_BASE, ObjectAddress, PageBytes, PageIndex};
use revenant_sim::Random;
use revenant_vm::counting::{self, class_at, grace};
use revenant_vm::memory::AddressExt;
use revenant_vm::memory::layout::{BLOCK, area, block};
use revenant_vm::object::{array, map, string, vector};
use std::collections::BTreeMap;

const NULL: ObjectAddress = ObjectAddress(0);

/// What an object of the test is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Node,
    Array(u64),
    Vector,
    Map,
    Leaf,
}

fn make(world: &World, random: &mut Random) -> (ObjectAddress, Kind) {
    let (space, allocator) = (world.space, world.allocator);
    let objects = class_at(space, Builtin::ObjectArray as u32);
    let longs = class_at(space, Builtin::LongArray as u32);
    let made = match random.index(20) {
        0..9 => (world.new_node(), Kind::Node),
        9..12 => {
            let length = 1 + random.index(40) as u64;
            (array::allocate(space, allocator, objects, length).unwrap(), Kind::Array(length))
        }
        12 => {
            let length = [700, 1_600, 30_000][random.index(3)];
            (array::allocate(space, allocator, objects, length).unwrap(), Kind::Array(length))
        }
        13 | 14 => (vector::allocate(space, allocator, 0).unwrap(), Kind::Vector),
        15 => (map::allocate(space, allocator).unwrap(), Kind::Map),
        16 => (array::allocate(space, allocator, longs, 20_000).unwrap(), Kind::Leaf),
        _ => {
            let text = format!("text {}", random.index(1000));
            (string::from_bytes(space, allocator, text.as_bytes()).unwrap(), Kind::Leaf)
        }
    };
    space.end_step();
    made
}

fn link(world: &World, random: &mut Random, from: (ObjectAddress, Kind), to: ObjectAddress) {
    let (space, allocator) = (world.space, world.allocator);
    match from.1 {
        Kind::Node => world.set_field(from.0, random.index(2) as u64, to),
        Kind::Array(length) => {
            let place = random.index(usize::try_from(length).unwrap()) as u64;
            assert!(array::set_reference(space, from.0, place, to));
        }
        Kind::Vector => vector::push(space, allocator, from.0, to).unwrap(),
        Kind::Map => {
            let text = format!("key {}", random.index(50));
            let key = string::from_bytes(space, allocator, text.as_bytes()).unwrap();
            space.end_step();
            map::set(space, allocator, from.0, key, to).unwrap();
        }
        Kind::Leaf => {}
    }
    space.end_step();
}

/// A world with a random graph of so many objects.
pub(crate) fn random_world(seed: u64, count: usize) -> World {
    let world = World::new();
    populate(&world, seed, count);
    world
}

/// Puts a random graph of so many objects into a world.
pub(crate) fn populate(world: &World, seed: u64, count: usize) {
    let space = world.space;
    let mut random = Random::new(seed);
    let objects = class_at(space, Builtin::ObjectArray as u32);
    let pool = array::allocate(space, world.allocator, objects, count as u64).unwrap();
    space.end_step();
    world.set_root(0, pool);
    let mut made = Vec::new();
    for place in 0..count {
        let new = make(world, &mut random);
        assert!(array::set_reference(space, pool, place as u64, new.0));
        space.end_step();
        made.push(new);
    }
    for _ in 0..count * 2 {
        let (from, to) = (made[random.index(count)], made[random.index(count)]);
        link(world, &mut random, from, to.0);
    }
    // Weak references, some held by objects, some by nothing but the pool.
    let weak_class = class_at(space, Builtin::WeakReference as u32);
    for _ in 0..count / 10 {
        let (from, to) = (made[random.index(count)], made[random.index(count)]);
        let weak = counting::weak_reference(space, world.allocator, weak_class, to.0).unwrap();
        space.end_step();
        link(world, &mut random, from, weak);
    }
    for index in 1..1 + random.index(5) as u64 {
        world.set_root(index, made[random.index(count)].0);
    }
    for _ in 0..random.index(3) {
        let thread = world.spawn(4);
        for depth in 0..random.index(60) {
            thread.set_register(depth as u64 % 4, made[random.index(count)].0);
            thread.push(3, 5);
        }
    }
    world.settle();
    world.set_root(0, NULL);
    if random.index(4) != 0 {
        world.settle();
    }
    // Counting stops somewhere.
    for _ in 0..random.index(40) {
        let _ = make(world, &mut random);
    }
    if random.index(2) == 0 {
        grace::close(space);
        for _ in 0..random.index(200) {
            let _ = grace::step(space).unwrap();
        }
    }
}

/// The pages that hold anything.
pub(crate) fn pages(world: &World) -> Vec<(PageIndex, PageBytes)> {
    let touched = world.host.touched().into_iter().flat_map(|range| range.start.0..range.end.0);
    let pages = touched.map(|page| (PageIndex(page), world.host.page(PageIndex(page))));
    pages.filter(|(_, bytes)| *bytes != PageBytes::ZERO).collect()
}

/// The number of the block of an address.
pub(crate) fn block_of(address: u64) -> u32 {
    u32::try_from((address - OBJECT_SPACE_BASE) / BLOCK).unwrap()
}

/// What the marks of every block ever used must be.
pub(crate) fn expected(world: &World, reached: &BTreeMap<u64, bool>) -> BTreeMap<u32, [u64; 64]> {
    let runs = ObjectAddress(area::RUNS);
    let fresh = world.space.load::<u64>(runs.plus(block::RUNS_FRESH));
    let top = world.space.load::<u64>(runs.plus(block::RUNS_FRESH_TOP));
    let used = [(area::HEAP, fresh), (top, area::END)].into_iter();
    let mut words: BTreeMap<u32, [u64; 64]> = used
        .flat_map(|(start, end)| {
            block_of(start)..u32::try_from((end - OBJECT_SPACE_BASE) / BLOCK).unwrap()
        })
        .map(|block| (block, [0; 64]))
        .collect();
    for (address, weak) in reached {
        let granule = usize::try_from(address % BLOCK / 16).unwrap();
        let bits = words.entry(block_of(*address)).or_insert([0; 64]);
        bits[granule / 64] |= 1 << (granule % 64);
        if *weak {
            bits[(granule + 1) / 64] |= 1 << ((granule + 1) % 64);
        }
    }
    words
}
