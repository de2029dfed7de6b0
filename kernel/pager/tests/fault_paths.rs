//! Each way in which a fault can go, one at a time, over a store in memory that behaves.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::{Epoch, FrameMemory, OBJECT_SPACE_PAGES, PageIndex};
use revenant_pager::{
    FaultOutcome, FrameState, Impossible, PagerOptions, Planted, Prefetch, StepOutcome, WaitReason,
    WiredProgress, WiredRange,
};
use revenant_sim::Random;
use revenant_store::Copies;
use support::memory_store::{MemoryStore, Temper};
use support::{Plan, World};

const PAGE: PageIndex = PageIndex(70);
/// Under the same upper table as `PAGE`, in another table of pages.
const COUSIN: PageIndex = PageIndex(70 + 512);

const TEMPER: Temper = Temper {
    abandon_one_in: 0,
    refuse_discard_one_in: 0,
    fail_early_one_in: 0,
    forget_one_in: 0,
    space: usize::MAX,
    queue: 4096,
};

fn options() -> PagerOptions {
    PagerOptions {
        table_reserve: 3,
        copy_reserve: 2,
        writes_in_flight: 64,
        write_batch: 8,
        free_reserve: 16,
        eviction_batch: 4,
    }
}

fn world_of(frames: u32, temper: Temper) -> World<MemoryStore> {
    let mut random = Random::new(11);
    let plan = Plan { frames, options: options(), pages: Vec::new(), ..Plan::roomy(&mut random) };
    World::new(MemoryStore::new(temper, 5), plan, random)
}

fn world() -> World<MemoryStore> {
    world_of(64, TEMPER)
}

/// Serves faults of an access until it succeeds or waits; says which.
fn outcome(world: &mut World<MemoryStore>, page: PageIndex, write: bool) -> Option<FaultOutcome> {
    let result = world.access(page, write).expect("the checks hold");
    world.check().expect("the checks hold");
    result.err()
}

fn state(world: &World<MemoryStore>, page: PageIndex) -> FrameState {
    let (_, frame) =
        world.pager.resident_pages().find(|(resident, _)| *resident == page).expect("resident");
    world.pager.frame(frame).0
}

#[test]
fn a_new_page_is_zeros_and_becomes_dirty_only_by_a_store() {
    let mut world = world();
    assert_eq!(outcome(&mut world, PAGE, false), None);
    assert_eq!(state(&world, PAGE), FrameState::Clean);
    assert_eq!(outcome(&mut world, PAGE, true), None);
    assert_eq!(state(&world, PAGE), FrameState::Dirty);
    assert_eq!(outcome(&mut world, COUSIN, true), None);
    let statistics = world.pager.statistics();
    assert_eq!((statistics.faults_zero_fill, statistics.faults_make_writable), (2, 1));
    assert_eq!(world.pager.frame_counts().tables, 4);
    let _ = world.step();
    assert_eq!(world.backing.uncharged_pages, 0, "both are dirty and have their room");
    assert_eq!(outcome(&mut world, PageIndex(PAGE.0 + 1), false), None);
    let _ = world.step();
    assert_eq!(world.backing.uncharged_pages, 1);
}

#[test]
fn the_flip_writes_what_is_dirty_and_a_second_flip_nothing() {
    let mut world = world();
    world.store_waiting(PAGE, 3, 9).expect("a store");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    assert_eq!(world.backing.durable_page(PAGE).expect("stored").0[24], 9);
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    assert_eq!(world.pager.statistics().pages_written, 1);
    assert_eq!(world.durable, Epoch(2));
}

#[test]
fn a_store_to_a_frozen_page_copies_and_the_snapshot_keeps_the_old_content() {
    let mut world = world();
    world.store_waiting(PAGE, 0, 1).expect("a store");
    world.store_waiting(COUSIN, 0, 5).expect("a store");
    assert!(world.flip().expect("a flip"));
    world.store_waiting(PAGE, 0, 2).expect("a store");
    assert_eq!(world.pager.statistics().faults_copy, 1);
    assert_eq!(world.pager.frame_counts().split, 1);
    world.settle().expect("a snapshot");
    let counts = world.pager.frame_counts();
    assert_eq!((counts.split, counts.dirty), (0, 1), "the old copy's frame came back (A26)");
    assert_eq!(world.backing.durable_page(PAGE).expect("stored").0[0], 1);
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    assert_eq!(world.backing.durable_page(PAGE).expect("stored").0[0], 2);
}

