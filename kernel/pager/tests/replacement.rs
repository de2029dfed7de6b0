//! The pager's replacement policy by numbers: misses on a corpus of traces against the policies that have a name, with
//! Belady's as the limit. The table that [`the_table`] prints stands in the documentation of `revenant_pager::replacement`.
//!
//! The corpus: sixteen generated patterns, fixed before the policy was tuned, and recordings of five programs of ours
//! (`traces/`, made by `tools/examples/record_touches.rs`). Memory is an eighth, a quarter, a half and
//! nine tenths of the pages that a trace touches again and again.

use revenant_sim::replacement::{Named, Recording, Trace, fewest_misses, generated, misses};

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
/// A page touched so often is in use.
const USED: u32 = 8;

fn corpus() -> Vec<Trace> {
    let recorded = RECORDED.iter().map(|(name, bytes)| {
        Recording::decode(bytes).expect("a recording of this repository").trace(name)
    });
    generated().into_iter().chain(recorded).collect()
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

#[test]
fn the_table() {
    for trace in corpus() {
        for frames in sizes(&trace) {
            let least = fewest_misses(&trace, frames);
            print!("{:<26} {:>6} {:>5} {least:>6}", trace.name, trace.pages, frames);
            for named in Named::ALL {
                print!(" {:>7}", misses(&mut *named.policy(&trace, frames), &trace));
            }
            println!();
        }
    }
}
