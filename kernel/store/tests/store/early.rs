//! Pages written before their flip: where they are read, what becomes of them in a snapshot, when one is given up, when the power
//! goes, and what they cost. `histories` does all that by chance.

use crate::common::{
    End, FRAMES, Machine, Pages, apply, content, copies, formatted, pages, request,
};
use revenant_hal::{DiskOperation, FrameIndex, FrameMemory, Nanoseconds, PageBytes, PageIndex};
use revenant_sim::{Fault, FaultEffect, FaultTarget, KeepNone};
use revenant_store::{
    Copies, EarlyStatistics, Lookup, PageContent, Planted, Purpose, Store, StoreEvent,
};

pub(crate) fn opened(machine: &mut Machine, session: u128) -> Store {
    let mut request = request(session);
    request.options.failures_until_read_only = 100;
    let mut store = machine.open(request).expect("it opens").0;
    while machine.event(&mut store).is_some() {} // until it knows which blocks are free
    store
}

/// The next thing that is told, but for reports.
fn news(machine: &mut Machine, store: &mut Store) -> Option<StoreEvent> {
    loop {
        match machine.event(store) {
            Some(StoreEvent::Report(_)) => {}
            event => return event,
        }
    }
}

pub(crate) fn fail(machine: &mut Machine, operation: DiskOperation, nth: u64) {
    let (target, effect) = (FaultTarget::Nth(nth), FaultEffect::Fail);
    machine.disk.add_fault(Fault { operation, target, effect });
}

#[test]
fn a_page_written_early_is_read_where_it_stands_and_is_in_the_next_snapshot() {
    let mut machine = formatted(2048, 1);
    let mut store = opened(&mut machine, 1);
    let old = pages(&[(1, 1), (2, 2), (3, 3)]);
    assert!(matches!(machine.snapshot(&mut store, &old), End::Committed(..)));
    let first = store.durable_epoch();
    let early = pages(&[(1, 11), (2, 12), (700, 13)]);
    assert_eq!(machine.write_early(&mut store, &early), early);
    assert_eq!(store.lookup(PageIndex(700)), Lookup::Known(PageContent::Stored));
    assert!(machine.matches(&mut store, None, &apply(&old, &early)));
    assert!(machine.matches(&mut store, Some(first), &old));
    // One is given again, one discarded.
    let later = pages(&[(2, 22), (700, 0)]);
    let all = apply(&apply(&old, &early), &later);
    assert!(matches!(machine.snapshot(&mut store, &later), End::Committed(..)));
    assert!(machine.matches(&mut store, None, &all));
    assert!(machine.matches(&mut store, Some(first), &old));
    assert_eq!(store.early_statistics(), EarlyStatistics { written: 3, kept: 1, changed: 2 });
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
    let mut store = opened(&mut machine, 2);
    assert!(machine.matches(&mut store, None, &all));
}

#[test]
fn a_page_of_zeros_written_early_takes_no_block() {
    let mut machine = formatted(2048, 2);
    let mut store = opened(&mut machine, 1);
    assert!(matches!(machine.snapshot(&mut store, &pages(&[(1, 1)])), End::Committed(..)));
    let before = store.space().allocatable;
    store.reserve_first_dirtying(PageIndex(1), Copies::One, Purpose::Program).unwrap();
    *machine.frames.bytes_mut(FrameIndex(1)) = PageBytes::ZERO;
    assert!(store.write_early(PageIndex(1), FrameIndex(1)));
    let written = StoreEvent::PageWritten { page: PageIndex(1), frame: FrameIndex(1) };
    assert_eq!(news(&mut machine, &mut store), Some(written));
    assert_eq!(store.space().allocatable, before);
    assert_eq!(store.lookup(PageIndex(1)), Lookup::Known(PageContent::Zero));
    assert!(matches!(machine.snapshot(&mut store, &Pages::new()), End::Committed(..)));
    assert_eq!(machine.read(&mut store, None, 1), Ok(PageBytes::ZERO));
    assert_eq!(store.snapshots().entries().last().map(|last| last.pages), Some(0));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
}

