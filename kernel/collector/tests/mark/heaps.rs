//! Heaps whose marks are measured, and what a mark costs: for the tests of figures and for the bench (benches/mark.rs).

use crate::graphs::pages;
use crate::rig::{Driven, Rig};
use crate::world::World;
use core::time::Duration;
use revenant_bytecode::Builtin;
use revenant_collector::{MarkBudget, MarkOutcome, MarkStatistics, PlantedMark};
use revenant_hal::ObjectAddress;
use revenant_sim::Random;
use revenant_store::Layout;
use revenant_vm::counting::class_at;
use revenant_vm::heap::discard::{self, Discarded, Progress, Which};
use revenant_vm::memory::layout::{PAGE, area};
use revenant_vm::object::array;
use std::time::Instant;

/// A world of nodes at ascending addresses, kept by the first alone.
pub(crate) fn nodes(count: usize, link: impl FnOnce(&World, &[ObjectAddress])) -> World {
    let world = World::new();
    let objects = class_at(world.space, Builtin::ObjectArray as u32);
    let pool = array::allocate(world.space, world.allocator, objects, count as u64).unwrap();
    world.space.end_step();
    world.set_root(0, pool);
    let mut made = Vec::new();
    for place in 0..count {
        let node = world.new_node();
        assert!(array::set_reference(world.space, pool, place as u64, node));
        world.space.end_step();
        made.push(node);
    }
    link(&world, &made);
    world.set_root(1, made[0]);
    world.settle();
    world.set_root(0, ObjectAddress(0));
    world.settle();
    // As the kernel does before a flip: what is free is not written.
    while discard::step(world.space, Which::All, |pages| {
        world.host.discard(pages);
        Discarded::Zero
    }) == Progress::More
    {}
    world
}

/// Nodes of which nine of ten references lead at most a hundred places away, and one anywhere.
pub(crate) fn local(count: usize) -> World {
    nodes(count, |world, made| {
        let mut random = Random::new(1);
        for (place, node) in made.iter().enumerate() {
            for slot in 0..2 {
                let target = if random.index(10) < 9 {
                    (place + random.index(200)).saturating_sub(100).min(made.len() - 1)
                } else {
                    random.index(made.len())
                };
                world.set_field(*node, slot, made[target]);
            }
        }
    })
}

/// A list of nodes each of which stands anywhere.
pub(crate) fn shuffled_list(count: usize) -> World {
    nodes(count, |world, made| {
        let mut random = Random::new(2);
        let mut order: Vec<usize> = (1..made.len()).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, random.index(place + 1));
        }
        let mut last = made[0];
        for place in order {
            world.set_field(last, 0, made[place]);
            last = made[place];
        }
    })
}

/// What a mark has cost.
pub(crate) struct Cost {
    pub(crate) pages_read: u64,
    pub(crate) pages_of_heap: u64,
    pub(crate) objects: u64,
    /// The most partitions that a kill would have lost.
    pub(crate) worst_loss: u64,
    pub(crate) time: Duration,
}

/// Of a whole mark, with a budget of so many percent of the heap.
pub(crate) fn cost(world: &World, share: usize, blocks: u64) -> Cost {
    let heap = pages(world);
    let mut rig = Rig::new(blocks, 3);
    let epoch = rig.commit(&heap);
    rig.pin(Some(epoch));
    let budget = MarkBudget::new((heap.len() * 4096 * share / 100).max(300 * 1024));
    let mut mark = rig.begin(budget, PlantedMark::None);
    let begin = Instant::now();
    let ended = rig.drive(&mut mark);
    let time = begin.elapsed();
    assert!(matches!(ended, Driven::Ended(MarkOutcome::Complete)), "{ended:?}");
    let done = mark.statistics();
    let first = (area::HEAP - area::ROOT) / PAGE;
    let pages_of_heap = heap.iter().filter(|(page, _)| page.0 >= first).count() as u64;
    let MarkStatistics { pages_read, objects, .. } = done;
    Cost { pages_read, pages_of_heap, objects, worst_loss: rig.worst_loss, time }
}

/// Disk set aside for marks, in thousandths of the largest heap that the disk can hold; the worst of disks from 64 MiB to 64 TiB.
pub(crate) fn reserve() -> u64 {
    let of = |blocks| {
        let (_, region) = Layout::new(blocks).unwrap().collector_region();
        region * 1000 / blocks.saturating_sub(region)
    };
    [16_384, 262_144, 1 << 24, 1 << 34].map(of).into_iter().max().unwrap()
}
