//! Two machines on one disk, every interleaving of a short script.
//!
//! The first has the disk open and makes a snapshot; the second opens the disk and makes one. The unit of interleaving is
//! what lies between two events that the other could see or spoil: a flush, a read or write of the guard block, a write
//! of a slot. Sessions begin at distant places, as random ids make probable (FORMAT.md 9 says what is promised).
//!
//! After any interleaving: the disk opens and is whole; what the second reported durable is what is found; the first, if
//! the second's guard was written before its own last look, has stopped.

use crate::common::{Machine, Pages, apply, content, formatted, options, pages, request};
use revenant_hal::{
    Disk, DiskCompletion, DiskOperation, Epoch, FrameIndex, FrameMemory, Nanoseconds, PageIndex,
};
use revenant_sim::{Order, SimDisk, SimDiskOptions, SimFrames};
use revenant_store::{
    Copies, GUARD_BLOCK, Layout, OpenOutcome, OpenReport, OpenRequest, Opening, Planted, Purpose,
    StepOutcome, Store, StoreEvent,
};

const BLOCKS: u64 = 1024;

fn disk_options() -> SimDiskOptions {
    SimDiskOptions { order: Order::Submitted, ..SimDiskOptions::default() }
}

/// One machine, advanced unit by unit.
struct Opener {
    disk: SimDisk,
    frames: SimFrames,
    opening: Option<Opening>,
    store: Option<Store>,
    changes: Pages,
    begun: bool,
    planted: Planted,
    /// None while running; then the epoch made durable, or nothing.
    end: Option<Option<Epoch>>,
}

impl Opener {
    /// A machine that has neither opened the disk nor begun to.
    fn new(disk: SimDisk, number: u64) -> Self {
        Self {
            disk,
            frames: SimFrames::new(4, 1),
            opening: None,
            store: None,
            changes: pages(&[(1, number), (number, number)]),
            begun: false,
            planted: Planted::None,
            end: None,
        }
    }

    /// One that is about to open the disk.
    fn opening(disk: SimDisk, session: u128, number: u64) -> Self {
        let opening = Opening::new(OpenRequest { options: options(2), ..request(session) });
        Self { opening: Some(opening), ..Self::new(disk, number) }
    }

    fn boundary(completion: &DiskCompletion) -> bool {
        let layout = Layout::new(BLOCKS).expect("large enough");
        let slot = (0..8).any(|slot| layout.slot(slot) == completion.block);
        let write = completion.operation == DiskOperation::Write;
        completion.operation == DiskOperation::Flush
            || completion.block == GUARD_BLOCK
            || write && slot
    }

    /// Goes on to the next boundary; false when there is nothing more to do.
    fn unit(&mut self) -> bool {
        while self.end.is_none() {
            match (&mut self.opening, &mut self.store) {
                (Some(opening), _) => match opening.step(&mut self.disk) {
                    OpenOutcome::Opened(mut store, _) => {
                        store.plant(self.planted);
                        (self.store, self.opening) = (Some(*store), None);
                    }
                    OpenOutcome::Refused(_) => self.end = Some(None),
                    OpenOutcome::Again => {}
                    OpenOutcome::Waiting => {
                        if self.completion() {
                            return true;
                        }
                    }
                },
                (None, Some(_)) => {
                    if self.step_store() {
                        return true;
                    }
                }
                (None, None) => self.end = Some(None),
            }
        }
        false
    }

