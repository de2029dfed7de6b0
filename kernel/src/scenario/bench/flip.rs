//! The pause of the flip, the longest gap that a program sees around it, and how much slower it stores while the snapshot
//! is written, at several sizes of the dirty set.
//!
//! The sizes are interleaved, because an emulator's speed drifts. During and after each flip the program stores over the
//! whole set, so that every page is copied or made writable again. The slow-down is its time for a store between the flip
//! and the end of the snapshot, faults and the processor time of the writer included, over that just before, when every
//! page is writable and no snapshot is under way; a store is one word of the next page and a look at the clock.

use super::{Bench, copies_of_64_pages, distribution, metric, page, ratio, word};
use crate::space;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::Ordering;
use revenant_hal::Clock;
use revenant_machine::attempt::FaultOutcome;
use revenant_machine::attention;
use revenant_machine::object_memory::{load, store};

/// Dirty sets in MiB.
const SIZES: [u64; 4] = [1, 16, 64, 192];
const PAGES_PER_MIB: u64 = 256;
/// The program that measures gaps ends its slice after so many stores without attention.
const STORES_PER_SLICE: u32 = 4096;
/// Gaps count until this long after the flip.
const GAP_WINDOW_NS: u64 = 100_000_000;
/// How long stores are timed before the snapshot.
const BASELINE_NS: u64 = 20_000_000;
/// Page-ins that are kept under way by the busy variant.
const BUSY_FAULTS: u64 = 8;

/// What is measured at one size.
#[derive(Default)]
struct Figures {
    pause: Vec<u64>,
    flip: Vec<u64>,
    gap: Vec<u64>,
    durable: Vec<u64>,
    /// Time of a store without a snapshot and with one, in thousandths of a nanosecond.
    store: [Vec<u64>; 2],
}

/// A program that stores over the set and watches the clock.
struct Ticker {
    next: u64,
    last: Cell<u64>,
    longest: Cell<u64>,
}

