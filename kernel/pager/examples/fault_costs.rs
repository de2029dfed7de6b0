//! What a fault and a flip cost on the host, in nanoseconds: the pager's own code with tables, frames and a store that do
//! nothing slow. For orientation when the code changes; the machine's figures come from `make bench`.

use revenant_hal::{Epoch, FrameIndex, Nanoseconds, PageIndex};
use revenant_pager::{FaultOutcome, Memory, PageStore, Pager, PagerOptions, StepOutcome};
use revenant_sim::{SimFrames, SimMmu};
use revenant_store::{Copies, Lookup, NoSpace, PageContent, Purpose, SnapshotError, StoreEvent};
use std::time::Instant;

/// A store without a disk: every write has completed when it is asked.
struct Nowhere {
    running: Epoch,
    written: Vec<(PageIndex, FrameIndex)>,
    finished: bool,
}

impl PageStore for Nowhere {
    fn lookup(&self, _page: PageIndex) -> Lookup {
        Lookup::Known(PageContent::Zero)
    }
    fn read_page(&mut self, _page: PageIndex, _frame: FrameIndex) {}
    fn reserve_first_dirtying(
        &mut self,
        _page: PageIndex,
        _copies: Copies,
        _purpose: Purpose,
    ) -> Result<(), NoSpace> {
        Ok(())
    }
    fn uncharge(&mut self, _page: PageIndex, _copies: Copies) {}
    fn discard(&mut self, _page: PageIndex) -> Result<(), NoSpace> {
        Ok(())
    }
    fn begin_snapshot(&mut self, epoch: Epoch, _wall: Nanoseconds) -> Result<(), SnapshotError> {
        self.running = epoch.next();
        Ok(())
    }
    fn write_page(&mut self, page: PageIndex, frame: FrameIndex, _copies: Copies) {
        self.written.push((page, frame));
    }
    fn write_room(&self) -> usize {
        1024
    }
    fn early_room(&self) -> usize {
        0
    }
    fn write_early(&mut self, _page: PageIndex, _frame: FrameIndex) -> bool {
        false
    }
    fn finish_snapshot(&mut self) {
        self.finished = true;
    }
    fn set_uncharged_pages(&mut self, _pages: u64) {}
    fn running_epoch(&self) -> Epoch {
        self.running
    }
}

/// Stores to every page; nanoseconds a fault.
fn touch(
    pager: &mut Pager,
    mmu: &mut SimMmu,
    frames: &mut SimFrames,
    store: &mut Nowhere,
    pages: u64,
) -> u128 {
    let start = Instant::now();
    for page in 0..pages {
        let mut memory = Memory { mmu, frames };
        let outcome = pager.fault(PageIndex(page), true, &mut memory, store);
        assert!(matches!(outcome, FaultOutcome::Served(_)), "{outcome:?}");
    }
    start.elapsed().as_nanos() / u128::from(pages)
}

fn commit(
    pager: &mut Pager,
    mmu: &mut SimMmu,
    frames: &mut SimFrames,
    store: &mut Nowhere,
    epoch: Epoch,
) -> u128 {
    let (start, mut pages) = (Instant::now(), 0);
    while !store.finished {
        let mut memory = Memory { mmu: &mut *mmu, frames: &mut *frames };
        let _: StepOutcome = pager.step(&mut memory, store);
        for (page, frame) in core::mem::take(&mut store.written) {
            pages += 1;
            pager.on_store_event(&StoreEvent::PageWritten { page, frame }, &mut memory);
        }
    }
    store.finished = false;
    let mut memory = Memory { mmu, frames };
    let generation = revenant_hal::Generation(1);
    let event = StoreEvent::Committed { epoch, generation, blocks_written: 0 };
    pager.on_store_event(&event, &mut memory);
    start.elapsed().as_nanos() / pages.max(1)
}

fn main() {
    for pages in [256u64, 16_384, 49_152] {
        let count = u32::try_from(2 * pages).unwrap_or(u32::MAX) + 1000;
        let mut store = Nowhere { running: Epoch(1), written: Vec::new(), finished: false };
        let mut pager = Pager::new(count, &store, Vec::new(), PagerOptions::default());
        let mut mmu = SimMmu::new(count, 8, 1);
        let mut frames = SimFrames::new(count, 1);
        let zero_fill = touch(&mut pager, &mut mmu, &mut frames, &mut store, pages);
        let start = Instant::now();
        let report = pager.flip(Nanoseconds(0), &mut mmu, &mut store).map(|report| report.ended);
        let flip = start.elapsed().as_nanos();
        let Ok(epoch) = report else { return };
        let copy = touch(&mut pager, &mut mmu, &mut frames, &mut store, pages);
        let write = commit(&mut pager, &mut mmu, &mut frames, &mut store, epoch);
        let Ok(report) = pager.flip(Nanoseconds(0), &mut mmu, &mut store) else { return };
        let _ = commit(&mut pager, &mut mmu, &mut frames, &mut store, report.ended);
        let make_writable = touch(&mut pager, &mut mmu, &mut frames, &mut store, pages);
        println!(
            "{pages:6} pages: zero fill {zero_fill} ns, copy {copy} ns, make writable {make_writable} ns, flip {flip} ns, writer {write} ns a page"
        );
    }
}
