//! One partition of the heap, worked on until nothing grey is left in it: blocks of small objects, or the large objects of a bitmap page.
//!
//! Grey objects are taken in the order of their addresses, round after round; references that stay inside are marked at once, the others
//! wait. If half of the pages or more are grey, all are asked for; otherwise only the grey ones, in order.
//!
//! Invariant: of an object that is scanned, every reference is marked or waits; of one that is scanned and not marked, every one is marked.

use crate::bytes::{bit, index, read_u64, set_bit};
use crate::error::Stop;
use crate::heap::{Directory, Place, block_address};
use crate::journal::Journal;
use crate::mark::Mark;
use crate::pages::page_of;
use crate::region::{BLOCK_BITS, BLOCK_BYTES, BLOCKS_PER_PAGE, BitPlace, LARGE_PER_PAGE};
use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};
use core::ops::Range;
use revenant_hal::{FrameMemory, PageIndex};
use revenant_vm::memory::layout::{BLOCK, GRANULE, PAGE};

/// Pages of a block that hold objects.
const PAGES_A_BLOCK: u64 = BLOCK / PAGE - 1;
/// Pages of a large object that count as a partition.
const LARGE_PAGES: u64 = 256;

/// A partition in the making.
#[derive(Debug)]
pub(crate) struct Work {
    partition: usize,
    asked: bool,
    /// The next place to look at: ordinal counted from the partition's first, granule.
    next: (u32, usize),
    /// Something was marked in this round.
    again: bool,
    targets: Vec<u64>,
    /// Of these, those that lead to other partitions.
    others: Vec<u64>,
    large_pages: u64,
    /// Objects looked at.
    scanned: u64,
}

impl Work {
    pub(crate) fn new(partition: usize) -> Self {
        Self {
            partition,
            asked: false,
            next: (0, 0),
            again: false,
            targets: Vec::new(),
            others: Vec::new(),
            large_pages: 0,
            scanned: 0,
        }
    }

    /// Looks at the next grey object; whether none is left.
    pub(crate) fn step<F: FrameMemory + ?Sized>(
        &mut self,
        mark: &mut Mark,
        frames: &F,
    ) -> Result<bool, Stop> {
        let small = mark.directory.small();
        let size = mark.blocks_per_partition;
        let first = u32::try_from(self.partition).unwrap_or(u32::MAX).saturating_mul(size);
        if first >= small {
            return self.large(mark, frames);
        }
        let count = size.min(small - first);
        if !self.asked {
            ask(mark, first, count)?;
            self.asked = true;
        }
        let Some((ordinal, granule)) = self.next_grey(mark, first, count)? else {
            // It looks at every cell: that is worth it when there was much to do.
            let worth = self.scanned >= u64::from(count) * PAGES_A_BLOCK;
            if worth && !mark.recovery.is_needed() {
                self.foresee(mark, first..first + count, frames)?;
            }
            return Ok(true);
        };
        let place = Place::Small(ordinal, granule);
        self.look_at(mark, place, 0, frames)?;
        self.others.clear();
        for target in &self.targets {
            let found = mark.place(*target)?;
            match found {
                Place::Small(near, _) if (first..first + count).contains(&near) => {
                    self.again |= mark.reach(*target, found)?;
                }
                _ => self.others.push(*target),
            }
        }
        mark.send(&self.others);
        let bits = mark.scanned.entry(ordinal).or_insert_with(|| Box::new([0; BLOCK_BYTES]));
        set_bit(&mut bits[..], index(granule.into()));
        mark.objects += 1;
        self.scanned += 1;
        Ok(false)
    }

