//! Ghosts: which pages were let go lately, and out of which queue. 16 bytes a frame, no pointers, constant time.
//!
//! A page has one bucket of four places. A new name takes the place of the oldest in the bucket, so that a few names are
//! forgotten early and some late: what is asked of ghosts is statistics.

use alloc::vec::Vec;

/// Places in a bucket.
const PLACES: usize = 4;
/// Buckets for so many frames.
const FRAMES_PER_BUCKET: u32 = 2;

/// The queue out of which a page was let go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// Probation.
    Probation,
    /// Main.
    Main,
}

#[derive(Clone, Copy)]
struct Ghost {
    page: u32,
    /// The number of its departure, shifted left by one; the lowest bit says from main. 0: no ghost.
    departure: u32,
}

const NOBODY: Ghost = Ghost { page: 0, departure: 0 };

/// The names.
pub(super) struct Ghosts {
    buckets: Vec<[Ghost; PLACES]>,
    /// Departures so far; wraps after 2^31, when a ghost of that age may seem young.
    departures: u32,
}

impl Ghosts {
    pub(super) fn new(frames: u32) -> Self {
        let buckets = frames.div_ceil(FRAMES_PER_BUCKET).max(1);
        Self { buckets: alloc::vec![[NOBODY; PLACES]; buckets as usize], departures: 0 }
    }

    fn bucket(&mut self, page: u32) -> &mut [Ghost; PLACES] {
        let hash = page.wrapping_mul(0x9e37_79b1);
        let hash = hash ^ hash >> 15;
        let buckets = self.buckets.len();
        let place = (u64::from(hash.wrapping_mul(0x85eb_ca77)) * buckets as u64) >> 32;
        // Below the number of buckets: the factor is below 2^32.
        &mut self.buckets[usize::try_from(place).unwrap_or(0)]
    }

    pub(super) fn remember(&mut self, page: u32, left: Left) {
        self.departures = (self.departures + 1) & (u32::MAX >> 1);
        let now = self.departures;
        let departure = now << 1 | u32::from(left == Left::Main);
        let age = |ghost: &Ghost| now.wrapping_sub(ghost.departure >> 1) & (u32::MAX >> 1);
        let bucket = self.bucket(page);
        let oldest = bucket.iter_mut().max_by_key(|ghost| (ghost.departure == 0, age(ghost)));
        if let Some(oldest) = oldest {
            *oldest = Ghost { page, departure };
        }
    }

    /// Forgets a page that is back; the queue that it left, and how many pages have left any queue since.
    pub(super) fn take(&mut self, page: u32) -> Option<(Left, u32)> {
        let now = self.departures;
        let bucket = self.bucket(page);
        let ghost = bucket.iter_mut().find(|ghost| ghost.departure != 0 && ghost.page == page)?;
        let ghost = core::mem::replace(ghost, NOBODY);
        let left = if ghost.departure & 1 == 1 { Left::Main } else { Left::Probation };
        Some((left, now.wrapping_sub(ghost.departure >> 1) & (u32::MAX >> 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_left_lately_is_known_with_the_time_since_and_forgotten_when_asked_for() {
        let mut ghosts = Ghosts::new(64);
        for page in 0..10 {
            ghosts.remember(page, if page % 2 == 0 { Left::Main } else { Left::Probation });
        }
        assert_eq!(ghosts.take(8), Some((Left::Main, 1)));
        assert_eq!(ghosts.take(8), None);
        assert_eq!(ghosts.take(3), Some((Left::Probation, 6)));
        for page in 100..1000 {
            ghosts.remember(page, Left::Main);
        }
        assert_eq!(ghosts.take(5), None, "long ago");
        let known = (900..1000).filter(|page| ghosts.take(*page).is_some()).count();
        assert!(known > 70, "{known} of the last hundred");
    }
}
