//! Formatting: a fresh ring, an empty allocator, no snapshot.
//!
//! The public interface; its body is being filled in.

use crate::api::StoreId;
use crate::error::Refusal;
use revenant_hal::{Disk, DiskCompletion};

/// A formatting in progress. Everything on the disk is lost.
#[derive(Debug)]
pub struct Formatting {
    store: StoreId,
    vm_abi: u32,
}

/// What a step of formatting did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum FormatOutcome {
    /// Call again soon.
    Again,
    /// Waiting for completions of the disk.
    Waiting,
    /// Durable; open it.
    Formatted,
    /// Not done, and why.
    Refused(Refusal),
}

impl Formatting {
    /// Prepares to format a disk with a fresh random name, for objects of virtual machine `vm_abi`.
    #[must_use]
    pub fn new(store: StoreId, vm_abi: u32) -> Self {
        Self { store, vm_abi }
    }

    /// Starts and continues I/O; bounded work.
    pub fn step<D: Disk + ?Sized>(&mut self, _disk: &mut D) -> FormatOutcome {
        let _ = (self.store, self.vm_abi);
        FormatOutcome::Refused(Refusal::NotOurs)
    }

    /// Takes a completion ([`crate::Store::owns`]).
    pub fn complete(&mut self, _completion: DiskCompletion) {}
}
