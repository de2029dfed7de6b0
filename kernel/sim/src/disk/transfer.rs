//! What the device does with one request: refuse it, begin it (the moment at which data moves), complete it.

use super::{
    FaultEffect, FaultTarget, FlushFailure, Image, InFlight, LogEntry, SectorAtRisk, SectorFate,
    SimDisk, changes_blocks, cut, kind,
};
use revenant_hal::{
    BlockIndex, Buffer, DiskCompletion, DiskError, DiskOperation, DiskRequest, FrameMemory,
    PAGE_SIZE, PageBytes,
};
use std::sync::Arc;

impl SimDisk {
    /// Why a request cannot be done at all.
    fn refusal(&self, request: &DiskRequest) -> Option<DiskError> {
        let blocks = self.shared.borrow().medium.durable().blocks();
        match request.operation {
            DiskOperation::Flush if !self.options.flush => Some(DiskError::Unsupported),
            DiskOperation::Flush => None,
            DiskOperation::Discard { .. } if self.options.discard_blocks == 0 => {
                Some(DiskError::Unsupported)
            }
            operation if self.options.read_only && changes_blocks(operation) => {
                Some(DiskError::Unsupported)
            }
            operation => {
                let count = request.blocks();
                let end = request.block.0.checked_add(count);
                let most = match operation {
                    DiskOperation::Discard { .. } => u64::from(self.options.discard_blocks),
                    _ => self.options.blocks_per_request as u64,
                };
                let fits = count > 0 && count <= most;
                (!fits || end.is_none_or(|end| end > blocks)).then_some(DiskError::OutOfRange)
            }
        }
    }

    /// The fault that strikes this request, spent if it strikes once.
    fn take_fault(&mut self, request: &DiskRequest) -> Option<FaultEffect> {
        let count = self.counts[kind(request.operation)];
        let end = request.block.0.saturating_add(request.blocks());
        let blocks = request.block.0..end;
        for index in 0..self.faults.len() {
            let fault = self.faults[index];
            let strikes = kind(fault.operation) == kind(request.operation)
                && match fault.target {
                    FaultTarget::Nth(n) => n == count,
                    FaultTarget::Block(block) => blocks.contains(&block.0),
                    FaultTarget::OneIn(n) => self.random.one_in(n),
                };
            if strikes {
                if matches!(fault.target, FaultTarget::Nth(_)) {
                    self.faults.remove(index);
                }
                return Some(fault.effect);
            }
        }
        None
    }

    pub(super) fn begin(&mut self, index: usize, frames: &mut impl FrameMemory) {
        if self.in_flight[index].result.is_some() {
            return;
        }
        let mut flight = self.in_flight.swap_remove(index);
        let fault = self.take_fault(&flight.request);
        self.counts[kind(flight.request.operation)] += 1;
        let result = match (self.refusal(&flight.request), flight.request.operation) {
            (Some(error), _) => Err(error),
            (None, DiskOperation::Read) => self.read(&mut flight.request, fault, frames),
            (None, DiskOperation::Write) => self.write(&flight, fault, frames),
            (None, DiskOperation::Discard { .. }) => self.discard(&flight, fault),
            (None, DiskOperation::Flush) if fault == Some(FaultEffect::Fail) => {
                Err(DiskError::Failed)
            }
            (None, DiskOperation::Flush) => Ok(()),
        };
        flight.result = Some(result);
        self.in_flight.push(flight);
        let last = self.in_flight.len() - 1;
        self.in_flight.swap(index, last);
    }

    fn read(
        &mut self,
        request: &mut DiskRequest,
        fault: Option<FaultEffect>,
        frames: &mut impl FrameMemory,
    ) -> Result<(), DiskError> {
        let shared = self.shared.borrow();
        for (offset, buffer) in request.buffers.iter_mut().enumerate() {
            let target = match buffer {
                Buffer::Frame(frame) => frames.bytes_mut(*frame),
                Buffer::Owned(page) => &mut **page,
            };
            if fault == Some(FaultEffect::Fail) {
                self.random.fill(&mut target.0);
                continue;
            }
            let mut block = BlockIndex(request.block.0 + offset as u64);
            if let (Some(FaultEffect::Misdirect(other)), 0) = (fault, offset) {
                block = other;
            }
            target.0.copy_from_slice(&shared.medium.visible().read(block).0);
            if let (Some(FaultEffect::FlipBit(bit)), 0) = (fault, offset) {
                target.0[bit / 8 % PAGE_SIZE] ^= 1 << (bit % 8);
            }
        }
        if fault == Some(FaultEffect::Fail) { Err(DiskError::Failed) } else { Ok(()) }
    }

