//! Host figures of allocation, the write barrier and freeing, as `metric NAME VALUE UNIT` lines.
//! One thread, everything on: counting, graces, confinement. `cargo bench -p revenant-vm --bench allocation`.
#![expect(clippy::unwrap_used, reason = "a benchmark ends by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::time::Instant;

#[path = "../tests/world/mod.rs"]
mod world;

use revenant_hal::ObjectAddress;
use revenant_vm::counting::{self, grace};
use revenant_vm::heap;
use revenant_vm::memory::AddressExt;
use revenant_vm::memory::layout::object::PAYLOAD;
use world::World;

/// Nanoseconds of processor time of this process so far (other work on the machine does not count), else wall time.
fn processor_time(since: Instant) -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or_else(|| u64::try_from(since.elapsed().as_nanos()).unwrap_or(0))
}

/// Best of five runs, in nanoseconds an operation.
fn measure(operations: u64, mut run: impl FnMut()) -> f64 {
    let origin = Instant::now();
    let mut best = u64::MAX;
    for _ in 0..5 {
        let start = processor_time(origin);
        run();
        best = best.min(processor_time(origin) - start);
    }
    best as f64 / operations as f64
}

fn collect(world: &World) {
    if grace::grace_requested(world.space) {
        grace::close(world.space);
        assert_eq!(grace::run(world.space, u64::MAX).unwrap(), grace::Progress::Idle);
    }
}

/// A tree of nodes, children first, as the binary-trees program builds them.
fn tree(world: &World, depth: u32) -> ObjectAddress {
    let (left, right) = if depth == 0 {
        (ObjectAddress(0), ObjectAddress(0))
    } else {
        (tree(world, depth - 1), tree(world, depth - 1))
    };
    let made = heap::allocate_plain(world.space, world.allocator, world.node).unwrap();
    counting::store_reference(world.space, made.plus(PAYLOAD), left);
    counting::store_reference(world.space, made.plus(PAYLOAD + 8), right);
    made
}

fn main() {
    let world = World::new();
    let space = world.space;
    let thread = world.spawn(4);
    let count = 500_000;
    let temporaries = measure(count, || {
        for _ in 0..count {
            let _ = heap::allocate_plain(space, world.allocator, world.node).unwrap();
            collect(&world);
        }
    });
    println!("metric allocate_and_free {temporaries:.1} ns");
    let depth = 15;
    let nodes = (1_u64 << (depth + 1)) - 1;
    let trees = measure(nodes * 2, || {
        for _ in 0..2 {
            let root = tree(&world, depth);
            thread.run();
            thread.set_register(0, root);
            collect(&world);
        }
        thread.run();
        thread.set_register(0, ObjectAddress(0));
        world.settle();
    });
    println!("metric tree_node_made_and_freed {trees:.1} ns");
    thread.run();
    let (one, other) = (world.new_node(), world.new_node());
    world.set_root(0, one);
    world.set_root(1, other);
    world.set_root(2, one);
    world.set_root(3, other);
    let slot = world.root_slot(4);
    let barrier = measure(count, || {
        for round in 0..count {
            let value = if round % 2 == 0 { one } else { other };
            counting::store_reference(space, slot, value);
        }
    });
    println!("metric store_reference {barrier:.1} ns");
}
