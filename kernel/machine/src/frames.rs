//! The frames of RAM that the pager manages, and page tables of object space built out of them.
//!
//! Frames are numbered from zero through the regions of the memory map, largest region first, so that the common lookup
//! ends at the first comparison. [`FramePool`] implements `FrameMemory` over the loader's map of physical memory;
//! [`ObjectTables`] implements `Mmu`: entries 32 to 63 of the processor's root table and whatever hangs below them.
//!
//! Invariants: a frame's number never changes; no entry of the root outside 32..64 is touched; no entry is global or
//! large; object space is not executable and not reachable from user mode. W and D bits are never read back to decide
//! anything: `entry` reports W because the walk asserts on it.

use crate::boot::{Handover, MAX_REGIONS, PhysicalRegion};
use crate::memory::virtual_address;
use core::arch::asm;
use core::ptr;
use revenant_hal::{
    FrameIndex, FrameMemory, Mmu, OBJECT_SPACE_BASE, PAGE_SIZE, PAGE_SIZE_U64, PageBytes,
    PageIndex, TABLE_ENTRIES, TableEntry,
};
use x86_64::instructions::tlb;
use x86_64::registers::control::Cr3;

/// Entries of the root table that cover object space.
const TOP_ENTRIES: usize = 32;
/// Bytes that one entry of the root table covers.
const TOP_ENTRY_SPAN: u64 = 1 << 39;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const ACCESSED: u64 = 1 << 5;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const NO_EXECUTE: u64 = 1 << 63;

/// One region and the number of its first frame.
#[derive(Clone, Copy, Default)]
struct Span {
    first: u32,
    count: u32,
    physical: u64,
}

/// Numbers frames: the correspondence of frame indices and physical addresses.
#[derive(Clone)]
struct FrameMap {
    spans: [Span; MAX_REGIONS],
    total: u32,
}

impl FrameMap {
    fn new(regions: &[PhysicalRegion]) -> Self {
        let mut sorted = [PhysicalRegion::default(); MAX_REGIONS];
        let count = regions.len().min(MAX_REGIONS);
        sorted[..count].copy_from_slice(&regions[..count]);
        sorted.sort_unstable_by_key(|region| core::cmp::Reverse(region.frames));
        let mut map = Self { spans: [Span::default(); MAX_REGIONS], total: 0 };
        for (span, region) in map.spans.iter_mut().zip(sorted) {
            let count = u32::try_from(region.frames).unwrap_or(u32::MAX).min(u32::MAX - map.total);
            *span = Span { first: map.total, count, physical: region.start };
            map.total += count;
        }
        map
    }

    /// The physical address of a frame.
    ///
    /// # Panics
    /// If there is no such frame: it was made up.
    #[inline]
    fn physical(&self, frame: FrameIndex) -> u64 {
        let [first, others @ ..] = &self.spans;
        if frame.get() < first.count {
            return first.physical + u64::from(frame.get()) * PAGE_SIZE_U64;
        }
        Self::physical_in(others, frame)
    }

    #[inline(never)]
    fn physical_in(spans: &[Span], frame: FrameIndex) -> u64 {
        for span in spans {
            let offset = frame.get().wrapping_sub(span.first);
            if offset < span.count {
                return span.physical + u64::from(offset) * PAGE_SIZE_U64;
            }
        }
        panic!("{frame:?} is not in the pool")
    }

    /// The frame at a physical address that came from [`Self::physical`].
    ///
    /// # Panics
    /// If the address is in no region: a damaged page table.
    #[inline]
    fn frame(&self, physical: u64) -> FrameIndex {
        let [first, others @ ..] = &self.spans;
        let offset = physical.wrapping_sub(first.physical) / PAGE_SIZE_U64;
        if offset < u64::from(first.count) {
            return FrameIndex((offset & 0xffff_ffff) as u32);
        }
        Self::frame_in(others, physical)
    }

    #[inline(never)]
    fn frame_in(spans: &[Span], physical: u64) -> FrameIndex {
        for span in spans {
            let offset = physical.wrapping_sub(span.physical) / PAGE_SIZE_U64;
            if offset < u64::from(span.count)
                && let Ok(offset) = u32::try_from(offset)
            {
                return FrameIndex(span.first + offset);
            }
        }
        panic!("physical address {physical:#x} is not in the pool")
    }

