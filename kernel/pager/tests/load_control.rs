//! Groups that need more than memory together take turns: on paper, with the policies and a disk that takes its time.

mod frames;

use frames::Memory;
use revenant_hal::Nanoseconds;
use revenant_pager::load_control::LoadControl;
use revenant_pager::replacement::{Group, Need, Replacement};
use revenant_sim::Random;
use std::collections::BTreeMap;

const FRAMES: u32 = 1000;
/// Of the disk: 4000 pages a second.
const PAGE_IN: u64 = 250_000;
/// Of a page in a large request.
const PAGE_IN_CLUSTERED: u64 = 40_000;
/// What a program does with a page.
const WORK: u64 = 8_000;
const LOOK: u64 = 250_000_000;

/// One group's program: touches pages of its set at random.
struct Program {
    group: Group,
    pages: u32,
    done: u64,
    waits_until: u64,
    waited_since: Option<u64>,
    longest_stand: u64,
    suspended: bool,
    had: Vec<u32>,
}

struct Machine {
    policy: Replacement,
    load: Option<LoadControl>,
    memory: Memory,
    frame_of: BTreeMap<u32, u32>,
    free: Vec<u32>,
    programs: Vec<Program>,
    random: Random,
    now: u64,
    idle: u64,
    looked: u64,
    disk_free: u64,
    suspensions: u32,
}

impl Machine {
    fn new(sets: &[u32], controlled: bool) -> Self {
        let programs = sets.iter().zip(1..).map(|(pages, index)| Program {
            group: Group::new(index),
            pages: *pages,
            done: 0,
            waits_until: 0,
            waited_since: None,
            longest_stand: 0,
            suspended: false,
            had: Vec::new(),
        });
        Self {
            policy: Replacement::new(FRAMES),
            load: controlled.then(|| LoadControl::new(FRAMES)),
            memory: Memory::new(FRAMES),
            frame_of: BTreeMap::new(),
            free: (0..FRAMES).collect(),
            programs: programs.collect(),
            random: Random::new(3),
            now: 0,
            idle: 0,
            looked: 0,
            disk_free: 0,
            suspensions: 0,
        }
    }

    fn frame(&mut self) -> u32 {
        if let Some(frame) = self.free.pop() {
            return frame;
        }
        let frame = self.policy.next_to_go(Need::Frame, &mut self.memory, &mut 100_000);
        let frame = frame.expect("nothing is dirty");
        let page = self.memory.pages[frame as usize];
        self.frame_of.remove(&page);
        let owner = self.programs.iter_mut().find(|it| it.group == self.policy.group(frame));
        if let Some(owner) = owner.filter(|owner| owner.suspended) {
            owner.had.push(page);
        }
        frame
    }

    /// One touch of a program, or a wait.
    fn run(&mut self, index: usize) {
        let program = &self.programs[index];
        let (group, pages) = (program.group, program.pages);
        let number = u32::try_from(self.random.below(u64::from(pages))).unwrap_or(0);
        let page = group.index() << 24 | number;
        self.policy.runs(group);
        self.programs[index].done += 1;
        self.now += WORK;
        if let Some(frame) = self.frame_of.get(&page) {
            self.memory.touched[*frame as usize] = true;
            return;
        }
        let frame = self.frame();
        self.memory.pages[frame as usize] = page;
        self.memory.touched[frame as usize] = true;
        self.frame_of.insert(page, frame);
        self.policy.arrived(frame, page, group);
        self.disk_free = self.disk_free.max(self.now) + PAGE_IN;
        self.programs[index].waits_until = self.disk_free;
    }

    fn bring_back(&mut self, index: usize) {
        let group = self.programs[index].group;
        for page in core::mem::take(&mut self.programs[index].had) {
            let frame = self.frame();
            self.memory.pages[frame as usize] = page;
            self.frame_of.insert(page, frame);
            self.policy.arrived_back(frame, page, group);
            self.disk_free = self.disk_free.max(self.now) + PAGE_IN_CLUSTERED;
        }
        let program = &mut self.programs[index];
        program.waits_until = program.waits_until.max(self.disk_free);
    }

    fn control(&mut self) {
        let Some(load) = &mut self.load else { return };
        if self.now < self.looked + LOOK {
            return;
        }
        let sets = self.policy.working_sets();
        self.policy.forget_runs();
        let idle = core::mem::take(&mut self.idle);
        let changes = load.look(
            Nanoseconds(self.now),
            Nanoseconds(idle),
            self.disk_free > self.now + 10_000_000,
            &sets,
        );
        self.looked = self.now;
        if let Some(group) = changes.suspend {
            self.policy.suspend(group, true);
            self.suspensions += 1;
            let program = self.programs.iter_mut().find(|it| it.group == group).expect("a program");
            assert!(!program.suspended, "it stands still already");
            (program.suspended, program.waited_since) = (true, Some(self.now));
        }
        if let Some(group) = changes.go_on {
            self.policy.suspend(group, false);
            let place = self.programs.iter().position(|it| it.group == group).expect("a program");
            let program = &mut self.programs[place];
            assert!(program.suspended, "it runs already");
            program.suspended = false;
            let stood = self.now - program.waited_since.take().unwrap_or(self.now);
            program.longest_stand = program.longest_stand.max(stood);
            self.bring_back(place);
        }
    }

