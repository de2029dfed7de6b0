//! What a mark costs, as `metric NAME VALUE UNIT` lines: pages read, work lost by a kill, disk set aside, processor time.
//! `cargo bench -p revenant-collector --bench mark`; with an argument, a heap of so many thousands of objects.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark ends by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(dead_code, reason = "the tests use more of what they share with it")]

#[path = "../tests/mark/graphs.rs"]
mod graphs;
#[path = "../tests/mark/heaps.rs"]
mod heaps;
#[path = "../tests/mark/rig.rs"]
mod rig;
#[path = "../../../vm/tests/world/mod.rs"]
mod world;

use heaps::{Cost, cost, local, reserve, shuffled_list};

fn main() {
    let thousands = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1000);
    let near = cost(&local(1000 * thousands), 5, 131_072);
    let list = cost(&shuffled_list(60_000), 5, 16_384);
    let lost = near.worst_loss.max(list.worst_loss);
    let ratio = |above: u64, below: u64| above as f64 / below as f64;
    let nanoseconds = |cost: &Cost| cost.time.as_nanos() as f64 / cost.objects as f64;
    println!("metric mark_reads_local {:.3} ratio", ratio(near.pages_read, near.pages_of_heap));
    println!("metric mark_reads_list {:.3} ratio", ratio(list.pages_read, list.objects));
    println!("metric mark_lost_partitions {lost} partitions");
    println!("metric collector_reserve {:.1} percent", reserve() as f64 / 10.0);
    println!("metric mark_time.object {:.0} ns", nanoseconds(&near));
    println!("metric mark_time.list_object {:.0} ns", nanoseconds(&list));
}
