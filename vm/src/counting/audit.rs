//! The exact checker of an object space: counts equal references, every start bit, lists, batches, held slots.
//!
//! Reads everything and changes nothing; costs what the whole heap costs, so it is for tests, `disk check` and the kernel's
//! test scenarios. All threads are at safepoints. What it finds is reported as text, one line each, at most
//! [`MOST_FINDINGS`].
//!
//! Between the beginning and the end of a sweep, and after one that was dropped, dead objects may refer to what is freed: counts are
//! not compared then.
//!
//! Neighbours: `heap` and `counting`, whose invariants these are.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_hal::ObjectAddress;

use super::frozen::{self, KEPT};
use super::teardown::References;
use super::{COUNTING, Table, batch_start, open};
use crate::heap::metadata::{self, Metadata};
use crate::heap::runs::{self, BlockNumber, Entry};
use crate::heap::{Allocator, holes, large, small};
use crate::memory::layout::system::{counting, root};
use crate::memory::layout::{BLOCK, GRANULE, PAGE, SLOT, area, block, class, object, thread};
use crate::memory::{AddressExt, Space};
use crate::sweep;

const COUNTERS: u32 = counting::HELD_BLOCKS_COUNT;
/// Findings after which the checker reports no more.
pub const MOST_FINDINGS: usize = 50;

/// What the checker saw.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Contradictions, in words; none when the space is sound.
    pub findings: Vec<String>,
    /// Objects by class index.
    pub objects: BTreeMap<u32, u64>,
    /// Bytes of all objects, as cells and extents.
    pub bytes: u64,
    /// Runs by kind (`layout::block::KIND_*`), in blocks.
    pub blocks: BTreeMap<u8, u64>,
}

impl Audit {
    /// All objects together.
    #[must_use]
    pub fn object_count(&self) -> u64 {
        self.objects.values().sum()
    }

    fn find(&mut self, finding: String) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// Checks the whole of an object space.
#[must_use]
pub fn audit(space: Space) -> Audit {
    let mut checker = Checker { space, report: Audit::default(), objects: BTreeMap::new() };
    let charged = checker.walk_blocks();
    checker.check_quotas(&charged);
    let counts = checker.count_references();
    checker.compare_counts(&counts);
    checker.check_batches();
    checker.check_threads();
    checker.check_weak();
    for address in checker.objects.keys() {
        let index = space.load::<u32>(ObjectAddress(*address).plus(object::CLASS));
        *checker.report.objects.entry(index).or_default() += 1;
    }
    checker.report
}

struct Checker {
    space: Space,
    report: Audit,
    /// Every started object with its metadata.
    objects: BTreeMap<u64, Metadata>,
}

impl Checker {
    /// Walks all runs, linearly: blocks, cells, start bits. What each group is charged.
    fn walk_blocks(&mut self) -> BTreeMap<u32, u64> {
        let page = ObjectAddress(area::RUNS);
        let fresh = self.space.load::<u64>(page.plus(block::RUNS_FRESH));
        let top = self.space.load::<u64>(page.plus(block::RUNS_FRESH_TOP));
        let mut charged = BTreeMap::new();
        let mut used = 0;
        for (start, end) in [(area::HEAP, fresh), (top, area::END)] {
            let mut number = BlockNumber::of(ObjectAddress(start));
            let mut left = end.saturating_sub(start) / BLOCK;
            while left > 0 {
                let entry = runs::entry(self.space, number);
                let length = 1_u64 << entry.order.min(24);
                *self.report.blocks.entry(entry.kind).or_default() += length;
                self.check_run(number, entry, &mut charged);
                if !matches!(entry.kind, block::KIND_FREE | block::KIND_DIRTY | block::KIND_NONE) {
                    used += length;
                }
                // A hole above the alignment of a very large run has no entry: go on block by block.
                let step = if entry.kind == block::KIND_NONE { 1 } else { length };
                number = BlockNumber(number.0.wrapping_add(u32::try_from(step).unwrap_or(1)));
                left = left.saturating_sub(step);
            }
        }
        let recorded = self.space.load::<u64>(page.plus(block::RUNS_BLOCKS_USED));
        if used != recorded {
            self.report.find(format!("{used} blocks are in use, {recorded} recorded"));
        }
        self.check_free_lists();
        charged
    }

