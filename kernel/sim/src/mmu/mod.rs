//! An MMU with a TLB that serves stale entries until it is told not to.
//!
//! # What it models
//!
//! - Four levels of tables; object space hangs below 32 entries of the root. A store needs W in all four.
//! - A TLB and a cache of upper-level entries. Both keep what they loaded, permission included, whatever the tables say
//!   since, until `invalidate_page` or `invalidate_all`, or until they are evicted, which happens by seed.
//! - A store through a cached entry without W faults even if the tables permit it by now (a spurious fault). The fault drops
//!   the cached entry, as processors do, but by seed not always: then only an invalidation ends it.
//! - Accessed bits are set by walks and lost by seed.
//!
//! [`SimMmu::check`] (in `rules`) holds tables, TLB and the pager's frame table against the rules there.
//!
//! Tables are named by frame indices like on the machine but their entries are kept here, not in the frames' bytes.

mod rules;
#[cfg(test)]
mod tests;

pub use rules::{DeviceAccess, FrameRole, RuleBroken};

use crate::Random;
use revenant_hal::{FrameIndex, Mmu, PageIndex, TABLE_ENTRIES, TableEntry};

const TOP_ENTRIES: usize = 32;

type Table = Box<[Option<TableEntry>; TABLE_ENTRIES]>;

/// The entry index that a page uses at a level: 0 in the root (below 32), 3 in the last table.
#[must_use]
pub fn index_at(page: PageIndex, level: usize) -> usize {
    let shifted = page.0 >> (9 * (3 - level));
    usize::try_from(shifted & 511).unwrap_or(0)
}

/// What the processor reports when an access is not permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimFault {
    /// Where.
    pub page: PageIndex,
    /// It was a store.
    pub write: bool,
}

/// A cached translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cached {
    page: PageIndex,
    frame: FrameIndex,
    writable: bool,
}

/// A cached upper-level entry: the table of `level` that serves the pages sharing `prefix`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct CachedTable {
    level: usize,
    prefix: u64,
    table: FrameIndex,
    writable: bool,
}

/// The simulated MMU of one processor.
pub struct SimMmu {
    tables: Vec<Option<Table>>,
    top: [Option<TableEntry>; TOP_ENTRIES],
    tlb: Vec<Cached>,
    upper: Vec<CachedTable>,
    capacity: usize,
    random: Random,
    full_flushes: u64,
}

impl SimMmu {
    /// An MMU without tables, for a pool of `frames` frames; its TLB holds `capacity` entries.
    #[must_use]
    pub fn new(frames: u32, capacity: usize, seed: u64) -> Self {
        assert!(capacity > 0, "a TLB holds at least one entry");
        Self {
            tables: (0..frames).map(|_| None).collect(),
            top: [None; TOP_ENTRIES],
            tlb: Vec::new(),
            upper: Vec::new(),
            capacity,
            random: Random::new(seed),
            full_flushes: 0,
        }
    }

    /// How often everything was invalidated.
    #[must_use]
    pub fn full_flushes(&self) -> u64 {
        self.full_flushes
    }

    /// What the processor does for one access: the frame that it reaches, or a fault.
    ///
    /// # Errors
    /// The fault that the trap handler gets.
    pub fn access(&mut self, page: PageIndex, write: bool) -> Result<FrameIndex, SimFault> {
        self.forget_some();
        if let Some(position) = self.tlb.iter().position(|cached| cached.page == page) {
            let cached = self.tlb[position];
            if cached.writable || !write {
                return Ok(cached.frame);
            }
            if !self.random.one_in(8) {
                self.tlb.swap_remove(position);
                self.upper.clear();
            }
            return Err(SimFault { page, write });
        }
        let Some(cached) = self.walk(page) else { return Err(SimFault { page, write }) };
        if write && !cached.writable {
            // A processor may cache the entry that it faulted on.
            if self.random.one_in(8) {
                self.insert(cached);
            }
            return Err(SimFault { page, write });
        }
        self.insert(cached);
        Ok(cached.frame)
    }

    fn insert(&mut self, cached: Cached) {
        if self.tlb.len() >= self.capacity {
            let victim = self.random.index(self.tlb.len());
            self.tlb.swap_remove(victim);
        }
        self.tlb.push(cached);
    }

    fn forget_some(&mut self) {
        if !self.tlb.is_empty() && self.random.one_in(16) {
            let victim = self.random.index(self.tlb.len());
            self.tlb.swap_remove(victim);
        }
        if self.random.one_in(16) {
            self.upper.clear();
        }
    }

    fn walk(&mut self, page: PageIndex) -> Option<Cached> {
        let (mut level, mut table, mut writable) = (0, None, true);
        let deepest = self
            .upper
            .iter()
            .filter(|cached| cached.prefix == page.0 >> (9 * (4 - cached.level)))
            .max_by_key(|cached| cached.level);
        if let Some(cached) = deepest {
            (level, table, writable) = (cached.level, Some(cached.table), cached.writable);
        }
        loop {
            let index = index_at(page, level);
            let entry = match table {
                None => self.top[index].as_mut(),
                Some(table) => self.table_mut(table)[index].as_mut(),
            }?;
            entry.accessed = true;
            let entry = *entry;
            if self.random.one_in(32) {
                self.lose_accessed(table, index);
            }
            writable &= entry.writable;
            if level == 3 {
                return Some(Cached { page, frame: entry.frame, writable });
            }
            level += 1;
            table = Some(entry.frame);
            let prefix = page.0 >> (9 * (4 - level));
            self.upper.retain(|cached| (cached.level, cached.prefix) != (level, prefix));
            self.upper.push(CachedTable { level, prefix, table: entry.frame, writable });
        }
    }

    fn lose_accessed(&mut self, table: Option<FrameIndex>, index: usize) {
        let entry = match table {
            None => self.top[index].as_mut(),
            Some(table) => self.table_mut(table)[index].as_mut(),
        };
        if let Some(entry) = entry {
            entry.accessed = false;
        }
    }

    fn table(&self, table: FrameIndex) -> &[Option<TableEntry>; TABLE_ENTRIES] {
        self.tables[table.0 as usize].as_deref().expect("a table that was cleared before its use")
    }

    fn table_mut(&mut self, table: FrameIndex) -> &mut [Option<TableEntry>; TABLE_ENTRIES] {
        self.tables[table.0 as usize]
            .as_deref_mut()
            .expect("a table that was cleared before its use")
    }
}

impl Mmu for SimMmu {
    fn entry(&self, table: FrameIndex, index: usize) -> Option<TableEntry> {
        self.table(table)[index]
    }

    fn set_entry(&mut self, table: FrameIndex, index: usize, entry: Option<TableEntry>) {
        self.table_mut(table)[index] = entry;
    }

    fn clear_table(&mut self, table: FrameIndex) {
        self.tables[table.0 as usize] = Some(Box::new([None; TABLE_ENTRIES]));
    }

    fn protect_table(&mut self, table: FrameIndex) {
        for entry in self.table_mut(table).iter_mut().flatten() {
            entry.writable = false;
        }
    }

    fn top_entry(&self, index: usize) -> Option<TableEntry> {
        self.top[index]
    }

    fn set_top_entry(&mut self, index: usize, entry: Option<TableEntry>) {
        self.top[index] = entry;
    }

    fn invalidate_page(&mut self, page: PageIndex) {
        self.tlb.retain(|cached| cached.page != page);
        self.upper.clear();
    }

    fn invalidate_all(&mut self) {
        self.tlb.clear();
        self.upper.clear();
        self.full_flushes += 1;
    }
}
