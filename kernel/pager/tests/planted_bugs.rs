//! Every bug that can be planted in the pager is caught: by the checker after a step, by a load that returns
//! something else than was stored, by an assertion at the persistence boundary, or by the comparison after a cut.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use core::panic::AssertUnwindSafe;
use revenant_pager::Planted;
use revenant_sim::Random;
use std::panic::catch_unwind;
use support::memory_store::{MemoryStore, Temper};
use support::{Plan, World};

/// Runs one seed, every other one in little memory; the failure in words, if there is one.
fn run(seed: u64, planted: Planted) -> Option<String> {
    let mut random = Random::new(seed);
    let plan = if seed.is_multiple_of(2) {
        Plan::roomy(&mut random)
    } else {
        Plan::short_of_memory(&mut random)
    };
    let plan = Plan { cut_one_in: 300, ..plan };
    let store = MemoryStore::new(Temper::default(), random.next_u64());
    let mut world = World::new(store, plan, random);
    world.plant(planted);
    match catch_unwind(AssertUnwindSafe(|| world.run(3000))) {
        Ok(outcome) => outcome.err(),
        Err(panic) => Some(match panic.downcast_ref::<String>() {
            Some(text) => format!("assertion: {text}"),
            None => "assertion".into(),
        }),
    }
}

/// Two of the first twelve seeds must fail.
fn caught(planted: Planted) {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let failures: Vec<_> = (0..12).filter_map(|seed| run(seed, planted)).take(2).collect();
    std::panic::set_hook(quiet);
    println!("{planted:?}: {failures:?}");
    assert_eq!(failures.len(), 2, "{planted:?} went unnoticed: {failures:?}");
}

#[test]
fn without_a_bug_nothing_is_reported() {
    for seed in 0..4 {
        assert_eq!(run(seed, Planted::None), None, "seed {seed}");
    }
}

#[test]
fn stale_w_after_a_table_was_rebuilt() {
    caught(Planted::TableRebuiltUnderStaleParent);
}

#[test]
fn stamp_ignored_at_push_down() {
    caught(Planted::StampIgnoredAtPushDown);
}

#[test]
fn tlb_flush_omitted_at_the_flip() {
    caught(Planted::TlbFlushOmittedAtFlip);
}

#[test]
fn device_write_from_a_page_that_programs_can_store_to() {
    caught(Planted::UnprotectedPageWritten);
}

#[test]
fn cleaning_of_a_page_that_programs_can_store_to() {
    caught(Planted::UnprotectedPageCleaned);
}

#[test]
fn cleaning_of_a_page_that_waits_for_the_writer() {
    caught(Planted::FrozenPageCleaned);
}

#[test]
fn a_page_taken_for_clean_that_could_not_be_written() {
    caught(Planted::UnwrittenPageTakenForClean);
}

#[test]
fn copy_omitted_for_a_page_whose_write_has_not_completed() {
    caught(Planted::CopyOmittedWhileWriting);
}

#[test]
fn old_copy_dropped() {
    caught(Planted::SplitCopyDropped);
}

#[test]
fn epoch_advanced_after_programs_were_let_go() {
    caught(Planted::EpochAdvancedLate);
}

#[test]
fn dirty_list_lost_in_the_swap() {
    caught(Planted::DirtyListLost);
}

#[test]
fn pages_of_an_abandoned_snapshot_forgotten() {
    caught(Planted::AbandonedPagesForgotten);
}

#[test]
fn tlb_left_leading_to_the_old_copy() {
    caught(Planted::InvalidateOmittedAtCopy);
}

#[test]
fn a_page_let_go_under_a_device_write() {
    caught(Planted::WritingPageEvicted);
}

#[test]
fn a_page_let_go_that_was_stored_to() {
    caught(Planted::DirtyPageEvicted);
}

#[test]
fn a_frame_freed_while_frozen() {
    caught(Planted::FrozenPageEvicted);
}

#[test]
fn a_released_frame_taken_for_one_of_zeros() {
    caught(Planted::ReleasedFrameTakenForZeros);
}

#[test]
fn a_frame_freed_while_frozen_because_its_page_was_discarded() {
    caught(Planted::FrozenFrameDiscarded);
}

#[test]
fn a_discarded_page_that_comes_back_with_what_it_held() {
    caught(Planted::DiscardNotNoted);
}

#[test]
fn a_page_in_that_a_discard_did_not_catch() {
    caught(Planted::DiscardedPageArrives);
}

#[test]
fn tlb_left_leading_to_discarded_pages() {
    caught(Planted::FlushOmittedAtDiscard);
}

#[test]
fn tlb_left_leading_to_pages_that_were_let_go() {
    caught(Planted::FlushOmittedAtEviction);
}

#[test]
fn tlb_left_leading_to_what_went_with_a_table() {
    caught(Planted::FlushOmittedAtThinning);
}

#[test]
fn a_page_that_was_stored_to_gone_with_its_table() {
    caught(Planted::DirtyPageThinnedOut);
}
