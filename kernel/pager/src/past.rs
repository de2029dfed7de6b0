//! Pages of snapshots that programs read (`past.copy`): a few frames beside the page cache, which never hold anything else.
//!
//! Pure bookkeeping: whoever owns this starts the reads that [`PastPages::look`] orders, and says what came of them. A step of a copy looks at
//! a handful of pages, so a few dozen frames serve several copies at once; what was not looked at for longest goes (a clock).
//!
//! Invariant: a frame is the device's from the order to read until [`PastPages::arrived`], and is given to nobody meanwhile.

use alloc::vec::Vec;
use revenant_hal::{Epoch, FrameIndex, PageIndex};

/// A page of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Name {
    epoch: Epoch,
    page: PageIndex,
}

/// What a read of a page came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PastContent {
    /// It is in the frame.
    Stored,
    /// It was never written: zeros.
    Zero,
    /// It cannot be read.
    Damaged,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Empty,
    Reading,
    Held(PastContent),
}

#[derive(Clone, Copy, Debug)]
struct Place {
    frame: FrameIndex,
    name: Name,
    state: State,
    /// It was looked at since the hand has passed.
    used: bool,
}

/// What [`PastPages::look`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// The page.
    Here(FrameIndex),
    /// The page is all zeros.
    Zero,
    /// It cannot be read. Whoever looks again tries again.
    Damaged,
    /// It is being read, or no frame is to be had before another read is over.
    Waits,
    /// The caller is to read it into this frame, or to [`PastPages::forget`] it.
    Read(FrameIndex),
}

/// The frames and what they hold.
#[derive(Debug)]
pub struct PastPages {
    places: Vec<Place>,
    hand: usize,
}

impl PastPages {
    /// With these frames, which are nobody else's.
    #[must_use]
    pub fn new(frames: impl Iterator<Item = FrameIndex>) -> Self {
        let name = Name { epoch: Epoch(0), page: PageIndex(0) };
        let place = |frame| Place { frame, name, state: State::Empty, used: false };
        Self { places: frames.map(place).collect(), hand: 0 }
    }

    /// Looks for a page of a snapshot.
    pub fn look(&mut self, epoch: Epoch, page: PageIndex) -> Look {
        let name = Name { epoch, page };
        let known =
            self.places.iter_mut().find(|place| place.state != State::Empty && place.name == name);
        if let Some(place) = known {
            place.used = true;
            return match place.state {
                State::Held(PastContent::Stored) => Look::Here(place.frame),
                State::Held(PastContent::Zero) => Look::Zero,
                State::Held(PastContent::Damaged) => {
                    place.state = State::Empty;
                    Look::Damaged
                }
                State::Reading | State::Empty => Look::Waits,
            };
        }
        let Some(place) = self.free_place() else { return Look::Waits };
        *place = Place { name, state: State::Reading, used: true, ..*place };
        Look::Read(place.frame)
    }

    /// The next place that may be used for another page.
    fn free_place(&mut self) -> Option<&mut Place> {
        let count = self.places.len();
        let mut found = None;
        for _ in 0..2 * count {
            let number = self.hand;
            self.hand = (number + 1) % count;
            match self.places.get_mut(number) {
                Some(place) if place.state == State::Reading => {}
                Some(place) if place.used && place.state != State::Empty => place.used = false,
                _ => {
                    found = Some(number);
                    break;
                }
            }
        }
        self.places.get_mut(found?)
    }

    /// The read into a frame is over; whether the frame is one of these.
    pub fn arrived(&mut self, frame: FrameIndex, content: PastContent) -> bool {
        self.end_read(frame, State::Held(content))
    }

    /// The read that was ordered could not be started.
    pub fn forget(&mut self, frame: FrameIndex) {
        let _ = self.end_read(frame, State::Empty);
    }

    fn end_read(&mut self, frame: FrameIndex, state: State) -> bool {
        let place = self.places.iter_mut().find(|place| place.frame == frame);
        let Some(place) = place else { return false };
        if place.state == State::Reading {
            place.state = state;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Look, PastContent, PastPages};
    use alloc::collections::BTreeMap;
    use revenant_hal::{Epoch, FrameIndex, PageIndex};

    fn pages(count: u32) -> PastPages {
        PastPages::new((10..10 + count).map(FrameIndex))
    }

    #[test]
    fn a_page_is_read_once_and_found_then() {
        let mut past = pages(2);
        let Look::Read(frame) = past.look(Epoch(5), PageIndex(1)) else { panic!("a read") };
        assert_eq!(past.look(Epoch(5), PageIndex(1)), Look::Waits);
        assert!(past.arrived(frame, PastContent::Stored));
        assert!(!past.arrived(FrameIndex(12), PastContent::Stored), "a frame of others");
        assert_eq!(past.look(Epoch(5), PageIndex(1)), Look::Here(frame));
        // The same page of another snapshot is another page.
        let Look::Read(other) = past.look(Epoch(6), PageIndex(1)) else { panic!("a read") };
        assert_ne!(other, frame);
        past.arrived(other, PastContent::Zero);
        assert_eq!(past.look(Epoch(6), PageIndex(1)), Look::Zero);
        assert_eq!(past.look(Epoch(5), PageIndex(1)), Look::Here(frame));
    }

    #[test]
    fn damage_is_told_once_and_a_read_that_was_refused_leaves_nothing() {
        let mut past = pages(1);
        let Look::Read(frame) = past.look(Epoch(5), PageIndex(1)) else { panic!("a read") };
        assert_eq!(
            past.look(Epoch(5), PageIndex(2)),
            Look::Waits,
            "its only frame is the device's"
        );
        past.arrived(frame, PastContent::Damaged);
        assert_eq!(past.look(Epoch(5), PageIndex(1)), Look::Damaged);
        assert_eq!(past.look(Epoch(5), PageIndex(1)), Look::Read(frame));
        past.forget(frame);
        assert_eq!(past.look(Epoch(5), PageIndex(2)), Look::Read(frame));
    }

    #[test]
    fn without_frames_everybody_waits() {
        assert_eq!(pages(0).look(Epoch(1), PageIndex(1)), Look::Waits);
    }

    /// Against a model: a frame that is being read into is never given again, and what is found is what was read last into its frame.
    #[test]
    fn frames_are_never_confused() {
        let mut state = 0x5eed_u64;
        let mut next = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            (state >> 33) % limit
        };
        let mut past = pages(4);
        let (mut reading, mut held) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..20_000 {
            if next(3) == 0
                && let Some((frame, name)) = reading.pop_first()
            {
                past.arrived(FrameIndex(frame), PastContent::Stored);
                held.insert(frame, name);
                continue;
            }
            let name = (1 + next(2), next(6));
            match past.look(Epoch(name.0), PageIndex(name.1)) {
                Look::Here(frame) => assert_eq!(held.get(&frame.0), Some(&name)),
                Look::Read(frame) => {
                    assert!(!held.values().any(|known| *known == name), "{name:?} is read again");
                    held.remove(&frame.0);
                    assert!(reading.insert(frame.0, name).is_none(), "{frame:?} is the device's");
                }
                Look::Waits => {
                    let reads = reading.values().any(|known| *known == name);
                    assert!(reads || reading.len() == 4);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
