//! Natives on values, numbers 36 to 113: strings, builders, vectors, maps, boxes, arrays, buffers, weak references, mathematics, what is
//! wanted of the collector, the past.
//!
//! Each takes its arguments from the window, calls `object` or `counting`, and writes its results last. Most are one step; an
//! operation on more bytes than a step may touch goes on from a cursor in the thread's object (`cursor`), so its attempt can
//! end and its slice can be over anywhere. Nothing here takes memory of the kernel's heap or holds anything with a
//! destructor.
//!
//! The verifier promises the kinds of arguments. Persistent memory may be damaged all the same: null is refused, every access is
//! confined, every loop is bounded by a step.
//!
//! ```text
//!   text    strings          builder  builders           list   vectors and maps
//!   array   arrays, buffers  object   boxes, weak, names math   elementary functions
//!   long    new texts of any length, in steps            cursor progress of stepped operations         collector  words that the kernel looks at
//!   search   equality, order, hash, search               description exceptions as text                    digits  numbers to text and back, in a buffer of the stack
//!   past     snapshots, and copies of what objects were
//! ```

mod array;
mod builder;
mod collector;
mod cursor;
pub(crate) mod description;
mod digits;
mod list;
mod long;
mod math;
mod object;
pub(super) mod past;
mod search;
mod text;

#[cfg(test)]
mod tests;

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use super::Context;
use crate::exception::Thrown;
use crate::memory::AddressExt;
use crate::thread::NativeResult;

pub(crate) use cursor::abandon;

/// Executes a native on values.
///
/// # Errors
/// What it throws; nothing has changed then but what the operation's steps before did.
pub(crate) fn call(native: Native, c: &Context) -> NativeResult {
    use Native as N;
    match native {
        N::StringLength
        | N::StringByte
        | N::StringCharacter
        | N::StringEquals
        | N::StringCompare
        | N::StringHash
        | N::StringConcat
        | N::StringConcatI64
        | N::StringSlice
        | N::StringFind
        | N::StringFromI64
        | N::StringFromU64
        | N::StringFromF64
        | N::StringFromCharacter
        | N::StringFromBytes
        | N::StringToBytes
        | N::StringParseI64
        | N::StringParseF64 => text::call(native, c),
        N::BuilderNew
        | N::BuilderAppend
        | N::BuilderAppendI64
        | N::BuilderAppendF64
        | N::BuilderAppendFixed
        | N::BuilderAppendCharacter
        | N::BuilderLength
        | N::BuilderClear
        | N::BuilderToString => builder::call(native, c),
        N::VectorNew
        | N::VectorLength
        | N::VectorGet
        | N::VectorSet
        | N::VectorPush
        | N::VectorPop
        | N::VectorInsert
        | N::VectorRemove
        | N::VectorClear
        | N::MapNew
        | N::MapLength
        | N::MapGet
        | N::MapContains
        | N::MapSet
        | N::MapRemove
        | N::MapClear
        | N::MapNext => list::call(native, c),
        N::ArrayCopy
        | N::ArrayFill
        | N::ArrayCompare
        | N::BufferGrow
        | N::BufferCopy
        | N::BufferFill => array::call(native, c),
        N::LongNew
        | N::LongValue
        | N::DoubleNew
        | N::DoubleValue
        | N::ObjectHash
        | N::ObjectClassName
        | N::WeakNew
        | N::WeakGet
        | N::ExceptionDescribe => object::call(native, c),
        N::CollectorStart
        | N::CollectorPause
        | N::CollectorResume
        | N::CollectorStop
        | N::CollectorSweeps => collector::call(native, c),
        _ => math::call(native, c),
    }
}

/// A reference argument that is not null.
fn object(c: &Context, place: u16) -> Result<ObjectAddress, Thrown> {
    let object = c.object(place);
    if object.is_null() { Err(Builtin::NullReferenceException.into()) } else { Ok(object) }
}

/// A raw argument that is an f64.
fn float(c: &Context, place: u16) -> f64 {
    f64::from_bits(c.raw(place))
}

/// Index or range outside.
const OUTSIDE: Thrown = Thrown::New(Builtin::IndexOutOfBoundsException, 0);
/// An argument that cannot be.
const INVALID: Thrown = Thrown::New(Builtin::InvalidArgumentException, 0);
/// Another thread changed the object between two steps.
const CHANGED: Thrown = Thrown::New(Builtin::ConcurrentChangeException, 0);
