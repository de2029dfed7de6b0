//! Read-ahead: which pages to read before somebody misses them. No pages here, no tables, no disk: page numbers, and what
//! became of the pages that were asked for.
//!
//! A stream is somebody who walks up through object space. The pager does not see who faults, so a stream is known by its
//! place: a page is missed right behind one that was missed lately. Then a window of pages is asked for; when the reader has
//! come to it, the next one, twice as large. So one window is being read while the reader is in the one before it.
//!
//! ```text
//!    read and touched      newest window         the window after it
//!   ----------------->|marker            last|next                  |
//!                      touched, or waited for: grow, and ask for ---^
//! ```
//!
//! Invariants:
//! - whoever jumps about is never read ahead for: one miss makes no stream;
//! - a window is asked for only when a page that was really read for the one before was touched or waited for: nobody's
//!   resident pages lead a stream on;
//! - pages that went untouched make windows smaller, and while they prevail, no stream grows;
//! - each call takes time that is bounded by the number of places for streams, and takes no memory.
//!
//! Neighbours: `fault` reports misses, `ahead` asks for pages as far as there are free frames and reports what became of
//! them.

use crate::replacement::Group;
use core::ops::Range;

/// Streams known at a time.
const STREAMS: usize = 16;
/// Misses remembered as possible beginnings of streams.
const BEGINNINGS: usize = 64;
/// A stream may leave out so many pages less one: some are resident, or never written.
const STEP: u32 = 2;
/// The first window.
const FIRST_WINDOW: u32 = 4;
/// The largest: 512 KiB, 5 ms of a disk of 100 MiB/s.
const LARGEST_WINDOW: u32 = 128;
/// What a page that went untouched weighs against pages that were touched.
const WEIGHT_OF_WASTE: i32 = 2;
/// How long hits and waste are remembered.
const MEMORY: i32 = 256;
/// No page.
const NOWHERE: u32 = u32::MAX;

/// Somebody who walks up.
#[derive(Clone, Copy, Debug)]
struct Stream {
    /// The first page that was not asked for.
    next: u32,
    /// Pages from there that are to be asked for; what is left of the newest window.
    wanted: u32,
    /// Length of the newest window. 0: the place is free, or its stream reads nothing ahead.
    window: u32,
    /// The first page that was read for the newest window, and the last.
    marker: u32,
    last: u32,
    /// Pages that the reader has passed, and nobody has looked at since.
    passed: u32,
    passed_to: u32,
    /// When it was moved on last.
    used: u32,
    /// Who missed its pages last.
    group: Group,
}

const NOBODY: Stream = Stream {
    next: NOWHERE,
    wanted: 0,
    window: 0,
    marker: NOWHERE,
    last: NOWHERE,
    passed: NOWHERE,
    passed_to: NOWHERE,
    used: 0,
    group: Group::new(0),
};

/// The policy.
#[derive(Debug)]
pub struct ReadAhead {
    streams: [Stream; STREAMS],
    /// Pages missed lately that no stream leads to, as a ring.
    beginnings: [u32; BEGINNINGS],
    newest: usize,
    /// Hits less waste, of late.
    balance: i32,
    largest: u32,
    now: u32,
    /// Who misses pages now.
    group: Group,
}

impl ReadAhead {
    /// The policy for a pool of `frames` frames: no window takes more than a sixteenth of them.
    #[must_use]
    pub fn new(frames: u32) -> Self {
        Self {
            streams: [NOBODY; STREAMS],
            beginnings: [NOWHERE; BEGINNINGS],
            newest: 0,
            balance: 0,
            largest: (frames / 16).clamp(1, LARGEST_WINDOW),
            now: 0,
            group: Group::default(),
        }
    }

    /// Whose misses are told from now on.
    pub fn runs(&mut self, group: Group) {
        self.group = group;
    }

    /// For whom a stream is read ahead.
    #[must_use]
    pub fn group(&self, place: usize) -> Group {
        self.streams.get(place).map_or(self.group, |stream| stream.group)
    }

    /// A page has to be read because somebody needs it.
    pub fn missed(&mut self, page: u32) {
        self.now = self.now.wrapping_add(1);
        let leads_here = |stream: &&mut Stream| {
            // A reader that is faster than the asking has overtaken what is wanted.
            stream.next != NOWHERE && page.wrapping_sub(stream.next) < stream.wanted + STEP
        };
        if let Some(stream) = self.streams.iter_mut().find(leads_here) {
            stream.next = page.saturating_add(1);
            (stream.wanted, stream.marker, stream.group) = (0, page, self.group);
            self.move_on(page);
            return;
        }
        let begins = |beginning: &u32| {
            *beginning != NOWHERE && page.wrapping_sub(*beginning).wrapping_sub(1) < STEP
        };
        let Some(place) = self.beginnings.iter().position(begins) else {
            self.newest = (self.newest + 1) % BEGINNINGS;
            self.beginnings[self.newest] = page;
            return;
        };
        self.beginnings[place] = NOWHERE;
        let now = self.now;
        let oldest = self.streams.iter_mut().max_by_key(|stream| now.wrapping_sub(stream.used));
        if let Some(oldest) = oldest {
            let next = page.saturating_add(1);
            let group = self.group;
            *oldest = Stream { next, marker: page, passed: page, used: now, group, ..NOBODY };
            self.move_on(page);
        }
    }

