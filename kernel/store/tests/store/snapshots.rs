//! The tree of snapshots: retention, pins, deletion and what it costs, rollback and branches, hidden forks (B34-B36).

use crate::common::{
    End, Machine, Pages, apply, content, copies, formatted, options, pages, request,
};
use revenant_hal::{Epoch, FrameIndex, FrameMemory, PageBytes, PageIndex};
use revenant_store::{
    BranchId, Lookup, OpenFrom, OpenReport, OpenRequest, PageContent, Planted, Purpose, Refusal,
    Retention, RetentionOverride, SnapshotError, Store, StoreOptions,
};
use std::collections::BTreeMap;

/// A store with what each of its snapshots must hold.
struct History {
    machine: Machine,
    store: Store,
    report: OpenReport,
    live: Pages,
    models: BTreeMap<Epoch, Pages>,
    sessions: u128,
    override_retention: RetentionOverride,
}

impl History {
    fn new(seed: u64, last: u32) -> Self {
        let mut machine = formatted(2048, seed);
        let mut first = request(1);
        first.options = options(last);
        let (store, report) = machine.open(first).expect("it opens");
        let models = BTreeMap::from([(Epoch(0), Pages::new())]);
        let override_retention = RetentionOverride::only_last(50);
        let live = Pages::new();
        Self { machine, store, report, live, models, sessions: 1, override_retention }
    }

    fn snapshot(&mut self, changes: &[(u64, u64)]) -> Epoch {
        let changes = pages(changes);
        self.live = apply(&self.live, &changes);
        match self.machine.snapshot(&mut self.store, &changes) {
            End::Committed(epoch, _) => {
                self.models.insert(epoch, self.live.clone());
                epoch
            }
            other => panic!("not committed: {other:?}"),
        }
    }

    fn commit_requests(&mut self) {
        let end = self.machine.commit_requests(&mut self.store);
        assert!(matches!(end, End::Committed(..)), "{end:?}");
    }

    fn try_reopen(&mut self, from: OpenFrom) -> Result<(), Refusal> {
        self.sessions += 1;
        let options = self.store_options();
        let request = OpenRequest { from, options, ..request(self.sessions) };
        let (store, report) = self.machine.open(request)?;
        self.live = self.models[&report.epoch].clone();
        (self.store, self.report) = (store, report);
        Ok(())
    }

    fn store_options(&self) -> StoreOptions {
        StoreOptions { retention: self.override_retention, ..StoreOptions::default() }
    }

    fn reopen(&mut self, from: OpenFrom) {
        self.try_reopen(from).expect("it opens");
    }

    fn epochs(&self) -> Vec<u64> {
        let entries = self.store.snapshots().entries().iter();
        entries.filter(|entry| !entry.hidden).map(|entry| entry.epoch.0).collect()
    }

    /// Every snapshot holds what it held, the allocator is exact.
    fn verify(&mut self) {
        for epoch in self.epochs() {
            let model = self.models[&Epoch(epoch)].clone();
            assert!(
                self.machine.matches(&mut self.store, Some(Epoch(epoch)), &model),
                "snapshot {epoch} changed"
            );
        }
        assert!(self.machine.matches(&mut self.store, None, &self.live.clone()));
        let report = self.machine.check(self.store.superblock().clone());
        assert_eq!(report.problems, []);
    }
}

#[test]
fn retention_keeps_the_last_and_the_pinned_and_frees_the_rest() {
    let mut history = History::new(11, 2);
    let pinned = history.snapshot(&[(1, 1), (2, 2), (300, 3)]);
    history.store.pin(pinned).unwrap();
    for round in 0..6 {
        history.snapshot(&[(1, 10 + round), (5 + round, 50)]);
        history.verify();
    }
    assert_eq!(history.epochs().len(), 3);
    assert!(history.epochs().contains(&pinned.0));
    assert_eq!(history.store.delete(pinned), Err(SnapshotError::Pinned(pinned)));
    history.reopen(OpenFrom::Newest);
    assert!(history.store.snapshots().get(pinned).unwrap().pinned, "pins survive a reboot");
    history.store.unpin(pinned).unwrap();
    history.commit_requests();
    history.store.delete(pinned).unwrap();
    history.commit_requests();
    assert!(!history.epochs().contains(&pinned.0));
    history.verify();
}

