//! Blocks in use give back the pages on which nothing is left: who keeps its content, what reads as zeros, what is left alone,
//! at every touch at which a look may end; and that looks which give back too much do not pass.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use core::ops::Range;
use std::collections::BTreeSet;

use revenant_bytecode::Builtin;
use revenant_hal::{ObjectAddress, PageIndex};
use revenant_vm::counting::audit::audit;
use revenant_vm::counting::class_at;
use revenant_vm::heap::discard::{self, Discarded, Progress, Which};
use revenant_vm::heap::runs::{self, BlockNumber};
use revenant_vm::heap::{holes, metadata};
use revenant_vm::memory::layout::{block, object};
use revenant_vm::memory::{AddressExt, Attempts};
use revenant_vm::object::array;
use world::World;

/// Payload of the arrays of these tests: cells of 1,280 bytes, so that many lie on two pages.
const BYTES: u64 = 1200;
const CELLS_A_BLOCK: usize = 48;

/// A world with many arrays of one size, in a table of references so that any can be dropped; each is full of its number.
struct Shelf {
    world: World,
    table: ObjectAddress,
    arrays: Vec<ObjectAddress>,
    bytes: fn(usize) -> u64,
}

impl Shelf {
    fn new(count: usize) -> Self {
        Self::of_sizes(count, |_| BYTES)
    }

    fn of_sizes(count: usize, bytes: fn(usize) -> u64) -> Self {
        let world = World::new();
        let tables = class_at(world.space, Builtin::ObjectArray as u32);
        let table = array::allocate(world.space, world.allocator, tables, count as u64).unwrap();
        world.space.end_step();
        world.set_root(0, table);
        let mut shelf = Self { world, table, arrays: vec![ObjectAddress(0); count], bytes };
        (0..count).for_each(|place| shelf.make(place));
        shelf
    }

    fn make(&mut self, place: usize) {
        let (space, bytes) = (self.world.space, (self.bytes)(place));
        let class_object = class_at(space, Builtin::ByteArray as u32);
        let made = array::allocate(space, self.world.allocator, class_object, bytes).unwrap();
        space.end_step();
        let start = made.plus(object::PAYLOAD);
        assert!((0..bytes).all(|byte| space.load::<u8>(start.plus(byte)) == 0), "not zeroed");
        space.fill(start, pattern(place), bytes);
        space.end_step();
        self.arrays[place] = made;
        assert!(array::set_reference(space, self.table, place as u64, made));
        space.end_step();
    }

    fn drop(&mut self, places: impl Iterator<Item = usize>) {
        for place in places {
            let none = ObjectAddress(0);
            assert!(array::set_reference(self.world.space, self.table, place as u64, none));
            self.world.space.end_step();
            self.arrays[place] = none;
        }
        self.world.settle();
    }

    /// The first array that lost its content.
    fn damaged(&self) -> Option<usize> {
        (0..self.arrays.len()).filter(|place| !self.arrays[*place].is_null()).find(|place| {
            let start = self.arrays[*place].plus(object::PAYLOAD);
            let load = |byte| self.world.space.load::<u8>(start.plus(byte));
            (0..(self.bytes)(*place)).any(|byte| load(byte) != pattern(*place))
        })
    }

    fn check(&self) {
        assert_eq!(self.damaged(), None);
        self.world.audit();
    }

    /// Discards everything that is free, and returns the pages of blocks in use that were.
    fn discard(&self) -> BTreeSet<u64> {
        let world = &self.world;
        let real = |pages| {
            world.host.discard(pages);
            Discarded::Zero
        };
        while discard::step(world.space, Which::All, real) == Progress::More {}
        let mut gone = BTreeSet::new();
        look(world, |pages| {
            gone.extend(pages.start.0..pages.end.0);
            real(pages)
        });
        gone
    }

    fn findings(&self) -> Vec<String> {
        audit(self.world.space).findings
    }
}

fn pattern(place: usize) -> u8 {
    u8::try_from(place % 251 + 1).unwrap()
}

/// Looks at all noted blocks.
fn look(world: &World, mut discard: impl FnMut(Range<PageIndex>) -> Discarded) -> u32 {
    let (mut from, mut left) = (0, u32::MAX);
    while holes::step(world.space, &mut from, &mut left, &mut discard) == Progress::More {}
    world.space.end_step();
    u32::MAX - left
}

fn pages_of(subject: ObjectAddress) -> Range<u64> {
    subject.page().0..ObjectAddress(subject.0 + object::PAYLOAD + BYTES - 1).page().0 + 1
}

