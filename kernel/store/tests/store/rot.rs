//! Rotten nodes of the page map and of the free-space tree: what stood below is lost and nothing else, the machine goes on,
//! and no block that is still needed is handed out.
//!
//! The story: one rotten leaf made every commit fail that had to change something below it, and after three of them the
//! machine was read-only. One rotten bitmap made it read-only at once.

use crate::common::{End, Machine, Pages, apply, content, formatted, options, pages, request};
use revenant_hal::{BlockIndex, DiskOperation, Epoch, Event, PageBytes};
use revenant_sim::{Fault, FaultEffect, FaultTarget, Image, Random, Seeded};
use revenant_store::{
    BlockRole, CheckReport, FANOUT, Lookup, MAP_LEVELS, Node, OpenRequest, PageContent, Problem,
    Reference, Store, StoreEvent, Superblock,
};

/// Pages below different nodes of every level: the first three share a leaf, each of the others one node more with them.
const PAGES: [u64; 8] = [1, 2, 3, 130, 20_000, 2_100_000, 270_000_000, 3_000_000_001];

fn node(image: &Image, reference: Reference) -> Node {
    Node(Box::new(image.read(reference.block).clone()))
}

/// The references to the nodes above a page, the root's first.
fn path(image: &Image, root: Reference, page: u64) -> Vec<Reference> {
    let mut path = vec![root];
    for level in (1..MAP_LEVELS).rev() {
        let slot = (page >> (7 * u32::from(level))) % FANOUT as u64;
        let above = path.last().expect("it begins with the root");
        path.push(node(image, *above).get(usize::try_from(slot).expect("below the fan-out")));
    }
    path
}

/// Whether two pages stand below the same node of a level.
fn together(one: u64, other: u64, level: u8) -> bool {
    let shift = 7 * (u32::from(level) + 1);
    one >> shift == other >> shift
}

/// Turns a bit in every copy; turned twice, all is well again.
fn rot(machine: &mut Machine, reference: Reference) {
    for block in reference.blocks() {
        machine.disk.damage(block, |bytes| bytes[17] ^= 0x40);
    }
}

fn request_for(session: u128) -> OpenRequest {
    OpenRequest { options: options(2), ..request(session) }
}

/// What a check may say of a store with rotten nodes: damage, loss, and space that nobody can find any more. Nothing that
/// is needed may be free. Returns the blocks that count as used for nothing.
fn checked(machine: &mut Machine, superblock: &Superblock) -> u64 {
    let report: CheckReport = machine.check(superblock.clone());
    let mut leaked = 0;
    for problem in &report.problems {
        match problem {
            Problem::Leaked { count, .. } => leaked += count,
            Problem::Damaged { .. } | Problem::Lost { .. } => {}
            other => panic!("{other}"),
        }
    }
    leaked
}

/// A store with two snapshots of different content below every node, opened anew: no node but the root is in RAM.
fn prepared(seed: u64) -> (Machine, Store, Pages, Epoch, Pages) {
    let mut machine = formatted(4096, seed);
    let (mut store, _) = machine.open(request_for(1)).expect("a fresh store opens");
    let first: Pages = PAGES.iter().map(|page| (*page, page + 1)).collect();
    let End::Committed(older, _) = machine.snapshot(&mut store, &first) else { panic!("commit") };
    store.pin(older).expect("it exists");
    let changes: Pages = PAGES.iter().map(|page| (*page, page + 2)).collect();
    assert!(matches!(machine.snapshot(&mut store, &changes), End::Committed(..)));
    let (store, _) = machine.open(request_for(2)).expect("it opens");
    (machine, store, first, older, changes)
}

/// Each page of the model has its content, or is reported as lost where it may be; never anything else.
fn verify(machine: &mut Machine, store: &mut Store, model: &Pages, lost: impl Fn(u64) -> bool) {
    for (page, number) in model {
        let wanted = if *number == 0 { PageBytes::ZERO } else { content(*number) };
        match machine.read(store, None, *page) {
            Ok(bytes) => assert_eq!(bytes, wanted, "page {page} has other content"),
            Err(damage) => assert!(lost(*page), "page {page} is lost: {damage}"),
        }
    }
}

