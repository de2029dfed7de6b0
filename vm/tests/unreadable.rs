//! Pages that can never be read, met by the scheduler's own work: the grace passes over what needs them, threads go on.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use revenant_hal::ObjectAddress;
use revenant_vm::counting::frozen;
use revenant_vm::counting::grace::{self, Skipped};
use revenant_vm::memory::AddressExt;
use revenant_vm::memory::layout::thread;
use world::World;

/// A thread whose stack the grace cannot read is out of service for good, and the grace goes on to free the rest.
#[test]
fn a_grace_passes_over_a_thread_whose_stack_is_lost() {
    let world = World::new();
    let (lost, sound) = (world.spawn(4), world.spawn(4));
    lost.set_register(0, world.new_node());
    sound.set_register(0, world.new_node());
    sound.set_register(0, world.new_node());
    assert!(grace::close(world.space));
    while grace::asked_next(world.space) != Some(lost.object) {
        assert_eq!(grace::step(world.space).unwrap(), grace::Progress::More);
    }
    assert_eq!(grace::skip(world.space), Skipped::Thread(lost.object));
    assert_eq!(grace::run(world.space, u64::MAX).unwrap(), grace::Progress::Idle);
    let state = world.space.load::<u32>(lost.object.plus(thread::STATE));
    assert_eq!(state, thread::STATE_DAMAGED);
    // Whoever wakes it does not make it run: what it held may be gone.
    world.space.store(lost.object.plus(thread::STATE), thread::STATE_RUNNABLE);
    assert!(frozen::prepare_to_run(world.space, lost.object).is_err());
    world.space.store(lost.object.plus(thread::STATE), thread::STATE_DAMAGED);
    sound.run();
    assert_eq!(world.nodes(), 1, "only what the sound thread holds is left");
}

/// An object that cannot be read is left, one a call, and the others are freed.
#[test]
fn a_grace_leaves_an_object_that_cannot_be_read() {
    let world = World::new();
    let thread = world.spawn(4);
    for _ in 0..10 {
        thread.set_register(0, world.new_node());
    }
    thread.set_register(0, ObjectAddress(0));
    let freed = world.freed();
    assert!(grace::close(world.space));
    while grace::asked_next(world.space).is_some() {
        let _ = grace::step(world.space).unwrap();
    }
    let _ = grace::step(world.space).unwrap();
    assert_eq!(grace::skip(world.space), Skipped::Object);
    assert_eq!(grace::skip(world.space), Skipped::Object);
    assert_eq!(grace::run(world.space, u64::MAX).unwrap(), grace::Progress::Idle);
    assert_eq!(grace::skip(world.space), Skipped::Nothing);
    assert!(world.freed() >= freed + 8 && world.freed() < freed + 11);
}
