//! The cold path: what the bodies leave. Safe code over the worker, one instruction at a time.
//!
//! Each function either makes the instruction happen and moves `frame.position` past it, or prepares what it lacked and leaves
//! the position, so that the body is tried again, or throws. Everything is touched before anything changes. Neighbours:
//! `exception` (throwing), `natives` (`call.native`), `thread` (the end of a thread).

use revenant_bytecode::{Builtin, number};
use revenant_hal::ObjectAddress;

use crate::counting;
use crate::exception::{self, Thrown};
use crate::heap as object_heap;
use crate::loader::layout::{
    CLOSURE_ENVIRONMENT, CLOSURE_FUNCTION, FUNCTION_COUNTS, FUNCTION_SIZE,
};
use crate::memory::layout::PAGE;
use crate::memory::layout::class::{
    DEPTH, DISPLAY, DISPLAY_LENGTH, INDEX, INTERFACES, SUPERCLASS, VTABLE,
};
use crate::memory::layout::object::{CLASS, LENGTH, PAYLOAD};
use crate::memory::layout::thread::{
    FRAME_RAWS, RAW_LIMIT, RECORD_FUNCTION, RECORD_LIMIT, RECORD_RAW_BASE, RECORD_RAW_END,
    RECORD_SIZE, REFERENCE_LIMIT,
};
use crate::natives;
use crate::object::array;
use crate::thread;

use super::calls::Counts;
use super::numeric::low;
use super::state::{Slow, a, b, c};
use super::worker::{SliceEnd, Worker};

/// Does what the bodies could not. False when the slice is over; `worker.end` then says why.
pub(super) fn take(worker: &mut Worker, slow: Slow) -> bool {
    if matches!(slow, Slow::Allocate | Slow::Native) && counting::is_behind(worker.space) {
        // The same instruction again in the thread's next turn: garbage is freed meanwhile.
        worker.position = worker.frame.position;
        worker.end = Some(SliceEnd::Yielded);
        return false;
    }
    let done = match slow {
        Slow::Poll => return poll(worker),
        Slow::Native => return natives::call(worker),
        Slow::ReturnFloor => return return_below_floor(worker),
        Slow::CallLimit => widen(worker),
        Slow::InterfaceMiss => find_interface_method(worker),
        Slow::Throw => {
            let exception = worker.reference(a(worker.word()));
            Err(if exception == 0 {
                Builtin::NullReferenceException.into()
            } else {
                Thrown::Object(exception)
            })
        }
        Slow::Allocate => allocate(worker),
        Slow::ClassTest => test_class(worker),
        Slow::Extension => extension(worker),
        Slow::Index => large_index(worker),
        Slow::Null => Err(Builtin::NullReferenceException.into()),
        Slow::Cast => Err(Builtin::InvalidCastException.into()),
        Slow::DivideByZero => Err(Builtin::DivideByZeroException.into()),
        Slow::IntegerOverflow => Err(Builtin::IntegerOverflowException.into()),
        Slow::Conversion => Err(Builtin::InvalidConversionException.into()),
        Slow::Unreachable => Err(Builtin::UnreachableException.into()),
        Slow::Invalid => Err(Builtin::VerificationException.into()),
        Slow::Abstract => Err(Builtin::AbstractMethodException.into()),
        Slow::Signature => Err(Builtin::SignatureMismatchException.into()),
    };
    worker.space.end_step();
    match done {
        Ok(()) => true,
        Err(thrown) => exception::throw(worker, thrown),
    }
}

/// The opcode of an instruction word.
const fn opcode_of(word: u64) -> u16 {
    c(word << 48)
}

/// The budget of the chunk is spent: another chunk, the end of the slice, or an interruption.
pub(crate) fn poll(worker: &mut Worker) -> bool {
    if thread::is_interrupted(worker) {
        return exception::throw(worker, Builtin::InterruptedException.into());
    }
    worker.chunk = worker.refill();
    if worker.chunk == 0 {
        worker.end = Some(SliceEnd::Budget);
        worker.position = worker.frame.position;
        return false;
    }
    true
}