/// The policy goes with the disk: whoever opens it without a wish of its own follows it, and it is durable only with a commit.
#[test]
fn the_policy_stands_in_the_store_and_a_session_may_override_it() {
    let mut history = History::new(19, 50);
    assert_eq!(history.store.retention(), Retention::DEFAULT, "nobody ever said");
    let epochs: Vec<u64> = (0..12).map(|i| history.snapshot(&[(i, i + 1)]).0).collect();
    let policy = Retention { last: 3, hourly: 0, daily: 0 };
    history.store.set_retention(policy).unwrap();
    history.reopen(OpenFrom::Newest);
    assert_eq!(history.store.retention(), Retention::DEFAULT, "no commit, no policy");
    history.store.set_retention(policy).unwrap();
    history.commit_requests();
    assert_eq!(history.epochs(), epochs, "the session keeps fifty");
    let most = Retention::MOST;
    for wrong in [Retention { last: 0, ..policy }, Retention { hourly: most - 2, ..policy }] {
        let refused = Err(SnapshotError::Retention { most });
        assert_eq!(history.store.set_retention(wrong), refused);
    }
    history.override_retention = RetentionOverride::default();
    history.reopen(OpenFrom::Newest);
    assert_eq!(history.store.retention(), policy);
    let newest = history.snapshot(&[(1, 100)]);
    assert_eq!(history.epochs(), [epochs[10], epochs[11], newest.0]);
    history.verify();
    history.override_retention = RetentionOverride::KEEP_ALL;
    history.reopen(OpenFrom::Newest);
    for i in 0..9 {
        history.snapshot(&[(i, i + 50)]);
    }
    assert_eq!(history.epochs().len(), 12);
    history.verify();
}

#[test]
fn any_snapshot_can_be_deleted_and_the_others_stay() {
    let mut history = History::new(12, 50);
    let epochs: Vec<Epoch> = (0..6)
        .map(|i| history.snapshot(&[(i, i + 1), (7, 70 + i), (200 + i / 2, 8 + i), (1000, 9 + i)]))
        .collect();
    for victim in [2, 0, 4, 1, 3] {
        history.store.delete(epochs[victim]).unwrap();
        history.commit_requests();
        history.verify();
    }
    assert_eq!(history.store.delete(epochs[5]), Err(SnapshotError::Newest));
    assert_eq!(history.store.delete(epochs[0]), Err(SnapshotError::Unknown(epochs[0])));
}

#[test]
fn rollback_makes_a_branch_and_is_applied_once() {
    let mut history = History::new(13, 50);
    let a = history.snapshot(&[(1, 1), (2, 2)]);
    let b = history.snapshot(&[(1, 10), (3, 3)]);
    let c = history.snapshot(&[(1, 100), (4, 4)]);
    let generation = history.store.generation();
    let rollback = OpenFrom::Rollback { epoch: a, restore_generation: 0 };
    history.reopen(rollback);
    assert!(history.report.restored);
    assert_eq!((history.report.epoch, history.report.restore_generation), (a, 1));
    assert!(history.report.running_epoch > Epoch(c.0 + 7), "epochs only grow");
    history.verify();
    // Nothing was committed yet: the same command applies again, to the same effect.
    history.reopen(rollback);
    let d = history.snapshot(&[(5, 5)]);
    assert!(history.store.generation().0 >= generation.0 + 8);
    assert_eq!(history.epochs(), [a.0, b.0, c.0, d.0]);
    assert_ne!(history.store.branch(), BranchId(1));
    history.verify();
    // Now it was: a forgotten command line does not roll back twice.
    let refused = history.try_reopen(rollback);
    assert_eq!(refused, Err(Refusal::RollbackAlreadyApplied { current: 1 }));
    let missing = OpenFrom::Rollback { epoch: Epoch(3), restore_generation: 1 };
    assert_eq!(history.try_reopen(missing), Err(Refusal::NoSuchSnapshot(Epoch(3))));
    history.reopen(OpenFrom::Newest);
    assert!(!history.report.restored);
    // And forward again, into the branch that was left.
    history.reopen(OpenFrom::Rollback { epoch: c, restore_generation: 1 });
    let e = history.snapshot(&[(1, 1000)]);
    assert_eq!(history.store.snapshots().get(e).unwrap().parent, c);
    history.verify();
}

