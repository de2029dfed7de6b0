//! What stands in a snapshot that was laid: its pages, the runs of blocks they belong to, and every object, dead or alive.
//!
//! Nothing is trusted: a run that cannot be one, or an object of a class that is none, is passed over and counted. All reads of object
//! space are confined to it by `vm::memory`.

use revenant_hal::{ObjectAddress, PageIndex};
use revenant_vm::counting::class_at;
use revenant_vm::memory::layout::{BLOCK, BLOCKS, GRANULE, PAGE, area, block, object};
use revenant_vm::memory::{AddressExt, Space};

/// Entries of the block table on one of its pages.
const ENTRIES: u64 = PAGE / block::ENTRY_SIZE;

/// A run of blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    /// Where it begins.
    pub(super) start: u64,
    /// One of `layout::block::KIND_*`.
    pub(super) kind: u8,
    /// Log2 of its blocks.
    pub(super) order: u32,
    /// Of a block of small objects: bytes of a cell.
    pub(super) cell: u64,
}

impl Run {
    /// Where it ends, exclusive.
    pub(super) const fn end(&self) -> u64 {
        self.start + (BLOCK << self.order)
    }
}

/// An object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Object {
    /// Its address.
    pub(super) address: u64,
    /// Bytes that it takes: its cell, or the pages of its run that hold something.
    pub(super) bytes: u64,
    /// The epoch in which it was made.
    pub(super) birth: u64,
    /// Its class, by index.
    pub(super) class: u32,
    /// Whether it has a run of its own.
    pub(super) large: bool,
}

/// Everything that stands in a snapshot.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Numbers of the pages that hold something, ascending.
    pub(super) pages: Vec<u64>,
    /// All runs by address.
    pub(super) runs: Vec<Run>,
    /// All objects by address.
    pub(super) objects: Vec<Object>,
    /// Entries of the block table, and starts of objects, that make no sense.
    pub(super) unsound: u64,
}

impl Census {
    /// Takes the census of object space, of which these pages hold something.
    pub(super) fn take(space: Space, pages: impl IntoIterator<Item = PageIndex>) -> Self {
        let mut pages: Vec<u64> = pages.into_iter().map(|page| page.0).collect();
        pages.sort_unstable();
        pages.dedup();
        let mut census = Self { pages, ..Self::default() };
        census.find_runs(space);
        for place in 0..census.runs.len() {
            let Some(run) = census.runs.get(place).copied() else { break };
            match run.kind {
                block::KIND_SMALL => census.small(space, run),
                block::KIND_LARGE => census.large(space, run),
                _ => {}
            }
        }
        census
    }

    /// The pages within a range of addresses, as places in [`Self::pages`].
    pub(super) fn pages_in(&self, start: u64, end: u64) -> core::ops::Range<usize> {
        let before = |address: u64| {
            self.pages.partition_point(|page| PageIndex(*page).address().0 < address)
        };
        let first = before(start & !(PAGE - 1));
        first..before(end).max(first)
    }

    /// Where the memory begins that an object takes, and where it ends: a cell, or a run.
    pub(super) fn extent(&self, subject: &Object) -> (u64, u64) {
        if !subject.large {
            return (subject.address, subject.address + subject.bytes);
        }
        let start = subject.address - object::LARGE_OFFSET;
        let run = self.runs.binary_search_by_key(&start, |run| run.start).ok();
        (start, run.and_then(|place| self.runs.get(place)).map_or(start, Run::end))
    }

    /// The place of the object at an address.
    pub(super) fn find(&self, address: u64) -> Option<usize> {
        self.objects.binary_search_by_key(&address, |object| object.address).ok()
    }

    /// Goes through the block table, of which only pages that hold something are looked at.
    fn find_runs(&mut self, space: Space) {
        let table =
            self.pages_in(area::BLOCK_TABLE, area::BLOCK_TABLE + BLOCKS * block::ENTRY_SIZE);
        let first = ObjectAddress(area::BLOCK_TABLE).page().0;
        // What lies inside a run is stale, so the walk goes on behind it.
        let mut next = 1;
        for page in self.pages.get(table).unwrap_or_default() {
            let entries = (page - first) * ENTRIES..(page - first + 1) * ENTRIES;
            for number in entries {
                if number < next {
                    continue;
                }
                let entry = ObjectAddress(area::BLOCK_TABLE + number * block::ENTRY_SIZE);
                let kind = space.load::<u8>(entry.plus(block::ENTRY_KIND));
                if kind == block::KIND_NONE {
                    continue;
                }
                let order = u32::from(space.load::<u8>(entry.plus(block::ENTRY_ORDER)));
                let size_class = space.load::<u8>(entry.plus(block::ENTRY_SIZE_CLASS));
                let granules = block::SIZE_CLASSES.get(usize::from(size_class));
                let sound = kind <= block::KIND_STACK
                    && u64::from(order) < block::ORDERS
                    && number.is_multiple_of(1 << order)
                    && (kind != block::KIND_SMALL || order == 0 && granules.is_some());
                if !sound {
                    self.unsound += 1;
                    continue;
                }
                let small = granules.filter(|_| kind == block::KIND_SMALL);
                let cell = small.map_or(0, |granules| u64::from(*granules) * GRANULE);
                let start = area::ROOT + number * BLOCK;
                self.runs.push(Run { start, kind, order, cell });
                next = number + (1 << order);
            }
        }
    }

    fn small(&mut self, space: Space, run: Run) {
        let first = run.start + block::FIRST_GRANULE * GRANULE;
        let mut address = first;
        while address + run.cell <= run.end() {
            let granule = (address - run.start) / GRANULE;
            let byte = space.load::<u8>(ObjectAddress(run.start + granule));
            if byte & object::META_START != 0 {
                self.push(space, address, run.cell, false);
            }
            address += run.cell;
        }
    }

    fn large(&mut self, space: Space, run: Run) {
        let byte = space.load::<u8>(ObjectAddress(run.start + object::LARGE_OFFSET / GRANULE));
        // Without a start it was freed, and its pages are on their way to be free.
        if byte & object::META_START != 0 {
            let pages = self.pages_in(run.start, run.end()).len() as u64;
            self.push(space, run.start + object::LARGE_OFFSET, pages * PAGE, true);
        }
    }

    fn push(&mut self, space: Space, address: u64, bytes: u64, large: bool) {
        let header = ObjectAddress(address);
        let class = space.load::<u32>(header.plus(object::CLASS));
        let made = class_at(space, class);
        if made.0 < area::HEAP || made.0 >= area::END {
            self.unsound += 1;
            return;
        }
        let birth = space.load::<u64>(header.plus(object::BIRTH_AND_FLAGS)) & object::BIRTH_MASK;
        self.objects.push(Object { address, bytes, birth, class, large });
    }
}
