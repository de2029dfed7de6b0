//! [`Space`]: loads, stores, copies and touches of object space.
//!
//! Invariants:
//! - every address passes through `confine` before it is used, in every build;
//! - no Rust reference to object space is ever made, only raw loads and stores, so aliasing rules have nothing to say;
//! - the token exists only after somebody with the right to say so has said that the range is mapped.

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use revenant_hal::{ObjectAddress, PAGE_SIZE_U64};

use super::attempt;
use super::confine::{confine, confine_aligned, confine_range};

/// Set once object space is mapped; never cleared, because a mapping, once made, stays for the life of the process.
static MAPPED: AtomicBool = AtomicBool::new(false);

/// Proof that object space can be accessed. Costs nothing to copy or pass.
#[derive(Clone, Copy, Debug)]
pub struct Space(());

/// The scalar types that object space holds.
pub trait Scalar: Copy + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! scalars {
    ($($name:ty),*) => { $(impl sealed::Sealed for $name {} impl Scalar for $name {})* };
}
scalars!(u8, u16, u32, u64);

impl Space {
    /// The token, if object space is mapped.
    #[must_use]
    pub fn get() -> Option<Self> {
        MAPPED.load(Ordering::Relaxed).then_some(Self(()))
    }

    /// Declares object space mapped, for ever.
    ///
    /// # Safety
    /// From now on every load and store of any byte in [2^44, 2^45) either completes or does not return to the code that
    /// made it (a pager serves it or abandons the attempt), nothing else lies in that range, and one thread at a time
    /// accesses it.
    pub unsafe fn assume_mapped() -> Self {
        MAPPED.store(true, Ordering::Relaxed);
        Self(())
    }

    /// Loads a naturally aligned scalar; a misaligned address is aligned down.
    #[inline(always)]
    #[must_use]
    pub fn load<T: Scalar>(self, address: ObjectAddress) -> T {
        let confined = aligned::<T>(address);
        attempt::loaded(confined);
        // SAFETY: 1. `self` proves that object space is mapped. 2. `aligned` confines all bytes of `T` to it and aligns
        // them. 3. Scalars have no invalid bit patterns.
        unsafe { ptr::read(ptr::with_exposed_provenance::<T>(to_host(confined))) }
    }

    /// Stores a naturally aligned scalar; a misaligned address is aligned down.
    #[inline(always)]
    pub fn store<T: Scalar>(self, address: ObjectAddress, value: T) {
        let confined = aligned::<T>(address);
        attempt::stored(confined);
        // SAFETY: as in `load`; no Rust reference to object space exists that the store could contradict.
        unsafe { ptr::write(ptr::with_exposed_provenance_mut::<T>(to_host(confined)), value) }
    }

    /// Stores where the slice itself keeps the page touched: registers of the current frame, words of the running thread's
    /// object. No step has to touch them again, so the tests' check does not ask.
    #[inline(always)]
    pub fn store_resident<T: Scalar>(self, address: ObjectAddress, value: T) {
        let confined = aligned::<T>(address);
        // SAFETY: as in `store`.
        unsafe { ptr::write(ptr::with_exposed_provenance_mut::<T>(to_host(confined)), value) }
    }

    /// Stores to memory that nobody can reach yet (a free cell, the entry behind the end of a table): allowed before
    /// [`Self::begin_changes`], and a touch for writing by itself.
    #[inline(always)]
    pub fn store_ahead<T: Scalar>(self, address: ObjectAddress, value: T) {
        let confined = aligned::<T>(address);
        attempt::touched_write(confined);
        // SAFETY: as in `store`. Volatile, so that it stays on its side of the changes.
        unsafe {
            ptr::write_volatile(ptr::with_exposed_provenance_mut::<T>(to_host(confined)), value)
        }
    }

    /// Makes the page of `address` readable, or ends the attempt.
    #[inline(always)]
    pub fn touch_read(self, address: ObjectAddress) {
        let confined = confine(address.0);
        attempt::touched_read(confined);
        // SAFETY: as in `load`. Volatile, because the load is made for its fault, not for its value.
        let _: u8 =
            unsafe { ptr::read_volatile(ptr::with_exposed_provenance::<u8>(to_host(confined))) };
    }

    /// Makes the page of `address` writable, or ends the attempt. Changes no byte.
    #[inline(always)]
    pub fn touch_write(self, address: ObjectAddress) {
        let confined = confine(address.0);
        attempt::touched_write(confined);
        let pointer = ptr::with_exposed_provenance_mut::<u8>(to_host(confined));
        // SAFETY: as in `load`; volatile for the fault's sake.
        let value = unsafe { ptr::read_volatile(pointer) };
        // SAFETY: as in `store`; one thread at a time accesses object space, so the byte cannot have changed between.
        unsafe { ptr::write_volatile(pointer, value) }
    }

