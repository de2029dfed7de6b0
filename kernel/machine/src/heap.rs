//! The kernel's own heap: what Rust's `alloc` draws on in the kernel. Nothing in it survives; object space has an
//! allocator of its own.
//!
//! It lies in the physical map, in one piece of physical memory that nothing else uses, so that every allocation is
//! physically contiguous and a device can be handed its address. Whole aligned pages (map nodes, request buffers) come
//! from a list of their own: they are the most frequent size, and first fit would leave holes between them.
//!
//! First fit walks the free pieces in the order of addresses, about 500 instructions a call. So a few freed blocks of every
//! small size are kept for the next that asks for that size: what each request to the disk needs for its lists. Invariant: what
//! lies idle so is bounded, and all of it goes back before an allocation fails.
//!
//! No handler of an interrupt allocates, so interrupts stay on: to let them in again costs an emulator more than the allocation.
//! One that did would find the heap's cell held, and panic.

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

/// The heap is so many bytes whatever the memory, plus a fraction of it: one in [`FRACTION`].
pub const FIXED_BYTES: usize = 12 << 20;
/// See [`FIXED_BYTES`].
pub const FRACTION: usize = 16;
/// Sizes of small blocks are multiples of this, up to [`SMALL_CLASSES`] times.
const SMALL_STEP: usize = 16;
const SMALL_CLASSES: usize = 32;
/// That of a queue's descriptors.
const SMALL_ALIGNMENT: usize = 16;
/// Bytes of each small size that may lie idle.
const SMALL_IDLE_BYTES: usize = 8 << 10;

/// Freed blocks of one size, each holding the address of the next in its first word.
#[derive(Clone, Copy)]
struct FreeList {
    first: *mut *mut u8,
    count: usize,
}

impl FreeList {
    const EMPTY: Self = Self { first: ptr::null_mut(), count: 0 };

    /// # Safety
    /// `block` is free memory of the heap, large enough and aligned for a pointer, that only this list will use.
    unsafe fn push(&mut self, block: *mut u8) {
        let block: *mut *mut u8 = block.cast();
        // SAFETY: the caller's contract.
        unsafe { block.write(self.first.cast()) };
        self.first = block;
        self.count += 1;
    }

    fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = NonNull::new(self.first)?;
        // SAFETY: a block on the list is free memory whose first word was written by `push`.
        self.first = unsafe { block.read() }.cast();
        self.count -= 1;
        Some(block.cast())
    }
}

struct KernelHeap {
    general: Heap,
    pages: FreeList,
    /// By [`small_class`].
    small: [FreeList; SMALL_CLASSES],
}

// SAFETY: the pointers lead into the heap's own memory, which is reachable from anywhere.
unsafe impl Send for KernelHeap {}

/// The allocator behind `alloc`.
struct Allocator(ExclusiveCell<KernelHeap>);

#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: Allocator = Allocator(ExclusiveCell::new(KernelHeap::empty()));

fn is_page(layout: Layout) -> bool {
    layout.size() == PAGE_SIZE && layout.align() <= PAGE_SIZE
}

const PAGE_LAYOUT: Layout = match Layout::from_size_align(PAGE_SIZE, PAGE_SIZE) {
    Ok(layout) => layout,
    Err(_) => panic!("a page is a valid layout"),
};

/// The class of a small block: blocks of one class are interchangeable.
fn small_class(layout: Layout) -> Option<usize> {
    let class = layout.size().wrapping_sub(1) / SMALL_STEP;
    (class < SMALL_CLASSES && layout.align() <= SMALL_ALIGNMENT).then_some(class)
}

/// With what layout blocks of a class are asked of the general heap, and returned to it.
fn small_layout(class: usize) -> Layout {
    match Layout::from_size_align((class + 1) * SMALL_STEP, SMALL_ALIGNMENT) {
        Ok(layout) => layout,
        Err(_) => panic!("a small block is a valid layout"),
    }
}

impl KernelHeap {
    const fn empty() -> Self {
        Self {
            general: Heap::empty(),
            pages: FreeList::EMPTY,
            small: [FreeList::EMPTY; SMALL_CLASSES],
        }
    }

