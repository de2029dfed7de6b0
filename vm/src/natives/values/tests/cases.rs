//! The cases: each native with ordinary, extreme and refused arguments.

use alloc::string::String;

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use super::world::{Case, World};
use crate::loader::layout::{EXCEPTION_CAUSE, EXCEPTION_CODE, EXCEPTION_MESSAGE};
use crate::memory::AddressExt;
use crate::object::map;

const NULL: ObjectAddress = ObjectAddress(0);

const fn case(native: Native, arguments: fn(&World<'_>), expected: &'static str) -> Case {
    Case { native, arguments, expected }
}

/// A text longer than one step copies, with characters of every length.
fn long_text() -> String {
    "abcd\u{e4}\u{20ac}\u{1f600}".repeat(2_000)
}

fn texts(world: &World<'_>, texts: &[&str]) {
    let made: alloc::vec::Vec<_> = texts.iter().map(|text| world.string(text)).collect();
    world.references(&made);
}

fn floats(world: &World<'_>, numbers: &[f64]) {
    let words: alloc::vec::Vec<_> = numbers.iter().map(|number| number.to_bits()).collect();
    world.raws(&words);
}

pub(super) const TEXT: &[Case] = &[
    case(Native::StringLength, |w| texts(w, &["h\u{e4}"]), "3 [\"h\u{e4}\"]"),
    case(
        Native::StringByte,
        |w| {
            texts(w, &["abc"]);
            w.raws(&[2]);
        },
        "99 [\"abc\"]",
    ),
    case(
        Native::StringByte,
        |w| {
            texts(w, &["abc"]);
            w.raws(&[3]);
        },
        "IndexOutOfBoundsException",
    ),
    case(
        Native::StringCharacter,
        |w| {
            texts(w, &["a\u{1f600}b"]);
            w.raws(&[1]);
        },
        "128512 5 [\"a\u{1f600}b\"]",
    ),
    case(
        Native::StringCharacter,
        |w| {
            texts(w, &["a\u{1f600}b"]);
            w.raws(&[2]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::StringCharacter,
        |w| {
            texts(w, &["a"]);
            w.raws(&[1]);
        },
        "IndexOutOfBoundsException",
    ),
    case(Native::StringEquals, |w| texts(w, &["same", "same"]), "1 [\"same\"] [\"same\"]"),
    case(Native::StringEquals, |w| texts(w, &["same", "sama"]), "0 [\"same\"] [\"sama\"]"),
    case(Native::StringEquals, |w| w.references(&[NULL, NULL]), "1"),
    case(Native::StringEquals, |w| texts(w, &["one"]), "0 [\"one\"]"),
    case(Native::StringCompare, |w| texts(w, &["abc", "abd"]), "-1 [\"abc\"] [\"abd\"]"),
    case(Native::StringCompare, |w| texts(w, &["abc", "ab"]), "1 [\"abc\"] [\"ab\"]"),
    case(Native::StringCompare, |w| texts(w, &["", ""]), "0 [\"\"] [\"\"]"),
    case(Native::StringHash, |w| texts(w, &["hash"]), "7751652 [\"hash\"]"),
    case(Native::StringConcat, |w| texts(w, &["left", "right"]), "\"leftright\" [\"right\"]"),
    case(Native::StringConcat, |w| texts(w, &["", ""]), "\"\" [\"\"]"),
    case(
        Native::StringConcat,
        |w| {
            let long = w.string(&long_text());
            w.references(&[long, long]);
        },
        "<52002 bytes, 3b6d2bc9> [<26002 bytes, 5030cd49>]",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &["a\u{20ac}bc"]);
            w.raws(&[1, 5]);
        },
        "\"\u{20ac}b\"",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &["a\u{20ac}bc"]);
            w.raws(&[2, 5]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &["abc"]);
            w.raws(&[2, 4]);
        },
        "IndexOutOfBoundsException",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &["abc"]);
            w.raws(&[3, 3]);
        },
        "\"\"",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &[&long_text()]);
            w.raws(&[13, 26_000]);
        },
        "<25989 bytes, ea8f39c1>",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["banana", "an"]);
            w.raws(&[2]);
        },
        "3 [\"banana\"] [\"an\"]",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["banana", "an"]);
            w.raws(&[4]);
        },
        "-1 [\"banana\"] [\"an\"]",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["banana", ""]);
            w.raws(&[6]);
        },
        "6 [\"banana\"] [\"\"]",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["b\u{e4}", ""]);
            w.raws(&[2]);
        },
        "3 [\"b\u{e4}\"] [\"\"]",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["a", "a"]);
            w.raws(&[u64::MAX]);
        },
        "-1 [\"a\"] [\"a\"]",
    ),
    case(
        Native::StringFromI64,
        |w| w.raws(&[i64::MIN.cast_unsigned()]),
        "\"-9223372036854775808\"",
    ),
    case(Native::StringFromU64, |w| w.raws(&[u64::MAX]), "\"18446744073709551615\""),
    case(Native::StringFromF64, |w| floats(w, &[0.1]), "\"0.1\""),
    case(Native::StringFromF64, |w| floats(w, &[-0.0]), "\"-0\""),
    case(Native::StringFromF64, |w| floats(w, &[1e21]), "\"1e21\""),
    case(
        Native::StringFromF64,
        |w| floats(w, &[123_456_789_012_345_680_000.0]),
        "\"123456789012345680000\"",
    ),
    case(Native::StringFromF64, |w| floats(w, &[5e-324]), "\"5e-324\""),
    case(Native::StringFromF64, |w| floats(w, &[f64::NAN]), "\"NaN\""),
    case(Native::StringFromF64, |w| floats(w, &[f64::NEG_INFINITY]), "\"-inf\""),
    case(Native::StringFromCharacter, |w| w.raws(&[0x20ac]), "\"\u{20ac}\""),
    case(Native::StringFromCharacter, |w| w.raws(&[0xd800]), "InvalidArgumentException"),
    case(
        Native::StringFromBytes,
        |w| {
            let bytes = w.bytes(b"xhelloy");
            w.references(&[bytes]);
            w.raws(&[1, 5]);
        },
        "\"hello\"",
    ),
    case(
        Native::StringFromBytes,
        |w| {
            let bytes = w.bytes(&[0x61, 0xff]);
            w.references(&[bytes]);
            w.raws(&[0, 2]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::StringFromBytes,
        |w| {
            let bytes = w.bytes(b"abc");
            w.references(&[bytes]);
            w.raws(&[2, u64::MAX]);
        },
        "IndexOutOfBoundsException",
    ),
    case(
        Native::StringFromBytes,
        |w| {
            let bytes = w.bytes(long_text().as_bytes());
            w.references(&[bytes]);
            w.raws(&[0, 26_000]);
        },
        "<26002 bytes, 5030cd49>",
    ),
    case(
        Native::StringFromBytes,
        |w| {
            let mut bytes = long_text().into_bytes();
            bytes[20_000] = 0xff;
            let bytes = w.bytes(&bytes);
            w.references(&[bytes]);
            w.raws(&[0, 26_000]);
        },
        "InvalidArgumentException",
    ),
    case(Native::StringToBytes, |w| texts(w, &["h\u{e4}"]), "104 195 164"),
    case(Native::StringToBytes, |w| texts(w, &[&long_text()]), "<97999 bytes, 414275a5>"),
    case(Native::StringParseI64, |w| texts(w, &["-42"]), "-42 [\"-42\"]"),
    case(
        Native::StringParseI64,
        |w| texts(w, &["9223372036854775808"]),
        "InvalidArgumentException",
    ),
    case(Native::StringParseI64, |w| texts(w, &[""]), "InvalidArgumentException"),
    case(Native::StringParseI64, |w| texts(w, &[&long_text()]), "InvalidArgumentException"),
    case(Native::StringParseF64, |w| texts(w, &["-1.5e3"]), "-1500 [\"-1.5e3\"]"),
    case(Native::StringParseF64, |w| texts(w, &["1.5x"]), "InvalidArgumentException"),
];

fn builder(world: &World<'_>, text: &str) {
    let made = world.builder(text);
    world.references(&[made]);
}

pub(super) const BUILDER: &[Case] = &[
    case(Native::BuilderNew, |_| {}, "builder \"\""),
    case(
        Native::BuilderAppend,
        |w| {
            let (made, text) = (w.builder("one, "), w.string("two"));
            w.references(&[made, text]);
        },
        "[builder \"one, two\"] [\"two\"]",
    ),
    case(
        Native::BuilderAppend,
        |w| {
            let (made, text) = (w.builder("x"), w.string(&long_text()));
            w.references(&[made, text]);
        },
        "[builder <26003 bytes, c7e0e1a1>] [<26002 bytes, 5030cd49>]",
    ),
    case(
        Native::BuilderAppend,
        |w| {
            let (made, text) = (w.builder(&long_text()), w.string(&long_text()));
            w.references(&[made, text]);
        },
        "[builder <52002 bytes, 3b6d2bc9>] [<26002 bytes, 5030cd49>]",
    ),
    case(
        Native::BuilderAppendI64,
        |w| {
            builder(w, "n=");
            w.raws(&[7]);
        },
        "[builder \"n=7\"]",
    ),
    case(
        Native::BuilderAppendF64,
        |w| {
            builder(w, "x=");
            floats(w, &[2.5]);
        },
        "[builder \"x=2.5\"]",
    ),
    case(
        Native::BuilderAppendFixed,
        |w| {
            builder(w, "x=");
            w.raws(&[2.0_f64.sqrt().to_bits(), 3]);
        },
        "[builder \"x=1.414\"]",
    ),
    case(
        Native::BuilderAppendFixed,
        |w| {
            builder(w, "");
            w.raws(&[1.0_f64.to_bits(), 341]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::BuilderAppendFixed,
        |w| {
            builder(w, "");
            w.raws(&[f64::MIN.to_bits(), 340]);
        },
        "[builder <653 bytes, 0f47598d>]",
    ),
    case(
        Native::BuilderAppendCharacter,
        |w| {
            builder(w, "a");
            w.raws(&[0xe4]);
        },
        "[builder \"a\u{e4}\"]",
    ),
    case(Native::BuilderLength, |w| builder(w, "12345"), "5 [builder \"12345\"]"),
    case(Native::BuilderClear, |w| builder(w, "12345"), "[builder \"\"]"),
    case(Native::BuilderToString, |w| builder(w, "text"), "\"text\""),
    case(Native::BuilderToString, |w| builder(w, ""), "\"\""),
    case(Native::BuilderToString, |w| builder(w, &long_text()), "<26002 bytes, 5030cd49>"),
];

fn vector(world: &World<'_>, length: u64, raws: &[u64]) {
    let made = world.vector(0..length);
    let value = world.string("v");
    world.references(&[made, value]);
    world.raws(raws);
}

fn entries(world: &World<'_>, length: u64, key: u64, raws: &[u64]) {
    let made = world.map((0..length).map(|key| (key, key * 10)));
    let (key, value) = (world.long(key), world.string("v"));
    world.references(&[made, key, value]);
    world.raws(raws);
}

pub(super) const LIST: &[Case] = &[
    case(Native::VectorNew, |w| w.raws(&[100]), ""),
    case(Native::VectorNew, |w| w.raws(&[u64::MAX]), "InvalidArgumentException"),
    case(Native::VectorLength, |w| vector(w, 3, &[]), "3 [0 1 2] [\"v\"]"),
    case(Native::VectorGet, |w| vector(w, 3, &[1]), "1 [\"v\"]"),
    case(Native::VectorGet, |w| vector(w, 3, &[3]), "IndexOutOfBoundsException"),
    case(Native::VectorSet, |w| vector(w, 3, &[1]), "[0 \"v\" 2] [\"v\"]"),
    case(Native::VectorSet, |w| vector(w, 3, &[u64::MAX]), "IndexOutOfBoundsException"),
    case(Native::VectorPush, |w| vector(w, 6, &[]), "[0 1 2 3 4 5 \"v\"] [\"v\"]"),
    case(Native::VectorPush, |w| vector(w, 1_535, &[]), "[<6568 bytes, 29c37bbb>] [\"v\"]"),
    case(Native::VectorPop, |w| vector(w, 3, &[]), "2 [\"v\"]"),
    case(Native::VectorPop, |w| vector(w, 0, &[]), "IndexOutOfBoundsException"),
    case(Native::VectorInsert, |w| vector(w, 3, &[1]), "[0 \"v\" 1 2] [\"v\"]"),
    case(Native::VectorInsert, |w| vector(w, 3, &[3]), "[0 1 2 \"v\"] [\"v\"]"),
    case(Native::VectorInsert, |w| vector(w, 3, &[4]), "IndexOutOfBoundsException"),
    case(Native::VectorInsert, |w| vector(w, 2_000, &[5]), "[<8893 bytes, e5a0a0ff>] [\"v\"]"),
    case(Native::VectorRemove, |w| vector(w, 3, &[0]), "0 [\"v\"]"),
    case(Native::VectorRemove, |w| vector(w, 3, &[3]), "IndexOutOfBoundsException"),
    case(Native::VectorRemove, |w| vector(w, 2_000, &[5]), "5 [\"v\"]"),
    case(Native::VectorClear, |w| vector(w, 3, &[]), "[] [\"v\"]"),
    case(Native::MapNew, |_| {}, "{}"),
    case(Native::MapLength, |w| entries(w, 3, 0, &[]), "3 [{0:0 1:10 2:20}] [0] [\"v\"]"),
    case(Native::MapGet, |w| entries(w, 100, 99, &[]), "990 [99] [\"v\"]"),
    case(Native::MapGet, |w| entries(w, 100, 100, &[]), "null [100] [\"v\"]"),
    case(
        Native::MapGet,
        |w| {
            let made = w.map([]);
            let key = w.string("key");
            map::set(w.space, w.allocator, made, key, key).unwrap();
            w.space.end_step();
            let other = w.string("key");
            w.references(&[made, other]);
        },
        "\"key\" [\"key\"]",
    ),
    case(Native::MapContains, |w| entries(w, 3, 2, &[]), "1 [{0:0 1:10 2:20}] [2] [\"v\"]"),
    case(Native::MapContains, |w| entries(w, 0, 2, &[]), "0 [{}] [2] [\"v\"]"),
    case(Native::MapSet, |w| entries(w, 3, 1, &[]), "[{0:0 1:\"v\" 2:20}] [1] [\"v\"]"),
    case(Native::MapSet, |w| entries(w, 3, 7, &[]), "[{0:0 1:10 2:20 7:\"v\"}] [7] [\"v\"]"),
    // The index is two thirds full and grows; a segment ends.
    case(
        Native::MapSet,
        |w| entries(w, 11, 77, &[]),
        "[{0:0 1:10 2:20 3:30 4:40 5:50 6:60 7:70 8:80 9:90 10:100 77:\"v\"}] [77] [\"v\"]",
    ),
    case(Native::MapSet, |w| entries(w, 24, 77, &[]), "[<155 bytes, 615bfa23>] [77] [\"v\"]"),
    case(Native::MapRemove, |w| entries(w, 3, 1, &[]), "1 [{0:0 2:20}] [1] [\"v\"]"),
    case(Native::MapRemove, |w| entries(w, 3, 5, &[]), "0 [{0:0 1:10 2:20}] [5] [\"v\"]"),
    case(
        Native::MapRemove,
        |w| {
            let made = w.map([]);
            let key = w.string("key");
            map::set(w.space, w.allocator, made, key, key).unwrap();
            w.space.end_step();
            let other = w.string("key");
            w.references(&[made, other]);
        },
        "1 [{}] [\"key\"]",
    ),
    case(Native::MapClear, |w| entries(w, 30, 0, &[]), "[{}] [0] [\"v\"]"),
    case(Native::MapNext, |w| entries(w, 3, 0, &[1]), "1 10 2 [\"v\"]"),
    case(Native::MapNext, |w| entries(w, 3, 0, &[3]), "null null -1 [\"v\"]"),
    case(
        Native::MapNext,
        |w| {
            let made = w.map((0..1_500).map(|key| (key, key)));
            for key in 0..1_400 {
                let key = w.long(key);
                assert!(map::remove(w.space, made, key));
                w.space.end_step();
            }
            w.references(&[made]);
            w.raws(&[0]);
        },
        "1400 1400 1401",
    ),
];

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

pub(super) const ARRAY: &[Case] = &[
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

fn exception(world: &World<'_>) {
    let (outer, inner) = (
        world.plain(Builtin::InvalidArgumentException),
        world.plain(Builtin::DivideByZeroException),
    );
    let message = world.string("no such account");
    world.refer(outer.plus(EXCEPTION_MESSAGE), message);
    world.refer(outer.plus(EXCEPTION_CAUSE), inner);
    world.space.store(inner.plus(EXCEPTION_CODE), 7_u64);
    world.space.end_step();
    world.references(&[outer]);
}

pub(super) const OBJECT: &[Case] = &[
    case(Native::LongNew, |w| w.raws(&[42]), "42"),
    case(
        Native::LongValue,
        |w| {
            let made = w.long(42);
            w.references(&[made]);
        },
        "42 [42]",
    ),
    case(Native::DoubleNew, |w| floats(w, &[0.5]), "0.5"),
    case(Native::DoubleNew, |w| w.raws(&[0xfff8_0000_0000_0001]), "NaN"),
    case(
        Native::DoubleValue,
        |w| {
            let made = w.double(0.5);
            w.references(&[made]);
        },
        "0.5 [0.5]",
    ),
    case(Native::ObjectClassName, |w| w.references(&[w.string("x")]), "\"String\""),
    case(
        Native::ObjectHash,
        |w| {
            let made = w.long(42);
            w.references(&[made]);
        },
        "(its address)",
    ),
    case(
        Native::ObjectClassName,
        |w| {
            let made = w.long(42);
            w.references(&[made]);
        },
        "\"Long\"",
    ),
    case(
        Native::WeakNew,
        |w| {
            let made = w.long(42);
            w.references(&[made]);
        },
        "WeakReference",
    ),
    case(
        Native::WeakGet,
        |w| {
            let made = w.long(42);
            let class = crate::counting::class_at(w.space, Builtin::WeakReference as u32);
            let weak = crate::counting::weak_reference(w.space, w.allocator, class, made).unwrap();
            w.space.end_step();
            w.references(&[weak]);
        },
        "42",
    ),
    case(
        Native::ExceptionDescribe,
        exception,
        "\"InvalidArgumentException: no such account\\ncaused by DivideByZeroException (7)\"",
    ),
];

pub(super) const MATH: &[Case] = &[
    case(Native::F64Sin, |w| floats(w, &[0.0]), "0"),
    case(Native::F64Cos, |w| floats(w, &[0.0]), "1"),
    case(Native::F64Tan, |w| floats(w, &[0.0]), "0"),
    case(Native::F64Asin, |w| floats(w, &[1.0]), "1.5707963267948966"),
    case(Native::F64Acos, |w| floats(w, &[1.0]), "0"),
    case(Native::F64Atan, |w| floats(w, &[1.0]), "0.7853981633974483"),
    case(Native::F64Atan2, |w| floats(w, &[1.0, -1.0]), "2.356194490192345"),
    case(Native::F64Exp, |w| floats(w, &[1.0]), "2.7182818284590455"),
    case(Native::F64Log, |w| floats(w, &[-1.0]), "NaN"),
    case(Native::F64Log2, |w| floats(w, &[8.0]), "3"),
    case(Native::F64Log10, |w| floats(w, &[1000.0]), "3"),
    case(Native::F64Pow, |w| floats(w, &[2.0, 0.5]), "1.4142135623730951"),
    case(Native::F64Rem, |w| floats(w, &[-7.5, 2.0]), "-1.5"),
];