    fn check_run(&mut self, number: BlockNumber, entry: Entry, charged: &mut BTreeMap<u32, u64>) {
        if runs::run_of(self.space, number) != Some((number, entry))
            && entry.kind != block::KIND_NONE
        {
            self.report.find(format!("the run at {number:?} is not found from its own head"));
        }
        match entry.kind {
            block::KIND_SMALL => {
                *charged.entry(entry.owner).or_default() += BLOCK;
                self.check_small(number, entry);
            }
            block::KIND_LARGE => {
                let subject = number.address().plus(object::LARGE_OFFSET);
                let found = metadata::load(self.space, subject);
                if !found.starts() || !large::is_large(self.space, subject) {
                    self.report.find(format!("the large run at {number:?} holds no object"));
                }
                let extent = large::extent(self.space, subject).div_ceil(PAGE) * PAGE;
                *charged.entry(entry.owner).or_default() += extent;
                self.report.bytes += extent;
                self.objects.insert(subject.0, found);
            }
            block::KIND_FREE | block::KIND_DIRTY | block::KIND_STACK | block::KIND_NONE => {}
            kind => self.report.find(format!("the run at {number:?} is of kind {kind}")),
        }
    }

    fn check_small(&mut self, number: BlockNumber, entry: Entry) {
        let base = number.address();
        let Some(bytes) = small::cell_bytes(u32::from(entry.size_class)) else {
            return self.report.find(format!("{number:?} has size class {}", entry.size_class));
        };
        let mirror = self.space.load::<u64>(base.plus(block::HEADER_CLASS)).to_le_bytes();
        if mirror[0] != entry.kind || mirror[1] != entry.size_class {
            self.report.find(format!("header and table entry of {number:?} differ"));
        }
        let first = base.plus(block::FIRST_GRANULE * GRANULE);
        let cells = (BLOCK - PAGE) / bytes;
        let mut in_use = 0;
        for granule in 0..block::GRANULES {
            let address = first.plus(granule * GRANULE);
            let found = metadata::load(self.space, address);
            let is_cell =
                (granule * GRANULE).is_multiple_of(bytes) && granule * GRANULE / bytes < cells;
            if found.0 != 0 && (!is_cell || !found.starts()) {
                self.report.find(format!("metadata {:#x} at {address:?}, no start", found.0));
            } else if found.starts() {
                in_use += 1;
                self.report.bytes += bytes;
                self.objects.insert(address.0, found);
            }
        }
        let free = self.space.load::<u64>(base.plus(block::HEADER_FREE_CELLS));
        let reserved = self.cells_of_cursor(number, entry, bytes);
        if free + reserved + in_use != cells {
            self.report.find(format!(
                "{number:?}: {in_use} cells in use, {free} free, {reserved} before the cursor, of {cells}"
            ));
        }
        self.check_holes(number, entry);
        let listed = free > 0;
        match entry.state {
            block::STATE_CURRENT => {}
            block::STATE_LISTED if listed => {}
            block::STATE_FULL if !listed => {}
            state => self.report.find(format!("{number:?} has state {state} with {free} free")),
        }
    }

    /// A noted block stands in the set, and what it says to be zero is.
    fn check_holes(&mut self, number: BlockNumber, entry: Entry) {
        if holes::is_flagged(self.space, number) && !holes::is_in_set(self.space, number) {
            self.report.find(format!("{number:?} is noted, and no look will come to it"));
        }
        let zero = holes::zero_pages(self.space, number);
        for page in (0..BLOCK / PAGE).filter(|page| zero >> page & 1 != 0) {
            let start = number.address().plus(page * PAGE);
            if (0..PAGE / 8).any(|word| self.space.load::<u64>(start.plus(word * 8)) != 0) {
                self.report.find(format!("page {page} of {number:?} ({entry:?}) is not zero"));
            }
        }
    }