    fn take(&mut self, layout: Layout) -> *mut u8 {
        let (idle, layout) = match small_class(layout) {
            Some(class) => (self.small[class].pop(), small_layout(class)),
            None if is_page(layout) => (self.pages.pop(), PAGE_LAYOUT),
            None => (None, layout),
        };
        if let Some(memory) = idle {
            return memory.as_ptr();
        }
        if let Ok(memory) = self.general.allocate_first_fit(layout) {
            return memory.as_ptr();
        }
        self.give_idle_back();
        self.general.allocate_first_fit(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    /// The general heap has nothing that fits: what lies idle on the lists is joined to larger pieces again.
    #[cold]
    fn give_idle_back(&mut self) {
        while let Some(page) = self.pages.pop() {
            // SAFETY: it came from the general heap with this layout, and is off the list.
            unsafe { self.general.deallocate(page, PAGE_LAYOUT) };
        }
        for (class, list) in self.small.iter_mut().enumerate() {
            while let Some(block) = list.pop() {
                // SAFETY: as above.
                unsafe { self.general.deallocate(block, small_layout(class)) };
            }
        }
    }

    /// # Safety
    /// `pointer` came from [`Self::take`] with the same layout and is not used any more.
    unsafe fn give(&mut self, pointer: *mut u8, layout: Layout) {
        let layout = match small_class(layout) {
            Some(class)
                if self.small[class].count < SMALL_IDLE_BYTES / ((class + 1) * SMALL_STEP) =>
            {
                // SAFETY: the caller gives up a block that `take` has made as large and aligned as its class.
                return unsafe { self.small[class].push(pointer) };
            }
            Some(class) => small_layout(class),
            None if is_page(layout) => {
                // SAFETY: the caller gives up a page of the heap, aligned to its size because `take` asked for that.
                return unsafe { self.pages.push(pointer) };
            }
            None => layout,
        };
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: it came from the general heap with this layout, by way of a list or not; the caller gives it up.
            unsafe { self.general.deallocate(pointer, layout) };
        }
    }

    /// Bytes that lie on the lists.
    fn idle_bytes(&self) -> usize {
        let sizes = (1..).map(|class| class * SMALL_STEP);
        let small: usize = self.small.iter().zip(sizes).map(|(list, size)| list.count * size).sum();
        small + self.pages.count * PAGE_SIZE
    }
}

// SAFETY: blocks come from one heap, behind a cell with one holder at a time; layouts are passed on unchanged, except
// that pages are aligned more than asked for and small sizes rounded up, the same way when they come back.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if panic::has_begun() {
            return take_last_words_memory(layout);
        }
        self.0.with(|heap| heap.take(layout))
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if panic::has_begun() {
            return;
        }
        // SAFETY: `GlobalAlloc`'s contract is `give`'s.
        self.0.with(|heap| unsafe { heap.give(pointer, layout) });
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
    HEAP.0.with(|heap| heap.general.used() - heap.idle_bytes())
}

/// Bytes of the heap.
#[must_use]
pub fn size_bytes() -> usize {
    HEAP.0.with(|heap| heap.general.size())
}

/// Gives the heap its memory, sized from what the machine has. Call once, before anything allocates.
///
/// # Panics
/// If no region is large enough: a machine that small cannot run the kernel at all.
#[cfg(target_os = "none")]
pub fn initialise(handover: &mut Handover) {
    let bytes = FIXED_BYTES as u64 + handover.usable_bytes() / FRACTION as u64;
    let frames = bytes / revenant_hal::PAGE_SIZE_U64;
    let Some(region) = handover.take_frames(frames) else {
        panic!("no {} MiB of memory in one piece for the kernel's heap", bytes >> 20)
    };
    let start = ptr::with_exposed_provenance_mut(crate::memory::virtual_address(region.start));
    let size = crate::memory::to_usize(region.frames * revenant_hal::PAGE_SIZE_U64);
    HEAP.0.with(|heap| {
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
        let mut heap = KernelHeap::empty();
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
        assert_eq!(heap.pages.count, 2);
        assert_eq!((heap.take(PAGE_LAYOUT), heap.take(loose)), (second, first));
        assert_eq!(heap.pages.count, 0);
        // SAFETY: both came from this heap with this layout.
        unsafe {
            heap.give(first, PAGE_LAYOUT);
            heap.give(second, PAGE_LAYOUT);
        }
        // Most of the area: it fits only where the pages were.
        let large = Layout::from_size_align(60 * 1024, 8).unwrap();
        let piece = heap.take(large);
        assert!(!piece.is_null() && heap.pages.count == 0);
        // SAFETY: as above.
        unsafe { heap.give(piece, large) };
        let exhausted =
            (0..64).map(|_| heap.take(PAGE_LAYOUT)).filter(|page| page.is_null()).count();
        assert!(exhausted > 40, "a full heap answers with null, not with somebody's memory");
    }

    #[test]
    fn a_few_small_blocks_wait_for_the_next_of_their_size_and_all_are_joined_before_an_allocation_fails()
     {
        let area = Box::leak(Box::new(Area([0; 64 * 1024])));
        let mut heap = KernelHeap::empty();
        // SAFETY: the area is leaked, so it is the heap's for good.
        unsafe { heap.general.init(area.0.as_mut_ptr(), area.0.len()) };
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let (first, second) = (heap.take(layout(33)), heap.take(layout(48)));
        let (wide, aligned) = (layout(513), Layout::from_size_align(48, 32).unwrap());
        let (other, third) = (heap.take(wide), heap.take(aligned));
        // SAFETY: all came from this heap with these layouts.
        unsafe {
            heap.give(first, layout(33));
            heap.give(second, layout(48));
            heap.give(other, wide);
            heap.give(third, aligned);
        }
        assert_eq!(heap.idle_bytes(), 96, "no list for what is larger or aligned more");
        assert_eq!((heap.take(layout(40)), heap.take(layout(34))), (second, first));
        let many: Vec<_> = (0..1000).map(|_| heap.take(layout(40))).collect();
        assert!(many.iter().all(|block| !block.is_null() && *block != first));
        // SAFETY: as above; `first` and `second` are of the same class as what they are given back as.
        unsafe {
            many.iter().for_each(|block| heap.give(*block, layout(40)));
            heap.give(first, layout(40));
            heap.give(second, layout(40));
        }
        assert_eq!(heap.idle_bytes(), SMALL_IDLE_BYTES / 48 * 48, "no more than that lies idle");
        let large = layout(63 * 1024);
        let piece = heap.take(large);
        assert!(!piece.is_null() && heap.idle_bytes() == 0);
    }
}
