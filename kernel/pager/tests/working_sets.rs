//! Groups of programs share memory: who keeps to its share does not suffer from others, who needs little leaves the rest to them,
//! who is limited stays within the limit, and who is suspended pays first.

mod frames;

use frames::Memory;
use revenant_pager::replacement::{Claim, Group, Need, Replacement};
use revenant_sim::Random;
use std::collections::BTreeMap;

const FRAMES: u32 = 1000;

/// A machine with the policy and nothing else.
struct Machine {
    policy: Replacement,
    memory: Memory,
    free: Vec<u32>,
    frame_of: BTreeMap<u32, u32>,
    misses: BTreeMap<u32, u64>,
}

impl Machine {
    fn new() -> Self {
        Self {
            policy: Replacement::new(FRAMES),
            memory: Memory::new(FRAMES),
            free: (0..FRAMES).collect(),
            frame_of: BTreeMap::new(),
            misses: BTreeMap::new(),
        }
    }

    /// Lets a page go; whether one could.
    fn let_go(&mut self, need: Need) -> bool {
        let frame = self.policy.next_to_go(need, &mut self.memory, &mut 100_000);
        frame.is_some_and(|frame| {
            self.frame_of.remove(&self.memory.pages[frame as usize]);
            self.free.push(frame);
            true
        })
    }

    /// Whether the group got its page.
    fn try_touch(&mut self, group: u32, page: u32) -> bool {
        self.policy.runs(Group::new(group));
        if let Some(frame) = self.frame_of.get(&page) {
            self.memory.touched[*frame as usize] = true;
            return true;
        }
        if self.free.is_empty() && !self.let_go(Need::Frame) {
            return false;
        }
        let frame = self.free.pop().expect("one is free");
        *self.misses.entry(group).or_default() += 1;
        self.frame_of.insert(page, frame);
        (self.memory.pages[frame as usize], self.memory.touched[frame as usize]) = (page, true);
        self.policy.arrived(frame, page, Group::new(group));
        true
    }

    fn touch(&mut self, group: u32, page: u32) {
        assert!(self.try_touch(group, page), "group {group} waits for page {page}");
    }

    fn store(&mut self, group: u32, page: u32) -> bool {
        let done = self.try_touch(group, page);
        if done {
            self.memory.dirty[self.frame_of[&page] as usize] = true;
        }
        done
    }

    fn resident(&self, group: u32) -> u32 {
        let sets = self.policy.working_sets();
        let set = sets.iter().find(|set| set.group == Group::new(group));
        set.map_or(0, |set| set.resident)
    }

    fn misses(&self, group: u32) -> u64 {
        self.misses.get(&group).copied().unwrap_or(0)
    }
}

/// A page of a group: no two have the same.
fn page(group: u32, number: u32) -> u32 {
    group << 24 | number
}

/// Group 2 touches 400 pages at random, `scanned` pages of a scan over eight times memory beside each; its misses.
fn misses_beside_a_scan(scanned: u32, plant: bool) -> u64 {
    let mut machine = Machine::new();
    machine.policy.ignore_shares(plant);
    let mut random = Random::new(1);
    let mut place = 0;
    for _ in 0..20_000 {
        machine.touch(2, page(2, u32::try_from(random.below(400)).unwrap_or(0)));
        for _ in 0..scanned {
            machine.touch(1, page(1, place));
            place = (place + 1) % (8 * FRAMES);
        }
    }
    machine.misses(2)
}

#[test]
fn who_fits_its_share_misses_no_more_beside_a_scan_than_alone() {
    let alone = misses_beside_a_scan(0, false);
    assert_eq!(alone, 400, "each page once");
    for scanned in [1, 8, 40] {
        assert_eq!(misses_beside_a_scan(scanned, false), alone, "beside {scanned}");
    }
    let planted = misses_beside_a_scan(40, true);
    assert!(planted > 3 * alone, "without shares it misses {planted}, and the test would see that");
}

#[test]
fn what_one_does_not_need_is_free_for_the_others_and_comes_back_when_it_is_needed() {
    let mut machine = Machine::new();
    (0..100).for_each(|number| machine.touch(1, page(1, number)));
    (0..5000).for_each(|number| machine.touch(2, page(2, number)));
    assert_eq!((machine.resident(1), machine.resident(2)), (100, 900));
    (0..5000).for_each(|number| machine.touch(1, page(1, number)));
    assert!(machine.resident(1) >= 499, "{}", machine.resident(1));
    assert!(machine.resident(2) >= 499, "{}", machine.resident(2));
}

#[test]
fn a_promise_is_kept_and_a_limit_too() {
    let mut machine = Machine::new();
    machine.policy.claim(Group::new(2), Claim { share: Some(700), limit: None });
    machine.policy.claim(Group::new(1), Claim { share: None, limit: Some(200) });
    (0..700).for_each(|number| machine.touch(2, page(2, number)));
    for number in 0..5000 {
        machine.touch(1, page(1, number));
        while machine.let_go(Need::Limits) {}
        machine.touch(3, page(3, number));
    }
    assert_eq!((machine.resident(2), machine.misses(2)), (700, 700));
    assert!(machine.resident(1) <= 200, "{}", machine.resident(1));
    let mut machine = Machine::new();
    machine.policy.claim(Group::new(1), Claim { share: None, limit: Some(200) });
    for number in 0..1000 {
        machine.touch(1, page(1, number));
        while machine.let_go(Need::Limits) {}
        assert!(machine.resident(1) <= 200, "although frames are free");
    }
}

