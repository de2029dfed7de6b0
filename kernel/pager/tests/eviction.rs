//! More pages than frames: pages go and come back as they were, programs go on, and what must stay stays.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::{FrameMemory, PageIndex};
use revenant_pager::{FaultOutcome, FrameState, PagerOptions, WaitReason, WiredRange};
use revenant_sim::Random;
use revenant_store::Copies;
use support::memory_store::{MemoryStore, Temper};
use support::{Plan, World};

const OPTIONS: PagerOptions = PagerOptions {
    table_reserve: 3,
    copy_reserve: 2,
    writes_in_flight: 64,
    write_batch: 8,
    free_reserve: 4,
    eviction_batch: 4,
};

fn world_of(frames: u32, wired: Vec<WiredRange>) -> World<MemoryStore> {
    let temper = Temper { abandon_one_in: 0, forget_one_in: 4, ..Temper::default() };
    let plan = Plan { frames, options: OPTIONS, wired, ..Plan::bare() };
    World::new(MemoryStore::new(temper, 3), plan, Random::new(7))
}

/// Stores the page's number and a round to each page.
fn fill(world: &mut World<MemoryStore>, pages: &[u64], round: u64) {
    for page in pages {
        world.store_waiting(PageIndex(*page), 5, page ^ round << 40).expect("a store");
        world.check().expect("the checks hold");
    }
}

/// Reads each page and compares.
fn verify(world: &mut World<MemoryStore>, pages: &[u64], round: u64) {
    for page in pages {
        let frame = world.wait_for(PageIndex(*page), false).expect("a page");
        let word = &world.frames.bytes(frame).0[40..48];
        assert_eq!(word, (page ^ round << 40).to_le_bytes(), "page {page}");
        world.check().expect("the checks hold");
    }
}

#[test]
fn pages_of_ten_times_the_memory_are_written_and_read_round_after_round_across_a_cut() {
    let mut world = world_of(50, Vec::new());
    let pages: Vec<u64> = (0..400).collect();
    for round in 1..4 {
        fill(&mut world, &pages, round);
        verify(&mut world, &pages, round);
    }
    world.settle().expect("the last snapshot but one");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    let statistics = world.pager.statistics();
    assert!(statistics.pages_evicted > 2000 && statistics.pages_read > 1200, "{statistics:?}");
    world.cut().expect("a resume");
    verify(&mut world, &pages, 3);
}

#[test]
fn tables_go_when_nothing_is_left_in_them() {
    let mut world = world_of(60, Vec::new());
    // A table for each page, and a table of tables for every fourth.
    let pages: Vec<u64> = (0..120).map(|page| page % 4 * 512 + page / 4 * 512 * 512).collect();
    fill(&mut world, &pages, 1);
    for _ in 0..2 {
        verify(&mut world, &pages, 1);
    }
    let (counts, statistics) = (world.pager.frame_counts(), world.pager.statistics());
    assert!(counts.tables < 50 && statistics.tables_freed > 200, "{counts:?} {statistics:?}");
}

#[test]
fn pages_in_use_stay_while_others_pass_through() {
    let mut world = world_of(80, Vec::new());
    let pages: Vec<u64> = (0..600).collect();
    fill(&mut world, &pages, 1);
    let used: Vec<u64> = (1000..1020).collect();
    fill(&mut world, &used, 1);
    world.settle().expect("the snapshot in the making");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    let mut missed = 0;
    for portion in pages.chunks(8) {
        verify(&mut world, portion, 1);
        let before = world.pager.statistics().pages_read;
        verify(&mut world, &used, 1);
        missed += world.pager.statistics().pages_read - before;
    }
    assert!(missed < 100, "{missed} of 1500 touches of pages in use");
}

