//! A machine made of the pager, a simulated MMU, frames and some store, with synthetic programs on it and a model of what
//! they must see.
//!
//! The model is a plain map of pages; at each flip it is kept under the epoch that ended. Checked all the time: each load
//! returns what the model says; after every step the tables, the TLB and the devices obey their rules ([`SimMmu::check`]);
//! after a cut every page equals the model at the flip of the epoch resumed, and the digest of all pages that at the flip.
//!
//! Used by the tests of this crate and by `examples/simulate.rs` (`make sim`).

mod checks;
pub(crate) mod memory_store;
mod plan;
pub(crate) mod real_store;
pub(crate) mod simulation;

use core::ops::Range;
pub(crate) use plan::Plan;
use revenant_hal::{Epoch, FrameIndex, FrameMemory, Nanoseconds, PageBytes, PageIndex};
use revenant_pager::replacement::Group;
use revenant_pager::{
    FaultOutcome, FlipRefused, Impossible, Memory, PageStore, Pager, Planted, StepOutcome, Wake,
    page_digest,
};
use revenant_sim::{DeviceAccess, Random, SimFrames, SimMmu};
use revenant_store::StoreEvent;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A store together with the device below it.
pub(crate) trait Backing {
    /// What the pager talks to.
    type Store: PageStore;
    /// The store.
    fn store(&mut self) -> &mut Self::Store;
    /// Lets the store and the device do a little.
    fn turn(&mut self, frames: &mut SimFrames);
    /// The next event.
    fn next_event(&mut self) -> Option<StoreEvent>;
    /// Frames under device access.
    fn frames_in_flight(&self) -> Vec<(FrameIndex, DeviceAccess)>;
    /// The power goes and comes back: from here on the store is that of the next boot. Returns the epoch that it resumes.
    ///
    /// # Errors
    /// The store did not open, in words.
    fn cut(&mut self, frames: &mut SimFrames, random: &mut Random) -> Result<Epoch, String>;
    /// Whether an unreadable page is this test's intention.
    fn is_damaged(&self, page: PageIndex) -> bool;
}

/// The content of object space at a flip.
pub(crate) type Model = BTreeMap<u64, Arc<PageBytes>>;

/// One instruction of a synthetic program: touches its pages, then changes words in them, or nothing.
#[derive(Clone, Debug)]
struct Instruction {
    loads: Vec<PageIndex>,
    stores: Vec<(PageIndex, usize, u64)>,
}

/// A synthetic program.
#[derive(Clone, Debug, Default)]
struct Program {
    instruction: Option<Instruction>,
    waits_for: Option<PageIndex>,
    blocked: bool,
    retired: u64,
}

/// The machine.
pub(crate) struct World<B: Backing> {
    /// The pager under test.
    pub(crate) pager: Pager,
    /// The MMU.
    pub(crate) mmu: SimMmu,
    /// The frames.
    pub(crate) frames: SimFrames,
    /// Store and disk.
    pub(crate) backing: B,
    /// What programs must see now.
    pub(crate) model: Model,
    /// What they would see after a resume of each epoch.
    pub(crate) snapshots: BTreeMap<Epoch, (Model, u64)>,
    /// The epoch by the world's own count.
    pub(crate) epoch: Epoch,
    /// Where everything is drawn from.
    pub(crate) random: Random,
    /// What the run should look like.
    pub(crate) plan: Plan,
    /// Durable epochs reported since the last cut.
    pub(crate) durable: Epoch,
    /// Events seen.
    pub(crate) events: Vec<StoreEvent>,
    programs: Vec<Program>,
    planted: Planted,
    /// Steps of the pager since the start.
    steps: u64,
    /// Cuts survived.
    pub(crate) cuts: u64,
    /// Accesses that found an unreadable page.
    pub(crate) unreadable_seen: u64,
}

/// A failure, in words.
pub(crate) type Outcome = Result<(), String>;

fn digest(model: &Model) -> u64 {
    model
        .iter()
        .fold(0, |sum, (page, bytes)| sum.wrapping_add(page_digest(PageIndex(*page), &bytes.0)))
}

impl<B: Backing> World<B> {
    /// A machine that has just opened an empty store.
    pub(crate) fn new(mut backing: B, plan: Plan, mut random: Random) -> Self {
        let mut pager = Pager::new(plan.frames, backing.store(), plan.wired.clone(), plan.options);
        pager.set_read_ahead(plan.reads_ahead);
        pager.set_cleaning(plan.cleans);
        pager.set_settling(plan.settles);
        let epoch = pager.epoch();
        let mut snapshots = BTreeMap::new();
        snapshots.insert(Epoch(0), (Model::new(), 0));
        Self {
            pager,
            mmu: SimMmu::new(plan.frames, plan.tlb, random.next_u64()),
            frames: SimFrames::new(plan.frames, random.next_u64()),
            backing,
            model: Model::new(),
            snapshots,
            epoch,
            programs: vec![Program::default(); plan.programs],
            random,
            plan,
            durable: Epoch(0),
            events: Vec::new(),
            planted: Planted::None,
            cuts: 0,
            steps: 0,
            unreadable_seen: 0,
        }
    }

