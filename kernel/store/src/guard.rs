//! The two fixed blocks outside the ring that are rewritten in place: the guard against two openers, and the epitaph.
//!
//! Invariants: both are worth nothing if torn (a torn guard is "nobody's", a torn epitaph is "none"), so rewriting them in
//! place loses nothing. They read untrusted bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::api::{SessionId, StoreId};
use crate::epitaph::{Epitaph, Failures};
use crate::reference::{read_u32, read_u64, write_bytes, write_u32, write_u64};
use alloc::boxed::Box;
use alloc::string::String;
use revenant_hal::{Epoch, Generation, PAGE_SIZE, PageBytes};

const GUARD_MAGIC: u64 = u64::from_le_bytes(*b"REVGUARD");
const EPITAPH_MAGIC: u64 = u64::from_le_bytes(*b"REVEPITA");
const CHECKSUM_AT: usize = 8;
const TEXT_AT: usize = 64;
/// Bytes of text that fit in an epitaph.
pub const EPITAPH_TEXT_BYTES: usize = PAGE_SIZE - TEXT_AT;

/// Who has the store open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Guard {
    /// The store.
    pub(crate) store: StoreId,
    /// The session.
    pub(crate) session: SessionId,
    /// Counts openings.
    pub(crate) counter: u64,
    /// The generation of the session's first superblock; 0 if it will write none.
    pub(crate) generation: Generation,
}

impl Guard {
    pub(crate) fn encode(&self) -> Box<PageBytes> {
        let mut page = Box::new(PageBytes::ZERO);
        write_u64(&mut page.0, 0, GUARD_MAGIC);
        write_bytes(&mut page.0, 16, &self.store.0.to_le_bytes());
        write_bytes(&mut page.0, 32, &self.session.0.to_le_bytes());
        write_u64(&mut page.0, 48, self.counter);
        write_u64(&mut page.0, 56, self.generation.0);
        seal(&mut page);
        page
    }

    pub(crate) fn decode(page: &PageBytes) -> Option<Self> {
        is_whole(page, GUARD_MAGIC).then(|| Self {
            store: StoreId(read_u128(page, 16)),
            session: SessionId(read_u128(page, 32)),
            counter: read_u64(&page.0, 48),
            generation: Generation(read_u64(&page.0, 56)),
        })
    }
}

/// Encodes an epitaph, for [`crate::EPITAPH_BLOCK`]; text beyond [`EPITAPH_TEXT_BYTES`] is cut.
#[must_use]
pub fn encode_epitaph(epitaph: &Epitaph) -> Box<PageBytes> {
    let mut page = Box::new(PageBytes::ZERO);
    let mut end = epitaph.text.len().min(EPITAPH_TEXT_BYTES);
    while !epitaph.text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let text = epitaph.text.as_bytes().get(..end).unwrap_or_default();
    write_u64(&mut page.0, 0, EPITAPH_MAGIC);
    write_bytes(&mut page.0, 16, &epitaph.store.0.to_le_bytes());
    write_u64(&mut page.0, 32, epitaph.resumed.0);
    write_u64(&mut page.0, 40, epitaph.epoch.0);
    write_u32(&mut page.0, 48, u32::try_from(text.len()).unwrap_or(0));
    write_u32(&mut page.0, 52, epitaph.failures.count);
    write_u64(&mut page.0, 56, epitaph.failures.first.0);
    write_bytes(&mut page.0, TEXT_AT, text);
    seal(&mut page);
    page
}

/// Decodes an epitaph; none if there is none or it is torn.
#[must_use]
pub fn decode_epitaph(page: &PageBytes) -> Option<Epitaph> {
    if !is_whole(page, EPITAPH_MAGIC) {
        return None;
    }
    let length = usize::try_from(read_u32(&page.0, 48)).ok()?;
    let text = page.0.get(TEXT_AT..)?.get(..length)?;
    let resumed = Epoch(read_u64(&page.0, 32));
    let failures = match (read_u32(&page.0, 52), read_u64(&page.0, 56)) {
        (0, _) | (_, 0) => Failures { count: 1, first: resumed }, // of a kernel that did not count
        (count, first) => Failures { count, first: Epoch(first) },
    };
    Some(Epitaph {
        store: StoreId(read_u128(page, 16)),
        resumed,
        failures,
        epoch: Epoch(read_u64(&page.0, 40)),
        text: String::from_utf8_lossy(text).into_owned(),
    })
}

fn read_u128(page: &PageBytes, at: usize) -> u128 {
    u128::from(read_u64(&page.0, at)) | (u128::from(read_u64(&page.0, at.saturating_add(8))) << 64)
}

fn seal(page: &mut PageBytes) {
    write_u64(&mut page.0, CHECKSUM_AT, 0);
    let checksum = xxhash_rust::xxh3::xxh3_64(&page.0);
    write_u64(&mut page.0, CHECKSUM_AT, checksum);
}

fn is_whole(page: &PageBytes, magic: u64) -> bool {
    let mut copy = Box::new(page.clone());
    write_u64(&mut copy.0, CHECKSUM_AT, 0);
    read_u64(&page.0, 0) == magic
        && read_u64(&page.0, CHECKSUM_AT) == xxhash_rust::xxh3::xxh3_64(&copy.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guard_and_epitaph_survive_encoding_and_torn_ones_are_none() {
        let guard = Guard {
            store: StoreId(1 << 100),
            session: SessionId(2),
            counter: 3,
            generation: Generation(7),
        };
        let mut page = guard.encode();
        assert_eq!(Guard::decode(&page), Some(guard));
        page.0[50] ^= 1;
        assert_eq!(Guard::decode(&page), None);
        let epitaph = Epitaph {
            store: StoreId(4),
            resumed: Epoch(5),
            epoch: Epoch(6),
            failures: Failures { count: 2, first: Epoch(3) },
            text: "ä".repeat(3000),
        };
        let mut page = encode_epitaph(&epitaph);
        let read = decode_epitaph(&page).unwrap();
        assert_eq!(read.text, "ä".repeat(EPITAPH_TEXT_BYTES / 2));
        assert_eq!(read.failures, epitaph.failures);
        let uncounted = Failures { count: 0, first: Epoch(0) };
        let old = encode_epitaph(&Epitaph { failures: uncounted, ..epitaph });
        let once = Failures { count: 1, first: Epoch(5) };
        assert_eq!(decode_epitaph(&old).map(|old| old.failures), Some(once));
        assert_eq!((read.store, read.resumed, read.epoch), (StoreId(4), Epoch(5), Epoch(6)));
        page.0[4095] ^= 1;
        assert_eq!(decode_epitaph(&page), None);
    }
}
