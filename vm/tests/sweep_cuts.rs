//! Sweeps that are cut, or dropped because their mark is gone: nothing is done twice, and nothing on the word of another mark.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sweep_hand;
mod sweep_oracle;
mod world;

use revenant_hal::{ObjectAddress, PageIndex};
use revenant_vm::memory::layout::area;
use revenant_vm::memory::layout::system::counting as words;
use revenant_vm::sweep::{self, Outcome, Planted, Sweep};
use sweep_hand::{circle, flip, long_garbage, new_array, set_element, sweep, word};
use sweep_oracle::Tracer;
use world::{NODE, World};

/// Circles across two blocks, of which a first slice frees the lower halves; then their addresses are used again, and the sweep is
/// dropped. The upper halves refer to what stands there now.
fn dropped(planted: Planted) -> (World, Vec<ObjectAddress>) {
    let world = World::new();
    let lower: Vec<_> = (0..40).map(|_| world.new_node()).collect();
    let filler: Vec<_> = (0..1_280).map(|_| world.new_node()).collect();
    for node in &lower {
        let upper = world.new_node();
        world.set_field(upper, 0, *node);
        world.set_field(*node, 0, upper);
    }
    drop(filler);
    world.settle();
    let verdict = flip(&world, 1);
    let (running, mut freed) = (Sweep::new(), 0);
    while freed < 20 {
        freed += running.slice(world.space, &verdict).freed().len();
    }
    let keeper = new_array(&world, 60);
    world.set_root(0, keeper);
    // Allocation comes round to the freed cells.
    let mut again = Vec::new();
    for _ in 0..10_000 {
        let made = world.new_node();
        if lower.contains(&made) {
            set_element(&world, keeper, again.len() as u64, made);
            again.push(made);
        }
    }
    assert!(again.len() >= 8, "{} used again", again.len());
    world.settle();
    let verdict = flip(&world, 2);
    let mut sweep = Sweep::new();
    sweep.plant(planted);
    for _ in 0..10_000 {
        if sweep.slice(world.space, &verdict).outcome == Outcome::Done {
            return (world, again);
        }
    }
    panic!("a sweep has no end");
}

#[test]
fn after_a_dropped_sweep_what_was_born_since_is_not_counted_down() {
    let counts = |world: &World, again: &[ObjectAddress]| -> Vec<u8> {
        let metadata = |node: &ObjectAddress| Tracer(world.space).metadata(node.0) >> 1 & 31;
        again.iter().map(metadata).collect()
    };
    {
        let (world, again) = dropped(Planted::None);
        assert!(counts(&world, &again).iter().all(|count| *count == 1));
        assert!(!sweep::is_unfinished(world.space), "all of it was swept");
        world.audit();
        assert_eq!(world.nodes(), again.len() as u64);
    }
    let (world, again) = dropped(Planted::DroppedForgotten);
    assert!(counts(&world, &again).contains(&0), "the bug is seen");
    drop(world);
    // What stands before the other mark's cursor is never looked at.
    let (world, again) = dropped(Planted::ForeignCursorFollowed);
    let started = Tracer(world.space).started();
    let nodes =
        started.iter().filter(|address| world.space.load::<u32>(ObjectAddress(**address)) == NODE);
    assert_ne!((nodes.count(), counts(&world, &again).contains(&0)), (again.len(), false));
}

/// An array in a circle with itself that refers to twenty nodes, five times each; swept, with a cut in its midst, by which the
/// counts go back to where they were, and the cursor, too, if it is part of object space: else to somewhere before. The counts of the
/// nodes, each of which is in use once.
fn counts_after_a_cut(cursor_is_inside: bool) -> Vec<u8> {
    let world = World::new();
    let keeper = new_array(&world, 20);
    world.set_root(0, keeper);
    let array = new_array(&world, 101);
    let nodes: Vec<_> = (0..20).map(|_| world.new_node()).collect();
    for (index, node) in (0..).zip(&nodes) {
        set_element(&world, keeper, index, *node);
        (0..5).for_each(|turn| set_element(&world, array, 20 * turn + index, *node));
    }
    set_element(&world, array, 100, array);
    world.settle();
    let verdict = flip(&world, 1);
    let sweep_to = |index| {
        while word(&world, words::SWEEP_INDEX) < index {
            let _ = Sweep::new().slice(world.space, &verdict);
        }
    };
    let copy = || {
        let pages = world.host.touched().into_iter().flat_map(|range| range.start.0..range.end.0);
        pages.map(|page| (PageIndex(page), world.host.page(PageIndex(page)))).collect::<Vec<_>>()
    };
    let cursor = || {
        let offsets = (words::SWEEP_NAME..=words::SWEEP_INDEX).step_by(8);
        offsets.map(|offset| (offset, word(&world, offset))).collect::<Vec<_>>()
    };
    sweep_to(1);
    let older = cursor();
    sweep_to(40);
    let saved = copy();
    sweep_to(80);
    world.host.clear();
    saved.iter().for_each(|(page, bytes)| world.host.set_page(*page, bytes));
    if !cursor_is_inside {
        for (offset, value) in older {
            world.space.store(ObjectAddress(area::COUNTING + offset), value);
        }
        world.space.end_step();
    }
    let _ = sweep(&world, &verdict);
    nodes.iter().map(|node| Tracer(world.space).metadata(node.0) >> 1 & 31).collect()
}

#[test]
fn a_cut_takes_back_the_cursor_with_the_counts() {
    assert_eq!(counts_after_a_cut(true), [1; 20]);
    assert!(counts_after_a_cut(false).contains(&0), "the bug is seen");
}

/// A sweep in the middle of a long object whose mark is gone: that object goes without the rest.
#[test]
fn a_dropped_sweep_finishes_what_it_had_in_hand() {
    let world = World::new();
    let _ = long_garbage(&world);
    let verdict = flip(&world, 1);
    while word(&world, words::SWEEP_INDEX) < 20 {
        let _ = Sweep::new().slice(world.space, &verdict);
    }
    let _ = circle(&world);
    world.settle();
    let statistics = sweep(&world, &flip(&world, 2));
    assert_eq!((statistics.objects(), statistics.circles.objects), (4, 4));
    let _ = Tracer(world.space).living();
    assert!(!sweep::is_unfinished(world.space));
}
