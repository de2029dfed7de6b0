//! Calls and returns: bodies that change frames.
//!
//! A frame has a call record: the position at which it goes on when its callee returns, its function, its bases and the ends of its
//! registers (OBJECTS.md 5). A call writes the caller's position and the callee's record; nothing is copied, the window
//! becomes the callee's first registers. Invariants:
//! - registers of a frame are touched for writing before it is entered: a call compares with soft limits up to which this
//!   slice has touched the stacks, a return to a frame that was not entered in this slice takes the cold path;
//! - the scanned range ends at the greatest reference end of all frames, so a short callee does not drop its caller's slots;
//! - offsets read from a record are bounded by the stack's size before they become bases.

use crate::loader::layout::{
    CLOSURE_FUNCTION, FUNCTION_CODE, FUNCTION_COUNTS, FUNCTION_RESULTS, FUNCTION_SIGNATURE,
};
use crate::memory::layout::area;
use crate::memory::layout::class::VTABLE;
use crate::memory::layout::object::CLASS;
use crate::memory::layout::thread::{
    RECORD_FUNCTION, RECORD_POSITION, RECORD_RAW_BASE, RECORD_RAW_END, RECORD_REFERENCE_END,
    RECORD_SIZE,
};

use super::numeric::low;
use super::state::{Flow, Slow, State, a, b, c, code_pointer, slot_pointer};

/// Registers, arguments and results of a function, from its packed words.
#[derive(Clone, Copy)]
pub(super) struct Counts(pub(super) u64);

impl Counts {
    /// Reference registers.
    #[inline(always)]
    pub(super) const fn references(self) -> u64 {
        self.0 & 0xffff
    }
    /// Raw registers.
    #[inline(always)]
    pub(super) const fn raws(self) -> u64 {
        (self.0 >> 16) & 0xffff
    }
    /// Reference arguments.
    #[inline(always)]
    pub(super) const fn reference_arguments(self) -> u64 {
        (self.0 >> 32) & 0xffff
    }
}

/// Enters `function` with the window of the call word `w`; the caller goes on `words` after its call.
#[inline(always)]
fn enter(s: State, w: u64, function: u64, words: u64) -> Flow {
    let counts = Counts(s.space.load(State::place(function, FUNCTION_COUNTS)));
    let code: u64 = s.space.load(State::place(function, FUNCTION_CODE));
    let references = s.references.wrapping_add(usize::from(a(w)));
    let raws = s.raws.wrapping_add(usize::from(b(w)));
    let reference_base = references.addr() as u64;
    let raw_base = raws.addr() as u64;
    let reference_end = reference_base + counts.references() * 8;
    let raw_end = raw_base + counts.raws() * 8;
    let worker = s.worker();
    let record = worker.record;
    let next = record + RECORD_SIZE;
    if reference_end > worker.reference_soft_limit
        || raw_end > worker.raw_soft_limit
        || next >= worker.record_soft_limit
    {
        return Err(Slow::CallLimit);
    }
    let s = s.poll()?;
    let stack = worker.stack;
    let caller_end: u32 = s.space.load(State::place(record, RECORD_REFERENCE_END));
    s.space.store(
        State::place(record, RECORD_POSITION),
        (s.position.addr() as u64).wrapping_add(words * 8),
    );
    s.space.store(State::place(next, RECORD_FUNCTION), function);
    s.space.store(
        State::place(next, RECORD_RAW_BASE),
        (raw_base - stack) | ((reference_base - stack) << 32),
    );
    s.space.store(
        State::place(next, RECORD_RAW_END),
        (raw_end - stack) | (u64::from(caller_end).max(reference_end - stack) << 32),
    );
    let mut register = counts.reference_arguments();
    while register < counts.references() {
        s.space.store(State::place(reference_base, register * 8), 0_u64);
        register += 1;
    }
    worker.record = next;
    Ok(State { position: code_pointer(code), references, raws, ..s })
}

/// `call`: the linked literal is the function's address.
#[inline(always)]
pub(super) fn call(s: State, w: u64) -> Flow {
    enter(s, w, s.literal(), 2)
}

/// The address of the class object with this index, as the class table has it.
#[inline(always)]
pub(super) fn class_object(s: State, class: u32) -> u64 {
    s.space.load(State::place(area::CLASS_TABLE, u64::from(class) * 8))
}

