//! One run of the whole core by seed, and what it came to.

use super::real_store::{RealStore, Troubles};
use super::{Plan, World};
use revenant_sim::Random;
use revenant_store::MINIMUM_BLOCKS;

/// Blocks on a simulated disk with room: 32 MiB. A third of the seeds get one that is hardly larger than the smallest.
const DISK_BLOCKS: u64 = 8192;

/// What happened in a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Instructions retired.
    pub(crate) instructions: u64,
    /// Flips.
    pub(crate) flips: u64,
    /// Snapshots that became durable.
    pub(crate) commits: u64,
    /// Snapshots given up.
    pub(crate) abandoned: u64,
    /// Faults that waited for a frame, for space, for a write or for room.
    pub(crate) waits: u64,
    /// Pages copied by faults.
    pub(crate) copies: u64,
    /// Pages read.
    pub(crate) pages_read: u64,
    /// Pages let go for their frames.
    pub(crate) pages_evicted: u64,
    /// Pages given to the store before their flip, and of these not written.
    pub(crate) pages_cleaned: u64,
    pub(crate) pages_not_cleaned: u64,
    /// Given while a snapshot was in the making.
    pub(crate) pages_cleaned_meanwhile: u64,
    /// Pages discarded.
    pub(crate) pages_discarded: u64,
    /// Power cuts.
    pub(crate) cuts: u64,
}

impl Tally {
    /// Sums up.
    pub(crate) fn add(&mut self, other: &Self) {
        self.instructions += other.instructions;
        self.flips += other.flips;
        self.commits += other.commits;
        self.abandoned += other.abandoned;
        self.waits += other.waits;
        self.copies += other.copies;
        self.pages_read += other.pages_read;
        self.pages_evicted += other.pages_evicted;
        self.pages_cleaned += other.pages_cleaned;
        self.pages_not_cleaned += other.pages_not_cleaned;
        self.pages_cleaned_meanwhile += other.pages_cleaned_meanwhile;
        self.pages_discarded += other.pages_discarded;
        self.cuts += other.cuts;
    }

    fn add_session(&mut self, world: &World<RealStore>) {
        let statistics = world.pager.statistics();
        self.instructions += world.retired();
        self.flips += statistics.flips;
        self.commits += statistics.commits;
        self.abandoned += statistics.abandoned;
        self.waits += statistics.faults_waiting;
        self.copies += statistics.faults_copy;
        self.pages_read += statistics.pages_read;
        self.pages_evicted += statistics.pages_evicted;
        self.pages_cleaned += statistics.pages_cleaned;
        self.pages_not_cleaned += statistics.pages_not_cleaned;
        self.pages_cleaned_meanwhile += statistics.pages_cleaned_meanwhile;
        self.pages_discarded += statistics.pages_discarded;
    }
}

/// Runs programs for so many steps, cut into sessions of up to `session` steps; the failure in words, if there is one.
pub(crate) fn simulate(
    seed: u64,
    troubles: &Troubles,
    steps: u64,
    session: u64,
) -> Result<Tally, String> {
    let by_seed = |random: &mut Random| {
        // Rarely enough that most of what was stored is not discarded before it is on the disk.
        Plan { cut_one_in: 0, flip_one_in: 40, discard_one_in: 150, ..Plan::by_seed(random) }
    };
    simulate_with(by_seed, seed, troubles, steps, session)
}

/// The same with a plan of one's own.
pub(crate) fn simulate_with(
    plan: fn(&mut Random) -> Plan,
    seed: u64,
    troubles: &Troubles,
    steps: u64,
    session: u64,
) -> Result<Tally, String> {
    let mut random = Random::new(seed);
    let small = MINIMUM_BLOCKS + random.below(400);
    let blocks = if random.one_in(3) { small } else { DISK_BLOCKS };
    let store = RealStore::new(blocks, troubles.clone(), random.next_u64());
    let plan = plan(&mut random);
    let mut world = World::new(store, plan, random);
    let (mut tally, mut done) = (Tally::default(), 0);
    while done < steps {
        let length = 1 + world.random.below(session).min(steps - done);
        world.run(length).map_err(|text| format!("step {done}+: {text}"))?;
        done += length;
        tally.add_session(&world);
        world.cut().map_err(|text| format!("cut after step {done}: {text}"))?;
        tally.cuts += 1;
    }
    Ok(tally)
}
