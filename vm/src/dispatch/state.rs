//! The state of the interpreter between two instructions, and the reasons to leave the fast path.
//!
//! [`State`] is five words that stay in processor registers: bodies take it by value and give it back by value. It is
//! never borrowed mutably, because that alone makes the loop 1.5 to 2 times slower. What is needed less often stands in the
//! [`Worker`](super::worker::Worker).
//!
//! Invariants, the *frame guarantee*, on which the unsafe code of this file rests:
//! - `references` and `raws` are the bases of the current frame, inside the running thread's stack range, and every register that
//!   the frame's function declares has been touched for writing in this slice, so a register access never faults;
//! - a base plus any 16-bit register number stays inside object space (stack ranges end well below its end), so even
//!   unverified code from a damaged disk reaches nothing else;
//! - `position` is confined to object space wherever it does not just advance past the instruction;
//! - `worker` points to the worker that runs the slice, for as long as the slice lasts.

use core::sync::atomic::{Ordering, compiler_fence};

use revenant_hal::ObjectAddress;

use crate::memory::{Space, confine_aligned};

use super::worker::Worker;

/// Why a body cannot go on by itself. The cold path does the rest, or throws.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Slow {
    /// The budget is spent; the instruction that polls has not happened.
    Poll,
    /// Throw `NullReferenceException`.
    Null,
    /// Throw `IndexOutOfBoundsException`, unless the object is large and its 64-bit length says otherwise.
    Index,
    /// Throw `InvalidCastException`.
    Cast,
    /// Throw `DivideByZeroException`.
    DivideByZero,
    /// Throw `IntegerOverflowException`.
    IntegerOverflow,
    /// Throw `InvalidConversionException`.
    Conversion,
    /// Throw `UnreachableException`.
    Unreachable,
    /// Throw `InvalidInstructionException`: no such opcode, or code that no verifier has seen.
    Invalid,
    /// Throw `AbstractMethodException`.
    Abstract,
    /// Throw `SignatureMismatchException`.
    Signature,
    /// A stack's soft limit was met: touch more of it or throw `StackOverflowException`.
    CallLimit,
    /// The frame to return to was not entered in this slice.
    ReturnFloor,
    /// The interface method is not in the cache.
    InterfaceMiss,
    /// `throw`.
    Throw,
    /// `call.native`.
    Native,
    /// `object.new`, `array.new`, `buffer.new`, `closure.new` when the allocator's fast path fails.
    Allocate,
    /// Class tests beyond the display: interfaces and deep hierarchies.
    ClassTest,
    /// Fields added to a class later.
    Extension,
}

impl Slow {
    /// The reasons, by number.
    const ALL: [Self; 19] = [
        Self::Poll,
        Self::Null,
        Self::Index,
        Self::Cast,
        Self::DivideByZero,
        Self::IntegerOverflow,
        Self::Conversion,
        Self::Unreachable,
        Self::Invalid,
        Self::Abstract,
        Self::Signature,
        Self::CallLimit,
        Self::ReturnFloor,
        Self::InterfaceMiss,
        Self::Throw,
        Self::Native,
        Self::Allocate,
        Self::ClassTest,
        Self::Extension,
    ];

    /// The reason with this number; any other number is [`Slow::Invalid`].
    #[cfg_attr(debug_assertions, expect(dead_code, reason = "only the other back end needs it"))]
    pub(super) fn from_number(number: u64) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|n| Self::ALL.get(n).copied())
            .unwrap_or(Self::Invalid)
    }
}

/// What a body answers: the state after the instruction, or why the cold path has to take it.
pub(super) type Flow = Result<State, Slow>;

/// Position, register bases, worker and budget: all that the fast path carries from one instruction to the next.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// The instruction word being executed.
    pub(super) position: *const u64,
    /// Base of the frame's reference registers.
    pub(super) references: *mut u64,
    /// Base of the frame's raw registers.
    pub(super) raws: *mut u64,
    /// The worker that runs the slice.
    pub(super) worker: *mut Worker,
    /// Polls left before the cold path is asked.
    pub(super) budget: i32,
    /// The token for object space; no bytes.
    pub(super) space: Space,
}

/// Field a of an instruction word.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a field is 16 bits")]
pub(super) const fn a(word: u64) -> u16 {
    (word >> 16) as u16
}

/// Field b of an instruction word.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a field is 16 bits")]
pub(super) const fn b(word: u64) -> u16 {
    (word >> 32) as u16
}

/// Field c of an instruction word.
#[inline(always)]
pub(super) const fn c(word: u64) -> u16 {
    (word >> 48) as u16
}