#[test]
fn an_old_copy_is_written_before_the_rest() {
    let mut world = world_of(64, Temper { queue: 1, ..TEMPER });
    for page in 0..8 {
        world.store_waiting(PageIndex(page), 0, page + 1).expect("a store");
    }
    assert!(world.flip().expect("a flip"));
    world.store_waiting(PageIndex(7), 0, 99).expect("a store");
    let _ = world.step();
    let first = world.pager.resident_pages().filter(|(page, _)| page.0 < 8).count();
    assert_eq!(first, 8);
    let counts = world.pager.frame_counts();
    assert_eq!((counts.writing, counts.frozen), (1, 7), "one is given, and it is the copy");
    assert_eq!(world.pager.statistics().copies_written, 1);
}

#[test]
fn a_page_whose_write_has_completed_is_written_to_in_place() {
    let mut world = world();
    world.store_waiting(PAGE, 0, 1).expect("a store");
    for page in 100..112 {
        world.store_waiting(PageIndex(page), 0, 1).expect("a store");
    }
    assert!(world.flip().expect("a flip"));
    while state(&world, PAGE) != FrameState::Written {
        let _ = world.step();
        world.device_turn().expect("no failure");
        assert!(world.pager.snapshot_in_the_making().is_some(), "twelve others are under way");
    }
    world.store_waiting(PAGE, 0, 2).expect("a store");
    assert_eq!(world.pager.statistics().faults_copy, 0);
    world.settle().expect("a snapshot");
    assert_eq!(world.backing.durable_page(PAGE).expect("stored").0[0], 1);
}

#[test]
fn what_an_abandoned_snapshot_held_is_in_the_next_one() {
    let mut world = world();
    for page in 0..6 {
        world.store_waiting(PageIndex(page), 0, page + 1).expect("a store");
    }
    assert!(world.flip().expect("a flip"));
    let _ = world.step();
    world.store_waiting(PageIndex(2), 0, 70).expect("a store");
    world.backing.doom();
    world.settle().expect("the end of the snapshot");
    assert_eq!((world.durable, world.pager.statistics().abandoned), (Epoch(0), 1));
    assert_eq!((world.pager.frame_counts().dirty, world.pager.frame_counts().split), (6, 0));
    world.store_waiting(PageIndex(3), 0, 80).expect("a store");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    let stored: Vec<u8> = (0..6)
        .map(|page| world.backing.durable_page(PageIndex(page)).expect("stored").0[0])
        .collect();
    assert_eq!((world.durable, stored), (Epoch(2), vec![1, 2, 70, 80, 5, 6]));
}

#[test]
fn nothing_is_resident_after_a_resume_and_pages_come_by_faults() {
    let mut world = world();
    world.store_waiting(PAGE, 0, 7).expect("a store");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    world.cut().expect("a resume");
    let frame = world.wait_for(PAGE, false).expect("a page");
    assert_eq!(world.frames.bytes(frame).0[0], 7);
    assert!(world.pager.statistics().pages_read > 0);
}

/// The loop halts when a step says that there is nothing to do at once: each page-in then took until the next tick of the
/// timer, because the store hands a read to the disk in its own step, which comes before the pager's.
#[test]
fn a_step_that_asks_for_a_page_wants_to_be_followed_by_another() {
    let mut world = world();
    world.store_waiting(PAGE, 0, 7).expect("a store");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    world.cut().expect("a resume");
    world.resume_cold();
    assert_eq!(outcome(&mut world, PAGE, false), Some(FaultOutcome::Wait(WaitReason::PageIn)));
    assert_eq!(world.step(), StepOutcome::Again, "the read has to reach the disk");
    assert_eq!(world.step(), StepOutcome::Waiting, "then the disk's answer is waited for");
}

