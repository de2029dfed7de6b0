//! What a mark costs, as counts: pages read, work lost by a kill, disk reserved.

use crate::heaps::{Cost, cost, local, reserve, shuffled_list};

#[test]
fn a_local_heap_is_read_little_more_than_once() {
    let Cost { pages_read, pages_of_heap, objects, worst_loss, time } =
        cost(&local(300_000), 5, 32_768);
    let ratio = pages_read * 1000 / pages_of_heap;
    println!(
        "{pages_read} reads, {pages_of_heap} pages, {objects} objects, loss {worst_loss}, {time:?}"
    );
    assert!(ratio <= 1600, "{ratio}");
    assert!(worst_loss <= 64, "{worst_loss}");
}

#[test]
fn a_shuffled_list_costs_a_page_an_object_at_most() {
    let Cost { pages_read, pages_of_heap, objects, worst_loss, time } =
        cost(&shuffled_list(60_000), 5, 16_384);
    let ratio = pages_read * 1000 / objects;
    println!(
        "{pages_read} reads, {pages_of_heap} pages, {objects} objects, loss {worst_loss}, {time:?}"
    );
    assert!(objects > 60_000);
    assert!(ratio <= 1050, "{ratio}");
    assert!(worst_loss <= 64, "{worst_loss}");
}

#[test]
fn the_reserve_is_below_two_percent() {
    assert!(reserve() <= 20, "{}", reserve());
}
