//! Parts of the tests that sweep by hand: flips, whole sweeps, garbage of some shapes. Neighbours: `sweep`, `sweep_cuts`.
#![allow(dead_code, clippy::allow_attributes, reason = "each test uses a part of it")]

use revenant_bytecode::Builtin;
use revenant_hal::{Epoch, ObjectAddress};
use revenant_vm::counting::{self, class_at};
use revenant_vm::memory::layout::area;
use revenant_vm::object::array;
use revenant_vm::sweep::{Outcome, Statistics, Sweep};

use crate::sweep_oracle::Verdict;
use crate::world::World;

pub(crate) const NULL: ObjectAddress = ObjectAddress(0);

pub(crate) fn word(world: &World, offset: u64) -> u64 {
    let value = world.space.load(ObjectAddress(area::COUNTING + offset));
    world.space.end_step();
    value
}

/// The flip that ends `epoch`, and the verdict of a mark of it.
pub(crate) fn flip(world: &World, epoch: u64) -> Verdict {
    let verdict = Verdict::of(world.space, epoch, epoch);
    counting::set_epoch(world.space, Epoch(epoch + 1));
    verdict
}

/// A sweep to its end.
pub(crate) fn sweep(world: &World, verdict: &Verdict) -> Statistics {
    let (sweep, mut statistics) = (Sweep::new(), Statistics::default());
    for _ in 0..200_000 {
        let slice = sweep.slice(world.space, verdict);
        statistics.add(&slice);
        match slice.outcome {
            Outcome::Done => return statistics,
            Outcome::NotYet(block) => verdict.bring(block),
            Outcome::More => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("a sweep has no end");
}

/// Two nodes that refer to each other, and nothing else to them.
pub(crate) fn circle(world: &World) -> [ObjectAddress; 2] {
    let pair = [world.new_node(), world.new_node()];
    world.set_field(pair[0], 0, pair[1]);
    world.set_field(pair[1], 0, pair[0]);
    pair
}

pub(crate) fn new_array(world: &World, length: u64) -> ObjectAddress {
    let class = class_at(world.space, Builtin::ObjectArray as u32);
    world.space.end_step();
    let made = array::allocate(world.space, world.allocator, class, length).unwrap();
    world.space.end_step();
    made
}

pub(crate) fn set_element(world: &World, subject: ObjectAddress, index: u64, value: ObjectAddress) {
    assert!(array::set_reference(world.space, subject, index, value));
    world.space.end_step();
}

/// Long arrays in a circle, small and large ones, that refer to many living objects: released part by part.
pub(crate) fn long_garbage(world: &World) -> Vec<ObjectAddress> {
    let living: Vec<_> = (0..20).map(|_| world.new_node()).collect();
    let keeper = new_array(world, 20);
    world.set_root(0, keeper);
    for (index, node) in (0..).zip(&living) {
        set_element(world, keeper, index, *node);
    }
    for length in [100, 3_000] {
        let array = new_array(world, length);
        set_element(world, array, 0, array);
        for index in 1..length.min(500) {
            set_element(world, array, index, living[usize::try_from(index % 20).unwrap()]);
        }
    }
    world.settle();
    living
}
