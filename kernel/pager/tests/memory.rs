//! A page fault takes no heap memory: in the kernel it happens inside a trap, on top of whatever ran. The kernel's own store
//! stands below; MMU and frames are arrays, so that every allocation counted is the pager's or the store's.

use allocation_counter::measure;
use revenant_hal::{
    Disk, DiskCompletion, FrameIndex, FrameMemory, Mmu, Nanoseconds, PageIndex, TABLE_ENTRIES,
    TableEntry,
};
use revenant_pager::{FaultKind, FaultOutcome, Memory, Pager, PagerOptions, WaitReason};
use revenant_sim::{Image, SimDisk, SimDiskOptions, SimFrames};
use revenant_store::{
    Access, FormatOutcome, Formatting, OpenFrom, OpenOutcome, OpenRequest, Opening, SessionId,
    Store, StoreId, StoreOptions,
};

const FRAMES: u32 = 2048;
const VM_ABI: u32 = 1;

/// Page tables without a processor.
struct ArrayMmu {
    top: [Option<TableEntry>; 32],
    tables: Vec<[Option<TableEntry>; TABLE_ENTRIES]>,
}

impl Mmu for ArrayMmu {
    fn entry(&self, table: FrameIndex, index: usize) -> Option<TableEntry> {
        self.tables[table.0 as usize][index]
    }

    fn set_entry(&mut self, table: FrameIndex, index: usize, entry: Option<TableEntry>) {
        self.tables[table.0 as usize][index] = entry;
    }

    fn clear_table(&mut self, table: FrameIndex) {
        self.tables[table.0 as usize].fill(None);
    }

    fn protect_table(&mut self, table: FrameIndex) {
        for entry in self.tables[table.0 as usize].iter_mut().flatten() {
            entry.writable = false;
        }
    }

    fn top_entry(&self, index: usize) -> Option<TableEntry> {
        self.top[index]
    }

    fn set_top_entry(&mut self, index: usize, entry: Option<TableEntry>) {
        self.top[index] = entry;
    }

    fn invalidate_page(&mut self, _: PageIndex) {}

    fn invalidate_all(&mut self) {}
}

/// A machine that runs only when it is told to.
struct Machine {
    disk: SimDisk,
    store: Store,
    frames: SimFrames,
    mmu: ArrayMmu,
    pager: Pager,
}

fn poll(disk: &mut SimDisk) -> Option<DiskCompletion> {
    disk.advance(&mut revenant_sim::NoFrames);
    disk.poll()
}

fn formatted() -> SimDisk {
    let mut disk = SimDisk::new(Image::new(16_384), SimDiskOptions::default());
    let mut formatting = Formatting::new(StoreId(3), VM_ABI);
    while formatting.step(&mut disk) != FormatOutcome::Formatted {
        if let Some(completion) = poll(&mut disk) {
            formatting.complete(completion);
        }
    }
    disk
}

impl Machine {
    fn new(mut disk: SimDisk, session: u128) -> Self {
        let mut opening = Opening::new(OpenRequest {
            session: SessionId(session),
            vm_abi: VM_ABI,
            access: Access::ReadWrite,
            from: OpenFrom::Newest,
            options: StoreOptions { changed_nodes: 700, ..StoreOptions::default() },
        });
        let store = loop {
            match opening.step(&mut disk) {
                OpenOutcome::Opened(store, _) => break *store,
                OpenOutcome::Refused(refusal) => panic!("{refusal}"),
                OpenOutcome::Again | OpenOutcome::Waiting => {}
            }
            if let Some(completion) = poll(&mut disk) {
                opening.complete(completion);
            }
        };
        let pager = Pager::new(FRAMES, &store, Vec::new(), PagerOptions::default());
        let mmu =
            ArrayMmu { top: [None; 32], tables: vec![[None; TABLE_ENTRIES]; FRAMES as usize] };
        Self { disk, store, frames: SimFrames::new(FRAMES, 1), mmu, pager }
    }

