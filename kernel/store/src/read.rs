//! Page reads: find the block through the map, read it into the caller's frame, believe it if its checksum holds.
//!
//! Pages whose blocks are neighbours share a request when they are asked for before the same step.
//!
//! Invariants: every read that was started ends in one [`StoreEvent::PageRead`]; a frame is never reported as good
//! unless its bytes match the reference.

use crate::api::{PageContent, StoreEvent};
use crate::error::{BlockRole, DamagedBlock};
use crate::io::{SPARE_BUFFERS, SPARE_LISTS};
use crate::overlay::Entry;
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

/// The reads of one request.
pub(crate) struct Batch(Vec<Located>);

/// All page reads of a store.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    asked: Vec<Asked>,
    in_flight: BTreeMap<u64, Vec<Located>>,
    /// Lists that have come back empty, as those of buffers.
    spare: Vec<Vec<Located>>,
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

    /// What the request was to read, if it is one of these.
    pub(crate) fn take(&mut self, completion: &DiskCompletion) -> Option<Batch> {
        self.in_flight.remove(&completion.tag.0).map(Batch)
    }

    fn give_back(&mut self, mut batch: Vec<Located>) {
        if batch.capacity() <= SPARE_BUFFERS && self.spare.len() < SPARE_LISTS {
            batch.clear();
            self.spare.push(batch);
        }
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
                (Some(Entry::Standing(reference)), _) => Ok(reference),
                // Nobody asks for a page on its way: its content is in the frame that was given.
                (_, None) => self.map.find(&self.cache, asked.page.0),
                (_, Some(root)) => {
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
                        DamagedBlock { block, role, device_error: None, birth: reference.birth },
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
        let mut batch: Vec<Located> = self.reads.spare.pop().unwrap_or_default();
        for read in located {
            let adjacent = batch.last().is_none_or(|last| {
                last.reference.block.0 + 1 == read.reference.block.0
                    && batch.len() < self.io.per_request()
            });
            if !adjacent {
                let next = self.reads.spare.pop().unwrap_or_default();
                self.submit_batch(core::mem::replace(&mut batch, next));
            }
            batch.push(read);
        }
        self.submit_batch(batch);
    }

    /// Sends one request; its tag.
    fn submit_batch(&mut self, batch: Vec<Located>) -> Option<u64> {
        let Some(first) = batch.first() else {
            self.reads.give_back(batch);
            return None;
        };
        let block = if first.mirror { first.reference.mirror } else { first.reference.block };
        let mut buffers = self.io.buffers();
        buffers.extend(batch.iter().map(|read| Buffer::Frame(read.frame)));
        let tag = self.io.push(DiskOperation::Read, block, buffers);
        self.reads.in_flight.insert(tag, batch);
        Some(tag)
    }

    /// Checks what a request brought. Pages of a request that failed are read again alone, then from their second copies.
    pub(crate) fn page_read<F: FrameMemory + ?Sized>(
        &mut self,
        Batch(mut batch): Batch,
        completion: DiskCompletion,
        frames: &F,
    ) {
        let error = completion.result.err();
        let alone = self.reads.suspect == Some(completion.tag.0);
        if alone {
            self.reads.suspect = None;
        }
        self.io.give_back(completion.buffers);
        for mut read in batch.drain(..) {
            let Located { page, frame, reference, .. } = read;
            let good =
                error.is_none() && (self.reads.believe || reference.matches(frames.bytes(frame)));
            if good {
                let result = Ok(PageContent::Stored);
                self.events.push_back(StoreEvent::PageRead { page, frame, result });
            } else if error.is_some() && !alone {
                self.reads.suspects.push_back(read);
            } else if !read.mirror && reference.mirror != BlockIndex(0) {
                read.mirror = true;
                self.submit_batch(vec![read]);
            } else {
                let role = BlockRole::Page(page);
                let Reference { block, birth, .. } = reference;
                let damage = DamagedBlock { block, role, device_error: error, birth };
                self.damaged_page(page, frame, damage);
            }
        }
        self.reads.give_back(batch);
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