    /// Plants a bug in the pager, now and after each resume.
    pub(crate) fn plant(&mut self, planted: Planted) {
        self.planted = planted;
        self.pager.plant(planted);
    }

    /// Instructions retired by all programs since the resume.
    pub(crate) fn retired(&self) -> u64 {
        self.programs.iter().map(|program| program.retired).sum()
    }

    /// Runs so many steps, each followed by the check.
    pub(crate) fn run(&mut self, steps: u64) -> Outcome {
        for _ in 0..steps {
            self.tick()?;
            self.check()?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Outcome {
        if self.random.one_in(self.plan.cut_one_in) {
            return self.cut();
        }
        if self.random.one_in(self.plan.flip_one_in) || self.pager.wants_snapshot() {
            return self.flip().map(|_| ());
        }
        if self.random.one_in(self.plan.discard_one_in) {
            self.discard_some();
            return Ok(());
        }
        match self.random.below(10) {
            0 => {
                let _ = self.step();
            }
            1 | 2 => self.device_turn()?,
            _ => {
                let program = self.random.index(self.programs.len());
                self.run_program(program)?;
            }
        }
        Ok(())
    }

    /// Discards a few pages in a row, some of which programs use.
    fn discard_some(&mut self) {
        let first = self.plan.pages[self.random.index(self.plan.pages.len())];
        let start = first.0.saturating_sub(self.random.below(3));
        let end = (first.0 + 1 + self.random.below(4)).min(1 << 32);
        self.discard(PageIndex(start)..PageIndex(end));
    }

    /// Discards pages, and returns how many.
    pub(crate) fn discard(&mut self, pages: Range<PageIndex>) -> u64 {
        let mut memory = Memory { mmu: &mut self.mmu, frames: &mut self.frames };
        let done = self.pager.discard(pages.clone(), &mut memory, self.backing.store());
        for page in pages.start.0..pages.start.0 + done {
            self.model.remove(&page);
        }
        self.deliver_wakes();
        done
    }

    /// One step of the pager.
    pub(crate) fn step(&mut self) -> StepOutcome {
        let mut memory = Memory { mmu: &mut self.mmu, frames: &mut self.frames };
        let outcome = self.pager.step(&mut memory, self.backing.store());
        if outcome == StepOutcome::Idle {
            let _ = self.pager.zero_ahead(&mut self.frames);
        }
        self.steps += 1;
        let mut memory = Memory { mmu: &mut self.mmu, frames: &mut self.frames };
        self.pager.write_settled(self.steps / 4, &mut memory, self.backing.store());
        self.deliver_wakes();
        outcome
    }

    /// One turn of store and disk, and what they have to tell.
    pub(crate) fn device_turn(&mut self) -> Outcome {
        self.backing.turn(&mut self.frames);
        self.deliver_events()
    }

    /// Hands the store's events to the pager and to those who wait.
    pub(crate) fn deliver_events(&mut self) -> Outcome {
        while let Some(event) = self.backing.next_event() {
            let mut memory = Memory { mmu: &mut self.mmu, frames: &mut self.frames };
            self.pager.on_store_event(&event, &mut memory);
            if let StoreEvent::Committed { epoch, .. } = event {
                if epoch <= self.durable {
                    return Err(format!("{epoch:?} became durable after {:?}", self.durable));
                }
                self.durable = epoch;
            }
            self.events.push(event);
        }
        self.deliver_wakes();
        Ok(())
    }

    fn deliver_wakes(&mut self) {
        while let Some(wake) = self.pager.next_wake() {
            for program in &mut self.programs {
                match wake {
                    Wake::All => (program.waits_for, program.blocked) = (None, false),
                    Wake::Page(page) if program.waits_for == Some(page) => {
                        (program.waits_for, program.blocked) = (None, false);
                    }
                    Wake::Page(_) => {}
                }
            }
        }
    }

    /// A flip, if one is possible now.
    pub(crate) fn flip(&mut self) -> Result<bool, String> {
        let flushes = self.mmu.full_flushes();
        match self.pager.flip(Nanoseconds(0), &mut self.mmu, self.backing.store()) {
            Ok(report) => {
                if report.ended != self.epoch {
                    return Err(format!("the flip ended {:?} in {:?}", report.ended, self.epoch));
                }
                self.snapshots.insert(self.epoch, (self.model.clone(), digest(&self.model)));
                self.epoch = self.epoch.next();
                let once = self.mmu.full_flushes() == flushes + 1;
                let excused = self.planted != Planted::None;
                if !(once || excused) {
                    return Err("a flip flushes the TLB once".into());
                }
                Ok(true)
            }
            Err(FlipRefused::SnapshotInTheMaking(_) | FlipRefused::Store(_)) => Ok(false),
        }
    }

    /// An access of a program: the frame, or none if the attempt ended.
    pub(crate) fn access(
        &mut self,
        page: PageIndex,
        write: bool,
    ) -> Result<Result<FrameIndex, FaultOutcome>, String> {
        for _ in 0..8 {
            match self.mmu.access(page, write) {
                Ok(frame) => return Ok(Ok(frame)),
                Err(fault) => {
                    let mut memory = Memory { mmu: &mut self.mmu, frames: &mut self.frames };
                    let store = self.backing.store();
                    match self.pager.fault(fault.page, fault.write, &mut memory, store) {
                        FaultOutcome::Served(_) => self.check()?,
                        other => return Ok(Err(other)),
                    }
                }
            }
        }
        Err(format!("{page:?} faults for ever"))
    }

    fn draw_instruction(&mut self) -> Instruction {
        let count = 1 + self.random.index(3);
        let mut instruction = Instruction { loads: Vec::new(), stores: Vec::new() };
        // Half of the accesses go to an eighth of the pages, so that pages are written again soon.
        for _ in 0..count {
            let pages = &self.plan.pages;
            let near = if self.random.one_in(2) { pages.len().div_ceil(8) } else { pages.len() };
            let page = pages[self.random.index(near)];
            if self.random.one_in(3) {
                instruction.loads.push(page);
            } else {
                let word = self.random.index(512);
                instruction.stores.push((page, word, self.random.next_u64()));
            }
        }
        instruction
    }

    /// One attempt at an instruction: everything is touched before anything is changed.
    fn run_program(&mut self, index: usize) -> Outcome {
        if self.programs[index].blocked {
            return Ok(());
        }
        let instruction = match self.programs[index].instruction.take() {
            Some(instruction) => instruction,
            None => self.draw_instruction(),
        };
        self.pager.runs(Group::new(u32::try_from(index % 3 + 1).unwrap_or(1)));
        let loads = instruction.loads.iter().map(|page| (*page, false));
        let stores = instruction.stores.iter().map(|(page, ..)| (*page, true));
        for (page, write) in loads.chain(stores).collect::<Vec<_>>() {
            match self.access(page, write)? {
                Ok(_) => {}
                Err(FaultOutcome::Wait(_)) => {
                    let program = &mut self.programs[index];
                    program.instruction = Some(instruction);
                    (program.waits_for, program.blocked) = (Some(page), true);
                    return Ok(());
                }
                Err(FaultOutcome::Impossible(Impossible::Unreadable(damage))) => {
                    self.unreadable_seen += 1;
                    if !self.backing.is_damaged(page) {
                        return Err(format!("{page:?} is unreadable: {damage}"));
                    }
                    return Ok(()); // The program catches the exception and goes on with another instruction.
                }
                Err(other) => return Err(format!("{page:?}: {other:?}")),
            }
        }
        for page in &instruction.loads {
            self.load_and_compare(*page)?;
        }
        for (page, word, value) in &instruction.stores {
            self.store_word(*page, *word, *value)?;
        }
        self.programs[index].retired += 1;
        Ok(())
    }

    fn load_and_compare(&mut self, page: PageIndex) -> Outcome {
        let Ok(frame) = self.access(page, false)? else {
            return Err(format!("{page:?} was there a moment ago"));
        };
        static ZERO: PageBytes = PageBytes::ZERO;
        let expected = self.model.get(&page.0).map_or(&ZERO, |bytes| &**bytes);
        if self.frames.bytes(frame) != expected {
            return Err(format!("{page:?} in {frame:?} does not hold what was stored"));
        }
        Ok(())
    }

    fn store_word(&mut self, page: PageIndex, word: usize, value: u64) -> Outcome {
        // A step of the pager between the touch and the store does not happen; a TLB entry may be evicted.
        let Ok(frame) = self.access(page, true)? else {
            return Err(format!("{page:?} was writable a moment ago"));
        };
        let place = word * 8..word * 8 + 8;
        self.frames.bytes_mut(frame).0[place.clone()].copy_from_slice(&value.to_le_bytes());
        let bytes = self.model.entry(page.0).or_insert_with(|| Arc::new(PageBytes::ZERO));
        Arc::make_mut(bytes).0[place].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Stores one word, if that needs no wait.
    pub(crate) fn store_if_possible(&mut self, page: PageIndex, value: u64) -> Outcome {
        match self.access(page, true)? {
            Ok(_) => self.store_word(page, 0, value),
            Err(FaultOutcome::Wait(_)) => Ok(()),
            Err(other) => Err(format!("{page:?}: {other:?}")),
        }
    }

    /// Stores one word, waiting as long as it takes.
    pub(crate) fn store_waiting(&mut self, page: PageIndex, word: usize, value: u64) -> Outcome {
        self.wait_for(page, true)?;
        self.store_word(page, word, value)
    }

    /// Makes an access possible, waiting as long as it takes.
    pub(crate) fn wait_for(&mut self, page: PageIndex, write: bool) -> Result<FrameIndex, String> {
        for _ in 0..100_000 {
            match self.access(page, write)? {
                Ok(frame) => return Ok(frame),
                Err(FaultOutcome::Wait(_)) => {
                    let _ = self.step();
                    self.device_turn()?;
                    if self.pager.wants_snapshot() {
                        self.flip()?;
                    }
                }
                Err(other) => return Err(format!("{page:?}: {other:?}")),
            }
        }
        Err(format!("{page:?} never comes"))
    }

    /// Lets store and pager work until no snapshot is in the making.
    pub(crate) fn settle(&mut self) -> Outcome {
        for _ in 0..100_000 {
            let _ = self.step();
            self.device_turn()?;
            self.check()?;
            if self.pager.snapshot_in_the_making().is_none() {
                return Ok(());
            }
        }
        Err("the snapshot never ends".into())
    }

    /// Cut, resume, and comparison of every page with the model of the epoch resumed.
    pub(crate) fn cut(&mut self) -> Outcome {
        let resumed = self.backing.cut(&mut self.frames, &mut self.random)?;
        if resumed < self.durable {
            return Err(format!("resumed {resumed:?} although {:?} was durable", self.durable));
        }
        let Some((model, _)) = self.snapshots.get(&resumed) else {
            let seen = self.snapshots.keys();
            return Err(format!("resumed {resumed:?}, which no flip ended: {seen:?}"));
        };
        self.model = model.clone();
        self.resume_cold();
        // An epoch that was flipped and never reached the disk may be used again; one that did may not.
        if self.epoch <= resumed {
            return Err(format!("{:?} runs after {resumed:?} was resumed", self.epoch));
        }
        self.snapshots.retain(|epoch, _| *epoch <= resumed);
        self.durable = resumed;
        self.cuts += 1;
        self.compare_all_pages(resumed)
    }

    /// A pager without a page over the store as it is: what a resume begins with.
    pub(crate) fn resume_cold(&mut self) {
        let store = self.backing.store();
        self.pager =
            Pager::new(self.plan.frames, store, self.plan.wired.clone(), self.plan.options);
        self.pager.set_read_ahead(self.plan.reads_ahead);
        self.pager.set_cleaning(self.plan.cleans);
        self.pager.set_settling(self.plan.settles);
        self.pager.plant(self.planted);
        self.epoch = self.pager.epoch();
        self.mmu = SimMmu::new(self.plan.frames, self.plan.tlb, self.random.next_u64());
        self.frames = SimFrames::new(self.plan.frames, self.random.next_u64());
        self.programs = vec![Program::default(); self.plan.programs];
    }

    /// Every page against the model, through faults like a program's; the digest against that at the flip.
    pub(crate) fn compare_all_pages(&mut self, resumed: Epoch) -> Outcome {
        let mut sum = 0u64;
        let all: BTreeSet<u64> =
            self.plan.pages.iter().map(|page| page.0).chain(self.model.keys().copied()).collect();
        for page in all.into_iter().map(PageIndex) {
            if self.backing.is_damaged(page) {
                sum = sum.wrapping_add(
                    self.model.get(&page.0).map_or(0, |bytes| page_digest(page, &bytes.0)),
                );
                continue;
            }
            let frame = self.wait_for(page, false)?;
            self.load_and_compare(page).map_err(|text| format!("after the cut: {text}"))?;
            sum = sum.wrapping_add(page_digest(page, &self.frames.bytes(frame).0));
            self.check()?;
        }
        let (_, expected) = &self.snapshots[&resumed];
        if sum != *expected {
            return Err(format!("the digest of {resumed:?} is not that of its flip"));
        }
        Ok(())
    }
}
