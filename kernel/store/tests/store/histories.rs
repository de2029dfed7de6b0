//! Random histories with pages written before their flip: the store against a model of a machine that has every stored page in
//! RAM until it was written. Programs go on while a snapshot is in the making. Faults, cuts, discards; after each cut nothing is lost
//! and no block leaked.

use crate::common::{EARLY_FRAMES, FRAMES, Machine, Pages, content};
use crate::early::{fail, opened};
use revenant_hal::{
    DiskOperation, Epoch, FrameIndex, FrameMemory, Nanoseconds, PageBytes, PageIndex,
};
use revenant_sim::{Image, Random, Seeded, SimDiskOptions};
use revenant_store::{Copies, EarlyStatistics, PageContent, Planted, Purpose, Store, StoreEvent};
use std::collections::BTreeMap;

/// A snapshot in the making, as the machine sees it.
struct Making {
    epoch: Epoch,
    /// Pages that RAM had at the flip, and nobody else: the snapshot's.
    frozen: Pages,
    /// Of these, which the store was not given yet.
    left: Vec<(u64, u64)>,
    free: Vec<FrameIndex>,
    finished: bool,
}

/// A machine that has every stored page in RAM until the store has it.
struct History {
    machine: Machine,
    store: Store,
    random: Random,
    /// What a program sees.
    live: Pages,
    /// Pages stored to in the running epoch whose content is in RAM and, as far as RAM knows, nowhere else.
    dirty: Pages,
    making: Option<Making>,
    /// The page that is being read.
    reading: Option<u64>,
    /// Frames being written, with what they hold.
    coming: BTreeMap<FrameIndex, (u64, u64)>,
    free: Vec<FrameIndex>,
    /// What each snapshot holds, and the last that was reported as durable.
    snapshots: BTreeMap<Epoch, Pages>,
    reported: Epoch,
    number: u64,
    /// Committed, given up, cut, cut while a snapshot was in the making.
    ends: [u64; 4],
    /// Kept, changed, given while a snapshot was in the making.
    early: [u64; 3],
    /// Programs did something after the last flip.
    busy: bool,
}

type Verdict = Result<(), String>;