    fn step_store(&mut self) -> bool {
        let Some(store) = &mut self.store else { return false };
        if !self.begun {
            self.begun = true;
            let epoch = store.running_epoch();
            for page in self.changes.keys() {
                let page = PageIndex(*page);
                let reserved = store.reserve_first_dirtying(page, Copies::One, Purpose::Program);
                reserved.expect("there is room");
            }
            store.begin_snapshot(epoch, Nanoseconds(0)).expect("nothing else is in the making");
            for (frame, (page, number)) in (0..).zip(&self.changes) {
                *self.frames.bytes_mut(FrameIndex(frame)) = content(*number);
                store.write_page(PageIndex(*page), FrameIndex(frame), Copies::One);
            }
            store.finish_snapshot();
        }
        while let Some(event) = store.next_event() {
            match event {
                StoreEvent::Committed { epoch, .. } => self.end = Some(Some(epoch)),
                StoreEvent::Abandoned { .. } => self.end = Some(None),
                _ => {}
            }
        }
        match store.step(&mut self.disk, &mut self.frames) {
            StepOutcome::Again => false,
            StepOutcome::Waiting | StepOutcome::Idle => self.completion(),
        }
    }

    /// One completion; true if it is a boundary.
    fn completion(&mut self) -> bool {
        self.disk.advance(&mut self.frames);
        let Some(completion) = self.disk.poll() else { return false };
        let boundary = Self::boundary(&completion);
        match (&mut self.opening, &mut self.store) {
            (Some(opening), _) => opening.complete(completion),
            (None, Some(store)) => store.complete(completion, &mut self.frames),
            (None, None) => {}
        }
        boundary
    }
}

/// The disk before: one snapshot of the first machine, which still has it open.
fn start(planted: Planted) -> (Opener, Opener, Pages) {
    let mut machine = formatted(BLOCKS, 51);
    let (mut first, _) = machine.open(OpenRequest { options: options(2), ..request(1) }).expect("");
    first.plant(planted);
    let model = pages(&[(1, 1), (2, 2)]);
    machine.snapshot(&mut first, &model);
    let disk = SimDisk::new(machine.disk.durable(), disk_options());
    let second_disk = disk.second_opener(disk_options());
    let one = Opener { store: Some(first), planted, ..Opener::new(disk, 100) };
    let two = Opener { planted, ..Opener::opening(second_disk, 6, 200) };
    (one, two, model)
}

/// What a third machine finds when both are done: a whole disk.
fn found(one: &Opener) -> Result<(Machine, Store, OpenReport), String> {
    let mut machine = Machine::new(one.disk.visible(), 1);
    let (store, report) = machine
        .open(OpenRequest { options: options(2), ..request(3) })
        .map_err(|refusal| refusal.to_string())?;
    match machine.check_stepped_back(store.superblock().clone()).problems.first() {
        Some(problem) => Err(problem.to_string()),
        None => Ok((machine, store, report)),
    }
}

/// Units that a machine takes when it runs alone.
fn units(alone: impl Fn() -> Opener) -> usize {
    let mut opener = alone();
    let mut count = 0;
    while opener.unit() {
        count += 1;
    }
    assert!(opener.end.flatten().is_some(), "alone it commits");
    count
}

/// Runs one interleaving: bit i of `order` says who takes unit i.
fn interleave(order: &[bool], planted: Planted) -> Result<(), String> {
    let (mut one, mut two, model) = start(planted);
    for second in order {
        if *second {
            two.unit()
        } else {
            one.unit()
        };
    }
    while one.unit() {}
    while two.unit() {}
    let (first, second) = (one.end.flatten(), two.end.flatten());
    let (mut machine, mut store, report) = found(&one)?;
    if second.is_some_and(|epoch| epoch != report.epoch) {
        return Err(format!("{second:?} of the second was durable, {} is found", report.epoch));
    }
    if first.is_none() && second.is_none() {
        return Err("both gave up".into());
    }
    let expected = match report.epoch {
        epoch if Some(epoch) == second && report_has(&store, first) => {
            apply(&apply(&model, &one.changes), &two.changes)
        }
        epoch if Some(epoch) == second => apply(&model, &two.changes),
        // The first may have committed without having been able to say so.
        _ => apply(&model, &one.changes),
    };
    if !machine.matches(&mut store, None, &expected) {
        return Err(format!("epoch {} has other pages", report.epoch));
    }
    // One of the two, at most, goes on writing.
    let goes_on = |opener: &Opener| opener.end.flatten().is_some();
    if goes_on(&one) && goes_on(&two) && !report_has(&store, first) {
        return Err("both believe in a snapshot of their own".into());
    }
    Ok(())
}

