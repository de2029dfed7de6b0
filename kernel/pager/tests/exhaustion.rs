//! Frames, disk space and queues at their minimum: programs wait and go on, old copies give their frames back, and only when
//! no page may ever go is there an error.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use core::panic::AssertUnwindSafe;
use revenant_hal::PageIndex;
use revenant_pager::{FaultOutcome, Impossible, PagerOptions, Planted, WaitReason, WiredRange};
use revenant_sim::Random;
use revenant_store::Copies;
use std::panic::catch_unwind;
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
        settles: true,
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
    world.pager.set_cleaning(false);
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

/// Memory full of pages that were stored to, and not one frame free, the reserves included: what a stop before a flip may leave.
/// Calm: nothing is given up.
fn without_a_free_frame(cleans: bool) -> World<MemoryStore> {
    let temper = Temper { abandon_one_in: 0, forget_one_in: 0, ..Temper::default() };
    let mut world = world(1, 3 + 3 + 20, 20, temper);
    world.pager.set_cleaning(cleans);
    for page in 0..20 {
        world.store_waiting(PageIndex(page), 0, page + 1).expect("a store");
    }
    world.pager.set_stopping(true);
    for page in 20..23 {
        world.store_waiting(PageIndex(page), 0, page + 1).expect("a store of the stop");
    }
    world.pager.set_stopping(false);
    assert_eq!(world.pager.frame_counts().free, 0);
    world
}

/// Steps until there are free frames; on the way none may be taken.
fn wait_for_frames(world: &mut World<MemoryStore>) {
    for _ in 0..10_000 {
        let _ = world.step();
        world.device_turn().expect("the rules hold");
        world.check().expect("the rules hold");
        if world.pager.frame_counts().free > 0 {
            return;
        }
    }
    panic!("no frame ever comes back: {:?}", world.pager.frame_counts());
}

/// Every page that [`without_a_free_frame`] has stored to is on the disk as it was stored.
fn compare_durable(world: &World<MemoryStore>) {
    for page in 0..23 {
        let stored = world.backing.durable_page(PageIndex(page)).expect("stored");
        assert_eq!(stored.0[0], u8::try_from(page + 1).expect("small"));
    }
}

#[test]
fn a_flip_and_its_commit_take_no_frame() {
    let mut world = without_a_free_frame(false);
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    compare_durable(&world);
    wait_for_frames(&mut world);
}

#[test]
fn the_cleaner_takes_no_frame_and_gives_some_without_a_flip() {
    let mut world = without_a_free_frame(true);
    wait_for_frames(&mut world);
    let statistics = world.pager.statistics();
    assert!(statistics.pages_cleaned > 0 && statistics.flips == 0, "{statistics:?}");
    for page in 0..23 {
        world.wait_for(PageIndex(page), false).expect("a page that was written comes back");
    }
}

#[test]
fn faults_wait_without_a_frame_and_are_served_when_the_writer_gives_one() {
    let mut world = without_a_free_frame(false);
    assert!(world.flip().expect("a flip"));
    for (page, reason) in [(5, WaitReason::PageWrite), (500, WaitReason::Frame)] {
        let waits = world.access(PageIndex(page), true).expect("the checks hold");
        assert_eq!(waits, Err(FaultOutcome::Wait(reason)), "page {page}");
    }
    assert_eq!(world.pager.frame_counts().free, 0, "who waits has taken nothing");
    world.store_waiting(PageIndex(5), 0, 99).expect("a store to a frozen page");
    world.store_waiting(PageIndex(500), 0, 98).expect("a store to a new page");
    world.settle().expect("a snapshot");
    let stored = world.backing.durable_page(PageIndex(5)).expect("stored");
    assert_eq!(stored.0[0], 6, "the snapshot has what was there at the flip");
}

#[test]
fn a_snapshot_given_up_takes_no_frame_and_the_next_one_has_everything() {
    let mut world = without_a_free_frame(false);
    world.backing.temper.abandon_one_in = 1;
    assert!(world.flip().expect("a flip"));
    world.settle().expect("nothing in the making");
    let statistics = world.pager.statistics();
    assert_eq!((statistics.abandoned, statistics.commits), (1, 0));
    assert_eq!(world.pager.frame_counts().free, 0, "all is dirty again");
    world.backing.temper.abandon_one_in = 0;
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    compare_durable(&world);
    wait_for_frames(&mut world);
}

#[test]
fn a_resume_brings_back_in_the_same_frames_what_had_filled_all_of_them() {
    let mut world = without_a_free_frame(false);
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    world.cut().expect("a resume");
    for page in (0..23).rev() {
        world.wait_for(PageIndex(page), false).expect("a page");
        world.store_waiting(PageIndex(page), 8, 7).expect("a store");
        world.check().expect("the rules hold");
    }
    world.settle().expect("the last snapshot but one");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
}

#[test]
fn the_last_frame_is_counted_and_who_counts_one_too_many_is_caught() {
    let mut world = without_a_free_frame(false);
    world.pager.set_stopping(true);
    let waits = world.access(PageIndex(30), true).expect("the checks hold");
    assert_eq!(waits, Err(FaultOutcome::Wait(WaitReason::Frame)));
    world.plant(Planted::ReserveOffByOne);
    let taken = catch_unwind(AssertUnwindSafe(|| world.access(PageIndex(30), true)));
    assert!(taken.is_err(), "a frame was had where there is none: {taken:?}");
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
