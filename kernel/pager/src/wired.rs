//! Ranges that the scheduler needs at any moment: brought in at resume, never waited for afterwards.
//!
//! A resident page of such a range is never let go. The ranges also say which pages are the
//! system's own and which are stored twice.

use alloc::vec::Vec;
use revenant_hal::PageIndex;
use revenant_store::Copies;

/// Consecutive pages of the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WiredRange {
    /// The first page.
    pub first: PageIndex,
    /// How many.
    pub count: u64,
    /// How often each is stored.
    pub copies: Copies,
    /// Brought in at resume; otherwise only the rank as a system page counts.
    pub resident: bool,
}

impl WiredRange {
    fn contains(&self, page: PageIndex) -> bool {
        page.0 >= self.first.0 && page.0 - self.first.0 < self.count
    }
}

/// The ranges and how far they are in.
pub(crate) struct Wired {
    ranges: Vec<WiredRange>,
    /// The page to look at next: range and offset.
    range: usize,
    offset: u64,
}

impl Wired {
    pub(crate) fn new(ranges: Vec<WiredRange>) -> Self {
        Self { ranges, range: 0, offset: 0 }
    }

    #[inline]
    pub(crate) fn range_of(&self, page: PageIndex) -> Option<&WiredRange> {
        self.ranges.iter().find(|range| range.contains(page))
    }

    /// Whether the page stays once it is in.
    pub(crate) fn keeps(&self, page: PageIndex) -> bool {
        self.range_of(page).is_some_and(|range| range.resident)
    }

    /// The page to bring in next; none when all were asked for.
    pub(crate) fn next(&mut self) -> Option<PageIndex> {
        loop {
            let range = self.ranges.get(self.range)?;
            if range.resident && self.offset < range.count {
                return Some(PageIndex(range.first.0 + self.offset));
            }
            self.range += 1;
            self.offset = 0;
        }
    }

    /// The page returned by `next` is in or on its way.
    pub(crate) fn advance(&mut self) {
        self.offset += 1;
    }
}
