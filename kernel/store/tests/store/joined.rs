//! A device that makes one request of neighbours that it gets together, as virtual ones do: a bad sector fails them all.

use crate::common::{End, content, formatted, pages, request};
use revenant_hal::{
    BlockIndex, Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest,
    FrameIndex, FrameMemory, PageIndex,
};
use revenant_sim::{SimDisk, SimFrames};
use revenant_store::{PageContent, StepOutcome, StoreEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Holds reads back until the store waits, then joins neighbours. What touches the bad block fails, and all that was joined with it.
struct Joining<'a> {
    inner: &'a mut SimDisk,
    bad: BlockIndex,
    held: Vec<DiskRequest>,
    failed: VecDeque<DiskCompletion>,
}

impl Joining<'_> {
    fn begin(&mut self, frames: &mut SimFrames) {
        self.held.sort_by_key(|read| read.block);
        let mut group: Vec<DiskRequest> = Vec::new();
        let mut held = core::mem::take(&mut self.held).into_iter().peekable();
        while let Some(read) = held.next() {
            let end = read.block.0 + read.buffers.len() as u64;
            group.push(read);
            if held.peek().is_some_and(|next| next.block.0 == end) {
                continue;
            }
            let whole = group[0].block.0..end;
            for read in group.drain(..) {
                if whole.contains(&self.bad.0) {
                    let DiskRequest { tag, operation, block, buffers } = read;
                    let result = Err(DiskError::Failed);
                    self.failed.push_back(DiskCompletion {
                        tag,
                        operation,
                        block,
                        buffers,
                        result,
                    });
                } else {
                    assert!(self.inner.submit(read).is_ok(), "room in the queue");
                }
            }
        }
        self.inner.advance_all(frames);
    }
}

impl Disk for Joining<'_> {
    fn geometry(&self) -> DiskGeometry {
        self.inner.geometry()
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        if request.operation != DiskOperation::Read {
            return self.inner.submit(request);
        }
        self.held.push(request);
        Ok(())
    }

    fn poll(&mut self) -> Option<DiskCompletion> {
        self.failed.pop_front().or_else(|| self.inner.poll())
    }
}

/// Nine pages were lost for one bad sector: they were read in one request, then one by one, but all at once.
#[test]
fn a_bad_sector_costs_its_page_and_none_of_the_neighbours() {
    const PAGES: u64 = 9;
    const BAD: u64 = 5;
    let mut machine = formatted(2048, 21);
    let (mut store, _) = machine.open(request(1)).unwrap();
    let model = pages(&(0..PAGES).map(|page| (100 + page, 1 + page)).collect::<Vec<_>>());
    assert!(matches!(machine.snapshot(&mut store, &model), End::Committed(..)));
    let image = machine.disk.visible();
    let blocks: Vec<BlockIndex> = (1..=PAGES)
        .map(|number| image.written().find(|block| *image.read(*block) == content(number)).unwrap())
        .collect();
    assert!(blocks.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "neighbours: {blocks:?}");

    let bad = blocks[usize::try_from(BAD).unwrap()];
    let (held, failed) = (Vec::new(), VecDeque::new());
    let mut disk = Joining { inner: &mut machine.disk, bad, held, failed };
    for page in 0..PAGES {
        store.read_page(PageIndex(100 + page), FrameIndex(u32::try_from(page).unwrap()));
    }
    let mut read = BTreeMap::new();
    loop {
        while let Some(event) = store.next_event() {
            if let StoreEvent::PageRead { page, result, .. } = event {
                assert!(read.insert(page.0 - 100, result).is_none(), "{page:?} is told once");
            }
        }
        match store.step(&mut disk, &mut machine.frames) {
            StepOutcome::Again => {}
            StepOutcome::Idle => break,
            StepOutcome::Waiting => {
                disk.begin(&mut machine.frames);
                while let Some(completion) = disk.poll() {
                    store.complete(completion, &mut machine.frames);
                }
            }
        }
    }
    let lost: BTreeSet<u64> =
        read.iter().filter(|(_, result)| result.is_err()).map(|(page, _)| *page).collect();
    assert_eq!((read.len() as u64, lost), (PAGES, BTreeSet::from([BAD])));
    for page in (0..PAGES).filter(|page| *page != BAD) {
        assert_eq!(read[&page], Ok(PageContent::Stored));
        let frame = FrameIndex(u32::try_from(page).unwrap());
        assert_eq!(*machine.frames.bytes(frame), content(1 + page));
    }
}