#[test]
fn one_cell_in_use_keeps_its_page_and_gives_back_the_others() {
    let mut shelf = Shelf::new(20 * CELLS_A_BLOCK);
    // One in each block, at another place in each.
    let kept = |place: usize| place.is_multiple_of(CELLS_A_BLOCK + 1);
    shelf.drop((0..20 * CELLS_A_BLOCK).filter(|place| !kept(*place)));
    let gone = shelf.discard();
    assert!(gone.len() >= 18 * 14, "{} pages of 20 blocks", gone.len());
    for page in &gone {
        let page = PageIndex(*page);
        assert!(shelf.world.host.page(page).0.iter().all(|byte| *byte == 0));
        assert!(!page.address().0.is_multiple_of(1 << 16), "a page of metadata");
    }
    let current: BTreeSet<u64> = (0..shelf.arrays.len())
        .filter(|place| kept(*place))
        .flat_map(|place| pages_of(shelf.arrays[place]))
        .collect();
    assert!(current.is_disjoint(&gone));
    shelf.check();
    assert_eq!(shelf.discard(), BTreeSet::new(), "nothing was used or freed since");
    // What was given back is taken again, as if nothing had happened.
    (0..20 * CELLS_A_BLOCK).filter(|place| !kept(*place)).for_each(|place| shelf.make(place));
    shelf.check();
    shelf.drop((0..20 * CELLS_A_BLOCK).filter(|place| !kept(*place)));
    let again = shelf.discard();
    assert!(again.len() >= 18 * 14, "{} pages the second time", again.len());
    shelf.check();
}

#[test]
fn a_page_stays_while_one_of_its_neighbours_is_in_use() {
    let mut shelf = Shelf::new(20 * CELLS_A_BLOCK);
    // Of three neighbours one stays: no page is free, and blocks are looked at.
    shelf.drop((0..20 * CELLS_A_BLOCK).filter(|place| place % 3 != 2));
    let gone = shelf.discard();
    let used: BTreeSet<u64> = (0..shelf.arrays.len())
        .filter(|place| !shelf.arrays[*place].is_null())
        .flat_map(|place| pages_of(shelf.arrays[place]))
        .collect();
    assert!(used.is_disjoint(&gone));
    assert!(gone.len() <= 20, "{} pages", gone.len());
    shelf.check();
}

#[test]
fn the_block_that_is_allocated_from_is_left_alone_until_allocation_leaves_it() {
    let mut shelf = Shelf::new(CELLS_A_BLOCK / 2);
    let block = BlockNumber::of(shelf.arrays[CELLS_A_BLOCK / 2 - 1]);
    assert_eq!(runs::entry(shelf.world.space, block).state, block::STATE_CURRENT);
    shelf.drop(4..CELLS_A_BLOCK / 2);
    assert!(holes::is_flagged(shelf.world.space, block));
    assert_eq!(shelf.discard(), BTreeSet::new());
    assert!(holes::is_flagged(shelf.world.space, block), "it stays noted");
    shelf.check();
}

#[test]
fn a_pager_without_room_is_asked_again_and_one_that_is_none_is_not() {
    let mut shelf = Shelf::new(20 * CELLS_A_BLOCK);
    shelf.drop((0..20 * CELLS_A_BLOCK).filter(|place| place % CELLS_A_BLOCK != 0));
    let mut asked = 0;
    look(&shelf.world, |_| {
        asked += 1;
        if asked == 3 { Discarded::NotNow } else { Discarded::Unable }
    });
    assert_eq!(asked, 3);
    shelf.check();
    // So many calls and no more.
    let (mut from, mut left) = (0, 2);
    let zero = |pages| {
        shelf.world.host.discard(pages);
        Discarded::Zero
    };
    let mut progress = Progress::More;
    while progress == Progress::More {
        progress = holes::step(shelf.world.space, &mut from, &mut left, zero);
    }
    assert_eq!((progress, left), (Progress::NotNow, 0));
    shelf.check();
    assert!(shelf.discard().len() > 100);
    shelf.check();
    assert_eq!(look(&shelf.world, |_| Discarded::Zero), 0);
}

#[test]
fn a_look_ended_at_every_touch_changes_nothing() {
    let mut shelf = Shelf::new(6 * CELLS_A_BLOCK);
    shelf.drop((0..6 * CELLS_A_BLOCK).filter(|place| place % 40 != 0));
    Attempts::check(true);
    let (mut touches, mut ended, mut pages) = (0, 0, 0);
    let mut from = 0;
    loop {
        let progress = Attempts::run(touches, || {
            holes::step(shelf.world.space, &mut from, &mut u32::MAX.clone(), |range| {
                pages += range.end.0 - range.start.0;
                shelf.world.host.discard(range);
                Discarded::Zero
            })
        });
        shelf.world.space.end_step();
        Attempts::check(false);
        shelf.check();
        Attempts::check(true);
        match progress {
            None => (touches, ended) = (touches + 1, ended + 1),
            Some(Progress::More) => touches = 0,
            Some(_) => break,
        }
    }
    Attempts::check(false);
    assert_eq!(Attempts::take_violations(), Vec::<String>::new());
    assert!(ended > 12 && pages > 40, "{ended} ended, {pages} pages");
}

