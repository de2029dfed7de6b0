//! The references of an object, and those of the roots: where each slot stands, read without trust in what is there.
//!
//! Invariants: no slot outside the object's cell or run is looked at; of a large object only pages that hold something are.

use super::census::{Census, Object};
use revenant_bytecode::Builtin;
use revenant_hal::{ObjectAddress, PageIndex};
use revenant_vm::counting::{class_at, frozen};
use revenant_vm::memory::layout::system::{counting, root, table};
use revenant_vm::memory::layout::{PAGE, SLOT, area, class, object, thread};
use revenant_vm::memory::{AddressExt, Space};
use revenant_vm::object::array;
use std::collections::HashMap;
use std::rc::Rc;

/// Which slots of the instances of a class are references.
#[derive(Debug)]
enum Shape {
    None,
    /// Some of the first slots.
    Some(Vec<bool>),
    /// Every element.
    All,
    /// Words of a record, and which of them.
    Records(u64, u64),
    Class,
}

impl Shape {
    /// The slots of an instance, references or not, as it claims.
    fn slots(&self, space: Space, subject: ObjectAddress) -> u64 {
        match self {
            Self::None => 0,
            Self::Some(slots) => slots.len() as u64,
            Self::All => array::length(space, subject),
            Self::Records(words, _) => array::length(space, subject).saturating_mul(*words),
            Self::Class => {
                FIXED_SLOTS + u64::from(space.load::<u32>(subject.plus(class::VTABLE_LENGTH)))
            }
        }
    }

    /// Whether a slot is a reference.
    fn has(&self, slot: u64) -> bool {
        match self {
            Self::None => false,
            Self::Some(slots) => {
                usize::try_from(slot).ok().and_then(|slot| slots.get(slot)).is_some_and(|is| *is)
            }
            Self::All => true,
            Self::Records(words, mask) => mask >> (slot % words).min(63) & 1 != 0,
            Self::Class => slot >= FIXED_SLOTS || class::FIXED_REFERENCES >> slot & 1 != 0,
        }
    }
}

/// Slots of a class object before its virtual table.
const FIXED_SLOTS: u64 = (class::VTABLE - object::PAYLOAD) / SLOT;

/// Reads references; remembers the classes it has met.
#[derive(Debug)]
pub(super) struct References<'census> {
    space: Space,
    census: &'census Census,
    shapes: HashMap<u32, Rc<Shape>>,
    /// The object being torn down when the snapshot was made, and the first of its slots that was not released yet.
    torn: (u64, u64),
}

impl<'census> References<'census> {
    pub(super) fn new(space: Space, census: &'census Census) -> Self {
        let word = |offset| space.load::<u64>(ObjectAddress(area::COUNTING).plus(offset));
        let slot = match word(counting::TEARDOWN_STAGE) {
            counting::STAGE_REFERENCES => word(counting::TEARDOWN_INDEX),
            _ => u64::MAX,
        };
        let torn = (word(counting::TEARDOWN_OBJECT), slot);
        Self { space, census, shapes: HashMap::new(), torn }
    }

    /// Adds what an object refers to; of a thread also what its frames refer to. Null is left out.
    pub(super) fn of(&mut self, subject: &Object, targets: &mut Vec<u64>) {
        let space = self.space;
        let shape = self
            .shapes
            .entry(subject.class)
            .or_insert_with(|| Rc::new(shape(space, subject.class)));
        let shape = Rc::clone(shape);
        let from = if subject.address == self.torn.0 { self.torn.1 } else { 0 };
        self.range(subject, from, &shape, targets);
        if subject.class == Builtin::Thread as u32 {
            self.frames(subject.address, targets);
        }
    }

    /// Slots for which an object has room.
    fn room(&self, subject: &Object) -> u64 {
        let (_, end) = self.census.extent(subject);
        end.saturating_sub(subject.address + object::PAYLOAD) / SLOT
    }

    fn range(&self, subject: &Object, from: u64, shape: &Shape, targets: &mut Vec<u64>) {
        let slots = shape.slots(self.space, ObjectAddress(subject.address)).min(self.room(subject));
        let payload = subject.address + object::PAYLOAD;
        let end = payload + slots * SLOT;
        let mut read = |slot: u64| {
            if shape.has(slot) {
                let word = self.space.load::<u64>(ObjectAddress(payload + slot * SLOT));
                targets.extend((word != 0).then_some(word));
            }
        };
        if !subject.large {
            (from..slots).for_each(read);
            return;
        }
        for place in self.census.pages_in(payload, end) {
            let Some(page) = self.census.pages.get(place) else { break };
            let page = PageIndex(*page).address().0;
            let first = (page.max(payload) - payload) / SLOT;
            let last = (page + PAGE).min(end);
            (first.max(from)..(last - payload) / SLOT).for_each(&mut read);
        }
    }

    /// What the frames of a thread hold.
    fn frames(&self, subject: u64, targets: &mut Vec<u64>) {
        if frozen::check_thread(self.space, ObjectAddress(subject)).is_err() {
            return;
        }
        let stack = self.space.load::<u64>(ObjectAddress(subject).plus(thread::STACK));
        let end = frozen::scan_end(self.space, ObjectAddress(subject)).0;
        targets.extend(words(self.space, stack, end));
    }
}

