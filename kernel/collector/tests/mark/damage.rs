//! Pages that cannot be read, rot in the region, heaps that hold what no sound heap does: each ends the mark with the word for it.

use crate::exact::TIGHT;
use crate::graphs::{expected, pages, random_world};
use crate::rig::{Driven, Rig};
use crate::tracer::trace;
use revenant_collector::{
    Mark, MarkOutcome, MarkRefusal, PlantedMark, Region, RegionError, Unsound,
};
use revenant_hal::{DiskOperation, ObjectAddress, PageBytes, PageIndex};
use revenant_sim::{Fault, FaultEffect, FaultTarget, Random};
use revenant_store::Planted;
use revenant_vm::memory::AddressExt;
use revenant_vm::memory::layout::{area, object};
use std::collections::BTreeMap;

type Heap = Vec<(PageIndex, PageBytes)>;

/// A machine with a heap whose snapshot is pinned.
fn pinned(heap: &Heap) -> Rig {
    let mut rig = Rig::new(8_192, 9);
    let epoch = rig.commit(heap);
    rig.pin(Some(epoch));
    rig.rest();
    rig
}

fn run(rig: &mut Rig, planted: PlantedMark) -> (MarkOutcome, Option<Mark>) {
    let mut mark = rig.begin(TIGHT, planted);
    match rig.drive(&mut mark) {
        Driven::Ended(outcome) => (outcome, Some(mark)),
        Driven::Cut => panic!("nobody cuts"),
    }
}

fn is_right(rig: &mut Rig, mark: Mark, wanted: &BTreeMap<u32, [u64; 64]>) -> bool {
    let mut verdict = mark.into_verdict(rig.store.superblock()).expect("complete");
    wanted.iter().all(|(block, words)| rig.marks(&mut verdict, *block) == Ok(*words))
}

#[test]
fn a_page_that_cannot_be_read_ends_the_mark_and_is_named() {
    let world = random_world(20, 600);
    let wanted = expected(&world, &trace(world.space));
    let heap = pages(&world);
    let (mut named, mut caught) = (0, false);
    for (page, bytes) in heap.iter().step_by(2) {
        let mut rig = pinned(&heap);
        let Some(block) = rig.block_with(bytes) else { continue };
        let target = FaultTarget::Block(block);
        rig.disk.add_fault(Fault {
            operation: DiskOperation::Read,
            target,
            effect: FaultEffect::Fail,
        });
        match run(&mut rig, PlantedMark::None) {
            (MarkOutcome::Incomplete { page: found, .. }, Some(mark)) => {
                // Pages of the same content are one to whoever looks for the block.
                let same = heap.iter().find(|(page, _)| *page == found).map(|(_, bytes)| bytes);
                assert_eq!(same, Some(bytes), "{page:?}");
                assert!(
                    mark.into_verdict(rig.store.superblock()).is_none(),
                    "nothing follows from it"
                );
                named += 1;
            }
            (MarkOutcome::Complete, Some(mark)) => {
                assert!(is_right(&mut rig, mark, &wanted), "the page has nothing to do with it");
            }
            (other, _) => panic!("{other:?}"),
        }
        let mut rig = pinned(&heap);
        rig.disk.add_fault(Fault {
            operation: DiskOperation::Read,
            target,
            effect: FaultEffect::Fail,
        });
        if let (MarkOutcome::Complete, Some(mark)) = run(&mut rig, PlantedMark::ReadErrorIsEmpty) {
            caught |= !is_right(&mut rig, mark, &wanted);
        }
    }
    assert!(named > 10, "{named} pages were needed");
    assert!(caught, "the planted bug is one that the assertions above catch");
}