    fn write(
        &mut self,
        flight: &InFlight,
        fault: Option<FaultEffect>,
        frames: &mut impl FrameMemory,
    ) -> Result<(), DiskError> {
        if fault == Some(FaultEffect::Lose) {
            return Ok(());
        }
        for (offset, buffer) in flight.request.buffers.iter().enumerate() {
            let place = BlockIndex(flight.request.block.0 + offset as u64);
            let mut target = place;
            let mut page = match buffer {
                Buffer::Frame(frame) => frames.bytes(*frame).clone(),
                Buffer::Owned(page) => (**page).clone(),
            };
            match (fault, offset) {
                (Some(FaultEffect::Misdirect(other)), 0) => target = other,
                (Some(FaultEffect::FlipBit(bit)), 0) => {
                    page.0[bit / 8 % PAGE_SIZE] ^= 1 << (bit % 8);
                }
                (Some(FaultEffect::Fail), _) => page = self.half_written(place, &page),
                _ => {}
            }
            let page = Arc::new(page);
            let mut shared = self.shared.borrow_mut();
            shared.record_data(flight.number, place, target, &page);
            shared.medium.begin(flight.number, target, page);
        }
        if fault == Some(FaultEffect::Fail) { Err(DiskError::Failed) } else { Ok(()) }
    }

    /// Each block ends as zeros, as it was, or as garbage; if the request fails, as some of it had happened.
    fn discard(&mut self, flight: &InFlight, fault: Option<FaultEffect>) -> Result<(), DiskError> {
        let first = flight.request.block.0;
        for block in (first..first + flight.request.blocks()).map(BlockIndex) {
            let mut page = PageBytes::ZERO;
            match self.random.below(3) {
                _ if fault == Some(FaultEffect::Lose) => continue,
                0 => {}
                1 => self.random.fill(&mut page.0),
                _ => continue,
            }
            let page = Arc::new(page);
            let mut shared = self.shared.borrow_mut();
            shared.record_data(flight.number, block, block, &page);
            shared.medium.begin(flight.number, block, page);
        }
        if fault == Some(FaultEffect::Fail) { Err(DiskError::Failed) } else { Ok(()) }
    }

    /// What a failed write leaves: each sector old, new or garbage.
    fn half_written(&mut self, block: BlockIndex, new: &PageBytes) -> PageBytes {
        let mut image = Image::new(block.0 + 1);
        image.write(block, Arc::new(self.shared.borrow().medium.visible().read(block).clone()));
        let random = &mut self.random;
        let mut fate = |_: &SectorAtRisk| match random.below(3) {
            0 => SectorFate::Old,
            1 => SectorFate::New,
            _ => SectorFate::Garbage(random.next_u64()),
        };
        cut::settle(&mut image, 0, block, &Arc::new(new.clone()), &mut fate);
        image.read(block).clone()
    }

    pub(super) fn finish(&mut self, flight: InFlight) -> DiskCompletion {
        let result = flight.result.unwrap_or(Err(DiskError::Failed));
        let DiskRequest { tag, operation, block, buffers } = flight.request;
        let mut shared = self.shared.borrow_mut();
        let request = flight.number;
        let keeps = self.options.flush_failure == FlushFailure::Keeps;
        let entry = match (operation, result) {
            (DiskOperation::Read, _) => None,
            // After a failed write nobody may count on a flush; its sectors stay at risk.
            (DiskOperation::Write | DiskOperation::Discard { .. }, Err(_)) => None,
            (DiskOperation::Write | DiskOperation::Discard { .. }, Ok(())) => {
                Some(LogEntry::WriteCompleted { request })
            }
            (DiskOperation::Flush, Ok(())) => Some(LogEntry::FlushCompleted { request }),
            (DiskOperation::Flush, Err(_)) => Some(LogEntry::FlushFailed { request }),
        };
        if let Some(entry) = entry {
            shared.medium.apply(&entry, keeps);
            shared.record(entry);
        }
        DiskCompletion { tag, operation, block, buffers, result }
    }
}
