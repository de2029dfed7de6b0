//! The pager's replacement policy by numbers: misses on a corpus of traces against the policies that have a name, with
//! Belady's as the limit. The table stands in the documentation of `revenant_pager::replacement`.
//!
//! The corpus: sixteen generated patterns, fixed before the policy was tuned, and recordings of five programs of ours
//! (`traces/`, made by `tools/examples/record_touches.rs`). Memory is an eighth, a quarter, a half and
//! nine tenths of the pages that a trace touches again and again.

mod frames;

use core::fmt::Write;
use frames::Memory;
use revenant_pager::replacement::{Group, Need, Replacement};
use revenant_sim::replacement::{
    Named, Policy, Recording, Touch, Trace, fewest_misses, generated, misses,
};

/// The recordings.
const RECORDED: [(&str, &[u8]); 5] = [
    ("recorded: medley", include_bytes!("traces/medley.touches")),
    ("recorded: demo", include_bytes!("traces/demo.touches")),
    ("recorded: binary trees", include_bytes!("traces/binary_trees.touches")),
    ("recorded: sieve", include_bytes!("traces/sieve.touches")),
    ("recorded: deep", include_bytes!("traces/deep.touches")),
];
/// Less memory than this is no memory.
const LEAST_FRAMES: u32 = 24;
/// The seed of the corpus.
const SEED: u64 = 0x5eed_0001;
/// At most so many misses, as a multiple of the best named policy's.
const VERSUS_BEST: f64 = 1.05;
/// At most so many, as a multiple of LRU's, where a scan runs beside.
const SCAN_VERSUS_LRU: f64 = 0.8;
/// A page touched so often is in use.
const USED: u32 = 8;

fn corpus() -> Vec<Trace> {
    let recorded = RECORDED.iter().map(|(name, bytes)| {
        Recording::decode(bytes).expect("a recording of this repository").trace(name)
    });
    generated(SEED).into_iter().chain(recorded).collect()
}

/// Sizes of memory for a trace: parts of the pages that are touched again and again. What is touched for a moment and never
/// again (a scan) is not what memory is for.
fn sizes(trace: &Trace) -> Vec<u32> {
    let mut touches = vec![0u32; trace.pages as usize];
    trace.touches.iter().for_each(|touch| touches[touch.page as usize] += 1);
    let used = touches.iter().filter(|count| **count >= USED).count();
    let used = u32::try_from(used).unwrap_or(u32::MAX);
    let parts = [(1, 8), (1, 4), (1, 2), (9, 10)];
    let mut sizes: Vec<u32> =
        parts.iter().map(|(part, of)| (used * part / of).max(LEAST_FRAMES)).collect();
    sizes.dedup();
    sizes
}

/// The pager's policy behind the same question as the others: it is called at misses alone, and otherwise sees one bit a page.
struct Ours {
    policy: Replacement,
    memory: Memory,
    used: u32,
    frames: u32,
    frame_of: Vec<Option<u32>>,
}

impl Ours {
    fn new(trace: &Trace, frames: u32) -> Self {
        let frame_of = vec![None; trace.pages as usize];
        let (policy, memory) = (Replacement::new(frames), Memory::new(frames));
        Self { policy, memory, used: 0, frames, frame_of }
    }

    fn frame(&mut self) -> u32 {
        if self.used < self.frames {
            self.used += 1;
            return self.used - 1;
        }
        let mut looks = 4 * self.frames;
        let frame = self.policy.next_to_go(Need::Frame, &mut self.memory, &mut looks);
        let frame = frame.expect("nothing is dirty, and no page has four lives");
        self.frame_of[self.memory.pages[frame as usize] as usize] = None;
        frame
    }
}

impl Policy for Ours {
    fn touch(&mut self, touch: Touch) -> bool {
        let known = self.frame_of[touch.page as usize];
        let frame = known.unwrap_or_else(|| {
            let frame = self.frame();
            self.policy.arrived(frame, touch.page, Group::new(1)); // all are one group: the order itself is meant
            self.memory.pages[frame as usize] = touch.page;
            self.frame_of[touch.page as usize] = Some(frame);
            frame
        });
        self.memory.touched[frame as usize] = true;
        known.is_some()
    }
}

/// Misses of the first group, beside which others run.
fn misses_of_first(policy: &mut dyn Policy, trace: &Trace) -> u64 {
    let missed = |touch: &Touch| u64::from(!policy.touch(*touch) && touch.group == 0);
    trace.touches.iter().map(missed).sum()
}

