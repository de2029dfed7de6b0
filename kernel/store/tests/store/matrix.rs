//! The crash matrix: a scripted run with snapshots, deletions, a rollback and a branch, recorded write by write, and the
//! power cut at every point of it.
//!
//! Between two flushes any subset of the outstanding block writes may survive. The subsets at one position contain those
//! of all earlier positions of the same interval, so each interval is judged where 12 writes are outstanding (every subset),
//! at its end (sampled above 12), and at every single write with drawn fates: each sector old, new, garbage, zero or torn.
//!
//! After every cut the disk is opened. It must be exactly the last snapshot whose commit was reported, or the next one;
//! no generation may be damaged; every block must match its checksum; the allocator must mark exactly what is reached.
//! Now and then the recovery and the session after it are recorded too, and cut at every write in turn.

use crate::common::{End, Identity, Machine, Pages, apply, pages, telling};
use revenant_hal::{Disk, DiskOperation, Epoch};
use revenant_sim::{
    CutPolicy, DiskLog, Fault, FaultEffect, FaultTarget, Image, KeepAll, KeepNone, LogEntry, Order,
    Random, Replay, Scattered, Seeded, SimDiskOptions, cuts_to_try,
};
use revenant_store::{OpenFrom, OpenRequest, Planted, Refusal, Retention, Store};

/// A state that a cut may leave: from `position` of the log on it is the least that may be found.
struct Milestone {
    position: usize,
    /// None: a commit that was given up although its superblock may have landed; judged by content.
    identity: Option<Identity>,
    epoch: Epoch,
    live: Pages,
}

/// A recorded run.
struct Recorded {
    log: DiskLog,
    milestones: Vec<Milestone>,
}

/// The machine of the script: small requests, so that there are many.
fn disk_options(seed: u64) -> SimDiskOptions {
    SimDiskOptions { seed, blocks_per_request: 8, queue_depth: 8, ..SimDiskOptions::default() }
}

/// The same, with DISCARD.
fn discarding(seed: u64) -> SimDiskOptions {
    SimDiskOptions { discard_blocks: 32, ..disk_options(seed) }
}

/// For looking at what a cut left: as fast as the simulation allows.
fn looking(seed: u64) -> SimDiskOptions {
    SimDiskOptions { seed, order: Order::Submitted, ..SimDiskOptions::default() }
}

struct Script {
    machine: Machine,
    store: Store,
    live: Pages,
    /// Written before the flip of the next snapshot.
    early: Pages,
    models: std::collections::BTreeMap<Epoch, Pages>,
    milestones: Vec<Milestone>,
    session: u128,
    planted: Planted,
    /// How long it rests between snapshots.
    rests: Random,
}

impl Script {
    fn new(options: SimDiskOptions, planted: Planted) -> Self {
        let mut machine = Machine::with_options(Image::new(1024), options);
        machine.format().expect("a fresh disk is formatted");
        machine.disk.start_log();
        let (mut store, _) = machine.open(Self::request(1, OpenFrom::Newest)).expect("it opens");
        store.plant(planted);
        let mut script = Self {
            machine,
            store,
            live: Pages::new(),
            early: Pages::new(),
            models: [(Epoch(0), Pages::new())].into(),
            milestones: Vec::new(),
            session: 1,
            planted,
            rests: Random::new(options.seed),
        };
        script.milestone(0);
        script
    }

    fn request(session: u128, from: OpenFrom) -> OpenRequest {
        OpenRequest { from, ..telling(session, 2) }
    }

    fn milestone(&mut self, position: usize) {
        self.milestones.push(Milestone {
            position,
            identity: Some(Identity::of(self.store.superblock())),
            epoch: self.store.durable_epoch(),
            live: self.live.clone(),
        });
    }