#[test]
fn below_a_rotten_node_pages_are_lost_and_the_machine_goes_on() {
    for level in 0..MAP_LEVELS - 1 {
        let (mut machine, mut store, first, older, mut model) = prepared(200 + u64::from(level));
        let marked = store.durable_epoch();
        store.pin(marked).expect("it exists");
        let whole = model.clone();
        let above = path(&machine.disk.visible(), store.superblock().root, 1);
        let rotten = above[usize::from(MAP_LEVELS - 1 - level)];
        rot(&mut machine, rotten);
        let damage = machine.read(&mut store, None, 2).unwrap_err();
        assert!(matches!(damage.role, BlockRole::MapNode { level: found, .. } if found == level));

        // Only page 1 is written; what stands with it below the node is lost, and says so. The pages are not zeros.
        let end = machine.snapshot(&mut store, &pages(&[(1, 77)]));
        assert!(matches!(end, End::Committed(..)), "level {level}: {end:?}");
        model.insert(1, 77);
        let lost = |page: u64| page != 1 && together(page, 1, level);
        let index = revenant_hal::PageIndex;
        for session in [3, 4] {
            verify(&mut machine, &mut store, &model, lost);
            for page in PAGES.into_iter().chain([100]).filter(|page| lost(*page)) {
                let damage = machine.read(&mut store, None, page).unwrap_err();
                assert_eq!(damage.role, BlockRole::LostPage(index(page)));
                assert_eq!(damage.block, rotten.block, "{damage}");
                assert_eq!(store.lookup(index(page)), Lookup::Known(PageContent::Stored));
            }
            (store, _) = machine.open(request_for(session)).expect("it opens");
        }
        let report = machine.check(store.superblock().clone());
        let counted: u64 = report.problems.iter().map(lost_pages).sum();
        assert_eq!(counted, 128u64.pow(u32::from(level) + 1) - 1, "{:?}", report.problems);
        assert_eq!(report.damage().map(is_the(rotten)), Some(true), "{:?}", report.damage());

        // Many commits later, below the node and beside it: written pages are there, discarded ones are zeros.
        let mut random = Random::new(u64::from(level));
        let mut written = Pages::from([(1, 77)]);
        for round in 0..30 {
            let page = PAGES[random.index(PAGES.len())] + random.below(3);
            let number = if random.one_in(4) { 0 } else { 1000 + round };
            assert!(matches!(
                machine.snapshot(&mut store, &pages(&[(page, number)])),
                End::Committed(..)
            ));
            written.insert(page, number);
            verify(&mut machine, &mut store, &apply(&model, &written), |page| {
                lost(page) && !written.contains_key(&page)
            });
            checked(&mut machine, &store.superblock().clone());
        }
        // Older snapshots are what they were, also the one that has the node, should it ever be readable again.
        assert!(machine.matches(&mut store, Some(older), &first));
        rot(&mut machine, rotten);
        (store, _) = machine.open(request_for(5)).expect("it opens");
        assert!(machine.matches(&mut store, Some(marked), &whole), "level {level}");
        assert_eq!(checked(&mut machine, &store.superblock().clone()), 0, "level {level}");
    }
}

fn lost_pages(problem: &Problem) -> u64 {
    match problem {
        Problem::Lost { count, .. } => *count,
        _ => 0,
    }
}

fn is_the(rotten: Reference) -> impl Fn(&Problem) -> bool {
    move |problem| match problem {
        Problem::Damaged { damage, lost: true } => damage.block == rotten.block,
        _ => false,
    }
}

/// The snapshot that has the rotten node goes: what it alone held and can be found is free, the rest counts as used.
#[test]
fn deleting_a_snapshot_with_a_rotten_node_costs_what_stands_below_it_and_no_more() {
    for level in 0..MAP_LEVELS - 1 {
        let (mut machine, mut store, _, older, _) = prepared(210 + u64::from(level));
        let image = machine.disk.visible();
        let rotten = path(&image, store.superblock().root, 1)[usize::from(MAP_LEVELS - 1 - level)];
        rot(&mut machine, rotten);
        store.unpin(older).expect("it exists");
        assert!(matches!(machine.commit_requests(&mut store), End::Committed(..)));
        let mut free = Vec::new();
        for round in 0..12u64 {
            let changes: Pages = PAGES.iter().map(|page| (*page, 500 + page + round)).collect();
            let end = machine.snapshot(&mut store, &changes);
            assert!(matches!(end, End::Committed(..)), "level {level} round {round}: {end:?}");
            let pinned: Vec<Epoch> = store
                .snapshots()
                .entries()
                .iter()
                .filter(|entry| entry.pinned)
                .map(|entry| entry.epoch)
                .collect();
            if round == 5 {
                assert_eq!(pinned, [older], "what is older than the damage is kept by itself");
                store.unpin(older).expect("it exists");
            }
            free.push(store.space().allocatable);
        }
        let kept = store.snapshots().entries();
        assert!(kept.len() == 2 && kept.iter().all(|entry| !entry.hidden), "{kept:?}");
        // Below the node stood its pages, the nodes above them twice, and itself.
        let below = PAGES.iter().filter(|page| together(**page, 1, level)).count() as u64;
        let leaked = checked(&mut machine, &store.superblock().clone());
        assert!(leaked >= below && leaked <= 3 * below + 10, "level {level}: {leaked}");
        assert!(free[11].abs_diff(free[9]) < 4, "level {level}: {free:?}");
    }
}