/// Two machines that open the same generation; the first is interrupted after `units` units until the second is done.
fn both_open(units: usize) -> Result<(), String> {
    let (_, second, model) = start(Planted::None);
    let image = second.disk.visible();
    let disk = SimDisk::new(image, disk_options());
    let second_disk = disk.second_opener(disk_options());
    let mut one = Opener::opening(disk, 1, 100);
    let mut two = Opener::opening(second_disk, 6, 200);
    for _ in 0..units {
        one.unit();
    }
    while two.unit() {}
    while one.unit() {}
    let (first, second) = (one.end.flatten(), two.end.flatten());
    let (with_one, with_two) = (apply(&model, &one.changes), apply(&model, &two.changes));
    let expected = match (first, second) {
        (None, None) => return Err("both gave up".into()),
        (Some(_), None) => with_one,
        (None, Some(_)) => with_two,
        // One of them opened what the other had committed.
        (Some(first), Some(second)) if first < second => apply(&with_one, &two.changes),
        (Some(_), Some(_)) => apply(&with_two, &one.changes),
    };
    let (mut machine, mut store, report) = found(&one)?;
    let matches = machine.matches(&mut store, None, &expected);
    if matches {
        return Ok(());
    }
    Err(format!("first {first:?}, second {second:?}: epoch {} has other pages", report.epoch))
}

/// Both openers used to choose the same generation for their first superblock, and so the same slot: one that had stalled
/// after its look at the guard put its superblock over the one that the other had reported durable.
#[test]
fn a_stalled_opener_never_overwrites_what_a_later_one_reported_durable() {
    for units in 0..30 {
        if let Err(error) = both_open(units) {
            panic!("after {units} units: {error}");
        }
    }
}

/// Whether the first machine's snapshot is in the history of what was found.
fn report_has(store: &Store, first: Option<Epoch>) -> bool {
    first.is_some_and(|epoch| store.snapshots().get(epoch).is_some())
}

/// All orders in which `first` and `second` units can be taken.
fn orders(first: usize, second: usize) -> Vec<Vec<bool>> {
    if first == 0 || second == 0 {
        return vec![vec![first == 0; first + second]];
    }
    let with = |head: bool, tails: Vec<Vec<bool>>| {
        tails.into_iter().map(move |tail| [vec![head], tail].concat())
    };
    with(false, orders(first - 1, second)).chain(with(true, orders(first, second - 1))).collect()
}

#[test]
fn two_openers_never_mix_their_states_in_any_interleaving() {
    let first = units(|| start(Planted::None).0);
    let second = units(|| start(Planted::None).1);
    let orders = orders(first, second);
    println!("{first} and {second} units, {} interleavings", orders.len());
    assert!(orders.len() > 500 && orders.len() < 20_000);
    for order in &orders {
        if let Err(error) = interleave(order, Planted::None) {
            panic!("{order:?}: {error}");
        }
    }
    // Without the guard some interleaving goes wrong.
    let fails = |order: &Vec<bool>| interleave(order, Planted::GuardIgnored).is_err();
    assert!(orders.iter().any(fails), "GuardIgnored was not caught");
}

#[test]
fn the_loser_knows_and_stays_silent() {
    let (mut one, mut two, _) = start(Planted::None);
    while two.unit() {}
    assert!(two.end.flatten().is_some());
    let writes = one.disk.operation_counts()[1];
    while one.unit() {}
    assert_eq!(one.end, Some(None));
    let store = one.store.as_ref().expect("open");
    assert_eq!(store.read_only(), Some(revenant_store::ReadOnlyReason::ForeignSession));
    let slots_written = one.disk.operation_counts()[1] - writes;
    assert!(slots_written <= 12, "data and nodes, no superblock: {slots_written}");
    assert_eq!(one.disk.geometry().blocks, BLOCKS);
}