    /// Loads a word and makes its page writable: what an operation uses on words that it will change.
    #[inline(always)]
    #[must_use]
    pub fn load_for_change<T: Scalar>(self, address: ObjectAddress) -> T {
        let confined = aligned::<T>(address);
        attempt::touched_write(confined);
        let pointer = ptr::with_exposed_provenance_mut::<T>(to_host(confined));
        // SAFETY: as in `load`; volatile for the fault's sake.
        let value = unsafe { ptr::read_volatile(pointer) };
        // SAFETY: as in `touch_write`.
        unsafe { ptr::write_volatile(pointer, value) }
        value
    }

    /// Tells the processor that the line of `address` will be read soon. Never faults, changes nothing.
    #[inline(always)]
    pub fn prefetch(self, address: ObjectAddress) {
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let pointer = ptr::with_exposed_provenance::<i8>(to_host(confine(address.0)));
            // SAFETY: a prefetch accesses nothing that the program could see and ignores pages that are not there.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(pointer) }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = address;
    }

    /// [`Self::touch_read`] of every page of a range.
    #[inline]
    pub fn touch_read_range(self, address: ObjectAddress, bytes: u64) {
        for page in pages(address, bytes) {
            self.touch_read(page);
        }
    }

    /// [`Self::touch_write`] of every page of a range.
    #[inline]
    pub fn touch_write_range(self, address: ObjectAddress, bytes: u64) {
        for page in pages(address, bytes) {
            self.touch_write(page);
        }
    }

    /// The line between touching and changing: nothing that the program does is moved across it by the compiler. In checked
    /// builds, accesses of pages that were not touched are recorded from here to [`Self::end_step`].
    #[inline(always)]
    pub fn begin_changes(self) {
        compiler_fence(Ordering::SeqCst);
        attempt::changes_begin();
    }

    /// The end of an instruction or step: what was touched for it no longer counts.
    #[inline(always)]
    pub fn end_step(self) {
        compiler_fence(Ordering::SeqCst);
        attempt::step_ends();
    }

    /// Loads an unaligned little-endian word of `N` bytes.
    #[inline(always)]
    #[must_use]
    pub fn load_bytes<const N: usize>(self, address: ObjectAddress) -> [u8; N] {
        let confined = confine_range(address.0, N as u64);
        attempt::loaded(confined);
        // SAFETY: `confine_range` keeps all `N` bytes inside; arrays of bytes need no alignment; else as in `load`.
        unsafe { ptr::read(ptr::with_exposed_provenance::<[u8; N]>(to_host(confined))) }
    }

    /// Stores an unaligned little-endian word of `N` bytes.
    #[inline(always)]
    pub fn store_bytes<const N: usize>(self, address: ObjectAddress, bytes: [u8; N]) {
        let confined = confine_range(address.0, N as u64);
        attempt::stored(confined);
        // SAFETY: as in `load_bytes` and `store`.
        unsafe { ptr::write(ptr::with_exposed_provenance_mut::<[u8; N]>(to_host(confined)), bytes) }
    }

    /// Copies bytes of object space into `target`.
    pub fn read(self, address: ObjectAddress, target: &mut [u8]) {
        let confined = confine_range(address.0, target.len() as u64);
        attempt::loaded_range(confined, target.len() as u64);
        let source = ptr::with_exposed_provenance::<u8>(to_host(confined));
        // SAFETY: `confine_range` keeps the whole source inside; the target is a Rust slice outside object space.
        unsafe { ptr::copy_nonoverlapping(source, target.as_mut_ptr(), target.len()) }
    }

    /// Copies `source` into object space.
    pub fn write(self, address: ObjectAddress, source: &[u8]) {
        let confined = confine_range(address.0, source.len() as u64);
        attempt::stored_range(confined, source.len() as u64);
        let target = ptr::with_exposed_provenance_mut::<u8>(to_host(confined));
        // SAFETY: as in `read`, the other way.
        unsafe { ptr::copy_nonoverlapping(source.as_ptr(), target, source.len()) }
    }

