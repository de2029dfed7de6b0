//! A page that cannot be read is made anew by a store, if somebody who knows what it held permits it: never by itself, never by a
//! load, and for a restart only once a snapshot with it is durable.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::{FrameMemory, PageBytes, PageIndex};
use revenant_pager::{FaultOutcome, Impossible, PagerOptions};
use revenant_sim::Random;
use revenant_store::DamagedBlock;
use std::sync::Arc;
use support::memory_store::{MemoryStore, Temper};
use support::real_store::{RealStore, Troubles};
use support::{Backing, Plan, World};

const PAGE: PageIndex = PageIndex(70);

/// The page is met, and cannot be read.
fn meet<B: Backing>(world: &mut World<B>, page: PageIndex) -> DamagedBlock {
    let text = world.wait_for(page, true).expect_err("unreadable");
    assert!(text.contains("Unreadable"), "{text}");
    let found = world.pager.damaged_pages().find(|(damaged, _)| *damaged == page);
    found.expect("remembered").1
}

/// What becomes of an access.
fn outcome<B: Backing>(world: &mut World<B>, page: PageIndex, write: bool) -> Option<FaultOutcome> {
    let result = world.access(page, write).expect("the checks hold");
    world.check().expect("the checks hold");
    result.err()
}

/// A world whose store cannot read the page, which it holds, and how that is told.
fn damaged() -> (World<MemoryStore>, FaultOutcome) {
    let temper = Temper {
        abandon_one_in: 0,
        forget_one_in: 0,
        refuse_discard_one_in: 0,
        fail_early_one_in: 0,
        space: 8,
        queue: 4096,
    };
    let mut random = Random::new(11);
    let options = PagerOptions { table_reserve: 3, copy_reserve: 2, ..PagerOptions::default() };
    let plan = Plan { frames: 64, options, pages: Vec::new(), ..Plan::roomy(&mut random) };
    let mut world = World::new(MemoryStore::new(temper, 5), plan, random);
    world.backing.damaged.insert(PAGE.0);
    let damage = meet(&mut world, PAGE);
    (world, FaultOutcome::Impossible(Impossible::Unreadable(damage)))
}

#[test]
fn only_a_store_that_was_permitted_makes_a_page_anew() {
    let (mut world, unreadable) = damaged();
    assert!(world.pager.is_unreadable(PAGE));
    // Nobody permitted it; and what can be read is not replaced.
    assert_eq!(outcome(&mut world, PAGE, true), Some(unreadable));
    world.store_waiting(PageIndex(71), 0, 1).expect("a store");
    world.pager.replace_damaged_page(PageIndex(71));
    assert!(!world.pager.is_unreadable(PageIndex(71)));
    world.pager.replace_damaged_page(PAGE);
    assert_eq!(outcome(&mut world, PAGE, false), Some(unreadable), "a load still hears of it");
    assert!(world.pager.is_unreadable(PAGE));
    let fills = world.pager.statistics().faults_zero_fill;
    world.store_waiting(PAGE, 3, 7).expect("a store");
    assert_eq!(world.pager.statistics().faults_zero_fill, fills + 1);
    assert!(!world.pager.is_unreadable(PAGE));
    let frame = world.access(PAGE, false).expect("the checks hold").expect("readable");
    let bytes = world.frames.bytes(frame).0;
    assert!(bytes[24] == 7 && bytes.iter().filter(|byte| **byte != 0).count() == 1);
}

#[test]
fn a_permission_ends_with_the_damage() {
    let (mut world, unreadable) = damaged();
    world.pager.replace_damaged_page(PAGE);
    world.pager.retry_damaged_page(PAGE);
    assert_eq!(meet(&mut world, PAGE).block.0, PAGE.0);
    assert_eq!(outcome(&mut world, PAGE, true), Some(unreadable), "it was for what was known then");
}

/// A store that must wait for space has made nothing, and makes the page when it is tried again.
#[test]
fn without_space_the_page_stays_as_it_is() {
    let (mut world, unreadable) = damaged();
    world.backing.temper.space = 0;
    world.pager.replace_damaged_page(PAGE);
    assert!(matches!(outcome(&mut world, PAGE, true), Some(FaultOutcome::Wait(_))));
    assert_eq!(outcome(&mut world, PAGE, false), Some(unreadable));
    world.backing.temper.space = 8;
    world.store_waiting(PAGE, 0, 9).expect("a store");
}

/// The real store: before the commit a restart finds the page as unreadable as ever, after it what was stored; the old block
/// goes the way of any block that was overwritten.
#[test]
fn a_restart_finds_what_the_last_durable_snapshot_holds() {
    let mut random = Random::new(9);
    let store = RealStore::new(8192, Troubles::default(), 9);
    let plan = Plan { cut_one_in: 0, ..Plan::roomy(&mut random) };
    let mut world = World::new(store, plan, random);
    world.run(1500).expect("a run");
    let snapshot = |world: &mut World<RealStore>| {
        world.settle().expect("the end of what is in the making");
        assert!(world.flip().expect("the checks hold"));
        world.settle().expect("a snapshot");
    };
    snapshot(&mut world);
    let (page, bytes) = world.model.first_key_value().expect("a page was stored to");
    let (page, bytes) = (PageIndex(*page), bytes.clone());
    assert!(world.backing.rot(page, &bytes), "the page is on the disk");
    world.cut().expect("the others are as they were");
    for durable in [false, true] {
        let _ = meet(&mut world, page);
        world.pager.replace_damaged_page(page);
        world.model.insert(page.0, Arc::new(PageBytes::ZERO));
        world.store_waiting(page, 5, 77).expect("a store");
        if durable {
            snapshot(&mut world);
            world.backing.heal(page);
        }
        world.cut().expect("every page is as it was at the flip");
    }
    world.wait_for(page, false).expect("readable");
    // Some snapshots later its old block is free: the same changes cost what they cost without it.
    for value in 0..6 {
        world.store_waiting(page, 5, value).expect("a store");
        snapshot(&mut world);
    }
    world.run(1500).expect("programs go on");
    world.cut().expect("every page is as it was at the flip");
}
