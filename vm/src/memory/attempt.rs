//! The tests' hooks into accesses: end an attempt at the n-th touch, and check "touch all, then change".
//!
//! Present only on the host with debug assertions; elsewhere every function here is empty and vanishes. Two independent
//! switches, per thread:
//! - **ending**: the n-th touch unwinds with [`AttemptEnded`], as a page fault that must wait would abandon the attempt;
//! - **checking**: from [`changes_begin`] to [`step_ends`], an access of a page that this step has not touched is a
//!   recorded violation. A store before `changes_begin` is a change outside of the change phase and is recorded when
//!   another touch follows it in the same step. So is a step that touches more than [`PAGES_A_STEP`] pages that can be
//!   missing.
//!
//! A third, **recording**, changes nothing: it keeps which pages are accessed after which, for the traces by which page
//! replacement is chosen.

#[cfg(not(all(feature = "host", debug_assertions)))]
pub(super) use absent::*;
#[cfg(all(feature = "host", debug_assertions))]
pub(super) use present::*;
#[cfg(all(feature = "host", debug_assertions))]
pub use present::{AttemptEnded, Attempts};

#[cfg(not(all(feature = "host", debug_assertions)))]
mod absent {
    #[inline(always)]
    pub(in crate::memory) fn loaded(_: u64) {}
    #[inline(always)]
    pub(in crate::memory) fn stored(_: u64) {}
    #[inline(always)]
    pub(in crate::memory) fn loaded_range(_: u64, _: u64) {}
    #[inline(always)]
    pub(in crate::memory) fn stored_range(_: u64, _: u64) {}
    #[inline(always)]
    pub(in crate::memory) fn touched_read(_: u64) {}
    #[inline(always)]
    pub(in crate::memory) fn touched_write(_: u64) {}
    #[inline(always)]
    pub(in crate::memory) fn touched_write_range(_: u64, _: u64) {}
    #[inline(always)]
    pub(in crate::memory) fn changes_begin() {}
    #[inline(always)]
    pub(in crate::memory) fn step_ends() {}
}

#[cfg(all(feature = "host", debug_assertions))]
mod present {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::cell::{Cell, RefCell};
    use std::thread_local;

    use revenant_hal::{OBJECT_SPACE_BASE, PAGE_SIZE_U64};

    /// Pages that a step may touch besides the wired ones, which never leave memory: what the kernel has to bring in and keep at
    /// the same time for one step is bounded. Steps that link threads can touch more if each neighbour in a list lies on a page of
    /// its own: `condition.wait_for` 16 at worst, and a path of the heap of deadlines.
    const PAGES_A_STEP: usize = 8;
    /// Pages at the start of object space that never leave memory.
    const WIRED: u64 = 7;

