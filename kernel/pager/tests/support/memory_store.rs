//! A store in memory that keeps its promises and no more: it is late, short of space, loses its map from the cache, gives
//! snapshots up, and at a cut decides by chance whether the last commit made it.

use super::Backing;
use revenant_hal::{
    BlockIndex, DiskError, Epoch, FrameIndex, FrameMemory, Generation, Nanoseconds, PageBytes,
    PageIndex,
};
use revenant_pager::PageStore;
use revenant_sim::{DeviceAccess, Random, SimFrames};
use revenant_store::{
    AbandonReason, BlockRole, Copies, DamagedBlock, Lookup, NoSpace, PageContent, Purpose,
    SnapshotError, StoreEvent,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub(crate) type Pages = BTreeMap<u64, Arc<PageBytes>>;

#[derive(Clone, Copy, Debug)]
enum Request {
    Read(PageIndex, FrameIndex),
    Write(PageIndex, FrameIndex),
    /// Before the flip that ends the epoch; the number tells it from others of the page.
    Early(PageIndex, FrameIndex, u64, Epoch),
}

#[derive(Debug)]
struct Making {
    epoch: Epoch,
    pages: Pages,
    finishing: bool,
}

/// How badly the store behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temper {
    /// One snapshot in so many is given up; 0 for never.
    pub(crate) abandon_one_in: u64,
    /// One discard in so many finds no room; 0 for none.
    pub(crate) refuse_discard_one_in: u64,
    /// One write before the flip in so many fails; 0 for none.
    pub(crate) fail_early_one_in: u64,
    /// One lookup in so many does not know.
    pub(crate) forget_one_in: u64,
    /// Pages that may be charged at a time.
    pub(crate) space: usize,
    /// Requests that the queue takes.
    pub(crate) queue: usize,
}

impl Default for Temper {
    fn default() -> Self {
        Self {
            abandon_one_in: 6,
            refuse_discard_one_in: 10,
            fail_early_one_in: 40,
            forget_one_in: 4,
            space: usize::MAX,
            queue: 32,
        }
    }
}

/// The store.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    durable: (Epoch, Pages),
    making: Option<Making>,
    doomed: bool,
    requests: Vec<Request>,
    /// Pages written before their flip, in the running epoch and for the snapshot in the making; none while one is on its way.
    early: [BTreeMap<u64, Option<Arc<PageBytes>>>; 2],
    /// Of those on their way, the newest request of each page.
    newest: [BTreeMap<u64, u64>; 2],
    tickets: u64,
    events: VecDeque<StoreEvent>,
    /// The snapshot in the making gets no further.
    pub(crate) held: bool,
    /// Pages charged: in the running epoch, and in the snapshot in the making.
    charged: [BTreeSet<u64>; 2],
    /// Pages discarded, likewise.
    discarded: [BTreeSet<u64>; 2],
    running: Epoch,
    random: Random,
    /// Behaviour; may be changed at any time.
    pub(crate) temper: Temper,
    /// What the pager said of its residents.
    pub(crate) uncharged_pages: u64,
    /// Pages that cannot be read.
    pub(crate) damaged: BTreeSet<u64>,
}

impl MemoryStore {
    /// An empty store.
    pub(crate) fn new(temper: Temper, seed: u64) -> Self {
        Self {
            durable: (Epoch(0), Pages::new()),
            making: None,
            doomed: false,
            requests: Vec::new(),
            early: [BTreeMap::new(), BTreeMap::new()],
            newest: [BTreeMap::new(), BTreeMap::new()],
            tickets: 0,
            events: VecDeque::new(),
            held: false,
            charged: [BTreeSet::new(), BTreeSet::new()],
            discarded: [BTreeSet::new(), BTreeSet::new()],
            running: Epoch(1),
            random: Random::new(seed),
            temper,
            uncharged_pages: 0,
            damaged: BTreeSet::new(),
        }
    }

    /// The durable content of a page.
    pub(crate) fn durable_page(&self, page: PageIndex) -> Option<&PageBytes> {
        self.durable.1.get(&page.0).map(|bytes| &**bytes)
    }

    /// Writes waiting or under way.
    pub(crate) fn writes(&self) -> usize {
        self.requests.iter().filter(|request| !matches!(request, Request::Read(..))).count()
    }

