//! The disk keeps its fault model: each sentence of the module's page is a test.

use super::{
    Fault, FaultEffect, FaultTarget, Image, KeepAll, KeepNone, Order, SectorAtRisk, SectorFate,
    Seeded, SimDisk, SimDiskOptions, every_subset,
};
use crate::SimFrames;
use revenant_hal::{
    BlockIndex, Buffer, Disk, DiskCompletion, DiskError, DiskOperation, DiskRequest, FrameIndex,
    FrameMemory, PageBytes, RequestTag,
};
use std::collections::BTreeSet;

fn page(byte: u8) -> Box<PageBytes> {
    Box::new(PageBytes([byte; 4096]))
}

fn request(tag: u64, operation: DiskOperation, block: u64, buffers: Vec<Buffer>) -> DiskRequest {
    DiskRequest { tag: RequestTag(tag), operation, block: BlockIndex(block), buffers }
}

fn submit(disk: &mut SimDisk, operation: DiskOperation, block: u64, bytes: &[u8]) {
    let buffers = bytes.iter().map(|byte| Buffer::Owned(page(*byte))).collect();
    disk.submit(request(block, operation, block, buffers)).expect("room in the queue");
}

fn drain(disk: &mut SimDisk) -> Vec<DiskCompletion> {
    let mut done = Vec::new();
    while disk.in_flight() > 0 {
        done.extend(disk.poll());
    }
    done
}

fn write(disk: &mut SimDisk, block: u64, byte: u8) -> Result<(), DiskError> {
    submit(disk, DiskOperation::Write, block, &[byte]);
    drain(disk)[0].result
}

fn flush(disk: &mut SimDisk) -> Result<(), DiskError> {
    submit(disk, DiskOperation::Flush, 0, &[]);
    drain(disk)[0].result
}

fn first_byte(image: &Image, block: u64) -> u8 {
    image.read(BlockIndex(block)).0[0]
}

#[test]
fn a_write_is_durable_only_after_a_flush_that_follows_its_completion() {
    let mut disk = SimDisk::empty(16, 1);
    write(&mut disk, 3, 7).expect("write");
    assert_eq!(first_byte(&disk.visible(), 3), 7);
    assert_eq!(first_byte(&disk.durable(), 3), 0);
    flush(&mut disk).expect("flush");
    assert_eq!(first_byte(&disk.cut_owned(&mut KeepNone), 3), 7);
}

#[test]
fn a_flush_submitted_beside_a_write_in_flight_does_not_cover_it() {
    for seed in 0..20 {
        let mut disk = SimDisk::empty(16, seed);
        submit(&mut disk, DiskOperation::Write, 3, &[7]);
        submit(&mut disk, DiskOperation::Flush, 0, &[]);
        assert!(drain(&mut disk).iter().all(|done| done.result.is_ok()));
        assert_eq!(first_byte(&disk.cut_owned(&mut KeepNone), 3), 0, "seed {seed}");
    }
}

