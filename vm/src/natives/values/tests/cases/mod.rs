//! The cases: each native with ordinary, extreme and refused arguments, by what the native works on.

mod array;
mod list;
mod object;
mod text;

pub(super) use array::ARRAY;
pub(super) use list::LIST;
pub(super) use object::{COLLECTOR, MATH, OBJECT};
pub(super) use text::{BUILDER, TEXT};

use alloc::string::String;

use revenant_bytecode::Native;

use super::world::{Case, World};

pub(super) const fn case(
    native: Native,
    arguments: fn(&World<'_>),
    expected: &'static str,
) -> Case {
    Case { native, arguments, expected }
}

/// A text longer than one step copies, with characters of every length.
pub(super) fn long_text() -> String {
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