/// A device that fails may work again: the snapshot is given up, and only the last one before the end takes the loss.
#[test]
fn what_a_device_cannot_read_is_given_time() {
    for recovers in [true, false] {
        let (mut machine, mut store, _, _, mut model) = prepared(220);
        let leaf = path(&machine.disk.visible(), store.superblock().root, 1)[4];
        machine.disk.add_fault(Fault {
            operation: DiskOperation::Read,
            target: FaultTarget::Block(leaf.block),
            effect: FaultEffect::Fail,
        });
        let changes = pages(&[(1, 9)]);
        assert!(matches!(machine.snapshot(&mut store, &changes), End::Abandoned(_)));
        if recovers {
            machine.disk.clear_faults();
        } else {
            assert!(matches!(machine.snapshot(&mut store, &changes), End::Abandoned(_)));
        }
        assert!(matches!(machine.snapshot(&mut store, &changes), End::Committed(..)));
        assert_eq!(store.read_only(), None);
        model.insert(1, 9);
        verify(&mut machine, &mut store, &model, |page| !recovers && (page == 2 || page == 3));
        assert_eq!(machine.read(&mut store, None, 2).is_ok(), recovers);
    }
}

/// Power cuts in the commit that takes the loss, and in those after it.
#[test]
fn a_loss_is_taken_whole_or_not_at_all() {
    for seed in 0..60u64 {
        let level = u8::try_from(seed % 4).expect("small");
        let (mut machine, mut store, first, older, model) = prepared(230 + seed);
        let above = path(&machine.disk.visible(), store.superblock().root, 1);
        rot(&mut machine, above[usize::from(MAP_LEVELS - 1 - level)]);
        let lost = |page: u64| page != 1 && together(page, 1, level);
        let before = store.durable_epoch();
        let epoch = store.running_epoch();
        store
            .begin_snapshot(epoch, revenant_hal::Nanoseconds(0))
            .expect("nothing is in the making");
        let (page, frame) = (revenant_hal::PageIndex(1), revenant_hal::FrameIndex(1));
        *revenant_hal::FrameMemory::bytes_mut(&mut machine.frames, frame) = content(55);
        store.write_page(page, frame, revenant_store::Copies::One);
        store.finish_snapshot();
        let mut steps = Random::new(seed).below(60);
        while steps > 0 && !store.next_event().is_some_and(committed) {
            steps -= 1;
            if store.step(&mut machine.disk, &mut machine.frames)
                == revenant_store::StepOutcome::Waiting
                && let Some(completion) = machine.poll()
            {
                store.complete(completion, &mut machine.frames);
            }
        }
        let image = machine.disk.cut(&mut machine.frames, &mut Seeded::new(seed));
        let mut machine = Machine::new(image, seed);
        let (mut store, report) = machine.open(request_for(7)).expect("it opens");
        assert!(report.epoch == before || report.epoch == epoch, "seed {seed}");
        let mut now = model.clone();
        let taken = report.epoch == epoch;
        if taken {
            now.insert(1, 55);
        }
        verify(&mut machine, &mut store, &now, |page| lost(page) || !taken && page == 1);
        checked(&mut machine, &store.superblock().clone());
        for round in 0..6 {
            let changes = pages(&[(1, 600 + round), (20_000 + round, 5)]);
            assert!(matches!(machine.snapshot(&mut store, &changes), End::Committed(..)));
            now = apply(&now, &changes);
        }
        verify(&mut machine, &mut store, &now, |page| {
            lost(page) && !(20_000..20_006).contains(&page)
        });
        assert!(machine.matches(&mut store, Some(older), &first));
        checked(&mut machine, &store.superblock().clone());
    }
}

