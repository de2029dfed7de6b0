//! Read-ahead: who walks finds most pages there, who jumps about costs nothing, pages in use stay, and every page read ahead
//! is accounted for.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::{FrameMemory, PageIndex};
use revenant_pager::{PagerOptions, Statistics};
use revenant_sim::Random;
use support::memory_store::{MemoryStore, Temper};
use support::{Plan, World};

const OPTIONS: PagerOptions = PagerOptions {
    table_reserve: 3,
    copy_reserve: 2,
    writes_in_flight: 64,
    write_batch: 8,
    free_reserve: 24,
    eviction_batch: 12,
};

/// A machine that has just resumed, with so many pages on its disk, each of which holds its number.
fn resumed(frames: u32, pages: u64, reads_ahead: bool) -> World<MemoryStore> {
    let temper = Temper { abandon_one_in: 0, forget_one_in: 4, ..Temper::default() };
    let plan = Plan { frames, options: OPTIONS, reads_ahead, ..Plan::bare() };
    let mut world = World::new(MemoryStore::new(temper, 3), plan, Random::new(7));
    for page in 0..pages {
        world.store_waiting(PageIndex(page), 5, page).expect("a store");
    }
    world.settle().expect("nothing in the making");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    world.resume_cold();
    world
}

fn read(world: &mut World<MemoryStore>, page: u64) {
    let frame = world.wait_for(PageIndex(page), false).expect("a page");
    assert_eq!(world.frames.bytes(frame).0[40..48], page.to_le_bytes(), "page {page}");
    world.check().expect("the checks hold");
}

/// What happened since, once nothing is on its way.
fn statistics(world: &mut World<MemoryStore>) -> Statistics {
    for _ in 0..200 {
        let _ = world.step();
        world.device_turn().expect("the checks hold");
    }
    let statistics = world.pager.statistics();
    let known = statistics.read_ahead_hits + statistics.read_ahead_wasted;
    assert!(known <= statistics.pages_read_ahead, "{statistics:?}");
    assert!(statistics.pages_read_ahead <= statistics.pages_read, "{statistics:?}");
    statistics
}

#[test]
fn who_walks_through_more_than_memory_misses_few_pages_and_reads_each_once() {
    let mut world = resumed(200, 1000, true);
    for page in 0..1000 {
        read(&mut world, page);
    }
    let statistics = statistics(&mut world);
    assert!(statistics.pages_read_ahead > 900 && statistics.pages_read < 1030, "{statistics:?}");
    assert!(statistics.read_ahead_hits > 700, "what went is known: {statistics:?}");
    assert!(statistics.read_ahead_wasted < 40, "{statistics:?}");
}

#[test]
fn nothing_is_read_ahead_before_it_is_allowed() {
    let mut world = resumed(200, 150, false);
    for page in 0..100 {
        read(&mut world, page);
    }
    let before = statistics(&mut world);
    assert_eq!((before.pages_read, before.pages_read_ahead), (100, 0));
    world.pager.set_read_ahead(true);
    for page in 100..110 {
        read(&mut world, page);
    }
    assert!(statistics(&mut world).pages_read_ahead > 4);
}

#[test]
fn who_jumps_about_is_not_read_ahead_for() {
    let mut world = resumed(200, 1000, true);
    let mut random = Random::new(11);
    for _ in 0..2000 {
        read(&mut world, random.below(1000));
    }
    let statistics = statistics(&mut world);
    // By chance one jump in some dozens ends behind a page that was missed lately, in so small a space.
    assert!(statistics.pages_read_ahead * 3 < statistics.pages_read, "{statistics:?}");
}

#[test]
fn pages_in_use_stay_while_a_walk_passes_through() {
    let mut world = resumed(120, 1000, true);
    let used: Vec<u64> = (0..20).map(|page| page * 7).collect();
    let mut missed = 0;
    for portion in (200..1000).collect::<Vec<_>>().chunks(8) {
        portion.iter().for_each(|page| read(&mut world, *page));
        let before = world.pager.statistics().faults_page_in;
        used.iter().for_each(|page| read(&mut world, *page));
        missed += world.pager.statistics().faults_page_in - before;
    }
    assert!(missed < 150, "{missed} of 2000 touches of pages in use");
}

#[test]
fn a_damaged_page_that_nobody_wanted_harms_nobody() {
    let mut world = resumed(200, 150, true);
    world.backing.damaged.insert(8);
    for page in (0..8).chain(9..60) {
        read(&mut world, page);
    }
    let statistics = statistics(&mut world);
    assert_eq!(statistics.pages_unreadable, 1);
    let text = world.wait_for(PageIndex(8), false).expect_err("unreadable");
    assert!(text.contains("Unreadable"), "{text}");
}
