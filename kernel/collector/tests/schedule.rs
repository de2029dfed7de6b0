//! The schedule of collections against a world that takes its time, fails, is paused, stopped and restarted at random: whatever
//! comes, the rules hold by which a pin, a mark and a sweep follow each other.

use revenant_collector::schedule::{Mode, Note, Order, Schedule, View};
use revenant_hal::{Epoch, Nanoseconds};
use revenant_sim::Random;
use revenant_vm::Prospect;
use revenant_vm::counting::doubt::{Tallies, Wish};

const MILLISECOND: u64 = 1_000_000;
const MINUTE: u64 = 60_000 * MILLISECOND;

/// What stands in superblock, region and object space, as far as the schedule moves it.
#[derive(Clone, Default)]
struct State {
    pinned: Option<u64>,
    /// A sweep is under way, by the mark of this snapshot.
    sweeping: Option<u64>,
    prospect: Prospect,
}

struct World {
    random: Random,
    now: u64,
    /// The running epoch, and the durable snapshots.
    epoch: u64,
    live: State,
    /// As of the last durable snapshot: what a restart finds.
    durable: State,
    durable_epoch: u64,
    schedule: Schedule,
    mode: Mode,
    /// The pin wished for, which the next commit takes.
    wished: Option<Option<u64>>,
    /// Requests of a mark or verdict that the disk has not answered.
    asked: u32,
    marking: Option<u64>,
    marked: Option<u64>,
    work_left: u32,
    failing: usize,
    /// What was seen.
    begun: u32,
    swept: u32,
    failed: u32,
    /// Of a mark that met a page it could not read: the epoch whose snapshot has it again.
    rewritten: Option<u64>,
    restarted: u32,
    /// Pages that marks did without.
    without: u32,
    /// A page that no new block helps.
    bad_page: bool,
    unfounded: Vec<String>,
}

impl World {
    fn new(seed: u64, mode: Mode) -> Self {
        Self {
            random: Random::new(seed),
            now: 0,
            epoch: 10,
            live: State::default(),
            durable: State::default(),
            durable_epoch: 9,
            schedule: Schedule::new(mode, Nanoseconds(0)),
            mode,
            wished: None,
            asked: 0,
            marking: None,
            marked: None,
            work_left: 0,
            failing: 0,
            begun: 0,
            swept: 0,
            failed: 0,
            rewritten: None,
            restarted: 0,
            without: 0,
            bad_page: false,
            unfounded: Vec::new(),
        }
    }

    fn rule(&mut self, holds: bool, what: &str) {
        if !holds {
            self.unfounded.push(format!("{what} at {} ms", self.now / MILLISECOND));
        }
    }

    /// A flip, and at once its commit.
    fn commit(&mut self) {
        if let Some(wish) = self.wished.take() {
            self.live.pinned = wish;
        }
        self.durable = self.live.clone();
        self.durable_epoch = self.epoch;
        self.epoch += 1;
        let both = self
            .live
            .pinned
            .is_some_and(|pin| self.live.sweeping.is_some_and(|sweep| sweep != pin));
        self.rule(!both, "a snapshot is pinned while another's sweep is under way");
    }

    fn restart(&mut self) {
        self.live = self.durable.clone();
        (self.wished, self.asked, self.marking, self.marked) = (None, 0, None, None);
        self.rewritten = None;
        self.schedule = Schedule::new(self.mode, Nanoseconds(self.now));
    }

    fn view(&self) -> View {
        View {
            now: Nanoseconds(self.now),
            pinned: self.live.pinned.map(Epoch),
            durable: Epoch(self.durable_epoch),
            programs_run: true,
            short_of_space: false,
        }
    }

    fn fails(&mut self) -> bool {
        self.failing > 0 && self.random.index(100) < self.failing
    }

    /// Requests that the disk has not answered.
    fn requests(&mut self) -> u32 {
        [1, 2, 3][self.random.index(3)]
    }

