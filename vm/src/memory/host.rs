//! The host's object space: a sparse in-memory file mapped at the fixed address, one user of it at a time.
//!
//! Invariants:
//! - the mapping is made once and stays for the life of the process, so that a [`Space`] token never dangles;
//! - [`HostSpace`] is a lock: whoever holds it has an object space that was all zeros at the start, and its drop makes it
//!   all zeros again;
//! - pages never touched cost nothing; the touched ones are found by asking the file for its data (`SEEK_DATA`).

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use revenant_hal::{
    OBJECT_SPACE_BASE, OBJECT_SPACE_SIZE, ObjectAddress, PAGE_SIZE, PageBytes, PageIndex,
};

use super::space::Space;

/// Why the host cannot provide an object space.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostError {
    /// The in-memory file could not be made; the system's error number.
    File(i32),
    /// The range could not be mapped; the system's error number.
    Map(i32),
    /// Something else lies in the range: the system placed the mapping elsewhere.
    Occupied,
}

impl fmt::Display for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = "object space [2^44, 2^45)";
        match self {
            Self::File(error) => {
                write!(formatter, "no in-memory file for {range}: system error {error}")
            }
            Self::Map(error) => write!(
                formatter,
                "{range} cannot be mapped: system error {error}; is address space limited (ulimit -v)?"
            ),
            Self::Occupied => write!(formatter, "{range} cannot be mapped: something lies there"),
        }
    }
}

impl core::error::Error for HostError {}

static DESCRIPTOR: OnceLock<Result<RawFd, HostError>> = OnceLock::new();
static IN_USE: Mutex<()> = Mutex::new(());

/// The host's object space, held by one user at a time.
#[derive(Debug)]
pub struct HostSpace {
    descriptor: RawFd,
    _lock: MutexGuard<'static, ()>,
}

impl HostSpace {
    /// Waits until nobody uses the process's object space, then takes it: mapped and all zeros.
    ///
    /// # Errors
    /// The range cannot be mapped on this system.
    pub fn take() -> Result<Self, HostError> {
        let lock = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = DESCRIPTOR.get_or_init(map).clone()?;
        let host = Self { descriptor, _lock: lock };
        host.clear();
        // From here on `Space::get` finds it.
        let _ = host.space();
        Ok(host)
    }

    /// The token.
    #[must_use]
    pub fn space(&self) -> Space {
        // SAFETY: `take` mapped the range and it stays mapped; the lock makes this the only user; the file is not shared
        // with anything else.
        unsafe { Space::assume_mapped() }
    }

    /// Makes all of object space zero again and gives its memory back.
    pub fn clear(&self) {
        self.punch(0, OBJECT_SPACE_SIZE);
    }

    /// Makes the pages of a range zero and gives their memory back: what the pager's discard does on the machine.
    pub fn discard(&self, pages: Range<PageIndex>) {
        let bytes = pages.end.0.saturating_sub(pages.start.0) * PAGE_SIZE as u64;
        if bytes > 0 {
            self.punch(pages.start.0 * PAGE_SIZE as u64, bytes);
        }
    }

    /// The ranges of pages that were ever written (or read, at the system's choice), in address order.
    #[must_use]
    pub fn touched(&self) -> Vec<Range<PageIndex>> {
        let mut ranges = Vec::new();
        let mut place: i64 = 0;
        loop {
            // SAFETY: the descriptor is open for the life of the process; lseek touches no memory.
            let data = unsafe { libc::lseek(self.descriptor, place, libc::SEEK_DATA) };
            if data < 0 {
                return ranges;
            }
            // SAFETY: as above.
            let hole = unsafe { libc::lseek(self.descriptor, data, libc::SEEK_HOLE) };
            if hole <= data {
                return ranges;
            }
            let page = |offset: i64| PageIndex(offset.unsigned_abs() / PAGE_SIZE as u64);
            ranges.push(page(data)..PageIndex(hole.unsigned_abs().div_ceil(PAGE_SIZE as u64)));
            place = hole;
        }
    }

    /// The content of a page.
    #[must_use]
    pub fn page(&self, page: PageIndex) -> PageBytes {
        let mut bytes = PageBytes::ZERO;
        self.space().read(page.address(), &mut bytes.0);
        bytes
    }

