//! The cases that look at texts and arrays longer than a step: the answer is at the end, so every step is taken.

use alloc::string::ToString;

use revenant_bytecode::{Builtin, Native};
use revenant_hal::ObjectAddress;

use super::cases::{case, long_text};
use super::world::{Case, World};
use crate::loader::layout::EXCEPTION_TRACE;
use crate::memory::layout::object::PAYLOAD;
use crate::memory::{AddressExt, HostSpace};
use crate::natives::description::FRAMES_MAX;
use crate::object::{map, string};

/// Two equal texts but for the last byte of the second.
fn pair(world: &World<'_>, last: &str) {
    let mut text = "abcdefg ".repeat(1_100);
    text.push('m');
    let left = world.string(&text);
    text.pop();
    text.push_str(last);
    let right = world.string(&text);
    world.references(&[left, right]);
}

/// A text and a pattern that begins like it and stands at its end.
fn search(world: &World<'_>, repeated: &str, times: usize, end: &str, tail: &str) {
    let half = repeated.repeat(times);
    let text = world.string(&(half.repeat(2) + end));
    let pattern = world.string(&(half + tail));
    world.references(&[text, pattern]);
    world.raws(&[0]);
}

fn arrays(world: &World<'_>, last: u8) {
    let make = |last: u8| {
        let made = world.array(Builtin::ByteArray, 9_000);
        world.space.store(ObjectAddress(made.0 + PAYLOAD + 8_999), last);
        world.space.end_step();
        made
    };
    let both = [make(7), make(last)];
    world.references(&both);
}

fn long_key(world: &World<'_>) {
    let (map, key) = (world.map([]), world.string(&long_text()));
    world.references(&[map, key, world.long(5)]);
}

/// A map of these keys, the first to 1 and so on.
fn map_of(world: &World<'_>, keys: &[ObjectAddress]) -> ObjectAddress {
    let made = world.map([]);
    for (key, value) in keys.iter().zip(1..) {
        let value = world.long(value);
        map::set(world.space, world.allocator, made, *key, value).unwrap();
        world.space.end_step();
    }
    made
}

/// A map in which a text stands that is equal to the key in hash and length (the hash is set so), and one that is equal to it.
fn twins(world: &World<'_>) {
    let text = long_text();
    let other = "?".to_string() + text.get(1..).unwrap();
    let (key, twin, liar) = (world.string(&text), world.string(&text), world.string(&other));
    let hash = string::hash(world.space, twin);
    string::keep_hash(world.space, liar, hash);
    let map = map_of(world, &[liar, twin]);
    world.references(&[map, key, world.long(5)]);
}

/// The same without the equal one.
fn liar(world: &World<'_>) {
    let (key, liar) = (world.string(&(long_text() + "a")), world.string(&(long_text() + "b")));
    let hash = string::hash(world.space, key);
    string::keep_hash(world.space, liar, hash);
    let map = map_of(world, &[liar]);
    world.references(&[map, key, world.long(5)]);
}

pub(super) const LONG: &[Case] = &[
    case(
        Native::StringEquals,
        |w| pair(w, "m"),
        "1 [<8803 bytes, f4e4b906>] [<8803 bytes, f4e4b906>]",
    ),
    case(
        Native::StringEquals,
        |w| pair(w, "n"),
        "0 [<8803 bytes, f4e4b906>] [<8803 bytes, f4e4b927>]",
    ),
    case(
        Native::StringEquals,
        |w| pair(w, "mm"),
        "0 [<8803 bytes, f4e4b906>] [<8804 bytes, 917be393>]",
    ),
    case(
        Native::StringCompare,
        |w| pair(w, "m"),
        "0 [<8803 bytes, f4e4b906>] [<8803 bytes, f4e4b906>]",
    ),
    case(
        Native::StringCompare,
        |w| pair(w, "n"),
        "-1 [<8803 bytes, f4e4b906>] [<8803 bytes, f4e4b927>]",
    ),
    case(
        Native::StringCompare,
        |w| pair(w, "l"),
        "1 [<8803 bytes, f4e4b906>] [<8803 bytes, f4e4b8e5>]",
    ),
    case(
        Native::StringCompare,
        |w| pair(w, "mm"),
        "-1 [<8803 bytes, f4e4b906>] [<8804 bytes, 917be393>]",
    ),
    case(
        Native::StringHash,
        |w| pair(w, "m"),
        "3818077764 [<8803 bytes, f4e4b906>] [<8803 bytes, f4e4b906>]",
    ),
    case(
        Native::StringFind,
        |w| search(w, "abcdefgh", 700, "!", "!"),
        "5600 [<11203 bytes, 424e30ca>] [<5603 bytes, a34b9c5a>]",
    ),
    case(
        Native::StringFind,
        |w| search(w, "abcdefgh", 700, "!", "?"),
        "-1 [<11203 bytes, 424e30ca>] [<5603 bytes, a34ba038>]",
    ),
    case(
        Native::StringFind,
        |w| search(w, "a", 3_000, "b", "b"),
        "3000 [<6003 bytes, fba828bb>] [<3003 bytes, 2d54f883>]",
    ),
    case(
        Native::StringFind,
        |w| search(w, "x", 5_000, "", "y"),
        "-1 [<10002 bytes, e6cdc449>] [<5003 bytes, 40217602>]",
    ),
    case(
        Native::ArrayCompare,
        |w| arrays(w, 7),
        "0 [<17999 bytes, ab396acc>] [<17999 bytes, ab396acc>]",
    ),
    case(
        Native::ArrayCompare,
        |w| arrays(w, 8),
        "-1 [<17999 bytes, ab396acc>] [<17999 bytes, ab396acd>]",
    ),
    case(
        Native::ArrayCompare,
        |w| arrays(w, 6),
        "1 [<17999 bytes, ab396acc>] [<17999 bytes, ab396acb>]",
    ),
    case(Native::MapSet, long_key, "[{<26002 bytes, 5030cd49>:5}] [<26002 bytes, 5030cd49>] [5]"),
    case(Native::MapGet, twins, "2 [<26002 bytes, 5030cd49>] [5]"),
    case(
        Native::MapContains,
        twins,
        "1 [{<26002 bytes, d0476927>:1 <26002 bytes, 5030cd49>:2}] [<26002 bytes, 5030cd49>] [5]",
    ),
    case(
        Native::MapSet,
        twins,
        "[{<26002 bytes, d0476927>:1 <26002 bytes, 5030cd49>:5}] [<26002 bytes, 5030cd49>] [5]",
    ),
    case(Native::MapRemove, twins, "1 [{<26002 bytes, d0476927>:1}] [<26002 bytes, 5030cd49>] [5]"),
    case(Native::MapGet, liar, "null [<26003 bytes, 564a7eaa>] [5]"),
    case(
        Native::MapSet,
        liar,
        "[{<26003 bytes, 564a7ecb>:1 <26003 bytes, 564a7eaa>:5}] [<26003 bytes, 564a7eaa>] [5]",
    ),
    case(Native::MapContains, long_key, "0 [{}] [<26002 bytes, 5030cd49>] [5]"),
];