#[test]
fn rot_and_lost_writes_in_the_region_are_noticed() {
    let world = random_world(22, 400);
    let wanted = expected(&world, &trace(world.space));
    let heap = pages(&world);
    let mut rig = pinned(&heap);
    let (_, statistics) = rig.mark(TIGHT);
    let region = Region::new(rig.store.superblock().layout);
    let mut caught = false;
    for page in 0..u32::try_from(statistics.bitmap_pages).unwrap() {
        for planted in [PlantedMark::None, PlantedMark::ChecksumSkipped] {
            let mut rig = Rig::on(rig.disk.visible(), 70 + u128::from(page));
            rig.rest();
            rig.disk.damage(region.bitmap(page), |bytes| bytes[64 + 40] ^= 0xFF);
            let outcome = run(&mut rig, planted);
            match outcome {
                (MarkOutcome::Failed(RegionError::Damaged), _) => {}
                (MarkOutcome::Complete, Some(mark)) if planted != PlantedMark::None => {
                    caught |= !is_right(&mut rig, mark, &wanted);
                }
                (other, _) => panic!("{other:?}"),
            }
        }
    }
    assert!(caught, "the planted bug is one that the assertions above catch");
    // A write that the device has said it made: what stands there is whole, and too old.
    let mut noticed = 0;
    for page in 0..u32::try_from(statistics.bitmap_pages).unwrap() {
        let mut rig = pinned(&heap);
        let mut mark = rig.begin(TIGHT, PlantedMark::None);
        // The blank pages are written together, then pages alone: from then on this one is lost.
        let mut lost = false;
        loop {
            let outcome = mark.step(&mut rig.store, &mut rig.disk, &rig.frames);
            if mark.statistics().checkpoints == 1 && !lost {
                let target = FaultTarget::Block(region.bitmap(page));
                let effect = FaultEffect::Lose;
                rig.disk.add_fault(Fault { operation: DiskOperation::Write, target, effect });
                lost = true;
            }
            match outcome {
                MarkOutcome::Again => {}
                MarkOutcome::Waiting => rig.wait(&mut mark),
                _ => break,
            }
        }
        let mut rig = Rig::on(rig.disk.visible(), 90 + u128::from(page));
        rig.rest();
        match run(&mut rig, PlantedMark::None) {
            (MarkOutcome::Failed(RegionError::Damaged), _) => noticed += 1,
            (MarkOutcome::Complete, Some(mark)) => assert!(is_right(&mut rig, mark, &wanted)),
            (other, _) => panic!("{other:?}"),
        }
    }
    assert!(noticed > 0, "some pages were written after the blank ones");
}

#[test]
fn a_pin_forgotten_at_a_reboot_is_no_mark() {
    let world = random_world(23, 50);
    for planted in [Planted::None, Planted::PinForgotten] {
        let mut rig = Rig::new(8_192, 9);
        let epoch = rig.commit(&pages(&world));
        rig.store.plant(planted);
        rig.pin(Some(epoch));
        let mut rig = Rig::on(rig.disk.durable(), 5);
        rig.rest();
        let kept = Mark::new(rig.store.superblock(), TIGHT, Vec::new()).err();
        let wanted =
            if planted == Planted::None { MarkRefusal::Budget } else { MarkRefusal::NotPinned };
        assert_eq!(kept, Some(wanted), "{planted:?}");
    }
}

/// A word of the heap, what it holds instead, and what is said of that.
type Case = (ObjectAddress, u64, fn(u64) -> Unsound);

#[test]
fn an_unsound_heap_is_reported_and_never_believed() {
    let world = random_world(24, 100);
    let space = world.space;
    let node = world.new_node();
    world.set_root(9, node);
    let slot = node.plus(object::PAYLOAD);
    let cases: [Case; 4] = [
        (slot, node.0 + 16, |address| Unsound::NoObject { address: address + 16 }),
        (slot, 7, |_| Unsound::NoObject { address: 7 }),
        (node, 77_777, |address| Unsound::Class { address, index: 77_777 }),
        (node, 11 | 5_000 << 32, |address| Unsound::Length { address, slots: 5_000 }),
    ];
    for (word, value, report) in cases {
        let before = space.load::<u64>(word);
        space.store(word, value);
        space.end_step();
        let (outcome, _) = run(&mut pinned(&pages(&world)), PlantedMark::None);
        assert_eq!(outcome, MarkOutcome::Unsound(report(node.0)));
        space.store(word, before);
        space.end_step();
    }
    // A cell of the right place in which nothing starts.
    let cells = area::HEAP.max(node.0 + 48 * 40);
    world.set_field(node, 1, ObjectAddress(0));
    space.store(node.plus(object::PAYLOAD + 8), cells);
    let (outcome, _) = run(&mut pinned(&pages(&world)), PlantedMark::None);
    assert!(matches!(outcome, MarkOutcome::Unsound(_)), "{outcome:?}");
}

#[test]
fn random_words_anywhere_end_the_mark_and_nothing_else() {
    let world = random_world(25, 150);
    let heap = pages(&world);
    let (mut complete, mut unsound) = (0, 0);
    for seed in 0..120 {
        let mut random = Random::new(seed);
        let mut damaged = heap.clone();
        for _ in 0..1 + random.index(8) {
            let place = random.index(damaged.len());
            let at = random.index(512) * 8;
            let word = match random.index(4) {
                0 => random.next_u64() >> random.index(64),
                1 => area::HEAP + (random.next_u64() & 0xF_FFFF),
                2 => u64::MAX,
                _ => area::ROOT + random.next_u64() % (1 << 44),
            };
            damaged[place].1.0[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        match run(&mut pinned(&damaged), PlantedMark::None).0 {
            MarkOutcome::Complete => complete += 1,
            MarkOutcome::Unsound(_) => unsound += 1,
            MarkOutcome::Refused(MarkRefusal::TooManyBlocks) => {}
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    println!("{complete} complete, {unsound} unsound");
    assert!(complete > 0 && unsound > 10);
}
