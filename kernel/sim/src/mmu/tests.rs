//! The MMU misbehaves as promised, and the checker sees each broken rule.

use super::{DeviceAccess, FrameRole, SimFault, SimMmu};
use revenant_hal::{Epoch, FrameIndex, Mmu, PageIndex, TableEntry};

const NOW: Epoch = Epoch(5);
const PAGE: PageIndex = PageIndex(3 << 27 | 7);
const FRAME: FrameIndex = FrameIndex(9);

fn entry(frame: u32, writable: bool) -> Option<TableEntry> {
    Some(TableEntry { frame: FrameIndex(frame), writable, accessed: false })
}

/// Frames 1, 2, 3 are tables above `PAGE` in frame 9, W everywhere.
fn machine(seed: u64) -> SimMmu {
    let mut mmu = SimMmu::new(16, 8, seed);
    for table in 1..4 {
        mmu.clear_table(FrameIndex(table));
    }
    mmu.set_top_entry(3, entry(1, true));
    mmu.set_entry(FrameIndex(1), 0, entry(2, true));
    mmu.set_entry(FrameIndex(2), 0, entry(3, true));
    mmu.set_entry(FrameIndex(3), 7, entry(FRAME.0, true));
    mmu
}

fn roles(dirty: u64, stamp: u64) -> impl Fn(FrameIndex) -> FrameRole {
    move |frame| match frame.0 {
        1..4 => FrameRole::Table { stamp: Epoch(stamp) },
        9 => FrameRole::Page { page: PAGE, dirty_epoch: Some(Epoch(dirty)) },
        _ => FrameRole::Unreachable,
    }
}

fn broken(mmu: &SimMmu, dirty: u64, stamp: u64) -> bool {
    mmu.check(NOW, &roles(dirty, stamp), []).is_err()
}

#[test]
fn a_stale_entry_goes_on_working_until_it_is_invalidated() {
    let mut served_stale = 0;
    for seed in 0..20 {
        let mut mmu = machine(seed);
        assert_eq!(mmu.access(PAGE, true), Ok(FRAME));
        mmu.set_top_entry(3, entry(1, false));
        served_stale += u32::from(mmu.access(PAGE, true).is_ok());
        mmu.invalidate_all();
        assert_eq!(mmu.access(PAGE, true), Err(SimFault { page: PAGE, write: true }));
        assert_eq!(mmu.access(PAGE, false), Ok(FRAME));
    }
    assert!((10..20).contains(&served_stale), "{served_stale} of 20");
}

#[test]
fn a_permission_added_below_a_cached_refusal_may_fault_spuriously() {
    let mut spurious = 0;
    for seed in 0..200 {
        let mut mmu = machine(seed);
        mmu.set_entry(FrameIndex(3), 7, entry(FRAME.0, false));
        assert!(mmu.access(PAGE, true).is_err());
        mmu.set_entry(FrameIndex(3), 7, entry(FRAME.0, true));
        spurious += u32::from(mmu.access(PAGE, true).is_err());
        mmu.invalidate_page(PAGE);
        assert!(mmu.access(PAGE, true).is_ok());
    }
    assert!(spurious > 5, "{spurious} of 200");
}

#[test]
fn w_needs_a_page_dirty_in_this_epoch_and_tables_of_this_epoch() {
    assert!(!broken(&machine(1), 5, 5));
    assert!(broken(&machine(1), 4, 5), "a frozen frame with W");
    assert!(broken(&machine(1), 5, 4), "tables of the last epoch with W above");
    let mut mmu = machine(1);
    mmu.set_top_entry(3, entry(1, false));
    assert!(!broken(&mmu, 4, 4), "W below is harmless while the top refuses");
    assert!(broken(&mmu, 4, 5), "but not once the table claims to be protected");
}

#[test]
fn devices_keep_away_from_what_programs_reach() {
    let mmu = machine(1);
    let check = |access| mmu.check(NOW, &roles(5, 5), [(FRAME, access)]);
    assert!(check(DeviceAccess::Reads).is_err());
    assert!(check(DeviceAccess::Fills).is_err());
    let mut mmu = machine(1);
    mmu.set_entry(FrameIndex(3), 7, entry(FRAME.0, false));
    let check = |access| mmu.check(NOW, &roles(5, 5), [(FRAME, access)]);
    assert!(check(DeviceAccess::Reads).is_ok());
    assert!(check(DeviceAccess::Fills).is_err());
}

#[test]
fn a_tlb_entry_must_not_outlive_its_mapping() {
    let mut mmu = machine(1);
    assert!(mmu.access(PAGE, true).is_ok());
    mmu.set_entry(FrameIndex(3), 7, entry(FRAME.0, false));
    assert!(broken(&mmu, 5, 5), "W in the TLB alone");
    mmu.invalidate_page(PAGE);
    assert!(!broken(&mmu, 5, 5));
    assert!(mmu.access(PAGE, false).is_ok());
    mmu.set_entry(FrameIndex(3), 7, entry(10, false));
    let moved = |frame: FrameIndex| match frame.0 {
        9 => FrameRole::Unreachable,
        10 => FrameRole::Page { page: PAGE, dirty_epoch: None },
        _ => FrameRole::Table { stamp: NOW },
    };
    assert!(mmu.check(NOW, &moved, []).is_err(), "the TLB leads to the old frame");
    mmu.invalidate_page(PAGE);
    assert_eq!(mmu.check(NOW, &moved, []), Ok(()));
}

#[test]
fn a_frame_is_one_thing_at_one_place() {
    let mut mmu = machine(1);
    mmu.set_entry(FrameIndex(3), 8, entry(FRAME.0, false));
    assert!(broken(&mmu, 5, 5));
    let mut mmu = machine(1);
    mmu.set_entry(FrameIndex(3), 8, entry(2, false));
    assert!(broken(&mmu, 5, 5), "a table mapped as a page");
}