    /// Objects that nobody has reached so far, on pages that are here. If all that they refer to is marked, there is nothing to look for in them
    /// should they be reached later: they count as scanned from now on. If there is little, it is kept in memory. Either way their pages need not be
    /// read again. What is a free cell, or makes no sense, or lacks a page, is left as it is.
    fn foresee<F: FrameMemory + ?Sized>(
        &mut self,
        mark: &mut Mark,
        ordinals: Range<u32>,
        frames: &F,
    ) -> Result<(), Stop> {
        for ordinal in ordinals {
            let cell = mark.directory.granules_of_cell(ordinal).max(1);
            let cells = (0..BLOCK_BITS).step_by(cell);
            for granule in cells.filter(|granule| granule + cell <= BLOCK_BITS) {
                let place = Place::Small(ordinal, u32::try_from(granule).unwrap_or(0));
                let bits = mark.directory.bits(place);
                let (page, _) = mark.journal.page(bits.page)?;
                if bit(&page.0, bits.marked) || bit(&page.0, bits.scanned) {
                    continue;
                }
                match self.look_at(mark, place, 0, frames) {
                    Ok(_) => {}
                    Err(Stop::Page(_) | Stop::Unsound(_)) => continue,
                    Err(stop) => return Err(stop),
                }
                self.others.clear();
                let unmarked = self.targets.iter().filter(|target| {
                    let found =
                        mark.directory.place(**target).map(|place| mark.directory.bits(place));
                    found.is_none_or(|bits| mark.journal.is_marked(bits) != Ok(true))
                });
                self.others.extend(unmarked);
                if self.others.is_empty() {
                    set_bit(&mut mark.journal.change(bits.page)?.0, bits.scanned);
                } else if let Some(address) = mark.directory.address(place) {
                    mark.foreseen.keep(address, &self.others);
                }
            }
        }
        Ok(())
    }

    /// Collects an object's references; the slot to go on at.
    fn look_at<F: FrameMemory + ?Sized>(
        &mut self,
        mark: &mut Mark,
        place: Place,
        from: u64,
        frames: &F,
    ) -> Result<Option<u64>, Stop> {
        self.targets.clear();
        mark.references(place, from, frames, &mut self.targets)
    }

    /// The next object of the partition that is marked and not scanned.
    fn next_grey(
        &mut self,
        mark: &mut Mark,
        first: u32,
        count: u32,
    ) -> Result<Option<(u32, u32)>, Stop> {
        loop {
            while self.next.0 < count {
                let ordinal = first + self.next.0;
                let waiting = mark.scanned.get(&ordinal);
                let found =
                    grey(&mut mark.journal, ordinal, self.next.1, waiting.map(|bits| &bits[..]))?;
                if let Some(granule) = found {
                    self.next.1 = granule;
                    return Ok(Some((ordinal, u32::try_from(granule).unwrap_or(0))));
                }
                self.next = (self.next.0 + 1, 0);
            }
            if !core::mem::take(&mut self.again) {
                return Ok(None);
            }
            self.next = (0, 0);
        }
    }

    /// Large objects: a page of slots at a time.
    fn large<F: FrameMemory + ?Sized>(
        &mut self,
        mark: &mut Mark,
        frames: &F,
    ) -> Result<bool, Stop> {
        if mark.cursor.0 == 0 {
            let Some(ordinal) = self.next_large(mark)? else { return Ok(true) };
            mark.cursor = (u64::from(ordinal) + 1, 0);
        }
        let ordinal = u32::try_from(mark.cursor.0 - 1).unwrap_or(u32::MAX);
        let next = self.look_at(mark, Place::Large(ordinal), mark.cursor.1, frames)?;
        for target in &self.targets {
            mark.place(*target)?;
        }
        mark.send(&self.targets);
        self.large_pages += 1;
        if self.large_pages.is_multiple_of(LARGE_PAGES) {
            mark.partitions += 1;
        }
        match next {
            Some(slot) => mark.cursor.1 = slot,
            None => {
                mark.objects += 1;
                mark.scanned_large.insert(ordinal);
                mark.cursor = (0, 0);
            }
        }
        Ok(false)
    }

    fn next_large(&mut self, mark: &mut Mark) -> Result<Option<u32>, Stop> {
        let small_partitions = mark.directory.small().div_ceil(mark.blocks_per_partition);
        let page = u32::try_from(self.partition).unwrap_or(u32::MAX) - small_partitions;
        let first = page * LARGE_PER_PAGE;
        let count = LARGE_PER_PAGE.min(mark.directory.large().saturating_sub(first));
        while self.next.0 < count {
            let ordinal = first + self.next.0;
            let place = mark.directory.bits(Place::Large(ordinal));
            let (bytes, _) = mark.journal.page(place.page)?;
            let open = bit(&bytes.0, place.marked) && !bit(&bytes.0, place.scanned);
            if open && !mark.scanned_large.contains(&ordinal) {
                return Ok(Some(ordinal));
            }
            self.next.0 += 1;
        }
        Ok(None)
    }
}

