//! Mark and sweep together: what can be reached stays, and after two collections nothing else is there.

use crate::exact::TIGHT;
use crate::graphs::{pages, random_world};
use crate::rig::Rig;
use crate::tracer::trace;
use crate::world::World;
use revenant_collector::{Mark, MarkOutcome, MarkRefusal, PlantedMark};
use revenant_vm::sweep::{Outcome, Sweep};

/// The grace that was stopped somewhere, and one for what is new.
fn rest(world: &World) {
    world.settle();
    world.settle();
}

/// Marks the heap as it is and sweeps it; how many objects were freed.
fn collect(world: &World, seed: u64) -> usize {
    let mut rig = Rig::new(32_768, seed + 1);
    let epoch = rig.commit(&pages(world));
    rig.pin(Some(epoch));
    let (mut verdict, _) = rig.mark(TIGHT);
    let (running, mut freed) = (Sweep::new(), 0);
    loop {
        let slice = running.slice(world.space, &verdict);
        freed += slice.freed().len();
        match slice.outcome {
            Outcome::More => {}
            Outcome::NotYet(block) => {
                rig.marks(&mut verdict, block).unwrap();
            }
            Outcome::Done => return freed,
            other => panic!("seed {seed}: {other:?}"),
        }
    }
}

#[test]
fn two_collections_leave_what_can_be_reached_and_nothing_else() {
    let mut freed = 0;
    for seed in 100..130 {
        let world = random_world(seed, 300);
        // Half of the heaps are collected while a grace stands somewhere: what it has before it is kept once more.
        let rested = seed % 2 == 0;
        if rested {
            rest(&world);
        }
        let before = trace(world.space);
        for round in 0..if rested { 2 } else { 3 } {
            freed += collect(&world, seed + 1_000 * round);
            let after = trace(world.space);
            for (address, weak) in &before {
                let there = *weak || after.contains_key(address) || round > 0;
                assert!(there, "seed {seed}: {address:#x} is gone");
            }
            rest(&world);
        }
        let left = world.audit().object_count();
        assert_eq!(left, trace(world.space).len() as u64, "seed {seed}");
    }
    println!("{freed} objects freed");
    assert!(freed > 500);
}

#[test]
fn a_snapshot_with_a_sweep_under_way_is_not_marked() {
    let world = random_world(131, 300);
    world.settle();
    let mut rig = Rig::new(32_768, 1);
    let epoch = rig.commit(&pages(&world));
    rig.pin(Some(epoch));
    let (verdict, _) = rig.mark(TIGHT);
    let _ = Sweep::new().slice(world.space, &verdict);
    let mut rig = Rig::new(32_768, 2);
    let epoch = rig.commit(&pages(&world));
    rig.pin(Some(epoch));
    let mut mark: Mark = rig.begin(TIGHT, PlantedMark::None);
    let ended = rig.drive(&mut mark);
    let refused = MarkOutcome::Refused(MarkRefusal::SweepUnderWay);
    assert!(matches!(ended, crate::rig::Driven::Ended(outcome) if outcome == refused), "{ended:?}");
}