/// Fields b and c as one signed number.
#[inline(always)]
pub(super) const fn wide(word: u64) -> i32 {
    unsigned_wide(word).cast_signed()
}

/// Fields b and c as one unsigned number.
#[inline(always)]
pub(super) const fn unsigned_wide(word: u64) -> u32 {
    (word >> 32) as u32
}

impl State {
    /// The word at `position`.
    #[inline(always)]
    pub(super) fn word(self) -> u64 {
        // SAFETY: `position` lies in object space (invariant), which is readable or faults into the pager.
        unsafe { *self.position }
    }

    /// The literal word after the instruction word.
    #[inline(always)]
    pub(super) fn literal(self) -> u64 {
        // SAFETY: as in `word`; code never reaches the last mebibyte of object space.
        unsafe { *self.position.add(1) }
    }

    /// The raw register with this number.
    #[inline(always)]
    pub(super) fn raw(self, register: u16) -> u64 {
        // SAFETY: the frame guarantee.
        unsafe { *self.raws.add(usize::from(register)) }
    }

    /// Writes a raw register.
    #[inline(always)]
    pub(super) fn set_raw(self, register: u16, value: u64) {
        // SAFETY: the frame guarantee.
        unsafe { *self.raws.add(usize::from(register)) = value }
    }

    /// The reference register with this number.
    #[inline(always)]
    pub(super) fn reference(self, register: u16) -> u64 {
        // SAFETY: the frame guarantee.
        unsafe { *self.references.add(usize::from(register)) }
    }

    /// Writes a reference register.
    #[inline(always)]
    pub(super) fn set_reference(self, register: u16, value: u64) {
        // SAFETY: the frame guarantee.
        unsafe { *self.references.add(usize::from(register)) = value }
    }

    /// The reference in a register, which must not be null.
    #[inline(always)]
    pub(super) fn object(self, register: u16) -> Result<u64, Slow> {
        let object = self.reference(register);
        if object == 0 { Err(Slow::Null) } else { Ok(object) }
    }

    /// The state `words` further in the code.
    #[inline(always)]
    pub(super) fn advance(self, words: usize) -> Self {
        // wrapping: damaged code may stand anywhere in object space; the next fetch answers for itself.
        Self { position: self.position.wrapping_add(words), ..self }
    }

    /// After an instruction of one word.
    #[inline(always)]
    pub(super) fn next(self) -> Flow {
        Ok(self.advance(1))
    }

    /// Continues at a branch target, `distance` words from here, and polls.
    #[inline(always)]
    pub(super) fn branch(self, distance: i32) -> Flow {
        let target = self.position.addr() as u64;
        let target = target.wrapping_add_signed(i64::from(distance) * 8);
        State { position: code_pointer(target), ..self }.poll()
    }

    /// Counts a poll. When the budget is spent the instruction has not happened; it begins again with a fresh budget.
    #[inline(always)]
    pub(super) fn poll(self) -> Flow {
        let budget = self.budget - 1;
        if budget < 0 { Err(Slow::Poll) } else { Ok(State { budget, ..self }) }
    }

    /// The worker, for the length of one expression.
    #[inline(always)]
    pub(super) fn worker<'a>(self) -> &'a mut Worker {
        // SAFETY: the worker outlives the slice and is reached through this pointer alone while it lasts; callers drop the
        // borrow before they take another.
        unsafe { &mut *self.worker }
    }

    /// The address of the byte `offset` bytes into an object.
    #[inline(always)]
    pub(super) const fn place(object: u64, offset: u64) -> ObjectAddress {
        ObjectAddress(object.wrapping_add(offset))
    }

    /// Records the position before the instruction touches memory that may not be there, so that an abandoned attempt knows
    /// where to begin again.
    #[inline(always)]
    pub(super) fn before_touch(self) {
        self.worker().position = self.position.addr() as u64;
        // The touch may end the attempt, which the compiler does not know: it may not come first.
        compiler_fence(Ordering::SeqCst);
    }
}

/// A pointer to the code word at `address`, wherever that number came from.
#[inline(always)]
pub(super) const fn code_pointer(address: u64) -> *const u64 {
    core::ptr::with_exposed_provenance(to_usize(confine_aligned::<8>(address)))
}

/// A pointer to the register slot at `address`.
#[inline(always)]
pub(super) const fn slot_pointer(address: u64) -> *mut u64 {
    core::ptr::with_exposed_provenance_mut(to_usize(confine_aligned::<8>(address)))
}

/// Addresses are 64 bits wide on every machine that this runs on.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits: asserted below")]
const fn to_usize(address: u64) -> usize {
    address as usize
}

const _: () = assert!(usize::BITS == 64);
