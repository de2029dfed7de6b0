//! Disks that are not opened: each with its reason in one line, and not a bit of them written. Older states that open only
//! on request.

use crate::common::{End, Machine, content, pages, request};
use crate::opening::{history, slot_block};
use revenant_hal::{Generation, PAGE_SIZE};
use revenant_sim::{Image, SimDiskOptions};
use revenant_store::{
    FORMAT_VERSION, GUARD_BLOCK, OpenFrom, OpenOutcome, OpenRequest, Opening, RING_SLOTS, Refusal,
};

/// Makes a block of a superblock one of another version of the format, whole by its checksum.
fn set_version(bytes: &mut [u8; PAGE_SIZE], version: u32) {
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    bytes[24..32].fill(0);
    let checksum = xxhash_rust::xxh3::xxh3_64(bytes);
    bytes[24..32].copy_from_slice(&checksum.to_le_bytes());
}

/// Whether opening this image for writing is refused as wanted, and leaves every bit as it was.
fn refused(image: &Image, options: SimDiskOptions, request: OpenRequest) -> Refusal {
    let mut machine = Machine::with_options(image.clone(), options);
    let refusal = machine.open(request).expect_err("refused");
    assert_eq!(machine.disk.operation_counts()[1..], [0, 0, 0], "{refusal}: nothing is written");
    assert!(!refusal.to_string().contains('\n'), "one line");
    refusal
}

#[test]
fn every_refusal_has_its_reason_and_writes_nothing() {
    let (machine, store, _) = history(31, 2048);
    let good = machine.disk.durable();
    let fine = SimDiskOptions::default();
    let blank = Image::new(2048);
    assert_eq!(refused(&blank, fine, request(2)), Refusal::NotOurs);
    let tiny = Refusal::TooSmall { blocks: 100, needed: 1024 };
    assert_eq!(refused(&Image::new(100), fine, request(2)), tiny);
    let options = SimDiskOptions { flush: false, ..fine };
    assert_eq!(refused(&good, options, request(2)), Refusal::NoFlush);
    let options = SimDiskOptions { read_only: true, ..fine };
    assert_eq!(refused(&good, options, request(2)), Refusal::ReadOnly);
    let vm = |vm_abi| OpenRequest { vm_abi, ..request(2) };
    assert_eq!(refused(&good, fine, vm(9)), Refusal::VmOlder { found: 1 });
    assert_eq!(refused(&good, fine, vm(0)), Refusal::VmNewer { found: 1 });
    let from = OpenFrom::Generation { generation: Generation(7777), restore_generation: None };
    let missing = OpenRequest { from, ..request(2) };
    assert_eq!(refused(&good, fine, missing), Refusal::NoSuchGeneration(Generation(7777)));

    // A truncated image: the head of the ring says how large the store is.
    let mut cut = Image::new(1500);
    for block in good.written().filter(|block| block.0 < 1500) {
        cut.damage(block, |bytes| *bytes = good.read(block).0);
    }
    let small = Refusal::TooSmall { blocks: 1500, needed: 2048 };
    assert_eq!(refused(&cut, fine, request(2)), small);

    let newest = slot_block(&store, store.generation());
    let mut newer = good.clone();
    newer.damage(newest, |bytes| set_version(bytes, FORMAT_VERSION + 1));
    let found = FORMAT_VERSION + 1;
    assert_eq!(refused(&newer, fine, request(2)), Refusal::FormatNewer { found });
    let mut older = good.clone();
    for slot in 0..RING_SLOTS {
        older.damage(store.superblock().layout.slot(slot), |bytes| set_version(bytes, 1));
    }
    assert_eq!(refused(&older, fine, request(2)), Refusal::FormatOlder { found: 1 });

    let mut rotten = good.clone();
    for slot in 0..RING_SLOTS {
        rotten.damage(store.superblock().layout.slot(slot), |bytes| bytes[100] ^= 1);
    }
    assert_eq!(refused(&rotten, fine, request(2)), Refusal::Damaged { newest: None });
}

/// Somebody else opens the disk just after our guard was written: at the second look, theirs stands there.
#[test]
fn a_disk_that_somebody_else_opens_at_the_same_time_is_in_use() {
    let (machine, _, _) = history(49, 2048);
    let image = machine.disk.durable();
    let mut other = Machine::new(image.clone(), 2);
    drop(other.open(request(9)).expect("it opens"));
    let theirs = other.disk.durable().read(GUARD_BLOCK).clone();
    let mut ours = Machine::new(image.clone(), 3);
    let mut opening = Opening::new(request(2));
    let before = image.read(GUARD_BLOCK);
    let refusal = loop {
        match opening.step(&mut ours.disk) {
            OpenOutcome::Opened(..) => panic!("opened under somebody else's guard"),
            OpenOutcome::Refused(refusal) => break refusal,
            OpenOutcome::Again => {}
            OpenOutcome::Waiting => {
                if let Some(completion) = ours.poll() {
                    opening.complete(completion);
                }
                if ours.disk.durable().read(GUARD_BLOCK) != before {
                    ours.disk.damage(GUARD_BLOCK, |bytes| *bytes = theirs.0);
                }
            }
        }
    };
    assert_eq!(refusal, Refusal::InUse);
    assert!(refusal.to_string().contains("stop that one first"), "{refusal}");
}

#[test]
fn an_older_generation_opens_on_request_if_every_block_is_whole() {
    let (mut machine, mut store, _) = history(42, 2048);
    let older = Generation(store.generation().0 - 1);
    let from = OpenFrom::Generation { generation: older, restore_generation: Some(0) };
    let (_, report) = {
        let mut copy = Machine::new(machine.disk.durable(), 3);
        copy.open(OpenRequest { from, ..request(5) }).expect("whole")
    };
    assert_eq!((report.generation, report.restored, report.tombstones), (older, true, 1));
    go_back_once(&machine, older);
    go_back_once(&machine, store.generation());
    // One rotten page of it is enough to refuse.
    let visible = machine.disk.visible();
    let block = visible.written().find(|block| *visible.read(*block) == content(3));
    machine.disk.damage(block.expect("it is there"), |bytes| bytes[0] ^= 1);
    let refused = machine.open(OpenRequest { from, ..request(6) });
    assert_eq!(refused.map(|_| ()), Err(Refusal::GenerationDamaged(older)));
    assert_eq!(machine.read(&mut store, None, 1), Ok(content(4)));
}

/// Opens a generation by its word, goes on from there, and finds that the same word does not throw that away. It did: the
/// generation is in the ring until eight more are.
fn go_back_once(machine: &Machine, generation: Generation) {
    let word = |restore_generation| OpenRequest {
        from: OpenFrom::Generation { generation, restore_generation: Some(restore_generation) },
        ..request(6)
    };
    let mut copy = Machine::new(machine.disk.durable(), 3);
    let early = copy.open(word(1)).map(drop);
    assert_eq!(early, Err(Refusal::RollbackAlreadyApplied { current: 0 }));
    let (mut store, report) = copy.open(word(0)).expect("whole");
    assert_eq!((report.generation, report.restore_generation), (generation, 1));
    assert!(matches!(copy.snapshot(&mut store, &pages(&[(1, 77)])), End::Committed(..)));
    let again = copy.open(word(0)).map(drop);
    assert_eq!(again, Err(Refusal::RollbackAlreadyApplied { current: 1 }));
    let (mut store, _) = copy.open(request(7)).expect("the newest");
    assert_eq!(copy.read(&mut store, None, 1), Ok(content(77)));
}