    /// Sets the content of a page, as page-in does on the machine.
    pub fn set_page(&self, page: PageIndex, bytes: &PageBytes) {
        self.space().write(ObjectAddress(page.address().0), &bytes.0);
    }

    fn punch(&self, offset: u64, bytes: u64) {
        let (Ok(offset), Ok(bytes)) = (i64::try_from(offset), i64::try_from(bytes)) else {
            return;
        };
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: the file backs object space alone, and making its pages zero is what the caller asks for.
        let result = unsafe { libc::fallocate(self.descriptor, mode, offset, bytes) };
        assert!(result == 0, "an in-memory file refuses to give pages back: {}", last_error());
    }
}

impl Drop for HostSpace {
    fn drop(&mut self) {
        self.clear();
    }
}

fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn map() -> Result<RawFd, HostError> {
    // SAFETY: the name is a valid C string; the call returns a descriptor or an error.
    let descriptor = unsafe { libc::memfd_create(c"object space".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(HostError::File(last_error()));
    }
    let length = i64::try_from(OBJECT_SPACE_SIZE).map_err(|_| HostError::Occupied)?;
    // SAFETY: the descriptor was just made; ftruncate touches no memory.
    if unsafe { libc::ftruncate(descriptor, length) } != 0 {
        return Err(HostError::File(last_error()));
    }
    let (Ok(base), Ok(size)) =
        (usize::try_from(OBJECT_SPACE_BASE), usize::try_from(OBJECT_SPACE_SIZE))
    else {
        return Err(HostError::Occupied);
    };
    let wanted = core::ptr::without_provenance_mut::<libc::c_void>(base);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE never replaces a mapping that exists, so no memory of this process is affected.
    let mapped = unsafe { libc::mmap(wanted, size, protection, flags, descriptor, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(match last_error() {
            libc::EEXIST => HostError::Occupied,
            error => HostError::Map(error),
        });
    }
    if mapped.addr() != base {
        // An old system that does not know the flag took the address as a hint.
        // SAFETY: exactly the mapping that was just made is removed.
        unsafe { libc::munmap(mapped, size) };
        return Err(HostError::Occupied);
    }
    let _ = mapped.expose_provenance();
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::layout::area;

    #[test]
    fn pages_touched_are_enumerated_and_gone_for_the_next_user() {
        let host = HostSpace::take().unwrap();
        let space = host.space();
        assert_eq!(host.touched(), []);
        space.store(ObjectAddress(area::ROOT), 7_u64);
        space.store(ObjectAddress(area::END - 8), 9_u64);
        space.store_bytes(ObjectAddress(area::HEAP + 4094), [1, 2, 3, 4]);
        let heap = (area::HEAP - OBJECT_SPACE_BASE) / 4096;
        let last = OBJECT_SPACE_SIZE / 4096;
        assert_eq!(
            host.touched(),
            [
                PageIndex(0)..PageIndex(1),
                PageIndex(heap)..PageIndex(heap + 2),
                PageIndex(last - 1)..PageIndex(last)
            ]
        );
        host.discard(PageIndex(heap)..PageIndex(heap + 1));
        assert_eq!(space.load::<u32>(ObjectAddress(area::HEAP + 4092)), 0);
        assert_eq!(space.load::<u16>(ObjectAddress(area::HEAP + 4096)), 0x0403);
        drop(host);
        let host = HostSpace::take().unwrap();
        assert_eq!(host.touched(), []);
        assert_eq!(host.space().load::<u64>(ObjectAddress(area::ROOT)), 0);
    }

    #[test]
    fn an_access_past_the_end_stays_inside() {
        let host = HostSpace::take().unwrap();
        let space = host.space();
        space.store_bytes(ObjectAddress(area::END - 3), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(space.load_bytes::<8>(ObjectAddress(u64::MAX)), [1, 2, 3, 4, 5, 6, 7, 8]);
        space.fill(ObjectAddress(area::END - 10), 5, 4096);
        space.copy(ObjectAddress(3), ObjectAddress(u64::MAX - 4), 1 << 20);
        let mut target = [0; 64];
        space.read(ObjectAddress(area::END - 1), &mut target);
        assert!(space.equal(ObjectAddress(area::END - 1), ObjectAddress(u64::MAX), 9));
    }
}