    fn snapshot(&mut self, changes: &[(u64, u64)]) -> Epoch {
        self.machine.rest(&mut self.store, self.rests.below(300));
        let epoch = self.store.running_epoch();
        let changes = pages(changes);
        self.early.retain(|page, _| changes.get(page) != Some(&0));
        let next = apply(&apply(&self.live, &self.early), &changes);
        let beside = self.machine.beside.clone();
        match self.machine.snapshot(&mut self.store, &changes) {
            End::Committed(..) => {
                self.live = next;
                self.early = beside;
                self.models.insert(epoch, self.live.clone());
                self.milestone(self.machine.disk.log_length());
            }
            End::Abandoned(_) => {
                // What was stored belongs to the next epoch, which this script does not give it; what was discarded or written
                // before the flip stays so.
                self.live.extend(changes.iter().filter(|(_, number)| **number == 0));
                self.early.extend(beside);
                let position = self.milestones.last().map_or(0, |last| last.position);
                self.milestones.push(Milestone { position, identity: None, epoch, live: next });
            }
            End::Refused => panic!("the script fits on its disk"),
        }
        epoch
    }

    /// Writes pages before the flip; some of them are still on their way when it comes.
    fn early(&mut self, written: &[(u64, u64)], on_the_way: &[(u64, u64)]) {
        let (written, on_the_way) = (pages(written), pages(on_the_way));
        let done = self.machine.write_early(&mut self.store, &written);
        assert_eq!(done, written, "nothing fails");
        self.machine.begin_early(&mut self.store, &on_the_way);
        self.early = apply(&apply(&self.early, &written), &on_the_way);
    }

    /// Writes pages of the next epoch while the next snapshot is in the making; it may end before they have ended.
    fn beside(&mut self, written: &[(u64, u64)]) {
        while self.machine.event(&mut self.store).is_some() {} // nothing is on its way any more
        self.machine.beside = pages(written);
    }

    fn commit_requests(&mut self) {
        let end = self.machine.commit_requests(&mut self.store);
        assert!(matches!(end, End::Committed(..)), "{end:?}");
        self.milestone(self.machine.disk.log_length());
    }

    fn reopen(&mut self, from: OpenFrom) {
        self.session += 1;
        let request = Self::request(self.session, from);
        let (store, report) = self.machine.open_planted(request, self.planted).expect("it opens");
        self.store = store;
        self.store.plant(self.planted);
        self.live = self.models[&report.epoch].clone();
        self.early.clear();
    }

    fn finish(mut self) -> Recorded {
        let log = self.machine.disk.take_log().expect("the run was recorded");
        Recorded { log, milestones: self.milestones }
    }
}

/// The script: retention of two (the store's own policy changes beside it), a pin, deletions, discards, pages written before their flip, a second session, a rollback, a branch and its release.
fn record(seed: u64, planted: Planted) -> Recorded {
    play(Script::new(disk_options(seed), planted))
}

/// The same on a disk that is told what is free.
fn record_discarding(seed: u64, planted: Planted) -> Recorded {
    play(Script::new(discarding(seed), planted))
}

fn play(mut script: Script) -> Recorded {
    let pinned = script.snapshot(&[(1, 1), (2, 2), (1000, 3), (70_000, 4)]);
    script.store.pin(pinned).expect("it exists");
    script.early(&[(3, 101), (50, 102), (51, 103), (52, 104)], &[]);
    script.early(&[(50, 105)], &[(53, 106), (1, 107)]);
    script.beside(&[(3, 120), (60, 121), (53, 122)]);
    script.snapshot(&[(1, 11), (3, 5), (52, 0)]);
    script.early(&[], &[(50, 108), (54, 109)]);
    script.snapshot(&[(2, 0), (1, 12)]);
    script.early(&[(55, 110), (2, 111)], &[]);
    script.beside(&[(55, 123), (61, 124), (4, 125)]);
    let victim = script.snapshot(&[(4, 6), (1000, 7)]);
    script.snapshot(&[(1, 13)]);
    script.store.delete(victim).expect("it exists");
    script.store.set_retention(Retention { last: 5, hourly: 4, daily: 3 }).expect("it is possible");
    script.early(&[(62, 126)], &[(63, 127)]);
    script.commit_requests();
    script.reopen(OpenFrom::Newest);
    script.early(&[(56, 112), (57, 113)], &[(55, 114)]);
    script.snapshot(&[(5, 8), (70_000, 9)]);
    script.early(&[(56, 115)], &[]);
    script.reopen(OpenFrom::Rollback { epoch: pinned, restore_generation: 0 });
    script.snapshot(&[(6, 10), (1, 14)]);
    script.snapshot(&[(6, 15)]);
    script.store.unpin(pinned).expect("it exists");
    script.store.set_retention(Retention { last: 2, hourly: 0, daily: 1 }).expect("it is possible");
    script.snapshot(&[(7, 16)]);
    script.store.release_branch(revenant_store::BranchId(1)).expect("it exists");
    script.commit_requests();
    script.snapshot(&[(1, 17), (8, 18)]);
    script.finish()
}

