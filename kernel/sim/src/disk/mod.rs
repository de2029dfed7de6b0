//! A disk that lies as real ones do.
//!
//! # The fault model
//!
//! - **Volatile cache.** A write is durable only when a flush that was submitted after its completion was handed out has
//!   completed without error. Reads see the cache.
//! - **No order.** Requests in flight are begun in an order drawn from the seed, and completed in another.
//! - **DMA has a time.** A device touches frames only in [`SimDisk::advance`], at any moment between submission and
//!   completion. A frame that changes in between goes to the disk changed.
//! - **A cut** ([`SimDisk::cut`], [`Replay::cut`]) decides each sector of each write that no completed flush covers, one by
//!   one: old, new, garbage, zero, or torn (a prefix of the sector is new). Whoever cuts brings the policy: nothing, all,
//!   every subset of the outstanding block writes, or drawn from a seed. Of several outstanding writes to a block each
//!   is decided, in the order in which they were begun. Sectors that no write touched keep their content.
//! - **DISCARD** ([`SimDiskOptions::discard_blocks`]) is a write of anything: each block reads as zeros, as what it held or
//!   as garbage afterwards, and is at risk at a cut like one that was written.
//! - **Errors by schedule** ([`Fault`]): reads, writes and flushes fail at a count, at a block or by chance. A failed write
//!   leaves each of its sectors old, new or garbage. After a failed flush the writes it should have covered are never
//!   covered by a later one (as a page cache that marks them clean does), unless [`FlushFailure::Keeps`] is chosen.
//! - **Lies by schedule**: writes and reads that go to another block, writes that never happen, bits flipped on the way.
//!   Rot of what lies on the medium: [`SimDisk::damage`].
//! - **Poor devices**: read-only, without FLUSH, small, shallow queues, small requests, by [`SimDiskOptions`].
//! - **Two openers**: [`SimDisk::second_opener`] gives another queue to the same medium.
//!
//! Not modelled: a device that changes sectors nobody wrote at a cut, and sectors smaller than 512 bytes.

mod cut;
mod faults;
mod image;
mod log;
mod medium;
#[cfg(test)]
mod tests;
mod transfer;

pub use cut::{
    CutPolicy, KeepAll, KeepNone, Scattered, SectorAtRisk, SectorFate, Seeded, Subset, cuts_to_try,
    every_subset,
};
pub use faults::{Fault, FaultEffect, FaultTarget};
pub use image::Image;
pub use log::{DiskLog, Replay};
pub use medium::LogEntry;

use crate::{DeviceAccess, NoFrames, Random};
use core::cell::RefCell;
use medium::Medium;
use revenant_hal::{
    BlockIndex, Buffer, DiscardLimits, Disk, DiskCompletion, DiskError, DiskGeometry,
    DiskOperation, DiskRequest, FrameIndex, FrameMemory, PAGE_SIZE, PageBytes,
};
use std::{rc::Rc, sync::Arc};

/// In which order requests in flight are begun and completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As submitted.
    Submitted,
    /// Drawn from the seed.
    Seeded,
}

/// What a failed flush does to the writes that it should have covered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlushFailure {
    /// No later flush covers them.
    Loses,
    /// A later flush covers them.
    Keeps,
}

/// How a simulated disk behaves.
#[derive(Clone, Copy, Debug)]
pub struct SimDiskOptions {
    /// Where order, chance and garbage come from.
    pub seed: u64,
    /// Order of begin and completion.
    pub order: Order,
    /// Requests that may be in flight.
    pub queue_depth: usize,
    /// Blocks that a request may carry.
    pub blocks_per_request: usize,
    /// Writes are refused.
    pub read_only: bool,
    /// FLUSH is supported.
    pub flush: bool,
    /// Blocks that a DISCARD may name; 0: it is not offered.
    pub discard_blocks: u32,
    /// What a failed flush does.
    pub flush_failure: FlushFailure,
}

impl Default for SimDiskOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            order: Order::Seeded,
            queue_depth: 64,
            blocks_per_request: 64,
            read_only: false,
            flush: true,
            discard_blocks: 0,
            flush_failure: FlushFailure::Loses,
        }
    }
}

/// What all openers of one device share.
#[derive(Debug)]
struct Shared {
    medium: Medium,
    next_request: u64,
    log: Option<DiskLog>,
}

impl Shared {
    fn record(&mut self, entry: LogEntry) {
        if let Some(log) = &mut self.log {
            log.entries.push(entry);
        }
    }