    /// To which of the two a page belongs that was written early in an epoch.
    fn whose(&self, epoch: Epoch) -> usize {
        usize::from(self.making.as_ref().is_some_and(|making| epoch <= making.epoch))
    }

    /// Whether a request has to end before the snapshot in the making may.
    fn is_of_snapshot(&self, request: &Request) -> bool {
        match request {
            Request::Read(..) => false,
            Request::Write(..) => true,
            Request::Early(.., epoch) => self.whose(*epoch) == 1,
        }
    }

    /// Whether everything of the snapshot in the making was given and written.
    fn is_finished(&self) -> bool {
        self.making.as_ref().is_some_and(|making| making.finishing)
            && !self.requests.iter().any(|request| self.is_of_snapshot(request))
    }

    /// The snapshot in the making is given up as soon as no request is under way.
    pub(crate) fn doom(&mut self) {
        self.doomed = self.making.is_some();
    }

    /// Performs the oldest request, if there is one.
    pub(crate) fn perform_oldest(&mut self, frames: &mut SimFrames) {
        if !self.requests.is_empty() {
            let request = self.requests.remove(0);
            self.perform(request, frames);
        }
    }

    /// Makes the snapshot durable, if all of it was given and written.
    pub(crate) fn commit_if_finished(&mut self) {
        if self.is_finished() {
            self.commit();
        }
    }

    /// Everything durable.
    pub(crate) fn durable_pages(&self) -> &Pages {
        &self.durable.1
    }

    /// Gives the snapshot in the making up, now.
    pub(crate) fn give_up(&mut self) {
        let requests = core::mem::take(&mut self.requests);
        let (given_up, kept) = requests.into_iter().partition(|r| self.is_of_snapshot(r));
        self.requests = kept;
        let given_up: Vec<Request> = given_up;
        for request in given_up {
            if let Request::Early(page, frame, ticket, epoch) = request {
                self.not_written(page, frame, ticket, epoch);
            }
        }
        let Some(making) = self.making.take() else { return };
        self.doomed = false;
        // Every page charged for it stays charged, for the running epoch, unless that has discarded it or has it on the disk.
        let [running, _] = &self.early;
        let frozen = core::mem::take(&mut self.charged[1]);
        let frozen = frozen.difference(&self.discarded[0]);
        self.charged[0].extend(frozen.filter(|page| !running.contains_key(page)));
        for (page, bytes) in core::mem::take(&mut self.early[1]) {
            if !self.discarded[0].contains(&page) {
                self.early[0].entry(page).or_insert(bytes);
            }
        }
        let discarded = core::mem::take(&mut self.discarded[1]);
        self.discarded[0].extend(discarded);
        let reason = AbandonReason::WriteFailed(BlockIndex(0), DiskError::Failed);
        self.events.push_back(StoreEvent::Abandoned { epoch: making.epoch, reason });
    }

    fn commit(&mut self) {
        let Some(making) = self.making.take() else { return };
        let blocks_written = making.pages.len() as u64;
        self.durable.0 = making.epoch;
        for page in core::mem::take(&mut self.discarded[1]) {
            self.durable.1.remove(&page);
            self.damaged.remove(&page);
        }
        let early = core::mem::take(&mut self.early[1]);
        let written =
            early.into_iter().filter_map(|(page, bytes)| bytes.map(|bytes| (page, bytes)));
        self.durable.1.extend(written);
        self.durable.1.extend(making.pages);
        self.charged[1].clear();
        let (epoch, generation) = (making.epoch, Generation(making.epoch.0));
        self.events.push_back(StoreEvent::Committed { epoch, generation, blocks_written });
    }

    /// What a page holds that no discard has made zeros.
    fn content(&self, page: PageIndex) -> Option<&Arc<PageBytes>> {
        let early = |early: usize| self.early[early].get(&page.0).and_then(|early| early.as_ref());
        early(0).or_else(|| early(1)).or_else(|| self.durable.1.get(&page.0))
    }

