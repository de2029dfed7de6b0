//! The virtio disk: the transport comes from `virtio-drivers`, the driver and its queue are ours.
//!
//! `virtio-drivers`' own block device is not used: it sends one contiguous buffer a request, its synchronous calls spin
//! without a bound, and its flush reports success on a device that has none.
//!
//! ```text
//!   block      VirtioDisk: hal::Disk, asynchronous, as deep as the queue, scatter-gather
//!   queue      the rings, as large as the device's      dma   addresses for devices
//!   emergency  one polled write after a panic, over a device that is reset first
//! ```

mod block;
mod dma;
mod emergency;
mod queue;

pub use block::{DiskOpenError, VirtioDisk};
pub use emergency::{EmergencyDisk, EmergencyError};

use crate::clock;
use alloc::vec::Vec;
use core::time::Duration;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::{DeviceStatus, Transport};

/// The only queue of a block device.
const QUEUE: u16 = 0;

/// Feature bits of the block device and the transport (virtio 1.1, 5.2.3 and 6).
mod feature {
    pub(super) const SIZE_MAX: u64 = 1 << 1;
    pub(super) const SEG_MAX: u64 = 1 << 2;
    pub(super) const READ_ONLY: u64 = 1 << 5;
    pub(super) const FLUSH: u64 = 1 << 9;
    pub(super) const DISCARD: u64 = 1 << 13;
    pub(super) const INDIRECT: u64 = 1 << 28;
    pub(super) const VERSION_1: u64 = 1 << 32;
}

/// What goes before the data of a request.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Header {
    kind: u32,
    reserved: u32,
    sector: u64,
}

/// Values of [`Header::kind`].
mod kind {
    pub(super) const READ: u32 = 0;
    pub(super) const WRITE: u32 = 1;
    pub(super) const FLUSH: u32 = 4;
    pub(super) const DISCARD: u32 = 11;
}

/// Values of the status byte behind the data.
mod status {
    pub(super) const OK: u8 = 0;
    pub(super) const UNSUPPORTED: u8 = 2;
    /// Never written by a device: what the byte holds before.
    pub(super) const UNANSWERED: u8 = 0xff;
}

/// The data of a request of kind [`kind::DISCARD`]: one range.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct DiscardRange {
    sector: u64,
    sectors: u32,
    flags: u32,
}

/// What a request needs beside its data, at addresses that devices reach: header and status, and the descriptors of all of it.
#[derive(Default)]
struct Wire {
    header: Header,
    range: DiscardRange,
    status: u8,
    descriptors: Vec<queue::Descriptor>,
}

impl Wire {
    fn header_bytes(&self) -> &[u8] {
        // SAFETY: `Header` is sixteen bytes of plain numbers without padding.
        unsafe { core::slice::from_raw_parts((&raw const self.header).cast(), size_of::<Header>()) }
    }
}

/// How long a device may take to reset: QEMU's are done at once.
const RESET_PATIENCE: Duration = Duration::from_secs(1);

/// Resets the device and waits until it says that it has; only then has it stopped using memory. False if it does not.
fn reset(transport: &mut PciTransport) -> bool {
    transport.set_status(DeviceStatus::empty());
    let start = clock::coarse_now();
    while !transport.get_status().is_empty() {
        if clock::coarse_now().saturating_sub(start) > RESET_PATIENCE {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// Resets the device and agrees on features; returns what both sides know. None if the device refuses.
fn negotiate(transport: &mut PciTransport, known: u64) -> Option<u64> {
    if !reset(transport) {
        return None;
    }
    let begun = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    transport.set_status(begun);
    let agreed = transport.read_device_features() & known;
    if agreed & feature::VERSION_1 == 0 {
        transport.set_status(DeviceStatus::FAILED);
        return None;
    }
    transport.write_driver_features(agreed);
    transport.set_status(begun | DeviceStatus::FEATURES_OK);
    if transport.get_status().contains(DeviceStatus::FEATURES_OK) { Some(agreed) } else { None }
}