    /// Enters the data of a write that was recorded at its submission.
    fn record_data(
        &mut self,
        request: u64,
        place: BlockIndex,
        target: BlockIndex,
        data: &Arc<PageBytes>,
    ) {
        let Some(log) = &mut self.log else { return };
        let entry = log.entries.iter_mut().rev().find(|entry| {
            matches!(entry, LogEntry::Write { request: r, block, page: None } if *r == request && *block == place)
        });
        if let Some(LogEntry::Write { block, page, .. }) = entry {
            *block = target;
            *page = Some(data.clone());
        }
    }
}

struct InFlight {
    number: u64,
    request: DiskRequest,
    /// None until begun.
    result: Option<Result<(), DiskError>>,
}

/// A simulated disk: one opener's queue to a medium. See the module's page for what it does to its users.
pub struct SimDisk {
    shared: Rc<RefCell<Shared>>,
    options: SimDiskOptions,
    random: Random,
    in_flight: Vec<InFlight>,
    faults: Vec<Fault>,
    counts: [u64; 4],
}

fn kind(operation: DiskOperation) -> usize {
    match operation {
        DiskOperation::Read => 0,
        DiskOperation::Write => 1,
        DiskOperation::Flush => 2,
        DiskOperation::Discard { .. } => 3,
    }
}

/// Whether an operation changes what blocks hold.
fn changes_blocks(operation: DiskOperation) -> bool {
    matches!(operation, DiskOperation::Write | DiskOperation::Discard { .. })
}

impl SimDisk {
    /// A device that holds an image, all of it durable.
    #[must_use]
    pub fn new(image: Image, options: SimDiskOptions) -> Self {
        let shared = Shared { medium: Medium::new(image), next_request: 0, log: None };
        Self::opener(Rc::new(RefCell::new(shared)), options)
    }

    /// A device of zeros with default options.
    #[must_use]
    pub fn empty(blocks: u64, seed: u64) -> Self {
        Self::new(Image::new(blocks), SimDiskOptions { seed, ..SimDiskOptions::default() })
    }

    fn opener(shared: Rc<RefCell<Shared>>, options: SimDiskOptions) -> Self {
        let random = Random::new(options.seed);
        Self { shared, options, random, in_flight: Vec::new(), faults: Vec::new(), counts: [0; 4] }
    }

    /// Another queue, with its own options and faults, to the same medium.
    #[must_use]
    pub fn second_opener(&self, options: SimDiskOptions) -> Self {
        Self::opener(self.shared.clone(), options)
    }

    /// Adds a fault. `FaultTarget::Nth` counts from this call on.
    pub fn add_fault(&mut self, mut fault: Fault) {
        if let FaultTarget::Nth(n) = &mut fault.target {
            *n += self.counts[kind(fault.operation)];
        }
        self.faults.push(fault);
    }

    /// Removes all faults that are left.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Operations submitted so far: reads, writes, flushes, discards.
    #[must_use]
    pub fn operation_counts(&self) -> [u64; 4] {
        self.counts
    }