/// The function that the call instruction at hand would enter, or 0.
fn callee(worker: &Worker) -> u64 {
    let word = worker.word();
    let receiver = worker.reference(a(word));
    let literal = worker.literal();
    match opcode_of(word) {
        number::Call => literal,
        number::CallVirtual => {
            let class = worker.class(worker.load32(receiver, CLASS));
            worker.load(class, VTABLE + (literal >> 32) * 8)
        }
        number::CallInterface => interface_method(worker, receiver, literal),
        number::CallClosure => worker.load(receiver, CLOSURE_FUNCTION),
        number::CallIndirect => worker.reference(c(word)),
        _ => 0,
    }
}

/// Touches as much of the stacks as the call at hand needs, or throws `StackOverflowException`.
fn widen(worker: &mut Worker) -> Result<(), Thrown> {
    let word = worker.word();
    let counts = Counts(worker.load(callee(worker), FUNCTION_COUNTS));
    let reference_end = worker.frame.references + (u64::from(a(word)) + counts.references()) * 8;
    let raw_end = worker.frame.raws + (u64::from(b(word)) + counts.raws()) * 8;
    let record_end = worker.record + 2 * RECORD_SIZE;
    widen_to(worker, reference_end, raw_end, record_end)
}

/// Touches the stacks for writing up to these ends.
///
/// # Errors
/// One of them lies beyond the stack.
fn widen_to(
    worker: &mut Worker,
    reference_end: u64,
    raw_end: u64,
    record_end: u64,
) -> Result<(), Thrown> {
    let thread = worker.thread.0;
    let limits = [REFERENCE_LIMIT, RAW_LIMIT, RECORD_LIMIT].map(|limit| worker.load(thread, limit));
    let softs = [worker.reference_soft_limit, worker.raw_soft_limit, worker.record_soft_limit];
    let mut widened = softs;
    for (place, end) in [reference_end, raw_end, record_end].into_iter().enumerate() {
        if end > limits[place] {
            return Err(Thrown::StackOverflow);
        }
        if end > softs[place] {
            let end = end.next_multiple_of(PAGE).min(limits[place]);
            worker.space.touch_write_range(ObjectAddress(softs[place]), end - softs[place]);
            widened[place] = end;
        }
    }
    [worker.reference_soft_limit, worker.raw_soft_limit, worker.record_soft_limit] = widened;
    Ok(())
}

/// Returns to a frame that this slice has not entered: makes it ready and lets the return happen, or ends the thread.
fn return_below_floor(worker: &mut Worker) -> bool {
    if worker.record <= first_record(worker) {
        return thread::returned(worker);
    }
    match enter_caller(worker) {
        Ok(()) => true,
        Err(thrown) => exception::throw(worker, thrown),
    }
}

/// The call record of the thread's first frame.
pub(crate) fn first_record(worker: &Worker) -> u64 {
    worker.load(worker.thread.0, RAW_LIMIT)
}

/// Makes the caller's frame ready to be entered: thawed, touched for writing, above the floor.
///
/// # Errors
/// Its record cannot be that of a frame.
pub(crate) fn enter_caller(worker: &mut Worker) -> Result<(), Thrown> {
    let caller = worker.record - RECORD_SIZE;
    prepare_frame(worker, caller)?;
    worker.record_floor = caller;
    worker.space.end_step();
    Ok(())
}