    /// Copies `bytes` bytes inside object space; the ranges may overlap.
    pub fn copy(self, source: ObjectAddress, target: ObjectAddress, bytes: u64) {
        let (from, to) = (confine_range(source.0, bytes), confine_range(target.0, bytes));
        attempt::loaded_range(from, bytes);
        attempt::stored_range(to, bytes);
        let from = ptr::with_exposed_provenance::<u8>(to_host(from));
        let to = ptr::with_exposed_provenance_mut::<u8>(to_host(to));
        // SAFETY: both ranges are confined with their whole length; `copy` allows overlap.
        unsafe { ptr::copy(from, to, to_host(bytes)) }
    }

    /// Fills `bytes` bytes with `value`.
    pub fn fill(self, address: ObjectAddress, value: u8, bytes: u64) {
        let confined = confine_range(address.0, bytes);
        attempt::stored_range(confined, bytes);
        let target = ptr::with_exposed_provenance_mut::<u8>(to_host(confined));
        // SAFETY: the range is confined with its whole length.
        unsafe { ptr::write_bytes(target, value, to_host(bytes)) }
    }

    /// Zeroes `words` words of memory that nobody can reach yet; a touch for writing by itself, like
    /// [`Self::store_ahead`].
    #[inline(always)]
    pub fn zero_ahead(self, address: ObjectAddress, words: u64) {
        let confined = confine_range(address.0 & !7, words * 8);
        attempt::touched_write_range(confined, words * 8);
        let target = ptr::with_exposed_provenance_mut::<u64>(to_host(confined));
        if words > 32 {
            // SAFETY: `confine_range` keeps all words inside. The fence of `begin_changes` keeps the stores before it.
            return unsafe { ptr::write_bytes(target, 0, to_host(words)) };
        }
        for word in 0..to_host(words) {
            // SAFETY: `confine_range` keeps all words inside, so the pointer stays inside.
            let place = unsafe { target.add(word) };
            // SAFETY: as in `store`. Volatile, or the loop would become a call that costs more than a few stores.
            unsafe { ptr::write_volatile(place, 0) }
        }
    }

    /// Whether two ranges hold equal bytes.
    #[must_use]
    pub fn equal(self, left: ObjectAddress, right: ObjectAddress, bytes: u64) -> bool {
        let mut place = 0;
        while place + 8 <= bytes {
            if self.load_bytes::<8>(left.plus(place)) != self.load_bytes::<8>(right.plus(place)) {
                return false;
            }
            place += 8;
        }
        (place..bytes)
            .all(|byte| self.load::<u8>(left.plus(byte)) == self.load::<u8>(right.plus(byte)))
    }
}

/// Address arithmetic that wraps instead of trapping: a damaged number is confined where it is used.
pub trait AddressExt {
    /// This address plus `offset` bytes.
    #[must_use]
    fn plus(self, offset: u64) -> ObjectAddress;
    /// This address minus `offset` bytes.
    #[must_use]
    fn minus(self, offset: u64) -> ObjectAddress;
    /// Whether this is the null reference.
    #[must_use]
    fn is_null(&self) -> bool;
}

impl AddressExt for ObjectAddress {
    #[inline(always)]
    fn plus(self, offset: u64) -> ObjectAddress {
        Self(self.0.wrapping_add(offset))
    }
    #[inline(always)]
    fn minus(self, offset: u64) -> ObjectAddress {
        Self(self.0.wrapping_sub(offset))
    }
    #[inline(always)]
    fn is_null(&self) -> bool {
        self.0 == 0
    }
}

/// The first address in each page of a range.
fn pages(address: ObjectAddress, bytes: u64) -> impl Iterator<Item = ObjectAddress> {
    let first = confine(address.0);
    let last = first + bytes.saturating_sub(1);
    let count = if bytes == 0 { 0 } else { last / PAGE_SIZE_U64 - first / PAGE_SIZE_U64 + 1 };
    (0..count).map(move |page| {
        if page == 0 {
            ObjectAddress(first)
        } else {
            ObjectAddress((first / PAGE_SIZE_U64 + page) * PAGE_SIZE_U64)
        }
    })
}

#[inline(always)]
fn aligned<T: Scalar>(address: ObjectAddress) -> u64 {
    match size_of::<T>() {
        1 => confine(address.0),
        2 => confine_aligned::<2>(address.0),
        4 => confine_aligned::<4>(address.0),
        _ => confine_aligned::<8>(address.0),
    }
}

/// Addresses and sizes of object space fit the processor's words: the only targets are 64-bit.
#[inline(always)]
const fn to_host(value: u64) -> usize {
    const _: () = assert!(size_of::<usize>() == 8, "object space needs a 64-bit processor");
    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits, asserted above")]
    {
        value as usize
    }
}