/// The same disk with flushes and writes that fail.
fn record_failures(seed: u64, planted: Planted) -> Recorded {
    let mut script = Script::new(disk_options(seed), planted);
    let fail = |script: &mut Script, operation, nth| {
        let target = FaultTarget::Nth(nth);
        script.machine.disk.add_fault(Fault { operation, target, effect: FaultEffect::Fail });
    };
    let stored: Vec<(u64, u64)> = (20..25).map(|page| (page, page)).collect();
    script.snapshot(&stored);
    script.snapshot(&[(1, 1), (2, 2), (1000, 3)]);
    for (page, (operation, nth)) in (20..).zip([
        (DiskOperation::Flush, 0),
        (DiskOperation::Flush, 1),
        (DiskOperation::Write, 1),
        (DiskOperation::Write, 9),
        (DiskOperation::Flush, 1),
    ]) {
        script.early(&[(page + 40, page), (2, page)], &[]);
        if operation == DiskOperation::Flush {
            script.beside(&[(page + 40, page + 200), (page + 50, page + 201), (7, page + 202)]);
        }
        fail(&mut script, operation, nth);
        script.snapshot(&[(1, 20 + nth), (nth + 5, 30), (page, 0)]);
        script.machine.disk.clear_faults();
        script.snapshot(&[(1, 40 + nth), (nth + 6, 50), (2, 60 + nth)]);
    }
    script.reopen(OpenFrom::Newest);
    script.snapshot(&[(9, 70)]);
    script.finish()
}

/// Counts of a matrix, for the line that it ends with.
#[derive(Default, Debug)]
struct Tally {
    cuts: u64,
    next: u64,
    recoveries_cut: u64,
}

struct Matrix<'run> {
    recorded: &'run Recorded,
    planted: Planted,
    tally: Tally,
    random: Random,
    /// One recovery in so many is recorded and cut itself.
    recut: u64,
}

/// In one subset in so many, the writes that are not kept end sector by sector as a seed wills; in every one they also end as
/// if they had never been made.
const SCATTERED: u64 = 6;

type Verdict = Result<(), String>;

