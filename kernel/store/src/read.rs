//! Page reads: find the block through the map, read it into the caller's frame, believe it if its checksum holds.
//!
//! Pages whose blocks are neighbours share a request when they are asked for before the same step.
//!
//! Invariants: every read that was started ends in one [`StoreEvent::PageRead`]; a frame is never reported as good
//! unless its bytes match the reference.

use crate::api::{PageContent, StoreEvent};
use crate::error::{BlockRole, DamagedBlock};
use crate::reference::{MAP_LEVELS, Reference};
use crate::store::Store;
use crate::tree::{Tree, TreeKind};
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec,
    vec::Vec,
};
use revenant_hal::{
    BlockIndex, Buffer, DiskCompletion, DiskOperation, Event, FrameIndex, FrameMemory, PageIndex,
};

/// A read whose block is not known yet. Without a root: of the live state.
#[derive(Clone, Copy, Debug)]
struct Asked {
    root: Option<Reference>,
    page: PageIndex,
    frame: FrameIndex,
}

/// A read whose block is known.
#[derive(Clone, Copy, Debug)]
struct Located {
    page: PageIndex,
    frame: FrameIndex,
    reference: Reference,
    mirror: bool,
}

/// All page reads of a store.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    asked: Vec<Asked>,
    in_flight: BTreeMap<u64, Vec<Located>>,
    /// Pages of requests that failed, to be read again one after the other: a device may make one request of neighbours that
    /// it gets together, and a bad sector fails them all.
    suspects: VecDeque<Located>,
    /// The tag of the one being read.
    suspect: Option<u64>,
    pub(crate) believe: bool,
}

impl Reads {
    pub(crate) fn start(&mut self, root: Option<Reference>, page: PageIndex, frame: FrameIndex) {
        self.asked.push(Asked { root, page, frame });
    }

    pub(crate) fn owns(&self, completion: &DiskCompletion) -> bool {
        self.in_flight.contains_key(&completion.tag.0)
    }

    /// Whether all that is being read was asked of the device with this tag or later.
    pub(crate) fn all_since(&self, tag: u64) -> bool {
        let oldest = self.in_flight.first_key_value();
        // Who reads a suspect again looks where it was.
        let again = self.suspect.is_some() || !self.suspects.is_empty();
        !again && oldest.is_none_or(|(oldest, _)| *oldest >= tag)
    }

    /// Whether reads wait for map nodes.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }
}

impl Store {
    /// Locates what was asked for; what needs a node that is not in RAM stays asked.
    pub(crate) fn step_reads(&mut self) {
        if self.reads.asked.is_empty() {
            return;
        }
        let mut located = Vec::new();
        for asked in core::mem::take(&mut self.reads.asked) {
            let updated = match asked.root {
                None => self.updated(asked.page),
                Some(_) => None,
            };
            let found = match (updated, asked.root) {
                (Some(reference), _) => Ok(reference),
                (None, None) => self.map.find(&self.cache, asked.page.0),
                (None, Some(root)) => {
                    Tree::new(TreeKind::Map, root, MAP_LEVELS).find(&self.cache, asked.page.0)
                }
            };
            let Asked { page, frame, .. } = asked;
            match found {
                Ok(reference) if reference.is_zero() => {
                    let result = Ok(PageContent::Zero);
                    self.events.push_back(StoreEvent::PageRead { page, frame, result });
                }
                Ok(reference) if reference.is_lost() => {
                    let (block, role) = (reference.mirror, BlockRole::LostPage(page));
                    self.damaged_page(
                        page,
                        frame,
                        DamagedBlock { block, role, device_error: None },
                    );
                }
                Ok(reference) => located.push(Located { page, frame, reference, mirror: false }),
                Err(missing) => match self.need(missing) {
                    Ok(()) => self.reads.asked.push(asked),
                    Err(damage) => self.damaged_page(page, frame, damage),
                },
            }
        }
        self.submit_reads(located);
    }

    /// Neighbouring blocks become one request.
    fn submit_reads(&mut self, mut located: Vec<Located>) {
        located.sort_by_key(|read| read.reference.block);
        let mut batch: Vec<Located> = Vec::new();
        for read in located {
            let adjacent = batch.last().is_none_or(|last| {
                last.reference.block.0 + 1 == read.reference.block.0
                    && batch.len() < self.io.per_request()
            });
            if !adjacent {
                self.submit_batch(core::mem::take(&mut batch));
            }
            batch.push(read);
        }
        self.submit_batch(batch);
    }

    /// Sends one request; its tag.
    fn submit_batch(&mut self, batch: Vec<Located>) -> Option<u64> {
        let first = batch.first()?;
        let block = if first.mirror { first.reference.mirror } else { first.reference.block };
        let buffers = batch.iter().map(|read| Buffer::Frame(read.frame)).collect();
        let tag = self.io.push(DiskOperation::Read, block, buffers);
        self.reads.in_flight.insert(tag, batch);
        Some(tag)
    }

    /// Checks what a request brought. A page that does not match is read again alone, then from its second copy.
    pub(crate) fn page_read<F: FrameMemory + ?Sized>(
        &mut self,
        completion: DiskCompletion,
        frames: &F,
    ) {
        let Some(batch) = self.reads.in_flight.remove(&completion.tag.0) else { return };
        let error = completion.result.err();
        let many = batch.len() > 1;
        if self.reads.suspect == Some(completion.tag.0) {
            self.reads.suspect = None;
        }
        for mut read in batch {
            let Located { page, frame, reference, .. } = read;
            let good =
                error.is_none() && (self.reads.believe || reference.matches(frames.bytes(frame)));
            if good {
                let result = Ok(PageContent::Stored);
                self.events.push_back(StoreEvent::PageRead { page, frame, result });
            } else if many && error.is_some() {
                self.reads.suspects.push_back(read);
            } else if !read.mirror && reference.mirror != BlockIndex(0) {
                read.mirror = true;
                self.submit_batch(vec![read]);
            } else {
                let role = BlockRole::Page(page);
                let block = reference.block;
                self.damaged_page(page, frame, DamagedBlock { block, role, device_error: error });
            }
        }
        if self.reads.suspect.is_none()
            && let Some(read) = self.reads.suspects.pop_front()
        {
            self.reads.suspect = self.submit_batch(vec![read]);
        }
    }

    fn damaged_page(&mut self, page: PageIndex, frame: FrameIndex, damage: DamagedBlock) {
        let event = Event::UnreadablePage { page, block: damage.block };
        self.events.push_back(StoreEvent::Report(event));
        self.events.push_back(StoreEvent::PageRead { page, frame, result: Err(damage) });
    }
}