    fn turn(&mut self) {
        let now = Nanoseconds(self.now);
        let order = self.schedule.order(&self.view());
        match order {
            Order::Rest => {}
            Order::Look => self.schedule.looked(now, Some(self.live.prospect)),
            Order::DropSweep => {
                self.live.sweeping = None;
                self.schedule.dropped(true);
            }
            Order::Pin(epoch) => {
                self.rule(self.live.sweeping.is_none(), "a pin while a sweep is under way");
                self.rule(self.live.pinned.is_none(), "a pin beside a pin");
                let has_page = self.rewritten.is_none_or(|rewritten| epoch.0 >= rewritten);
                self.rule(has_page, "a new mark of a snapshot in which the page cannot be read");
                self.restarted += u32::from(self.rewritten.take().is_some());
                self.wished = Some(Some(epoch.0));
                self.schedule.pinned(epoch, true);
            }
            Order::Begin => self.begin(now),
            Order::Mark => self.mark(now),
            Order::Rewrite => match self.random.index(4) {
                0 => {} // it is being read
                1 if !self.bad_page => self.schedule.rewritten(None),
                _ => {
                    self.rewritten = Some(self.epoch);
                    self.schedule.rewritten(Some(Epoch(self.epoch)));
                }
            },
            Order::DoWithout => {
                self.rule(self.marking.is_some(), "no mark that could do without a page");
                let done = self.random.one_in(2);
                (self.without, self.failed) =
                    (self.without + u32::from(done), self.failed + u32::from(!done));
                self.schedule.did_without(now, done);
            }
            Order::Sweep => self.sweep(now),
            Order::Note(note) => self.note(note, now),
            Order::Release => {
                self.asked = self.asked.saturating_sub(1);
                if self.asked == 0 {
                    (self.marking, self.marked) = (None, None);
                }
                self.schedule.released(self.asked == 0);
            }
            Order::Unpin => {
                self.rule(self.live.sweeping.is_none(), "the pin goes before the sweep has ended");
                let lost = self.durable.sweeping.is_some() && self.durable.pinned.is_some();
                self.rule(!lost || self.marked.is_none(), "the end of the sweep was not durable");
                self.wished = Some(None);
            }
        }
    }

    fn begin(&mut self, now: Nanoseconds) {
        self.rule(self.asked == 0, "the disk owes an answer to what was before");
        let fails = self.fails();
        self.failed += u32::from(fails);
        self.schedule.begun(now, !fails);
        if !fails {
            (self.marking, self.marked) = (self.live.pinned, None);
            (self.asked, self.work_left) = (self.requests(), 20);
            self.begun += 1;
        }
    }

    fn mark(&mut self, now: Nanoseconds) {
        self.rule(
            self.marking.is_some() && self.marking == self.live.pinned,
            "no mark to go on with",
        );
        self.schedule.stepped(now, Nanoseconds(now.0 + MILLISECOND / 10));
        self.asked = self.requests();
        self.work_left = self.work_left.saturating_sub(1);
        if self.bad_page {
            return self.schedule.unreadable(now);
        }
        if self.fails() {
            if self.random.index(2) == 0 {
                return self.schedule.unreadable(now);
            }
            self.failed += 1;
            self.schedule.failed(now);
        } else if self.work_left == 0 {
            self.marked = self.marking;
            self.work_left = 20;
            self.schedule.marked(1000);
        }
    }

    fn sweep(&mut self, now: Nanoseconds) {
        self.rule(
            self.marked.is_some() && self.marked == self.live.pinned,
            "a sweep without its mark",
        );
        self.live.sweeping = self.marked;
        self.work_left = self.work_left.saturating_sub(1);
        if self.fails() {
            self.failed += 1;
            self.schedule.failed(now);
        } else if self.work_left == 0 {
            self.live.sweeping = None;
            self.swept += 1;
            self.schedule.swept(now, Epoch(self.epoch), 1 << 20);
        }
    }

    fn note(&mut self, Note { collected, granted }: Note, now: Nanoseconds) {
        let wish = &mut self.live.prospect.wish;
        wish.start &= !granted.start;
        wish.stop &= !granted.stop;
        if let Some(collected) = collected {
            self.live.prospect.collected = collected;
        }
        self.schedule.noted(now);
    }

    /// So many milliseconds, in which programs hand out memory and snapshots are made twenty times a second.
    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            for _ in 0..4 {
                self.now += MILLISECOND / 4;
                self.turn();
            }
            self.live.prospect.tallies.given += 16 << 10;
            if self.now.is_multiple_of(50 * MILLISECOND) {
                self.commit();
            }
        }
    }

    fn sound(&self, seed: u64) {
        assert!(self.unfounded.is_empty(), "seed {seed}: {:#?}", self.unfounded);
    }
}

const EVERY: Mode = Mode::Every(Nanoseconds(200 * MILLISECOND));

