//! The cleaner: memory full of pages that were stored to gives frames without a flip; what is being written is left alone; nothing is
//! written while memory suffices; who stores faster than the disk takes it waits, and nobody else does.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::PageIndex;
use revenant_pager::{FrameState, PagerOptions};
use revenant_sim::Random;
use support::memory_store::{MemoryStore, Temper};
use support::real_store::{RealStore, Troubles};
use support::{Backing, Plan, World};

const OPTIONS: PagerOptions = PagerOptions {
    table_reserve: 3,
    copy_reserve: 4,
    writes_in_flight: 16,
    write_batch: 8,
    free_reserve: 8,
    eviction_batch: 8,
};

const PATIENT: Temper = Temper {
    abandon_one_in: 0,
    refuse_discard_one_in: 0,
    fail_early_one_in: 0,
    forget_one_in: 0,
    space: usize::MAX,
    queue: 32,
};

fn plan(cleans: bool) -> Plan {
    Plan { frames: 64, tlb: 16, options: OPTIONS, cleans, ..Plan::bare() }
}

fn world(cleans: bool, temper: Temper) -> World<MemoryStore> {
    World::new(MemoryStore::new(temper, 7), plan(cleans), Random::new(7))
}

/// Stores to pages one after the other; flips that the pager asked for.
fn store_to<B: Backing>(world: &mut World<B>, pages: core::ops::Range<u64>) -> u64 {
    let before = world.pager.statistics().flips;
    for page in pages {
        world.store_waiting(PageIndex(page), 3, page + 1).expect("it comes");
        world.check().expect("tables and devices obey their rules");
    }
    world.pager.statistics().flips - before
}

/// Every page, as programs see it.
fn compare<B: Backing>(world: &mut World<B>, pages: core::ops::Range<u64>) {
    for page in pages {
        let frame = world.wait_for(PageIndex(page), false).expect("it comes");
        let bytes = revenant_hal::FrameMemory::bytes(&world.frames, frame);
        assert_eq!(bytes, &*world.model[&page], "page {page}");
    }
}

#[test]
fn memory_full_of_modified_pages_gives_frames_without_a_flip() {
    let flips = store_to(&mut world(false, PATIENT), 0..400);
    assert!(flips > 3, "{flips} flips without the cleaner");
    let mut world = world(true, PATIENT);
    assert_eq!(store_to(&mut world, 0..400), 0);
    let statistics = world.pager.statistics();
    assert!((340..=400).contains(&statistics.pages_cleaned), "{statistics:?}");
    compare(&mut world, 0..400);
    assert_eq!(world.pager.statistics().flips, 0);
    world.flip().expect("a flip");
    world.settle().expect("it becomes durable");
    world.cut().expect("everything is there");
}

/// The stall that is no more: who stores to more than all of memory while a snapshot is being written, and its writes do not end, goes on.
#[test]
fn who_stores_to_all_of_memory_while_a_slow_snapshot_is_written_goes_on() {
    for cleans in [false, true] {
        let mut world = world(cleans, PATIENT);
        store_to(&mut world, 0..30);
        world.flip().expect("a flip");
        world.backing.held = true;
        let before = world.pager.statistics();
        let stored = (30..230).take_while(|page| {
            let stored = world.store_waiting(PageIndex(*page), 3, page + 1).is_ok();
            world.check().expect("tables and devices obey their rules");
            stored
        });
        let stored = stored.count();
        assert!(world.pager.snapshot_in_the_making().is_some(), "it is not durable yet");
        let meanwhile = world.pager.statistics().pages_cleaned_meanwhile;
        if !cleans {
            assert!(stored < 34 && meanwhile == 0, "{stored} stored without the cleaner");
            continue;
        }
        assert_eq!(stored, 200, "it waits for no snapshot");
        assert!(meanwhile > 150, "{:?}", world.pager.statistics());
        compare(&mut world, 30..230);
        assert_eq!(world.pager.statistics().flips, before.flips);
        world.backing.held = false;
        world.settle().expect("it becomes durable");
        let durable = world.backing.durable_pages();
        assert!(durable.keys().all(|page| *page < 30) && durable.len() == 30, "and has none of it");
        compare(&mut world, 0..230);
        world.flip().expect("a flip");
        world.settle().expect("it becomes durable");
        world.cut().expect("everything is there");
    }
}