#[test]
fn completions_come_in_every_order_and_with_the_right_data() {
    let mut orders = BTreeSet::new();
    for seed in 0..60 {
        let mut disk = SimDisk::empty(16, seed);
        for block in 0..3 {
            write(&mut disk, block, u8::try_from(block).expect("small") + 1).expect("write");
        }
        for block in 0..3 {
            submit(&mut disk, DiskOperation::Read, block, &[0]);
        }
        let done = drain(&mut disk);
        for completion in &done {
            let Buffer::Owned(page) = &completion.buffers[0] else { panic!("not my buffer") };
            assert_eq!(u64::from(page.0[100]), completion.block.0 + 1);
        }
        orders.insert(done.iter().map(|done| done.tag.0).collect::<Vec<_>>());
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
}

#[test]
fn a_cut_decides_each_sector_alone() {
    let mut disk = SimDisk::empty(16, 1);
    write(&mut disk, 2, 1).expect("write");
    flush(&mut disk).expect("flush");
    write(&mut disk, 2, 2).expect("write");
    let image = disk.cut_owned(&mut |sector: &SectorAtRisk| match sector.sector {
        0 => SectorFate::New,
        1 => SectorFate::Zero,
        2 => SectorFate::Torn(100),
        3 => SectorFate::Garbage(5),
        _ => SectorFate::Old,
    });
    let bytes = &image.read(BlockIndex(2)).0;
    assert_eq!(bytes[..512], [2; 512]);
    assert_eq!(bytes[512..1024], [0; 512]);
    assert_eq!((bytes[1024 + 99], bytes[1024 + 100]), (2, 1));
    assert!(bytes[1536..2048].iter().collect::<BTreeSet<_>>().len() > 50);
    assert_eq!(bytes[2048..], [1; 2048]);
}

#[test]
fn every_subset_of_outstanding_writes_is_reached_by_replay() {
    let mut disk = SimDisk::empty(16, 4);
    disk.start_log();
    submit(&mut disk, DiskOperation::Write, 0, &[1, 1]);
    submit(&mut disk, DiskOperation::Write, 5, &[1]);
    drain(&mut disk);
    let log = disk.take_log().expect("a log");
    let mut replay = log.replay();
    while replay.step() {}
    assert_eq!(replay.outstanding(), 3);
    let images: BTreeSet<_> = every_subset(3, SectorFate::Old)
        .map(|mut subset| replay.cut(&mut subset))
        .map(|image| [0, 1, 5].map(|block| first_byte(&image, block)))
        .collect();
    assert_eq!(images.len(), 8);
}

#[test]
fn a_replay_counts_a_write_as_outstanding_from_its_submission() {
    let mut disk = SimDisk::empty(16, 4);
    disk.start_log();
    submit(&mut disk, DiskOperation::Write, 9, &[3]);
    drain(&mut disk);
    flush(&mut disk).expect("flush");
    let log = disk.take_log().expect("a log");
    let mut replay = log.replay();
    assert!(replay.step());
    assert_eq!(first_byte(&replay.cut(&mut KeepAll), 9), 3);
    assert_eq!(first_byte(&replay.cut(&mut KeepNone), 9), 0);
    while replay.step() {}
    assert_eq!((replay.outstanding(), first_byte(&replay.cut(&mut KeepNone), 9)), (0, 3));
}

#[test]
fn what_a_failed_flush_missed_no_later_flush_covers() {
    let mut disk = SimDisk::empty(16, 1);
    write(&mut disk, 1, 5).expect("write");
    let target = FaultTarget::Nth(0);
    disk.add_fault(Fault { operation: DiskOperation::Flush, target, effect: FaultEffect::Fail });
    assert_eq!(flush(&mut disk), Err(DiskError::Failed));
    flush(&mut disk).expect("the second flush");
    assert_eq!(first_byte(&disk.durable(), 1), 0);
    write(&mut disk, 1, 6).expect("write");
    flush(&mut disk).expect("flush");
    assert_eq!(first_byte(&disk.cut_owned(&mut KeepAll), 1), 6, "the old write stays below");
}

#[test]
fn faults_strike_where_they_are_told() {
    let mut disk = SimDisk::empty(16, 1);
    let fault = |operation, target, effect| Fault { operation, target, effect };
    let (read, written) = (DiskOperation::Read, DiskOperation::Write);
    disk.add_fault(fault(written, FaultTarget::Nth(1), FaultEffect::Misdirect(BlockIndex(9))));
    disk.add_fault(fault(written, FaultTarget::Nth(2), FaultEffect::Lose));
    disk.add_fault(fault(read, FaultTarget::Block(BlockIndex(4)), FaultEffect::Fail));
    for block in 0..3 {
        write(&mut disk, block, 8).expect("write");
    }
    let image = disk.visible();
    assert_eq!([0, 1, 2, 9].map(|block| first_byte(&image, block)), [8, 0, 0, 8]);
    submit(&mut disk, read, 3, &[0, 0]);
    submit(&mut disk, read, 5, &[0]);
    let done = drain(&mut disk);
    for completion in done {
        assert_eq!(completion.result.is_err(), completion.block == BlockIndex(3));
    }
    disk.clear_faults();
    disk.add_fault(fault(read, FaultTarget::Nth(0), FaultEffect::FlipBit(8)));
    submit(&mut disk, read, 0, &[0]);
    let Buffer::Owned(page) = &drain(&mut disk)[0].buffers[0] else { panic!("not my buffer") };
    assert_eq!((page.0[0], page.0[1], page.0[2]), (8, 9, 8));
}

#[test]
fn poor_devices_refuse_by_value() {
    let with = |change: fn(&mut SimDiskOptions)| {
        let mut options = SimDiskOptions::default();
        change(&mut options);
        SimDisk::new(Image::new(4), options)
    };
    let refused = Err(DiskError::Unsupported);
    assert_eq!(write(&mut with(|options| options.read_only = true), 0, 1), refused);
    assert_eq!(flush(&mut with(|options| options.flush = false)), refused);
    assert_eq!(write(&mut with(|_| ()), 4, 1), Err(DiskError::OutOfRange));
    let mut shallow = with(|options| options.queue_depth = 1);
    submit(&mut shallow, DiskOperation::Write, 0, &[1]);
    let second = request(1, DiskOperation::Write, 1, vec![Buffer::Owned(page(1))]);
    assert_eq!(shallow.submit(second).expect_err("a full queue").tag, RequestTag(1));
}

#[test]
fn a_device_reads_a_frame_when_its_turn_comes_and_not_before() {
    let mut frames = SimFrames::new(2, 1);
    let options = SimDiskOptions { order: Order::Submitted, ..SimDiskOptions::default() };
    let mut disk = SimDisk::new(Image::new(4), options);
    frames.zero(FrameIndex(0));
    let buffers = vec![Buffer::Frame(FrameIndex(0))];
    disk.submit(request(0, DiskOperation::Write, 1, buffers)).expect("room");
    assert!(disk.poll().is_none(), "nothing moves before the device's turn");
    frames.bytes_mut(FrameIndex(0)).0[0] = 77;
    disk.advance(&mut frames);
    assert!(disk.poll().is_some());
    assert_eq!(first_byte(&disk.visible(), 1), 77, "a frame that changed under way goes changed");
    let buffers = vec![Buffer::Frame(FrameIndex(1))];
    disk.submit(request(0, DiskOperation::Read, 1, buffers)).expect("room");
    disk.advance(&mut frames);
    assert_eq!(frames.bytes(FrameIndex(1)).0[0], 77);
}

#[test]
fn a_seeded_cut_produces_every_kind_of_damage_and_is_repeatable() {
    let cut = |seed| {
        let mut disk = SimDisk::empty(64, 1);
        for block in 0..64 {
            write(&mut disk, block, 9).expect("write");
        }
        disk.cut_owned(&mut Seeded::new(seed))
    };
    assert_eq!(cut(5), cut(5));
    assert_ne!(cut(5), cut(6));
    let image = cut(5);
    let firsts: BTreeSet<_> = (0..64).map(|block| first_byte(&image, block)).collect();
    assert!(firsts.len() > 3 && firsts.contains(&0) && firsts.contains(&9), "{firsts:?}");
}

#[test]
fn two_openers_see_each_other() {
    let mut disk = SimDisk::empty(8, 1);
    let mut other = disk.second_opener(SimDiskOptions::default());
    write(&mut disk, 2, 4).expect("write");
    submit(&mut other, DiskOperation::Read, 2, &[0]);
    let Buffer::Owned(page) = &drain(&mut other)[0].buffers[0] else { panic!("not my buffer") };
    assert_eq!(page.0[0], 4);
}

#[test]
fn what_is_discarded_reads_as_anything_and_is_at_risk_until_a_flush() {
    let mut kinds = BTreeSet::new();
    for seed in 0..30 {
        let options = SimDiskOptions { seed, discard_blocks: 2, ..SimDiskOptions::default() };
        let mut disk = SimDisk::new(Image::new(16), options);
        write(&mut disk, 3, 7).expect("write");
        flush(&mut disk).expect("flush");
        submit(&mut disk, DiskOperation::Discard { blocks: 2 }, 3, &[]);
        drain(&mut disk)[0].result.expect("discard");
        let left = first_byte(&disk.visible(), 3);
        kinds.insert(left.min(8));
        assert_eq!(first_byte(&disk.cut_owned(&mut KeepNone), 3), 7);
        flush(&mut disk).expect("flush");
        assert_eq!(first_byte(&disk.cut_owned(&mut KeepNone), 3), left);
        for (block, blocks) in [(3, 3), (15, 2), (0, 0)] {
            submit(&mut disk, DiskOperation::Discard { blocks }, block, &[]);
            assert_eq!(drain(&mut disk)[0].result, Err(DiskError::OutOfRange));
        }
    }
    assert_eq!(kinds, [0, 7, 8].into(), "zeros, as it was, garbage");
    let mut plain = SimDisk::empty(16, 1);
    submit(&mut plain, DiskOperation::Discard { blocks: 1 }, 3, &[]);
    assert_eq!(drain(&mut plain)[0].result, Err(DiskError::Unsupported));
}
