//! The power goes after every write of a whole mark: what was not flushed ends as old, new, torn, zero or garbage, sector by sector. Each time
//! the mark is taken up again and ends with the same verdict. And the planted faults that only a cut shows.

use crate::exact::TIGHT;
use crate::graphs::{expected, pages, random_world};
use crate::rig::{Driven, Rig};
use crate::tracer::trace;
use crate::world::World;
use revenant_bytecode::Builtin;
use revenant_collector::{MarkBudget, MarkOutcome, PlantedMark, RegionError};
use revenant_hal::ObjectAddress;
use revenant_sim::{CutPolicy, Image, KeepAll, KeepNone, Random, SectorAtRisk, SectorFate, Seeded};
use revenant_vm::counting::class_at;
use revenant_vm::memory::{AddressExt, Space};
use revenant_vm::object::array;
use std::collections::BTreeMap;

/// A log of seven pages, so that a small heap makes many checkpoints.
const SMALL_DISK: u64 = 4_096;

/// Objects of 11 KiB.
const BIG: u64 = 300;

type Wanted = BTreeMap<u32, [u64; 64]>;

/// A disk with a heap whose snapshot is pinned, and its verdict.
fn prepared(world: &World) -> (Image, Wanted) {
    let wanted = expected(world, &trace(world.space));
    let mut rig = Rig::new(SMALL_DISK, 3);
    let epoch = rig.commit(&pages(world));
    rig.pin(Some(epoch));
    rig.rest();
    (rig.disk.durable(), wanted)
}

/// A mark until the power goes after so many writes; what is left, or the mark's end.
fn cut_run(
    image: Image,
    session: u128,
    writes: u64,
    planted: PlantedMark,
    policy: &mut dyn CutPolicy,
) -> Result<Image, MarkOutcome> {
    let mut rig = Rig::on(image, session);
    rig.rest();
    rig.cut_after = Some(rig.disk.operation_counts()[1] + writes);
    let mut mark = rig.begin(TIGHT, planted);
    match rig.drive(&mut mark) {
        Driven::Cut => Ok(rig.cut(policy)),
        Driven::Ended(outcome) => Err(outcome),
    }
}

/// Whether the mark, taken up again, ends with the verdict wanted. A region that is damaged is no verdict: then it begins anew.
fn resumed(image: Image, session: u128, planted: PlantedMark, wanted: &Wanted) -> (bool, bool) {
    let mut rig = Rig::on(image, session);
    rig.rest();
    let mut mark = rig.begin(TIGHT, planted);
    let mut outcome = rig.drive(&mut mark);
    let damaged = matches!(outcome, Driven::Ended(MarkOutcome::Failed(RegionError::Damaged)));
    if damaged {
        mark = rig.begin(TIGHT, planted).anew();
        outcome = rig.drive(&mut mark);
    }
    let Driven::Ended(MarkOutcome::Complete) = outcome else { return (false, damaged) };
    let Some(mut verdict) = mark.into_verdict(rig.store.superblock()) else {
        return (false, damaged);
    };
    let same = wanted.iter().all(|(block, words)| rig.marks(&mut verdict, *block) == Ok(*words));
    (same, damaged)
}

/// How the sectors end: nothing survives, and one of the others in turn.
fn policies(seed: u64) -> Vec<Box<dyn CutPolicy>> {
    let fate = |kind: u64| {
        move |risk: &SectorAtRisk| match (risk.sector as u64 + kind) % 3 {
            0 => SectorFate::New,
            1 if kind == 0 => SectorFate::Zero,
            1 => SectorFate::Garbage(seed),
            _ => SectorFate::Torn(100),
        }
    };
    let other: Box<dyn CutPolicy> = match seed % 5 {
        0 => Box::new(KeepAll),
        1 => Box::new(fate(0)),
        2 => Box::new(fate(1)),
        _ => Box::new(Seeded::new(seed)),
    };
    vec![Box::new(KeepNone), other]
}