/// The same over the real store: what was evicted before the flip is read back, in this session and in the next.
#[test]
fn pages_that_went_before_the_flip_come_back_from_the_real_store() {
    for seed in 0..6 {
        let store = RealStore::new(8192, Troubles::default(), seed);
        let mut world = World::new(store, plan(true), Random::new(seed));
        for round in 0..4u64 {
            store_to(&mut world, round * 50..round * 50 + 150);
            compare(&mut world, round * 50..round * 50 + 150);
            world.flip().expect("a flip");
            store_to(&mut world, round * 50..round * 50 + 20);
            world.settle().expect("it becomes durable");
        }
        assert!(world.pager.statistics().pages_cleaned > 200, "seed {seed}");
        world.cut().expect("the last snapshot is whole");
    }
}

#[test]
fn nothing_is_written_before_a_flip_while_memory_suffices() {
    let mut world = world(true, PATIENT);
    store_to(&mut world, 0..30);
    for _ in 0..200 {
        let _ = world.step();
        world.device_turn().expect("nothing fails");
    }
    assert_eq!(world.pager.statistics().pages_cleaned, 0);
}

/// Stores until a page is being written before its flip, and returns it.
fn page_being_cleaned(world: &mut World<MemoryStore>) -> PageIndex {
    for page in 0..200 {
        world.store_waiting(PageIndex(page), 3, page + 1).expect("it comes");
        for _ in 0..3 {
            let _ = world.step();
            let cleaning = world.pager.resident_pages().find(|(_, frame)| {
                let (state, ..) = world.pager.frame(*frame);
                state == FrameState::Cleaning
            });
            if let Some((page, _)) = cleaning {
                return page;
            }
        }
    }
    panic!("the cleaner never began")
}

#[test]
fn a_store_to_a_page_that_is_being_written_leaves_what_is_written_alone() {
    let mut world = world(true, PATIENT);
    let page = page_being_cleaned(&mut world);
    let copies = world.pager.statistics().faults_copy;
    world.store_if_possible(page, 999).expect("a copy, or a wait");
    world.check().expect("the device reads what nobody stores to");
    world.store_waiting(page, 5, 1000).expect("it comes");
    assert!(world.pager.statistics().faults_copy <= copies + 1);
    for _ in 0..50 {
        let _ = world.step();
        world.device_turn().expect("nothing fails");
        world.check().expect("nothing is amiss");
    }
    world.flip().expect("a flip");
    world.settle().expect("it becomes durable");
    world.cut().expect("the later content is in the snapshot");
    assert_eq!(world.model[&page.0].0[40..48], 1000u64.to_le_bytes());
}

#[test]
fn a_flip_while_pages_are_on_their_way_takes_them_along() {
    for discard in [false, true] {
        let mut world = world(true, PATIENT);
        let page = page_being_cleaned(&mut world);
        world.flip().expect("a flip");
        if discard {
            assert_eq!(world.discard(page..PageIndex(page.0 + 1)), 1);
        } else {
            world.store_waiting(page, 7, 77).expect("a copy of its own");
        }
        world.settle().expect("it becomes durable");
        world.cut().expect("the snapshot is as the flip was");
        assert!(world.model.contains_key(&page.0));
    }
}

#[test]
fn a_write_that_fails_leaves_the_page_dirty_and_the_cleaner_waits_for_a_snapshot() {
    let mut world = world(true, Temper { fail_early_one_in: 1, ..PATIENT });
    let flips = store_to(&mut world, 0..300);
    let statistics = world.pager.statistics();
    assert!(flips > 2 && statistics.pages_not_cleaned > 0, "{flips} flips, {statistics:?}");
    assert!(statistics.pages_not_cleaned <= 16 * (flips + 1), "it does not try for ever");
    compare(&mut world, 0..300);
}