    #[inline]
    fn address(&self, frame: FrameIndex) -> usize {
        virtual_address(self.physical(frame))
    }
}

/// The content of the frames.
pub struct FramePool {
    map: FrameMap,
}

/// Page tables of object space and the TLB.
pub struct ObjectTables {
    map: FrameMap,
    /// The processor's root table, through the map of physical memory.
    root: *mut u64,
}

// SAFETY: the root table is reachable from anywhere; there is one processor, and one `ObjectTables`.
unsafe impl Send for ObjectTables {}

/// Turns all memory that is left into the pager's pool. Consumes the handover, so there is one pool.
#[must_use]
pub fn take_all(handover: Handover) -> (FramePool, ObjectTables) {
    let map = FrameMap::new(handover.regions());
    let (root, _) = Cr3::read_raw();
    let root = ptr::with_exposed_provenance_mut(virtual_address(root.start_address().as_u64()));
    (FramePool { map: map.clone() }, ObjectTables { map, root })
}

impl FramePool {
    /// Takes so many frames out of the pool, for measurements: from here on the pool counts fewer, and those from its count on are the
    /// caller's.
    pub fn set_aside(&mut self, count: u32) {
        self.map.total = self.map.total.saturating_sub(count);
    }

    /// A second view of the same pool for a driver, which needs addresses and no contents.
    pub(crate) fn addresses(&self) -> FrameAddresses {
        FrameAddresses(self.map.clone())
    }
}

/// Where frames are, without the right to read them.
#[derive(Clone)]
pub(crate) struct FrameAddresses(FrameMap);

impl FrameAddresses {
    pub(crate) fn address(&self, frame: FrameIndex) -> usize {
        self.0.address(frame)
    }
}

impl FrameMemory for FramePool {
    fn frame_count(&self) -> u32 {
        self.map.total
    }

    fn bytes(&self, frame: FrameIndex) -> &PageBytes {
        // SAFETY: 1. the frame is in the pool, so it is memory that nothing outside the pager uses, mapped for good;
        // 2. it is aligned to its size; 3. any bits are a valid `PageBytes`; 4. `&self` keeps it from changing through
        // this pool, and programs change only mapped writable frames, which the pager does not read.
        unsafe { &*ptr::with_exposed_provenance(self.map.address(frame)) }
    }

    fn bytes_mut(&mut self, frame: FrameIndex) -> &mut PageBytes {
        // SAFETY: as in `bytes`; `&mut self` makes the reference the only one.
        unsafe { &mut *ptr::with_exposed_provenance_mut(self.map.address(frame)) }
    }

    fn copy(&mut self, source: FrameIndex, target: FrameIndex) {
        debug_assert_ne!(source, target, "a frame is not copied onto itself");
        let (source, target) = (self.map.address(source), self.map.address(target));
        // SAFETY: both are whole frames of the pool, mapped for good; the copy goes upwards (DF is clear).
        unsafe {
            asm!("rep movsq", inout("rsi") source => _, inout("rdi") target => _, inout("rcx") PAGE_SIZE / 8 => _,
                options(nostack, preserves_flags));
        }
    }

    fn zero(&mut self, frame: FrameIndex) {
        let target = self.map.address(frame);
        // Plain stores: an emulator takes about a microsecond longer for the string instruction. (Not so for the copy.)
        // SAFETY: a whole frame of the pool, mapped for good.
        unsafe {
            asm!(
                "2:",
                "mov [{target}], {zero}",
                "mov [{target} + 8], {zero}",
                "mov [{target} + 16], {zero}",
                "mov [{target} + 24], {zero}",
                "mov [{target} + 32], {zero}",
                "mov [{target} + 40], {zero}",
                "mov [{target} + 48], {zero}",
                "mov [{target} + 56], {zero}",
                "add {target}, 64",
                "cmp {target}, {end}",
                "jne 2b",
                target = inout(reg) target => _,
                end = in(reg) target + PAGE_SIZE,
                zero = in(reg) 0u64,
                options(nostack),
            );
        }
    }
}

impl ObjectTables {
    fn table(&self, table: FrameIndex) -> *mut u64 {
        ptr::with_exposed_provenance_mut(self.map.address(table))
    }

