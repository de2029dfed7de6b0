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
/// Misses remembered as possible beginnings of streams: the last so many that no stream leads to.
const BEGINNINGS: u32 = 64;
/// Places for them, by page: a power of two, so many more that they seldom meet.
const PLACES: usize = 128;
/// Spreads pages over the places: 2^32 divided by the golden ratio.
const MULTIPLIER: u32 = 0x9e37_79b9;
/// A stream that was moved on more than so many misses ago is looked at in turn with others like it.
const LATELY: u32 = 256;
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
    /// Pages from there whose miss is this stream's. 0: there is no stream.
    reach: u32,
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
    reach: 0,
    window: 0,
    marker: NOWHERE,
    last: NOWHERE,
    passed: NOWHERE,
    passed_to: NOWHERE,
    used: 0,
    group: Group::new(0),
};

impl Stream {
    /// So many pages are to be asked for from `next` on.
    fn want(&mut self, next: u32, wanted: u32) {
        (self.next, self.wanted) = (next, wanted);
        // A reader that is faster than the asking overtakes what is wanted.
        self.reach = if next == NOWHERE { 0 } else { wanted + STEP };
    }

    /// All of its newest window was asked for.
    const fn is_whole(&self) -> bool {
        self.wanted == 0 && self.marker != NOWHERE
    }
}

/// A miss that may be the beginning of a stream.
#[derive(Clone, Copy, Debug)]
struct Beginning {
    page: u32,
    /// Misses like it before.
    number: u32,
}

/// Where a beginning is kept.
const fn place_of(page: u32) -> usize {
    (page.wrapping_mul(MULTIPLIER) >> (u32::BITS - PLACES.trailing_zeros())) as usize
}

/// The policy.
#[derive(Debug)]
pub struct ReadAhead {
    streams: [Stream; STREAMS],
    /// Pages missed lately that no stream leads to, by page: looking for the ones before a page must cost little, because whoever
    /// jumps about pays for it at every miss.
    beginnings: [Beginning; PLACES],
    /// Misses like these so far.
    begun: u32,
    /// The stream among those not moved on lately that is looked at next.
    turn: usize,
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
            beginnings: [Beginning { page: NOWHERE, number: 0 }; PLACES],
            begun: 0,
            turn: 0,
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
        let leads_here = |stream: &&mut Stream| page.wrapping_sub(stream.next) < stream.reach;
        if let Some(stream) = self.streams.iter_mut().find(leads_here) {
            stream.want(page.saturating_add(1), 0);
            (stream.marker, stream.group) = (page, self.group);
            self.move_on(page);
            return;
        }
        if !self.take_beginning(page) {
            self.begun = self.begun.wrapping_add(1);
            self.beginnings[place_of(page)] = Beginning { page, number: self.begun };
            return;
        }
        let now = self.now;
        let oldest = self.streams.iter_mut().max_by_key(|stream| now.wrapping_sub(stream.used));
        if let Some(oldest) = oldest {
            let group = self.group;
            *oldest = Stream { marker: page, passed: page, used: now, group, ..NOBODY };
            oldest.want(page.saturating_add(1), 0);
            self.move_on(page);
        }
    }

    /// Whether one of the pages before this one was missed lately; not said again of the same.
    fn take_beginning(&mut self, page: u32) -> bool {
        let mut before = (1..=STEP).filter_map(|step| page.checked_sub(step));
        before.any(|before| {
            let beginning = &mut self.beginnings[place_of(before)];
            let lately = self.begun.wrapping_sub(beginning.number) < BEGINNINGS;
            let found = lately && beginning.page == before;
            if found {
                beginning.page = NOWHERE;
            }
            found
        })
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
        stream.is_whole().then_some([stream.marker, stream.last])
    }

    /// The places of streams whose markers are to be looked at now, as bits: those that were moved on lately, and another in turn.
    /// Streams that nobody follows any more would cost every step a look otherwise.
    pub fn due(&mut self) -> u32 {
        self.turn = (self.turn + 1) % STREAMS;
        let mut due = 0;
        for (place, stream) in self.streams.iter().enumerate() {
            let lately = self.now.wrapping_sub(stream.used) < LATELY;
            due |= u32::from(stream.is_whole() && (lately || place == self.turn)) << place;
        }
        due
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
        stream.want(stream.next, stream.window);
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
        stream.want(stream.next.saturating_add(1), stream.wanted.saturating_sub(1));
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
    fn a_stream_that_nobody_follows_is_looked_at_in_turn_only() {
        let mut policy = ReadAhead::new(FRAMES);
        for walk in 0..8 {
            (0..2).for_each(|page| policy.missed(walk * 10_000 + page));
        }
        ask(&mut policy);
        assert_eq!(policy.due().count_ones(), 8, "all of them moved a moment ago");
        (0..LATELY).for_each(|miss| policy.missed(1_000_000 + miss * 16));
        (0..2).for_each(|page| policy.missed(2_000_000 + page));
        ask(&mut policy);
        let looks: Vec<u32> = (0..16).map(|_| policy.due()).collect();
        let fresh = looks.iter().fold(u32::MAX, |all, due| all & due);
        let some = looks.iter().fold(0, |some, due| some | due);
        assert_eq!((fresh.count_ones(), some.count_ones()), (1, 9), "{looks:x?}");
        assert!(looks.iter().all(|due| due.count_ones() <= 2));
    }

    #[test]
    fn a_miss_is_the_beginning_of_a_walk_for_a_while_only() {
        for (between, expected) in [(BEGINNINGS / 2, 4), (BEGINNINGS, 0)] {
            let mut policy = ReadAhead::new(FRAMES);
            policy.missed(100);
            (0..between).for_each(|miss| policy.missed(1_000_000 + miss * 16));
            policy.missed(102);
            assert_eq!(ask(&mut policy).len(), expected, "after {between} others");
        }
        let mut policy = ReadAhead::new(FRAMES);
        policy.missed(0);
        assert_eq!(ask(&mut policy), [], "there is nothing before the first page");
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
