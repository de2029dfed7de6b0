//! Reads of single blocks that are believed only if their checksum holds, with the second copy as a fallback.
//!
//! Invariant: every started read ends in exactly one result: the bytes that the reference names, or a [`DamagedBlock`].

use crate::error::{BlockRole, DamagedBlock};
use crate::io::{Io, owned};
use crate::reference::Reference;
use alloc::{boxed::Box, collections::BTreeMap};
use revenant_hal::{DiskCompletion, PageBytes};

#[derive(Debug)]
struct Pending<K> {
    key: K,
    reference: Reference,
    role: BlockRole,
    mirror: bool,
}

/// Reads in progress, each with what its owner wants to remember.
#[derive(Debug)]
pub(crate) struct VerifiedReads<K> {
    pending: BTreeMap<u64, Pending<K>>,
    /// Planted fault: believe everything.
    pub(crate) believe: bool,
}

/// The end of a verified read.
pub(crate) type VerifiedRead<K> = (K, Reference, Result<Box<PageBytes>, DamagedBlock>);

impl<K> VerifiedReads<K> {
    pub(crate) const fn new() -> Self {
        Self { pending: BTreeMap::new(), believe: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Starts a read; the reference is not zero.
    pub(crate) fn start(&mut self, io: &mut Io, key: K, reference: Reference, role: BlockRole) {
        assert!(!reference.is_zero(), "nothing is read for a zero reference");
        let tag = io.read(reference.block, 1);
        self.pending.insert(tag, Pending { key, reference, role, mirror: false });
    }

    /// Whether the completion belongs to one of these reads.
    pub(crate) fn owns(&self, completion: &DiskCompletion) -> bool {
        self.pending.contains_key(&completion.tag.0)
    }

    /// Takes a completion: the end of the read, or nothing if it is not one of these or the second copy is tried.
    pub(crate) fn complete(
        &mut self,
        io: &mut Io,
        completion: DiskCompletion,
    ) -> Option<VerifiedRead<K>> {
        let mut pending = self.pending.remove(&completion.tag.0)?;
        let error = completion.result.err();
        let page = owned(completion.buffers).pop().filter(|_| error.is_none());
        if let Some(page) = page
            && (self.believe || pending.reference.matches(&page))
        {
            return Some((pending.key, pending.reference, Ok(page)));
        }
        if !pending.mirror && pending.reference.mirror.0 != 0 {
            pending.mirror = true;
            let tag = io.read(pending.reference.mirror, 1);
            self.pending.insert(tag, pending);
            return None;
        }
        let Reference { block, birth, .. } = pending.reference;
        let damage = DamagedBlock { block, role: pending.role, device_error: error, birth };
        Some((pending.key, pending.reference, Err(damage)))
    }
}
