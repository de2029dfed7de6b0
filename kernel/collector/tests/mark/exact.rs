//! The marked set is the tracer's, exactly.

use crate::graphs::{expected, pages, random_world};
use crate::heaps::local;
use crate::rig::{Driven, Rig};
use crate::tracer::trace;
use revenant_collector::{MarkBudget, MarkRefusal, PlantedMark};
use revenant_sim::KeepNone;

const SEEDS: u64 = 40;

/// The smallest budget that a mark accepts.
pub(crate) const TIGHT: MarkBudget = MarkBudget::new(300 * 1024);

#[test]
fn what_is_marked_is_what_can_be_reached() {
    let (mut garbage, mut weak) = (0, 0);
    for seed in 0..SEEDS {
        let world = random_world(seed, if seed % 8 == 0 { 6_000 } else { 300 });
        let reached = trace(world.space);
        let wanted = expected(&world, &reached);
        let mut rig = Rig::new(32_768, seed + 1);
        let epoch = rig.commit(&pages(&world));
        rig.pin(Some(epoch));
        let budget = if seed % 2 == 0 { TIGHT } else { MarkBudget::default() };
        let (mut verdict, _) = rig.mark(budget);
        for (block, words) in &wanted {
            assert_eq!(
                rig.marks(&mut verdict, *block),
                Ok(*words),
                "seed {seed}, block {block:#x}"
            );
        }
        garbage += world.audit().object_count() - reached.len() as u64;
        weak += reached.values().filter(|weak| **weak).count();
    }
    println!("{garbage} objects were garbage, {weak} reached by weak references only");
    assert!(garbage > 1_000 && weak > 10, "the graphs have what this is about: {garbage}, {weak}");
}

/// Most of what a mark comes back for was foreseen here: in the region if all was known, else in memory, which a cut takes away.
#[test]
fn what_was_foreseen_is_marked_exactly() {
    let world = local(60_000);
    let wanted = expected(&world, &trace(world.space));
    let mut rig = Rig::new(32_768, 9);
    let epoch = rig.commit(&pages(&world));
    rig.pin(Some(epoch));
    let mut cuts = 0;
    for writes in [u64::MAX, 100, 200, 300] {
        let mut mark = rig.begin(TIGHT, PlantedMark::None).anew();
        rig.cut_after = Some(rig.disk.operation_counts()[1].saturating_add(writes));
        if matches!(rig.drive(&mut mark), Driven::Cut) {
            cuts += 1;
            let image = rig.cut(&mut KeepNone);
            rig = Rig::on(image, 100 + u128::from(writes));
        }
        rig.cut_after = None;
        // Goes on, or finds it complete.
        let (mut verdict, _) = rig.mark(TIGHT);
        for (block, words) in &wanted {
            let marks = rig.marks(&mut verdict, *block);
            assert_eq!(marks, Ok(*words), "cut after {writes} writes, block {block:#x}");
        }
    }
    assert_eq!(cuts, 3);
}

#[test]
fn an_old_snapshot_is_marked_while_the_heap_goes_on() {
    let world = random_world(5, 500);
    let wanted = expected(&world, &trace(world.space));
    let mut rig = Rig::new(32_768, 1);
    let epoch = rig.commit(&pages(&world));
    rig.pin(Some(epoch));
    // Retention keeps two; these overwrite what the mark reads, in the live state.
    let zeroed: Vec<_> = pages(&world).into_iter().take(200).collect();
    for round in 0..5 {
        let changed = zeroed.iter().map(|(page, bytes)| {
            let mut bytes = bytes.clone();
            bytes.0[100] ^= 0xA0 + round;
            (*page, bytes)
        });
        rig.commit(&changed.collect::<Vec<_>>());
    }
    assert!(rig.store.snapshots().entries().len() >= 3, "three and more live side by side");
    let (mut verdict, _) = rig.mark(MarkBudget::default());
    for (block, words) in &wanted {
        assert_eq!(rig.marks(&mut verdict, *block), Ok(*words));
    }
}

#[test]
fn what_is_not_pinned_is_not_marked() {
    let world = random_world(6, 50);
    let mut rig = Rig::new(16_384, 1);
    let epoch = rig.commit(&pages(&world));
    let refused = revenant_collector::Mark::new(rig.store.superblock(), TIGHT, Vec::new());
    assert_eq!(refused.err(), Some(MarkRefusal::NotPinned));
    rig.pin(Some(epoch));
    let refused = revenant_collector::Mark::new(rig.store.superblock(), TIGHT, Vec::new());
    assert_eq!(refused.err(), Some(MarkRefusal::Budget));
}