impl Ticker {
    /// One slice over `count` pages; gaps are measured between any two stores, slices included.
    fn slice(&mut self, bench: &mut Bench, count: u64) {
        let (clock, first) = (bench.clock, self.next);
        let stored = Cell::new(0);
        let _blocked = bench.event_loop.attempt(|_, _| {
            for step in 0..STORES_PER_SLICE {
                let number = (first + u64::from(step)) % count;
                store(word(number), number);
                let now = clock.monotonic().get();
                self.longest.set(self.longest.get().max(now - self.last.get()));
                self.last.set(now);
                stored.set(step + 1);
                if attention::flag().load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        self.next = first + u64::from(stored.get());
    }

    /// Stores for [`BASELINE_NS`] without a snapshot; thousandths of a nanosecond a store.
    fn baseline(&mut self, bench: &mut Bench, count: u64) -> u64 {
        let (begin, first) = (bench.now(), self.next);
        while bench.now() < begin + BASELINE_NS {
            attention::take();
            bench.event_loop.pass();
            self.slice(bench, count);
        }
        self.per_store(bench, begin, first)
    }

    /// Thousandths of a nanosecond a store since `begin`, when `first` was the next one.
    fn per_store(&self, bench: &Bench, begin: u64, first: u64) -> u64 {
        (bench.now() - begin).saturating_mul(1000) / (self.next - first).max(1)
    }
}

/// One dirty set, one snapshot, with the program going on.
fn round(bench: &mut Bench, pages: u64, figures: &mut Figures, mut also: impl FnMut(&mut Bench)) {
    bench.dirty(pages);
    let mut ticker = Ticker { next: 0, last: Cell::new(bench.now()), longest: Cell::new(0) };
    let plain = ticker.baseline(bench, pages);
    ticker.longest.set(0);
    let (mut gap, mut first) = (None, None);
    let times = bench.snapshot(|bench| {
        also(bench);
        let before = (bench.now(), ticker.next);
        ticker.slice(bench, pages);
        let flipped = bench.event_loop.snapshots.last_flip.map(|times| times.released.get());
        if gap.is_none() && flipped.is_some_and(|at| at + GAP_WINDOW_NS < bench.now()) {
            gap = Some(ticker.longest.get());
        }
        if flipped.is_some() {
            first.get_or_insert(before);
        }
    });
    if let Some((begin, first)) = first {
        let [without, with] = &mut figures.store;
        without.push(plain);
        with.push(ticker.per_store(bench, begin, first));
    }
    figures.pause.push(times.pause.get());
    figures.flip.push(times.flip.get());
    figures.gap.push(gap.unwrap_or(ticker.longest.get()));
    figures.durable.push(times.durable_after.map_or(0, |after| after.get()));
}

/// The median by nearest rank; 0 of nothing.
fn median_of(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// `bench=flip`.
pub(super) fn run(bench: &mut Bench) -> Result<(), String> {
    let copies = copies_of_64_pages(bench.clock).get();
    metric("page_copy_64", copies, "ns");
    // Every page of the set may exist twice while its snapshot is being made.
    let room = u64::from(bench.frames) / 2 - 1024;
    let sizes: Vec<u64> = SIZES.into_iter().filter(|size| size * PAGES_PER_MIB < room).collect();
    let mut figures: Vec<Figures> = sizes.iter().map(|_| Figures::default()).collect();
    for number in 0..=bench.rounds {
        for (size, figures) in sizes.iter().zip(&mut figures) {
            let mut uncounted = Figures::default();
            // In the first round pages come into being, and nothing that runs has run before.
            let figures = if number == 0 { &mut uncounted } else { figures };
            round(bench, size * PAGES_PER_MIB, figures, |_| ());
        }
    }
    let mut first = None;
    for (size, mut figures) in sizes.iter().zip(figures) {
        let (median, high) =
            distribution(&format!("flip_pause.{size}mib"), &mut figures.pause, "ns");
        distribution(&format!("flip_pause.{size}mib.flip"), &mut figures.flip, "ns");
        let (gap, _) = distribution(&format!("program_gap.{size}mib"), &mut figures.gap, "ns");
        distribution(&format!("snapshot_latency.{size}mib"), &mut figures.durable, "ns");
        let (smallest, smallest_gap) = *first.get_or_insert((median, gap));
        ratio(&format!("flip_pause_growth.{size}mib"), median, smallest);
        ratio(&format!("program_gap_growth.{size}mib"), gap, smallest_gap);
        ratio(&format!("flip_pause_copies.{size}mib"), high, copies);
        let [without, with] = figures.store.each_mut().map(|times| median_of(times));
        ratio(&format!("snapshot_slowdown.{size}mib"), with, without);
    }
    let counters = space::with(|space| space.statistics());
    metric("copies_during_snapshots", counters.faults_copy, "pages");
    Ok(())
}

/// `bench=flip_busy`: rounds with page-ins under way at the flip, and rounds without, in turn. The pages to bring in are
/// those of `bench=prepare`, above the set that is dirtied.
pub(super) fn run_busy(bench: &mut Bench) -> Result<(), String> {
    const SET: u64 = 16 * PAGES_PER_MIB;
    if bench.pages < SET + bench.rounds * BUSY_FAULTS * 2 {
        return Err(format!("flip_busy needs pages={}", SET + bench.rounds * BUSY_FAULTS * 2));
    }
    let (mut busy, mut quiet) = (Figures::default(), Figures::default());
    let mut next = SET;
    for _ in 0..bench.rounds {
        round(bench, SET, &mut quiet, |_| ());
        let mut started = 0;
        round(bench, SET, &mut busy, |bench| {
            let flipped = bench.event_loop.snapshots.last_flip.is_some();
            while started < BUSY_FAULTS && !flipped {
                let number = next;
                let waits = space::with(|space| space.fault(page(number), false));
                started += u64::from(waits == FaultOutcome::Wait);
                next += 1;
            }
        });
    }
    let (busy_median, _) = distribution("flip_pause.busy", &mut busy.pause, "ns");
    let (quiet_median, _) = distribution("flip_pause.quiet", &mut quiet.pause, "ns");
    ratio("flip_pause_busy", busy_median, quiet_median);
    let sum = bench.event_loop.attempt(|_, _| load(word(0)));
    metric("sum", sum.unwrap_or(0), "words");
    Ok(())
}
