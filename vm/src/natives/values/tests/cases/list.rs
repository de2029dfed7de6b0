//! Cases of natives on lists and maps: ordinary, extreme and refused arguments.

use revenant_bytecode::Native;

use super::super::world::{Case, World};
use super::case;
use crate::object::map;

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

/// A map with a text for its key, and another text that is equal to it.
fn equal_key(world: &World<'_>) {
    let (made, key) = (world.map([]), world.string("key"));
    map::set(world.space, world.allocator, made, key, key).unwrap();
    world.space.end_step();
    world.references(&[made, world.string("key")]);
}

pub(in super::super) const LIST: &[Case] = &[
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
    case(Native::MapGet, equal_key, "\"key\" [\"key\"]"),
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
    case(Native::MapRemove, equal_key, "1 [{}] [\"key\"]"),
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