    /// Free cells that the owner's cursor has before it in this block.
    fn cells_of_cursor(&mut self, number: BlockNumber, entry: Entry, bytes: u64) -> u64 {
        let allocator = Allocator::of_group(entry.owner);
        let offset = u64::from(entry.size_class) * block::ALLOCATOR_CLASS_SIZE;
        let record = allocator.0.plus(block::ALLOCATOR_CLASSES + offset);
        let current = self.space.load::<u32>(record.plus(block::CLASS_CURRENT));
        if (current == number.0) != (entry.state == block::STATE_CURRENT) {
            self.report.find(format!("{number:?} disagrees with its owner about being current"));
        }
        if current != number.0 {
            return 0;
        }
        let cursor = self.space.load::<u64>(record.plus(block::CLASS_CURSOR));
        let limit = self.space.load::<u64>(record.plus(block::CLASS_LIMIT));
        limit.saturating_sub(cursor) / bytes
    }

    fn check_free_lists(&mut self) {
        let orders = u32::try_from(block::ORDERS).unwrap_or(0);
        for (order, clean) in (0..orders).flat_map(|order| [(order, true), (order, false)]) {
            let kind = if clean { block::KIND_FREE } else { block::KIND_DIRTY };
            let mut seen = BTreeSet::new();
            let mut next = runs::first_free(self.space, order, clean);
            while let Some(number) = next {
                let entry = runs::entry(self.space, number);
                if entry.kind != kind || u32::from(entry.order) != order || !seen.insert(number) {
                    self.report.find(format!("{number:?} stands wrongly in free list {order}"));
                    break;
                }
                next = runs::next_in_list(self.space, number);
            }
        }
    }

    fn check_quotas(&mut self, charged: &BTreeMap<u32, u64>) {
        let groups = self.space.load::<u64>(ObjectAddress(area::ROOT).plus(root::NEXT_GROUP));
        for group in 0..u32::try_from(groups.clamp(1, area::ALLOCATOR_COUNT)).unwrap_or(1) {
            let used = Allocator::of_group(group).used(self.space);
            let sum = charged.get(&group).copied().unwrap_or(0);
            if used != sum {
                self.report.find(format!("group {group} is charged {used} bytes, has {sum}"));
            }
        }
    }

    /// Counts every counted slot by its target.
    fn count_references(&mut self) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        let torn = self.space.load::<u64>(COUNTING.plus(counting::TEARDOWN_OBJECT));
        let stage = self.space.load::<u64>(COUNTING.plus(counting::TEARDOWN_STAGE));
        let index = self.space.load::<u64>(COUNTING.plus(counting::TEARDOWN_INDEX));
        let subjects: Vec<u64> = self.objects.keys().copied().collect();
        for address in subjects {
            let subject = ObjectAddress(address);
            let Ok(references) = References::of(self.space, subject) else {
                self.report.find(format!("{subject:?} has no class"));
                continue;
            };
            let from = match (address == torn, stage == counting::STAGE_REFERENCES) {
                (false, _) => 0,
                (true, true) => index,
                (true, false) => u64::MAX,
            };
            self.count_class_object(subject, &mut counts);
            for slot in from..references.slots().max(from) {
                if references.has(self.space, slot) {
                    let at = subject.plus(object::PAYLOAD + slot * SLOT);
                    self.count_slot(at, &mut counts);
                }
            }
        }
        for word in (root::DIRECTORY..root::REFERENCES_END).step_by(8) {
            self.count_slot(ObjectAddress(area::ROOT).plus(word), &mut counts);
        }
        let next = |word| self.space.load::<u64>(ObjectAddress(area::ROOT).plus(word));
        let classes = next(root::NEXT_CLASS).max(u64::from(class::FIRST_MODULE_CLASS));
        let threads = next(root::NEXT_THREAD).max(1);
        for index in 1..classes.min(area::CLASS_TABLE_ENTRIES) {
            self.count_slot(ObjectAddress(area::CLASS_TABLE + 8 * index), &mut counts);
        }
        for index in 1..threads.min(area::THREAD_TABLE_ENTRIES) {
            let slot = ObjectAddress(area::THREAD_TABLE + 8 * index);
            if self.space.load::<u64>(slot) & 1 == 0 {
                self.count_slot(slot, &mut counts);
            }
        }
        counts
    }