#[test]
fn a_fork_is_hidden_until_one_side_is_released() {
    let mut history = History::new(14, 50);
    let a = history.snapshot(&[(1, 1), (2, 2)]);
    let fork = history.snapshot(&[(1, 10), (2, 20), (3, 30)]);
    history.snapshot(&[(1, 100), (4, 4)]);
    let tip = history.snapshot(&[(1, 101), (2, 21)]);
    history.reopen(OpenFrom::Rollback { epoch: fork, restore_generation: 0 });
    let live = history.snapshot(&[(2, 200)]);
    history.store.delete(fork).unwrap();
    history.store.delete(a).unwrap();
    history.commit_requests();
    assert!(history.store.snapshots().get(fork).unwrap().hidden);
    assert!(!history.epochs().contains(&a.0));
    history.verify();
    let refused = history.store.release_branch(history.store.branch());
    assert_eq!(refused, Err(SnapshotError::Newest));
    history.store.release_branch(BranchId(1)).unwrap();
    history.commit_requests();
    assert_eq!(history.store.snapshots().entries().len(), 1, "the fork went with its branch");
    assert_eq!(history.epochs(), [live.0]);
    assert!(history.store.snapshots().get(tip).is_none());
    history.verify();
}

#[test]
fn a_failed_resume_steps_back_to_the_parent_and_keeps_the_failed_state_as_a_branch() {
    let mut history = History::new(15, 50);
    let a = history.snapshot(&[(1, 1)]);
    let b = history.snapshot(&[(1, 2)]);
    history.reopen(OpenFrom::StepBack { failed: b });
    assert_eq!((history.report.epoch, history.report.restored), (a, true));
    let c = history.snapshot(&[(2, 3)]);
    assert_eq!(history.epochs(), [a.0, b.0, c.0]);
    // The same wish later: the newest is another one by now, nothing is stepped back from.
    history.reopen(OpenFrom::StepBack { failed: b });
    assert_eq!((history.report.epoch, history.report.restored), (c, false));
    history.verify();
}

#[test]
fn deletion_costs_what_it_frees_not_what_lives() {
    let mut machine = formatted(32_768, 16);
    let mut first = request(1);
    first.options = options(2);
    let (mut store, _) = machine.open(first).unwrap();
    let big: Pages = (0..12_800).map(|page| (page, page + 1)).collect();
    assert!(matches!(machine.snapshot(&mut store, &big), End::Committed(..)));
    for round in 0..10 {
        let before = store.nodes_visited_by_deletion();
        let changes = pages(&[(round * 300, 77), (round * 300 + 1, 78)]);
        assert!(matches!(machine.snapshot(&mut store, &changes), End::Committed(..)));
        let visited = store.nodes_visited_by_deletion() - before;
        assert!(visited <= 10, "{visited} nodes visited to free a handful among a hundred");
    }
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
}

#[test]
fn a_discarded_page_reads_as_zeros_and_its_block_leaves_with_the_last_snapshot() {
    let mut history = History::new(17, 1);
    history.snapshot(&[(1, 1), (2, 2), (3, 3)]);
    let before = history.machine.check(history.store.superblock().clone());
    let epoch = history.snapshot(&[(1, 0), (2, 0)]);
    let after = history.machine.check(history.store.superblock().clone());
    assert_eq!((before.pages, after.pages), (3, 1));
    assert_eq!(history.machine.read(&mut history.store, None, 1), Ok(PageBytes::ZERO));
    assert_eq!(history.store.snapshots().get(epoch).unwrap().pages, 1);
    history.snapshot(&[(3, 0)]);
    let empty = history.machine.check(history.store.superblock().clone());
    assert_eq!((empty.pages, empty.nodes), (0, 0), "an empty map has no nodes");
    history.verify();
}

