//! Objects that nobody has reached so far, with the few references of theirs that are not marked: should one be reached later, what follows is
//! known without its page being read again.
//!
//! Invariant: an entry says all that a mark of its object would cause, because the snapshot does not change and marks only become more; a
//! missing entry costs a read, nothing else. Open addressing with linear probing (Knuth, TAOCP 3, 6.4, algorithm L); nothing is ever removed.

use alloc::{vec, vec::Vec};
use revenant_vm::memory::layout::{GRANULE, area};

/// Unmarked references of an object that is kept, at most.
pub(crate) const TARGETS: usize = 2;
/// The object and what it refers to, as granules of the heap; zero: nothing.
type Entry = [u32; 1 + TARGETS];

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    entries: Vec<Entry>,
    used: usize,
    slots: usize,
}

impl Foreseen {
    /// Takes so many bytes when the first is kept.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { slots: bytes / size_of::<Entry>(), ..Self::default() }
    }

    /// Keeps an object and its references; passed over if there is no room.
    pub(crate) fn keep(&mut self, object: u64, targets: &[u64]) {
        if self.used * 4 >= self.slots * 3 || targets.len() > TARGETS {
            return;
        }
        let mut entry = [0; 1 + TARGETS];
        for (word, address) in entry.iter_mut().zip(core::iter::once(&object).chain(targets)) {
            let Some(granule) = granule(*address) else { return };
            *word = granule;
        }
        if self.entries.is_empty() {
            self.entries = vec![[0; 1 + TARGETS]; self.slots];
        }
        let place = self.place(entry[0]);
        if let Some(free) = self.entries.get_mut(place)
            && free[0] == 0
        {
            *free = entry;
            self.used += 1;
        }
    }

    /// The references of an object that is kept.
    pub(crate) fn find(&self, object: u64) -> Option<impl Iterator<Item = u64> + use<>> {
        if self.used == 0 {
            return None;
        }
        let wanted = granule(object)?;
        let [found, targets @ ..] = self.entries.get(self.place(wanted)).copied()?;
        (found == wanted)
            .then(|| targets.into_iter().filter(|granule| *granule != 0).map(address_of))
    }

    /// Where the entry of a granule stands, or could. One in four is free, so there is an end.
    fn place(&self, granule: u32) -> usize {
        let hash = u64::from(granule).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let start = usize::try_from(hash).unwrap_or(0) % self.entries.len().max(1);
        let places = (start..self.entries.len()).chain(0..start);
        let is_it = |place: &usize| {
            self.entries.get(*place).is_none_or(|entry| entry[0] == 0 || entry[0] == granule)
        };
        places.into_iter().find(is_it).unwrap_or(0)
    }
}

/// None for what is not in the first 64 GiB of the heap.
fn granule(address: u64) -> Option<u32> {
    let granule = u32::try_from(address.checked_sub(area::HEAP)? / GRANULE).ok()?;
    (granule != 0).then_some(granule)
}

fn address_of(granule: u32) -> u64 {
    area::HEAP + u64::from(granule) * GRANULE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(number: u64) -> u64 {
        area::HEAP + 0x1010 + number * 48
    }

    #[test]
    fn what_is_kept_is_found_and_nothing_else() {
        let mut foreseen = Foreseen::new(100 * size_of::<Entry>());
        assert!(foreseen.find(object(0)).is_none());
        for number in 0..100 {
            let targets: Vec<u64> = (1..=number % 4).map(|next| object(number + next)).collect();
            foreseen.keep(object(number), &targets);
        }
        // Three of four are taken at most, and those with three references are passed over.
        assert_eq!(foreseen.used, 75);
        let mut found = 0;
        for number in 0..200 {
            let Some(targets) = foreseen.find(object(number)) else { continue };
            let expected: Vec<u64> = (1..=number % 4).map(|next| object(number + next)).collect();
            assert_eq!(targets.collect::<Vec<_>>(), expected);
            found += 1;
        }
        assert_eq!(found, 75);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let mut foreseen = Foreseen::new(0);
        foreseen.keep(object(1), &[]);
        assert!(foreseen.find(object(1)).is_none());
        let mut foreseen = Foreseen::new(1 << 10);
        foreseen.keep(area::HEAP + (GRANULE << 32), &[]);
        foreseen.keep(object(1), &[area::HEAP - 16]);
        assert_eq!(foreseen.used, 0, "what does not fit a word");
    }
}