    /// A fault, and the allocations that it made.
    fn fault(&mut self, page: u64, write: bool) -> (FaultOutcome, u64) {
        let mut outcome = None;
        let Self { store, frames, mmu, pager, .. } = self;
        let taken = measure(|| {
            let mut memory = Memory { mmu, frames };
            outcome = Some(pager.fault(PageIndex(page), write, &mut memory, store));
        });
        (outcome.expect("it ran"), taken.count_total)
    }

    /// What the kernel's loop does, until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            while let Some(event) = self.store.next_event() {
                let mut memory = Memory { mmu: &mut self.mmu, frames: &mut self.frames };
                self.pager.on_store_event(&event, &mut memory);
            }
            let mut memory = Memory { mmu: &mut self.mmu, frames: &mut self.frames };
            let _ = self.pager.step(&mut memory, &mut self.store);
            let _ = self.store.step(&mut self.disk, &mut self.frames);
            self.disk.advance(&mut self.frames);
            while let Some(completion) = self.disk.poll() {
                self.store.complete(completion, &mut self.frames);
            }
        }
    }
}

#[test]
fn a_page_fault_takes_no_memory_whatever_it_has_to_do() {
    let mut machine = Machine::new(formatted(), 1);
    machine.settle();
    // First stores to scattered pages until there is no room for their map.
    let mut pages = Vec::with_capacity(4096);
    let full = loop {
        let page = pages.len() as u64 * 131;
        let (outcome, taken) = machine.fault(page, true);
        assert_eq!(taken, 0, "first store to page {page}");
        if outcome != FaultOutcome::Served(FaultKind::ZeroFill) {
            break outcome;
        }
        pages.push(page);
    };
    assert_eq!(full, FaultOutcome::Wait(WaitReason::Space));
    assert!(pages.len() > 500, "{} pages", pages.len());
    // A page of zeros would not be written.
    let resident: Vec<_> = machine.pager.resident_pages().collect();
    resident.iter().for_each(|(_, frame)| machine.frames.bytes_mut(*frame).0[0] = 1);
    // Copies of frozen pages.
    machine.pager.flip(Nanoseconds(0), &mut machine.mmu, &mut machine.store).expect("a flip");
    let (outcome, taken) = machine.fault(pages[0], true);
    assert_eq!((outcome, taken), (FaultOutcome::Wait(WaitReason::Space), 0));
    machine.settle();
    for page in &pages[..100] {
        let (outcome, taken) = machine.fault(*page, true);
        assert_eq!((outcome, taken), (FaultOutcome::Served(FaultKind::MakeWritable), 0));
    }
    machine.pager.flip(Nanoseconds(0), &mut machine.mmu, &mut machine.store).expect("a flip");
    for page in &pages[..100] {
        let (outcome, taken) = machine.fault(*page, true);
        assert_eq!((outcome, taken), (FaultOutcome::Served(FaultKind::Copy), 0));
    }
    machine.settle();
    assert_eq!(machine.pager.snapshot_in_the_making(), None);
    // Another machine: page-ins, more than there is room for.
    let mut machine =
        Machine::new(SimDisk::new(machine.disk.durable(), SimDiskOptions::default()), 2);
    let mut waits = [0, 0];
    for page in &pages[..400] {
        let (outcome, taken) = machine.fault(*page, false);
        assert_eq!(taken, 0, "page-in of {page}");
        match outcome {
            FaultOutcome::Wait(WaitReason::PageIn) => waits[0] += 1,
            FaultOutcome::Wait(WaitReason::Room) => waits[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(waits.iter().all(|count| *count > 0), "{waits:?}");
    machine.settle();
    let (outcome, taken) = machine.fault(pages[0], true);
    assert_eq!((outcome, taken), (FaultOutcome::Served(FaultKind::MakeWritable), 0));
}