    /// Class objects hold references that no bitmap describes.
    fn count_class_object(&mut self, subject: ObjectAddress, counts: &mut BTreeMap<u64, u64>) {
        if super::kind_of(self.space, subject) != class::KIND_CLASS {
            return;
        }
        for bit in (0..64).filter(|bit| class::FIXED_REFERENCES >> bit & 1 != 0) {
            self.count_slot(subject.plus(object::PAYLOAD + 8 * bit), counts);
        }
        let methods = self.space.load::<u32>(subject.plus(class::VTABLE_LENGTH));
        for place in 0..u64::from(methods) {
            self.count_slot(subject.plus(class::VTABLE + 8 * place), counts);
        }
    }

    fn count_slot(&mut self, slot: ObjectAddress, counts: &mut BTreeMap<u64, u64>) {
        let target = self.space.load::<u64>(slot);
        if target == 0 {
            return;
        }
        if !self.objects.contains_key(&target) && !sweep::is_unfinished(self.space) {
            self.report.find(format!("{slot:?} holds {target:#x}, where no object starts"));
        }
        *counts.entry(target).or_default() += 1;
    }

    fn compare_counts(&mut self, counts: &BTreeMap<u64, u64>) {
        if sweep::is_unfinished(self.space) {
            return;
        }
        let report = &mut self.report;
        for (address, found) in &self.objects {
            let references = counts.get(address).copied().unwrap_or(0);
            if !found.is_sticky() && u64::from(found.count()) != references {
                let count = found.count();
                report.find(format!("{address:#x}: count {count}, {references} references"));
            }
        }
    }

    fn check_batches(&mut self) {
        let open = open(self.space);
        let open_next = self.space.load::<u64>(COUNTING.plus(counting::OPEN_NEXT));
        let closed_next = self.space.load::<u64>(COUNTING.plus(counting::CLOSED_NEXT));
        let closed_end = self.space.load::<u64>(COUNTING.plus(counting::CLOSED_END));
        let idle = self.space.load::<u64>(COUNTING.plus(counting::PHASE)) == counting::PHASE_IDLE;
        let torn = self.space.load::<u64>(COUNTING.plus(counting::TEARDOWN_OBJECT));
        let closed = if idle { 0..0 } else { closed_next..closed_end };
        let mut listed: BTreeMap<(u8, u64), u64> = BTreeMap::new();
        for (batch, range) in [(open, batch_start(open)..open_next), (3 - open, closed)] {
            for place in range.step_by(8) {
                let entry = self.space.load::<u64>(ObjectAddress(place));
                *listed.entry((batch, entry)).or_default() += 1;
            }
        }
        let objects: Vec<(u64, Metadata)> =
            self.objects.iter().map(|(address, found)| (*address, *found)).collect();
        for (address, found) in objects {
            let batch = found.batch();
            if batch == object::META_BATCH_SWEPT {
                continue;
            }
            let times = listed.get(&(batch, address)).copied().unwrap_or(0);
            if batch == 0 && found.is_zero() && address != torn && !self.is_kept(address) {
                self.report.find(format!("{address:#x} is at zero and nothing will look at it"));
            }
            if batch == open && times != 1 {
                self.report.find(format!("{address:#x} stands {times} times in the open batch"));
            }
            if batch != 0 && batch != open && (idle || times == 0) && address != torn {
                self.report.find(format!("{address:#x} names batch {batch}, which lacks it"));
            }
        }
    }

