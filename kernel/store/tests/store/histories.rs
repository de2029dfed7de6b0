//! Random histories with pages written before their flip: the store against a model of a machine that has every stored page in
//! RAM until it was written. Faults, cuts, discards; after each cut nothing is lost and no block leaked.

use crate::common::{EARLY_FRAMES, End, FRAMES, Machine, Pages, content};
use crate::early::{fail, opened};
use revenant_hal::{
    DiskOperation, Epoch, FrameIndex, FrameMemory, Nanoseconds, PageBytes, PageIndex,
};
use revenant_sim::{Image, Random, Seeded, SimDiskOptions};
use revenant_store::{Copies, EarlyStatistics, PageContent, Planted, Purpose, Store, StoreEvent};
use std::collections::BTreeMap;

/// A machine that has every stored page in RAM until the store has it.
struct History {
    machine: Machine,
    store: Store,
    random: Random,
    /// What a program sees.
    live: Pages,
    /// Pages whose content is in RAM and, as far as RAM knows, nowhere else.
    dirty: Pages,
    /// Frames being written, with what they hold.
    coming: BTreeMap<FrameIndex, (u64, u64)>,
    free: Vec<FrameIndex>,
    /// What each snapshot holds, and the last that was reported as durable.
    snapshots: BTreeMap<Epoch, Pages>,
    reported: Epoch,
    number: u64,
    ends: [u64; 3],
    /// Kept, changed.
    early: [u64; 2],
    /// Something was discarded after the last flip.
    discarded: bool,
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
        store.plant(planted);
        Self {
            machine,
            store,
            random,
            live: Pages::new(),
            dirty: Pages::new(),
            coming: BTreeMap::new(),
            free: (FRAMES..FRAMES + EARLY_FRAMES).map(FrameIndex).collect(),
            snapshots: [(Epoch(0), Pages::new())].into(),
            reported: Epoch(0),
            number: 0,
            ends: [0; 3],
            early: [0; 2],
            discarded: false,
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
            StoreEvent::PageNotWritten { frame, .. } => self.ended(*frame, false),
            StoreEvent::PageRead { page, result, .. } => {
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
        if self.dirty.contains_key(&page) || self.coming.values().any(|(coming, _)| *coming == page)
        {
            return Ok(());
        }
        self.store.read_page(PageIndex(page), FrameIndex(0));
        loop {
            match self.machine.event(&mut self.store) {
                Some(event) => self.hear(&event)?,
                None => return Ok(()),
            }
        }
    }

    fn snapshot(&mut self) -> Verdict {
        let epoch = self.store.running_epoch();
        self.snapshots.insert(epoch, self.live.clone());
        self.store.begin_snapshot(epoch, Nanoseconds(epoch.0)).map_err(|e| format!("{e:?}"))?;
        let mut free: Vec<FrameIndex> = (1..FRAMES).map(FrameIndex).collect();
        let mut left: Vec<(u64, u64)> = self.dirty.iter().map(|(p, n)| (*p, *n)).collect();
        let frozen = self.dirty.clone();
        let discarded = self.random.one_in(3).then(|| self.page());
        self.discarded = discarded.is_some();
        if let Some(page) = discarded.filter(|page| !self.dirty.contains_key(page)) {
            self.discard(page);
        }
        loop {
            while let Some((page, number)) = left.pop() {
                let Some(frame) = free.pop() else {
                    left.push((page, number));
                    break;
                };
                *self.machine.frames.bytes_mut(frame) = content(number);
                self.store.write_page(PageIndex(page), frame, Copies::One);
            }
            if left.is_empty() {
                self.store.finish_snapshot();
            }
            let event = self.machine.event(&mut self.store).ok_or("the snapshot never ends")?;
            self.hear(&event)?;
            match event {
                StoreEvent::PageWritten { frame, .. } if frame.0 < FRAMES => free.push(frame),
                StoreEvent::Committed { .. } => {
                    self.reported = epoch;
                    self.dirty.retain(|page, number| frozen.get(page) != Some(number));
                    self.ends[0] += 1;
                    return Ok(());
                }
                StoreEvent::Abandoned { .. } => {
                    self.ends[1] += 1;
                    return Ok(());
                }
                _ => {}
            }
        }
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
                let page = self.page();
                match self.random.below(10) {
                    0..=3 => self.store_to(page),
                    4..=6 => {
                        let dirty = self.dirty.range(page..).next().map(|(page, _)| *page);
                        dirty.into_iter().for_each(|page| self.clean(page));
                    }
                    7 => self.discard(page),
                    8 => self.read(page)?,
                    _ if self.random.one_in(2) => self.settle()?,
                    _ => {
                        let _ = self.store.step(&mut self.machine.disk, &mut self.machine.frames);
                    }
                }
            }
            let operation = [DiskOperation::Write, DiskOperation::Flush][self.random.index(2)];
            if self.random.one_in(4) {
                let nth = self.random.below(if operation == DiskOperation::Write { 20 } else { 2 });
                fail(&mut self.machine, operation, nth);
            }
            self.snapshot()?;
            self.machine.disk.clear_faults();
            let charged = self.store.space().charged;
            let committed = self.store.durable_epoch().next() == self.store.running_epoch();
            if committed && !self.discarded && charged > 0 {
                return Err(format!("{charged} blocks are charged for nothing"));
            }
            if self.random.one_in(6) {
                self.cut(planted)?;
            }
        }
        self.settle()?;
        while !matches!(
            self.machine.snapshot_unreserved(&mut self.store, &self.dirty),
            End::Committed(..)
        ) {}
        self.dirty.clear();
        self.whole()
    }
}

fn histories(seeds: core::ops::Range<u64>, planted: Planted) -> Result<[u64; 5], String> {
    let mut total = [0; 5];
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
    println!("committed, abandoned, cut, kept, changed: {total:?}");
    assert!(total.expect("no history goes wrong").iter().all(|count| *count > 200));
}

#[test]
fn planted_bugs_of_the_overlay_are_caught_by_random_histories() {
    for planted in [
        Planted::OverlayLost,
        Planted::OverlayUnseen,
        Planted::EarlyBlocksNotKept,
        Planted::EarlyBlocksBelieved,
    ] {
        let caught = std::panic::catch_unwind(|| histories(0..60, planted));
        println!("{planted:?}: {caught:?}");
        assert!(!matches!(caught, Ok(Ok(_))), "{planted:?} was not caught");
    }
}