#[expect(clippy::cast_precision_loss, reason = "misses are far below 2^52")]
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

/// The mean of ratios.
#[derive(Default)]
struct Mean {
    logarithms: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, ratio: f64) {
        self.logarithms += ratio.ln();
        self.count += 1;
    }

    fn value(&self) -> f64 {
        (self.logarithms / f64::from(self.count)).exp()
    }
}

/// The results on a corpus.
struct Results {
    table: String,
    /// Against the best of the named policies.
    versus_best: f64,
    /// Misses of who runs beside a scan, against LRU's.
    scan_versus_lru: f64,
}

fn results(corpus: &[Trace]) -> Results {
    let mut table = String::new();
    let (mut versus_best, mut scan_versus_lru) = (Mean::default(), Mean::default());
    let mut means: Vec<Mean> = Named::ALL.iter().map(|_| Mean::default()).collect();
    for trace in corpus {
        for frames in sizes(trace) {
            let named: Vec<u64> = Named::ALL
                .iter()
                .map(|named| misses(&mut *named.policy(trace, frames), trace))
                .collect();
            let best = named.iter().copied().min().unwrap_or(0);
            let ours = misses(&mut Ours::new(trace, frames), trace);
            let least = fewest_misses(trace, frames);
            assert!(ours >= least, "{}: fewer misses than possible", trace.name);
            means.iter_mut().zip(&named).for_each(|(mean, count)| mean.add(ratio(*count, best)));
            versus_best.add(ratio(ours, best));
            if trace.name.contains("beside a scan") {
                let lru = misses_of_first(&mut *Named::Lru.policy(trace, frames), trace);
                let ours = misses_of_first(&mut Ours::new(trace, frames), trace);
                scan_versus_lru.add(ratio(ours, lru));
            }
            let columns: String = named.iter().map(|count| format!(" {count} |")).collect();
            let ratio = ratio(ours, best);
            writeln!(
                table,
                "| {} | {frames} | {least} |{columns} {ours} | {ratio:.2} |",
                trace.name
            )
            .expect("a string grows");
        }
    }
    let columns: String = means.iter().map(|mean| format!(" {:.3} |", mean.value())).collect();
    writeln!(table, "| mean of ratios to the best | | |{columns} {:.3} | |", versus_best.value())
        .expect("a string grows");
    Results { table, versus_best: versus_best.value(), scan_versus_lru: scan_versus_lru.value() }
}

fn figures(results: &Results) -> String {
    let names: String = Named::ALL.iter().map(|named| format!(" {} |", named.name())).collect();
    let lines = "---|".repeat(Named::ALL.len());
    format!(
        "\n# Figures\n\nMisses by trace and frames, and the ratio of ours to the best of the named policies. \
         LIMIT is Belady's. The named policies see every touch, ours only faults and one bit a page.\n\
         Geometric mean of the ratios: {:.3} (wanted: at most {VERSUS_BEST}). Misses of who runs beside a scan, \
         against LRU's: {:.3} (wanted: at most {SCAN_VERSUS_LRU}).\n\n\
         | trace | frames | LIMIT |{names} ours | ratio |\n|---|---|---|{lines}---|---|\n{}",
        results.versus_best, results.scan_versus_lru, results.table
    )
}

#[test]
fn the_corpus_is_served_as_well_as_by_the_best_of_the_named_policies() {
    let results = results(&corpus());
    let figures = figures(&results);
    println!("{figures}");
    assert!(results.versus_best <= VERSUS_BEST, "{}", results.versus_best);
    assert!(results.scan_versus_lru <= SCAN_VERSUS_LRU, "{}", results.scan_versus_lru);
    let documented = include_str!("../src/replacement/figures.md");
    assert!(figures == documented, "src/replacement/figures.md is not the table printed above");
}

/// The policy was chosen by the corpus; these touches it has never seen.
#[test]
fn so_are_other_draws_of_the_same_patterns() {
    let results = results(&generated(1 << 40));
    println!("{} {}", results.versus_best, results.scan_versus_lru);
    assert!(results.versus_best <= VERSUS_BEST, "{}", results.versus_best);
    assert!(results.scan_versus_lru <= SCAN_VERSUS_LRU, "{}", results.scan_versus_lru);
}