/// The disk takes a page now and then; one program stores to ever new pages, another to the same few.
#[test]
fn who_stores_faster_than_the_disk_waits_and_others_do_not() {
    let mut world = world(true, PATIENT);
    let (mut waits, mut others_wait, mut stored) = (0, 0, 0u64);
    let mut next = 100;
    for turn in 0..6000u64 {
        match world.access(PageIndex(next), true).expect("no fault for ever") {
            Ok(_) => {
                world.store_if_possible(PageIndex(next), turn).expect("writable");
                next += 1;
                stored += 1;
            }
            Err(_) => waits += 1,
        }
        let mine = PageIndex(turn % 6);
        match world.access(mine, true).expect("no fault for ever") {
            Ok(_) => world.store_if_possible(mine, turn).expect("writable"),
            Err(_) => others_wait += 1,
        }
        let _ = world.step();
        if turn.is_multiple_of(3) {
            world.device_turn().expect("nothing fails");
        }
    }
    println!("{stored} stored, {waits} waits, {others_wait} of the other");
    assert!(waits > 1000 && stored > 300, "{stored} stored, {waits} waits");
    assert!(others_wait * 100 < 6000, "the other waited {others_wait} times of 6000");
    assert_eq!(world.pager.statistics().flips, 0);
}

/// A world with memory to spare that writes settled pages, after stores to pages 0..64.
fn settling_world(settles: bool) -> World<RealStore> {
    let store = RealStore::new(8192, Troubles::default(), 3);
    let plan = Plan { frames: 256, ..plan(true) };
    let mut world = World::new(store, plan, Random::new(3));
    store_to(&mut world, 0..64);
    world.plan.settles = settles;
    world.pager.set_settling(settles);
    world
}

fn rest<B: Backing>(world: &mut World<B>) {
    for _ in 0..60 {
        let _ = world.step();
        world.device_turn().expect("nothing fails");
        world.check().expect("tables and devices obey their rules");
    }
}

#[test]
fn settled_pages_are_written_before_the_flip_and_those_in_use_are_not() {
    for settles in [false, true] {
        let mut world = settling_world(settles);
        for turn in 0..60 {
            for page in 0..20 {
                world.store_waiting(PageIndex(page), 3, turn).expect("it comes");
            }
            let _ = world.step();
            world.device_turn().expect("nothing fails");
            world.check().expect("tables and devices obey their rules");
        }
        let statistics = world.pager.statistics();
        let expected = if settles { 44 } else { 0 };
        // The simulated processor loses an accessed bit now and then: a page in use looks settled, and is written in vain.
        let (settled, in_vain) = (statistics.pages_settled, statistics.pages_settled_in_vain);
        assert_eq!(settled - in_vain, expected, "{in_vain} in vain");
        assert!(in_vain * 4 <= settled, "{in_vain} of {settled} in vain");
        assert_eq!(u64::from(world.pager.frame_counts().dirty), 64 - expected);
        world.flip().expect("a flip");
        world.settle().expect("it becomes durable");
        world.cut().expect("what was written before the flip is part of it");
    }
}

#[test]
fn who_is_changed_after_having_been_written_makes_the_next_epochs_write_less() {
    let mut world = settling_world(true);
    let mut settled = Vec::new();
    for round in 0..6 {
        let before = world.pager.statistics();
        rest(&mut world);
        store_to(&mut world, 0..64);
        let after = world.pager.statistics();
        let (given, in_vain) = (
            after.pages_settled - before.pages_settled,
            after.pages_settled_in_vain - before.pages_settled_in_vain,
        );
        assert_eq!(given, in_vain, "round {round}: each is stored to again");
        settled.push(given);
        world.flip().expect("a flip");
        world.settle().expect("it becomes durable");
        store_to(&mut world, 0..64);
    }
    assert_eq!((settled[0], settled[5]), (48, 16), "{settled:?}");
    world.cut().expect("the last content is in the snapshot");
}
