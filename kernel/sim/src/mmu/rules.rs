//! The rules by which the flip can be constant in time, held against tables, TLB, frame table and devices. Meant to run after every step.
//!
//! 1. A table that carries the current stamp has W only in entries that deserve it: a page dirty in this epoch, or a table
//!    that carries the current stamp too. So have the top entries.
//! 2. Whatever can be stored to (W at every level, or by a cached entry) is a page dirty in this epoch.
//! 3. No frame that a device reads (a disk write) can be stored to. No frame that a device fills is reachable at all.
//! 4. No cached entry leads to another frame than the tables do, or permits more.
//! 5. A frame is reachable as one thing, at one place: the page that the frame table says, or a table.

use super::{SimMmu, TOP_ENTRIES, index_at};
use core::fmt;
use revenant_hal::{Epoch, FrameIndex, PageIndex, TableEntry};
use std::collections::BTreeMap;

/// What the frame table says about a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameRole {
    /// Free, being filled, or an old copy: nothing leads to it.
    Unreachable,
    /// Holds a page.
    Page {
        /// Which.
        page: PageIndex,
        /// The epoch in which it was last made writable, if its content may differ from the disk's.
        dirty_epoch: Option<Epoch>,
    },
    /// Is a page table.
    Table {
        /// The epoch in which it was last protected.
        stamp: Epoch,
    },
}

/// What a device does with a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceAccess {
    /// It reads the frame: a disk write.
    Reads,
    /// It fills the frame: a disk read.
    Fills,
}

/// A rule that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleBroken(pub String);

impl fmt::Display for RuleBroken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

macro_rules! require {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(RuleBroken(format!($($text)+)));
        }
    };
}

/// One pass over everything reachable.
struct Pass<'a> {
    mmu: &'a SimMmu,
    epoch: Epoch,
    role: &'a dyn Fn(FrameIndex) -> FrameRole,
    devices: BTreeMap<FrameIndex, DeviceAccess>,
    /// The place at which each frame was met, so that none is met twice.
    met: Vec<Option<u64>>,
}

impl SimMmu {
    /// Holds everything against the rules. `role` is the pager's frame table; `devices` are the frames in flight, best
    /// taken from the disk itself.
    ///
    /// # Errors
    /// The first rule found broken, in words.
    pub fn check(
        &self,
        epoch: Epoch,
        role: &dyn Fn(FrameIndex) -> FrameRole,
        devices: impl IntoIterator<Item = (FrameIndex, DeviceAccess)>,
    ) -> Result<(), RuleBroken> {
        let devices = devices.into_iter().collect();
        let met = vec![None; self.tables.len()];
        let mut pass = Pass { mmu: self, epoch, role, devices, met };
        for index in 0..TOP_ENTRIES {
            if let Some(entry) = self.top[index] {
                pass.table(entry, 1, index as u64, entry.writable, true)?;
            }
        }
        pass.cached()
    }
}

impl Pass<'_> {
    /// Checks the table that `entry` names. `reach`: a store gets this far. `watched`: the entry stands in a table with
    /// the current stamp (or in the root), so its W must be deserved.
    fn table(
        &mut self,
        entry: TableEntry,
        level: usize,
        prefix: u64,
        reach: bool,
        watched: bool,
    ) -> Result<(), RuleBroken> {
        let frame = entry.frame;
        self.meet(frame, prefix)?;
        let FrameRole::Table { stamp } = (self.role)(frame) else {
            return Err(RuleBroken(format!(
                "{frame:?} serves as a table of level {level} but is none"
            )));
        };
        let current = stamp == self.epoch;
        require!(
            current || !(watched && entry.writable),
            "W leads to the table {frame:?} of level {level} stamped {stamp} in epoch {}",
            self.epoch
        );
        for index in 0..revenant_hal::TABLE_ENTRIES {
            let Some(below) = self.mmu.table(frame)[index] else { continue };
            let prefix = prefix << 9 | index as u64;
            let reach = reach && below.writable;
            if level == 3 {
                self.page(below, PageIndex(prefix), reach, current)?;
            } else {
                self.table(below, level + 1, prefix, reach, current)?;
            }
        }
        Ok(())
    }

    fn page(
        &mut self,
        entry: TableEntry,
        page: PageIndex,
        reach: bool,
        watched: bool,
    ) -> Result<(), RuleBroken> {
        let frame = entry.frame;
        self.meet(frame, page.0)?;
        let role = (self.role)(frame);
        let FrameRole::Page { page: held, dirty_epoch } = role else {
            return Err(RuleBroken(format!("{page:?} is mapped to {frame:?}, which is {role:?}")));
        };
        require!(held == page, "{page:?} is mapped to {frame:?}, which holds {held:?}");
        let deserved = dirty_epoch == Some(self.epoch);
        require!(
            deserved || !(watched && entry.writable),
            "{page:?} has W in {frame:?} dirty in {dirty_epoch:?} in epoch {}",
            self.epoch
        );
        require!(deserved || !reach, "{page:?} in frozen {frame:?} can be stored to");
        match self.devices.get(&frame) {
            Some(DeviceAccess::Fills) => {
                Err(RuleBroken(format!("a device fills {frame:?} while it is mapped for {page:?}")))
            }
            Some(DeviceAccess::Reads) if reach => {
                Err(RuleBroken(format!("{page:?} can be stored to while a device reads {frame:?}")))
            }
            _ => Ok(()),
        }
    }

    fn meet(&mut self, frame: FrameIndex, place: u64) -> Result<(), RuleBroken> {
        let before = self.met[frame.0 as usize].replace(place);
        require!(before.is_none(), "{frame:?} is reachable at {place:#x} and at {before:x?}");
        Ok(())
    }

    /// What the tables say of a page: its frame, and whether stores pass.
    fn mapping(&self, page: PageIndex) -> Option<(FrameIndex, bool)> {
        let mut entry = self.mmu.top[index_at(page, 0)]?;
        let mut writable = entry.writable;
        for level in 1..4 {
            entry = self.mmu.table(entry.frame)[index_at(page, level)]?;
            writable &= entry.writable;
        }
        Some((entry.frame, writable))
    }

    fn cached(&self) -> Result<(), RuleBroken> {
        for cached in &self.mmu.tlb {
            let now = self.mapping(cached.page);
            require!(
                now.is_some_and(|(frame, _)| frame == cached.frame),
                "the TLB leads {:?} to {:?}, the tables to {now:?}",
                cached.page,
                cached.frame
            );
            require!(
                !cached.writable || now.is_some_and(|(_, reach)| reach),
                "the TLB lets {:?} be stored to, the tables do not",
                cached.page
            );
        }
        for cached in &self.mmu.upper {
            let (mut table, mut writable) = (None, true);
            for level in 0..cached.level {
                let index = cached.prefix >> (9 * (cached.level - 1 - level)) & 511;
                let index = usize::try_from(index).unwrap_or(0);
                let entry = match table {
                    None => self.mmu.top[index],
                    Some(table) => self.mmu.table(table)[index],
                };
                table = entry.map(|entry| entry.frame);
                writable &= entry.is_some_and(|entry| entry.writable);
                require!(table.is_some(), "a cached upper entry survived its removal");
            }
            require!(table == Some(cached.table), "a cached upper entry leads to another table");
            require!(
                writable || !cached.writable,
                "a cached upper entry of level {} lets stores pass, the tables do not",
                cached.level
            );
        }
        Ok(())
    }
}
