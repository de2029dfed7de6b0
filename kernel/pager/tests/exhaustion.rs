//! Frames, disk space and queues at their minimum: programs wait and go on, old copies give their frames back, and only when
//! no page may ever go is there an error.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::PageIndex;
use revenant_pager::{FaultOutcome, Impossible, PagerOptions, WaitReason, WiredRange};
use revenant_sim::Random;
use revenant_store::Copies;
use support::memory_store::{MemoryStore, Temper};
use support::{Plan, World};

/// The least that the options allow.
const LEAST: PagerOptions = PagerOptions {
    table_reserve: 3,
    copy_reserve: 0,
    writes_in_flight: 1,
    write_batch: 1,
    free_reserve: 0,
    eviction_batch: 1,
};

fn world(seed: u64, frames: u32, pages: u64, temper: Temper) -> World<MemoryStore> {
    let random = Random::new(seed);
    let plan = Plan {
        frames,
        tlb: 4,
        programs: 3,
        pages: (0..pages).map(PageIndex).collect(),
        options: LEAST,
        wired: Vec::new(),
        reads_ahead: true,
        cleans: true,
        flip_one_in: 40,
        discard_one_in: 40,
        cut_one_in: 700,
    };
    World::new(MemoryStore::new(temper, seed), plan, random)
}

#[test]
fn programs_go_on_when_every_reserve_is_at_its_minimum() {
    // Three tables, the reserve of three, and room for the pages themselves and no copy but out of the reserve's rest.
    for spare in 0..4 {
        for seed in 0..6 {
            let temper = Temper { queue: 1, ..Temper::default() };
            let mut world = world(seed, 3 + 3 + 20 + spare, 20, temper);
            let mut most = 0; // a cut may come at any moment, and the count begins again
            for _ in 0..10 {
                world.run(300).unwrap_or_else(|text| panic!("seed {seed} spare {spare}: {text}"));
                most = most.max(world.retired());
            }
            assert!(world.cuts > 0 || seed != 0);
            assert!(most > 0, "seed {seed} spare {spare}: nobody came through");
        }
    }
}

#[test]
fn a_store_to_a_frozen_page_without_a_frame_waits_for_that_page_alone() {
    let temper = Temper { abandon_one_in: 0, forget_one_in: 0, queue: 1, ..Temper::default() };
    let mut world = world(1, 3 + 3 + 10, 10, temper);
    for page in 0..10 {
        world.store_waiting(PageIndex(page), 0, page + 1).expect("a store");
    }
    assert_eq!(world.pager.frame_counts().free, 3);
    assert!(world.flip().expect("a flip"));
    let waits = world.access(PageIndex(9), true).expect("the checks hold");
    assert_eq!(waits, Err(FaultOutcome::Wait(WaitReason::PageWrite)));
    let _ = world.step();
    world.store_waiting(PageIndex(9), 0, 77).expect("a store");
    let counts = world.pager.frame_counts();
    assert!(counts.frozen >= 7, "the page overtook the others: {counts:?}");
    assert_eq!(world.pager.statistics().faults_copy, 0);
    world.settle().expect("a snapshot");
    assert_eq!(world.backing.durable_page(PageIndex(9)).expect("stored").0[0], 10);
}

#[test]
fn a_new_page_waits_while_old_copies_are_written_and_while_pages_can_go() {
    let temper = Temper { abandon_one_in: 0, forget_one_in: 0, ..Temper::default() };
    let mut world = world(1, 3 + 3 + 12, 10, temper);
    for page in 0..10 {
        world.store_waiting(PageIndex(page), 0, page + 1).expect("a store");
    }
    assert!(world.flip().expect("a flip"));
    for page in 0..2 {
        world.store_waiting(PageIndex(page), 0, 50 + page).expect("a store");
    }
    let waits = world.access(PageIndex(20), true).expect("the checks hold");
    assert_eq!(waits, Err(FaultOutcome::Wait(WaitReason::Frame)));
    world.wait_for(PageIndex(20), true).expect("a frame came back");
    world.wait_for(PageIndex(21), true).expect("and another");
    world.settle().expect("a snapshot");
    let waits = world.access(PageIndex(22), true).expect("the checks hold");
    assert_eq!(waits, Err(FaultOutcome::Wait(WaitReason::Frame)));
    world.wait_for(PageIndex(22), true).expect("another page went");
    world.store_waiting(PageIndex(3), 0, 4).expect("and comes back");
    assert!(world.pager.statistics().pages_evicted > 0);
}

#[test]
fn without_a_page_that_may_ever_go_there_is_an_error() {
    let wired = WiredRange { first: PageIndex(0), count: 12, copies: Copies::Two, resident: true };
    let plan = Plan { frames: 3 + 3 + 12, options: LEAST, wired: vec![wired], ..Plan::bare() };
    let mut world = World::new(MemoryStore::new(Temper::default(), 1), plan, Random::new(1));
    for page in 0..12 {
        world.wait_for(PageIndex(page), true).expect("a wired page");
    }
    let refused = world.access(PageIndex(22), true).expect("the checks hold");
    assert_eq!(refused, Err(FaultOutcome::Impossible(Impossible::OutOfFrames)));
}

#[test]
fn a_store_without_disk_space_waits_and_changes_nothing_until_a_commit_made_room() {
    let temper = Temper { abandon_one_in: 0, forget_one_in: 0, space: 4, ..Temper::default() };
    let mut world = world(1, 64, 10, temper);
    for page in 0..4 {
        world.store_waiting(PageIndex(page), 0, 1).expect("a store");
    }
    let before = world.pager.frame_counts();
    for page in [4, 5] {
        let waits = world.access(PageIndex(page), true).expect("the checks hold");
        assert_eq!(waits, Err(FaultOutcome::Wait(WaitReason::Space)));
    }
    assert_eq!(world.pager.frame_counts(), before, "a fault that waits has changed nothing");
    assert!(world.access(PageIndex(4), false).expect("the checks hold").is_ok(), "loads go on");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    world.store_waiting(PageIndex(5), 0, 1).expect("there is room again");
}

#[test]
fn programs_go_on_with_hardly_any_disk_space() {
    for seed in 0..8 {
        let temper = Temper { space: 6, ..Temper::default() };
        let mut world = world(seed, 64, 20, temper);
        let mut most = 0; // a cut may come at any moment, and the count begins again
        for _ in 0..10 {
            world.run(300).unwrap_or_else(|text| panic!("seed {seed}: {text}"));
            most = most.max(world.retired());
        }
        assert!(most > 0, "seed {seed}: nobody came through");
    }
}

#[test]
fn more_page_ins_than_there_is_room_for_wait_and_all_come() {
    let temper = Temper { abandon_one_in: 0, forget_one_in: 1, ..Temper::default() };
    let mut world = world(1, 1100, 700, temper);
    let mut refused = 0;
    for page in 0..700 {
        match world.access(PageIndex(page), false).expect("the checks hold") {
            Err(FaultOutcome::Wait(WaitReason::PageIn)) => {}
            Err(FaultOutcome::Wait(WaitReason::Room)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 700 - 384);
    for page in 0..700 {
        world.wait_for(PageIndex(page), false).expect("a page");
    }
}