    fn is_kept(&self, address: u64) -> bool {
        let table = Table::held();
        table
            .find(self.space, address)
            .is_some_and(|entry| table.value(self.space, entry) & KEPT != 0)
    }

    /// Slots of all threads: null or valid, and the frozen ones exactly those that the held table counts.
    fn check_threads(&mut self) {
        let next = self.space.load::<u64>(ObjectAddress(area::ROOT).plus(root::NEXT_THREAD));
        let mut frozen_slots: BTreeMap<u64, u64> = BTreeMap::new();
        for index in 1..next.min(area::THREAD_TABLE_ENTRIES) {
            let entry = ObjectAddress(area::THREAD_TABLE + 8 * index);
            let thread_object = ObjectAddress(self.space.load(entry));
            if thread_object.is_null() || thread_object.0 & 1 != 0 {
                continue;
            }
            if frozen::check_thread(self.space, thread_object).is_err() {
                let state = self.space.load::<u32>(thread_object.plus(thread::STATE));
                if !matches!(state, thread::STATE_ENDED | thread::STATE_DAMAGED) {
                    self.report.find(format!("{thread_object:?} contradicts itself"));
                }
                continue;
            }
            let stack = self.space.load::<u64>(thread_object.plus(thread::STACK));
            let watermark = self.space.load::<u64>(thread_object.plus(thread::WATERMARK));
            let end = frozen::scan_end(self.space, thread_object).0;
            if watermark > end && stack != 0 {
                self.report.find(format!("{thread_object:?}: watermark above the current frame"));
            }
            for slot in (stack..end).step_by(8) {
                let target = self.space.load::<u64>(ObjectAddress(slot));
                if target != 0 && !self.objects.contains_key(&target) {
                    self.report.find(format!("slot {slot:#x} of {thread_object:?}: {target:#x}"));
                }
                if target != 0 && slot < watermark {
                    *frozen_slots.entry(target).or_default() += 1;
                }
            }
        }
        let mut held = BTreeMap::new();
        Table::held().for_each(self.space, |key, value| {
            held.insert(key, value & !KEPT);
        });
        let mut by_block = BTreeMap::new();
        for key in held.keys() {
            *by_block.entry(BlockNumber::of(ObjectAddress(*key)).0 % COUNTERS).or_insert(0) += 1;
        }
        for block in 0..COUNTERS {
            let key = u64::from(block) * BLOCK;
            let counted = Table::held().keys_by_block(self.space, key).unwrap_or(0);
            let real = by_block.get(&block).copied().unwrap_or(0);
            if counted != real {
                self.report.find(format!("counter {block} of held keys: {counted}, not {real}"));
            }
        }
        if held != frozen_slots {
            let keys: BTreeSet<u64> = held.keys().chain(frozen_slots.keys()).copied().collect();
            for key in keys.iter().filter(|key| held.get(key) != frozen_slots.get(key)) {
                let (counted, real) = (held.get(key), frozen_slots.get(key));
                self.report.find(format!("{key:#x}: {counted:?} held, {real:?} frozen slots"));
            }
        }
    }

    fn check_weak(&mut self) {
        let mut pairs = Vec::new();
        Table::weak().for_each(self.space, |key, value| pairs.push((key, value)));
        for (target, weak) in pairs {
            let known = self.space.load::<u64>(ObjectAddress(weak).plus(object::WEAK_TARGET));
            if !self.objects.contains_key(&target) || known != target {
                self.report.find(format!("weak entry {target:#x} -> {weak:#x} leads nowhere"));
            }
        }
    }
}