    fn run_for(&mut self, seconds: u64) {
        let end = self.now + seconds * 1_000_000_000;
        while self.now < end {
            self.control();
            let ready: Vec<usize> = (0..self.programs.len())
                .filter(|at| !self.programs[*at].suspended)
                .filter(|at| self.programs[*at].waits_until <= self.now)
                .collect();
            if ready.is_empty() {
                self.now += 50_000;
                self.idle += 50_000;
            }
            for index in ready {
                (0..20).for_each(|_| {
                    if self.programs[index].waits_until <= self.now {
                        self.run(index);
                    }
                });
            }
        }
    }

    fn done(&self) -> u64 {
        self.programs.iter().map(|program| program.done).sum()
    }
}

#[test]
fn eight_groups_that_need_half_of_memory_each_do_nearly_as_much_as_one_after_the_other() {
    let mut alone = Machine::new(&[FRAMES / 2], true);
    alone.run_for(40);
    let mut thrashing = Machine::new(&[FRAMES / 2; 8], false);
    thrashing.run_for(40);
    let mut together = Machine::new(&[FRAMES / 2; 8], true);
    together.run_for(40);
    let (one, all, wild) = (alone.done(), together.done(), thrashing.done());
    println!("one {one}, eight in turns {all}, eight without turns {wild}");
    assert!(all * 10 >= one * 8, "{all} of {one}");
    assert!(wild * 10 < one * 8, "without control it is no problem at all: {wild} of {one}");
    together.run_for(40);
    let bound = LoadControl::longest_stand(8).0;
    for program in &together.programs {
        println!("stood at most {} ns, did {}", program.longest_stand, program.done);
        assert!(
            program.longest_stand <= bound,
            "{} stood {}",
            program.group.index(),
            program.longest_stand
        );
        assert!(program.longest_stand > 0 && program.done > 0);
        assert!(program.done * 16 > together.done(), "{} of {}", program.done, together.done());
    }
}

#[test]
fn where_only_one_has_room_soon_only_one_runs() {
    // All have run for long when they begin to need more.
    let mut machine = Machine::new(&[FRAMES / 10; 8], true);
    machine.run_for(20);
    assert_eq!(machine.suspensions, 0);
    machine.programs.iter_mut().for_each(|program| program.pages = FRAMES / 4 * 3);
    machine.run_for(6);
    let running = machine.programs.iter().filter(|program| !program.suspended).count();
    println!("{running} run after {} suspensions", machine.suspensions);
    assert_eq!(running, 1);
    assert!(machine.suspensions <= 10, "nobody has had a turn yet: {}", machine.suspensions);
    for _ in 0..100 {
        machine.run_for(1);
        let running = machine.programs.iter().filter(|program| !program.suspended).count();
        assert!(running <= 1, "{running} run at {} ns", machine.now);
    }
}

#[test]
fn who_fits_its_share_is_never_suspended() {
    let mut machine = Machine::new(&[100, 900, 900, 900], true);
    machine.run_for(30);
    assert_eq!(machine.programs[0].longest_stand, 0);
    assert!(machine.programs[1..].iter().all(|program| program.longest_stand > 0));
    let bound = LoadControl::longest_stand(4).0;
    assert!(machine.programs.iter().all(|program| program.longest_stand <= bound));
}

#[test]
fn who_fits_together_runs_together_and_one_alone_always_runs() {
    for sets in [&[300, 300, 300][..], &[5000][..], &[100; 9][..]] {
        let mut machine = Machine::new(sets, true);
        machine.run_for(8);
        assert!(machine.programs.iter().all(|program| program.longest_stand == 0), "{sets:?}");
        assert!(machine.programs.iter().all(|program| !program.suspended), "{sets:?}");
    }
}

#[test]
fn when_the_others_have_ended_nobody_stands_still_any_more() {
    let mut machine = Machine::new(&[600, 600, 600], true);
    machine.run_for(20);
    assert!(machine.programs.iter().any(|program| program.suspended));
    // Two of them sleep for ever.
    for program in &mut machine.programs[..2] {
        program.waits_until = u64::MAX;
    }
    machine.run_for(40);
    assert!(!machine.programs[2].suspended, "the last one runs");
    let before = machine.programs[2].done;
    machine.run_for(10);
    assert!(machine.programs[2].done > before + 50_000, "and it does something");
}