    /// A page is as dirty as before. If its flip has happened, that snapshot lacks it.
    fn not_written(&mut self, page: PageIndex, frame: FrameIndex, ticket: u64, epoch: Epoch) {
        let whose = self.whose(epoch);
        if self.newest[whose].get(&page.0) == Some(&ticket) {
            self.newest[whose].remove(&page.0);
            self.early[whose].remove(&page.0);
            // Unless it got another content since its flip, which is not in RAM alone.
            let [early, discarded] =
                [self.early[0].contains_key(&page.0), self.discarded[0].contains(&page.0)];
            if whose == 0 || !early && !discarded {
                self.charged[0].insert(page.0);
            }
        }
        self.doomed |= whose == 1;
        self.events.push_back(StoreEvent::PageNotWritten { page, frame });
    }

    fn perform(&mut self, request: Request, frames: &mut SimFrames) {
        match request {
            Request::Read(page, frame) => {
                let result = if self.damaged.contains(&page.0) {
                    let role = BlockRole::Page(page);
                    Err(DamagedBlock {
                        block: BlockIndex(page.0),
                        role,
                        device_error: None,
                        birth: Epoch(1),
                    })
                } else if let Some(bytes) = self.content(page) {
                    frames.bytes_mut(frame).0.copy_from_slice(&bytes.0);
                    Ok(PageContent::Stored)
                } else {
                    Ok(PageContent::Zero)
                };
                self.events.push_back(StoreEvent::PageRead { page, frame, result });
            }
            Request::Write(page, frame) => {
                let bytes = Arc::new(frames.bytes(frame).clone());
                let making = self.making.as_mut().expect("a write belongs to a snapshot");
                let twice = making.pages.insert(page.0, bytes);
                assert!(twice.is_none(), "{page:?} was given twice to one snapshot");
                self.events.push_back(StoreEvent::PageWritten { page, frame });
            }
            Request::Early(page, frame, ticket, epoch) => {
                if self.random.one_in(self.temper.fail_early_one_in) {
                    return self.not_written(page, frame, ticket, epoch);
                }
                let whose = self.whose(epoch);
                if self.newest[whose].get(&page.0) == Some(&ticket) {
                    self.newest[whose].remove(&page.0);
                    let bytes = Some(Arc::new(frames.bytes(frame).clone()));
                    self.early[whose].insert(page.0, bytes);
                }
                self.events.push_back(StoreEvent::PageWritten { page, frame });
            }
        }
    }

    /// What was written of a page before its flip is not what it holds.
    fn forget_early(&mut self, page: PageIndex) {
        self.early[0].remove(&page.0);
        self.newest[0].remove(&page.0);
    }
}

impl PageStore for MemoryStore {
    fn lookup(&self, page: PageIndex) -> Lookup {
        let [running, frozen] = &self.discarded;
        for (early, discarded) in self.early.iter().zip([running, frozen]) {
            if early.contains_key(&page.0) {
                return Lookup::Known(PageContent::Stored);
            }
            if discarded.contains(&page.0) {
                return Lookup::Known(PageContent::Zero);
            }
        }
        let forgotten = self.temper.forget_one_in;
        if forgotten != 0 && page.0.wrapping_mul(0x9e37_79b9).is_multiple_of(forgotten) {
            return Lookup::NeedsRead;
        }
        let stored = self.durable.1.contains_key(&page.0) || self.damaged.contains(&page.0);
        Lookup::Known(if stored { PageContent::Stored } else { PageContent::Zero })
    }

    fn read_page(&mut self, page: PageIndex, frame: FrameIndex) {
        self.requests.push(Request::Read(page, frame));
    }

    fn reserve_first_dirtying(
        &mut self,
        page: PageIndex,
        _copies: Copies,
        _purpose: Purpose,
    ) -> Result<(), NoSpace> {
        if self.charged[0].len() + self.charged[1].len() >= self.temper.space {
            return Err(NoSpace);
        }
        let new = self.charged[0].insert(page.0);
        assert!(new, "{page:?} was charged twice in {:?}", self.running);
        Ok(())
    }

    fn uncharge(&mut self, page: PageIndex, _copies: Copies) {
        let charged = self.charged[0].remove(&page.0);
        assert!(charged, "{page:?} was dirty and not charged in {:?}", self.running);
    }

    fn discard(&mut self, page: PageIndex) -> Result<(), NoSpace> {
        if self.random.one_in(self.temper.refuse_discard_one_in) {
            return Err(NoSpace);
        }
        self.forget_early(page);
        self.discarded[0].insert(page.0);
        Ok(())
    }