impl Matrix<'_> {
    /// Every position, and the subsets of every interval.
    fn run(&mut self, exhaustive: usize, samples: usize) -> Verdict {
        let recorded = self.recorded;
        let mut replay = recorded.log.replay();
        let mut judged = 0;
        loop {
            let ends = matches!(replay.next_entry(), None | Some(LogEntry::FlushCompleted { .. }));
            let outstanding = replay.outstanding();
            if (ends && outstanding > judged) || (outstanding == exhaustive && judged < exhaustive)
            {
                let seed = self.random.next_u64();
                for mut subset in cuts_to_try(outstanding, exhaustive, samples, seed) {
                    self.judge(&replay, &mut subset, "subset")?;
                    if !self.random.one_in(SCATTERED) {
                        continue;
                    }
                    let seed = self.random.next_u64();
                    let (kept, otherwise) = (subset.kept, Seeded::new(seed));
                    let how = format!("subset, the rest drawn by seed {seed}");
                    self.judge(&replay, &mut Scattered { kept, otherwise }, &how)?;
                }
                judged = outstanding;
            }
            self.judge(&replay, &mut KeepNone, "none kept")?;
            self.judge(&replay, &mut KeepAll, "all kept")?;
            for _ in 0..2 {
                let seed = self.random.next_u64();
                self.judge(&replay, &mut Seeded::new(seed), &format!("drawn by seed {seed}"))?;
            }
            if !replay.step() {
                return Ok(());
            }
            if replay.outstanding() < judged {
                judged = 0;
            }
        }
    }

    /// The milestones that may be found when the power goes at a position.
    fn acceptable(recorded: &Recorded, position: usize) -> &[Milestone] {
        let all = &recorded.milestones;
        let committed = |m: &&Milestone| m.identity.is_some() && m.position <= position;
        let first = all.iter().rposition(|m| committed(&m)).unwrap_or(0);
        let next = all[first + 1..].iter().position(|m| m.identity.is_some());
        let end = next.map_or(all.len(), |next| first + 1 + next + 1);
        &all[first..end]
    }

    fn judge(&mut self, replay: &Replay<'_>, policy: &mut dyn CutPolicy, how: &str) -> Verdict {
        let position = replay.position();
        let image = replay.cut(policy);
        self.tally.cuts += 1;
        let recut = self.recut > 0 && self.random.one_in(self.recut);
        let found = self.recover(image.clone(), position);
        let told = |error| format!("cut at entry {position}, {how}: {error}");
        let found = found.map_err(told)?;
        if recut {
            self.cut_recovery(image, &found, position).map_err(told)?;
        }
        Ok(())
    }

    /// Opens what a cut left; it must be whole and one of the acceptable states.
    fn recover(&mut self, image: Image, position: usize) -> Result<Identity, String> {
        let recorded = self.recorded;
        let acceptable = Self::acceptable(recorded, position);
        let first = acceptable[0].epoch;
        let mut machine = Machine::looking(image, looking(7));
        let (mut store, found) = open_whole(&mut machine, self.planted)?;
        let known = acceptable.iter().find(|m| m.identity.as_ref() == Some(&found));
        let by_content =
            acceptable.iter().find(|m| m.identity.is_none() && m.epoch == found.live.0);
        let milestone = match (known, by_content) {
            (Some(milestone), _) | (None, Some(milestone)) => milestone,
            _ => {
                let wanted: Vec<_> = acceptable.iter().map(|m| m.epoch).collect();
                return Err(format!("found {found:?}, wanted one of {wanted:?}"));
            }
        };
        if (known.is_none() || self.random.one_in(64))
            && !machine.matches(&mut store, None, &milestone.live)
        {
            return Err(format!("snapshot {} has other pages than it had", milestone.epoch));
        }
        self.tally.next += u64::from(milestone.epoch != first);
        Ok(found)
    }

    /// Records the recovery and a snapshot after it, and cuts them at every entry.
    fn cut_recovery(&mut self, image: Image, found: &Identity, position: usize) -> Verdict {
        let mut machine = Machine::with_options(image, disk_options(8));
        machine.disk.start_log();
        let request = Script::request(900, OpenFrom::Newest);
        let opened = machine.open_planted(request, self.planted);
        let (mut store, _) = opened.map_err(|refusal| format!("recovery: {refusal}"))?;
        store.plant(self.planted);
        let changes = pages(&[(1, 500), (11, 501)]);
        if !matches!(machine.snapshot(&mut store, &changes), End::Committed(..)) {
            return Err("no snapshot after recovery".into());
        }
        let next = Identity::of(store.superblock());
        let committed = machine.disk.log_length();
        let log = machine.disk.take_log().expect("recorded");
        let mut replay = log.replay();
        loop {
            self.tally.recoveries_cut += 1;
            let seed = self.random.next_u64();
            let policies: [&mut dyn CutPolicy; 3] =
                [&mut KeepNone, &mut KeepAll, &mut Seeded::new(seed)];
            for policy in policies {
                let mut again = Machine::looking(replay.cut(policy), looking(9));
                let (_, second) = open_whole(&mut again, self.planted).map_err(|error| {
                    format!("recovery cut at entry {}, seed {seed}: {error}", replay.position())
                })?;
                let done = replay.position() >= committed;
                if !(second == next || second == *found && !done) {
                    return Err(format!("recovery from {position} cut: found {second:?}"));
                }
            }
            if !replay.step() {
                return Ok(());
            }
        }
    }
}

/// Opens a disk; every block that it reaches must be whole, and the allocator exact.
fn open_whole(machine: &mut Machine, planted: Planted) -> Result<(Store, Identity), String> {
    let request = Script::request(800, OpenFrom::Newest);
    let opened = machine.open_planted(request, planted);
    let (mut store, report) = opened.map_err(|refusal: Refusal| format!("refused: {refusal}"))?;
    store.plant(planted);
    if !report.damaged.is_empty() {
        return Err(format!("damaged generations {:?}", report.damaged));
    }
    let checked = machine.check(store.superblock().clone());
    match checked.problems.first() {
        Some(problem) => Err(format!("epoch {}: {problem}", report.epoch)),
        None => Ok((store.superblock().clone(), store)).map(|(s, store)| (store, Identity::of(&s))),
    }
}