/// Objects that lead to many blocks, so that marks wait for several checkpoints.
fn scattered_world() -> World {
    let world = random_world(11, 400);
    let (space, mut random) = (world.space, Random::new(4));
    let objects = class_at(space, Builtin::ObjectArray as u32);
    // Five in a block, and a page each: the others were never touched.
    let new = || {
        let new = array::allocate(space, world.allocator, objects, 1_400).unwrap();
        space.end_step();
        new
    };
    let mut made: Vec<ObjectAddress> = (0..BIG).map(|_| new()).collect();
    // A tree whose children lie anywhere: each is named once, so a mark that is lost is lost for good.
    for place in (1..made.len()).rev() {
        made.swap(place, random.index(place + 1));
    }
    world.set_root(9, made[0]);
    for (place, child) in made.iter().enumerate().skip(1) {
        assert!(array::set_reference(space, made[(place - 1) / 20], (place % 20) as u64, *child));
        space.end_step();
    }
    // The grace that was stopped somewhere, and one for what is new.
    world.settle();
    world.settle();
    world
}

#[test]
fn cut_after_every_write_the_mark_ends_with_the_same_verdict() {
    let world = scattered_world();
    let (image, wanted) = prepared(&world);
    drop(world);
    let mut cuts = 0;
    for writes in 1.. {
        let mut ended = false;
        for (place, mut policy) in policies(writes).into_iter().enumerate() {
            let session = u128::from(writes * 10 + place as u64 + 2);
            match cut_run(image.clone(), session, writes, PlantedMark::None, &mut *policy) {
                Ok(left) => {
                    let (same, damaged) =
                        resumed(left, session + 1_000_000, PlantedMark::None, &wanted);
                    assert!(same, "write {writes}, policy {place}");
                    assert!(
                        !damaged,
                        "a cut leaves the region whole: write {writes}, policy {place}"
                    );
                    cuts += 1;
                }
                Err(outcome) => {
                    assert_eq!(outcome, MarkOutcome::Complete);
                    ended = true;
                }
            }
        }
        if ended {
            break;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 200, "{cuts} cuts");
}

#[test]
fn planted_faults_of_the_checkpoint_are_caught() {
    let world = scattered_world();
    let (image, wanted) = prepared(&world);
    drop(world);
    for planted in [PlantedMark::ScannedFirst, PlantedMark::FlushSkipped] {
        let mut caught = false;
        'cuts: for writes in 1.. {
            for (place, mut policy) in policies(writes).into_iter().enumerate() {
                let session = u128::from(writes * 10 + place as u64 + 2);
                let cut = cut_run(image.clone(), session, writes, planted, &mut *policy);
                let Ok(left) = cut else { break 'cuts };
                let (same, damaged) =
                    resumed(left, session + 1_000_000, PlantedMark::None, &wanted);
                if !same || damaged {
                    caught = true;
                    break 'cuts;
                }
            }
        }
        assert!(caught, "{planted:?} is one that the test above catches");
    }
}

/// Takes everything that the root page holds.
fn clear_roots(space: Space) {
    let root = ObjectAddress(revenant_vm::memory::layout::area::ROOT);
    for word in (128..512).step_by(8) {
        space.store(root.plus(word), 0_u64);
    }
    space.end_step();
}

#[test]
fn the_region_of_another_mark_is_not_used() {
    let world = random_world(12, 300);
    let nodes: Vec<_> = (0..50).map(|_| world.new_node()).collect();
    nodes.windows(2).for_each(|pair| world.set_field(pair[0], 0, pair[1]));
    world.set_root(9, nodes[0]);
    world.settle();
    let mut rig = Rig::new(SMALL_DISK, 3);
    let wanted = expected(&world, &trace(world.space));
    let before = rig.commit(&pages(&world));
    // In the next snapshot nothing is reachable from the root page.
    clear_roots(world.space);
    let other = expected(&world, &trace(world.space));
    assert_ne!(wanted, other);
    let root: Vec<_> = pages(&world).into_iter().filter(|(page, _)| page.0 == 0).collect();
    let after = rig.commit(&root);
    rig.pin(Some(after));
    let (mut verdict, _) = rig.mark(MarkBudget::default());
    for (block, words) in &other {
        assert_eq!(rig.marks(&mut verdict, *block), Ok(*words), "block {block:#x}");
    }
    rig.pin(Some(before));
    rig.rest();
    let image = rig.disk.durable();
    assert_eq!(resumed(image.clone(), 50, PlantedMark::None, &wanted), (true, false));
    let (same, _) = resumed(image, 51, PlantedMark::OtherNameUsed, &wanted);
    assert!(!same, "the planted bug is one that the assertion above catches");
}
