//! The split queue of the running driver (virtio 1.1, 2.6): rings in memory shared with the device, of the size that the device
//! has.
//!
//! `virtio-drivers`' own queue takes a chain as lists of slices, again when it is done, and a list of its own for what the device
//! reads: seven allocations and 1,000 instructions a request. Here a request keeps its descriptors with itself.
//!
//! ```text
//!   descriptors   one a chain, which names the request's list (indirect), or one for each part, linked
//!   available     heads of chains, in the order in which they were added
//!   used          heads of chains that the device is done with
//! ```
//!
//! Invariants: nothing that the device could have written is believed but the used ring, and of that only a head that its caller
//! knows to be in flight; which descriptors are free, and how they are linked, is kept in memory of our own.

use super::dma::{KernelMemory, translate};
use super::{QUEUE, Wire};
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};
use revenant_hal::PAGE_SIZE;
use virtio_drivers::transport::Transport;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// More are not used: 16 KiB of descriptors.
const LARGEST: u32 = 1024;
const SMALLEST: u32 = 4;
/// Flags of a descriptor.
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// Flag of the used ring: the device looks at the available ring without being told.
const NO_NOTIFY: u16 = 1;
/// Where the index and the entries of both rings stand.
const INDEX: usize = 2;
const ENTRIES: usize = 4;
/// Bytes of an entry of the used ring: the head, and a length that nobody needs.
const USED_ENTRY: usize = 8;
const AVAILABLE_ENTRY: usize = 2;

/// A piece of memory for the device.
#[repr(C, align(16))]
#[derive(Clone, Copy, Default)]
pub(super) struct Descriptor {
    address: u64,
    length: u32,
    flags: u16,
    next: u16,
}

impl Descriptor {
    /// Memory in the physical map, which the device writes or reads.
    pub(super) fn new(address: usize, length: usize, writes: bool) -> Self {
        let flags = if writes { WRITE } else { 0 };
        let length = u32::try_from(length).unwrap_or(u32::MAX); // at most a segment that the device takes
        Self { address: physical(address), length, flags, next: 0 }
    }

    /// Extends it by as much memory behind it if that is there and the whole is not too long; whether it was.
    pub(super) fn extend(&mut self, address: usize, length: usize, most: usize) -> bool {
        let whole = self.length as usize + length;
        let fits = whole <= most
            && self.address + u64::from(self.length) == physical(address)
            && u32::try_from(whole).is_ok();
        if fits {
            self.length = u32::try_from(whole).unwrap_or(self.length);
        }
        fits
    }
}

fn physical(address: usize) -> PhysAddr {
    let pointer = core::ptr::with_exposed_provenance_mut::<u8>(address);
    translate(NonNull::slice_from_raw_parts(
        NonNull::new(pointer).unwrap_or(NonNull::dangling()),
        1,
    ))
}

/// The queue.
pub(super) struct Queue {
    size: u16,
    indirect: bool,
    /// The shared memory: descriptors, the available ring behind them, the used ring on pages of its own.
    descriptors: *mut Descriptor,
    available: *mut u8,
    used: *mut u8,
    pages: usize,
    /// Of each descriptor: the next of its chain, or of the free ones.
    next: Vec<u16>,
    /// Of each head in flight: descriptors of its chain.
    taken: Vec<u16>,
    free: u16,
    first_free: u16,
    /// Chains added, and chains taken back, modulo 2^16.
    added: u16,
    done: u16,
}

// SAFETY: the pointers lead into memory that the queue owns and that is reachable from anywhere.
unsafe impl Send for Queue {}

impl Queue {
    /// The largest queue that the device has and we use. None if there is no memory or no queue.
    pub(super) fn largest(transport: &mut PciTransport, indirect: bool) -> Option<Self> {
        let most = transport.max_queue_size(QUEUE).min(LARGEST);
        if most < SMALLEST || transport.queue_used(QUEUE) {
            return None;
        }
        let size = 1 << most.ilog2();
        let count = usize::from(size);
        let descriptor_bytes = count * size_of::<Descriptor>();
        // Each ring ends with a word for events, which are not negotiated.
        let available_bytes = ENTRIES + count * AVAILABLE_ENTRY + 2;
        let used_bytes = ENTRIES + count * USED_ENTRY + 2;
        let driver_pages = (descriptor_bytes + available_bytes).div_ceil(PAGE_SIZE);
        let pages = driver_pages + used_bytes.div_ceil(PAGE_SIZE);
        let (address, memory) = KernelMemory::dma_alloc(pages, BufferDirection::Both);
        if address == 0 {
            return None;
        }
        let memory = memory.as_ptr();
        let used = memory.wrapping_add(driver_pages * PAGE_SIZE);
        let available_address = address + descriptor_bytes as u64;
        let used_address = address + (driver_pages * PAGE_SIZE) as u64;
        transport.queue_set(QUEUE, size.into(), address, available_address, used_address);
        Some(Self {
            size,
            indirect,
            descriptors: memory.cast(),
            available: memory.wrapping_add(descriptor_bytes),
            used,
            pages,
            next: (1..=size).collect(),
            taken: vec![0; count],
            free: size,
            first_free: 0,
            added: 0,
            done: 0,
        })
    }

