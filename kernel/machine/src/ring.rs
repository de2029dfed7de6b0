//! A byte ring of fixed capacity: what lies between an interrupt handler and the event loop.
//!
//! Invariant: `length <= CAPACITY`; bytes leave in the order in which they came; a full ring refuses, it never overwrites.

/// A first-in first-out queue of bytes.
pub struct ByteRing<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
    first: usize,
    length: usize,
}

impl<const CAPACITY: usize> ByteRing<CAPACITY> {
    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; CAPACITY], first: 0, length: 0 }
    }

    /// Whether nothing is queued.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes queued.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Queues a byte; false if the ring is full.
    #[must_use]
    pub fn push(&mut self, byte: u8) -> bool {
        if self.length == CAPACITY {
            return false;
        }
        self.bytes[(self.first + self.length) % CAPACITY] = byte;
        self.length += 1;
        true
    }

    /// The byte that waited longest.
    pub fn pop(&mut self) -> Option<u8> {
        if self.length == 0 {
            return None;
        }
        let byte = self.bytes[self.first];
        self.first = (self.first + 1) % CAPACITY;
        self.length -= 1;
        Some(byte)
    }

    /// The byte that waited longest, left where it is.
    #[must_use]
    pub fn front(&self) -> Option<u8> {
        (self.length > 0).then(|| self.bytes[self.first])
    }
}

impl<const CAPACITY: usize> Default for ByteRing<CAPACITY> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_and_order_is_kept_over_the_wrap() {
        let mut ring = ByteRing::<3>::new();
        assert!(ring.push(1) && ring.push(2) && ring.push(3));
        assert!(!ring.push(4));
        assert_eq!(ring.pop(), Some(1));
        assert!(ring.push(4));
        assert_eq!((ring.front(), ring.len()), (Some(2), 3));
        assert_eq!(
            [ring.pop(), ring.pop(), ring.pop(), ring.pop()],
            [Some(2), Some(3), Some(4), None]
        );
        assert!(ring.is_empty());
    }
}