/// Thaws and touches a frame that the slice is about to enter.
pub(super) fn prepare_frame(worker: &mut Worker, record: u64) -> Result<(), Thrown> {
    let thread = worker.thread.0;
    let bases = worker.load(record, RECORD_RAW_BASE);
    let ends = worker.load(record, RECORD_RAW_END);
    let [reference_limit, raw_limit] =
        [REFERENCE_LIMIT, RAW_LIMIT].map(|limit| worker.load(thread, limit));
    let raws = worker.stack + u64::from(low(bases))..worker.stack + u64::from(low(ends));
    let references = worker.stack + (bases >> 32)..worker.stack + (ends >> 32);
    let fits = references.start <= references.end
        && references.end <= reference_limit
        && reference_limit <= raws.start
        && raws.start <= raws.end
        && raws.end <= raw_limit
        && raws.end - raws.start <= FRAME_RAWS * 8
        && bases & 0x7_0000_0007 == 0;
    if !fits {
        return Err(Builtin::VerificationException.into());
    }
    crate::counting::frozen::thaw(worker.space, worker.thread, ObjectAddress(references.start))?;
    worker.space.touch_write_range(
        ObjectAddress(references.start),
        references.end.max(references.start + 8) - references.start,
    );
    worker
        .space
        .touch_write_range(ObjectAddress(raws.start), raws.end.max(raws.start + 8) - raws.start);
    worker.space.touch_write(ObjectAddress(record));
    let up = |end: u64, limit: u64| end.next_multiple_of(PAGE).min(limit);
    worker.reference_soft_limit =
        worker.reference_soft_limit.max(up(references.end, reference_limit));
    worker.raw_soft_limit = worker.raw_soft_limit.max(up(raws.end, raw_limit));
    let record_limit = worker.load(thread, RECORD_LIMIT);
    worker.record_soft_limit = worker.record_soft_limit.max(up(record + RECORD_SIZE, record_limit));
    Ok(())
}

/// The function of an object's class for a method of an interface, or 0.
fn interface_method(worker: &Worker, receiver: u64, literal: u64) -> u64 {
    let mut class = worker.class(worker.load32(receiver, CLASS));
    let wanted = low(literal);
    // The bound is for damaged hierarchies.
    for _ in 0..=revenant_bytecode::CLASS_DEPTH_MAX {
        let table = worker.load(class, INTERFACES);
        if table != 0 {
            let pairs = u64::from(worker.load32(table, LENGTH)) / 2;
            for pair in 0..pairs {
                let interface = worker.load(table, PAYLOAD + pair * 16);
                if worker.load32(interface, INDEX) == wanted {
                    let methods = worker.load(table, PAYLOAD + pair * 16 + 8);
                    return worker.load(methods, PAYLOAD + (literal >> 32) * 8);
                }
            }
        }
        class = worker.load(class, SUPERCLASS);
        if class == 0 {
            break;
        }
    }
    0
}

/// Fills the cache of interface methods for the call at hand.
fn find_interface_method(worker: &mut Worker) -> Result<(), Thrown> {
    let receiver = worker.reference(a(worker.word()));
    let literal = worker.literal();
    let function = interface_method(worker, receiver, literal);
    if function == 0 {
        return Err(Builtin::AbstractMethodException.into());
    }
    let class = worker.load32(receiver, CLASS);
    let entry = worker.interface_cache.entry(class, literal);
    entry.class = class;
    entry.method = literal;
    entry.function = function;
    Ok(())
}

/// Whether an object's class is `wanted`, below it, or implements it; walks what the display does not show.
fn is_instance(worker: &Worker, object: u64, wanted: u64) -> bool {
    let mut class = worker.class(worker.load32(object, CLASS));
    for _ in 0..=revenant_bytecode::CLASS_DEPTH_MAX {
        if class == wanted {
            return true;
        }
        if class == 0 {
            return false;
        }
        let table = worker.load(class, INTERFACES);
        let pairs = if table == 0 { 0 } else { u64::from(worker.load32(table, LENGTH)) / 2 };
        if (0..pairs).any(|pair| worker.load(table, PAYLOAD + pair * 16) == wanted) {
            return true;
        }
        class = worker.load(class, SUPERCLASS);
    }
    false
}

/// Whether an exception is of a class, by the display where that is enough.
pub(crate) fn catches(worker: &Worker, exception: u64, class: u64) -> bool {
    let depth = u64::from(worker.load32(class, DEPTH));
    if depth >= DISPLAY_LENGTH {
        return is_instance(worker, exception, class);
    }
    let actual = worker.class(worker.load32(exception, CLASS));
    worker.load32(actual, DISPLAY + depth * 4) == worker.load32(class, INDEX)
}

/// `instance_of` and `cast` beyond the display.
fn test_class(worker: &mut Worker) -> Result<(), Thrown> {
    let word = worker.word();
    let object = worker.reference(b(word));
    let result = is_instance(worker, object, worker.literal());
    if opcode_of(word) == number::InstanceOf {
        worker.set_raw(a(word), u64::from(result));
    } else if result {
        worker.set_reference(a(word), object);
    } else {
        return Err(Builtin::InvalidCastException.into());
    }
    worker.advance(2);
    Ok(())
}

