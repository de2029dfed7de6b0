//! Pages written, committed, read back: over sessions, from older snapshots, with damage.

use crate::common::{End, Machine, apply, content, copies, formatted, options, pages, request};
use revenant_hal::{BlockIndex, Epoch, FrameIndex, FrameMemory, Nanoseconds, PageBytes, PageIndex};
use revenant_store::{BlockRole, Lookup, PageContent, Problem, Purpose, StoreEvent};

#[test]
fn a_fresh_store_has_nothing_and_checks_clean() {
    let mut machine = formatted(2048, 1);
    let (mut store, report) = machine.open(request(1)).unwrap();
    assert_eq!(report.epoch, Epoch(0));
    assert_eq!(machine.read(&mut store, None, 77), Ok(PageBytes::ZERO));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
}

#[test]
fn what_was_committed_is_there_in_the_next_session_and_in_older_snapshots() {
    let mut machine = formatted(2048, 2);
    let (mut store, _) = machine.open(request(1)).unwrap();
    let first = pages(&[(0, 1), (1, 2), (128, 3), (5_000_000, 4), (u64::from(u32::MAX) - 3, 5)]);
    let End::Committed(old, _) = machine.snapshot(&mut store, &first) else { panic!("commit") };
    let changes = pages(&[(1, 20), (2, 21), (128, 0)]);
    let second = apply(&first, &changes);
    assert!(matches!(machine.snapshot(&mut store, &changes), End::Committed(..)));
    for _ in 0..2 {
        assert!(machine.matches(&mut store, None, &second));
        assert!(machine.matches(&mut store, Some(old), &first));
        assert_eq!(machine.check(store.superblock().clone()).problems, []);
        (store, _) = machine.open(request(2)).unwrap();
    }
    assert_eq!(store.snapshots().entries().last().map(|last| last.pages), Some(5));
}

/// Memory that was taken and given back as zeros costs no block, and what stood there before gives its block up; a page of the system
/// is written whatever it holds.
#[test]
fn a_page_of_zeros_stands_nowhere() {
    let mut machine = formatted(2048, 12);
    let (mut store, _) = machine.open(request(1)).unwrap();
    let full = pages(&[(1, 1), (2, 2), (3, 3), (1000, 4)]);
    let End::Committed(old, _) = machine.snapshot(&mut store, &full) else { panic!("commit") };
    let epoch = store.running_epoch();
    for page in [1, 2, 5, 1000] {
        let copies = copies(PageIndex(page));
        store.reserve_first_dirtying(PageIndex(page), copies, Purpose::Program).unwrap();
    }
    store.begin_snapshot(epoch, Nanoseconds(0)).unwrap();
    for (frame, page, number) in [(1, 1, 0), (2, 2, 22), (3, 5, 0), (4, 1000, 0)] {
        let bytes = if number == 0 { PageBytes::ZERO } else { content(number) };
        *machine.frames.bytes_mut(FrameIndex(frame)) = bytes;
        store.write_page(PageIndex(page), FrameIndex(frame), copies(PageIndex(page)));
    }
    store.finish_snapshot();
    let mut written = 0;
    while let Some(event) = machine.event(&mut store) {
        written += u64::from(matches!(event, StoreEvent::PageWritten { .. }));
    }
    assert_eq!((written, store.durable_epoch()), (4, epoch));
    for (page, holds) in [(1, 0), (2, 22), (3, 3), (5, 0), (1000, 0)] {
        let holds = if holds == 0 { PageBytes::ZERO } else { content(holds) };
        assert_eq!(machine.read(&mut store, None, page), Ok(holds));
    }
    assert_eq!(machine.read(&mut store, Some(old), 1), Ok(content(1)));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
    let stored = store.snapshots().get(epoch).map(|snapshot| snapshot.pages);
    assert_eq!(stored, Some(3), "2, 3, and the system's page of zeros");
}

#[test]
fn many_snapshots_in_constant_space() {
    let mut machine = formatted(2048, 3);
    let (mut store, _) = machine.open(request(1)).unwrap();
    let mut model = crate::common::Pages::new();
    let mut free = Vec::new();
    for round in 0..60u64 {
        let changes = (0..20).map(|i| ((i * 37 + round * 11) % 300, round * 100 + i + 1)).collect();
        model = apply(&model, &changes);
        let end = machine.snapshot(&mut store, &changes);
        assert!(matches!(end, End::Committed(..)), "round {round}: {end:?}");
        free.push(store.space().allocatable);
    }
    assert_eq!(store.snapshots().entries().len(), 3);
    assert!(machine.matches(&mut store, None, &model));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
    assert!(free[59].abs_diff(free[40]) < 100, "no block is lost: {free:?}");
}

