//! Bitmap pages in bounded memory, and the checkpoints that make them durable.
//!
//! ```text
//!   checkpoint s:  log (header, changed pages) | flush | control block s | flush | the pages in place | flush
//!   opening:       the newer control block that is whole and of this mark; its log, if all of it is still there, goes in place once more
//! ```
//!
//! Invariants: a changed page goes nowhere but through the log; a page in place is overwritten only when a durable log has it; the log is
//! overwritten only when what it had is durable in place. So bits that a checkpoint carries become durable together, or none of them does.
//! A page that is whole but older than it should be is noticed by the sum of all checksums in the control block.

use crate::api::PlantedMark;
use crate::error::{RegionError, Stop};
use crate::region::{self, BitPlace, Control, Region};
use crate::{bytes, requests::Requests};
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use revenant_hal::{BlockIndex, Disk, DiskCompletion, PageBytes};

/// Blank bitmap pages that a new mark writes in one request.
const FORMAT_BATCH: u32 = 32;

#[derive(Debug)]
struct Cached {
    number: u32,
    page: Box<PageBytes>,
    /// Its checksum as the last checkpoint left it.
    sum: u64,
    changed: bool,
    /// It was looked at since the hand has passed.
    used: bool,
}

/// Places remembered by the low bits of the page's number.
const RECENT: usize = 16;

/// What is under way when the requests are answered.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Job {
    Idle,
    ReadControls,
    ReadLogHeader,
    ReadLog(Vec<(u32, u64)>),
    Format { next: u32, pages: u32 },
    FormatFlush,
    Log,
    LogFlush,
    Control,
    InPlace,
    InPlaceFlush,
    Done,
}

/// The collector's region of an open store.
#[derive(Debug)]
pub(crate) struct Journal {
    region: Region,
    name: [u64; 4],
    /// In no order; never more than `capacity` but while all are changed.
    cache: Vec<Cached>,
    places: BTreeMap<u32, usize>,
    hand: usize,
    recent: [usize; RECENT],
    capacity: usize,
    changed: usize,
    job: Job,
    requests: Requests,
    /// The last durable checkpoint of this mark; none before the first.
    control: Option<Control>,
    /// The one in the making.
    next: Control,
    images: Vec<(u32, Box<PageBytes>)>,
    failed: Option<RegionError>,
    planted: PlantedMark,
    pub(crate) checkpoints: u64,
}

impl Journal {
    /// A region of which `capacity` bitmap pages are kept in memory. Begins by reading what the last checkpoint left.
    pub(crate) fn new(
        region: Region,
        name: [u64; 4],
        capacity: usize,
        planted: PlantedMark,
    ) -> Self {
        let mut requests = Requests::default();
        requests.read(region.control(0));
        requests.read(region.control(1));
        Self {
            region,
            name,
            cache: Vec::new(),
            places: BTreeMap::new(),
            hand: 0,
            recent: [0; RECENT],
            capacity: capacity.max(8),
            changed: 0,
            job: Job::ReadControls,
            requests,
            control: None,
            next: Control::default(),
            images: Vec::new(),
            failed: None,
            planted,
            checkpoints: 0,
        }
    }

    /// Whether the mark has to wait.
    pub(crate) fn is_busy(&self) -> bool {
        self.job != Job::Idle || !self.requests.is_quiet()
    }

    /// Whether the device has something to answer still.
    pub(crate) fn is_asking(&self) -> bool {
        !self.requests.is_quiet()
    }

    pub(crate) fn failed(&self) -> Option<RegionError> {
        self.failed
    }

    /// The last durable checkpoint.
    pub(crate) fn control(&self) -> Option<&Control> {
        self.control.as_ref()
    }

    /// Gives the device what it takes, and goes on with what is under way.
    pub(crate) fn step<D: Disk + ?Sized>(&mut self, disk: &mut D) {
        self.requests.submit(disk);
        while self.failed.is_none() && self.requests.is_quiet() && self.job != Job::Idle {
            self.advance(disk.geometry().blocks_per_request.max(1));
            self.requests.submit(disk);
        }
    }

    /// Takes an answer of the device.
    pub(crate) fn complete(&mut self, completion: DiskCompletion) {
        let block = completion.block;
        let reading_control = self.job == Job::ReadControls;
        if let Err(error) = self.requests.complete(completion)
            && !reading_control
        {
            let _ = error;
            self.failed.get_or_insert(RegionError::Device(block));
        }
        if self.job == Job::Idle && self.requests.is_quiet() {
            self.take_bitmaps();
        }
    }

