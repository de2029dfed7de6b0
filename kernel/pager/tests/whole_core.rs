//! The whole core below the virtual machine: pager, store, simulated MMU and disk. Programs run, snapshots are taken, the disk
//! fails, the power goes, also while the store is being opened; every resume equals the flip of the epoch resumed.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use core::panic::AssertUnwindSafe;
use revenant_hal::{DiskOperation, PageIndex};
use revenant_sim::{Fault, FaultEffect, FaultTarget, Random};
use revenant_store::Planted;
use std::panic::catch_unwind;
use support::real_store::{RealStore, Troubles};
use support::simulation::{Tally, simulate, simulate_with};
use support::{Plan, World};

#[test]
fn every_resume_equals_the_flip_of_the_epoch_resumed() {
    let troubles = Troubles { cut_opening_one_in: 3, ..Troubles::default() };
    let mut total = Tally::default();
    for seed in 0..12 {
        let tally = simulate(seed, &troubles, 4000, 800)
            .unwrap_or_else(|text| panic!("seed {seed}: {text}"));
        total.add(&tally);
    }
    println!("{total:?}");
    assert!(total.cuts > 30 && total.commits > 60 && total.copies > 100, "{total:?}");
    assert!(total.pages_evicted > 100 && total.pages_discarded > 300, "{total:?}");
}

#[test]
fn writes_and_flushes_that_fail_cost_a_snapshot_and_nothing_else() {
    let faults = vec![fault(DiskOperation::Write, 150), fault(DiskOperation::Flush, 12)];
    let troubles = Troubles { faults, cut_opening_one_in: 5, ..Troubles::default() };
    let mut total = Tally::default();
    for seed in 100..108 {
        let tally = simulate(seed, &troubles, 4000, 800)
            .unwrap_or_else(|text| panic!("seed {seed}: {text}"));
        total.add(&tally);
    }
    println!("{total:?}");
    assert!(total.abandoned > 5 && total.commits > 20 && total.cuts > 15, "{total:?}");
}

/// Memory for a part of the pages, every reserve at its minimum, a flip now and then: most of what is stored goes to the disk before
/// its flip.
#[test]
fn pages_that_went_before_their_flip_survive_faults_and_cuts() {
    let faults = vec![fault(DiskOperation::Write, 80), fault(DiskOperation::Flush, 12)];
    // 2040: a page was read while it was being copied after a failed snapshot, from where it did not stand yet.
    let failing = (300..305).chain([2040]);
    for (faults, seeds) in [(Vec::new(), (200..205).collect()), (faults, failing.collect())] {
        let seeds: Vec<u64> = seeds;
        let troubles = Troubles { faults, cut_opening_one_in: 5, ..Troubles::default() };
        let mut total = Tally::default();
        for seed in seeds {
            let tally = simulate_with(Plan::of_the_cleaner, seed, &troubles, 4000, 1200)
                .unwrap_or_else(|text| panic!("seed {seed}: {text}"));
            total.add(&tally);
        }
        println!("{total:?}");
        assert!(total.pages_cleaned > 500 && total.cuts > 15, "{total:?}");
        let failed = total.pages_not_cleaned > 0 && total.abandoned > 0;
        assert!(failed || troubles.faults.is_empty(), "{total:?}");
    }
}

/// One in so many of these operations fails.
const fn fault(operation: DiskOperation, one_in: u64) -> Fault {
    Fault { operation, target: FaultTarget::OneIn(one_in), effect: FaultEffect::Fail }
}

