//! Shared state on one processor: a cell that is open to one holder at a time, checked when it is opened.
//!
//! There is one processor and no preemption of kernel code by kernel code, except that interrupt and fault handlers run
//! on top of whatever was running. [`ExclusiveCell`] turns the mistake of opening a cell that the code below already
//! holds into a panic instead of two mutable references. State that interrupt handlers share is opened with
//! [`ExclusiveCell::with_interrupts_off`]; state that the page-fault handler takes is never held while a slice runs.

use crate::cpu;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value with one holder at a time.
pub struct ExclusiveCell<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `try_with` hands out a reference only after it has changed `held` from false to true, and gives `held` back
// after the reference is gone; so there is never more than one, whoever asks. `T: Send` because holders take turns.
unsafe impl<T: Send> Sync for ExclusiveCell<T> {}

impl<T> ExclusiveCell<T> {
    /// A cell that nobody holds.
    pub const fn new(value: T) -> Self {
        Self { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Opens the cell for the time of `work`, or returns `None` if somebody holds it.
    pub fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.held.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: `held` was false, so no other reference to the value exists until it is false again, below.
        let result = work(unsafe { &mut *self.value.get() });
        self.held.store(false, Ordering::Release);
        Some(result)
    }

    /// Opens the cell for the time of `work`.
    ///
    /// # Panics
    /// If the code that was interrupted, or a caller further up, holds the cell: a bug of the kernel.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        match self.try_with(work) {
            Some(result) => result,
            None => panic!("a cell was opened twice"),
        }
    }

    /// Opens a cell that interrupt handlers open too.
    ///
    /// # Panics
    /// As [`Self::with`].
    pub fn with_interrupts_off<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        cpu::without_interrupts(|| self.with(work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_cell_does_not_open_again() {
        let cell = ExclusiveCell::new(1);
        cell.with(|value| {
            *value += 1;
            assert_eq!(cell.try_with(|_| ()), None);
        });
        assert_eq!(cell.try_with(|value| *value), Some(2));
    }
}
