//! What the device is told of free blocks: all of it, in bounded portions, never what somebody may still read or write.

use crate::common::{End, Machine, Pages, apply, formatted_with, pages, telling};
use revenant_hal::DiskOperation;
use revenant_sim::{Fault, FaultEffect, FaultTarget, Random, SimDiskOptions, SimFrames};
use revenant_store::{OpenRequest, Planted, ReadOnlyReason, Store, StoreOptions, TrimOptions};

/// Turns after which a store that nothing is asked of has told everything that it may after one commit.
const LONG: u64 = 2000;

fn discarding(seed: u64, discard_blocks: u32) -> SimDiskOptions {
    SimDiskOptions { seed, discard_blocks, ..SimDiskOptions::default() }
}

fn opened(machine: &mut Machine, trim: TrimOptions) -> Store {
    let request = telling(1, 1);
    let options = StoreOptions { trim, ..request.options };
    machine.open(OpenRequest { options, ..request }).expect("it opens").0
}

fn commit(machine: &mut Machine, store: &mut Store, changes: &Pages) {
    let end = machine.snapshot(store, changes);
    assert!(matches!(end, End::Committed(..)), "{end:?}");
    machine.rest(store, LONG);
}

#[test]
fn what_becomes_free_is_told_once_in_bounded_portions() {
    let mut machine = formatted_with(4096, discarding(1, 64));
    let mut store = opened(&mut machine, TrimOptions { run: 16, batch: 200, requests: 5 });
    assert_eq!(machine.disk.operation_counts()[3], 0, "nothing before a commit");
    let free = store.space().allocatable;
    let mut commits = 0;
    loop {
        let before = (machine.disk.operation_counts()[3], store.blocks_trimmed());
        commit(&mut machine, &mut store, &pages(&[]));
        let told = store.blocks_trimmed() - before.1;
        assert!(machine.disk.operation_counts()[3] - before.0 <= 5 && told <= 5 * 64);
        commits += 1;
        if told == 0 {
            break;
        }
    }
    assert!(commits > 10 && store.blocks_trimmed() > free - 200, "{}", store.blocks_trimmed());
    let told = store.blocks_trimmed();
    let heap: Pages = (0..600).map(|page| (page, page + 1)).collect();
    for part in heap.iter().collect::<Vec<_>>().chunks(60) {
        commit(&mut machine, &mut store, &part.iter().map(|(page, n)| (**page, **n)).collect());
    }
    assert!(machine.matches(&mut store, None, &heap));
    let kept: Pages = heap.range(..10).map(|(page, number)| (*page, *number)).collect();
    for part in heap.range(10..).collect::<Vec<_>>().chunks(60) {
        commit(&mut machine, &mut store, &part.iter().map(|(page, _)| (**page, 0)).collect());
    }
    for _ in 0..8 {
        commit(&mut machine, &mut store, &pages(&[]));
    }
    assert!(store.blocks_trimmed() - told >= 590, "{} of 590", store.blocks_trimmed() - told);
    assert!(machine.matches(&mut store, None, &kept));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
    let mut told = 0;
    for _ in 0..20 {
        let discards = machine.disk.operation_counts()[3];
        commit(&mut machine, &mut store, &pages(&[(7, 1)]));
        told += u32::from(machine.disk.operation_counts()[3] > discards);
    }
    assert!((1..=3).contains(&told), "what a commit frees is told with that of others: {told}");
}

#[test]
fn a_device_that_fails_to_discard_is_not_asked_again_and_nothing_else_happens() {
    let mut machine = formatted_with(2048, discarding(2, 64));
    let mut store = opened(&mut machine, crate::common::TELL_ALL);
    let (operation, effect) = (DiskOperation::Discard { blocks: 0 }, FaultEffect::Fail);
    machine.disk.add_fault(Fault { operation, target: FaultTarget::Nth(1), effect });
    let free = store.space();
    for round in 0..6u64 {
        commit(&mut machine, &mut store, &pages(&[(round, round + 1)]));
    }
    assert_eq!((machine.disk.operation_counts()[3], store.blocks_trimmed()), (2, 64));
    assert_eq!(store.read_only(), None);
    assert!(store.space().allocatable + 60 > free.allocatable, "nothing stays locked");
    let model = (0..6).map(|page| (page, page + 1)).collect();
    assert!(machine.matches(&mut store, None, &model));
}

#[test]
fn a_disk_that_another_machine_has_opened_is_left_alone() {
    let mut machine = formatted_with(2048, discarding(3, 64));
    let mut store = opened(&mut machine, crate::common::TELL_ALL);
    assert!(matches!(machine.snapshot(&mut store, &pages(&[(1, 1)])), End::Committed(..)));
    let disk = machine.disk.second_opener(discarding(4, 0));
    let mut other = Machine { disk, frames: SimFrames::new(64, 4), beside: Pages::new() };
    let (mut second, _) = other.open(telling(2, 1)).expect("it opens");
    machine.rest(&mut store, LONG);
    assert_eq!(store.read_only(), Some(ReadOnlyReason::ForeignSession));
    assert_eq!(machine.disk.operation_counts()[3], 0);
    assert!(matches!(other.snapshot(&mut second, &pages(&[(2, 2)])), End::Committed(..)));
    assert!(other.matches(&mut second, None, &pages(&[(1, 1), (2, 2)])));
}

/// Snapshots of a disk that is half full, begun while the device is being told: all that is free is soon handed out again.
fn beside_commits(seed: u64, planted: Planted) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut machine = formatted_with(1024, discarding(seed, 24));
    let mut store = opened(&mut machine, crate::common::TELL_ALL);
    store.plant(planted);
    let mut model = Pages::new();
    for round in 0..60u64 {
        let changes: Pages =
            (0..40).map(|_| (random.below(120), round * 1000 + random.below(1000))).collect();
        let end = machine.snapshot(&mut store, &changes);
        if !matches!(end, End::Committed(..)) {
            return Err(format!("seed {seed}, round {round}: {end:?}"));
        }
        model = apply(&model, &changes);
        machine.rest(&mut store, random.below(80));
    }
    if store.blocks_trimmed() < 1000 {
        return Err(format!("seed {seed}: only {} blocks were told", store.blocks_trimmed()));
    }
    if !machine.matches(&mut store, None, &model) {
        return Err(format!("seed {seed}: a page changed"));
    }
    let problems = machine.check(store.superblock().clone()).problems;
    problems.first().map_or(Ok(()), |problem| Err(format!("seed {seed}: {problem}")))
}

#[test]
fn what_the_device_is_being_told_of_is_not_handed_out() {
    for seed in 0..10 {
        assert_eq!(beside_commits(seed, Planted::None), Ok(()));
    }
    let caught = |seed| {
        let run = std::panic::catch_unwind(|| beside_commits(seed, Planted::TrimmedUnlocked));
        !matches!(run, Ok(Ok(())))
    };
    assert!((0..10).any(caught), "blocks handed out while they were discarded went unseen");
}
