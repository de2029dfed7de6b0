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
use support::simulation::{Tally, simulate};
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
    assert!(total.pages_evicted > 200, "{total:?}");
}

#[test]
fn writes_and_flushes_that_fail_cost_a_snapshot_and_nothing_else() {
    let fault = |operation, one_in| Fault {
        operation,
        target: FaultTarget::OneIn(one_in),
        effect: FaultEffect::Fail,
    };
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

#[test]
fn a_skipped_flush_of_the_store_is_caught() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    for planted in [Planted::DataFlushSkipped, Planted::SuperblockFlushSkipped] {
        let troubles = Troubles { planted, ..Troubles::default() };
        let caught = (0..12).find_map(|seed| {
            let run = || simulate(seed, &troubles, 4000, 200);
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
fn a_rotten_page_is_a_value_and_every_other_page_is_as_it_was() {
    let mut random = Random::new(9);
    let store = RealStore::new(8192, Troubles::default(), 9);
    let plan = Plan { cut_one_in: 0, ..Plan::roomy(&mut random) };
    let mut world = World::new(store, plan, random);
    world.run(1500).expect("a run");
    world.settle().expect("the end of what is in the making");
    assert!(world.flip().expect("the checks hold"));
    world.settle().expect("a snapshot");
    let (page, bytes) = world.model.first_key_value().expect("a page was stored to");
    let (page, bytes) = (PageIndex(*page), bytes.clone());
    assert!(world.backing.rot(page, &bytes), "the page is on the disk");
    world.cut().expect("the others are as they were");
    let text = world.wait_for(page, true).expect_err("rotten");
    assert!(text.contains("Unreadable"), "{text}");
    world.run(1500).expect("programs go on");
    assert!(world.unreadable_seen > 0, "a program met the page");
}
