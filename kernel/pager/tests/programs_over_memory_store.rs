//! The pager alone: synthetic programs over a store in memory that misbehaves, with flips, abandoned snapshots and cuts at
//! random moments. Every seed is printed with its failure.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_sim::Random;
use support::memory_store::{MemoryStore, Temper};
use support::{Plan, World};

fn world(seed: u64) -> World<MemoryStore> {
    let mut random = Random::new(seed);
    let plan = Plan::roomy(&mut random);
    World::new(MemoryStore::new(Temper::default(), random.next_u64()), plan, random)
}

#[test]
fn programs_see_what_they_stored_through_flips_abandoned_snapshots_and_cuts() {
    let (mut cuts, mut copies, mut abandoned, mut commits) = (0, 0, 0, 0);
    for seed in 0..16 {
        let mut world = world(seed);
        for _ in 0..10 {
            world.run(400).unwrap_or_else(|text| panic!("seed {seed}: {text}"));
            let statistics = world.pager.statistics();
            copies += statistics.faults_copy;
            abandoned += statistics.abandoned;
            commits += statistics.commits;
        }
        cuts += world.cuts;
    }
    println!("{cuts} cuts, {commits} commits, {abandoned} abandoned, {copies} copies");
    assert!(cuts > 15 && copies > 400 && abandoned > 20 && commits > 80);
}