/// The first granule of a block from `from` on that is marked and not scanned, nor waits to be entered as such.
fn grey(
    journal: &mut Journal,
    ordinal: u32,
    from: usize,
    waiting: Option<&[u8]>,
) -> Result<Option<usize>, Stop> {
    let place = BitPlace::small(ordinal, 0);
    let (page, _) = journal.page(place.page)?;
    for word in from / 64..BLOCK_BITS / 64 {
        let at = |bits: usize| bits / 8 + 8 * word;
        let done =
            read_u64(&page.0, at(place.scanned)) | waiting.map_or(0, |bits| read_u64(bits, at(0)));
        let mut open = read_u64(&page.0, at(place.marked)) & !done;
        if word == from / 64 {
            open &= u64::MAX << (from % 64);
        }
        while open != 0 {
            let granule = word * 64 + index(open.trailing_zeros().into());
            // The bit behind a marked one says how it was reached.
            if !is_weak_bit(&page.0[place.marked / 8..], granule) {
                return Ok(Some(granule));
            }
            open &= open - 1;
        }
    }
    Ok(None)
}

/// Whether the bit of a granule stands behind that of an object: no object has a single granule, so it is not one of its own. Of a row of set bits
/// every second is an object's.
fn is_weak_bit(marked: &[u8], granule: usize) -> bool {
    let before = (0..granule).rev().take_while(|place| bit(marked, *place)).count();
    before % 2 == 1
}

/// The marked granules of a block.
pub(crate) fn marked(
    journal: &mut Journal,
    directory: &Directory,
    ordinal: u32,
) -> Result<Vec<u32>, Stop> {
    let place = directory.bits(Place::Small(ordinal, 0));
    let (page, _) = journal.page(place.page)?;
    let mut granules = Vec::new();
    let mut granule = 0;
    while granule < BLOCK_BITS {
        if bit(&page.0, place.marked + granule) {
            granules.push(u32::try_from(granule).unwrap_or(0));
            granule += 1;
        }
        granule += 1;
    }
    Ok(granules)
}

/// Whether a bitmap page has something grey.
pub(crate) fn has_grey(
    journal: &mut Journal,
    directory: &Directory,
    number: u32,
) -> Result<bool, Stop> {
    if number < directory.small_pages() {
        for slot in 0..BLOCKS_PER_PAGE {
            if grey(journal, number * BLOCKS_PER_PAGE + slot, 0, None)?.is_some() {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let first = (number - directory.small_pages()) * LARGE_PER_PAGE;
    let (page, _) = journal.page(number)?;
    Ok((first..first + LARGE_PER_PAGE).any(|ordinal| {
        let place = BitPlace::large(directory.small_pages(), ordinal);
        bit(&page.0, place.marked) && !bit(&page.0, place.scanned)
    }))
}

/// Asks for the pages of a partition that will be needed first.
fn ask(mark: &mut Mark, first: u32, count: u32) -> Result<(), Stop> {
    mark.pages.forget_wanted();
    let mut wanted: BTreeSet<PageIndex> = BTreeSet::new();
    let mut all = Vec::new();
    for ordinal in first..first + count {
        let Some(number) = mark.directory.small_block(ordinal) else { continue };
        let start = block_address(number) + PAGE;
        all.extend((0..PAGES_A_BLOCK).map(|page| page_of(start + page * PAGE)));
        let waiting = mark.scanned.get(&ordinal).map(|bits| &bits[..]);
        let mut from = 0;
        while let Some(granule) = grey(&mut mark.journal, ordinal, from, waiting)? {
            let page = granule * index(GRANULE) / index(PAGE);
            wanted.insert(page_of(start + page as u64 * PAGE));
            // The next page's first granule.
            from = (page + 1) * index(PAGE / GRANULE);
        }
    }
    if wanted.len() * 2 >= all.len() {
        all.into_iter().for_each(|page| mark.pages.want(page));
    } else {
        wanted.into_iter().for_each(|page| mark.pages.want(page));
    }
    Ok(())
}