    /// Pages that were asked for.
    fn take_bitmaps(&mut self) {
        for (block, page) in self.requests.take_arrived() {
            let first = self.region.bitmap(0).0;
            let number = u32::try_from(block.0.saturating_sub(first)).unwrap_or(u32::MAX);
            let sum = if self.planted == PlantedMark::ChecksumSkipped {
                Some(bytes::read_u64(&page.0, 8))
            } else {
                let any = self.planted == PlantedMark::OtherNameUsed;
                region::verify_bitmap(&page, self.name, number, any)
            };
            match sum {
                Some(sum) => self.enter(number, page, sum),
                None => self.failed = self.failed.or(Some(RegionError::Damaged)),
            }
        }
    }

    fn enter(&mut self, number: u32, page: Box<PageBytes>, sum: u64) {
        if self.places.contains_key(&number) {
            return;
        }
        let new = Cached { number, page, sum, changed: false, used: true };
        let place = if self.cache.len() < self.capacity { None } else { self.replaceable() };
        match place.and_then(|place| Some((place, self.cache.get_mut(place)?))) {
            Some((place, old)) => {
                self.places.remove(&old.number);
                *old = new;
                self.places.insert(number, place);
            }
            None => {
                self.places.insert(number, self.cache.len());
                self.cache.push(new);
            }
        }
    }

    /// A page that is not changed and was not looked at for a while, by a clock.
    fn replaceable(&mut self) -> Option<usize> {
        for _ in 0..2 * self.cache.len() {
            let place = self.hand;
            self.hand = (place + 1) % self.cache.len();
            match self.cache.get_mut(place) {
                Some(cached) if cached.changed => {}
                Some(cached) if cached.used => cached.used = false,
                _ => return Some(place),
            }
        }
        None
    }

    /// Reads a bitmap page that [`Stop::Bitmap`] has named.
    pub(crate) fn read(&mut self, number: u32) {
        self.requests.read(self.region.bitmap(number));
    }

    fn find(&mut self, number: u32) -> Result<&mut Cached, Stop> {
        let recent = &mut self.recent[bytes::index(number.into()) % RECENT];
        if self.cache.get(*recent).is_none_or(|cached| cached.number != number) {
            *recent = *self.places.get(&number).ok_or(Stop::Bitmap(number))?;
        }
        let cached = self.cache.get_mut(*recent).ok_or(Stop::Bitmap(number))?;
        cached.used = true;
        Ok(cached)
    }

    /// A bitmap page, and its checksum.
    pub(crate) fn page(&mut self, number: u32) -> Result<(&PageBytes, u64), Stop> {
        self.find(number).map(|cached| (&*cached.page, cached.sum))
    }

    /// A bitmap page, to change.
    pub(crate) fn change(&mut self, number: u32) -> Result<&mut PageBytes, Stop> {
        let limit = self.region.log_pages().min(self.capacity / 2);
        let full = self.changed >= limit;
        if !self.find(number)?.changed {
            if full {
                return Err(Stop::Full);
            }
            self.changed += 1;
        }
        let cached = self.find(number)?;
        cached.changed = true;
        Ok(&mut cached.page)
    }

    /// Whether an object is marked.
    pub(crate) fn is_marked(&mut self, place: BitPlace) -> Result<bool, Stop> {
        self.page(place.page).map(|(page, _)| bytes::bit(&page.0, place.marked))
    }

    /// Marks an object; whether it was not marked before, and is to be looked at. With `afresh` nothing was foreseen of it.
    pub(crate) fn mark(&mut self, place: BitPlace, weak: bool, afresh: bool) -> Result<bool, Stop> {
        if self.is_marked(place)? {
            return Ok(false);
        }
        let page = self.change(place.page)?;
        bytes::set_bit(&mut page.0, place.marked);
        if weak {
            bytes::set_bit(&mut page.0, place.weak);
        }
        if afresh {
            bytes::clear_bit(&mut page.0, place.scanned);
        }
        Ok(!bytes::bit(&page.0, place.scanned))
    }

    /// Begins a mark: all bitmap pages are written blank, then the first control block.
    pub(crate) fn format(&mut self, pages: u32, control: Control) {
        let sequence = self.control().map_or(0, |known| known.sequence) + 1;
        self.next = Control { sequence, log_count: 0, sum: 0, ..control };
        self.control = None;
        self.cache.clear();
        self.places.clear();
        self.changed = 0;
        self.job = Job::Format { next: 0, pages };
    }

