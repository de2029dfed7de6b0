//! A simple tracer in memory, which shares no code with the sweep, and what it says as the verdict of a mark. Neighbours: the tests of
//! this folder that are about the sweep.
#![allow(dead_code, clippy::allow_attributes, reason = "each test uses a part of it")]

use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use revenant_hal::{Epoch, OBJECT_SPACE_BASE, ObjectAddress};
use revenant_vm::memory::Space;
use revenant_vm::memory::layout::system::{counting, root, table};
use revenant_vm::memory::layout::{BLOCK, area, block, class, thread};
use revenant_vm::sweep::{MARK_WORDS, Marks, Verdicts};

/// Where the words of the root object's references are that are not object references.
const BATCH: [u64; 2] = [area::BATCHES, area::BATCHES + area::BATCH_SIZE];

/// What a tracer starts from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roots {
    /// What programs can get at.
    Programs,
    /// That, and what counting still has to look at: the roots of a mark.
    Mark,
}

/// What was found.
#[derive(Clone, Default)]
pub(crate) struct Trace {
    /// Reached by references.
    pub(crate) strong: BTreeSet<u64>,
    /// Reached, but by weak references only.
    pub(crate) weak: BTreeSet<u64>,
}

/// A reader of object space that ends no attempt.
#[derive(Clone, Copy)]
pub(crate) struct Tracer(pub(crate) Space);

impl Tracer {
    fn word(self, address: u64) -> u64 {
        let value = self.0.load(ObjectAddress(address));
        self.0.end_step();
        value
    }

    fn half(self, address: u64) -> u64 {
        self.word(address & !7) >> (address % 8 * 8) & 0xffff_ffff
    }

    fn byte(self, address: u64) -> u8 {
        let value = self.0.load(ObjectAddress(address));
        self.0.end_step();
        value
    }

    /// The metadata byte of an address.
    pub(crate) fn metadata(self, address: u64) -> u8 {
        self.byte(address / BLOCK * BLOCK + address % BLOCK / 16)
    }

    /// An object, in words.
    pub(crate) fn describe(self, address: u64) -> String {
        let header = (self.half(address), self.word(address + 8));
        let payload = (self.word(address + 16), self.word(address + 24));
        format!("{header:x?}, metadata {:#x}, {payload:x?}", self.metadata(address))
    }