#[test]
fn a_writer_whose_pages_cannot_go_waits_and_nobody_pays_for_it() {
    let mut machine = Machine::new();
    (0..400).for_each(|number| machine.touch(2, page(2, number)));
    let stored = (0..5000).take_while(|number| machine.store(1, page(1, *number))).count();
    assert_eq!((stored, machine.resident(2)), (600, 400), "it waits when memory is full");
    assert!(machine.policy.is_in_vain(Need::Frame), "and it is known that looking has no sense");
    machine.memory.dirty.fill(false); // a snapshot
    machine.policy.hope();
    (5000..6000).for_each(|number| machine.touch(1, page(1, number)));
    assert_eq!(machine.resident(2), 400);
}

#[test]
fn who_is_suspended_pays_first_and_who_has_not_run_for_long_has_no_share() {
    let mut machine = Machine::new();
    (0..500).for_each(|number| machine.touch(1, page(1, number)));
    (0..500).for_each(|number| machine.touch(2, page(2, number)));
    machine.policy.suspend(Group::new(2), true);
    (500..1000).for_each(|number| machine.touch(1, page(1, number)));
    assert_eq!((machine.resident(1), machine.resident(2)), (1000, 0));
    machine.policy.suspend(Group::new(2), false);
    (0..500).for_each(|number| machine.touch(2, page(2, number)));
    assert_eq!(machine.resident(2), 500);
    let mut random = Random::new(2);
    for _ in 0..120_000 {
        machine.touch(1, page(1, u32::try_from(random.below(900)).unwrap_or(0)));
    }
    assert!(machine.resident(2) < 300, "{} of who has gone to sleep", machine.resident(2));
}

/// A group touches pages of its set of `size` at random, so often; its misses in the first half, and in the second.
fn misses_at_random(
    machine: &mut Machine,
    group: u32,
    size: u32,
    touches: u32,
    random: &mut Random,
) -> (u64, u64) {
    let mut half = || {
        let before = machine.misses(group);
        for _ in 0..touches / 2 {
            let number = u32::try_from(random.below(u64::from(size))).unwrap_or(0);
            machine.touch(group, page(group, number));
        }
        machine.misses(group) - before
    };
    (half(), half())
}

#[test]
fn who_runs_alone_beside_sleepers_soon_has_its_set_in_memory() {
    let mut machine = Machine::new();
    let mut random = Random::new(4);
    for round in 0..3 {
        for group in 1..=8 {
            let size = FRAMES / 2;
            let (first, then) = misses_at_random(&mut machine, group, size, 10_000, &mut random);
            println!("round {round} group {group}: {first} misses, then {then}");
            // It needs half of memory exchanged at least.
            assert!(first <= u64::from(FRAMES) * 5 / 4, "round {round} group {group}: {first}");
            assert!(
                then < 16,
                "round {round} group {group}: {then}, although it was all in memory"
            );
        }
    }
}

#[test]
fn who_sleeps_keeps_its_share_beside_a_scan_and_for_a_while_beside_who_needs_more() {
    let mut machine = Machine::new();
    let mut random = Random::new(5);
    let set = 300;
    for round in 0..4 {
        (0..set).for_each(|number| machine.touch(1, page(1, number)));
        let scan = 20 * FRAMES * round..20 * FRAMES * (round + 1);
        scan.for_each(|number| machine.touch(2, page(2, number % (8 * FRAMES))));
    }
    assert_eq!(machine.misses(1), u64::from(set), "it has lost nothing to a scan");
    for _ in 0..20 {
        (0..set).for_each(|number| machine.touch(1, page(1, number)));
        misses_at_random(&mut machine, 3, FRAMES, 200, &mut random);
    }
    assert_eq!(machine.misses(1), u64::from(set), "naps cost nothing");
    misses_at_random(&mut machine, 3, FRAMES, 20_000, &mut random);
    let kept = machine.resident(1);
    assert!(kept < set / 10, "{kept} pages are kept of who has slept for long");
    (0..set).for_each(|number| machine.touch(1, page(1, number)));
    assert!(machine.resident(1) >= set * 9 / 10, "who runs has its share at once");
}

#[test]
fn who_runs_need_not_wait_for_pages_of_those_that_do_not_run_and_cannot_go() {
    for suspended in [false, true] {
        let mut machine = Machine::new();
        let mut random = Random::new(6);
        (0..100).for_each(|number| assert!(machine.store(1, page(1, number))));
        machine.policy.suspend(Group::new(1), suspended);
        let (_, then) = misses_at_random(&mut machine, 2, 2 * FRAMES, 40_000, &mut random);
        assert!(then > 5000, "it went on: {then}");
        assert_eq!(machine.resident(1), 100);
    }
}

#[test]
fn more_groups_than_are_told_apart_share_what_the_last_has() {
    let mut machine = Machine::new();
    for number in 0..50 {
        (1..600).for_each(|group| machine.touch(group, 64 * group + number));
    }
    let sets = machine.policy.working_sets();
    assert_eq!(sets.len(), Group::COUNT - 1);
    assert_eq!(sets.iter().map(|set| set.resident).sum::<u32>(), FRAMES);
    assert!(sets.iter().all(|set| set.resident + 1 >= FRAMES / 255), "{sets:?}");
}
