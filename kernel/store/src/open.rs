//! Opening a disk: read the ring, choose among the two newest, guard it, bury what could win later.
//!
//! The public interface; its body is being filled in.

use crate::api::{OpenReport, OpenRequest};
use crate::error::Refusal;
use crate::store::Store;
use alloc::boxed::Box;
use revenant_hal::{Disk, DiskCompletion};

/// An opening in progress.
#[derive(Debug)]
pub struct Opening {
    request: OpenRequest,
}

/// What a step of an opening did.
#[derive(Debug)]
#[must_use]
pub enum OpenOutcome {
    /// Call again soon.
    Again,
    /// Waiting for completions of the disk.
    Waiting,
    /// Done: the store, and what was found.
    Opened(Box<Store>, Box<OpenReport>),
    /// Refused; nothing was written.
    Refused(Refusal),
}

impl Opening {
    /// Prepares to open a disk.
    #[must_use]
    pub fn new(request: OpenRequest) -> Self {
        Self { request }
    }

    /// Starts and continues I/O; bounded work.
    pub fn step<D: Disk + ?Sized>(&mut self, _disk: &mut D) -> OpenOutcome {
        let _ = self.request;
        OpenOutcome::Refused(Refusal::NotOurs)
    }

    /// Takes a completion ([`Store::owns`]).
    pub fn complete(&mut self, _completion: DiskCompletion) {}
}
