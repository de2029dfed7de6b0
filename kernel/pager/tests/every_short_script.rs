//! Every script of five steps over two pages, from three beginnings: stores, discards, flips, steps of the writer, single writes of the
//! device, commits and abandoned snapshots in every order. After each step the rules hold; whatever is durable equals the model at its flip; and
//! what every script leaves behind ends up durable.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use revenant_hal::PageIndex;
use revenant_pager::PagerOptions;
use revenant_sim::Random;
use support::memory_store::{MemoryStore, Temper};
use support::{Outcome, Plan, World};

const LENGTH: u32 = 5;
const PAGES: [PageIndex; 2] = [PageIndex(0), PageIndex(600)];

#[derive(Clone, Copy, Debug)]
enum Step {
    StoreFirst,
    StoreSecond,
    DiscardFirst,
    Flip,
    Writer,
    Device,
    End,
    GiveUp,
}

const STEPS: [Step; 8] = [
    Step::StoreFirst,
    Step::StoreSecond,
    Step::DiscardFirst,
    Step::Flip,
    Step::Writer,
    Step::Device,
    Step::End,
    Step::GiveUp,
];

fn perform(world: &mut World<MemoryStore>, step: Step, value: u64) -> Outcome {
    match step {
        Step::StoreFirst => world.store_if_possible(PAGES[0], value)?,
        Step::StoreSecond => world.store_if_possible(PAGES[1], value)?,
        Step::DiscardFirst => {
            let done = world.discard(PAGES[0]..PageIndex(PAGES[0].0 + 1));
            assert_eq!(done, 1, "there is room to note it");
        }
        Step::Flip => {
            world.flip()?;
        }
        Step::Writer => {
            let _ = world.step();
        }
        Step::Device => world.backing.perform_oldest(&mut world.frames),
        Step::End => world.backing.commit_if_finished(),
        Step::GiveUp => world.backing.give_up(),
    }
    world.deliver_events()?;
    world.check()
}

fn durable_is_a_snapshot(world: &World<MemoryStore>) -> Outcome {
    let (model, _) = &world.snapshots[&world.durable];
    if model == world.backing.durable_pages() {
        return Ok(());
    }
    Err(format!("what is durable is not the state at the flip of {:?}", world.durable))
}

fn run(world: &mut World<MemoryStore>, script: &[Step]) -> Outcome {
    for (value, step) in (1..).zip(script) {
        perform(world, *step, value)?;
        durable_is_a_snapshot(world)?;
    }
    world.settle()?;
    world.flip()?;
    world.settle()?;
    durable_is_a_snapshot(world)?;
    if world.backing.durable_pages() != &world.model {
        return Err("a store did not become durable".into());
    }
    Ok(())
}

#[test]
fn every_script_of_five_steps_after_each_beginning() {
    let temper = Temper {
        abandon_one_in: 0,
        refuse_discard_one_in: 0,
        forget_one_in: 0,
        queue: 1,
        ..Temper::default()
    };
    let options = PagerOptions {
        table_reserve: 3,
        copy_reserve: 0,
        writes_in_flight: 1,
        write_batch: 1,
        free_reserve: 0,
        eviction_batch: 1,
    };
    let beginnings: [&[Step]; 3] = [
        &[Step::StoreFirst],
        &[Step::StoreFirst, Step::StoreSecond, Step::Flip],
        &[Step::StoreFirst, Step::StoreSecond, Step::Flip, Step::Writer, Step::StoreFirst],
    ];
    let count = STEPS.len();
    for number in 0..count.pow(LENGTH) {
        for beginning in beginnings {
            let drawn = (0..LENGTH).map(|place| STEPS[number / count.pow(place) % count]);
            let script: Vec<Step> = beginning.iter().copied().chain(drawn).collect();
            // Four tables, three in reserve, two pages, and one frame for a copy in every other script.
            let frames = 9 + u32::from(number % 2 == 1);
            let plan = Plan { frames, tlb: 4, options, ..Plan::bare() };
            let mut world = World::new(MemoryStore::new(temper, 1), plan, Random::new(1));
            run(&mut world, &script).unwrap_or_else(|text| panic!("{script:?}: {text}"));
        }
    }
}