#[test]
fn wired_pages_stay() {
    let wired = WiredRange { first: PageIndex(5), count: 6, copies: Copies::Two, resident: true };
    let mut world = world_of(50, vec![wired]);
    let pages: Vec<u64> = (100..300).collect();
    for page in 5..11 {
        world.wait_for(PageIndex(page), false).expect("a wired page");
    }
    for round in 1..3 {
        fill(&mut world, &pages, round);
        verify(&mut world, &pages, round);
        let kept = world.pager.resident_pages().filter(|(page, _)| (5..11).contains(&page.0));
        assert_eq!(kept.count(), 6);
    }
}

#[test]
fn when_all_is_dirty_a_snapshot_is_asked_for_and_nothing_goes_before_it() {
    let mut world = world_of(50, Vec::new());
    world.backing.temper.forget_one_in = 0; // nothing has to be read
    let mut stored = 0;
    while !world.pager.wants_snapshot() {
        assert!(stored < 60, "there are 50 frames");
        world.store_if_possible(PageIndex(stored), stored).expect("the checks hold");
        for _ in 0..8 {
            let _ = world.step();
        }
        stored += 1;
    }
    let dirty = world.pager.resident_pages();
    let states: Vec<FrameState> = dirty.map(|(_, frame)| world.pager.frame(frame).0).collect();
    assert!(states.len() > 30 && states.iter().all(|state| *state == FrameState::Dirty));
    assert_eq!(world.pager.statistics().pages_evicted, 0);
    for page in 500..510 {
        world.wait_for(PageIndex(page), true).expect("after the snapshot there is room");
    }
    assert!(world.pager.statistics().commits > 0 && world.pager.statistics().pages_evicted > 0);
}

/// The story: what a stop has to touch had been let go, all of memory was stored to, and the flip that would have brought frames
/// back waited for one itself.
#[test]
fn the_stop_before_a_flip_gets_its_pages_when_all_of_memory_is_dirty() {
    let mut world = world_of(50, Vec::new());
    world.backing.temper.forget_one_in = 0;
    let needed: Vec<u64> = (600..602).collect();
    fill(&mut world, &needed, 1);
    world.settle().expect("nothing in the making");
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    let mut page = 0;
    let stuck = |world: &mut World<MemoryStore>, page| {
        let outcome = world.access(PageIndex(page), true).expect("the checks hold");
        outcome == Err(FaultOutcome::Wait(WaitReason::Frame))
    };
    loop {
        let waits = stuck(&mut world, page);
        for _ in 0..8 {
            let _ = world.step();
        }
        if waits && stuck(&mut world, page) {
            break;
        }
        page += u64::from(!waits);
    }
    assert!(stuck(&mut world, needed[0]), "like everybody's");
    for attempt in 0.. {
        assert!(attempt < 20, "the stop never ends");
        world.pager.set_stopping(true);
        let mut reached = needed.iter().map(|page| world.access(PageIndex(*page), false));
        let done = reached.all(|outcome| outcome.expect("the checks hold").is_ok());
        world.pager.set_stopping(false);
        if done {
            break;
        }
        for _ in 0..30 {
            let _ = world.step();
        }
        world.backing.perform_oldest(&mut world.frames);
        world.deliver_events().expect("the page");
    }
    assert!(world.flip().expect("a flip"));
    world.settle().expect("a snapshot");
    world.wait_for(PageIndex(page), true).expect("frames are back");
}

#[test]
fn programs_in_little_memory_see_what_they_stored() {
    let (mut evicted, mut cuts) = (0, 0);
    for seed in 0..10 {
        let mut random = Random::new(seed);
        let plan = Plan::short_of_memory(&mut random);
        let store = MemoryStore::new(Temper::default(), random.next_u64());
        let mut world = World::new(store, plan, random);
        let mut most = 0;
        for _ in 0..6 {
            world.run(400).unwrap_or_else(|text| panic!("seed {seed}: {text}"));
            evicted += world.pager.statistics().pages_evicted;
            most = most.max(world.retired());
        }
        assert!(most > 50, "seed {seed}: hardly anybody came through");
        cuts += world.cuts;
    }
    assert!(evicted > 2000 && cuts > 5, "{evicted} pages went, {cuts} cuts");
}