/// Bytes that no call looks at or changes as a whole.
const VERY_LONG_BYTES: u64 = 70_000;

/// Two equal texts that take several calls.
fn very_long_pair(world: &World<'_>) {
    let text = "abcdefg ".repeat(9_000);
    world.references(&[world.string(&text), world.string(&text)]);
}

fn very_long_buffers(world: &World<'_>) {
    let source = world.buffer(VERY_LONG_BYTES, VERY_LONG_BYTES);
    world.space.store(source.plus(PAYLOAD + VERY_LONG_BYTES - 1), 9_u8);
    world.space.end_step();
    world.references(&[source, world.buffer(VERY_LONG_BYTES, VERY_LONG_BYTES)]);
    world.raws(&[0, 0, VERY_LONG_BYTES]);
}

/// An exception with a trace of sixteen frames that cannot be read.
fn traced(world: &World<'_>) {
    let made = world.plain(Builtin::Exception);
    let trace = world.longs(&[0; 2 * FRAMES_MAX]);
    world.refer(made.plus(EXCEPTION_TRACE), trace);
    world.references(&[made]);
}

/// Natives that go in steps where the cases above take one call.
pub(super) const VERY_LONG: &[Case] = &[
    case(
        Native::StringEquals,
        very_long_pair,
        "1 [<72002 bytes, 99c48d29>] [<72002 bytes, 99c48d29>]",
    ),
    case(
        Native::StringCompare,
        very_long_pair,
        "0 [<72002 bytes, 99c48d29>] [<72002 bytes, 99c48d29>]",
    ),
    case(
        Native::StringHash,
        very_long_pair,
        "2710500005 [<72002 bytes, 99c48d29>] [<72002 bytes, 99c48d29>]",
    ),
    case(
        Native::ArrayCompare,
        |w| {
            let make = || w.array(Builtin::ByteArray, VERY_LONG_BYTES);
            w.references(&[make(), make()]);
        },
        "0 [<139999 bytes, a67f6b45>] [<139999 bytes, a67f6b45>]",
    ),
    case(
        Native::BufferCopy,
        very_long_buffers,
        "[<139999 bytes, a67f6b4e>] [<139999 bytes, a67f6b4e>]",
    ),
    case(
        Native::BufferFill,
        |w| {
            very_long_buffers(w);
            w.raws(&[0, VERY_LONG_BYTES, 3]);
        },
        "[<139999 bytes, 2a2ed595>] [<139999 bytes, a67f6b45>]",
    ),
    case(Native::ExceptionDescribe, traced, "\"Exception\""),
];

/// A hash made in steps is the one that maps make of short keys: it is part of the disk format.
#[test]
fn a_hash_made_in_steps_is_that_of_the_whole() {
    let host = HostSpace::take().unwrap();
    let world = World::new(&host, case(Native::StringHash, |w| pair(w, "m"), ""));
    let text = world.string(&("abcdefg ".repeat(1_100) + "xyz"));
    world.references(&[text]);
    let whole = string::hash_range(world.space, string::byte_address(text, 0), 8_803);
    assert!(world.run().starts_with(&whole.to_string()));
}