    fn begin_snapshot(&mut self, epoch: Epoch, _wall: Nanoseconds) -> Result<(), SnapshotError> {
        if self.making.is_some() {
            return Err(SnapshotError::Busy);
        }
        assert_eq!(epoch, self.running, "the flip ends the running epoch");
        self.running = epoch.next();
        self.charged.swap(0, 1);
        self.discarded.swap(0, 1);
        self.early.swap(0, 1);
        self.newest.swap(0, 1);
        self.making = Some(Making { epoch, pages: Pages::new(), finishing: false });
        self.doomed = self.random.one_in(self.temper.abandon_one_in);
        Ok(())
    }

    fn write_page(&mut self, page: PageIndex, frame: FrameIndex, _copies: Copies) {
        let making = self.making.as_ref().expect("a write belongs to a snapshot");
        assert!(!making.finishing, "no page is given after the end was announced");
        self.requests.push(Request::Write(page, frame));
    }

    fn write_room(&self) -> usize {
        let early = |request: &&Request| matches!(request, Request::Early(..));
        self.temper.queue.saturating_sub(self.writes() - self.requests.iter().filter(early).count())
    }

    /// Pages before their flip do not take the writer's room.
    fn early_room(&self) -> usize {
        let early = |request: &&Request| matches!(request, Request::Early(..));
        self.temper.queue.saturating_sub(self.requests.iter().filter(early).count())
    }

    fn write_early(&mut self, page: PageIndex, frame: FrameIndex) -> bool {
        if self.early_room() == 0 {
            return false;
        }
        let charged = self.charged[0].remove(&page.0);
        assert!(charged, "{page:?} is to be cleaned and not charged in {:?}", self.running);
        self.tickets += 1;
        self.early[0].insert(page.0, None);
        self.newest[0].insert(page.0, self.tickets);
        self.requests.push(Request::Early(page, frame, self.tickets, self.running));
        true
    }

    fn finish_snapshot(&mut self) {
        let making = self.making.as_mut().expect("there is something to finish");
        assert!(!making.finishing, "a snapshot is finished once");
        making.finishing = true;
    }

    fn set_uncharged_pages(&mut self, pages: u64) {
        self.uncharged_pages = pages;
    }

    fn running_epoch(&self) -> Epoch {
        self.running
    }
}

impl Backing for MemoryStore {
    type Store = Self;

    fn store(&mut self) -> &mut Self {
        self
    }

    fn turn(&mut self, frames: &mut SimFrames) {
        for _ in 0..self.random.below(4) {
            if self.requests.is_empty() {
                break;
            }
            let chosen = self.random.index(self.requests.len());
            if self.held && self.is_of_snapshot(&self.requests[chosen]) {
                continue;
            }
            let request = self.requests.swap_remove(chosen);
            self.perform(request, frames);
        }
        if self.making.is_none() || self.held {
            return;
        }
        if self.doomed && self.random.one_in(6) {
            self.give_up();
        } else if self.is_finished() && !self.doomed && self.random.one_in(3) {
            self.commit();
        }
    }

    fn next_event(&mut self) -> Option<StoreEvent> {
        self.events.pop_front()
    }

    fn frames_in_flight(&self) -> Vec<(FrameIndex, DeviceAccess)> {
        let frame = |request: &Request| match request {
            Request::Read(_, frame) => (*frame, DeviceAccess::Fills),
            Request::Write(_, frame) | Request::Early(_, frame, ..) => {
                (*frame, DeviceAccess::Reads)
            }
        };
        self.requests.iter().map(frame).collect()
    }

    fn cut(&mut self, _frames: &mut SimFrames, random: &mut Random) -> Result<Epoch, String> {
        if self.is_finished() && !self.doomed && random.one_in(2) {
            self.commit();
        }
        self.making = None;
        self.doomed = false;
        self.requests.clear();
        self.early = [BTreeMap::new(), BTreeMap::new()];
        self.newest = [BTreeMap::new(), BTreeMap::new()];
        self.events.clear();
        self.charged = [BTreeSet::new(), BTreeSet::new()];
        self.discarded = [BTreeSet::new(), BTreeSet::new()];
        self.running = Epoch(self.running.0 + 1 + random.below(20));
        Ok(self.durable.0)
    }

    fn is_damaged(&self, page: PageIndex) -> bool {
        self.damaged.contains(&page.0)
    }
}
