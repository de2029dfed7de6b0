//! Addresses for devices. Everything that is shared with a device lies in the map of physical memory (the kernel's heap
//! and the frames of the pool), so sharing is arithmetic and unsharing is nothing.

use crate::memory::{self, physical_address, virtual_address};
use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::ptr::NonNull;
use revenant_hal::PAGE_SIZE;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// The kernel's memory as `virtio-drivers` sees it.
pub(super) struct KernelMemory;

fn pages_layout(pages: usize) -> Option<Layout> {
    Layout::from_size_align(pages.checked_mul(PAGE_SIZE)?, PAGE_SIZE).ok()
}

// SAFETY: 1. memory for queues comes from the heap, page-aligned, zeroed, and belongs to the caller until it is given
// back; the heap is physically contiguous; 2. device registers are mapped by `map_device`; 3. the addresses of shared
// buffers are translated by the fixed distance of the map of physical memory, asserted to be inside it.
unsafe impl Hal for KernelMemory {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let memory = match pages_layout(pages) {
            // SAFETY: the layout is not empty: queues have at least one page.
            Some(layout) if pages > 0 => unsafe { alloc_zeroed(layout) },
            _ => core::ptr::null_mut(),
        };
        // An address of zero is how this interface says that there is no memory.
        NonNull::new(memory).map_or((0, NonNull::dangling()), |pointer| {
            (physical_address(memory.expose_provenance()), pointer)
        })
    }

    unsafe fn dma_dealloc(_physical: PhysAddr, pointer: NonNull<u8>, pages: usize) -> i32 {
        if let Some(layout) = pages_layout(pages) {
            // SAFETY: the caller gives back what `dma_alloc` handed out for as many pages.
            unsafe { dealloc(pointer.as_ptr(), layout) };
        }
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, size: usize) -> NonNull<u8> {
        memory::map_device(physical, size as u64);
        device_pointer(physical)
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        translate(buffer)
    }

    unsafe fn unshare(_physical: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// Where the map of physical memory shows a device's registers.
pub(super) fn device_pointer(physical: PhysAddr) -> NonNull<u8> {
    let pointer = core::ptr::with_exposed_provenance_mut(virtual_address(physical));
    NonNull::new(pointer).unwrap_or(NonNull::dangling())
}

/// The physical address of a buffer in the map of physical memory.
///
/// # Panics
/// If the buffer lies elsewhere (on the stack, in the kernel's image): a driver's bug that would send a device to
/// memory of others.
pub(super) fn translate(buffer: NonNull<[u8]>) -> PhysAddr {
    let address = buffer.cast::<u8>().as_ptr().expose_provenance();
    let physical = physical_address(address);
    assert!(physical < memory::MAP_BYTES, "a buffer for a device lies outside the physical map");
    physical
}