    /// Begins a checkpoint of all changed pages. Until it is durable, the mark waits.
    pub(crate) fn checkpoint(&mut self, control: Control) {
        let (sequence, sum) = self.control().map_or((0, 0), |known| (known.sequence, known.sum));
        let mut next = Control { sequence: sequence + 1, sum, ..control };
        let mut entries = Vec::new();
        for cached in self.cache.iter_mut().filter(|cached| cached.changed) {
            let number = cached.number;
            let sum = region::seal_bitmap(&mut cached.page, self.name, number, next.sequence);
            next.sum = next.sum.wrapping_add(sum).wrapping_sub(cached.sum);
            (cached.sum, cached.changed) = (sum, false);
            entries.push((number, sum));
            self.images.push((number, cached.page.clone()));
        }
        entries.sort_unstable();
        self.images.sort_unstable_by_key(|(number, _)| *number);
        self.changed = 0;
        next.log_count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        if entries.is_empty() {
            self.next = next;
            self.job = Job::LogFlush;
            return;
        }
        let (header, sum) = region::log_header(self.name, next.sequence, &entries);
        next.log_checksum = sum;
        self.next = next;
        self.requests.write(self.region.log(), Vec::from([header]));
        for (place, (_, page)) in (1..).zip(&self.images) {
            let block = BlockIndex(self.region.log().0 + place);
            self.requests.write(block, Vec::from([page.clone()]));
        }
        self.job = Job::Log;
    }

    /// One state after the other; called when every request is answered.
    fn advance(&mut self, per_request: usize) {
        self.job = match core::mem::replace(&mut self.job, Job::Idle) {
            Job::Idle | Job::Done => Job::Idle,
            Job::ReadControls => self.controls_read(),
            Job::ReadLogHeader => self.log_header_read(),
            Job::ReadLog(entries) => self.log_read(&entries),
            Job::Format { next, pages } if next < pages => {
                self.format_some(next, pages, per_request)
            }
            Job::Format { .. } => {
                self.requests.flush();
                Job::FormatFlush
            }
            Job::Log => {
                if self.planted != PlantedMark::FlushSkipped {
                    self.requests.flush();
                }
                Job::LogFlush
            }
            Job::FormatFlush | Job::LogFlush => {
                let page = self.next.encode(self.name);
                self.requests.write(self.region.control(self.next.sequence), Vec::from([page]));
                Job::Control
            }
            Job::Control => {
                self.requests.flush();
                Job::InPlace
            }
            Job::InPlace => {
                self.control = Some(self.next.clone());
                self.checkpoints += 1;
                self.write_in_place()
            }
            Job::InPlaceFlush => {
                self.requests.flush();
                Job::Done
            }
        };
    }

    fn write_in_place(&mut self) -> Job {
        if self.images.is_empty() {
            return Job::Idle;
        }
        for (number, page) in self.images.drain(..) {
            self.requests.write(self.region.bitmap(number), Vec::from([page]));
        }
        Job::InPlaceFlush
    }

    fn format_some(&mut self, next: u32, pages: u32, per_request: usize) -> Job {
        let most = u32::try_from(per_request).unwrap_or(FORMAT_BATCH).min(FORMAT_BATCH);
        let end = next.saturating_add(most).min(pages);
        let mut blank = Vec::new();
        for number in next..end {
            let mut page = Box::new(PageBytes::ZERO);
            let sum = region::seal_bitmap(&mut page, self.name, number, self.next.sequence);
            self.next.sum = self.next.sum.wrapping_add(sum);
            blank.push(page);
        }
        self.requests.write(self.region.bitmap(next), blank);
        Job::Format { next: end, pages }
    }

    fn controls_read(&mut self) -> Job {
        let any = self.planted == PlantedMark::OtherNameUsed;
        let found = self.requests.take_arrived();
        let decoded = found.iter().filter_map(|(_, page)| Control::decode(page, self.name, any));
        self.control = decoded.max_by_key(|control| control.sequence);
        match &self.control {
            Some(control) if control.log_count > 0 => {
                self.requests.read(self.region.log());
                Job::ReadLogHeader
            }
            _ => Job::Idle,
        }
    }

    fn log_header_read(&mut self) -> Job {
        let found = self.requests.take_arrived();
        let wanted = self.control().map_or(0, |control| control.log_checksum);
        let header = found.first().map(|(_, page)| page);
        // Another header: the next checkpoint had begun, so what this one named is in place.
        let entries = header.and_then(|page| region::log_entries(page, self.name, wanted));
        let Some(entries) = entries else { return Job::Idle };
        for place in 1..=entries.len() as u64 {
            self.requests.read(BlockIndex(self.region.log().0 + place));
        }
        Job::ReadLog(entries)
    }

    fn log_read(&mut self, entries: &[(u32, u64)]) -> Job {
        let mut found = self.requests.take_arrived();
        found.sort_by_key(|(block, _)| *block);
        let whole = entries.len() == found.len()
            && entries.iter().zip(&found).all(|((number, sum), (_, page))| {
                region::verify_bitmap(page, self.name, *number, false) == Some(*sum)
            });
        if whole {
            let pages = found.into_iter().map(|(_, page)| page);
            self.images = entries.iter().map(|(number, _)| *number).zip(pages).collect();
        }
        self.write_in_place()
    }
}
