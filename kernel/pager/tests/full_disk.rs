//! A full disk with one who stores all the time: what is let go of beside it comes back all the same, because freeing has disk
//! space of its own (FORMAT.md 6).

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::PageIndex;
use revenant_pager::{FaultOutcome, PagerOptions, WaitReason};
use revenant_sim::Random;
use support::real_store::{RealStore, Troubles};
use support::{Plan, World};

/// Blocks of the disk: some 1,400 beside what is kept free.
const BLOCKS: u64 = 2048;
/// Pages that are overwritten all the time: the disk cannot hold them twice beside the dead.
const HOG: u64 = 400;
/// What is dead: so many extents of sixteen pages, the first of which has to be changed before the others can go.
const EXTENTS: u64 = 72;
const EXTENT_PAGES: u64 = 16;
const DEAD: u64 = 1 << 20;
/// Snapshots after which everything dead must have gone.
const SNAPSHOTS: u64 = 24;

/// A page of an extent.
fn dead_page(extent: u64, page: u64) -> PageIndex {
    PageIndex(DEAD + extent * EXTENT_PAGES + page)
}

/// Stores to a page, if there is room; whether there was.
fn store(world: &mut World<RealStore>, page: PageIndex, value: u64) -> bool {
    match world.access(page, true).expect("the rules hold") {
        Ok(_) => {
            world.store_if_possible(page, value).expect("a store");
            true
        }
        Err(FaultOutcome::Wait(WaitReason::Space)) => false,
        Err(other) => panic!("{page:?}: {other:?}"),
    }
}

/// One who overwrites its pages, one after the other, for ever.
#[derive(Default)]
struct Hog {
    stores: u64,
}

impl Hog {
    /// Goes on until it has to wait, or has been round twice; how far it came.
    fn run(&mut self, world: &mut World<RealStore>) -> u64 {
        let before = self.stores;
        while self.stores < before + 2 * HOG
            && store(world, PageIndex(self.stores % HOG), self.stores)
        {
            self.stores += 1;
        }
        self.stores - before
    }
}

/// A snapshot, with the stores that come in while it is made.
fn snapshot(world: &mut World<RealStore>, hog: &mut Hog) {
    assert!(world.flip().expect("the rules hold"), "nothing is in the making");
    hog.run(world);
    world.settle().expect("the snapshot ends");
}

/// How many extents have gone after [`SNAPSHOTS`], beside one who takes whatever room there is before each of them is tried.
fn extents_gone(freeing: bool, seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let store_seed = random.next_u64();
    let plan = Plan { frames: 2200, options: PagerOptions::default(), ..Plan::bare() };
    let backing = RealStore::new(BLOCKS, Troubles::default(), store_seed);
    let mut world = World::new(backing, plan, random);
    for extent in 0..EXTENTS {
        for page in 0..EXTENT_PAGES {
            world.store_waiting(dead_page(extent, page), 0, 7 + extent).expect("there is room");
        }
    }
    let mut hog = Hog::default();
    for _ in 0..8 {
        snapshot(&mut world, &mut hog);
    }
    hog.run(&mut world);
    assert_eq!(hog.run(&mut world), 0, "the disk is full");
    let mut gone = 0;
    let mut snapshots = 0;
    while gone < EXTENTS && snapshots < SNAPSHOTS {
        snapshots += 1;
        hog.run(&mut world);
        world.pager.set_freeing(freeing);
        while gone < EXTENTS && store(&mut world, dead_page(gone, 0), 0) {
            let rest = dead_page(gone, 1)..dead_page(gone + 1, 0);
            if world.discard(rest) < EXTENT_PAGES - 1 {
                break;
            }
            gone += 1;
        }
        world.pager.set_freeing(false);
        snapshot(&mut world, &mut hog);
    }
    let before = hog.stores;
    for _ in 0..4 {
        snapshot(&mut world, &mut hog);
    }
    assert!(hog.stores > before, "who stores goes on");
    println!("seed {seed}: {gone} extents have gone after {snapshots} snapshots");
    gone
}

#[test]
fn what_is_dead_goes_although_another_takes_every_block_that_comes_free() {
    for seed in 0..2 {
        assert_eq!(extents_gone(true, seed), EXTENTS, "seed {seed}");
    }
}

/// What the rule is for: whoever frees as programs store gets nowhere.
#[test]
fn without_space_of_its_own_freeing_would_starve() {
    assert!(extents_gone(false, 0) < EXTENTS / 4);
}
