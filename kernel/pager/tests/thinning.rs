//! Page tables that lead to few pages go with them, before tables take too much of memory; what is used stays.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::PageIndex;
use revenant_pager::PagerOptions;
use revenant_pager::replacement::{Claim, Group};
use revenant_sim::Random;
use support::memory_store::{MemoryStore, Temper};
use support::{Plan, World};

const FRAMES: u32 = 1200;
/// A twelfth of the frames.
const PERMITTED: u32 = FRAMES / 12;
/// Last tables of the object space that is jumped about in: far more than are permitted.
const TABLES: u64 = 3 * PERMITTED as u64;

fn world() -> World<MemoryStore> {
    let temper = Temper { abandon_one_in: 0, forget_one_in: 4, ..Temper::default() };
    let options = PagerOptions {
        table_reserve: 3,
        copy_reserve: 2,
        writes_in_flight: 64,
        write_batch: 8,
        free_reserve: 16,
        eviction_batch: 16,
    };
    let plan = Plan { frames: FRAMES, options, ..Plan::bare() };
    World::new(MemoryStore::new(temper, 3), plan, Random::new(7))
}

/// Loads a page; whether it had been there.
fn touch(world: &mut World<MemoryStore>, page: u64) -> bool {
    let there = world.access(PageIndex(page), false).expect("the checks hold").is_ok();
    if !there {
        world.wait_for(PageIndex(page), false).expect("a page");
    }
    let _ = world.step();
    there
}

/// Loads pages all over the tables.
fn jump_about(world: &mut World<MemoryStore>, random: &mut Random, touches: u32) {
    for _ in 0..touches {
        touch(world, random.below(TABLES * 512));
    }
}

#[test]
fn random_touches_of_far_more_than_memory_leave_a_twelfth_to_tables_and_fill_the_rest() {
    let (mut world, mut random) = (world(), Random::new(1));
    jump_about(&mut world, &mut random, 4 * FRAMES);
    let mut most = 0;
    for _ in 0..6 * FRAMES {
        jump_about(&mut world, &mut random, 1);
        let counts = world.pager.frame_counts();
        assert!(counts.free < FRAMES / 10, "memory lies idle: {counts:?}");
        most = most.max(counts.tables);
    }
    world.check().expect("the rules of tables hold");
    assert!(most < PERMITTED + PERMITTED / 8, "{most} tables, {PERMITTED} are permitted");
}

#[test]
fn pages_in_use_keep_their_tables_while_others_pass() {
    let (mut world, mut random) = (world(), Random::new(2));
    let used: Vec<u64> = (0..u64::from(PERMITTED) / 2).map(|table| table * 512 + 7).collect();
    let mut missed = 0;
    for round in 0..60 {
        let there = used.iter().filter(|page| touch(&mut world, **page)).count();
        missed += if round > 1 { used.len() - there } else { 0 };
        jump_about(&mut world, &mut random, PERMITTED);
    }
    assert!(world.pager.statistics().pages_thinned_out > 1000);
    assert!(missed < 2 * used.len(), "{missed} of {} touches", 58 * used.len());
}

#[test]
fn while_frames_are_free_tables_are_not_too_many() {
    let mut world = world();
    let used: Vec<u64> = (0..TABLES).map(|table| table * 512 + 7).collect();
    for _ in 0..3 {
        used.iter().for_each(|page| _ = touch(&mut world, *page));
    }
    assert_eq!(world.pager.statistics().pages_evicted, 0);
}

#[test]
fn pages_within_a_groups_share_keep_their_tables() {
    let (mut world, mut random) = (world(), Random::new(3));
    let (quiet, other) = (Group::new(1), Group::new(2));
    world.pager.claim(quiet, Claim { share: Some(200), limit: None });
    let kept: Vec<u64> = (0..60).map(|table| (TABLES + table) * 512).collect();
    world.pager.runs(quiet);
    kept.iter().for_each(|page| _ = touch(&mut world, *page));
    world.pager.runs(other);
    jump_about(&mut world, &mut random, 8 * FRAMES);
    assert!(world.pager.statistics().pages_thinned_out > 1000);
    world.pager.runs(quiet);
    let there = kept.iter().filter(|page| touch(&mut world, **page)).count();
    assert_eq!(there, kept.len(), "untouched, and promised");
}