#[test]
fn pins_marks_and_sweeps_follow_each_other_whatever_comes() {
    let (mut swept, mut failed, mut restarted) = (0, 0, 0);
    for seed in 0..300 {
        let mode = if seed % 2 == 0 { EVERY } else { Mode::Gain };
        let mut world = World::new(seed, mode);
        world.failing = world.random.index(3);
        for _ in 0..40 {
            let length = world.random.index(600) as u64;
            world.run(length);
            let wish = &mut world.live.prospect.wish;
            match world.random.index(8) {
                0 => world.restart(),
                1 => *wish = Wish { stop: true, ..*wish },
                2 => *wish = Wish { pause: !wish.pause, ..*wish },
                3 => *wish = Wish { start: true, pause: false, ..*wish },
                4 => world.now += MINUTE,
                _ => {}
            }
        }
        world.sound(seed);
        swept += world.swept;
        failed += world.failed;
        restarted += world.restarted;
        // Left alone, it comes to its end.
        world.failing = 0;
        world.live.prospect.wish = Wish { start: true, ..Wish::default() };
        let before = world.swept;
        world.run(4_000);
        world.sound(seed);
        assert!(world.swept > before, "seed {seed}: nothing comes to an end any more");
    }
    assert!(swept > 300 && failed > 100, "{swept} swept, {failed} failed");
    assert!(restarted > 30, "{restarted} marks of a snapshot with a page written anew");
}

#[test]
fn a_machine_that_is_to_collect_nothing_lets_go_of_the_pin_and_rests() {
    let mut world = World::new(1, EVERY);
    while world.live.pinned.is_none() {
        world.run(1);
    }
    let begun = world.begun;
    world.mode = Mode::Off;
    world.restart();
    assert!(world.live.pinned.is_some());
    world.run(5_000);
    assert_eq!((world.live.pinned, world.begun), (None, begun));
}

#[test]
fn a_pause_stands_still_and_outlives_a_restart() {
    let mut world = World::new(2, EVERY);
    world.run(1_000);
    let swept = world.swept;
    assert!(swept > 0);
    world.live.prospect.wish.pause = true;
    world.run(500);
    let begun = world.begun;
    world.commit();
    world.restart();
    world.run(5_000);
    // What was under way may have been taken up again, and goes no further.
    assert!(world.swept <= swept + 1 && world.begun <= begun + 1, "{}", world.swept);
    world.live.prospect.wish.pause = false;
    world.run(2_000);
    assert!(world.swept > swept + 1);
    world.sound(2);
}

#[test]
fn failures_are_ever_longer_apart_and_a_wish_does_not_wait() {
    let mut world = World::new(3, EVERY);
    world.failing = 100;
    world.run(2_000);
    assert_eq!(world.failed, 1);
    for (minutes, failed) in [(1, 2), (2, 3), (4, 4)] {
        world.now += minutes * MINUTE - 10_000 * MILLISECOND;
        world.run(4_000);
        assert_eq!(world.failed, failed - 1, "too early, after {minutes} minutes");
        world.now += 10_000 * MILLISECOND;
        world.run(4_000);
        assert_eq!(world.failed, failed, "after {minutes} minutes");
    }
    world.failing = 0;
    world.live.prospect.wish.start = true;
    world.run(3_000);
    assert!(world.swept > 0);
    assert!(!world.live.prospect.wish.start, "the wish was granted");
    world.sound(3);
}

/// Written anew, the page is read in the next snapshot, at once and not after a minute; but not for ever.
#[test]
fn a_page_that_is_written_anew_in_vain_ends_as_a_failure() {
    let mut world = World::new(5, EVERY);
    world.bad_page = true;
    world.run(20_000);
    assert_eq!((world.restarted, world.swept), (64, 0));
    world.bad_page = false;
    world.now += MINUTE;
    world.run(2_000);
    assert!(world.swept > 0);
    world.sound(5);
}

#[test]
fn by_gain_nothing_is_begun_where_nothing_was_handed_out() {
    let mut world = World::new(4, Mode::Gain);
    for _ in 0..200 {
        world.now += MINUTE;
        world.run(10);
        world.live.prospect.tallies = Tallies::default();
    }
    assert_eq!(world.begun, 0);
    world.run(5_000);
    assert!(world.begun > 0, "after {} bytes", world.live.prospect.tallies.given);
}