/// A discard is of the running epoch alone: it reads as zeros at once, older snapshots keep what they have, a cut takes it back,
/// and whoever stores to the page afterwards wins.
#[test]
fn a_discard_is_seen_at_once_and_belongs_to_the_running_epoch() {
    let mut history = History::new(24, 3);
    let full = history.snapshot(&[(1, 1), (2, 2), (3, 3)]);
    for page in [1, 2] {
        assert_eq!(history.store.discard(PageIndex(page)), Ok(()));
        assert_eq!(history.store.lookup(PageIndex(page)), Lookup::Known(PageContent::Zero));
        assert_eq!(history.machine.read(&mut history.store, None, page), Ok(PageBytes::ZERO));
        assert_eq!(history.machine.read(&mut history.store, Some(full), page), Ok(content(page)));
    }
    history.reopen(OpenFrom::Newest);
    assert_eq!(history.machine.read(&mut history.store, None, 1), Ok(content(1)), "a cut");
    assert_eq!(history.store.discard(PageIndex(2)), Ok(()));
    history.snapshot(&[(1, 0), (2, 22)]);
    assert_eq!(history.machine.read(&mut history.store, None, 1), Ok(PageBytes::ZERO));
    assert_eq!(history.machine.read(&mut history.store, None, 2), Ok(content(22)));
    history.verify();
    // What an epoch discards while the snapshot before is in the making comes after what that snapshot holds of it.
    let mut planted = History::new(25, 3);
    planted.snapshot(&[(1, 1)]);
    planted.store.plant(Planted::DiscardUnseen);
    assert_eq!(planted.store.discard(PageIndex(1)), Ok(()));
    let seen = planted.machine.read(&mut planted.store, None, 1);
    assert_eq!(seen, Ok(content(1)), "the planted bug is one that the assertion above catches");
}

#[test]
fn the_collectors_pin_is_in_the_superblock_under_its_full_name() {
    let mut history = History::new(18, 1);
    let marked = history.snapshot(&[(1, 1)]);
    history.store.set_collector_pin(Some(marked)).unwrap();
    history.snapshot(&[(1, 2)]);
    history.snapshot(&[(1, 3)]);
    history.reopen(OpenFrom::Newest);
    let pin = history.store.superblock().collector_pin.unwrap();
    let snapshot = *history.store.snapshots().get(marked).unwrap();
    assert_eq!((pin.epoch, pin.branch), (marked, snapshot.branch));
    assert_eq!(pin.root_checksum, snapshot.root.checksum);
    history.verify();
    history.store.set_collector_pin(None).unwrap();
    history.store.delete(marked).unwrap();
    history.commit_requests();
    assert!(history.store.superblock().collector_pin.is_none());
    assert!(history.store.snapshots().get(marked).is_none());
}

/// A pin that came while a commit was deleting the snapshot used to get into the next superblock, where it named nothing.
#[test]
fn a_collectors_pin_that_comes_too_late_is_none() {
    let mut history = History::new(28, 1);
    let old = history.snapshot(&[(1, 1)]);
    let epoch = history.store.running_epoch();
    let page = PageIndex(1);
    history.store.reserve_first_dirtying(page, copies(page), Purpose::Program).unwrap();
    history.store.begin_snapshot(epoch, revenant_hal::Nanoseconds(0)).unwrap();
    history.store.set_collector_pin(Some(old)).unwrap();
    *history.machine.frames.bytes_mut(FrameIndex(0)) = content(2);
    history.store.write_page(page, FrameIndex(0), copies(page));
    history.store.finish_snapshot();
    while history.machine.event(&mut history.store).is_some() {}
    assert_eq!(history.store.durable_epoch(), epoch);
    assert!(history.store.snapshots().get(old).is_none(), "it went before the pin was known");
    history.commit_requests();
    assert_eq!(history.store.superblock().collector_pin, None);
}

#[test]
fn a_pinned_or_new_epoch_only() {
    let mut history = History::new(19, 3);
    let epoch = history.snapshot(&[(1, 1)]);
    let time = revenant_hal::Nanoseconds(0);
    let refused = history.store.begin_snapshot(epoch, time);
    assert_eq!(refused, Err(SnapshotError::EpochNotNew(epoch)));
    let running = history.store.running_epoch();
    history.store.begin_snapshot(running, time).unwrap();
    assert_eq!(history.store.begin_snapshot(running.next(), time), Err(SnapshotError::Busy));
    assert_eq!(history.store.pin(Epoch(12345)), Err(SnapshotError::Unknown(Epoch(12345))));
}