    /// What an attempt unwinds with when a test ends it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct AttemptEnded {
        /// The page whose touch ended it, as an address.
        pub page: u64,
    }

    /// The switches of this thread's hooks.
    #[derive(Clone, Copy, Debug)]
    pub struct Attempts;

    thread_local! {
        static ACTIVE: Cell<bool> = const { Cell::new(false) };
        static TOUCHES_LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
        static CHECKING: Cell<bool> = const { Cell::new(false) };
        static CHANGING: Cell<bool> = const { Cell::new(false) };
        static READABLE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        static WRITABLE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        static STORED_EARLY: Cell<u64> = const { Cell::new(0) };
        static VIOLATIONS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
        static ENDED: Cell<u64> = const { Cell::new(0) };
        static LOST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        static REPLACED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        static RECORDING: Cell<bool> = const { Cell::new(false) };
        static WINDOW: RefCell<(usize, Vec<u64>)> = const { RefCell::new((0, Vec::new())) };
        static RECORDED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }

    /// Accesses in which a page is recorded once. The millions between them say the same again.
    const WINDOW_ACCESSES: usize = 2048;

    impl Attempts {
        /// Lets `touches` touches pass and ends the attempt at the next one.
        pub fn end_after(touches: u64) {
            TOUCHES_LEFT.set(touches);
            update();
        }

        /// Ends no attempt any more.
        pub fn end_never() {
            TOUCHES_LEFT.set(u64::MAX);
            update();
        }

        /// Starts or stops the check of "touch all, then change".
        pub fn check(on: bool) {
            CHECKING.set(on);
            update();
            clear();
        }

        /// The violations recorded since the last call.
        #[must_use]
        pub fn take_violations() -> Vec<String> {
            VIOLATIONS.take()
        }

        /// The page whose touch ended the last attempt that [`Self::run`] ended, as an address.
        #[must_use]
        pub fn ended_at() -> u64 {
            ENDED.get()
        }

        /// From now on the page with this address cannot be read: a touch of it ends the attempt, but the first store to it
        /// after [`Self::replace`], which makes it a page like any other.
        pub fn lose(page: u64) {
            LOST.with_borrow_mut(|lost| lost.push(page));
            update();
        }

        /// Whether the page with this address cannot be read.
        #[must_use]
        pub fn is_lost(page: u64) -> bool {
            LOST.with_borrow(|lost| lost.contains(&page))
        }

        /// Lets the next store to a lost page make it anew.
        pub fn replace(page: u64) {
            REPLACED.with_borrow_mut(|replaced| replaced.push(page));
        }

        /// Every page can be read again.
        pub fn find_all() {
            LOST.take();
            REPLACED.take();
            update();
        }

        /// Begins to record which pages are accessed: each once in so many accesses, in the order of its first in them.
        pub fn record() {
            RECORDING.set(true);
        }

        /// The numbers of the pages recorded since the last call. Ends the recording.
        #[must_use]
        pub fn take_recorded() -> Vec<u64> {
            RECORDING.set(false);
            WINDOW.take();
            RECORDED.take()
        }

        /// Runs `attempt`; `None` when it was ended at the `touches`-th touch. Everything unwound holds nothing that needs
        /// dropping, as in the kernel.
        pub fn run<T>(touches: u64, attempt: impl FnOnce() -> T) -> Option<T> {
            Self::end_after(touches);
            let result = std::panic::catch_unwind(core::panic::AssertUnwindSafe(attempt));
            Self::end_never();
            match result {
                Ok(value) => Some(value),
                Err(reason) if reason.is::<AttemptEnded>() => {
                    clear();
                    let ended = reason.downcast_ref::<AttemptEnded>();
                    ENDED.set(ended.map_or(0, |ended| ended.page));
                    None
                }
                Err(reason) => std::panic::resume_unwind(reason),
            }
        }
    }

    fn update() {
        let lost = LOST.with_borrow(|lost| !lost.is_empty());
        ACTIVE.set(CHECKING.get() || lost || TOUCHES_LEFT.get() != u64::MAX);
    }

    fn is_watched() -> bool {
        ACTIVE.get() || RECORDING.get()
    }

    fn clear() {
        if CHECKING.get() {
            let mut pages = READABLE.with_borrow(Clone::clone);
            WRITABLE.with_borrow(|writable| pages.extend(writable));
            pages.sort_unstable();
            pages.dedup();
            pages.retain(|page| *page >= OBJECT_SPACE_BASE + WIRED * PAGE_SIZE_U64);
            if pages.len() > PAGES_A_STEP {
                let trace = std::backtrace::Backtrace::capture();
                let what = format!("a step of {} pages: {pages:#x?}\n{trace}", pages.len());
                VIOLATIONS.with_borrow_mut(|list| list.push(what));
            }
        }
        CHANGING.set(false);
        STORED_EARLY.set(0);
        READABLE.with_borrow_mut(Vec::clear);
        WRITABLE.with_borrow_mut(Vec::clear);
    }

    fn page(address: u64) -> u64 {
        address / PAGE_SIZE_U64 * PAGE_SIZE_U64
    }

    fn record(address: u64) {
        if !RECORDING.get() {
            return;
        }
        let page = page(address) / PAGE_SIZE_U64;
        WINDOW.with_borrow_mut(|(accesses, seen)| {
            *accesses += 1;
            if *accesses > WINDOW_ACCESSES {
                *accesses = 0;
                seen.clear();
            }
            if !seen.contains(&page) {
                seen.push(page);
                RECORDED.with_borrow_mut(|pages| pages.push(page));
            }
        });
    }

    fn violate(what: &str, address: u64) {
        let trace = std::backtrace::Backtrace::capture();
        VIOLATIONS.with_borrow_mut(|list| list.push(format!("{what} at {address:#x}\n{trace}")));
    }

    /// Ends the attempt at a lost page, unless it is made anew.
    fn look_for(address: u64, write: bool) {
        let page = page(address);
        if Attempts::is_lost(page) {
            let replaced = REPLACED.with_borrow(|replaced| replaced.contains(&page));
            if !(write && replaced) {
                std::panic::resume_unwind(alloc::boxed::Box::new(AttemptEnded { page }));
            }
            LOST.with_borrow_mut(|lost| lost.retain(|lost| *lost != page));
            REPLACED.with_borrow_mut(|replaced| replaced.retain(|replaced| *replaced != page));
            update();
        }
    }

    fn touch(address: u64) {
        if STORED_EARLY.get() != 0 {
            violate("touch after a change of the same step", STORED_EARLY.get());
        }
        if CHANGING.get() && CHECKING.get() {
            violate("touch in the change phase", address);
        }
        match TOUCHES_LEFT.get() {
            u64::MAX => {}
            0 => std::panic::resume_unwind(alloc::boxed::Box::new(AttemptEnded {
                page: page(address),
            })),
            left => TOUCHES_LEFT.set(left - 1),
        }
    }

    pub(in crate::memory) fn loaded(address: u64) {
        record(address);
        if ACTIVE.get() && CHECKING.get() && CHANGING.get() {
            let known = READABLE.with_borrow(|pages| pages.contains(&page(address)))
                || WRITABLE.with_borrow(|pages| pages.contains(&page(address)));
            if !known {
                violate("load of an untouched page in the change phase", address);
            }
        }
        if ACTIVE.get() && !CHANGING.get() {
            // A load before the changes is itself a touch for reading: it may fault and end the attempt.
            READABLE.with_borrow_mut(|pages| {
                if !pages.contains(&page(address)) {
                    pages.push(page(address));
                }
            });
            look_for(address, false);
            touch(address);
        }
    }

    pub(in crate::memory) fn stored(address: u64) {
        record(address);
        if !ACTIVE.get() || !CHECKING.get() {
            return;
        }
        if !CHANGING.get() {
            STORED_EARLY.set(address);
        } else if !WRITABLE.with_borrow(|pages| pages.contains(&page(address))) {
            violate("store to a page not touched for writing", address);
        }
    }

    pub(in crate::memory) fn loaded_range(address: u64, bytes: u64) {
        if is_watched() && bytes > 0 {
            loaded(address);
            for next in 1..=(page(address + bytes - 1) - page(address)) / PAGE_SIZE_U64 {
                loaded(page(address) + next * PAGE_SIZE_U64);
            }
        }
    }

    pub(in crate::memory) fn stored_range(address: u64, bytes: u64) {
        if is_watched() && bytes > 0 {
            stored(address);
            stored(address + bytes - 1);
        }
    }

    pub(in crate::memory) fn touched_read(address: u64) {
        record(address);
        if ACTIVE.get() {
            READABLE.with_borrow_mut(|pages| pages.push(page(address)));
            look_for(address, false);
            touch(address);
        }
    }

    pub(in crate::memory) fn touched_write(address: u64) {
        record(address);
        if ACTIVE.get() {
            WRITABLE.with_borrow_mut(|pages| {
                if !pages.contains(&page(address)) {
                    pages.push(page(address));
                }
            });
            touch(address);
            look_for(address, true);
        }
    }

    pub(in crate::memory) fn touched_write_range(address: u64, bytes: u64) {
        if is_watched() && bytes > 0 {
            touched_write(address);
            for next in 1..=(page(address + bytes - 1) - page(address)) / PAGE_SIZE_U64 {
                touched_write(page(address) + next * PAGE_SIZE_U64);
            }
        }
    }

    pub(in crate::memory) fn changes_begin() {
        if ACTIVE.get() {
            if STORED_EARLY.get() != 0 && CHECKING.get() {
                violate("store before the changes began", STORED_EARLY.get());
            }
            CHANGING.set(true);
        }
    }

    pub(in crate::memory) fn step_ends() {
        if ACTIVE.get() {
            clear();
        }
    }
}