/// Releases ended at every touch: a block that is noted is in the set.
#[test]
fn a_release_ended_at_every_touch_notes_the_block_or_does_not() {
    let mut shelf = Shelf::new(3 * CELLS_A_BLOCK);
    for place in (0..3 * CELLS_A_BLOCK).filter(|place| place % 31 != 0) {
        let none = ObjectAddress(0);
        assert!(array::set_reference(shelf.world.space, shelf.table, place as u64, none));
        shelf.world.space.end_step();
        shelf.arrays[place] = none;
    }
    Attempts::check(true);
    revenant_vm::counting::grace::close(shelf.world.space);
    for touches in 0..u64::MAX {
        let run = || revenant_vm::counting::grace::run(shelf.world.space, u64::MAX);
        let done = Attempts::run(touches % 40, run);
        shelf.world.space.end_step();
        Attempts::check(false);
        if touches % 7 == 0 || done.is_some() {
            shelf.check();
        }
        Attempts::check(true);
        match done {
            Some(result) => {
                assert_eq!(result, Ok(revenant_vm::counting::grace::Progress::Idle));
                break;
            }
            None if touches > 5_000 => {
                Attempts::check(false);
                shelf.world.settle();
                break;
            }
            None => {}
        }
    }
    Attempts::check(false);
    assert_eq!(Attempts::take_violations(), Vec::<String>::new());
    shelf.check();
    assert!(shelf.discard().len() > 20);
}

/// Arrays of many sizes come and go in stretches and one by one, with looks in between that the pager serves, refuses or cuts off.
#[test]
fn random_stretches_keep_what_they_are_given() {
    const COUNT: usize = 3_000;
    let bytes = |place: usize| [40, 1200, 120, 9_000, 500, 3_000, 16][place / 7 % 7];
    for seed in 1..4 {
        println!("seed {seed}");
        let mut shelf = Shelf::of_sizes(COUNT, bytes);
        let mut random = Random(seed);
        let mut gone = 0;
        for _ in 0..60 {
            let (start, length) = (random.below(COUNT), 1 + random.below(COUNT / 2));
            let sparse = 1 + random.below(40);
            let places: Vec<usize> = (start..(start + length).min(COUNT)).collect();
            if random.below(2) == 0 {
                shelf.drop(places.into_iter().filter(|place| place % (sparse + 1) != 0));
            } else {
                let empty: Vec<usize> =
                    places.into_iter().filter(|place| shelf.arrays[*place].is_null()).collect();
                empty.into_iter().step_by(sparse).for_each(|place| shelf.make(place));
            }
            let world = &shelf.world;
            let (mut from, mut left) = (0, u32::MAX);
            let steps = random.below(200);
            let mut discard = |pages: Range<PageIndex>| match random.below(8) {
                0 => Discarded::NotNow,
                1 => Discarded::Unable,
                _ => {
                    gone += pages.end.0 - pages.start.0;
                    world.host.discard(pages);
                    Discarded::Zero
                }
            };
            for _ in 0..steps {
                if holes::step(world.space, &mut from, &mut left, &mut discard) == Progress::Idle {
                    break;
                }
            }
            shelf.check();
        }
        assert!(gone > 500, "{gone} pages");
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Planted: a cell in use that does not count as one.
#[test]
fn a_page_with_a_cell_in_use_on_it_that_is_discarded_is_noticed() {
    let mut shelf = Shelf::new(4 * CELLS_A_BLOCK);
    shelf.drop((0..4 * CELLS_A_BLOCK).filter(|place| place % CELLS_A_BLOCK != 5));
    let space = shelf.world.space;
    let victim = shelf.arrays[CELLS_A_BLOCK + 5];
    let byte = metadata::load(space, victim);
    metadata::store(space, victim, metadata::Metadata(0));
    shelf.discard();
    metadata::store(space, victim, byte);
    assert_eq!(shelf.damaged(), Some(CELLS_A_BLOCK + 5));
    assert!(!shelf.findings().is_empty(), "its class is gone, too");
}

/// Planted: a block that allocation goes on in does not say so.
#[test]
fn a_page_that_is_discarded_before_its_cells_are_out_of_allocation_is_noticed() {
    let mut shelf = Shelf::new(CELLS_A_BLOCK / 2);
    let space = shelf.world.space;
    let block = BlockNumber::of(shelf.arrays[CELLS_A_BLOCK / 2 - 1]);
    shelf.drop(4..CELLS_A_BLOCK / 2);
    let state = block.entry().plus(block::ENTRY_STATE);
    space.store(state, block::STATE_LISTED);
    assert!(!shelf.discard().is_empty());
    space.store(state, block::STATE_CURRENT);
    shelf.make(5);
    let findings = shelf.findings();
    assert!(findings.iter().any(|text| text.contains("is not zero")), "{findings:?}");
}