    fn decode(&self, bits: u64) -> Option<TableEntry> {
        (bits & PRESENT != 0).then(|| TableEntry {
            frame: self.map.frame(bits & ADDRESS),
            writable: bits & WRITABLE != 0,
            accessed: bits & ACCESSED != 0,
        })
    }

    fn encode(&self, entry: Option<TableEntry>) -> u64 {
        entry.map_or(0, |entry| {
            self.map.physical(entry.frame)
                | PRESENT
                | if entry.writable { WRITABLE } else { 0 }
                | if entry.accessed { ACCESSED } else { 0 }
        })
    }

    /// The slot of a top-level entry of object space.
    fn top_slot(&self, index: usize) -> *mut u64 {
        const FIRST: usize = crate::memory::to_usize(OBJECT_SPACE_BASE / TOP_ENTRY_SPAN);
        assert!(index < TOP_ENTRIES, "top-level entry {index} is not in object space");
        self.root.wrapping_add(FIRST + index)
    }
}

fn slot(table: *mut u64, index: usize) -> *mut u64 {
    assert!(index < TABLE_ENTRIES, "a page table has 512 entries");
    table.wrapping_add(index)
}

impl Mmu for ObjectTables {
    fn entry(&self, table: FrameIndex, index: usize) -> Option<TableEntry> {
        // SAFETY: a slot of a frame of the pool, aligned; volatile because the processor sets A and D bits.
        self.decode(unsafe { slot(self.table(table), index).read_volatile() })
    }

    fn set_entry(&mut self, table: FrameIndex, index: usize, entry: Option<TableEntry>) {
        let bits = self.encode(entry);
        // SAFETY: as in `entry`; what the entry maps is a frame of the pool, at an address in object space.
        unsafe { slot(self.table(table), index).write_volatile(bits) };
    }

    fn clear_table(&mut self, table: FrameIndex) {
        let target = self.table(table);
        // SAFETY: a whole frame of the pool.
        unsafe {
            asm!("rep stosq", inout("rdi") target => _, inout("rcx") TABLE_ENTRIES => _, in("rax") 0u64,
                options(nostack, preserves_flags));
        }
    }

    fn protect_table(&mut self, table: FrameIndex) {
        let first = self.table(table);
        for index in 0..TABLE_ENTRIES {
            let slot = first.wrapping_add(index);
            // SAFETY: a slot of a frame of the pool. Plain accesses: an A or D bit that the processor sets between the
            // two is lost, which the rules allow.
            unsafe { slot.write(slot.read() & !WRITABLE) };
        }
    }

    fn top_entry(&self, index: usize) -> Option<TableEntry> {
        // SAFETY: an entry of the root table that covers object space and belongs to nobody else.
        self.decode(unsafe { self.top_slot(index).read_volatile() } & !NO_EXECUTE)
    }

    fn set_top_entry(&mut self, index: usize, entry: Option<TableEntry>) {
        let bits = self.encode(entry);
        let bits = if bits == 0 { 0 } else { bits | NO_EXECUTE };
        // SAFETY: as in `top_entry`; the table below is a frame of the pool that maps frames of the pool.
        unsafe { self.top_slot(index).write_volatile(bits) };
    }

    fn invalidate_page(&mut self, page: PageIndex) {
        tlb::flush(x86_64::VirtAddr::new_truncate(page.address().0));
    }

    fn invalidate_all(&mut self) {
        tlb::flush_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_numbered_through_the_regions_largest_first() {
        let map = FrameMap::new(&[
            PhysicalRegion { start: 0x10_0000, frames: 16 },
            PhysicalRegion { start: 0x100_0000, frames: 1000 },
        ]);
        assert_eq!(map.total, 1016);
        assert_eq!(map.physical(FrameIndex(0)), 0x100_0000);
        assert_eq!(map.physical(FrameIndex(1000)), 0x10_0000);
        for index in [0, 1, 999, 1000, 1015] {
            assert_eq!(map.frame(map.physical(FrameIndex(index))), FrameIndex(index));
        }
    }

    #[test]
    #[should_panic(expected = "not in the pool")]
    fn a_frame_beyond_the_pool_is_a_bug() {
        FrameMap::new(&[PhysicalRegion { start: 0x10_0000, frames: 16 }]).physical(FrameIndex(16));
    }
}