/// Fields added to a class later: nothing adds any yet, so loads yield the default.
fn extension(worker: &mut Worker) -> Result<(), Thrown> {
    let word = worker.word();
    let opcode = opcode_of(word);
    if worker.reference(b(word)) == 0 {
        return Err(Builtin::NullReferenceException.into());
    }
    match opcode {
        number::ExtensionLoadRaw => {
            worker.set_raw(a(word), worker.literal());
            worker.advance(2);
        }
        number::ExtensionLoadRef => {
            worker.set_reference(a(word), 0);
            worker.advance(1);
        }
        _ => return Err(Builtin::NotSupportedException.into()),
    }
    Ok(())
}

/// An index failed the 32-bit check: out of bounds, but for objects so large that their length does not fit.
fn large_index(worker: &mut Worker) -> Result<(), Thrown> {
    let word = worker.word();
    let opcode = opcode_of(word);
    let object = worker.reference(b(word));
    if opcode == number::ArrayLength || opcode == number::BufferLength {
        let length = object_heap::large::length(worker.space, ObjectAddress(object));
        worker.set_raw(a(word), length);
        worker.advance(1);
        return Ok(());
    }
    Err(Builtin::IndexOutOfBoundsException.into())
}

/// `object.new`, `array.new`, `buffer.new`, `closure.new`.
fn allocate(worker: &mut Worker) -> Result<(), Thrown> {
    let word = worker.word();
    let space = worker.space;
    let allocator = worker.allocator;
    match opcode_of(word) {
        number::ObjectNew => {
            let class = ObjectAddress(worker.literal());
            let object = object_heap::allocate_plain(space, allocator, class)?;
            worker.set_reference(a(word), object.0);
        }
        number::ArrayNew => {
            let class = worker.literal();
            let object = new_array(worker, class, worker.raw(b(word)))?;
            worker.set_reference(a(word), object);
        }
        number::BufferNew => {
            let (length, capacity) = (worker.raw(b(word)), worker.raw(c(word)));
            if length > capacity || capacity > object_heap::large::CAPACITY_LIMIT {
                return Err(Builtin::InvalidArgumentException.into());
            }
            let class = Builtin::ByteBuffer as u32;
            let object = if capacity > crate::memory::layout::object::SMALL_LIMIT / 2 {
                object_heap::large::allocate(space, allocator, class, length, length, capacity)?
            } else {
                object_heap::allocate_sized(space, allocator, class, length, capacity)?
            };
            worker.set_reference(a(word), object.0);
            worker.advance(1);
            return Ok(());
        }
        _ => return new_closure(worker),
    }
    worker.advance(2);
    Ok(())
}

/// A new array of a class, every element zero or null.
///
/// # Errors
/// The length is negative or too large, or memory is short.
fn new_array(worker: &Worker, class: u64, length: u64) -> Result<u64, Thrown> {
    Ok(array::allocate(worker.space, worker.allocator, ObjectAddress(class), length)?.0)
}

/// `closure.new`: the linked literal is the function.
fn new_closure(worker: &mut Worker) -> Result<(), Thrown> {
    let word = worker.word();
    let class = ObjectAddress(worker.class(Builtin::Closure as u32));
    let closure = object_heap::allocate_plain(worker.space, worker.allocator, class)?;
    worker.space.end_step();
    let place = |offset| ObjectAddress(closure.0 + offset);
    let (function, environment) = (worker.literal(), worker.reference(b(word)));
    crate::counting::store_reference(
        worker.space,
        place(CLOSURE_FUNCTION),
        ObjectAddress(function),
    );
    worker.space.end_step();
    crate::counting::store_reference(
        worker.space,
        place(CLOSURE_ENVIRONMENT),
        ObjectAddress(environment),
    );
    worker.set_reference(a(word), closure.0);
    worker.advance(2);
    Ok(())
}

const _: () = assert!(FUNCTION_SIZE > FUNCTION_COUNTS && RECORD_FUNCTION == 8);
