//! What a mark says of what lives: the tracer's sums, and the same after any cut.

use crate::exact::TIGHT;
use crate::graphs::{pages, random_world};
use crate::rig::{Driven, Rig};
use crate::tracer::trace;
use crate::world::World;
use revenant_bytecode::Builtin;
use revenant_collector::{MarkOutcome, PlantedMark, Survivors};
use revenant_hal::ObjectAddress;
use revenant_sim::KeepNone;
use revenant_vm::counting::class_at;
use revenant_vm::memory::layout::{BLOCK, PAGE, area, block, object};
use revenant_vm::memory::{AddressExt, Space};
use revenant_vm::object::array;
use std::collections::{BTreeMap, BTreeSet};

/// The sums by what the words mean: over the tracer's objects and the block table.
fn plainly(space: Space, reached: &BTreeMap<u64, bool>) -> Survivors {
    let mut sums = Survivors::default();
    let mut lives: BTreeMap<u64, (u64, BTreeSet<u64>)> = BTreeMap::new();
    for address in reached.keys() {
        let start = address / BLOCK * BLOCK;
        let entry = area::BLOCK_TABLE + (start - area::ROOT) / BLOCK * block::ENTRY_SIZE;
        let entry = ObjectAddress(entry);
        let large = space.load::<u8>(entry.plus(block::ENTRY_KIND)) == block::KIND_LARGE;
        let class = usize::from(space.load::<u8>(entry.plus(block::ENTRY_SIZE_CLASS)));
        let size = if large { block::SIZE_CLASSES.len() } else { class };
        let byte = space.load::<u8>(ObjectAddress(start + address % BLOCK / 16));
        let count = byte >> 1 & 31;
        sums.sizes[size].objects += 1;
        match count {
            31 => sums.sizes[size].stuck += 1,
            _ => sums.sizes[size].references += u64::from(count),
        }
        assert_ne!(byte & object::META_START, 0);
        if large {
            sums.large_bytes += space.load::<u64>(ObjectAddress(start + block::HEADER_EXTENT));
        } else {
            let bytes = u64::from(block::SIZE_CLASSES[class]) * 16;
            let (taken, on) = lives.entry(start).or_default();
            *taken += bytes;
            on.extend(address / PAGE..=(address + bytes - 1) / PAGE);
        }
    }
    // Blocks in which nothing lives are blocks, too.
    let end = space.load::<u64>(ObjectAddress(area::RUNS).plus(block::RUNS_FRESH));
    let top = space.load::<u64>(ObjectAddress(area::RUNS).plus(block::RUNS_FRESH_TOP));
    let mut start = area::HEAP;
    while start < area::END {
        if start >= end && start < top {
            start = top;
            continue;
        }
        let entry = area::BLOCK_TABLE + (start - area::ROOT) / BLOCK * block::ENTRY_SIZE;
        let entry = ObjectAddress(entry);
        let order = space.load::<u8>(entry.plus(block::ENTRY_ORDER));
        match space.load::<u8>(entry.plus(block::ENTRY_KIND)) {
            block::KIND_SMALL => {
                let (bytes, on) = lives.remove(&start).unwrap_or_default();
                let step = usize::try_from(bytes * 10 / (BLOCK - PAGE)).unwrap().min(9);
                sums.fills[step] += 1;
                sums.pages += on.len() as u64;
                sums.blocks += 1;
            }
            block::KIND_LARGE => sums.blocks += 1,
            _ => {}
        }
        start += BLOCK << order;
    }
    assert!(lives.is_empty(), "objects live in blocks of objects");
    sums
}

fn marked(rig: &mut Rig) -> Survivors {
    let mut mark = rig.begin(TIGHT, PlantedMark::None);
    let driven = rig.drive(&mut mark);
    assert!(matches!(driven, Driven::Ended(MarkOutcome::Complete)), "{driven:?}");
    mark.survivors().expect("it is complete")
}

#[test]
fn what_lives_is_added_up_as_the_tracer_finds_it() {
    let mut degrees = 0;
    for seed in 0..12 {
        let world = random_world(seed, if seed % 4 == 0 { 4_000 } else { 300 });
        let reached = trace(world.space);
        let expected = plainly(world.space, &reached);
        let mut rig = Rig::new(32_768, seed + 1);
        let epoch = rig.commit(&pages(&world));
        rig.pin(Some(epoch));
        let found = marked(&mut rig);
        assert_eq!(found, expected, "seed {seed}");
        assert_eq!(found.objects(), reached.len() as u64);
        assert!(found.bytes() > 16 * found.objects(), "no cell is shorter than two granules");
        degrees += found.in_degree_hundredths();
    }
    assert!(degrees > 100, "{degrees}");
}

/// More large objects than are compared between two checkpoints.
fn many_large() -> World {
    let world = random_world(3, 300);
    let space = world.space;
    let objects = class_at(space, Builtin::ObjectArray as u32);
    let holder = array::allocate(space, world.allocator, objects, 1_400).unwrap();
    space.end_step();
    world.set_root(9, holder);
    for place in 0..1_100 {
        let new = array::allocate(space, world.allocator, objects, 1_600).unwrap();
        space.end_step();
        assert!(array::set_reference(space, holder, place, new));
        assert!(array::set_reference(space, new, 7, holder));
        space.end_step();
    }
    world.settle();
    world
}

#[test]
fn the_sums_are_the_same_after_a_cut_anywhere() {
    let world = many_large();
    let expected = plainly(world.space, &trace(world.space));
    let mut rig = Rig::new(65_536, 5);
    let epoch = rig.commit(&pages(&world));
    rig.pin(Some(epoch));
    rig.rest();
    let image = rig.disk.durable();
    drop(world);
    let mut cuts = 0;
    for writes in 1.. {
        let mut rig = Rig::on(image.clone(), 2 + u128::from(writes));
        rig.rest();
        rig.cut_after = Some(rig.disk.operation_counts()[1] + writes);
        let mut mark = rig.begin(TIGHT, PlantedMark::None);
        if !matches!(rig.drive(&mut mark), Driven::Cut) {
            assert_eq!(mark.survivors(), Some(expected));
            break;
        }
        cuts += 1;
        assert_eq!(mark.survivors(), None, "there are none before the end");
        let mut rig = Rig::on(rig.cut(&mut KeepNone), 1_000_000 + u128::from(writes));
        rig.rest();
        assert_eq!(marked(&mut rig), expected, "cut after {writes} writes");
    }
    println!("{cuts} cuts");
    assert!(cuts > 10, "{cuts}");
}
