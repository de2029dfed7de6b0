//! Threads as places of the tree: the table, frames, registers.

use alloc::format;
use alloc::vec::Vec;

use revenant_hal::ObjectAddress;

use super::node::{List, Node, ROOT, SEARCHED_MAX, number, reference};
use crate::memory::layout::area;
use crate::memory::layout::system::root;
use crate::memory::layout::thread::{
    FRAME, POSITION, RECORD_POSITION, RECORD_RAW_BASE, RECORD_RAW_END, RECORD_REFERENCE_BASE,
    RECORD_REFERENCE_END, RECORD_SIZE, STACK, STACK_SIZE, stack_parts,
};
use crate::memory::{AddressExt, Space};

/// Threads that exist, by index.
pub(super) fn threads(space: Space, list: &mut List) {
    let next = space.load::<u64>(ROOT.plus(root::NEXT_THREAD)).min(area::THREAD_TABLE_ENTRIES);
    for index in 1..next {
        let word = space.load::<u64>(ObjectAddress(area::THREAD_TABLE + index * 8));
        // Odd words link free places.
        if word != 0 && word & 1 == 0 {
            list.push(|| format!("[{index}]"), || Node::Object(ObjectAddress(word)));
        }
    }
}

/// Call records of a thread with the positions at which the frames stand, innermost first.
pub(in crate::system) fn records(space: Space, thread: ObjectAddress) -> Vec<(ObjectAddress, u64)> {
    let stack = space.load::<u64>(thread.plus(STACK));
    let size = space.load::<u64>(thread.plus(STACK_SIZE));
    let (_, first, end) = stack_parts(size);
    let frame = space.load::<u64>(thread.plus(FRAME));
    let mut found = Vec::new();
    if stack == 0 || frame < stack.wrapping_add(first) || frame >= stack.wrapping_add(end) {
        return found;
    }
    let mut record = frame;
    let mut position = space.load::<u64>(thread.plus(POSITION));
    while record >= stack + first && found.len() < SEARCHED_MAX {
        found.push((ObjectAddress(record), position));
        record -= RECORD_SIZE;
        position = space.load(ObjectAddress(record).plus(RECORD_POSITION));
    }
    found
}

/// Registers of a frame; an older value may stand in one that the code no longer uses.
pub(super) fn registers(
    space: Space,
    thread: ObjectAddress,
    record: ObjectAddress,
    list: &mut List,
) {
    let stack = reference(space, thread, STACK);
    let size = space.load::<u64>(thread.plus(STACK_SIZE));
    let offset = |word: u64| u64::from(space.load::<u32>(record.plus(word))).min(size);
    let files = [
        ("r", RECORD_REFERENCE_BASE, RECORD_REFERENCE_END),
        ("n", RECORD_RAW_BASE, RECORD_RAW_END),
    ];
    for (prefix, base, end) in files {
        let (base, end) = (offset(base), offset(end));
        for register in list.take(end.saturating_sub(base) / 8) {
            let word = space.load::<u64>(stack.plus(base + register * 8));
            list.push(
                || format!("{prefix}{register}"),
                || match prefix {
                    "r" => Node::Object(ObjectAddress(word)),
                    _ => Node::Value(number(word)),
                },
            );
        }
    }
}