/// Stepping back used to resume the parent whether it was hidden or not. A commit without a snapshot then wrote a superblock
/// whose live snapshot was hidden, which no opening believes.
#[test]
fn a_step_back_passes_over_hidden_snapshots() {
    let mut history = History::new(20, 50);
    let a = history.snapshot(&[(1, 1)]);
    let fork = history.snapshot(&[(1, 10), (2, 20)]);
    history.snapshot(&[(1, 100)]);
    history.reopen(OpenFrom::Rollback { epoch: fork, restore_generation: 0 });
    let live = history.snapshot(&[(2, 200)]);
    history.store.delete(fork).unwrap();
    history.commit_requests();
    assert!(history.store.snapshots().get(fork).unwrap().hidden);
    history.reopen(OpenFrom::StepBack { failed: live });
    assert_eq!((history.report.epoch, history.report.restored), (a, true));
    history.store.pin(a).unwrap();
    history.commit_requests();
    history.reopen(OpenFrom::Newest);
    assert_eq!(history.report.epoch, a);
    history.snapshot(&[(3, 3)]);
    history.verify();
    // Where everything before is hidden there is nothing to step back to: the newest is resumed.
    let mut history = History::new(21, 50);
    let fork = history.snapshot(&[(1, 1)]);
    history.snapshot(&[(1, 2)]);
    history.reopen(OpenFrom::Rollback { epoch: fork, restore_generation: 0 });
    let live = history.snapshot(&[(1, 3)]);
    history.store.delete(fork).unwrap();
    history.commit_requests();
    history.reopen(OpenFrom::StepBack { failed: live });
    assert_eq!((history.report.epoch, history.report.restored), (live, false));
    history.verify();
}

#[test]
fn a_step_back_over_failures_goes_to_before_the_first_and_keeps_what_it_leaves() {
    let mut history = History::new(23, 50);
    let epochs: Vec<Epoch> = (1..=4).map(|number| history.snapshot(&[(1, number)])).collect();
    history.reopen(OpenFrom::StepBackBefore { first: epochs[2] });
    assert_eq!((history.report.epoch, history.report.restored), (epochs[1], true));
    assert!(epochs.iter().all(|epoch| history.store.snapshots().get(*epoch).is_some()));
    let live = history.snapshot(&[(2, 5)]);
    history.verify();
    // Once more, by another first: what lies before it on the live line, not on the branch that was left.
    history.reopen(OpenFrom::StepBackBefore { first: live });
    assert_eq!(history.report.epoch, epochs[1]);
    // Nothing is older: the oldest that there is. Then it is the newest, and stays.
    history.reopen(OpenFrom::StepBackBefore { first: epochs[0] });
    assert_eq!((history.report.epoch, history.report.restored), (epochs[0], true));
    history.store.pin(epochs[0]).unwrap();
    history.commit_requests();
    history.reopen(OpenFrom::StepBackBefore { first: epochs[0] });
    assert_eq!((history.report.epoch, history.report.restored), (epochs[0], false));
    history.verify();
}

/// Branches and pins that nobody releases used to fill the table until the machine could make no snapshot of its own, and
/// became read-only.
#[test]
fn a_table_full_of_branches_and_pins_refuses_another_one_and_never_the_next_snapshot() {
    for pins in [0, 40, 96] {
        let mut history = History::new(22, 50);
        let mut kept = Vec::new();
        for number in 0..pins {
            kept.push(history.snapshot(&[(number, 1)]));
            history.store.pin(kept[kept.len() - 1]).unwrap();
        }
        let root = history.snapshot(&[(300, 1)]);
        let mut branches = 0;
        let refused = loop {
            let from = OpenFrom::Rollback { epoch: root, restore_generation: branches };
            if let Err(refusal) = history.try_reopen(from) {
                break refusal;
            }
            branches += 1;
            history.snapshot(&[(300, 2 + branches)]);
        };
        assert_eq!(refused, Refusal::TooManyBranches);
        assert!(branches + pins >= 120, "{branches} branches, {pins} pins");
        history.reopen(OpenFrom::Newest);
        let live = history.store.durable_epoch();
        assert_eq!(history.store.pin(live), Err(SnapshotError::TooManyPins));
        for round in 0..6 {
            history.snapshot(&[(400 + round, 1)]);
        }
        let failed = history.store.durable_epoch();
        let step_back = OpenFrom::StepBack { failed };
        assert_eq!(history.try_reopen(step_back), Err(Refusal::TooManyBranches));
        history.reopen(OpenFrom::Newest);
        history.verify();
        // A few branches less, and there is room for what is left now.
        for branch in 1..=5 {
            history.store.release_branch(BranchId(branch)).unwrap();
        }
        history.commit_requests();
        history.reopen(OpenFrom::Rollback { epoch: root, restore_generation: branches });
        history.snapshot(&[(300, 7)]);
        history.verify();
    }
}