impl History {
    fn new(seed: u64, planted: Planted) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDiskOptions {
            seed,
            blocks_per_request: [1, 4, 64][random.index(3)],
            queue_depth: [1, 8, 64][random.index(3)],
            ..SimDiskOptions::default()
        };
        let mut machine = Machine::with_options(Image::new(1400), disk);
        machine.format().expect("a fresh disk is formatted");
        let mut store = opened(&mut machine, 1);
        // On a disk that is full but for a few hundred blocks, what is freed is soon used again.
        let ballast = if random.one_in(2) { 650 } else { 0 };
        let live: Pages = (0..ballast).map(|page| (100_000 + page, 1_000_000 + page)).collect();
        let _ = machine.snapshot(&mut store, &live);
        store.plant(planted);
        Self {
            snapshots: [(store.durable_epoch(), live.clone())].into(),
            reported: store.durable_epoch(),
            live,
            machine,
            store,
            random,
            dirty: Pages::new(),
            making: None,
            reading: None,
            coming: BTreeMap::new(),
            free: (FRAMES..FRAMES + EARLY_FRAMES).map(FrameIndex).collect(),
            number: 0,
            ends: [0; 4],
            early: [0; 3],
            busy: false,
        }
    }

    fn page(&mut self) -> u64 {
        let far = if self.random.one_in(8) { 40_000 } else { 1 };
        far + self.random.below(60)
    }

    fn store_to(&mut self, page: u64) {
        let again = self.dirty.contains_key(&page);
        let index = PageIndex(page);
        if !again
            && self.store.reserve_first_dirtying(index, Copies::One, Purpose::Program).is_err()
        {
            return;
        }
        self.number += 1;
        self.dirty.insert(page, self.number);
        self.live.insert(page, self.number);
    }

    fn clean(&mut self, page: u64) {
        let (Some(number), Some(frame)) = (self.dirty.get(&page).copied(), self.free.last()) else {
            return;
        };
        let frame = *frame;
        if self.store.write_early(PageIndex(page), frame) {
            self.free.pop();
            *self.machine.frames.bytes_mut(frame) = content(number);
            self.coming.insert(frame, (page, number));
            self.dirty.remove(&page);
            self.early[2] += u64::from(self.making.is_some());
        }
    }

    fn discard(&mut self, page: u64) {
        if self.store.discard(PageIndex(page)).is_ok() {
            if self.dirty.remove(&page).is_some() {
                self.store.uncharge(Copies::One);
            }
            self.live.insert(page, 0);
        }
    }

    /// A page went to the disk before its flip, or did not.
    fn ended(&mut self, frame: FrameIndex, written: bool) {
        let (page, number) = self.coming.remove(&frame).expect("it was on its way");
        self.free.push(frame);
        if !written && self.live[&page] == number {
            self.dirty.insert(page, number);
        }
    }

    fn hear(&mut self, event: &StoreEvent) -> Verdict {
        match event {
            StoreEvent::PageWritten { frame, .. } if self.coming.contains_key(frame) => {
                self.ended(*frame, true);
            }
            StoreEvent::PageWritten { frame, .. } => {
                let making = self.making.as_mut().ok_or("a page of no snapshot was written")?;
                making.free.push(*frame);
            }
            StoreEvent::PageNotWritten { frame, .. } => self.ended(*frame, false),
            StoreEvent::Committed { .. } => {
                self.reported = self.making.take().ok_or("a commit of nothing")?.epoch;
                self.ends[0] += 1;
            }
            StoreEvent::Abandoned { .. } => {
                let frozen = self.making.take().ok_or("nothing was given up")?.frozen;
                // What nobody stored to since is in RAM alone.
                self.dirty.extend(frozen.iter().filter(|(page, n)| self.live[page] == **n));
                self.ends[1] += 1;
            }
            StoreEvent::PageRead { page, result, .. } => {
                self.reading = None;
                let told = result.map_err(|damage| format!("{page}: {damage:?}"))?;
                let held = self.live.get(&page.0).copied().unwrap_or(0);
                let wanted = if held == 0 { PageBytes::ZERO } else { content(held) };
                let found = match told {
                    PageContent::Zero => &PageBytes::ZERO,
                    PageContent::Stored => self.machine.frames.bytes(FrameIndex(0)),
                };
                if *found != wanted {
                    return Err(format!("{page} is not what was stored"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets the disk work off everything.
    fn settle(&mut self) -> Verdict {
        while let Some(event) = self.machine.event(&mut self.store) {
            self.hear(&event)?;
        }
        assert!(self.coming.is_empty(), "everything on its way has ended");
        Ok(())
    }

    /// Reads a page that RAM does not have.
    fn read(&mut self, page: u64) -> Verdict {
        let held = self.live.get(&page);
        let frozen = self.making.as_ref().and_then(|making| making.frozen.get(&page));
        let coming =
            self.coming.values().any(|(coming, number)| *coming == page && Some(number) == held);
        if self.dirty.contains_key(&page) || coming || frozen.is_some() && frozen == held {
            return Ok(());
        }
        self.store.read_page(PageIndex(page), FrameIndex(0));
        self.reading = Some(page);
        while self.reading.is_some() {
            let event = self.machine.event(&mut self.store).ok_or("a read never ends")?;
            self.hear(&event)?;
        }
        Ok(())
    }

    /// What programs do.
    fn act(&mut self) -> Verdict {
        let page = self.page();
        self.busy = true;
        match self.random.below(10) {
            0..=3 => self.store_to(page),
            4..=6 => {
                let dirty = self.dirty.range(page..).next().map(|(page, _)| *page);
                dirty.into_iter().for_each(|page| self.clean(page));
            }
            7 => self.discard(page),
            8 => self.read(page)?,
            _ => {}
        }
        Ok(())
    }

    /// The power lasts for a few turns of the disk.
    fn turns(&mut self, turns: u64) -> Verdict {
        self.machine.rest(&mut self.store, turns);
        while let Some(event) = self.store.next_event() {
            self.hear(&event)?;
        }
        Ok(())
    }

    /// Gives the snapshot in the making what there is room for.
    fn feed(&mut self) {
        let Some(making) = &mut self.making else { return };
        while let Some((page, number)) = making.left.pop() {
            let Some(frame) = making.free.pop() else {
                making.left.push((page, number));
                return;
            };
            *self.machine.frames.bytes_mut(frame) = content(number);
            self.store.write_page(PageIndex(page), frame, Copies::One);
        }
        if !making.finished {
            self.store.finish_snapshot();
            making.finished = true;
        }
    }

    fn snapshot(&mut self, planted: Planted) -> Verdict {
        let epoch = self.store.running_epoch();
        self.snapshots.insert(epoch, self.live.clone());
        self.store.begin_snapshot(epoch, Nanoseconds(epoch.0)).map_err(|e| format!("{e:?}"))?;
        let frozen = core::mem::take(&mut self.dirty);
        let left = frozen.iter().map(|(page, number)| (*page, *number)).collect();
        let free = (1..FRAMES).map(FrameIndex).collect();
        self.making = Some(Making { epoch, frozen, left, free, finished: false });
        self.busy = false;
        self.make(planted)
    }

    /// Makes wishes about snapshots durable: there are none, but the superblock is new.
    fn commit_requests(&mut self, planted: Planted) -> Verdict {
        self.store.commit_requests().map_err(|error| format!("{error:?}"))?;
        let (epoch, frozen, left) = (self.store.durable_epoch(), Pages::new(), Vec::new());
        self.making = Some(Making { epoch, frozen, left, free: Vec::new(), finished: true });
        self.make(planted)
    }

    /// Until the snapshot in the making has ended, or the power goes.
    fn make(&mut self, planted: Planted) -> Verdict {
        let (active, slow) = (self.random.one_in(2), 1 + self.random.below(12));
        while self.making.is_some() {
            if self.random.below(slow) == 0 {
                self.feed();
            }
            if active && self.random.one_in(2) {
                self.act()?;
            }
            self.turns(1)?;
            if active && self.random.one_in(200) {
                self.ends[3] += 1;
                self.cut(planted)?;
            }
        }
        Ok(())
    }

    fn count_early(&mut self) {
        let EarlyStatistics { kept, changed, .. } = self.store.early_statistics();
        self.early[0] += kept;
        self.early[1] += changed;
    }

    /// The power goes.
    fn cut(&mut self, planted: Planted) -> Verdict {
        self.count_early();
        let seed = self.random.next_u64();
        let image = self.machine.disk.cut(&mut self.machine.frames, &mut Seeded::new(seed));
        self.machine = Machine::new(image, seed);
        self.store = opened(&mut self.machine, u128::from(seed) + 2);
        self.store.plant(planted);
        self.dirty.clear();
        self.coming.clear();
        self.making = None;
        self.free = (FRAMES..FRAMES + EARLY_FRAMES).map(FrameIndex).collect();
        // A snapshot that was given up may be there all the same, if its superblock had been on its way.
        let found = self.store.durable_epoch();
        if found < self.reported {
            return Err(format!("{found} instead of {}", self.reported));
        }
        self.live = self.snapshots[&found].clone();
        self.reported = found;
        self.ends[2] += 1;
        self.whole()
    }

    /// Nothing leaks, nothing is lost.
    fn whole(&mut self) -> Verdict {
        let problems = self.machine.check(self.store.superblock().clone()).problems;
        if !problems.is_empty() {
            return Err(format!("{problems:?}"));
        }
        for page in self.live.keys().copied().collect::<Vec<u64>>() {
            self.read(page)?;
        }
        Ok(())
    }

    fn run(&mut self, rounds: u64, planted: Planted) -> Verdict {
        for _ in 0..rounds {
            for _ in 0..self.random.below(30) {
                self.act()?;
                match self.random.below(20) {
                    0 => self.settle()?,
                    1 => self.turns(1)?,
                    _ => {}
                }
            }
            let operation = [DiskOperation::Write, DiskOperation::Flush][self.random.index(2)];
            if self.random.one_in(4) {
                let nth = self.random.below(if operation == DiskOperation::Write { 20 } else { 2 });
                fail(&mut self.machine, operation, nth);
            }
            if self.random.one_in(8) {
                self.commit_requests(planted)?;
            }
            self.snapshot(planted)?;
            self.machine.disk.clear_faults();
            let charged = self.store.space().charged;
            let committed = self.store.durable_epoch().next() == self.store.running_epoch();
            if committed && !self.busy && charged > 0 {
                return Err(format!("{charged} blocks are charged for nothing"));
            }
            if self.random.one_in(6) {
                self.cut(planted)?;
            }
        }
        self.settle()?;
        loop {
            let epoch = self.store.running_epoch();
            self.snapshot(planted)?;
            self.settle()?;
            if self.reported == epoch && !self.busy {
                break;
            }
        }
        match self.store.space().charged {
            0 => self.whole(),
            charged => Err(format!("{charged} blocks are charged for nothing in the end")),
        }
    }
}

fn histories(seeds: core::ops::Range<u64>, planted: Planted) -> Result<[u64; 7], String> {
    let mut total = [0; 7];
    for seed in seeds {
        let mut history = History::new(seed, planted);
        history.run(40, planted).map_err(|error| format!("seed {seed}: {error}"))?;
        history.count_early();
        let counts = history.ends.into_iter().chain(history.early);
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    Ok(total)
}

#[test]
fn random_histories_with_faults_and_cuts_lose_and_leak_nothing() {
    let total = histories(0..60, Planted::None);
    println!(
        "committed, given up, cut, cut in the making, kept, changed, during another: {total:?}"
    );
    assert!(total.expect("no history goes wrong").iter().all(|count| *count > 200));
}

#[test]
fn planted_bugs_of_the_overlay_are_caught_by_random_histories() {
    for planted in [
        Planted::OverlayLost,
        Planted::OverlayUnseen,
        Planted::EarlyBlocksNotKept,
        Planted::EarlyBlocksBelieved,
        Planted::OverlayInOlderSuperblock,
        Planted::LaterBlocksUnheld,
        Planted::LaterBlocksNotKept,
        Planted::NextOverlayMerged,
        Planted::OlderOverlayFirst,
    ] {
        let caught = std::panic::catch_unwind(|| histories(0..60, planted));
        println!("{planted:?}: {caught:?}");
        assert!(!matches!(caught, Ok(Ok(_))), "{planted:?} was not caught");
    }
}