/// Who writes a page again and again between two flips gets each block back at once: it is in no snapshot.
#[test]
fn a_page_rewritten_a_thousand_times_between_two_flips_costs_two_blocks() {
    let mut machine = formatted(1024, 3);
    let mut store = opened(&mut machine, 1);
    let old: Pages = (0..40).map(|page| (page, page + 1)).collect();
    assert!(matches!(machine.snapshot(&mut store, &old), End::Committed(..)));
    machine.write_early(&mut store, &pages(&[(7, 70)]));
    let before = store.space();
    for round in 0..1000 {
        let again = pages(&[(7, 100 + round)]);
        assert_eq!(machine.write_early(&mut store, &again), again, "round {round}");
        let (allocatable, charged) = (store.space().allocatable, store.space().charged);
        assert!(before.allocatable - allocatable <= 2, "round {round}: {:?}", store.space());
        assert!(charged <= before.charged + 2, "round {round}: {:?}", store.space());
    }
    // So does who discards it.
    store.discard(PageIndex(7)).unwrap();
    assert_eq!(machine.event(&mut store), None);
    assert_eq!(store.space().allocatable, before.allocatable + 1);
    assert_eq!(machine.read(&mut store, None, 7), Ok(PageBytes::ZERO));
    assert!(matches!(machine.snapshot(&mut store, &Pages::new()), End::Committed(..)));
    assert_eq!(store.space().charged, 0);
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
    assert!(machine.matches(&mut store, None, &apply(&old, &pages(&[(7, 0)]))));
}

/// A block that is given back is not handed out again while somebody reads it.
#[test]
fn a_block_that_is_being_read_is_not_handed_out_again() {
    let mut machine = formatted(1024, 4);
    let mut store = opened(&mut machine, 1);
    machine.write_early(&mut store, &pages(&[(7, 70)]));
    let before = store.space().allocatable;
    store.read_page(PageIndex(7), FrameIndex(1));
    let _ = store.step(&mut machine.disk, &mut machine.frames);
    store.discard(PageIndex(7)).unwrap();
    let _ = store.step(&mut machine.disk, &mut machine.frames);
    assert_eq!(store.space().allocatable, before, "the read is under way");
    let event = machine.event(&mut store);
    assert!(matches!(event, Some(StoreEvent::PageRead { result: Ok(_), .. })), "{event:?}");
    assert_eq!(machine.frames.bytes(FrameIndex(1)), &content(70));
    assert_eq!(machine.event(&mut store), None);
    assert_eq!(store.space().allocatable, before + 1);
}