#[test]
fn a_rotten_page_is_an_error_that_names_it_and_the_others_go_on() {
    let mut machine = formatted(2048, 4);
    let (mut store, _) = machine.open(request(1)).unwrap();
    let model = pages(&[(1, 1), (2, 2), (3, 3), (1000, 4)]);
    assert!(matches!(machine.snapshot(&mut store, &model), End::Committed(..)));
    let block_of = |machine: &Machine, number: u64| {
        let image = machine.disk.visible();
        let found: Vec<BlockIndex> =
            image.written().filter(|block| *image.read(*block) == content(number)).collect();
        found
    };
    let rotten = block_of(&machine, 2)[0];
    machine.disk.damage(rotten, |bytes| bytes[9] ^= 4);
    let damage = machine.read(&mut store, None, 2).unwrap_err();
    assert_eq!(damage.block, rotten);
    assert_eq!(damage.role, BlockRole::Page(revenant_hal::PageIndex(2)));
    assert_eq!(machine.read(&mut store, None, 1), Ok(content(1)));
    assert_eq!(machine.read(&mut store, None, 3), Ok(content(3)));
    // A page with two copies survives the loss of either, and the check tells.
    let twice = block_of(&machine, 4);
    assert_eq!(twice.len(), 2);
    assert!(twice[0].0.abs_diff(twice[1].0) > 200, "in distant places: {twice:?}");
    machine.disk.damage(twice[1], |bytes| bytes[0] ^= 1);
    assert_eq!(machine.read(&mut store, None, 1000), Ok(content(4)));
    machine.disk.damage(twice[1], |bytes| bytes[0] ^= 1);
    machine.disk.damage(twice[0], |bytes| bytes[0] ^= 1);
    assert_eq!(machine.read(&mut store, None, 1000), Ok(content(4)));
    let report = machine.check(store.superblock().clone());
    let lost = |problem: &&Problem| matches!(problem, Problem::Damaged { lost: true, .. });
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
    assert_eq!(report.problems.iter().filter(lost).count(), 1);
}

#[test]
fn a_store_knows_zero_pages_without_reading() {
    let mut machine = formatted(2048, 5);
    let (mut store, _) = machine.open(request(1)).unwrap();
    let model = pages(&[(1, 1)]);
    assert!(matches!(machine.snapshot(&mut store, &model), End::Committed(..)));
    let page = revenant_hal::PageIndex;
    assert_eq!(store.lookup(page(1)), Lookup::Known(PageContent::Stored));
    assert_eq!(store.lookup(page(2)), Lookup::Known(PageContent::Zero));
    let (store, report) = machine.open(request(2)).unwrap();
    assert_eq!(store.lookup(page(1)), Lookup::NeedsRead);
    assert_eq!(store.lookup(page(1 << 31)), Lookup::Known(PageContent::Zero));
    assert!(report.blocks_read <= 40, "{}", report.blocks_read);
}

#[test]
fn idle_and_small_snapshots_cost_few_blocks() {
    let mut machine = formatted(262_144, 6);
    let mut request = request(1);
    request.options = options(4);
    let (mut store, _) = machine.open(request).unwrap();
    let heap = (0..2000).map(|page| (page * 3, page + 1)).collect();
    assert!(matches!(machine.snapshot(&mut store, &heap), End::Committed(..)));
    let mut worst = (0, 0);
    for round in 0..20 {
        let End::Committed(_, idle) = machine.snapshot(&mut store, &pages(&[])) else { panic!() };
        let one = pages(&[(round * 200, 9000 + round)]);
        let End::Committed(_, changed) = machine.snapshot(&mut store, &one) else { panic!() };
        worst = (worst.0.max(idle), worst.1.max(changed));
    }
    println!("blocks of an empty snapshot {}, of one with a changed page {}", worst.0, worst.1);
    assert!(worst.0 <= 16, "an empty snapshot: {worst:?}");
    assert!(worst.1 <= worst.0 + 16, "one changed page: {worst:?}");
}