    /// All addresses where an object starts, block by block.
    pub(crate) fn started(self) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let bounds = [
            (area::HEAP, self.word(area::RUNS + block::RUNS_FRESH)),
            (self.word(area::RUNS + block::RUNS_FRESH_TOP), area::END),
        ];
        for (start, end) in bounds {
            let mut at = start;
            while at < end {
                let entry = area::BLOCK_TABLE + (at - OBJECT_SPACE_BASE) / BLOCK * 16;
                let (kind, order) = (self.byte(entry), self.byte(entry + 1));
                let granules = match kind {
                    block::KIND_SMALL => 256..4096,
                    block::KIND_LARGE => 511..512,
                    _ => 0..0,
                };
                found.extend(
                    granules
                        .filter(|granule| self.byte(at + granule) & 1 != 0)
                        .map(|granule| at + granule * 16),
                );
                at += BLOCK << if kind == block::KIND_NONE { 0 } else { order };
            }
        }
        found
    }

    /// What an object refers to.
    pub(crate) fn targets(self, address: u64) -> Vec<u64> {
        let class_object = self.word(area::CLASS_TABLE + 8 * self.half(address));
        let length = self.half(address + 4);
        let slot = |index: u64| self.word(address + 16 + 8 * index);
        let bits = |mask: u64| (0..64).filter(move |bit| mask >> bit & 1 != 0);
        let found: Vec<u64> = match self.byte(class_object + class::KIND) {
            class::KIND_PLAIN | class::KIND_THREAD => {
                bits(self.word(class_object + class::REFERENCE_BITMAP)).map(slot).collect()
            }
            class::KIND_REFERENCE_ARRAY => (0..length).map(slot).collect(),
            class::KIND_RECORDS => {
                let words = self.half(class_object + class::RECORD_WORDS).max(1);
                let mask = self.half(class_object + class::RECORD_MASK);
                (0..length * words)
                    .filter(|index| mask >> (index % words) & 1 != 0)
                    .map(slot)
                    .collect()
            }
            class::KIND_CLASS => {
                let methods = self.half(address + class::VTABLE_LENGTH);
                let table =
                    (0..methods).map(|index| self.word(address + class::VTABLE + 8 * index));
                bits(class::FIXED_REFERENCES).map(slot).chain(table).collect()
            }
            _ => Vec::new(),
        };
        found.into_iter().filter(|target| *target != 0).collect()
    }

    /// What a weak reference whose count has stuck refers to.
    pub(crate) fn weak_target(self, address: u64) -> Option<u64> {
        let class_object = self.word(area::CLASS_TABLE + 8 * self.half(address));
        let is_weak = self.byte(class_object + class::KIND) == class::KIND_WEAK;
        let stuck = self.metadata(address) >> 1 & 31 == 31;
        (is_weak && stuck).then(|| self.word(address + 16))
    }

    /// Objects that nothing can reach, with what they are. The weak reference to an object that lives goes with it at the latest, if its count
    /// has stuck: that one is none.
    pub(crate) fn garbage(self) -> Vec<(u64, String)> {
        let living = self.trace(Roots::Programs).strong;
        let is_kept = |address: &u64| {
            living.contains(address)
                || self.weak_target(*address).is_some_and(|target| living.contains(&target))
        };
        let started = self.started().into_iter();
        let left = started.filter(|address| !is_kept(address));
        left.map(|address| (address, self.describe(address))).collect()
    }

    fn roots(self, roots: Roots) -> Vec<u64> {
        let mut found = Vec::new();
        for place in (root::DIRECTORY..root::REFERENCES_END).step_by(8) {
            found.push(self.word(area::ROOT + place));
        }
        let classes = self.word(area::ROOT + root::NEXT_CLASS).max(256);
        found.extend((1..classes).map(|index| self.word(area::CLASS_TABLE + 8 * index)));
        for index in 1..self.word(area::ROOT + root::NEXT_THREAD).max(1) {
            let thread_object = self.word(area::THREAD_TABLE + 8 * index);
            if thread_object != 0 && thread_object & 1 == 0 {
                found.push(thread_object);
                self.frames(thread_object, &mut found);
            }
        }
        if roots == Roots::Mark {
            self.batches(&mut found);
            found.push(self.word(area::COUNTING + counting::TEARDOWN_OBJECT));
        }
        found.retain(|address| *address != 0);
        found
    }

    fn frames(self, thread_object: u64, found: &mut Vec<u64>) {
        let stack = self.word(thread_object + thread::STACK);
        let frame = self.word(thread_object + thread::FRAME);
        let state = self.half(thread_object + thread::STATE);
        let ended = [thread::STATE_ENDED, thread::STATE_DAMAGED].map(u64::from).contains(&state);
        if frame != 0 && !ended {
            let end = stack + self.half(frame + thread::RECORD_REFERENCE_END);
            found.extend((stack..end).step_by(8).map(|slot| self.word(slot)));
        }
        let mut mutex = self.word(thread_object + thread::OWNED_MUTEXES);
        while mutex != 0 {
            found.push(mutex);
            mutex = self.word(mutex + thread::MUTEX_NEXT);
        }
    }

    fn batches(self, found: &mut Vec<u64>) {
        let counting_word = |offset| self.word(area::COUNTING + offset);
        let open = usize::from(counting_word(counting::OPEN_NEXT) >= BATCH[1]);
        let mut listed = vec![(open, BATCH[open]..counting_word(counting::OPEN_NEXT))];
        if counting_word(counting::PHASE) != counting::PHASE_IDLE {
            let closed = counting_word(counting::CLOSED_NEXT)..counting_word(counting::CLOSED_END);
            listed.push((1 - open, closed));
        }
        for (batch, entries) in listed {
            for entry in entries.step_by(8) {
                let address = self.word(entry);
                let metadata = self.metadata(address);
                if metadata & 1 != 0 && usize::from(metadata >> 6) == batch + 1 {
                    found.push(address);
                }
            }
        }
    }

    /// Pairs of objects and their weak references, of both arenas.
    fn weak_pairs(self) -> Vec<(u64, u64)> {
        let state = area::COUNTING + counting::WEAK;
        let arena = self.word(state + table::ARENA) & 1;
        let arenas = [
            (arena, self.word(state + table::LOG2), 0),
            (1 - arena, self.word(state + table::OLD_LOG2), self.word(state + table::OLD_CURSOR)),
        ];
        let mut pairs = Vec::new();
        for (arena, log2, from) in arenas.into_iter().filter(|(_, log2, _)| *log2 != 0) {
            for place in from..1 << log2 {
                let at = area::WEAK_TABLE + arena * area::TABLE_ARENA + place * table::PLACE;
                if self.word(at) > table::REMOVED {
                    pairs.push((self.word(at), self.word(at + 8)));
                }
            }
        }
        pairs
    }

    fn reach(self, from: Vec<u64>, reached: &mut BTreeSet<u64>) {
        let mut grey = from;
        while let Some(address) = grey.pop() {
            if reached.insert(address) {
                grey.extend(self.targets(address));
            }
        }
    }

    /// Everything that can be reached.
    pub(crate) fn trace(self, roots: Roots) -> Trace {
        let mut strong = BTreeSet::new();
        self.reach(self.roots(roots), &mut strong);
        let mut all = strong.clone();
        let pairs = self.weak_pairs();
        loop {
            let mut more = Vec::new();
            for (target, weak) in &pairs {
                if all.contains(target) != all.contains(weak) {
                    more.extend([*target, *weak]);
                }
            }
            if more.is_empty() {
                break;
            }
            self.reach(more, &mut all);
        }
        let weak = all.difference(&strong).copied().collect();
        Trace { strong, weak }
    }

    /// What must not change while nobody runs: what programs can get at, with headers and the targets of its references. Panics if a
    /// reference leads to where nothing starts, or if more references lead to an object than it counts.
    pub(crate) fn living(self) -> BTreeMap<u64, (u64, u64)> {
        let trace = self.trace(Roots::Programs);
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for address in trace.strong.iter().chain(&trace.weak) {
            assert!(self.metadata(*address) & 1 != 0, "{address:#x} was freed");
            if trace.strong.contains(address) {
                found.insert(*address, (self.word(*address), self.word(address + 8)));
            }
            for target in self.targets(*address) {
                *counts.entry(target).or_default() += 1;
            }
        }
        for (address, references) in counts {
            let count = u64::from(self.metadata(address) >> 1 & 31);
            assert!(count == 31 || count >= references, "{address:#x}: {count} of {references}");
        }
        found
    }
}