/// The same with a snapshot in the making nearly all the time: much of what is stored goes to the disk in the epoch after it.
#[test]
fn pages_that_went_while_a_snapshot_was_in_the_making_survive_faults_and_cuts() {
    let faults = vec![fault(DiskOperation::Write, 150), fault(DiskOperation::Flush, 12)];
    for (faults, seeds) in [(Vec::new(), 400..405), (faults, 500..505)] {
        let troubles = Troubles { faults, cut_opening_one_in: 5, ..Troubles::default() };
        let mut total = Tally::default();
        for seed in seeds {
            let tally = simulate_with(Plan::of_the_busy_cleaner, seed, &troubles, 4000, 1200)
                .unwrap_or_else(|text| panic!("seed {seed}: {text}"));
            total.add(&tally);
        }
        println!("{total:?}");
        assert!(total.pages_cleaned_meanwhile > 300 && total.cuts > 15, "{total:?}");
        assert!(total.abandoned > 10 || troubles.faults.is_empty(), "{total:?}");
    }
    let bugs =
        [Planted::NextOverlayMerged, Planted::OlderOverlayFirst, Planted::OverlayInOlderSuperblock];
    let faults = vec![fault(DiskOperation::Flush, 12)];
    let troubles = Troubles { faults, ..Troubles::default() };
    caught_with(Plan::of_the_busy_cleaner, &bugs, 12, 800, &troubles);
}

/// Each of these bugs of the store shows in one of so many seeds; `session` as for [`simulate`].
fn caught(bugs: [Planted; 2], seeds: u64, session: u64) {
    let plan = |random: &mut Random| Plan {
        cut_one_in: 0,
        flip_one_in: 40,
        discard_one_in: 150,
        ..Plan::by_seed(random)
    };
    caught_with(plan, &bugs, seeds, session, &Troubles::default());
}

fn caught_with(
    plan: fn(&mut Random) -> Plan,
    bugs: &[Planted],
    seeds: u64,
    session: u64,
    troubles: &Troubles,
) {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    for planted in bugs {
        let troubles = Troubles { planted: *planted, ..troubles.clone() };
        let caught = (0..seeds).find_map(|seed| {
            let run = || simulate_with(plan, seed, &troubles, 4000, session);
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(_)) => None,
                Ok(Err(text)) => Some(text),
                Err(_) => Some("assertion".into()),
            }
        });
        println!("{planted:?}: {caught:?}");
        assert!(caught.is_some(), "{planted:?} went unnoticed");
    }
    std::panic::set_hook(quiet);
}

#[test]
fn a_skipped_flush_of_the_store_is_caught() {
    caught([Planted::DataFlushSkipped, Planted::SuperblockFlushSkipped], 12, 200);
}

#[test]
fn an_overlay_that_the_store_loses_is_caught() {
    caught([Planted::OverlayLost, Planted::OverlayUnseen], 24, 800);
}

#[test]
fn discards_that_the_store_forgets_are_caught() {
    caught([Planted::DiscardUnseen, Planted::DiscardNotCommitted], 24, 800);
}

/// A page that was stored to rots between two boots; then programs run. Whether they met it as what it is.
fn rotten_page(planted: revenant_pager::Planted) -> Result<(), String> {
    let mut random = Random::new(9);
    let store = RealStore::new(8192, Troubles::default(), 9);
    let plan = Plan { cut_one_in: 0, discard_one_in: 0, ..Plan::roomy(&mut random) };
    let mut world = World::new(store, plan, random);
    world.run(1500)?;
    world.settle()?;
    assert!(world.flip()?);
    world.settle()?;
    let (page, bytes) = world.model.first_key_value().expect("a page was stored to");
    let (page, bytes) = (PageIndex(*page), bytes.clone());
    assert!(world.backing.rot(page, &bytes), "the page is on the disk");
    world.plant(planted);
    world.cut()?;
    match world.wait_for(page, false) {
        Err(text) if text.contains("Unreadable") => {}
        Err(text) => return Err(text),
        Ok(_) => println!("{planted:?}: {page:?} came in"),
    }
    world.run(1500)?;
    if world.unreadable_seen > 0 { Ok(()) } else { Err("no program met the page".into()) }
}

#[test]
fn a_rotten_page_is_a_value_and_every_other_page_is_as_it_was() {
    assert_eq!(rotten_page(revenant_pager::Planted::None), Ok(()));
}

#[test]
fn a_read_error_taken_for_an_empty_page_is_caught() {
    let caught = rotten_page(revenant_pager::Planted::ReadErrorAsZeros).expect_err("not caught");
    println!("ReadErrorAsZeros: {caught}");
    assert!(caught.contains("does not hold what was stored"), "{caught}");
}