    /// Somebody waits for a page that is being read already.
    pub fn awaited(&mut self, page: u32) {
        self.now = self.now.wrapping_add(1);
        let here = |stream: &Stream| (stream.marker..stream.next).contains(&page);
        if let Some(place) = self.streams.iter().position(here) {
            self.reached(place);
        }
    }

    /// The pages whose touch means that the stream in a place has come to its newest window.
    #[must_use]
    pub fn markers(&self, place: usize) -> Option<[u32; 2]> {
        let stream = self.streams.get(place)?;
        let whole = stream.wanted == 0 && stream.marker != NOWHERE;
        whole.then_some([stream.marker, stream.last])
    }

    /// Places for streams.
    #[must_use]
    pub const fn places(&self) -> usize {
        STREAMS
    }

    /// The stream has come to its newest window: the next is due.
    pub fn reached(&mut self, place: usize) {
        if let Some(stream) = self.streams.get(place)
            && stream.wanted == 0
            && stream.next != NOWHERE
        {
            self.move_on(stream.next - 1);
        }
    }

    /// Opens the next window of the stream whose last page so far is `page`.
    fn move_on(&mut self, page: u32) {
        let (now, largest, trusted) = (self.now, self.largest, self.balance >= 0);
        let ends_here = |stream: &&mut Stream| stream.next == page.saturating_add(1);
        let Some(stream) = self.streams.iter_mut().find(ends_here) else { return };
        let window = match (stream.window, trusted) {
            (0, true) => FIRST_WINDOW,
            (0, false) => 1,
            (window, true) => window.saturating_mul(2),
            (window, false) => window,
        };
        stream.window = window.min(largest);
        stream.wanted = stream.window;
        stream.passed_to = stream.marker; // all before the window that the reader has come to
        (stream.marker, stream.used) = (NOWHERE, now);
    }

    /// Pages that a reader has passed, each once, a few hundred at most: those that were read ahead were of use, or not.
    pub fn take_passed(&mut self) -> Option<Range<u32>> {
        let stream = self.streams.iter_mut().find(|stream| stream.passed < stream.passed_to)?;
        let from = stream.passed.max(stream.passed_to.saturating_sub(4 * LARGEST_WINDOW));
        stream.passed = stream.passed_to;
        Some(from..stream.passed_to)
    }

    /// The page to ask for next, with the place of its stream.
    #[must_use]
    pub fn wanted(&self) -> Option<(usize, u32)> {
        let place = self.streams.iter().position(|stream| stream.wanted > 0)?;
        Some((place, self.streams[place].next))
    }

    /// The page that [`Self::wanted`] named was asked for, or need not be read.
    pub fn asked(&mut self, place: usize, read: bool) {
        let Some(stream) = self.streams.get_mut(place) else { return };
        if read {
            stream.last = stream.next;
            if stream.marker == NOWHERE {
                stream.marker = stream.next;
            }
        }
        stream.next = stream.next.saturating_add(1);
        stream.wanted = stream.wanted.saturating_sub(1);
        if stream.wanted == 0 && stream.marker == NOWHERE {
            stream.window = 0; // nothing to read here: the next miss begins anew
        }
    }

    /// So many pages that were read ahead were touched.
    pub fn hits(&mut self, pages: u32) {
        self.balance = self.balance.saturating_add_unsigned(pages).min(MEMORY);
    }

