//! What a snapshot writes, by kind: told from the births of what its superblock reaches.

use crate::common::{End, Machine, Pages, formatted, pages, request};
use revenant_sim::Image;
use revenant_store::{
    MAP_LEVELS, Node, OpenRequest, Reference, RetentionOverride, Store, StoreOptions,
};

fn node(image: &Image, reference: Reference) -> Node {
    Node(Box::new(image.read(reference.block).clone()))
}

/// Blocks that were written for the newest snapshot, by kind; the superblock comes on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Written {
    pages: usize,
    leaves: usize,
    nodes: usize,
    bitmaps: usize,
    free_nodes: usize,
}

fn map(image: &Image, reference: Reference, level: u8, since: u64, found: &mut Written) {
    if reference.is_zero() || reference.birth.0 < since {
        return;
    }
    let blocks = reference.blocks().count();
    let Some(below) = level.checked_sub(1) else {
        found.pages += blocks;
        return;
    };
    match below {
        0 => found.leaves += blocks,
        _ => found.nodes += blocks,
    }
    node(image, reference).references().for_each(|child| map(image, child, below, since, found));
}

fn written(machine: &Machine, store: &Store) -> Written {
    let image = machine.disk.visible();
    let mut found = Written::default();
    let superblock = store.superblock();
    map(&image, superblock.root, MAP_LEVELS, superblock.epoch.0, &mut found);
    let root = superblock.free_root;
    if root.birth.0 == superblock.generation.0 {
        found.free_nodes += root.blocks().count();
        let bitmaps = node(&image, root);
        let new = bitmaps.references().filter(|bitmap| bitmap.birth == root.birth);
        found.bitmaps = new.map(|bitmap| bitmap.blocks().count()).sum();
    }
    found
}

/// One changed page in a snapshot costs at most 16 blocks beyond those of an idle one. It was 18 where no older snapshot is
/// kept: what each one freed was noted at once, in a bitmap of its own if the page had not been written for long.
#[test]
fn one_changed_page_costs_sixteen_blocks_and_deletion_is_paid_for_together() {
    const TOGETHER: u32 = 5;
    let retention = RetentionOverride::only_last(1);
    let options = StoreOptions { retention, deleted_together: TOGETHER, ..StoreOptions::default() };
    let mut machine = formatted(1 << 20, 6);
    let (mut store, _) = machine.open(OpenRequest { options, ..request(1) }).unwrap();
    let heap: Pages = (0..2000).map(|page| (page, page + 1)).collect();
    assert!(matches!(machine.snapshot(&mut store, &heap), End::Committed(..)));
    // This session allocates in another place: what it changes was written far away.
    let (mut store, _) = machine.open(OpenRequest { options, ..request(2) }).unwrap();
    machine.snapshot(&mut store, &pages(&[(1000, 1)])); // the allocator's own tree moves there
    let (mut idle, mut one) = (Vec::new(), Vec::new());
    let plain = Written { pages: 1, leaves: 1, nodes: 8, bitmaps: 4, free_nodes: 2 };
    let mut deletions = 0;
    for round in 0..25 {
        let End::Committed(_, blocks) = machine.snapshot(&mut store, &pages(&[])) else { panic!() };
        idle.push(blocks);
        let before = store.snapshots().entries().len();
        let changes = pages(&[(1001 + round, 9000 + round)]);
        let End::Committed(_, blocks) = machine.snapshot(&mut store, &changes) else { panic!() };
        let kinds = written(&machine, &store);
        let deleted = store.snapshots().entries().len() <= before;
        one.push(blocks);
        deletions += usize::from(deleted);
        assert_eq!(Written { bitmaps: 4, ..kinds }, plain, "round {round}");
        assert!(kinds.bitmaps == 4 || deleted && kinds.bitmaps <= 8, "round {round}: {kinds:?}");
    }
    assert!((6..=10).contains(&deletions), "more than five at a time: {deletions}");
    let sum = |blocks: &[u64]| blocks.iter().sum::<u64>();
    println!("idle {idle:?} one {one:?}");
    assert_eq!(sum(&idle), 25, "{idle:?}");
    assert!(sum(&one) < 25 * 18, "{} and {}", sum(&idle), sum(&one));
    idle.sort_unstable();
    one.sort_unstable();
    assert!(one[12] <= idle[12] + 16, "median {} beside {}", one[12], idle[12]);
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
}