fn shape(space: Space, index: u32) -> Shape {
    let made = class_at(space, index);
    match space.load::<u8>(made.plus(class::KIND)) {
        class::KIND_PLAIN | class::KIND_THREAD => {
            let slots = u64::from(space.load::<u32>(made.plus(class::SLOTS)));
            let long = space.load::<u64>(made.plus(class::LONG_BITMAP));
            let bitmap = space.load::<u64>(made.plus(class::REFERENCE_BITMAP));
            let bits = |slot: u64| match long {
                0 => slot < 64 && bitmap >> slot & 1 != 0,
                _ => {
                    let byte = ObjectAddress(long).plus(object::PAYLOAD + slot / 8);
                    space.load::<u8>(byte) >> (slot % 8) & 1 != 0
                }
            };
            // However many a damaged class claims, no small object has room for more.
            let most = object::SMALL_LIMIT / SLOT;
            Shape::Some((0..slots.min(most)).map(bits).collect())
        }
        class::KIND_REFERENCE_ARRAY => Shape::All,
        class::KIND_RECORDS => {
            let words = u64::from(space.load::<u32>(made.plus(class::RECORD_WORDS))).max(1);
            Shape::Records(words, u64::from(space.load::<u32>(made.plus(class::RECORD_MASK))))
        }
        class::KIND_CLASS => Shape::Class,
        _ => Shape::None,
    }
}

/// The words of a range that are not zero.
fn words(space: Space, start: u64, end: u64) -> impl Iterator<Item = u64> {
    let places = (start..end).step_by(8);
    places.map(move |place| space.load::<u64>(ObjectAddress(place))).filter(|word| *word != 0)
}

/// What the system refers to: by the root page and the table of threads, for which people have names; and by the table of classes.
pub(super) fn roots(space: Space) -> (Vec<u64>, Vec<u64>) {
    let counter = |offset| space.load::<u64>(ObjectAddress(area::ROOT).plus(offset));
    let mut named: Vec<u64> =
        words(space, area::ROOT + root::DIRECTORY, area::ROOT + root::REFERENCES_END).collect();
    let threads = counter(root::NEXT_THREAD).min(area::THREAD_TABLE_ENTRIES);
    let entries = words(space, area::THREAD_TABLE + 8, area::THREAD_TABLE + 8 * threads);
    named.extend(entries.filter(|word| word & 1 == 0));
    let classes = counter(root::NEXT_CLASS).max(u64::from(class::FIRST_MODULE_CLASS));
    let classes = classes.min(area::CLASS_TABLE_ENTRIES);
    (named, words(space, area::CLASS_TABLE + 8, area::CLASS_TABLE + 8 * classes).collect())
}

/// What counting still has in hand: entries of its batches whose objects say so, the object being torn down, what the held table names.
pub(super) fn in_hand(space: Space, census: &Census) -> Vec<u64> {
    let word = |offset| space.load::<u64>(ObjectAddress(area::COUNTING).plus(offset));
    let open = match word(counting::NEW_METADATA) >> object::META_BATCH_SHIFT {
        2 => 2,
        _ => 1,
    };
    let start = |batch: u64| area::BATCHES + (batch - 1) * area::BATCH_SIZE;
    let mut batches = vec![(open, start(open), word(counting::OPEN_NEXT))];
    if word(counting::PHASE) != counting::PHASE_IDLE {
        batches.push((3 - open, word(counting::CLOSED_NEXT), word(counting::CLOSED_END)));
    }
    let mut found = vec![word(counting::TEARDOWN_OBJECT)];
    for (batch, from, end) in batches {
        let inside = start(batch)..=start(batch) + area::BATCH_SIZE;
        if !inside.contains(&from) || !inside.contains(&end) {
            continue;
        }
        found.extend(words(space, from & !7, end).filter(|entry| {
            let byte = (entry & !0xFFFF) + ((entry & 0xFFFF) >> 4);
            let byte = space.load::<u8>(ObjectAddress(byte));
            byte & object::META_START != 0 && u64::from(byte >> object::META_BATCH_SHIFT) == batch
        }));
    }
    found.extend(table_pairs(space, census, counting::HELD, area::HELD_TABLE).map(|pair| pair.0));
    found
}

/// Targets of weak references, each with its weak reference.
pub(super) fn weak(space: Space, census: &Census) -> Vec<(u64, u64)> {
    table_pairs(space, census, counting::WEAK, area::WEAK_TABLE).collect()
}

/// The pairs of a side table: whatever stands on the pages of its two arenas, as far as they are in use.
fn table_pairs(
    space: Space,
    census: &Census,
    state: u64,
    start: u64,
) -> impl Iterator<Item = (u64, u64)> {
    let in_use = space.load::<u64>(ObjectAddress(area::COUNTING).plus(state + table::LOG2)) != 0;
    let places = census.pages_in(start, start + 2 * area::TABLE_ARENA);
    let pages = census.pages.get(places).unwrap_or_default().iter();
    let entries = pages.filter(move |_| in_use).flat_map(|page| {
        (0..PAGE / table::PLACE)
            .map(move |entry| PageIndex(*page).address().plus(entry * table::PLACE))
    });
    let pairs =
        entries.map(move |entry| (space.load::<u64>(entry), space.load::<u64>(entry.plus(8))));
    pairs.filter(|(key, _)| *key > table::REMOVED)
}