    /// A page that was read ahead has gone, and nobody had touched it.
    pub fn wasted(&mut self, page: u32) {
        self.balance = (self.balance - WEIGHT_OF_WASTE).max(-MEMORY);
        let near = |stream: &&mut Stream| {
            stream.next != NOWHERE && stream.next.wrapping_sub(page) <= 2 * LARGEST_WINDOW
        };
        if let Some(stream) = self.streams.iter_mut().find(near) {
            stream.window = (stream.window / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const FRAMES: u32 = 1 << 14;

    /// Asks for all that is wanted; the pages.
    fn ask(policy: &mut ReadAhead) -> Vec<u32> {
        let mut pages = Vec::new();
        while let Some((place, page)) = policy.wanted() {
            policy.asked(place, true);
            pages.push(page);
        }
        pages
    }

    /// The only stream that has a window.
    fn place_of_the_stream(policy: &ReadAhead) -> usize {
        let mut places = (0..policy.places()).filter(|place| policy.markers(*place).is_some());
        let place = places.next().expect("a stream");
        assert_eq!(places.next(), None, "one stream");
        place
    }

    #[test]
    fn a_walk_is_read_ahead_of_in_windows_that_grow_to_their_limit() {
        let mut policy = ReadAhead::new(FRAMES);
        policy.missed(100);
        assert_eq!(ask(&mut policy), [], "one miss says nothing");
        policy.missed(101);
        assert_eq!(ask(&mut policy), [102, 103, 104, 105]);
        policy.awaited(102);
        assert_eq!(ask(&mut policy), (106..114).collect::<Vec<_>>());
        policy.awaited(103);
        assert_eq!(ask(&mut policy), [], "the reader is still in the window before");
        let place = place_of_the_stream(&policy);
        assert_eq!(policy.markers(place), Some([106, 113]));
        policy.reached(place);
        assert_eq!(ask(&mut policy), (114..130).collect::<Vec<_>>());
        for _ in 0..5 {
            policy.reached(place);
            let pages = ask(&mut policy);
            assert!(pages.len() <= 128, "{} pages at once", pages.len());
        }
        policy.reached(place);
        assert_eq!(ask(&mut policy).len(), 128);
    }

    #[test]
    fn what_a_reader_has_passed_is_told_once() {
        let mut policy = ReadAhead::new(FRAMES);
        (100..102).for_each(|page| policy.missed(page));
        ask(&mut policy);
        policy.awaited(102);
        ask(&mut policy);
        assert_eq!(policy.take_passed(), Some(101..102));
        policy.awaited(110);
        assert_eq!((policy.take_passed(), policy.take_passed()), (Some(102..106), None));
    }

    #[test]
    fn whoever_jumps_about_is_not_read_ahead_for_and_does_not_make_a_walk_forgotten() {
        let mut policy = ReadAhead::new(FRAMES);
        policy.missed(100);
        policy.missed(101);
        ask(&mut policy);
        for miss in 0..1000 {
            policy.missed(1_000_000 + miss * 7919 % 65_536 * 16);
        }
        assert_eq!(ask(&mut policy), []);
        policy.awaited(102);
        assert_eq!(ask(&mut policy).len(), 8, "the walk goes on");
    }

    #[test]
    fn several_walks_at_once_are_told_apart() {
        let mut policy = ReadAhead::new(FRAMES);
        for page in 0..2 {
            (0..8).for_each(|walker| policy.missed(walker * 10_000 + page));
        }
        let mut pages = ask(&mut policy);
        pages.sort_unstable();
        let expected = (0..8).flat_map(|walker| (2..6).map(move |page| walker * 10_000 + page));
        assert_eq!(pages, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_that_has_overtaken_the_asking_is_followed() {
        let mut policy = ReadAhead::new(FRAMES);
        (100..102).for_each(|page| policy.missed(page));
        policy.missed(103);
        assert_eq!(ask(&mut policy).first(), Some(&104), "what it has passed is not asked for");
    }

    #[test]
    fn waste_makes_windows_smaller_and_keeps_them_so_until_there_are_hits() {
        let mut policy = ReadAhead::new(FRAMES);
        (100..102).for_each(|page| policy.missed(page));
        ask(&mut policy);
        let place = place_of_the_stream(&policy);
        policy.reached(place);
        assert_eq!(ask(&mut policy).len(), 8);
        (106..109).for_each(|page| policy.wasted(page));
        policy.reached(place);
        assert_eq!(ask(&mut policy).len(), 1);
        (500..502).for_each(|page| policy.missed(page));
        assert_eq!(ask(&mut policy), [502], "new streams are not trusted either");
        policy.hits(6);
        policy.reached(place);
        assert_eq!(ask(&mut policy).len(), 2);
    }

    #[test]
    fn pages_that_need_no_reading_do_not_lead_a_stream_on() {
        let mut policy = ReadAhead::new(FRAMES);
        (100..102).for_each(|page| policy.missed(page));
        while let Some((place, _)) = policy.wanted() {
            policy.asked(place, false);
        }
        assert!((0..policy.places()).all(|place| policy.markers(place).is_none()));
        policy.missed(106);
        assert_eq!(ask(&mut policy), [107, 108, 109, 110], "it is known where it was");
    }

    #[test]
    fn little_memory_has_small_windows_and_the_end_of_object_space_is_no_trouble() {
        let mut policy = ReadAhead::new(16);
        (100..102).for_each(|page| policy.missed(page));
        assert_eq!(ask(&mut policy), [102]);
        let mut policy = ReadAhead::new(FRAMES);
        (u32::MAX - 3..=u32::MAX).for_each(|page| policy.missed(page));
        assert!(ask(&mut policy).len() <= 8);
    }
}
