//! A trace: which page was touched after which, and by whom.
//!
//! A recording of a program is kept in a file of this form, all numbers unsigned LEB128 (7 bits a byte, lowest first, the
//! highest bit says that another byte follows):
//!
//! ```text
//!   "RVTRACE1"                     8 bytes
//!   number of touches
//!   for each touch: the distance of its page number from that of the touch before (from -1 for the first), zigzag coded:
//!                   0, -1, 1, -2, 2 ... as 0, 1, 2, 3, 4 ...
//!   runs:           where the next bytes would repeat the last p touches n times, p in 1..=64, the zigzag number is replaced
//!                   by 0, p, n. The distance 0 does not occur otherwise: touches of one page in a row are one touch.
//! ```

use core::fmt;
use std::collections::HashMap;

const MAGIC: &[u8; 8] = b"RVTRACE1";
/// The longest sequence that is looked for as repeating.
const LONGEST_PERIOD: usize = 64;
/// The page before the first, for the distance of the first.
const BEFORE_ALL: i64 = -1;
/// More touches than this are no recording of ours.
const MOST_TOUCHES: usize = 1 << 24;

/// One touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Touch {
    /// The page, numbered through in the order of first touches.
    pub page: u32,
    /// The group of programs that touched it.
    pub group: u8,
}

/// A sequence of touches. A page is never touched twice in a row: nobody could tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// What it is.
    pub name: String,
    /// The touches.
    pub touches: Vec<Touch>,
    /// Distinct pages; the touches' numbers are below.
    pub pages: u32,
    /// Groups; the touches' numbers are below.
    pub groups: u8,
}

impl Trace {
    /// A trace out of page numbers of any size, each with its group.
    #[must_use]
    pub fn new(name: &str, touches: impl IntoIterator<Item = (u8, u64)>) -> Self {
        let mut numbers = HashMap::new();
        let mut trace = Self { name: name.to_owned(), touches: Vec::new(), pages: 0, groups: 1 };
        for (group, page) in touches {
            let page = *numbers.entry(page).or_insert(trace.pages);
            trace.pages += u32::from(page == trace.pages);
            trace.groups = trace.groups.max(group + 1);
            if trace.touches.last().is_none_or(|last| last.page != page) {
                trace.touches.push(Touch { page, group });
            }
        }
        trace
    }
}

/// The page numbers of one program, as touched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording(pub Vec<u32>);

/// Bytes that are no recording: what is wrong with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordingError(pub &'static str);

impl fmt::Display for RecordingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no recording of touches: {}", self.0)
    }
}

impl core::error::Error for RecordingError {}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
}

fn take(bytes: &mut &[u8]) -> Result<u64, RecordingError> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(RecordingError("it ends too early"))?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(RecordingError("a number is too large"))
}

impl Recording {
    /// The file's content.
    ///
    /// # Panics
    /// If a page is touched twice in a row.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let pages = &self.0;
        let mut bytes = MAGIC.to_vec();
        put(&mut bytes, pages.len() as u64);
        let mut place = 0;
        while place < pages.len() {
            let (period, times) = self.repetition(place);
            if times > 0 && (period * times >= 4) {
                [0, period as u64, times as u64].into_iter().for_each(|n| put(&mut bytes, n));
                place += period * times;
                continue;
            }
            let before = if place == 0 { BEFORE_ALL } else { i64::from(pages[place - 1]) };
            let distance = i64::from(pages[place]) - before;
            assert!(distance != 0, "a page is touched twice in a row");
            put(&mut bytes, (distance.unsigned_abs() << 1) - u64::from(distance < 0));
            place += 1;
        }
        bytes
    }

    /// The period for which the touches from `place` on repeat what went before longest, and how often.
    fn repetition(&self, place: usize) -> (usize, usize) {
        let pages = &self.0;
        let mut best = (0, 0);
        for period in 2..=LONGEST_PERIOD.min(place) {
            let same = (place..pages.len()).take_while(|at| pages[*at] == pages[at - period]);
            let times = same.count() / period;
            if times * period > best.0 * best.1 {
                best = (period, times);
            }
        }
        best
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// It is not what [`Self::encode`] makes.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordingError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(RecordingError("another beginning"))?;
        let count = take(&mut rest)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= MOST_TOUCHES);
        let count = count.ok_or(RecordingError("too many touches"))?;
        let mut pages: Vec<u32> = Vec::with_capacity(count);
        while pages.len() < count {
            let number = take(&mut rest)?;
            if number == 0 {
                let (period, times) = (take(&mut rest)?, take(&mut rest)?);
                let period = usize::try_from(period).unwrap_or(usize::MAX);
                let length = usize::try_from(times).unwrap_or(usize::MAX).saturating_mul(period);
                if period == 0 || period > pages.len() || length > count - pages.len() {
                    return Err(RecordingError("a run without a beginning or an end"));
                }
                for _ in 0..length {
                    pages.push(pages[pages.len() - period]);
                }
                continue;
            }
            let size = i64::try_from(number.div_ceil(2)).unwrap_or(i64::MAX);
            let distance = if number % 2 == 1 { -size } else { size };
            let before = pages.last().map_or(BEFORE_ALL, |page| i64::from(*page));
            let page = before.checked_add(distance).and_then(|page| u32::try_from(page).ok());
            pages.push(page.ok_or(RecordingError("a page number out of range"))?);
        }
        if rest.is_empty() { Ok(Self(pages)) } else { Err(RecordingError("more than its touches")) }
    }

    /// As a trace of one group.
    #[must_use]
    pub fn trace(&self, name: &str) -> Trace {
        Trace::new(name, self.0.iter().map(|page| (0, u64::from(*page))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is_read() {
        let mut random = Random::new(1);
        let mut pages = vec![7u32];
        for _ in 0..500 {
            let next = u32::try_from(random.below(1 << 20)).unwrap_or(1);
            if random.one_in(3) {
                let from = pages.len() - (1 + random.index(pages.len().min(40)));
                for _ in 0..random.below(5) {
                    let copy: Vec<u32> = pages[from..].to_vec();
                    pages.extend(copy.iter().take(50));
                }
            }
            pages.push(next);
        }
        pages.dedup();
        let recording = Recording(pages);
        let bytes = recording.encode();
        assert_eq!(Recording::decode(&bytes), Ok(recording));
        for length in 0..bytes.len() {
            assert!(Recording::decode(&bytes[..length]).is_err(), "{length} bytes of it");
        }
        assert!(Recording::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}
