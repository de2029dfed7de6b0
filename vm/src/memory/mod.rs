//! Raw access to object space: confined, typed, fault-aware. One of the two places of `vm` that may hold unsafe code.
//!
//! Everything above (heap, counting, objects, interpreter) is safe code over [`Space`], a token that proves that
//! [2^44, 2^45) is mapped or served by a pager. Whatever address it is given, an access stays inside (see `confine`).
//!
//! **Touch all, then change.** In the kernel any access may fault and the fault may abandon the attempt: the code behind
//! it never runs. So an operation first touches all it will change or need ([`Space::touch_read`], [`Space::touch_write`]),
//! then calls [`Space::begin_changes`], then stores. Between the two the compiler may move nothing. In builds with debug
//! assertions on the host, a test can end an attempt at the n-th touch and can have every store checked against the
//! touches (`attempt`).
//!
//! ```text
//!   layout    the disk format as numbers (OBJECTS.md)
//!   confine   address arithmetic                     space    loads, stores, copies, touches
//!   attempt   the tests' hooks: end at the n-th touch, check of "touch, then change"
//!   host      (feature `host`) the memory itself: a sparse file at the fixed address
//! ```
#![expect(unsafe_code, reason = "object space is raw memory at a fixed address")]

mod attempt;
mod confine;
#[cfg(feature = "host")]
mod host;
pub mod layout;
mod space;

pub use confine::{confine, confine_aligned, confine_range};
pub use space::{AddressExt, Scalar, Space};

#[cfg(all(feature = "host", debug_assertions))]
pub use attempt::{AttemptEnded, Attempts};
#[cfg(feature = "host")]
pub use host::{HostError, HostSpace};
