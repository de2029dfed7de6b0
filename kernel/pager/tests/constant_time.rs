//! The flip costs the same whatever is dirty (A22), and a fault touches a handful of entries: counted in calls to the MMU and
//! the store, not in time. And a frame costs a few bytes.

#[expect(dead_code, reason = "the support module serves several test targets")]
mod support;

use allocation_counter::measure;
use core::cell::Cell;
use revenant_hal::{FrameIndex, Mmu, Nanoseconds, PageIndex, TableEntry};
use revenant_pager::{FaultKind, FaultOutcome, Memory, Pager, PagerOptions};
use revenant_sim::{SimFrames, SimMmu};
use support::memory_store::{MemoryStore, Temper};

/// Counts what is done to an MMU.
struct Counting {
    inner: SimMmu,
    reads: Cell<u64>,
    writes: u64,
    tables: u64,
    flushes: u64,
}

impl Counting {
    fn take(&mut self) -> (u64, u64, u64, u64) {
        let counts = (self.reads.get(), self.writes, self.tables, self.flushes);
        self.reads.set(0);
        (self.writes, self.tables, self.flushes) = (0, 0, 0);
        counts
    }

    fn count_read(&self) {
        self.reads.set(self.reads.get() + 1);
    }
}

impl Mmu for Counting {
    fn entry(&self, table: FrameIndex, index: usize) -> Option<TableEntry> {
        self.count_read();
        self.inner.entry(table, index)
    }

    fn set_entry(&mut self, table: FrameIndex, index: usize, entry: Option<TableEntry>) {
        self.writes += 1;
        self.inner.set_entry(table, index, entry);
    }

    fn clear_table(&mut self, table: FrameIndex) {
        self.tables += 1;
        self.inner.clear_table(table);
    }

    fn protect_table(&mut self, table: FrameIndex) {
        self.tables += 1;
        self.inner.protect_table(table);
    }

    fn top_entry(&self, index: usize) -> Option<TableEntry> {
        self.count_read();
        self.inner.top_entry(index)
    }

    fn set_top_entry(&mut self, index: usize, entry: Option<TableEntry>) {
        self.writes += 1;
        self.inner.set_top_entry(index, entry);
    }

    fn invalidate_page(&mut self, page: PageIndex) {
        self.flushes += 1;
        self.inner.invalidate_page(page);
    }

    fn invalidate_all(&mut self) {
        self.flushes += 1;
        self.inner.invalidate_all();
    }
}

struct Rig {
    pager: Pager,
    mmu: Counting,
    frames: SimFrames,
    store: MemoryStore,
}

impl Rig {
    fn new(frames: u32) -> Self {
        let temper = Temper { abandon_one_in: 0, forget_one_in: 0, ..Temper::default() };
        let store = MemoryStore::new(temper, 1);
        let options = PagerOptions { table_reserve: 3, copy_reserve: 4, ..PagerOptions::default() };
        let inner = SimMmu::new(frames, 8, 1);
        let mmu = Counting { inner, reads: Cell::new(0), writes: 0, tables: 0, flushes: 0 };
        let pager = Pager::new(frames, &store, Vec::new(), options);
        Self { pager, mmu, frames: SimFrames::new(frames, 1), store }
    }

    fn store_to(&mut self, page: u64) -> FaultOutcome {
        let mut memory = Memory { mmu: &mut self.mmu, frames: &mut self.frames };
        self.pager.fault(PageIndex(page), true, &mut memory, &mut self.store)
    }
}

#[test]
fn a_flip_touches_as_much_with_one_dirty_page_as_with_thousands() {
    let flip = |dirty: u64| {
        let mut rig = Rig::new(6000);
        for page in 0..dirty {
            assert_eq!(rig.store_to(page), FaultOutcome::Served(FaultKind::ZeroFill));
        }
        let _ = rig.mmu.take();
        let report = rig.pager.flip(Nanoseconds(0), &mut rig.mmu, &mut rig.store);
        assert_eq!(u64::from(report.expect("a flip").dirty_pages), dirty);
        rig.mmu.take()
    };
    let (reads, writes, tables, flushes) = flip(5000);
    assert_eq!((reads, writes, tables, flushes), flip(1));
    assert_eq!((reads, writes, tables, flushes), (32, 1, 0, 1));
}

#[test]
fn a_fault_touches_a_handful_of_entries_and_protects_each_table_once() {
    let mut rig = Rig::new(6000);
    for page in 0..2000 {
        assert_eq!(rig.store_to(page), FaultOutcome::Served(FaultKind::ZeroFill));
    }
    rig.pager.flip(Nanoseconds(0), &mut rig.mmu, &mut rig.store).expect("a flip");
    let _ = rig.mmu.take();
    assert_eq!(rig.store_to(0), FaultOutcome::Served(FaultKind::Copy));
    let (reads, writes, tables, flushes) = rig.mmu.take();
    assert!(reads <= 8 && writes <= 4 && flushes == 1, "{reads} {writes} {flushes}");
    assert_eq!(tables, 3, "the first store pushes down through three tables");
    for page in 1..2000 {
        assert_eq!(rig.store_to(page), FaultOutcome::Served(FaultKind::Copy));
    }
    let (reads, writes, tables, flushes) = rig.mmu.take();
    assert!(reads <= 8 * 1999 && writes <= 2 * 1999 && flushes == 1999);
    assert_eq!(tables, 3, "three more tables of pages, each once");
}

#[test]
fn a_frame_costs_at_most_64_bytes_beside_its_page() {
    let store = MemoryStore::new(Temper::default(), 1);
    let bytes = |frames: u32| {
        let mut pager = None;
        let taken = measure(|| {
            pager = Some(Pager::new(frames, &store, Vec::new(), PagerOptions::default()));
        });
        taken.bytes_current
    };
    let (few, many) = (bytes(10_000), bytes(1_010_000));
    println!("{} bytes for a million frames", many - few);
    assert!(many - few <= 64 * 1_000_000 && many > few);
}
