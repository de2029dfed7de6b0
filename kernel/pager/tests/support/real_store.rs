//! The kernel's store over the simulated disk: what the whole-core simulation runs on.
//!
//! A cut takes whatever the disk's fault model allows, and the opening that follows may be cut itself, any number of times.

use super::Backing;
use revenant_hal::{Disk, Epoch, FrameIndex, FrameMemory, PageBytes, PageIndex};
use revenant_sim::{
    CutPolicy, DeviceAccess, Fault, Image, KeepAll, KeepNone, NoFrames, Random, Seeded, SimDisk,
    SimDiskOptions, SimFrames,
};
use revenant_store::{
    Access, FormatOutcome, Formatting, OpenFrom, OpenOutcome, OpenRequest, Opening, Planted,
    SessionId, Store, StoreEvent, StoreId, StoreOptions,
};
use std::collections::BTreeSet;

const VM_ABI: u32 = 1;

/// What goes wrong besides the power.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles {
    /// Faults of the disk, from each opening on (never during it).
    pub(crate) faults: Vec<Fault>,
    /// A bug of the store.
    pub(crate) planted: Planted,
    /// One opening in so many is cut itself; 0 for none.
    pub(crate) cut_opening_one_in: u64,
}

/// Store and disk.
pub(crate) struct RealStore {
    store: Box<Store>,
    disk: SimDisk,
    random: Random,
    troubles: Troubles,
    /// Pages whose block a test has let rot.
    pub(crate) rotten: BTreeSet<u64>,
    /// Reopened so often.
    pub(crate) openings: u64,
}

fn policy(random: &mut Random) -> Box<dyn CutPolicy> {
    match random.below(8) {
        0 => Box::new(KeepNone),
        1 => Box::new(KeepAll),
        _ => Box::new(Seeded::new(random.next_u64())),
    }
}

fn disk_of(image: Image, random: &mut Random) -> SimDisk {
    let options = SimDiskOptions {
        seed: random.next_u64(),
        queue_depth: 1 + random.index(32),
        blocks_per_request: 1 + random.index(32),
        ..SimDiskOptions::default()
    };
    SimDisk::new(image, options)
}

fn format(disk: &mut SimDisk, random: &mut Random) {
    let id = StoreId(u128::from(random.next_u64()));
    let mut formatting = Formatting::new(id, VM_ABI);
    loop {
        match formatting.step(disk) {
            FormatOutcome::Formatted => return,
            FormatOutcome::Refused(refusal) => panic!("formatting: {refusal}"),
            FormatOutcome::Again | FormatOutcome::Waiting => {}
        }
        while let Some(completion) = disk.poll() {
            formatting.complete(completion);
        }
    }
}

/// Opens the newest state, or stops after so many steps.
fn open(
    disk: &mut SimDisk,
    random: &mut Random,
    planted: Planted,
    steps: u64,
) -> Result<Option<(Box<Store>, Epoch)>, String> {
    let request = OpenRequest {
        session: SessionId(u128::from(random.next_u64() | 1)),
        vm_abi: VM_ABI,
        access: Access::ReadWrite,
        from: OpenFrom::Newest,
        options: StoreOptions { failures_until_read_only: u32::MAX, ..StoreOptions::default() },
    };
    let mut opening = Opening::new(request);
    opening.plant(planted);
    for _ in 0..steps {
        match opening.step(disk) {
            OpenOutcome::Opened(_, report) if !report.damaged.is_empty() => {
                return Err(format!("a power cut damaged {:?}", report.damaged));
            }
            OpenOutcome::Opened(store, report) => return Ok(Some((store, report.epoch))),
            OpenOutcome::Refused(refusal) => return Err(format!("refused: {refusal}")),
            OpenOutcome::Again | OpenOutcome::Waiting => {}
        }
        if let Some(completion) = disk.poll() {
            opening.complete(completion);
        }
    }
    Ok(None)
}

impl RealStore {
    /// A freshly formatted store on a disk of `blocks` blocks.
    pub(crate) fn new(blocks: u64, troubles: Troubles, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut disk = disk_of(Image::new(blocks), &mut random);
        format(&mut disk, &mut random);
        let opened = open(&mut disk, &mut random, troubles.planted, u64::MAX);
        let (store, _) = opened.expect("a fresh store opens").expect("in the end");
        let mut store =
            Self { store, disk, random, troubles, rotten: BTreeSet::new(), openings: 1 };
        store.begin_troubles();
        store
    }

    fn begin_troubles(&mut self) {
        for fault in self.troubles.faults.clone() {
            self.disk.add_fault(fault);
        }
    }

    /// Lets every block rot that holds these bytes: the page is unreadable from now on. False if there is none.
    pub(crate) fn rot(&mut self, page: PageIndex, bytes: &PageBytes) -> bool {
        let image = self.disk.visible();
        let blocks: Vec<_> = image.written().filter(|block| image.read(*block) == bytes).collect();
        for block in &blocks {
            self.disk.damage(*block, |bytes| bytes[77] ^= 4);
        }
        self.rotten.insert(page.0);
        !blocks.is_empty()
    }

    /// The page has been stored anew, elsewhere.
    pub(crate) fn heal(&mut self, page: PageIndex) {
        self.rotten.remove(&page.0);
    }
}

impl Backing for RealStore {
    type Store = Store;

    fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    fn turn(&mut self, frames: &mut SimFrames) {
        for _ in 0..self.random.below(6) {
            self.disk.advance(frames);
        }
        for _ in 0..self.random.below(6) {
            let Some(completion) = self.disk.poll() else { break };
            assert!(Store::owns(&completion), "nobody else uses this disk");
            self.store.complete(completion, frames);
        }
        let _ = self.store.step(&mut self.disk, frames);
    }

    fn next_event(&mut self) -> Option<StoreEvent> {
        self.store.next_event()
    }

    fn frames_in_flight(&self) -> Vec<(FrameIndex, DeviceAccess)> {
        self.disk.frames_in_flight().collect()
    }

    fn cut(&mut self, frames: &mut SimFrames, random: &mut Random) -> Result<Epoch, String> {
        assert!(frames.frame_count() > 0, "the cut takes what is in flight out of frames");
        let mut image = self.disk.cut(frames, &mut *policy(random));
        loop {
            self.disk = disk_of(image, random);
            let cut_again = random.one_in(self.troubles.cut_opening_one_in);
            let steps = if cut_again { random.below(60) } else { 1_000_000 };
            let opened = open(&mut self.disk, random, self.troubles.planted, steps)
                .map_err(|text| format!("the store did not open: {text}"))?;
            self.openings += 1;
            if let Some((store, epoch)) = opened {
                self.store = store;
                self.begin_troubles();
                return Ok(epoch);
            }
            if !cut_again {
                return Err("opening does not end".into());
            }
            image = self.disk.cut(&mut NoFrames, &mut *policy(random));
        }
    }

    fn is_damaged(&self, page: PageIndex) -> bool {
        self.rotten.contains(&page.0)
    }
}