/// Whether a finding is that an object counts more than there is.
pub(crate) fn is_too_many(finding: &str) -> bool {
    let numbers = finding
        .split_once(": count ")
        .and_then(|(_, rest)| rest.strip_suffix(" references")?.split_once(", "));
    numbers.is_some_and(|(counted, found)| {
        counted.parse::<u64>().unwrap() > found.parse::<u64>().unwrap()
    })
}

/// What differs between two states of what lives.
pub(crate) fn differ(
    before: &BTreeMap<u64, (u64, u64)>,
    after: &BTreeMap<u64, (u64, u64)>,
) -> String {
    let gone: Vec<_> =
        before.iter().filter(|(key, value)| after.get(key) != Some(value)).take(5).collect();
    let new: Vec<_> = after.keys().filter(|key| !before.contains_key(key)).take(5).collect();
    format!("gone or other {gone:x?}, new {new:x?}")
}

/// The verdict of a mark made by the tracer.
pub(crate) struct Verdict {
    pub(crate) name: [u64; 4],
    pub(crate) epoch: Epoch,
    pub(crate) follows_weak: bool,
    blocks: BTreeMap<u32, [u64; MARK_WORDS]>,
    /// Blocks whose marks are at hand; none: all of them.
    at_hand: Option<RefCell<VecDeque<u32>>>,
    /// A block whose marks cannot be read.
    pub(crate) failed: Option<u32>,
}

static NO_MARKS: [u64; MARK_WORDS] = [0; MARK_WORDS];

impl Verdict {
    /// Of object space as it is: the flip that ends `epoch`.
    pub(crate) fn of(space: Space, number: u64, epoch: u64) -> Self {
        let trace = Tracer(space).trace(Roots::Mark);
        let mut verdict = Self {
            name: [7, 1, epoch, number],
            epoch: Epoch(epoch),
            follows_weak: true,
            blocks: BTreeMap::new(),
            at_hand: None,
            failed: None,
        };
        for address in &trace.strong {
            verdict.set(*address, false);
        }
        for address in &trace.weak {
            verdict.set(*address, true);
        }
        verdict
    }

    fn set(&mut self, address: u64, weakly: bool) {
        let number = (address - OBJECT_SPACE_BASE) / BLOCK;
        let marks = self.blocks.entry(u32::try_from(number).unwrap()).or_insert(NO_MARKS);
        let granule = usize::try_from(address % BLOCK / 16).unwrap();
        for granule in [granule].into_iter().chain(weakly.then_some(granule + 1)) {
            marks[granule / 64] |= 1 << (granule % 64);
        }
    }

    /// Takes the mark of an object away: a mark that is wrong.
    pub(crate) fn forget(&mut self, address: u64) {
        let number = (address - OBJECT_SPACE_BASE) / BLOCK;
        let granule = usize::try_from(address % BLOCK / 16).unwrap();
        if let Some(marks) = self.blocks.get_mut(&u32::try_from(number).unwrap()) {
            marks[granule / 64] &= !(1 << (granule % 64));
        }
    }

    /// From now on marks have to be brought first.
    pub(crate) fn forgets(mut self) -> Self {
        self.at_hand = Some(RefCell::default());
        self
    }

    /// Brings the marks of a block.
    pub(crate) fn bring(&self, number: u32) {
        if let Some(at_hand) = &self.at_hand {
            at_hand.borrow_mut().push_back(number);
            if at_hand.borrow().len() > 8 {
                let _ = at_hand.borrow_mut().pop_front();
            }
        }
    }
}

impl Verdicts for Verdict {
    fn name(&self) -> [u64; 4] {
        self.name
    }
    fn epoch(&self) -> Epoch {
        self.epoch
    }
    fn follows_weak(&self) -> bool {
        self.follows_weak
    }
    fn marks(&self, number: u32) -> Marks<'_> {
        let here = self.at_hand.as_ref().is_none_or(|blocks| blocks.borrow().contains(&number));
        match here {
            _ if self.failed == Some(number) => Marks::Failed,
            true => Marks::Here(self.blocks.get(&number).unwrap_or(&NO_MARKS)),
            false => Marks::NotYet,
        }
    }
}