    /// Descriptors; with indirect ones, requests.
    pub(super) fn size(&self) -> usize {
        usize::from(self.size)
    }

    /// Hands a request's descriptors to the device, which follows them in their order; the head of their chain, or none if there is
    /// no room.
    ///
    /// # Safety
    /// The wire and the memory that its descriptors name stay valid and untouched until [`Queue::take`] has returned the head.
    pub(super) unsafe fn add(&mut self, wire: &mut Wire) -> Option<u16> {
        let parts = u16::try_from(wire.descriptors.len()).ok().filter(|parts| *parts > 0)?;
        let needed = if self.indirect { 1 } else { parts };
        if needed > self.free || parts > self.size {
            return None;
        }
        let head = self.first_free;
        if self.indirect {
            let mut number = 0;
            for part in &mut wire.descriptors {
                number += 1;
                (part.next, part.flags) = if number < parts {
                    (number, part.flags | NEXT)
                } else {
                    (0, part.flags & !NEXT)
                };
            }
            let address = wire.descriptors.as_ptr().expose_provenance();
            let length = size_of_val(wire.descriptors.as_slice());
            let list = Descriptor::new(address, length, false);
            self.first_free = self.next[usize::from(head)];
            self.write(head, Descriptor { flags: INDIRECT, ..list });
        } else {
            for (number, part) in (1..).zip(&wire.descriptors) {
                let place = self.first_free;
                let next = self.next[usize::from(place)];
                let flags = if number < parts { part.flags | NEXT } else { part.flags };
                self.first_free = next;
                self.write(place, Descriptor { flags, next, ..*part });
            }
        }
        self.taken[usize::from(head)] = needed;
        self.free -= needed;
        let entry = ENTRIES + usize::from(self.added & (self.size - 1)) * AVAILABLE_ENTRY;
        // SAFETY: an aligned entry of the available ring; the device does not look at it before the index says so.
        unsafe { self.available.wrapping_add(entry).cast::<u16>().write_volatile(head) };
        self.added = self.added.wrapping_add(1);
        // What the index announces has to be there before it, and the index before the look at whether a notice is wanted.
        fence(Ordering::SeqCst);
        // SAFETY: the aligned index of the available ring.
        unsafe { self.available.wrapping_add(INDEX).cast::<u16>().write_volatile(self.added) };
        fence(Ordering::SeqCst);
        Some(head)
    }

    fn write(&mut self, place: u16, descriptor: Descriptor) {
        assert!(place < self.size, "a free descriptor is one of the queue's");
        // SAFETY: a descriptor of the queue that is in no chain which the device knows.
        unsafe { self.descriptors.wrapping_add(place.into()).write_volatile(descriptor) };
    }

    /// What the device says is the head of a chain that it is done with; anything, from one that contradicts itself. Each once.
    pub(super) fn next_done(&mut self) -> Option<u16> {
        // SAFETY: the aligned index of the used ring, which the device writes.
        let index = unsafe { self.used.wrapping_add(INDEX).cast::<u16>().read_volatile() };
        if index == self.done {
            return None;
        }
        // What the index announces is there.
        fence(Ordering::Acquire);
        let entry = ENTRIES + usize::from(self.done & (self.size - 1)) * USED_ENTRY;
        // SAFETY: an aligned entry of the used ring.
        let head = unsafe { self.used.wrapping_add(entry).cast::<u32>().read_volatile() };
        self.done = self.done.wrapping_add(1);
        Some(u16::try_from(head).unwrap_or(u16::MAX))
    }

    /// Takes back the descriptors of a chain that was in flight, and that the device is done with.
    pub(super) fn release(&mut self, head: u16) {
        let count = core::mem::take(&mut self.taken[usize::from(head)]);
        assert!(count > 0, "the chain was in flight");
        let last = (1..count).fold(head, |place, _| self.next[usize::from(place)]);
        self.next[usize::from(last)] = self.first_free;
        self.first_free = head;
        self.free += count;
    }

    /// Whether the device wants to be told of new chains.
    pub(super) fn wants_notification(&self) -> bool {
        // SAFETY: the aligned flags of the used ring, which the device writes.
        unsafe { self.used.cast::<u16>().read_volatile() & NO_NOTIFY == 0 }
    }
}

impl Drop for Queue {
    /// The device was reset before: its transport goes first.
    fn drop(&mut self) {
        if let Some(memory) = NonNull::new(self.descriptors.cast::<u8>()) {
            // SAFETY: allocated by `largest` with as many pages, and not used any more.
            unsafe { KernelMemory::dma_dealloc(0, memory, self.pages) };
        }
    }
}