fn committed(event: StoreEvent) -> bool {
    matches!(event, StoreEvent::Committed { .. })
}

/// The references of the free-space tree below a reference, its nodes of `levels` levels.
fn free_space(image: &Image, root: Reference, levels: u8) -> Vec<Vec<Reference>> {
    let mut all = vec![vec![root]];
    for _ in 0..levels {
        let nodes = all.last().expect("it begins with the root");
        let below = nodes.iter().flat_map(|reference| {
            let node = node(image, *reference);
            node.references().filter(|child| !child.is_zero()).collect::<Vec<_>>()
        });
        let below = below.collect();
        all.push(below);
    }
    all
}

/// Opens a store and waits until its bitmaps are loaded; the reports of lost space, and whether it writes.
fn open_and_load(machine: &mut Machine, session: u128) -> (Store, usize) {
    let (mut store, _) = machine.open(request_for(session)).expect("it opens");
    let mut lost = 0;
    while let Some(event) = machine.event(&mut store) {
        lost += usize::from(matches!(event, StoreEvent::Report(Event::FreeSpaceLost { .. })));
    }
    (store, lost)
}

#[test]
fn what_a_rotten_bitmap_described_counts_as_used_and_the_allocator_moves_on() {
    for (blocks, levels) in [(131_072, 1), (5 << 20, 2)] {
        let mut machine = formatted(blocks, 240);
        let (mut store, _) = machine.open(request_for(1)).expect("it opens");
        let mut model: Pages = (0..300).map(|page| (page * 50, page + 1)).collect();
        assert!(matches!(machine.snapshot(&mut store, &model), End::Committed(..)));
        assert!(matches!(machine.snapshot(&mut store, &pages(&[(1, 1)])), End::Committed(..)));
        model.insert(1, 1);
        let healthy = machine.disk.visible();
        let tree = free_space(&healthy, store.superblock().free_root, levels);
        let rotten =
            tree[1..].iter().flat_map(|level| level.iter().step_by(level.len().div_ceil(4)));
        for (number, reference) in rotten.enumerate() {
            let mut machine = Machine::new(healthy.clone(), number as u64);
            rot(&mut machine, *reference);
            let (mut store, lost) = open_and_load(&mut machine, 2);
            assert_eq!((lost, store.read_only()), (1, None));
            let mut model = model.clone();
            for round in 0..8 {
                let changes =
                    (0..40).map(|i| ((i * 37 + round * 11) % 15_000, i + round * 50)).collect();
                let end = machine.snapshot(&mut store, &changes);
                assert!(matches!(end, End::Committed(..)), "{end:?}");
                model = apply(&model, &changes);
                checked(&mut machine, &store.superblock().clone());
            }
            let (mut store, lost) = open_and_load(&mut machine, 3);
            assert_eq!(lost, 0, "the next commit has written a whole one");
            assert!(machine.matches(&mut store, None, &model));
            assert!(
                checked(&mut machine, &store.superblock().clone()) > 0,
                "space is lost, no more"
            );
        }
        // With all of them rotten nothing can be handed out: readable, and no more.
        let mut machine = Machine::new(healthy, 9);
        tree[1].iter().for_each(|reference| rot(&mut machine, *reference));
        let (mut store, _) = open_and_load(&mut machine, 2);
        assert!(store.read_only().is_some());
        assert!(machine.matches(&mut store, None, &model));
    }
}

#[test]
fn a_node_that_rots_while_a_good_copy_is_in_ram_heals() {
    let (mut machine, mut store, _, _, model) = prepared(250);
    assert!(machine.matches(&mut store, None, &model));
    for reference in path(&machine.disk.visible(), store.superblock().root, 1) {
        rot(&mut machine, reference);
    }
    assert!(matches!(machine.snapshot(&mut store, &pages(&[(1, 5)])), End::Committed(..)));
    let (mut store, _) = machine.open(request_for(3)).expect("it opens");
    assert!(machine.matches(&mut store, None, &apply(&model, &pages(&[(1, 5)]))));
    assert_ne!(store.superblock().root.block, BlockIndex(0));
}
