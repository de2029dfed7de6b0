//! The kernel's own heap: what Rust's `alloc` draws on in the kernel. Nothing in it survives; object space has an
//! allocator of its own.
//!
//! It lies in the physical map, in one piece of physical memory that nothing else uses, so that every allocation is
//! physically contiguous and a device can be handed its address. Whole aligned pages (map nodes, request buffers) come
//! from a list of their own: they are the most frequent size, and first fit would leave holes between them.

#[cfg(target_os = "none")]
use crate::boot::Handover;
use crate::cell::ExclusiveCell;
use crate::panic;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};
use linked_list_allocator::Heap;
use revenant_hal::{PAGE_SIZE, PageBytes};

/// The heap is this much whatever the memory, plus a fraction of it.
const FIXED_BYTES: u64 = 12 << 20;
const FRACTION: u64 = 16;

struct KernelHeap {
    general: Heap,
    /// Freed pages, each holding the address of the next in its first word.
    free_pages: *mut *mut u8,
    free_page_count: usize,
}

// SAFETY: the pointers lead into the heap's own memory, which is reachable from anywhere.
unsafe impl Send for KernelHeap {}

/// The allocator behind `alloc`.
struct Allocator(ExclusiveCell<KernelHeap>);

#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: Allocator = Allocator(ExclusiveCell::new(KernelHeap {
    general: Heap::empty(),
    free_pages: ptr::null_mut(),
    free_page_count: 0,
}));

fn is_page(layout: Layout) -> bool {
    layout.size() == PAGE_SIZE && layout.align() <= PAGE_SIZE
}

const PAGE_LAYOUT: Layout = match Layout::from_size_align(PAGE_SIZE, PAGE_SIZE) {
    Ok(layout) => layout,
    Err(_) => panic!("a page is a valid layout"),
};

impl KernelHeap {
    fn take(&mut self, layout: Layout) -> *mut u8 {
        if is_page(layout) && !self.free_pages.is_null() {
            let page = self.free_pages;
            // SAFETY: a page on the list is free memory of the heap whose first word was written by `give`.
            self.free_pages = unsafe { page.read() }.cast();
            self.free_page_count -= 1;
            return page.cast();
        }
        let layout = if is_page(layout) { PAGE_LAYOUT } else { layout };
        if let Ok(memory) = self.general.allocate_first_fit(layout) {
            return memory.as_ptr();
        }
        self.give_pages_back();
        self.general.allocate_first_fit(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    /// The general heap has nothing that fits: what lies idle as pages is joined to larger pieces again.
    #[cold]
    fn give_pages_back(&mut self) {
        while let Some(page) = NonNull::new(self.free_pages) {
            // SAFETY: a page on the list is free memory of the heap whose first word was written by `give`.
            self.free_pages = unsafe { page.read() }.cast();
            self.free_page_count -= 1;
            // SAFETY: it came from the general heap with this layout, and is off the list.
            unsafe { self.general.deallocate(page.cast(), PAGE_LAYOUT) };
        }
    }

    /// # Safety
    /// `pointer` came from [`Self::take`] with the same layout and is not used any more.
    unsafe fn give(&mut self, pointer: *mut u8, layout: Layout) {
        if is_page(layout) {
            let page: *mut *mut u8 = pointer.cast();
            // SAFETY: the caller gives up a page of the heap, aligned to its size because `take` asked for that.
            unsafe { page.write(self.free_pages.cast()) };
            self.free_pages = page;
            self.free_page_count += 1;
        } else if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: not a page, so it came from the general heap with this layout; the caller gives it up.
            unsafe { self.general.deallocate(pointer, layout) };
        }
    }
}

// SAFETY: blocks come from one heap, behind a cell with one holder at a time; layouts are passed on unchanged, except
// that pages are aligned more than asked for, the same way when they come back.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if panic::has_begun() {
            return take_last_words_memory(layout);
        }
        self.0.with_interrupts_off(|heap| heap.take(layout))
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if panic::has_begun() {
            return;
        }
        // SAFETY: `GlobalAlloc`'s contract is `give`'s.
        self.0.with_interrupts_off(|heap| unsafe { heap.give(pointer, layout) });
    }
}

/// What a panicking kernel allocates from, instead of a heap whose lists may be half changed; nothing is given back.
#[repr(align(4096))]
struct LastWordsMemory(UnsafeCell<[PageBytes; LAST_WORDS_PAGES]>);

/// Enough for an epitaph: its text, its page, and what formatting them needs.
const LAST_WORDS_PAGES: usize = 16;

