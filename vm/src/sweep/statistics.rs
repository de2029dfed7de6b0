//! What sweeps have freed, counted by who calls them: outside of attempts, because it grows.

use alloc::collections::BTreeMap;

use super::Slice;

/// Why counting did not free it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Something dead referred to it: a circle, or what hung on one.
    Circle,
    /// Its count had stuck.
    Stuck,
    /// A grace had passed over it.
    Left,
}

/// An object freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freed {
    /// Its class index.
    pub class: u32,
    /// Bytes of its cell, or of the payload of a large one.
    pub bytes: u64,
    /// Why counting did not free it.
    pub why: Why,
}

impl Freed {
    pub(super) const NONE: Self = Self { class: 0, bytes: 0, why: Why::Left };
}

/// Objects and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByClass {
    /// Objects.
    pub objects: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The sum of slices.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// What was freed, by class index.
    pub by_class: BTreeMap<u32, ByClass>,
    /// Garbage in circles and what hung on them.
    pub circles: ByClass,
    /// Objects whose count had stuck.
    pub stuck: ByClass,
    /// Objects that a grace had passed over.
    pub left: ByClass,
    /// Weak references cleared.
    pub weak_cleared: u64,
    /// Objects and blocks left as they are.
    pub passed_over: u64,
    /// Stack ranges of lost threads.
    pub stacks: u64,
    /// Slices.
    pub slices: u64,
}

impl Statistics {
    /// Adds a slice.
    pub fn add(&mut self, slice: &Slice) {
        self.slices += 1;
        self.weak_cleared += u64::from(slice.weak_cleared);
        self.passed_over += u64::from(slice.passed_over);
        self.stacks += u64::from(slice.stacks);
        for freed in slice.freed() {
            let why = match freed.why {
                Why::Circle => &mut self.circles,
                Why::Stuck => &mut self.stuck,
                Why::Left => &mut self.left,
            };
            for sum in [why, self.by_class.entry(freed.class).or_default()] {
                sum.objects += 1;
                sum.bytes += freed.bytes;
            }
        }
    }

    /// Objects freed.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.by_class.values().map(|sum| sum.objects).sum()
    }
}