    /// Requests in flight, begun or not.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The frames of all requests in flight, with what the device does to them.
    pub fn frames_in_flight(&self) -> impl Iterator<Item = (FrameIndex, DeviceAccess)> + '_ {
        self.in_flight.iter().flat_map(|flight| {
            let access = match flight.request.operation {
                DiskOperation::Read => DeviceAccess::Fills,
                _ => DeviceAccess::Reads,
            };
            flight.request.buffers.iter().filter_map(move |buffer| match buffer {
                Buffer::Frame(frame) => Some((*frame, access)),
                Buffer::Owned(_) => None,
            })
        })
    }

    /// Rot: changes what lies on the medium.
    pub fn damage(&mut self, block: BlockIndex, change: impl Fn(&mut [u8; PAGE_SIZE])) {
        self.shared.borrow_mut().medium.damage(block, &change);
    }

    /// What survives if nothing outstanding does.
    #[must_use]
    pub fn durable(&self) -> Image {
        self.shared.borrow().medium.durable().clone()
    }

    /// What a read would return now: the cache over the durable image.
    #[must_use]
    pub fn visible(&self) -> Image {
        self.shared.borrow().medium.visible().clone()
    }

    /// Starts recording a log, from the present durable image. Panics if writes are outstanding.
    pub fn start_log(&mut self) {
        let mut shared = self.shared.borrow_mut();
        assert!(self.in_flight.is_empty(), "a log begins when nothing is in flight");
        assert_eq!(shared.medium.outstanding(), 0, "a log begins when all is durable");
        let start = shared.medium.durable().clone();
        let flush_failure_keeps = self.options.flush_failure == FlushFailure::Keeps;
        shared.log = Some(DiskLog { start, entries: Vec::new(), flush_failure_keeps });
    }

    /// Entries recorded so far.
    #[must_use]
    pub fn log_length(&self) -> usize {
        self.shared.borrow().log.as_ref().map_or(0, |log| log.entries.len())
    }

    /// Ends the recording.
    pub fn take_log(&mut self) -> Option<DiskLog> {
        self.shared.borrow_mut().log.take()
    }

    /// Block writes whose fate a cut would decide now, those in flight not counted.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.shared.borrow().medium.outstanding()
    }

    /// The power goes. Every write in flight is begun first, so that it too may or may not survive. Returns what the
    /// next boot finds; this opener gets no more completions.
    pub fn cut(&mut self, frames: &mut impl FrameMemory, policy: &mut dyn CutPolicy) -> Image {
        for index in 0..self.in_flight.len() {
            if changes_blocks(self.in_flight[index].request.operation) {
                self.begin(index, frames);
            }
        }
        self.in_flight.clear();
        self.shared.borrow().medium.cut(policy)
    }

    /// [`SimDisk::cut`] for users whose requests carry no frames.
    pub fn cut_owned(&mut self, policy: &mut dyn CutPolicy) -> Image {
        self.cut(&mut NoFrames, policy)
    }

    /// The device's turn: begins one request that is not begun, if there is one, and touches its frames. With
    /// [`Order::Seeded`] now and then none.
    pub fn advance(&mut self, frames: &mut impl FrameMemory) {
        if let Some(index) = self.pick(false, |_| true) {
            self.begin(index, frames);
        }
    }

    /// Begins everything that is in flight.
    pub fn advance_all(&mut self, frames: &mut impl FrameMemory) {
        while let Some(index) = self.pick(false, |_| true) {
            self.begin(index, frames);
        }
    }

    fn pick(&mut self, begun: bool, wanted: impl Fn(&DiskRequest) -> bool) -> Option<usize> {
        let fits = |flight: &&InFlight| flight.result.is_some() == begun && wanted(&flight.request);
        let count = self.in_flight.iter().filter(fits).count();
        if count == 0 {
            return None;
        }
        let chosen = match self.options.order {
            Order::Submitted => 0,
            Order::Seeded => self.random.index(count),
        };
        let fits = |(_, flight): &(usize, &InFlight)| {
            flight.result.is_some() == begun && wanted(&flight.request)
        };
        self.in_flight.iter().enumerate().filter(fits).nth(chosen).map(|(index, _)| index)
    }

    fn assert_no_overlap(&self, request: &DiskRequest) {
        let end = |request: &DiskRequest| request.block.0.saturating_add(request.blocks());
        for other in self.in_flight.iter().map(|flight| &flight.request) {
            let changes = changes_blocks(other.operation);
            let apart = other.block.0 >= end(request) || request.block.0 >= end(other);
            assert!(
                !changes || apart,
                "two writes or discards of {:?} in flight at once: nothing orders them",
                request.block
            );
        }
    }
}

impl Disk for SimDisk {
    fn geometry(&self) -> DiskGeometry {
        DiskGeometry {
            blocks: self.shared.borrow().medium.durable().blocks(),
            queue_depth: self.options.queue_depth,
            blocks_per_request: self.options.blocks_per_request,
            read_only: self.options.read_only,
            flush: self.options.flush,
            discard: (self.options.discard_blocks > 0)
                .then_some(DiscardLimits { blocks: self.options.discard_blocks, alignment: 1 }),
        }
    }

    /// Panics if a write or discard overlaps one of this opener's that is in flight.
    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        if self.in_flight.len() >= self.options.queue_depth {
            return Err(request);
        }
        if changes_blocks(request.operation) {
            self.assert_no_overlap(&request);
        }
        let mut shared = self.shared.borrow_mut();
        let number = shared.next_request;
        shared.next_request += 1;
        match request.operation {
            DiskOperation::Read => {}
            DiskOperation::Write | DiskOperation::Discard { .. } => {
                for offset in 0..request.blocks() {
                    let block = BlockIndex(request.block.0.saturating_add(offset));
                    shared.record(LogEntry::Write { request: number, block, page: None });
                }
            }
            DiskOperation::Flush => {
                shared.medium.flush_submitted(number);
                shared.record(LogEntry::FlushSubmitted { request: number });
            }
        }
        drop(shared);
        self.in_flight.push(InFlight { number, request, result: None });
        Ok(())
    }

    /// Requests whose buffers are all owned are begun here as well, so that a user without frames need not call
    /// [`SimDisk::advance`].
    fn poll(&mut self) -> Option<DiskCompletion> {
        let owned = |request: &DiskRequest| {
            request.buffers.iter().all(|buffer| matches!(buffer, Buffer::Owned(_)))
        };
        if let Some(index) = self.pick(false, owned) {
            self.begin(index, &mut NoFrames);
        }
        let index = self.pick(true, |_| true)?;
        let flight = self.in_flight.remove(index);
        Some(self.finish(flight))
    }
}
