//! The oracle: everything reachable, by a stack in memory, straight over object space.

use revenant_hal::ObjectAddress;
use revenant_vm::counting::{Table, class_of, frozen};
use revenant_vm::memory::layout::system::{counting, root};
use revenant_vm::memory::layout::{area, class, object, thread};
use revenant_vm::memory::{AddressExt, Space};
use revenant_vm::object::array;
use std::collections::BTreeMap;

const COUNTING: ObjectAddress = ObjectAddress(area::COUNTING);

/// Every object reached, and whether through weak references only.
pub(crate) fn trace(space: Space) -> BTreeMap<u64, bool> {
    let mut reached = BTreeMap::new();
    follow(space, roots(space), false, &mut reached);
    loop {
        let mut more = Vec::new();
        Table::weak().for_each(space, |target, weak| {
            match (reached.contains_key(&target), reached.contains_key(&weak)) {
                (true, false) => more.push(weak),
                (false, true) => more.push(target),
                _ => {}
            }
        });
        if more.is_empty() {
            return reached;
        }
        follow(space, more, true, &mut reached);
    }
}

fn follow(space: Space, mut stack: Vec<u64>, weak: bool, reached: &mut BTreeMap<u64, bool>) {
    while let Some(address) = stack.pop() {
        if address != 0 && !reached.contains_key(&address) {
            reached.insert(address, weak);
            stack.extend(references(space, ObjectAddress(address)));
        }
    }
}

fn word(space: Space, address: u64) -> u64 {
    space.load(ObjectAddress(address))
}

fn metadata(space: Space, address: u64) -> u8 {
    space.load(ObjectAddress((address & !0xFFFF) + ((address & 0xFFFF) >> 4)))
}

fn references(space: Space, subject: ObjectAddress) -> Vec<u64> {
    let torn = word(space, area::COUNTING + counting::TEARDOWN_OBJECT) == subject.0;
    let stage = space.load::<u64>(COUNTING.plus(counting::TEARDOWN_STAGE));
    let from = match (torn, stage) {
        (false, _) => 0,
        (true, counting::STAGE_REFERENCES) => {
            word(space, area::COUNTING + counting::TEARDOWN_INDEX)
        }
        (true, _) => return Vec::new(),
    };
    let shape = class_of(space, subject);
    let bit = |slot: u64| {
        let long = space.load::<u64>(shape.plus(class::LONG_BITMAP));
        if long == 0 {
            slot < 64 && space.load::<u64>(shape.plus(class::REFERENCE_BITMAP)) >> slot & 1 != 0
        } else {
            space.load::<u8>(ObjectAddress(long).plus(object::PAYLOAD + slot / 8)) >> (slot % 8) & 1
                != 0
        }
    };
    let slots: Vec<u64> = match space.load::<u8>(shape.plus(class::KIND)) {
        class::KIND_PLAIN | class::KIND_THREAD => {
            let slots = u64::from(space.load::<u32>(shape.plus(class::SLOTS)));
            (0..slots).filter(|slot| bit(*slot)).collect()
        }
        class::KIND_REFERENCE_ARRAY => (0..array::length(space, subject)).collect(),
        class::KIND_RECORDS => {
            let words = u64::from(space.load::<u32>(shape.plus(class::RECORD_WORDS)));
            let mask = u64::from(space.load::<u32>(shape.plus(class::RECORD_MASK)));
            let all = 0..array::length(space, subject) * words;
            all.filter(|slot| mask >> (slot % words) & 1 != 0).collect()
        }
        class::KIND_CLASS => {
            let methods = u64::from(space.load::<u32>(subject.plus(class::VTABLE_LENGTH)));
            let fixed = (0..18).filter(|slot| class::FIXED_REFERENCES >> slot & 1 != 0);
            fixed.chain(18..18 + methods).collect()
        }
        _ => Vec::new(),
    };
    let wanted = slots.into_iter().filter(|slot| *slot >= from);
    wanted.map(|slot| word(space, subject.0 + object::PAYLOAD + 8 * slot)).collect()
}

fn roots(space: Space) -> Vec<u64> {
    let mut roots: Vec<u64> = (root::DIRECTORY..root::REFERENCES_END)
        .step_by(8)
        .map(|offset| word(space, area::ROOT + offset))
        .collect();
    let classes = word(space, area::ROOT + root::NEXT_CLASS).max(256);
    roots.extend((1..classes).map(|index| word(space, area::CLASS_TABLE + 8 * index)));
    for index in 1..word(space, area::ROOT + root::NEXT_THREAD) {
        let found = word(space, area::THREAD_TABLE + 8 * index);
        if found == 0 || found & 1 != 0 {
            continue;
        }
        roots.push(found);
        let stack = word(space, found + thread::STACK);
        let end = frozen::scan_end(space, ObjectAddress(found)).0;
        roots.extend((stack..end).step_by(8).map(|slot| word(space, slot)));
    }
    let open: u64 =
        if word(space, area::COUNTING + counting::NEW_METADATA) >> 6 == 2 { 2 } else { 1 };
    let start = area::BATCHES + (open - 1) * area::BATCH_SIZE;
    let mut batches = vec![(open, start, word(space, area::COUNTING + counting::OPEN_NEXT))];
    if word(space, area::COUNTING + counting::PHASE) != counting::PHASE_IDLE {
        let next = word(space, area::COUNTING + counting::CLOSED_NEXT);
        batches.push((3 - open, next, word(space, area::COUNTING + counting::CLOSED_END)));
    }
    for (batch, from, end) in batches {
        let entries = (from..end).step_by(8).map(|place| word(space, place));
        roots.extend(entries.filter(|entry| {
            let byte = metadata(space, *entry);
            *entry != 0 && byte & 1 != 0 && u64::from(byte >> 6) == batch
        }));
    }
    Table::held().for_each(space, |key, _| roots.push(key));
    let torn = word(space, area::COUNTING + counting::TEARDOWN_OBJECT);
    if torn != 0 && metadata(space, torn) & 1 != 0 {
        roots.push(torn);
    }
    roots
}