/// `call.virtual`: the high half of the literal is the place in the virtual table.
#[inline(always)]
pub(super) fn call_virtual(s: State, w: u64) -> Flow {
    let receiver = s.object(a(w))?;
    let class: u32 = s.space.load(State::place(receiver, CLASS));
    let method = s.literal() >> 32;
    let class = class_object(s, class);
    let function: u64 = s.space.load(State::place(class, VTABLE + method * 8));
    if function == 0 {
        return Err(Slow::Abstract);
    }
    enter(s, w, function, 2)
}

/// `call.interface`: the literal is the interface's class index and the method's number. What a class answered once is kept in
/// the worker's cache, which a restart empties.
#[inline(always)]
pub(super) fn call_interface(s: State, w: u64) -> Flow {
    let receiver = s.object(a(w))?;
    let class: u32 = s.space.load(State::place(receiver, CLASS));
    let entry = s.worker().interface_cache.entry(class, s.literal());
    if entry.class != class || entry.method != s.literal() {
        return Err(Slow::InterfaceMiss);
    }
    enter(s, w, entry.function, 2)
}

/// `call.closure`: the closure is the first reference of the window.
#[inline(always)]
pub(super) fn call_closure(s: State, w: u64) -> Flow {
    let closure = s.object(a(w))?;
    let function: u64 = s.space.load(State::place(closure, CLOSURE_FUNCTION));
    let signature: u64 = s.space.load(State::place(function, FUNCTION_SIGNATURE));
    if signature != s.literal() {
        return Err(Slow::Signature);
    }
    enter(s, w, function, 2)
}

/// `call.indirect`: the function is in register c.
#[inline(always)]
pub(super) fn call_indirect(s: State, w: u64) -> Flow {
    let function = s.object(c(w))?;
    let signature: u64 = s.space.load(State::place(function, FUNCTION_SIGNATURE));
    if signature != s.literal() {
        return Err(Slow::Signature);
    }
    enter(s, w, function, 2)
}

/// Leaves the current frame for its caller, if the caller was entered in this slice.
#[inline(always)]
fn leave(s: State) -> Flow {
    let worker = s.worker();
    let record = worker.record;
    if record <= worker.record_floor {
        return Err(Slow::ReturnFloor);
    }
    let caller = record - RECORD_SIZE;
    let position: u64 = s.space.load(State::place(caller, RECORD_POSITION));
    let bases: u64 = s.space.load(State::place(caller, RECORD_RAW_BASE));
    let raw_base = u64::from(low(bases));
    let reference_base = bases >> 32;
    // Not below the stack, because offsets are unsigned; a damaged record must not lead above it.
    if raw_base > worker.stack_size || reference_base > worker.stack_size {
        return Err(Slow::Invalid);
    }
    worker.record = caller;
    Ok(State {
        position: code_pointer(position),
        references: slot_pointer(worker.stack + reference_base),
        raws: slot_pointer(worker.stack + raw_base),
        ..s
    })
}

/// `return`.
#[inline(always)]
pub(super) fn return_none(s: State, _: u64) -> Flow {
    leave(s)
}

/// `return.raw`: the result stands where the window began.
#[inline(always)]
pub(super) fn return_raw(s: State, w: u64) -> Flow {
    let value = s.raw(a(w));
    let caller = leave(s)?;
    s.set_raw(0, value);
    Ok(caller)
}

/// `return.ref`.
#[inline(always)]
pub(super) fn return_reference(s: State, w: u64) -> Flow {
    let value = s.reference(a(w));
    let caller = leave(s)?;
    s.set_reference(0, value);
    Ok(caller)
}

/// `return.many`.
#[inline(always)]
pub(super) fn return_many(s: State, w: u64) -> Flow {
    let function: u64 = s.space.load(State::place(s.worker().record, RECORD_FUNCTION));
    let results: u64 = s.space.load(State::place(function, FUNCTION_RESULTS));
    let caller = leave(s)?;
    // Upwards: the target is never above the source.
    for result in 0..c(results << 48) {
        s.set_reference(result, s.reference(a(w).wrapping_add(result)));
    }
    for result in 0..c(results << 32) {
        s.set_raw(result, s.raw(b(w).wrapping_add(result)));
    }
    Ok(caller)
}
