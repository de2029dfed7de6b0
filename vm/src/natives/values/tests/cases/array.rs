//! Cases of natives on arrays: ordinary, extreme and refused arguments.

use revenant_bytecode::{Builtin, Native};

use super::super::world::{Case, World};
use super::case;
use crate::memory::AddressExt;

fn raw_copy(world: &World<'_>, raws: &[u64]) {
    let (source, target) = (world.longs(&[1, 2, 3, 4]), world.longs(&[0; 4]));
    world.references(&[source, target]);
    world.raws(raws);
}

/// Copies within one array.
fn overlap(world: &World<'_>, class: Builtin, length: u64, raws: &[u64]) {
    let made = match class {
        Builtin::ObjectArray => {
            let elements: alloc::vec::Vec<_> = (0..length).map(|n| world.long(n)).collect();
            world.objects(&elements)
        }
        Builtin::LongArray => world.longs(&(0..length).collect::<alloc::vec::Vec<_>>()),
        _ => {
            let bytes: alloc::vec::Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0]).collect();
            world.bytes(&bytes)
        }
    };
    world.references(&[made, made]);
    world.raws(raws);
}

pub(in super::super) const ARRAY: &[Case] = &[
    case(Native::ArrayCopy, |w| raw_copy(w, &[1, 0, 3]), "[1 2 3 4] [2 3 4 0]"),
    case(Native::ArrayCopy, |w| raw_copy(w, &[1, 0, 4]), "IndexOutOfBoundsException"),
    case(Native::ArrayCopy, |w| raw_copy(w, &[1, 0, u64::MAX]), "IndexOutOfBoundsException"),
    case(Native::ArrayCopy, |w| raw_copy(w, &[4, 4, 0]), "[1 2 3 4] [0 0 0 0]"),
    case(
        Native::ArrayCopy,
        |w| {
            let (source, target) = (w.longs(&[1]), w.bytes(&[1]));
            w.references(&[source, target]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::ArrayCopy,
        |w| overlap(w, Builtin::ObjectArray, 6, &[0, 2, 4]),
        "[0 1 0 1 2 3] [0 1 0 1 2 3]",
    ),
    case(
        Native::ArrayCopy,
        |w| overlap(w, Builtin::ObjectArray, 6, &[2, 0, 4]),
        "[2 3 4 5 4 5] [2 3 4 5 4 5]",
    ),
    case(
        Native::ArrayCopy,
        |w| overlap(w, Builtin::ObjectArray, 150, &[0, 1, 149]),
        "[<487 bytes, 8ede37f2>] [<487 bytes, 8ede37f2>]",
    ),
    case(
        Native::ArrayCopy,
        |w| overlap(w, Builtin::LongArray, 10_000, &[0, 1, 9_999]),
        "[<48886 bytes, 7fa34051>] [<48886 bytes, 7fa34051>]",
    ),
    case(
        Native::ArrayCopy,
        |w| overlap(w, Builtin::LongArray, 10_000, &[1, 0, 9_999]),
        "[<48892 bytes, 6465e079>] [<48892 bytes, 6465e079>]",
    ),
    case(
        Native::ArrayFill,
        |w| {
            raw_copy(w, &[1, 2, 9]);
        },
        "[1 9 9 4] [0 0 0 0]",
    ),
    case(
        Native::ArrayFill,
        |w| {
            let made = w.longs(&[7; 10_000]);
            w.references(&[made]);
            w.raws(&[10, 9_980, 3]);
        },
        "[<19999 bytes, 1874bac5>]",
    ),
    case(Native::ArrayFill, |w| raw_copy(w, &[3, 2, 9]), "IndexOutOfBoundsException"),
    case(
        Native::ArrayFill,
        |w| overlap(w, Builtin::ObjectArray, 3, &[0, 1, 0]),
        "InvalidArgumentException",
    ),
    case(
        Native::ArrayCompare,
        |w| {
            let (left, right) = (w.bytes(&[1, 200]), w.bytes(&[1, 100, 0]));
            w.references(&[left, right]);
        },
        "1 [1 200] [1 100 0]",
    ),
    case(
        Native::BufferGrow,
        |w| {
            let made = w.buffer(3, 20);
            w.references(&[made]);
            w.raws(&[2]);
        },
        "3 [0 0 0 0 0]",
    ),
    case(
        Native::BufferGrow,
        |w| {
            let made = w.buffer(3, 20);
            w.references(&[made]);
            w.raws(&[1_000]);
        },
        "-1 [0 0 0]",
    ),
    case(
        Native::BufferGrow,
        |w| {
            let made = w.buffer(0, 1 << 32);
            w.references(&[made]);
            w.raws(&[100]);
        },
        "0 [<199 bytes, 6855e085>]",
    ),
    case(
        Native::BufferCopy,
        |w| {
            let (source, target) = (w.buffer(4, 4), w.buffer(4, 4));
            w.space.store(source.plus(16), 0x0403_0201_u32);
            w.space.end_step();
            w.references(&[source, target]);
            w.raws(&[0, 1, 3]);
        },
        "[1 2 3 4] [0 1 2 3]",
    ),
    case(
        Native::BufferFill,
        |w| {
            let made = w.buffer(5, 5);
            w.references(&[made]);
            w.raws(&[1, 3, 0x1ff]);
        },
        "[0 255 255 255 0]",
    ),
];