// SAFETY: pieces of it are handed out once each, by an atomic counter.
unsafe impl Sync for LastWordsMemory {}

static LAST_WORDS: LastWordsMemory =
    LastWordsMemory(UnsafeCell::new([const { PageBytes::ZERO }; LAST_WORDS_PAGES]));
static LAST_WORDS_USED: AtomicUsize = AtomicUsize::new(0);

fn take_last_words_memory(layout: Layout) -> *mut u8 {
    let used = LAST_WORDS_USED.load(Ordering::Relaxed).next_multiple_of(layout.align());
    let end = used.saturating_add(layout.size());
    if end > LAST_WORDS_PAGES * PAGE_SIZE || layout.align() > PAGE_SIZE {
        return ptr::null_mut();
    }
    LAST_WORDS_USED.store(end, Ordering::Relaxed);
    LAST_WORDS.0.get().cast::<u8>().wrapping_add(used)
}

/// Bytes of the heap that are in use.
#[must_use]
pub fn used_bytes() -> usize {
    HEAP.0.with_interrupts_off(|heap| heap.general.used() - heap.free_page_count * PAGE_SIZE)
}

/// Bytes of the heap.
#[must_use]
pub fn size_bytes() -> usize {
    HEAP.0.with_interrupts_off(|heap| heap.general.size())
}

/// Gives the heap its memory, sized from what the machine has. Call once, before anything allocates.
///
/// # Panics
/// If no region is large enough: a machine that small cannot run the kernel at all.
#[cfg(target_os = "none")]
pub fn initialise(handover: &mut Handover) {
    let bytes = FIXED_BYTES + handover.usable_bytes() / FRACTION;
    let frames = bytes / revenant_hal::PAGE_SIZE_U64;
    let Some(region) = handover.take_frames(frames) else {
        panic!("no {} MiB of memory in one piece for the kernel's heap", bytes >> 20)
    };
    let start = ptr::with_exposed_provenance_mut(crate::memory::virtual_address(region.start));
    let size = crate::memory::to_usize(region.frames * revenant_hal::PAGE_SIZE_U64);
    HEAP.0.with_interrupts_off(|heap| {
        // SAFETY: 1. the region was just taken out of the handover, so nothing else uses it; 2. the loader maps all
        // physical memory writable at the physical map, for good.
        unsafe { heap.general.init(start, size) };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4096))]
    struct Area([u8; 64 * 1024]);

    #[test]
    fn pages_are_aligned_and_used_again_and_other_sizes_go_to_the_general_heap() {
        let area = Box::leak(Box::new(Area([0; 64 * 1024])));
        let mut heap =
            KernelHeap { general: Heap::empty(), free_pages: ptr::null_mut(), free_page_count: 0 };
        // SAFETY: the area is leaked, so it is the heap's for good.
        unsafe { heap.general.init(area.0.as_mut_ptr(), area.0.len()) };
        let loose = Layout::from_size_align(PAGE_SIZE, 8).unwrap();
        let small = Layout::from_size_align(24, 8).unwrap();
        let (first, other, second) = (heap.take(loose), heap.take(small), heap.take(PAGE_LAYOUT));
        assert!(!first.is_null() && !other.is_null() && !second.is_null());
        assert_eq!((first.addr() % PAGE_SIZE, second.addr() % PAGE_SIZE), (0, 0));
        // SAFETY: all three came from this heap with these layouts.
        unsafe {
            heap.give(first, loose);
            heap.give(second, PAGE_LAYOUT);
            heap.give(other, small);
        }
        assert_eq!(heap.free_page_count, 2);
        assert_eq!((heap.take(PAGE_LAYOUT), heap.take(loose)), (second, first));
        assert_eq!(heap.free_page_count, 0);
        // SAFETY: both came from this heap with this layout.
        unsafe {
            heap.give(first, PAGE_LAYOUT);
            heap.give(second, PAGE_LAYOUT);
        }
        // Most of the area: it fits only where the pages were.
        let large = Layout::from_size_align(60 * 1024, 8).unwrap();
        let piece = heap.take(large);
        assert!(!piece.is_null() && heap.free_page_count == 0);
        // SAFETY: as above.
        unsafe { heap.give(piece, large) };
        let exhausted =
            (0..64).map(|_| heap.take(PAGE_LAYOUT)).filter(|page| page.is_null()).count();
        assert!(exhausted > 40, "a full heap answers with null, not with somebody's memory");
    }
}