fn matrix(recorded: &Recorded, planted: Planted, seed: u64, recut: u64) -> Matrix<'_> {
    let random = Random::new(seed);
    Matrix { recorded, planted, tally: Tally::default(), random, recut }
}

#[test]
fn every_cut_of_the_script_leaves_the_last_or_the_next_snapshot() {
    let seed = 101;
    let recorded = record(seed, Planted::None);
    let mut matrix = matrix(&recorded, Planted::None, seed, 400);
    let verdict = matrix.run(12, 24);
    println!("seed {seed}, {} log entries: {:?}", recorded.log.entries.len(), matrix.tally);
    verdict.expect("every cut recovers");
    assert!(matrix.tally.next > 0, "some cuts let the next snapshot live");
    assert!(matrix.tally.recoveries_cut > 100);
}

#[test]
fn every_cut_of_the_script_on_a_disk_that_is_told_what_is_free() {
    let seed = 105;
    let recorded = record_discarding(seed, Planted::None);
    let mut matrix = matrix(&recorded, Planted::None, seed, 1000);
    let verdict = matrix.run(8, 8);
    println!("seed {seed}, {} log entries: {:?}", recorded.log.entries.len(), matrix.tally);
    verdict.expect("every cut recovers");
    assert!(recorded.log.entries.len() > 1000, "blocks were discarded");
}

#[test]
fn failed_flushes_and_writes_cost_a_snapshot_and_nothing_else() {
    let seed = 102;
    let recorded = record_failures(seed, Planted::None);
    let abandoned = recorded.milestones.iter().filter(|m| m.identity.is_none()).count();
    assert!(abandoned >= 4, "{abandoned} snapshots were abandoned");
    let mut matrix = matrix(&recorded, Planted::None, seed, 400);
    let verdict = matrix.run(12, 20);
    println!("seed {seed}, {} log entries: {:?}", recorded.log.entries.len(), matrix.tally);
    verdict.expect("every cut recovers");
}

/// Runs the matrix with a planted bug; the first violation is what is wanted.
fn caught(planted: Planted, record: fn(u64, Planted) -> Recorded) -> Option<String> {
    let recorded = record(103, planted);
    matrix(&recorded, planted, 103, 100).run(8, 20).err()
}

#[test]
fn planted_bugs_of_the_commit_are_caught_by_the_matrix() {
    for planted in [
        Planted::DataFlushSkipped,
        Planted::SuperblockFlushSkipped,
        Planted::AllocatorOneEpochOff,
        Planted::PinForgotten,
        Planted::BirthTestDropped,
        Planted::BirthOffByOne,
        Planted::DiscardNotCommitted,
        Planted::OverlayLost,
        Planted::OverlayInOlderSuperblock,
    ] {
        let caught = std::panic::catch_unwind(|| caught(planted, record));
        match caught {
            Ok(Some(violation)) => println!("{planted:?}: {violation}"),
            Ok(None) => panic!("{planted:?} was not caught"),
            // An assertion at the persistence boundary is as good a catch.
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or(panic.downcast_ref::<&str>().copied());
                println!("{planted:?}: stopped by an assertion: {}", text.unwrap_or("no text"));
            }
        }
    }
    let early = caught(Planted::TrimmedOneGenerationEarly, record_discarding);
    assert!(early.is_some(), "what the second newest superblock reaches was discarded unseen");
    for planted in [Planted::FlushErrorIgnored, Planted::DiscardLostWithSnapshot] {
        assert!(caught(planted, record_failures).is_some(), "{planted:?} was not caught");
    }
}

#[test]
fn the_disk_of_the_script_is_exercised() {
    // The matrix is worth what its script does: more than 12 writes outstanding, several sessions, both ends of the ring.
    let recorded = record(104, Planted::None);
    let mut replay = recorded.log.replay();
    let (mut most, mut flushes) = (0, 0);
    while replay.step() {
        most = most.max(replay.outstanding());
        flushes +=
            usize::from(matches!(replay.next_entry(), Some(LogEntry::FlushCompleted { .. })));
    }
    assert!(most > 12 && flushes > 24, "{most} outstanding, {flushes} flushes");
    let machine = Machine::with_options(recorded.log.start.clone(), disk_options(1));
    assert_eq!(machine.disk.geometry().blocks, 1024);
}