#[test]
fn pages_that_will_be_needed_come_before_anybody_misses_them() {
    let mut world = world();
    for page in 0..20 {
        world.store_waiting(PageIndex(page), 0, page + 1).expect("a store");
    }
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    world.resume_cold();
    let prefetch = |world: &mut World<MemoryStore>, page| {
        let mut memory = revenant_pager::Memory { mmu: &mut world.mmu, frames: &mut world.frames };
        world.pager.prefetch(PageIndex(page), &mut memory, &mut world.backing)
    };
    assert!(matches!(prefetch(&mut world, 3), Prefetch::Requested(_)));
    assert_eq!(prefetch(&mut world, 3), Prefetch::Pointless, "it is coming");
    assert_eq!(prefetch(&mut world, 500), Prefetch::Pointless, "it was never written");
    for _ in 0..100 {
        world.settle().expect("the page-in"); // one turn of the device, which may do nothing
    }
    world.check().expect("the checks hold");
    assert_eq!(state(&world, PageIndex(3)), FrameState::Clean);
    assert_eq!(prefetch(&mut world, 3), Prefetch::Pointless, "it is there");
    assert_eq!(outcome(&mut world, PageIndex(3), false), None, "nobody waits for it");
    let few = world.plan.frames / 8;
    for page in 20..20 + 64 {
        let _ = outcome(&mut world, PageIndex(page), false);
        if world.pager.frame_counts().free <= few + 5 {
            break;
        }
    }
    assert_eq!(prefetch(&mut world, 4), Prefetch::NoRoom, "the last frames are for faults");
    assert!(matches!(outcome(&mut world, PageIndex(4), false), Some(FaultOutcome::Wait(_))));
}

#[test]
fn an_unreadable_page_is_a_value_and_the_others_go_on() {
    let mut world = world();
    world.backing.damaged.insert(PAGE.0);
    assert_eq!(outcome(&mut world, PAGE, true), Some(FaultOutcome::Wait(WaitReason::PageIn)));
    let text = world.wait_for(PAGE, true).expect_err("unreadable");
    assert!(text.contains("Unreadable"), "{text}");
    let (page, damage) = world.pager.damaged_pages().next().expect("remembered");
    let expected = FaultOutcome::Impossible(Impossible::Unreadable(damage));
    assert_eq!((page, outcome(&mut world, PAGE, false)), (PAGE, Some(expected)));
    world.store_waiting(COUSIN, 0, 1).expect("the neighbour lives");
    world.backing.damaged.clear();
    world.pager.retry_damaged_page(PAGE);
    world.wait_for(PAGE, false).expect("readable again");
}

#[test]
fn an_address_outside_object_space_is_refused() {
    let mut world = world();
    let outside = PageIndex(OBJECT_SPACE_PAGES);
    let mut memory = revenant_pager::Memory { mmu: &mut world.mmu, frames: &mut world.frames };
    assert_eq!(
        world.pager.fault(outside, false, &mut memory, &mut world.backing),
        FaultOutcome::Impossible(Impossible::OutsideObjectSpace)
    );
}

#[test]
fn wired_ranges_come_in_before_anything_runs() {
    let mut random = Random::new(1);
    let range = WiredRange { first: PAGE, count: 5, copies: Copies::Two, resident: true };
    let rank = WiredRange { first: COUSIN, count: 50, copies: Copies::Two, resident: false };
    let plan = Plan {
        wired: vec![rank, range],
        frames: 64,
        options: options(),
        ..Plan::roomy(&mut random)
    };
    let mut store = MemoryStore::new(TEMPER, 1);
    store.damaged.insert(PAGE.0 + 2);
    let mut world = World::new(store, plan, random);
    for _ in 0..1000 {
        let mut memory = revenant_pager::Memory { mmu: &mut world.mmu, frames: &mut world.frames };
        match world.pager.wire(&mut memory, &mut world.backing) {
            WiredProgress::Coming => {}
            WiredProgress::Resident => break,
            WiredProgress::Failed(why) => panic!("{why}"),
        }
        let _ = world.step();
        world.device_turn().expect("no failure");
    }
    let pages: Vec<_> = world.pager.resident_pages().map(|(page, _)| page.0 - PAGE.0).collect();
    assert_eq!(pages, [0, 1, 3, 4]);
    assert_eq!(world.pager.damaged_pages().count(), 1);
}

#[test]
fn a_table_made_after_the_flip_under_a_parent_of_before_lets_nothing_old_through() {
    let run = |planted| {
        let mut world = world();
        world.plant(planted);
        world.store_waiting(PAGE, 0, 1)?;
        assert!(world.flip()?);
        world.store_waiting(COUSIN, 0, 2)?;
        world.check()
    };
    assert_eq!(run(Planted::None), Ok(()));
    assert!(run(Planted::TableRebuiltUnderStaleParent).is_err());
}
