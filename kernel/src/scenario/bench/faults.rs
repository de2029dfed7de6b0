//! What a store costs that has to be served by the pager, by kind; measured by the program: trap, policy and return.

use super::{Bench, content, distribution, metric, page, word};
use crate::space;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use revenant_hal::{Clock, ObjectAddress};
use revenant_machine::attention;
use revenant_machine::object_memory::{load, store};

/// Pages stored to in one measurement.
const BATCH: u64 = 1024;

impl Bench {
    /// Stores to `count` pages from `first` in one attempt; nanoseconds a page. None if a page had to wait.
    fn time_stores(&mut self, first: u64, count: u64) -> Option<u64> {
        let clock = self.clock;
        self.event_loop.attempt(|_, _| {
            let start = clock.monotonic();
            for number in first..first + count {
                store(word(number), number);
            }
            (clock.monotonic().get() - start.get()) / count
        })
    }
}

/// `bench=faults`. Each round uses fresh pages once, then lets them go through a snapshot.
pub(super) fn run(bench: &mut Bench) -> Result<(), String> {
    let rounds = bench.rounds.min(u64::from(bench.frames) / (3 * BATCH));
    let mut figures: [Vec<u64>; 4] = Default::default();
    let before = space::with(|space| space.statistics());
    // Pages that no earlier measurement on this disk has stored: another million for each epoch.
    let base = bench.pages + (space::with(|space| space.epoch().get() % 1024) << 20);
    for round in 0..rounds {
        let first = base + round * BATCH;
        let [zero, plain, writable, copy] = &mut figures;
        zero.extend(bench.time_stores(first, BATCH));
        plain.extend(bench.time_stores(first, BATCH));
        bench.snapshot(|_| ()); // the pages become clean
        writable.extend(bench.time_stores(first, BATCH));
        let mut measured = None;
        bench.snapshot(|bench| {
            let flipped = bench.event_loop.snapshots.last_flip.is_some();
            if flipped && measured.is_none() {
                measured = Some(bench.time_stores(first, BATCH));
            }
        });
        copy.extend(measured.flatten());
    }
    let after = space::with(|space| space.statistics());
    let names = ["fault_zero_fill", "store", "fault_make_writable", "fault_copy"];
    for (name, mut values) in names.into_iter().zip(figures) {
        distribution(name, &mut values, "ns");
    }
    metric("faults_zero_fill", after.faults_zero_fill - before.faults_zero_fill, "faults");
    metric("faults_copy", after.faults_copy - before.faults_copy, "faults");
    let writable = after.faults_make_writable - before.faults_make_writable;
    metric("faults_make_writable", writable, "faults");
    Ok(())
}

/// `bench=page_in`: reads pages of `bench=prepare` in an order without neighbours, one at a time.
pub(super) fn page_in(bench: &mut Bench) -> Result<(), String> {
    let count = bench.pages;
    let samples = bench.rounds.min(count);
    let clock = bench.clock;
    let mut times = Vec::new();
    let sum = Cell::new(0u64);
    for sample in 0..samples {
        let number = sample * 7919 % count;
        let start = bench.now();
        loop {
            attention::take();
            let read = bench.event_loop.attempt(|_, _| {
                let value = load(ObjectAddress(page(number).address().0));
                (value, clock.monotonic().get())
            });
            if let Some((value, end)) = read {
                sum.set(sum.get() + u64::from(value == content(number)));
                times.push(end - start);
                break;
            }
            if !bench.event_loop.pass() {
                attention::wait();
            }
        }
    }
    if sum.get() != samples {
        return Err(format!("{} of {samples} pages hold what was stored", sum.get()));
    }
    distribution("fault_page_in", &mut times, "ns");
    let pages = space::with(|space| space.statistics().pages_read);
    metric("pages_read", pages, "pages");
    Ok(())
}
