//! Physical memory through the loader's map of it: every physical address is readable at a fixed distance.
//!
//! Invariant: the map lies outside object space and stays as the loader made it, but for device registers that it does
//! not reach, which are added; it is used for the kernel's heap, for page tables, for frames that are not mapped
//! writable in object space, and for devices.

use crate::entry::PHYSICAL_MAP;
use alloc::alloc::alloc_zeroed;
use core::alloc::Layout;
use core::ptr::{self, NonNull};
use revenant_hal::{PAGE_SIZE, PAGE_SIZE_U64};
use x86_64::registers::control::Cr3;

/// The size of the map: physical addresses are below 2^46, 64 TiB.
pub(crate) const MAP_BYTES: u64 = 1 << 46;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const WRITE_THROUGH: u64 = 1 << 3;
const NOT_CACHED: u64 = 1 << 4;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const NO_EXECUTE: u64 = 1 << 63;

/// Where the map shows a physical address.
#[must_use]
pub(crate) const fn virtual_address(physical: u64) -> usize {
    to_usize(PHYSICAL_MAP + physical)
}

/// The physical address that the map shows here, for addresses inside the map.
#[must_use]
pub(crate) const fn physical_address(address: usize) -> u64 {
    (address as u64).wrapping_sub(PHYSICAL_MAP)
}

/// The kernel runs on 64 bits, where the two are the same.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "usize has 64 bits on the only machine there is"
)]
pub(crate) const fn to_usize(number: u64) -> usize {
    const _: () = assert!(size_of::<usize>() == size_of::<u64>());
    number as usize
}

/// Makes the map show the registers of a device, uncached. The loader maps RAM and the first 4 GiB; firmware may put a
/// device anywhere.
///
/// # Panics
/// If the registers lie beyond 64 TiB, which no machine that QEMU models has.
pub(crate) fn map_device(physical: u64, bytes: u64) {
    assert!(
        physical < MAP_BYTES && bytes < MAP_BYTES - physical,
        "device registers at {physical:#x}"
    );
    let first = physical / PAGE_SIZE_U64;
    let last = (physical + bytes.max(1) - 1) / PAGE_SIZE_U64;
    for page in first..=last {
        map_device_page(page * PAGE_SIZE_U64);
    }
}

/// Adds one page to the map if no table or large page covers it.
fn map_device_page(physical: u64) {
    let address = PHYSICAL_MAP + physical;
    let (root, _) = Cr3::read_raw();
    let mut table = root.start_address().as_u64();
    for shift in [39, 30, 21] {
        let slot = entry(table, address >> shift & 0x1ff);
        // SAFETY: an entry of a live page table, reached through the map.
        let mut bits = unsafe { slot.read_volatile() };
        if bits & PRESENT == 0 {
            let Some(fresh) = leaked_page() else {
                panic!("the heap has no page for a table of device registers")
            };
            bits = physical_address(fresh.as_ptr().expose_provenance()) | PRESENT | WRITABLE;
            // SAFETY: as above; the new table is empty, so nothing changes but what is added below it.
            unsafe { slot.write_volatile(bits) };
        } else if bits & LARGE != 0 {
            return;
        }
        table = bits & ADDRESS;
    }
    let slot = entry(table, address >> 12 & 0x1ff);
    // SAFETY: as above.
    if unsafe { slot.read_volatile() } & PRESENT == 0 {
        let bits = physical | PRESENT | WRITABLE | WRITE_THROUGH | NOT_CACHED | NO_EXECUTE;
        // SAFETY: maps registers of a device at the address that the map reserves for them; nothing was there.
        unsafe { slot.write_volatile(bits) };
    }
}

/// A page of zeros, aligned to its size, out of the heap for good: for page tables and devices. None if the heap is full.
pub(crate) fn leaked_page() -> Option<NonNull<u8>> {
    const LAYOUT: Layout = match Layout::from_size_align(PAGE_SIZE, PAGE_SIZE) {
        Ok(layout) => layout,
        Err(_) => panic!("a page is a valid layout"),
    };
    // SAFETY: the layout is not empty.
    NonNull::new(unsafe { alloc_zeroed(LAYOUT) })
}

fn entry(table: u64, index: u64) -> *mut u64 {
    ptr::with_exposed_provenance_mut::<u64>(virtual_address(table)).wrapping_add(to_usize(index))
}