/// Pages of two epochs written early; which snapshot has what.
fn two_overlays(planted: Planted) -> bool {
    let mut machine = formatted(2048, 5);
    let mut store = opened(&mut machine, 1);
    store.plant(planted);
    let first = pages(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
    assert_eq!(machine.write_early(&mut store, &first), first);
    let epoch = store.running_epoch();
    store.begin_snapshot(epoch, Nanoseconds(0)).expect("room");
    let second = pages(&[(1, 11), (5, 15), (6, 16), (7, 17)]);
    assert_eq!(machine.write_early(&mut store, &second), second);
    store.discard(PageIndex(2)).expect("room");
    store.discard(PageIndex(6)).expect("room");
    assert_eq!(machine.write_early(&mut store, &pages(&[(7, 27)])).len(), 1);
    let later = pages(&[(2, 0), (6, 0), (7, 27)]);
    let all = apply(&apply(&first, &second), &later);
    let newest_read = machine.matches(&mut store, None, &all);
    store.finish_snapshot();
    while machine.event(&mut store).is_some() {}
    assert_eq!(store.durable_epoch(), epoch);
    let whole = machine.check(store.superblock().clone()).problems.is_empty();
    let apart =
        machine.matches(&mut store, Some(epoch), &first) && machine.matches(&mut store, None, &all);
    assert!(matches!(machine.snapshot(&mut store, &Pages::new()), End::Committed(..)));
    let whole = whole && machine.check(store.superblock().clone()).problems.is_empty();
    assert_eq!(store.space().charged, 0);
    let mut store = opened(&mut machine, 2);
    newest_read && apart && whole && machine.matches(&mut store, None, &all)
}

#[test]
fn pages_of_the_next_epoch_are_written_while_a_snapshot_is_in_the_making() {
    assert!(two_overlays(Planted::None));
    for planted in [
        Planted::OverlayInOlderSuperblock,
        Planted::NextOverlayMerged,
        Planted::OlderOverlayFirst,
        Planted::OverlayUnseen,
    ] {
        let caught = std::panic::catch_unwind(|| two_overlays(planted));
        assert!(!matches!(caught, Ok(true)), "{planted:?}");
    }
}

/// RAM for pages written early that one epoch has used up is not the end for the next: it has a quarter more.
#[test]
fn an_epoch_that_has_used_up_the_room_leaves_some_to_the_next() {
    let mut machine = formatted(2048, 19);
    let mut request = request(1);
    request.options.early_pages = 8;
    let mut store = machine.open(request).expect("it opens").0;
    let all: Pages = (0..20).map(|page| (page, page + 1)).collect();
    assert_eq!(machine.write_early(&mut store, &all).len(), 8);
    let epoch = store.running_epoch();
    store.begin_snapshot(epoch, Nanoseconds(0)).expect("nothing is in the making");
    let others: Pages = (30..50).map(|page| (page, page + 1)).collect();
    assert_eq!(machine.write_early(&mut store, &others).len(), 2);
    store.finish_snapshot();
    while machine.event(&mut store).is_some() {}
    assert_eq!((store.durable_epoch(), store.early_room()), (epoch, 6));
}

/// What was written for the next epoch outlives a snapshot that is given up, and wins over what that had.
#[test]
fn when_a_snapshot_is_given_up_the_newer_of_two_overlays_wins() {
    let mut machine = formatted(2048, 12);
    let mut store = opened(&mut machine, 1);
    let first = pages(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
    assert_eq!(machine.write_early(&mut store, &first), first);
    let epoch = store.running_epoch();
    store.begin_snapshot(epoch, Nanoseconds(0)).unwrap();
    let second = pages(&[(1, 11), (5, 15)]);
    assert_eq!(machine.write_early(&mut store, &second), second);
    store.discard(PageIndex(2)).unwrap();
    store.abandon_snapshot();
    while machine.event(&mut store).is_some() {}
    assert_eq!((store.durable_epoch().0, store.is_committing()), (0, false));
    let all = apply(&apply(&first, &second), &pages(&[(2, 0)]));
    assert!(machine.matches(&mut store, None, &all));
    assert_eq!(store.early_room(), 0, "nothing more before that is put right");
    assert!(matches!(machine.snapshot(&mut store, &Pages::new()), End::Committed(..)));
    assert!(machine.matches(&mut store, None, &all));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
    assert_eq!(store.space().charged, 0);
}

/// A write for the next epoch fails: that is no matter of the snapshot in the making.
#[test]
fn a_write_for_the_next_epoch_that_fails_does_not_cost_the_snapshot() {
    let mut machine = formatted(2048, 13);
    let mut store = opened(&mut machine, 1);
    assert!(matches!(machine.snapshot(&mut store, &pages(&[(1, 1)])), End::Committed(..)));
    let epoch = store.running_epoch();
    store.begin_snapshot(epoch, Nanoseconds(0)).unwrap();
    fail(&mut machine, DiskOperation::Write, 0);
    machine.begin_early(&mut store, &pages(&[(1, 11)]));
    let not_written = StoreEvent::PageNotWritten { page: PageIndex(1), frame: FrameIndex(FRAMES) };
    assert_eq!(news(&mut machine, &mut store), Some(not_written));
    store.finish_snapshot();
    while machine.event(&mut store).is_some() {}
    assert_eq!(store.durable_epoch(), epoch);
    let new = pages(&[(1, 11)]);
    assert!(matches!(machine.snapshot_unreserved(&mut store, &new), End::Committed(..)));
    assert!(machine.matches(&mut store, None, &new));
    assert_eq!(
        (store.space().charged, machine.check(store.superblock().clone()).problems.len()),
        (0, 0)
    );
}

/// Whoever stores without end while a snapshot is in the making fills the disk.
fn filled_while_a_snapshot_is_made(seed: u64, planted: Planted) -> Result<(), String> {
    let mut machine = formatted(1024, seed);
    let mut store = opened(&mut machine, 1);
    let old: Pages = (0..200).map(|page| (page, page + 1)).collect();
    assert!(matches!(machine.snapshot(&mut store, &pages(&[(0, 1)])), End::Committed(..)));
    store.plant(planted);
    for page in old.keys().map(|page| PageIndex(*page)) {
        let reserved = store.reserve_first_dirtying(page, Copies::One, Purpose::Program);
        reserved.expect("room for the first");
    }
    let epoch = store.running_epoch();
    store.begin_snapshot(epoch, Nanoseconds(0)).expect("nothing is in the making");
    let mut newer = Pages::new();
    loop {
        let page = 1000 + 7 * newer.len() as u64;
        let change = pages(&[(page, page)]);
        if machine.write_early(&mut store, &change) != change {
            break;
        }
        newer.extend(change);
    }
    assert!(newer.len() > 50, "{} pages", newer.len());
    let mut left = old.iter();
    while store.is_committing() {
        for (frame, (page, number)) in (0..16).map(FrameIndex).zip(left.by_ref()) {
            *machine.frames.bytes_mut(frame) = content(*number);
            store.write_page(PageIndex(*page), frame, Copies::One);
        }
        if left.len() == 0 {
            store.finish_snapshot();
        }
        while let Some(event) = machine.event(&mut store) {
            if matches!(event, StoreEvent::Abandoned { .. }) {
                return Err(format!("{event:?}"));
            }
        }
    }
    let all = apply(&old, &newer);
    for turn in ["that snapshot", "the next one"] {
        let problems = machine.check(store.superblock().clone()).problems;
        if !problems.is_empty() || !machine.matches(&mut store, None, &all) {
            return Err(format!("{turn}: {problems:?}"));
        }
        assert!(matches!(machine.snapshot(&mut store, &Pages::new()), End::Committed(..)));
    }
    Ok(())
}

#[test]
fn a_disk_that_the_next_epoch_fills_does_not_fail_the_snapshot_in_the_making() {
    for seed in 14..18 {
        assert_eq!(filled_while_a_snapshot_is_made(seed, Planted::None), Ok(()), "seed {seed}");
    }
    for planted in [Planted::LaterBlocksUnheld, Planted::NextOverlayMerged] {
        let caught = std::panic::catch_unwind(|| filled_while_a_snapshot_is_made(14, planted));
        assert!(!matches!(caught, Ok(Ok(()))), "{planted:?}");
    }
}

#[test]
fn a_write_that_fails_leaves_the_page_as_dirty_as_before() {
    let mut machine = formatted(2048, 6);
    let mut store = opened(&mut machine, 1);
    let old = pages(&[(1, 1), (2, 2)]);
    assert!(matches!(machine.snapshot(&mut store, &old), End::Committed(..)));
    fail(&mut machine, DiskOperation::Write, 0);
    machine.begin_early(&mut store, &pages(&[(1, 11)]));
    let frame = FrameIndex(FRAMES);
    let event = news(&mut machine, &mut store);
    assert_eq!(event, Some(StoreEvent::PageNotWritten { page: PageIndex(1), frame }));
    assert!(machine.matches(&mut store, None, &old), "the map still says what it held");
    // It is given to the snapshot without being charged again.
    let new = pages(&[(1, 11)]);
    assert!(matches!(machine.snapshot_unreserved(&mut store, &new), End::Committed(..)));
    assert!(machine.matches(&mut store, None, &apply(&old, &new)));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
}

/// The flip comes while the page is on its way, and then the write fails: that snapshot would lack it.
#[test]
fn a_write_that_fails_after_the_flip_costs_the_snapshot() {
    let mut machine = formatted(2048, 7);
    let mut store = opened(&mut machine, 1);
    fail(&mut machine, DiskOperation::Write, 0);
    machine.begin_early(&mut store, &pages(&[(1, 11)]));
    let end = machine.snapshot(&mut store, &Pages::new());
    assert!(matches!(end, End::Abandoned(_)), "{end:?}");
    let new = pages(&[(1, 11)]);
    assert!(matches!(machine.snapshot_unreserved(&mut store, &new), End::Committed(..)));
    assert!(machine.matches(&mut store, None, &new));
}

/// The story: a flush fails, and the device has dropped what it should have covered. The next flush succeeds and says nothing
/// about it. What was written before the flip is nowhere else.
fn early_pages_after_a_failed_flush(planted: Planted) -> Result<(), String> {
    let mut machine = formatted(2048, 8);
    let mut store = opened(&mut machine, 1);
    let old: Pages = (0..30).map(|page| (page, page + 1)).collect();
    for _ in 0..3 {
        assert!(matches!(machine.snapshot(&mut store, &old), End::Committed(..)));
    }
    store.plant(planted);
    let early: Pages = (10..20).map(|page| (page, page + 500)).collect();
    assert_eq!(machine.write_early(&mut store, &early), early);
    fail(&mut machine, DiskOperation::Flush, 0);
    let end = machine.snapshot(&mut store, &pages(&[(25, 900)]));
    assert!(matches!(end, End::Abandoned(_)), "{end:?}");
    assert_eq!(store.early_room(), 0, "nothing more before that is put right");
    assert!(machine.matches(&mut store, None, &apply(&old, &early)), "it can be read meanwhile");
    store.discard(PageIndex(12)).expect("room to note it");
    let end = machine.snapshot_unreserved(&mut store, &pages(&[(25, 900), (26, 901)]));
    if !matches!(end, End::Committed(..)) {
        return Err(format!("the next snapshot: {end:?}"));
    }
    let later = pages(&[(12, 0), (25, 900), (26, 901)]);
    let all = apply(&apply(&old, &early), &later);
    let image = machine.disk.cut(&mut machine.frames, &mut KeepNone);
    let mut machine = Machine::new(image, 9);
    let mut store = opened(&mut machine, 2);
    let problems = machine.check(store.superblock().clone()).problems;
    if !problems.is_empty() || !machine.matches(&mut store, None, &all) {
        return Err(format!("a snapshot that was reported is not whole: {problems:?}"));
    }
    Ok(())
}

#[test]
fn what_was_written_early_for_a_snapshot_that_was_given_up_is_written_again() {
    assert_eq!(early_pages_after_a_failed_flush(Planted::None), Ok(()));
    let believed = early_pages_after_a_failed_flush(Planted::EarlyBlocksBelieved);
    println!("{believed:?}");
    assert!(believed.is_err());
    let not_kept = || early_pages_after_a_failed_flush(Planted::EarlyBlocksNotKept);
    let not_kept = std::panic::catch_unwind(not_kept);
    assert!(!matches!(not_kept, Ok(Ok(()))), "{not_kept:?}");
}

/// What a superblock in between would say of the blocks of the snapshot to come: a cut leaks them.
#[test]
fn an_older_superblock_knows_nothing_of_the_overlay() {
    for planted in [Planted::None, Planted::OverlayInOlderSuperblock] {
        let mut machine = formatted(2048, 10);
        let mut store = opened(&mut machine, 1);
        assert!(matches!(machine.snapshot(&mut store, &pages(&[(1, 1)])), End::Committed(..)));
        store.plant(planted);
        machine.write_early(&mut store, &pages(&[(1, 11), (2, 12)]));
        let end = machine.commit_requests(&mut store);
        assert!(matches!(end, End::Committed(..)), "{end:?}");
        let problems = machine.check(store.superblock().clone()).problems;
        assert_eq!(problems.is_empty(), planted == Planted::None, "{problems:?}");
    }
}

#[test]
fn a_full_disk_takes_nothing_early_and_still_makes_its_snapshot() {
    let mut machine = formatted(1024, 11);
    let mut store = opened(&mut machine, 1);
    let (mut dirty, mut model, mut refused) = (Pages::new(), Pages::new(), 0);
    for page in 0.. {
        let index = PageIndex(page);
        if store.reserve_first_dirtying(index, copies(index), Purpose::Program).is_err() {
            break;
        }
        let frame = FrameIndex(FRAMES);
        *machine.frames.bytes_mut(frame) = content(page + 1);
        model.insert(page, page + 1);
        if copies(index) == Copies::One && store.write_early(index, frame) {
            let event = machine.event(&mut store);
            assert!(matches!(event, Some(StoreEvent::PageWritten { .. })), "{event:?}");
        } else {
            refused += 1;
            dirty.insert(page, page + 1);
        }
    }
    assert!(model.len() > 300 && refused > 0, "{} pages, {refused} refused", model.len());
    assert!(matches!(machine.snapshot_unreserved(&mut store, &dirty), End::Committed(..)));
    assert_eq!(store.space().charged, 0);
    assert!(machine.matches(&mut store, None, &model));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
}
